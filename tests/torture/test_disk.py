"""What torture stands on: a harmed call is not made, and what a disk holds after a power cut is what was synced."""

import subprocess
import sys
from pathlib import Path

import pytest
import strace
from disk import Disk, loaded, write

SAVE = """
import os, sys
def at(name):
    return os.path.join(sys.argv[1], name)
def save(name, *pieces, sync=True):
    file = os.open(at(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for piece in pieces:
        os.write(file, piece)
    if sync:
        os.fsync(file)
    os.close(file)
def sync(name):
    folder = os.open(at(name), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
"""


def traced(folder: Path, script: str, *options: str) -> list[strace.Call]:
    """Run a script in a folder, and return its calls."""
    folder.mkdir(exist_ok=True)
    log = folder.with_name("log")
    command = ["strace", "-f", "-y", "-xx", "-s", "1000000", "-o", str(log), "-e", f"trace={strace.names()}", *options]
    subprocess.run([*command, sys.executable, "-c", SAVE + script, str(folder)], check=False, capture_output=True)
    lines = log.read_text().splitlines()
    return list(strace.calls(log, {int(lines[0].split(" ", 1)[0]): 0}))


CASES = {
    "nothing synced": (
        "save('new', b'abcd', sync=False)",
        {
            "lost": {"old": b"old"},
            "bytes": {"old": b"old"},
            "names": {"old": b"old", "new": b""},
            "torn": {"old": b"old", "new": b"ab"},
            "kept": {"old": b"old", "new": b"abcd"},
        },
    ),
    "bytes synced, the name not": (
        "save('new', b'abcd')",
        {"lost": {"old": b"old"}, "names": {"old": b"old", "new": b"abcd"}, "torn": {"old": b"old", "new": b"abcd"}},
    ),
    "name synced, the bytes not": (
        "save('new', b'abcd', sync=False); sync('')",
        {"lost": {"old": b"old", "new": b""}, "kept": {"old": b"old", "new": b"abcd"}},
    ),
    "both synced": ("save('new', b'abcd'); sync('')", {"lost": {"old": b"old", "new": b"abcd"}}),
    "appended in two pieces": (
        "save('old', b'abcd', b'efgh', sync=False)",
        {
            "lost": {"old": b"old"},
            "torn": {"old": b"oldabcdef"},
            "holes": {"old": b"old\0\0\0\0efgh"},
            "kept": {"old": b"oldabcdefgh"},
        },
    ),
    "renamed over the old": (
        "save('new', b'abcd'); os.rename(at('new'), at('old'))",
        {"lost": {"old": b"old"}, "names": {"old": b"abcd"}, "kept": {"old": b"abcd"}},
    ),
    "renamed over the old, unsynced": (
        "save('new', b'abcd', sync=False); os.rename(at('new'), at('old')); sync('')",
        {"lost": {"old": b""}, "kept": {"old": b"abcd"}},
    ),
    "removed": ("os.unlink(at('old'))", {"lost": {"old": b"old"}, "kept": {}}),
    "a folder nobody synced": (
        "os.mkdir(at('in')); save('in/new', b'abcd'); sync('in')",
        {"lost": {"old": b"old"}, "kept": {"old": b"old", "in": None, "in/new": b"abcd"}},
    ),
    "written in the middle and cut": (
        "f = open(at('old'), 'r+b', buffering=0); f.seek(1); f.write(b'XY'); f.truncate(2)",
        {"lost": {"old": b"old"}, "kept": {"old": b"oX"}},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_left_after_a_power_cut(tmp_path: Path, case: str) -> None:
    script, expected = CASES[case]
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old").write_bytes(b"old")
    before = loaded(folder)
    disk = Disk(before, folder)
    for _ in disk.moments(traced(folder, script)):
        pass
    assert {variant: disk.after(variant) for variant in expected} == expected
    write(disk.after("kept"), tmp_path / "kept")
    assert kept(tmp_path / "kept") == kept(folder)


def test_a_sync_that_fails_is_not_made_up_for(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    before = "f = os.open(at('new'), os.O_WRONLY | os.O_CREAT); sync(''); os.write(f, b'ab')\ntry:\n os.fsync(f)\n"
    script = before + "except OSError:\n os.write(f, b'cd'); os.fsync(f)"
    disk = Disk(loaded(folder), folder)
    for _ in disk.moments(traced(folder, script, "-e", "inject=fsync:error=EIO:when=2")):
        pass
    assert (folder / "new").read_bytes() == b"abcd"
    assert disk.after("lost") == disk.after("kept") == {"new": b"\0\0cd"}


def kept(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in folder.rglob("*")}


def test_a_killed_call_is_not_made(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    script = "save('new', b'first', b'second')"
    writes = [call for call in traced(folder, script) if call.name == "write"]
    assert [call.strings[0] for call in writes[-2:]] == [b"first", b"second"]
    (folder / "new").unlink()
    calls = traced(folder, script, "-e", f"inject=write:signal=KILL:when={writes[-1].ordinal}")
    assert calls[-1].result is None
    assert (folder / "new").read_bytes() == b"first"


def test_a_failing_call_is_not_made(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    ordinal = [call for call in traced(folder, "save('new', b'x')") if call.name == "fsync"][-1].ordinal
    script = "\ntry:\n save('new', b'y')\nexcept OSError as error:\n open(at('told'), 'w').write(error.strerror)"
    calls = traced(folder, script, "-e", f"inject=fsync:error=EIO:when={ordinal}")
    assert [call.result for call in calls if call.name == "fsync"][ordinal - 1] == -1
    assert (folder / "told").read_text() == "Input/output error"
