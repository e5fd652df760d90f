"""``scrapy fixture`` saves what a publisher answers, from a real server, and writes what is expected of it."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from places import CHECKOUT
from server import Server, article_url, cna_page, reply, serving

from newsarchive.own_text import own_address

URL = article_url("202308230101")
SITEMAP = "https://www.cna.com.tw/GoogleNewsSitemap_fromRemote_cfp.xml"


def fixture(server: Server, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command with a server in the publisher's place."""
    command = [sys.executable, "-m", "scrapy", "fixture", "cna", "--folder", str(folder), *arguments]
    command += ["-s", "DOWNLOAD_DELAY=0", "-s", "BACKOFF_START=0", "-s", "RETRY_TIMES=1"]
    environment = {**os.environ, "http_proxy": server.url, "no_proxy": ""}
    return subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of fixtures that holds what every crawl asks for."""
    (tmp_path / "cna").mkdir()
    for name, url, suffix, body in (
        ("robots", "https://www.cna.com.tw/robots.txt", ".txt", "User-agent: *\nDisallow:\n"),
        (
            "listing",
            SITEMAP,
            ".xml",
            f"<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'><url><loc>{URL}</loc></url></urlset>",
        ),
    ):
        (tmp_path / "cna" / f"{name}{suffix}").write_text(body)
        expected = {"url": url, "fetched": "2023-08-24", **({"listing": True} if suffix == ".xml" else {})}
        (tmp_path / "cna" / f"{name}.expected.json").write_text(json.dumps(expected))
    return tmp_path


def test_a_page_is_saved_as_it_came_over_the_wire_and_read(folder: Path) -> None:
    body = gzip.compress(cna_page("202308230101").encode(), mtime=0)
    with serving() as server:
        server.answer("http://www.cna.com.tw/robots.txt", reply("User-agent: *\nDisallow:\n", type="text/plain"))
        server.answer(URL, reply(body, content_encoding="gzip", set_cookie="a=b"))
        done = fixture(server, folder, "--name", "plain", URL)
    assert done.returncode == 0, done.stderr
    assert (folder / "cna" / "plain.html").read_bytes() == body
    expected = json.loads((folder / "cna" / "plain.expected.json").read_text())
    assert expected["url"] == URL
    assert expected["headers"]["Content-Encoding"] == "gzip"
    assert "Set-Cookie" not in expected["headers"]
    assert expected["article"]["id"] == "202308230101"
    assert "cna/plain: article" in done.stdout
    assert not (CHECKOUT / "archive" / "_posts" / "cna" / "2023" / "2023-08-23-202308230101.md").exists()


def test_own_text_is_saved_in_place_of_the_publishers(folder: Path) -> None:
    page = cna_page("202308230101")
    listing = folder / "cna" / "listing.xml"
    listing.write_text(listing.read_text().replace(URL, own_address(URL)))
    with serving() as server:
        server.answer("http://www.cna.com.tw/robots.txt", reply("", type="text/plain"))
        server.answer(URL, reply(page))
        done = fixture(server, folder, "--name", "own", "--own-text", URL)
    assert done.returncode == 0, done.stderr
    saved = (folder / "cna" / "own.html").read_text()
    assert saved != page
    assert json.loads((folder / "cna" / "own.expected.json").read_text())["article"]["body"] in saved.replace("\n", "")


def test_what_cannot_be_had_is_said_and_leaves_nothing(folder: Path) -> None:
    before = sorted(path.name for path in (folder / "cna").iterdir())
    with serving() as server:
        server.answer("http://www.cna.com.tw/robots.txt", reply("User-agent: *\nDisallow: /\n", type="text/plain"))
        done = fixture(server, folder, "--name", "never", URL)
    assert done.returncode == 1
    assert "not saved: never.html" in done.stdout
    assert sorted(path.name for path in (folder / "cna").iterdir()) == before


def test_a_wrong_publisher_or_file_is_said_and_nothing_is_done(folder: Path, tmp_path: Path) -> None:
    with serving() as server:
        done = fixture(server, folder, str(tmp_path / "absent.html"))
    assert (done.returncode, "no such file" in done.stderr + done.stdout) == (2, True)
