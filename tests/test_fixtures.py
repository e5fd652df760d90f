"""Every saved page ends as its expectation says, through the real spiders, settings, downloader and pipelines."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import pytest
from places import CHECKOUT, FIXTURES, PUBLISHERS, spider

from newsarchive.article import Article, Refused
from newsarchive.commands.read import address
from newsarchive.fixture import Fixture, load
from newsarchive.post import read
from pipelines.validate import problems


def scrapy(*arguments: str, cwd: Path = CHECKOUT) -> subprocess.CompletedProcess[str]:
    """Run a command of the project in a process of its own."""
    command = [sys.executable, "-m", "scrapy", *arguments]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, env=environment)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Return an archive into which all fixtures were replayed, and what the command printed."""
    folder = tmp_path_factory.mktemp("archive")
    return folder, scrapy("replay", "-s", f"ARCHIVE_DIR={folder}")


def fixtures() -> list[tuple[str, Fixture]]:
    return [(publisher, fixture) for publisher in PUBLISHERS for fixture in load(FIXTURES / publisher)]


def test_every_fixture_ends_as_expected(archive: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, done = archive
    assert "FAILED" not in done.stdout
    assert (done.returncode, done.stderr) == (0, "")
    for publisher in PUBLISHERS:
        assert f"\n{publisher}: " in "\n" + done.stdout


def test_a_post_for_every_article_and_nothing_else(archive: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = archive
    posts = {read(file.read_text(encoding="utf-8")).url for file in folder.rglob("*.md")}
    articles = {fixture.expected["article"]["url"] for _, fixture in fixtures() if "article" in fixture.expected}
    assert posts == articles
    assert {path.suffix for path in (folder / "_posts").rglob("*") if path.is_file()} == {".md"}


def test_replaying_twice_changes_nothing(archive: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = archive
    before = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.rglob("*.md")}
    done = scrapy("replay", "-s", f"ARCHIVE_DIR={folder}")
    assert done.returncode == 0
    assert {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.rglob("*.md")} == before
    assert "(0 stored, 0 revised" in done.stdout


def test_an_address_without_fixture_is_a_failure(tmp_path: Path) -> None:
    whole = FIXTURES / "cna"
    for file in whole.iterdir():
        if not file.name.startswith("robots"):
            (tmp_path / "cna").mkdir(exist_ok=True)
            (tmp_path / "cna" / file.name).write_bytes(file.read_bytes())
    done = scrapy("replay", str(tmp_path / "cna"), "-s", f"ARCHIVE_DIR={tmp_path / 'archive'}")
    assert done.returncode == 1
    assert "FAILED cna: no fixture answers https://www.cna.com.tw/robots.txt" in done.stdout


def test_another_ending_is_a_failure_that_names_the_fixture(tmp_path: Path) -> None:
    for file in (FIXTURES / "cna").iterdir():
        (tmp_path / "cna").mkdir(exist_ok=True)
        (tmp_path / "cna" / file.name).write_bytes(file.read_bytes())
    fixture = next(fixture for fixture in load(tmp_path / "cna") if "article" in fixture.expected)
    fixture.expecting({"article": {**fixture.expected["article"], "title": "another"}}).save()
    done = scrapy("replay", str(tmp_path), "-s", f"ARCHIVE_DIR={tmp_path / 'archive'}")
    assert done.returncode == 1
    assert f"FAILED cna/{fixture.name}: another title" in done.stdout


def test_expectations_are_rewritten_by_the_command(tmp_path: Path) -> None:
    for file in (FIXTURES / "cna").iterdir():
        (tmp_path / "cna").mkdir(exist_ok=True)
        (tmp_path / "cna" / file.name).write_bytes(file.read_bytes())
    fixture = next(fixture for fixture in load(tmp_path / "cna") if "article" in fixture.expected)
    fixture.expecting({}).save()
    done = scrapy("fixture", "cna", "--folder", str(tmp_path))
    assert done.stdout == f"cna/{fixture.name}: article\n"
    assert [f.expected for f in load(tmp_path / "cna")] == [f.expected for f in load(FIXTURES / "cna")]


@pytest.mark.parametrize("publisher", PUBLISHERS)
def test_each_publisher_has_a_dozen_fixtures_named_for_their_case(publisher: str) -> None:
    names = [fixture.name for fixture in load(FIXTURES / publisher)]
    assert len(names) >= 12
    assert [name for name in names if name.strip("0123456789-") == ""] == []


@pytest.mark.parametrize("publisher", PUBLISHERS)
def test_each_fixture_is_looked_at(publisher: str) -> None:
    """Of two with one address only the last would answer, and one that says no end is met by any."""
    found = list(load(FIXTURES / publisher))
    assert len({fixture.url for fixture in found}) == len(found)
    assert [fixture.name for fixture in found if not fixture.ending and fixture.page.suffix != ".txt"] == []


def test_read_prints_articles_and_refusals_as_json_lines() -> None:
    whole = next(f for f in load(FIXTURES / "cna") if "article" in f.expected and not f.expected.get("headers"))
    expired = next(f for f in load(FIXTURES / "cna") if f.expected.get("error") == "expired")
    done = scrapy("read", "cna", str(whole.page), str(expired.page))
    first, second = map(json.loads, done.stdout.splitlines())
    assert first == whole.expected["article"]
    assert (second["file"], second["refused"]) == (str(expired.page), "expired")
    assert done.returncode == 1
    assert scrapy("read", "cna", str(whole.page)).returncode == 0


def test_read_names_the_publishers() -> None:
    done = scrapy("read", "nobody", "x.html")
    assert (done.returncode, "name a publisher: cna, " in done.stderr) == (2, True)


def test_read_refuses_what_must_not_reach_a_parser(tmp_path: Path) -> None:
    page = tmp_path / "huge.html"
    page.write_bytes(b"<html>" + b"<p>x</p>" * 2_000_000 + b"</html>")
    with patch("newsarchive.commands.read.tree", side_effect=AssertionError), pytest.raises(Refused, match="too-large"):
        address(page.read_bytes())
    assert json.loads(scrapy("read", "cna", str(page)).stdout)["refused"] == "too-large"


def test_spider_file_class_name_and_folder_agree() -> None:
    # The spider for feeds is that of no publisher.
    files = {file.stem for file in (CHECKOUT / "spiders").glob("*.py")} - {"__init__", "feed"}
    assert files == set(PUBLISHERS) == {folder.name for folder in FIXTURES.iterdir()}
    for publisher in PUBLISHERS:
        assert type(spider(publisher)).__name__ == f"{publisher.capitalize()}Spider"
        assert type(spider(publisher)).__module__ == f"spiders.{publisher}"


def test_readme_names_every_publisher() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    rows = [line for line in readme.splitlines() if line.startswith("| `")]
    assert {row.split("`")[1] for row in rows if row.split("`")[1] in PUBLISHERS} == set(PUBLISHERS)
    for publisher in PUBLISHERS:
        assert any(spider(publisher).label in row for row in rows if f"| `{publisher}`" in row)


def test_readme_shows_what_a_replay_prints(archive: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, done = archive
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"\$ make archive\n(.*?)\n\n`make archive`", readme, re.DOTALL)[1]
    printed = done.stdout.replace(str(folder), "archive").splitlines()
    assert [line for line in shown.splitlines() if line[4:].strip(" …") and line[4:] not in printed] == []
    post = re.search(r"\$ cat (archive/\S+)\n(.*?)\n\n\S", readme, re.DOTALL)
    text = (folder / Path(post[1]).relative_to("archive")).read_text(encoding="utf-8")
    for line in post[2].splitlines():
        assert line[4:].removesuffix("…") in text


def test_readme_explains_every_reason() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`([a-z]+(?:-[a-z0-9…]+)*)`", readme))
    code = "\n".join(
        file.read_text(encoding="utf-8")
        for folder in ("newsarchive", "spiders", "pipelines")
        for file in (CHECKOUT / folder).rglob("*.py")
    )
    given = set(re.findall(r'Refused\(\s*"([a-z]+(?:-[a-z]+)*)"', code)) | set(problems(NOTHING))
    given |= {fixture.expected["error"] for _, fixture in fixtures() if "error" in fixture.expected}
    assert {reason for reason in given if not reason.startswith(("status-", "not-saved"))} - told == set()


#: An article in which everything is wrong.
NOTHING = Article(
    publisher="", id="", url="", title="", published=datetime(1900, 1, 1, tzinfo=UTC), language="", body="\n"
)
