"""Bodies as they were before they were compressed, if they came over the wire whole: as long as announced, and ending.

Scrapy hands a body shorter than its ``Content-Length``, or compressed data that
ends too early, to the spider as an ordinary page. Decompressed here, a page is
decompressed once.
"""

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Self

import brotli
from isal import isal_zlib
from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.retry import get_retry_request
from scrapy.http import Response, TextResponse
from scrapy.responsetypes import responsetypes

from newsarchive.article import Refused
from newsarchive.page import MAX_SIZE
from newsarchive.run import capture_ended

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["Cut", "WholeBodyMiddleware", "content_encodings", "whole"]


#: zlib's notation for gzip, whose checksum is verified.
GZIP_WINDOW = 31


class Cut(ValueError):
    """Says what a body lacks."""


class WholeBodyMiddleware:
    """Decompresses bodies; asks again for one that arrived cut short, and refuses it if it stays so.

    Takes the place of Scrapy's ``HttpCompressionMiddleware``.
    """

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.most = max(MAX_SIZE, crawler.settings.getint("DOWNLOAD_MAXSIZE"))

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Return the middleware for a crawler."""
        return cls(crawler)

    def process_response(self, request: Request, response: Response) -> Request | Response:
        """Return a whole response, or a request to try again.

        Raises Refused ``truncated`` when tries are used up, ``undecodable`` for an encoding nobody asked for, and
        ``too-large`` for more than a page may have.
        """
        encodings = content_encodings(response)
        if request.method == "HEAD" or response.status in (204, 304):
            return response
        if unknown := [encoding for encoding in encodings if encoding not in DECODE]:
            raise Refused("undecodable", f"Content-Encoding: {', '.join(unknown)}")
        try:
            return whole(response, encodings, self.most)
        except Cut as cut:
            missing = str(cut)
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


def whole(response: Response, encodings: list[str], most: int = MAX_SIZE) -> Response:
    """Return a response with its body decompressed; raise Cut for what it lacks of what its headers promise.

    Raises Refused ``too-large`` for a body of more than so many bytes.
    """
    body, promised = response.body, (response.headers.get("Content-Length") or b"").decode("latin-1").strip()
    if promised.isdecimal() and len(body) < int(promised):
        raise Cut(f"{len(body)} of {promised} bytes")
    if not encodings:
        return response
    for encoding in reversed(encodings if body else []):
        size = len(body)
        try:
            body = DECODE[encoding](body, most)
        except ERRORS as error:
            raise Cut(f"{encoding} data that does not end, {size} bytes") from error
    headers = response.headers.copy()
    del headers["Content-Encoding"]
    kind = responsetypes.from_args(headers=headers, url=response.url, body=body)
    more = {"encoding": None} if issubclass(kind, TextResponse) else {}
    return response.replace(cls=kind, headers=headers, body=body, **more)


#: Bytes decompressed at a time.
PIECE = 1 << 20


def _inflated(pieces: Iterator[bytes], most: int) -> bytes:
    """Return pieces as one; raise Refused ``too-large`` for more than so many bytes."""
    taken, size = [], 0
    for piece in pieces:
        taken.append(piece)
        size += len(piece)
        if size > most:
            raise Refused("too-large", f"more than {most} bytes when decompressed")
    return b"".join(taken)


def _gunzip(data: bytes) -> Iterator[bytes]:
    while data:
        yield from _inflate(data, isal_zlib.decompressobj(GZIP_WINDOW), rest := bytearray())
        # Members may follow one another, and zeros may pad the last.
        data = bytes(rest).lstrip(b"\0")


def _deflated(data: bytes, most: int) -> bytes:
    """Return decompressed data; servers send it with zlib's frame or without."""
    try:
        return _inflated(_inflate(data, zlib.decompressobj(zlib.MAX_WBITS)), most)
    except (zlib.error, Cut):
        return _inflated(_inflate(data, zlib.decompressobj(-zlib.MAX_WBITS)), most)


def _inflate(data: bytes, inflater: Any, rest: bytearray | None = None) -> Iterator[bytes]:
    while not inflater.eof:
        piece = inflater.decompress(data, PIECE)
        data = inflater.unconsumed_tail
        if not piece and not data and not inflater.eof:
            raise Cut("it does not end")
        yield piece
    if rest is not None:
        rest += inflater.unused_data


def _unbrotli(data: bytes) -> Iterator[bytes]:
    decoder = brotli.Decompressor()
    while not decoder.is_finished():
        piece = decoder.process(data, output_buffer_limit=PIECE)
        if not piece and not data:
            raise Cut("it does not end")
        data = b""
        yield piece


def _unzstd(data: bytes) -> Iterator[bytes]:
    decoder = zstd.ZstdDecompressor()
    while not decoder.eof:
        piece = decoder.decompress(data, PIECE)
        if not piece and not data:
            raise Cut("it does not end")
        data = b""
        yield piece


#: Undoes each encoding that is asked for, and raises one of ERRORS for data that does not end where it should.
DECODE: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": lambda data, most: _inflated(_gunzip(data), most),
    "x-gzip": lambda data, most: _inflated(_gunzip(data), most),
    "deflate": _deflated,
    "br": lambda data, most: _inflated(_unbrotli(data), most),
    "zstd": lambda data, most: _inflated(_unzstd(data), most),
}
ERRORS: tuple[type[Exception], ...] = (Cut, isal_zlib.error, zlib.error, brotli.error, zstd.ZstdError)  # type: ignore[assignment]
