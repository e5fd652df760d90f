"""Digests as WARC files state them: an algorithm, a colon, and base32; some tools write hex or base64."""

import hashlib
from base64 import b32encode, b64encode
from collections.abc import Iterable

__all__ = ["agrees", "known", "named", "payload_digest", "same", "spelled"]

ALGORITHMS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")


def payload_digest(body: bytes) -> str:
    """Return the digest of a body: ``sha1:`` and base32."""
    return spelled(hashlib.sha1(body, usedforsecurity=False).digest())


def spelled(sha1: bytes) -> str:
    """Return a SHA-1 as WARC files state it."""
    return "sha1:" + b32encode(sha1).decode()


def agrees(stated: str, pieces: Iterable[bytes | memoryview]) -> bool:
    """Tell whether data has the digest that a record states; one of no known kind agrees with everything."""
    if not known(stated):
        return True
    found = hashlib.new(named(stated), usedforsecurity=False)
    for piece in pieces:
        found.update(piece)
    return same(stated, found.digest())


def named(stated: str) -> str:
    """Return the name of a stated digest's algorithm."""
    return stated.partition(":")[0].strip().lower().replace("-", "")


def known(stated: str) -> bool:
    """Tell whether a stated digest can be computed."""
    return named(stated) in ALGORITHMS


def same(stated: str, digest: bytes) -> bool:
    """Tell whether a digest is the stated one."""
    value = stated.partition(":")[2].strip().rstrip("=")
    if value.upper() == b32encode(digest).decode().rstrip("=") or value.lower() == digest.hex():
        return True
    return value.replace("-", "+").replace("_", "/") == b64encode(digest).decode().rstrip("=")
