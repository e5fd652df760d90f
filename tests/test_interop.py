"""Other tools judge what is captured, and what they capture is read: warcio, gzip, cdxj-indexer, wacz, pywb, wget.

The captures are of two runs of one publisher and one of another, with all that a crawl meets: pages in each coding
that publishers may answer in, robots.txt, a redirect, a 404, a body that was cut short, addresses of Chinese words,
and a page that has not changed a week later.
"""

import gzip
import hashlib
import http.client
import json
import re
import shutil
import subprocess
import zipfile
import zlib
from base64 import b32encode
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape
from pathlib import Path
from typing import Any

import brotli
import pytest
from places import CHECKOUT
from scrapy.downloadermiddlewares.httpcompression import ACCEPTED_ENCODINGS
from server import article_url, chunks, cna_page, crawl, reply, serving
from tools import REQUIREMENTS, environment, run, wayback

from newsarchive.capture import Capture
from newsarchive.settings import DEFAULT_REQUEST_HEADERS
from newsarchive.warc import CaptureWriter, Damage, Served, read

DOCUMENT = CHECKOUT / "docs" / "captures.md"

ARTICLE = "https://www.cna.com.tw/news/aipl/202611200012.aspx"
TITLE = "河岸新步道今天開放"
TEXT = "第二段說明步道全長三公里，沿途設有座椅與照明。"
PLAIN = "https://www.cna.com.tw/news/ahel/202611200034.aspx"
CHINESE = "https://www.cna.com.tw/tag/%E6%B2%B3%E5%B2%B8/?q=%e6%ad%a5%e9%81%93"
OLD = "https://www.cna.com.tw/news/202611200012-1.aspx"
GONE = "https://www.cna.com.tw/news/aipl/201301010001.aspx"
CUT = "https://www.cna.com.tw/news/aipl/202611200056.aspx"
CHUNKS = "https://www.cna.com.tw/news/aipl/202611200078.aspx"
ROBOTS = "https://www.cna.com.tw/robots.txt"
OTHER = "https://www.dw.com/zh/a-66637489"

FIRST = datetime(2026, 11, 20, 5, 1, 25, 123_000, UTC)
#: What a run says of itself: in the words of Webrecorder, so that ``wacz`` takes over a title, and lists all pages.
INFO = {"json-metadata": '{"type": "collection", "title": "CNA"}'}
#: Content codings that other tools decode. They do not know zstd: pywb rewrites the links of a page in it as if the
#: page had come in no coding, and shows what that gives.
CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda body: gzip.compress(body, mtime=0),
    "deflate": zlib.compress,
    "br": brotli.compress,
}

needs_wget = pytest.mark.skipif(not shutil.which("wget"), reason="wget is not installed")
needs_chromium = pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")


def page(title: str = TITLE) -> bytes:
    """Return a page whose own script says what of its headline a browser shows."""
    script = 'document.title = document.querySelector("h1").innerText + " was shown";'
    head = '<meta charset="utf-8"><title>x</title>'
    body = f"<h1>{escape(title)}</h1><p>{TEXT}</p><p><a href='/'>首頁</a></p><script>{script}</script>"
    return f"<!DOCTYPE html><html><head>{head}</head><body>{body}</body></html>".encode()


@dataclass
class Archive:
    """An archive with captures of three runs."""

    folder: Path
    captures: list[Capture]
    #: The last capture, of a page that was the same a week before.
    revisit: Capture

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("captures/*/*.warc.gz"))

    def capture(self, url: str) -> Capture:
        """Return the first capture of an address."""
        return next(capture for capture in self.captures if capture.url == url)


class Run:
    """Captures as a run does: one response a second."""

    def __init__(self, archive: Path, publisher: str, name: str, start: datetime) -> None:
        self.writer, self.now = CaptureWriter(archive, publisher, name, INFO), start
        self.captures: list[Capture] = []

    def capture(self, url: str, body: bytes = b"", status: int = 200, **more: Any) -> Capture:
        """Capture a response; ``coding`` compresses its body, ``headers`` are added to its own."""
        coding, added = more.pop("coding", ""), more.pop("headers", {})
        body = CODINGS[coding](body) if coding else body
        named = {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(body)), **added}
        named |= {"Content-Encoding": coding} if coding else {}
        self.now += timedelta(seconds=1)
        written = self.writer.write(
            url=url,
            captured=self.now,
            method="GET",
            request_headers=[(b"User-Agent", b"newsarchive/0.1"), (b"Accept-Encoding", b"gzip, deflate, br")],
            status=status,
            headers=[(name.encode(), value.encode()) for name, value in named.items() if value],
            body=body,
            **more,
        )
        self.captures.append(written)
        return written


def coded(coding: str) -> str:
    """Return the address of the page that was served in a coding."""
    return f"https://www.cna.com.tw/coded/{coding}.aspx"


def make(folder: Path) -> Archive:
    """Write an archive's captures."""
    first = Run(folder, "cna", "20261120T050125Z-1f2e3d4c", FIRST)
    first.capture(ROBOTS, b"User-agent: *\nDisallow: /ads\n", kind="robots", headers={"Content-Type": "text/plain"})
    announced = FIRST - timedelta(hours=1)
    article = first.capture(ARTICLE, page(), coding="gzip", kind="article", announced=announced)
    first.capture(PLAIN, page("低霧從河山"), kind="article", headers={"X-Note": "步道"})
    first.capture(CHINESE, page("標籤：河岸"), coding="gzip")
    first.capture(OLD, b"<a href='..'>moved</a>", 301, kind="article", headers={"Location": ARTICLE})
    first.capture(GONE, "<h1>找不到</h1>".encode(), 404, kind="article")
    first.capture(CUT, page()[:200], kind="article", headers={"Content-Length": "9000"}, truncated="disconnect")
    # Chunks are undone when a capture is written.
    first.capture(CHUNKS, page("分段"), kind="article", headers={"Content-Length": "", "Transfer-Encoding": "chunked"})
    for coding in CODINGS:
        first.capture(coded(coding), page(f"in {coding}"), coding=coding, kind="article")
    other = Run(folder, "dw", "20261121T050125Z-2b2b2b2b", FIRST + timedelta(days=1))
    other.capture(OTHER, page("铁路新线"), coding="br", kind="article")
    second = Run(folder, "cna", "20261127T050125Z-9a8b7c6d", FIRST + timedelta(days=7))
    revisit = second.capture(ARTICLE, page(), coding="gzip", kind="article", same_as=article)
    for each in (first, other, second):
        each.writer.close()
    return Archive(folder, [*first.captures, *other.captures, *second.captures], revisit)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return make(tmp_path_factory.mktemp("interop") / "archive")


def stamp(capture: Capture) -> str:
    """Return when something was captured in the way of pywb and CDX."""
    return f"{capture.captured:%Y%m%d%H%M%S}"


def test_warcio_check(archive: Archive, tmp_path: Path) -> None:
    told = run("wacz", "warcio", "check", "-v", *archive.files, cwd=tmp_path)
    assert told.returncode == 0, told.stdout
    verdicts = re.findall(r"offset \d+ WARC-Record-ID \S+ (\w+)\n +(.*)", told.stdout)
    count = len(archive.captures)
    assert Counter(verdicts) == {
        ("warcinfo", "digest pass"): 3,
        ("response", "digest pass"): count - 1,
        ("revisit", "digest present but not checked (revisit)"): 1,
        ("request", "digest pass"): count,
    }


def test_warcio_check_would_tell(archive: Archive, tmp_path: Path) -> None:
    plain = gzip.decompress(archive.files[0].read_bytes())
    (tmp_path / "changed.warc").write_bytes(plain.replace("低霧從河山".encode(), "低霧從河海".encode()))
    told = run("wacz", "warcio", "check", "-v", "changed.warc", cwd=tmp_path)
    assert told.returncode == 1
    assert "payload digest failed" in told.stdout
    assert "block digest failed" in told.stdout


def test_gzip(archive: Archive, tmp_path: Path) -> None:
    told = subprocess.run(["gzip", "-t", *archive.files], capture_output=True, check=False)
    assert (told.returncode, told.stdout, told.stderr) == (0, b"", b"")
    (tmp_path / "torn.gz").write_bytes(archive.files[0].read_bytes()[:-1])
    assert subprocess.run(["gzip", "-t", tmp_path / "torn.gz"], capture_output=True, check=False).returncode == 1


def test_cdxj_indexer(archive: Archive, tmp_path: Path) -> None:
    """The index names each response and revisit once, and nothing else, and what it points to is that record."""
    root = archive.folder / "captures"
    told = run("wacz", "cdxj-indexer", "--sort", "--dir-root", root, *archive.files, cwd=tmp_path)
    assert told.returncode == 0, told.stdout
    keys, times, entries = zip(*[line.split(" ", 2) for line in told.stdout.splitlines()], strict=True)
    found = [json.loads(entry) for entry in entries]
    assert sorted(
        (entry["url"], time, entry["status"], entry["digest"], f"captures/{entry['filename']}", int(entry["offset"]))
        for time, entry in zip(times, found, strict=True)
    ) == sorted((one.url, stamp(one), str(one.status), one.digest, one.file, one.offset) for one in archive.captures)
    sorted_by = dict(zip((entry["url"] for entry in found), keys, strict=True))
    assert sorted_by[CHINESE] == "tw,com,cna)/tag/%e6%b2%b3%e5%b2%b8?q=%e6%ad%a5%e9%81%93"
    assert [entry["url"] for entry in found if entry["mime"] == "warc/revisit"] == [ARTICLE]
    for entry in found:
        start, size = int(entry["offset"]), int(entry["length"])
        member = zlib.decompressobj(wbits=31)
        record = member.decompress((root / entry["filename"]).read_bytes()[start : start + size])
        assert member.eof
        assert member.unused_data == b""
        assert f"WARC-Target-URI: {entry['url']}\r\n".encode() in record
        assert re.search(rb"WARC-Type: (response|revisit)\r\n", record)
        assert entry["digest"] in record.decode("latin-1")


def test_publishers_are_asked_only_for_codings_that_other_tools_know() -> None:
    named = DEFAULT_REQUEST_HEADERS.get("Accept-Encoding") or b",".join(ACCEPTED_ENCODINGS).decode()
    assert set(re.findall(r"\w+", named)) <= CODINGS.keys()


def test_digests_are_of_bodies_as_served(archive: Archive) -> None:
    digest = b32encode(hashlib.sha1(gzip.compress(page(), mtime=0)).digest()).decode()
    assert {one.digest for one in archive.captures if one.url == ARTICLE} == {f"sha1:{digest}"}


def test_wacz(archive: Archive, tmp_path: Path) -> None:
    """A package holds our files as they are, a list of their pages, and is valid."""
    told = run("wacz", "wacz", "create", "--detect-pages", "--output", "x.wacz", *archive.files, cwd=tmp_path)
    assert told.returncode == 0, told.stdout
    told = run("wacz", "wacz", "validate", "--file", "x.wacz", cwd=tmp_path)
    assert (told.returncode, told.stdout.split("\n")[-2]) == (0, "Validation succeeded, the passed WACZ is valid")
    with zipfile.ZipFile(tmp_path / "x.wacz") as package:
        assert all(package.read(f"archive/{file.name}") == file.read_bytes() for file in archive.files)
        assert json.loads(package.read("datapackage.json"))["title"] == "CNA"
        _, *pages = map(json.loads, package.read("pages/pages.jsonl").splitlines())
    assert sorted((each["url"], each["ts"]) for each in pages) == sorted(
        (one.url, f"{one.captured:%Y-%m-%dT%H:%M:%SZ}")
        for one in archive.captures
        if one.url != ROBOTS and one.status != 301
    )


def test_wacz_would_tell(archive: Archive, tmp_path: Path) -> None:
    run("wacz", "wacz", "create", "--output", "x.wacz", *archive.files, cwd=tmp_path)
    with zipfile.ZipFile(tmp_path / "x.wacz") as package, zipfile.ZipFile(tmp_path / "y.wacz", "w") as changed:
        for name in package.namelist():
            changed.writestr(name, package.read(name) + (b"x" if name.startswith("archive/") else b""))
    assert run("wacz", "wacz", "validate", "--file", "y.wacz", cwd=tmp_path).returncode == 1


def test_a_real_crawl(tmp_path: Path) -> None:
    """What ``scrapy crawl`` has captured, twice, is accepted, and its pages are found."""
    listing, article = "http://www.cna.com.tw/sitemap.xml", article_url("202401150001")
    with serving() as server:
        server.answer(listing, reply(f"<urlset><url><loc>{article}</loc></url></urlset>", type="text/xml"))
        server.answer(article, reply(cna_page("202401150001")))
        for _ in range(2):
            assert crawl(server, tmp_path, listings=(listing,)).status == 0
    files = sorted((tmp_path / "archive").glob("captures/cna/*.warc.gz"))
    assert len(files) == 2
    assert subprocess.run(["gzip", "-t", *files], capture_output=True, check=False).returncode == 0
    assert run("wacz", "warcio", "check", *files, cwd=tmp_path).returncode == 0
    told = run("wacz", "cdxj-indexer", *files, cwd=tmp_path)
    urls = Counter(json.loads(line.split(" ", 2)[2])["url"] for line in told.stdout.splitlines())
    assert urls == dict.fromkeys([listing, article, "http://www.cna.com.tw/robots.txt"], 2)
    told = run("wacz", "wacz", "create", "--detect-pages", "--output", "x.wacz", *files, cwd=tmp_path)
    assert told.returncode == 0, told.stdout
    with zipfile.ZipFile(tmp_path / "x.wacz") as package:
        assert article in package.read("pages/pages.jsonl").decode()
    about = gzip.decompress(files[0].read_bytes()).split(b"WARC/1.1\r\n")[1].decode()
    assert " object at 0x" not in about, "the warcinfo record shows how Python sees a setting"


@dataclass
class Answer:
    """What pywb answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


def ask(port: int, path: str) -> Answer:
    """Ask pywb for something, once; redirects are not followed."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def collection(archive: Archive, folder: Path) -> Path:
    """Return a folder with a collection of pywb's, ``news``, into which the captures were copied."""
    for command in (["init", "news"], ["add", "news", *map(str, archive.files)]):
        told = run("pywb", "wb-manager", *command, cwd=folder)
        assert told.returncode == 0, told.stdout
    return folder


def test_pywb(archive: Archive, tmp_path: Path) -> None:
    with wayback(collection(archive, tmp_path)) as port:

        def shown(capture: Capture, how: str = "mp_") -> Answer:
            answer = ask(port, f"/news/{stamp(capture)}{how}/{capture.url}")
            # Not another capture of the address, which pywb shows where it cannot show the one asked for.
            assert answer.headers["Memento-Datetime"] == format_datetime(capture.captured, usegmt=True)
            assert answer.status == capture.status
            return answer

        titles = {ARTICLE: TITLE, PLAIN: "低霧從河山", CHINESE: "標籤：河岸", CHUNKS: "分段", OTHER: "铁路新线"}
        titles |= {coded(coding): f"in {coding}" for coding in CODINGS}
        for url, title in titles.items():
            answer = shown(archive.capture(url))
            assert f"<h1>{title}</h1><p>{TEXT}</p>" in answer.text, url
            assert f"href='/news/{stamp(archive.capture(url))}mp_/https://www." in answer.text.replace('"', "'")
            assert shown(archive.capture(url), "id_").body == page(title)
        assert f"<h1>{TITLE}</h1><p>{TEXT}</p>" in shown(archive.revisit).text
        assert shown(archive.revisit, "id_").body == page()
        old = archive.capture(OLD)
        assert shown(old).headers["Location"] == f"http://127.0.0.1:{port}/news/{stamp(old)}mp_/{ARTICLE}"
        assert "<h1>找不到</h1>" in shown(archive.capture(GONE)).text
        assert shown(archive.capture(CUT), "id_").body == page()[:200]
        assert shown(archive.capture(ROBOTS), "id_").body == b"User-agent: *\nDisallow: /ads\n"
        assert ask(port, f"/news/2026mp_/{ARTICLE}x").status == 404


@needs_chromium
def test_pywb_in_a_browser(archive: Archive, tmp_path: Path) -> None:
    """A browser follows the redirect to the article, and shows it again on the date of the revisit.

    The frame that pywb draws around takes over the title, which is what the page's own script says of the headline.
    """
    with wayback(collection(archive, tmp_path)) as port:
        for capture in (archive.capture(OLD), archive.revisit):
            address = f"http://127.0.0.1:{port}/news/{stamp(capture)}/{capture.url}"
            assert f"<title>Archived Page: {TITLE} was shown</title>" in drawn(address, tmp_path / "profile")


def drawn(address: str, profile: Path) -> str:
    """Return a page of loopback as it is after a browser has drawn it."""
    options = "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    command = [
        *("chromium", *options.split(), "--disable-component-update", "--disable-sync", f"--user-data-dir={profile}"),
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        *("--virtual-time-budget=30000", "--dump-dom", address),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=True).stdout


def served(file: Path, **options: Any) -> list[Served]:
    """Return all responses of a file in which everything can be used."""
    found = list(read(file, **options))
    assert [one for one in found if isinstance(one, Damage)] == []
    return [one for one in found if isinstance(one, Served)]


def test_recompressed(archive: Archive, tmp_path: Path) -> None:
    """What warcio has compressed anew reads the same, though the body of the revisit is not where it says."""
    for file in archive.files:
        copy = tmp_path / file.relative_to(archive.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        told = run("wacz", "warcio", "recompress", file, copy, cwd=tmp_path)
        assert told.returncode == 0, told.stdout
    copies = {file: tmp_path / file.relative_to(archive.folder) for file in archive.files}
    known = {(one.url, one.captured): one for one in served(copies[archive.files[0]])}
    for file, copy in copies.items():
        assert copy.read_bytes() != file.read_bytes()
        ours, theirs = served(file), served(copy, find=lambda url, date, digest: known.get((url, date)))
        assert list(map(said, theirs)) == list(map(said, ours))


def said(one: Served) -> Served:
    """Return a response without where it lies, and without the header whose Chinese warcio replaces."""
    return replace(one, offset=0, end=0, headers=[header for header in one.headers if header[0] != "X-Note"])


@needs_wget
@pytest.mark.parametrize("options", [[], ["--no-warc-compression"]], ids=["compressed", "plain"])
def test_wget(options: list[str], tmp_path: Path) -> None:
    """What wget captured is read: its addresses in angle brackets, and its bodies in chunks."""
    packed = CODINGS["gzip"](page())
    pages = {"/plain": page(), "/packed": packed, "/chunks": page() * 2, "/%E6%B2%B3?q=%E5%B2%B8": page("河")}
    with serving() as server:
        for path, body in pages.items():
            server.answer(path, reply(body, **({"content_encoding": "gzip"} if body is packed else {})))
        server.answer("/chunks", chunks(page(), page()))
        server.answer("/moved", reply("", "302 Found", location="/plain"))
        addresses = [server.url + path for path in (*pages, "/moved", "/none")]
        command = ["wget", "--warc-file=theirs", "--delete-after", "--no-verbose", "--no-proxy", "--tries=1", *options]
        told = subprocess.run([*command, *addresses], cwd=tmp_path, capture_output=True, timeout=60, check=False)
        # One of the addresses is not there.
        assert told.returncode == 8, told.stderr.decode()
        found = served(next(tmp_path.glob("theirs.warc*")))
        expected = [(server.url + path, 200, body) for path, body in pages.items()]
        expected += [(f"{server.url}/moved", 302, b""), (f"{server.url}/plain", 200, page())]
        expected += [(f"{server.url}/none", 404, b"Not found")]
        assert [(one.url, one.status, one.body) for one in found] == expected
    headers = [{name.lower(): value for name, value in one.headers} for one in found]
    assert [one.get("content-encoding") for one in headers] == [None, "gzip", *[None] * 5]


@needs_wget
def test_wget_revisit(tmp_path: Path) -> None:
    """What wget has captured before is read, although the block digest that it states is that of nothing at all."""
    with serving() as server:
        url = server.url + server.answer("/", reply(page()))
        command = ["wget", "--delete-after", "--no-proxy", "--tries=1", "--warc-cdx", url]
        for options in (["--warc-file=first"], ["--warc-file=second", "--warc-dedup=first.cdx"]):
            subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, timeout=60, check=True)
    original = served(tmp_path / "first.warc.gz")[0]
    (revisit,) = served(tmp_path / "second.warc.gz", find=lambda *about: original)
    assert revisit.revisit
    assert (revisit.url, revisit.status, revisit.body) == (url, 200, page())


@dataclass
class Example:
    """A command of a document and what it prints; ``…`` stands for anything."""

    command: str
    output: str = ""


def examples(document: Path) -> list[Example]:
    """Return the commands of a document, in order: indented lines that begin with ``$``, and those right below."""
    found: list[Example] = []
    within = False
    for line in document.read_text("utf-8").splitlines():
        if line.startswith("    $ "):
            found.append(Example(line[6:]))
        elif within and line.startswith("    "):
            found[-1].output += line[4:] + "\n"
        within = line.startswith("    ") and bool(found)
    return found


def test_document(archive: Archive, tmp_path: Path) -> None:
    """What ``docs/captures.md`` says is what happens."""
    (tmp_path / "archive").symlink_to(archive.folder)
    path, browsed = environment("wacz", "pywb"), []
    for example in examples(DOCUMENT):
        if "pip install" in example.command:
            installed = re.findall(r"\S+==\S+", example.command)
            assert installed in REQUIREMENTS.values()
        elif example.command == "cat config.yaml":
            (tmp_path / "config.yaml").write_text(example.output)
        elif example.command == "wayback --bind 127.0.0.1":
            browsed = browse(tmp_path)
        else:
            command = ["bash", "-ec", example.command]
            told = subprocess.run(command, cwd=tmp_path, env=path, capture_output=True, text=True, check=False)
            assert told.returncode == 0, told
            pattern = re.escape(example.output.strip()).replace("…", ".*")
            assert re.fullmatch(pattern, (told.stdout + told.stderr).strip(), re.DOTALL), (example, told.stdout)
    assert len(browsed) == 2


def browse(folder: Path) -> list[str]:
    """Open with pywb the addresses that the document names, and return them."""
    addresses = re.findall(r"\n    http://127\.0\.0\.1:8080/news/(\w+)/(\S+)", DOCUMENT.read_text("utf-8"))
    with wayback(folder) as port:
        for when, url in addresses:
            answer = ask(port, f"/news/{when}mp_/{url}")
            assert answer.status == 200
            assert f"<h1>{TITLE}</h1>" in answer.text
    return addresses
