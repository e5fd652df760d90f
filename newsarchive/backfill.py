"""Articles of the past, asked from what reaches back.

Archive listings name what was published in a month or more. Where a publisher
numbers its articles by the day, the numbers are tried. What the archive has, or
knows to be missing, is not asked for again: a stretch of time can be asked for
again, after a kill or for good measure, at no cost.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from scrapy import Request

from newsarchive.article import Refused
from newsarchive.coverage import LAG, Span
from newsarchive.listing import Link
from newsarchive.run import PASSING, article_ended
from newsarchive.series import DaySeries, Ending, Series

if TYPE_CHECKING:
    from newsarchive.spider import PublisherSpider

__all__ = ["ABSENT", "BackFill", "stretch"]

logger = logging.getLogger(__name__)

#: Numbers of a day that are asked for before the answers are looked at.
AHEAD = 8
#: Endings of a number that no article has.
ABSENT = frozenset(("absent", "status-404", "status-410"))


def stretch(since: str, until: str, now: datetime) -> Span:
    """Return the time between two days or moments as people write them; days count to their end, without zone in UTC.

    Raises ValueError for what is no time, or a stretch that ends before it begins.
    """
    start, end = _moment(since), _moment(until) if until else now
    if until and len(until) == len("2023-01-31"):
        end += timedelta(days=1)
    if start >= min(end, now):
        raise ValueError(f"nothing lies between since={since} and until={until or 'now'}")
    return Span(start, min(end, now))


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class BackFill:
    """Asks a publisher for what it published in a stretch of time."""

    def __init__(self, spider: "PublisherSpider") -> None:
        self.spider = spider
        self.frontier = spider.frontier
        self.zone = ZoneInfo(spider.timezone)
        #: Series and number of the addresses that are under way.
        self.asked: dict[str, tuple[DaySeries, int]] = {}
        self.answered = asyncio.Event()
        #: Keys of articles whose pages are known to be cut down.
        self.cut: set[str] = set()
        #: Days whose numbers this run has asked for: several gaps may lie in one.
        self.tried: set[date] = set()
        spider.crawler.signals.connect(self.ended, article_ended)

    async def requests(self, span: Span, *, patient: bool) -> AsyncIterator[Request]:
        """Yield what to ask for a stretch of time; where ``patient``, not what was asked a short time ago."""
        for listing in self.spider.archives(span):
            if not (patient and self.frontier.asked_lately(listing.url)):
                yield self.spider.listing_request(listing, within=span)
        days = [day for day in self.days(span) if day not in self.tried] if self.spider.series else []
        self.tried.update(days)
        for number, day in enumerate(days, 1):
            async for request in self.numbers(day):
                yield request
            self.spider.crawler.stats.inc_value("backfill/days")
            logger.info("%s: %s: day %d of %d", self.spider.name, day, number, len(days))

    def days(self, span: Span) -> Iterator[date]:
        """Yield the publisher's days that a stretch touches and that are over."""
        day = span.start.astimezone(self.zone).date()
        while self.day(day).start < span.end and self.day(day).end + LAG < datetime.now(UTC):
            yield day
            day += timedelta(days=1)

    def day(self, day: date) -> Span:
        """Return when a day of the publisher begins and ends."""
        begins = (datetime.combine(day + timedelta(days=after), time(), self.zone).astimezone(UTC) for after in (0, 1))
        return Span(*begins)

    async def numbers(self, day: date) -> AsyncIterator[Request]:
        """Yield requests for the numbers of a day until all its series have come to their end."""
        everything = [self.series(day, series) for series in self.spider.series]
        for series in everything:
            while series.left:
                if numbers := series.ask(AHEAD):
                    for number in numbers:
                        if request := self.number(series, number):
                            yield request
                else:
                    # Nothing comes between seeing that all are under way and waiting for one of them to end.
                    self.answered.clear()
                    await self.answered.wait()
        if all(series.complete for series in everything):
            self.frontier.covered.append((f"numbers of {day}", self.day(day)))

    def number(self, series: DaySeries, number: int) -> Request | None:
        """Return the request for a number, or for a copy of its page; None if the run or the archive knows enough."""
        url = self.spider.number_url(series.series.id_of(series.day, number))
        key = self.spider.key(url)
        if key in self.frontier.taken:
            series.tell(number, "found")
            return None
        self.frontier.taken.add(key)
        if key in self.cut:
            series.tell(number, "found")
            return self.spider.copies.left(url)
        request = self.spider.request(Link(url), probe=True, again=True)
        self.asked[request.url] = series, number
        return request

    def series(self, day: date, series: Series) -> DaySeries:
        """Return a series of a day as far as the archive knows it."""
        index, begins, over = self.frontier.store.known, f"{day:%Y%m%d}", self.day(day).end
        ids = ((id, "article", over) for id in index.ids(self.spider.name, begins))
        there = self.spider.number_url(begins).partition(begins)[0] + begins
        asked = ((self.spider.key(url), ending, captured) for url, ending, captured in index.endings_below(there))
        found, missing, named = set(), set(), set()
        for id, ending, captured in chain(ids, asked):
            number = series.number_of(day, id)
            if number is None or ending in PASSING:
                continue
            if ending in self.spider.cut_down:
                self.cut.add(self.spider.key(self.spider.number_url(id)))
                named.add(number)
            elif ending not in ABSENT:
                found.add(number)
            elif captured >= over:
                missing.add(number)
        return DaySeries(day, series, found=found, missing=missing - found, named=named - found)

    def ended(self, url: str, refusal: Refused | None = None, **_: Any) -> None:
        """Tell a series how a number ended."""
        if asked := self.asked.pop(url, None):
            series, number = asked
            series.tell(number, _ending(refusal))
            self.answered.set()


def _ending(refusal: Refused | None) -> Ending:
    if refusal is None:
        return "found"
    if refusal.reason in ABSENT:
        return "missing"
    return "unknown" if refusal.reason in PASSING else "found"
