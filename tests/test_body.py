"""What the newsroom wrote comes out to the character, and nothing else."""

import pytest
from lxml import html

from newsarchive.article import Drift, Image, Refused
from newsarchive.body import Body, Rules, read_body

BASE = "https://www.cna.com.tw/news/aopl/202301010001.aspx"


def read(source: str, **rules: object) -> Body:
    """Return what a container with this inside is read as."""
    # As parsel does: otherwise lxml drops what lies more than 254 elements deep.
    parsed = html.document_fromstring(f"<div class=body>{source}</div>", parser=html.HTMLParser(huge_tree=True))
    return read_body(parsed.find(".//div"), BASE, Rules(**rules))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<p>one</p>\n<p>two</p>", "<p>one</p><p>two</p>"),
        ("<p>a <b>bold</b>, <i>it</i>alic</p>", "<p>a <b>bold</b>, <i>it</i>alic</p>"),
        ("<p>re-\n\t\tindented</p>", "<p>re- indented</p>"),
        ("<p>two  spaces\u3000\u3000stay</p>", "<p>two  spaces\u3000\u3000stay</p>"),
        ("<p>one<br><br>two<br>three</p>", "<p>one</p><p>two<br>three</p>"),
        ("<p><b>one<br><br>two</b></p>", "<p><b>one</b></p><p><b>two</b></p>"),
        ("<p class=Paragraph><span>Wo</span><span>rd </span><span><span>paste</span></span></p>", "<p>Word paste</p>"),
        ("loose <a href='/x?a=1&amp;b=2'>link</a> text", None),
        ("<div><div><p>nested</p> tail</div></div>", "<p>nested</p><p>tail</p>"),
        ("<ul><li>one<li><p>two</p><p>three</p></ul>", "<ul><li>one</li><li><p>two</p><p>three</p></li></ul>"),
        ("<blockquote><p>said</p>so</blockquote>", "<blockquote><p>said</p><p>so</p></blockquote>"),
        (
            "<table><tr><th colspan=2 onclick=x()>h</th></tr><tr><td>1</td><td></td></tr></table>",
            '<table><tr><th colspan="2">h</th></tr><tr><td>1</td><td></td></tr></table>',
        ),
        ("<h1>T</h1><h3>s</h3>", "<h2>T</h2><h3>s</h3>"),
        ("<p>before<script>x()</script>after<!-- c -->!</p>", "<p>beforeafter!</p>"),
        ("<p>\u00a0</p><p></p><p>x</p>", "<p>x</p>"),
        ("<p>&lt;b&gt; &amp;amp; &quot;</p>", '<p>&lt;b&gt; &amp;amp; "</p>'),
        ("<p>nul\x01\x02l</p>", "<p>null</p>"),
        ("<p><a href='javascript:x()'>text</a></p>", "<p>text</p>"),
        ("<p><strong><p>inside</p></strong></p>", "<p><strong>inside</strong></p>"),
        (
            "<iframe data-src='//www.youtube.com/embed/x'></iframe>",
            '<p><a href="https://www.youtube.com/embed/x">https://www.youtube.com/embed/x</a></p>',
        ),
        (
            "<blockquote class=twitter-tweet><a href='https://twitter.com/a/status/1'></a></blockquote>",
            '<blockquote><p><a href="https://twitter.com/a/status/1">https://twitter.com/a/status/1</a></p></blockquote>',
        ),
        ("<img src=/t.gif width=1 height=1><p>x</p>", "<p>x</p>"),
        (
            "<p>a<img src='data:image/gif;base64,R0' data-src='/l.jpg'>b</p>",
            '<p>a</p><figure><img src="https://www.cna.com.tw/l.jpg"></figure><p>b</p>',
        ),
        ("<pre>a\n  b</pre>", "<pre>a<br>  b</pre>"),
        ("<hr><p>x</p>", "<hr><p>x</p>"),
    ],
)
def test_fragment(source: str, expected: str | None) -> None:
    if expected is None:
        expected = '<p>loose <a href="https://www.cna.com.tw/x?a=1&amp;b=2">link</a> text</p>'
    assert read(source).html == expected


def test_figure_with_picture_and_caption() -> None:
    body = read("<figure><img srcset='/s.jpg 300w, /l.jpg 900w' src=/s.jpg><figcaption>Cap\ntion</figcaption></figure>")
    assert body == Body(
        '<figure><img src="https://www.cna.com.tw/l.jpg"><figcaption>Cap tion</figcaption></figure>',
        (Image(url="https://www.cna.com.tw/l.jpg", caption="Cap tion"),),
    )


def test_what_the_rules_name_is_dropped_or_looked_into() -> None:
    source = "<p>a</p><div class=more>read also</div><div class=wrap><p>b</p></div>"
    assert read(source, drop=".more", unwrap=".wrap").html == "<p>a</p><p>b</p>"


@pytest.mark.parametrize(
    "source",
    [
        "<div class=unknown>words</div>",
        "<div id=x><img src=/a.jpg></div>",
        "<div class=ad><iframe src='https://ads.example/x'></iframe></div>",
        "<aside>words</aside>",
        "<x-new>words</x-new>",
        "<lite-youtube videoid=x></lite-youtube>",
        "<div class=new><lite-youtube videoid=x></lite-youtube></div>",
        "<button>words</button>",
        "<figure>words</figure>",
    ],
)
def test_unknown_structure_is_drift(source: str) -> None:
    with pytest.raises(Drift):
        read(f"<p>a</p>{source}")


def test_wrappers_around_known_things_need_no_name() -> None:
    source = "<div class=new><div class=x><iframe src='https://www.youtube.com/embed/x'></iframe></div></div>"
    assert "youtube.com/embed/x" in read(source).html


def test_300_nested_spans_are_read_and_2000_are_refused() -> None:
    assert read("<p>" + "<span>" * 300 + "deep" + "</span>" * 300 + "</p>").html == "<p>deep</p>"
    with pytest.raises(Refused, match="too-deep"):
        read("<p>" + "<span>" * 2000 + "deep" + "</span>" * 2000 + "</p>")
