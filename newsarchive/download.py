"""What may be asked: on the publisher's own site, as robots.txt allows, and when it is its turn."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import urlsplit

from scrapy import Request, Spider
from scrapy.core.downloader.handlers.http11 import HTTP11DownloadHandler
from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.redirect import RedirectMiddleware
from scrapy.downloadermiddlewares.robotstxt import RobotsTxtMiddleware
from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadConnectionRefusedError,
    DownloadFailedError,
    DownloadTimeoutError,
    IgnoreRequest,
    NotConfigured,
)
from scrapy.http import Response
from scrapy.pqueues import DownloaderAwarePriorityQueue, DownloaderInterface
from scrapy.robotstxt import RobotParser
from scrapy.utils.httpobj import urlparse_cached

from newsarchive.article import Refused
from newsarchive.copies import COPIES
from newsarchive.manners import Manners, host_of
from newsarchive.remembered import retry_after
from newsarchive.store import purpose

__all__ = [
    "AskOnceHandler",
    "HostQueue",
    "OnSiteMiddleware",
    "OnSiteRedirectMiddleware",
    "RobotsMiddleware",
    "TurnMiddleware",
]


def stray(request: Request, spider: Spider | None) -> str:
    """Return why an address is not on a spider's site: ``scheme`` or ``off-site``; empty if it is."""
    parts = urlparse_cached(request)
    if parts.scheme not in ("http", "https"):
        return "scheme"
    host = (parts.hostname or "").lower()
    domains = list(getattr(spider, "allowed_domains", []))
    if "copied" in request.meta or purpose(request) == "robots":
        domains.append(COPIES)
    if purpose(request) in ("listing", "robots"):
        domains += [urlsplit(listing.url).hostname or "" for listing in getattr(spider, "listings", ())]
    return "" if any(host == domain or host.endswith(f".{domain}") for domain in domains) else "off-site"


class AskOnceHandler(HTTP11DownloadHandler):
    """Asks once. Twisted asks again by itself, and at once, where a connection breaks that was used before."""

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._pool.retryAutomatically = False


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
        #: None in a replay, which asks nobody.
        self.manners = None if crawler.settings.getbool("REPLAYED") else Manners.of(crawler)

    async def robot_parser(self, request: Request) -> RobotParser | None:
        """Return what a host's robots.txt says, fetched once; None if it could not be had.

        Raises Refused if it is not to be asked for in this run: not a matter of robots.txt, but of the host.
        """
        netloc = urlparse_cached(request).netloc
        async with self.locks.setdefault(netloc, asyncio.Lock()):
            if self.manners and netloc not in self._parsers:
                self.manners.check(host_of(request), "robots")
            parser: RobotParser | None = await super().robot_parser(request)
            return parser

    async def _parse_robots(self, response: Response, netloc: str, request: Request) -> None:
        if response.status >= 500 or response.status == 429:
            raise IgnoreRequest(f"{response.url} has status {response.status}")
        found = response if response.status < 300 else response.replace(body=b"")
        await super()._parse_robots(found, netloc, request)
        if self.manners:
            parser: Any = self._parsers[netloc]
            agent = self._robotstxt_useragent or self._default_useragent
            self.manners.crawl_delay(host_of(request), parser.crawl_delay(agent))

    def process_request_2(self, rp: RobotParser | None, request: Request) -> None:
        """Raise IgnoreRequest for what robots.txt forbids, Refused where it could not be had."""
        if rp is None:
            raise Refused("robots-unreachable", "what may be asked is not known")
        super().process_request_2(rp, request)


class OnSiteRedirectMiddleware(RedirectMiddleware):
    """Follows redirects on the publisher's own site and refuses all others, so that each ends counted."""

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Return the middleware for a crawler, without what warns in every run that there is no referrer."""
        made = cls(crawler.settings)
        made.crawler = crawler
        return made

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
#: Seconds after which a request that waits looks whether the run is being stopped.
_LOOK_UP = 1


class TurnMiddleware:
    """Lets each request wait for its turn, and notes what becomes of it.

    It stands next to the network, behind everybody else: pages, listings, robots.txt, redirects and further tries all
    pass here, and nothing happens any more between their turn and the network.
    """

    def __init__(self, crawler: Crawler) -> None:
        if crawler.settings.getbool("REPLAYED"):
            raise NotConfigured
        self.crawler = crawler
        self.manners = Manners.of(crawler)
        at_a_time = crawler.settings.getint("CONCURRENT_REQUESTS_PER_DOMAIN")
        self.turns: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(at_a_time))
        #: Requests that are under way.
        self.asking: set[Request] = set()

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Return the middleware for a crawler."""
        return cls(crawler)

    async def process_request(self, request: Request) -> None:
        """Wait until a host may be asked; raise Refused if it is not to be, or if the run is being stopped."""
        host, what = host_of(request), purpose(request)
        await self.turns[host].acquire()
        try:
            while True:
                if self.is_stopping():
                    raise Refused("stopped", "the run ends")
                self.manners.check(host, what, request.url)
                wait = self.manners.wait(host)
                if wait <= 0:
                    break
                await asyncio.sleep(min(wait, _LOOK_UP))
            self.manners.ask(host)
            self.asking.add(request)
        except BaseException:
            self.turns[host].release()
            raise

    def is_stopping(self) -> bool:
        """Tell whether the run is being stopped: then nobody is asked who has not been yet."""
        engine = self.crawler.engine
        slot = engine._slot if engine else None
        return bool(slot and slot.closing) or not (engine and engine.running)

    def process_response(self, request: Request, response: Response) -> Response:
        """Note an answer; there is no further try at a host that is to be left alone for long."""
        if self.ended(request):
            retry, date = ((response.headers.get(name) or b"").decode("latin-1") for name in ("Retry-After", "Date"))
            asked = retry_after(retry, date, datetime.now(UTC))
            self.manners.answered(host_of(request), purpose(request), response.status, asked, request.url)
            self.give_up(request)
        return response

    def process_exception(self, request: Request, exception: Exception) -> None:
        """Note that no answer came; there is no further try at a host that has been in trouble for long."""
        if self.ended(request):
            self.manners.silent(host_of(request), purpose(request), trouble=isinstance(exception, _NO_ANSWER))
            self.give_up(request)

    def ended(self, request: Request) -> bool:
        """Let the next one have its turn; return False for a request that had none."""
        if request not in self.asking:
            return False
        self.asking.remove(request)
        self.turns[host_of(request)].release()
        return True

    def give_up(self, request: Request) -> None:
        """Let a request not be tried again if its host is to be left alone."""
        if self.manners.is_given_up(host_of(request)):
            request.meta["dont_retry"] = True


class _ReadyHosts(DownloaderInterface):
    """Names the hosts that may be asked now, and has the engine look again when the next one may be."""

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self.crawler = crawler
        self.manners = Manners.of(crawler)
        self.waking: asyncio.TimerHandle | None = None

    def stats(self, possible_slots: Iterable[str]) -> list[tuple[int, str]]:
        """Return the hosts among these that may be asked now, each with how much it is asked already."""
        waits = {slot: self.manners.wait(slot) for slot in possible_slots}
        ready = [(self._active_downloads(slot), slot) for slot, wait in waits.items() if not wait]
        if waits and not ready:
            if self.waking:
                self.waking.cancel()
            self.waking = asyncio.get_running_loop().call_later(min(waits.values()), self.wake)
        return ready

    def wake(self) -> None:
        """Have the engine look for requests; left to itself it would some seconds later."""
        engine = self.crawler.engine
        if engine and engine._slot:
            engine._slot.nextcall.schedule()


class HostQueue(DownloaderAwarePriorityQueue):
    """Hands out requests of hosts that may be asked now: none waits in the downloader, where others would have to."""

    def __init__(self, crawler: Crawler, *args: Any, **kwargs: Any) -> None:
        super().__init__(crawler, *args, **kwargs)
        self._downloader_interface = _ReadyHosts(crawler)
