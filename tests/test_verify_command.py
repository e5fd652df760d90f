"""``scrapy verify``: what it prints, what it exits with, and what it leaves as it was."""

import argparse
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from server import ROOT
from test_verify import (
    ACCOUNT,
    BACKUP,
    FILE,
    IDS,
    NO_MEMBER,
    POST,
    REMAKES,
    REPORTED,
    USED,
    build,
    changed,
    contents,
    flip,
    records,
    settings_for,
    write_run,
)

from newsarchive.commands.verify import Command
from newsarchive.lock import hold
from newsarchive.store import lock_file

WELL = re.compile(
    r"verified 1 publisher: 2 capture files with 8 captures \(1\d\.\d kB\), 3 posts, 3 articles, 2 runs: all well\n"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = tmp_path_factory.mktemp("built") / "archive"
    build(archive)
    return archive


@pytest.fixture
def archive(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "archive"))


def verify_in_process(archive: Path, *arguments: str) -> tuple[int, str]:
    """Run the command as users do; return its exit status and all that it printed."""
    command = [sys.executable, "-m", "scrapy", "verify", *arguments, "-s", f"ARCHIVE_DIR={archive}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    return done.returncode, done.stdout + done.stderr


def verify(archive: Path, *arguments: str) -> tuple[int, str]:
    """Run the command here, which takes less time; return its exit status and what it printed."""
    command = Command()
    command.settings = settings_for(archive)
    parser = argparse.ArgumentParser()
    command.add_options(parser)
    options, names = parser.parse_known_args(arguments)
    with redirect_stdout(StringIO()) as printed:
        command.run(names, options)
    return command.exitcode, printed.getvalue()


def test_all_well(archive: Path) -> None:
    before = contents(archive)
    for run, arguments in ((verify_in_process, ()), (verify, ("cna",)), (verify_in_process, ("cna", "--repair"))):
        status, told = run(archive, *arguments)
        assert (status, bool(WELL.fullmatch(told))) == (0, True), told
    assert [name for name, content in contents(archive).items() if content != before.get(name)] == [
        "captures/cna/.lock"
    ] * ("captures/cna/.lock" not in before)


def test_problems_and_repair(archive: Path, built: Path) -> None:
    before = contents(archive)
    (archive / POST).unlink()
    (archive / ACCOUNT).write_bytes(b"{}")
    offset = records(archive / FILE)[2].offset
    status, told = verify_in_process(archive)
    assert status == 1
    assert told.splitlines()[:-1] == [
        f"WRONG {POST}: is missing; {REMAKES}",
        f"WRONG {ACCOUNT}: is no account of a run: KeyError: 'run'; {REPORTED}",
    ]
    assert told.endswith(", 2 posts, 3 articles, 2 runs: 2 problems\n")

    status, told = verify(archive, "--repair")
    assert status == 0
    lines = told.splitlines()
    assert [line for line in lines if line.startswith("MENDED")] == [
        f"MENDED {POST}: made again from {FILE}, offset {offset}",
        f"MENDED {ACCOUNT}: made again from the index, without its reasons and listings; "
        f"what was there is now damaged/{ACCOUNT}",
    ]
    assert lines[-1].endswith(", 3 posts, 3 articles, 2 runs: 2 problems, 2 mended, 0 left")
    assert WELL.fullmatch(verify(archive)[1])
    assert contents(archive)[POST] == before[POST]


def test_what_cannot_be_mended(archive: Path) -> None:
    offset = records(archive / FILE)[2].offset
    flip(archive / FILE, offset)
    (archive / POST).unlink()
    status, told = verify(archive, "--repair")
    assert status == 1
    assert told.splitlines()[:3] == [
        f"WRONG {FILE}: offset {offset}: {NO_MEMBER}; {USED}",
        f"WRONG {POST}: is missing; {REMAKES}",
        f"NOT MENDED {POST}: {archive}/{FILE}, offset {offset}: {NO_MEMBER}",
    ]
    assert told.endswith(": 2 problems, 0 mended, 2 left\n")


def test_a_lost_index_is_made_again(archive: Path, built: Path) -> None:
    shutil.rmtree(archive / "_posts")
    (archive / "index.sqlite").write_bytes(b"no index")
    status, told = verify(archive, "--repair")
    assert status == 0
    assert told.splitlines()[:-1] == [
        "WRONG index.sqlite: is not an SQLite database; `scrapy verify --repair` makes it again from the captures",
        "MENDED index.sqlite: moved to index.sqlite.corrupt-1",
        "MENDED index.sqlite: made again from 8 captures and 2 accounts",
    ]
    assert (archive / "index.sqlite.corrupt-1").read_bytes() == b"no index"
    kept = contents(archive)
    for name, content in contents(built).items():
        assert name == "index.sqlite" or kept[name] == content


def test_a_run_under_way_is_named_and_nothing_is_touched(archive: Path) -> None:
    (archive / POST).unlink()
    with hold(lock_file(archive, "cna")):
        before = contents(archive)
        status, told = verify_in_process(archive, "--repair")
        assert status == 3
        assert re.fullmatch(
            rf"another run is under way: {archive}/captures/cna/.lock is held by process \d+ on \S+ since \S+Z\n", told
        )
        assert contents(archive) == before
        # Looking is possible.
        assert verify(archive)[0] == 1


def test_only_the_publishers_asked_for(archive: Path) -> None:
    shutil.copytree(archive / "_posts/cna", archive / "_posts/dw")
    assert verify(archive, "cna")[0] == 0
    status, told = verify(archive, "dw")
    assert (status, told.count("WRONG _posts/dw/"), told.count("WRONG")) == (1, 3, 3)
    status, told = verify(archive)
    assert (status, told.count("WRONG")) == (1, 3)
    assert told.splitlines()[-1].startswith("verified 2 publishers: 2 capture files with 8 captures")


def test_a_sample_says_how_to_repeat_it(archive: Path) -> None:
    status, told = verify(archive, "--sample", "1%")
    first = re.match(r"a sample of 1%; --seed (\d+) chooses the same again\nverified 1 publisher: 1 capture file", told)
    assert status == 0
    assert first
    assert verify(archive, "--sample", "1%", "--seed", first[1]) == (status, told)
    assert verify(archive, "--sample", "0.5%", "--seed", "5")[1].startswith("a sample of 0.5%; --seed 5 ")


def test_an_archive_that_is_not_there_or_empty(tmp_path: Path) -> None:
    assert verify(tmp_path / "nowhere") == (1, f"{tmp_path}/nowhere: there is no such folder\n")
    (tmp_path / "empty").mkdir()
    told = f"{tmp_path}/empty: holds nothing: neither captures nor posts\n"
    for arguments in ((), ("--repair",), ("--sample", "1%")):
        assert verify(tmp_path / "empty", *arguments) == (1, told)
        assert list((tmp_path / "empty").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("xyz",), "holds nothing of xyz: it holds cna"),
        (("--sample", "5"), "'5' is no share: 1%, 0.5%"),
        (("--sample", "1%", "--repair"), "not allowed with"),
    ],
)
def test_wrong_arguments(archive: Path, arguments: tuple[str, ...], told: str) -> None:
    status, said = verify_in_process(archive, *arguments)
    assert status == 2
    assert told in said


@pytest.mark.parametrize("text", ["0%", "x%", "101%", "%", "", "1", "-1%", "nan%", "inf%", "１%"])
def test_no_share(archive: Path, text: str) -> None:
    with pytest.raises(SystemExit):
        verify(archive, f"--sample={text}")


def test_a_file_left_open(archive: Path) -> None:
    write_run(archive, "20240303T050000Z-00000003", {IDS[0]: changed(IDS[0])}, closed=False)
    name = "captures/cna/20240303T050000Z-00000003.warc.gz"
    assert verify(archive)[1].startswith(
        f"WRONG {name}.open: was left open by a killed run; `scrapy verify --repair` closes it\n"
    )
    status, told = verify(archive, "--repair")
    assert (status, f"MENDED {name}: 3 captures read into the index\n" in told) == (0, True)


def test_captures_that_are_missing_stay_wrong(archive: Path) -> None:
    (archive / FILE).unlink()
    told = f"WRONG {FILE}: is missing, and the index has 5 captures of it; {BACKUP}, or from where it was moved\n"
    assert verify(archive)[1].startswith(told)
    assert verify(archive, "--repair")[0] == 1
    assert verify(archive)[1].startswith(told)
