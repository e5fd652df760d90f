"""What a crawl asks for: what is new, what is due for another look, and what earlier runs did not get to the end of.

Everything follows from the archive: from captures and their times, from the listings among them, and from the
account of the last run. Nothing is asked for again before it is due, and nothing that was announced is forgotten.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from scrapy import Request, signals
from scrapy.crawler import Crawler
from scrapy.http import Response

from newsarchive.address import canonical_url
from newsarchive.article import Refused
from newsarchive.capture import Capture
from newsarchive.coverage import LAG, Span, gaps_between, joined, overlap, reach
from newsarchive.listing import Link, Listing
from newsarchive.run import PASSING, article_ended, listing_ended
from newsarchive.served import as_read
from newsarchive.spider import PublisherSpider
from newsarchive.store import Store
from newsarchive.warc import Served, WarcError, at

__all__ = ["Frontier", "last_account"]

logger = logging.getLogger(__name__)

#: After this an address that cannot be had is forgotten, and said to be.
GIVE_UP = timedelta(days=30)
#: Articles are looked at again only while they are this young: an outage may delay the last look.
YOUNG = timedelta(days=14)
#: A source that reaches back is asked at most so often for what it could not cover.
PATIENCE = timedelta(hours=20)
#: Listing captures of a killed run that are gone through again.
MOST_LISTINGS = 10
#: Captures of an address that are looked at to learn how it behaves.
REMEMBERED = 50
#: How listings fail at hosts that do not want to be asked, or not now.
REFUSED = (
    *("status-401", "status-403", "status-429", "challenge", "consent", "robots", "robots-unreachable"),
    *("blocked", "backing-off", "crawl-delay", "budget"),
)
#: What answers the same for long is left alone for half as long as it has, between these.
SHORTEST_PAUSE, LONGEST_PAUSE = timedelta(hours=1), timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the archive knows of an address or its article."""

    #: Where it was read last, or asked for.
    url: str
    first: datetime
    #: The last capture that says something; None if none does.
    last: datetime | None
    #: The last capture of any kind.
    tried: datetime
    #: When the article came out, as far as that is known; what is older when it is found is not looked at again.
    out: datetime


class Frontier:
    """Tells a spider what to ask for, and keeps what is left over for the next run."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        hours = crawler.settings.getlist("RECHECK_HOURS")
        self.rechecks = [timedelta(hours=float(after)) for after in hours]
        self.refresh = crawler.settings.getbool("REFRESH")
        #: Keys of the articles that this run has taken up.
        self.taken: set[str] = set()
        #: Addresses of which the archive has nothing, until they are asked for.
        self.new: set[str] = set()
        #: What ended without a result, by its address.
        self.unfinished: dict[str, dict[str, Any]] = {}
        #: Pages that were cut down and of which a copy has been read, or none is left to read.
        self.settled: set[str] = set()
        #: Whether that of the last run is among it.
        self.taken_over = False
        #: Which times this run has covered, and by what.
        self.covered: list[tuple[str, Span]] = []
        #: Listings that have been read or have failed, and why these did, by address.
        self.listings_ended = 0
        self.listings_failed: dict[str, str] = {}

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Return the frontier of a crawl."""
        frontier = cls(crawler)
        crawler.signals.connect(frontier.remember, signals.request_scheduled)
        crawler.signals.connect(frontier.article_ended, article_ended)
        crawler.signals.connect(frontier.listing_ended, listing_ended)
        return frontier

    @cached_property
    def store(self) -> Store:
        """The store of the run."""
        return Store.of(self.crawler)

    @property
    def spider(self) -> PublisherSpider:
        """The spider of the crawl."""
        assert isinstance(self.crawler.spider, PublisherSpider)
        return self.crawler.spider

    # What to ask for.

    def wanted(self, links: Iterable[Link], *, again: bool = True) -> Iterator[Link]:
        """Yield what is to be asked for of what was announced, each article once in a run.

        Without ``again``, nothing that the archive has, be it due or changed.
        """
        for link in links:
            key = self.spider.key(link.url)
            if key in self.taken:
                continue
            seen = None if self.refresh else self.seen(link.url)
            why = "refresh" if self.refresh else self.why(link, seen)
            if not again and why in ("due", "changed"):
                why = ""
            self.crawler.stats.inc_value(f"frontier/{why or 'known'}")
            if why:
                self.taken.add(key)
                if why == "new":
                    self.new.add(link.url)
                # An article that the archive has is looked at where it was read, not at its twin in another script.
                yield replace(link, url=seen.url) if seen else link

    def why(self, link: Link, seen: Seen | None) -> str:
        """Return why an address is to be asked for: new, unfinished, due or changed; empty if it is not."""
        if seen is None:
            return "new"
        now = datetime.now(UTC)
        if seen.last is None:
            # What fails for long is tried ever more seldom.
            return "unfinished" if has_paused(seen.first, seen.tried, now) else ""
        if link.modified and seen.last < link.modified <= now:
            return "changed"
        return "due" if self.is_due(seen.out, seen.last, now) else ""

    def is_due(self, out: datetime, last: datetime, now: datetime) -> bool:
        """Tell whether an article is due for another look that came out and was last captured at these times."""
        return any(last < out + after <= now for after in self.rechecks)

    def seen(self, url: str) -> Seen | None:
        """Return what the archive knows of an address; None if it is new."""
        index, key = self.store.known, self.spider.key(url)
        read = index.read(self.spider.name, key)
        addresses = [Request(url).url]
        with suppress(ValueError):
            addresses.append(canonical_url(key))
        known = []
        for address in addresses if read is None else ():
            if row := index.address(address):
                known.append(address)
                if row.id:
                    read = index.read(row.publisher, row.id)
                    break
        if read:
            last = max(self.last_said(read.url) or read.last, read.last)
            return Seen(read.url, read.first, last, last, min(read.out, read.first))
        for address in known:
            if captures := index.captures_of(address):
                tried, first = (datetime.fromisoformat(captures[at].captured) for at in (0, -1))
                return Seen(address, first, self.last_said(address), tried, first)
        return None

    def listing_due(self, listing: Listing) -> bool:
        """Tell whether a listing is to be asked now: one that names not everything, as often as it changes."""
        rows = self.store.known.captures_of(listing.url, REMEMBERED)
        if listing.whole or self.refresh or not rows or rows[0].ending in PASSING:
            return True
        last = changed = datetime.fromisoformat(rows[0].captured)
        digests = set()
        for row in rows:
            digests.update([row.digest] if row.status == 200 else [])
            if len(digests) > 1:
                break
            changed = datetime.fromisoformat(row.captured)
        return has_paused(changed, last, datetime.now(UTC))

    def spares(self) -> list[Listing]:
        """Return the listings to ask in place of those that failed, or for a gap to which they may reach back.

        None at a host that refuses us: it is to be left alone.
        """
        recent = any(gap.end > datetime.now(UTC) - YOUNG for gap in self.gaps())
        refused = {_host(url) for url, reason in self.listings_failed.items() if reason in REFUSED}
        return [
            listing
            for listing in self.spider.asked
            if listing.spare
            and _host(listing.url) not in refused
            and (self.listing_due(listing) if self.listings_failed else recent and not self.asked_lately(listing.url))
        ]

    def last_said(self, url: str) -> datetime | None:
        """Return when an address was last captured with an answer that says something; None if never."""
        for row in self.store.known.captures_of(url, REMEMBERED):
            if row.ending not in PASSING:
                return datetime.fromisoformat(row.captured)
        return None

    def due_again(self) -> Iterator[Link]:
        """Yield the articles that are due for another look, whether or not a listing still names them."""
        now = datetime.now(UTC)
        for id, first in self.store.known.first_read(self.spider.name, now - YOUNG):
            read = self.store.known.read(self.spider.name, id)
            if not read or not self.is_due(min(read.out, first), read.last, now):
                continue
            said = self.last_said(read.url)
            if self.is_due(min(read.out, first), max(said or first, read.last), now):
                yield from self.wanted([Link(read.url)])

    def left_over(self) -> Iterator[Link]:
        """Yield what earlier runs had been told of and did not get to the end of."""
        account = last_account(self.store.archive, self.spider.name)
        left = [entry for entry in account.get("unfinished", ()) if self.is_left(entry)]
        # All of them, before any is asked for: the run may be stopped at the first.
        self.unfinished.update((entry["url"], entry) for entry in left)
        self.taken_over = True
        for entry in left:
            announced = datetime.fromisoformat(entry["announced"]) if entry["announced"] else None
            link = Link(entry["url"], announced)
            # Of a page that was cut down, the copy is left over.
            yield from [link] if entry["reason"] == "copies" else self.wanted([link])
        since = datetime.fromisoformat(account["started"]) if account else datetime.max.replace(tzinfo=UTC)
        for listing in self.spider.asked:
            for capture, served in self.listed(listing.url, since):
                with suppress(Refused):
                    links = self.spider.links(as_read(served))
                    self.spider.entries.note(links, capture)
                    yield from self.wanted(links)

    def is_left(self, entry: Mapping[str, Any]) -> bool:
        """Tell whether an address of an account is still to be had; say so if it is given up."""
        if datetime.now(UTC) - datetime.fromisoformat(entry["since"]) > GIVE_UP:
            logger.error("given up after %d days: %s: %s", GIVE_UP.days, entry["url"], entry["reason"])
            self.crawler.stats.inc_value("frontier/given-up")
            return False
        if entry["reason"] == "copies":
            return self.spider.copies.left(entry["url"]) is not None
        seen = self.seen(entry["url"])
        return not (seen and seen.last)

    def listed(self, url: str, since: datetime) -> Iterator[tuple[Capture, Served]]:
        """Yield the captures of a listing that could be read: the newest, and the others since a run began."""
        # Many in a row may say no more than that nothing has changed.
        rows = self.store.known.captures_of(url, REMEMBERED + MOST_LISTINGS)
        rows = [row for row in rows if row.ending == "listing"][:MOST_LISTINGS]
        for number, row in enumerate(rows):
            if number and datetime.fromisoformat(row.captured) < since:
                return
            try:
                yield row.capture, at(self.store.archive / row.file, row.offset)
            except WarcError as error:
                logger.warning("a listing's capture cannot be read again: %s", error)

    def conditions(self, url: str) -> dict[str, str]:
        """Return the headers with which a server tells whether an address has changed since it was last captured."""
        if url in self.new:
            self.new.discard(url)
            return {}
        for row in self.store.known.captures_of(url, REMEMBERED):
            if row.ending in ("article", "listing") and row.status == 200:
                try:
                    served = at(self.store.archive / row.file, row.offset)
                except WarcError:
                    return {}
                told = {name.lower(): value for name, value in served.headers}
                asked = {"If-None-Match": told.get("etag"), "If-Modified-Since": told.get("last-modified")}
                return {name: value for name, value in asked.items() if value}
        return {}

    # What has been covered.

    def listing_read(self, listing: Listing, links: list[Link], within: Span | None) -> list[Link]:
        """Note which times a listing covers, and return which of its articles are to be asked for.

        Of a listing that reaches back, only what was published ``within`` a stretch of time is wanted.
        """
        now = datetime.now(UTC)
        covers = listing.covers and overlap(listing.covers, Span(listing.covers.start, now - LAG))
        if listing.whole:
            covers = reach((link.announced or link.modified for link in links), now)
        if covers and (span := overlap(covers, within) if within else covers):
            self.covered.append((listing.url, span))
        if within:
            links = [link for link in links if self.spider.may_lie(link, within)]
        return list(self.wanted(links, again=within is None))

    def last_listing(self, url: str) -> tuple[Capture, Response]:
        """Return a listing as it was when it was last captured; raise Refused ``status-304`` if it never was."""
        for capture, served in self.listed(url, datetime.max.replace(tzinfo=UTC)):
            return capture, as_read(served)
        raise Refused("status-304", "unchanged, but no capture of it can be read")

    def gaps(self) -> list[Span]:
        """Return the times at which articles may have come and gone unseen, this run's listings considered."""
        covered = self.store.known.covered(self.spider.name)
        return gaps_between(joined([*covered, *(span for _, span in self.covered)]))

    def asked_lately(self, url: str) -> bool:
        """Tell whether a source that reaches back was asked too short a time ago to ask it again."""
        last = self.last_said(url)
        return bool(last and datetime.now(UTC) - last < PATIENCE)

    # What is left over.

    def remember(self, request: Request) -> None:
        """Note an address that is taken up: should the run end before it does, the next one takes it up again."""
        if request.meta.get("kind") != "article" or {"redirect_urls", "retry_times"} & request.meta.keys():
            return
        announced = request.meta.get("announced")
        entry = self.unfinished.setdefault(
            request.url,
            {
                "url": request.url,
                "announced": announced.isoformat() if announced else None,
                "since": datetime.now(UTC).isoformat(timespec="seconds"),
                "reason": "stopped",
            },
        )
        if request.meta.get("again"):
            entry["again"] = True
            entry["copied"] = request.meta.get("copied")

    def postpone(self, url: str, reason: str) -> None:
        """Let the next run take up an address again."""
        since = datetime.now(UTC).isoformat(timespec="seconds")
        self.unfinished[url] = {"url": url, "announced": None, "since": since, "reason": reason}

    def settle(self, url: str) -> None:
        """Forget a page that was cut down: there is a copy of it, or none is left to read."""
        self.unfinished.pop(url, None)
        self.settled.add(url)

    def article_ended(self, url: str, refusal: Refused | None = None, **_: Any) -> None:
        """Forget an address that has ended, unless it is to be asked for again."""
        entry = self.unfinished.get(url)
        if not entry:
            return
        passing = refusal.reason if refusal and refusal.reason in PASSING else ""
        if passing and not entry.get("again"):
            entry["reason"] = passing
            return
        del self.unfinished[url]
        if page := entry.get("copied"):
            self.postpone(page, "copies") if passing else self.settle(page)

    def listing_ended(self, url: str, refusal: Refused | None = None) -> None:
        """Count a listing that has been read or has failed."""
        self.listings_ended += 1
        if refusal:
            self.listings_failed[url] = refusal.reason

    async def listings_asked(self, number: int) -> None:
        """Wait until so many listings have been read or have failed."""
        while self.listings_ended < number:
            await self.crawler.signals.wait_for(listing_ended)

    def own(self) -> dict[str, dict[str, Any]]:
        """Return what this run has taken up and not come to the end of, by its address."""
        return {url: entry for url, entry in self.unfinished.items() if not entry.get("again")}

    def left(self) -> list[dict[str, Any]]:
        """Return what the next run is to take up, for the account; what this one did not take over goes on to it."""
        account = {} if self.taken_over else last_account(self.store.archive, self.spider.name)
        others = {entry["url"]: entry for entry in account.get("unfinished", ()) if entry["url"] not in self.settled}
        return list((others | self.own()).values())


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def has_paused(since: datetime, last: datetime, now: datetime) -> bool:
    """Tell whether an address that answered the same since then has been left alone for long enough."""
    pause = min((last - since) / 2, LONGEST_PAUSE)
    return pause < SHORTEST_PAUSE or now - last >= pause


def last_account(archive: Path, publisher: str) -> dict[str, Any]:
    """Return the account of the last crawl of a publisher; empty if there is none that can be read."""
    for file in sorted(Path(archive, "runs").glob(f"*Z-{publisher}*.json"), reverse=True):
        with suppress(ValueError, KeyError, TypeError):
            account: dict[str, Any] = json.loads(file.read_bytes())
            if (account["kind"], account["publisher"]) == ("crawl", publisher) and datetime.fromisoformat(
                account["started"]
            ):
                return account
    return {}
