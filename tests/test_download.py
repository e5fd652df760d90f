"""Back-off, redirects and whole bodies, each by itself; together with the network in test_bad_input.py."""

import asyncio
import gzip
import os
import zlib
from datetime import UTC, datetime

import brotli
import pytest
from scrapy import Request
from scrapy.exceptions import DownloadTimeoutError
from scrapy.http import HtmlResponse, Response
from scrapy.utils.test import get_crawler

from newsarchive.article import Refused
from newsarchive.download import BackOffMiddleware, OnSiteMiddleware, retry_after
from newsarchive.page import MAX_SIZE
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


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 120 ", 120),
        ("9" * 400, float("inf")),
        ("Sun, 12 Jan 2025 00:01:00 GMT", 60),
        ("Sun, 12 Jan 2025 08:01:00 +0800", 60),
        ("Sat, 11 Jan 2025 00:00:00 GMT", 0),
        ("Sun, 12 Jan 2025 00:01:00 -0000", None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("Sun, 12 Jan 99999 00:01:00 GMT", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    response = Response("http://www.cna.com.tw/", 429, headers={"Retry-After": value})
    assert retry_after(response, datetime(2025, 1, 12, tzinfo=UTC)) == seconds


class Clock:
    """Time that passes by waiting only."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("newsarchive.download.monotonic", lambda: self.now)
        monkeypatch.setattr("newsarchive.download.asyncio.sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def back_off() -> BackOffMiddleware:
    crawler = get_crawler(CnaSpider, settings_dict={"BACKOFF_START": 5, "BACKOFF_MAX": 300})
    crawler._apply_settings()
    return BackOffMiddleware.from_crawler(crawler)


def ask(back_off: BackOffMiddleware, status: int, host: str = "www.cna.com.tw", **headers: str) -> None:
    request = Request(f"http://{host}/")
    asyncio.run(back_off.process_request(request))
    back_off.process_response(request, Response(request.url, status, headers=headers))


def test_pauses_double_until_all_is_well(back_off: BackOffMiddleware, clock: Clock) -> None:
    times = []
    for status in (503, 503, 429, 404, 500, 200, 200):
        ask(back_off, status)
        times.append(clock.now)
    assert times == [0, 5, 15, 35, 35, 40, 40]
    assert back_off.stats.get_value("backoff/count") == 4
    assert back_off.stats.get_value("backoff/seconds") == 40


def test_a_host_is_asked_no_more_after_the_bound(back_off: BackOffMiddleware, clock: Clock) -> None:
    for _ in range(5):
        ask(back_off, 503)
    with pytest.raises(Refused, match="status-503"):
        ask(back_off, 503)
    assert clock.now == 5 + 10 + 20 + 40 + 80
    with pytest.raises(Refused, match="backing-off"):
        ask(back_off, 200)
    ask(back_off, 200, host="other.cna.com.tw")
    assert clock.now == 5 + 10 + 20 + 40 + 80


def test_a_host_that_asks_for_too_long(back_off: BackOffMiddleware, clock: Clock) -> None:
    with pytest.raises(Refused, match="status-429"):
        ask(back_off, 429, **{"Retry-After": "301"})
    with pytest.raises(Refused, match="backing-off"):
        ask(back_off, 200)
    assert clock.now == 0


def test_a_late_good_answer_changes_nothing(back_off: BackOffMiddleware, clock: Clock) -> None:
    request = Request("http://www.cna.com.tw/")
    with pytest.raises(Refused, match="status-429"):
        ask(back_off, 429, **{"Retry-After": "301"})
    back_off.process_response(request, Response(request.url, 200))
    with pytest.raises(Refused, match="status-503"):
        back_off.process_response(request, Response(request.url, 503))
    with pytest.raises(Refused, match="backing-off"):
        ask(back_off, 200)


def test_a_host_that_does_not_answer(back_off: BackOffMiddleware, clock: Clock) -> None:
    for tries in range(6):
        request = Request("http://www.cna.com.tw/")
        asyncio.run(back_off.process_request(request))
        back_off.process_exception(request, DownloadTimeoutError())
        assert request.meta.get("dont_retry", False) == (tries == 5)
    with pytest.raises(Refused, match="backing-off"):
        ask(back_off, 200)


def test_what_is_no_trouble(back_off: BackOffMiddleware, clock: Clock) -> None:
    request = Request("http://www.cna.com.tw/")
    back_off.process_exception(request, Refused("robots"))
    ask(back_off, 200)
    assert clock.now == 0


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
