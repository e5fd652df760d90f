"""Posts: every form that exists, every text that breaks other writers, and back."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import hostile
import pytest
import yaml

from newsarchive.address import canonical_url
from newsarchive.article import Article
from newsarchive.post import Post, Unreadable, path, read, read_bytes, render, render_bytes
from newsarchive.spelling import WHITE_SPACE, escape_braces

SHARED = Path(__file__).parents[2] / "shared"

ARTICLE = Article(
    publisher="cna",
    id="202301120204",
    url="https://www.cna.com.tw/news/aopl/202301120204.aspx",
    title="日美2+2會談 同意深化合作",
    published=datetime(2023, 1, 12, 8, 4, 3, tzinfo=UTC),
    language="zh-Hant-TW",
    body="<div><p>（中央社東京12日電）甲。</p></div>",
)
LABEL = "(臺)中央社CNA"

FRONT = """\
---
layout: post
title: "日美2+2會談 同意深化合作"
date: 2023-01-12T08:04:03.000Z
author: (臺)中央社CNA
from: https://www.cna.com.tw/news/aopl/202301120204.aspx
tags: [ (臺)中央社CNA ]
comments: True
categories: [ (臺)中央社CNA ]
---
<!--1673510643000-->
[日美2+2會談 同意深化合作](https://www.cna.com.tw/news/aopl/202301120204.aspx)
------

<div>
<div><p>（中央社東京12日電）甲。</p></div>
</div>
"""

BARE = """\
<!--1673510643000-->
[日美2+2會談 同意深化合作](https://www.cna.com.tw/news/aopl/202301120204.aspx)
------

<div><p>（中央社東京12日電）甲。</p></div>
"""


def post(**changes: Any) -> Post:
    return replace(Post.from_article(ARTICLE, LABEL), **changes)


def of_title(title: str) -> Post:
    return Post.from_article(replace(ARTICLE, title=title), LABEL)


def of_author(author: str) -> Post:
    return Post.from_article(ARTICLE, author)


def link(text: str) -> str:
    return next(line for line in text.split("\n") if line.startswith("["))


def front_matter(text: str) -> Any:
    return yaml.safe_load(text.split("\n---\n")[0].removeprefix("---\n"))


def encodable(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


# Writing


def test_front() -> None:
    assert render(Post.from_article(ARTICLE, LABEL)) == FRONT


def test_bare() -> None:
    assert render(post(form="bare")) == BARE


def test_from_article() -> None:
    assert Post.from_article(ARTICLE, LABEL) == Post(
        form="front",
        title="日美2+2會談 同意深化合作",
        published=datetime(2023, 1, 12, 8, 4, 3, tzinfo=UTC),
        url="https://www.cna.com.tw/news/aopl/202301120204.aspx",
        author=LABEL,
        tags=(LABEL,),
        categories=(LABEL,),
        comments=True,
        body="<div><p>（中央社東京12日電）甲。</p></div>",
        written={},
    )


@pytest.mark.parametrize(
    ("published", "date", "stamp"),
    [
        (datetime(2023, 1, 12, 8, 4, 3, 999_999, tzinfo=UTC), "2023-01-12T08:04:03.999Z", 1673510643999),
        (
            datetime(2023, 1, 12, 7, tzinfo=timezone(timedelta(hours=8))),
            "2023-01-11T23:00:00.000Z",
            1673478000000,
        ),
        (datetime(1969, 12, 31, 23, 59, 59, 999_900, tzinfo=UTC), "1969-12-31T23:59:59.999Z", -1),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000Z", -62135596800000),
        (datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), "9999-12-31T23:59:59.999Z", 253402300799999),
    ],
)
def test_times(published: datetime, date: str, stamp: int) -> None:
    text = render(Post.from_article(replace(ARTICLE, published=published), LABEL))
    assert f"\ndate: {date}\n" in text
    assert f"\n<!--{stamp}-->\n" in text
    assert render(read(text)) == text
    assert not read(text).written


def test_from_article_refuses_what_a_post_cannot_say() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        Post.from_article(replace(ARTICLE, published=datetime(2023, 1, 12)), LABEL)
    for body in ("a\nb", "a\rb", "a\n"):
        with pytest.raises(ValueError, match="not on one line"):
            Post.from_article(replace(ARTICLE, body=body), LABEL)
    with pytest.raises(ValueError, match="not an address of the web"):
        Post.from_article(replace(ARTICLE, url="javascript:alert(1)"), LABEL)


def test_render_refuses_front_matter_without_time() -> None:
    with pytest.raises(ValueError, match="time of publication"):
        render(post(published=None))


def test_braces() -> None:
    assert escape_braces('<p title="{{ a }}">{% b %}</p>') == (
        '<p title="&#123;&#123; a &#125;&#125;">&#123;% b %&#125;</p>'
    )
    article = replace(ARTICLE, title="{{ a }} {b}", body="{% raw %}")
    text = render(Post.from_article(article, "{{ c }}"))
    assert "{{" not in text.split("\n---\n", 1)[1]
    assert "{%" not in text.split("\n---\n", 1)[1]
    assert 'author: "{{ c }}"' in text
    assert link(text).startswith("[&#123;{ a }} {b}](")


@pytest.mark.parametrize(
    "title",
    [
        *(
            "內蒙古罷課 警方懸賞緝民眾[影]",
            "[视频]：国际社会一致谴责",
            "中国CNMC与刚果 (金)的铜矿开采协议",
            "a_b_c ~ 1~2 a & b",
            "L`Aquila",
        ),
        *(
            "*ST海航、*ST康美",
            "5 * 3 * 2",
            "a < b > c",
            "AT&T",
            "a & b; c",
            "(a",
            "「a」：b",
            "中_國_人",
            "#a",
            "{a}",
            "!",
            "a}}b%}",
            "a|b",
        ),
    ],
)
def test_harmless_titles_stay_as_they_are(title: str) -> None:
    assert link(render(of_title(title))) == f"[{title}]({ARTICLE.url})"


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("a](b)", r"a\](b)"),
        ("[a](b)", r"\[a\](b)"),
        ("[a]: b", r"\[a&#93;: b"),
        ("*a*", r"\*a\*"),
        ("_「a」_", r"\_「a」\_"),
        ("<b>", r"\<b>"),
        ("a `b`", "a &#96;b&#96;"),
        ("a\\b", r"a\\b"),
        ("&copy; &copy", "&amp;copy; &copy"),
        ("{% a %}", "&#123;% a %}"),
        ("\u3000 a\nb\tc\x00d\x85e\x7f ", "a b cd e"),
        ("\u200b a\u2028b", "\u200b a\u2028b"),
        (" \n", ""),
    ],
)
def test_titles_that_mean_something(title: str, shown: str) -> None:
    text = render(of_title(title))
    assert link(text) == f"[{shown}]({ARTICLE.url})"
    assert read(text) == of_title(title)


def test_title_in_front_matter() -> None:
    title = 'a"b\\d\x00\t\n\x7f\x85\u2028\u2029\ufeff\ufffe\uffff\xa0\u200b😀'
    spelled = r'"a\"b\\d\x00\x09\x0a\x7f\x85' + "\u2028\u2029\ufeff" + r"\ufffe\uffff" + '\xa0\u200b😀"'
    assert f"\ntitle: {spelled}\n" in render(of_title(title))


@pytest.mark.parametrize(
    ("title", "spelled"),
    [
        ("\u2028a\u2029b\ufeff", "\u2028a\u2029b\ufeff"),
        ("a \u2028b\u2029 c\u3000\u2028", "a \\u2028b\\u2029 c\u3000\u2028"),
        ("a\u2028--- b\u2029---", "a\\u2028--- b\u2029---"),
        ("a\u2029... \u2028\u2028 b", "a\\u2029... \\u2028\\u2028 b"),
    ],
)
def test_separators_of_lines_are_escaped_only_where_yaml_would_fold_them(title: str, spelled: str) -> None:
    assert f'\ntitle: "{spelled}"\n' in render(of_title(title))
    for loader in (yaml.SafeLoader, yaml.CSafeLoader):
        assert yaml.load(f'title: "{spelled}"\n', loader) == {"title": title}


@pytest.mark.parametrize(
    ("author", "block", "flow"),
    [
        (LABEL, LABEL, LABEL),
        ("O'Brien & Co. (7-11)", "O'Brien & Co. (7-11)", "O'Brien & Co. (7-11)"),
        ("a, [b]", "a, [b]", '"a, [b]"'),
        ("Wer?", "Wer?", '"Wer?"'),
        *((author, f'"{author}"', f'"{author}"') for author in ("null", "007", "2023-01-12", "12:30", "@a", "- a")),
        *((author, f'"{author}"', f'"{author}"') for author in ("", " a", "a ", "a: b", "a #b", "#a", "~", "1,000")),
        ("a\nb", r'"a\x0ab"', r'"a\x0ab"'),
    ],
)
def test_authors(author: str, block: str, flow: str) -> None:
    lines = render(of_author(author)).split("\n")
    assert lines[4] == f"author: {block}"
    assert lines[6] == f"tags: [ {flow} ]"
    assert lines[8] == f"categories: [ {flow} ]"


# Addresses


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        (ARTICLE.url, ARTICLE.url),
        ("HTTPS://WWW.Example.COM:443/A%e4%zz%", "https://www.example.com/A%e4%zz%"),
        ("http://a.example:80/中 \"<>?`{}'()", "http://a.example/%E4%B8%AD%20%22%3C%3E?`%7B%7D%27()"),
        ("http://a.example/`{}'()[]|^", "http://a.example/%60%7B%7D'()[]|^"),
        ("http://a.example/a\\b?c\\d#{e}", "http://a.example/a/b?c\\d#%7Be%7D"),
        ("http://a.example:8080//cn/../x/./", "http://a.example:8080//x/"),
        ("http://例え.jp", "http://xn--r8jz45g.jp/"),
        ("http://a.example/\ud800", "http://a.example/%EF%BF%BD"),
        (" http://a.example/a\tb\nc\x00", "http://a.example/abc"),
    ],
)
def test_canonical_url(url: str, canonical: str) -> None:
    assert canonical_url(url) == canonical
    assert canonical_url(canonical) == canonical


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "a",
            "/a",
            "//a.example/",
            "http://",
            "http://a b/",
            "javascript:alert(1)",
            "data:text/html,a",
            "ftp://a.example/",
        ),
        *(
            "file:///etc/passwd",
            "http://u@a.example/",
            "http://u:p@a.example/",
            "http://:p@a.example/",
            "mailto:a@a.example",
        ),
        *("http://{{a}}/", "http://{%a%}/"),
    ],
)
def test_canonical_url_refuses(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (the message is can_ada's, or ours)
        canonical_url(url)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        *(
            (url, url)
            for url in ("https://a.example/a(b)_*c*?d=1&copy=2#e", "https://a.example/[a]|^'", "https://a.example/%")
        ),
        ("https://a.example/(", r"https://a.example/\("),
        ("https://a.example/)(", r"https://a.example/\)\("),
        ("https://a.example/](b)", r"https://a.example/]\(b\)"),
        ("https://a.example/?a\\b&copy;`", r"https://a.example/?a\\b&amp;copy;&#96;"),
    ],
)
def test_link_targets(url: str, target: str) -> None:
    text = render(post(url=url))
    assert link(text) == f"[{ARTICLE.title}]({target})"
    assert read(text) == post(url=url)


def test_address_in_front_matter_is_quoted_where_yaml_needs_it() -> None:
    assert '\nfrom: "https://a.example/a:"\n' in render(post(url="https://a.example/a:"))


def test_hostile_addresses() -> None:
    for url in map(canonical_url, hostile.URLS):
        text = render(post(url=url))
        assert front_matter(text)["from"] == url
        assert read(text) == post(url=url)
        assert read(render(post(url=url, form="bare"))).url == url


# Reading


def real_posts() -> Iterator[Path]:
    yield from sorted((SHARED / "seeds").glob("*.txt"))
    yield from sorted((SHARED / "posts").glob("*/*/*"))


@pytest.fixture(scope="module")
def real() -> dict[str, str]:
    texts = {str(file.relative_to(SHARED)): file.read_bytes().decode() for file in real_posts()}
    if not texts:
        pytest.skip(f"no real posts in {SHARED}")
    return texts


def test_real_posts_round_trip(real: dict[str, str]) -> None:
    assert [name for name, text in real.items() if render(read(text)) != text] == []
    contents = {name: text.encode() for name, text in real.items()}
    assert [name for name, content in contents.items() if render_bytes(read_bytes(content)) != content] == []
    assert len(real) >= 245


def test_real_posts_as_windows_saves_them(real: dict[str, str]) -> None:
    for text in real.values():
        content = "\ufeff".encode() + text.replace("\n", "\r\n").encode()
        found = read_bytes(content)
        assert replace(found, bom=False, newline="\n") == read(text)
        assert render_bytes(found) == content


def test_real_posts_cut_off_are_not_read(real: dict[str, str]) -> None:
    """Wherever the cut is: a bare one can be cut where one of its lines ends, and nothing shows it."""
    for number, (name, text) in enumerate(real.items()):
        content = text.encode()
        for cut in range(number % 97, len(content) - 1, 97):
            if content[:cut].endswith(b"\n") and not name.startswith("posts/front"):
                continue
            with pytest.raises(Unreadable) as error:
                read_bytes(content[:cut])
            assert error.value.reason == ("no-post" if 0 < cut < 4 else "cut-off"), (name, cut)


def test_real_posts_name_their_form(real: dict[str, str]) -> None:
    wrong = {name for name, text in real.items() if read(text).form != ("front" if text.startswith("---") else "bare")}
    assert wrong == set()


def test_real_posts_come_from_their_meaning(real: dict[str, str]) -> None:
    """All but those with an address as typed, a lost no-break space, or a reference in the title."""
    left = {name: read(text).written for name, text in real.items() if read(text).written}
    assert all(set(written) in ({"from"}, {"title"}, {"link"}) for written in left.values())
    assert all(
        canonical_url(written["from"]) == read(real[name]).url for name, written in left.items() if "from" in written
    )
    assert all("\xa0" in read(real[name]).title for name, written in left.items() if "title" in written)
    assert all("&amp;#" in written["link"] for written in left.values() if "link" in written)
    assert len(left) <= len(real) / 10


def test_real_posts_could_be_made_of_articles(real: dict[str, str]) -> None:
    for text in real.values():
        old = read(text)
        assert old.published
        article = replace(ARTICLE, title=old.title, published=old.published, url=old.url, body=old.body)
        new = replace(Post.from_article(article, old.author), form=old.form, comments=old.comments, written=old.written)
        assert render(replace(new, body=old.body)) == text


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("comments: True\n", ""), {"comments": False}),
        (
            (".000Z", ".001Z"),
            {"published": datetime(2023, 1, 12, 8, 4, 3, 1000, UTC), "written": {"stamp": "1673510643000"}},
        ),
        (
            ("04:03.000Z", "04:03+08:00"),
            {
                "published": datetime(2023, 1, 12, 0, 4, 3, 0, UTC),
                "written": {"date": "2023-01-12T08:04:03+08:00", "stamp": "1673510643000"},
            },
        ),
        (("1673510643000", "NaN"), {"written": {"stamp": "NaN"}}),
        (("</p></div>", "</p>\n\n</div>\n</div>"), {"body": "<div><p>（中央社東京12日電）甲。</p>\n\n</div>\n</div>"}),
        (("日美2+2", "日---美"), {"title": "日---美會談 同意深化合作"}),
        (("日美2+2", "日](a)"), {"title": "日](a)會談 同意深化合作"}),
        (("日美2+2", "C:\\new"), {"title": "C:\\new會談 同意深化合作"}),
        (("日美2+2", "\\d"), {"title": "\\d會談 同意深化合作"}),
        (("日美2+2", "a*b*"), {"title": "a*b*會談 同意深化合作"}),
        (("author: (臺)中央社CNA", "author: 007"), {"author": "007", "written": {"author": "007"}}),
        (("author: (臺)中央社CNA", "author: 'a ''b'''"), {"author": "a 'b'", "written": {"author": "'a ''b'''"}}),
        (("author: (臺)中央社CNA", 'author: "a\\tb"'), {"author": "a\tb", "written": {"author": '"a\\tb"'}}),
        (("author: (臺)中央社CNA", "author: a: b\nc"), {"author": "a: b\nc", "written": {"author": "a: b\nc"}}),
        (("tags: [ (臺)中央社CNA", "tags: [ a, b: c, 7"), {"tags": ("a, b: c, 7",), "written": {"tags": "a, b: c, 7"}}),
        (("tags: [ (臺)中央社CNA", "tags: [ a, b"), {"tags": ("a", "b")}),
        (("tags: [ (臺)中央社CNA", "tags: [ 7"), {"tags": ("7",), "written": {"tags": "7"}}),
    ],
)
def test_forms_in_the_wild(change: tuple[str, str], expected: dict[str, Any]) -> None:
    text = FRONT.replace(*change)
    assert text != FRONT
    found = read(text)
    assert render(found) == text
    assert {name: getattr(found, name) for name in expected} == expected
    others = {"title", "author", "published", "url", "tags", "categories", "comments", "body"} - set(expected)
    assert {name: getattr(found, name) for name in others} == {name: getattr(post(), name) for name in others}


@pytest.mark.parametrize(
    ("text", "title", "published"),
    [
        ("<!--NaN-->\n[a](http://www.rfi.fr//cn/b)\n------\n\nc\n", "a", None),
        (
            "<!---1-->\n[[x](y)](http://www.rfi.fr//cn/b)\n------\n\nc\n",
            "[x](y)",
            datetime(1969, 12, 31, 23, 59, 59, 999_000, UTC),
        ),
        ("<!--0-->\n[a\\](http://www.rfi.fr//cn/b)\n------\n\nc\n", "a\\", datetime(1970, 1, 1, tzinfo=UTC)),
        ("<!--0-->\n[a\\](b](http://www.rfi.fr//cn/b)\n------\n\nc\n", "a](b", datetime(1970, 1, 1, tzinfo=UTC)),
        ("<!--0-->\n[a](b)\\](http://www.rfi.fr//cn/b)\n------\n\nc\n", "a](b)\\", datetime(1970, 1, 1, tzinfo=UTC)),
        ("<!--0-->\n[](http://www.rfi.fr//cn/b)\n------\n\nc\n", "", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_bare_forms_in_the_wild(text: str, title: str, published: datetime | None) -> None:
    found = read(text)
    assert found == Post(
        form="bare",
        title=title,
        published=published,
        url="http://www.rfi.fr//cn/b",
        body="c",
        written=found.written,
    )
    assert render(found) == text


def test_old_titles_are_told_by_their_link_line() -> None:
    def old(front: str, shown: str) -> Post:
        text = FRONT.replace('"日美2+2會談 同意深化合作"', front).replace("[日美2+2會談 同意深化合作]", f"[{shown}]")
        assert render(read(text)) == text
        return read(text)

    assert old(r'"say \"hi\""', 'say "hi"') == post(title='say "hi"')
    assert old(r'"a\\b"', r"a\\b") == post(title="a\\b")
    assert old(r'"a\nb"', r"a\nb").title == r"a\nb"
    assert old(r'"a\nb"', "a b") == post(title="a\nb", written={"title": r'"a\nb"'})
    assert old(r'"a\"', "a\\").title == "a\\"
    assert old('"a b"', "a\xa0b").title == "a\xa0b"
    assert old('"a b c"', "a b... c").title == "a b... c"
    assert old('"a b "', "a\xa0b...").title == "a\xa0b..."
    assert old('" a"', "a").title == " a"
    assert old("a plain one", "a plain one").title == "a plain one"
    assert old("'a ''plain'' one'", "a 'plain' one").title == "a 'plain' one"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("\n", 1),
        ("# a page\n", 1),
        ("---\ntitle: a\n---\n", 1),
        (FRONT.replace("2023-01-12T08", "2023-01-32T08"), 4),
        (FRONT.replace("date: 2023-01-12T08:04:03.000Z", "date: yesterday"), 4),
        (FRONT.replace("comments: True", "comments: maybe"), 8),
        (FRONT.replace("<!--1673510643000", "<!--now"), 11),
        (FRONT.replace("<!--1673510643000", "<!--" + "9" * 15), 11),
        (FRONT.replace("[日美2", "日美2"), 12),
        (FRONT.replace("------", "-----"), 12),
        (FRONT.replace("</div>\n", ""), 16),
        (BARE.replace("1673510643000", ""), 1),
        (BARE.replace("](", "] ("), 2),
        (BARE[:-1], 5),
    ],
)
def test_unreadable_texts_name_the_line(text: str, line: int) -> None:
    with pytest.raises(Unreadable, match=rf"^line {line}: ") as error:
        read(text)
    assert error.value.line == line


# Hostile texts


def by_the_first_writers(title: str, author: str, form: str) -> str:
    """Return the post that the first writers made of a text: right or wrong, it must be read."""
    title = re.sub(r"[\x00-\x1f\x7f-\x9f]", "", encodable(title))
    escaped = title.replace('"', '\\"').replace("...", "", 1).replace("\xa0", " ")
    text = BARE if form == "bare" else FRONT.replace(f'"{ARTICLE.title}"', f'"{escaped}"')
    return text.replace(f"[{ARTICLE.title}]", f"[{title.strip(WHITE_SPACE)}]").replace(LABEL, encodable(author))


@pytest.mark.parametrize("form", ["front", "bare"])
def test_posts_of_the_first_writers(form: str) -> None:
    for number, author in enumerate(hostile.AUTHORS):
        title = hostile.TITLES[number % len(hostile.TITLES)]
        text = by_the_first_writers(title, author, form)
        found = read(text)
        assert render(found) == text
        assert (found.form, found.published, found.body) == (form, ARTICLE.published, ARTICLE.body)


TITLE_POSTS = [of_title(title) for title in hostile.TITLES]
AUTHOR_POSTS = [of_author(author) for author in hostile.AUTHORS]


def test_there_are_enough_hostile_texts() -> None:
    assert len(TITLE_POSTS) >= 500
    assert len(AUTHOR_POSTS) >= 500


def test_hostile_titles_round_trip() -> None:
    for title, hostile_post in zip(hostile.TITLES, TITLE_POSTS, strict=True):
        text = render(hostile_post)
        assert read(text).title == encodable(title)
        assert render(read(text)) == text
        assert text.count("\n") == FRONT.count("\n")
        assert front_matter(text)["title"] == encodable(title)


def test_hostile_titles_round_trip_in_bare_posts() -> None:
    for hostile_post in TITLE_POSTS:
        text = render(replace(hostile_post, form="bare"))
        assert text.count("\n") == BARE.count("\n")
        assert render(read(text)) == text
        assert render(replace(read(text), written={})) == text
        assert read(text).title == read(text).title.strip(WHITE_SPACE)


def test_hostile_authors_round_trip() -> None:
    for author, hostile_post in zip(map(encodable, hostile.AUTHORS), AUTHOR_POSTS, strict=True):
        text = render(hostile_post)
        found = read(text)
        assert (found.author, found.tags, found.categories) == (author, (author,), (author,))
        assert found.written == {} or "\ud800" <= max(hostile_post.author) <= "\udfff"
        assert render(found) == text
        matter = front_matter(text)
        assert (matter["author"], matter["tags"], matter["categories"]) == (author, [author], [author])
        assert text.count("\n") == FRONT.count("\n")


def test_several_tags() -> None:
    for start in range(0, len(hostile.AUTHORS), 10):
        tags = tuple(map(encodable, hostile.AUTHORS[start : start + 10]))
        text = render(post(tags=tags))
        assert read(text).tags == tags
        assert front_matter(text)["tags"] == list(tags)


def test_ruby_reads_the_same(tmp_path: Path) -> None:
    """Psych, the reader of Jekyll, agrees on every title, author, tag, address and date."""
    ruby = shutil.which("ruby")
    if not ruby:
        pytest.skip("ruby is not installed")
    posts = [*TITLE_POSTS, *AUTHOR_POSTS, *(post(url=canonical_url(url)) for url in hostile.URLS)]
    file = tmp_path / "front-matter.json"
    file.write_text(json.dumps([render(each).split("\n---\n")[0] for each in posts]), encoding="utf-8")
    script = """
        puts JSON.generate(JSON.parse(File.read(ARGV[0], encoding: "UTF-8")).map { |text|
            YAML.safe_load(text, permitted_classes: [Date, Time]).transform_values { |value|
                value.is_a?(Time) ? value.utc.iso8601(3) : value } })"""
    command = [ruby, "-ryaml", "-rjson", "-rdate", "-rtime", "-e", script, str(file)]
    out = subprocess.run(command, capture_output=True, check=True, encoding="utf-8").stdout
    for each, found in zip(posts, json.loads(out), strict=True):
        author = encodable(each.author)
        assert found == {
            "layout": "post",
            "title": encodable(each.title),
            "date": "2023-01-12T08:04:03.000Z",
            "author": author,
            "from": each.url,
            "tags": [author],
            "comments": True,
            "categories": [author],
        }


# Paths


def test_path() -> None:
    assert str(path(ARTICLE)) == "_posts/cna/2023/2023-01-12-202301120204.md"
    rfi = replace(ARTICLE, publisher="rfi", id="WBMZ94965-RFI-TW-20230901")
    assert str(path(rfi)) == "_posts/rfi/2023/2023-01-12-WBMZ94965-RFI-TW-20230901.md"


def test_path_has_the_date_of_utc() -> None:
    new_year = datetime(2023, 1, 1, 7, 59, tzinfo=timezone(timedelta(hours=8)))
    assert str(path(replace(ARTICLE, published=new_year))) == "_posts/cna/2022/2022-12-31-202301120204.md"


def test_path_does_not_change_with_the_article() -> None:
    assert path(replace(ARTICLE, title="b", body="c", url="http://d.example/")) == path(ARTICLE)


def test_path_of_an_address() -> None:
    article = replace(ARTICLE, publisher="rfi", id="https://www.rfi.fr/cn/要闻分析/20220105-新年新气象")
    assert str(path(article)) == "_posts/rfi/2023/2023-01-12-https-www-rfi-fr-cn-20220105-ea3debdc89b97786.md"


def test_hostile_ids_get_safe_names_of_their_own() -> None:
    paths = [path(replace(ARTICLE, id=each)) for each in hostile.IDS]
    assert len({str(each).lower() for each in paths}) == len(hostile.IDS) == len(set(hostile.IDS))
    for each in paths:
        assert each.parts[:-1] == ("_posts", "cna", "2023")
        assert each.name.isascii()
        assert set(each.name) <= set("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.")
        assert len(each.name) <= 120
        assert each.name.startswith("2023-01-12-")
        assert each.name.endswith(".md")


def test_hostile_publishers_stay_in_their_folder() -> None:
    for each in hostile.IDS:
        found = path(replace(ARTICLE, publisher=each))
        assert len(found.parts) == 4
        assert found.parts[0] == "_posts"
        assert found.parts[1][0].isalnum()
