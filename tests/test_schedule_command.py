"""``scrapy schedule``: real jobs, what they leave when somebody is killed, and what it says of wrong input."""

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from places import CHECKOUT
from server import Server, article_url, calling, cna_page, reply, serving

from newsarchive.archival import Status
from newsarchive.lock import hold
from newsarchive.scheduling.book import Book, RunOnBook

LISTING = "http://www.cna.com.tw/listing.xml"
PAGE = article_url("202401150001")
#: Due once a year: whatever day it is, it is due now only because it has never run, or was missed.
JOB = '[jobs.cna]\ncron = "@yearly"\npublishers = ["cna"]\nsettings = {SECRET = "hunter2"}\n'


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        server.answer(LISTING, reply(f"<urlset><url><loc>{PAGE}</loc></url></urlset>"))
        server.answer(PAGE, reply(cna_page("202401150001")))
        yield server


class Here:
    """An archive and a file of jobs."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.archive, self.file, self.server = folder / "archive", folder / "jobs.toml", server
        self.file.write_text(JOB)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start ``scrapy schedule``; all publishers meet the server as their proxy."""
        command, environment = calling(self.server, self.archive, "schedule", str(self.file), *words)
        environment["CRAWL_LISTINGS"] = LISTING
        return subprocess.Popen(
            command, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, *words: str) -> tuple[int, str]:
        """Run ``scrapy schedule``, and return its exit status and what it said."""
        with self.start(*words) as process:
            said = process.communicate(timeout=600)[0]
        assert "Traceback" not in said, said
        assert "hunter2" not in said
        return process.returncode, said

    def runs(self) -> list[RunOnBook]:
        with closing(Book(self.archive / "schedule.sqlite", read_only=True)) as book:
            return book.runs("1 ORDER BY id")

    def slowly(self) -> Path:
        """Let the page come when a file is there."""
        ready = self.file.with_name("ready")

        def answer(connection: object) -> None:
            deadline = time.monotonic() + 60
            while not ready.exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            connection.sendall(reply(cna_page("202401150001")))  # type: ignore[attr-defined]

        self.server.answer(PAGE, answer)
        return ready


@pytest.fixture
def here(tmp_path: Path, server: Server) -> Here:
    return Here(tmp_path, server)


def until(is_so: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until something is so, as long as a process lives."""
    deadline = time.monotonic() + 60
    while not is_so():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_once_runs_what_never_ran_and_nothing_twice(here: Here) -> None:
    status, said = here.run("--status")
    assert (status, said.splitlines()[1].split()[-4:]) == (0, ["has", "not", "run", "yet"])
    assert not here.archive.exists()
    status, said = here.run("--once")
    assert status == Status.WELL, said
    starts, ends = said.splitlines()
    assert starts.endswith(" cna: starts")
    assert " cna: well, " in ends
    assert [*here.archive.glob("_posts/cna/2024/*.md")]
    assert json.loads((here.archive / "schedule/cna.json").read_text())["publishers"][0]["account"]["stored"] == 1
    assert here.run("--once") == (0, "")
    status, said = here.run("--status")
    assert (status, said.splitlines()[1].split()[-1]) == (0, "well")
    assert [(run.status, run.served) for run in here.runs()] == [(0, 1)]


def test_the_gravest_status_is_that_of_all(here: Here) -> None:
    here.server.answer(PAGE, reply(cna_page("202401150001").replace('class="paragraph"', 'class="else"')))
    here.file.write_text(JOB + '[jobs.budget]\ncron = "@yearly"\npublishers = ["cna"]\nbudget = "1s"\n')
    status, said = here.run("--once")
    assert status == Status.DRIFT, said
    assert " cna: a layout has drifted, " in said
    assert "s: cna: a layout has drifted\n" in said


def test_a_wrong_file_starts_nothing(here: Here) -> None:
    here.file.write_text(f"{JOB}jitter = 5\n[jobs.b]\n")
    status, said = here.run()
    told = f'{here.file}:5:10: jobs.cna.jitter: text in quotes is needed: "…", not a number'
    assert (status, said.splitlines()[-1].partition(": error: ")[2]) == (2, told)
    assert (here.archive.exists(), here.server.asked) == (False, [])


def test_two_schedules_of_an_archive(here: Here) -> None:
    with hold(here.archive / "schedule.lock"):
        status, said = here.run()
        assert status == Status.RUNNING
        assert f"another schedule of this archive is under way: {here.archive}/schedule.lock is held by" in said
        assert f"process {os.getpid()} on " in said
    assert here.server.asked == []


def test_an_archive_that_cannot_be_written(here: Here) -> None:
    here.archive.write_text("no folder")
    status, said = here.run()
    assert (status, "the archive cannot be written: " in said) == (Status.STORAGE, True)


def test_a_book_that_is_damaged(here: Here) -> None:
    here.archive.mkdir()
    (here.archive / "schedule.sqlite").write_text("no database" * 100)
    status, said = here.run()
    assert status == Status.STORAGE
    assert "schedule.sqlite cannot be used: file is not a database; if it is damaged, move it away" in said


def test_a_run_outlives_its_scheduler_and_is_taken_up(here: Here) -> None:
    ready = here.slowly()
    first = here.start("--once")
    until(lambda: PAGE in here.server.asked, first)
    first.kill()
    first.communicate()
    assert [run.ended for run in here.runs()] == [None]
    assert "under way" in here.run("--status")[1]
    second = here.start("--once")
    assert second.stdout
    assert "a run that an earlier scheduler started is under way" in second.stdout.readline()
    ready.touch()
    said = second.communicate(timeout=60)[0]
    assert "cna: well, begun by an earlier scheduler" in said
    assert (second.returncode, [run.status for run in here.runs()]) == (0, [0])
    assert here.server.asked.count(PAGE) == 1


def test_a_run_that_was_killed_with_its_scheduler_is_run_again(here: Here) -> None:
    ready = here.slowly()
    first = here.start("--once")
    until(lambda: PAGE in here.server.asked, first)
    first.kill()
    first.communicate()
    # Whoever holds the job's lock is the job, which is in a session of its own with all that it has started.
    job = holder(here.archive / "schedule/cna.lock")
    os.killpg(job, signal.SIGKILL)
    ready.touch()
    status, said = here.run("--once")
    assert (status, [run.status for run in here.runs()]) == (0, [None, 0]), said
    assert "cna: killed, begun by an earlier scheduler\n" in said
    assert "cna: it is run again\n" in said


def holder(lock: Path) -> int:
    """Return the process that has a file open."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(link.readlink() == lock for link in (process / "fd").iterdir()):
                return int(process.name)
        except OSError:
            # Another's, or gone.
            continue
    raise AssertionError(f"nobody has {lock}")


def test_asked_to_end_it_waits_for_its_jobs(here: Here) -> None:
    ready = here.slowly()
    # Known for two years, it has been missed.
    here.archive.mkdir()
    with closing(Book(here.archive / "schedule.sqlite")) as book:
        book.follow({"cna": "* * * * * UTC"}, datetime.now(UTC) - timedelta(hours=1))
    here.file.write_text(JOB.replace("@yearly", "* * * * *"))
    process = here.start()
    until(lambda: PAGE in here.server.asked, process)
    process.send_signal(signal.SIGTERM)
    assert process.stdout
    lines: list[str] = []
    while not any("asked to end: waiting for cna" in line for line in lines):
        lines.append(process.stdout.readline())
        assert lines[-1], lines
    process.send_signal(signal.SIGINT)
    while not any("still waiting for cna: runs finish what they have begun" in line for line in lines):
        lines.append(process.stdout.readline())
        assert lines[-1], lines
    assert process.poll() is None
    ready.touch()
    said = "".join([*lines, process.communicate(timeout=60)[0]])
    assert process.returncode == 0, said
    assert "cna is due now, as it was missed" in said
    (run,) = here.runs()
    assert (run.status, run.served >= 60) == (Status.FAILED, True)
    assert json.loads((here.archive / "schedule/cna.json").read_text())["publishers"][0]["account"]["stored"] == 1
    with closing(sqlite3.connect(here.archive / "schedule.sqlite")) as store:
        assert store.execute("SELECT id FROM apscheduler_jobs").fetchall() == [("cna",)]
