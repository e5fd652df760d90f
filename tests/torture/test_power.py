"""The power fails at any moment of a run: whatever the disk kept of what was not synced, nothing acknowledged is lost.

The calls of a run are done again on a simulated disk, and after each the disk is made as it may be found.
"""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from attack import Point, Torturer
from disk import VARIANTS, Disk, loaded, write
from judge import Judge, after_rerun
from nursery import Run
from scene import WHOLE, Record, Scene
from strace import Call

SHARES = 16 if WHOLE else 2
State = dict[str, bytes | None]


@dataclass
class Cut:
    """A moment at which the power fails, what may then be on the disk, and what had been promised by then."""

    after: str
    variant: str
    state: State
    promised: Run


def cuts(disk: Disk, calls: list[Call], run: Run, told: Path) -> Iterator[Cut]:
    """Yield what may be on a disk after each call of a run; the same state with the same promises once."""
    promises = [call.ended for call in calls if call.name == "write" and call.paths[:1] == [str(told)]]
    assert len(promises) == len(run.told)
    seen: set[bytes] = set()
    for call in disk.moments(calls):
        heard = sum(promise <= call.ended for promise in promises)
        for variant in VARIANTS:
            state = disk.after(variant)
            known = fingerprint(state, heard)
            if known not in seen:
                seen.add(known)
                yield Cut(f"{call.name} of {call.file(disk.path)}", variant, state, replace(run, told=run.told[:heard]))


def fingerprint(state: State, heard: int) -> bytes:
    found = hashlib.sha256(str(heard).encode())
    for path in sorted(state):
        found.update(path.encode() + b"\0" + hashlib.sha256(state[path] or b"").digest())
    return found.digest()


def lying(archive: Path) -> State:
    """Return what really lies in an archive, but for what SQLite shares in memory."""
    found = (path for path in archive.rglob("*") if not path.name.endswith("-shm"))
    return {str(path.relative_to(archive)): None if path.is_dir() else path.read_bytes() for path in found}


def follow(disk: Disk, calls: list[Call], archive: Path) -> bool:
    """Do the calls of a killed run; return whether the disk is then as the real one.

    What a thread was doing when another one was killed may have been done, though nobody has seen its result.
    """
    for _ in disk.moments(calls):
        pass
    for call in calls:
        if call.result is None and disk.after("kept") != lying(archive):
            disk.finish(call)
    disk.open.clear()
    return disk.after("kept") == lying(archive)


def restored(state: State, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    write(state, folder)
    return folder


@pytest.fixture(scope="module")
def all_cuts(tortured: Torturer, scene: Scene) -> list[Cut]:
    archive = tortured.copy("powered", of=scene.base)
    disk = Disk(loaded(archive), archive)
    run, calls = tortured.watched(archive)
    assert run.status == 0, run.output
    found = list(cuts(disk, calls, run, tortured.told))
    # The simulated disk is right as far as the real one can tell.
    assert disk.after("kept") == lying(archive)
    return found


@pytest.mark.parametrize("share", range(SHARES))
def test_power_cut(tortured: Torturer, scene: Scene, all_cuts: list[Cut], record_property: Record, share: int) -> None:
    judge = scene.judge
    found: list[str] = []
    lost = reruns = 0
    mine = all_cuts[share :: SHARES if WHOLE else 12]
    for number, cut in enumerate(mine):
        problems = judge.promised(restored(cut.state, tortured.scratch / "cut"), cut.promised)
        lost += bool(problems)
        if WHOLE or problems or number % 24 == 0:
            reruns += 1
            archive = restored(cut.state, tortured.scratch / "archive")
            again = tortured.run(archive)
            problems += after_rerun(again)
            problems += judge.differences(archive) + tortured.verified(archive)
        if problems:
            found.append(f"after {cut.after}, {VARIANTS[cut.variant]}:\n    " + "\n    ".join(problems))
    record_property("total:power: states of the disk", len(mine))
    record_property("total:power: of them, run again", reruns)
    record_property("total:power: archives inconsistent", len(found))
    record_property("total:power: states that lost what was acknowledged", lost)
    assert not found, "\n".join([f"{len(found)} of {len(mine)}", *found])


def syncs_folder(point: Point) -> bool:
    """Tell whether a call is where a name becomes safe: killed before, the next run finds it and must sync it."""
    return point.name == "fsync" and not Path(point.file).suffix and "<draft>" not in point.file


@pytest.mark.parametrize("share", range(SHARES))
def test_power_cut_after_a_kill(tortured: Torturer, scene: Scene, record_property: Record, share: int) -> None:
    """A killed run may have left names and bytes that nobody synced: the next one must not take them for safe."""
    found: list[str] = []
    chosen = scene.points if WHOLE else [point for point in scene.points if syncs_folder(point)][::2]
    chosen = chosen[share::SHARES]
    states = followed = 0
    for point in chosen:
        archive = tortured.copy(of=scene.base)
        disk = Disk(loaded(archive), archive)
        _, calls = tortured.watched(archive, steady=True, harm=point)
        if not follow(disk, calls, archive):
            continue
        followed += 1
        again, calls = tortured.watched(archive)
        assert again.status == 0, again.output
        problems: list[str] = []
        for cut in cuts(disk, calls, again, tortured.told):
            if cut.variant == "lost":
                states += 1
                problems += [
                    f"after {cut.after}: {problem}"
                    for problem in scene.judge.promised(restored(cut.state, tortured.scratch / "cut"), cut.promised)
                ]
        if problems:
            found.append(f"{point}, then a rerun, then a power cut:\n    " + "\n    ".join(problems))
    record_property("total:power: kills with a rerun and a power cut", followed)
    record_property("total:power: kills that could not be followed to the byte", len(chosen) - followed)
    record_property("total:power: states of the disk after them", states)
    record_property("total:power: kills after which the rerun lost what was acknowledged", len(found))
    assert not found, "\n".join([f"{len(found)} of {followed}", *found])
    assert followed > len(chosen) // 2


def test_power_cut_after_a_sync_that_failed(tortured: Torturer, scene: Scene, record_property: Record) -> None:
    """When a disk fails to take what was written, trying again succeeds and saves nothing."""
    found: list[str] = []
    syncs = [replace(point, harm="EIO") for point in scene.points if point.name in ("fsync", "fdatasync")]
    chosen = syncs if WHOLE else syncs[::8]
    for point in chosen:
        archive = tortured.copy(of=scene.base)
        disk = Disk(loaded(archive), archive)
        run, calls = tortured.watched(archive, harm=point)
        problems = [
            f"after {cut.after}: {problem}"
            for cut in cuts(disk, calls, run, tortured.told)
            if cut.variant == "lost"
            for problem in scene.judge.promised(restored(cut.state, tortured.scratch / "cut"), cut.promised)
        ]
        if problems:
            found.append(f"{point}, then a power cut:\n    " + "\n    ".join(problems))
    record_property("total:power: syncs that failed, with a power cut", len(chosen))
    record_property("total:power: failed syncs after which the run lost what it acknowledged", len(found))
    assert not found, "\n".join([f"{len(found)} of {len(chosen)}", *found])


@pytest.mark.parametrize("taken", ["fsync", "order"])
def test_without_syncs_a_power_cut_loses(tortured: Torturer, judge: Judge, taken: str) -> None:
    archive = tortured.copy("powered")
    disk = Disk(loaded(archive), archive)
    run, calls = tortured.watched(archive, without=(taken,))
    assert run.status == 0, run.output
    assert any(
        judge.promised(restored(cut.state, tortured.scratch / "cut"), cut.promised)
        for cut in cuts(disk, calls, run, tortured.told)
        if cut.variant == "lost"
    )
