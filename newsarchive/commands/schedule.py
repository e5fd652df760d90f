"""``scrapy schedule [FILE]``: runs ``scrapy archive`` by the clock, as a file of jobs says."""

import argparse
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
from scrapy.commands import ScrapyCommand
from scrapy.exceptions import UsageError
from scrapy.spiderloader import get_spider_loader

from newsarchive.archival import Status
from newsarchive.lock import Locked, hold
from newsarchive.publishers import publishers
from newsarchive.run import ALREADY_RUNNING
from newsarchive.scheduling import overview, result
from newsarchive.scheduling.book import Book
from newsarchive.scheduling.jobfile import BadJobFile, Job, read
from newsarchive.scheduling.runner import TRY_AGAIN, Runner
from newsarchive.scheduling.scheduler import Schedule, missed, next_time

__all__ = ["Command"]

#: Characters of a line where no terminal says how many it has.
WIDTH = 200
#: What keeps a file from being written, and passes.
PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


class Command(ScrapyCommand):
    """Runs jobs until SIGTERM or SIGINT; each is a process of its own, and never two at a time archive a publisher.

    Exits with 2 if the file of jobs is wrong, with 3 if another schedule of the archive is under way, and with 8 if the
    archive cannot be written; with ``--once``, with the gravest status of its runs.
    """

    requires_project = True
    requires_crawler_process = False

    def syntax(self) -> str:
        """Return the arguments."""
        return "[FILE]"

    def short_desc(self) -> str:
        """Return what ``scrapy -h`` says."""
        return "Archive by the clock, as the jobs in FILE say (default: schedule.toml)"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add what is done instead of running for years."""
        super().add_options(parser)
        other = parser.add_mutually_exclusive_group()
        other.add_argument("--once", action="store_true", help="run what is due or has never run, and exit")
        other.add_argument("--status", action="store_true", help="say what is due when, and what came of it last")

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Read the file of jobs, and run them."""
        assert self.settings is not None
        if len(args) > 1:
            raise UsageError("there is one file of jobs", print_help=False)
        known = publishers(get_spider_loader(self.settings))
        try:
            jobs = read(Path(args[0] if args else "schedule.toml"), known, datetime.now(UTC))
        except BadJobFile as error:
            raise UsageError(str(error), print_help=False) from error
        self.archive = Path(self.settings["ARCHIVE_DIR"])
        self.file = self.archive / "schedule.sqlite"
        self.options = [word for pair in opts.set for word in ("-s", pair)]
        try:
            self.exitcode = self.status(jobs) if opts.status else self.schedule(jobs, opts.once)
        except Locked as error:
            say(f"another schedule of this archive is under way: {error}")
            self.exitcode = ALREADY_RUNNING
        except sqlite3.DatabaseError as error:
            say(f"{self.file} cannot be used: {error}; if it is damaged, move it away: jobs go on without what it says")
            self.exitcode = int(Status.STORAGE)
        except OSError as error:
            say(f"the archive cannot be written: {error}")
            self.exitcode = int(Status.STORAGE)

    def status(self, jobs: Sequence[Job]) -> int:
        """Print what is due and what came of it, and return the exit status."""
        book = overview.read_only(self.file)
        console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else WIDTH)
        console.print(overview.table(book, jobs, datetime.now(UTC)), markup=False, highlight=False)
        return 0

    def schedule(self, jobs: Sequence[Job], once: bool) -> int:
        """Run jobs, and return the exit status; raise Locked, OSError or sqlite3.Error."""
        while True:
            try:
                with hold(self.archive / "schedule.lock"), closing(Book(self.file)) as book:
                    book.follow({job.name: job.times for job in jobs}, datetime.now(UTC))
                    runner = Runner(book, self.archive / "schedule", self.options, say)
                    return asyncio.run(self.once(book, jobs, runner) if once else self.always(book, jobs, runner))
            except (OSError, sqlite3.OperationalError) as error:
                # Whoever is started again at once when it ends would only try faster.
                if once or (isinstance(error, OSError) and error.errno not in PASSING):
                    raise
                say(f"{self.file} cannot be written: {error}; next try in a minute")
            time.sleep(TRY_AGAIN)

    async def once(self, book: Book, jobs: Sequence[Job], runner: Runner) -> int:
        """Run what is due or has never run; return the gravest status."""
        for asked in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(asked, runner.stop)
        now = datetime.now(UTC)
        for job in jobs:
            book.enter(job.name, missed(book, job, now))
        await runner.serve(jobs, once=True)
        return int(Status.STORAGE) if runner.unwritten else result.gravest(runner.statuses)

    async def always(self, book: Book, jobs: Sequence[Job], runner: Runner) -> int:
        """Run what is due until somebody asks for an end."""
        now = datetime.now(UTC)
        first, name = min((next_time(book, job, now), job.name) for job in jobs)
        when = "now, as it was missed" if first <= now else f"first, at {first:%Y-%m-%dT%H:%M:%SZ}"
        say(f"{len(jobs)} jobs; {name} is due {when}")
        await Schedule(book, self.file, jobs, runner, say).run()
        say("ended")
        return int(Status.STORAGE) if runner.unwritten else 0


def say(line: str) -> None:
    """Print a line with the time."""
    # Whoever does not listen any more, or has no room for it, does not keep jobs from being run.
    with suppress(OSError):
        print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}", flush=True)
