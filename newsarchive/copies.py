"""Pages that a publisher has cut down, read from the copy that the Wayback Machine took in time.

The copy is captured under the address at which the Wayback Machine has it: that says
where the text is from. The article keeps its own address and times.
"""

import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from scrapy import Request
from scrapy.http import Response
from twisted.python.failure import Failure

from newsarchive.article import Refused
from newsarchive.extract import canonical, tree
from newsarchive.failure import refusal_of
from newsarchive.run import PASSING
from newsarchive.served import as_read
from newsarchive.warc import WarcError, at
from newsarchive.wayback import Copy, cdx_url, choose, copy_url, read_cdx

if TYPE_CHECKING:
    from newsarchive.spider import PublisherSpider

__all__ = ["COPIES", "Copies"]

logger = logging.getLogger(__name__)

#: Host that has the copies.
COPIES = "web.archive.org"


class Copies:
    """Asks for copies of pages that say no more than their lead."""

    def __init__(self, spider: "PublisherSpider") -> None:
        self.spider = spider
        self.enabled = spider.settings.getbool("WAYBACK")

    def instead_of(self, response: Response, refusal: Refused) -> Iterator[Request]:
        """Yield what to ask for instead of a page that was refused, if it was cut down."""
        meta = response.request.meta if response.request else {}
        if not self.enabled or refusal.reason not in self.spider.cut_down:
            return
        if "copies" in meta:
            yield from self.next(meta["copies"], meta["copied"])
        else:
            meta = {"kind": "copies", "copied": response.url}
            yield Request(self.listing(self.original(response)), self.found, errback=self.failed, priority=1, meta=meta)

    def settled(self, url: str) -> bool:
        """Tell whether nothing is left to be asked of the copies of a page, as far as the archive knows."""
        if not self.enabled:
            return True
        store = self.spider.frontier.store
        try:
            cut = next(row for row in store.known.captures_of(url) if row.ending in self.spider.cut_down)
            listing = self.listing(self.original(as_read(at(store.archive / cut.file, cut.offset))))
            listed = next(row for row in store.known.captures_of(listing) if row.status == 200)
            copies = self.chosen(read_cdx(as_read(at(store.archive / listed.file, listed.offset)).body)[0], url)
        except (StopIteration, WarcError, Refused):
            return False
        tried = (store.known.captures_of(Request(self.address(copy)).url, 1) for copy in copies)
        return all(rows and rows[0].ending not in PASSING for rows in tried)

    def found(self, response: Response) -> Iterator[Request]:
        """Yield a request for the best of the copies that there are."""
        assert response.request
        url = response.request.meta["copied"]
        try:
            copies, _ = read_cdx(response.body)
        except Refused as refusal:
            self.end(url, refusal)
            return
        self.spider.crawler.stats.inc_value("copies/found" if copies else "copies/none")
        yield from self.next(self.chosen(copies, url), url)

    def listing(self, url: str) -> str:
        """Return the address that lists the copies of a page."""
        return cdx_url(url)

    def original(self, response: Response) -> str:
        """Return the address under which others will have copied a page: the one that it names, else its own."""
        with suppress(Refused):
            named = canonical(tree(response))
            if self.spider.key(named) == self.spider.key(response.url):
                return named
        return response.url

    def address(self, copy: Copy) -> str:
        """Return the address of a copy."""
        return copy_url(copy)

    def chosen(self, copies: list[Copy], url: str) -> list[Copy]:
        """Return the copies of a page to try, best first."""
        published = self.spider.published_about(url)
        return choose(copies, published) if published else copies[:1]

    def next(self, copies: list[Copy], url: str) -> Iterator[Request]:
        """Yield a request for the first of some copies, which knows the others."""
        for number, copy in enumerate(copies[:1], 1):
            meta: dict[str, Any] = {"kind": "article", "copies": copies[number:], "copied": url, "again": True}
            yield Request(self.address(copy), self.spider.parse, errback=self.copy_failed, meta=meta)

    def copy_failed(self, failure: Failure) -> None:
        """Count a copy that could not be had; the next run asks again if it may be had later."""
        if refusal_of(failure).reason in PASSING:
            self.spider.frontier.postpone(vars(failure)["request"].meta["copied"], "copies")
        self.spider.article_failed(failure)

    def failed(self, failure: Failure) -> None:
        """Note that it could not be learnt which copies there are: the next run asks again."""
        self.end(vars(failure)["request"].meta["copied"], refusal_of(failure))

    def end(self, url: str, refusal: Refused) -> None:
        """Count why copies of a page could not be found."""
        self.spider.crawler.stats.inc_value(f"copies/failed/{refusal.reason}")
        self.spider.frontier.postpone(url, "copies")
        logger.warning("copies of %s: %s", url, refusal)
