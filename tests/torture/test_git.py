"""Publishing killed at any call that writes: the next run works, and the repository is whole."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from conftest import MEMORY
from publishing import CALLER, STAGES, Point, Publisher, problems
from scene import WHOLE, Record

from newsarchive.publication import stale

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
#: Calls attacked in a sample, and tests among which all of a stage are divided.
SAMPLE = 3
SHARES = 4 if WHOLE else 1


@pytest.fixture(autouse=True)
def nobodys_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture(scope="session")
def stages() -> Iterator[Callable[[str], tuple[Publisher, list[Point]]]]:
    """Return what returns who publishes a stage, and every call of that."""
    with TemporaryDirectory(prefix="torture-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as folder:

        @cache
        def stage(name: str) -> tuple[Publisher, list[Point]]:
            scratch = Path(folder, name)
            (scratch / "base").mkdir(parents=True)
            publisher = Publisher(scratch, STAGES[name](scratch / "base"))
            return publisher, list(publisher.points())

        yield stage


def spread(points: list[Point]) -> list[Point]:
    """Return all points, or some of every kind of process."""
    if WHOLE:
        return points
    kinds = list({(point.process.rpartition("-")[0], point.name): point for point in points}.values())
    return kinds[:: max(1, len(kinds) // SAMPLE)]


@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize(
    ("name", "alone"),
    [
        pytest.param(name, alone, id=f"{name}-{'git alone' if alone else 'all'}")
        for name in STAGES
        for alone in (False, True)
        # What a parent makes of a killed git shows best where there is most to do.
        if WHOLE or not alone or name == "diverged"
    ],
)
def test_killed_at_every_call(
    stages: Callable[[str], tuple[Publisher, list[Point]]], record_property: Record, name: str, alone: bool, share: int
) -> None:
    publisher, points = stages(name)
    chosen = [point for point in spread(points) if not (alone and point.process == CALLER)][share::SHARES]
    publisher.fresh()
    before = publisher.head
    found = []
    done = 0
    for point in chosen:
        if not publisher.kill(point, alone=alone):
            continue
        done += 1
        if wrong := problems(publisher, before):
            found.append(f"{point}:\n    " + "\n    ".join(wrong))
    record_property("total:git: calls at which a publication was killed", done)
    record_property("total:git: calls that were not made again", len(chosen) - done)
    record_property("total:git: of them, the next run published everything, fsck clean", done - len(found))
    assert not found, "\n".join([f"{len(found)} of {done}", *found])
    assert len(chosen) - done <= len(chosen) // 20
    assert done


def test_every_step_is_attacked(stages: Callable[[str], tuple[Publisher, list[Point]]]) -> None:
    processes: Counter[str] = Counter()
    for name in STAGES:
        processes.update(point.process.rpartition("-")[0] or CALLER for point in stages(name)[1])
    assert {
        *(CALLER, "init", "read-tree", "update-index", "write-tree", "commit-tree", "update-ref"),
        *("push", "fetch", "unpack-objects", "checkout", "gc", "pack-refs", "repack", "pack-objects"),
    } <= set(processes)


def test_without_looking_for_stale_locks_the_next_run_fails(
    stages: Callable[[str], tuple[Publisher, list[Point]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher, points = stages("hourly")
    locked = [point for point in points if point.name == "openat" and point.file.endswith("refs/heads/main.lock")]
    after = next(point for point in points if point.process == locked[0].process and point.name == "write")
    assert publisher.kill(after)
    monkeypatch.setattr(stale, "clear", lambda *_: [])
    assert problems(publisher, "")
