"""Addresses as a browser writes them, so that one article has one."""

import can_ada

from newsarchive.spelling import well_formed

__all__ = ["canonical_url"]


def canonical_url(url: str) -> str:
    """Return a web address as a browser writes it; raise ValueError if it is none, or names a user."""
    parsed = can_ada.parse(well_formed(url))
    if parsed.protocol not in ("http:", "https:") or parsed.username or parsed.password:
        raise ValueError(f"not an address of the web: {url!r}")
    if "{" in parsed.host or "}" in parsed.host:
        raise ValueError(f"not a host name: {parsed.host!r}")
    # Browsers leave braces in queries and fragments, but Liquid would read them.
    return str(parsed.href).replace("{", "%7B").replace("}", "%7D")
