"""Jobs as processes: one at a time, and nothing that is not on record; a small program stands for what they run."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from places import CHECKOUT

from newsarchive.scheduling import runner as runner_module
from newsarchive.scheduling import scheduler as scheduler_module
from newsarchive.scheduling.book import MOST_STARTS, Book
from newsarchive.scheduling.cron import CronTrigger
from newsarchive.scheduling.jobfile import Job
from newsarchive.scheduling.runner import Runner
from newsarchive.scheduling.scheduler import Schedule
from newsarchive.scheduling.turns import Turns

NOW = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
PUBLISHERS = frozenset(("cna", "rfi"))


class Case:
    """A runner of some jobs, and what happened."""

    def __init__(self, folder: Path, jobs: dict[str, tuple[str, ...]]) -> None:
        self.folder = folder / "schedule"
        self.folder.mkdir()
        self.file = folder / "schedule.sqlite"
        self.book = Book(self.file)
        self.jobs = [self.job(name, publishers) for name, publishers in jobs.items()]
        self.book.follow({job.name: job.times for job in self.jobs}, NOW)
        self.said: list[str] = []
        self.runner = Runner(self.book, self.folder, [], self.said.append)

    @staticmethod
    def job(name: str, publishers: tuple[str, ...]) -> Job:
        """Return a job of every hour."""
        return Job(name, CronTrigger(name, "0 * * * *", "UTC"), publishers, ())

    def let(self, job: str, status: int = 0) -> None:
        """Let the runs of a job end, with a status."""
        (self.folder / f"{job}.go").write_text(str(status))

    def events(self) -> list[str]:
        """Return what the runs said, without the numbers of their processes."""
        file = self.folder / "stand-in"
        return [" ".join(line.split()[:2]) for line in file.read_text().splitlines()] if file.exists() else []

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so."""
        for _ in range(3000):
            if is_so():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{self.events()} {self.said}")

    def play(self, story: Awaitable[None], serve: Awaitable[None] | None = None) -> None:
        """Serve the jobs while a story goes on, and stop after it."""

        async def both() -> None:
            serving = asyncio.ensure_future(serve or self.runner.serve(self.jobs))
            try:
                await story
            finally:
                self.runner.stop()
                await serving

        asyncio.run(both())


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Case]]:
    monkeypatch.setattr(sys, "executable", str(Path(__file__).with_name("stand_in.py")))
    monkeypatch.setattr(runner_module, "TRY_AGAIN", 0.05)
    monkeypatch.setattr(runner_module, "LOOK_AGAIN", 0.05)
    cases: list[Case] = []

    def make(**jobs: tuple[str, ...]) -> Case:
        cases.append(Case(tmp_path, jobs))
        return cases[-1]

    yield make
    for one in cases:
        one.book.close()


def test_what_comes_while_it_runs_is_served_by_one_run_after_it(case: Callable[..., Case]) -> None:
    here = case(a=("cna",))

    async def story() -> None:
        here.book.enter("a", [NOW])
        here.runner.poke("a")
        await here.until(lambda: here.events() == ["a start"])
        here.book.enter("a", [NOW + HOUR, NOW + 2 * HOUR])
        here.runner.poke("a")
        here.let("a", 6)
        await here.until(lambda: len(here.events()) == 4 and not here.book.unended())

    here.play(story())
    assert here.events() == ["a start", "a end"] * 2
    assert [(run.served, run.status) for run in here.book.runs("1")] == [(1, 6), (2, 6)]
    assert [line.split(", ")[0] for line in here.said] == ["a: starts", "a: a layout has drifted"] * 2
    assert ", for 2 times that were due" in here.said[3]
    assert not [*here.folder.glob("a.*.json")]
    assert (here.folder / "a.json").exists()


def test_jobs_of_a_publisher_wait_for_each_other_and_others_do_not(case: Callable[..., Case]) -> None:
    here = case(a=("cna", "rfi"), b=("rfi",), c=("dw",))

    async def story() -> None:
        for job in here.jobs:
            here.book.enter(job.name, [NOW])
            here.runner.poke(job.name)
        await here.until(lambda: sorted(here.events()) == ["a start", "c start"])
        here.let("b")
        here.let("c")
        await here.until(lambda: "c end" in here.events())
        assert "b start" not in here.events()
        here.let("a")
        await here.until(lambda: "b end" in here.events())

    here.play(story())
    assert [event for event in here.events() if event[0] != "c"] == ["a start", "a end", "b start", "b end"]


def test_asked_to_stop_it_waits_for_what_has_begun(case: Callable[..., Case]) -> None:
    here = case(a=("cna",), b=("cna",))

    async def story() -> None:
        for job in here.jobs:
            here.book.enter(job.name, [NOW])
            here.runner.poke(job.name)
        await here.until(lambda: here.events() == ["a start"])

    here.play(story())
    assert here.events() == ["a start", "a end"]
    assert (here.book.last("a").status, here.book.last("b"), here.book.waiting("b")) == (1, None, 1)  # type: ignore[union-attr]


def test_a_run_that_is_killed_is_run_again_but_not_for_ever(case: Callable[..., Case]) -> None:
    here = case(a=("cna",))
    here.let("a", -signal.SIGKILL)

    async def story() -> None:
        here.book.enter("a", [NOW])
        here.runner.poke("a")
        await here.until(lambda: len(here.said) == 3 * MOST_STARTS)

    here.play(story())
    assert here.events() == ["a start", "a end"] * MOST_STARTS
    assert here.said[1:3] == ["a: killed by SIGKILL, 0 s", "a: it is run again"]
    assert here.said[-1] == f"a: it is not run again before it is due, as {MOST_STARTS} runs were killed"


def test_without_a_report_its_last_words_are_told(case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> None:
    here = case(a=("cna",))
    monkeypatch.setattr(sys, "executable", "/bin/false")
    here.book.enter("a", [NOW])
    asyncio.run(here.runner.serve(here.jobs, once=True))
    assert (here.runner.statuses, here.said[-1].split(", ")[0]) == ([1], "a: something failed")
    monkeypatch.setattr(sys, "executable", str(here.folder / "nobody"))
    here.book.enter("a", [NOW + HOUR])
    asyncio.run(here.runner.serve(here.jobs, once=True))
    assert here.runner.statuses == [1, None]
    assert any("it could not be started: [Errno 2]" in line for line in here.said)


def test_nothing_runs_that_cannot_be_entered(case: Callable[..., Case]) -> None:
    here = case(a=("cna",))
    here.let("a")
    here.book.enter("a", [NOW])
    real = here.book.begin

    def begin(job: str, now: datetime) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    here.book.begin = begin  # type: ignore[method-assign,assignment]

    async def story() -> None:
        await here.until(lambda: len(here.said) == 3)
        assert here.events() == []
        here.book.begin = real  # type: ignore[method-assign]
        await here.until(lambda: bool(here.book.last("a")))

    here.play(story())
    assert here.said[0] == (
        "a: not started, as this cannot be written or read: database or disk is full; next try in a minute"
    )
    assert here.events() == ["a start", "a end"]


def test_a_run_whose_end_cannot_be_entered_is_not_run_again(case: Callable[..., Case]) -> None:
    here = case(a=("cna",))
    here.let("a", 5)
    here.book.enter("a", [NOW])
    real, told = here.book.end, here.said

    def end(*_: object, **__: object) -> int:
        raise sqlite3.OperationalError("database or disk is full")

    here.book.end = end  # type: ignore[method-assign]

    async def story() -> None:
        await here.until(lambda: len(told) >= 3)
        here.book.enter("a", [NOW + HOUR])
        here.runner.poke("a")
        await here.until(lambda: len(told) >= 5)
        assert here.events() == ["a start", "a end"]
        here.book.end = real  # type: ignore[method-assign]
        await here.until(lambda: here.events() == ["a start", "a end"] * 2 and not here.book.unended())

    here.play(story())
    assert told[1] == "a: its end cannot be written: database or disk is full; next try in a minute"
    assert [run.status for run in here.book.runs("1")] == [5, 5]


def test_what_a_scheduler_left_is_settled_by_its_report(case: Callable[..., Case]) -> None:
    here = case(a=("cna",), b=("cna",))
    here.book.enter("a", [NOW])
    here.book.enter("gone", [NOW])
    left = [here.book.begin(job, NOW) for job in ("a", "gone")]
    for run in left:
        report = here.folder / f"{run.job}.{run.id}.json"
        report.write_text(
            '{"status": 7, "publishers": [{"publisher": "cna", "status": 7, "means": "x"}], "not_run": []}'
        )
    asyncio.run(here.runner.serve(here.jobs, once=True))
    assert here.events() == []
    assert [(run.job, run.status, run.said) for run in here.book.runs("1")] == [
        ("a", 7, "cna: x"),
        ("gone", 7, "cna: x"),
    ]
    assert sorted(file.name for file in here.folder.glob("*.json")) == ["a.json", "gone.json"]


def test_the_clock_jumps(case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> None:
    """Forward, what was missed is made up for by one run; back, nothing is run again."""
    here = case(a=("cna",))
    here.let("a")
    monkeypatch.setattr(scheduler_module, "BEAT", 0.05)
    with time_machine.travel(NOW, tick=False) as traveller:
        schedule = Schedule(here.book, here.file, here.jobs, here.runner, here.said.append)

        async def story() -> None:
            await here.until(lambda: bool(schedule.scheduler.get_jobs()))
            assert schedule.scheduler.get_job("a").next_run_time == NOW + HOUR / 2
            traveller.shift(5 * HOUR)
            await here.until(lambda: bool(here.book.last("a")))
            await here.until(lambda: schedule.scheduler.get_job("a").next_run_time == NOW + 5.5 * HOUR)
            traveller.shift(-2 * HOUR)
            await here.until(lambda: schedule.scheduler.get_job("a").next_run_time == NOW + 3.5 * HOUR)
            # Four and five o'clock come again and have been served; half past five is new.
            traveller.shift(2.1 * HOUR)
            await here.until(lambda: schedule.scheduler.get_job("a").next_run_time == NOW + 5.5 * HOUR)
            assert here.events() == ["a start", "a end"]
            traveller.shift(HOUR)
            await here.until(lambda: len(here.book.runs("ended IS NOT NULL")) == 2)
            schedule.stop()
            schedule.stop()

        here.play(story(), schedule.run())
    assert [run.served for run in here.book.runs("1")] == [5, 1]
    jumps = [line for line in here.said if "the clock was put" in line]
    assert jumps[:2] == [
        "the clock was put forward by 18000 s; what is due is reckoned anew",
        "the clock was put back by 7200 s; what is due is reckoned anew",
    ]
    assert here.said[-2:] == [
        "asked to end",
        "still waiting for what is being written: runs finish what they have begun",
    ]


def test_the_job_store_follows_the_file(case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> None:
    here = case(a=("cna",), b=("dw",))
    for job in here.jobs:
        here.let(job.name)

    def times(jobs: list[Job]) -> dict[str, datetime]:
        runner = Runner(here.book, here.folder, [], here.said.append)
        schedule, found = Schedule(here.book, here.file, jobs, runner, here.said.append), {}
        here.book.follow({job.name: job.times for job in jobs}, NOW)

        async def both() -> None:
            running = asyncio.ensure_future(schedule.run())
            await here.until(lambda: len(schedule.scheduler.get_jobs()) == len(jobs))
            found.update({job.id: job.next_run_time for job in schedule.scheduler.get_jobs()})
            schedule.stop()
            await running

        asyncio.run(both())
        return found

    with time_machine.travel(NOW, tick=False):
        assert times(here.jobs) == {"a": NOW + HOUR / 2, "b": NOW + HOUR / 2}
        changed = Job("b", CronTrigger("b", "15 14 * * *", "UTC"), ("dw",), ())
        assert times([changed]) == {"b": NOW + 1.75 * HOUR}
        assert times([here.jobs[0], changed]) == {"a": NOW + HOUR / 2, "b": NOW + 1.75 * HOUR}
    with closing(sqlite3.connect(here.file)) as book:
        assert book.execute("SELECT id FROM apscheduler_jobs ORDER BY id").fetchall() == [("a",), ("b",)]


def test_a_time_that_cannot_be_entered_is_not_lost(case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> None:
    here = case(a=("cna",))
    here.let("a")
    monkeypatch.setattr(scheduler_module, "BEAT", 0.05)
    real = here.book.enter

    def enter(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    here.book.enter = enter  # type: ignore[method-assign]
    with time_machine.travel(NOW, tick=False) as traveller:
        schedule = Schedule(here.book, here.file, here.jobs, here.runner, here.said.append)

        async def story() -> None:
            await here.until(lambda: bool(schedule.scheduler.get_jobs()))
            traveller.shift(HOUR)
            await here.until(lambda: "a: it is due, and that cannot be written" in " ".join(here.said))
            here.book.enter = real  # type: ignore[method-assign]
            await here.until(lambda: bool(here.book.last("a")))
            schedule.stop()

        here.play(story(), schedule.run())
    assert here.events() == ["a start", "a end"]


def test_a_process_that_outlives_its_scheduler_is_waited_for(case: Callable[..., Case]) -> None:
    here = case(a=("cna",))
    here.book.enter("a", [NOW])

    # In a process of its own, which is gone before it could do anything more.
    program = f"""
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_schedule_runner import Case
from newsarchive.scheduling.book import Book
from newsarchive.scheduling.runner import Runner
case = Case.__new__(Case)
case.folder, case.said = Path({str(here.folder)!r}), []
sys.executable = {sys.executable!r}
async def main():
    runner = Runner(Book(Path({str(here.file)!r})), case.folder, [], print)
    serving = asyncio.ensure_future(runner.serve([Case.job("a", ("cna",))]))
    await case.until(lambda: case.events() == ["a start"])
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""
    python = Path(sys.prefix, "bin/python")
    done = subprocess.run([python, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert here.events() == ["a start"]
    other = Runner(here.book, here.folder, [], here.said.append)

    async def story() -> None:
        serving = asyncio.ensure_future(other.serve(here.jobs))
        await here.until(lambda: any("it is waited for" in line for line in here.said))
        here.book.enter("a", [NOW + HOUR])
        other.poke("a")
        here.let("a", 4)
        await here.until(lambda: len(here.book.runs("ended IS NOT NULL")) == 2)
        other.stop()
        await serving

    asyncio.run(story())
    assert here.events() == ["a start", "a end"] * 2
    assert [(run.served, run.status) for run in here.book.runs("1")] == [(1, 4), (1, 4)]


def test_turns_for_the_same_publishers_are_taken_one_after_the_other() -> None:
    """Also where they are the same object to the last, as for jobs that are gone from the file."""
    turns, held, most = Turns(), [], []

    async def take(number: int) -> None:
        async with turns.of(PUBLISHERS):
            held.append(number)
            most.append(len(held))
            await asyncio.sleep(0)
            held.remove(number)

    async def all_of_them() -> None:
        await asyncio.gather(*map(take, range(4)))

    asyncio.run(all_of_them())
    assert (most, turns.asked) == ([1, 1, 1, 1], [])
