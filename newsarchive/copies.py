"""Pages that a publisher has cut down or taken away, read from the copy that the Wayback Machine took in time.

The copy is captured under the address at which the Wayback Machine has it: that says
where the text is from. The article keeps its own address and times.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Container, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

from scrapy import Request
from scrapy.http import Response
from twisted.python.failure import Failure

from newsarchive.article import Refused
from newsarchive.extract import canonical, tree
from newsarchive.failure import refusal_of
from newsarchive.index.row import Row
from newsarchive.run import PASSING, asked, first_asked
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
    """Asks for copies of pages that say no more than their lead, or nothing any more."""

    def __init__(self, spider: "PublisherSpider") -> None:
        self.spider = spider
        self.enabled = spider.settings.getbool("WAYBACK")
        #: Copies by the day and the id of their article, as lists name them; an id begins with the day.
        self.known: dict[str, dict[str, list[Copy]]] = {}
        #: Lists that are to be asked for, each by how addresses begin and where it goes on; those that are under way;
        #: and those that this run has not had.
        self.due: list[tuple[str, str]] = []
        self.under_way: set[str] = set()
        self.lists: set[str] = set()
        self.answered = asyncio.Event()

    def instead_of(self, response: Response, refusal: Refused) -> Iterator[Request]:
        """Yield what to ask for instead of a page that was cut down, or of a copy that was refused."""
        meta = response.request.meta if response.request else {}
        if "copies" in meta:
            yield from self.next(meta["copies"], meta["copied"])
        elif refusal.reason in self.spider.cut_down and (request := self.left(asked(response), response)):
            yield request

    def left(self, url: str, page: Response | None = None) -> Request | None:
        """Return what to ask next for a page that was cut down; None if nothing is left, or if it was not.

        What the archive has been told is not asked again. It also has the ``page``, if that is not given.
        """
        known = self.spider.frontier.store.known
        if not self.enabled:
            return None
        if page is None:
            cut = next((row for row in known.captures_of(Request(url).url) if row.ending in self.spider.cut_down), None)
            if cut is None:
                return None
            page = self.captured(cut) or Response(url)
        question = self.question(url, page)
        told = self.told(question)
        return self.untried(self.chosen([*read_cdx(told)[0], *self.named(url)], url), url) if told else question

    def told(self, question: Request) -> bytes:
        """Return what the archive holds as the answer to a question; empty if there is none that can be read."""
        rows = self.spider.frontier.store.known.captures_of(question.url)
        row = next((row for row in rows if row.ending == "copies"), None)
        answer = self.captured(row) if row and not self.spider.frontier.refresh else None
        with suppress(Refused):
            if answer and read_cdx(answer.body, resumed=question.meta.get("resume", "")):
                return answer.body
        return b""

    def captured(self, row: Row) -> Response | None:
        """Return what was answered when an address was captured; None if the capture is damaged."""
        try:
            return as_read(at(self.spider.frontier.store.archive / row.file, row.offset))
        except WarcError as error:
            logger.warning("%s: a capture cannot be read, so it is asked for again: %s", row.url, error)
            return None

    def untried(self, copies: list[Copy], url: str) -> Request | None:
        """Return the request for the first copy that is still to be read; None if one was, or none is left."""
        for number, copy in enumerate(copies):
            told = self.spider.frontier.store.known.address(Request(self.address(copy)).url)
            if told and told.id:
                return None
            if not (told and told.ending) or (told.ending in PASSING and not self.is_cut(told.url)):
                return next(self.next(copies[number:], url))
        return None

    def is_cut(self, url: str) -> bool:
        """Tell whether a copy broke off at the same place twice: it was taken so."""
        rows = self.spider.frontier.store.known.captures_of(url, 2)
        return len(rows) > 1 and len({(row.ending, row.digest) for row in rows} | {("truncated", rows[0].digest)}) == 1

    def question(self, url: str, page: Response) -> Request:
        """Return the request for the list of a page's copies."""
        meta = {"kind": "copies", "copied": url}
        return Request(self.listing(self.original(page)), self.found, errback=self.failed, priority=1, meta=meta)

    def found(self, response: Response) -> Iterator[Request]:
        """Yield a request for the best of the copies that there are."""
        assert response.request
        url = response.request.meta["copied"]
        try:
            copies, _ = read_cdx(response.body)
        except Refused as refusal:
            self.end(url, refusal)
            return
        copies += self.named(url)
        self.spider.crawler.stats.inc_value("copies/found" if copies else "copies/none")
        if not copies:
            self.spider.frontier.settle(url)
        yield from self.next(self.chosen(copies, url), url)

    def named(self, url: str) -> list[Copy]:
        """Return the copies of a page that lists name, also under addresses that it had before."""
        id = self.spider.key(url)
        return self.known.get(id[:8], {}).get(id, [])

    async def below(self, beginnings: Iterable[str]) -> AsyncIterator[Request]:
        """Yield what tells which copies there are of all that has an address with some beginning, and wait for it.

        Where the archive has been told, it is not asked again.
        """
        if not self.enabled:
            return
        self.due.extend((beginning, "") for beginning in beginnings)
        while self.due or self.under_way:
            while self.due:
                request = self.list_below(*self.due.pop(0))
                if body := self.told(request):
                    self.read(request, body)
                else:
                    self.lists.add(request.url)
                    self.under_way.add(request.url)
                    yield request
            if self.under_way:
                self.answered.clear()
                await self.answered.wait()

    def list_below(self, beginning: str, resume: str) -> Request:
        """Return the request for a list of copies, which goes on where ``resume`` says that the last one ended."""
        url = self.listing(beginning, match="prefix", collapse="urlkey", resume=resume)
        meta = {"kind": "copies", "copied": beginning, "resume": resume}
        return Request(url, self.listed, errback=self.not_listed, priority=1, meta=meta, dont_filter=True)

    def listed(self, response: Response) -> None:
        """Read a list of copies; count one that cannot be read."""
        assert response.request
        try:
            self.read(response.request, response.body)
        except Refused as refusal:
            self.count(response.request.meta["copied"], refusal)
        finally:
            self.ended(response.request)

    def not_listed(self, failure: Failure) -> None:
        """Count a list that could not be had; the next back-fill asks again."""
        request = vars(failure)["request"]
        self.count(request.meta["copied"], refusal_of(failure))
        self.ended(request)

    def ended(self, request: Request) -> None:
        """Note that a list has come or failed."""
        self.under_way.discard(first_asked(request))
        self.answered.set()

    def read(self, request: Request, body: bytes) -> None:
        """Take over the copies in a list, and note what it goes on with."""
        copies, following = read_cdx(body, resumed=request.meta["resume"])
        for copy in copies:
            if (id := self.spider.key(copy.original)) != copy.original:
                self.known.setdefault(id[:8], {}).setdefault(id, []).append(copy)
        self.lists.discard(first_asked(request))
        if following:
            self.due.append((request.meta["copied"], following))

    def of_absent(self, absent: Container[str]) -> Iterator[Request]:
        """Yield requests for the copies of articles that have no page, as their ids tell."""
        for id, copies in chain.from_iterable(map(dict.items, self.known.values())):
            url = self.spider.number_url(id)
            if id in absent and (request := self.untried(self.chosen(copies, url), url)):
                yield request

    def listing(self, url: str, **question: Any) -> str:
        """Return the address that lists the copies of a page, or as a question says it (``cdx_url``)."""
        return cdx_url(url, **question)

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

    def copy_failed(self, failure: Failure) -> Iterator[Request]:
        """Count a copy that could not be had; the next run asks again if it may be had later, else for another."""
        meta = vars(failure)["request"].meta
        self.spider.article_failed(failure)
        if refusal_of(failure).reason not in PASSING:
            yield from self.next(meta["copies"], meta["copied"])

    def failed(self, failure: Failure) -> None:
        """Note that it could not be learnt which copies there are: the next run asks again."""
        self.end(vars(failure)["request"].meta["copied"], refusal_of(failure))

    def end(self, url: str, refusal: Refused) -> None:
        """Count why copies of a page could not be found, and let the next run ask again."""
        self.spider.frontier.postpone(url, "copies")
        self.count(url, refusal)

    def count(self, url: str, refusal: Refused) -> None:
        """Count and say why it could not be learnt which copies there are."""
        self.spider.crawler.stats.inc_value(f"copies/failed/{refusal.reason}")
        logger.warning("copies of %s: %s", url, refusal)
