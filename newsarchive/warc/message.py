"""HTTP messages as WARC records hold them: heads as text, bodies with or without their transfer coding."""

import re
import zlib
from collections.abc import Sequence

import brotli

__all__ = ["AS_SERVED", "END_OF_HEAD", "ORIGINAL", "RENAMED", "Headers", "dechunked", "encoded", "header", "parse_head"]

Headers = list[tuple[str, str]]

#: Comes before the name of a header that no longer says how the stored body is written.
ORIGINAL = "X-Archive-Orig-"

#: Values of ``X-Newsarchive-Headers`` in our records: stored headers are those that were served, or some are renamed.
AS_SERVED, RENAMED = "as-served", "renamed"

END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
STATUS_LINE = re.compile(r"HTTP/\d+(?:\.\d+)?[ \t]+(\d{3,5})(?:[ \t][^\n]*)?\r?(?:\n|$)", re.ASCII)
FOLD = re.compile(r"\r?\n[ \t]+")
UNPRINTABLE = re.compile(r"[\r\0]")
CHUNK_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]{1,8})[ \t]*(?:;[^\n]{0,4096})?\r?\n")
LINE_END = re.compile(rb"\r?\n")


def parse_head(head: bytes) -> tuple[int, Headers]:
    """Return status and headers in order; raise ValueError for what is no HTTP response."""
    text = head.decode("latin-1")
    status = STATUS_LINE.match(text)
    if not status:
        raise ValueError(f"no HTTP response: {text[:40]!r}")
    if "\n " in text or "\n\t" in text:
        text = FOLD.sub(" ", text)
    headers = []
    for line in text.split("\n")[1:]:
        name, colon, value = line.partition(":")
        if colon and (name := name.strip()):
            value = value.strip(" \t\r")
            headers.append((name, UNPRINTABLE.sub(" ", value) if "\r" in value or "\0" in value else value))
    return int(status[1]), headers


def header(headers: Sequence[tuple[str, str]], name: str) -> str:
    """Return the values of a header, joined by commas; the name in lower case."""
    return ",".join(value for found, value in headers if found.lower() == name)


def dechunked(body: bytes) -> tuple[bytes, bool] | None:
    """Return a body without chunks, and whether its last chunk is there; None if it is not in chunks."""
    plain, at, view = bytearray(), 0, memoryview(body)
    while size := CHUNK_SIZE.match(body, at):
        length, start = int(size[1], 16), size.end()
        if not length:
            return bytes(plain), True
        plain += view[start : start + length]
        at = start + length
        if at >= len(body):
            return bytes(plain), False
        end = LINE_END.match(body, at)
        if not end:
            return None
        at = end.end()
    # A connection may break off within the line that states a size.
    return (bytes(plain), False) if plain and len(body) - at < 16 else None


def encoded(body: bytes, encodings: str) -> bool:
    """Tell whether a body may be in the encoding that its header states; others' files hold decoded ones."""
    names = [name for each in encodings.lower().split(",") if (name := each.strip()) not in ("", "identity")]
    if not names or not body:
        return True
    looks = {"gzip": _gzip, "x-gzip": _gzip, "deflate": _deflate, "br": _brotli, "zstd": _zstd}.get(names[-1])
    return looks(body) if looks else True


def _gzip(body: bytes) -> bool:
    return b"\x1f\x8b".startswith(body[:2])


def _zstd(body: bytes) -> bool:
    # A skippable frame may come first.
    return b"\x28\xb5\x2f\xfd".startswith(body[:4]) or body[1:4] == b"\x2a\x4d\x18"


def _deflate(body: bytes) -> bool:
    for window in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
        try:
            zlib.decompressobj(window).decompress(body[:4096], 4096)
        except zlib.error:
            continue
        return True
    return False


def _brotli(body: bytes) -> bool:
    try:
        brotli.Decompressor().process(body[:4096], output_buffer_limit=4096)
    except brotli.error:
        return False
    return True
