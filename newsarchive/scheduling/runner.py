"""Runs jobs as processes: of each job one at a time, for all times that have come due since the last.

A process holds its job's lock for as long as it lives, also when it outlives the
scheduler: the next one waits for it, and takes what came of it from its report.
"""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from newsarchive.files import make_folder
from newsarchive.scheduling import result
from newsarchive.scheduling.book import MOST_STARTS, Book, RunOnBook
from newsarchive.scheduling.jobfile import Job
from newsarchive.scheduling.turns import Turns

__all__ = ["TRY_AGAIN", "Runner"]

#: Seconds after which what could not be written is tried again.
TRY_AGAIN = 60.0
#: Seconds after which a lock that another process holds is asked for again.
LOOK_AGAIN = 5.0
#: What keeps a run from being entered or started, and passes.
TROUBLE = (OSError, sqlite3.Error)


class Runner:
    """Serves what the book says is due."""

    def __init__(self, book: Book, folder: Path, options: Sequence[str], say: Callable[[str], None]) -> None:
        """Run jobs with these options, and keep locks, logs and reports in a folder."""
        self.book, self.folder, self.options, self.say = book, folder, list(options), say
        self.turns = Turns()
        self.due: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        #: Set when no more runs are to be started.
        self.stopping = asyncio.Event()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        #: How the runs that this runner has seen end have ended, but those that are run again.
        self.statuses: list[int | None] = []
        #: Whether the end of some run could not be entered.
        self.unwritten = False

    async def serve(self, jobs: Sequence[Job], *, once: bool = False) -> None:
        """Serve jobs until it is asked to stop; or once, until nothing is due any more."""
        left = {run.job for run in self.book.unended()}
        names = {job.name for job in jobs}
        # What outlived an earlier scheduler has its publishers already, and comes first.
        ordered = sorted(jobs, key=lambda job: job.name not in left)
        gone = sorted(left - names)
        every = frozenset(publisher for job in jobs for publisher in job.publishers)
        with ThreadPoolExecutor(len(jobs)) as self.threads:
            await asyncio.gather(
                *(self._finish(name, every) for name in gone), *(self._serve(job, once) for job in ordered)
            )

    def poke(self, job: str) -> None:
        """Tell that a time of a job has been entered."""
        self.due[job].set()

    def stop(self) -> None:
        """Start nothing more, and ask the runs that are under way to end: they finish what they have begun."""
        if not self.stopping.is_set():
            self.stopping.set()
            for event in self.due.values():
                event.set()
            for process in self.processes.values():
                process.send_signal(signal.SIGTERM)

    async def _serve(self, job: Job, once: bool) -> None:
        due = self.due[job.name]
        while not self.stopping.is_set():
            due.clear()
            try:
                if self.book.waiting(job.name) or self._left(job.name):
                    await self._run(job)
                    continue
            except TROUBLE as error:
                self.say(f"{job.name}: not started, as this cannot be written or read: {error}; next try in a minute")
                if once:
                    self.unwritten = True
                    return
                await self.pause(TRY_AGAIN)
                continue
            if once:
                return
            await due.wait()

    async def _run(self, job: Job) -> None:
        """Run a job once, after whatever is left of an earlier run of it."""
        async with self.turns.of(job.publishers), self._locked(job.name) as lock:
            if lock is None:
                return
            for run in self._left(job.name):
                self._settle(run, None, datetime.now(UTC))
            if self.book.waiting(job.name) and not self.stopping.is_set():
                await self._start(job, lock)

    async def _finish(self, name: str, publishers: Iterable[str]) -> None:
        """Wait for what goes on of a job that is not in the file any more."""
        async with self.turns.of(publishers), self._locked(name) as lock:
            try:
                for run in self._left(name) if lock is not None else ():
                    self._settle(run, None, datetime.now(UTC))
            except TROUBLE as error:
                self.say(f"{name}: its end cannot be written: {error}; the next scheduler tries again")

    def _left(self, name: str) -> list[RunOnBook]:
        return [run for run in self.book.unended() if run.job == name]

    @asynccontextmanager
    async def _locked(self, name: str) -> AsyncIterator[int | None]:
        """Hold a job's lock while the block runs, once a process that outlived its scheduler has ended.

        It is a descriptor, None if it is to stop meanwhile.
        """
        make_folder(self.folder)
        descriptor = os.open(self.folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            yield descriptor if await self._has_locked(name, descriptor) else None
        finally:
            os.close(descriptor)

    async def _has_locked(self, name: str, descriptor: int) -> bool:
        said = False
        while True:
            try:
                flock(descriptor, LOCK_EX | LOCK_NB)
                return True
            except BlockingIOError:
                if not said:
                    self.say(f"{name}: a run that an earlier scheduler started is under way; it is waited for")
                    said = True
            if await self.pause(LOOK_AGAIN):
                self.say(f"{name}: that run goes on; the next scheduler will see what comes of it")
                return False

    async def _start(self, job: Job, lock: int) -> None:
        """Enter a run, start its process, and enter what came of it."""
        with self._file(job.name, "log").open("wb") as out:
            run = self.book.begin(job.name, datetime.now(UTC))
            self.say(f"{job.name}: starts{_for(run)}")
            report = self._file(job.name, "json", run)
            command = [sys.executable, "-m", "scrapy", "archive", *self.options, *job.arguments]
            try:
                # In a session of its own: who ends the scheduler at a terminal does not end it twice.
                process = subprocess.Popen(
                    [*command, "--report", str(report)],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    pass_fds=[lock],
                    start_new_session=True,
                )
            except OSError as error:
                self.say(f"{job.name}: it could not be started: {error}")
                await self._ended(run, None)
                await self.pause(TRY_AGAIN)
                return
        self.processes[job.name] = process
        try:
            code = await asyncio.get_running_loop().run_in_executor(self.threads, process.wait)
        finally:
            del self.processes[job.name]
        await self._ended(run, code)

    async def _ended(self, run: RunOnBook, code: int | None) -> None:
        """Enter the end of a run; nothing of its job goes on before that is done."""
        now = datetime.now(UTC)
        while True:
            try:
                self._settle(run, code, now)
                return
            except TROUBLE as error:
                self.say(f"{run.job}: its end cannot be written: {error}; next try in a minute")
            if await self.pause(TRY_AGAIN):
                # Its report says it to the next scheduler.
                self.unwritten = True
                return

    def _settle(self, run: RunOnBook, code: int | None, now: datetime) -> None:
        """Enter the end of a run, with its exit status if somebody saw it, and say it."""
        told = result.of_run(self._file(run.job, "json", run), self._file(run.job, "log"), code)
        again = self.book.end(run, told.status, told.said, now, killed=told.killed)
        if not again:
            self.statuses.append(told.status)
        seconds = max((now - run.started).total_seconds(), 0)
        took = "begun by an earlier scheduler" if code is None else f"{seconds:.0f} s"
        more = f": {told.said}" if told.said else ""
        self.say(f"{run.job}: {result.words(told.status)}, {took}{_for(run)}{more}")
        if told.killed:
            given_up = f"it is not run again before it is due, as {MOST_STARTS} runs were killed"
            self.say(f"{run.job}: {'it is run again' if again else given_up}")
        self._keep_report(run)

    def _keep_report(self, run: RunOnBook) -> None:
        """Let the report of a run be its job's last one."""
        try:
            for report in self.folder.glob(f"{run.job}.*.json"):
                if report == self._file(run.job, "json", run):
                    report.replace(self._file(run.job, "json"))
                else:
                    report.unlink()
        except OSError as error:
            self.say(f"{run.job}: its report stays under another name: {error}")

    def _file(self, job: str, kind: str, run: RunOnBook | None = None) -> Path:
        """Return a file of a job, or of a run of it."""
        return self.folder / (f"{job}.{run.id}.{kind}" if run else f"{job}.{kind}")

    async def pause(self, seconds: float) -> bool:
        """Wait so long, or until it is asked to stop; tell whether it is."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)
        return self.stopping.is_set()


def _for(run: RunOnBook) -> str:
    """Return how many times a run serves, if it is not one."""
    return f", for {run.served} times that were due" if run.served > 1 else ""
