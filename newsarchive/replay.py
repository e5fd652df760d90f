"""A crawl answered from captures: our own and other people's WARC files, offline.

Files are read one after the other, from their beginning to their end, and each
response is dealt out to the crawl of its publisher: the same spiders and
pipelines as live, and a download handler in the place of the network. Captures
of this archive are read where they lie. What other people captured is first
kept in the archive like any answer, with the time at which it was captured.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from scrapy import Request, Spider
from scrapy.core.downloader.handlers.base import BaseDownloadHandler
from scrapy.crawler import Crawler
from scrapy.http import Headers, Response
from scrapy.responsetypes import responsetypes

from newsarchive.capture import Capture, verdict
from newsarchive.run import article_ended
from newsarchive.spider import PublisherSpider
from newsarchive.store import Store
from newsarchive.warc import Damage, Served, read

__all__ = [
    "REPLAY_SETTINGS",
    "CaptureHandler",
    "Deal",
    "DealtStart",
    "as_response",
    "capture_of",
    "location",
    "publisher_of_file",
]

HANDLER = "newsarchive.replay.CaptureHandler"
#: What a replay does otherwise than a live crawl: nobody has to be asked politely, or asked again, and what was decided
#: when a response was captured (whom to ask, which redirects to follow) is not decided again.
REPLAY_SETTINGS: dict[str, Any] = {
    "DOWNLOAD_HANDLERS": {"http": HANDLER, "https": HANDLER, "file": None, "data": None, "ftp": None, "s3": None},
    "DOWNLOAD_DELAY": 0,
    "CONCURRENT_REQUESTS": 8,
    "CONCURRENT_REQUESTS_PER_DOMAIN": 8,
    "DOWNLOADER_MIDDLEWARES_BASE": {},
    "DOWNLOADER_MIDDLEWARES": {
        "newsarchive.whole_body.WholeBodyMiddleware": 590,
        "newsarchive.store.CaptureMiddleware": 1000,
    },
    "SPIDER_MIDDLEWARES_BASE": {"scrapy.spidermiddlewares.httperror.HttpErrorMiddleware": 50},
    "SPIDER_MIDDLEWARES": {"newsarchive.replay.DealtStart": 100},
    "DUPEFILTER_CLASS": "scrapy.dupefilters.BaseDupeFilter",
    "RETRY_ENABLED": False,
    # More processes are for --jobs.
    "READ_PROCESS": False,
    "COMMIT_PAUSE": 0.02,
    "REPLAYED": True,
    "RUN_KIND": "replay",
    # The command holds the locks, for all processes of a replay.
    "ARCHIVE_LOCKED": True,
}
#: Responses of a publisher that wait while another's are read, and requests under way in one crawl.
AHEAD = 64


def publisher_of_file(file: Path, archive: Path) -> str:
    """Return the publisher to whose captures a file of the archive belongs; empty for other people's files."""
    try:
        parts = file.resolve().relative_to((archive / "captures").resolve()).parts
    except ValueError:
        return ""
    return parts[0] if len(parts) == 2 else ""


def as_response(served: Served) -> Response:
    """Return a response as the downloader would have, before anybody has decompressed it."""
    headers = Headers()
    for name, value in served.headers:
        headers.appendlist(name, value.encode("latin-1", "replace"))
    kind = responsetypes.from_args(headers=headers, url=served.url, body=served.body)
    return kind(served.url, status=served.status, headers=headers, body=served.body)


def location(served: Served) -> str:
    """Return where a response redirects to; empty if nowhere."""
    return next((value for name, value in served.headers if name.lower() == "location"), "")


def capture_of(name: str, served: Served) -> Capture:
    """Return the capture that was read back from a file of the archive."""
    return Capture(
        file=name,
        offset=served.offset,
        url=served.url,
        captured=served.captured,
        status=served.status,
        digest=served.digest,
        kind=served.kind,
        announced=served.announced,
    )


@dataclass
class Deal:
    """Deals the responses in WARC files out to the crawls of their publishers."""

    archive: Path
    spiders: Mapping[str, type[Spider]]
    #: Files to read; may be handed out one at a time.
    files: Iterable[Path]
    since: datetime | None = None
    until: datetime | None = None
    #: Called with the bytes read since the last call.
    progress: Callable[[int], None] = lambda _: None
    #: Files of this archive that were read to their end, without leaving anything out.
    finished: list[Path] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)
    #: What was left out, by why.
    left_out: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.queues: dict[str, deque[tuple[Served, Capture | None]]] = {name: deque() for name in self.spiders}
        self.taken = asyncio.Event()
        self.ended = False
        self.records = self._records()
        self.hosts: dict[str, str] = {}

    async def of(self, publisher: str) -> AsyncIterator[tuple[Served, Capture | None]]:
        """Yield the responses of a publisher, with their capture if it is of this archive."""
        queue = self.queues[publisher]
        while True:
            while not queue:
                if self.ended:
                    return
                if any(len(waiting) >= AHEAD for waiting in self.queues.values()):
                    self.taken.clear()
                    await self.taken.wait()
                else:
                    self._deal_one()
            self.taken.set()
            yield queue.popleft()

    def _deal_one(self) -> None:
        dealt = next(self.records, None)
        if dealt is None:
            self.ended = True
            self.taken.set()
        else:
            publisher, served, capture = dealt
            self.queues[publisher].append((served, capture))

    def _records(self) -> Iterator[tuple[str, Served, Capture | None]]:
        for file in self.files:
            own = publisher_of_file(file, self.archive)
            name = file.resolve().relative_to(self.archive.resolve()).as_posix() if own else ""
            damaged, position = len(self.damage), 0
            for found in read(file):
                if isinstance(found, Damage):
                    self.damage.append(found)
                    continue
                self.progress(found.end - position)
                position = found.end
                if publisher := self._publisher(own, found):
                    yield publisher, found, capture_of(name, found) if own else None
            self.progress(file.stat().st_size - position)
            if own and len(self.damage) == damaged and not (self.since or self.until):
                self.finished.append(file)

    def _publisher(self, own: str, served: Served) -> str:
        """Return whose crawl is to read a response; empty, and counted, if nobody's."""
        if (self.since and served.captured < self.since) or (self.until and served.captured >= self.until):
            return self._leave_out("not of the time asked for")
        publisher = own or self._publisher_of_host(served.url)
        if publisher not in self.spiders:
            return self._leave_out("not of a publisher asked for")
        spider = self.spiders[publisher]
        if not own and not (issubclass(spider, PublisherSpider) and spider.article_url.search(served.url)):
            return self._leave_out("not an article's address")
        return publisher

    def _leave_out(self, why: str) -> str:
        self.left_out[why] += 1
        return ""

    def _publisher_of_host(self, url: str) -> str:
        """Return the publisher on whose site an address lies; empty if on nobody's."""
        try:
            host = urlsplit(url).hostname or ""
        except ValueError:
            return ""
        if host not in self.hosts:
            if len(self.hosts) > 10_000:
                self.hosts.clear()
            self.hosts[host] = next((name for name, spider in self.spiders.items() if _is_on(host, spider)), "")
        return self.hosts[host]


def _is_on(host: str, spider: type[Spider]) -> bool:
    domains = getattr(spider, "allowed_domains", None) or ()
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


class DealtStart:
    """Starts a crawl from the responses that ``REPLAY_DEAL`` (a ``Deal``) has for its publisher."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.store = Store.of(crawler)
        self.deal: Deal = crawler.settings["REPLAY_DEAL"]
        self.room = asyncio.Semaphore(AHEAD)
        crawler.signals.connect(self.ended, article_ended)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Return the middleware for a crawler."""
        return cls(crawler)

    async def process_start(self, start: AsyncIterator[Any]) -> AsyncIterator[Request]:
        """Yield a request for each response to be read; those that end by themselves are recorded at once."""
        spider = self.crawler.spider
        assert isinstance(spider, PublisherSpider)
        # The engine looks whether all is done when a request ends: one must be under way when there are no more.
        last: Request | None = None
        async for served, held in self.deal.of(spider.name):
            if held and (ended := verdict(held, location(served))):
                await self.store.room()
                self.store.capture_ended(held, *ended)
                continue
            if last:
                await self.room.acquire()
                yield last
            meta = {"kind": "article", "announced": served.announced, "captured": served.captured, "served": served}
            last = Request(
                served.url,
                spider.parse,
                errback=spider.article_failed,
                meta={**meta, "held": held} if held else meta,
                dont_filter=True,
            )
        if last:
            yield last

    def ended(self, **_: Any) -> None:
        """Make room for the next."""
        self.room.release()


class CaptureHandler(BaseDownloadHandler):
    """Answers each request with the response it was made for; nothing goes over the network."""

    lazy = True

    async def download_request(self, request: Request) -> Response:
        """Return the response as it came over the wire."""
        return as_response(request.meta.pop("served"))

    async def close(self) -> None:
        """Do nothing: no connection was opened."""
