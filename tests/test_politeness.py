"""Manners over the network, measured at the server: real crawls, one after the other, and when each request arrived."""

import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from scrapy.utils.project import get_project_settings
from server import Answer, Crawl, Server, article_url, cna_page, crawl, reply, reset, serving

from newsarchive.copies import COPIES
from newsarchive.manners import Manners

PAGES, FEEDS = "www.cna.com.tw", "feeds.cna.com.tw"
LISTING = f"http://{PAGES}/sitemap.xml"
#: Ids of a listing's articles.
IDS = [f"20240115{number:04}" for number in range(1, 31)]
FORBIDDEN = reply("no", "403 Forbidden")
CHALLENGE = reply(
    "<!DOCTYPE html><html><head><title>Just a moment...</title></head>"
    '<body><form id="challenge-form"></form></body></html>'
)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def page(id: str) -> bytes:
    return reply(cna_page(id))


def busy(retry_after: object) -> bytes:
    return reply("no", "429 Too Many Requests", retry_after=retry_after)


def slowly(answer: bytes, seconds: float) -> Answer:
    """Return an answer that takes its time."""

    def send(connection: socket.socket) -> None:
        time.sleep(seconds)
        connection.sendall(answer)

    return send


def announce(server: Server, *ids: str, url: str = LISTING) -> list[str]:
    """Answer a listing of articles, and the articles with their pages; return their addresses."""
    urls = [server.answer(article_url(id), page(id)) for id in ids]
    entries = "".join(f"<url><loc>{url}</loc></url>" for url in urls)
    server.answer(url, reply(f"<urlset>{entries}</urlset>", type="text/xml"))
    return urls


def robots(server: Server, text: str, host: str = PAGES) -> None:
    server.answer(f"http://{host}/robots.txt", reply(f"User-agent: *\n{text}\n", type="text/plain"))


def gaps(server: Server, host: str, start: int = 0) -> list[float]:
    """Return the seconds between the requests that arrived for a host."""
    asked = zip(server.asked, server.times, strict=True)
    arrived = [at for url, at in list(asked)[start:] if urlsplit(url).hostname == host]
    return [later - earlier for earlier, later in pairwise(arrived)]


def run(
    server: Server, folder: Path, listings: tuple[str, ...] = (LISTING,), **settings: object
) -> tuple[Crawl, list[str]]:
    """Crawl listings; return what came of it, and what the server was asked."""
    already = len(server.asked)
    done = crawl(server, folder, listings=listings, **{"DELAY_JITTER": 0, **settings})
    return done, server.asked[already:]


def pages(asked: list[str]) -> list[str]:
    """Return the articles among the addresses that were asked for."""
    return [url for url in asked if "/news/" in url]


def account(done: Crawl) -> tuple[Path, dict[str, Any]]:
    """Return the newest account, and where it is."""
    file = max((done.archive / "runs").glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
    return file, json.loads(file.read_text())


def edit(done: Crawl, **changes: Any) -> None:
    """Change what the last account says of manners."""
    file, told = account(done)
    told["manners"] |= changes
    file.write_text(json.dumps(told))


def kill(folder: Path) -> Answer:
    """Return an answer that is the end of the crawl."""

    def send(_: socket.socket) -> None:
        os.kill(json.loads((folder / "archive/captures/cna/.lock").read_text())["pid"], signal.SIGKILL)

    return send


def iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


# The delay.


def test_no_request_is_early(server: Server, tmp_path: Path) -> None:
    """Not for robots.txt, listings, pages, redirects and further tries; after a slow answer not either."""
    urls = announce(server, *IDS[:6])
    other = server.answer(f"http://{FEEDS}/rss.xml", server.answers[LISTING][0])
    server.answer(urls[0], slowly(page(IDS[0]), 0.3))
    server.answer(urls[1], reply("", "301 Moved", location=urls[1].replace("ahel", "aipl")))
    server.answer(urls[1].replace("ahel", "aipl"), page(IDS[1]))
    server.answer(urls[2], reply("no", "503 Service Unavailable"), page(IDS[2]))
    server.answer(urls[3], reset, page(IDS[3]))
    done, asked = run(server, tmp_path, (LISTING, other), DOWNLOAD_DELAY=0.2, DELAY_JITTER=0.5)
    assert [done.ended[url] for url in urls] == ["article"] * 6
    assert len(asked) == 13
    found = gaps(server, PAGES)
    assert min(found) >= 0.2
    assert min(gaps(server, FEEDS)) >= 0.2
    assert found[pages(asked).index(urls[0]) + 2] >= 0.5 or len(found) < 3


def test_a_connection_that_breaks_is_no_reason_to_ask_at_once(server: Server, tmp_path: Path) -> None:
    """Not even where it was used before, as servers close those that nobody has used for a while."""
    robots, url = f"http://{PAGES}/robots.txt", server.answer(article_url(IDS[0]), page(IDS[0]))

    def break_off(connection: socket.socket) -> None:
        connection.sendall(reply("User-agent: *\n", type="text/plain", connection="keep-alive"))
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65_536)
        server.asked.append(head.split()[1].decode())
        server.times.append(time.monotonic())
        reset(connection)

    server.answer(robots, break_off)
    done = crawl(server, tmp_path, url, DOWNLOAD_DELAY=0.3, DELAY_JITTER=0)
    assert done.ended == {url: "article"}
    assert server.asked == [robots, url, url]
    assert server.times[2] - server.times[1] >= 0.3


def test_the_delay_holds_from_one_run_to_the_next(server: Server, tmp_path: Path) -> None:
    announce(server, IDS[0])
    robots(server, "Crawl-delay: 3")
    run(server, tmp_path)
    _, asked = run(server, tmp_path)
    assert asked[:2] == [f"http://{PAGES}/robots.txt", LISTING]
    assert min(gaps(server, PAGES)) >= 3


@pytest.mark.parametrize(("crawl_delay", "least"), [("0.6", 0.6), ("0.05", 0.3), ("0", 0.3)])
def test_the_longer_delay_counts_also_before_the_first_page(
    server: Server, tmp_path: Path, crawl_delay: str, least: float
) -> None:
    urls = announce(server, *IDS[:2])
    robots(server, f"Crawl-delay: {crawl_delay}")
    done, asked = run(server, tmp_path, DOWNLOAD_DELAY=0.3)
    assert [done.ended[url] for url in urls] == ["article"] * 2
    assert len(asked) == 4
    assert min(gaps(server, PAGES)) >= least


@pytest.mark.parametrize("crawl_delay", ["abc", "-1", "NaN", "", "5 seconds", "-1e9", "1e999"])
def test_a_crawl_delay_that_is_none(server: Server, tmp_path: Path, crawl_delay: str) -> None:
    robots(server, f"Crawl-delay: {crawl_delay}")
    (url,) = announce(server, IDS[0])
    done, _ = run(server, tmp_path)
    assert done.ended[url] == "article"
    assert done.stats["elapsed_time_seconds"] < 10


@pytest.mark.parametrize("crawl_delay", ["3600", "1e9"])
def test_a_crawl_delay_that_no_run_can_keep(server: Server, tmp_path: Path, crawl_delay: str) -> None:
    robots(server, f"Crawl-delay: {crawl_delay}")
    announce(server, IDS[0])
    other = f"http://{FEEDS}/rss.xml"
    announce(server, IDS[1], url=other)
    done, asked = run(server, tmp_path, (LISTING, other))
    assert done.ended == {LISTING: "crawl-delay", other: "links", article_url(IDS[1]): "crawl-delay"}
    assert [url for url in asked if PAGES in url] == [f"http://{PAGES}/robots.txt"]
    assert done.status == 1


# Hosts that allow less than others.


def test_the_wayback_machine_is_asked_no_more_than_it_allows() -> None:
    manners = Manners(get_project_settings())
    delay, left_alone = manners.host(COPIES).delay, manners.unsaid(COPIES, 429)
    assert 60 / delay < 24
    # The five minutes over which it reckons; what is longer would end the run's asking at the first 429.
    assert left_alone == 300 == manners.longest
    assert (manners.host(PAGES).delay, manners.unsaid(PAGES, 429), manners.unsaid(COPIES, 503)) == (2, 0, 0)


def test_a_strict_host_is_asked_more_seldom_than_others(server: Server, tmp_path: Path) -> None:
    announce(server, *IDS[:3])
    strict = f"http://{FEEDS}/rss.xml"
    announce(server, IDS[3], url=strict)
    run(server, tmp_path, (strict, LISTING), DOWNLOAD_DELAY=0.1, STRICT_HOSTS=json.dumps({FEEDS: [1.5, 0]}))
    assert min(gaps(server, FEEDS)) >= 1.5
    assert 0.1 <= min(gaps(server, PAGES)) < 1.5


@pytest.mark.parametrize("retry_after", [None, "0", "1"])
def test_a_strict_host_is_left_alone_for_long_after_a_429(
    server: Server, tmp_path: Path, retry_after: str | None
) -> None:
    """Whatever it says; after the second in a row it is asked no more in this run."""
    strict = f"http://{FEEDS}/rss.xml"
    announce(server, IDS[0], url=strict)
    server.answer(strict, busy(retry_after), *server.answers[strict])
    done, _ = run(server, tmp_path / "once", (strict,), STRICT_HOSTS=json.dumps({FEEDS: [0, 2]}))
    assert done.ended[strict] == "links"
    assert max(gaps(server, FEEDS)) >= 2

    server.answer(strict, busy(retry_after))
    settings = {"STRICT_HOSTS": json.dumps({FEEDS: [0, 2]}), "BACKOFF_MAX": 3, "RETRY_TIMES": 9}
    done, asked = run(server, tmp_path / "twice", (strict,), **settings)
    assert (done.ended[strict], asked.count(strict)) == ("status-429", 2)


def test_a_strict_host_is_left_alone_after_a_run_that_was_killed(server: Server, tmp_path: Path) -> None:
    strict = server.answer(f"http://{FEEDS}/rss.xml", busy(None))
    for url in announce(server, *IDS[:2]):
        server.answer(url, kill(tmp_path))
    settings = {"STRICT_HOSTS": json.dumps({FEEDS: [0, 4000]})}
    done, asked = run(server, tmp_path, (strict, LISTING), **settings)
    assert (done.status, asked.count(strict)) == (-signal.SIGKILL, 1)
    announce(server, *IDS[:2])
    done, asked = run(server, tmp_path, (strict, LISTING), **settings)
    assert (done.ended[strict], asked.count(strict)) == ("backing-off", 0)
    until = datetime.fromisoformat(account(done)[1]["manners"]["not_before"][FEEDS])
    assert timedelta(seconds=3900) < until - datetime.now(UTC) <= timedelta(seconds=4000)


# Hosts that ask to be left alone.


def test_other_hosts_do_not_wait_for_one_in_trouble(server: Server, tmp_path: Path) -> None:
    urls = announce(server, *IDS[:5])
    tired = f"http://{FEEDS}/rss.xml"
    announce(server, IDS[5], url=tired)
    server.answer(tired, busy(3), *server.answers[tired])
    done, asked = run(server, tmp_path, (tired, LISTING))
    assert done.ended == dict.fromkeys([LISTING, tired], "links") | dict.fromkeys(
        [*urls, article_url(IDS[5])], "article"
    )
    assert asked.index(tired) < asked.index(LISTING)
    again = len(asked) - 1 - asked[::-1].index(tired)
    assert all(asked.index(url) < again for url in urls)
    assert gaps(server, FEEDS)[-1] >= 3
    assert done.status == 0


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_what_a_host_asks_for_outlives_the_run(server: Server, tmp_path: Path, form: str) -> None:
    later = datetime.now(UTC) + timedelta(seconds=9999)
    tired = server.answer(
        f"http://{FEEDS}/rss.xml", busy(9999 if form == "seconds" else f"{later:%a, %d %b %Y %H:%M:%S GMT}")
    )
    announce(server, *IDS[:2])
    done, asked = run(server, tmp_path, (tired, LISTING))
    assert (done.ended[tired], done.ended[LISTING], asked.count(tired)) == ("status-429", "links", 1)
    until = datetime.fromisoformat(account(done)[1]["manners"]["not_before"][FEEDS])
    assert abs(until - later) < timedelta(seconds=60)
    assert f"cna: {FEEDS} is to be left alone until {until:%Y-%m-%dT%H:%M:%S}Z\n" in done.stdout
    # What one run leaves to the next one goes on from run to run.
    for _ in range(2):
        done, asked = run(server, tmp_path, (tired, LISTING))
        assert (done.ended[tired], done.ended[LISTING]) == ("backing-off", "links")
        assert [url for url in asked if FEEDS in url] == []
    edit(done, not_before={FEEDS: iso(datetime.now(UTC))})
    announce(server, *IDS[:3], url=tired)
    done, asked = run(server, tmp_path, (tired,))
    assert (done.ended[tired], asked.count(tired)) == ("links", 1)
    assert FEEDS not in account(done)[1]["manners"]["not_before"]


@pytest.mark.parametrize("retry_after", ["9999", "date"])
def test_a_run_that_is_killed_leaves_it_to_its_captures(server: Server, tmp_path: Path, retry_after: str) -> None:
    later = datetime.now(UTC) + timedelta(seconds=9999)
    stated = f"{later:%a, %d %b %Y %H:%M:%S GMT}" if retry_after == "date" else retry_after
    tired = server.answer(f"http://{FEEDS}/rss.xml", busy(stated))
    urls = announce(server, *IDS[:3])
    for url in urls:
        server.answer(url, kill(tmp_path))
    done, asked = run(server, tmp_path, (tired, LISTING))
    assert (done.status, len(asked), asked.count(tired)) == (-signal.SIGKILL, 5, 1)
    assert not list(done.archive.glob("runs/*"))

    announce(server, *IDS[:3])
    done, asked = run(server, tmp_path, (tired, LISTING))
    assert done.ended[tired] == "backing-off"
    assert [url for url in asked if FEEDS in url] == []
    manners = account(done)[1]["manners"]
    assert abs(datetime.fromisoformat(manners["not_before"][FEEDS]) - later) < timedelta(seconds=60)
    # The request that was under way has left no capture.
    assert manners["budget"]["asked"] == len(server.asked) - 1


def test_the_next_run_waits_where_that_does_not_take_long(server: Server, tmp_path: Path) -> None:
    (url,) = announce(server, IDS[0])
    server.answer(url, busy(5))
    done, _ = run(server, tmp_path, BACKOFF_MAX=1)
    assert done.ended[url] == "status-429"
    server.answer(url, page(IDS[0]))
    done, _ = run(server, tmp_path)
    assert done.ended[url] == "article"
    assert gaps(server, PAGES)[2] >= 5


@pytest.mark.parametrize("retry_after", ["99999999999", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_host_that_asks_for_ever_is_asked_again_after_a_week(
    server: Server, tmp_path: Path, retry_after: str
) -> None:
    (url,) = announce(server, IDS[0])
    server.answer(url, busy(retry_after))
    done, _ = run(server, tmp_path)
    assert done.ended[url] == "status-429"
    until = datetime.fromisoformat(account(done)[1]["manners"]["not_before"][PAGES])
    assert timedelta(days=6.9) < until - datetime.now(UTC) < timedelta(days=7)


@pytest.mark.parametrize("retry_after", ["-5", "0", "NaN", "Thu, 01 Jan 1970 00:00:00 GMT", "soon", ""])
def test_a_host_that_does_not_say_for_how_long_is_given_some_time(
    server: Server, tmp_path: Path, retry_after: str
) -> None:
    (url,) = announce(server, IDS[0])
    server.answer(url, busy(retry_after), busy(retry_after), page(IDS[0]))
    done, _ = run(server, tmp_path, BACKOFF_START=0.3, RETRY_TIMES=2)
    assert done.ended[url] == "article"
    first, second = gaps(server, PAGES)[-2:]
    assert first >= 0.3
    assert second >= 0.6


def test_a_run_that_is_stopped_does_not_wait(server: Server, tmp_path: Path) -> None:
    urls = announce(server, *IDS[:5])
    server.answer(urls[-1], busy(200))
    for url in urls[:-1]:
        server.answer(url, *server.answers[urls[-1]])
    done, asked = run(server, tmp_path, CLOSESPIDER_TIMEOUT=2, CONCURRENT_REQUESTS=4)
    assert set(done.ended.values()) == {"links", "stopped"}
    assert len(asked) == 3
    assert done.stats["elapsed_time_seconds"] < 20
    assert PAGES in account(done)[1]["manners"]["not_before"]


# The budget of a day.


def test_a_publisher_is_asked_no_more_than_a_day_allows(server: Server, tmp_path: Path) -> None:
    urls = announce(server, *IDS)
    done, asked = run(server, tmp_path, REQUESTS_PER_DAY=20)
    # robots.txt and the listing are two of eighteen; two more are kept for listings.
    assert len(asked) == 18
    assert list(done.ended.values()).count("article") == 16
    assert list(done.ended.values()).count("budget") == 14
    assert account(done)[1]["manners"]["budget"] == {"day": f"{datetime.now(UTC):%Y-%m-%d}", "asked": 18, "of": 20}
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}T00:00:00Z"
    assert f"cna: the 20 requests of the day are used up; more from {tomorrow}\n" in done.stdout
    assert done.status == 1

    done, asked = run(server, tmp_path, REQUESTS_PER_DAY=20)
    assert asked == [f"http://{PAGES}/robots.txt", LISTING]
    assert done.ended[LISTING] == "links"

    done, asked = run(server, tmp_path, REQUESTS_PER_DAY=20)
    assert (asked, done.ended[LISTING]) == ([], "budget")

    edit(done, budget={"day": "2024-01-15", "asked": 20, "of": 20})
    done, asked = run(server, tmp_path, REQUESTS_PER_DAY=40)
    assert [url for url in urls if url not in pages(server.asked)] == []
    assert done.status == 0


def test_accounts_that_cannot_be_read_are_made_up_for(server: Server, tmp_path: Path) -> None:
    announce(server, *IDS[:5])
    done, _ = run(server, tmp_path)
    file, told = account(done)
    for manners in ({"not_before": []}, {"not_before": {PAGES: "soon"}, "blocked": {}, "budget": {}}, 7, None):
        file.write_text(json.dumps(told | {"manners": manners}))
        again, _ = run(server, tmp_path)
        assert again.status == 0
        account(again)[0].unlink()
    file.write_text("{")
    again, _ = run(server, tmp_path)
    # Nothing else says what the day has had: all captures count.
    assert account(again)[1]["manners"]["budget"]["asked"] == len(server.asked)


# Hosts that refuse their pages.


def test_a_host_that_refuses_its_pages_is_not_pressed(server: Server, tmp_path: Path) -> None:
    urls = announce(server, *IDS[:10])
    for url in urls:
        server.answer(url, FORBIDDEN)
    done, asked = run(server, tmp_path)
    assert len(pages(asked)) == 3
    assert sorted(done.ended.values()) == [*["blocked"] * 7, "links", *["status-403"] * 3]
    since = account(done)[1]["manners"]["blocked"][PAGES]
    assert f"cna: {PAGES} has refused its pages since {since[:19]}Z\n" in done.stdout
    assert done.status == 1

    done, asked = run(server, tmp_path)
    assert len(pages(asked)) == 1
    assert done.ended[LISTING] == "links"
    assert account(done)[1]["manners"]["blocked"] == {PAGES: since}
    refused = pages(server.asked)
    assert len({*refused}) == 4

    for id in IDS[:10]:
        server.answer(article_url(id), page(id))
    # What was refused a moment ago would not tell whether the others are: they tell.
    done, _ = run(server, tmp_path)
    assert {done.ended[url] for url in urls if url not in refused} == {"article"}
    assert account(done)[1]["manners"]["blocked"] == {}
    done, _ = run(server, tmp_path)
    assert [done.ended[url] for url in urls] == ["article"] * 10


def test_pages_that_are_always_refused_do_not_block_the_others(server: Server, tmp_path: Path) -> None:
    urls = announce(server, *IDS[:7])
    for url in urls[:5]:
        server.answer(url, FORBIDDEN)
    # One that was refused already tells nothing: it takes so many runs at most to know all of them.
    for _ in range(5):
        done, _asked = run(server, tmp_path)
    assert [done.ended[url] for url in urls] == [*["status-403"] * 5, *["article"] * 2]


def test_some_refused_pages_are_no_block(server: Server, tmp_path: Path) -> None:
    urls = announce(server, *IDS[:9])
    for number in (0, 1, 3, 4, 6, 7):
        server.answer(urls[number], FORBIDDEN)
    server.answer(urls[5], reply("", "404 Not Found"))
    done, asked = run(server, tmp_path, DOWNLOAD_DELAY=0.1)
    assert sorted(pages(asked)) == urls
    assert list(done.ended.values()).count("status-403") == 6


def test_a_host_that_asks_for_proof_of_being_human_is_not_pressed(server: Server, tmp_path: Path) -> None:
    urls = announce(server, *IDS[:8])
    for url in urls:
        server.answer(url, CHALLENGE)
    done, asked = run(server, tmp_path, DOWNLOAD_DELAY=0.2)
    assert len(pages(asked)) == 3
    assert sorted(done.ended.values()) == [*["blocked"] * 5, *["challenge"] * 3, "links"]
    done, asked = run(server, tmp_path, DOWNLOAD_DELAY=0.2)
    assert len(pages(asked)) == 1


# The account.


def test_the_account_says_what_was_asked(server: Server, tmp_path: Path) -> None:
    urls = announce(server, *IDS[:5])
    robots(server, "Disallow: /private/")
    server.answer(urls[1], reply("", "404 Not Found"))
    server.answer(urls[2], reply("no", "503 Service Unavailable"), page(IDS[2]))
    server.answer(urls[3], reset)
    server.answer(urls[4], reply("", "301 Moved", location=urls[0]))
    done, asked = run(server, tmp_path)
    _, told = account(done)
    assert told["asked"] == {
        "article": {"200": 3, "301": 1, "404": 1, "503": 1, "no-answer": 2},
        "listing": {"200": 1},
        "robots": {"200": 1},
    }
    assert told["requests"] == told["manners"]["budget"]["asked"] == len(asked) == 10
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", told["manners"]["budget"]["day"])
