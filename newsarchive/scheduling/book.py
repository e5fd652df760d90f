"""The book of a schedule: which times were due, which run served each, and what came of it. It survives everything.

A time is entered once, however often it is told. A run is entered before its process is
started, together with the times that it serves, and its end once it has ended. So a run
without an end is one that goes on, or that was killed with whoever watched it.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

__all__ = ["MOST_STARTS", "Book", "RunOnBook"]

#: A time is served by so many runs at most, if all of them are killed: what kills the machine must not do so for ever.
MOST_STARTS = 5
#: Times that were served so long ago are not needed any more; results of runs are kept for longer.
TIMES_KEPT, RUNS_KEPT = timedelta(days=40), timedelta(days=400)
#: What is on record for a time this far ahead comes from a clock that was wrong.
AHEAD = timedelta(days=1)
#: Seconds to wait for whoever reads the book.
PATIENCE = 5.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (name TEXT PRIMARY KEY, times TEXT NOT NULL, since TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job TEXT NOT NULL,
    started TEXT NOT NULL,
    ended TEXT,
    status INTEGER,
    said TEXT,
    served INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS runs_of_job ON runs (job, id);
CREATE TABLE IF NOT EXISTS fires (
    job TEXT NOT NULL,
    time TEXT NOT NULL,
    run INTEGER REFERENCES runs (id),
    starts INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job, time)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class RunOnBook:
    """A run as the book has it."""

    id: int
    job: str
    started: datetime
    #: None while it goes on.
    ended: datetime | None
    #: Its exit status; negative if a signal ended it, None if nobody saw its end.
    status: int | None
    said: str
    #: How many times it serves.
    served: int


class Book:
    """What was due and what came of it, in SQLite; every change is on disk when the call returns.

    All methods raise sqlite3.Error if the book cannot be read or written.
    """

    def __init__(self, file: Path, *, read_only: bool = False) -> None:
        """Open the book of a file, which is made if it is not there."""
        # Also to be read it may have to be mended: whoever wrote last may have been killed.
        address = f"{file.absolute().as_uri()}?mode={'rw' if read_only else 'rwc'}"
        self.connection = sqlite3.connect(address, uri=True, timeout=PATIENCE, isolation_level=None)
        if read_only:
            self.connection.execute("PRAGMA query_only = ON")
        else:
            self.connection.execute("PRAGMA synchronous = FULL")
            self.connection.executescript(SCHEMA)

    def close(self) -> None:
        """Close the book."""
        self.connection.close()

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """Make all changes of the block, or none."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
            self.connection.execute("COMMIT")
        except BaseException:
            # A full disk may have ended it already.
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    # Jobs.

    def follow(self, times: dict[str, str], now: datetime) -> None:
        """Take over the jobs of a file, each with what makes its times.

        What a job that is new or has other times would have had to do before is not missed. Jobs that are gone have
        nothing to do any more; the results of their runs stay.
        """
        with self.change() as book:
            for name in set(self.jobs()) - set(times):
                book.execute("DELETE FROM jobs WHERE name = ?", (name,))
            book.execute("DELETE FROM fires WHERE run IS NULL AND job NOT IN (SELECT name FROM jobs)")
            book.executemany(
                "INSERT INTO jobs VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE"
                " SET times = excluded.times, since = excluded.since WHERE times <> excluded.times",
                [(name, told, written(now)) for name, told in times.items()],
            )

    def jobs(self) -> dict[str, datetime]:
        """Return since when each job has its times."""
        return {name: _read(since) for name, since in self.connection.execute("SELECT name, since FROM jobs")}

    # Times.

    def enter(self, job: str, times: Iterable[datetime]) -> None:
        """Enter times that are due; those that are known already stay as they are."""
        with self.change() as book:
            rows = [(job, written(time)) for time in times]
            book.executemany("INSERT OR IGNORE INTO fires (job, time) VALUES (?, ?)", rows)

    def reached(self, job: str, now: datetime) -> datetime | None:
        """Return the last time of a job up to now that is on record, or since when it is known; None if it is not."""
        question = "SELECT max(time) FROM fires WHERE job = ? AND time <= ?"
        (time,) = self.connection.execute(question, (job, written(now))).fetchone()
        known = [since for since in (self.jobs().get(job), _read(time) if time else None) if since]
        # A job that was known first by a clock that was wrong is known since now.
        return min(max(known), now) if known else None

    def has(self, job: str) -> bool:
        """Tell whether a job has ever been due."""
        return self.connection.execute("SELECT 1 FROM fires WHERE job = ?", (job,)).fetchone() is not None

    def forget_ahead(self, now: datetime) -> int:
        """Forget times far ahead, which a wrong clock has entered, and return how many."""
        moment, ahead = written(now), written(now + AHEAD)
        wrong = "SELECT 1 FROM fires WHERE time > ? UNION ALL SELECT 1 FROM jobs WHERE since > ? LIMIT 1"
        if not self.connection.execute(wrong, (ahead, moment)).fetchone():
            return 0
        with self.change() as book:
            book.execute("UPDATE jobs SET since = ? WHERE since > ?", (moment, moment))
            return book.execute("DELETE FROM fires WHERE time > ?", (ahead,)).rowcount

    def waiting(self, job: str) -> int:
        """Return how many times of a job wait for a run."""
        question = "SELECT count(*) FROM fires WHERE job = ? AND run IS NULL"
        number: int = self.connection.execute(question, (job,)).fetchone()[0]
        return number

    # Runs.

    def begin(self, job: str, now: datetime) -> RunOnBook:
        """Enter a run that serves all times that wait; its process must not be started before."""
        with self.change() as book:
            served = self.waiting(job)
            row = (job, written(now), served)
            run = book.execute("INSERT INTO runs (job, started, served) VALUES (?, ?, ?)", row).lastrowid
            book.execute("UPDATE fires SET run = ?, starts = starts + 1 WHERE job = ? AND run IS NULL", (run, job))
        assert run is not None
        return RunOnBook(run, job, now, None, None, "", served)

    def end(self, run: RunOnBook, status: int | None, said: str, now: datetime, *, killed: bool = False) -> int:
        """Enter the end of a run. One that was killed has not served its times: return how many wait for another.

        The times that have had as many runs as they get do not wait any more.
        """
        with self.change() as book:
            row = (written(now), status, said, run.id)
            book.execute("UPDATE runs SET ended = ?, status = ?, said = ? WHERE id = ?", row)
            if not killed:
                return 0
            again = "UPDATE fires SET run = NULL WHERE run = ? AND starts < ?"
            return book.execute(again, (run.id, MOST_STARTS)).rowcount

    def unended(self) -> list[RunOnBook]:
        """Return the runs whose end is not on record."""
        return self.runs("ended IS NULL")

    def last(self, job: str) -> RunOnBook | None:
        """Return the last run of a job that has ended; None if there is none."""
        found = self.runs("job = ? AND ended IS NOT NULL ORDER BY id DESC LIMIT 1", job)
        return found[0] if found else None

    def runs(self, which: str, *values: str) -> list[RunOnBook]:
        """Return the runs for which an expression of SQL is true."""
        question = f"SELECT id, job, started, ended, status, said, served FROM runs WHERE {which}"
        return [
            RunOnBook(id, job, _read(started), _read(ended) if ended else None, status, said or "", served)
            for id, job, started, ended, status, said, served in self.connection.execute(question, values)
        ]

    def thin_out(self, now: datetime) -> None:
        """Remove what is too old to matter; the last result of every job stays."""
        with self.change() as book:
            book.execute(
                "DELETE FROM fires WHERE time < ? AND run IN (SELECT id FROM runs WHERE ended IS NOT NULL)"
                " AND time < (SELECT max(time) FROM fires AS all_times WHERE all_times.job = fires.job)",
                (written(now - TIMES_KEPT),),
            )
            book.execute(
                "DELETE FROM runs WHERE ended < ? AND id NOT IN (SELECT max(id) FROM runs GROUP BY job)"
                " AND id NOT IN (SELECT run FROM fires WHERE run IS NOT NULL)",
                (written(now - RUNS_KEPT),),
            )


def written(time: datetime) -> str:
    """Return a time as the book has it, which sorts as times do."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _read(text: str) -> datetime:
    return datetime.fromisoformat(text)
