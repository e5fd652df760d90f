"""``scrapy fixture`` saves what a publisher answers, from a real server, and writes what is expected of it."""

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from places import CHECKOUT
from server import Server, article_url, cna_page, reply, serving

from newsarchive.own_text import own_address

URL = article_url("202308230101")
SITEMAP = "https://www.cna.com.tw/GoogleNewsSitemap_fromRemote_cfp.xml"


def fixture(server: Server, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command with a server in the publisher's place."""
    settings = ["-s", "DOWNLOAD_DELAY=0", "-s", "BACKOFF_START=0", "-s", "RETRY_TIMES=1"]
    command = ["fixture", "cna", "--folder", str(folder), *arguments, *settings]
    return scrapy(folder, *command, http_proxy=server.url, no_proxy="")


def scrapy(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the project in another folder, where spiders of its own may lie."""
    path = os.pathsep.join([str(folder), str(CHECKOUT)])
    return subprocess.run(
        [sys.executable, "-m", "scrapy", *arguments],
        cwd=folder,
        env={**os.environ, "SCRAPY_SETTINGS_MODULE": "newsarchive.settings", "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )


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
    assert not (folder / "archive").exists()


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


def test_listings_are_saved_as_such_and_robots_txt_beside_them(folder: Path) -> None:
    (folder / "cna" / "robots.txt").unlink()
    (folder / "cna" / "robots.expected.json").unlink()
    with serving() as server:
        server.answer("http://www.cna.com.tw/robots.txt", reply("", type="text/plain"))
        server.answer("http://www.cna.com.tw/more.xml", reply((folder / "cna" / "listing.xml").read_bytes()))
        done = fixture(server, folder, "--listing", "http://www.cna.com.tw/more.xml")
    robots, listing = (
        json.loads((folder / "cna" / f"{name}.expected.json").read_text()) for name in ("robots", "listing-2")
    )
    assert (robots["url"], (folder / "cna" / "robots.txt").read_bytes()) == ("http://www.cna.com.tw/robots.txt", b"")
    assert (listing["url"], listing["listing"]) == ("http://www.cna.com.tw/more.xml", True)
    # The listing of the spider itself is asked for by https.
    assert "no fixture answers https://www.cna.com.tw/robots.txt" in done.stdout
    assert (done.returncode, "error" in listing) == (1, False)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["absent.html"], "no such file"),
        (["nameless.html"], "nameless.html: no canonical address; give it with --url"),
        (["--name", "one", "nameless.html", "nameless.html"], "--name and --url are for one page"),
        (["--own-text"], "--own-text needs a page to turn"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_done(folder: Path, arguments: list[str], told: str) -> None:
    (folder / "nameless.html").write_text("<p>x")
    arguments = [str(folder / argument) if argument.endswith(".html") else argument for argument in arguments]
    before = sorted(folder.rglob("*"))
    with serving() as server:
        done = fixture(server, folder, *arguments)
    assert (done.returncode, told in done.stderr, "Traceback" in done.stderr) == (2, True, False)
    assert sorted(folder.rglob("*")) == before


def test_the_spider_of_the_readme_needs_nothing_but_fixtures(tmp_path: Path) -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "example.py").write_text(dedent(re.search("( +)```python\n(.*?) +```", readme, re.DOTALL)[2]))
    about = {"@type": "NewsArticle", "headline": "Rain", "datePublished": "2024-01-15T10:00:00"}
    host, listing = "https://www.example.com", "https://www.example.com/news-sitemap.xml"
    head = f"<link rel=canonical href={host}/world/7><script type=application/ld+json>{json.dumps(about)}</script>"
    text = "<article><div class=text><p>Wet.</p><div class=related>Sun</div></div></article>"
    for file, body, arguments in (
        ("rain.html", f"<html>{head}{text}</html>", ["--name", "rain"]),
        ("map.xml", f"<urlset><url><loc>{host}/world/7</loc></url></urlset>", ["--listing", "--url", listing]),
        ("robots.txt", "", ["--name", "robots", "--url", f"{host}/robots.txt"]),
    ):
        (tmp_path / file).write_text(body)
        done = scrapy(tmp_path, "fixture", "example", file, *arguments, "-s", "SPIDER_MODULES=own")
        assert "Traceback" not in done.stderr
    assert sorted(done.stdout.splitlines()) == ["example/listing: links", "example/rain: article"]
    assert not (tmp_path / "archive").exists()
    done = scrapy(tmp_path, "replay", "-s", "SPIDER_MODULES=own")
    assert (done.returncode, "example: 1 articles (1 stored" in done.stdout) == (0, True), done.stdout
    assert "<p>Wet.</p>\n" in next((tmp_path / "archive").rglob("*-7.md")).read_text()
