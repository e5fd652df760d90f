"""What happens between the spider and the network: whole bodies only, redirects on site, back-off when asked."""

import asyncio
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

from scrapy import Request, Spider
from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.redirect import RedirectMiddleware
from scrapy.downloadermiddlewares.retry import get_retry_request
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Response
from scrapy.utils.httpobj import urlparse_cached

from newsarchive.article import Refused

__all__ = ["BackOffMiddleware", "OnSiteRedirectMiddleware", "WholeBodyMiddleware"]


class WholeBodyMiddleware:
    """Asks again for a body that arrived cut short, and refuses it if it stays so.

    Scrapy hands a body shorter than its ``Content-Length``, or compressed data that ends too early, to the
    spider as an ordinary page.
    """

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Return the middleware for a crawler."""
        return cls(crawler)

    def process_response(self, request: Request, response: Response) -> Request | Response:
        """Return a whole response, or a request to try again; raise Refused ``truncated`` when tries are used up."""
        missing = "" if request.method == "HEAD" or response.status in (204, 304) else lack(response)
        if not missing:
            return response
        spider = self.crawler.spider
        if spider and self.crawler.settings.getbool("RETRY_ENABLED"):
            again = get_retry_request(request, spider=spider, reason="truncated")
            if again:
                return again
        raise Refused("truncated", missing)


def lack(response: Response) -> str:
    """Return what a body lacks of what its headers promise; empty if it is whole."""
    promised = (response.headers.get("Content-Length") or b"").decode("latin-1").strip()
    if promised.isdecimal() and len(response.body) < int(promised):
        return f"{len(response.body)} of {promised} bytes"
    encodings = b",".join(response.headers.getlist("Content-Encoding")).decode("latin-1").lower().split(",")
    ends = ENDS.get(encodings[-1].strip())
    if ends and not ends(response.body):
        return f"{encodings[-1].strip()} data that does not end, {len(response.body)} bytes"
    return ""


def _gzip_ends(body: bytes) -> bool:
    return _inflates(body, zlib.MAX_WBITS | 16)


def _deflate_ends(body: bytes) -> bool:
    return _inflates(body, zlib.MAX_WBITS) or _inflates(body, -zlib.MAX_WBITS)


def _inflates(body: bytes, window: int) -> bool:
    """Tell whether compressed data is whole, in bounded memory."""
    inflater = zlib.decompressobj(window)
    try:
        data = body
        while data and not inflater.eof:
            inflater.decompress(data, 1 << 20)
            data = inflater.unconsumed_tail
    except zlib.error:
        return False
    return inflater.eof


#: Tells for each encoding whether data ends where it should.
ENDS: dict[str, Callable[[bytes], bool]] = {"gzip": _gzip_ends, "x-gzip": _gzip_ends, "deflate": _deflate_ends}


class OnSiteRedirectMiddleware(RedirectMiddleware):
    """Follows redirects on the publisher's own site and refuses all others, so that each ends counted."""

    def process_response(
        self, request: Request, response: Response, spider: Spider | None = None
    ) -> Request | Response:
        """Return the response or the request it redirects to; raise Refused for one that must not be followed."""
        location = response.headers.get("Location")
        if response.status in (301, 302, 303, 307, 308) and location:
            target = urljoin(request.url, location.decode("latin-1").strip())
            self.check(target)
        try:
            followed: Request | Response = super().process_response(request, response)
        except IgnoreRequest as error:
            raise Refused("redirect-loop", f"after {self.max_redirect_times} redirects from {request.url}") from error
        return followed

    def check(self, target: str) -> None:
        """Raise Refused for an address that is not on the publisher's site."""
        parts = urlsplit(target)
        if parts.scheme not in ("http", "https"):
            raise Refused("redirect-scheme", target)
        domains = getattr(self.crawler.spider, "allowed_domains", [])
        host = (parts.hostname or "").lower()
        if not any(host == domain or host.endswith(f".{domain}") for domain in domains):
            raise Refused("redirect-off-site", target)


class BackOffMiddleware:
    """Leaves a host alone for as long as it asks (``Retry-After``), or for twice as long each time it is in trouble."""

    def __init__(self, crawler: Crawler) -> None:
        self.start = crawler.settings.getfloat("BACKOFF_START")
        self.longest = crawler.settings.getfloat("BACKOFF_MAX")
        self.stats: Any = crawler.stats
        self.until: dict[str, float] = {}
        self.troubles: dict[str, int] = {}

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Return the middleware for a crawler."""
        return cls(crawler)

    async def process_request(self, request: Request) -> None:
        """Wait until the host may be asked again; raise Refused if that is longer than the bound."""
        host = urlparse_cached(request).netloc
        while (wait := self.until.get(host, 0) - monotonic()) > 0:
            if wait > self.longest:
                raise Refused("backing-off", f"{host} asked to be left alone for {wait:.0f} seconds more")
            await asyncio.sleep(wait)

    def process_response(self, request: Request, response: Response) -> Response:
        """Note from a 429 or 5xx how long to leave the host alone; refuse one that asks for longer than the bound."""
        host = urlparse_cached(request).netloc
        if response.status != 429 and response.status < 500:
            self.troubles.pop(host, None)
            return response
        self.troubles[host] = self.troubles.get(host, 0) + 1
        asked = retry_after(response, datetime.now(UTC))
        pause = asked if asked is not None else min(self.start * 2 ** (self.troubles[host] - 1), self.longest)
        self.until[host] = monotonic() + pause
        if pause > self.longest:
            raise Refused(f"status-{response.status}", f"the server asks for {pause:.0f} seconds; try again later")
        self.stats.inc_value("backoff/count")
        self.stats.inc_value("backoff/seconds", pause)
        return response


def retry_after(response: Response, now: datetime) -> float | None:
    """Return the seconds a server asks to be left alone; None if it does not say, or not readably."""
    value = (response.headers.get("Retry-After") or b"").decode("latin-1").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError):
        return None
