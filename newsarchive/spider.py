"""What all publishers have in common: follow listings, read pages, end every address in a counted way."""

import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from html import escape
from itertools import chain
from typing import Any, ClassVar
from urllib.parse import urlsplit

from scrapy import Request, Spider, signals
from scrapy.http import Response
from scrapy.utils.misc import load_object
from twisted.python.failure import Failure

from newsarchive import taken_over
from newsarchive.address import canonical_url
from newsarchive.article import Article, Drift, Refused
from newsarchive.backfill import ABSENT, BackFill, stretch
from newsarchive.capture import NO_RESPONSES, Capture
from newsarchive.copies import Copies
from newsarchive.coverage import Span
from newsarchive.entries import Entries
from newsarchive.failure import refusal_of
from newsarchive.full_text import item_article
from newsarchive.listing import Link, Listing, read_entry, read_listing
from newsarchive.page import is_utf8, is_whole, refuse_unreadable
from newsarchive.run import article_ended, asked, capture_ended, first_asked, listing_ended
from newsarchive.series import Series
from newsarchive.wayback import as_original, original_of

__all__ = ["PublisherSpider"]

#: Clocks differ; a page that is this much ahead of its capture does not come from the future.
CLOCK_TOLERANCE = timedelta(minutes=15)


class PublisherSpider(Spider):
    """Reads one publisher. A subclass states facts as attributes and reads a page in ``parse_article``."""

    #: What the posts of this publisher are labelled with.
    label: ClassVar[str]
    #: BCP 47 language of an article whose page does not say it.
    language: ClassVar[str]
    #: Zone of times that are written without one.
    timezone: ClassVar[str]
    #: Where articles are announced, in the order in which it is asked.
    listings: ClassVar[tuple[Listing, ...]] = ()
    #: How articles are numbered by the day, where they are.
    series: ClassVar[tuple[Series, ...]] = ()
    #: Reasons to refuse a page that says no more than its lead, of which somebody else may have a copy.
    cut_down: ClassVar[tuple[str, ...]] = ()
    #: Scripts in which the publisher has every article, as addresses name them, the default first; empty if just one.
    editions: ClassVar[tuple[str, ...]] = ()
    #: Matches the address of an article, whichever form it has; ``id`` names the publisher's identifier.
    article_url: ClassVar[re.Pattern[str]]
    #: What readers of pages test for; text that stays when a page becomes a fixture.
    phrases: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        *args: Any,
        addresses: str | list[str] = "",
        listings: str | None = None,
        only: str = "",
        since: str = "",
        until: str = "",
        edition: str = "",
        recheck_only: str = "",
        **kwargs: Any,
    ) -> None:
        """Take what to ask for; lists are separated by spaces.

        ``addresses`` are articles to read besides what listings announce, ``only`` articles to read and nothing
        else, ``listings`` what to ask instead of the publisher's own. ``since`` and ``until`` (``2023-01-31``) ask
        for what was published between them, and nothing else. ``recheck_only`` asks for what is due for another look
        or left over, and for no listing. ``edition`` is one of ``editions``. Raises ValueError for times that cannot
        be read, and for an edition that the publisher does not have.
        """
        super().__init__(*args, **kwargs)
        if edition and edition not in self.editions:
            raise ValueError(f"{self.name} has no edition {edition!r}, but {', '.join(self.editions) or 'just one'}")
        self.edition = edition or next(iter(self.editions), "")
        own = {
            (url := listing.url.replace("{edition}", self.edition)): replace(listing, url=url)
            for listing in self.listings
            if listing.edition in ("", self.edition)
        }
        named = list(own) if listings is None else listings.split()
        named = self.start_urls or named if listings is None else named
        self.asked = [] if only else [own.get(url, Listing(url)) for url in named]
        if listings is not None:
            # What somebody names is to be asked.
            self.asked = [replace(listing, spare=False) for listing in self.asked]
        self.start_urls = [listing.url for listing in self.asked]
        self.addresses = [*(addresses.split() if isinstance(addresses, str) else addresses), *only.split()]
        self.past = stretch(since, until, datetime.now(UTC)) if since else None
        self.recheck_only = bool(recheck_only)

    @classmethod
    def publisher_of(cls, arguments: Mapping[str, str]) -> str:
        """Return whose archive a run with these arguments writes to; raise ValueError if they make no sense."""
        return cls.name

    @cached_property
    def reader(self) -> Any:
        """Who reads pages for a crawl."""
        return self.crawler.get_extension(load_object("newsarchive.read_process.PageReader"))

    @cached_property
    def frontier(self) -> Any:
        """Who tells what to ask for."""
        return self.crawler.get_extension(load_object("newsarchive.frontier.Frontier"))

    @cached_property
    def entries(self) -> Entries:
        """What feeds say of articles whose pages cannot be had."""
        return Entries(self)

    @cached_property
    def backfill(self) -> BackFill:
        """Who asks for what was published in a stretch of time."""
        return BackFill(self)

    @cached_property
    def copies(self) -> Copies:
        """Where to ask for what the publisher has cut down."""
        return Copies(self)

    def parse_article(self, response: Response) -> Article:
        """Return the article of a page; raise Refused if the page is not one."""
        raise NotImplementedError

    def archives(self, span: Span) -> Iterable[Listing]:
        """Return the listings that name what was published in a stretch of time, where they reach back."""
        return ()

    def language_at(self, url: str) -> str:
        """Return the language of an article by its address, where only its feed says anything of it."""
        return self.language

    def may_lie(self, link: Link, span: Span) -> bool:
        """Tell whether an article may have been published in a stretch of time, by what is known without its page."""
        return not link.announced or span.start <= link.announced < span.end

    def published_about(self, url: str) -> datetime | None:
        """Return about when the article at an address was published, if the address tells."""
        return None

    def copied_below(self, span: Span) -> Iterable[str]:
        """Return how the addresses begin of what was published in a stretch of time, where others have copies of it."""
        return ()

    def number_url(self, id: str) -> str:
        """Return the address at which the article with a number of ``series`` would be."""
        raise NotImplementedError

    async def start(self) -> AsyncIterator[Request | Article]:
        """Ask for every listing, what is left over or due again, what may lie in gaps, and the addresses given.

        Articles whose pages could not be had are yielded as feeds tell of them.
        """
        if self.past:
            async for request in self.backfill.requests(self.past, patient=False):
                yield request
        elif self.recheck_only:
            self.crawler.stats.inc_value("recheck/only")
            for request in chain(self.left_over(), self.due_again()):
                yield request
        elif self.asked:
            entries = self.entries
            listings = [listing for listing in self.asked if not listing.spare and self.frontier.listing_due(listing)]
            if self.start_urls and not listings:
                # Each is asked as often as it changes: nobody had to be found.
                self.crawler.stats.inc_value("listing/not-due", len(self.start_urls))
            for listing in listings:
                yield self.listing_request(listing)
            for request in self.left_over():
                yield request
            await self.frontier.listings_asked(len(listings))
            for listing in (spares := self.frontier.spares()):
                yield self.listing_request(listing)
            await self.frontier.listings_asked(len(listings) + len(spares))
            for request in self.due_again():
                yield request
            # To fill gaps may take hours.
            async for article in entries.instead():
                yield article
            for gap in self.frontier.gaps():
                async for request in self.backfill.requests(gap, patient=True):
                    yield request
        for url in self.addresses:
            # Scrapy would queue them all at once: the next is asked for when there is nothing else to do.
            if self.crawler.engine.needs_backout():
                await self.crawler.signals.wait_for(signals.scheduler_empty)
            yield self.request(Link(url), again=True)

    def left_over(self) -> Iterator[Request]:
        """Yield requests for what earlier runs did not get to the end of."""
        for link in self.frontier.left_over():
            # Of a page that was cut down, the copy is left over.
            yield self.copies.left(link.url) or self.request(link)

    def due_again(self) -> Iterator[Request]:
        """Yield requests for articles that are due for another look."""
        for link in self.frontier.due_again():
            yield self.request(link, again=True)

    def request(self, link: Link, **meta: Any) -> Request:
        """Return the request for an article; of one that the archive has, the server says whether it has changed."""
        conditions = self.frontier.conditions(link.url)
        return Request(
            link.url,
            self.parse,
            errback=self.article_failed,
            headers=conditions,
            # What is new comes first, another look later, numbers that may be nobody's last.
            priority=-2 if "probe" in meta else -1 if conditions else 0,
            meta={"kind": "article", "announced": link.announced, **_unchanged(conditions), **meta},
        )

    def listing_request(self, listing: Listing, **meta: Any) -> Request:
        """Return the request for a listing."""
        conditions = self.frontier.conditions(listing.url)
        return Request(
            listing.url,
            self.parse_listing,
            errback=self.listing_failed,
            priority=1,
            headers=conditions,
            meta={"kind": "listing", "listing": listing, **_unchanged(conditions), **meta},
        )

    def parse_listing(self, response: Response) -> Iterator[Request]:
        """Yield a request for every article that a listing names; count a listing that cannot be read as failed."""
        meta = _meta(response)
        unchanged = response.status == 304
        try:
            capture, listed = self.frontier.last_listing(asked(response)) if unchanged else (meta.get("kept"), response)
            links = self.links(listed)
        except Refused as refusal:
            self.end(listing_ended, "listing/failed", refusal, asked(response), meta)
            return
        self.crawler.stats.inc_value("listing/unchanged" if unchanged else "listing/read")
        self.crawler.stats.inc_value("listing/links", len(links))
        if capture:
            self.entries.note(links, capture)
        listing = meta.get("listing") or Listing(asked(response))
        wanted = self.frontier.listing_read(listing, links, meta.get("within"))
        self.crawler.signals.send_catch_log(listing_ended, url=asked(response), links=links)
        yield from map(self.request, wanted)

    def links(self, response: Response) -> list[Link]:
        """Return the articles that a listing names, each once; raise Refused if there are none."""
        try:
            links = read_listing(response)
        except Refused:
            raise
        except Exception as error:
            raise Refused("unreadable", f"{type(error).__name__}: {error}") from error
        links = [
            replace(link, url=address)
            for link in links
            if self.article_url.search(link.url) and (address := self.in_edition(without_query(link.url)))
        ]
        if not links:
            raise Refused("empty-listing", "it names no article" + (self.edition and f" of the edition {self.edition}"))
        return list({self.key(link.url): link for link in reversed(links)}.values())[::-1]

    def key(self, url: str) -> str:
        """Return what tells an address's article from others before its page is read."""
        match = self.article_url.search(url)
        return match["id"] if match else url

    def in_edition(self, url: str) -> str:
        """Return the address of an article in the run's edition; empty if another is announced there."""
        return url

    async def parse(self, response: Response, **kwargs: Any) -> AsyncIterator[Article | Request]:
        """Yield the article of a page; count why there is none, and yield what to ask for instead."""
        meta = _meta(response)
        if response.status == 304:
            self.crawler.stats.inc_value("article/unchanged")
            self.crawler.signals.send_catch_log(article_ended, url=asked(response), article=None)
            return
        try:
            yield replace(await self.reader.read(response), capture=meta.get("capture"))
        except Refused as refusal:
            if meta.get("kind") == "entry":
                self.end_entry(refusal, meta["capture"])
                return
            self.end(article_ended, "article/refused", refusal, asked(response), meta)
            for request in self.copies.instead_of(response, refusal):
                yield request

    def read(self, response: Response) -> Article:
        """Return the article of a page, or of what is kept without a page; raise Refused, and nothing else."""
        if original_of(response.url):
            response = as_original(response)
        meta = _meta(response)
        kind = meta.get("kind", "")
        is_page = kind not in NO_RESPONSES
        if is_page:
            refuse_unreadable(response)
        try:
            article = self.parse_article(response) if is_page else getattr(self, f"parse_{kind}")(response)
        except Refused:
            raise
        except Exception as error:
            # Pages are other people's data of any shape, and each must end counted. The cause stays attached.
            reason = "unreadable" if is_utf8(response.body) else "encoding"
            raise Refused(reason, f"{type(error).__name__}: {error}") from error
        if is_page and not is_whole(response.body):
            # Without a Content-Length, nothing else tells that an answer was cut; the text may go on.
            raise Refused("truncated", "the page does not end with </html>")
        if "\ufffd" in article.title + article.body and not is_utf8(response.body):
            raise Refused("encoding", "the text holds characters that are not UTF-8")
        captured = meta["capture"].captured if "capture" in meta else meta.get("captured") or datetime.now(UTC)
        for stated in filter(None, (article.published, article.modified)):
            if stated > captured + CLOCK_TOLERANCE:
                raise Refused("future-time", f"{stated:%Y-%m-%dT%H:%M:%SZ}, captured {captured:%Y-%m-%dT%H:%M:%SZ}")
        return article

    def parse_entry(self, response: Response) -> Article:
        """Return as much of an article as its feed tells; raise Refused if that is no text."""
        told = read_entry(response.body)
        if self.key(response.urljoin(told.url)) != self.key(response.url):
            raise Refused("malformed-listing", f"the feed's entry is about {told.url}")
        if not told.published:
            raise Refused("no-time", "the feed does not say when it was published")
        if not told.summary:
            raise Refused("no-text", "the feed has nothing but its title")
        return self.article(
            response,
            title=told.title,
            published=told.published,
            body=f"<p>{escape(told.summary, quote=False)}</p>",
            language=self.language_at(response.url),
            summary=told.summary,
            partial=True,
        )

    def article(
        self,
        response: Response,
        *,
        title: str,
        published: datetime | date,
        body: str,
        url: str = "",
        id: str = "",
        modified: datetime | None = None,
        **fields: Any,
    ) -> Article:
        """Return an article with what the spider knows of itself filled in.

        ``published`` may be a day; then the time of the listing that announced the article is taken, if
        it lies on that day, else 00:00 UTC. ``modified`` that does not lie after
        ``published`` means unmodified.
        """
        address = canonical_url(url or response.url)
        if not title:
            raise Drift("no title")
        if not isinstance(published, datetime):
            published = self.time_of(published, _meta(response).get("announced"))
        return Article(
            publisher=self.name,
            id=id or self.id_of(address),
            url=address,
            title=title,
            published=published,
            modified=modified if modified and modified > published else None,
            body=body,
            **{"language": self.language, **fields},
        )

    def parse_post(self, response: Response) -> Article:
        """Return the article of another archive's post; raise Refused."""
        return taken_over.article_of(self, response)

    def parse_item(self, response: Response) -> Article:
        """Return the article that a full-text feed has; raise Refused."""
        return item_article(self, response)

    def known_address(self, url: str) -> str:
        """Return the canonical address of an article by an address of it; raise ValueError for none of the web."""
        return canonical_url(without_query(url) if self.article_url.search(url) else url)

    def asked_address(self, url: str) -> str:
        """Return the address at which a page was asked for that older writers name so."""
        return url

    def known_id(self, address: str) -> str:
        """Return the publisher's identifier of an article by its canonical address, which stands for what it hides."""
        try:
            return self.id_of(address)
        except Refused:
            return address

    def id_of(self, url: str) -> str:
        """Return the publisher's identifier in an address; raise Refused if the address is not an article's."""
        match = self.article_url.search(url)
        if not match:
            raise Refused("other-publisher", f"{url} is not an address of {self.name}")
        return match["id"]

    def time_of(self, day: date, announced: datetime | None) -> datetime:
        """Return the announced time if it lies on the day somewhere on Earth, else the day's beginning in UTC.

        Pages do not say in whose zone their day is.
        """
        begins = datetime.combine(day, time(), UTC)
        if announced and begins - timedelta(hours=14) <= announced < begins + timedelta(hours=36):
            return announced
        return begins

    def listing_failed(self, failure: Failure) -> None:
        """Count a listing that could not be had."""
        request = _request(failure)
        self.end(listing_ended, "listing/failed", refusal_of(failure), first_asked(request), request.meta)

    def article_failed(self, failure: Failure) -> None:
        """Count an article whose page could not be had; one that must not be followed is refused."""
        refusal = refusal_of(failure)
        request = _request(failure)
        if request.meta.get("probe") and refusal.reason in ABSENT:
            refusal = Refused("absent", "no article has this number")
        expected = refusal.reason.startswith("redirect-") or refusal.reason == "absent"
        ending = "article/refused" if expected else "article/failed"
        self.end(article_ended, ending, refusal, first_asked(request), request.meta)

    def end_entry(self, refusal: Refused, capture: Capture) -> None:
        """Count why there is no article in what a feed says of one, and say which it is."""
        self.crawler.stats.inc_value(f"partial/refused/{refusal.reason}")
        self.crawler.signals.send_catch_log(capture_ended, capture=capture, ending=refusal.reason)
        self.logger.warning("partial/refused %s: %s", capture.url, refusal, exc_info=refusal.__cause__)

    def end(self, signal: object, ending: str, refusal: Refused, url: str, meta: dict[str, Any]) -> None:
        """Count an ending under its reason, announce it, and say which address it befell."""
        self.crawler.stats.inc_value(f"{ending}/{refusal.reason}")
        self.crawler.signals.send_catch_log(signal, url=url, refusal=refusal, capture=meta.get("capture"))
        self.logger.warning("%s %s: %s", ending, url, refusal, exc_info=refusal.__cause__)


def without_query(url: str) -> str:
    """Return an article's address without what listings add to it to count readers."""
    return urlsplit(url)._replace(query="", fragment="").geturl()


def _unchanged(conditions: dict[str, str]) -> dict[str, Any]:
    """Return the meta of a request that a server may answer with "not modified"."""
    return {"handle_httpstatus_list": [304]} if conditions else {}


def _meta(response: Response) -> dict[str, Any]:
    """Return what is known of a response besides itself; nothing for one that no request asked for."""
    return response.request.meta if response.request else {}


def _request(failure: Failure) -> Request:
    """Return the request that failed; Scrapy attaches it without saying so in types."""
    request: Request = vars(failure)["request"]
    return request
