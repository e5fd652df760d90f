"""``scrapy prune``: captures moved elsewhere, found there by whoever reads captures, and brought back."""

import argparse
import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import fsspec
import orjson
import pytest
import time_machine
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from rich.filesize import decimal
from scrapy.exceptions import UsageError
from server import ROOT, cna_page
from test_verify import FILE, FIRST, IDS, LATER, SECOND, changed, contents, dump, flip, settings_for, write_run

from newsarchive.commands.prune import Command
from newsarchive.commands.verify import Command as Verify
from newsarchive.elsewhere import reached
from newsarchive.elsewhere.moved import Kept, kept, note_of
from newsarchive.elsewhere.prune import prune_lock
from newsarchive.health import Thresholds
from newsarchive.index import Index
from newsarchive.recover import recover
from newsarchive.status.overview import overview
from newsarchive.store import lock_file
from newsarchive.warc import CaptureWriter, at, check, payload_digest, read

THIRD = "20240303T050000Z-00000003"
NEWEST = f"captures/cna/{THIRD}.warc.gz"
FILES = (FILE, LATER, NEWEST)
#: A year after the first run, hours before the second is a year old.
YEAR_LATER = datetime(2025, 3, 1, 12, tzinfo=UTC)


class Strange(MemoryFileSystem):
    """An object store in memory that fails as tests ask it to."""

    protocol = "strange"
    store: dict[str, Any] = {}
    pseudo_dirs = [""]
    cachable = False
    #: What befalls: ``alters``, ``full``, ``down``; empty if nothing does.
    harm = ""
    asked = 0

    def cat_file(self, path: str, start: Any = None, end: Any = None, **options: Any) -> bytes:
        type(self).asked += 1
        self.answer()
        content: bytes = super().cat_file(path, start, end, **options)
        return content[:-1] + b"?" if self.harm == "alters" and ".warc" in path else content

    def put_file(self, *arguments: Any, **options: Any) -> None:
        self.answer()
        if self.harm == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().put_file(*arguments, **options)

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        self.answer()
        found = super().info(path, **options)
        if found["type"] == "file":
            found["ETag"] = f'"{payload_digest(self.store[found["name"]].getvalue())}"'
        return found

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        self.answer()
        found = super().ls(path, detail=True, **options)
        return [self.info(one["name"]) if one["type"] == "file" else one for one in found]

    def answer(self) -> None:
        if self.harm == "down":
            raise ConnectionRefusedError(errno.ECONNREFUSED, "nobody answers for ftp://me:secret@host")


class Mirror(LocalFileSystem):
    """The local disk by a name that does not tell it."""

    protocol = "mirror"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix("mirror://")


fsspec.register_implementation("strange", Strange, clobber=True)
fsspec.register_implementation("mirror", Mirror, clobber=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an archive of three runs; the last one's robots.txt is a revisit of the first one's."""
    archive = tmp_path_factory.mktemp("built") / "archive"
    archive.mkdir()
    write_run(archive, FIRST, {id: cna_page(id) for id in IDS})
    write_run(archive, SECOND, {IDS[2]: changed(IDS[2])}, known=(IDS[2],))
    write_run(archive, THIRD, {IDS[0]: changed(IDS[0])}, known=(IDS[0],))
    assert len(list(recover(settings_for(archive), "cna"))) == 3
    return archive


@pytest.fixture
def archive(built: Path, tmp_path: Path) -> Iterator[Path]:
    Strange.store.clear()
    Strange.harm = ""
    reached._down.clear()
    reached._pieces.pieces.clear()
    yield Path(shutil.copytree(built, tmp_path / "archive"))
    Strange.harm = ""


@pytest.fixture
def cold(tmp_path: Path) -> Path:
    return tmp_path / "cold"


def size(folder: Path, *names: str) -> str:
    """Return how many bytes files have, as the command says it."""
    return decimal(sum((folder / name).stat().st_size for name in names))


def call(command: Any, archive: Path, arguments: tuple[object, ...]) -> tuple[int, str]:
    """Run a command here; return its exit status and what it printed."""
    command.settings = settings_for(archive)
    parser = argparse.ArgumentParser()
    command.add_options(parser)
    options, names = parser.parse_known_args([str(argument) for argument in arguments])
    with redirect_stdout(StringIO()) as printed:
        command.run(names, options)
    return command.exitcode, printed.getvalue()


def prune(archive: Path, *arguments: object) -> tuple[int, str]:
    with time_machine.travel(YEAR_LATER, tick=False):
        return call(Command(), archive, arguments)


def prune_all(archive: Path, place: object) -> None:
    status, told = prune(archive, "--to", place, "--older", "0d")
    assert status == 0, told
    assert kept(archive, "cna").here == 0


def verify(archive: Path, *arguments: object) -> tuple[int, str]:
    return call(Verify(), archive, arguments)


def scrapy(archive: Path, *arguments: object) -> tuple[int, str]:
    """Run a command as users do; return its exit status and all that it printed."""
    words = [sys.executable, "-m", "scrapy", *map(str, arguments), "-s", f"ARCHIVE_DIR={archive}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    return done.returncode, done.stdout + done.stderr


def is_down() -> None:
    Strange.harm = "down"
    reached._pieces.pieces.clear()


def held_by_another(file: Path) -> "subprocess.Popen[str]":
    """Start a process that holds a lock until its input ends."""
    code = "import sys, pathlib\nfrom newsarchive.lock import hold\n"
    code += "with hold(pathlib.Path(sys.argv[1])):\n print(flush=True)\n input()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, file], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    process.stdout.readline()
    return process


# Moving.


def test_what_is_older_than_a_year_is_moved(archive: Path, cold: Path) -> None:
    before = contents(archive)
    status, told = prune(archive, "--to", cold)
    assert (status, told.splitlines()) == (
        0,
        [
            f"MOVED {FILE}: {size(cold, FILE)}, 2024-03-01 to 2024-03-01",
            f"cna: 1 capture file ({size(cold, FILE)}) moved to file://{cold}; "
            f"2 here ({size(archive, LATER, NEWEST)}), 1 elsewhere ({size(cold, FILE)})",
        ],
    )
    assert (cold / FILE).read_bytes() == before.pop(FILE)
    now = contents(archive)
    note = orjson.loads(now.pop(f"{FILE}.moved"))
    assert {name: now[name] for name in before if ".lock" not in name} == before
    assert note == {
        "url": f"file://{cold / FILE}",
        "size": (cold / FILE).stat().st_size,
        "sha256": note["sha256"],
        "captures": 5,
        "first": "2024-03-01T05:00:00.000Z",
        "last": "2024-03-01T05:00:04.004Z",
        "etag": "",
    }
    summed = subprocess.run(["sha256sum", "--check", f"{FIRST}.sha256"], cwd=(cold / FILE).parent, capture_output=True)
    assert (summed.returncode, summed.stdout.decode()) == (0, f"{FIRST}.warc.gz: OK\n")
    assert sorted(path.name for path in (cold / FILE).parent.iterdir()) == [f"{FIRST}.sha256", f"{FIRST}.warc.gz"]


def test_moving_again_changes_nothing(archive: Path, cold: Path) -> None:
    prune(archive, "--to", cold)
    before, there = contents(archive), contents(cold)
    status, told = prune(archive, "--to", cold)
    assert (status, told) == (
        0,
        f"cna: nothing to move; 2 here ({size(archive, LATER, NEWEST)}), 1 elsewhere ({size(cold, FILE)})\n",
    )
    assert contents(cold) == there
    assert {name for name, content in contents(archive).items() if before[name] != content} <= {
        f"captures/cna/{name}" for name in (".lock", ".prune.lock")
    }


def test_check_says_what_would_be_moved(archive: Path, cold: Path) -> None:
    before = contents(archive)
    status, told = prune(archive, "--to", cold, "--check")
    assert status == 0
    assert told.splitlines()[0] == f"WOULD MOVE {FILE}: {size(archive, FILE)}, 2024-03-01 to 2024-03-01"
    assert contents(archive) == before
    assert not cold.exists()


@pytest.mark.parametrize("index", [True, False])
def test_age_is_that_of_the_newest_capture(archive: Path, cold: Path, index: bool) -> None:
    """Neither the name's, which is that of a replay, nor the file's."""
    replayed = "captures/cna/20250228T050000Z-000000aa.warc.gz"
    writer = CaptureWriter(archive, "cna", "20250228T050000Z-000000aa", {})
    page = cna_page(IDS[0]).encode()
    for captured in (datetime(2016, 1, 1, tzinfo=UTC), datetime(2015, 1, 1, tzinfo=UTC)):
        about = {"url": f"https://www.cna.com.tw/{captured.year}", "method": "GET", "status": 200, "body": page}
        writer.write(captured=captured, request_headers=[], headers=[], kind="listing", **about)
    writer.close()
    for name in (FILE, LATER, replayed):
        os.utime(archive / name, (0, 0) if name == LATER else None)
    if not index:
        (archive / "index.sqlite").unlink()
    status, told = prune(archive, "--to", cold)
    assert (status == 0) == index
    moved = [line for line in told.splitlines() if line.startswith("MOVED")]
    assert moved == [
        f"MOVED {FILE}: {size(cold, FILE)}, 2024-03-01 to 2024-03-01",
        f"MOVED {replayed}: {size(cold, replayed)}, 2015-01-01 to 2016-01-01",
    ]
    assert (archive / LATER).exists()


def test_files_that_are_being_written_stay(archive: Path, cold: Path) -> None:
    name = "20240228T050000Z-000000ab"
    write_run(archive, name, {IDS[0]: cna_page(IDS[0])}, closed=False)
    status, _ = prune(archive, "--to", cold, "--older", "0d")
    assert status == 0
    assert (archive / f"captures/cna/{name}.warc.gz.open").exists()
    assert len(list(cold.rglob("*.warc.gz"))) == 3


@pytest.mark.parametrize("lock", [lock_file, prune_lock])
def test_nothing_is_moved_while_another_run_is_under_way(archive: Path, cold: Path, lock: Any) -> None:
    other = held_by_another(lock(archive, "cna"))
    status, told = prune(archive, "--to", cold)
    other.communicate("\n")
    assert status == 3
    assert f"cna: another run is under way: {lock(archive, 'cna')} is held by process {other.pid} on " in told
    assert kept(archive, "cna").elsewhere == 0
    assert prune(archive, "--to", cold)[0] == 0


def test_a_run_that_begins_meanwhile_keeps_its_files(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file has been copied when the run takes the publisher's lock."""
    others: list[subprocess.Popen[str]] = []

    def put_file(*arguments: Any, **options: Any) -> None:
        MemoryFileSystem.put_file(*arguments, **options)
        others.append(held_by_another(lock_file(archive, "cna")))

    monkeypatch.setattr(Strange, "put_file", put_file)
    status, told = prune(archive, "--to", "strange://store", "--older", "0d")
    assert len(others) == 1
    others[0].communicate("\n")
    assert (status, (archive / FILE).exists()) == (3, True)
    assert "another run is under way" in told
    monkeypatch.undo()
    prune_all(archive, "strange://store")


def test_two_at_once(archive: Path, cold: Path) -> None:
    options = ["--to", str(cold), "--older", "0d", "-s", f"ARCHIVE_DIR={archive}"]
    words = [sys.executable, "-m", "scrapy", "prune", *options]
    both = [subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [one.communicate(timeout=600)[0] for one in both]
    assert {one.returncode for one in both} <= {0, 3}, told
    assert 0 in {one.returncode for one in both}, told
    assert kept(archive, "cna").elsewhere == 3
    assert verify(archive, "--moved")[0] == 0


@pytest.mark.parametrize("other", [b"short", b"?" * 20_000])
def test_another_file_of_the_name_is_not_touched(archive: Path, cold: Path, other: bytes) -> None:
    there = cold / FILE
    there.parent.mkdir(parents=True)
    content = other[: (archive / FILE).stat().st_size]
    there.write_bytes(content)
    status, told = prune(archive, "--to", cold, "--older", "0d")
    assert status == 1
    assert told.startswith(f"FAILED {FILE}: another file has its name: file://{there} has ")
    assert there.read_bytes() == content
    assert (archive / FILE).exists()
    assert kept(archive, "cna").elsewhere == 2


def test_what_was_copied_before_a_kill_is_not_copied_again(archive: Path, cold: Path) -> None:
    there = cold / FILE
    there.parent.mkdir(parents=True)
    shutil.copy(archive / FILE, there)
    made = there.stat().st_ino
    assert prune(archive, "--to", cold)[0] == 0
    assert there.stat().st_ino == made
    assert note_of(archive / FILE)


def test_what_is_damaged_stays(archive: Path, cold: Path) -> None:
    flip(archive / FILE, 5000)
    damage = next(check(archive / FILE))
    status, told = prune(archive, "--to", cold, "--older", "0d")
    assert status == 1
    assert f"FAILED {FILE}: it is damaged at offset {damage.offset}: {damage.problem}; what is not sound stays" in told
    assert ", 1 failed; 1 here " in told
    assert (archive / FILE).exists()
    # What is a revisit of it is not sound without it.
    assert sorted(path.name for path in cold.rglob("*.gz")) == [f"{SECOND}.warc.gz", f"{THIRD}.warc.gz"]


@pytest.mark.parametrize(
    ("harm", "why"), [("alters", "what was read back is not what was written"), ("full", "No space")]
)
def test_what_is_not_there_as_it_was_is_not_removed(archive: Path, harm: str, why: str) -> None:
    before = contents(archive)
    Strange.harm = harm
    status, told = prune(archive, "--to", "strange://store", "--older", "0d")
    assert status == 1
    assert told.startswith(f"stopped: strange://store/{FILE}: ")
    assert why in told
    assert "what is not moved stays where it is, and the same command goes on" in told
    assert {name: content for name, content in contents(archive).items() if ".lock" not in name} == {
        name: content for name, content in before.items() if ".lock" not in name
    }
    assert not [name for name in Strange.store if ".warc" in name]
    Strange.harm = ""
    prune_all(archive, "strange://store")


def test_a_place_that_cannot_be_reached(archive: Path) -> None:
    Strange.harm = "down"
    status, told = prune(archive, "--to", "strange://store", "--older", "0d")
    assert status == 1
    assert told.startswith("stopped: ConnectionRefusedError: ")
    assert "secret" not in told
    assert kept(archive, "cna").elsewhere == 0


def test_the_archive_itself_is_no_place(archive: Path) -> None:
    status, told = prune(archive, "--to", f"mirror://{archive}", "--older", "0d")
    assert status == 1
    assert f"mirror://{archive} is the archive itself" in told
    assert (archive / FILE).exists()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--to", "{archive}/cold"), "lies in the archive"),
        (("--to", "sftp://me:secret@host/cold"), "sftp://host/cold: a password in an address would be kept"),
        (("--to", "s3://key:a/secret@with@it@bucket/cold"), "s3://bucket/cold: a password in an address would be kept"),
        (
            ("--to", "s3://bucket/cold?key=secret"),
            "s3://bucket/cold: name a folder alone; options belong in fsspec's configuration",
        ),
        (("--to", "cold", "--publisher", "nobody"), "holds nothing of nobody: it holds cna"),
        (("--restore", "--check"), "--older and --check go with --to"),
        (("--to", "cold", "some.warc.gz"), "files can be named with --restore only"),
        (("--to", "cold", "--older", "soon"), "'soon' is no age: 90d, 12w, 2y"),
        ((), "one of the arguments --to --restore --adopt is required"),
    ],
)
def test_wrong_arguments(
    archive: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], why: str
) -> None:
    with pytest.raises((UsageError, SystemExit)) as raised:
        prune(archive, *(word.format(archive=archive) for word in arguments))
    told = f"{raised.value} {capsys.readouterr().err}"
    assert why in told
    assert "secret" not in told
    assert kept(archive, "cna").elsewhere == 0


@pytest.mark.parametrize("place", ["nonsense://store", "strange://store"])
def test_places_that_nobody_knows(archive: Path, place: str) -> None:
    """The second is known to these tests alone."""
    status, told = scrapy(archive, "prune", "--to", place)
    assert status == 2
    assert f"{place}: no kind of place is called '{place.partition(':')[0]}'" in told


def test_an_archive_that_holds_nothing(tmp_path: Path, cold: Path) -> None:
    status, told = prune(tmp_path / "none", "--to", cold)
    assert (status, told.startswith(f"stopped: {tmp_path}/none holds nothing")) == (1, True)


# Reading.


def readings(archive: Path) -> list[tuple[int, str]]:
    """Return what all that reads captures says, as users see it."""
    export = ("export", "--jsonl", "-", "--jobs", "1")
    return [scrapy(archive, *words) for words in (("history", IDS[2], "--all"), export)]


def test_whoever_reads_captures_finds_them(archive: Path, cold: Path) -> None:
    before = readings(archive)
    assert [status for status, _ in before] == [0, 0], before
    prune_all(archive, cold)
    assert readings(archive) == before
    assert verify(archive)[0] == 0
    whole = verify(archive, "--moved")[1]
    prune(archive, "--restore")
    assert verify(archive)[1] == whole
    assert "3 capture files with 11 captures" in whole


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_replay_gives_the_same_to_the_byte(archive: Path, cold: Path, jobs: int) -> None:
    posts, index = contents(archive / "_posts"), dump(archive)
    assert prune(archive, "--to", cold)[0] == 0
    shutil.rmtree(archive / "_posts")
    (archive / "index.sqlite").unlink()
    status, told = scrapy(archive, "replay", archive / "captures", "--jobs", jobs)
    assert status == 0, told
    assert contents(archive / "_posts") == posts
    assert [row for row in dump(archive) if "runs" not in str(row)[:9]] == [
        row for row in index if "runs" not in str(row)[:9]
    ]


def test_what_is_captured_later_does_not_need_what_lies_elsewhere(archive: Path) -> None:
    url, body = "https://www.cna.com.tw/robots.txt", b"User-agent: *\n"

    def write(run: str) -> bytes:
        writer = CaptureWriter(archive, "cna", run, {})
        with Index(archive / "index.sqlite", read_only=True) as index:
            earlier = index.last_capture(url)
        about = {"url": url, "method": "GET", "status": 200, "body": body, "same_as": earlier}
        captured = datetime(2024, 4, 1, tzinfo=UTC)
        writer.write(captured=captured, request_headers=[], headers=[], kind="robots", **about)
        writer.close()
        return subprocess.run(["gzip", "-cd", archive / writer.files[0]], capture_output=True, check=True).stdout

    assert b"WARC-Type: revisit" in write("20240401T050000Z-00000004")
    (archive / "captures/cna/20240401T050000Z-00000004.warc.gz").unlink()
    prune_all(archive, "strange://store")
    assert b"WARC-Type: response" in write("20240401T050000Z-00000005")


def test_one_capture_takes_few_requests(archive: Path) -> None:
    served = list(read(archive / FILE))
    prune_all(archive, "strange://store")
    reached._pieces.pieces.clear()
    Strange.asked = 0
    assert at(archive / FILE, served[3].offset) == served[3]
    assert at(archive / FILE, served[2].offset) == served[2]
    assert Strange.asked == 1


def test_pieces_in_memory_are_bounded(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reached, "PIECE", 512)
    monkeypatch.setattr(reached, "PIECES", 4)
    before = [list(read(archive / name)) for name in FILES]
    prune_all(archive, "strange://store")
    assert [list(read(archive / name)) for name in FILES] == before
    assert len(reached._pieces.pieces) <= 4


# What lies elsewhere is lost, altered, or out of reach.


def lose(name: str) -> None:
    del Strange.store[stored(name)]


def stored(name: str) -> str:
    """Return by what name a file is stored."""
    return next(path for path in Strange.store if path.endswith(name))


def test_a_file_that_is_lost_is_named_and_its_articles_stay(archive: Path) -> None:
    index, posts = dump(archive), contents(archive / "_posts")
    prune_all(archive, "strange://store")
    lose(FILE)
    lost = (
        f"WRONG {FILE}: was moved to strange://store/captures/cna, and is not there any more; "
        "bring it back from a backup, to where it was; what the index has of it stays"
    )
    for arguments in ((), ("--repair",), ("--moved",)):
        status, told = verify(archive, *arguments)
        assert (status, [line for line in told.splitlines() if line.startswith("WRONG")]) == (1, [lost])
    assert dump(archive) == index
    assert contents(archive / "_posts") == posts


def test_out_of_reach_nothing_is_dropped(archive: Path) -> None:
    index, sized = dump(archive), size(archive, *FILES)
    prune_all(archive, "strange://store")
    is_down()
    status, told = verify(archive, "--repair")
    assert status == 1
    assert told.splitlines()[0].startswith(
        f"WRONG captures/cna: 3 capture files ({sized}) in strange://store/captures/cna cannot be had now: "
        "ConnectionRefusedError: "
    )
    assert "secret" not in told
    assert len(told.splitlines()) == 2
    assert dump(archive) == index


def test_an_index_that_is_made_again_keeps_what_is_out_of_reach(archive: Path) -> None:
    index = dump(archive)
    prune(archive, "--to", "strange://store")
    is_down()
    with closing(sqlite3.connect(archive / "index.sqlite", isolation_level=None)) as database:
        database.execute("UPDATE captures SET shown = 0 WHERE shown = 1")
    status, told = verify(archive, "--repair")
    assert status == 1
    assert "captures of files that are missing taken over from index.sqlite.corrupt-1" in told
    assert f"MENDED {FILE}: lies elsewhere, and cannot be had now: ConnectionRefusedError: " in told

    def articles(rows: list[object]) -> list[object]:
        return [row for row in rows if "captures" in str(row)[:12] or "articles" in str(row)[:12]]

    assert articles(dump(archive)) == articles(index)
    Strange.harm = ""
    reached._down.clear()
    assert verify(archive, "--repair")[0] == 0
    assert dump(archive) == index


def test_a_replay_says_which_files_are_missing(archive: Path, cold: Path) -> None:
    index = dump(archive)
    prune(archive, "--to", cold)
    cold.rename(cold.with_name("unmounted"))
    (archive / "index.sqlite").unlink()
    status, told = scrapy(archive, "replay", archive / "captures")
    assert status == 1
    assert (
        f"MISSING {archive}/{FILE}: offset 0: lies elsewhere, and cannot be had now: there is no file://{cold}" in told
    )
    # The third run's robots.txt has its body there.
    cold.with_name("unmounted").rename(cold)
    status, told = scrapy(archive, "replay", archive / "captures")
    assert status == 0, told
    assert [row for row in dump(archive) if "runs" not in str(row)[:9]] == [
        row for row in index if "runs" not in str(row)[:9]
    ]


def test_a_run_goes_on_without_what_is_out_of_reach_and_reads_it_later(archive: Path) -> None:
    index = dump(archive)
    prune(archive, "--to", "strange://store")
    (archive / "index.sqlite").unlink()
    is_down()
    told = list(recover(settings_for(archive), "cna"))
    assert told[0].startswith(f"{FILE}: offset 0: lies elsewhere, and cannot be had now: ConnectionRefusedError: ")
    Strange.harm = ""
    reached._down.clear()
    assert any(
        line.startswith(f"{FILE}: 5 captures were not in the index") for line in recover(settings_for(archive), "cna")
    )
    assert dump(archive) == index
    assert list(recover(settings_for(archive), "cna")) == []


def test_what_cannot_be_reached_is_not_asked_again_at_once(archive: Path) -> None:
    prune_all(archive, "strange://store")
    is_down()
    Strange.asked = 0
    found = [list(read(archive / name)) for name in FILES]
    assert [len(damage) for damage in found] == [1, 1, 1]
    assert all(damage[0].away for damage in found)
    assert Strange.asked == 1


def test_altered_bytes_are_noticed(archive: Path) -> None:
    prune_all(archive, "strange://store")
    content = Strange.store[stored(FILE)]
    altered = bytearray(content.getvalue())
    altered[5000] ^= 1
    content.seek(0)
    content.write(bytes(altered))
    reached._pieces.pieces.clear()
    # Another ETag has the file read.
    status, told = verify(archive)
    assert status == 1
    assert f"WRONG {FILE}: offset 0: its bytes are not those that were moved: their SHA-256 is another" in told
    assert "2 files elsewhere" in told


def test_altered_bytes_on_a_disk_are_noticed_when_they_are_read(archive: Path, cold: Path) -> None:
    prune_all(archive, cold)
    flip(cold / FILE, 5000)
    assert verify(archive)[0] == 0
    for arguments in (("--moved",), ("--sample", "100%", "--seed", "1")):
        status, told = verify(archive, *arguments)
        assert status == 1
        assert f"WRONG {FILE}: offset " in told
    (cold / FILE).write_bytes((cold / FILE).read_bytes()[:-1])
    assert f"WRONG {FILE}: was moved to file://{cold}/captures/cna with " in verify(archive)[1]


def test_a_note_that_is_none(archive: Path, cold: Path) -> None:
    index = dump(archive)
    prune_all(archive, cold)
    note = archive / f"{FILE}.moved"
    before = note.read_bytes()
    note.write_text("{}")
    status, told = verify(archive, "--repair")
    assert status == 1
    assert told.startswith(f"WRONG {FILE}.moved: does not say where {FIRST}.warc.gz was moved (TypeError: ")
    assert "`scrapy prune --adopt URL` writes it again" in told
    assert dump(archive) == index
    assert prune(archive, "--restore", FILE)[0] == 1
    status, told = prune(archive, "--adopt", cold)
    assert (status, told.splitlines()[0]) == (0, f"NOTED {FILE}: {size(cold, FILE)}, 2024-03-01 to 2024-03-01")
    assert note.read_bytes() == before


def test_drafts_of_killed_moves_are_swept(archive: Path, cold: Path) -> None:
    left = archive / "captures/cna/.0123456789abcdef.tmp"
    left.write_bytes(b"half")
    status, told = verify(archive)
    assert (status, f"WRONG captures/cna/{left.name}: was left behind by a killed run" in told) == (1, True)
    assert prune(archive, "--to", cold)[0] == 0
    assert not left.exists()


# Back again.


def test_files_are_brought_back(archive: Path, cold: Path) -> None:
    before = contents(archive)
    prune_all(archive, cold)
    status, told = prune(archive, "--restore", f"{LATER}.moved")
    assert (status, told.splitlines()[0]) == (0, f"RESTORED {LATER}: {size(cold, LATER)}, 2024-03-02 to 2024-03-02")
    assert kept(archive, "cna").here == 1
    status, told = prune(archive, "--restore")
    assert (status, told.splitlines()[-1]) == (
        0,
        f"cna: 2 capture files ({size(cold, FILE, NEWEST)}) brought back; "
        f"3 here ({size(cold, *FILES)}), 0 elsewhere (0 bytes)",
    )
    assert {name: content for name, content in contents(archive).items() if ".lock" not in name} == {
        name: content for name, content in before.items() if ".lock" not in name
    }
    # What lies there stays, and is not copied again.
    assert len(list(cold.rglob("*.warc.gz"))) == 3
    prune_all(archive, cold)


def test_only_what_was_moved_is_brought_back(archive: Path, cold: Path) -> None:
    prune_all(archive, cold)
    flip(cold / FILE, 5000)
    (archive / LATER).write_bytes(b"something else")
    status, told = prune(archive, "--restore")
    assert status == 1
    lines = told.splitlines()
    assert lines[0].startswith(f"FAILED {FILE}: what lies at file://{cold / FILE} is not what was moved")
    assert lines[1].startswith(f"FAILED {LATER}: what is here is not what was moved to file://{cold / LATER}")
    assert lines[2].startswith(f"RESTORED {NEWEST}")
    assert lines[3].startswith(f"cna: 1 capture file ({size(cold, NEWEST)}) brought back, 2 failed; ")
    assert note_of(archive / FILE)
    assert note_of(archive / LATER)
    assert not list(archive.rglob("*.tmp"))
    status, told = prune(archive, "--restore", "20200101T000000Z-00000000.warc.gz")
    assert (status, "no file was moved that is called 20200101T000000Z-00000000.warc.gz" in told) == (1, True)


def test_notes_are_made_again(archive: Path, cold: Path) -> None:
    prune_all(archive, cold)
    before = contents(archive / "captures")
    shutil.rmtree(archive / "captures")
    status, told = scrapy(archive, "prune", "--adopt", cold)
    assert (status, told.splitlines()[-1]) == (
        0,
        f"cna: 3 capture files ({size(cold, *FILES)}) noted of 3 in file://{cold}; "
        f"0 here (0 bytes), 3 elsewhere ({size(cold, *FILES)})",
    )
    notes = {name: content for name, content in contents(archive / "captures").items() if name.endswith(".moved")}
    assert notes == {name: content for name, content in before.items() if name.endswith(".moved")}
    assert prune(archive, "--adopt", cold)[1].startswith("cna: 0 capture files (0 bytes) noted of 3 ")


def test_a_place_that_was_moved_is_adopted(archive: Path, cold: Path) -> None:
    prune_all(archive, cold)
    now = cold.rename(cold.with_name("colder"))
    flip(now / LATER, 3000)
    status, told = prune(archive, "--adopt", now)
    assert status == 1
    assert f"FAILED {LATER}: what lies at file://{now / LATER} is not what was moved: its SHA-256 is another" in told
    assert [note_of(archive / name).url for name in FILES] == [  # type: ignore[union-attr]
        f"file://{(cold if name == LATER else now) / name}" for name in FILES
    ]


def test_what_is_here_is_not_noted(archive: Path, cold: Path) -> None:
    prune(archive, "--to", cold)
    prune(archive, "--restore")
    assert prune(archive, "--adopt", cold)[1].startswith("cna: 0 capture files (0 bytes) noted of 1 ")
    assert kept(archive, "cna").elsewhere == 0


def test_figures_for_others(archive: Path, cold: Path) -> None:
    sizes = {name: (archive / name).stat().st_size for name in FILES}
    prune(archive, "--to", cold)
    assert kept(archive, "cna") == Kept(2, sizes[LATER] + sizes[NEWEST], 1, sizes[FILE])
    assert kept(archive, "nobody") == Kept()
    told = overview(archive, {"cna": ("CNA", "zh")}, YEAR_LATER, Thresholds(), YEAR_LATER.date()).captures
    assert told == {"here": (2, sizes[LATER] + sizes[NEWEST]), "elsewhere": (1, sizes[FILE])}


def test_a_place_can_be_named_by_a_link(archive: Path, cold: Path, tmp_path: Path) -> None:
    """Where the link leads to another disk one day, the notes are still right."""
    cold.mkdir()
    (tmp_path / "link").symlink_to(cold)
    prune_all(archive, tmp_path / "link")
    cold.rename(tmp_path / "another-disk")
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to(tmp_path / "another-disk")
    assert verify(archive, "--moved")[0] == 0
    (tmp_path / "inside").symlink_to(archive)
    with pytest.raises(UsageError, match="lies in the archive"):
        prune(archive, "--to", tmp_path / "inside")


def test_a_place_cannot_have_notes_written_elsewhere(archive: Path) -> None:
    prune_all(archive, "strange://store")
    before = contents(archive)
    fs = fsspec.filesystem("strange")
    for name in ("captures/../evil.warc.gz", "captures/cna/.warc.gz", "captures/.cna/x.warc.gz", "captures/cna/x.txt"):
        fs.pipe_file(f"strange://store/{name}", b"evil")
    status, told = prune(archive, "--adopt", "strange://store")
    assert (status, "cna: 0 capture files (0 bytes) noted of 3 " in told) == (0, True), told
    assert {name for name in contents(archive) if name not in before} == set()
