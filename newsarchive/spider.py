"""What all publishers have in common: follow listings, read pages, end every address in a counted way."""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import urlsplit

from scrapy import Request, Spider, signals
from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadCancelledError,
    DownloadConnectionRefusedError,
    DownloadFailedError,
    DownloadTimeoutError,
    IgnoreRequest,
    NotSupported,
    ResponseDataLossError,
    UnsupportedURLSchemeError,
)
from scrapy.http import Response
from scrapy.spidermiddlewares.httperror import HttpError
from scrapy.utils.misc import load_object
from twisted.python.failure import Failure

from newsarchive.address import canonical_url
from newsarchive.article import Article, Drift, Refused
from newsarchive.listing import Link, read_listing
from newsarchive.page import is_utf8, is_whole, refuse_unreadable
from newsarchive.run import article_ended, asked, first_asked, listing_ended

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
    #: Listings, in the order in which they are asked.
    start_urls: list[str]
    #: Matches the address of an article, whichever form it has; ``id`` names the publisher's identifier.
    article_url: ClassVar[re.Pattern[str]]
    #: What readers of pages test for; text that stays when a page becomes a fixture.
    phrases: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, *args: Any, addresses: str | list[str] = "", listings: str = "", only: str = "", **kwargs: Any
    ) -> None:
        """Take addresses, separated by spaces, to read besides what ``start_urls`` announces.

        ``addresses`` are articles, ``listings`` further listings; ``only`` are articles to read and nothing else.
        """
        super().__init__(*args, **kwargs)
        self.start_urls = [] if only else [*self.start_urls, *listings.split()]
        self.addresses = [*(addresses.split() if isinstance(addresses, str) else addresses), *only.split()]

    @cached_property
    def reader(self) -> Any:
        """Who reads pages for a crawl."""
        return self.crawler.get_extension(load_object("newsarchive.read_process.PageReader"))

    def parse_article(self, response: Response) -> Article:
        """Return the article of a page; raise Refused if the page is not one."""
        raise NotImplementedError

    async def start(self) -> AsyncIterator[Request]:
        """Ask for every listing, then for the addresses the run was given."""
        for url in self.start_urls:
            yield Request(url, self.parse_listing, errback=self.listing_failed, priority=1, meta={"kind": "listing"})
        for url in self.addresses:
            # Scrapy would queue them all at once: the next is asked for when there is nothing else to do.
            if self.crawler.engine.needs_backout():
                await self.crawler.signals.wait_for(signals.scheduler_empty)
            yield self.request(Link(url))

    def request(self, link: Link) -> Request:
        """Return the request for an article."""
        meta = {"kind": "article", "announced": link.announced}
        return Request(link.url, self.parse, errback=self.article_failed, meta=meta)

    def parse_listing(self, response: Response) -> Iterator[Request]:
        """Yield a request for every article that a listing names; count a listing that cannot be read as failed."""
        try:
            links = self.links(response)
        except Refused as refusal:
            self.end(listing_ended, "listing/failed", refusal, asked(response), _meta(response))
            return
        self.crawler.stats.inc_value("listing/read")
        self.crawler.stats.inc_value("listing/links", len(links))
        self.crawler.signals.send_catch_log(listing_ended, url=asked(response), links=links)
        yield from map(self.request, links)

    def links(self, response: Response) -> list[Link]:
        """Return the articles that a listing names, each once; raise Refused if there are none."""
        try:
            links = read_listing(response)
        except Refused:
            raise
        except Exception as error:
            raise Refused("unreadable", f"{type(error).__name__}: {error}") from error
        links = [Link(without_query(link.url), link.announced) for link in links if self.article_url.search(link.url)]
        if not links:
            raise Refused("empty-listing", "it names no article")
        return list({self.key(link.url): link for link in reversed(links)}.values())[::-1]

    def key(self, url: str) -> str:
        """Return what tells an address's article from others before its page is read."""
        match = self.article_url.search(url)
        return match["id"] if match else url

    async def parse(self, response: Response, **kwargs: Any) -> AsyncIterator[Article]:
        """Yield the article of a page, or count why there is none."""
        try:
            yield replace(await self.reader.read(response), capture=_meta(response).get("capture"))
        except Refused as refusal:
            self.end(article_ended, "article/refused", refusal, asked(response), _meta(response))

    def read(self, response: Response) -> Article:
        """Return the article of a page; raise Refused, and nothing else, for a page of any shape."""
        refuse_unreadable(response)
        try:
            article = self.parse_article(response)
        except Refused:
            raise
        except Exception as error:
            # Pages are other people's data of any shape, and each must end counted. The cause stays attached.
            reason = "unreadable" if is_utf8(response.body) else "encoding"
            raise Refused(reason, f"{type(error).__name__}: {error}") from error
        if not is_whole(response.body):
            # Without a Content-Length, nothing else tells that an answer was cut; the text may go on.
            raise Refused("truncated", "the page does not end with </html>")
        if "\ufffd" in article.title + article.body and not is_utf8(response.body):
            raise Refused("encoding", "the text holds characters that are not UTF-8")
        meta = _meta(response)
        captured = meta["capture"].captured if "capture" in meta else meta.get("captured") or datetime.now(UTC)
        for stated in filter(None, (article.published, article.modified)):
            if stated > captured + CLOCK_TOLERANCE:
                raise Refused("future-time", f"{stated:%Y-%m-%dT%H:%M:%SZ}, captured {captured:%Y-%m-%dT%H:%M:%SZ}")
        return article

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
        ending = "article/refused" if refusal.reason.startswith("redirect-") else "article/failed"
        request = _request(failure)
        self.end(article_ended, ending, refusal, first_asked(request), request.meta)

    def end(self, signal: object, ending: str, refusal: Refused, url: str, meta: dict[str, Any]) -> None:
        """Count an ending under its reason, announce it, and say which address it befell."""
        self.crawler.stats.inc_value(f"{ending}/{refusal.reason}")
        self.crawler.signals.send_catch_log(signal, url=url, refusal=refusal, capture=meta.get("capture"))
        self.logger.warning("%s %s: %s", ending, url, refusal, exc_info=refusal.__cause__)


def without_query(url: str) -> str:
    """Return an article's address without what listings add to it to count readers."""
    return urlsplit(url)._replace(query="", fragment="").geturl()


def _meta(response: Response) -> dict[str, Any]:
    """Return what is known of a response besides itself; nothing for one that no request asked for."""
    return response.request.meta if response.request else {}


def _request(failure: Failure) -> Request:
    """Return the request that failed; Scrapy attaches it without saying so in types."""
    request: Request = vars(failure)["request"]
    return request


#: What Scrapy raises, and what we call it.
_FAILURES: dict[type[BaseException], str] = {
    CannotResolveHostError: "dns",
    DownloadCancelledError: "too-large",
    DownloadConnectionRefusedError: "no-connection",
    DownloadFailedError: "no-response",
    DownloadTimeoutError: "timeout",
    NotSupported: "scheme",
    ResponseDataLossError: "truncated",
    UnsupportedURLSchemeError: "scheme",
}


def refusal_of(failure: Failure) -> Refused:
    """Return the reason for which a page could not be had."""
    error = failure.value
    if error is None:
        return Refused("no-response")
    if isinstance(error, Refused):
        return error
    if isinstance(error, HttpError):
        return Refused(f"status-{error.response.status}", "the publisher's server says so")
    if isinstance(error, IgnoreRequest):
        # The message is all that tells Scrapy's own refusals apart.
        told = str(error)
        return Refused("robots" if "robots.txt" in told else "too-large" if "MAXSIZE" in told else "ignored", told)
    refusal = Refused(_FAILURES.get(type(error), "no-response"), f"{type(error).__name__}: {error}")
    refusal.__cause__ = error
    return refusal
