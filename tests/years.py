"""An archive as years of hourly runs leave it, written at once: an index, and accounts of the runs of the last weeks.

What runs do is tested elsewhere; here it is looked at what is told of their traces. All of it follows from a seed.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from newsarchive.capture import Capture
from newsarchive.coverage import Span
from newsarchive.index import Entry, Index, Reading, RunRow
from newsarchive.profile import FIELDS

__all__ = ["NOW", "Publisher", "account", "archive"]

NOW = datetime(2026, 11, 20, 18, 50, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
#: How much comes out in each hour of a day in UTC, of what would if all hours were alike.
HOURS = [
    0.9,
    1.4,
    1.6,
    1.6,
    1.5,
    1.4,
    1.4,
    1.5,
    1.6,
    1.7,
    1.6,
    1.4,
    1.2,
    1.0,
    0.8,
    0.5,
    0.2,
    0.1,
    0.1,
    0.1,
    0.2,
    0.4,
    0.6,
    0.8,
]
SITES = {"cna": "https://www.cna.com.tw/news/ahel", "dw": "https://www.dw.com/zh/a", "rfi": "https://www.rfi.fr/cn"}


@dataclass
class Publisher:
    """A publisher, and what befell it."""

    name: str
    #: Articles a weekday has, and days since the first of them.
    a_day: int
    days: int = 366
    #: Days back from now, and hours, of which nothing is known.
    gaps: tuple[tuple[float, float], ...] = ()
    #: Changes the account of a run, given how many hours before now it began.
    harm: Callable[[dict[str, Any], int], None] = lambda account, hours: None
    #: Hours since the last run, and of how many days there are accounts.
    late: int = 1
    accounts: int = 28
    #: Hours before now of which everything is known, and in which nothing came out.
    quiet: int = 0
    seed: int = 1
    #: How many articles each hour of the last weeks had.
    by_hour: dict[datetime, int] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return SITES.get(self.name, f"https://{self.name}.example")


def archive(folder: Path, *publishers: Publisher, now: datetime = NOW) -> Path:
    """Write the archive of publishers, and return its folder."""
    (folder / "runs").mkdir(parents=True)
    with Index(folder / "index.sqlite") as index, index.transaction():
        for publisher in publishers:
            for entry in _entries(publisher, now):
                index.record(entry)
            _runs(index, folder, publisher, now)
            captures = folder / "captures" / publisher.name
            captures.mkdir(parents=True)
            (captures / "20261120T050125Z-1f2e3d4c.warc.gz").write_bytes(bytes(1000 * publisher.a_day))
    return folder


def _entries(publisher: Publisher, now: datetime) -> Iterator[Entry]:
    """Yield the captures of all articles, in the order of time, but of those that came out in gaps."""
    random = Random(f"{publisher.name} {publisher.seed}")
    missing = [(now - timedelta(days=back), now - timedelta(days=back, hours=-hours)) for back, hours in publisher.gaps]
    start = now.replace(hour=0, minute=0) - publisher.days * DAY
    number = 0
    while start + HOUR < now - max(publisher.late, publisher.quiet) * HOUR:
        weekend = 0.6 if start.weekday() > 4 else 1
        want = publisher.a_day / 24 * HOURS[start.hour] * weekend
        here = int(want) + (random.random() < want % 1)
        for _ in range(here):
            number += 1
            published = start + timedelta(seconds=random.randrange(3600))
            if not any(begin <= published < end for begin, end in missing):
                publisher.by_hour[start] = publisher.by_hour.get(start, 0) + 1
                yield _entry(publisher, number, published)
        start += HOUR


def _entry(publisher: Publisher, number: int, published: datetime) -> Entry:
    id = f"{published:%Y%m%d}{number % 10_000:04}"
    url = f"{publisher.url}/{id}"
    day = f"{published:%Y%m%dT000000Z}"
    capture = Capture(
        *(f"captures/{publisher.name}/{day}-1f2e3d4c.warc.gz", number * 1000, url, published + timedelta(minutes=25)),
        *(200, f"sha1:{number:032}", "article"),
    )
    post = f"_posts/{publisher.name}/{published:%Y/%Y-%m-%d}-{id}.md"
    return Entry(
        capture, publisher.name, "article", reading=Reading(publisher.name, id, url, "題", published, post, "0")
    )


def _runs(index: Index, folder: Path, publisher: Publisher, now: datetime) -> None:
    """Write the accounts of the last weeks, and tell the index what was covered in all the time."""
    spans = [Span(now - publisher.days * DAY, now - publisher.late * HOUR)]
    for back, hours in publisher.gaps:
        begin = now - timedelta(days=back)
        spans = [
            piece
            for span in spans
            for piece in (Span(span.start, min(span.end, begin)), Span(max(span.start, begin + hours * HOUR), span.end))
            if piece.start < piece.end
        ]
    covered = tuple((f"{publisher.url}/listing.xml", span) for span in spans)
    index.run_recorded(RunRow(f"all-{publisher.name}", publisher.name, now, now, "finished", {}, covered))
    for hours in range(24 * publisher.accounts, publisher.late - 1, -1):
        started = now - hours * HOUR
        told = account(publisher, started)
        publisher.harm(told, hours)
        file = folder / "runs" / f"{started:%Y%m%dT%H%M%SZ}-{publisher.name}.json"
        file.write_text(json.dumps(told), "utf-8")


def account(publisher: Publisher, started: datetime, **changes: Any) -> dict[str, Any]:
    """Return the account of an hourly run that is well."""
    random = Random(f"{publisher.name} {started}")
    new = publisher.by_hour.get(started.replace(minute=0) - HOUR, 0)
    again, videos = 2 * new + 1, random.random() < 0.3
    look = {
        "read": [new, again],
        "revised": int(random.random() < 0.05),
        "empty": {name: [sum(random.random() < 0.1 for _ in range(n)) for n in (new, again)] for name in FIELDS},
        "lengths": {str(36 + at): [int(at < new), int(at < again)] for at in range(again)},
        "refused": {"video": 1} if videos else {},
        "examples": {"video": f"{publisher.url}/a-video"} if videos else {},
        "details": {"video": "a video, and no text"} if videos else {},
    }
    told: dict[str, Any] = {
        "run": f"{started:%Y%m%dT%H%M%SZ}-1f2e3d4c",
        "publisher": publisher.name,
        "kind": "crawl",
        "purpose": "all",
        "started": started.isoformat(),
        "ended": (started + timedelta(minutes=3)).isoformat(),
        "finish": "finished",
        "scheduled": new + again + videos,
        "stored": new,
        "revised": 0,
        "unchanged": again,
        "refused": {"video": 1} if videos else {},
        "failed": {},
        "layouts": {"since_2023": look},
        "listings": [{"url": f"{publisher.url}/{name}.xml", "links": 300} for name in ("listing", "feed")],
        "unfinished": [],
        "backfill": {},
        "responses": {"200": new + again + 3, "304": 2},
        "bytes": {"captured": 90_000 * (new + again)},
        "manners": {"blocked": {}},
        "failures": [],
    }
    return {**told, **changes}
