"""What a crawl asks for again and what not, what it takes up that an earlier run left, and how it goes back in time."""

import asyncio
import json
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from places import FIXTURES
from scrapy.utils.test import get_crawler
from server import PARAGRAPHS, Crawl, Server, article_url, cna_page, crawl, reply, serving, without_tls
from test_archive import posts, scrapy

from newsarchive.article import Refused
from newsarchive.backfill import BackFill
from newsarchive.coverage import Span
from newsarchive.frontier import Frontier, Seen
from newsarchive.index import Entry, Index
from newsarchive.index.row import Row, as_text
from newsarchive.listing import Link, Listing
from newsarchive.wayback import cdx_url
from spiders.cna import CnaSpider

IDS = ["202401150001", "202401150002", "202401150003"]
LISTING = "http://www.cna.com.tw/sitemap.xml"
EDITED = (PARAGRAPHS[0], "第二段說明步道全長四公里，沿途設有座椅與照明，週末開放自行車通行。", PARAGRAPHS[2])
#: Hours; shorter than a crawl takes to start.
AT_ONCE = "0.0001"


def listing(*ids: str, lastmod: str = "", announced: str = "", **headers: str) -> bytes:
    stated = f"<lastmod>{lastmod}</lastmod>" if lastmod else ""
    stated += f"<publication_date>{announced}</publication_date>" if announced else ""
    locs = "".join(f"<url><loc>{article_url(id)}</loc>{stated}</url>" for id in ids)
    return reply(f"<urlset>{locs}</urlset>", type="text/xml", **headers)


@pytest.fixture
def server():
    with serving() as server:
        for id in IDS:
            server.answer(article_url(id), reply(cna_page(id, title=f"第{id}號報導"), etag=f'"{id}"'))
        server.answer(LISTING, listing(*IDS))
        yield server


def run(server: Server, folder: Path, **settings: object) -> Crawl:
    """Crawl as users do; only what this run asks for is noted."""
    server.asked.clear()
    server.headers.clear()
    return crawl(server, folder, listings=(LISTING,), REFRESH=False, **settings)


def articles(server: Server) -> Counter[str]:
    """Return the ids of the articles that were asked for."""
    return Counter(url.rpartition("/")[2].removesuffix(".aspx") for url in server.asked if "/news/" in url)


def account(archive: Path) -> dict[str, Any]:
    """Return the account of the last run."""
    newest = max(archive.glob("runs/*.json"), key=lambda file: file.stat().st_mtime_ns)
    told: dict[str, Any] = json.loads(newest.read_bytes())
    return told


def revisions(archive: Path, id: str) -> int:
    with Index(archive / "index.sqlite", read_only=True) as index:
        return len(index.revisions("cna", id))


def test_a_run_with_nothing_new_asks_for_the_listings_only(server: Server, tmp_path: Path) -> None:
    first = run(server, tmp_path)
    assert articles(server) == Counter(IDS)
    again = run(server, tmp_path)
    assert (again.status, again.stdout) == (0, "")
    assert server.asked == ["http://www.cna.com.tw/robots.txt", LISTING]
    assert account(first.archive)["scheduled"] == 0


SPARE = "http://www.cna.com.tw/list/ahel.aspx"


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        (listing(IDS[0]), False),
        (reply("busy", "503 Service Unavailable"), True),
        (reply("<urlset/>", type="text/xml"), True),
        # Who does not want to be asked is not asked for more.
        (reply("no", "403 Forbidden"), False),
        (reply("slowly", "429 Too Many Requests"), False),
    ],
)
def test_in_place_of_a_listing_that_fails_others_are_asked(
    server: Server, tmp_path: Path, answer: bytes, asked: bool
) -> None:
    server.answer(LISTING, answer)
    server.answer(SPARE, reply(f"<html><body><a href='{article_url(IDS[1])}'>x</a></body></html>"))
    done = crawl(server, tmp_path, listings=(LISTING,), spares=(SPARE,), REFRESH=False, BACKOFF_MAX=0)
    assert (SPARE in server.asked, article_url(IDS[1]) in server.asked) == (asked, asked)
    assert [told["url"] for told in account(done.archive)["listings"]] == [LISTING, *([SPARE] if asked else [])]


def test_a_spare_listing_that_somebody_names_is_asked() -> None:
    (listing,) = CnaSpider(listings="https://www.cna.com.tw/list/aipl.aspx").asked
    assert not listing.spare


def test_a_listing_may_be_unchanged_for_long(server: Server, tmp_path: Path) -> None:
    server.answer(LISTING, listing(*IDS, etag='"1"'))
    archive = run(server, tmp_path).archive
    server.answer(LISTING, reply("", "304 Not Modified", content_length=None))
    with Index(archive / "index.sqlite") as index:
        first = index.captures_of(LISTING)[0].capture
        for minute in range(1, 30):
            later = replace(first, offset=first.offset + minute, status=304, captured=first.captured + timedelta(0, 1))
            index.record(Entry(later, "cna", "status-304"))
    assert run(server, tmp_path).status == 0
    assert account(archive)["listings"] == [{"url": LISTING, "links": 3}]


def test_a_gap_lets_spare_listings_be_asked_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    gap, old = Span(now - timedelta(days=2), now - timedelta(days=1)), Span(now - timedelta(90), now - timedelta(80))
    frontier = Frontier(get_crawler(CnaSpider, {"ARCHIVE_DIR": tmp_path}))
    frontier.crawler.spider = spider = CnaSpider()
    spares = [listing for listing in spider.asked if listing.spare]
    for gaps, last, found in (
        ([], None, []),
        ([old], None, []),
        ([gap], None, spares),
        ([gap], now - timedelta(hours=1), []),
        ([gap], now - timedelta(days=1), spares),
    ):
        monkeypatch.setattr(frontier, "gaps", lambda gaps=gaps: gaps)
        monkeypatch.setattr(frontier, "last_said", lambda url, last=last: last)
        assert frontier.spares() == found
    assert len(spares) > 20


def test_other_addresses_of_an_article_are_not_asked_for(server: Server, tmp_path: Path) -> None:
    run(server, tmp_path)
    others = "".join(
        f"<url><loc>{url}</loc></url>"
        for id in IDS
        for url in (
            f"https://www.cna.com.tw/news/firstnews/{id}.aspx?utm_source=x",
            f"https://www.cna.com.tw/amp/news/aipl/{id}.aspx",
            f"http://www.cna.com.tw/News/aCN/{id}-1.aspx",
        )
    )
    server.answer(LISTING, reply(f"<urlset>{others}</urlset>", type="text/xml"))
    run(server, tmp_path)
    assert articles(server) == Counter()


def test_articles_are_looked_at_again_when_it_is_time(server: Server, tmp_path: Path) -> None:
    """The server is asked whether they have changed, also when no listing names them any more."""
    # What is announced for later than it is found comes out when it is found.
    server.answer(LISTING, listing(*IDS, announced="2999-01-01T00:00:00Z"))
    archive = run(server, tmp_path).archive
    unchanged = reply("", "304 Not Modified", content_length=None)
    server.answer(article_url(IDS[0]), unchanged)
    server.answer(article_url(IDS[1]), reply(cna_page(IDS[1], title=f"第{IDS[1]}號報導", paragraphs=EDITED)))
    server.answer(article_url(IDS[2]), reply("gone", "410 Gone"))
    server.answer(LISTING, listing("202401150009"))
    server.answer(article_url("202401150009"), reply(cna_page("202401150009")))
    again = run(server, tmp_path, RECHECK_HOURS=AT_ONCE)
    assert articles(server) == Counter([*IDS, "202401150009"])
    conditions = [headers.get("if-none-match") for headers, url in zip(server.headers, server.asked, strict=True)]
    assert set(conditions) == {None, *(f'"{id}"' for id in IDS)}
    told = account(archive)
    assert (told["stored"], told["revised"], told["unchanged"], told["failed"]) == (1, 1, 1, {"status-410": 1})
    assert again.status == 0
    assert [revisions(archive, id) for id in IDS] == [1, 2, 1]
    posts = {file.name for file in archive.glob("_posts/**/*.md")}
    assert len(posts) == 4


def test_what_came_out_long_ago_is_not_looked_at_again(server: Server, tmp_path: Path) -> None:
    run(server, tmp_path)
    run(server, tmp_path, RECHECK_HOURS=AT_ONCE)
    assert articles(server) == Counter()


def test_a_listing_that_has_not_changed_is_not_sent_again(server: Server, tmp_path: Path) -> None:
    """What it had named is still taken up."""
    server.answer(LISTING, listing(*IDS, etag='"7"'))
    server.answer(article_url(IDS[1]), reply("", "503 Service Unavailable"))
    assert run(server, tmp_path).status == 1
    server.answer(LISTING, reply("", "304 Not Modified", content_length=None))
    server.answer(article_url(IDS[1]), reply(cna_page(IDS[1])))
    again = run(server, tmp_path)
    assert again.counted == {"listing/unchanged": 1, "article/stored": 1}
    assert server.headers[server.asked.index(LISTING)]["if-none-match"] == '"7"'
    assert articles(server) == Counter([IDS[1]])


def test_a_change_that_a_listing_tells_of_is_looked_at(server: Server, tmp_path: Path) -> None:
    server.answer(LISTING, listing(*IDS, lastmod="2020-01-01T00:00:00Z"))
    run(server, tmp_path)
    run(server, tmp_path)
    assert articles(server) == Counter()
    server.answer(LISTING, listing(*IDS[:1], lastmod="2999-01-01T00:00:00Z"))
    run(server, tmp_path)
    assert articles(server) == Counter(), "a time to come tells of nothing"
    server.answer(LISTING, listing(*IDS[:1], lastmod=datetime.now(UTC).isoformat()))
    run(server, tmp_path)
    assert articles(server) == Counter(IDS[:1])
    run(server, tmp_path)
    assert articles(server) == Counter(), "it has been looked at since"


def test_what_could_not_be_had_is_not_forgotten(server: Server, tmp_path: Path) -> None:
    """A run that fails tells the next what to take up, through as many runs as it takes."""
    server.answer(article_url(IDS[1]), reply("", "503 Service Unavailable"))
    archive = run(server, tmp_path).archive
    assert [entry["url"] for entry in account(archive)["unfinished"]] == [article_url(IDS[1])]
    server.answer(LISTING, listing("202401150009"))
    server.answer(article_url("202401150009"), reply(cna_page("202401150009")))
    for _ in range(2):
        run(server, tmp_path)
        assert [entry["url"] for entry in account(archive)["unfinished"]] == [article_url(IDS[1])]
    for args in ({"only": article_url(IDS[0])}, {"since": "2024-01-14", "until": "2024-01-14"}):
        crawl(server, tmp_path, args=args, REFRESH=False)
        assert [entry["url"] for entry in account(archive)["unfinished"]] == [article_url(IDS[1])], "it goes on"
    server.answer(article_url(IDS[1]), reply(cna_page(IDS[1])))
    assert run(server, tmp_path).status == 0
    assert account(archive)["unfinished"] == []
    assert revisions(archive, IDS[1]) == 1


def test_an_address_that_is_no_article_is_not_asked_for_every_hour(server: Server, tmp_path: Path) -> None:
    server.answer(article_url(IDS[1]), reply("gone", "404 Not Found"))
    server.answer(article_url(IDS[2]), reply("<html><title>x</title></html>"))
    run(server, tmp_path)
    run(server, tmp_path)
    assert articles(server) == Counter()
    server.answer(article_url(IDS[1]), reply(cna_page(IDS[1])))
    run(server, tmp_path, RECHECK_HOURS=AT_ONCE)
    assert articles(server) == Counter(IDS[1:]), "the third came out long ago"


def test_back_fill_tries_the_numbers_of_a_day(server: Server, tmp_path: Path) -> None:
    """Both series, once: the same days can be asked for again at no cost."""
    there = [f"20240115{number}" for number in ("0001", "0002", "0120", "0205", "3001", "5001", "5042")]
    for id in there:
        server.answer(article_url(id).replace("ahel", "aipl"), reply(cna_page(id)))
    days = {"since": "2024-01-15", "until": "2024-01-15"}
    first = crawl(server, tmp_path, args=days, REFRESH=False)
    assert first.status == 0
    told = account(first.archive)
    assert (told["stored"], told["failed"], list(told["refused"])) == (len(there), {}, ["absent"])
    assert max(articles(server).values()) == 1
    covered = {source for source, *_ in told["covered"]}
    assert "numbers of 2024-01-15" in covered
    server.asked.clear()
    again = crawl(server, tmp_path, args=days, REFRESH=False)
    assert (again.status, articles(server)) == (0, Counter())


def midnight(archive: Path) -> None:
    """Let the last run have been yesterday's."""
    file = max(archive.glob("runs/*.json"), key=lambda file: file.stat().st_mtime_ns)
    told = json.loads(file.read_bytes())
    told["manners"]["budget"]["day"] = "2024-01-15"
    file.write_text(json.dumps(told))


def test_a_back_fill_says_where_it_stopped_and_goes_on_from_there(server: Server, tmp_path: Path) -> None:
    """A day's requests do not last: the same command goes on, day after day, until nothing is left."""
    there = article_url("202401150120").replace("ahel", "aipl")
    server.answer(there, reply(cna_page("202401150120")))
    days = {"since": "2024-01-15", "until": "2024-01-16"}
    asked: Counter[str] = Counter()

    def fill() -> Crawl:
        server.asked.clear()
        done = crawl(server, tmp_path, args=days, REFRESH=False, REQUESTS_PER_DAY=300)
        asked.update(articles(server))
        return done

    first = fill()
    left = account(first.archive)["backfill"]["left"]
    assert (first.status, len(server.asked), left["days"], left["addresses"]) == (1, 270, 2, 0)
    # The days of Taipei are three, and take some 250 numbers each.
    assert 450 < left["requests"] < 520
    told = [line for line in first.stdout.splitlines() if "is not complete" in line]
    assert len(told) == 1
    assert re.fullmatch(
        r"cna: 2024-01-15 00:00 to 2024-01-17 00:00 is not complete: 2 days and 0 addresses are left, some "
        rf"{left['requests']} requests, [\d.]+ hours; the same command goes on",
        told[0],
    )
    assert "stops at 2024-01-16, day 2 of 3" in first.log
    assert (fill().status, articles(server)) == (1, Counter())
    midnight(first.archive)
    assert fill().status == 1
    assert 260 < len(server.asked) <= 270
    midnight(first.archive)
    last = fill()
    assert (last.status, last.stdout) == (0, "cna: 2024-01-15 00:00 to 2024-01-17 00:00 is complete\n")
    assert account(first.archive)["backfill"]["left"]["requests"] == 0
    assert max(asked.values()) == 1
    assert fill().stdout == last.stdout
    assert server.asked == []


EXPIRED = (FIXTURES / "cna" / "expired.html").read_bytes().replace(b"201603190188", IDS[0].encode())
#: The address that the page names.
NAMED = f"https://www.cna.com.tw/news/asoc/{IDS[0]}.aspx"
TAKEN = "20240116010203"
MEMENTO = {"memento_datetime": "Tue, 16 Jan 2024 01:02:03 GMT"}


def cdx(*taken: str) -> str:
    names = ["urlkey", "timestamp", "original", "mimetype", "statuscode", "digest", "length"]
    rows = [["x", time, article_url(IDS[0]), "text/html", "200", f"D{time}", "1"] for time in taken]
    return json.dumps([names, *rows])


def ask_for_copies(server: Server, *answers: bytes) -> None:
    """Let the first article be cut down, and the Wayback Machine be asked for it."""
    server.answer(LISTING, listing(IDS[0]))
    server.answer(article_url(IDS[0]), reply(EXPIRED))
    server.answer(without_tls(cdx_url(NAMED)), *answers)


def list_copies(server: Server, rows: object = (), section: str = "", resume: str = "") -> list[str]:
    """Let the Wayback Machine list copies of the month, of one section or all; return where it does."""
    day = Span(*(datetime(2024, 1, 15, hour, tzinfo=UTC) for hour in (0, 12)))
    found = [beginning for beginning in CnaSpider().copied_below(day) if f"/{section}" in beginning]
    urls = [without_tls(cdx_url(url, match="prefix", collapse="urlkey", resume=resume)) for url in found]
    return [server.answer(url, reply(json.dumps(rows), type="application/json")) for url in urls]


def test_what_was_cut_down_is_read_from_a_copy(server: Server, tmp_path: Path) -> None:
    """The copy that is whole is taken, under its own address; the article keeps its own."""
    ask_for_copies(server, reply(cdx("20240115060000", TAKEN), type="application/json"))
    copies = [f"http://web.archive.org/web/{time}id_/{article_url(IDS[0])}" for time in ("20240115060000", TAKEN)]
    server.answer(copies[0], reply(EXPIRED, memento_datetime="Mon, 15 Jan 2024 06:00:00 GMT"))
    server.answer(copies[1], reply(cna_page(IDS[0]), **MEMENTO))
    done = run(server, tmp_path, WAYBACK=True)
    told = account(done.archive)
    assert (done.status, told["stored"], told["refused"]) == (0, 1, {"expired": 2})
    with Index(done.archive / "index.sqlite", read_only=True) as index:
        article = index.article("cna", IDS[0])
    assert article
    assert (article.capture.url, article.url) == (copies[1], f"https://www.cna.com.tw/news/ahel/{IDS[0]}.aspx")
    again = run(server, tmp_path, WAYBACK=True)
    assert (again.status, [url for url in server.asked if "robots" not in url]) == (0, [LISTING])
    replayed = scrapy("replay", str(done.archive / "captures"), archive=tmp_path / "again")
    assert replayed.returncode == 0
    assert posts(tmp_path / "again") == posts(done.archive)


def test_copies_that_could_not_be_asked_for_are_asked_for_by_the_next_run(server: Server, tmp_path: Path) -> None:
    ask_for_copies(server, reply("", "503 Service Unavailable"))
    archive = run(server, tmp_path, WAYBACK=True).archive
    (left,) = account(archive)["unfinished"]
    assert (left["url"], left["reason"]) == (article_url(IDS[0]), "copies")
    ask_for_copies(server, reply(cdx(TAKEN), type="application/json"))
    copy = f"http://web.archive.org/web/{TAKEN}id_/{article_url(IDS[0])}"
    server.answer(copy, reply(cna_page(IDS[0]), **MEMENTO))
    assert run(server, tmp_path, WAYBACK=True).counted["article/stored"] == 1
    assert account(archive)["unfinished"] == []


def test_a_back_fill_takes_up_the_copies_that_were_not_had(server: Server, tmp_path: Path) -> None:
    ask_for_copies(server, reply("", "503 Service Unavailable"))
    list_copies(server)
    server.answer(article_url(IDS[0]).replace("ahel", "aipl"), reply(EXPIRED))
    days = {"since": "2024-01-15", "until": "2024-01-15"}

    def fill() -> Crawl:
        server.asked.clear()
        return crawl(server, tmp_path, args=days, REFRESH=False, WAYBACK=True)

    archive = fill().archive
    ask_for_copies(server, reply(cdx(TAKEN), type="application/json"))
    server.answer(f"http://web.archive.org/web/{TAKEN}id_/{article_url(IDS[0])}", reply(cna_page(IDS[0]), **MEMENTO))
    assert (fill().status, account(archive)["stored"], articles(server)[IDS[0]]) == (0, 1, 1), "the copy only"
    assert (fill().status, articles(server)) == (0, Counter())


def test_what_is_known_of_copies_is_not_asked_again(server: Server, tmp_path: Path) -> None:
    """Neither the page, nor which copies there are, nor those that were refused; with all refused, nothing is."""
    taken = [f"202401{day}010203" for day in (16, 17, 18)]
    ask_for_copies(server, reply(cdx(*taken), type="application/json"))
    page = server.answer(article_url(IDS[0]).replace("ahel", "aipl"), reply(EXPIRED))
    copies = [f"http://web.archive.org/web/{time}id_/{article_url(IDS[0])}" for time in taken]
    server.answer(copies[0], reply("", "404 Not Found"))
    server.answer(copies[1], reply(cna_page(IDS[0]), memento_datetime="yesterday"))
    server.answer(copies[2], reply("", "503 Service Unavailable"))

    def fill() -> list[str]:
        server.asked.clear()
        crawl(server, tmp_path, args={"since": "2024-01-15", "until": "2024-01-15"}, REFRESH=False, WAYBACK=True)
        return [url for url in dict.fromkeys(server.asked) if IDS[0] in url]

    assert fill() == [page, without_tls(cdx_url(NAMED)), *copies]
    (left,) = account(tmp_path / "archive")["unfinished"]
    assert (left["url"], left["reason"]) == (page, "copies")
    server.answer(copies[2], reply("", "404 Not Found"))
    assert fill() == [copies[2]]
    assert account(tmp_path / "archive")["unfinished"] == []
    assert fill() == []


def test_a_copy_that_is_cut_is_asked_for_twice(server: Server, tmp_path: Path) -> None:
    ask_for_copies(server, reply(cdx(TAKEN), type="application/json"))
    copy = f"http://web.archive.org/web/{TAKEN}id_/{article_url(IDS[0])}"
    server.answer(copy, reply(cna_page(IDS[0]).partition("</html>")[0], **MEMENTO))
    asked = []
    for _ in range(3):
        run(server, tmp_path, WAYBACK=True)
        asked.append(copy in server.asked)
    assert asked == [True, True, False]
    assert account(tmp_path / "archive")["unfinished"] == []


def test_what_was_taken_away_is_read_from_a_copy(server: Server, tmp_path: Path) -> None:
    """Lists of copies say what was there; they are asked for once, and so is every copy, and every number around."""
    high = "202401150290"
    aliased = {id: article_url(id).replace("ahel", "aipl") for id in (*IDS, high)}
    server.answer(aliased[IDS[1]], reply(cna_page(IDS[1])))
    copies = []
    for id in (IDS[0], high):
        copies.append(f"http://web.archive.org/web/{TAKEN}id_/{aliased[id]}")
        server.answer(copies[-1], reply(cna_page(id), **MEMENTO))
    names, row = json.loads(cdx(TAKEN))
    listed = [[*row[:2], url, *row[3:]] for url in (aliased[IDS[0]], aliased[IDS[1]], aliased[high])]
    lists = list_copies(server)
    list_copies(server, [names, *listed[:2], [], ["more"]], section="ahel")
    (more,) = list_copies(server, [names, *listed[2:]], section="ahel", resume="more")
    (failing,) = list_copies(server, section="aipl")
    server.answer(failing, reply("", "503 Service Unavailable"))

    def fill() -> list[str]:
        server.asked.clear()
        crawl(server, tmp_path, args={"since": "2024-01-15", "until": "2024-01-15"}, REFRESH=False, WAYBACK=True)
        return [url for url in dict.fromkeys(server.asked) if "web.archive" in url and "robots" not in url]

    assert sorted(fill()) == sorted([*lists, more, *copies])
    assert "202401150376" in articles(server)
    told = account(tmp_path / "archive")
    assert (told["stored"], told["backfill"]["left"]["addresses"]) == (3, 1)
    list_copies(server, section="aipl")
    assert fill() == [failing]
    assert articles(server) == Counter()
    assert account(tmp_path / "archive")["backfill"]["left"]["requests"] == 0
    assert fill() == []


def test_what_was_copied_in_another_section_is_found_in_lists(server: Server, tmp_path: Path) -> None:
    """The page that was cut down names the section that it was in last."""
    names, row = json.loads(cdx(TAKEN))
    before = f"http://www.cna.com.tw/news/aie/{IDS[0]}.aspx"
    list_copies(server)
    list_copies(server, [names, [*row[:2], before, *row[3:]]], section="afe")
    ask_for_copies(server, reply(cdx(), type="application/json"))
    server.answer(article_url(IDS[0]).replace("ahel", "aipl"), reply(EXPIRED))
    server.answer(f"http://web.archive.org/web/{TAKEN}id_/{before}", reply(cna_page(IDS[0]), **MEMENTO))
    days = {"since": "2024-01-15", "until": "2024-01-15"}
    done = crawl(server, tmp_path, args=days, REFRESH=False, WAYBACK=True)
    assert account(done.archive)["stored"] == 1
    assert account(done.archive)["backfill"]["left"]["requests"] == 0


def test_a_back_fill_goes_on_when_all_answers_come_at_once() -> None:
    """Before it looks: then nobody is left to wake it."""
    index = SimpleNamespace(ids=lambda *_: [], endings_below=lambda _: [])
    spider = CnaSpider()
    spider._set_crawler(get_crawler(CnaSpider))
    spider.__dict__["frontier"] = SimpleNamespace(
        taken=set(), covered=[], conditions=lambda _: {}, store=SimpleNamespace(known=index)
    )
    backfill = BackFill(spider)

    async def fill() -> int:
        asked = 0
        async for request in backfill.numbers(date(2024, 1, 15)):
            backfill.ended(request.url, Refused("absent"))
            asked += 1
        return asked

    assert asyncio.run(asyncio.wait_for(fill(), 20)) == 200 + 5 + 41
    assert spider.frontier.covered


@pytest.mark.parametrize(
    "args", [{"since": "2024-02-30"}, {"since": "x"}, {"since": "2024-02-02", "until": "2024-02-01"}]
)
def test_times_that_make_no_sense_are_refused(server: Server, tmp_path: Path, args: dict[str, str]) -> None:
    done = crawl(server, tmp_path, args=args)
    assert done.status != 0
    assert server.asked == []


class Now(datetime):
    """The day before which everything in a test was captured."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime(2026, 11, 20, 12, tzinfo=tz)


def captured(hours_ago: float, digest: str, status: int = 200) -> Row:
    time = as_text(Now.now(UTC) - timedelta(hours=hours_ago))
    ending = "listing" if status == 200 else f"status-{status}"
    return Row("file", 0, LISTING, time, status, digest, "listing", None, "cna", ending, "")


@pytest.mark.parametrize(
    ("rows", "due"),
    [
        ([], True),
        ([(0.5, "a")], True),
        # It changes at every look.
        ([(1, "c"), (2, "b"), (3, "a")], True),
        # It has not changed for ten hours: the next look is five hours after the last.
        ([(4, "a"), (9, "a"), (14, "a"), (15, "b")], False),
        ([(5, "a"), (10, "a"), (15, "a"), (16, "b")], True),
        ([(4, "a", 304), (9, "a", 304), (14, "a"), (15, "b")], False),
        # Once a day at least.
        ([(23, "a"), (2000, "a")], False),
        ([(24, "a"), (2000, "a")], True),
        # What failed is asked again at once.
        ([(1, "x", 503), (9, "a"), (2000, "a")], True),
    ],
)
def test_listings_are_asked_as_often_as_they_change(
    monkeypatch: pytest.MonkeyPatch, rows: list[tuple[Any, ...]], due: bool
) -> None:
    monkeypatch.setattr("newsarchive.frontier.datetime", Now)
    frontier = Frontier(get_crawler())
    known = SimpleNamespace(captures_of=lambda url, most: [captured(*row) for row in rows])
    frontier.__dict__["store"] = SimpleNamespace(known=known)
    assert frontier.listing_due(Listing(LISTING)) == due
    assert frontier.listing_due(Listing(LISTING, whole=True))


@pytest.mark.parametrize(
    ("attempts", "why"),
    [
        ([1], "unfinished"),
        ([1, 2, 3], "unfinished"),
        # Refused for ten hours, it is left alone for five.
        ([4, 5, 9, 14], ""),
        ([5, 6, 9, 15], "unfinished"),
        ([23, 700], ""),
        ([24, 700], "unfinished"),
    ],
)
def test_what_fails_for_long_is_tried_ever_more_seldom(
    monkeypatch: pytest.MonkeyPatch, attempts: list[float], why: str
) -> None:
    monkeypatch.setattr("newsarchive.frontier.datetime", Now)
    times = [Now.now(UTC) - timedelta(hours=hours) for hours in attempts]
    seen = Seen(article_url(IDS[0]), first=times[-1], last=None, tried=times[0], out=times[-1])
    assert Frontier(get_crawler()).why(Link(article_url(IDS[0])), seen) == why


def test_status_says_what_is_held_and_what_is_missing(server: Server, tmp_path: Path) -> None:
    server.answer(article_url(IDS[1]), reply("", "503 Service Unavailable"))
    archive = run(server, tmp_path).archive
    told = scrapy("status", archive=archive)
    assert told.returncode == 0
    lines = told.stdout.splitlines()
    assert lines[0] == "cna (臺)中央社CNA: well"
    assert lines[1] == "  held        2 articles, 2 revisions, 6 captures"
    assert lines[2] == "  published   2024-01-15 02:00 to 2024-01-15 02:00 UTC"
    assert "  success     66.7\xa0% of 3 addresses asked for in the last day" in lines
    assert "  listings    1 of 1 could be read" in lines
    assert "  failed      status-503 1" in lines
    run_told = r"  last run    \d{4}-\d\d-\d\d \d\d:\d\d UTC, .* ago: something failed, 1 address failed"
    assert any(re.fullmatch(run_told, line) for line in lines)
    assert "  gaps        no gaps are known" in lines
    not_had = rf"  not had yet since [-\d: ]{{16}}: {re.escape(article_url(IDS[1]))} \(status-503\)"
    assert any(re.fullmatch(not_had, line) for line in lines)
    (said,) = json.loads(scrapy("status", "--json", "cna", archive=archive).stdout)["publishers"]
    assert (said["articles"], said["gaps"], said["runs"]["last"]["finish"]) == (2, [], "finished")
    assert [entry["url"] for entry in said["unfinished"]] == [article_url(IDS[1])]


def test_status_of_what_is_not_there(tmp_path: Path) -> None:
    nothing = scrapy("status", archive=tmp_path)
    assert (nothing.returncode, nothing.stderr.count("there is no index yet")) == (1, 1)
    assert scrapy("status", "dw", archive=tmp_path).returncode == 2


def leave_gap(archive: Path, gap: Span) -> None:
    """Let the index say that the first run covered what lies around a gap."""
    hour = timedelta(hours=1)
    around = Span(gap.start - hour, gap.start), Span(gap.end, gap.end + hour)
    with Index(archive / "index.sqlite") as index, index.transaction():
        index.run_recorded(replace(index.runs("cna")[0], covered=tuple(("a listing", span) for span in around)))


def test_a_gap_is_said_as_long_as_nothing_reaches_back(server: Server, tmp_path: Path) -> None:
    """The day of CNA's numbers is not over yet."""
    archive = run(server, tmp_path).archive
    now = datetime.now(UTC).replace(microsecond=0)
    gap = Span(now - timedelta(minutes=90), now - timedelta(minutes=30))
    leave_gap(archive, gap)
    again = run(server, tmp_path)
    assert (again.status, again.stdout) == (0, f"cna: {gap} may be incomplete\n")
    told = account(archive)
    assert [[datetime.fromisoformat(time) for time in one] for one in told["gaps"]] == [[gap.start, gap.end]]
    assert f"  gaps        {gap} UTC may be incomplete\n" in scrapy("status", archive=archive).stdout


def test_a_run_fills_a_gap_and_says_so(server: Server, tmp_path: Path) -> None:
    archive = run(server, tmp_path).archive
    noon = datetime(2024, 1, 11, 4, tzinfo=UTC)
    gap = Span(noon, noon + timedelta(hours=3))
    leave_gap(archive, gap)
    there = "202401110007"
    server.answer(article_url(there).replace("ahel", "aipl"), reply(cna_page(there)))
    again = run(server, tmp_path)
    assert (again.status, again.stdout) == (0, f"cna: {gap} is covered now\n")
    told = account(archive)
    assert (told["gaps"], told["stored"], len(told["filled"])) == ([], 1, 1)
    assert "  gaps        no gaps are known\n" in scrapy("status", archive=archive).stdout
    third = run(server, tmp_path)
    assert (third.stdout, articles(server)) == ("", Counter())
