"""Manners, redirects and whole bodies, each by itself; with the network in test_politeness.py and test_bad_input.py."""

import gzip
import os
import zlib
from collections import Counter
from datetime import UTC, datetime, timedelta

import brotli
import pytest
from scrapy import Request
from scrapy.http import HtmlResponse, Response
from scrapy.settings import Settings
from scrapy.utils.test import get_crawler

from newsarchive.article import Refused
from newsarchive.download import OnSiteMiddleware
from newsarchive.manners import Manners, host_of
from newsarchive.page import MAX_SIZE
from newsarchive.remembered import Remembered, retry_after
from newsarchive.whole_body import DECODE, PIECE, Cut, content_encodings, whole, zstd
from spiders.cna import CnaSpider

BODY = os.urandom(500) * 20
ENCODERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
}


def answer(body: bytes, encoding: str, **headers: str) -> Response:
    named = {"Content-Encoding": encoding, "Content-Type": "text/html", **headers}
    return Response("http://www.cna.com.tw/", body=body, headers=named)


@pytest.mark.parametrize("encoding", DECODE)
def test_every_cut_is_noticed(encoding: str) -> None:
    compressed = ENCODERS[encoding](BODY)
    found = whole(answer(compressed, encoding), [encoding])
    assert (found.body, "Content-Encoding" in found.headers) == (BODY, False)
    for cut in range(1, len(compressed)):
        with pytest.raises(Cut):
            whole(answer(compressed[:cut], encoding), [encoding])


@pytest.mark.parametrize("encoding", DECODE)
def test_what_is_too_large_is_not_unpacked(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = ENCODERS[encoding](bytes(8 * MAX_SIZE))
    monkeypatch.setattr("newsarchive.whole_body.MAX_SIZE", 2 * PIECE)
    for body in (bomb, bomb[: len(bomb) // 2]):
        with pytest.raises(Refused, match="too-large"):
            whole(answer(body, encoding), [encoding])


def test_members_padding_and_layers() -> None:
    two = gzip.compress(BODY) + gzip.compress(BODY) + bytes(7)
    assert whole(answer(two, "gzip"), ["gzip"]).body == BODY + BODY
    assert whole(answer(brotli.compress(two), "gzip, br"), ["gzip", "br"]).body == BODY + BODY
    assert whole(answer(b"", "gzip"), ["gzip"]).body == b""
    assert isinstance(whole(answer(gzip.compress(b"<html>"), "gzip"), ["gzip"]), HtmlResponse)
    with pytest.raises(Cut):
        whole(answer(gzip.compress(BODY) + b"junk", "gzip"), ["gzip"])


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, []),
        ({"Content-Encoding": "GZIP "}, ["gzip"]),
        ({"Content-Encoding": "gzip, br"}, ["gzip", "br"]),
        ({"Content-Encoding": ["gzip", "br"]}, ["gzip", "br"]),
        ({"Content-Encoding": "identity"}, []),
        ({"Content-Encoding": ""}, []),
    ],
)
def test_content_encodings(headers: dict[str, str], told: list[str]) -> None:
    assert content_encodings(Response("http://www.cna.com.tw/", headers=headers)) == told


@pytest.mark.parametrize(
    ("length", "told"),
    [("4", ""), ("3", ""), ("5", "4 of 5 bytes"), ("", ""), ("x", ""), ("-9", ""), ("٥", ""), (" 5 ", "4 of 5 bytes")],
)
def test_announced_length(length: str, told: str) -> None:
    response = Response("http://www.cna.com.tw/", body=b"body", headers={"Content-Length": length})
    try:
        assert whole(response, []) is response
        found = ""
    except Cut as cut:
        found = str(cut)
    assert found == told


MIDNIGHT = datetime(2025, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 120 ", 120),
        ("99999999999", 99999999999),
        ("9" * 400, float("inf")),
        ("Sun, 12 Jan 2025 00:01:00 GMT", 60),
        ("Sun, 12 Jan 2025 08:01:00 +0800", 60),
        ("Sunday, 12-Jan-25 00:01:00 GMT", 60),
        ("Sun Jan 12 00:01:00 2025", 60),
        ("Sat, 11 Jan 2025 00:00:00 GMT", 0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("-5", None),
        ("1.5", None),
        ("٥", None),
        ("NaN", None),
        ("Sun, 12 Jan 99999 00:01:00 GMT", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after(value, "", MIDNIGHT) == seconds


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("Sat, 11 Jan 2025 23:59:30 GMT", 90),
        ("Sun, 12 Jan 2025 00:00:30 GMT", 60),
        ("Mon, 12 Jan 2015 00:00:00 GMT", 60),
        ("today", 60),
    ],
)
def test_where_clocks_differ_the_longer_pause_counts(date: str, seconds: float) -> None:
    assert retry_after("Sun, 12 Jan 2025 00:01:00 GMT", date, MIDNIGHT) == seconds


class Clock:
    """Time that passes by waiting only."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("newsarchive.manners.monotonic", lambda: self.now)
        monkeypatch.setattr("newsarchive.manners.random", lambda: 1.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def manners(found: Remembered | None = None, **changes: object) -> tuple[Manners, Counter[str]]:
    """Return manners in whose runs nothing has a delay, unless told so, and what they count."""
    settings = {"DOWNLOAD_DELAY": 0, "DELAY_JITTER": 0, "CRAWL_DELAY_MAX": 60, "REQUESTS_PER_DAY": 0}
    settings |= {"BLOCKED_AFTER": 3, "BACKOFF_START": 5, "BACKOFF_MAX": 300, "LEAVE_ALONE_MAX": 86400, **changes}
    counted: Counter[str] = Counter()

    def count(name: str, by: float) -> None:
        counted[name] += by

    return Manners(Settings(settings), count=count, recall=lambda _: found or Remembered()), counted


def ask(polite: Manners, clock: Clock, status: int, asked: float | None = None, host: str = "a", what: str = "") -> str:
    """Ask a host as soon as it may be asked, and return why it is not; empty if it is."""
    try:
        polite.check(host, what)
    except Refused as refusal:
        return refusal.reason
    clock.now += polite.wait(host)
    polite.ask(host)
    polite.answered(host, what, status, asked)
    return ""


def test_chance_only_adds_to_the_delay(clock: Clock) -> None:
    polite, _ = manners(DOWNLOAD_DELAY=2, DELAY_JITTER=0.5)
    ask(polite, clock, 200)
    assert (polite.wait("a"), polite.wait("b")) == (3, 0)
    plain, _ = manners(DOWNLOAD_DELAY=2)
    ask(plain, clock, 200)
    assert plain.wait("a") == 2


def test_the_delay_begins_when_the_answer_has_ended(clock: Clock) -> None:
    polite, _ = manners(DOWNLOAD_DELAY=2)
    polite.ask("a")
    clock.now += 10
    polite.silent("a", "article", trouble=False)
    assert polite.wait("a") == 2


def test_pauses_double_until_all_is_well(clock: Clock) -> None:
    polite, counted = manners()
    times = []
    for status in (503, 503, 429, 404, 500, 200, 200):
        ask(polite, clock, status)
        times.append(clock.now)
    assert times == [0, 5, 15, 35, 35, 40, 40]
    assert (counted["backoff/count"], counted["backoff/seconds"]) == (4, 40)


@pytest.mark.parametrize(("asked", "pause"), [(None, 5), (0, 5), (1, 5), (60, 60), (300, 300)])
def test_a_host_is_given_what_it_asks_for_and_no_less_than_one_that_asks_for_nothing(
    clock: Clock, asked: float | None, pause: float
) -> None:
    polite, _ = manners()
    assert ask(polite, clock, 429, asked) == ""
    assert polite.wait("a") == pause


def test_a_host_is_asked_no_more_after_the_bound(clock: Clock) -> None:
    polite, _ = manners()
    assert [ask(polite, clock, 503) for _ in range(7)] == [*[""] * 6, "backing-off"]
    assert clock.now == 5 + 10 + 20 + 40 + 80
    assert ask(polite, clock, 200, host="b") == ""
    assert clock.now == 5 + 10 + 20 + 40 + 80


@pytest.mark.parametrize(
    ("asked", "days"), [(301, 301 / 86400), (99999999999, 1), (float("inf"), 1), (3 * 86400, 1), (7200, 1 / 12)]
)
def test_a_host_that_asks_for_too_long(clock: Clock, asked: float, days: float) -> None:
    polite, counted = manners()
    assert ask(polite, clock, 429, asked) == ""
    assert ask(polite, clock, 200) == "backing-off"
    assert polite.wait("a") == 0
    told = datetime.fromisoformat(polite.account()["not_before"]["a"]) - datetime.now(UTC)
    assert timedelta(days=days, seconds=-60) < told < timedelta(days=days, seconds=1)
    assert counted["backoff/count"] == 0


def test_a_late_good_answer_changes_nothing(clock: Clock) -> None:
    polite, _ = manners()
    ask(polite, clock, 429, 301)
    polite.answered("a", "", 200, None)
    polite.answered("a", "", 503, None)
    assert ask(polite, clock, 200) == "backing-off"


def test_a_host_that_does_not_answer(clock: Clock) -> None:
    polite, _ = manners()
    for tries in range(6):
        clock.now += polite.wait("a")
        polite.silent("a", "", trouble=True)
        assert polite.is_given_up("a") == (tries == 5)


def test_refused_pages_in_a_row(clock: Clock) -> None:
    polite, _ = manners()
    statuses = [403, 403, 404, 403, 304, 401, 403, 500, 302, 403, 200]
    told = [ask(polite, clock, status, what="article") for status in statuses]
    assert told == [*[""] * 10, "blocked"]
    assert [ask(polite, clock, 403, what=what) for what in ("listing", "robots")] == ["", ""]
    assert ask(polite, clock, 403, what="article", host="b") == ""


def test_a_page_that_is_always_refused_says_nothing_of_others(clock: Clock) -> None:
    polite, _ = manners()
    polite.refused_at = lambda url: datetime.now(UTC) - timedelta(hours=7 if url == "old" else 5)
    for url in ["old", "new"] * 3:
        polite.answered("a", "article", 403, None, url)
    assert ask(polite, clock, 200, what="article") == ""
    polite, _ = manners(Remembered(blocked={"a": datetime.now(UTC)}))
    polite.refused_at = lambda url: datetime.now(UTC) - timedelta(hours=7 if url == "old" else 5)
    with pytest.raises(Refused, match="blocked"):
        polite.check("a", "article", "new")
    polite.check("a", "article", "old")
    polite.check("a", "listing", "new")


def test_a_host_that_refused_its_pages_is_asked_for_one(clock: Clock) -> None:
    since = datetime(2025, 1, 1, tzinfo=UTC)
    polite, _ = manners(Remembered(blocked={"a": since, "b": since, "c": since}))
    assert [ask(polite, clock, 403, what="article") for _ in range(2)] == ["", "blocked"]
    answers = [(404, ""), (403, ""), (403, ""), (403, ""), (200, "blocked")]
    assert [(status, ask(polite, clock, status, what="article", host="b")) for status, _ in answers] == answers
    blocked = polite.account()["blocked"]
    assert (blocked["a"], blocked["c"]) == ("2025-01-01T00:00:00.000Z",) * 2
    assert datetime.fromisoformat(blocked["b"]) > since
    assert [line.split(" ")[0] for line in polite.failures()] == ["a", "b"]


def test_the_last_tenth_of_a_day_is_for_listings(clock: Clock) -> None:
    polite, _ = manners(Remembered(asked=5), REQUESTS_PER_DAY=20)
    told = [ask(polite, clock, 200, what=what) for what in ["article"] * 14 + ["listing"] * 3]
    assert told == [*[""] * 13, "budget", "", "", "budget"]
    assert polite.account()["budget"]["asked"] == 20
    assert polite.failures()[0].startswith("the 20 requests of the day are used up; more from ")


def test_what_an_earlier_run_left(clock: Clock) -> None:
    now = datetime.now(UTC)
    before = {name: now + timedelta(seconds=ahead) for name, ahead in (("a", 100), ("b", 400), ("c", 9e7))}
    polite, _ = manners(Remembered(not_before=before))
    assert ask(polite, clock, 200) == ""
    assert polite.failures() == []
    assert 98 < clock.now < 100.1
    assert ask(polite, clock, 200, host="b") == ask(polite, clock, 200, host="c") == "backing-off"
    assert [line.split(" ")[0] for line in polite.failures()] == ["b", "c"]
    kept = polite.account()["not_before"]
    assert sorted(kept) == ["b", "c"]
    assert datetime.fromisoformat(kept["c"]) < now + timedelta(days=1, seconds=60)


@pytest.mark.parametrize(
    ("seconds", "pause", "reason"),
    [(None, 2, ""), (0, 2, ""), (1, 2, ""), (10, 10, ""), (60, 60, ""), (61, 2, "crawl-delay")],
)
def test_crawl_delay(clock: Clock, seconds: float | None, pause: float, reason: str) -> None:
    polite, _ = manners(DOWNLOAD_DELAY=2)
    ask(polite, clock, 200, what="robots")
    polite.crawl_delay("a", seconds)
    assert polite.wait("a") == pause
    assert ask(polite, clock, 200, what="robots") == ""
    assert ask(polite, clock, 200, what="article") == ask(polite, clock, 200, what="listing") == reason


def test_a_run_that_asked_nobody_says_nothing() -> None:
    polite, _ = manners()
    assert (polite.account(), polite.failures()) == ({}, [])


def test_hosts_are_told_apart_by_name_alone() -> None:
    urls = ("http://www.cna.com.tw/", "https://WWW.cna.com.tw:8443/x", "http://user:secret@www.cna.com.tw/")
    assert {host_of(Request(url)) for url in urls} == {"www.cna.com.tw"}


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://www.cna.com.tw/", ""),
        ("http://cna.com.tw/", ""),
        ("http://WWW.CNA.com.tw:8080/", ""),
        ("http://evilcna.com.tw/", "off-site"),
        ("http://cna.com.tw.example.org/", "off-site"),
        ("http://www.cna.com.tw@127.0.0.1/", "off-site"),
        ("http://127.0.0.1/#www.cna.com.tw", "off-site"),
        ("http://[::1]/", "off-site"),
        ("http://2130706433/", "off-site"),
        ("http:///news", "off-site"),
        ("ftp://www.cna.com.tw/", "scheme"),
        ("file://www.cna.com.tw/etc/passwd", "scheme"),
        ("data:text/html,www.cna.com.tw", "scheme"),
    ],
)
def test_on_site(url: str, reason: str) -> None:
    crawler = get_crawler(CnaSpider)
    crawler.spider = CnaSpider()
    middleware = OnSiteMiddleware.from_crawler(crawler)
    if not reason:
        middleware.process_request(Request(url))
        return
    with pytest.raises(Refused, match=f"^{reason}:"):
        middleware.process_request(Request(url))


def test_a_charset_does_not_change_what_is_read() -> None:
    """The project's own reading knows UTF-8 only, as its publishers do."""
    from newsarchive.extract import text, tree

    page = "<html><title>中央社</title></html>".encode()
    for charset in ("big5", "utf-8", "x-unknown", ""):
        response = HtmlResponse("http://x/", body=page, headers={"Content-Type": f"text/html; charset={charset}"})
        assert text(tree(response)) == "中央社"
