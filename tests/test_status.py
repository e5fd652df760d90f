"""What is told of an archive's health: on a screen, in JSON, as metrics; and the status with which it is told."""

import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from places import CHECKOUT
from prometheus_client.parser import text_string_to_metric_families
from scrapy.utils.project import get_project_settings
from years import DAY, HOUR, NOW, Publisher, archive

from newsarchive.alerts import tell
from newsarchive.archival import MEANS, OF_KIND, Status
from newsarchive.commands.status import Command
from newsarchive.coverage import Span
from newsarchive.health import Problem, Rate, Thresholds, Verdict
from newsarchive.index import Index, RunRow
from newsarchive.status import Overview, as_json, metrics, overview, show
from newsarchive.status.metrics import REASONS
from newsarchive.status.words import percent, plain, size
from newsarchive.words import count, length

#: What a terminal obeys, a page runs, and a line does not hold.
HOSTILE = "\x1b[2J\x07</title><script>alert(1)</script>\u202e\r\n'\" & ]]>\x00"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an archive of one publisher that is well."""
    return archive(tmp_path_factory.mktemp("base") / "archive", Publisher("cna", 48, days=40))


@pytest.fixture
def folder(base: Path, tmp_path: Path) -> Path:
    """Return an archive of one publisher that is well, to be harmed."""
    return Path(shutil.copytree(base, tmp_path / "archive"))


def told(folder: Path, now: datetime = NOW, label: str = "中央社", days: int = 366, **thresholds: Any) -> Overview:
    names = {"cna": (label, "zh-Hant")}
    return overview(folder, names, now, Thresholds(**thresholds), now.date() - timedelta(days=days - 1))


def screen(told: Overview) -> str:
    out = io.StringIO()
    show(told, out)
    return out.getvalue()


def harm(folder: Path, runs: int, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the accounts of the last runs."""
    for file in sorted((folder / "runs").iterdir())[-runs:]:
        account = json.loads(file.read_bytes())
        change(account)
        file.write_text(json.dumps(account))


def listing(account: dict[str, Any]) -> None:
    account["listings"][1] = {"url": "https://www.cna.com.tw/feed.xml", "failed": "status-500"}


def poorer(account: dict[str, Any]) -> None:
    for look in account["layouts"].values():
        look["empty"]["section"] = look["read"]


def drifted(account: dict[str, Any]) -> None:
    (look,) = account["layouts"].values()
    look["refused"], look["examples"] = {"drift": 30}, {"drift": "https://www.cna.com.tw/news/x"}
    account["refused"] = {"drift": 30}
    account["scheduled"] += 30


def failing(account: dict[str, Any]) -> None:
    account["failed"] = {"status-500": 40}
    account["scheduled"] += 40


def uncovered(folder: Path) -> None:
    with Index(folder / "index.sqlite") as index, index.transaction():
        spans = Span(NOW - 40 * DAY, NOW - 4 * DAY), Span(NOW - 3 * DAY, NOW - HOUR)
        index.run_recorded(RunRow("all-cna", "cna", NOW, NOW, "finished", {}, tuple(("listing", one) for one in spans)))


def account_of(runs: int, **changes: Any) -> Callable[[Path], None]:
    return lambda folder: harm(folder, runs, lambda account: account.update(changes))


HARMS: dict[str, Callable[[Path], object]] = {
    "failing": lambda folder: harm(folder, 3, failing),
    "listing": lambda folder: harm(folder, 3, listing),
    "nothing": account_of(1, failures=["nothing found where articles must be"]),
    "drift": lambda folder: harm(folder, 24, poorer),
    "refused": lambda folder: harm(folder, 1, drifted),
    "blocked": account_of(1, manners={"blocked": {"www.cna.com.tw": "2026-11-20T10:00:00Z"}}),
    "storage": account_of(1, failures=["the archive cannot be written: disk full"]),
    "gap": uncovered,
}


def test_an_archive_that_is_well_is_told_as_well(base: Path) -> None:
    found = told(base)
    assert (found.status, found.troubles) == (Status.WELL, [])
    lines = screen(found).splitlines()
    assert lines[0] == "cna 中央社: well"
    named = dict(re.findall(r"^  (\w[\w ]{0,10}?)  +(.*)$", "\n".join(lines), re.MULTILINE)[:-3])
    held = found.publishers[0].holdings
    assert held.articles > 1500
    assert re.fullmatch(r"\d+ hours ago; usually [\d.]+ articles? in such a time", named["newest"])
    assert re.fullmatch(r"\d+ articles; usually \d+", named["last day"])
    assert re.fullmatch(
        r"[\d.]+\xa0% of \d+ addresses asked for in the last day; usually [\d.]+\xa0%", named["success"]
    )
    assert named["lag"] == "25 minutes from publication to capture, in the median; usually 25 minutes"
    assert named["listings"] == "2 of 2 could be read"
    assert re.fullmatch(r"video \d+ \(usually [\d.]+\)", named["refused"])
    assert re.fullmatch(r"[▁▂▃▄▅▆▇█]{28} \d+ on 2026-11-20", named["captures"])
    assert named["runs"] == "24 in the last day, one every 60 minutes; none of them failed"
    assert named["last run"] == "2026-11-20 17:53 UTC, 57 minutes ago: well"
    assert named["gaps"] == "no gaps are known"
    assert re.fullmatch(r"  disk        [\d.]+ \wB of [\d.,]+ \wB left, which will do for [\d,]+ days", lines[-3])
    assert lines[-1] == "all is well, as of 2026-11-20 18:50 UTC"


@pytest.mark.parametrize("kind", HARMS)
def test_what_is_wrong_is_the_status(folder: Path, kind: str) -> None:
    HARMS[kind](folder)
    found = told(folder)
    assert found.status == OF_KIND[kind], screen(found)
    assert kind in {trouble.problem.kind for trouble in found.troubles}
    assert f"{kind}: cna: " in screen(found)
    assert f"exit status {int(OF_KIND[kind])}, as of" in screen(found).splitlines()[-1]


def test_runs_that_have_stopped_are_late_for_good(base: Path) -> None:
    for hours in (5, 24 * 20, 24 * 400):
        found = told(base, NOW + hours * HOUR)
        assert found.status == Status.LATE, hours
        assert "late: cna: no run has ended since 2026-11-20 17:53 UTC" in screen(found)


def test_a_silent_publisher(tmp_path: Path) -> None:
    found = told(archive(tmp_path / "archive", Publisher("cna", 96, days=40, quiet=15)))
    assert {trouble.problem.kind for trouble in found.troubles} == {"silent"}
    assert found.status == Status.NOTHING


def test_a_disk_with_too_little_room(base: Path) -> None:
    found = told(base, disk_free=10**18)
    assert (found.status, found.publishers[0].status) == (Status.STORAGE, Status.WELL)
    assert screen(found).splitlines()[-2].startswith("disk: the disk has ")


def test_a_run_that_left_no_account_is_told_until_another_has_ended(folder: Path) -> None:
    crash = Problem("cna", "crash", "", "a run ended without an account: killed")
    tell(folder, [Verdict(crash.key, crash)], [], NOW - HOUR / 2)
    found = told(folder)
    assert (found.status, found.troubles[0].problem) == (Status.FAILED, crash)
    assert told(folder, NOW - 2 * HOUR).status == Status.WELL
    tell(folder, [Verdict(crash.key, crash)], [], NOW - 2 * HOUR)
    assert told(folder).status == Status.WELL


def test_every_kind_of_problem_has_a_status_and_a_test() -> None:
    assert set(OF_KIND) == {*HARMS, "late", "silent", "disk", "crash", "publication"}
    assert all(OF_KIND[kind] in MEANS for kind in OF_KIND)


def test_the_gravest_problem_is_the_status_and_the_first(folder: Path) -> None:
    for kind in ("gap", "listing", "drift"):
        HARMS[kind](folder)
    found = told(folder)
    assert found.status == Status.DRIFT
    assert [trouble.status for trouble in found.troubles] == [Status.DRIFT, Status.LISTING, Status.GAP]


def test_since_when_a_problem_is_known_is_said(folder: Path) -> None:
    HARMS["listing"](folder)
    key = told(folder).troubles[0].problem.key
    found = told(folder, since={key: NOW - 2 * HOUR})
    assert "(known since 2026-11-20 16:50 UTC)" in screen(found)
    (problem,) = json.loads(as_json(found))["publishers"][0]["problems"]
    assert (problem["kind"], problem["since"], problem["status"]) == ("listing", "2026-11-20T16:50:00Z", 4)


def test_an_archive_without_runs_is_well(tmp_path: Path) -> None:
    """As one that was taken over from elsewhere."""
    found = told(archive(tmp_path / "archive", Publisher("cna", 2, days=9, accounts=-1)))
    assert found.status == Status.WELL
    assert "  last run    no run has ended yet" in screen(found)
    assert metrics(found)
    assert json.loads(as_json(found))["publishers"][0]["runs"]["last"] is None


def test_json_has_everything(folder: Path) -> None:
    HARMS["gap"](folder)
    found = told(folder)
    said = json.loads(as_json(found))
    assert said.keys() == {"generated", "status", "means", "archive", "publishers"}
    assert (said["generated"], said["status"], said["means"]) == ("2026-11-20T18:50:00Z", 11, "articles may be missing")
    (publisher,) = said["publishers"]
    with closing(Index(folder / "index.sqlite", read_only=True)) as index:
        held = index.holdings("cna")
        per_day: dict[str, int] = {}
        for article in index.articles("cna"):
            day = f"{article.published:%Y-%m-%d}"
            per_day[day] = per_day.get(day, 0) + 1
    assert (publisher["articles"], publisher["captures"], publisher["partial"]) == (held.articles, held.captures, 0)
    assert publisher["days"]["articles"] == per_day
    assert publisher["gaps"] == [["2026-11-16T18:50:00Z", "2026-11-17T18:50:00Z"]]
    assert publisher["days"]["gap_seconds"] == {"2026-11-16": 18600.0, "2026-11-17": 67800.0}
    assert publisher["runs"]["last"]["status"] == 0
    assert publisher["capture_files"] == {"here": {"files": 1, "bytes": 48000}}
    assert as_json(told(folder)) != b""


def test_the_census_of_the_index_is_what_its_articles_say(base: Path) -> None:
    with closing(Index(base / "index.sqlite", read_only=True)) as index:
        ((name, (holdings, days)),) = index.census().items()
        assert (name, holdings) == ("cna", index.holdings("cna"))
        assert (sum(days.values()), max(days)) == (holdings.articles, date(2026, 11, 20))


def test_metrics_are_what_prometheus_reads(folder: Path) -> None:
    HARMS["refused"](folder)
    found = told(folder)
    text = metrics(found)
    families = {family.name: family for family in text_string_to_metric_families(text.decode())}
    assert all(name.startswith("newsarchive_") and family.documentation for name, family in families.items())
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families.values()
        for sample in family.samples
    }
    cna = ("publisher", "cna")
    held = found.publishers[0].holdings
    assert samples["newsarchive_articles", cna] == held.articles
    assert samples["newsarchive_newest_article_timestamp_seconds", cna] == held.newest.timestamp()
    assert samples["newsarchive_last_run_timestamp_seconds", cna] == (NOW - timedelta(minutes=57)).timestamp()
    assert samples["newsarchive_problems", ("kind", "refused"), cna] == 1
    assert samples["newsarchive_problems", ("kind", "gap"), cna] == 0
    assert samples["newsarchive_problems", ("kind", "disk"), ("publisher", "")] == 0
    assert samples["newsarchive_day_refusals", ("ending", "refused"), cna, ("reason", "drift")] == 30
    assert samples["newsarchive_captures_bytes", cna, ("where", "here")] == 48000
    assert samples["newsarchive_status",] == Status.DRIFT
    assert "http" not in text.decode()


def test_promtool_finds_nothing_to_complain_of(base: Path) -> None:
    if not (promtool := shutil.which("promtool")):
        pytest.skip("promtool is not installed")
    done = subprocess.run([promtool, "check", "metrics"], input=metrics(told(base)), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_labels_of_metrics_are_few(folder: Path) -> None:
    harm(folder, 1, lambda account: account.update(failed={f"reason-{number}": 1 for number in range(500)}))
    text = metrics(told(folder)).decode()
    assert text.count("newsarchive_day_refusals{") == REASONS + 1
    assert re.search(r'newsarchive_day_refusals\{ending="failed",publisher="cna",reason="other"} \d{3}\.0\n', text)


def test_words_from_outside_drive_no_terminal(folder: Path) -> None:
    def say(account: dict[str, Any]) -> None:
        listing(account)
        account["listings"][1] = {"url": f"https://x/{HOSTILE}", "failed": HOSTILE}
        account["failed"] = {HOSTILE: 9}
        account["unfinished"] = [{"url": HOSTILE, "since": HOSTILE, "reason": HOSTILE}]
        account["manners"] = {"blocked": {HOSTILE: "2026-11-20T10:00:00Z"}}

    harm(folder, 3, say)
    found = told(folder, label=HOSTILE)
    text = screen(found)
    assert r"\x1b[2J\x07</title>" in text
    assert {character for character in text if not character.isprintable()} == {"\n", "\xa0"}
    assert not re.search("^(?!cna |  |archive$|[a-z]+: |what to do: |$)", text, re.MULTILINE)
    json.loads(as_json(found))
    assert len(list(text_string_to_metric_families(metrics(found).decode()))) > 20


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_terminal_gets_lines_of_its_width(folder: Path, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    HARMS["refused"](folder)
    out = Terminal()
    show(told(folder), out)
    text = re.sub(r"\x1b\[[\d;]*m", "", out.getvalue())
    assert "\x1b[1;31m" in out.getvalue()
    assert max(map(len, text.splitlines())) <= columns
    assert "https://www.cna.com.tw/news/x" in re.sub(r"\s+", "", text)


def run(folder: Path, *words: str | Path, **settings: object) -> subprocess.CompletedProcess[bytes]:
    options = [word for name, value in settings.items() for word in ("-s", f"{name}={value}")]
    command = [sys.executable, "-m", "scrapy", "status", *map(str, words), "-s", f"ARCHIVE_DIR={folder}", *options]
    environment = {**os.environ, "PYTHONWARNINGS": "default"}
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, timeout=600, check=False)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done


def options() -> argparse.ArgumentParser:
    parser, command = argparse.ArgumentParser(), Command()
    command.settings = get_project_settings()
    command.add_options(parser)
    return parser


AT = ("--at", "2026-11-20T18:50Z")


def test_the_command_writes_what_is_asked_for(folder: Path, tmp_path: Path) -> None:
    HARMS["listing"](folder)
    page, text = tmp_path / "new" / "status.html", tmp_path / "news.prom"
    done = run(folder, *AT, "--html", page, "--prometheus", text, "--svg", "-", "--days", "30")
    assert (done.returncode, done.stderr) == (Status.LISTING, b"")
    assert done.stdout.startswith(b'<?xml version="1.0"')
    assert done.stdout.count(b"<title>20") == 30
    assert page.read_bytes().startswith(b"<!DOCTYPE html>")
    assert text.read_bytes().startswith(b"# HELP newsarchive_status ")
    assert not [*tmp_path.glob("**/.*")]
    again = run(folder, *AT, "--svg", "-", "--days", "30")
    assert again.stdout == done.stdout


def test_the_command_prints_the_screen_or_json(folder: Path) -> None:
    done = run(folder, *AT, "cna", "cna")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().startswith("cna (臺)中央社CNA: well\n")
    said = json.loads(run(folder, *AT, "--json").stdout)
    assert [publisher["label"] for publisher in said["publishers"]] == ["(臺)中央社CNA"]


@pytest.mark.parametrize("words", [("--json",), ("--html", "-")])
def test_standard_output_that_is_full(folder: Path, words: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "scrapy", "status", "-s", f"ARCHIVE_DIR={folder}", *AT, *words]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, cwd=CHECKOUT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        Status.STORAGE,
        "standard output cannot be written: No space left on device\n",
    )


def test_what_cannot_be_written_is_said_and_the_rest_written(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "taken").mkdir()
    chart = tmp_path / "chart.svg"
    done = run(folder, *AT, "--html", tmp_path / "file" / "x", "--svg", chart, "--prometheus", tmp_path / "taken")
    assert done.returncode == Status.STORAGE
    assert done.stderr.decode().splitlines() == [
        f"{tmp_path}/file/x cannot be written: Not a directory",
        f"{tmp_path}/taken cannot be written: Is a directory",
    ]
    assert chart.exists()


def test_what_is_no_file_is_only_written_to(folder: Path, tmp_path: Path) -> None:
    """Nobody's /dev/null is replaced."""
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE) as reader:
        assert run(folder, *AT, "--svg", tmp_path / "pipe").returncode == 0
        assert reader.communicate(timeout=60)[0].endswith(b"</svg>\n")
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("dw",), "holds nothing of dw: it holds cna"),
        (("--html", "-", "--svg", "-"), "only one of"),
        (("--days", "0"), "not a number of days from 1 to 36600: '0'"),
        (("--since", "2999-01-01"), "--since is no day of the 36600 up to "),
    ],
)
def test_arguments_that_make_no_sense(base: Path, words: tuple[str, ...], why: str) -> None:
    done = run(base, *words)
    assert (done.returncode, done.stdout) == (2, b"")
    assert why in done.stderr.decode()


@pytest.mark.parametrize(
    ("option", "word"),
    [
        *(("--days", word) for word in ("0", "-1", "36601", "1.5", "٣", "")),
        *(("--since", word) for word in ("yesterday", "2026-02-30", "")),
        *(("--at", word) for word in ("noon", "2026-11-20T25:00", "")),
    ],
)
def test_words_that_are_no_number_day_or_time(option: str, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = options()
    with pytest.raises(SystemExit):
        parser.parse_args([option, word])
    assert f"argument {option}: not a " in capsys.readouterr().err


def test_a_time_is_in_utc_if_it_says_no_zone() -> None:
    parser = options()
    for word in ("2026-11-20T18:50", "2026-11-20T18:50Z", "2026-11-21T02:50+08:00"):
        assert parser.parse_args(["--at", word]).at == NOW


def test_an_archive_of_which_nothing_can_be_read(tmp_path: Path) -> None:
    nothing = run(tmp_path)
    assert (nothing.returncode, nothing.stderr.count(b"there is no index yet")) == (1, 1)
    (tmp_path / "index.sqlite").write_bytes(b"no index" * 1000)
    damaged = run(tmp_path)
    assert (damaged.returncode, b"index.sqlite" in damaged.stderr) == (1, True)


def test_words() -> None:
    assert [count(number, "day") for number in (0, 0.04, 1, 1.0, 2.25, 1234)] == [
        "0 days",
        "<0.1 days",
        "1 day",
        "1 day",
        "2.2 days",
        "1,234 days",
    ]
    assert [length(timedelta(minutes=minutes)) for minutes in (0, 1, 119, 120, 2880)] == [
        *("less than a minute", "1 minute", "119 minutes", "2 hours", "2 days")
    ]
    rates = [Rate(0, 0), Rate(0, 9), Rate(1, 3000), Rate(1, 2), Rate(99_999, 100_000), Rate(5, 5)]
    assert [percent(rate) for rate in rates] == ["–", "0\xa0%", "0.033\xa0%", "50\xa0%", "99.999\xa0%", "100\xa0%"]
    assert [size(number) for number in (7, 999, 12_340, 5e9, 3e12)] == ["7 B", "999 B", "12.3 kB", "5 GB", "3.0 TB"]
    assert plain("a\x1b]0;\u2028b\ud800\ufffe é中") == r"a\x1b]0;\u2028b\ud800\ufffe é中"
