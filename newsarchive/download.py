"""What may be asked, and when: on the publisher's own site, as robots.txt allows, and as slowly as servers ask."""

import asyncio
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import Any, Self

from scrapy import Request, Spider
from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.redirect import RedirectMiddleware
from scrapy.downloadermiddlewares.robotstxt import RobotsTxtMiddleware
from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadConnectionRefusedError,
    DownloadFailedError,
    DownloadTimeoutError,
    IgnoreRequest,
)
from scrapy.http import Response
from scrapy.robotstxt import RobotParser
from scrapy.utils.httpobj import urlparse_cached

from newsarchive.article import Refused

__all__ = [
    "BackOffMiddleware",
    "OnSiteMiddleware",
    "OnSiteRedirectMiddleware",
    "RobotsMiddleware",
]


def stray(request: Request, spider: Spider | None) -> str:
    """Return why an address is not on a spider's site: ``scheme`` or ``off-site``; empty if it is."""
    parts = urlparse_cached(request)
    if parts.scheme not in ("http", "https"):
        return "scheme"
    host = (parts.hostname or "").lower()
    domains = getattr(spider, "allowed_domains", [])
    return "" if any(host == domain or host.endswith(f".{domain}") for domain in domains) else "off-site"


class OnSiteMiddleware:
    """Refuses to ask anybody but the publisher. Scrapy's own drops such a request without telling the spider."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Return the middleware for a crawler."""
        return cls(crawler)

    def process_request(self, request: Request) -> None:
        """Raise Refused ``off-site`` or ``scheme`` for an address that is not on the publisher's site."""
        reason = stray(request, self.crawler.spider)
        if reason:
            raise Refused(reason, "not an address of the publisher")


class RobotsMiddleware(RobotsTxtMiddleware):
    """Obeys robots.txt as RFC 9309 says: one that is not there allows everything, one out of reach allows nothing.

    Scrapy reads an error page as a robots.txt that allows everything, and lets those through that wait for
    robots.txt while somebody else is fetching it.
    """

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self.locks: dict[str, asyncio.Lock] = {}

    async def robot_parser(self, request: Request) -> RobotParser | None:
        """Return what a host's robots.txt says, fetched once; None if it could not be had."""
        async with self.locks.setdefault(urlparse_cached(request).netloc, asyncio.Lock()):
            parser: RobotParser | None = await super().robot_parser(request)
            return parser

    async def _parse_robots(self, response: Response, netloc: str, request: Request) -> None:
        if response.status >= 500 or response.status == 429:
            raise IgnoreRequest(f"{response.url} has status {response.status}")
        found = response if response.status < 300 else response.replace(body=b"")
        await super()._parse_robots(found, netloc, request)

    def process_request_2(self, rp: RobotParser | None, request: Request) -> None:
        """Raise IgnoreRequest for what robots.txt forbids, Refused where it could not be had."""
        if rp is None:
            raise Refused("robots-unreachable", "what may be asked is not known")
        super().process_request_2(rp, request)


class OnSiteRedirectMiddleware(RedirectMiddleware):
    """Follows redirects on the publisher's own site and refuses all others, so that each ends counted."""

    def process_response(
        self, request: Request, response: Response, spider: Spider | None = None
    ) -> Request | Response:
        """Return the response or the request it redirects to; raise Refused for one that must not be followed."""
        try:
            followed: Request | Response = super().process_response(request, response)
        except IgnoreRequest as error:
            raise Refused("redirect-loop", f"after {self.max_redirect_times} redirects from {request.url}") from error
        except ValueError as error:
            raise Refused("redirect-malformed", f"{response.headers.get('Location')!r}") from error
        if isinstance(followed, Request):
            if reason := stray(followed, self.crawler.spider):
                raise Refused(f"redirect-{reason}", followed.url)
            # An address that leads where the run has been already must end like any other.
            followed.dont_filter = True
        elif response.status in (301, 302, 303, 307, 308) and "Location" in response.headers:
            raise Refused("redirect-scheme", f"{response.headers.get('Location')!r}")
        return followed


#: What a host in trouble answers with, if at all.
_NO_ANSWER = (CannotResolveHostError, DownloadConnectionRefusedError, DownloadFailedError, DownloadTimeoutError)


class BackOffMiddleware:
    """Leaves a host alone for as long as it asks (``Retry-After``), or for twice as long each time it is in trouble.

    A host that asks for longer than BACKOFF_MAX, or that has been in trouble for so long without a good
    answer in between, is given up for the rest of the run: what would be asked of it is refused.
    """

    def __init__(self, crawler: Crawler) -> None:
        self.start = crawler.settings.getfloat("BACKOFF_START")
        self.longest = crawler.settings.getfloat("BACKOFF_MAX")
        self.stats: Any = crawler.stats
        self.until: dict[str, float] = {}
        self.troubles: dict[str, int] = {}
        self.waited: dict[str, float] = {}

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Return the middleware for a crawler."""
        return cls(crawler)

    async def process_request(self, request: Request) -> None:
        """Wait until the host may be asked again; raise Refused ``backing-off`` if it has been given up."""
        host = urlparse_cached(request).netloc
        while (wait := self.until.get(host, 0) - monotonic()) > 0:
            if self.given_up(host):
                raise Refused("backing-off", f"{host} is to be left alone; try again later")
            await asyncio.sleep(wait)

    def process_response(self, request: Request, response: Response) -> Response:
        """Note from a 429 or 5xx how long to leave the host alone; refuse one that asks for longer than the bound."""
        host = urlparse_cached(request).netloc
        if response.status != 429 and response.status < 500:
            self.troubles.pop(host, None)
            self.waited.pop(host, None)
            return response
        pause = self.back_off(host, retry_after(response, datetime.now(UTC)))
        if self.given_up(host):
            raise Refused(f"status-{response.status}", f"the host is in trouble, the last time for {pause:.0f} seconds")
        return response

    def process_exception(self, request: Request, exception: Exception) -> None:
        """Leave a host alone that does not answer; no further try if it has been given up."""
        if isinstance(exception, _NO_ANSWER):
            host = urlparse_cached(request).netloc
            self.back_off(host, None)
            if self.given_up(host):
                request.meta["dont_retry"] = True

    def back_off(self, host: str, asked: float | None) -> float:
        """Note that a host is in trouble and return for how many seconds it is left alone."""
        self.troubles[host] = self.troubles.get(host, 0) + 1
        pause = asked if asked is not None else min(self.start * 2.0 ** (self.troubles[host] - 1), self.longest)
        self.waited[host] = self.waited.get(host, 0) + pause
        until = float("inf") if self.waited[host] > self.longest else monotonic() + pause
        self.until[host] = max(until, self.until.get(host, 0))
        if not self.given_up(host):
            self.stats.inc_value("backoff/count")
            self.stats.inc_value("backoff/seconds", pause)
        return pause

    def given_up(self, host: str) -> bool:
        """Tell whether a host is to be left alone for the rest of the run."""
        return self.until.get(host, 0) == float("inf")


def retry_after(response: Response, now: datetime) -> float | None:
    """Return the seconds a server asks to be left alone; None if it does not say, or not readably."""
    value = (response.headers.get("Retry-After") or b"").decode("latin-1").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError):
        return None
