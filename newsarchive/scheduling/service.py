"""What ``scrapy schedule`` does once it knows its jobs: it runs them, or says what there is to say of them."""

import asyncio
import errno
import signal
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from newsarchive.archival import Status
from newsarchive.lock import Locked, hold
from newsarchive.run import ALREADY_RUNNING
from newsarchive.scheduling import overview, result
from newsarchive.scheduling.book import Book
from newsarchive.scheduling.jobfile import Job
from newsarchive.scheduling.runner import TRY_AGAIN, Runner
from newsarchive.scheduling.scheduler import Schedule, missed, next_time

__all__ = ["Service"]

#: Characters of a line where no terminal says how many it has.
WIDTH = 200
#: What keeps a file from being written, and passes.
PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


class Service:
    """The jobs of an archive."""

    def __init__(self, archive: Path, jobs: Sequence[Job], options: Sequence[str]) -> None:
        """Run jobs with these options, or look at them."""
        self.archive, self.jobs, self.options = archive, jobs, options
        self.file = archive / "schedule.sqlite"

    def status(self) -> int:
        """Print what is due and what came of it, and return the exit status."""
        try:
            book = overview.read_only(self.file)
            told = overview.table(book, self.jobs, datetime.now(UTC))
        except sqlite3.Error as error:
            return self._unusable(error)
        console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else WIDTH)
        console.print(told, markup=False, highlight=False)
        return 0

    def run(self, *, once: bool) -> int:
        """Run jobs, and return the exit status."""
        while True:
            try:
                return self._run(once)
            except Locked as error:
                say(f"another schedule of this archive is under way: {error}")
                return ALREADY_RUNNING
            except (OSError, sqlite3.Error) as error:
                # Whoever is started again at once when it ends would only try faster.
                passes = isinstance(error, sqlite3.OperationalError) or getattr(error, "errno", None) in PASSING
                if once or not passes:
                    return self._unusable(error)
                say(f"{self.file} cannot be written: {error}; next try in a minute")
            time.sleep(TRY_AGAIN)

    def _run(self, once: bool) -> int:
        with hold(self.archive / "schedule.lock"), closing(Book(self.file)) as book:
            book.follow({job.name: job.times for job in self.jobs}, datetime.now(UTC))
            runner = Runner(book, self.archive / "schedule", self.options, say)
            return asyncio.run(self._once(book, runner) if once else self._always(book, runner))

    async def _once(self, book: Book, runner: Runner) -> int:
        """Run what is due or has never run; return the gravest status."""
        for asked in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(asked, runner.stop)
        now = datetime.now(UTC)
        for job in self.jobs:
            book.enter(job.name, missed(book, job, now))
        await runner.serve(self.jobs, once=True)
        return int(Status.STORAGE) if runner.unwritten else result.gravest(runner.statuses)

    async def _always(self, book: Book, runner: Runner) -> int:
        """Run what is due until somebody asks for an end."""
        now = datetime.now(UTC)
        first, name = min((next_time(book, job, now), job.name) for job in self.jobs)
        when = "now, as it was missed" if first <= now else f"first, at {first:%Y-%m-%dT%H:%M:%SZ}"
        say(f"{len(self.jobs)} {'job' if len(self.jobs) == 1 else 'jobs'}; {name} is due {when}")
        await Schedule(book, self.file, self.jobs, runner, say).run()
        say("ended")
        return int(Status.STORAGE) if runner.unwritten else 0

    def _unusable(self, error: Exception) -> int:
        """Say that nothing can be done, and return the exit status."""
        if isinstance(error, sqlite3.DatabaseError):
            advice = "if it is damaged, move it away: jobs go on without what it says"
            say(f"{self.file} cannot be used: {error}; {advice}")
        else:
            say(f"the archive cannot be written: {error}")
        return int(Status.STORAGE)


def say(line: str) -> None:
    """Print a line with the time."""
    # Whoever does not listen any more, or has no room for it, does not keep jobs from being run.
    with suppress(OSError):
        print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}", flush=True)
