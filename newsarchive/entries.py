"""Articles whose pages the publisher does not give us, kept as its feed tells of them.

What a feed says of an article is taken out of the feed's capture and kept beside
it, in a ``conversion`` record of its own; from that the article is read, as from a
page. It is stored as partial, and gives way to the first page of the article that can
be read.
"""

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING

from scrapy import Request, signals
from scrapy.http import Response, XmlResponse

from newsarchive.article import Article, Refused
from newsarchive.capture import Capture
from newsarchive.listing import Link, read_entry
from newsarchive.run import PASSING, article_ended, first_asked

if TYPE_CHECKING:
    from newsarchive.spider import PublisherSpider

__all__ = ["Entries"]

#: How pages end that the publisher does not give us, for now; the other passing endings are of our own making.
KEPT_OUT = PASSING - {"stopped", "exception", "capture", "clock", "budget", "partial"}


class Entries:
    """What the feeds of a run say of articles, for those whose pages cannot be had."""

    def __init__(self, spider: "PublisherSpider") -> None:
        self.spider = spider
        #: By the article's key: what feeds say of it, with the feeds' captures, newest first.
        self.told: dict[str, list[tuple[Link, Capture]]] = {}
        #: Keys of articles whose pages have been asked for and have not ended.
        self.awaited: set[str] = set()
        self.stopped = False
        for handler, signal in (
            (self.asked, signals.request_scheduled),
            (self.dropped, signals.request_dropped),
            (self.ended, article_ended),
        ):
            spider.crawler.signals.connect(handler, signal)

    def note(self, links: Iterable[Link], feed: Capture) -> None:
        """Keep in mind what a feed says of articles."""
        for link in links:
            if link.entry:
                told = self.told.setdefault(self.spider.key(link.url), [])
                told.append((link, feed))
                told.sort(key=lambda one: one[1].captured, reverse=True)

    def asked(self, request: Request) -> None:
        """Note that a page is asked for."""
        if request.meta.get("kind") == "article":
            self.awaited.add(self.spider.key(first_asked(request)))

    def dropped(self, request: Request) -> None:
        """Note that a page is not asked for after all."""
        self.awaited.discard(self.spider.key(first_asked(request)))

    def ended(self, url: str, refusal: Refused | None = None) -> None:
        """Note that a page has been had or not."""
        self.awaited.discard(self.spider.key(url))
        self.stopped = self.stopped or bool(refusal and refusal.reason == "stopped")

    async def instead(self) -> AsyncIterator[Article]:
        """Yield, once their pages have ended, the articles that cannot be had otherwise; count why there is none."""
        while not self.awaited.isdisjoint(self.told):
            await self.spider.crawler.signals.wait_for(article_ended)
        left = {self.spider.key(url): entry for url, entry in self.spider.frontier.unfinished.items()}
        for key, told in self.told.items() if not self.stopped else ():
            entry = left.get(key)
            if not entry or entry["reason"] not in KEPT_OUT or self.is_held(entry["url"]):
                continue
            # One feed may have no more than the title.
            best = next((one for one in told if says_enough(one[0].entry)), told[0])
            if response := self.response(entry["url"], *best):
                async for article in self.spider.parse(response):
                    assert isinstance(article, Article), "an entry leads nowhere"
                    yield article

    def is_held(self, url: str) -> bool:
        """Tell whether a page of an article was read before."""
        seen = self.spider.frontier.seen(url)
        return bool(seen and seen.last)

    def response(self, url: str, link: Link, feed: Capture) -> Response | None:
        """Return what a feed says of an article, kept, for the spider to read; None if it said so before."""
        capture = self.spider.frontier.store.keep_entry(url, link.entry, link.announced, feed)
        if capture is None:
            return None
        meta = {"kind": "entry", "announced": link.announced, "capture": capture}
        return XmlResponse(url, body=link.entry, encoding="utf-8", request=Request(url, meta=meta))


def says_enough(entry: bytes) -> bool:
    """Tell whether what a feed says of an article can be read as one."""
    try:
        told = read_entry(entry)
    except Refused:
        return False
    return bool(told.title and told.summary and told.published)
