"""When jobs are due, found in the simplest way there is: every minute is looked at on the wall clock.

Knows what the tests need of cron, and nothing of ``newsarchive.scheduling.cron``.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

__all__ = ["due"]

RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def due(cron: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    """Return the times from ``start`` up to ``end``, in UTC."""
    return sorted(set(_due(cron.split(), ZoneInfo(zone), start, end)))


def _due(words: list[str], zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    minutes, hours, days, months, weekdays = (_set(word, *RANGES[at]) for at, word in enumerate(words))
    both = words[2].startswith("*") or words[4].startswith("*")
    real = words[0].startswith("*") or words[1].startswith("*")

    def matches(wall: datetime) -> bool:
        if wall.minute not in minutes or wall.hour not in hours or wall.month not in months:
            return False
        weekday = wall.isoweekday() in weekdays or (wall.isoweekday() == 7 and 0 in weekdays)
        return (wall.day in days and weekday) if both else (wall.day in days or weekday)

    time = start.replace(second=0, microsecond=0) - timedelta(hours=3)
    shown: dict[datetime, datetime] = {}
    while time < end:
        wall = time.astimezone(zone).replace(tzinfo=None, fold=0)
        before = (time - timedelta(minutes=1)).astimezone(zone).replace(tzinfo=None, fold=0)
        walls, step = [wall], before + timedelta(minutes=1)
        while step < wall:
            # Jumped over: made up for now, but not by what goes on in real time, unless its hour has only been cut.
            if not real or step.hour == wall.hour:
                walls.append(step)
            step += timedelta(minutes=1)
        again = wall in shown and (
            not real or (not words[0].startswith("*") and time - shown[wall] < timedelta(hours=1))
        )
        shown.setdefault(wall, time)
        if time >= start and not again and any(map(matches, walls)):
            yield time.astimezone(UTC)
        time += timedelta(minutes=1)


def _set(word: str, first: int, last: int) -> set[int]:
    found: set[int] = set()
    for part in word.split(","):
        span, _, step = part.partition("/")
        low, _, high = (f"{first}-{last}" if span == "*" else span).partition("-")
        found |= set(range(int(low), int(high or (last if step else low)) + 1, int(step or 1)))
    return found
