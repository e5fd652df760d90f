"""What earlier runs leave to the next one of their manners: whom not to ask before when, and what the day has had.

It stands in the account of the last crawl, which has taken over what still holds
from the one before. A run that was killed has no account: its captures tell how
often it asked, and who asked to be left alone.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from newsarchive.elsewhere.moved import closed_files
from newsarchive.index import Index, Row
from newsarchive.warc import WarcError, at

__all__ = ["Remembered", "remembered", "retry_after"]

ACCOUNT = re.compile(r"(?P<time>\d{8}T\d{6}Z)-(?P<publisher>.+?)(?:-(?P<number>\d+))?\.json")
CAPTURES = re.compile(r"(?P<run>(?P<time>\d{8}T\d{6}Z)-[0-9a-f]+)(?:-\d+)?\.warc\.gz")
#: A server's clock that is further from ours than this says nothing.
CLOCK_TOLERANCE = timedelta(days=1)
#: What an account may be that is damaged, or was edited by hand.
NO_ACCOUNT = (OSError, ValueError, KeyError, TypeError, AttributeError)


@dataclass
class Remembered:
    """What holds from the beginning of a run."""

    #: When hosts may be asked again, as far as that lies ahead.
    not_before: dict[str, datetime] = field(default_factory=dict)
    #: Hosts that refuse their pages, and since when.
    blocked: dict[str, datetime] = field(default_factory=dict)
    #: Requests of this UTC day.
    asked: int = 0

    def take(self, manners: dict[str, Any], now: datetime) -> None:
        """Take over what an account says; raise one of NO_ACCOUNT if it is not one."""
        until = {name: datetime.fromisoformat(value) for name, value in manners["not_before"].items()}
        ahead = {name: moment for name, moment in until.items() if moment > now}
        blocked = {name: datetime.fromisoformat(value).astimezone(UTC) for name, value in manners["blocked"].items()}
        budget = manners["budget"]
        asked = int(budget["asked"]) if budget["day"] == f"{now:%Y-%m-%d}" else 0
        self.not_before, self.blocked, self.asked = ahead, blocked, asked

    def add(self, row: Row, archive: Path, now: datetime, believed: float, unsaid: Callable[[str, int], float]) -> None:
        """Add a capture of a run that has no account."""
        captured = datetime.fromisoformat(row.captured)
        self.asked += captured.date() == now.date()
        host = urlsplit(row.url).hostname
        if host and (row.status == 429 or row.status >= 500):
            asked = max(asked_by(row, archive), unsaid(host, row.status))
            until = captured + timedelta(seconds=min(asked, believed))
            if until > now:
                self.not_before[host] = max(until, self.not_before.get(host, until))


def remembered(
    index: Index, archive: Path, publisher: str, now: datetime, believed: float, unsaid: Callable[[str, int], float]
) -> Remembered:
    """Return what the archive says of a publisher's manners; ``believed`` bounds, in seconds, what a host may ask for.

    ``unsaid`` tells for how many seconds a host wants to be left alone that answers with a status, whatever it says.
    The index must know all captures, as it does after ``recover``.
    """
    found = Remembered()
    told: set[str] = set()
    # Names of runs sort by their time; one that has no account and is older than this has nothing to say any more.
    since = f"{now - timedelta(seconds=believed):%Y%m%dT%H%M%SZ}"
    last = ""
    for time, account in accounts(archive, publisher):
        if time < last:
            break
        with suppress(*NO_ACCOUNT):
            if account["kind"] == "crawl" and not last:
                found.take(account["manners"], now)
                last = time
            told.add(account["run"])
    for name in (file.name for file in closed_files(archive / "captures" / publisher)):
        match = CAPTURES.fullmatch(name)
        if match and match["time"] >= max(since, last) and match["run"] not in told:
            for row in index.captures(f"captures/{publisher}/{name}"):
                found.add(row, archive, now, believed, unsaid)
    return found


def accounts(archive: Path, publisher: str) -> Iterator[tuple[str, Any]]:
    """Yield the accounts of a publisher that can be read, newest first, with the time in their names."""
    names = [match for file in (archive / "runs").glob("*.json") if (match := ACCOUNT.fullmatch(file.name))]
    mine = [(match["time"], int(match["number"] or 1), match[0]) for match in names if match["publisher"] == publisher]
    for time, _, name in sorted(mine, reverse=True):
        with suppress(*NO_ACCOUNT):
            yield time, orjson.loads((archive / "runs" / name).read_bytes())


def asked_by(row: Row, archive: Path) -> float:
    """Return for how many seconds a captured response asks to be left alone; 0 if it cannot be read, or does not."""
    try:
        served = at(archive / row.file, row.offset)
    except (OSError, WarcError):
        return 0
    headers = {name.lower(): value for name, value in served.headers}
    captured = datetime.fromisoformat(row.captured)
    return retry_after(headers.get("retry-after", ""), headers.get("date", ""), captured) or 0


def retry_after(value: str, date: str, now: datetime) -> float | None:
    """Return the seconds a server asks to be left alone; None if it does not say, or not readably.

    ``date`` is what the server says the time is. Where it asks for a point in time and clocks differ, the longer way
    to it counts.
    """
    value = value.strip()
    if value.isdecimal() and value.isascii():
        return float(value)
    if (until := _moment(value)) is None:
        return None
    stated = _moment(date.strip())
    clocks = [now, *([stated] if stated and abs(stated - now) <= CLOCK_TOLERANCE else [])]
    return max(0.0, *((until - clock).total_seconds() for clock in clocks))


def _moment(value: str) -> datetime | None:
    """Return the time in a header, which is UTC where it does not say so; None if it is none."""
    try:
        found = parsedate_to_datetime(value)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
