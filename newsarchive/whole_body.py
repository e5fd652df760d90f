"""Whether a body came over the wire whole: as long as announced, and compressed data that ends.

Scrapy hands a body shorter than its ``Content-Length``, or compressed data that
ends too early, to the spider as an ordinary page.
"""

import sys
import zlib
from collections.abc import Callable
from gzip import GzipFile
from io import BytesIO
from typing import Self

import brotli
from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.retry import get_retry_request
from scrapy.http import Response

from newsarchive.article import Refused
from newsarchive.page import MAX_SIZE
from newsarchive.run import capture_ended

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["WholeBodyMiddleware"]


class WholeBodyMiddleware:
    """Asks again for a body that arrived cut short, and refuses it if it stays so."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Return the middleware for a crawler."""
        return cls(crawler)

    def process_response(self, request: Request, response: Response) -> Request | Response:
        """Return a whole response, or a request to try again.

        Raises Refused ``truncated`` when tries are used up, ``undecodable`` for an encoding nobody asked for.
        """
        encodings = content_encodings(response)
        if request.method == "HEAD" or response.status in (204, 304):
            return response
        if unknown := [encoding for encoding in encodings if encoding not in ENDS]:
            raise Refused("undecodable", f"Content-Encoding: {', '.join(unknown)}")
        missing = lack(response, encodings)
        if not missing:
            return response
        spider = self.crawler.spider
        if spider and self.crawler.settings.getbool("RETRY_ENABLED"):
            again = get_retry_request(request, spider=spider, reason="truncated")
            if again:
                if capture := request.meta.get("capture"):
                    self.crawler.signals.send_catch_log(capture_ended, capture=capture, ending="truncated")
                return again
        raise Refused("truncated", missing)


def content_encodings(response: Response) -> list[str]:
    """Return how a body is encoded, in the order of encoding; ``identity`` is no encoding."""
    stated = b",".join(response.headers.getlist("Content-Encoding")).decode("latin-1").lower()
    return [name for encoding in stated.split(",") if (name := encoding.strip()) not in ("", "identity")]


def lack(response: Response, encodings: list[str]) -> str:
    """Return what a body lacks of what its headers promise; empty if it is whole."""
    promised = (response.headers.get("Content-Length") or b"").decode("latin-1").strip()
    if promised.isdecimal() and len(response.body) < int(promised):
        return f"{len(response.body)} of {promised} bytes"
    if response.body and encodings and not ENDS[encodings[-1]](response.body):
        return f"{encodings[-1]} data that does not end, {len(response.body)} bytes"
    return ""


#: Bytes decompressed at a time.
PIECE = 1 << 20


def _gzip_ends(body: bytes) -> bool:
    data, size = GzipFile(fileobj=BytesIO(body)), 0
    try:
        while size <= MAX_SIZE and (piece := data.read(PIECE)):
            size += len(piece)
    except (EOFError, OSError, zlib.error):
        return False
    return True


def _deflate_ends(body: bytes) -> bool:
    return _inflates(body, zlib.MAX_WBITS) or _inflates(body, -zlib.MAX_WBITS)


def _inflates(body: bytes, window: int) -> bool:
    """Tell whether compressed data is whole; more of it than a page may have is not looked at."""
    inflater, size, data = zlib.decompressobj(window), 0, body
    try:
        while data and not inflater.eof and size <= MAX_SIZE:
            size += len(inflater.decompress(data, PIECE))
            data = inflater.unconsumed_tail
    except zlib.error:
        return False
    return inflater.eof or size > MAX_SIZE


def _brotli_ends(body: bytes) -> bool:
    decoder, size, data = brotli.Decompressor(), 0, body
    try:
        while not decoder.is_finished() and size <= MAX_SIZE:
            piece = decoder.process(data, output_buffer_limit=PIECE)
            if not piece and not data:
                return False
            size, data = size + len(piece), b""
    except brotli.error:
        return False
    return True


def _zstd_ends(body: bytes) -> bool:
    decoder, size, data = zstd.ZstdDecompressor(), 0, body
    try:
        while not decoder.eof and size <= MAX_SIZE:
            piece = decoder.decompress(data, PIECE)
            if not piece and not data:
                return False
            size, data = size + len(piece), b""
    except zstd.ZstdError:
        return False
    return True


#: Tells for each encoding that is asked for whether data ends where it should.
ENDS: dict[str, Callable[[bytes], bool]] = {
    "gzip": _gzip_ends,
    "x-gzip": _gzip_ends,
    "deflate": _deflate_ends,
    "br": _brotli_ends,
    "zstd": _zstd_ends,
}
