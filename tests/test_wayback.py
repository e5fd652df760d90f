"""Copies of the Wayback Machine: how to ask for them, which to try, and that a copy is read as the page it is of."""

import gzip
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import brotli
import pytest
from places import FIXTURES, saved, spider
from scrapy import Request
from scrapy.http import HtmlResponse, Response

from newsarchive.article import Refused
from newsarchive.page import MAX_SIZE
from newsarchive.wayback import FIELDS, Copy, as_original, cdx_url, choose, copy_url, original_of, read_cdx

ORIGINAL = "https://www.cna.com.tw/news/aopl/202308230370.aspx"
TAKEN = datetime(2023, 8, 24, 1, 2, 3, tzinfo=UTC)
RAW = f"https://web.archive.org/web/20230824010203id_/{ORIGINAL}"
MEMENTO = {"Memento-Datetime": "Thu, 24 Aug 2023 01:02:03 GMT", "Content-Type": "text/html; charset=utf-8"}
DIGEST = "Q4YULN754FHV2U6Q5JUT6Q2P57WEWNNY"
ROW = ["tw,com,cna)/news/aopl/202308230370.aspx", "20230824010203", ORIGINAL, "text/html", "200", DIGEST, "20415"]
KEY = "tw%2Ccom%2Ccna%29%2Fnews%2Faopl%2F202308230370.aspx+20230824010204"


def copy(taken: datetime = TAKEN, digest: str = DIGEST, **more: Any) -> Copy:
    about: dict[str, Any] = {"original": ORIGINAL, "status": 200, "mimetype": "text/html", "length": 20415, **more}
    return Copy(taken=taken, digest=digest, **about)


def answer(*rows: list[str]) -> bytes:
    return json.dumps([FIELDS, *rows]).encode()


def test_question_for_one_address() -> None:
    assert cdx_url(ORIGINAL) == (
        "https://web.archive.org/cdx/search/cdx?url=https%3A%2F%2Fwww.cna.com.tw%2Fnews%2Faopl%2F202308230370.aspx"
        "&matchType=exact&output=json&fl=urlkey%2Ctimestamp%2Coriginal%2Cmimetype%2Cstatuscode%2Cdigest%2Clength"
        "&filter=statuscode%3A200&collapse=digest&limit=1000&showResumeKey=true"
    )


def test_question_for_many_addresses() -> None:
    east = timezone(timedelta(hours=8))
    url = cdx_url(
        "www.cna.com.tw/news/aipl/202101",
        match="prefix",
        since=datetime(2021, 1, 1, tzinfo=east),
        until=datetime(2021, 12, 31, tzinfo=UTC),
        collapse="urlkey",
        limit=50,
        resume=KEY,
    )
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query, strict_parsing=True).items()}
    assert (asked["url"], asked["matchType"], asked["collapse"]) == (
        "www.cna.com.tw/news/aipl/202101",
        "prefix",
        "urlkey",
    )
    assert (asked["from"], asked["to"], asked["limit"]) == ("20201231160000", "20211231000000", "50")
    # Decoded once by the server's framework, and once more by the server itself.
    assert asked["resumeKey"] == KEY
    with pytest.raises(ValueError, match="without a zone"):
        cdx_url(ORIGINAL, since=datetime(2021, 1, 1))


def test_answer() -> None:
    old = [ROW[0], "20130813020000", "http://www.cna.com.tw:80/News/aCN/201308130087-1.aspx", "unk", "-", "A", "-"]
    assert read_cdx(answer(ROW, old, ROW)) == (
        [
            copy(),
            copy(datetime(2013, 8, 13, 2, tzinfo=UTC), "A", original=old[2], mimetype="unk", status=None, length=None),
        ],
        "",
    )


def test_answer_that_goes_on() -> None:
    assert read_cdx(answer(ROW, [], [KEY])) == ([copy()], KEY)
    assert read_cdx(answer([], [KEY]), resumed="another") == ([], KEY)
    with pytest.raises(Refused, match="circles"):
        read_cdx(answer(ROW, [], [KEY]), resumed=KEY)


@pytest.mark.parametrize("body", [b"[]", b"[]\n", b" [ ] ", answer()])
def test_empty_answers_are_empty(body: bytes) -> None:
    assert read_cdx(body) == ([], "")


def but(**changes: str) -> list[str]:
    return [changes.get(name, value) for name, value in zip(FIELDS, ROW, strict=True)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"{}",
        b'"[]"',
        b"[[]]",
        b"[[],[]]",
        b"<html><body>429 Too Many Requests</body></html>",
        b"org.archive.util.io.RuntimeIOException: AdministrativeAccessControlException: Blocked Site Error",
        answer(ROW)[:-1],
        b"\xff" + answer(ROW),
        b"[" * 5000,
        json.dumps([ROW]).encode(),
        json.dumps([FIELDS[1:], ROW[1:]]).encode(),
        json.dumps([FIELDS[::-1], ROW]).encode(),
        answer([]),
        answer(ROW[1:]),
        answer([*ROW, "more"]),
        answer(ROW, [KEY]),
        answer(ROW, []),
        answer([], ROW),
        answer(ROW, [], [""]),
        answer(ROW, [], [], [KEY]),
        answer([], [KEY], ROW),
        json.dumps([FIELDS, [*ROW[:-1], 20415]]).encode(),
        json.dumps([FIELDS, None]).encode(),
        json.dumps([FIELDS, ROW, [], [None]]).encode(),
        answer(but(timestamp="2023082401020")),
        answer(but(timestamp="20231324010203")),
        answer(but(timestamp="２０２３０８２４０１０２０３")),
        answer(but(statuscode="2OO")),
        answer(but(statuscode="")),
        answer(but(length="-1")),
        answer(but(digest="")),
        answer(but(original="")),
        answer(but(original="ftp://www.cna.com.tw/")),
        answer(but(original="https://www.cna.com.tw/\nHost: elsewhere")),
        answer(but(original="javascript:alert(1)")),
    ],
)
def test_answers_of_another_form_are_refused(body: bytes) -> None:
    with pytest.raises(Refused) as refusal:
        read_cdx(body)
    assert refusal.value.reason == "malformed-listing"


@pytest.mark.parametrize(
    "original",
    [
        ORIGINAL,
        "http://www.cna.com.tw:80/News/aCN/201308130087-1.aspx",
        "https://www.rfi.fr/cn/%E4%B8%AD%E5%9B%BD/20231114-%E4%B9%A0%E8%BF%91%E5%B9%B3?ref=a%20b&c=https%3A%2F%2Fd",
    ],
)
def test_address_of_a_copy_and_back(original: str) -> None:
    url = copy_url(copy(original=original))
    assert url == f"https://web.archive.org/web/20230824010203id_/{original}"
    assert original_of(url) == (original, TAKEN)


def test_what_follows_a_number_sign_stays_in_the_address() -> None:
    assert urlsplit(copy_url(copy(original=f"{ORIGINAL}#top"))).fragment == ""


@pytest.mark.parametrize(
    "url",
    [
        f"http://web.archive.org/web/20230824010203/{ORIGINAL}",
        f"https://web.archive.org/web/20230824010203if_/{ORIGINAL}",
        "https://web.archive.org/web/20230824010203id_/https%3A%2F%2Fwww.cna.com.tw%2Fnews%2Faopl%2F202308230370.aspx",
    ],
)
def test_other_ways_to_write_the_address_of_a_copy(url: str) -> None:
    assert original_of(url) == (ORIGINAL, TAKEN)


@pytest.mark.parametrize(
    "url",
    [
        ORIGINAL,
        "",
        "https://web.archive.org/",
        "https://web.archive.org/web/20230824010203id_/",
        "https://web.archive.org/web/20230824010203id_/www.cna.com.tw/",
        "https://web.archive.org/web/20230824010203id_/javascript:alert(1)",
        f"https://web.archive.org/web/2023/{ORIGINAL}",
        f"https://web.archive.org/web/2023*/{ORIGINAL}",
        f"https://web.archive.org/web/20231324010203id_/{ORIGINAL}",
        f"https://web.archive.org/cdx/search/cdx?url={ORIGINAL}",
        f"https://web.archive.org.example/web/20230824010203id_/{ORIGINAL}",
        f"https://example.com/https://web.archive.org/web/20230824010203id_/{ORIGINAL}",
    ],
)
def test_what_is_no_address_of_a_copy(url: str) -> None:
    assert original_of(url) is None


def test_early_copies_of_different_days_are_tried_first() -> None:
    hours = {"before": -60, "first": 1, "same-day": 2, "next-day": 25, "later": 24 * 30, "years": 24 * 900}
    midnight = datetime(2023, 8, 23, tzinfo=UTC)
    copies = {name: copy(midnight + timedelta(hours=away), name) for name, away in hours.items()}
    order = ["first", "next-day", "later", "years", "same-day", "before"]
    everything = list(copies.values())[::-1]
    assert [each.digest for each in choose(everything, midnight, at_most=9)] == order
    assert [each.digest for each in choose(everything, midnight)] == order[:4]
    # Known by its day in Taipei, an article may have been copied on the day before in UTC.
    assert choose(everything, midnight + timedelta(hours=24))[0] == copies["first"]
    assert choose([], midnight) == []


def test_only_whole_pages_are_tried_and_each_body_once() -> None:
    later = TAKEN + timedelta(days=1)
    copies = [
        copy(later),
        copy(),
        copy(digest="A", status=404),
        copy(digest="B", status=None, mimetype="warc/revisit"),
        copy(digest="C", mimetype="image/png"),
    ]
    assert choose(copies, TAKEN) == [copy()]


PAGE = (FIXTURES / "cna" / "since-2023.html").read_bytes()


def served(body: bytes = PAGE, url: str = RAW, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = Request(url, meta={"captured": datetime(2100, 1, 1, tzinfo=UTC)})
    return HtmlResponse(url, body=body, headers={**MEMENTO, **named}, request=request)


@pytest.mark.parametrize("case", ["before-2018", "topic-story", "since-2023"])
def test_a_copy_is_read_as_the_page_it_is_of(case: str) -> None:
    url = json.loads((FIXTURES / "cna" / f"{case}.expected.json").read_text())["url"]
    page = (FIXTURES / "cna" / f"{case}.html").read_bytes()
    cna = spider("cna")
    raw = copy_url(copy(original=url))
    assert cna.read(as_original(served(page, raw))) == cna.read(saved(url, page))


def test_the_response_of_a_copy_is_the_publishers() -> None:
    response = served(
        x_archive_orig_server="nginx",
        X_Archive_Orig_Date="Thu, 24 Aug 2023 01:02:02 GMT",
        X_Archive_Orig_Transfer_Encoding="chunked",
        X_Archive_Orig_Content_Length=str(len(PAGE)),
        Server="web.archive.org",
        Date="Fri, 20 Nov 2026 00:00:00 GMT",
        Link=f'<{ORIGINAL}>; rel="original"',
    )
    original = as_original(response)
    assert isinstance(original, HtmlResponse)
    assert (original.url, original.status, original.body) == (ORIGINAL, 200, PAGE)
    assert original.request is response.request
    assert {name.decode(): original.headers[name].decode() for name in original.headers} == {
        **MEMENTO,
        "Server": "nginx",
        "Date": "Thu, 24 Aug 2023 01:02:02 GMT",
    }


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (gzip.compress(PAGE), {"X_Archive_Orig_Content_Encoding": "gzip"}),
        (gzip.compress(PAGE), {}),
        (brotli.compress(PAGE, quality=1), {"x_archive_orig_content_encoding": "br"}),
        (PAGE, {"X_Archive_Orig_Content_Encoding": "gzip", "X_Archive_Orig_Content_Length": "1000"}),
        (PAGE, {"X_Archive_Orig_Content_Length": "-1"}),
    ],
    ids=["as stated", "header lost", "brotli", "decoded by the archive", "length unknown"],
)
def test_a_body_is_decompressed_whatever_the_archive_did(body: bytes, headers: dict[str, str]) -> None:
    original = as_original(served(body, **headers))
    assert original.body == PAGE
    assert isinstance(original, HtmlResponse)


@pytest.mark.parametrize(
    ("reason", "body", "headers"),
    [
        ("truncated", gzip.compress(PAGE)[:-100], {}),
        ("truncated", PAGE[:-100], {"X_Archive_Orig_Content_Length": str(len(PAGE))}),
        ("undecodable", PAGE, {"X_Archive_Orig_Content_Encoding": "compress"}),
        ("too-large", gzip.compress(bytes(MAX_SIZE + 1)), {}),
        ("not-a-copy", PAGE, {"Memento_Datetime": ""}),
        ("not-a-copy", PAGE, {"Memento_Datetime": "yesterday"}),
        ("not-a-copy", PAGE, {"Memento_Datetime": "Thu, 24 Aug 2023 01:02:04 GMT"}),
        ("not-a-copy", PAGE, {"Memento_Datetime": "Thu, 24 Aug 2023 01:02:03"}),
    ],
)
def test_what_is_no_whole_copy_is_refused(reason: str, body: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(Refused) as refusal:
        as_original(served(body, **headers))
    assert refusal.value.reason == reason


@pytest.mark.parametrize("url", [ORIGINAL, RAW.replace("id_", ""), RAW.replace("id_", "if_")])
def test_only_raw_copies_are_the_publishers(url: str) -> None:
    with pytest.raises(Refused, match="not-a-copy"):
        as_original(served(url=url))


def test_messages_of_the_archive_are_no_copies() -> None:
    with pytest.raises(Refused, match="not-a-copy"):
        as_original(HtmlResponse(RAW, status=200, body=b"<html>The Wayback Machine has not archived that URL.</html>"))
