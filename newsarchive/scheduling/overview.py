"""What a schedule is about to do and what came of it last, as a table."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.table import Table

from newsarchive.scheduling import result
from newsarchive.scheduling.book import Book, RunOnBook
from newsarchive.scheduling.jobfile import Job
from newsarchive.scheduling.scheduler import next_time

__all__ = ["read_only", "table"]


def table(book: Book | None, jobs: Sequence[Job], now: datetime) -> Table:
    """Return a row a job: its times, when it is due next, and how it ended last; there may be no book yet."""
    told = Table(box=None, pad_edge=False)
    for name in ("job", "cron", "next", "last run", "took", "result"):
        told.add_column(name, no_wrap=name != "result")
    under_way = {run.job: run for run in book.unended()} if book else {}
    for job in jobs:
        zone = ZoneInfo(job.trigger.zone)
        following = next_time(book, job, now) if book else next(job.trigger.fires(now))[0]
        # Whether it goes on only its lock tells: whoever watched it may have been killed.
        run = under_way.get(job.name) or (book.last(job.name) if book else None)
        told.add_row(job.name, str(job.trigger), _moment(following, zone, now), *_last(run, zone))
    return told


def _moment(time: datetime, zone: ZoneInfo, now: datetime) -> str:
    """Return a time as the clock of its zone shows it; what is in the past was missed."""
    return "was missed" if time <= now else f"{time.astimezone(zone):%Y-%m-%d %H:%M %Z}"


def _last(run: RunOnBook | None, zone: ZoneInfo) -> tuple[str, str, str]:
    if run is None:
        return "-", "-", "has not run yet"
    started = f"{run.started.astimezone(zone):%Y-%m-%d %H:%M %Z}"
    if run.ended is None:
        return started, "-", "under way"
    seconds = f"{max((run.ended - run.started).total_seconds(), 0):.0f} s"
    return started, seconds, result.words(run.status) + (f": {run.said}" if run.said else "")


def read_only(file: Path) -> Book | None:
    """Return the book of a file; None if there is none yet. Raises sqlite3.Error."""
    return Book(file, read_only=True) if file.exists() else None
