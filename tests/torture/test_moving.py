"""``scrapy prune`` killed at any call, with calls that fail, and with the power cut: no capture is ever nowhere.

Archive and destination lie in one folder. Whatever happens, each capture file is, to the byte, in the archive, or at
the destination with a note in the archive that says so; and the same command, given again, ends as if nothing had been.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import strace
from attack import HARMS, Point, Torturer, points, sample
from disk import VARIANTS, Disk, loaded, write
from nursery import Run
from scene import WHOLE, Record
from strace import Call
from world import command, environment

ARCHIVE, COLD = "archive", "cold"
#: Of the calls, every so-manieth is attacked in a sample.
STEP = 1 if WHOLE else 60
#: Of the states of a disk, every so-manieth is gone on from.
EVERY = 1 if WHOLE else 60


@dataclass
class Move:
    """One way of moving captures, from a folder with an archive and a place elsewhere."""

    tortured: Torturer
    base: Path
    words: tuple[str, ...]
    #: SHA-256 of each capture file.
    files: dict[str, str]
    #: What the folder holds after an undisturbed move.
    ends: dict[str, str]

    def run(self, folder: Path, point: Point | None = None, log: Path | None = None) -> Run:
        """Move in a folder, and do harm at a point, or write down the calls, if that is asked for."""
        words = tuple(str(folder / COLD) if word == COLD else word for word in self.words)
        asked = command(folder / ARCHIVE, *words), environment(self.tortured.server, self.tortured.told)
        if point:
            log = self.tortured.scratch / "attacked"
            options = ("-e", f"trace={point.name}", "-e", point.option)
        elif log:
            options = ("-f", "-e", f"trace={strace.names()}")
        else:
            return self.tortured.here.run(*asked)
        return self.tortured.here.run(*asked, traced=lambda thread: strace.attach(thread, log, *options))

    def copy(self) -> Path:
        """Return a fresh copy of the folder; where it lies is part of the notes."""
        folder = self.tortured.scratch / "moving"
        shutil.rmtree(folder, ignore_errors=True)
        return Path(shutil.copytree(self.base, folder))

    def watched(self) -> tuple[Path, Run, list[Call]]:
        """Move undisturbed; return the folder, the run and its calls."""
        folder, log = self.copy(), self.tortured.scratch / "watched"
        run = self.run(folder, log=log)
        return folder, run, list(strace.calls(log, self.tortured.here.threads))

    def lost(self, folder: Path) -> list[str]:
        """Return the capture files that are nowhere."""
        found = []
        for name, digest in self.files.items():
            here, note = folder / ARCHIVE / name, folder / ARCHIVE / f"{name}.moved"
            if here.exists():
                found += [] if sha256(here) == digest else [f"{name} is another file"]
                continue
            try:
                told = json.loads(note.read_bytes())
                there = Path(told["url"].removeprefix("file://"))
                if (told["sha256"], sha256(folder / there.relative_to(self.tortured.scratch / "moving"))) != (
                    digest,
                    digest,
                ):
                    found.append(f"{name}: what its note names is another file")
            except (OSError, ValueError, KeyError) as error:
                found.append(f"{name} is lost: {error!r}")
        return found

    def goes_on(self, folder: Path) -> list[str]:
        """Move again; return what is then otherwise than after an undisturbed move."""
        again = self.run(folder)
        found = [] if again.status == 0 else [f"the same command ends with {again.status}: {again.output[-2000:]}"]
        mine = content(folder)
        found += [f"{name} is not as after no attack" for name in sorted(set(self.ends.items()) ^ set(mine.items()))]
        return found + (self.tortured.verified(folder / ARCHIVE) if WHOLE else [])

    def harmed(self, folder: Path) -> bool:
        """Tell whether the last attack met a call on the folder: not all runs make as many calls elsewhere."""
        log, named = (self.tortured.scratch / "attacked").read_text("ascii", "replace"), str(folder).encode()
        there = "".join(f"\\x{byte:02x}" for byte in named)
        return any("INJECTED" in line and there in line for line in log.splitlines())


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def content(folder: Path) -> dict[str, str]:
    """Return what a folder holds but for the index, which is not touched, and locks: digests by path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    kept = (path for path in files if not path.name.startswith("index.sqlite") and path.suffix != ".lock")
    return {str(path.relative_to(folder)): sha256(path) for path in kept if path.name != ".lock"}


@pytest.fixture(scope="module")
def moves(tortured: Torturer) -> dict[str, Move]:
    """Return both ways: out of the archive, and back."""
    here = tortured.scratch / "here"
    archive = here / ARCHIVE
    shutil.copytree(tortured.base, archive)
    assert tortured.run(archive).status == 0
    names = [str(path.relative_to(archive)) for path in archive.rglob("*.warc.gz")]
    files = {name: sha256(archive / name) for name in names}
    assert len(files) == 2
    away = Move(tortured, here, ("prune", "--to", COLD, "--older", "0d"), files, {})
    folder = away.copy()
    run = away.run(folder)
    assert run.status == 0, run.output
    assert not list((folder / ARCHIVE).rglob("*.warc.gz"))
    away.ends = content(folder)
    there = Path(shutil.copytree(folder, tortured.scratch / "there"))
    back = Move(tortured, there, ("prune", "--restore"), files, {})
    folder = back.copy()
    run = back.run(folder)
    assert run.status == 0, run.output
    back.ends = content(folder)
    assert {name: digest for name, digest in back.ends.items() if name.startswith(ARCHIVE)} == content_of(here)
    return {"away": away, "back": back}


def content_of(here: Path) -> dict[str, str]:
    return {name: digest for name, digest in content(here).items() if name.startswith(ARCHIVE)}


@cache
def attacked(move: Move) -> list[Point]:
    folder, run, calls = move.watched()
    assert run.status == 0, run.output
    return points(calls, folder)


Move.__hash__ = object.__hash__


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("way", ["away", "back"])
def test_attacked_while_moving(moves: dict[str, Move], record_property: Record, way: str, harm: str) -> None:
    move = moves[way]
    found: list[str] = []
    done = lost = 0
    for point in sample(attacked(move), harm, STEP)[:: 1 if WHOLE else 2]:
        folder = move.copy()
        run = move.run(folder, point)
        if harm != "KILL" and not move.harmed(folder):
            continue
        done += 1
        problems = move.lost(folder)
        lost += bool(problems)
        if harm == "KILL" and run.status != -9:
            problems.append(f"it was not killed, but ended with {run.status}")
        if harm != "KILL" and "Traceback" in run.output:
            problems.append(f"it broke: {run.output[-2000:]}")
        problems += move.goes_on(folder)
        if problems:
            found.append(f"{point}:\n    " + "\n    ".join(problems))
    record_property(f"total:{harm} while moving captures: calls attacked", done)
    record_property(f"total:{harm} while moving captures: not as after no attack once it was done again", len(found))
    record_property(f"total:{harm} while moving captures: captures lost", lost)
    assert not found, "\n".join([f"{len(found)} of {done}", *found])
    assert done


@pytest.mark.parametrize("way", ["away", "back"])
def test_power_cut_while_moving(moves: dict[str, Move], record_property: Record, way: str) -> None:
    move = moves[way]
    folder = move.copy()
    disk = Disk(loaded(folder), folder)
    log = move.tortured.scratch / "watched"
    run = move.run(folder, log=log)
    assert run.status == 0, run.output
    calls = list(strace.calls(log, move.tortured.here.threads))
    seen: set[str] = set()
    found: list[str] = []
    for call in disk.moments(calls):
        for variant in VARIANTS:
            state = disk.after(variant)
            known = hashlib.sha256(repr(sorted(state.items())).encode()).hexdigest()
            if known in seen:
                continue
            seen.add(known)
            left = move.tortured.scratch / "moving"
            shutil.rmtree(left)
            write(state, left)
            problems = move.lost(left)
            if problems or len(seen) % EVERY == 0:
                problems += move.goes_on(left)
            if problems:
                where = call.file(folder)
                found.append(f"after {call.name} of {where}, {VARIANTS[variant]}:\n    " + "\n    ".join(problems))
    record_property("total:power cut while moving captures: states of the disk", len(seen))
    record_property("total:power cut while moving captures: states that lost a capture", len(found))
    assert not found, "\n".join([f"{len(found)} of {len(seen)}", *found])


def test_without_syncs_a_power_cut_loses_captures(moves: dict[str, Move]) -> None:
    """What the test before this one would say of a program that syncs nothing."""
    move = moves["away"]
    folder, log = move.copy(), move.tortured.scratch / "watched"
    disk = Disk(loaded(folder), folder)
    assert move.run(folder, log=log).status == 0
    calls = [call for call in strace.calls(log, move.tortured.here.threads) if call.name not in ("fsync", "fdatasync")]
    left = move.tortured.scratch / "moving"
    lost = 0
    for _ in disk.moments(calls):
        shutil.rmtree(left)
        write(disk.after("names"), left)
        lost += bool(move.lost(left))
    assert lost
