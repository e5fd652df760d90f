"""One thing at a time is read out of a page; what must be there and is not raises."""

from datetime import UTC, date, datetime

import pytest
from lxml.etree import _Element as Element

from newsarchive.article import Drift, Refused
from newsarchive.extract import (
    _compiled,
    canonical,
    check_pictures,
    day,
    first,
    instant,
    json_ld,
    language,
    largest,
    meta,
    metas,
    news_article,
    once,
    one,
    parse,
    script_json,
    select,
    state,
    stated,
    text,
    tidy,
)


def page(inside: str) -> Element:
    return parse(f"<html lang=zh_TW><body>{inside}</body></html>".encode())


@pytest.mark.parametrize(
    ("written", "zone", "meant"),
    [
        ("2023-08-23T15:06:00+08:00", "UTC", datetime(2023, 8, 23, 7, 6, tzinfo=UTC)),
        ("2023-06-13T12:15:32.158Z", "Asia/Taipei", datetime(2023, 6, 13, 12, 15, 32, 158000, tzinfo=UTC)),
        ("2023/2/21 21:20", "Asia/Taipei", datetime(2023, 2, 21, 13, 20, tzinfo=UTC)),
        ("2016/03/19 08:15:59", "Asia/Taipei", datetime(2016, 3, 19, 0, 15, 59, tzinfo=UTC)),
        (" 2014-12-12 12:13 ", "Europe/Paris", datetime(2014, 12, 12, 11, 13, tzinfo=UTC)),
        ("2022-07-01T00:30:00", "Europe/Paris", datetime(2022, 6, 30, 22, 30, tzinfo=UTC)),
    ],
)
def test_instant(written: str, zone: str, meant: datetime) -> None:
    found = instant(written, zone)
    assert (found, found.utcoffset()) == (meant, UTC.utcoffset(None))


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "no-time"),
        ("  ", "no-time"),
        ("vor 3 Stunden", "bad-time"),
        ("2023/13/01 10:00", "bad-time"),
        ("05/01/2022 - 21:17", "bad-time"),
        ("0001-01-01T00:00:00+14:00", "bad-time"),
        ("NaN/NaN/NaN", "bad-time"),
    ],
)
def test_what_is_no_time_is_refused(written: str, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        instant(written, "UTC")
    assert refused.value.reason == reason


def test_day() -> None:
    assert day(" 19.06.2022 ") == date(2022, 6, 19)
    for written, reason in (("", "no-time"), ("31.02.2022", "bad-time"), ("2022-06-19", "bad-time")):
        with pytest.raises(Refused) as refused:
            day(written)
        assert refused.value.reason == reason


def test_elements_are_found_by_selector() -> None:
    root = page("<div class='a b'><p>1<p>2</div><p>3")
    assert [text(found) for found in select(root, "div.b p")] == ["1", "2"]
    assert first(root, "em") is None
    assert text(one(root, "p")) == "1"
    assert [text(found) for found in select(one(root, "div"), "p", axis="child")] == ["1", "2"]
    with pytest.raises(Drift, match=r"no em\.x"):
        one(root, "em.x")


@pytest.mark.parametrize("css", ["p", "div", "div.a", "div.b-c", "div#a", "div.é", "section.a", "body.a", "script#s"])
@pytest.mark.parametrize(
    "html",
    [
        "<div class=a id=a>1<div class='b-c a'>2<div class=' x\ta\ny b-c '>3</div></div></div>",
        "<body class='a b'><section class=a><p>1<p class=a>2</section>",
        "<div class='a\xa0x'>1</div><div class='A'>2</div><div class='aa'>3</div><div class='a\fx'>4</div>",
        "<div id='a '>1</div><div id=A>2</div><DIV ID=a CLASS=é>3</DIV><div class>4</div><script id=s></script>",
    ],
)
def test_elements_are_found_as_xpath_finds_them(css: str, html: str) -> None:
    root = page(html)
    for node in root.iter():
        found = _compiled(css, "descendant-or-self")(node)
        assert select(node, css) == found
        assert first(node, css) is (found[0] if found else None)


def test_text_is_tidied_and_keeps_the_newsrooms_spaces() -> None:
    assert tidy(" a\n\t b\x00\x01 \u3000c  d ") == "a b \u3000c  d"
    assert tidy("lone \ud800 half") == "lone \ufffd half"
    assert once(["x", " ", "x\n", "y"]) == ("x", "y")
    assert text(None) == ""


def test_metas_are_listed_under_each_of_their_names() -> None:
    root = page(
        "<meta name=a content=1><meta property=a content=2><meta itemprop=b content=' '><meta itemprop=c content=3>"
    )
    assert metas(root) == {"a": ["1", "2"], "c": ["3"]}
    assert (meta(metas(root), "b", "a", "c"), meta(metas(root), "b")) == ("1", "")


@pytest.mark.parametrize(
    ("facts", "about", "time"),
    [
        ({"article:published_time": ["1"], "datePublished": ["3"]}, {"datePublished": "2"}, "1"),
        ({"datePublished": ["3"]}, {"datePublished": "2"}, "2"),
        ({"datePublished": ["3"]}, {"datePublished": None}, "3"),
        ({"article:modified_time": ["1"]}, {"dateModified": "2"}, ""),
    ],
)
def test_meta_times_come_before_json_ld(facts: dict[str, list[str]], about: dict[str, str], time: str) -> None:
    assert stated("published", facts, about) == time


def test_pictures_that_only_data_names_are_drift() -> None:
    def name(address: str) -> str:
        return address.rpartition("/")[2]

    check_pictures(["/big/a.jpg", ""], ["/small/a.jpg", "/b.jpg"], name)
    check_pictures(["/c.jpg"], [], name, spare=1)
    with pytest.raises(Drift, match=r"c\.jpg"):
        check_pictures(["/a.jpg", "/c.jpg"], ["/a.jpg"], name)


def test_json_ld_of_several_scripts_lists_and_graphs() -> None:
    scripts = (
        '<script type="application/ld+json">[{"@type":"WebSite"},{"@type":"NewsArticle","headline":"a\tb"}]</script>'
        '<script type=\'application/ld+json\'>\n{"@graph":[{"@type":"BreadcrumbList"}]}\n</script>'
        "<script type=application/json>{}</script><script type='application/ld+json'></script>"
    )
    assert [about["@type"] for about in json_ld(page(scripts))] == ["WebSite", "NewsArticle", "BreadcrumbList"]
    assert news_article(page(scripts))["headline"] == "a\tb"
    assert news_article(page("")) == {}


def test_state_and_data_scripts() -> None:
    root = page('<script>window.__APP_STATE__={"a":{"b":"</p>;"}};\n</script><script id=d>{"x": 1}</script>')
    assert state(root, "__APP_STATE__") == {"a": {"b": "</p>;"}}
    assert state(root, "__OTHER__") == {}
    assert state(page('<script>window.__S__={"a":1};window.b=2</script>'), "__S__") == {"a": 1}
    assert script_json(one(root, "script#d")) == {"x": 1}


@pytest.mark.parametrize(
    ("inside", "address"),
    [
        ("<img src=/a.jpg>", "https://x.example/a.jpg"),
        ("<img src='data:image/gif;base64,R0' data-src=/b.jpg>", "https://x.example/b.jpg"),
        ("<img srcset='/s,1.jpg 300w, /l,1.jpg 1024w' src=/s.jpg>", "https://x.example/l,1.jpg"),
        (
            "<picture><source data-srcset='/big.webp 2x, /small.webp'><img data-src=/x.jpg></picture>",
            "https://x.example/big.webp",
        ),
        ("<img src='data:image/gif;base64,R0'>", ""),
        ("<img>", ""),
    ],
)
def test_largest_picture(inside: str, address: str) -> None:
    assert largest(page(inside), "https://x.example/p/") == address


def test_address_and_language_of_a_page() -> None:
    assert language(page("")) == "zh-TW"
    assert canonical(page("<link rel=canonical href=' https://x.example/1 '>")) == "https://x.example/1"
    for inside in ("", "<link rel=canonical href=''>", "<link rel=alternate href=/1>"):
        with pytest.raises(Drift):
            canonical(page(inside))


def test_a_page_with_nothing_in_it_is_refused() -> None:
    for body in (b"", b" \n", b"\x00"):
        with pytest.raises(Refused, match="empty"):
            parse(body)
