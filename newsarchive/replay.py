"""A crawl answered from captures: our own and other people's WARC files, offline.

Files are read one after the other, from their beginning to their end, and each
response is dealt out to the crawl of its publisher: the same spiders and
pipelines as live, and nothing to download. Captures of this archive are read
where they lie. What other people captured is first kept in the archive like any
answer, with the time at which it was captured.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from scrapy import Request, Spider, signals
from scrapy.crawler import Crawler
from scrapy.http import Response

from newsarchive.article import Article, Refused
from newsarchive.capture import NO_RESPONSES, Capture, verdict
from newsarchive.elsewhere.moved import size_of
from newsarchive.publishers import is_on
from newsarchive.reading import whole
from newsarchive.run import article_ended
from newsarchive.served import as_response, capture_of, location
from newsarchive.spider import PublisherSpider
from newsarchive.store import Store
from newsarchive.warc import Damage, Served, read
from newsarchive.wayback import original_of
from newsarchive.whole_body import WholeBodyMiddleware

__all__ = ["REPLAY_SETTINGS", "Deal", "DealtStart", "publisher_of_file"]

#: What a replay does otherwise than a live crawl: nobody can be asked for anything, and what was decided when a
#: response was captured (whom to ask, which redirects to follow) is not decided again.
REPLAY_SETTINGS: dict[str, Any] = {
    "DOWNLOAD_HANDLERS": dict.fromkeys(("http", "https", "file", "data", "ftp", "s3")),
    "DOWNLOADER_MIDDLEWARES_BASE": {},
    "DOWNLOADER_MIDDLEWARES": {},
    "SPIDER_MIDDLEWARES_BASE": {},
    "SPIDER_MIDDLEWARES": {"newsarchive.replay.DealtStart": 100},
    "RETRY_ENABLED": False,
    "WAYBACK": False,
    # More processes are for --jobs.
    "READ_PROCESS": False,
    "RUN_KIND": "replay",
    # The command holds the locks, for all processes of a replay.
    "ARCHIVE_LOCKED": True,
}
#: Responses of a publisher that wait while another's are read, and articles under way in one crawl.
AHEAD = 64


def publisher_of_file(file: Path, archive: Path) -> str:
    """Return the publisher to whose captures a file of the archive belongs; empty for other people's files."""
    try:
        parts = file.resolve().relative_to((archive / "captures").resolve()).parts
    except ValueError:
        return ""
    return parts[0] if len(parts) == 2 else ""


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
    #: What lies elsewhere and could not be had.
    away: list[Damage] = field(default_factory=list)
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
            damaged, position = len(self.damage) + len(self.away), 0
            for found in read(file):
                if isinstance(found, Damage):
                    (self.away if found.away else self.damage).append(found)
                    continue
                self.progress(found.end - position)
                position = found.end
                if publisher := self._publisher(own, found):
                    yield publisher, found, capture_of(name, found) if own else None
                del found
            self.progress(size_of(file) - position)
            if own and len(self.damage) + len(self.away) == damaged and not (self.since or self.until):
                self.finished.append(file)

    def _publisher(self, own: str, served: Served) -> str:
        """Return whose crawl is to read a response; empty, and counted, if nobody's."""
        if (self.since and served.captured < self.since) or (self.until and served.captured >= self.until):
            return self._leave_out("not of the time asked for")
        copied = original_of(served.url)
        url = copied[0] if copied else served.url
        publisher = own or self._publisher_of_host(url)
        if publisher not in self.spiders:
            return self._leave_out("not of a publisher asked for")
        if not own and served.kind in NO_RESPONSES:
            return self._leave_out("no response, but of another archive")
        spider = self.spiders[publisher]
        if not own and not (issubclass(spider, PublisherSpider) and spider.article_url.search(url)):
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
            self.hosts[host] = next((name for name, spider in self.spiders.items() if is_on(host, spider)), "")
        return self.hosts[host]


class DealtStart:
    """Starts a crawl from the responses that ``REPLAY_DEAL`` (a ``Deal``) has for its publisher.

    Their articles go to the pipelines as what the crawl starts with: a replay has no requests.
    """

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.store = Store.of(crawler)
        self.whole_body = WholeBodyMiddleware(crawler)
        self.deal: Deal = crawler.settings["REPLAY_DEAL"]
        self.room = asyncio.Semaphore(AHEAD)
        for signal in (signals.item_scraped, signals.item_dropped, signals.item_error):
            crawler.signals.connect(self.ended, signal)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Return the middleware for a crawler."""
        return cls(crawler)

    async def process_start(self, start: AsyncIterator[Any]) -> AsyncIterator[Article]:
        """Yield the article of each response to be read; those that end by themselves are recorded at once."""
        spider = self.crawler.spider
        assert isinstance(spider, PublisherSpider)
        async for served, held in self.deal.of(spider.name):
            await self.store.room()
            if held and (ended := verdict(held, location(served))):
                self.store.capture_ended(held, *ended)
                continue
            if response := self.response(spider, served, held):
                async for article in spider.parse(response):
                    assert isinstance(article, Article), "a replay asks for nothing"
                    await self.room.acquire()
                    yield article
            # The next page then takes the memory of this one, which the processor still has at hand.
            del served, response
        # The engine ends the crawl when there is no more to start, whatever the pipelines do.
        for _ in range(AHEAD):
            await self.room.acquire()

    def response(self, spider: PublisherSpider, served: Served, held: Capture | None) -> Response | None:
        """Return a response for a spider to read, kept if the archive does not have it; count why there is none."""
        kind = served.kind if served.kind in NO_RESPONSES else "article"
        meta = {"kind": kind, "announced": served.announced, "captured": served.captured}
        request = Request(served.url, meta={**meta, "capture": held} if held else meta)
        self.crawler.signals.send_catch_log(signals.request_scheduled, request=request, spider=spider)
        try:
            response = as_response(served)
            if not held:
                self.store.take(request, response)
            if "capture" not in request.meta:
                raise Refused(f"status-{served.status}", "the publisher's server said so")
            return whole(self.whole_body, request, response)
        except Refused as refusal:
            spider.end(article_ended, "article/failed", refusal, served.url, request.meta)
            return None

    def ended(self, **_: Any) -> None:
        """Make room for the next."""
        self.room.release()
