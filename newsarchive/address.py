"""Addresses as a browser writes them, so that one article has one."""

import re
from unicodedata import normalize
from urllib.parse import unquote

import can_ada

from newsarchive.spelling import well_formed

__all__ = ["canonical_url", "readable_path"]

#: What means something else in a path once it is decoded, or would not come back: separators, spaces, no UTF-8.
_ESCAPED = re.compile(r"[\x00-\x20/?#%\\\x7f\ud800-\udfff]")


def canonical_url(url: str) -> str:
    """Return a web address as a browser writes it; raise ValueError if it is none, or names a user."""
    parsed = can_ada.parse(well_formed(url))
    if parsed.protocol not in ("http:", "https:") or parsed.username or parsed.password:
        raise ValueError(f"not an address of the web: {url!r}")
    if "{" in parsed.host or "}" in parsed.host:
        raise ValueError(f"not a host name: {parsed.host!r}")
    # Browsers leave braces in queries and fragments, but Liquid would read them.
    return str(parsed.href).replace("{", "%7B").replace("}", "%7D")


def readable_path(path: str) -> str:
    """Return the path of an address decoded and composed (NFC): equal for all spellings of one path, and no others.

    What would mean something else stays escaped, in upper case; so decoding twice changes nothing.
    """
    return "/".join(_readable(segment) for segment in re.split("/+", path))


def _readable(segment: str) -> str:
    """Return what stands between two slashes, decoded."""
    runs = re.split("((?:%[0-9A-Fa-f]{2})+)", well_formed(segment))
    # Every other one is a run of escapes; a percent sign outside of them stands for itself.
    text = "".join(unquote(run, errors="surrogateescape") if at % 2 else run for at, run in enumerate(runs))
    return _ESCAPED.sub(_escape, normalize("NFC", text))


def _escape(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogateescape"))
