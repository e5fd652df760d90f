"""How often a publisher publishes, by hour and weekday, and whether it has been silent for unusually long.

A night without articles means nothing where nights are like that. So silence is measured in the articles that
would usually have come out meanwhile; the longest silences of the last weeks tell how much of that is usual.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise

from newsarchive.coverage import Span, overlap

__all__ = ["Rhythm"]

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
#: How much longer a silence is than the longest one of late that is no silence of every month.
LONGER = 2


@dataclass(frozen=True)
class Rhythm:
    """When articles of a publisher came out, in order, all of the time from ``since`` on."""

    published: Sequence[datetime]
    since: datetime
    #: When articles may have come out of which nobody knows.
    gaps: Sequence[Span] = ()

    @property
    def newest(self) -> datetime | None:
        """Return when the newest article came out; None if there is none."""
        return self.published[-1] if self.published else None

    @property
    def days(self) -> float:
        """Return how long the time is of which the rhythm is known, in days."""
        return (self.published[-1] - self.since) / DAY if self.published else 0.0

    @property
    def a_day(self) -> float:
        """Return how many articles a day usually has."""
        return len(self.published) / self.days if self.days > 0 else 0.0

    def expected(self, start: datetime, end: datetime) -> float:
        """Return how many articles usually come out between two times."""
        total, at = 0.0, start
        while at < end:
            until = min(at.replace(minute=0, second=0, microsecond=0) + HOUR, end)
            total += self.rates[at.weekday()][at.hour] * ((until - at) / HOUR)
            at = until
        return total

    @cached_property
    def rates(self) -> list[list[float]]:
        """How many articles an hour has, by weekday and hour in UTC.

        Hours and weekdays are reckoned apart: some weeks are too short to know each hour of a week.
        """
        hours, weekdays, of_weekday = [0] * 24, [0] * 7, [0.0] * 7
        for time in self.published:
            hours[time.hour] += 1
            weekdays[time.weekday()] += 1
        at = self.since
        while self.newest and at < self.newest:
            until = min(at.replace(hour=0, minute=0, second=0, microsecond=0) + DAY, self.newest)
            of_weekday[at.weekday()] += (until - at) / DAY
            at = until
        total = len(self.published)
        # As if each weekday had been seen once more, with as many articles as any day has.
        factor = [
            (seen + self.a_day) / ((days + 1) * self.a_day) if total else 0.0
            for seen, days in zip(weekdays, of_weekday, strict=True)
        ]
        return [[self.a_day * number / total * share if total else 0.0 for number in hours] for share in factor]

    def usual_silence(self) -> float:
        """Return how many articles usually come out in the longest silences of the time, those over gaps left out."""
        silences = (
            self.expected(start, end)
            for start, end in pairwise((self.since, *self.published))
            if end - start > HOUR / 2 and not any(overlap(Span(start, end), gap) for gap in self.gaps)
        )
        return max(silences, default=0.0)

    def silence(self, now: datetime) -> float:
        """Return how many articles usually come out in the time since the newest one."""
        return self.expected(self.newest, now) if self.newest else 0.0

    def is_silent(self, now: datetime, least: float) -> bool:
        """Tell whether articles have been missing for unusually long: at least so many, usually."""
        return self.silence(now) > max(least, LONGER * self.usual_silence())

    def between(self, start: datetime, end: datetime) -> int:
        """Return how many articles came out between two times."""
        return bisect_left(self.published, end) - bisect_left(self.published, start)

    @classmethod
    def of(cls, published: Sequence[datetime], now: datetime, window: timedelta, gaps: Sequence[Span] = ()) -> "Rhythm":
        """Return the rhythm of the articles of a window of time that ends now; it begins with the first of them."""
        times = sorted(time.astimezone(UTC) for time in published if now - window <= time <= now)
        since = times[0] if times else now
        # Those of ten years would be compared with each silence.
        return cls(times, since, [gap for gap in gaps if gap.end > since])
