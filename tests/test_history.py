"""Captures are read again as a crawl read them, and ``scrapy history`` shows what became of an article."""

import gzip
import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from places import CHECKOUT, FIXTURES, PUBLISHERS
from scrapy.settings import Settings
from server import PARAGRAPHS, TITLE, cna_page

from newsarchive.article import Article, Refused
from newsarchive.capture import Capture
from newsarchive.fixture import Fixture, as_json, load
from newsarchive.index import Entry, Index, Reading
from newsarchive.post import Post, render
from newsarchive.reading import Reader
from newsarchive.store import entry_of, index_file
from newsarchive.warc import CaptureWriter, WarcError

ID = "202401150001"
URL = f"https://www.cna.com.tw/news/ahel/{ID}.aspx"
FIRST = datetime(2024, 1, 15, 3, tzinfo=UTC)
NAME = "20240115T030000Z-1f2e3d4c"
FILE = f"captures/cna/{NAME}.warc.gz"
HEADERS = ((b"Content-Type", b"text/html; charset=utf-8"),)


def settings() -> Settings:
    """Return the project's settings."""
    found = Settings()
    found.setmodule("newsarchive.settings")
    return found


READER = Reader(settings())


@dataclass
class Archive:
    """An archive under construction: captures of a day each, in one file unless another is named."""

    folder: Path
    publisher: str = "cna"
    days: int = 0

    def write(self, body: bytes, url: str = URL, name: str = NAME, **response: object) -> Capture:
        """Keep a response."""
        writer = CaptureWriter(self.folder, self.publisher, name, {})
        response = {"status": 200, "headers": HEADERS, "kind": "article", "captured": self.now, **response}
        capture = writer.write(url=url, method="GET", request_headers=(), body=body, **response)
        writer.close()
        self.days += 1
        return replace(capture, offset=capture.offset)

    @property
    def now(self) -> datetime:
        """Return when the next capture is made."""
        return FIRST + timedelta(days=self.days)

    def add(self, body: str | bytes, url: str = URL, target: str = "", **response: object) -> Capture:
        """Keep a response and record what it says."""
        body = body.encode() if isinstance(body, str) else body
        capture = self.write(body, url, f"{NAME}{self.days or ''}", **response)
        with Index(index_file(self.folder)) as index:
            index.record(self.entry(capture, target))
        return capture

    def entry(self, capture: Capture, target: str) -> Entry:
        """Return what a capture says."""
        try:
            return entry_of(capture, READER.article(self.publisher, capture, self.folder))
        except Refused as refusal:
            return Entry(capture, self.publisher, refusal.reason, target)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


# Reading.


def announcements(fixtures: list[Fixture]) -> dict[str, str]:
    """Return when listings say that articles were published, also for those that an address redirects to."""
    announced = {url: time for fixture in fixtures for url, time in fixture.expected.get("links", ()) if time}
    for fixture in fixtures * 3:
        target = fixture.expected.get("headers", {}).get("Location")
        if fixture.url in announced and target:
            announced.setdefault(target, announced[fixture.url])
    return announced


@pytest.mark.parametrize("publisher", PUBLISHERS)
def test_every_capture_reads_as_in_a_crawl(publisher: str, tmp_path: Path) -> None:
    fixtures = list(load(FIXTURES / publisher))
    announced = announcements(fixtures)
    writer = CaptureWriter(tmp_path, publisher, NAME, {})
    expected, captures = {}, {}
    for fixture in fixtures:
        headers = fixture.expected.get("headers", {})
        if not fixture.is_article or "Location" in headers or fixture.expected.get("error") == "robots":
            continue
        time = announced.get(fixture.url)
        expected[fixture.name] = fixture.ending
        captures[fixture.name] = writer.write(
            url=fixture.url,
            captured=fixture.fetched,
            method="GET",
            request_headers=(),
            status=fixture.expected.get("status", 200),
            headers=[(name.encode(), value.encode()) for name, value in headers.items()],
            body=fixture.page.read_bytes(),
            kind="article",
            announced=datetime.fromisoformat(time) if time else None,
        )
    writer.close()
    found = {}
    for name, capture in captures.items():
        try:
            article = READER.article(publisher, capture, tmp_path)
            assert article.capture is capture
            found[name] = {"article": as_json(article)}
        except Refused as refusal:
            found[name] = {"error": refusal.reason}
    assert found == expected
    assert sum("article" in ending for ending in found.values()) >= 8


def test_a_file_that_is_being_written_can_be_read(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path, "cna", NAME, {})
    common = {"captured": FIRST, "method": "GET", "request_headers": (), "status": 200, "headers": HEADERS}
    first = writer.write(url=URL, body=cna_page(ID).encode(), kind="article", **common)
    again = writer.write(url=URL, body=cna_page(ID).encode(), kind="article", same_as=first, **common)
    assert (tmp_path / f"{FILE}.open").exists()
    assert READER.article("cna", first, tmp_path) == READER.article("cna", again, tmp_path)
    writer.close()
    assert READER.article("cna", again, tmp_path).title == TITLE


def test_a_body_is_decompressed_no_further_than_a_download_may_be_large(archive: Archive) -> None:
    bomb = gzip.compress(b"x" * (9 << 20))
    capture = archive.write(bomb, headers=(*HEADERS, (b"Content-Encoding", b"gzip")))
    with pytest.raises(Refused, match="too-large"):
        READER.article("cna", capture, archive.folder)


@pytest.mark.parametrize(
    ("status", "headers", "reason"),
    [
        (404, (), "status-404"),
        (301, ((b"Location", b"/other"),), "redirect"),
        (200, ((b"Content-Encoding", b"rot13"),), "undecodable"),
        (200, ((b"Content-Encoding", b"gzip"),), "truncated"),
    ],
)
def test_what_no_callback_would_get_is_refused(
    archive: Archive, status: int, headers: tuple[tuple[bytes, bytes], ...], reason: str
) -> None:
    capture = archive.write(cna_page(ID).encode(), status=status, headers=(*HEADERS, *headers))
    with pytest.raises(Refused) as refused:
        READER.article("cna", capture, archive.folder)
    assert refused.value.reason == reason


def test_a_publisher_without_a_spider_is_refused(archive: Archive) -> None:
    with pytest.raises(Refused, match="no spider is called 'bbc'"):
        READER.article("bbc", archive.write(b"x"), archive.folder)


def test_what_is_not_the_capture_is_never_taken_for_it(archive: Archive) -> None:
    capture = archive.write(cna_page(ID).encode())
    file = archive.folder / capture.file
    wrong = (
        replace(capture, offset=capture.offset + 1),
        replace(capture, captured=capture.captured + timedelta(seconds=1)),
        replace(capture, digest="sha1:AAAA"),
        replace(capture, file="captures/cna/none.warc.gz"),
    )
    for other in wrong:
        with pytest.raises(WarcError, match=f"{other.file}, offset {other.offset}: "):
            READER.article("cna", other, archive.folder)
    data = bytearray(file.read_bytes())
    data[capture.offset + 400] ^= 0xFF
    file.write_bytes(data)
    with pytest.raises(WarcError, match=f"{capture.file}, offset {capture.offset}: "):
        READER.article("cna", capture, archive.folder)


# The command.


def command(archive: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "scrapy", "history", *arguments, "-s", f"ARCHIVE_DIR={archive}"]


def history(archive: Archive, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    environment = {**os.environ, "PYTHONUTF8": "1"}
    return subprocess.run(
        command(archive.folder, *arguments), cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=600
    )


EDITED = (PARAGRAPHS[0], PARAGRAPHS[1].replace("三公里", "五公里半"), "新加的一段。", PARAGRAPHS[2])


@pytest.fixture
def told(archive: Archive) -> Archive:
    """Return an archive with two revisions of an article, a third capture of the second, and a 404 after them."""
    archive.add(cna_page(ID))
    archive.add("", url=URL.replace("ahel", "aopl"), target=URL, status=301, headers=((b"Location", URL.encode()),))
    archive.add(cna_page(ID, title=TITLE.replace("今天", "明天"), paragraphs=EDITED))
    archive.add(
        cna_page(ID, title=TITLE.replace("今天", "明天"), paragraphs=EDITED, head="<meta charset=utf-8><!-- -->")
    )
    archive.add("", status=404)
    archive.add("", status=404)
    return archive


def test_the_history_of_an_article_for_a_person(told: Archive) -> None:
    done = history(told, ID)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = (offset_of(told, number) for number in (0, 2))
    assert (
        done.stdout
        == f"""\
cna {ID}  河岸新步道明天開放
  _posts/cna/2024/2024-01-15-{ID}.md

addresses
  https://www.cna.com.tw/news/ahel/{ID}.aspx  404 since 2024-01-19T03:00:00Z, last on 2024-01-20T03:00:00Z
  https://www.cna.com.tw/news/aopl/{ID}.aspx  redirect to {URL} since 2024-01-16T03:00:00Z

revisions
  1  2024-01-15T03:00:00Z  captures/cna/{NAME}.warc.gz, offset {first}  河岸新步道今天開放
  2  2024-01-17T03:00:00Z  captures/cna/{NAME}2.warc.gz, offset {second}  河岸新步道明天開放

1 → 2
  title
    河岸新步道[-今-]{{+明+}}天開放
  text
    （中央社記者測試台北15日電）這是為測試所寫的第一段文字，沒有任何一句出自真正的…
    第二段說明步道全長[-三-]{{+五+}}公里{{+半+}}，沿途設有座椅與照明，週末開放自行車通行。
    {{+新加的一段。+}}
    （編輯：測試）1130115
"""
    )


def offset_of(archive: Archive, number: int) -> int:
    """Return where the response of a file begins."""
    with Index(index_file(archive.folder), read_only=True) as index:
        return min(index.offsets(FILE.replace(NAME, f"{NAME}{number or ''}")))


def test_the_history_of_an_article_for_a_program(told: Archive) -> None:
    done = history(told, URL, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    (found,) = json.loads(done.stdout)["articles"]
    assert (found["publisher"], found["id"], found["url"], found["withdrawn"]) == ("cna", ID, URL, False)
    assert [address["ending"] for address in found["addresses"]] == ["status-404", "redirect"]
    assert [revision["article"]["title"] for revision in found["revisions"]] == [TITLE, "河岸新步道明天開放"]
    assert [(step["old"], step["new"]) for step in found["differences"]] == [(1, 2)]
    assert found["differences"][0]["passages"][0] == {
        "part": "title",
        "moved": False,
        "pieces": [["same", "河岸新步道"], ["old", "今"], ["new", "明"], ["same", "天開放"]],
    }


def test_whole_texts_and_posts_of_revisions(told: Archive) -> None:
    whole = history(told, ID, "--all").stdout
    for paragraph in (*PARAGRAPHS, *EDITED):
        assert f"     {paragraph}\n" in whole
    with Index(index_file(told.folder), read_only=True) as index:
        captures = [row.capture for row in index.revisions("cna", ID)]
    for number, capture in enumerate(captures, 1):
        article = READER.article("cna", capture, told.folder)
        post = subprocess.run(command(told.folder, ID, "--revision", str(number)), cwd=CHECKOUT, capture_output=True)
        assert post.stdout == render(Post.from_article(article, READER.label("cna"))).encode()
    none = history(told, ID, "--revision", "3")
    assert (none.returncode, none.stdout, none.stderr) == (1, "", f"{ID} has 2 revisions, none is number 3\n")


@pytest.mark.parametrize(
    "name",
    [
        URL.replace("https", "http"),
        f"{URL}?utm_source=x#top",
        f"HTTPS://WWW.CNA.COM.TW/news/ahel/{ID}.aspx",
        f"https://www.cna.com.tw/news/firstnews/{ID}.aspx",
        URL.replace("ahel", "aopl"),
    ],
)
def test_an_article_is_found_by_any_of_its_addresses(told: Archive, name: str) -> None:
    assert history(told, name).stdout.startswith(f"cna {ID}")


def test_an_article_that_nobody_knows(told: Archive) -> None:
    told.add("", url="https://www.cna.com.tw/news/ahel/202401159999.aspx", status=404)
    for name, more in (
        ("202401150002", ""),
        ("https://www.cna.com.tw/news/ahel/202401159999.aspx", "; it ended as status-404 on 2024-01-21T03:00:00Z"),
        ("https://[", ""),
    ):
        done = history(told, name)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"no article is known by {name}{more}\n")
    assert history(told).returncode == 2


def test_without_an_index_it_says_how_to_make_one(archive: Archive) -> None:
    done = history(archive, ID)
    file = index_file(archive.folder)
    told = f"no index: {file}; make it with: scrapy replay {archive.folder}/captures\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", told)
    assert not archive.folder.exists()
    archive.folder.mkdir()
    file.write_bytes(b"no database, whatever else" * 100)
    done = history(archive, ID)
    assert (done.returncode, str(file) in done.stderr, "Traceback" in done.stderr) == (1, True, False)


def test_all_articles_of_one_id_are_listed(told: Archive) -> None:
    capture = told.write(b"x", name=f"{NAME}9")
    reading = Reading("dw", ID, "https://www.dw.com/zh/a-1", "標題", FIRST, "_posts/dw/1.md", "0" * 32)
    with Index(index_file(told.folder)) as index:
        index.record(Entry(capture, "dw", "article", reading=reading))
    done = history(told, ID)
    assert done.returncode == 1
    assert [line for line in done.stdout.split("\n") if ID in line and "/" not in line] == [
        f"cna {ID}  河岸新步道明天開放",
        f"dw {ID}  標題",
    ]


def test_a_revision_whose_capture_is_gone_or_damaged_is_listed_with_the_reason(told: Archive) -> None:
    told.add(cna_page(ID, paragraphs=EDITED[1:]))
    gone, damaged = told.folder / FILE, told.folder / FILE.replace(NAME, f"{NAME}2")
    gone.unlink()
    data = damaged.read_bytes()
    damaged.write_bytes(data[: len(data) // 2])
    done = history(told, ID)
    assert done.returncode == 1
    assert f"its text cannot be shown: {gone}, offset {offset_of(told, 0)}: No such file or directory\n" in done.stdout
    assert f"its text cannot be shown: {damaged}, offset " in done.stdout
    assert "\n1 → 2\n  cannot be compared\n\n2 → 3\n  cannot be compared\n" in done.stdout
    assert history(told, ID, "--revision", "3").returncode == 1
    found = json.loads(history(told, ID, "--json").stdout)["articles"][0]
    assert [bool(revision["article"]) for revision in found["revisions"]] == [False, False, True]
    assert [step["passages"] for step in found["differences"]] == [None, None]


#: What turns a terminal's colours on, its title or its text around, or hides text in it.
HOSTILE = "\x1b[31m\x1b]0;x\x07\x9b31m\x7f\u202e\u2066\u200f\u2028\u061c"


@pytest.mark.parametrize("arguments", [(), ("--all",), ("--json",)])
def test_nothing_from_outside_speaks_to_the_terminal(archive: Archive, arguments: tuple[str, ...]) -> None:
    archive.add(cna_page(ID, title=f"步{HOSTILE}道", paragraphs=(f"第{HOSTILE}一", *PARAGRAPHS)))
    archive.add(cna_page(ID, title=f"步道{HOSTILE}新", paragraphs=(f"第{HOSTILE}二", *PARAGRAPHS)))
    done = history(archive, ID, *arguments)
    assert done.returncode == 0
    assert not set(HOSTILE) & set(done.stdout) - set("[]031m;x")


def test_neither_posts_nor_arguments_speak_to_the_terminal(archive: Archive) -> None:
    archive.add(cna_page(ID, title=f"步{HOSTILE}道", paragraphs=(f"第{HOSTILE}一", *PARAGRAPHS)))
    assert on_a_terminal(archive, ID, "--revision", "1").translate(dict.fromkeys(map(ord, "\r\n"))).isprintable()
    unknown = history(archive, f"x{HOSTILE}")
    assert (unknown.stderr, unknown.returncode) == ("no article is known by x[31m]0;x31m\n", 1)


def on_a_terminal(archive: Archive, *arguments: str, **environment: str) -> str:
    """Run the command on a terminal and return what the terminal got."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command(archive.folder, *arguments),
        cwd=CHECKOUT,
        env={**{name: value for name, value in os.environ.items() if name != "NO_COLOR"}, **environment},
        stdout=theirs,
    ) as process:
        os.close(theirs)
        got = b""
        # Linux raises EIO when the other end is closed.
        with suppress(OSError):
            while piece := os.read(ours, 1 << 16):
                got += piece
        process.wait(120)
    os.close(ours)
    return got.decode()


def test_changes_are_coloured_on_a_terminal(told: Archive) -> None:
    assert "河岸新步道\x1b[31m今\x1b[0m\x1b[32m明\x1b[0m天開放" in on_a_terminal(told, ID)
    assert "河岸新步道[-今-]{+明+}天開放" in on_a_terminal(told, ID, NO_COLOR="1")


def test_the_index_is_only_read(told: Archive) -> None:
    file = index_file(told.folder)
    before = file.read_bytes()
    with Index(file) as writing, writing.transaction():
        # Another run's transaction is under way, and what it writes is not seen.
        writing.file_recorded(FILE, 1)
        done = history(told, ID)
    assert (done.returncode, done.stderr) == (0, "")
    with Index(file) as index:
        index.db.execute("DELETE FROM files")
    assert len(before) == file.stat().st_size


def test_readings_that_changed_since_are_told_as_no_difference(archive: Archive) -> None:
    capture, again = (archive.add(cna_page(ID)) for _ in range(2))
    article: Article = READER.article("cna", again, archive.folder)
    entry = entry_of(again, article)
    assert entry.reading
    with Index(index_file(archive.folder)) as index:
        index.record(replace(entry, reading=replace(entry.reading, fingerprint="0" * 32)))
        assert [row.capture.file for row in index.revisions("cna", ID)] == [capture.file, again.file]
    assert history(archive, ID).stdout.endswith("\n1 → 2\n  no difference, as the captures are read today\n")
