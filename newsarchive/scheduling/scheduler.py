"""Waits for the times of jobs, enters them in the book, and has them served: what ``scrapy schedule`` does for years.

The book is the truth; APScheduler's job store has for each job the next time only, and
is made to agree with the book once a minute. So it does not matter whether a kill, a
full disk or a clock that jumps came between the two.
"""

import asyncio
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from apscheduler.executors.base import BaseExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from newsarchive.scheduling.book import PATIENCE, Book
from newsarchive.scheduling.cron import LONGEST
from newsarchive.scheduling.jobfile import Job
from newsarchive.scheduling.runner import TRY_AGAIN, Runner

__all__ = ["Schedule", "missed", "next_time"]

#: Seconds between two looks at the clock and the book.
BEAT = 60.0
#: Seconds by which a clock may be off that is put right little by little.
JUMP = 5.0
DAY = timedelta(days=1)
TROUBLE = (OSError, sqlite3.Error, SQLAlchemyError)


def due(job: str) -> str:
    """Return the job whose time has come: the job store keeps functions, and this is what it is to know of ours."""
    return job


class _Executor(BaseExecutor):
    """Enters what is due instead of running it."""

    def __init__(self, enter: Callable[[str, list[datetime]], None]) -> None:
        super().__init__()
        self.enter = enter

    def submit_job(self, job: Any, run_times: list[datetime]) -> None:
        """Enter a job's times."""
        self._do_submit_job(job, run_times)

    def _do_submit_job(self, job: Any, run_times: list[datetime]) -> None:
        self.enter(job.func(*job.args), [job.trigger.nominal(time) for time in run_times])


class _Scheduler(AsyncIOScheduler):
    """APScheduler's, but it goes on when its store cannot be written."""

    say: Callable[[str], None]

    def _process_jobs(self) -> float | None:
        try:
            wait: float | None = super()._process_jobs()
            return wait
        except TROUBLE as error:
            self.say(f"the job store cannot be written or read: {_why(error)}; next try in a minute")
            return TRY_AGAIN


class Schedule:
    """Runs jobs when they are due, until it is asked to stop."""

    def __init__(
        self, book: Book, store: Path, jobs: Sequence[Job], runner: Runner, say: Callable[[str], None]
    ) -> None:
        """Wait for the times of jobs, with APScheduler's job store in a file."""
        self.book, self.runner, self.say = book, runner, say
        self.jobs = {job.name: job for job in jobs}
        self.scheduler = _Scheduler(
            jobstores={
                "default": SQLAlchemyJobStore(_url(store), engine_options={"connect_args": {"timeout": PATIENCE}})
            },
            executors={"default": _Executor(self.enter)},
            timezone=UTC,
            jobstore_retry_interval=TRY_AGAIN,
        )
        self.scheduler.say = say
        #: Wall clock less the clock that nobody sets, in seconds.
        self.offset = 0.0
        self.thinned = datetime.min.replace(tzinfo=UTC)

    async def run(self) -> None:
        """Run what is due until SIGTERM or SIGINT; then let what has begun come to its end."""
        loop = asyncio.get_running_loop()
        for asked in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(asked, self.stop)
        self.offset = time.time() - loop.time()
        await self._started()
        beat = asyncio.create_task(self._beat())
        try:
            await self.runner.serve([*self.jobs.values()])
        finally:
            beat.cancel()
            with suppress(asyncio.CancelledError):
                await beat

    def stop(self) -> None:
        """Start nothing more; asked again, say what is waited for."""
        under_way = ", ".join(self.runner.processes)
        if self.runner.stopping.is_set():
            self.say(f"still waiting for {under_way or 'what is being written'}: runs finish what they have begun")
            return
        self.say("asked to end" + (f": waiting for {under_way}" if under_way else ""))
        if self.scheduler.running:
            self.scheduler.shutdown(wait=False)
        self.runner.stop()

    def enter(self, job: str, times: list[datetime]) -> None:
        """Enter times of a job that have come; what cannot be entered now is found missing a minute later."""
        try:
            self.book.enter(job, times)
        except sqlite3.Error as error:
            self.say(f"{job}: it is due, and that cannot be written: {error}; next try in a minute")
        else:
            self.runner.poke(job)

    async def _started(self) -> None:
        """Begin to wait for times, as soon as the job store can be written."""
        while not self.runner.stopping.is_set():
            try:
                self.scheduler.start(paused=True)
                self.agree(datetime.now(UTC))
                self.scheduler.resume()
                return
            except TROUBLE as error:
                self.say(f"the job store cannot be written or read: {_why(error)}; next try in a minute")
                if self.scheduler.running:
                    self.scheduler.resume()
                    return
            await self.runner.pause(TRY_AGAIN)

    async def _beat(self) -> None:
        """Look at the clock and the book again and again."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(BEAT)
            now, offset = datetime.now(UTC), time.time() - loop.time()
            if abs(jump := offset - self.offset) > JUMP:
                way = "forward" if jump > 0 else "back"
                self.say(f"the clock was put {way} by {abs(jump):.0f} s; what is due is reckoned anew")
            self.offset = offset
            if self.runner.stopping.is_set():
                return
            try:
                self.agree(now)
                if abs(now - self.thinned) > DAY:
                    self.book.thin_out(now)
                    self.thinned = now
            except TROUBLE as error:
                self.say(f"the book cannot be written or read: {_why(error)}; next try in a minute")
            self.scheduler.wakeup()

    def agree(self, now: datetime) -> None:
        """Make the job store say what the book says: which jobs there are, and when each is due next."""
        if forgotten := self.book.forget_ahead(now):
            self.say(f"{forgotten} times were served by a clock that was ahead; they will come again")
        stored = {job.id: job for job in self.scheduler.get_jobs()}
        for name in stored.keys() - self.jobs.keys():
            self.scheduler.remove_job(name)
        for name, job in self.jobs.items():
            following, known = next_time(self.book, job, now), stored.get(name)
            if known and known.next_run_time == following and vars(known.trigger) == vars(job.trigger):
                continue
            self.scheduler.add_job(
                f"{__name__}:{due.__name__}",
                job.trigger,
                args=[name],
                id=name,
                name=name,
                next_run_time=following,
                misfire_grace_time=None,
                coalesce=False,
                replace_existing=True,
            )


def next_time(book: Book, job: Job, now: datetime) -> datetime:
    """Return when a job is due next by the book; it lies in the past if it was missed."""
    return next(_since(book, job, now))[0]


def missed(book: Book, job: Job, now: datetime) -> list[datetime]:
    """Return the times up to now that are not on record; the last one before now for a job that was never due."""
    found = []
    for fire, nominal in _since(book, job, now):
        if fire > now:
            break
        found.append(nominal)
    return found or ([] if book.has(job.name) else [_last(job, now)])


def _since(book: Book, job: Job, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    reached = max(book.reached(job.name, now) or now, now - LONGEST)
    return ((fire, nominal) for fire, nominal in job.trigger.fires(reached) if nominal > reached)


def _last(job: Job, now: datetime) -> datetime:
    """Return the last time of a job before now; now if it has not come for a year."""
    for days in (1, 8, 31, 366):
        last = None
        for fire, nominal in job.trigger.fires(now - timedelta(days=days)):
            if fire > now:
                break
            last = nominal
        if last:
            return last
    return now


def _url(file: Path) -> str:
    return URL.create("sqlite", database=str(file.absolute())).render_as_string(hide_password=False)


def _why(error: Exception) -> str:
    """Return what is wrong, without the statement that SQLAlchemy adds."""
    return str(getattr(error, "orig", None) or error)
