"""When a job is due: cron expressions as people know them, on days when clocks are changed too.

APScheduler's own cron trigger counts weekdays from Monday, wants the day of the month
and the weekday both to match, and leaves out what a change of the clocks jumps over.
Here the rules are those of Vixie cron, in the words of wall clocks:

- Where both the day of the month and the weekday are restricted, either is enough.
- A time that the clock jumps over comes right after the jump, and one that it shows
  twice comes at the first of them: ``30 2 * * *`` comes once every day.
- Expressions for every hour (``*`` first in the minute or the hour) go on in real
  time: no hour of the day is skipped, and none comes twice. Where a clock moves by
  less than an hour, the rest of an hour that was cut counts as that hour.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from cronsim import CronSim, CronSimError

__all__ = ["BadCron", "Cron", "CronTrigger"]

NAMED = {
    "@hourly": "0 * * * *",
    **dict.fromkeys(("@daily", "@midnight"), "0 0 * * *"),
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    **dict.fromkeys(("@yearly", "@annually"), "0 0 1 1 *"),
}
#: What the fields may hold, by the words of cronsim.
FIELDS = {
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day-of-month": "1 to 31, or L for the last, in a month that has it",
    "month": "1 to 12, or JAN to DEC",
    "day-of-week": "0 to 7, or SUN to SAT",
}
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
#: Days within which every date comes that ever does: 29 February is left out in 2100.
EVER = 9 * 366
#: What was missed longer ago has been made up for by what was missed since.
LONGEST = timedelta(days=31)
#: Cron expressions whose days are remembered.
REMEMBERED = 64


class BadCron(ValueError):
    """Says what is wrong with a cron expression."""


class Cron:
    """A cron expression in a time zone: five fields, or a name like @hourly."""

    def __init__(self, expression: str, zone: ZoneInfo) -> None:
        """Read an expression; raise BadCron."""
        words = NAMED.get(expression.strip().lower(), expression).split()
        if words and words[0].startswith("@"):
            raise BadCron(f"no time is called {words[0]}, but {', '.join(NAMED)}")
        if len(words) != 5:
            raise BadCron(f"five fields are needed (minute, hour, day, month, weekday), not {len(words)}")
        try:
            self.fields = CronSim(" ".join(words), datetime(2000, 1, 1))
        except CronSimError as error:
            raise BadCron(_why(str(error), words)) from error
        self.zone = zone
        minute, hour = words[:2]
        #: Whether it goes on in real time, and whether even within an hour.
        self.often, self.steady = minute.startswith("*"), minute.startswith("*") or hour.startswith("*")
        self.day = lru_cache(400)(self._day)
        if next(self.after(datetime(2001, 1, 1, tzinfo=UTC)), None) is None:
            raise BadCron("such a day never comes")

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Yield the times after a moment, in UTC and in order."""
        day, idle, last = moment.astimezone(self.zone).date() - DAY, 0, moment.astimezone(UTC)
        while idle < EVER:
            idle += 1
            for fire in self.day(day):
                if fire > last:
                    yield fire
                    last, idle = fire, 0
            day += DAY

    def _day(self, day: date) -> tuple[datetime, ...]:
        """Return the times that come on a day of the wall clock, or right after it if it is cut short there."""
        if day.month not in self.fields.months or not self.fields.match_day(day):
            return ()
        walls = (time(hour, minute) for hour in sorted(self.fields.hours) for minute in sorted(self.fields.minutes))
        fires = {fire for wall in walls for fire in self._moments(datetime.combine(day, wall))}
        return tuple(sorted(fires))

    def _moments(self, wall: datetime) -> Iterator[datetime]:
        """Yield the moments that stand for a time of the wall clock."""
        first = wall.replace(tzinfo=self.zone).astimezone(UTC)
        second = wall.replace(tzinfo=self.zone, fold=1).astimezone(UTC)
        if second < first:
            # The clock jumps over it. Read with what held before the jump, it lies behind it.
            end = self._end_of_jump(second, first)
            if not self.steady or end.astimezone(self.zone).hour == wall.hour:
                yield end
            return
        yield first
        if second > first and self.steady and (self.often or second - first >= HOUR):
            yield second

    def _end_of_jump(self, before: datetime, after: datetime) -> datetime:
        """Return the first moment with the offset that holds at the later of two."""
        offset = after.astimezone(self.zone).utcoffset()
        while after - before > timedelta(seconds=1):
            middle = before + (after - before) / 2
            if middle.astimezone(self.zone).utcoffset() == offset:
                after = middle
            else:
                before = middle
        return after.replace(microsecond=0)


def _why(told: str, words: list[str]) -> str:
    """Return what is wrong with which field, from what cronsim says."""
    field = told.removeprefix("Bad ")
    if field not in FIELDS:
        return told
    return f"{words[[*FIELDS].index(field)]!r} is no {field.replace('-', ' ')}: {FIELDS[field]}"


@lru_cache(REMEMBERED)
def _cron(expression: str, zone: str) -> Cron:
    return Cron(expression, ZoneInfo(zone))


class CronTrigger(BaseTrigger):
    """A cron expression for APScheduler, with a delay of each time that looks like chance and is always the same."""

    def __init__(self, job: str, expression: str, zone: str, jitter: float = 0) -> None:
        """Read an expression of a job; the jitter is in seconds. Raise BadCron."""
        self.job, self.expression, self.zone, self.jitter = job, expression, zone, jitter
        _cron(expression, zone)

    def __getstate__(self) -> dict[str, Any]:
        """Return what the job store keeps."""
        return dict(self.__dict__)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take up what the job store has kept."""
        self.__dict__.update(state)

    def __str__(self) -> str:
        return f"{self.expression} {self.zone}"

    def fires(self, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield when the job is due after a moment, and the time of the expression that each stands for."""
        times = _cron(self.expression, self.zone).after(moment - timedelta(seconds=self.jitter) - MINUTE)
        nominal = next(times, None)
        for following in times:
            assert nominal is not None
            fire = nominal + self.delay(nominal, following)
            if fire > moment:
                yield fire, nominal
            nominal = following

    def delay(self, nominal: datetime, following: datetime) -> timedelta:
        """Return by how much a time is delayed: never so much that it would come after the following one."""
        chance = int.from_bytes(blake2b(f"{self.job} {nominal.isoformat()}".encode(), digest_size=4).digest()) / 2**32
        most = min(self.jitter, (following - nominal).total_seconds() - 1)
        return timedelta(seconds=int(chance * most))

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return the next time after one, or after now; what was missed a month ago is not worth while any more."""
        after = max(previous_fire_time, now - LONGEST) if previous_fire_time else now
        return next(self.fires(after))[0]

    def nominal(self, fire: datetime) -> datetime:
        """Return the time of the expression that a time at which the job is due stands for."""
        return next(self.fires(fire - timedelta(seconds=1)))[1]

    def period(self, moment: datetime) -> timedelta:
        """Return the shortest time between two times of the week or so after a moment."""
        times = _cron(self.expression, self.zone).after(moment)
        last = first = next(times)
        shortest = LONGEST * 12
        for following in times:
            shortest, last = min(shortest, following - last), following
            if following - first > timedelta(days=8):
                break
        return shortest
