"""``scrapy crawl`` exits with 0 only if all is well, and says what is not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from server import ROOT, Server, article_url, cna_page, crawl, reply, serving

from newsarchive.run import failures
from newsarchive.settings import EXTENSIONS

LISTING = "http://www.cna.com.tw/sitemap.xml"
ARTICLE = article_url("202401150001")


@pytest.fixture
def server():
    with serving() as server:
        server.answer(LISTING, reply(f"<urlset><url><loc>{ARTICLE}</loc></url></urlset>", type="text/xml"))
        server.answer(ARTICLE, reply(cna_page("202401150001")))
        yield server


def test_well(server: Server, tmp_path: Path) -> None:
    run = crawl(server, tmp_path, listings=(LISTING,))
    assert (run.status, run.stdout) == (0, "")
    assert run.counted == {"listing/read": 1, "article/stored": 1}


def test_an_article_that_is_gone_is_no_failure(server: Server, tmp_path: Path) -> None:
    server.answer(ARTICLE, reply("", "410 Gone"))
    run = crawl(server, tmp_path, listings=(LISTING,))
    assert (run.status, run.stdout) == (0, "")
    assert run.counted == {"listing/read": 1, "article/failed/status-410": 1}


def test_a_listing_that_is_gone_is_a_failure(server: Server, tmp_path: Path) -> None:
    run = crawl(server, tmp_path, listings=(LISTING, "http://www.cna.com.tw/gone.xml"))
    assert (run.status, run.stdout) == (1, "cna: 1 × listing/failed/status-404\n")
    assert run.counted == {"listing/read": 1, "listing/failed/status-404": 1, "article/stored": 1}


def test_nothing_found(server: Server, tmp_path: Path) -> None:
    server.answer(LISTING, reply("<urlset/>", type="text/xml"))
    run = crawl(server, tmp_path, listings=(LISTING,))
    assert run.status == 1
    assert run.stdout == "cna: 1 × listing/failed/empty-listing\ncna: nothing found where articles must be\n"


def test_a_layout_that_is_not_known(server: Server, tmp_path: Path) -> None:
    server.answer(ARTICLE, reply("<html><title>河岸新步道</title><p>文</p></html>"))
    run = crawl(server, tmp_path, listings=(LISTING,))
    assert (run.status, run.stdout) == (1, "cna: 1 × article/refused/unknown-layout\n")


def test_an_account_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    extensions = {**EXTENSIONS, "newsarchive.ledger.Ledger": None, "server.BrokenLedger": 200}
    run = crawl(server, tmp_path, listings=(LISTING,), EXTENSIONS=json.dumps(extensions))
    assert (run.status, run.stdout) == (1, "cna: its account could not be made; the log above says why\n")
    assert "RuntimeError: the account is broken" in run.log


def test_every_request_failed(server: Server, tmp_path: Path) -> None:
    server.answer(ARTICLE, reply("", "500 Internal Server Error"))
    run = crawl(server, tmp_path, ARTICLE)
    assert (run.status, run.stdout) == (1, "cna: 1 × article/failed/status-500\n")


def test_a_callback_that_raises(server: Server, tmp_path: Path) -> None:
    run = crawl(server, tmp_path, ARTICLE, publisher="broken")
    assert run.status == 1
    assert run.stdout.splitlines() == [
        "broken: 1 × article/failed/exception",
        "broken: captures are not in the index; the next run reads them again",
    ]
    assert run.posts == []


def test_a_run_that_is_stopped(server: Server, tmp_path: Path) -> None:
    run = crawl(server, tmp_path, ARTICLE, article_url("202401150002"), CLOSESPIDER_PAGECOUNT=1)
    assert run.status == 1
    assert "cna: stopped before its end: closespider_pagecount\n" in run.stdout


def test_a_run_that_cannot_start(server: Server, tmp_path: Path) -> None:
    run = crawl(server, tmp_path, ARTICLE, STATS_CLASS="missing.Stats")
    assert run.status == 1
    assert run.posts == []


@pytest.mark.parametrize("args", [["nobody"], [], ["cna", "dw"]])
def test_who_is_no_publisher(args: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scrapy", "crawl", *args], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "name a publisher: cna, " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("stats", "told"),
    [
        ({"article/stored": 1}, []),
        ({"article/unchanged": 1, "finish_reason": "finished"}, []),
        ({"article/refused/expired": 1}, []),
        ({"article/failed/status-404": 1, "article/stored": 1}, []),
        ({"article/failed/status-403": 2, "article/stored": 1}, ["2 × article/failed/status-403"]),
        ({"article/refused/drift": 1}, ["1 × article/refused/drift"]),
        ({"article/refused/truncated": 2}, ["2 × article/refused/truncated"]),
        ({"article/refused/bad-time": 2}, ["2 × article/refused/bad-time"]),
        ({"article/refused/challenge": 2, "listing/read": 1}, ["2 × article/refused/challenge"]),
        ({"article/refused/encoding": 1}, ["1 × article/refused/encoding"]),
        ({"listing/failed/status-410": 1, "article/stored": 1}, ["1 × listing/failed/status-410"]),
        (
            {"spider_exceptions/count": 1, "spider_exceptions/KeyError": 1, "article/stored": 1},
            ["1 × exception in the spider"],
        ),
        ({"article/stored": 1, "finish_reason": "shutdown"}, ["stopped before its end: shutdown"]),
        ({"listing/not-due": 1}, []),
        ({}, ["nothing found where articles must be"]),
    ],
)
def test_failures(stats: dict[str, int | str], told: list[str]) -> None:
    assert failures(stats) == told
