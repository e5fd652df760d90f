"""Files are whole or not there; drafts of the dead go, those of the living stay; a lock dies with its process."""

import json
import os
import subprocess
import sys
from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest

from newsarchive.files import Drafts, create_file, make_folder, replace_file, sweep
from newsarchive.lock import Locked, hold

CHECKOUT = Path(__file__).parents[1]


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "a/b/post.md"
    replace_file(file, b"one")
    replace_file(file, b"two")
    assert file.read_bytes() == b"two"
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(file.parent.iterdir()) == [file]


def test_a_file_that_is_there_is_not_created_again(tmp_path: Path) -> None:
    file = tmp_path / "runs/run.json"
    create_file(file, b"one")
    with pytest.raises(FileExistsError):
        create_file(file, b"two")
    assert file.read_bytes() == b"one"
    assert list(file.parent.iterdir()) == [file]


def test_drafts_of_killed_writers_are_swept_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    post, left, held = (tmp_path / "2023" / name for name in ("post.md", ".left.tmp", ".held.tmp"))
    post.parent.mkdir()
    for file in (post, left, held):
        file.write_bytes(b"one")
    with held.open("rb") as draft:
        flock(draft, LOCK_EX)
        assert sweep(tmp_path) == 1
        assert sorted(post.parent.iterdir()) == [held, post]
    assert sweep(tmp_path) == 1
    assert list(post.parent.iterdir()) == [post]
    assert sweep(tmp_path / "absent") == 0


@pytest.mark.parametrize("step", ["os.fsync", "os.fchmod", "pathlib.Path.replace"])
@pytest.mark.parametrize("old", [b"old", None])
def test_what_fails_to_be_written_leaves_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, old: bytes | None
) -> None:
    file = tmp_path / "post.md"
    if old:
        file.write_bytes(old)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(step, fail)
    with pytest.raises(OSError, match="No space"):
        replace_file(file, b"new")
    monkeypatch.undo()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == ([("post.md", old)] if old else [])


def test_every_new_folder_is_synced_into_the_one_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr("newsarchive.files.sync_folder", lambda folder: synced.append(folder.name))
    (tmp_path / "a").mkdir()
    make_folder(tmp_path / "a/b/c")
    make_folder(tmp_path / "a/b/c")
    assert synced == [tmp_path.name, "a", "b"]


def test_a_lock_keeps_other_processes_out_and_says_who_holds_it(tmp_path: Path) -> None:
    file = tmp_path / "captures/cna/.lock"
    with hold(file), hold(file):
        told = other(file)
        assert told.startswith("locked by process ")
        assert f"process {os.getpid()} on " in told
        assert json.loads(file.read_text())["pid"] == os.getpid()
    assert other(file) == "free"


def test_a_lock_of_a_dead_process_is_no_lock(tmp_path: Path) -> None:
    file = tmp_path / ".lock"
    code = f"""
import os
from pathlib import Path
from newsarchive.lock import hold
with hold(Path({str(file)!r})):
    os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=False)
    assert done.returncode == -9
    assert json.loads(file.read_text())["pid"]
    with hold(file):
        assert json.loads(file.read_text())["pid"] == os.getpid()


def test_a_lock_whose_holder_cannot_be_read_is_still_a_lock(tmp_path: Path) -> None:
    file = tmp_path / ".lock"
    with file.open("wb") as held:
        held.write(b"\xff not JSON")
        held.flush()
        flock(held, LOCK_EX)
        with pytest.raises(Locked, match="held by another process"), hold(file):
            pass


def other(file: Path) -> str:
    """Return what another process finds when it asks for a lock."""
    code = f"""
from pathlib import Path
from newsarchive.lock import Locked, hold
try:
    with hold(Path({str(file)!r})):
        print("free")
except Locked as error:
    print("locked by", str(error).partition("held by ")[2])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_drafts_become_files_together(tmp_path: Path) -> None:
    one, two = tmp_path / "a/one.md", tmp_path / "b/two.md"
    replace_file(one, b"old")
    with Drafts() as drafts:
        drafts.write(one, b"new")
        drafts.write(two, b"two")
        # What was on disk before is not what will be: the last one counts.
        drafts.write(one, b"old")
        assert (one.read_bytes(), two.exists()) == (b"old", False)
        drafts.settle()
    assert (one.read_bytes(), two.read_bytes()) == (b"old", b"two")
    assert {path.stat().st_mode & 0o777 for path in (one, two)} == {0o644}
    assert [len(list(path.parent.iterdir())) for path in (one, two)] == [1, 1]


@pytest.mark.parametrize("step", ["os.fsync", "os.fchmod", "pathlib.Path.replace"])
def test_drafts_that_fail_leave_the_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    one, two = tmp_path / "one.md", tmp_path / "two.md"
    one.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def settle() -> None:
        with Drafts() as drafts:
            drafts.write(one, b"new")
            drafts.write(two, b"new")
            drafts.settle()

    make_folder(tmp_path)
    monkeypatch.setattr(step, fail)
    with pytest.raises(OSError, match="No space"):
        settle()
    monkeypatch.undo()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("one.md", b"old")]
