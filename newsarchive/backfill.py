"""Articles of the past, asked from what reaches back.

Archive listings name what was published in a month or more. Where a publisher
numbers its articles by the day, the numbers are tried. What the archive has, or
knows to be missing, is not asked for again: a stretch of time can be asked for
again, after a kill, when a day's requests are used up, or for good measure, at no
cost. The account says under ``backfill`` what is left.
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

__all__ = ["ABSENT", "BackFill", "NoTime", "stretch"]

logger = logging.getLogger(__name__)

#: Numbers of a day that are asked for before the answers are looked at.
AHEAD = 8
#: Endings that say that the publisher is asked no more in this run.
OVER = frozenset(("budget", "backing-off", "blocked", "crawl-delay", "robots-unreachable", "stopped"))
#: Endings of a number that no article has.
ABSENT = frozenset(("absent", "status-404", "status-410"))


class NoTime(ValueError):
    """Says that what is given as ``since`` or ``until``, its ``name``, is no time."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}={text} is no day or time like 2023-01-31 or 2023-01-31T12:00")
        self.name = name


def stretch(since: str, until: str, now: datetime) -> Span:
    """Return the time between two days or moments as people write them; days count to their end, without zone in UTC.

    Raises NoTime for what is no time, and ValueError for a stretch that ends before it begins.
    """
    start, end = _moment("since", since), _moment("until", until) if until else now
    if until and len(until) == len("2023-01-31"):
        end = min(end, now) + timedelta(days=1)
    if start >= min(end, now):
        raise ValueError(f"nothing lies between since={since} and until={until or 'now'}")
    return Span(start, min(end, now))


def _moment(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise NoTime(name, text) from error
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
        #: Ids that no page has: an article's that was taken away, or nobody's.
        self.absent: set[str] = set()
        #: Days whose numbers this run has asked for: several gaps may lie in one.
        self.tried: set[date] = set()
        #: Days that have not been begun, and series that have been and are not complete.
        self.ahead = [*self.days(spider.past)] if spider.past and spider.series else []
        self.begun: list[DaySeries] = []
        #: How many days took requests, of those that have come to their end.
        self.worked = 0
        #: Why this run asks for no more numbers; empty if it does.
        self.over = ""
        spider.crawler.signals.connect(self.ended, article_ended)

    async def requests(self, span: Span, *, patient: bool) -> AsyncIterator[Request]:
        """Yield what to ask for a stretch of time; where ``patient``, not what was asked a short time ago."""
        for listing in self.spider.archives(span):
            if not (patient and self.frontier.asked_lately(listing.url)):
                yield self.spider.listing_request(listing, within=span)
        if not patient:
            async for request in self.spider.copies.below(self.spider.copied_below(span)):
                yield request
        days = [day for day in self.days(span) if day not in self.tried] if self.spider.series else []
        self.tried.update(days)
        for number, day in enumerate(days, 1):
            self.ahead, asks = days[number:], False
            async for request in self.numbers(day):
                asks = True
                yield request
            self.worked += asks and not self.over
            if self.over:
                logger.warning("%s: stops at %s, day %d of %d: %s", self.spider.name, day, number, len(days), self.over)
                return
            self.spider.crawler.stats.inc_value("backfill/days")
            left = self.account()
            told = (self.spider.name, day, number, len(days), left["requests"], left["hours"] or 0)
            logger.info("%s: %s: day %d of %d, some %d requests left, %.1f hours", *told)
        for request in self.spider.copies.of_absent(self.absent):
            yield request

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
        self.begun = [*(series for series in self.begun if not series.complete), *everything]
        for series in everything:
            while series.left and not self.over:
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
        self.absent.update(series.id_of(day, number) for number in missing - found)
        copied = (series.number_of(day, id) for id in self.spider.copies.known.get(begins, ()))
        named.update(number for number in copied if number is not None)
        return DaySeries(day, series, found=found, missing=missing - found, named=named - found)

    def ended(self, url: str, refusal: Refused | None = None, **_: Any) -> None:
        """Tell a series how a number ended."""
        if asked := self.asked.pop(url, None):
            series, number = asked
            series.tell(number, ending := _ending(refusal))
            if ending == "missing":
                self.absent.add(series.series.id_of(series.day, number))
            if refusal and refusal.reason in OVER:
                self.over = str(refusal)
            self.answered.set()

    # What is left.

    def account(self, unread: int = 0) -> dict[str, Any]:
        """Return how much of the stretch of time is left, with a number of listings that could not be read.

        ``requests`` is an estimate: as many a day as it took so far; ``hours`` is how long they take at the pace so
        far, None before the first request.
        """
        stats = self.spider.crawler.stats.get_stats()
        made = sum(stats[name] for name in stats if name.startswith("asked/"))
        a_day = made / self.worked if self.worked else sum(series.floor for series in self.spider.series)
        addresses = unread + len(self.frontier.own()) + len(self.spider.copies.lists)
        numbers = sum(series.open for series in self.begun)
        waiting = stats.get("scheduler/enqueued", 0) - stats.get("scheduler/dequeued", 0)
        requests = round(a_day * len(self.ahead)) + numbers + max(addresses, waiting)
        seconds = (datetime.now(UTC) - self.frontier.store.started).total_seconds()
        return {
            "days": len({*self.ahead, *(series.day for series in self.begun if not series.complete)}),
            "addresses": addresses,
            "requests": requests,
            "hours": round(requests * seconds / made / 3600, 1) if made else None,
        }


def _ending(refusal: Refused | None) -> Ending:
    if refusal is None:
        return "found"
    if refusal.reason in ABSENT:
        return "missing"
    return "unknown" if refusal.reason in PASSING else "found"
