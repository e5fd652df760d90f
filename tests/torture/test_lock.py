"""Two runs of one publisher at once: the second steps back, and the lock of a dead run is no lock."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from attack import Torturer
from nursery import ROOT, Run
from server import Server, serving
from world import LISTING, command, environment, later


@contextmanager
def held_up(archive: Path) -> Iterator[tuple["subprocess.Popen[bytes]", Server]]:
    """Have a run that waits for its listing while the context lasts."""
    asked, over = Event(), Event()

    def wait(connection: object) -> None:
        asked.set()
        over.wait()

    with serving() as server:
        later(server)
        server.answer(LISTING, wait)
        line = [sys.executable, "-m", *command(archive)]
        told = environment(server, archive.with_name("told-by-first"))
        with subprocess.Popen(line, cwd=ROOT, env=told, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            assert asked.wait(60)
            try:
                yield run, server
            finally:
                run.kill()
                over.set()


def refused(second: Run, holder: int) -> list[str]:
    """Return what is wrong with how a run takes a lock that a process holds."""
    problems = [] if second.status == 3 else [f"it ends with {second.status}, not 3"]
    problems += [] if str(holder) in second.output else ["it does not say who holds the lock"]
    problems += ["it wrote"] if second.told else []
    return problems


def test_the_second_of_two_runs_steps_back(tortured: Torturer) -> None:
    archive = tortured.copy()
    with held_up(archive) as (first, _):
        second = tortured.run(archive)
        assert refused(second, first.pid) == [], second.output
        first.send_signal(signal.SIGKILL)
        first.wait()
        third = tortured.run(archive)
    assert third.status == 0, third.output


def test_another_publisher_is_free(tortured: Torturer) -> None:
    archive = tortured.copy()
    with held_up(archive):
        other = tortured.run(archive, publisher="other")
    assert other.status != 3, other.output
    assert ("article", "http://www.cna.com.tw/news/ahel/202401150003.aspx") in other.told


def test_without_the_lock_both_run(tortured: Torturer) -> None:
    archive = tortured.copy()
    with held_up(archive) as (first, _):
        second = tortured.run(archive, without=("lock",))
    assert refused(second, first.pid)
