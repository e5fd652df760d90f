"""Pages that a publisher has cut down, read from the copy that the Wayback Machine took in time.

The copy is captured under the address at which the Wayback Machine has it: that says
where the text is from. The article keeps its own address and times.
"""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from scrapy import Request
from scrapy.http import Response
from twisted.python.failure import Failure

from newsarchive.article import Refused
from newsarchive.failure import refusal_of
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
            yield Request(
                cdx_url(response.url),
                self.found,
                errback=self.failed,
                priority=1,
                meta={"kind": "copies", "copied": response.url},
            )

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
        published = self.spider.published_about(url)
        yield from self.next(choose(copies, published) if published else copies[:1], url)

    def next(self, copies: list[Copy], url: str) -> Iterator[Request]:
        """Yield a request for the first of some copies, which knows the others."""
        for number, copy in enumerate(copies[:1], 1):
            meta: dict[str, Any] = {"kind": "article", "copies": copies[number:], "copied": url, "again": True}
            yield Request(copy_url(copy), self.spider.parse, errback=self.spider.article_failed, meta=meta)

    def failed(self, failure: Failure) -> None:
        """Note that it could not be learnt which copies there are: the next run asks again."""
        self.end(vars(failure)["request"].meta["copied"], refusal_of(failure))

    def end(self, url: str, refusal: Refused) -> None:
        """Count why copies of a page could not be found."""
        self.spider.crawler.stats.inc_value(f"copies/failed/{refusal.reason}")
        self.spider.frontier.postpone(url, "copies")
        logger.warning("copies of %s: %s", url, refusal)
