"""Articles whose pages cannot be had: kept as feeds tell of them, and completed by the first page that can be read."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from places import FIXTURES, SHARED, needs_shared, spider
from scrapy import Request
from scrapy.http import XmlResponse
from server import Crawl, Server, crawl, reply, serving
from test_archive import content, posts, scrapy
from test_frontier import account
from warcio.archiveiterator import ArchiveIterator

from newsarchive.article import Article, Refused
from newsarchive.capture import Capture
from newsarchive.index import Entry, Index, Reading
from newsarchive.listing import read_entry, read_listing

#: An article of RFI, whose identifier only its page tells.
PAGE = json.loads((FIXTURES / "rfi/word-paste.expected.json").read_bytes())["url"].replace("https:", "http:")
ID = "WBMZ91357-RFI-CN-20231115"
FEED = "http://www.rfi.fr/cn/rss"
FORBIDDEN = reply("<title>403 Forbidden</title>", "403 Forbidden")
TITLE = "河岸步道今天开放"
SUMMARY = "为测试所写的摘要，说的是河岸的步道。"
PUBLISHED = "Tue, 14 Nov 2023 23:39:03 +0000"


def item(url: str = PAGE, title: str = TITLE, summary: str = SUMMARY, published: str = PUBLISHED) -> str:
    return (
        f"<item><title><![CDATA[{title}]]></title><link>{url}</link>"
        f"<description><![CDATA[{summary}]]></description><pubDate>{published}</pubDate></item>"
    )


def feed(*items: str, **headers: str) -> bytes:
    told = f"<title>RFI</title><lastBuildDate>{len(items)}</lastBuildDate>{''.join(items)}"
    xml = f'<?xml version="1.0"?>\n<rss version="2.0"><channel>{told}</channel></rss>'
    return reply(xml, type="text/xml; charset=utf-8", **headers)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        server.answer(FEED, feed(item(), etag='"1"'))
        server.answer(PAGE, FORBIDDEN)
        yield server


def run(server: Server, folder: Path, **settings: object) -> Crawl:
    given = {"REFRESH": False, "BLOCKED_AFTER": 1000, **settings}
    return crawl(server, folder, listings=(FEED,), publisher="rfi", **given)


def whole_page() -> bytes:
    return reply((FIXTURES / "rfi/word-paste.html").read_bytes())


def verified(archive: Path) -> str:
    done = scrapy("verify", archive=archive)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def held(archive: Path) -> dict[str, bool]:
    """Return the articles, and whether they are partial."""
    with Index(archive / "index.sqlite", read_only=True) as index:
        return {row.id: row.partial for row in index.articles("rfi")}


def records(archive: Path, kind: str) -> list[dict[str, str]]:
    found = []
    for file in sorted(archive.glob("captures/rfi/*.warc.gz")):
        with file.open("rb") as stream:
            for record in ArchiveIterator(stream):
                if record.rec_type == kind:
                    body = record.raw_stream.read().decode()
                    found.append({**dict(record.rec_headers.headers), "body": body})
    return found


def test_an_article_whose_page_is_refused_is_stored_from_the_feed(server: Server, tmp_path: Path) -> None:
    refused = run(server, tmp_path)
    archive = refused.archive
    assert (refused.status, refused.ended[PAGE]) == (1, "status-403")
    (path,) = posts(archive)
    assert path.startswith("_posts/rfi/2023/2023-11-14-")
    text = posts(archive)[path].decode()
    assert TITLE in text
    assert f"<p>{SUMMARY}</p>" in text
    assert list(held(archive).values()) == [True]
    with Index(archive / "index.sqlite", read_only=True) as index:
        holdings, days = index.census()["rfi"]
        assert holdings == index.holdings("rfi")
        assert (holdings.partial, days) == (1, {date(2023, 11, 14): 1})
    told = account(archive)
    assert (told["scheduled"], told["stored"], told["failed"]) == (1, 0, {"status-403": 1})
    assert told["partial"] == {"stored": 1}
    assert [entry["url"] for entry in told["unfinished"]] == [PAGE]
    assert "1 of them in part" in scrapy("status", archive=archive).stdout
    assert "only what a feed says" in scrapy("history", PAGE, archive=archive).stdout
    assert verified(archive) == ""


def test_where_the_text_is_from_stands_in_the_captures(server: Server, tmp_path: Path) -> None:
    archive = run(server, tmp_path).archive
    (kept,) = records(archive, "conversion")
    (origin,) = [record for record in records(archive, "response") if record["WARC-Target-URI"] == FEED]
    assert (kept["WARC-Target-URI"], kept["WARC-Refers-To"]) == (PAGE, origin["WARC-Record-ID"])
    assert (kept["WARC-Refers-To-Target-URI"], kept["WARC-Refers-To-Date"]) == (FEED, origin["WARC-Date"])
    assert item() in kept["body"]
    # What changes with every other article is not in it.
    assert "lastBuildDate" not in kept["body"]


def test_the_page_completes_it_when_it_can_be_had(server: Server, tmp_path: Path) -> None:
    archive = run(server, tmp_path).archive
    (partial,) = posts(archive)
    server.answer(PAGE, whole_page())
    assert run(server, tmp_path).status == 0
    assert held(archive) == {ID: False}
    (path,) = posts(archive)
    assert (path, SUMMARY in posts(archive)[path].decode()) == (f"_posts/rfi/2023/2023-11-14-{ID}.md", False)
    assert partial != path
    assert account(archive)["unfinished"] == []
    assert verified(archive) == ""
    with Index(archive / "index.sqlite", read_only=True) as index:
        assert len(index.revisions("rfi", ID)) == 1
        assert index.find(PAGE) == [("rfi", ID)]


def test_it_is_asked_for_again_and_kept_again_only_when_the_feed_says_something_else(
    server: Server, tmp_path: Path
) -> None:
    archive = run(server, tmp_path).archive
    server.answer(FEED, reply("", "304 Not Modified", content_length=None))
    server.asked.clear()
    run(server, tmp_path)
    assert PAGE in server.asked
    assert len(records(archive, "conversion")) == 1
    other = PAGE.replace("20231114", "20231115")
    server.answer(other, FORBIDDEN)
    server.answer(FEED, feed(item(summary="改过的摘要。"), item(other)))
    run(server, tmp_path)
    assert len(records(archive, "conversion")) == 3
    assert sorted(held(archive).values()) == [True, True]
    assert account(archive)["partial"] == {"revised": 1, "stored": 1}
    assert any("<p>改过的摘要。</p>" in post.decode() for post in posts(archive).values())
    assert verified(archive) == ""


def test_a_replay_of_the_captures_gives_the_same_archive(server: Server, tmp_path: Path) -> None:
    other = PAGE.replace("20231114", "20231115")
    server.answer(FEED, feed(item(), item(other, title="另一条")))
    server.answer(other, FORBIDDEN)
    archive = run(server, tmp_path).archive
    server.answer(PAGE, whole_page())
    run(server, tmp_path)
    before = posts(archive), [row for row in content(archive) if row[0] not in ("runs", "coverage")]
    assert sorted(held(archive).values()) == [False, True]
    for file in archive.glob("index.sqlite*"):
        file.unlink()
    shutil.rmtree(archive / "_posts")
    done = scrapy("replay", str(archive / "captures"), archive=archive)
    assert done.returncode == 0, done.stdout + done.stderr
    after = posts(archive), [row for row in content(archive) if row[0] not in ("runs", "coverage")]
    assert after == before
    for file in archive.glob("index.sqlite*"):
        file.unlink()
    assert scrapy("verify", "--repair", archive=archive).returncode == 0
    assert posts(archive) == before[0]


def test_what_a_killed_run_left_is_completed(server: Server, tmp_path: Path) -> None:
    """The index forgets all that the second run recorded, as if that had been killed before its first commit."""
    archive = run(server, tmp_path).archive
    index = (archive / "index.sqlite").read_bytes()
    (partial,) = posts(archive).items()
    server.answer(PAGE, whole_page())
    run(server, tmp_path)
    after = posts(archive)
    (archive / "index.sqlite").write_bytes(index)
    (archive / partial[0]).write_bytes(partial[1])
    server.answer(FEED, feed(item()))
    run(server, tmp_path)
    assert (posts(archive), verified(archive)) == (after, "")


def test_an_entry_that_says_too_little_is_no_answer_of_the_page(server: Server, tmp_path: Path) -> None:
    server.answer(FEED, feed(item(summary="")))
    run(server, tmp_path)
    server.answer(PAGE, whole_page())
    server.answer(FEED, feed(item(PAGE.replace("20231114", "20231116"))))
    assert held(run(server, tmp_path).archive) == {ID: False}


def test_of_two_feeds_the_one_that_says_more_counts(server: Server, tmp_path: Path) -> None:
    other = server.answer(f"{FEED}2", feed(item(summary="")))
    done = crawl(server, tmp_path, listings=(FEED, other), publisher="rfi", REFRESH=False)
    assert account(done.archive)["partial"] == {"stored": 1}


def test_an_article_that_was_read_stays_as_it_is(server: Server, tmp_path: Path) -> None:
    server.answer(PAGE, whole_page())
    archive = run(server, tmp_path).archive
    before = posts(archive)
    server.answer(PAGE, FORBIDDEN)
    run(server, tmp_path, REFRESH=True)
    assert (posts(archive), held(archive)) == (before, {ID: False})
    assert records(archive, "conversion") == []


@pytest.mark.parametrize(
    ("answer", "stored"),
    [
        (reply("gone", "404 Not Found"), False),
        (reply("gone", "410 Gone"), False),
        (reply("later", "503 Service Unavailable"), True),
        (reply((FIXTURES / "rfi/challenge.html").read_bytes()), True),
    ],
)
def test_what_the_publisher_has_taken_away_is_not_stored(
    server: Server, tmp_path: Path, answer: bytes, stored: bool
) -> None:
    server.answer(PAGE, answer)
    assert bool(posts(run(server, tmp_path).archive)) == stored


def test_once_a_host_is_known_to_refuse_us_its_articles_are_stored_all_the_same(server: Server, tmp_path: Path) -> None:
    urls = [PAGE.replace("20231114", f"202311{day}") for day in range(10, 20)]
    server.answer(FEED, feed(*map(item, urls)))
    for url in urls:
        server.answer(url, FORBIDDEN)
    blocked = run(server, tmp_path, BLOCKED_AFTER=2)
    assert len(posts(blocked.archive)) == len(urls)
    assert sum(url in urls for url in server.asked) < len(urls)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"summary": ""}, "no-text"),
        ({"summary": "<img src='x'>"}, "no-text"),
        ({"published": "soon"}, "no-time"),
        ({"published": "Tue, 14 Nov 2323 23:39:03 +0000"}, "future-time"),
        ({"title": " "}, "drift"),
    ],
)
def test_an_entry_that_says_too_little_is_refused_and_counted(
    server: Server, tmp_path: Path, told: dict[str, str], reason: str
) -> None:
    server.answer(FEED, feed(item(**told)))
    ended = run(server, tmp_path)
    assert posts(ended.archive) == {}
    assert account(ended.archive)["partial"] == {f"refused/{reason}": 1}
    assert f"partial/refused {PAGE}: {reason}" in ended.log
    assert verified(ended.archive) == ""


# What feeds say.


@pytest.mark.parametrize(
    "xml",
    [
        f"<rss version='2.0'><channel>{{}}{item()}{{}}</channel></rss>",
        "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns='http://purl.org/rss/1.0/'"
        f" xmlns:dc='http://purl.org/dc/elements/1.1/'><channel/>{{}}<item rdf:about='x'><title>{TITLE}</title>"
        f"<link>{PAGE}</link><description>{SUMMARY}</description><dc:date>2023-11-14T23:39:03Z</dc:date></item>{{}}"
        "</rdf:RDF>",
        f"<feed xmlns='http://www.w3.org/2005/Atom'><title/>{{}}<entry><title>{TITLE}</title>"
        f"<link href='{PAGE}'/><summary type='html'>&lt;p>{SUMMARY}&lt;/p></summary>"
        "<updated>2023-11-14T23:39:03Z</updated></entry>{}</feed>",
    ],
)
def test_an_entry_is_the_same_whatever_stands_around_it(xml: str) -> None:
    alone = read_listing(XmlResponse(FEED, body=xml.format("", ""), encoding="utf-8"))[0].entry
    another = xml.split("{}")[1]
    among = read_listing(XmlResponse(FEED, body=xml.format("<x/>\n", another), encoding="utf-8"))
    assert [link.entry for link in among] == [alone, alone]
    told = read_entry(alone)
    assert (told.url, told.title, told.summary) == (PAGE, TITLE, SUMMARY)
    assert told.published == datetime(2023, 11, 14, 23, 39, 3, tzinfo=UTC)


def read(xml: bytes) -> Article:
    meta = {"kind": "entry", "captured": datetime(2100, 1, 1, tzinfo=UTC)}
    return spider("rfi").read(XmlResponse(PAGE, body=xml, encoding="utf-8", request=Request(PAGE, meta=meta)))


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>一</p><p>二 &amp; 三</p>", "一 二 & 三"),
        ("一<br>二<script>x</script>", "一 二x"),
        ("a &lt; b", "a < b"),
    ],
)
def test_a_summary_is_read_as_text(html: str, text: str) -> None:
    (link,) = read_listing(XmlResponse(FEED, body=feed(item(summary=html)).partition(b"\r\n\r\n")[2]))
    article = read(link.entry)
    assert (article.summary, article.partial, article.language) == (text, True, "zh-Hans")
    assert "<script" not in article.body


@pytest.mark.parametrize(
    "entry",
    [
        f"<item><title>T</title><link>{PAGE}</link><pubDate>{PUBLISHED}</pubDate>"
        f"<content:encoded xmlns:content='http://purl.org/rss/1.0/modules/content/'>&lt;p>{SUMMARY}</content:encoded></item>",
        f"<item><title>T&nbsp;</title><link>{PAGE}</link><pubDate>{PUBLISHED}</pubDate>"
        f"<description>{SUMMARY}&nbsp;</description></item>",
    ],
)
def test_what_some_feeds_have_instead_of_a_summary_is_read(entry: str) -> None:
    doctype = '<!DOCTYPE rss [<!ENTITY nbsp "&#160;">]>'
    xml = f"<?xml version='1.0'?>{doctype}<rss version='2.0'><channel>{entry}</channel></rss>"
    (link,) = read_listing(XmlResponse(FEED, body=xml, encoding="utf-8"))
    assert read(link.entry).summary.strip() == SUMMARY


def test_what_is_said_of_another_article_is_refused() -> None:
    """Entries that stand in one another, and elements that are none, are counted otherwise by other parsers."""
    for told in (item(PAGE.replace("20231114", "20231115")), item("https://www.example.com/")):
        with pytest.raises(Refused, match="the feed's entry is about"):
            read(f"<rss version='2.0'><channel>{told}</channel></rss>".encode())


def test_a_feed_with_much_around_its_entries_is_not_copied_for_each() -> None:
    xml = f"<rss version='2.0' x='{'x' * 20_000}'><channel>{item() * 300}</channel></rss>"
    links = read_listing(XmlResponse(FEED, body=xml, encoding="utf-8"))
    assert (len(links), {link.entry for link in links}) == (300, {b""})


def test_an_entry_of_another_shape_is_refused() -> None:
    for body in (b"", b"<html>", b"<rss version='2.0'><channel/></rss>", b"<rss><item/><item/></rss>"):
        with pytest.raises(Refused):
            read(body)


@needs_shared
@pytest.mark.parametrize("name", ["rss-chi-all.2015-03-16.greatfire.rss", "rss-en-all.2026-09-10.excerpt.xml"])
def test_entries_of_real_feeds_say_what_the_feed_says(name: str) -> None:
    links = read_listing(XmlResponse(FEED, body=(SHARED / "feeds" / name).read_bytes()))
    assert links
    for link in links:
        told = read_entry(link.entry)
        assert (told.url, told.published) == (link.url, link.announced)
        assert told.title
    assert any(read_entry(link.entry).summary for link in links)


# The index.

MOMENT = datetime(2026, 11, 20, 5, 1, 25, tzinfo=UTC)
OLD, NEW = "https://www.rfi.fr/cn/a/20261120-old", "https://www.rfi.fr/cn/a/20261120-new"


def captured(at: int, asked: str, ending: str, target: str = "", kind: str = "", **read: Any) -> Entry:
    """Return what is recorded of a capture at an hour; ``read`` is what it reads as."""
    kind = kind or ("entry" if ending == "partial" else "article")
    capture = Capture("captures/rfi/a.warc.gz", at, asked, MOMENT + timedelta(hours=at), 200, f"sha1:{at}", kind)
    known = {"url": asked, "title": "a", "published": MOMENT, "fingerprint": f"{at:032x}", **read}
    reading = Reading("rfi", post=f"_posts/rfi/{read['id'][-3:]}.md", **known) if read else None
    return Entry(capture, "rfi", ending, target, reading)


FED = captured(1, OLD, "partial", id=OLD)


@pytest.mark.parametrize(
    "recorded",
    [
        # The page at the same address, and under the same identifier.
        [FED, captured(2, OLD, "article", id="W1")],
        [FED, captured(2, OLD, "article", id=OLD)],
        # Two states of the feed, before the page and after it.
        [FED, captured(2, OLD, "partial", id=OLD), captured(3, OLD, "article", id="W1")],
        [FED, captured(2, OLD, "article", id="W1"), captured(3, OLD, "partial", id=OLD)],
        # The page names the address as its own, or as that of its twin.
        [FED, captured(2, NEW, "article", id="W1", url=OLD)],
        [FED, captured(2, NEW, "article", id="W1", twin=OLD)],
        # The page is the twin of one that is in the index, and names it.
        [captured(2, NEW, "article", id="W1"), FED, captured(3, OLD, "twin")],
        # The address leads to the page.
        [FED, captured(2, OLD, "redirect", target=NEW), captured(3, NEW, "article", id="W1")],
    ],
)
def test_what_a_feed_says_gives_way_whatever_comes_first(tmp_path: Path, recorded: list[Entry]) -> None:
    dumps, freed = [], set()
    for number, order in enumerate(permutations(recorded)):
        with Index(tmp_path / f"{number}.sqlite") as index:
            for entry in order:
                place = index.place(entry)
                assert index.record(entry, "5e" if place.shown else "") == place
                freed.update(place.freed)
            assert list(index.check()) == []
            assert [row.partial for row in index.articles("rfi")] == [False]
            assert index.holdings("rfi").partial == 0
            dumps.append(list(index.dump()))
    assert all(dump == dumps[0] for dump in dumps)
    assert freed == {"_posts/rfi/old.md"}


def test_what_no_longer_reads_as_an_entry_gives_way_all_the_same(tmp_path: Path) -> None:
    with Index(tmp_path / "index.sqlite") as index:
        index.record(FED, "5e")
        index.record(captured(2, OLD, "partial", id=OLD))
        index.record(captured(1, OLD, "no-text", kind="entry"))
        assert list(index.check()) == []
        assert index.record(captured(3, OLD, "article", id="W1")).freed == ("_posts/rfi/old.md",)
        assert [row.id for row in index.articles("rfi")] == ["W1"]
        assert list(index.check()) == []


def test_what_a_feed_says_is_no_capture_of_the_address(tmp_path: Path) -> None:
    with Index(tmp_path / "index.sqlite") as index:
        index.record(captured(1, OLD, "status-403"))
        index.record(captured(2, OLD, "partial", id=OLD))
        index.record(captured(3, OLD, "no-text", kind="entry"))
        assert [row.ending for row in index.captures_of(OLD)] == ["status-403"]
        row, last = index.address(OLD), index.last_told("entry", OLD)
        assert row
        assert last
        assert (row.ending, row.id, last.offset) == ("status-403", OLD, 3)
        assert index.endings("rfi") == {"status-403": 1}
        assert [ending for _, ending, _ in index.endings_below(OLD[: OLD.index("20261120")])] == ["status-403"]


def test_what_cannot_be_written_leaves_what_the_feed_says(tmp_path: Path) -> None:
    def fail(post: str) -> str:
        raise OSError(28, "No space left on device", post)

    with Index(tmp_path / "index.sqlite") as index:
        index.record(FED, "5e")
        before = list(index.dump())
        with index.transaction(), pytest.raises(OSError, match="No space left"):
            index.record(captured(2, OLD, "article", id="W1"), write=fail)
        assert list(index.dump()) == before


def test_what_a_feed_says_of_another_article_stays(tmp_path: Path) -> None:
    with Index(tmp_path / "index.sqlite") as index:
        index.record(FED, "5e")
        assert index.record(captured(2, NEW, "article", id="W1")).freed == ()
        assert {row.id: row.partial for row in index.articles("rfi")} == {OLD: True, "W1": False}
        assert index.read("rfi", OLD) is None
        assert [id for id, _ in index.first_read("rfi", MOMENT)] == ["W1"]
