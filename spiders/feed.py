"""Full-text feeds of any publisher, for those whose archives have always been made of them.

Such feeds come from publishers and, more often, from mirrors that put the text of
pages into them. What an item says is all there is: no page is asked for. Each item
is kept beside the feed's capture as a record of its own, with the manner in
which it becomes a post; from that it is read, now and in every replay.

A feed may also lie in a file. It is kept like the answer of a server.
"""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote, urljoin, urlsplit

from scrapy import Request, signals
from scrapy.http import Response, XmlResponse
from scrapy.spiderloader import get_spider_loader

from newsarchive.address import canonical_url
from newsarchive.article import Article, Refused
from newsarchive.capture import Capture
from newsarchive.items import Feed, Item, Manner, read_feed, read_item, record
from newsarchive.listing import Link, Listing
from newsarchive.page import MAX_SIZE
from newsarchive.publishers import NAME, OtherSpider, spider_of
from newsarchive.recover import FILE_NAME
from newsarchive.run import article_ended, listing_ended
from newsarchive.served import as_response
from newsarchive.spider import PublisherSpider
from newsarchive.store import AGAIN
from newsarchive.warc import WarcError, at
from newsarchive.whole_body import Cut, content_encodings, whole

#: Bytes; feeds of some hundred long articles have a few million.
MOST = 64 * 1024 * 1024
ARGUMENTS = ("url", "publisher", "label", "verbatim", "bare")
#: Captures of the feed that are looked at for what is left of them.
MOST_UNREAD = 10
#: Where files lie: captures are of the web, and paths of this machine are nobody's business.
FILES = "http://file.invalid/"
#: Endings of an item that may be others when it is read again.
OPEN = (*AGAIN, "future-time", "post-taken", "twin")


class FeedSpider(PublisherSpider):
    """Reads one full-text feed into the archive of a publisher."""

    name = "feed"
    language = "und"
    timezone = "UTC"
    custom_settings = {
        "DOWNLOAD_MAXSIZE": MOST,
        "DOWNLOAD_WARNSIZE": MOST // 2,
        "DOWNLOAD_TIMEOUT": 120,
        # A feed has many articles, and there are no pages to read.
        "CONCURRENT_ITEMS": 100,
        "READ_PROCESS": False,
    }

    def __init__(
        self,
        *args: Any,
        url: str = "",
        publisher: str = "",
        label: str = "",
        verbatim: str = "",
        bare: str = "",
        **kwargs: Any,
    ) -> None:
        """Take where the feed is, an address or a file, and whose articles it has.

        ``label`` is what posts of a publisher without a spider are labelled with, its name unless it is
        given. ``verbatim`` leaves texts as they are, ``bare`` writes posts without front matter; either is 1 for
        yes. Raises ValueError for what makes no sense.
        """
        given = {"url": url, "publisher": publisher, "label": label, "verbatim": verbatim, "bare": bare, **kwargs}
        kwargs["name"] = self.publisher_of(given)
        self.file = None if is_web(url) else file_of(url)
        self.listings = (Listing(url if self.file is None else f"{FILES}{quote(self.file.name)}"),)
        super().__init__(*args, **kwargs)
        self.stated_label = label
        self.verbatim = is_yes(verbatim)
        self.form: Literal["front", "bare"] = "bare" if is_yes(bare) else "front"

    @classmethod
    def publisher_of(cls, arguments: Mapping[str, str]) -> str:
        """Return whose archive a run with these arguments writes to; raise ValueError if they make no sense."""
        url, publisher = arguments.get("url", ""), arguments.get("publisher", "")
        if unknown := sorted(arguments.keys() - set(ARGUMENTS)):
            raise ValueError(f"no argument is called {', '.join(unknown)}, but {', '.join(ARGUMENTS)}")
        if not url or not publisher:
            raise ValueError("say which feed, and whose articles it has: -a url=URL|FILE -a publisher=NAME")
        if not NAME.fullmatch(publisher):
            raise ValueError(f"a publisher is called by small letters and digits, hyphens between them: {publisher!r}")
        if publisher == cls.name:
            raise ValueError(f"no publisher is called {publisher}: say whose articles the feed has")
        if not arguments.get("label", "").isprintable():
            raise ValueError("a label has no control characters")
        for name in ("verbatim", "bare"):
            is_yes(arguments.get(name, ""))
        if is_web(url):
            canonical_url(url)
        elif not file_of(url).is_file():
            raise ValueError(f"neither an address of the web nor a file: {url}")
        return publisher

    @classmethod
    def from_crawler(cls, crawler: Any, *args: Any, **kwargs: Any) -> "FeedSpider":
        """Return the spider of a crawl, with the publisher's own, which reads the items."""
        spider = super().from_crawler(crawler, *args, **kwargs)
        spider.own = spider_of(get_spider_loader(crawler.settings), spider.name)
        is_known = not isinstance(spider.own, OtherSpider)
        spider.label = spider.own.label if is_known else spider.stated_label or spider.name
        return spider

    def key(self, url: str) -> str:
        """Return what tells an address's article from others."""
        return self.own.key(url)

    def read(self, response: Response) -> Article:
        """Return the article of an item as a replay would read it; raise Refused, and nothing else."""
        return self.own.read(response)

    async def start(self) -> AsyncIterator[Request | Article]:
        """Yield what is left of feeds that an earlier run could not end, then ask for the feed."""
        listing = self.asked[0]
        for feed, kept in list(self.unread(listing.url)):
            async for article in self.articles(feed, kept, listing.url):
                yield article
        if self.file is None:
            yield self.listing_request(listing)
            return
        request = Request(listing.url, meta={"kind": "listing", "listing": listing})
        self.crawler.signals.send_catch_log(signals.request_scheduled, request=request, spider=self)
        try:
            response = XmlResponse(request.url, body=contents(self.file), request=request)
            self.frontier.store.take(request, response)
        except Refused as refusal:
            self.end(listing_ended, "listing/failed", refusal, request.url, request.meta)
            return
        async for article in self.parse_listing(response):
            yield article

    def unread(self, url: str) -> Iterator[tuple[Feed, Capture]]:
        """Yield the captures of the feed of which not all items were taken up, as their run was killed or stopped."""
        known = self.frontier.store.known
        ended = {run.run for run in known.runs(self.name) if run.status == "finished"}
        rows = [row for row in known.captures_of(url, MOST_UNREAD) if row.ending == "listing"]
        for row in reversed(rows):
            name = FILE_NAME.match(Path(row.file).name)
            if name and name["run"] not in ended:
                with suppress(Refused, WarcError, Cut):
                    yield self.feed_of(self.response_of(row.capture)), row.capture

    def response_of(self, capture: Capture) -> Response:
        """Return a feed as it was when it was captured; raise Refused, WarcError or Cut if it cannot be had."""
        response = as_response(at(self.frontier.store.archive / capture.file, capture.offset))
        return whole(response, content_encodings(response), MOST)

    def feed_of(self, response: Response) -> Feed:
        """Return the feed that a response holds; raise Refused if it holds none."""
        stated = re.search(rb"charset=[\"']?([\w.:-]+)", response.headers.get("Content-Type") or b"", re.IGNORECASE)
        url = "" if response.url.startswith(FILES) else response.url
        return read_feed(response.body, url, stated[1].decode("ascii") if stated else "")

    async def parse_listing(self, response: Response) -> AsyncIterator[Article]:
        """Yield the articles of the feed; count why there are none, and how each item ended that is no article."""
        meta = response.request.meta
        url = self.asked[0].url
        try:
            if response.status == 304:
                kept = self.last_capture(url)
                feed = self.feed_of(self.response_of(kept))
            else:
                kept, feed = meta["kept"], self.feed_of(response)
        except (Refused, WarcError, Cut) as error:
            refusal = error if isinstance(error, Refused) else Refused("truncated", str(error))
            self.end(listing_ended, "listing/failed", refusal, url, meta)
            return
        self.crawler.stats.inc_value("listing/unchanged" if response.status == 304 else "listing/read")
        self.crawler.stats.inc_value("listing/links", len(feed.items))
        links = [Link(f"{url}#{number}") for number in range(1, len(feed.items) + 1)]
        self.crawler.signals.send_catch_log(listing_ended, url=url, links=links)
        async for article in self.articles(feed, kept, url):
            yield article

    def last_capture(self, url: str) -> Capture:
        """Return the last capture of the feed that has a body; raise Refused if there is none."""
        for row in self.frontier.store.known.captures_of(url):
            if row.ending == "listing" and row.status == 200:
                return row.capture
        raise Refused("status-304", "unchanged, but no capture of it is here")

    async def articles(self, feed: Feed, kept: Capture, source: str) -> AsyncIterator[Article]:
        """Yield the articles of a feed's items that are new or have changed; count how the others ended."""
        taken: set[str] = set()
        for number, item in enumerate(feed.items, 1):
            await self.frontier.store.room()
            try:
                url, xml = self.kept_as(feed, item)
                key = self.own.known_id(self.own.known_address(url))
            except Refused as refusal:
                self.refuse(refusal, self.taken_up(f"{source}#{number}"))
                continue
            asked = self.taken_up(self.own.known_address(url))
            if key in taken:
                self.refuse(Refused("duplicate", "the feed has another item with this address"), asked)
                continue
            taken.add(key)
            if article := self.article_of(asked.url, key, xml, kept):
                yield article

    def kept_as(self, feed: Feed, item: Item) -> tuple[str, bytes]:
        """Return the address of an item's article, and what is to be kept of it; raise Refused if it has none."""
        if item.problem:
            raise item.problem
        if len(item.xml) > MAX_SIZE:
            raise Refused("too-large", f"{len(item.xml)} characters")
        said = read_item(item.xml)
        url = address(said.link, urljoin(feed.base, said.base))
        manner = Manner(url=url, label=self.label, verbatim=self.verbatim, form=self.form, language=feed.language)
        return url, record(item, manner)

    def taken_up(self, url: str) -> Request:
        """Return a request that stands for an item in the account of the run."""
        request = Request(url, meta={"kind": "item"})
        self.crawler.signals.send_catch_log(signals.request_scheduled, request=request, spider=self)
        return request

    def refuse(self, refusal: Refused, asked: Request, capture: Capture | None = None) -> None:
        """Count why an item is no article."""
        self.end(article_ended, "article/refused", refusal, asked.url, {"capture": capture})

    def article_of(self, url: str, id: str, xml: bytes, feed: Capture) -> Article | None:
        """Return the article of an item, kept; None, and counted, if it is none or the archive has it."""
        store = self.frontier.store
        asked = Request(url, meta={"kind": "item", "captured": datetime.now(UTC)})
        found = self.read_or_refuse(XmlResponse(url, body=xml, encoding="utf-8", request=asked))
        before = store.last_item(url, xml)
        if before == "article" or store.holds_page(self.name, id, url):
            self.crawler.stats.inc_value("article/unchanged")
            self.crawler.signals.send_catch_log(article_ended, url=url, article=None)
            return None
        if before and ((isinstance(found, Refused) and found.reason == before) or before not in OPEN):
            self.refuse(found if isinstance(found, Refused) else Refused(before, "as it was before"), asked)
            return None
        try:
            capture = store.keep_told("item", url, xml, feed)
        except OSError as error:
            self.refuse(Refused("capture", f"{type(error).__name__}: {error}"), asked)
            return None
        if isinstance(found, Refused):
            self.refuse(found, asked, capture)
            return None
        return replace(found, capture=capture)

    def read_or_refuse(self, response: Response) -> Article | Refused:
        """Return the article of an item, or why it is none."""
        try:
            return self.read(response)
        except Refused as refusal:
            return refusal


def is_web(url: str) -> bool:
    """Tell whether a feed is asked for, and does not lie in a file."""
    return url.lower().startswith(("http://", "https://"))


def file_of(url: str) -> Path:
    """Return the file that a path or an address of a file names."""
    return Path(unquote(urlsplit(url).path) if url.lower().startswith("file://") else url)


def contents(file: Path) -> bytes:
    """Return what a file holds; raise Refused if it cannot be read, or is too large."""
    try:
        with file.open("rb") as stream:
            body = stream.read(MOST + 1)
    except OSError as error:
        raise Refused("no-response", f"{file}: {error.strerror}") from error
    if len(body) > MOST:
        raise Refused("too-large", f"more than {MOST} bytes")
    return body


def is_yes(text: str) -> bool:
    """Return what an argument says; raise ValueError if that is neither yes nor no."""
    if str(text).lower() not in ("", "0", "1", "no", "yes", "false", "true"):
        raise ValueError(f"1 or 0, not {text!r}")
    return str(text).lower() in ("1", "yes", "true")


def address(link: str, base: str) -> str:
    """Return the address of an item as a browser writes it; raise Refused ``bad-url`` for one that is none."""
    if not link:
        raise Refused("bad-url", "the item has no address")
    for absolute in (lambda: link, lambda: urljoin(base, link)):
        with suppress(ValueError):
            return canonical_url(absolute())
    raise Refused("bad-url", f"not an address: {link[:100]!r}")
