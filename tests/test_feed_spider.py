"""Full-text feeds: what becomes of hostile items, to the byte, and of broken feeds.

What is expected is written down here by the rules of the format, and not made by the code under test.
"""

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from places import SHARED, needs_shared
from server import Crawl, Server, cna_page, crawl, reply, serving
from test_archive import account, content, posts, scrapy

from newsarchive.date_parse import date_parse
from newsarchive.items import read_feed
from spiders.feed import FeedSpider

FEED = "http://mirror.example.net/feed.xml"
SITE = "http://news.example.org"
LABEL = "(臺)測試社"
WHEN = "Thu, 12 Jan 2023 16:04:03 +0800"
SPACES = (
    "xmlns:content='http://purl.org/rss/1.0/modules/content/' xmlns:dc='http://purl.org/dc/elements/1.1/'"
    " xmlns:media='http://search.yahoo.com/mrss/'"
)
FOOTER = (
    '<br><hr><div>获取更多RSS：<br><a href="https://feedx.net" style="color:orange" target="_blank">https://feedx.net</a>'
    ' <br><a href="https://feedx.xyz" style="color:orange" target="_blank">https://feedx.xyz</a><br></div>'
)

#: How a title stands in a feed, what it is in the front matter, and in the link line.
TITLES = [
    ("河岸步道今天開放", "河岸步道今天開放", "河岸步道今天開放"),
    ("<![CDATA[ 前後有空白 \n]]>", " 前後有空白 ", "前後有空白"),
    ('\n\t他說&quot;好"\r\n', '他說\\"好\\"', '他說"好"'),
    ("等等...還有...", "等等還有...", "等等...還有..."),
    ("甲&#160;乙\u00a0", "甲 乙 ", "甲\u00a0乙"),
    ("\u3000全形\u2028空白\ufeff", "\u3000全形\u2028空白\ufeff", "全形\u2028空白"),
    ("零寬\u200b", "零寬\u200b", "零寬\u200b"),
    (r"C:\d\(", r"C:\\d\\(", r"C:\\d\\("),
    ("[影]片 (一)", "[影]片 (一)", "[影]片 (一)"),
    ("a_b_c *x*", "a_b_c *x*", r"a_b_c \*x\*"),
    ("👩‍🚀 上太空", "👩‍🚀 上太空", "👩‍🚀 上太空"),
    ("&#xD800;半個字", "\ufffd半個字", "\ufffd半個字"),
    ("<![CDATA[甲\x00\x1f\x7f\x85乙]]>", "甲乙", "甲乙"),
    ("大&amp;#22338;直 &amp;amp; 美", "大&#22338;直 &amp; 美", "大&#22338;直 &amp; 美"),
    ("A &lt;b&gt; B", "A <b> B", r"A \<b> B"),
    ("`x`", "`x`", "&#96;x&#96;"),
    ("A & B &nbsp;C&unknown;", "A & B  C&unknown;", "A & B \u00a0C&unknown;"),
    ("---", "---", "---"),
    ("100% {x} #1: 「好」", "100% {x} #1: 「好」", "100% {x} #1: 「好」"),
]
#: How an address stands in a feed, and how a browser writes it.
LINKS = [
    ("<link>http://news.example.org/a/{n}.html</link>", "http://news.example.org/a/{n}.html"),
    (
        "<link>http://news.example.org/中文 頁/{n}.html</link>",
        "http://news.example.org/%E4%B8%AD%E6%96%87%20%E9%A0%81/{n}.html",
    ),
    (
        "<link>\n  HTTP://News.Example.ORG:80/a'(b)[c]|^{{d}}/{n}\n</link>",
        "http://news.example.org/a'(b)[c]|^%7Bd%7D/{n}",
    ),
    ("<link/><guid isPermaLink='true'>http://news.example.org/g/{n}</guid>", "http://news.example.org/g/{n}"),
    ("<link><![CDATA[  ]]></link><guid>http://news.example.org/w/{n}</guid>", "http://news.example.org/w/{n}"),
    ("<link>/relative/{n}</link>", "http://news.example.org/relative/{n}"),
    ("<link>http://news.example.org/%e4%BD/100%/{n}</link>", "http://news.example.org/%e4%BD/100%/{n}"),
    ("<link>http://news.example.org/?a=1&b=2&amp;n={n}</link>", "http://news.example.org/?a=1&b=2&n={n}"),
    (
        "<guid isPermaLink='false'>urn:x:{n}</guid><link>http://news.example.org/p/{n}#top</link>",
        "http://news.example.org/p/{n}#top",
    ),
]
#: How a time stands in a feed, and which it is.
TIMES = [
    (WHEN, "2023-01-12T08:04:03.000Z", 1673510643000),
    ("Thu, 12 Jan 2023 08:04:03 GMT", "2023-01-12T08:04:03.000Z", 1673510643000),
    ("12 Jan 2023 08:04 UT", "2023-01-12T08:04:00.000Z", 1673510640000),
    ("Sun, 12 Jan 23 08:04:03 Z", "2023-01-12T08:04:03.000Z", 1673510643000),
    ("Thu, 12 Jan 2023 02:04:03 CST", "2023-01-12T08:04:03.000Z", 1673510643000),
    ("Thu, 12 Jan 2023 04:04:03 EDT", "2023-01-12T08:04:03.000Z", 1673510643000),
    ("Thu, 12 Jan 2023 00:04:03 PST", "2023-01-12T08:04:03.000Z", 1673510643000),
    ("Thu, 12 January 2023 08:04:03 +00:00", "2023-01-12T08:04:03.000Z", 1673510643000),
    (" \n Thu, 12 Jan 2023 08:04:03 -0000 \n", "2023-01-12T08:04:03.000Z", 1673510643000),
    ("Thu, 12 Jan 2023 16:04:03 GMT+0800 (CST)", "2023-01-12T08:04:03.000Z", 1673510643000),
    ("2023-01-12 16:04:03", "2023-01-12T16:04:03.000Z", 1673539443000),
    ("2023-01-12T16:04:03.25+08:00", "2023-01-12T08:04:03.250Z", 1673510643250),
    ("2023-01-12", "2023-01-12T00:00:00.000Z", 1673481600000),
    ("Thu,\u00a012\u00a0Jan\u00a02023\u300016:04:03\u00a0+0800", "2023-01-12T08:04:03.000Z", 1673510643000),
    ("Tue, 31 Feb 2023 00:00:00 GMT", "2023-03-03T00:00:00.000Z", 1677801600000),
    ("Mon, 01 Jan 96 00:00:00 GMT", "1996-01-01T00:00:00.000Z", 820454400000),
]
#: How an author stands in a feed, and in the front matter.
AUTHORS = [
    ("", LABEL),
    ("<author>王 小明</author>", "王 小明"),
    ("<dc:creator><![CDATA[某人: x]]></dc:creator>", '"某人: x"'),
    ("<author></author><dc:creator>李</dc:creator>", "李"),
    ("<author>@handle</author>", '"@handle"'),
    ("<author>null</author>", '"null"'),
    ("<author>mail@example.com (A B)</author>", "mail@example.com (A B)"),
    ("<dc:creator>007</dc:creator>", '"007"'),
    ("<author>a #b</author><dc:creator>c</dc:creator>", '"a #b"'),
    ("<itunes:author>x</itunes:author>", LABEL),
    ("<itunes:author>x</itunes:author><dc:creator>李</dc:creator>", "李"),
]
#: How a text stands in a feed, and in a post of either form.
TEXTS = [
    (
        "<content:encoded><![CDATA[\n <p>一</p>\n   <p>二</p>  \n]]></content:encoded><description>短</description>",
        "<p>一</p>   <p>二</p>",
        "<p>一</p><p>二</p>",
    ),
    ("<description>&lt;p&gt;a &amp;amp; b&lt;/p&gt;</description>",) + ("<p>a &amp; b</p>",) * 2,
    ("<content:encoded> </content:encoded><description>只有簡介</description>",) + ("只有簡介",) * 2,
    (
        "<media:group><media:title>x</media:title><media:description>字幕\n 第二行</media:description></media:group>"
        "<description>簡介</description>",
        "字幕 第二行",
        "字幕第二行",
    ),
    ("<description><![CDATA[a\x00b\x0bc\x85d]]></description>", "abcd", "a\x00b\x0bc\x85d"),
    ("<description>A & B &lt;b&gt;x&lt;/b&gt; &nbsp;y&copy;z&amp</description>",)
    + ("A & B <b>x</b> \u00a0y©z&amp",) * 2,
    ("<description>{{ page.title }} {% raw %} {a} }}</description>",)
    + ("&#123;{ page.title }} &#123;% raw %} {a} }}",) * 2,
    ("<description><![CDATA[a]]]]><![CDATA[>b]]></description>",) + ("a]]>b",) * 2,
    ("<description>\u00a0\u3000\ufeff中\u200b\u2003</description>",) + ("中\u200b",) * 2,
    ("<description><p>x<br>y</p> &amp; <!-- no --><i>z</i></description>",) + ("<p>x<br>y</p> &amp; <i>z</i>",) * 2,
    (f"<description><![CDATA[Array <p>鏡像</p>{FOOTER}]]></description>",) + (f"Array <p>鏡像</p>{FOOTER}",) * 2,
    ("<description><![CDATA[<div><p>多餘</p></div></div>]]></description>",) + ("<div><p>多餘</p></div></div>",) * 2,
    ("<description>&#128512;&#xD83D;&#150;&#0;終</description>", "😀\ufffd終", "😀\ufffd\x96\x00終"),
    ("<description><![CDATA[<p>a</p>\r\n\t<p>b</p>\r\n]]></description>",) + ("<p>a</p><p>b</p>",) * 2,
    ("<description><![CDATA[<script>x('</item>')</script>]]></description>",) + ("<script>x('</item>')</script>",) * 2,
    ("<description>&lt;p&gt;---&lt;/p&gt;</description>",) + ("<p>---</p>",) * 2,
    ("<description><![CDATA[<pre></item>\n<item></pre>]]></description>",) + ("<pre></item><item></pre>",) * 2,
]
ITEMS = 200


def item(n: int) -> str:
    """Return an item of a feed, a mixture of all that is above; the lists have no common factors."""
    title, link, time = TITLES[n % len(TITLES)][0], LINKS[n % len(LINKS)][0], TIMES[n % len(TIMES)][0]
    author, text = AUTHORS[(n + n // len(LINKS)) % len(AUTHORS)][0], TEXTS[n % len(TEXTS)][0]
    odd = "<enclosure url='Array' type='image/jpeg' length='0'/><image>Array</image><dc:date>2001-01-01</dc:date>"
    link = link.format(n=n)
    return f"<item>\n<title>{title}</title>{link}{author}\n{text}{odd}<pubDate>{time}</pubDate></item>\n"


def expected(n: int, form: str) -> bytes:
    """Return the post of an item, by the rules of the format."""
    _, title, shown = TITLES[n % len(TITLES)]
    url = LINKS[n % len(LINKS)][1].format(n=n)
    _, date, stamp = TIMES[n % len(TIMES)]
    author = AUTHORS[(n + n // len(LINKS)) % len(AUTHORS)][1]
    _, front, bare = TEXTS[n % len(TEXTS)]
    link = f"<!--{stamp}-->\n[{shown}]({url})\n------\n\n"
    if form == "bare":
        return f"{link}{bare}\n".encode()
    return (
        f'---\nlayout: post\ntitle: "{title}"\ndate: {date}\nauthor: {author}\nfrom: {url}\ntags: [ {LABEL} ]\n'
        f"comments: True\ncategories: [ {LABEL} ]\n---\n{link}<div>\n{front}\n</div>\n"
    ).encode()


def rss(*items: str, around: str = SPACES) -> bytes:
    told = f"<title>鏡像</title><link>{SITE}/</link><language>zh-tw</language>"
    return (
        f'<?xml version="1.0"?>\n<rss version="2.0" {around}><channel>{told}{"".join(items)}</channel></rss>'.encode()
    )


def simple(n: int | str = 1, text: str = "全文。", time: str = WHEN, title: str = "標題", more: str = "") -> str:
    return (
        f"<item><title>{title}</title><link>{SITE}/{n}</link><pubDate>{time}</pubDate>"
        f"<description>{text}</description>{more}</item>"
    )


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def run(server: Server, folder: Path, body: bytes = b"", publisher: str = "example", **args: str) -> Crawl:
    """Crawl a feed that has a body; the same as before without one."""
    if body:
        server.answer(FEED, reply(body, type="text/xml"))
    given = {"url": FEED, "publisher": publisher, "label": LABEL, **args}
    return crawl(server, folder, publisher="feed", args=given, SPIDER_MODULES="spiders", COMMIT_PAUSE=0.01)


def ended(archive: Path) -> dict[str, Any]:
    """Return how the items of the last run ended, which must add up."""
    told = account(archive)
    kept = {name: told[name] for name in ("stored", "revised", "unchanged") if told[name]}
    assert told["scheduled"] == sum((*kept.values(), *told["refused"].values(), *told["failed"].values()))
    return {**kept, **told["refused"], **told["failed"]}


def text(archive: Path) -> str:
    (post,) = posts(archive).values()
    return post.decode()


# Verbatim, to the byte.


@pytest.mark.parametrize("form", ["front", "bare"])
def test_hostile_items_become_the_posts_that_the_format_demands(server: Server, tmp_path: Path, form: str) -> None:
    feed = rss(*map(item, range(ITEMS)))
    done = run(server, tmp_path, feed, verbatim="1", bare="1" if form == "bare" else "")
    assert (done.status, done.stdout) == (0, "")
    assert ended(done.archive) == {"stored": ITEMS}
    made = posts(done.archive)
    assert sorted(made.values()) == sorted(expected(n, form) for n in range(ITEMS))
    kept = [row for row in content(done.archive) if row[0] == "captures" and "item" in row]
    assert len(kept) == ITEMS
    again = run(server, tmp_path, verbatim="1", bare="1" if form == "bare" else "")
    assert [row for row in content(again.archive) if row[0] == "captures" and "item" in row] == kept
    assert (again.status, ended(again.archive), posts(again.archive)) == (0, {"unchanged": ITEMS}, made)
    remade(done.archive)


def remade(archive: Path) -> None:
    """Check that captures alone give the same posts and the same index, by a replay and by recovery."""
    before = posts(archive), [row for row in content(archive) if row[0] not in ("runs", "coverage")]
    for command in (("replay", str(archive / "captures")), ("verify", "--repair")):
        shutil.rmtree(archive / "_posts")
        for file in archive.glob("index.sqlite*"):
            file.unlink()
        done = scrapy(*command, archive=archive)
        assert done.returncode == 0, done.stdout + done.stderr
        assert (posts(archive), [row for row in content(archive) if row[0] not in ("runs", "coverage")]) == before


def test_a_post_of_either_form_and_mode(server: Server, tmp_path: Path) -> None:
    one = (
        f'<item><title>他說："好..." </title><link>{SITE}/中 文?x=1</link><author>王: 小明</author>'
        f"<pubDate>{WHEN}</pubDate>"
        f"<description><![CDATA[<p onclick='x()'>一 {{{{ x }}}}</p>\n <p>二</p>{FOOTER}]]></description></item>"
    )
    link = '<!--1673510643000-->\n[他說："好..."](http://news.example.org/%E4%B8%AD%20%E6%96%87?x=1)\n------\n\n'
    verbatim = f"<p onclick='x()'>一 &#123;{{ x }}}}</p> <p>二</p>{FOOTER}"
    cleaned = "<p>一 &#123;&#123; x &#125;&#125;</p> <p>二</p>"
    for number, (args, body) in enumerate([({"verbatim": "1"}, verbatim), ({}, cleaned)]):
        title = '他說：\\"好\\" ' if args else '他說：\\"好...\\"'
        front = (
            f'---\nlayout: post\ntitle: "{title}"\ndate: 2023-01-12T08:04:03.000Z\nauthor: "王: 小明"\n'
            f"from: http://news.example.org/%E4%B8%AD%20%E6%96%87?x=1\ntags: [ {LABEL} ]\ncomments: True\n"
            f"categories: [ {LABEL} ]\n---\n{link}<div>\n{body}\n</div>\n"
        )
        done = run(server, tmp_path / f"front{number}", rss(one), **args)
        assert text(done.archive) == front
        bare = run(server, tmp_path / f"bare{number}", bare="1", **args)
        assert text(bare.archive) == f"{link}{body.replace('</p> <p>', '</p><p>') if args else body}\n"
        remade(bare.archive)


def test_what_is_cleaned_loses_the_footer_and_the_word_for_a_missing_picture(server: Server, tmp_path: Path) -> None:
    done = run(server, tmp_path, rss(simple(text=f"<![CDATA[Array <p>全文。</p>{FOOTER}]]>")))
    assert "<div>\n<p>全文。</p>\n</div>\n" in text(done.archive)
    remade(done.archive)


ATOM = f"""<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="zh-Hans" xml:base="{SITE}/base/"><title>x</title>
<link rel="self" href="{FEED}"/>
<entry><id>tag:example.org,2023:1</id><title type="html">甲 &amp;amp; 乙</title><author><name>王</name></author>
<author><name>李</name></author>
<link rel="self" href="/api/1"/><link rel="alternate" href="一.html"/><updated>2023-02-01T00:00:00Z</updated>
<published>2023-01-12T16:04:03+08:00</published><category term="政治"/><summary>短</summary>
<link rel="enclosure" type="image/jpeg" href="{SITE}/1.jpg"/>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>一&lt;二</p><br/><p/></div></content></entry>
<entry><id>{SITE}/2</id><title>丙</title><updated>2023-01-12T08:04:03Z</updated>
<content type="text">1 &lt; 2</content></entry>
</feed>"""


def test_atom(server: Server, tmp_path: Path) -> None:
    done = run(server, tmp_path, ATOM.encode(), verbatim="1")
    assert (done.status, ended(done.archive)) == (0, {"stored": 2})
    first, second = sorted(post.decode() for post in posts(done.archive).values())
    if "丙" in first:
        first, second = second, first
    assert 'title: "甲 &amp; 乙"\ndate: 2023-01-12T08:04:03.000Z\nauthor: 王\n' in first
    assert "from: http://news.example.org/base/%E4%B8%80.html\n" in first
    assert first.endswith("<div>\n<p>一&lt;二</p><br/><p></p>\n</div>\n")
    assert "date: 2023-01-12T08:04:03.000Z\n" in second
    assert second.endswith("<div>\n1 < 2\n</div>\n")
    url = f"{SITE}/base/%E4%B8%80.html"
    told = json.loads(scrapy("history", "--json", url, archive=done.archive).stdout)
    article = json.dumps(told, ensure_ascii=False)
    for word in ("甲 & 乙", "王", "李", "政治", "1.jpg", "zh-Hans", "短"):
        assert word in article


def test_rdf_has_another_time_that_counts_only_where_nothing_is_to_be_followed(server: Server, tmp_path: Path) -> None:
    def rdf(more: str) -> bytes:
        spaces = f"xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns='http://purl.org/rss/1.0/' {SPACES}"
        return (
            f"<rdf:RDF {spaces}><channel rdf:about='{SITE}/'><title>x</title><link>{SITE}/</link></channel>"
            f"<item rdf:about='{SITE}/1'><title>甲</title><link>{SITE}/1</link>"
            f"<description>文</description>{more}</item>"
            "</rdf:RDF>"
        ).encode()

    dated = "<dc:date>2023-01-12T08:04:03Z</dc:date>"
    assert ended(run(server, tmp_path, rdf(dated), verbatim="1").archive) == {"no-time": 1}
    assert ended(run(server, tmp_path, rdf(dated)).archive) == {"stored": 1}
    other = run(server, tmp_path / "other", rdf(f"<pubDate>{WHEN}</pubDate>"), verbatim="1")
    assert "date: 2023-01-12T08:04:03.000Z\n" in text(other.archive)


# Publishers.


def test_a_publisher_with_a_spider_has_its_identifiers_and_its_label(server: Server, tmp_path: Path) -> None:
    link = "http://www.cna.com.tw/news/firstnews/202301120001-1.aspx?utm=rss"
    one = f"<item><title>甲</title><link>{link}</link><author>某人</author><pubDate>{WHEN}</pubDate>"
    one += "<description>&lt;p>文&lt;/p></description></item>"
    done = run(server, tmp_path, rss(one), publisher="cna")
    assert ended(done.archive) == {"stored": 1}
    assert list(posts(done.archive)) == ["_posts/cna/2023/2023-01-12-202301120001.md"]
    assert "author: (臺)中央社CNA\n" in text(done.archive)
    assert "utm" not in text(done.archive)
    verbatim = run(server, tmp_path / "verbatim", publisher="cna", verbatim="1")
    assert "author: 某人\nfrom: http://www.cna.com.tw/news/firstnews/202301120001-1.aspx?utm=rss\n" in text(
        verbatim.archive
    )
    assert "tags: [ (臺)中央社CNA ]\n" in text(verbatim.archive)
    remade(verbatim.archive)


def test_an_article_of_which_a_page_was_read_stays_as_it_is(server: Server, tmp_path: Path) -> None:
    page = server.answer("http://www.cna.com.tw/news/ahel/202401150001.aspx", reply(cna_page("202401150001")))
    assert crawl(server, tmp_path, page).status == 0
    before = posts(tmp_path / "archive")
    link = page.replace("ahel", "firstnews")
    one = (
        f"<item><title>甲</title><link>{link}</link><pubDate>{WHEN}</pubDate><description>另一篇文</description></item>"
    )
    done = run(server, tmp_path, rss(one), publisher="cna", verbatim="1")
    assert (done.status, ended(done.archive), posts(done.archive)) == (0, {"unchanged": 1}, before)


@pytest.mark.parametrize(
    "args",
    [
        {"url": ""},
        {"publisher": ""},
        {"publisher": "../x"},
        {"publisher": "a--b"},
        {"publisher": "x" * 65},
        {"publisher": "Ä"},
        {"label": "a\nb"},
        {"verbatim": "perhaps"},
        {"verbatm": "1"},
        {"url": "no-such-file.xml"},
        {"url": "ftp://example.org/feed.xml"},
        {"url": "http://user:secret@example.org/"},
    ],
)
def test_arguments_that_make_no_sense_are_told(args: Mapping[str, str]) -> None:
    given = {"url": FEED, "publisher": "example", **args}
    with pytest.raises(ValueError, match=r"."):
        FeedSpider.publisher_of(given)
    with pytest.raises(ValueError, match=r"."):
        FeedSpider(**given)


def test_arguments_are_looked_at_before_anything_is_done(tmp_path: Path) -> None:
    done = scrapy("crawl", "feed", "-a", f"url={FEED}", "-a", "publisher=../x", archive=tmp_path / "archive")
    assert (done.returncode, "Traceback" in done.stderr, (tmp_path / "archive").exists()) == (2, False, False)


def test_bare_is_an_option_too_but_only_of_feeds(tmp_path: Path) -> None:
    feed = tmp_path / "feed.xml"
    feed.write_bytes(rss(simple()))
    archive = tmp_path / "archive"
    done = scrapy("crawl", "feed", "--bare", "-a", f"url={feed}", "-a", "publisher=example", archive=archive)
    assert (done.returncode, text(archive)[:5]) == (0, "<!--1")
    assert scrapy("crawl", "cna", "--bare", archive=archive).returncode == 2


# From one run to the next.


def test_what_changes_is_a_revision_and_what_does_not_is_kept_once(server: Server, tmp_path: Path) -> None:
    first = run(server, tmp_path, rss(simple(1), simple(2)), verbatim="1")
    captures = sorted(first.archive.glob("captures/*/*.warc.gz"))
    second = run(server, tmp_path, rss(simple(3), simple(2, "改了。"), simple(1)), verbatim="1")
    assert ended(second.archive) == {"stored": 1, "revised": 1, "unchanged": 1}
    assert len(posts(second.archive)) == 3
    assert any(b"<div>\n\xe6\x94\xb9\xe4\xba\x86\xe3\x80\x82\n" in post for post in posts(second.archive).values())
    assert len(sorted(first.archive.glob("captures/*/*.warc.gz"))) == len(captures) + 1
    remade(second.archive)


def test_a_server_that_says_that_nothing_has_changed(server: Server, tmp_path: Path) -> None:
    server.answer(FEED, reply(rss(simple()), type="text/xml", etag='"1"'), reply("", "304 Not Modified"))
    assert ended(run(server, tmp_path).archive) == {"stored": 1}
    done = run(server, tmp_path)
    assert (done.status, ended(done.archive)) == (0, {"unchanged": 1})


def test_what_a_killed_run_did_not_get_to_is_taken_up(server: Server, tmp_path: Path) -> None:
    """The feed of a run is captured, and neither its items nor its account are there."""
    done = run(server, tmp_path, rss(simple(1)))
    other = run(server, tmp_path / "other", rss(simple(2)))
    for file in other.archive.glob("captures/*/*.warc.gz"):
        records = file.read_bytes().split(b"\x1f\x8b\x08")[1:-1]
        # The last one was the item's.
        (done.archive / "captures/example" / file.name).write_bytes(b"".join(b"\x1f\x8b\x08" + one for one in records))
    again = run(server, tmp_path, rss(simple(3)))
    assert ended(again.archive) == {"stored": 2}
    assert len(posts(again.archive)) == 3


def test_an_item_from_the_future_is_refused_until_it_is_its_time(server: Server, tmp_path: Path) -> None:
    done = run(server, tmp_path, rss(simple(time="Thu, 12 Jan 2323 16:04:03 GMT")), verbatim="1")
    assert (ended(done.archive), posts(done.archive)) == ({"future-time": 1}, {})
    captured = len(content(done.archive))
    again = run(server, tmp_path, verbatim="1")
    assert ended(again.archive) == {"future-time": 1}
    # The feed alone has been captured again.
    assert len([row for row in content(again.archive) if row[0] == "captures"]) <= captured


# Files.


def test_a_feed_may_lie_in_a_file(server: Server, tmp_path: Path) -> None:
    feed = tmp_path / "年 鑑.xml"
    feed.write_bytes(rss(*map(item, range(20))))
    for url in (str(feed), feed.as_uri()):
        done = run(server, tmp_path / str(len(url)), url=url, verbatim="1")
        assert (done.status, ended(done.archive)) == (0, {"stored": 20})
        assert sorted(posts(done.archive).values()) == sorted(expected(n, "front") for n in range(20))
        again = run(server, tmp_path / str(len(url)), url=url, verbatim="1")
        assert ended(again.archive) == {"unchanged": 20}
        remade(done.archive)
    assert server.asked == []


# Broken feeds.

#: Definitions are not looked at, and nothing that they name.
DEFINED = b"<!DOCTYPE rss [<!ENTITY a '<item>'><!ENTITY x SYSTEM 'file:///etc/passwd'>]>"


BROKEN = [
    (simple("x1", "沒有").removesuffix("</description></item>"), "malformed-item"),
    (simple("x2", "文").replace("</title>", ""), "malformed-item"),
    (simple("x3", "<![CDATA[文"), "malformed-item"),
    (simple("x4", "\udcff"), "encoding"),
    (simple("x5", "文", title=" \x00 "), "no-title"),
    (simple("x6", "文").replace("<title>標題</title>", ""), "no-title"),
    (simple("x7", "文", time=""), "no-time"),
    (simple("x8", "文", time="soon"), "no-time"),
    (simple("x9", "文", time="Thu, 12 Jan 2023 16:04:03 JST"), "no-time"),
    (simple("x10", " "), "no-text"),
    (simple("x11", "<![CDATA[\x00 \n]]>"), "no-text"),
    (simple("x12", "文").replace(f"<link>{SITE}/x12</link>", ""), "bad-url"),
    (simple("x13", "文").replace(f"<link>{SITE}/x13</link>", "<guid>12345</guid>"), "bad-url"),
    (simple("x14", "文").replace(f"{SITE}/x14", "javascript:x()"), "bad-url"),
    (simple("1", "另一文"), "duplicate"),
    ("<item/>", "bad-url"),
]


def test_broken_items_are_counted_and_stop_no_other(server: Server, tmp_path: Path) -> None:
    feed = "".join(f"{simple(n)}{broken}" for n, (broken, _) in enumerate(BROKEN, 1)) + simple("last", "<![CDATA[文]]>")
    body = rss("{}").replace(b"{}", feed.encode("utf-8", "surrogateescape"))
    refused = Counter(reason for _, reason in BROKEN)
    done = run(server, tmp_path, body, verbatim="1")
    assert (done.status, ended(done.archive)) == (1, {"stored": len(BROKEN) + 1, **refused})
    assert "Traceback" not in done.log
    before = posts(done.archive)
    assert ended(run(server, tmp_path, verbatim="1").archive) == {"unchanged": len(BROKEN) + 1, **refused}
    assert posts(done.archive) == before
    remade(done.archive)


@pytest.mark.parametrize(
    ("body", "how"),
    [
        (rss(simple(1), simple(2)), {"stored": 2}),
        (rss(simple(1), simple(2))[:-60], {"stored": 1, "truncated": 1}),
        (rss(simple(1), simple(2), around=""), {"stored": 2}),
        (rss(simple(1, more="<content:encoded>全文</content:encoded>"), around=""), {"stored": 1}),
        (b"\xef\xbb\xbf" + rss(simple(1)), {"stored": 1}),
        (rss(simple(1)).decode().encode("utf-16"), {"stored": 1}),
        (rss(simple(1)).replace(b'"1.0"', b'"1.0" encoding="gb2312"', 1).decode().encode("gb18030"), {"stored": 1}),
        (rss(simple(1)).replace(b"<rss", b"garbage \x00 & <rss", 1), {"stored": 1}),
        (b"<channel>" + simple(1).encode(), {"stored": 1}),
        (DEFINED + rss(simple(1, "&x;文"))[22:], {"stored": 1}),
    ],
    ids=range(10),
)
def test_what_can_be_read_of_a_broken_feed_is_read(
    server: Server, tmp_path: Path, body: bytes, how: dict[str, int]
) -> None:
    done = run(server, tmp_path, body, verbatim="1")
    assert ended(done.archive) == how
    assert "Traceback" not in done.log
    assert not any(b"root:" in post for post in posts(done.archive).values())
    remade(done.archive)


@pytest.mark.parametrize("name", ["base64", "idna", "undefined", "unicode_escape", "iso-2022-jp", "utf-32", "x-none"])
def test_what_is_no_encoding_of_feeds_is_not_decoded_with(name: str) -> None:
    body = rss(simple(1, "\x1b$Bx\\u0041")).replace(b'"1.0"', b'"1.0" encoding="%b"' % name.encode(), 1)
    for stated in ("", name):
        feed = read_feed(body.replace("標題".encode(), "標題".encode("big5")), FEED, stated)
        assert [one.problem for one in feed.items] == [None]
        assert "\\u0041" in feed.items[0].xml


def test_a_server_that_says_latin_1_of_everything_is_not_believed() -> None:
    body = rss(simple(1)).replace(b'"1.0"', b'"1.0" encoding="gb2312"', 1).decode().encode("gb18030")
    assert "標題" in read_feed(body, FEED, "ISO-8859-1").items[0].xml
    assert "é" in read_feed(rss(simple(1)).replace("標題".encode(), b"\xe9"), FEED, "ISO-8859-1").items[0].xml


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"<!DOCTYPE html><html><body><p>Moved</p></body></html>", "malformed-listing"),
        (b"not found", "malformed-listing"),
        (rss(), "empty-listing"),
        (b"<urlset><url><loc>http://x.org/</loc></url></urlset>", "malformed-listing"),
        (b"\x1f\x8b\x08\x00garbage", "malformed-listing"),
    ],
)
def test_what_is_no_feed_has_failed(server: Server, tmp_path: Path, body: bytes, reason: str) -> None:
    server.answer(FEED, reply(body, type="text/xml"))
    done = run(server, tmp_path)
    assert (done.status, [listing.get("failed") for listing in account(done.archive)["listings"]]) == (1, [reason])
    assert "Traceback" not in done.log


def test_a_feed_that_cannot_be_had_has_failed(server: Server, tmp_path: Path) -> None:
    server.answer(FEED, reply("", "404 Not Found"))
    done = run(server, tmp_path)
    assert (done.status, account(done.archive)["listings"][0]["failed"]) == (1, "status-404")
    server.answer("http://mirror.example.net/robots.txt", reply("User-agent: *\nDisallow: /", type="text/plain"))
    done = run(server, tmp_path / "robots", rss(simple()))
    assert (done.status, account(done.archive)["listings"][0]["failed"]) == (1, "robots")


@needs_shared
def test_a_real_feed(server: Server, tmp_path: Path) -> None:
    feed = (SHARED / "feeds" / "rss-chi-all.2015-03-16.greatfire.rss").read_bytes()
    done = run(server, tmp_path, feed, publisher="dw")
    told = ended(done.archive)
    assert (told["stored"], sum(told.values())) == (63, feed.count(b"<item "))


# Times.


@pytest.mark.parametrize(("told", "date", "stamp"), TIMES)
def test_times_are_read_as_in_a_browser(told: str, date: str, stamp: int) -> None:
    assert date_parse(told) == datetime.fromtimestamp(stamp / 1000, UTC) == datetime.fromisoformat(date)


@pytest.mark.parametrize(
    "told", ["", "soon", "Thu, 12 Jan 2023 16:04:03 JST", "2023-13-01", "2023年1月12日", "12:00", "9" * 300, "31"]
)
def test_what_is_no_time_is_none(told: str) -> None:
    assert date_parse(told) is None


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_an_engine_reads_the_same_times() -> None:
    days = ["12 Jan 2023", "Jan 12, 2023", "2023-01-12", "1/12/2023", "2023/1/12", "12-Jan-23", "Thu, 12 January 2023"]
    days += ["Sept 3 1999", "31 Feb 2023", "0 Jan 2023", "12 Jan", "2023", "2023-01", "12\u00a0Jan\u30002023"]
    times = ["", " 16:04", " 16:04:03", "T16:04:03", " 4:04:03 PM", " 24:00:00", " 24:00:01", " 16:04:03.5", " 16:60"]
    zones = ["", "Z", " GMT", " CST", " EDT", " +0800", "+08:00", " -08", " -5", " UTC+1", " (CST)", " BST", " +12345"]
    told = [day + time + zone for day in days for time in times for zone in zones]
    script = "console.log(JSON.stringify(JSON.parse(require('fs').readFileSync(0)).map(t => Date.parse(t))))"
    done = subprocess.run(
        ["node", "-e", script], input=json.dumps(told), env={"TZ": "UTC"}, capture_output=True, text=True, check=True
    )
    for one, stamp in zip(told, json.loads(done.stdout), strict=True):
        found = date_parse(one)
        assert (found and round(found.timestamp() * 1000)) == stamp, one
