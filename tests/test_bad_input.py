"""Bad answers: each address ends once, counted under one reason, and only whole articles leave a file."""

import gzip
import random
import socket
import zlib
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path

import brotli
import pytest
from server import (
    PARAGRAPHS,
    TITLE,
    Answer,
    Server,
    article_url,
    chunks,
    cna_page,
    crawl,
    drip,
    flood,
    reply,
    reset,
    serving,
    silence,
)

from newsarchive.page import LONG_TAG, holds_long_tag
from newsarchive.whole_body import zstd

#: So many digits that compression does not make a page so small that half of it is nothing.
NOISE = "".join(random.Random(1).choices("0123456789", k=60_000))

REFRESH = '<meta http-equiv="refresh" content="0; url=/refreshed">'


@pytest.fixture
def server():
    with serving() as server:
        yield server


def page(id: str, **changes: object) -> str:
    """Return a page whose compressed form is some 25 kB."""
    return cna_page(id, paragraphs=(PARAGRAPHS[0], NOISE, PARAGRAPHS[-1]), **changes)


def whole(id: str) -> bytes:
    return page(id).encode()


def named(title: str, text: str = "", head: str = "") -> str:
    """Return a page that is no article."""
    return f"<!DOCTYPE html><html><head>{head}<title>{title}</title></head><body>{text}</body></html>"


def encoded(body: bytes, encoding: str) -> bytes:
    return reply(body, content_encoding=encoding)


def controls(id: str) -> str:
    return cna_page(id, title="河\x00岸\x01步\x1f道\x7f", paragraphs=("\x00第\x02一\x0b段", "1130115"))


def busy(retry_after: str) -> bytes:
    return reply("no", "429 Too Many Requests", retry_after=retry_after)


def claiming(body: bytes, more: int) -> bytes:
    """Return an answer that claims to have so many bytes more than it has."""
    return reply(body, content_length=str(len(body) + more))


def members(id: str, cut: int) -> bytes:
    """Return a page as two gzip members, the second cut by so many bytes."""
    first, second = gzip.compress(whole(id)[:999]), gzip.compress(whole(id)[999:])
    return encoded(first + second[: len(second) - cut], "gzip")


def inside(id: str, mark_up: str) -> list[Answer]:
    return [reply(cna_page(id, inside=mark_up))]


def raw_deflate(body: bytes) -> bytes:
    squeezer = zlib.compressobj(wbits=-15)
    return squeezer.compress(body) + squeezer.flush()


def moved(location: str | None, status: str = "302 Found") -> bytes:
    return reply("", status, location=location)


def long_tag(attributes: str) -> bytes:
    return reply(cna_page("202401159999", inside=f"<p {attributes}>文</p>"))


def cases(server: Server) -> dict[str, tuple[str, Callable[[str], list[Answer]]]]:
    """Return how each bad answer must end, and what gives the answers for an article's id."""
    numbers = range(40_000)
    return {
        # statuses
        "403": ("status-403", lambda id: [reply("no", "403 Forbidden")]),
        "reset-then-200": ("article", lambda id: [reset, reply(whole(id))]),
        "404": ("status-404", lambda id: [reply("no", "404 Not Found")]),
        "404-empty-gzip": ("status-404", lambda id: [reply(b"", "404 Not Found", content_encoding="gzip")]),
        "410": ("status-410", lambda id: [reply("no", "410 Gone")]),
        "451": ("status-451", lambda id: [reply("no", "451 Unavailable For Legal Reasons")]),
        "500": ("status-500", lambda id: [reply("no", "500 Internal Server Error")]),
        "503": ("status-503", lambda id: [reply("no", "503 Service Unavailable")]),
        "503-then-200": ("article", lambda id: [reply("no", "503 Service Unavailable"), reply(whole(id))]),
        "429": ("status-429", lambda id: [busy("0")]),
        "429-then-200": (
            "article",
            lambda id: [busy("1"), reply(whole(id))],
        ),
        "304": ("status-304", lambda id: [reply("", "304 Not Modified", content_length=None)]),
        "204": ("empty", lambda id: [reply("", "204 No Content", content_length=None)]),
        # bodies
        "empty": ("empty", lambda id: [reply("")]),
        "empty-gzip": ("empty", lambda id: [reply("", content_encoding="gzip")]),
        "blank": ("empty", lambda id: [reply("\n \r\n")]),
        "gzip": ("article", lambda id: [encoded(gzip.compress(whole(id)), "gzip")]),
        "gzip-in-members": (
            "article",
            lambda id: [members(id, cut=0)],
        ),
        "gzip-cut": ("truncated", lambda id: [encoded(gzip.compress(whole(id))[:-3000], "gzip")]),
        "gzip-cut-in-trailer": ("truncated", lambda id: [encoded(gzip.compress(whole(id))[:-4], "gzip")]),
        "gzip-cut-in-second-member": (
            "truncated",
            lambda id: [members(id, cut=3000)],
        ),
        "gzip-cut-then-whole": (
            "article",
            lambda id: [encoded(gzip.compress(whole(id))[:-3000], "gzip"), encoded(gzip.compress(whole(id)), "gzip")],
        ),
        "gzip-that-is-none": ("truncated", lambda id: [encoded(whole(id), "gzip")]),
        "gzip-broken": ("truncated", lambda id: [encoded(gzip.compress(whole(id))[:5000] + b"\xff" * 5000, "gzip")]),
        "deflate": ("article", lambda id: [encoded(zlib.compress(whole(id)), "deflate")]),
        "deflate-raw": ("article", lambda id: [encoded(raw_deflate(whole(id)), "deflate")]),
        "deflate-cut": ("truncated", lambda id: [encoded(zlib.compress(whole(id))[:-3000], "deflate")]),
        "deflate-raw-cut": ("truncated", lambda id: [encoded(raw_deflate(whole(id))[:-3000], "deflate")]),
        "br": ("article", lambda id: [encoded(brotli.compress(whole(id)), "br")]),
        "br-cut": ("truncated", lambda id: [encoded(brotli.compress(whole(id))[:-3000], "br")]),
        "br-that-is-none": ("truncated", lambda id: [encoded(whole(id), "br")]),
        "zstd": ("article", lambda id: [encoded(zstd.compress(whole(id)), "zstd")]),
        "zstd-cut": ("truncated", lambda id: [encoded(zstd.compress(whole(id))[:-3000], "zstd")]),
        "zstd-that-is-none": ("truncated", lambda id: [encoded(whole(id), "zstd")]),
        "br-over-gzip": ("article", lambda id: [encoded(brotli.compress(gzip.compress(whole(id))), "gzip, br")]),
        "identity": ("article", lambda id: [encoded(whole(id), "identity")]),
        "unknown-encoding": ("undecodable", lambda id: [encoded(whole(id), "compress")]),
        "shorter-than-content-length": (
            "truncated",
            lambda id: [claiming(whole(id)[:-3000], 3000)],
        ),
        "shorter-then-whole": (
            "article",
            lambda id: [claiming(whole(id)[:-3000], 3000), reply(whole(id))],
        ),
        "longer-than-content-length": (
            "incomplete",
            lambda id: [claiming(whole(id), -3000)],
        ),
        "without-content-length": ("article", lambda id: [reply(whole(id), content_length=None)]),
        "without-content-length-cut": ("incomplete", lambda id: [reply(whole(id)[:-3000], content_length=None)]),
        "without-content-length-cut-late": ("truncated", lambda id: [reply(whole(id)[:-20], content_length=None)]),
        "chunked": ("article", lambda id: [chunks(whole(id)[:3000], whole(id)[3000:])]),
        "chunked-cut": ("truncated", lambda id: [chunks(whole(id)[:3000], whole(id)[3000:], end=b"")]),
        "chunk-cut": ("truncated", lambda id: [chunks(whole(id)[:3000], end=b"fff\r\nabc")]),
        "chunks-broken": ("truncated", lambda id: [chunks(whole(id)[:3000], end=b"zzz\r\n")]),
        # characters
        "wrong-charset": ("article", lambda id: [reply(whole(id), type="text/html; charset=big5")]),
        "wrong-charset-in-page": (
            "article",
            lambda id: [reply(page(id, head='<meta charset="iso-8859-1">'), type="text/html; charset=gb2312")],
        ),
        "no-charset": ("article", lambda id: [reply(page(id, head=""), type="text/html")]),
        "no-type": ("article", lambda id: [reply(whole(id), content_type=None)]),
        "byte-order-mark": ("article", lambda id: [reply(b"\xef\xbb\xbf" + whole(id))]),
        "replacement-character": ("article", lambda id: [reply(page(id, inside="<p>\ufffd1130115</p>"))]),
        "gbk": ("encoding", lambda id: [reply(cna_page(id, head='<meta charset="gbk">').encode("gbk", "replace"))]),
        "gb18030-with-header": (
            "encoding",
            lambda id: [reply(cna_page(id).encode("gb18030"), type="text/html; charset=gb18030")],
        ),
        "big5": ("encoding", lambda id: [reply(cna_page(id, head='<meta charset="big5">').encode("big5", "replace"))]),
        "controls": (
            "article",
            lambda id: [reply(controls(id))],
        ),
        # shapes
        "2000-deep": ("too-deep", lambda id: inside(id, "<b>" * 2000 + "深" + "</b>" * 2000)),
        "2000-deep-divs": (
            "too-deep",
            lambda id: inside(id, "<div>" * 2000 + "深" + "</div>" * 2000),
        ),
        "300-deep-spans": (
            "article",
            lambda id: [
                reply(cna_page(id, inside="<p>" + "淺<span>" * 300 + "深" + "</span>尾" * 300 + "1130115</p>"))
            ],
        ),
        "40000-attributes": ("too-many-attributes", lambda id: [long_tag(" ".join(f'a{n}="x"' for n in numbers))]),
        "40000-attributes-bare": ("too-many-attributes", lambda id: [long_tag(" ".join(f"a{n}" for n in numbers))]),
        "40000-attributes-unquoted": (
            "too-many-attributes",
            lambda id: [long_tag(" ".join(f"a{n}=x" for n in numbers))],
        ),
        "40000-attributes-with-tags": (
            "too-many-attributes",
            lambda id: [long_tag(" ".join(f"""a{n}="<b c='d'>" b{n}='<i e="f">'""" for n in numbers[:20_000]))],
        ),
        "pdf": ("not-html", lambda id: [reply(b"%PDF-1.7 ...", type="application/pdf")]),
        "pdf-as-html": ("not-html", lambda id: [reply(b"%PDF-1.7 ...")]),
        "picture-as-html": ("not-html", lambda id: [reply(b"\x89PNG\r\n\x1a\n...")]),
        "json": ("not-html", lambda id: [reply("{}", type="application/json")]),
        "100-mb": ("too-large", lambda id: [flood(100, reply(b"", content_length=str(100 << 20)))]),
        "100-mb-unannounced": ("too-large", lambda id: [flood(100, reply(b"", content_length=None))]),
        "gzip-bomb": ("too-large", lambda id: [encoded(gzip.compress(bytes(200 << 20)), "gzip")]),
        "br-bomb": ("too-large", lambda id: [encoded(brotli.compress(bytes(200 << 20), quality=1), "br")]),
        "zstd-bomb": ("too-large", lambda id: [encoded(zstd.compress(bytes(200 << 20)), "zstd")]),
        # redirects
        "moved-on-site": ("article", lambda id: [moved(article_url("202401150000"), "301 Moved Permanently")]),
        "moved-to-same": ("redirect-loop", lambda id: [moved(article_url(id))]),
        "moved-to-nothing": ("redirect-loop", lambda id: [moved("")]),
        "moved-in-a-long-chain": ("redirect-loop", lambda id: [moved("http://www.cna.com.tw/chain/1")]),
        "moved-off-site": ("redirect-off-site", lambda id: [moved("https://example.org/news")]),
        "moved-to-lookalike": ("redirect-off-site", lambda id: [moved("http://evilcna.com.tw/news")]),
        "moved-by-login": ("redirect-off-site", lambda id: [moved("http://www.cna.com.tw@127.0.0.1/")]),
        "moved-by-backslash": ("redirect-off-site", lambda id: [moved("http://127.0.0.1\\@example.org/")]),
        "moved-to-loopback": ("redirect-off-site", lambda id: [moved(f"{server.url}/secret")]),
        "moved-to-loopback-6": ("redirect-off-site", lambda id: [moved(f"http://[::1]:{server.url[17:]}/secret")]),
        "moved-to-private": ("redirect-off-site", lambda id: [moved("http://192.168.0.1/secret")]),
        "moved-to-metadata": ("redirect-off-site", lambda id: [moved("//169.254.169.254/latest/meta-data/")]),
        "moved-to-file": ("redirect-scheme", lambda id: [moved("file:///etc/passwd")]),
        "moved-to-data": ("redirect-scheme", lambda id: [moved("data:text/html,<html>")]),
        "moved-to-script": ("redirect-malformed", lambda id: [moved("javascript:alert(1)")]),
        "moved-to-nonsense": ("redirect-malformed", lambda id: [moved("http://[::1")]),
        "moved-nowhere": ("status-302", lambda id: [moved(None)]),
        # pages that are no article
        "refresh": ("redirect-stub", lambda id: [reply(named("中央社", head=REFRESH))]),
        "stub": ("redirect-stub", lambda id: [reply(named("Redirecting", '<a href="/refreshed">here</a>'))]),
        "consent": ("consent", lambda id: [reply(named("Before you continue"))]),
        "challenge": ("challenge", lambda id: [reply(named("Just a moment..."))]),
        "error-page": ("error-page", lambda id: [reply(named("404 Not Found"))]),
        "error-page-zh": ("error-page", lambda id: [reply(named("找不到網頁"))]),
        "empty-template": ("empty-template", lambda id: [reply(named(""))]),
        "other-publisher": (
            "other-publisher",
            lambda id: [reply(cna_page(id, canonical="https://example.org/news/1"))],
        ),
        "unknown-layout": ("unknown-layout", lambda id: [reply(named("河岸新步道", "<main><p>第一段</p></main>"))]),
        "text": ("empty-template", lambda id: [reply("ok", type="text/plain")]),
        "expired": ("expired", lambda id: [reply(cna_page(id, paragraphs=("首段", "您所瀏覽的新聞已過查詢時效")))]),
        "no-body": ("incomplete", lambda id: [reply(cna_page(id, paragraphs=()))]),
        "no-time": ("no-time", lambda id: [reply(cna_page(id, published=""))]),
        "bad-time": ("bad-time", lambda id: [reply(cna_page(id, published="yesterday"))]),
        "future-time": (
            "future-time",
            lambda id: [reply(cna_page(id, published=(datetime.now(UTC) + timedelta(hours=1)).isoformat()))],
        ),
        "broken-json": ("unreadable", lambda id: [reply(cna_page(id).replace('"@context"', '"@context'))]),
        # aliases
        "other-channel": ("article", lambda id: [reply(page("202401150000"))]),
    }


def test_every_bad_answer_has_one_ending(server: Server, tmp_path: Path) -> None:
    server.answer(article_url("202401150000"), reply(page("202401150000")))
    for step in range(1, 9):
        server.answer(f"http://www.cna.com.tw/chain/{step}", moved(f"/chain/{step + 1}"))
    expected = {article_url("202401150000"): "article"}
    stored = ["202401150000"]
    names = {}
    for number, (name, (ending, answers)) in enumerate(cases(server).items(), 1):
        id = f"20240115{number:04}"
        url = article_url(id)
        server.answer(url, *answers(id))
        expected[url], names[url] = ending, name
        if ending == "article" and name not in ("moved-on-site", "other-channel"):
            stored.append(id)

    run = crawl(server, tmp_path, *expected)

    told = {names.get(url, "first"): reason for url, reason in run.ended.items()}
    assert told == {names.get(url, "first"): reason for url, reason in expected.items()}
    assert sorted(url for url, _ in run.endings) == sorted(expected) == sorted(run.requests)
    assert sum(run.counted.values()) == len(expected)
    assert run.posts == sorted(f"_posts/cna/2024/2024-01-15-{id}.md" for id in stored)
    assert not [url for url in server.asked if "www.cna.com.tw" not in url or "refreshed" in url]
    assert run.status == 1
    assert run.megabytes < 300
    assert run.stats.get("spider_exceptions/count", 0) == 0
    posts = {names.get(url, ""): run.archive / f"_posts/cna/2024/2024-01-15-{url[-17:-5]}.md" for url in expected}
    assert f"<p>{NOISE}</p>" in posts["wrong-charset"].read_text()
    assert TITLE in posts["wrong-charset-in-page"].read_text()
    assert "淺" * 300 + "深" + "尾" * 300 in posts["300-deep-spans"].read_text()
    controls = posts["controls"].read_text()
    assert 'title: "河岸步道"' in controls
    assert "<p>第一段</p>" in controls


def sitemap(*entries: str) -> str:
    urls = "".join(f"<url>{entry}</url>" for entry in entries)
    return f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</urlset>'


def feed(*links: str) -> str:
    items = "".join(f"<item>{link}</item>" for link in links)
    return f'<rss version="2.0"><channel><title>中央社</title>{items}</channel></rss>'


def loc(number: int) -> str:
    return f"<loc>{article_url(f'20240115{number:04}')}</loc>"


LAUGHS = '<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY c0 "ha">'
for level in range(1, 9):
    LAUGHS += f"<!ENTITY c{level} '{f'&c{level - 1};' * 10}'>"
LAUGHS += "]>"
MANY = " ".join(f"a{n}='x'" for n in range(40_000))
#: Which articles a whole listing announces; what else it names is none, or nobody's.
ANNOUNCED = {
    "sitemap.xml": sitemap(
        loc(1),
        f"<news xmlns='x'><publication_date>0001-01-01T00:00:00+14:00</publication_date></news>{loc(2)}",
        f"{loc(3)}<lastmod>soon</lastmod>",
        loc(3),
        "<loc>https://example.org/news/ahel/202401150004.aspx</loc>",
        "<loc>http://[::1</loc>",
        "<loc>javascript:alert(1)</loc>",
        "<loc>file:///etc/passwd</loc>",
        "<loc>http://www.cna.com.tw/list/ahel.aspx</loc>",
        "<loc></loc>",
        "",
    ),
    "rss": feed(
        f"<link>{article_url('202401150005')}</link><pubDate>Mon, 99 Foo 99999 99:99:99</pubDate>",
        "<link>/news/ahel/202401150006.aspx</link>",
        "<link>http://[::1</link>",
        "<title>without a link</title>",
    ),
    "list.aspx": named(
        "列表",
        '<a href="/news/ahel/202401150007.aspx"></a><a href="http://[::1"></a><a href=""></a><a></a>'
        '<a href="https://example.org/news/ahel/202401150008.aspx"></a>',
    ),
}
#: How each bad listing ends.
LISTINGS: dict[str, tuple[str, list[Answer]]] = {
    "404.xml": ("status-404", [reply("no", "404 Not Found")]),
    "410.xml": ("status-410", [reply("no", "410 Gone")]),
    "500.xml": ("status-500", [reply("no", "500 Internal Server Error")]),
    "moved.xml": ("redirect-off-site", [moved("https://example.org/sitemap.xml")]),
    "empty.xml": ("malformed-listing", [reply("")]),
    "text.xml": ("malformed-listing", [reply("sitemap")]),
    "cut.xml": ("malformed-listing", [reply(sitemap(loc(9))[:-9], type="text/xml")]),
    "half.xml": ("malformed-listing", [reply(sitemap(loc(9)).replace("</loc>", ""), type="text/xml")]),
    "two.xml": ("malformed-listing", [reply(sitemap(loc(9)) * 2, type="text/xml")]),
    "ampersand.xml": ("malformed-listing", [reply(sitemap(loc(9) + "A & B"), type="text/xml")]),
    "bytes.xml": ("malformed-listing", [reply(sitemap(loc(9)).encode() + b"\xff\xfe", type="text/xml")]),
    "other.xml": ("malformed-listing", [reply("<catalog><book/></catalog>", type="text/xml")]),
    "laughs.xml": ("malformed-listing", [reply(LAUGHS + feed("<link>&c8;</link>"), type="text/xml")]),
    "deep.xml": ("malformed-listing", [reply("<a>" * 5000 + "</a>" * 5000, type="text/xml")]),
    "feed-cut.rss": ("malformed-listing", [reply(feed("<link>x</link>")[:-9], type="text/xml")]),
    "feed-ampersand.rss": ("malformed-listing", [reply(feed("<title>A & B</title>"), type="text/xml")]),
    "page.xml": ("malformed-listing", [reply(named("找不到網頁", f'<a href="{article_url("202401150009")}"></a>'))]),
    "pdf.xml": ("malformed-listing", [reply(b"%PDF-1.7 ...", type="application/pdf")]),
    "gzip-cut.xml": ("truncated", [encoded(gzip.compress(NOISE.encode())[:-9], "gzip")]),
    "short.xml": ("truncated", [claiming(sitemap(loc(9)).encode(), 1)]),
    "bomb.xml": ("too-large", [encoded(gzip.compress(bytes(9 << 20)), "gzip")]),
    "attributes.xml": ("too-many-attributes", [reply(f"<rss {MANY}/>")]),
    "attributes": ("too-many-attributes", [reply(named("x", f"<p {MANY}>"))]),
    "no-article.xml": ("empty-listing", [reply(sitemap("<loc>http://www.cna.com.tw/list/ahel.aspx</loc>"))]),
    "no-entry.xml": ("empty-listing", [reply(sitemap())]),
    "index.xml": ("empty-listing", [reply("<sitemapindex><sitemap><loc>x</loc></sitemap></sitemapindex>")]),
    "no-entry.rss": ("empty-listing", [reply(feed())]),
    "error.aspx": ("empty-listing", [reply(named("找不到網頁"))]),
}


def test_every_bad_listing_has_one_ending_and_spoils_no_other(server: Server, tmp_path: Path) -> None:
    expected = {}
    for name, body in ANNOUNCED.items():
        type = "text/html" if name.endswith("aspx") else "text/xml"
        expected[server.answer(f"http://www.cna.com.tw/{name}", reply(body, type=type))] = "links"
    for name, (reason, answers) in LISTINGS.items():
        expected[server.answer(f"http://www.cna.com.tw/{name}", *answers)] = reason
    articles = [article_url(f"20240115{number:04}") for number in (1, 2, 3, 5, 6, 7)]
    for url in articles:
        server.answer(url, reply(whole(url[-17:-5])))

    run = crawl(server, tmp_path, listings=tuple(expected))

    assert run.ended == expected | dict.fromkeys(articles, "article")
    assert sorted(url for url, _ in run.endings) == sorted([*expected, *articles]) == sorted(run.requests)
    assert len(run.posts) == len(articles)
    assert sum(run.counted.values()) == len(expected) + len(articles)
    assert run.stats.get("spider_exceptions/count", 0) == 0
    assert run.status == 1
    assert "cna: 1 × listing/failed/status-404\n" in run.stdout
    assert not [url for url in server.asked if "www.cna.com.tw" not in url]


def test_no_long_tag_hides_among_others() -> None:
    """Whatever stands around it, a tag that would keep a parser busy is found, and none where there is none."""
    choose = random.Random(1)
    pieces = (
        *(b"<a ", b"<p>", b"</p>", b"<p a=b>", b'<p a="b">', b"<p a='>'>", b'">', b'"', b"'", b">", b"<", b"=", b" x"),
        *(b'="y"', b"='z'", b"/", b"\n", b"<!--", b"-->", b"<style>", b"p>a{color:red}\n" * 200, b"words "),
        *(b"<br " + b" a=1" * 4_000, b' c="d"' * 4_000 + b">", b" e='>'" * 4_000, b" f" * 9_000),
    )
    found = Counter[bool]()
    for _ in range(2_000):
        weights = [choose.random() ** 3 for _ in pieces]
        body = b"".join(choose.choices(pieces, weights, k=choose.randint(2, 60)))
        expected = LONG_TAG.search(body) is not None
        assert holds_long_tag(body) == expected, body
        found[expected] += 1
    assert min(found[True], found[False]) > 200


def test_who_does_not_answer(server: Server, tmp_path: Path) -> None:
    ask = {
        server.answer(article_url("202401150001"), silence): "timeout",
        server.answer(article_url("202401150002"), drip): "timeout",
        server.answer(article_url("202401150003"), reset): "no-response",
        server.answer(article_url("202401150004"), b""): "no-response",
        server.answer(article_url("202401150005"), b"220 mail.example.org ESMTP\r\n\r\n"): "no-response",
        server.answer(article_url("202401150006"), b"HTTP/1.1 200 OK\r\nContent-"): "no-response",
        "http://unknown.cna.com.tw/news/ahel/202401150008.aspx": "dns",
        "http://refused.cna.com.tw:1/news/ahel/202401150009.aspx": "no-connection",
        "http://example.org/news/ahel/202401150010.aspx": "off-site",
        f"{server.url}/news/ahel/202401150011.aspx": "off-site",
        "file:///etc/passwd": "scheme",
        "data:text/html,202401150012": "scheme",
    }
    run = crawl(server, tmp_path, *ask, DOWNLOAD_TIMEOUT=1, RETRY_TIMES=0, ROBOTSTXT_OBEY=False)
    assert run.ended == ask
    assert sorted(url for url, _ in run.endings) == sorted(ask) == sorted(run.requests)
    assert run.posts == []
    assert sum(run.counted.values()) == len(ask)
    assert run.status == 1
    assert not [url for url in server.asked if "www.cna.com.tw" not in url]


def test_a_host_that_asks_for_long_is_left_alone(server: Server, tmp_path: Path) -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    urls = [article_url(f"20240115{number:04}") for number in range(1, 13)]
    server.answer(urls[0], reply(whole("202401150001")))
    server.answer(urls[1], busy(format_datetime(later, usegmt=True)))
    for url in urls[2:]:
        server.answer(url, reply(whole(url[-17:-5])))
    run = crawl(server, tmp_path, *urls)
    assert run.ended == {urls[0]: "article", urls[1]: "status-429"} | dict.fromkeys(urls[2:], "backing-off")
    assert server.asked[1:] == urls[:2]
    assert len(run.posts) == 1
    assert run.status == 1


def test_a_host_that_asks_for_a_while_is_given_it(server: Server, tmp_path: Path) -> None:
    def soon(connection: socket.socket) -> None:
        connection.sendall(busy(format_datetime(datetime.now(UTC) + timedelta(seconds=3), usegmt=True)))

    urls = [article_url(f"20240115{number:04}") for number in (1, 2, 3)]
    for url in urls:
        server.answer(url, reply(whole(url[-17:-5])))
    server.answer(urls[0], busy("1"), reply(whole("202401150001")))
    server.answer(urls[1], soon, reply(whole("202401150002")))
    run = crawl(server, tmp_path, *urls)
    assert run.ended == dict.fromkeys(urls, "article")
    waits = [later - earlier for earlier, later in pairwise(server.times)]
    pauses = [wait for url, wait in zip(server.asked, waits, strict=False) if wait > 0.5]
    assert len(pauses) == 2
    assert min(pauses) > 0.8
    assert run.status == 0


def test_a_host_in_trouble_is_given_up(server: Server, tmp_path: Path) -> None:
    """The bound holds for all waiting together: a dead publisher does not keep the run for days."""
    urls = [article_url(f"20240115{number:04}") for number in range(1, 21)]
    for url in urls:
        server.answer(url, reply("no", "503 Service Unavailable"))
    run = crawl(server, tmp_path, *urls, BACKOFF_START=0.1, BACKOFF_MAX=0.5)
    assert len(server.asked) == 4
    assert set(run.ended.values()) == {"status-503", "backing-off"}
    assert sorted(run.ended) == urls
    assert run.posts == []
    assert run.status == 1


@pytest.mark.parametrize(
    ("robots", "reason"),
    [
        ([reply("User-agent: *\nDisallow: /", type="text/plain")], "robots"),
        ([reply("User-agent: newsarchive\nDisallow: /news/", type="text/plain")], "robots"),
        ([reply("User-agent: other\nDisallow: /", type="text/plain")], "article"),
        ([reply("User-agent: *\nDisallow: /", "404 Not Found", type="text/plain")], "article"),
        ([reply("", "403 Forbidden")], "article"),
        ([reply("no", "500 Internal Server Error")], "robots-unreachable"),
        ([reply("no", "503 Service Unavailable"), reply("", "404 Not Found")], "article"),
        ([busy("0")], "robots-unreachable"),
        ([busy("9999")], "robots-unreachable"),
        ([reset], "robots-unreachable"),
        ([silence], "robots-unreachable"),
        ([moved("https://example.org/robots.txt")], "robots-unreachable"),
    ],
)
def test_robots(server: Server, tmp_path: Path, robots: list[Answer], reason: str) -> None:
    url = server.answer(article_url("202401150001"), reply(whole("202401150001")))
    server.answer("http://www.cna.com.tw/robots.txt", *robots)
    run = crawl(server, tmp_path, url, DOWNLOAD_TIMEOUT=0.5 if silence in robots else 30)
    assert run.endings == [(url, reason)]
    assert (url in server.asked) == (reason == "article")
    assert run.status == (reason != "article")


def test_robots_holds_for_those_who_wait_for_it(server: Server, tmp_path: Path) -> None:
    server.answer("http://www.cna.com.tw/robots.txt", reply("User-agent: *\nDisallow: /", type="text/plain"))
    urls = [article_url(f"20240115{number:04}") for number in range(8)]
    run = crawl(server, tmp_path, *urls, CONCURRENT_REQUESTS=8)
    assert run.ended == dict.fromkeys(urls, "robots")
    assert server.asked == ["http://www.cna.com.tw/robots.txt"]


def test_two_addresses_of_one_article_are_one_file(server: Server, tmp_path: Path) -> None:
    page = reply(whole("202401150001"))
    one = server.answer(article_url("202401150001"), page)
    two = server.answer("http://www.cna.com.tw/news/aCN/202401150001-1.aspx", page)
    run = crawl(server, tmp_path, one, two)
    assert run.counted == {"article/stored": 1, "article/unchanged": 1}
    assert run.posts == ["_posts/cna/2024/2024-01-15-202401150001.md"]
    again = crawl(server, tmp_path, one, two)
    assert again.counted == {"article/unchanged": 2}
    assert run.status == again.status == 0


def test_an_archive_that_cannot_be_written_asks_nobody(server: Server, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.write_text("a file")
    run = crawl(server, tmp_path, server.answer(article_url("202401150001"), reply(whole("202401150001"))))
    assert run.status == 1
    assert run.stdout.startswith("cna: the archive cannot be written: ")
    assert str(archive) in run.stdout
    assert server.asked == []
    assert archive.read_text() == "a file"


@pytest.mark.parametrize("where", ["_posts", "post"])
def test_a_post_that_cannot_be_written_stops_the_run_and_is_made_up_for(
    server: Server, tmp_path: Path, where: str
) -> None:
    archive = tmp_path / "archive"
    post = archive / "_posts/cna/2024/2024-01-15-202401150001.md"
    blocked = post if where == "post" else archive / "_posts"
    (blocked if where == "post" else blocked.parent).mkdir(parents=True)
    if where != "post":
        blocked.write_text("a file")
    url = server.answer(article_url("202401150001"), reply(whole("202401150001")))
    run = crawl(server, tmp_path, url)
    assert run.endings == [(url, "pipeline")]
    assert run.counted == {"article/failed/pipeline": 1}
    assert run.posts == []
    assert run.status == 1
    assert "cna: 1 × article/failed/pipeline" in run.stdout
    assert "cna: stopped before its end: storage" in run.stdout
    blocked.rmdir() if where == "post" else blocked.unlink()
    again = crawl(server, tmp_path, url)
    assert "1 captures were not in the index and were read again" in again.stdout
    assert again.counted == {"article/unchanged": 1}
    assert again.posts == [str(post.relative_to(archive))]
