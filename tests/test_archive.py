"""An archive over several runs: captures, revisions, endings, accounts, and everything made again from captures."""

import csv
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from places import SHARED, needs_shared
from server import PARAGRAPHS, ROOT, Crawl, Server, article_url, cna_page, crawl, reply, reset, serving
from warcio.archiveiterator import ArchiveIterator

from newsarchive.address import canonical_url
from newsarchive.index import Index
from newsarchive.lock import hold
from newsarchive.settings import ITEM_PIPELINES
from newsarchive.store import lock_file
from newsarchive.warc import CaptureWriter

IDS = ["202401150001", "202401150002", "202401150003"]
LISTING = "http://www.cna.com.tw/sitemap.xml"
EDITED = (PARAGRAPHS[0], "第二段說明步道全長四公里，沿途設有座椅與照明，週末開放自行車通行。", PARAGRAPHS[2])


@pytest.fixture
def server():
    with serving() as server:
        for id in IDS:
            server.answer(article_url(id), reply(cna_page(id, title=f"第{id}號報導")))
        locs = "".join(f"<url><loc>{article_url(id)}</loc></url>" for id in IDS)
        server.answer(LISTING, reply(f"<urlset>{locs}</urlset>", type="text/xml"))
        yield server


def run(server: Server, folder: Path, **settings: object) -> Crawl:
    return crawl(server, folder, listings=(LISTING,), **settings)


def scrapy(*args: str, archive: Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scrapy", *args, "-s", f"ARCHIVE_DIR={archive}"]
    env = {**os.environ, **env}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=600)


def posts(archive: Path) -> dict[str, bytes]:
    return {str(file.relative_to(archive)): file.read_bytes() for file in sorted(archive.glob("_posts/**/*.md"))}


def content(archive: Path) -> list[tuple[Any, ...]]:
    with Index(archive / "index.sqlite", read_only=True) as index:
        return list(index.dump())


def records(archive: Path) -> list[tuple[str, str, str | None]]:
    """Return type, address and status of all records but what describes files, in the order they were written."""
    found = []
    # Names of runs that began in the same second sort by chance.
    for file in sorted(archive.glob("captures/**/*.warc.gz"), key=lambda file: file.stat().st_mtime_ns):
        with file.open("rb") as stream:
            for record in ArchiveIterator(stream):
                status = record.http_headers and record.http_headers.statusline.split()[0]
                found.append((record.rec_type, record.rec_headers.get_header("WARC-Target-URI"), status))
    return [record for record in found if record[0] != "warcinfo"]


def account(archive: Path) -> dict[str, Any]:
    """Return the account of the last run."""
    files = sorted(archive.glob("runs/*.json"), key=lambda file: file.stat().st_mtime_ns)
    told: dict[str, Any] = json.loads(files[-1].read_bytes())
    return told


def test_every_response_is_kept_as_served(server: Server, tmp_path: Path) -> None:
    compressed = gzip.compress(cna_page(IDS[0]).encode())
    server.answer(article_url(IDS[0]), reply(compressed, content_encoding="gzip"))
    server.answer(article_url(IDS[1]), reply("", "302 Found", location=article_url(IDS[2])))
    server.answer("http://www.cna.com.tw/gone.xml", reply("gone", "404 Not Found"))
    done = crawl(server, tmp_path, listings=(LISTING, "http://www.cna.com.tw/gone.xml"))
    responses = [(url, status) for kind, url, status in records(done.archive) if kind != "request"]
    assert sorted(responses) == [
        ("http://www.cna.com.tw/gone.xml", "404"),
        (article_url(IDS[0]), "200"),
        (article_url(IDS[1]), "302"),
        (article_url(IDS[2]), "200"),
        (article_url(IDS[2]), "200"),
        ("http://www.cna.com.tw/robots.txt", "404"),
        (LISTING, "200"),
    ]
    (file,) = done.archive.glob("captures/cna/*.warc.gz")
    with file.open("rb") as stream:
        bodies = {
            record.rec_headers.get_header("WARC-Target-URI"): record.raw_stream.read()
            for record in ArchiveIterator(stream)
            if record.rec_type == "response"
        }
    assert bodies[article_url(IDS[0])] == compressed


def test_what_comes_back_unchanged_is_kept_as_a_revisit(server: Server, tmp_path: Path) -> None:
    first = run(server, tmp_path)
    before = posts(first.archive)
    again = run(server, tmp_path)
    assert again.counted == {"listing/read": 1, "article/unchanged": 3}
    assert posts(again.archive) == before
    kinds = [kind for kind, url, _ in records(again.archive) if url in map(article_url, IDS) and kind != "request"]
    assert kinds == ["response"] * 3 + ["revisit"] * 3
    with Index(first.archive / "index.sqlite", read_only=True) as index:
        assert [len(index.revisions("cna", id)) for id in IDS] == [1, 1, 1]


def test_an_edited_paragraph_is_one_revision(server: Server, tmp_path: Path) -> None:
    first = run(server, tmp_path)
    (before,) = (text for name, text in posts(first.archive).items() if IDS[1] in name)
    server.answer(article_url(IDS[1]), reply(cna_page(IDS[1], title=f"第{IDS[1]}號報導", paragraphs=EDITED)))
    edited = run(server, tmp_path)
    assert edited.counted == {"listing/read": 1, "article/unchanged": 2, "article/revised": 1}
    assert run(server, tmp_path).counted == {"listing/read": 1, "article/unchanged": 3}
    with Index(first.archive / "index.sqlite", read_only=True) as index:
        assert [len(index.revisions("cna", id)) for id in IDS] == [1, 2, 1]
    (after,) = (text for name, text in posts(first.archive).items() if IDS[1] in name)
    assert (before.decode().count("三公里"), after.decode().count("四公里")) == (1, 1)
    assert len(posts(first.archive)) == 3


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone", "451 Unavailable For Legal Reasons"])
def test_what_is_gone_stays_as_it_was(server: Server, tmp_path: Path, status: str) -> None:
    before = posts(run(server, tmp_path).archive)
    server.answer(article_url(IDS[1]), reply("gone", status))
    again = run(server, tmp_path)
    assert posts(again.archive) == before
    with Index(again.archive / "index.sqlite", read_only=True) as index:
        address = index.address(article_url(IDS[1]))
        assert address is not None
        assert (address.ending, address.id) == (f"status-{status[:3]}", IDS[1])
        assert len(index.revisions("cna", IDS[1])) == 1


def test_a_notice_in_place_of_an_article_removes_nothing(server: Server, tmp_path: Path) -> None:
    before = posts(run(server, tmp_path).archive)
    server.answer(article_url(IDS[1]), reply("<html><title>找不到網頁</title><p>文</p></html>"))
    again = run(server, tmp_path)
    assert posts(again.archive) == before
    with Index(again.archive / "index.sqlite", read_only=True) as index:
        address = index.address(article_url(IDS[1]))
    assert address is not None
    assert (address.ending, address.id) == ("error-page", IDS[1])


def test_an_address_that_redirects_is_an_alias(server: Server, tmp_path: Path) -> None:
    server.answer(article_url(IDS[1]), reply("", "301 Moved Permanently", location=article_url(IDS[2])))
    done = run(server, tmp_path)
    with Index(done.archive / "index.sqlite", read_only=True) as index:
        address = index.address(article_url(IDS[1]))
    assert address is not None
    assert (address.ending, address.target, address.id) == ("redirect", article_url(IDS[2]), IDS[2])


def test_the_account_adds_up(server: Server, tmp_path: Path) -> None:
    server.answer(article_url(IDS[0]), reply("", "404 Not Found"))
    server.answer(article_url(IDS[1]), reply("<html><title>t</title><p>x</p></html>"))
    server.answer(LISTING + "2", reply("<urlset/>", type="text/xml"))
    done = crawl(server, tmp_path, listings=(LISTING, LISTING + "2"))
    told = account(done.archive)
    assert {name: told[name] for name in ("publisher", "kind", "finish", "scheduled", "stored", "revised")} == {
        "publisher": "cna",
        "kind": "crawl",
        "finish": "finished",
        "scheduled": 3,
        "stored": 1,
        "revised": 0,
    }
    assert (told["unchanged"], told["refused"], told["failed"]) == (0, {"unknown-layout": 1}, {"status-404": 1})
    assert told["listings"] == [{"url": LISTING, "links": 3}, {"url": LISTING + "2", "failed": "empty-listing"}]
    assert told["responses"] == {"200": 4, "404": 2}
    assert told["captures"] == [str(file.relative_to(done.archive)) for file in done.archive.glob("captures/*/*.gz")]
    assert told["bytes"]["captured"] == (done.archive / told["captures"][0]).stat().st_size
    assert done.status == 1
    assert done.stdout.splitlines() == [f"cna: {line}" for line in told["failures"]]
    with Index(done.archive / "index.sqlite", read_only=True) as index:
        (row,) = index.runs("cna")
    assert (row.run, row.status, row.counts) == (
        told["run"],
        "finished",
        {"scheduled": 3, "stored": 1, "revised": 0, "unchanged": 0, "refused": 1, "failed": 1},
    )


def test_what_a_stopped_run_did_not_come_to_has_its_ending(server: Server, tmp_path: Path) -> None:
    done = crawl(server, tmp_path, *map(article_url, IDS), CLOSESPIDER_PAGECOUNT=1)
    told = account(done.archive)
    assert told["scheduled"] == sum(told["failed"].values()) + told["stored"] + sum(told["refused"].values())
    assert told["finish"] == "closespider_pagecount"
    assert done.status == 1


def test_every_kind_of_request_ends_once(server: Server, tmp_path: Path) -> None:
    loop, away, broken, twice = (article_url(f"20240116000{number}") for number in range(4))
    server.answer(loop, reply("", "302 Found", location=loop + "?1"))
    for number in range(10):
        server.answer(f"{loop}?{number}", reply("", "302 Found", location=f"{loop}?{number + 1}"))
    server.answer(away, reply("", "302 Found", location="http://www.example.com/"))
    server.answer(broken, reset)
    server.answer(twice, reply(cna_page("202401160003")))
    done = crawl(server, tmp_path, loop, away, broken, twice, twice)
    told = account(done.archive)
    assert told["refused"] == {"redirect-loop": 1, "redirect-off-site": 1}
    assert (told["failed"], told["stored"], told["scheduled"]) == ({"no-response": 1}, 1, 4)
    assert "the account does not add up" not in done.stdout


def several_runs(server: Server, tmp_path: Path) -> Path:
    """Make an archive with revisions, endings, aliases and revisits."""
    archive = run(server, tmp_path).archive
    server.answer(article_url(IDS[1]), reply(cna_page(IDS[1], title="標題改了", paragraphs=EDITED)))
    server.answer(article_url(IDS[2]), reply("", "410 Gone"))
    run(server, tmp_path)
    server.answer(article_url(IDS[0]), reply("", "301 Moved", location=article_url(IDS[1])))
    run(server, tmp_path)
    return archive


@pytest.mark.parametrize("jobs", [1, 3])
def test_everything_is_made_again_from_the_captures(server: Server, tmp_path: Path, jobs: int) -> None:
    archive = several_runs(server, tmp_path)
    texts, rows = posts(archive), content(archive)
    shutil.rmtree(archive / "_posts")
    for file in archive.glob("index.sqlite*"):
        file.unlink()
    done = scrapy("replay", str(archive / "captures"), "--jobs", str(jobs), archive=archive)
    assert (done.returncode, done.stderr) == (0, "")
    assert posts(archive) == texts
    assert content(archive) == rows
    again = scrapy("replay", str(archive / "captures"), archive=archive)
    assert again.stdout == "cna: 7 articles (0 stored, 0 revised, 7 unchanged), 0 refused\n"
    assert (posts(archive), content(archive)) == (texts, rows)


def test_a_lost_index_is_made_again_by_the_next_run(server: Server, tmp_path: Path) -> None:
    archive = several_runs(server, tmp_path)
    texts = posts(archive)
    shutil.rmtree(archive / "_posts")
    for file in archive.glob("index.sqlite*"):
        file.unlink()
    again = run(server, tmp_path)
    assert again.stdout.count("captures were not in the index and were read again") == 3
    assert again.counted == {"listing/read": 1, "article/unchanged": 2, "article/failed/status-410": 1}
    assert posts(archive) == texts


def test_a_capture_left_open_is_closed_and_read(server: Server, tmp_path: Path) -> None:
    archive = run(server, tmp_path).archive
    texts = posts(archive)
    (file,) = archive.glob("captures/cna/*.warc.gz")
    left = file.rename(file.with_name(f"{file.name}.open"))
    left.write_bytes(left.read_bytes() + b"\x1f\x8b\x08torn")
    shutil.rmtree(archive / "_posts")
    for left in archive.glob("index.sqlite*"):
        left.unlink()
    again = run(server, tmp_path)
    assert f"cna: captures/cna/{file.name}: closed after its run was killed" in again.stdout
    assert ", 7 torn bytes cut off" in again.stdout
    assert posts(archive) == texts


def test_other_peoples_captures_become_ours(server: Server, tmp_path: Path) -> None:
    theirs = several_runs(server, tmp_path)
    files = sorted(theirs.glob("captures/cna/*.warc.gz"))
    mine = tmp_path / "mine"
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    for file in files:
        shutil.copy(file, foreign)
    done = scrapy("replay", str(foreign), archive=mine)
    assert (done.returncode, done.stderr) == (0, "")
    assert "left out: not an article's address" in done.stdout
    assert posts(mine) == posts(theirs)
    rows = content(mine)
    again = scrapy("replay", str(foreign), archive=mine)
    assert again.returncode == 0
    assert content(mine) == rows
    texts = posts(mine)
    shutil.rmtree(mine / "_posts")
    (mine / "index.sqlite").unlink()
    assert scrapy("replay", str(mine / "captures"), archive=mine).returncode == 0
    assert (posts(mine), content(mine)) == (texts, rows)


DROPPING = """
from scrapy.exceptions import DropItem

class Dropping:
    def process_item(self, item):
        if item.id.endswith("1"):
            raise DropItem("odd")
        return item
"""


def test_a_pipeline_of_the_users_own_may_drop_articles(server: Server, tmp_path: Path) -> None:
    """However many are dropped, all are read, and all are counted."""
    archive = run(server, tmp_path).archive
    (tmp_path / "dropping.py").write_text(DROPPING)
    pipelines = {**ITEM_PIPELINES, "dropping.Dropping": 250}
    again = scrapy(
        *("replay", str(archive / "captures"), "-s", f"ITEM_PIPELINES={json.dumps(pipelines)}"),
        archive=archive,
        PYTHONPATH=str(tmp_path),
    )
    dropped = sum(id.endswith("1") for id in IDS)
    assert 0 < dropped < len(IDS)
    assert again.returncode == 0
    assert f"{len(IDS) - dropped} unchanged), {dropped} refused" in again.stdout
    assert account(archive)["refused"] == {"dropped": dropped}
    assert account(archive)["failures"] == []


def test_since_until_and_publisher_limit_a_replay(server: Server, tmp_path: Path) -> None:
    archive = run(server, tmp_path).archive
    captures = str(archive / "captures")
    for args in (["--since", "2100-01-01"], ["--until", "2020-01-01"], ["--publisher", "dw"]):
        done = scrapy("replay", captures, *args, archive=archive)
        assert "articles" not in done.stdout
    told = scrapy("replay", captures, "--since", "2020-01-01", "--until", "2100-01-01", archive=archive).stdout
    assert told == "cna: 3 articles (0 stored, 0 revised, 3 unchanged), 0 refused\n"


def test_a_damaged_capture_is_named_and_the_rest_is_used(server: Server, tmp_path: Path) -> None:
    archive = run(server, tmp_path).archive
    (file,) = archive.glob("captures/cna/*.warc.gz")
    data = file.read_bytes()
    with Index(archive / "index.sqlite") as index:
        offset = index.revisions("cna", IDS[1])[0].capture.offset
    file.write_bytes(data[: offset + 400] + bytes([data[offset + 400] ^ 1]) + data[offset + 401 :])
    shutil.rmtree(archive / "_posts")
    for left in archive.glob("index.sqlite*"):
        left.unlink()
    done = scrapy("replay", str(archive / "captures"), archive=archive)
    assert done.returncode == 1
    assert f"DAMAGED {file}: offset {offset}: " in done.stdout
    assert [name[-7:-3] for name in posts(archive)] == ["0001", "0003"]


def test_what_is_no_warc_file(tmp_path: Path) -> None:
    file = tmp_path / "page.warc.gz"
    file.write_bytes(b"<html>")
    done = scrapy("replay", str(file), archive=tmp_path / "archive")
    assert done.returncode == 1
    assert done.stdout.startswith(f"DAMAGED {file}: offset 0: ")
    assert scrapy("replay", str(tmp_path / "absent"), archive=tmp_path / "archive").returncode == 2


def test_one_run_at_a_time(server: Server, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    with hold(lock_file(archive, "cna")):
        second = run(server, tmp_path)
        assert second.status == 3
        assert second.stdout.startswith("cna: another run is under way: ")
        assert " is held by process " in second.stdout
        assert scrapy("replay", "fixtures", archive=archive).returncode == 3
    assert server.asked == []
    assert run(server, tmp_path).status == 0


def test_a_clock_that_was_set_back_is_noticed_before_anything_is_asked(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "archive/captures/cna"
    folder.mkdir(parents=True)
    (folder / "29990101T000000Z-00000000.warc.gz").write_bytes(b"")
    done = run(server, tmp_path)
    assert (done.status, server.asked) == (1, [])
    assert "but the last run began at 2999-01-01T00:00:00Z: set the clock" in done.stdout


def test_a_clock_that_the_server_contradicts_stops_the_run(server: Server, tmp_path: Path) -> None:
    server.answer(
        "http://www.cna.com.tw/robots.txt", reply("", type="text/plain", date="Mon, 01 Jan 2001 00:00:00 GMT")
    )
    done = run(server, tmp_path)
    assert done.status == 1
    assert "the clock is wrong" in done.log
    assert "stopped before its end: clock" in done.stdout
    assert records(done.archive) == []


@needs_shared
def test_real_articles_captured_months_apart_have_one_revision(tmp_path: Path) -> None:
    pages: dict[str, list[tuple[str, Path]]] = {}
    for row in csv.DictReader((SHARED / "pages/INDEX.tsv").read_text(encoding="utf-8").splitlines(), delimiter="\t"):
        if day := re.search(r"_cap(\d{8})\.html$", row["file"]):
            url = canonical_url(row["address (canonical, decoded)"])
            pages.setdefault(url, []).append((day[1], SHARED / "pages" / row["file"]))
    writer = CaptureWriter(tmp_path / "theirs", "anybody", "20261120T050125Z-00000000", {})
    for url, captures in pages.items():
        for day, file in sorted(captures):
            writer.write(
                url=url,
                captured=datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC),
                method="GET",
                request_headers=[],
                status=200,
                headers=[(b"Content-Type", b"text/html; charset=utf-8")],
                body=file.read_bytes(),
            )
    writer.close()
    archive = tmp_path / "archive"
    done = scrapy("replay", str(tmp_path / "theirs"), archive=archive)
    assert (done.returncode, done.stderr) == (0, "")
    twice = {url for url, captures in pages.items() if len(captures) > 1}
    assert len(twice) >= 3
    with Index(archive / "index.sqlite", read_only=True) as index:
        articles = [article for publisher in index.publishers() for article in index.articles(publisher)]
        assert len(articles) == len(posts(archive)) >= 20
        assert {len(index.revisions(article.publisher, article.id)) for article in articles} == {1}
        known = {index.address(url) for url in twice}
        assert all(address and address.id for address in known)
    assert done.stdout.count("unchanged") == 3
