"""``scrapy archive``: a run of every publisher, a summary, and the exit status that says the gravest of all."""

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from channels import web_server
from places import CHECKOUT
from server import Server, article_url, calling, cna_page, reply, serving

from newsarchive.archival import GRAVEST, Status, status_of, worst
from newsarchive.lock import hold
from newsarchive.store import lock_file
from tests.fortnight.newsroom import Newsroom

LISTING = "http://www.cna.com.tw/listing.xml"
PAGE = article_url("202401150001")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        server.answer(LISTING, reply(f"<urlset><url><loc>{PAGE}</loc></url></urlset>"))
        server.answer(PAGE, reply(cna_page("202401150001")))
        yield server


def command(server: Server, folder: Path, *words: str) -> tuple[list[str], dict[str, str]]:
    """Return a call of ``scrapy archive`` and its environment."""
    called, environment = calling(server, folder / "archive", "archive", *words)
    return called, {**environment, "CRAWL_LISTINGS": LISTING}


def archive(server: Server, folder: Path, *words: str) -> tuple[int, str, dict[str, Any]]:
    """Archive, and return exit status, output and report."""
    report = folder / "report.json"
    called, environment = command(server, folder, *words, "--report", str(report))
    done = subprocess.run(
        called, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr, json.loads(report.read_text()) if report.exists() else {}


def test_all_is_well(server: Server, tmp_path: Path) -> None:
    status, told, report = archive(server, tmp_path, "cna")
    assert (status, report["status"]) == (Status.WELL, Status.WELL)
    (run,) = report["publishers"]
    assert (run["publisher"], run["account"]["stored"], run["means"]) == ("cna", 1, "well")
    row = next(line for line in told.splitlines() if line.startswith("cna "))
    assert row.split()[:8] == ["cna", "1", "0", "0", "0", "0", "1/1", "3"]
    assert list(tmp_path.glob("archive/_posts/cna/2024/*.md"))


def drifted(server: Server) -> None:
    server.answer(PAGE, reply(cna_page("202401150001").replace('class="paragraph"', 'class="else"')))


def test_a_report_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    called, environment = command(server, tmp_path, "cna", "--report", "/dev/full/report.json")
    done = subprocess.run(
        called, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == Status.STORAGE, done.stderr
    assert "the report cannot be written: " in done.stderr
    assert "Traceback" not in done.stderr
    assert "cna " in done.stdout


def test_a_redirect_and_a_run_without_one_warn_of_nothing(server: Server, tmp_path: Path) -> None:
    moved = article_url("202401150002")
    server.answer(LISTING, reply(f"<urlset><url><loc>{moved}</loc></url></urlset>"))
    server.answer(moved, reply("", "301 Moved Permanently", location=PAGE))
    status, told, report = archive(server, tmp_path, "cna")
    assert (status, report["publishers"][0]["account"]["stored"]) == (Status.WELL, 1), told
    assert " WARNING " not in told
    assert not any("referer" in headers for headers in server.headers)


def test_another_run_is_under_way_and_the_others_go_on(server: Server, tmp_path: Path) -> None:
    with hold(lock_file(tmp_path / "archive", "rfi")):
        status, told, report = archive(server, tmp_path, "--jobs", "2", "cna", "rfi")
    assert status == Status.RUNNING
    assert [run["status"] for run in report["publishers"]] == [Status.WELL, Status.RUNNING]
    assert "rfi: another run is under way" in told


def test_a_limit_is_no_failure(server: Server, tmp_path: Path) -> None:
    pages = [article_url(f"2024011500{number:02}") for number in range(1, 30)]
    server.answer(LISTING, reply(f"<urlset>{''.join(f'<url><loc>{url}</loc></url>' for url in pages)}</urlset>"))
    for url in pages:
        server.answer(url, reply(cna_page(url[-17:-5])))
    status, told, report = archive(server, tmp_path, "cna", "--max-articles", "3")
    account = report["publishers"][0]["account"]
    assert (status, account["finish"]) == (Status.WELL, "closespider_itemcount"), told
    assert 3 <= account["stored"] < len(pages)
    status, told, report = archive(server, tmp_path, "cna")
    assert status == Status.WELL, told
    assert report["publishers"][0]["account"]["stored"] + account["stored"] == len(pages)


def test_without_time_left_a_publisher_is_named(server: Server, tmp_path: Path) -> None:
    status, told, report = archive(server, tmp_path, "cna", "--budget", "0.5s")
    assert (status, report["not_run"], report["publishers"]) == (Status.WELL, ["cna"], [])
    assert "cna: not run, as there was no time left for it" in told


def test_asked_to_stop_runs_finish_what_they_have_begun(server: Server, tmp_path: Path) -> None:
    server.answer(PAGE, lambda connection: (time.sleep(2), connection.sendall(reply(cna_page("202401150001")))))
    called, environment = command(server, tmp_path, "cna", "--report", str(tmp_path / "report.json"))
    process = subprocess.Popen(called, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not any(url.endswith("0001.aspx") for url in server.asked):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    account = json.loads((tmp_path / "report.json").read_text())["publishers"][0]["account"]
    assert (account["finish"], account["stored"]) == ("shutdown", 1)
    assert process.returncode == Status.FAILED


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_posts_are_published_and_what_keeps_them_from_it_is_the_status(server: Server, tmp_path: Path) -> None:
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", remote], check=True)
    status, told, report = archive(server, tmp_path, "cna", "--git", "--push")
    assert (status, report["status"], report["git"]["pushed"]) == (Status.PUBLICATION, Status.PUBLICATION, False)
    assert "has no remote origin: git remote add origin ADDRESS" in report["git"]["problem"]
    assert "git: archive: 1 new post (" in told
    (problem,) = (problem for problem in report["problems"] if problem["kind"] == "publication")
    assert problem["text"].startswith("posts are not published: ")
    subprocess.run(["git", "remote", "add", "origin", remote], cwd=tmp_path / "archive", check=True)
    status, told, report = archive(server, tmp_path, "cna", "--git", "--push")
    assert (status, report["git"]["commit"], report["git"]["pushed"]) == (Status.WELL, None, True), told
    assert f"git: pushed to {remote}" in told
    assert not [problem for problem in report["problems"] if problem["kind"] == "publication"]
    listed = subprocess.run(
        ["git", "ls-tree", "-r", "--name-only", "main"], cwd=remote, capture_output=True, text=True, check=True
    )
    assert listed.stdout.split() == [".gitignore", "_posts/cna/2024/2024-01-15-202401150001.md"]


@pytest.mark.parametrize(
    "words",
    [
        ("nobody",),
        ("--until", "2024-01-01"),
        ("--since", "x"),
        ("--since", "2024-01-01", "--until", "9999-12-32"),
        ("--budget", "soon"),
        ("--budget", "999999999h"),
        ("--jobs", "0"),
        ("--push",),
        ("--git", "-s", "GIT_AUTHOR=x"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_runs(server: Server, tmp_path: Path, words: tuple[str]) -> None:
    status, _, report = archive(server, tmp_path, *words)
    assert (status, report, server.asked) == (2, {}, [])


LEFT_OVER = "2024-01-01 00:00 to 2024-02-01 00:00 is not complete: 30 days and 0 addresses are left, some 9900 requests"
ACCOUNT = {"finish": "finished", "failures": [], "refused": {}, "failed": {}, "listings": [], "manners": {}}


@pytest.mark.parametrize(
    ("code", "account", "expected"),
    [
        (0, {}, Status.WELL),
        (0, {"refused": {"video": 3}, "failed": {"status-404": 1}}, Status.WELL),
        (1, {"finish": "closespider_timeout", "failures": ["7 × article/failed/stopped"]}, Status.WELL),
        (1, {"finish": "closespider_timeout", "failures": ["7 × article/failed/stopped", LEFT_OVER]}, Status.WELL),
        (1, {"failures": [LEFT_OVER]}, Status.FAILED),
        (1, {"failures": ["1 × article/failed/timeout"], "failed": {"timeout": 1}}, Status.FAILED),
        (1, {"finish": "shutdown", "failures": ["stopped before its end: shutdown"]}, Status.FAILED),
        (3, {}, Status.RUNNING),
        (1, {"listings": [{"url": "x", "failed": "timeout"}], "failures": ["x"]}, Status.LISTING),
        (1, {"failures": ["nothing found where articles must be"]}, Status.NOTHING),
        (1, {"listings": [{"failed": "empty-listing"}], "failures": ["nothing found where …"]}, Status.NOTHING),
        (1, {"listings": [{"failed": "dns"}], "failures": ["nothing found where …"]}, Status.LISTING),
        (1, {"listings": [{"failed": "empty-listing"}], "failures": ["x"]}, Status.LISTING),
        (1, {"refused": {"drift": 1}, "listings": [{"failed": "dns"}], "failures": ["x"]}, Status.DRIFT),
        (1, {"failed": {"blocked": 5}, "failures": ["x"]}, Status.BLOCKED),
        (1, {"manners": {"blocked": {"www.rfi.fr": {}}}, "failures": ["x"]}, Status.BLOCKED),
        (1, {"finish": "storage", "refused": {"drift": 1}, "failures": ["x"]}, Status.STORAGE),
    ],
)
def test_every_status(code: int, account: dict[str, Any], expected: Status) -> None:
    assert status_of(code, {**ACCOUNT, **account} if account or not code else {}) == expected


def test_the_gravest_status_is_that_of_all() -> None:
    assert set(GRAVEST) == set(Status)
    assert worst([]) == Status.WELL
    assert worst([Status.PUBLICATION, Status.LISTING, Status.NOTHING]) == Status.PUBLICATION
    assert worst([Status.LISTING, Status.DRIFT, Status.BLOCKED]) == Status.DRIFT
    assert worst(reversed(GRAVEST)) == Status.STORAGE


def only_rechecks(account: dict[str, Any]) -> bool:
    return account["purpose"] == "recheck" and account["listings"] == []


def test_another_look_asks_for_no_listing(server: Server, tmp_path: Path) -> None:
    assert archive(server, tmp_path, "cna")[0] == Status.WELL
    before = len(server.asked)
    status, told, report = archive(server, tmp_path, "cna", "--recheck-only")
    account = report["publishers"][0]["account"]
    # Nothing is due a moment later, and that is no failure.
    assert (status, account["scheduled"], only_rechecks(account)) == (Status.WELL, 0, True), told
    assert server.asked[before:] == []


@pytest.mark.parametrize("again", [("replay", "{captures}"), ("archive", "cna")])
def test_a_lost_index_learns_of_runs_that_captured_nothing(
    server: Server, tmp_path: Path, again: tuple[str, ...]
) -> None:
    for words in ((), ("--recheck-only",)):
        assert archive(server, tmp_path, "cna", *words)[0] == Status.WELL
    for left in tmp_path.glob("archive/index.sqlite*"):
        left.unlink()
    called, environment = command(server, tmp_path)
    python, options = called[:3], called[4:]
    for words in (again, ("verify",)):
        words = [word.format(captures=tmp_path / "archive/captures") for word in words]
        done = subprocess.run(
            [*python, *words, *options], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == Status.WELL, done.stdout + done.stderr
    assert done.stdout.endswith(" runs: all well\n")


def test_another_look_takes_up_what_is_left_over(server: Server, tmp_path: Path) -> None:
    server.answer(PAGE, reply("", status="500 Internal Server Error"))
    assert archive(server, tmp_path, "cna")[0] == Status.FAILED
    server.answer(PAGE, reply(cna_page("202401150001")))
    status, told, report = archive(server, tmp_path, "cna", "--recheck-only")
    account = report["publishers"][0]["account"]
    assert (status, account["stored"], only_rechecks(account)) == (Status.WELL, 1, True), told
    assert LISTING not in server.asked[-2:]


def weeks_of_runs(folder: Path) -> None:
    """Put the accounts of a week of hourly runs into an archive, as if they had gone before."""
    room = Newsroom(1, 60, "cna", "since_2018")
    (folder / "archive/runs").mkdir(parents=True)
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for hours in range(10 * 24, 0, -1):
        run = room.run(10 * 24 - hours)
        started, ended = (f"{now - hours * timedelta(hours=1) + after:%Y-%m-%dT%H:%M:%SZ}" for after in PASSED)
        account = {**run.account, "started": started, "ended": ended}
        name = re.sub(r"[-:]", "", started)
        (folder / f"archive/runs/{name}-cna.json").write_bytes(orjson.dumps(account))


PASSED = timedelta(0), timedelta(minutes=10)


def test_a_layout_that_drifts_is_told_once_by_name(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weeks_of_runs(tmp_path)
    pages = [article_url(f"2024011500{number:02}") for number in range(1, 5)]
    server.answer(LISTING, reply(f"<urlset>{''.join(f'<url><loc>{url}</loc></url>' for url in pages)}</urlset>"))
    for url in pages:
        server.answer(url, reply(cna_page(url[-17:-5]).replace('class="paragraph"', 'class="else"')))
    with web_server() as web:
        monkeypatch.setenv("NEWSARCHIVE_ALERTS", web.address)
        status, told, report = archive(server, tmp_path, "cna")
        assert status == Status.DRIFT, told
        archive(server, tmp_path, "cna")
    (message,) = (posted["message"] for posted in web.posted)
    assert message.startswith(
        "broken: cna: since_2018: 4 of 4 pages in the last run were refused as drift (no div.paragraph)"
    )
    assert any(f"for example {url}" in message for url in pages)
    assert [problem["key"] for problem in report["problems"]] == ["cna refused drift"]
    assert "hunter2" not in told
    assert told.count("broken: cna: since_2018") == 1


def test_who_cannot_be_reached_is_said(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weeks_of_runs(tmp_path)
    drifted(server)
    monkeypatch.setenv(
        "NEWSARCHIVE_ALERTS", "mailto://k:hunter2secret@127.0.0.1:1?from=a@b.org&to=c@d.org&mode=insecure"
    )
    server.answer(LISTING, reply("", status="500 Internal Server Error"))
    for _ in range(3):
        status, told, _ = archive(server, tmp_path, "cna")
    assert status == Status.LISTING
    assert "not delivered, tried again after the next run: mailto://k:****@127.0.0.1:1/c%40d.org: " in told
    assert "hunter2" not in told


def test_an_address_that_is_none_is_said_before_anything_runs(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSARCHIVE_ALERTS", "nosuch://user:hunter2secret@host")
    status, told, _ = archive(server, tmp_path, "cna")
    assert (status, server.asked) == (2, [])
    assert "alert address 1 of the kind 'nosuch' is none that Apprise knows" in told
    assert "hunter2" not in told
