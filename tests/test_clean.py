"""What cleaning lets through, what it mends, what it takes out, and that it never loses a word."""

import random
import re
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from time import process_time
from typing import Any

import pytest
from attacks import ATTACKS
from lxml import html
from places import SHARED, needs_shared
from test_post import ARTICLE

from newsarchive.article import Image, Refused
from newsarchive.fragment import figure
from newsarchive.post import Post, read
from pipelines.clean import CleanPipeline, clean, sanitise, without_mirror

BASE = "https://www.example.com/news/1"
FOOTER = (
    '<br><hr><div>获取更多RSS：<br><a href="https://feedx.net" style="color:orange" target="_blank">https://feedx.net</a>'
    ' <br><a href="https://feedx.best" style="color:orange" target="_blank">https://feedx.best</a><br></div>'
)


def cleaned(body: str) -> str:
    """Return what a body is after cleaning."""
    return clean(replace(ARTICLE, url=BASE, body=body)).body


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # Allowed.
        ("<p>a <b>b</b> <i>c</i><br>d</p>", "<p>a <b>b</b> <i>c</i><br>d</p>"),
        ("<ul><li>a<ol start=3><li>b</ol></ul>", '<ul><li>a<ol start="3"><li>b</li></ol></li></ul>'),
        ("<dl><dt>a<dd>b</dl>", "<dl><dt>a</dt><dd>b</dd></dl>"),
        (
            "<table><caption>c</caption><tr><th colspan=2>a<tr><td>b<td rowspan=9>c</table>",
            '<table><caption>c</caption><tbody><tr><th colspan="2">a</th></tr>'
            '<tr><td>b</td><td rowspan="9">c</td></tr></tbody></table>',
        ),
        ("<ruby>漢<rp>(</rp><rt>k</rt><rp>)</rp></ruby>", "<ruby>漢<rp>(</rp><rt>k</rt><rp>)</rp></ruby>"),
        ("<h1>a</h1><h2>b</h2>", "<h2>a</h2><h2>b</h2>"),
        ("<bdo dir=rtl>a</bdo><bdo dir=x>b</bdo>", '<bdo dir="rtl">a</bdo><bdo>b</bdo>'),
        ("a &lt; b &amp;amp; &copy; &nbsp;c", "a &lt; b &amp;amp; © &nbsp;c"),
        ("甲{{ a }}<b title='{%'>{% b %}</b>", "甲{{ a }}<b>{% b %}</b>"),
        # Not allowed; the words stay, blocks stay apart.
        ("<p class=x id=y style=z onclick=w data-v>a</p>", "<p>a</p>"),
        ("<font color=red>a</font><span>b</span>", "ab"),
        ("<section>a</section><article>b</article>", "<div>a</div><div>b</div>"),
        ("<table><tr><td colspan=x>a<td rowspan=1e9>b</table>", None),
        ("a<script>x()</script>b<style>x</style>c<template>x</template>d<!-- x -->e", "abcde"),
        ("a<svg><use href=#x></use><title>x</title></svg>b<math>x</math>c", "abc"),
        ("a<button>b</button><textarea>x</textarea><select><option>x</select>c", "abc"),
        ("<noscript><p>a</p></noscript>", "<div><p>a</p></div>"),
        ("<xmp><b>a</xmp><noembed><b>b</noembed>", "<div>&lt;b&gt;a</div><div>&lt;b&gt;b</div>"),
        # Balanced.
        ("<p>a<b>b", "<p>a<b>b</b></p>"),
        ("<div><div><p>a", "<div><div><p>a</p></div></div>"),
        ("a</div></section></b></table>b", "ab"),
        ("<p>a</p></div></div></body></html><p>b</p>", "<p>a</p><p>b</p>"),
        ("</body >a</HTML\n>b</body x='>c", "abc"),
        ("<b>a<p>b</b>c</p>", None),
        ("<table>a<tr><td>b", "a<table><tbody><tr><td>b</td></tr></tbody></table>"),
        # Addresses.
        ("<a href=/x?a=1&b=2>a</a>", '<a href="https://www.example.com/x?a=1&amp;b=2">a</a>'),
        ("<a href=//example.org>a</a>", '<a href="https://example.org">a</a>'),
        ("<a href='mailto:a@b.example'>a</a>", '<a href="mailto:a@b.example">a</a>'),
        ("<a href='ht\ntp://exa\tmple.org/'>a</a>", '<a href="http://example.org/">a</a>'),
        ("<a href='javascript:x'>a</a><a href='data:x'>b</a><a href='http://['>c</a>", "<a>a</a><a>b</a><a>c</a>"),
        ("<a href='java&#1;script:x'>a</a>", "<a>a</a>"),
        # Pictures.
        ("<img src=/x.jpg alt='a\nb' width=1 srcset=y>", '<img src="https://www.example.com/x.jpg" alt="a b">'),
        ("<img src=data:x data-src=/x.jpg>", '<img src="https://www.example.com/x.jpg">'),
        ("a<img src=data:x><img alt=x><img src=mailto:a@b.example>b", "ab"),
        (
            "<figure><picture><source srcset=y><img src=/x.jpg></picture><figcaption>c <small>d</small></figure>",
            '<figure><img src="https://www.example.com/x.jpg"><figcaption>c <small>d</small></figcaption></figure>',
        ),
        # Embedded things become links.
        (
            "<iframe src=//www.youtube.com/embed/x>old</iframe>",
            '<div><a href="https://www.youtube.com/embed/x">https://www.youtube.com/embed/x</a></div>',
        ),
        ("<iframe src=//ads.example/x></iframe>a", "a"),
        (
            "<video><source src=/x.mp4><p>no film</p></video>",
            '<div><a href="https://www.example.com/x.mp4">https://www.example.com/x.mp4</a><p>no film</p></div>',
        ),
        # One line, and only characters that text has.
        ("<p>a\n\t b\r\nc</p>\n\n<p>d  e</p>", "<p>a b c</p> <p>d  e</p>"),
        ("<pre>a\n  b\r\nc</pre>", "<pre>a<br>  b<br>c</pre>"),
        ("a\x00b\x01c\x7fd\x85e&#1;f&#x8d;g", "abcdefg"),
        ("a\ud800b\ud83d\ude00c&#xd800;d", "a\ufffdb😀c\ufffdd"),
        ("\ufeffa\u2028b\u202ec", "\ufeffa\u2028b\u202ec"),
    ],
)
def test_body(body: str, expected: str | None) -> None:
    found = cleaned(body)
    assert "\n" not in found
    assert cleaned(found) == found
    if expected is not None:
        assert found == expected


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        # Whatever follows these belongs to them: the rest of the text is not shown by a browser.
        ("<p>a</p><style><p>b</p>", "body-lost"),
        ("<p>a</p><script>b", "body-lost"),
        ("<p>a</p><textarea>b", "body-lost"),
        ("<p>a</p><title>b", "body-lost"),
        ("<p>a</p><xmp>b", "body-lost"),
        ("<p>a</p><iframe>b", "body-lost"),
        ("<p>a</p><svg>b", "body-lost"),
        ("<p>a</p><!-- b", "body-lost"),
        ('<p>a</p><a href="b', "body-lost"),
        ("<p>a</p><b", "body-lost"),
        ("<div>" * 1_000 + "a", "too-deep"),
        ("<p " + "a " * 2_000 + ">a", "too-many-attributes"),
        ("a" * 9_000_000, "too-large"),
    ],
)
def test_refused(body: str, reason: str) -> None:
    with pytest.raises(Refused) as refusal:
        cleaned(body)
    assert refusal.value.reason == reason


def test_mirror_leaves_no_trace() -> None:
    assert cleaned(f"<div>05/01/2022 - 21:17</div>Array<p>a</p>{FOOTER}") == "<div>05/01/2022 - 21:17</div><p>a</p>"
    assert cleaned(f"Array<p>a</p>{FOOTER}{FOOTER}\n") == "<p>a</p>"


@pytest.mark.parametrize(
    "body",
    [
        "<p>Array</p>",
        "<p>a</p>Array<p>b</p>",
        "Array<p>a</p>",
        "<hr><div>获取更多RSS：我们的报道</div>",
        f"{FOOTER}<p>a</p>",
        "<p>获取更多RSS：https://feedx.net</p>",
    ],
)
def test_newsroom_keeps_its_words(body: str) -> None:
    assert solid(cleaned(body)) == solid(body)


def test_newsroom_keeps_its_array_beside_the_mirror() -> None:
    assert cleaned(f"<p>Array a</p><p>b</p>Arrays<p>An Array</p>{FOOTER}").count("Array") == 3


def test_fields() -> None:
    article = clean(
        replace(
            ARTICLE,
            title=" a\n\tb\x00 ",
            section=" s ",
            authors=(" ", " x\n"),
            keywords=("k", " k", "", "l\x01"),
            summary="\ns\ud800",
            images=(
                Image(url="https://example.org/x.jpg", caption=" c\nd ", credit="\te"),
                Image(url="javascript:x"),
                Image(url="/x.jpg"),
            ),
        )
    )
    assert (article.title, article.section, article.authors, article.summary) == ("a b", "s", ("x",), "s\ufffd")
    assert article.keywords == ("k", "l")
    assert article.images == (Image(url="https://example.org/x.jpg", caption="c d", credit="e"),)
    assert CleanPipeline().process_item(article) == article


def test_figure_of_a_spider_stays_as_it_is() -> None:
    shown = figure(Image(url="https://example.org/x.jpg?a=1&b=2", caption='a & "b" <c>', credit="d"))
    assert cleaned(shown) == shown


def test_anything_is_cleaned_once_and_for_all() -> None:
    """Whatever comes in: an article that stays the same when cleaned again, or a refusal, never another error."""
    chance = random.Random(1)
    pieces = [piece for attack in ATTACKS if len(attack) < 500 for piece in re.split(r"(?=[<>&\"'])", attack) if piece]
    endings: Counter[str] = Counter()
    for _ in range(3_000):
        body = "".join(chance.choices(pieces, k=chance.randint(1, 12)))
        try:
            found = cleaned(body)
        except Refused as refusal:
            endings[refusal.reason] += 1
            continue
        assert cleaned(found) == found, body
        endings["cleaned"] += 1
    assert endings["cleaned"] > 1_000


@pytest.mark.parametrize(
    "body",
    [
        "<p><font size={}></p>",
        "<b a={}><p></b>",
        "<p><font size={}><object></font></object></p>",
        "<a href={}>x<table><a>",
        "<hr><div>获取更多RSS：{}",
        "</p>Array{}",
        "<pre>\n{}</pre>",
        "<img a={}>x",
        "<iframe a={}></iframe>",
        "</body {}",
        "<table>{}<tr>",
        "&lt{}<",
    ],
)
def test_time_is_bounded(body: str) -> None:
    """A sanitiser alone takes minutes, or all memory, over some of these."""
    hostile = "".join(body.format(number) for number in range(10_000))
    start = process_time()
    with suppress(Refused):
        cleaned(hostile)
    assert process_time() - start < 3


def solid(body: str) -> str:
    """Return the words of a body as a parser without any rules finds them, without white space."""
    told = html.document_fromstring(f"<body>{body}</body>").xpath(
        "//body//text()[not(ancestor::script | ancestor::style | ancestor::svg)]"
    )
    return "".join("".join(told).split())


def real_posts() -> list[Post]:
    """Return the posts that other programs wrote, from full-text feeds as they came."""
    files = sorted([*SHARED.glob("posts/*/*/*.md"), *SHARED.glob("seeds/*.txt")])
    return [read(file.read_bytes().decode()) for file in files]


@needs_shared
def test_real_bodies_lose_nothing(record_property: Any) -> None:
    posts = real_posts()
    mirrored = 0
    for post in posts:
        found = without_mirror(sanitise(post.body, post.url))
        assert without_mirror(sanitise(found, post.url)) == found
        before, after = solid(post.body), solid(found)
        own = re.sub(r"获取更多RSS：(?:https://feedx\.[a-z]+)+$", "", before)
        mirrored += own != before
        if "RSS" in before[-60:]:
            own = own.replace("21:17Array", "21:17")
        lost, new = Counter(own) - Counter(after), Counter(after) - Counter(own)
        assert not lost, post.title
        # Embedded films and posts became links.
        assert new <= Counter("".join(re.findall(r'href="([^"]*)"', found)).replace("&amp;", "&")), post.title
        assert "获取更多RSS" not in found
    assert len(posts) == 245
    assert mirrored == 39
    record_property("total:real bodies cleaned without loss", len(posts))
