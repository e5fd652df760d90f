"""The days of a publisher: how many articles came out on each, and on which some may be missing."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import count
from typing import NamedTuple

from newsarchive.coverage import Span, overlap

__all__ = ["CLASSES", "Day", "Days", "Month"]

DAY = timedelta(days=1)
#: Classes of days by their articles, those without any left out; and where they may begin, times a power of ten.
CLASSES = 5
NICE = (1, 2, 3, 4, 5, 6, 8)
#: The share of days that the bounds of classes are made for: the last class takes what is beyond.
MOST = 0.95


class Day(NamedTuple):
    """A day in UTC."""

    date: date
    articles: int
    #: Of how much of the day articles may be missing.
    gap: timedelta
    #: Class of its number of articles: 0 for none, up to ``CLASSES``; None before the archive begins.
    level: int | None


class Month(NamedTuple):
    """A month, or as much of it as is shown."""

    name: str
    articles: int
    #: How many of its days have no article.
    empty: int
    gap: timedelta


@dataclass(frozen=True)
class Days:
    """The days from the first to the last one, both included."""

    first: date
    last: date
    #: The day of the oldest article; None if there is none.
    begins: date | None
    #: How many articles came out on a day; those without any are left out.
    counts: Mapping[date, int]
    gaps: Sequence[Span] = ()

    def __iter__(self) -> Iterator[Day]:
        """Yield the days in order."""
        day = self.first
        while day <= self.last:
            articles, gap = self.counts.get(day, 0), self.missing.get(day, timedelta(0))
            is_before = not articles and not gap and (self.begins is None or day < self.begins)
            yield Day(day, articles, gap, None if is_before else bisect_right(self.bounds, articles))
            day += DAY

    @cached_property
    def missing(self) -> dict[date, timedelta]:
        """Of how much of each day articles may be missing; days of which none may are left out."""
        found: dict[date, timedelta] = {}
        whole = Span(_midnight(self.first), _midnight(self.last) + DAY)
        for gap in filter(None, (overlap(gap, whole) for gap in self.gaps)):
            day = gap.start.date()
            while (part := overlap(gap, Span(_midnight(day), _midnight(day) + DAY))) is not None:
                found[day] = found.get(day, timedelta(0)) + (part.end - part.start)
                day += DAY
        return found

    @cached_property
    def bounds(self) -> tuple[int, ...]:
        """The least number of articles of each class, the first of which has one."""
        seen = sorted(number for day, number in self.counts.items() if self.first <= day <= self.last)
        most = seen[min(int(len(seen) * MOST), len(seen) - 1)] if seen else 1
        # So that the last class begins where few days lie beyond.
        step = next(step for power in count() for nice in NICE if (step := nice * 10**power) * CLASSES > most)
        first = 1 if step > 1 else 2
        return (1, *(step * number for number in range(first, first + CLASSES - 1)))

    @property
    def classes(self) -> list[str]:
        """Return what each class says, from the one without articles on."""
        ends = [bound - 1 for bound in self.bounds[1:]]
        pairs = zip(self.bounds, ends, strict=False)
        return ["0", *(str(low) if low == high else f"{low}–{high}" for low, high in pairs), f"{self.bounds[-1]}+"]

    def months(self) -> list[Month]:
        """Return the months that are not all before the archive begins, in order."""
        found: dict[str, list[Day]] = {}
        for day in self:
            if day.level is not None:
                found.setdefault(f"{day.date:%Y-%m}", []).append(day)
        return [
            Month(
                name,
                sum(day.articles for day in days),
                sum(not day.articles for day in days),
                sum((day.gap for day in days), timedelta(0)),
            )
            for name, days in found.items()
        ]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
