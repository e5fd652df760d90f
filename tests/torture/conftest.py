"""One world for all tests of a process, and one list of points of attack for all processes."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import strace
from attack import Point, Torturer, points, torturer
from judge import Judge
from scene import Scene

#: Where syncing takes no time: what a kill leaves is the same anywhere, and the power is cut on a disk of our own.
MEMORY = Path("/dev/shm")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what cannot be: without strace there is no torture."""
    if why := strace.missing():
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def tortured() -> Iterator[Torturer]:
    """Return who runs and attacks; the archive of the first run is made."""
    folder = MEMORY if os.access(MEMORY, os.W_OK) else None
    with TemporaryDirectory(prefix="torture-", dir=folder) as scratch, torturer(Path(scratch)) as found:
        yield found


@pytest.fixture(scope="session")
def scenes(tortured: Torturer, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Scene]:
    """Return what returns a scene: ``stored``, where an archive has seen a run before, or ``empty``."""
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder

    @cache
    def scene(name: str) -> Scene:
        base = {"stored": tortured.base, "empty": tortured.scratch / "empty"}[name]
        base.mkdir(exist_ok=True)
        reference = tortured.copy(f"reference-{name}", of=base)
        run = tortured.run(reference)
        assert run.status == 0, run.output
        assert tortured.verified(reference) == []
        return Scene(base, Judge(base, reference), once(shared / f"points-{name}.json", lambda: watched(base)))

    def watched(base: Path) -> list[Point]:
        archive = tortured.copy(of=base)
        run, calls = tortured.watched(archive, steady=True)
        assert run.status == 0, run.output
        return points(calls, archive)

    return scene


def once(file: Path, find: Callable[[], list[Point]]) -> list[Point]:
    """Return what the first process that asks has found, to all."""
    with file.open("a+") as shared:
        fcntl.flock(shared, fcntl.LOCK_EX)
        shared.seek(0)
        if not (told := shared.read()):
            told = json.dumps([asdict(point) for point in find()])
            shared.write(told)
    return [Point(**point) for point in json.loads(told)]


@pytest.fixture(scope="session", params=["stored", "empty"])
def scene(request: pytest.FixtureRequest, scenes: Callable[[str], Scene]) -> Scene:
    """Return each scene."""
    return scenes(request.param)


@pytest.fixture(scope="session")
def stored(scenes: Callable[[str], Scene]) -> Scene:
    """Return the scene in which most can happen."""
    return scenes("stored")


@pytest.fixture(scope="session")
def judge(stored: Scene) -> Judge:
    """Return who knows what an archive must hold in that scene."""
    return stored.judge
