"""A scheduler's fortnight: real ``scrapy schedule``, ``archive`` and ``crawl`` in simulated time, killed now and then.

What is told of it comes from outside: from the coordinator, which sees every process
start and end, and from the press, which notes what it is asked.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from time import perf_counter
from zoneinfo import ZoneInfo

from newsarchive.scheduling.cron import CronTrigger
from newsarchive.scheduling.jobfile import Job, read
from tests.fortnight import FOLDER
from tests.fortnight.coordinator import ROOT, Coordinator, Process
from tests.fortnight.due import due
from tests.press.__main__ import Report
from tests.press.server import Asked, Press
from tests.press.world import PUBLISHERS, Spec, World

__all__ = ["main"]

ZONE = "Europe/Paris"
#: The day in whose night the clocks go back.
CHANGE = date(2025, 10, 26)
JOBS = """\
timezone = "Europe/Paris"

[jobs.cna]
cron = "0 * * * *"
jitter = "10m"
publishers = ["cna"]

# As slow as it is, it often takes longer than from one time to the next.
[jobs.rfi]
cron = "*/20 7 * * *"
publishers = ["rfi"]
settings = {DOWNLOAD_DELAY = 45}

# On the day on which the clocks go back, there are two half past two.
[jobs.dw]
cron = "30 2 * * *"
publishers = ["dw"]

# Both days of the month, and every Wednesday.
[jobs.all]
cron = "15 4 20,28 * 3"
timezone = "Asia/Taipei"
"""
#: What a scheduler that is killed leaves behind: its jobs, nothing, or whatever it has just written.
KINDS = ("with jobs", "written", "alone", "not written", "alone")
#: It dies by itself before or after a transaction of its book.
DYING = {"written": "after", "not written": "before"}
#: Seconds after which a killed scheduler is started again.
DOWN = (5, 60, 600, 2400, 5 * 3600)
#: Seconds that a job may start late: a look at what an earlier scheduler left, and one at the clock.
LATE = 65
HOUR = 3600.0


@dataclass
class Kill:
    """How a scheduler ends, and what came of it."""

    kind: str
    #: Seconds since 1970 after which it is done, when a job is under way; or number of a transaction of the book.
    when: float
    down: float
    time: float = 0


@dataclass
class Life:
    """A fortnight, or less."""

    folder: Path
    hours: int
    kills: list[Kill]
    spec: Spec
    start: float
    end: float
    jobs: list[Job]
    coordinator: Coordinator = field(init=False)
    press: Press = field(init=False)
    scheduler: Process | None = None
    lives: int = 0

    async def play(self) -> None:
        """Play it all."""
        self.coordinator = Coordinator(self.folder / "time", self.start)
        self.coordinator.child_ended = self.ended
        self.press = Press(World(self.spec), 0.03)
        self.port = await self.press.listen()
        self.coordinator.at(self.end, self.stop)
        self.begin()
        await self.coordinator.run()

    def begin(self) -> None:
        """Start a scheduler, and plan its end."""
        kill = self.kills[self.lives] if self.lives < len(self.kills) else None
        command = [sys.executable, "-m", "scrapy", "schedule", str(self.folder / "schedule.toml")]
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        environment |= {
            "SCRAPY_SETTINGS_MODULE": "tests.fortnight.simulated_settings",
            "PRESS_PORT": str(self.port),
        }
        if kill and kill.kind in DYING:
            environment["DIE"] = f"{DYING[kill.kind]} {kill.when:.0f}"
        elif kill:
            self.coordinator.at(max(kill.when, self.coordinator.seconds + 60), self.kill)
        archive = self.folder / "archive"
        self.scheduler = self.coordinator.start(
            [*command, "-s", f"ARCHIVE_DIR={archive}"], environment, self.folder / "log"
        )
        self.lives += 1

    def kill(self) -> None:
        """Kill the scheduler while a job is under way."""
        assert self.scheduler
        running = [process for process in self.coordinator.living.values() if process is not self.scheduler]
        if not running:
            self.coordinator.at(self.coordinator.seconds + 10, self.kill)
            return
        if self.kills[self.lives - 1].kind == "with jobs":
            for process in running:
                self.coordinator.kill(process)
        self.coordinator.kill(self.scheduler)

    def ended(self, process: Process) -> None:
        """Start another scheduler after one that was killed."""
        if process is not self.scheduler:
            return
        self.scheduler = None
        if self.coordinator.seconds >= self.end:
            self.coordinator.over.set()
            return
        if self.lives > len(self.kills):
            self.coordinator.fail(RuntimeError(f"the scheduler ended: {(self.folder / 'log').read_text()[-2000:]}"))
            return
        kill = self.kills[self.lives - 1]
        kill.time = self.coordinator.seconds
        process.killed = True
        self.coordinator.at(kill.time + kill.down, self.begin)

    def stop(self) -> None:
        """Ask for the end."""
        if self.scheduler:
            self.coordinator.kill(self.scheduler, signal.SIGTERM)
        else:
            self.coordinator.over.set()


@dataclass(frozen=True)
class Run:
    """A run of a job, as it looks from outside."""

    job: str
    process: Process

    @property
    def span(self) -> tuple[float, float]:
        """When it started and ended."""
        assert self.process.ended is not None
        return self.process.started, self.process.ended


def runs(life: Life) -> list[Run]:
    """Return the runs of jobs in the order of their starts, by the command lines of processes."""
    found = []
    for process in life.coordinator.processes:
        if process.words[3:4] == ["archive"]:
            report = Path(process.words[process.words.index("--report") + 1])
            found.append(Run(report.name.split(".")[0], process))
    return found


def crawls(life: Life) -> dict[str, list[Process]]:
    """Return the crawls of each publisher."""
    found: dict[str, list[Process]] = {publisher: [] for publisher in PUBLISHERS}
    for process in life.coordinator.processes:
        if process.words[3:4] == ["crawl"]:
            found[process.words[4]].append(process)
    return found


def fires(life: Life, job: Job) -> list[float]:
    """Return when a job was due: the minutes that match, each with its delay."""
    trigger: CronTrigger = job.trigger
    start, end = (datetime.fromtimestamp(time, UTC) for time in (life.start, life.end))
    times = due(trigger.expression, trigger.zone, start, end + timedelta(days=8))
    found = (time + trigger.delay(time, after) for time, after in pairwise(times))
    return [fire.timestamp() for fire in found if start < fire < end]


def overlapping(spans: list[tuple[float, float]]) -> int:
    """Return how many of these begin before one has ended that began earlier."""
    last, number = 0.0, 0
    for start, end in sorted(spans):
        number += start < last
        last = max(last, end)
    return number


def served(job: Job, due: list[float], whole: list[Run]) -> dict[float, Run | None]:
    """Return by which run each time was served: the first one that began then or later and was not killed."""
    starts = [run for run in whole if run.job == job.name and not run.process.killed]
    return {fire: next((run for run in starts if run.span[0] >= fire - 0.001), None) for fire in due}


def free(life: Life, job: Job, fire: float, serving: Run, runs: list[Run]) -> float:
    """Return from when on a run could have begun: a scheduler was there, and nobody archived its publishers."""
    names = {other.name for other in life.jobs if set(other.publishers) & set(job.publishers)}
    busy = [run.span for run in runs if run.job in names and run is not serving] + downs(life)
    time = fire
    # One that was killed may have begun for this very time, a moment after it.
    while blocking := [end for start, end in busy if start - 1 <= time < end]:
        time = max(blocking)
    return time


def downs(life: Life) -> list[tuple[float, float]]:
    """Return when there was no scheduler."""
    return [(kill.time, kill.time + kill.down) for kill in life.kills if kill.time]


def main(SEED: int = 1, DAYS: int = 14, HOURS: int = 0, KILLS: int = 10, **_: int) -> list[str]:
    """Play, print the tables, and return which figures missed."""
    life, began = new_life(SEED, HOURS or DAYS * 24, KILLS), perf_counter()
    asyncio.run(life.play())
    report, seconds = Report(), perf_counter() - began
    report.title(f"scrapy schedule: {life.hours} hours from {local(life.start)}, seed {SEED}")
    moves = f"{len(life.coordinator.processes)} processes, {life.coordinator.moves} moves of the clock"
    report.row("simulated", f"{life.hours:8} hours in {seconds:.0f} s, {moves}")
    show_kills(report, life)
    found = runs(life)
    for job in life.jobs:
        show_job(report, life, job, found)
    show_publishers(report, life)
    show_archive(report, life)
    return report.missed


def new_life(seed: int, hours: int, number: int) -> Life:
    """Return a life around the change of the clocks, with as many kills spread over it."""
    folder, short = FOLDER / "schedule", hours < 48
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # A short one has nothing but a night in it.
    jobs = JOBS.partition("# Both days")[0].replace("*/20 7 ", "0,20 1 ") if short else JOBS
    (folder / "schedule.toml").write_text(jobs)
    change = datetime.combine(CHANGE, datetime.min.time(), ZoneInfo(ZONE))
    start = (change - timedelta(minutes=10 if short else hours // 48 * 24 * 60 + 10)).timestamp()
    share = hours * HOUR / (number + 1)
    chance, kills = Random(f"schedule {seed}"), []
    for at in range(number):
        kind, down = KINDS[at % len(KINDS)], (60 if short else DOWN[at % len(DOWN)])
        when = start + share * (at + chance.uniform(0.6, 1.2))
        if kind in DYING:
            # A job makes three transactions an hour, others some more.
            when = max(3, int(share / HOUR * 3 * chance.uniform(0.5, 1)))
        kills.append(Kill(kind, when, down))
    spec = Spec(seed, CHANGE - timedelta(days=7), cna=(40, 60), dw=10, rfi=15, dw_reach=60)
    read_jobs = read(folder / "schedule.toml", PUBLISHERS, datetime.fromtimestamp(start, UTC))
    return Life(folder, hours, kills, spec, start, start + hours * HOUR, read_jobs)


def show_kills(report: Report, life: Life) -> None:
    """Print what was killed when."""
    done = [kill for kill in life.kills if kill.time]
    missing = [] if len(done) == len(life.kills) else [f"{len(life.kills) - len(done)} did not come"]
    report.row("schedulers killed", f"{len(done):8}", missing)
    for kill in done:
        print(f"      {local(kill.time)}, {kill.kind}, down for {kill.down:.0f} s")


def show_job(report: Report, life: Life, job: Job, found: list[Run]) -> None:
    """Print how often a job was due and run, and whether any time was lost, served twice, or late."""
    mine, times = [run for run in found if run.job == job.name], fires(life, job)
    by, whole = served(job, times, mine), [run for run in mine if not run.process.killed]
    minutes = max((end - start for start, end in (run.span for run in mine)), default=0) / 60
    report.title(f"{job.name}: {job.trigger}")
    change = sum(local(fire)[:10] == f"{CHANGE}" for fire in times)
    report.row("due", f"{len(times):8}, {change} of them on the day of the change", [] if times else ["never"])
    killed = len(mine) - len(whole)
    report.row("runs", f"{len(mine):8}, {killed} of them killed; the longest took {minutes:.0f} min")
    lost = [local(fire) for fire, run in by.items() if run is None and fire < life.end - HOUR]
    report.row("lost", f"{len(lost):8}", lost)
    loads = Counter(id(run.process) for run in by.values() if run)
    report.row("runs for several times", f"{sum(number > 1 for number in loads.values()):8}")
    twice = [local(run.span[0]) for run in whole if id(run.process) not in loads]
    report.row("runs for nothing: times served twice", f"{len(twice):8}", twice)
    over = overlapping([run.span for run in mine])
    report.row("overlapping", f"{over:8}", ["two at a time"] if over else None)
    waits = {fire: run.span[0] - free(life, job, fire, run, found) for fire, run in by.items() if run}
    late = [f"{local(fire)} by {wait:.0f} s" for fire, wait in waits.items() if wait > LATE]
    report.row("longest wait without a reason", f"{max(waits.values(), default=0):8.0f} s", late)


def show_publishers(report: Report, life: Life) -> None:
    """Print how crawls went, by what the press was asked and by their accounts."""
    report.title("Crawls, by processes, by the press, and by their accounts")
    accounts = Counter(file.stem.partition("-")[2] for file in (life.folder / "archive/runs").glob("*.json"))
    log = life.press.log
    for publisher, processes in crawls(life).items():
        spans = [(one.started, one.ended or life.end) for one in processes]
        whole = sum(not one.killed for one in processes)
        over, silent = overlapping(spans), sum(not any(asked_by(log, publisher, span)) for span in spans)
        told = f"{len(processes):8} crawls, {accounts[publisher]} accounts, {over} overlapping, {silent} asked nothing"
        problems = ["overlapping"] if over else []
        problems += [f"{whole} were not killed"] if accounts[publisher] < whole else []
        report.row(publisher, told, problems)


def asked_by(log: list[Asked], publisher: str, span: tuple[float, float]) -> Iterator[Asked]:
    """Yield what the press was asked for a publisher in a time."""
    host = {"cna": "cna", "dw": "dw.com", "rfi": "rfi.fr"}[publisher]
    return (asked for asked in log if span[0] <= asked.time <= span[1] and host in asked.host)


def show_archive(report: Report, life: Life) -> None:
    """Print what is in the archive, and whether it is whole."""
    archive = life.folder / "archive"
    posts = len([*(archive / "_posts").rglob("*.md")])
    command = [sys.executable, "-m", "scrapy", "verify", "-s", f"ARCHIVE_DIR={archive}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    report.row("posts", f"{posts:8}", [] if posts else ["none"])
    report.row(
        "scrapy verify exits with", f"{done.returncode:8}", done.stdout.splitlines() if done.returncode else None
    )


def local(time: float) -> str:
    """Return a time as the wall clock shows it."""
    return f"{datetime.fromtimestamp(time, ZoneInfo(ZONE)):%Y-%m-%d %H:%M:%S %Z}"
