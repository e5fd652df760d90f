"""Which responses reach a parser, and what a page that is no article is called."""

import time
from contextlib import nullcontext
from itertools import islice, product
from random import Random
from string import ascii_lowercase

import pytest
from lxml import etree
from scrapy.http import HtmlResponse

from newsarchive.article import Refused
from newsarchive.extract import tree
from newsarchive.page import (
    _STRETCH,
    MAX_SIZE,
    holds_long_tag,
    is_utf8,
    is_whole,
    refuse_long_tag,
    refuse_unreadable,
    stranger,
)

#: Mark-up in which the end of each tag is sure, and some in which it is not.
ORDINARY = b"<div class=\"a\"><p id='b'>text</p><br/></div>" * 300
WITHOUT_ENDS = b"var text = 'x'; " * 1500
#: Attributes that may pass in a tag that is not looked at closely, of three bytes each.
LONGEST_UNSEEN = 2 * _STRETCH // 3
NAMES = ["".join(letters) for letters in islice(product(ascii_lowercase, repeat=4), 40_000)]


def around(tag: bytes) -> list[bytes]:
    """Return a tag alone, in ordinary mark-up, and among text and scripts."""
    script = b"<script>" + WITHOUT_ENDS + b"</script>"
    return [tag, ORDINARY + tag + ORDINARY, script + tag + script, WITHOUT_ENDS + tag + WITHOUT_ENDS]


WAYS = {
    "double quotes": ' {}="x"',
    "single quotes": " {}='x'",
    "no quotes": " {}=x",
    "no values": " {}",
    "slashes": "/{}",
    "line breaks": "\n\t{} \r\n = \f'x'",
    "glued": '{}="x"',
    "tags in double quotes": " {}=\"<b c='d'>e</b>\"",
    "tags in single quotes": " {}='<b c=\"d\">e</b>'",
    "ends in both": """ {}="'>" {}x='">'""",
    "quotes in values": ' {}=x"> y="',
    "opening in no value": ' {}=b="',
    "quotes in names": ' {}"',
    "less-than in names": " <{}",
    "equals first": " ={}",
    "non-ASCII": " {}中",
    "empty values": " {}=''",
    "long values": " {}=" + "x" * 500,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_tag_of_many_attributes_is_refused_at_once(way: str) -> None:
    tag = f"<p {''.join(WAYS[way].replace('{}', name) for name in NAMES)}>text".encode()
    if way in ("quotes in values",):
        tag = tag.replace(b'">', b'"')
    for page in around(tag):
        began = time.process_time()
        with pytest.raises(Refused, match="too-many-attributes"):
            refuse_long_tag(page)
        assert time.process_time() - began < 0.5


@pytest.mark.parametrize("way", WAYS)
def test_a_tag_of_some_attributes_is_not(way: str) -> None:
    tag = f"<p {''.join(WAYS[way].replace('{}', name) for name in NAMES[:100])}>text".encode()
    for page in around(tag):
        refuse_long_tag(page)


def test_what_passes_is_what_the_parser_finds_short() -> None:
    """Of pages of random mark-up, none gets through that has a long tag for the parser."""
    random = Random(2)
    bits = [" a", "='", '="', "'", '"', ">", "<p", " ", "=", "/", "<b>", "</b>", "x", " b='>'", ' c=">"', '">', "'>"]
    refused = long = 0
    for _ in range(400):
        weights = [500, *(random.choice((0, 0, 0, 0.02, 0.3, 50)) for _ in bits[1:])]
        chosen = random.choices(bits, weights=weights, k=9000)
        text = "".join(f"{bit}{number:x}" if bit == " a" else bit for number, bit in enumerate(chosen))
        page = f"<html><p {text}></html>".encode()
        root = etree.HTML(page, etree.HTMLParser(encoding="utf-8", huge_tree=True))
        longest = max((len(element.attrib) for element in root.iter(etree.Element)), default=0)
        held = holds_long_tag(page)
        assert held or longest < LONGEST_UNSEEN
        refused, long = refused + held, long + (longest >= LONGEST_UNSEEN)
    assert 400 > refused >= long > 20


@pytest.mark.parametrize(
    "page",
    [
        b"<a" * (MAX_SIZE // 2),
        b"<a <a" * (MAX_SIZE // 5),
        b"<a b='" * (MAX_SIZE // 6),
        b"<a " * 900 + b" " * (MAX_SIZE - 3000),
        b"<a " * 900 + b'b="' + b"x" * (MAX_SIZE - 3000),
        b"<a b=\"<a c='" * (MAX_SIZE // 12),
        b"<" * MAX_SIZE,
        b'">' * (MAX_SIZE // 2),
        b'=">' * (MAX_SIZE // 3),
        b"'" * MAX_SIZE,
    ],
    ids=lambda page: repr(page[:12]),
)
def test_the_check_itself_takes_no_time(page: bytes) -> None:
    began = time.process_time()
    holds_long_tag(page)
    assert time.process_time() - began < 8


@pytest.mark.parametrize(
    ("body", "type", "reason"),
    [
        (b"<p>", "text/html", ""),
        (b"<p>", "", ""),
        (b"<p>", "Text/HTML; charset=x", ""),
        (b"<p>", "application/xhtml+xml", ""),
        (b"", "text/html", "empty"),
        (b" \r\n", "text/html", "empty"),
        (b"x" * (MAX_SIZE + 1), "text/html", "too-large"),
        (b"<p>", "application/pdf", "not-html"),
        (b"<p>", "image/png", "not-html"),
        (b"%PDF-1.4", "text/html", "not-html"),
        (b"\n%PDF-1.4", "text/html", "not-html"),
        (b"PK\x03\x04", "text/html", "not-html"),
        (b"GIF89a", "", "not-html"),
    ],
)
def test_what_is_unreadable(body: bytes, type: str, reason: str) -> None:
    response = HtmlResponse("http://www.cna.com.tw/", body=body, headers={"Content-Type": type} if type else {})
    with pytest.raises(Refused, match=f"^{reason}") if reason else nullcontext():
        refuse_unreadable(response)


@pytest.mark.parametrize(
    ("body", "told"),
    [(b"", True), ("中央社\ufffd".encode(), True), ("中央社".encode("gbk"), False), ("中".encode()[:2], False)],
)
def test_is_utf8(body: bytes, told: bool) -> None:
    assert is_utf8(body) is told


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"<html><p>a</p></html>\n<!-- served by 7 --><script>x</script>", True),
        (b"<HTML><P>a</P></HTML >", True),
        (b"<html><p>a</p>", False),
        (b"<html><p>a</p></body></ht", False),
    ],
)
def test_is_whole(body: bytes, told: bool) -> None:
    assert is_whole(body) is told


@pytest.mark.parametrize(
    ("head", "body", "reason"),
    [
        ("<title>Just a moment...</title>", "", "challenge"),
        ("<title>Attention Required! | Cloudflare</title>", "", "challenge"),
        ("<title>Access denied</title>", "", "challenge"),
        ("<title>中央社</title>", '<form id="challenge-form"></form>', "challenge"),
        ("<title>中央社</title><script src='/cdn-cgi/challenge-platform/x.js'></script>", "", "challenge"),
        ("<title>Before you continue</title>", "", "consent"),
        ("<title>中央社</title>", '<form action="https://consent.example.org/save"></form>', "consent"),
        ("<title>404 Not Found</title>", "", "error-page"),
        ("<title>502 Bad Gateway</title>", "", "error-page"),
        ("<title>Page introuvable</title>", "", "error-page"),
        ("", "<h1>Seite nicht gefunden</h1>", "error-page"),
        ("<title>Redirecting to /news</title>", "", "redirect-stub"),
        ('<title>中央社</title><meta http-equiv="Refresh" content="0;URL=/news">', "", "redirect-stub"),
        ("<title></title>", "<h1>中央社</h1>", "empty-template"),
        ("", "", "empty-template"),
        ("<title>中央社</title>", "<p>文</p>", "unknown-layout"),
        ('<title>中央社</title><meta http-equiv="refresh" content="300">', "<p>文</p>", "unknown-layout"),
    ],
)
def test_stranger(head: str, body: str, reason: str) -> None:
    page = f"<!DOCTYPE html><html><head>{head}</head><body>{body}</body></html>"
    assert stranger(tree(HtmlResponse("http://www.cna.com.tw/", body=page.encode())), "nothing").reason == reason
