"""Every exit status that README and ``docs/operating.md`` tell of, with commands that exit with it.

The tables of the documents say which statuses there are: one without a case fails, and a case without a line, too.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from places import CHECKOUT
from server import Server, article_url, cna_page, reply, serving
from test_archive_command import LISTING, PAGE, archive
from test_status import HARMS
from years import DAY, NOW, Publisher
from years import archive as years

from newsarchive.alerts import tell
from newsarchive.alerts.memory import CALM
from newsarchive.archival import GRAVEST, MEANS, OF_KIND, Status
from newsarchive.health import Problem, Verdict
from newsarchive.store import lock_file

README = (CHECKOUT / "README.md").read_text()
OPERATING = (CHECKOUT / "docs/operating.md").read_text()


def table(text: str, head: str) -> list[str]:
    """Return the first cells of the lines of a table, by the first words of its head."""
    lines = text[text.index(f"| {head}") :].split("\n\n")[0].splitlines()[2:]
    return [line.split("|")[1].strip() for line in lines]


def codes(text: str, head: str) -> list[int]:
    return [int(number) for cell in table(text, head) for number in re.findall(r"\d+", cell)]


#: Runs commands, each in a process of its own: what all of them import is imported once.
DRIVER = """
import json, os, sys
from scrapy.cmdline import execute
import newsarchive.commands.alert, newsarchive.commands.archive, newsarchive.commands.status
for words, file in json.load(sys.stdin):
    child = os.fork()
    if not child:
        with open(file, "w") as out:
            os.dup2(out.fileno(), 1), os.dup2(out.fileno(), 2)
        execute(["scrapy", *words])
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def commands(folder: Path, calls: list[list[str]]) -> list[tuple[int, str]]:
    """Run Scrapy's commands one after the other; return exit status and output of each."""
    files = [folder / f"{number}.txt" for number in range(len(calls))]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NEWSARCHIVE_")}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input=json.dumps([[words, str(file)] for words, file in zip(calls, files, strict=True)]),
        cwd=CHECKOUT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
        check=True,
    )
    told = [file.read_text() for file in files]
    assert not [text for text in told if "Traceback" in text]
    return [(int(code), text) for code, text in zip(done.stdout.split(), told, strict=True)]


# What `scrapy archive` exits with.


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        server.answer(LISTING, reply(f"<urlset><url><loc>{PAGE}</loc></url></urlset>"))
        server.answer(PAGE, reply(cna_page("202401150001")))
        yield server


def well(server: Server, folder: Path) -> None:
    """Leave all as it is."""


def no_page(server: Server, folder: Path) -> None:
    server.answer(PAGE, reply("", status="500 Internal Server Error"))


def under_way(server: Server, folder: Path) -> None:
    lock = lock_file(folder / "archive", "cna")
    lock.parent.mkdir(parents=True)
    held = lock.open("w")
    fcntl.flock(held, fcntl.LOCK_EX)
    HELD.append(held)


HELD: list[Any] = []


def no_listing(server: Server, folder: Path) -> None:
    server.answer(LISTING, reply("", status="500 Internal Server Error"))


def no_article(server: Server, folder: Path) -> None:
    server.answer(LISTING, reply("<urlset/>"))


def drifted(server: Server, folder: Path) -> None:
    server.answer(PAGE, reply(cna_page("202401150001").replace('class="paragraph"', 'class="else"')))


def refused(server: Server, folder: Path) -> None:
    pages = [article_url(f"20240115000{number}") for number in range(1, 6)]
    server.answer(LISTING, reply(f"<urlset>{''.join(f'<url><loc>{url}</loc></url>' for url in pages)}</urlset>"))
    for page in pages:
        server.answer(page, reply("", status="403 Forbidden"))


def unwritable(server: Server, folder: Path) -> None:
    (folder / "archive").write_text("no folder")


#: What befalls a run, and the words of the command, by exit status.
RUNS: dict[int, tuple[Callable[[Server, Path], None], list[str]]] = {
    0: (well, []),
    1: (no_page, []),
    2: (well, ["--until", "2024-01-01"]),
    3: (under_way, []),
    4: (no_listing, []),
    5: (no_article, []),
    6: (drifted, []),
    7: (refused, []),
    8: (unwritable, []),
    9: (well, ["--git", "--push"]),
}


@pytest.mark.parametrize("status", RUNS)
def test_archive(server: Server, tmp_path: Path, status: int) -> None:
    if status == Status.PUBLICATION and not shutil.which("git"):
        pytest.skip("git is not installed")
    befalls, words = RUNS[status]
    befalls(server, tmp_path)
    try:
        code, told, report = archive(server, tmp_path, "cna", *words)
    finally:
        while HELD:
            HELD.pop().close()
    assert code == status, told
    if status == 2:
        assert (report, server.asked) == ({}, [])
        return
    assert report["status"] == status
    (run,) = report["publishers"]
    assert MEANS[Status(run["status"])] in told
    assert run["status"] == (0 if status == Status.PUBLICATION else status)


def test_a_folder_is_no_report_and_nothing_runs(tmp_path: Path) -> None:
    ((code, told),) = commands(tmp_path, [["archive", "cna", "--report", str(tmp_path)]])
    assert code == 2
    assert f"--report names a folder: {tmp_path}" in told


def test_archive_has_a_case_of_each_status_that_is_told() -> None:
    assert sorted(codes(README, "`scrapy archive` exits with")) == sorted(RUNS)
    # The last lines outweigh the first.
    order = [Status(code) for code in codes(README, "`scrapy archive` exits with") if code != 2]
    assert order == [status for status in GRAVEST if status in order]
    assert set(codes(OPERATING, "status | what to do")) == set(RUNS)


# What `scrapy status` exits with.


def harmed(kind: str) -> Callable[[Path], object]:
    return HARMS[kind]


def crashed(folder: Path) -> None:
    crash = Problem("cna", "crash", "", "a run ended without an account: killed")
    tell(folder, [Verdict(crash.key, crash)], [], NOW - timedelta(minutes=30))


def silent(folder: Path) -> None:
    shutil.rmtree(folder)
    years(folder, Publisher("cna", 96, days=40, quiet=15))


def no_index(folder: Path) -> None:
    (folder / "index.sqlite").unlink()


def no_database(folder: Path) -> None:
    (folder / "index.sqlite").write_bytes(b"no database" * 999)


def nothing(folder: Path) -> None:
    """Leave all as it is."""


#: Status, the kind that is told of, what befalls the archive, the words of the command, and since when.
Case = tuple[int, str, Callable[[Path], object], list[str], datetime]
STATUSES: list[Case] = [
    (0, "", nothing, [], NOW),
    (1, "failing", harmed("failing"), [], NOW),
    (1, "crash", crashed, [], NOW),
    (1, "", no_index, [], NOW),
    (1, "", no_database, [], NOW),
    (2, "", nothing, ["nobody"], NOW),
    (2, "", nothing, ["-s", "HEALTH_LATE=soon"], NOW),
    (4, "listing", harmed("listing"), [], NOW),
    (5, "nothing", harmed("nothing"), [], NOW),
    (5, "silent", silent, [], NOW),
    (6, "drift", harmed("drift"), [], NOW),
    (6, "refused", harmed("refused"), [], NOW),
    (7, "blocked", harmed("blocked"), [], NOW),
    (8, "storage", harmed("storage"), [], NOW),
    (8, "disk", nothing, ["-s", f"HEALTH_DISK_FREE={10**17}"], NOW),
    (8, "", nothing, ["--html", "/dev/null/page.html"], NOW),
    (10, "late", nothing, [], NOW + DAY),
    (11, "gap", harmed("gap"), [], NOW),
]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, str]]:
    """Return exit status and output of the command in each case."""
    folder = tmp_path_factory.mktemp("status")
    # An archive of one publisher that is well.
    base = years(folder / "base", Publisher("cna", 48, days=40))
    calls = []
    for number, (_, _, befalls, words, at) in enumerate(STATUSES):
        here = Path(shutil.copytree(base, folder / str(number) / "archive"))
        befalls(here)
        calls.append(["status", *words, "--at", at.isoformat(), "-s", f"ARCHIVE_DIR={here}"])
    return commands(folder, calls)


@pytest.mark.parametrize("number", range(len(STATUSES)), ids=[f"{code}-{kind}" for code, kind, *_ in STATUSES])
def test_status(told: list[tuple[int, str]], number: int) -> None:
    expected, kind, _, words, _ = STATUSES[number]
    code, said = told[number]
    assert code == expected, said
    assert not kind or re.search(rf"^{kind}: ", said, re.MULTILINE), said
    if code and not kind:
        # What is wrong is named: the archive, or a word of the command.
        assert f"/{number}/archive" in said or any(word.partition("=")[0] in said for word in words), said


def test_status_has_a_case_of_each_status_and_kind_that_is_told() -> None:
    told = codes(README, "`scrapy status` exits with")
    assert sorted(told) == sorted({code for code, *_ in STATUSES})
    order = [Status(code) for code in told if code != 2]
    assert order == [status for status in GRAVEST if status in order]
    kinds: dict[str, int] = {}
    for line in OPERATING[OPERATING.index("| status | kinds |") :].split("\n\n")[0].splitlines()[2:]:
        for kind in re.findall(r"`([a-z]+)`", line.split("|")[2]):
            kinds[kind] = int(line.split("|")[1])
    # Only a run can tell that it could not publish.
    assert kinds == {kind: int(status) for kind, status in OF_KIND.items() if kind != "publication"}
    assert kinds == {kind: code for code, kind, *_ in STATUSES if kind}


def test_every_kind_that_people_are_told_of_is_explained() -> None:
    told = {kind for cell in table(OPERATING, "kind | is told when") for kind in re.findall(r"`([a-z]+)`", cell)}
    assert told == set(OF_KIND)


# What `scrapy alert` exits with.


def test_alert_tells_of_an_archive_that_cannot_be_read_once(tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    folder = years(tmp_path / "archive", Publisher("cna", 4, days=9, accounts=5), now=now)
    call = ["alert", "-s", f"ARCHIVE_DIR={folder}"]
    kept = (folder / "index.sqlite").read_bytes()
    no_database(folder)
    first, second = commands(tmp_path, [call, call])
    assert (first[0], second[0]) == (Status.STORAGE, Status.STORAGE)
    assert "broken: whether the archive is well cannot be told: " in first[1]
    assert second[1] == ""
    (folder / "index.sqlite").write_bytes(kept)
    *calm, last = commands(tmp_path, [call] * CALM)
    assert set(calm) == {(0, "")}
    assert last[1].startswith("well again: archive storage, broken since ")
    assert orjson.loads((folder / "alerts.json").read_bytes()) == {"topics": {}}
