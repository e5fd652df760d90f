"""Posts as jekyll-import makes them of feeds: whatever Ruby or a hand wrote above the body, the same bytes again."""

import json
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hostile
import pytest
import yaml
from test_post import encodable, post

from newsarchive.post import Post, Unreadable, read, read_bytes, render, render_bytes

FEED = """\
---
layout: post
title: 甲乙 丙丁
date: 2021-04-01 15:34:02.000000000 +08:00
link: https://www.cna.com.tw/news/firstnews/202104010163.aspx
categories: cna
---

<div class="fullPic"><img src="a.jpg"></div><div class="paragraph"><p>甲。</p>
  <p>乙。</p></div>
"""

READ = Post(
    form="feed",
    title="甲乙 丙丁",
    published=datetime(2021, 4, 1, 7, 34, 2, tzinfo=UTC),
    url="https://www.cna.com.tw/news/firstnews/202104010163.aspx",
    categories=("cna",),
    comments=False,
    body='<div class="fullPic"><img src="a.jpg"></div><div class="paragraph"><p>甲。</p>\n  <p>乙。</p></div>',
    written={"head": FEED[: FEED.index("<div")]},
)


def found_in(text: str) -> Post:
    """Return the post in a text, which is its content again."""
    found = read_bytes(text.encode())
    assert render_bytes(found) == text.encode()
    assert render(read(text)) == text
    return found


def test_feed() -> None:
    assert found_in(FEED) == READ


def test_a_feed_post_is_not_made_anew() -> None:
    with pytest.raises(ValueError, match="written back, not written"):
        render(post(form="feed"))


@pytest.mark.parametrize(
    ("spelled", "title"),
    [
        ("甲: 乙", None),
        ("'甲: ''乙'''", "甲: '乙'"),
        ('"「甲」乙 \\b\\"\\u4e19\\\n  丁"', '「甲」乙 \b"丙丁'),
        ("甲\n  乙\n  丙", "甲 乙 丙"),
        ("'甲\n\n  乙'", "甲\n乙"),
        ("|-\n  甲\n  乙: 丙", "甲\n乙: 丙"),
        (">-\n  甲\n  乙", "甲 乙"),
        (">\n  甲\n\n  乙\n", "甲\n乙\n"),
        ("!binary |-\n  55Sy5LmZ", "甲乙"),
        ("!ruby/object:Gem::Requirement 甲", "甲"),
        ("!!python/object/apply:os.system 甲", "甲"),
        ("&a 甲", "甲"),
        ("甲 # 乙", "甲"),
        ("  甲  ", "甲"),
        ("2021-04-01", "2021-04-01"),
        ("007", "007"),
        ("'null'", "null"),
        ("null", ""),
        ("", ""),
        ("''", ""),
        ("甲---乙", "甲---乙"),
        ("'---'", "---"),
        ("'甲", None),
        ('"甲\\d"', None),
        ("{甲", None),
        ("@甲", None),
        ("*a", None),
        ("甲\n乙", None),
        ("甲\x7f", None),
        ("!binary 5Lit5", None),
        ("!binary gA==", None),
    ],
)
def test_titles(spelled: str, title: str | None) -> None:
    text = FEED.replace("甲乙 丙丁", spelled)
    if title is None:
        with pytest.raises(Unreadable, match=r"^line [34]: (front matter|title): ") as error:
            read(text)
        assert error.value.reason == "yaml"
    else:
        assert found_in(text).title == title


@pytest.mark.parametrize(
    ("spelled", "published"),
    [
        *(
            (spelled, datetime(2021, 4, 1, 7, 34, 2, tzinfo=UTC))
            for spelled in (
                "2021-04-01 07:34:02.000000000 Z",
                "2021-04-01 07:34:02.000000000 +00:00",
                "2021-04-01 07:34:02 UTC",
                "2021-04-01 07:34:02",
                "'2021-04-01 15:34:02 +0800'",
                '"2021-04-01T15:34:02+08:00"',
                "2021-04-01T07:34:02Z",
                "Thu, 01 Apr 2021 15:34:02 +0800",
                "1 Apr 2021 07:34:02 GMT",
            )
        ),
        ("2021-04-01 07:34:02.123456789 Z", datetime(2021, 4, 1, 7, 34, 2, 123_000, tzinfo=UTC)),
        ("2021-04-01", datetime(2021, 4, 1, tzinfo=UTC)),
        ("", None),
    ],
)
def test_dates(spelled: str, published: datetime | None) -> None:
    text = FEED.replace("2021-04-01 15:34:02.000000000 +08:00", spelled)
    assert found_in(text) == replace(READ, published=published, written={"head": text[: text.index("<div")]})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("---\nlayout", "--- \nlayout"), {}),
        (("categories: cna\n---\n\n", "categories: cna\n---\n"), {}),
        (("categories: cna\n---\n\n", "categories: cna\n--- \n\n\n\n"), {}),
        (("categories: cna\n---\n\n", "categories: cna\n...\n\n"), {}),
        (("layout: post\n", ""), {}),
        (("layout: post\n", "# by hand\nlang: zh\nlayout: post\n\n"), {}),
        (("categories: cna\n", "guid: a\nsource: {a: [b, {c: d}]}\n'e f': 1\ncategories: cna\n"), {}),
        (("categories: cna\n", "categories:\n- cna\n"), {}),
        (("categories: cna\n", "categories:\n  - cna\n  - 'a b'\n"), {"categories": ("cna", "a b")}),
        (("categories: cna\n", "categories: [ cna, a b ]\n"), {"categories": ("cna", "a b")}),
        (("categories: cna\n", "categories: cna a\n"), {"categories": ("cna", "a")}),
        (("categories: cna\n", "category: cna a\n"), {"categories": ("cna a",)}),
        (("categories: cna\n", "categories: &1\n- cna\ntags: *1\n"), {"tags": ("cna",)}),
        (("categories: cna\n", ""), {"categories": ()}),
        (("categories: cna\n", "categories:\n"), {"categories": ()}),
        (
            ("categories: cna\n", "categories:\n- !ruby/object:RSS::Category\n  content: a\n  parent: &1 {b: *1}\n"),
            {"categories": ()},
        ),
        (("categories: cna\n", "categories: cna\ntag: a b\nauthor: 甲\n"), {"tags": ("a b",), "author": "甲"}),
        (("categories: cna\n", "categories: cna\ntag:\n- a\n- b\nauthor: [甲]\n"), {"tags": ("a", "b")}),
        (("categories: cna\n", "categories: cna\ncomments: true\n"), {"comments": True}),
        (("link: ", "canonical_url: "), {}),
        (("link: ", "link:\nguid: "), {}),
        (("link: https://www.cna.com.tw/news/firstnews/202104010163.aspx\n", ""), {"url": ""}),
        (("link: https://www.cna.com.tw/news/firstnews/202104010163.aspx", "guid: 'urn:a'"), {"url": ""}),
        (("link: https://www.cna.com.tw/", "link: 'HTTPS://WWW.cna.com.tw:443/"), None),
        (("202104010163.aspx", "甲.aspx"), {"url": "https://www.cna.com.tw/news/firstnews/%E7%94%B2.aspx"}),
        (
            ("link: https://www.cna.com.tw/news/firstnews/202104010163.aspx", 'link: "https://a.example/b\\n  /c"'),
            {"url": "https://a.example/b  /c".replace(" ", "%20")},
        ),
        (("link: https://www.cna.com.tw/", "link: /"), {"url": "/news/firstnews/202104010163.aspx"}),
    ],
)
def test_front_matter(change: tuple[str, str], expected: dict[str, Any] | None) -> None:
    text = FEED.replace(*change)
    assert text != FEED
    if expected is None:
        with pytest.raises(Unreadable, match=r"^line 5: ") as error:
            read(text)
        assert error.value.reason == "yaml"
    else:
        assert found_in(text) == replace(READ, **expected, written={"head": text[: text.index("<div class")]})


@pytest.mark.parametrize(
    ("spelled", "title"),
    [('"甲乙 丙丁"', "甲乙 丙丁"), (r'"\d甲 \"乙\""', r'\d甲 "乙"'), ('"甲" 乙', '"甲" 乙'), ("甲: 乙", "甲: 乙")],
)
def test_front_matter_of_our_form_with_nothing_but_a_body(spelled: str, title: str) -> None:
    """So the first writers kept what was no article of a feed."""
    head = f"---\nlayout: post\ntitle: {spelled}\ndate: 2021-04-01T15:34:02+08:00\nauthor: 甲\n"
    head += f"from: {READ.url}\ntags: [ 乙, 丙 ]\ncategories: [ 乙 ]\n---\n\n"
    found = found_in(head + "<p>甲</p>\n\n")
    assert found == Post(
        form="feed",
        title=title,
        published=READ.published,
        url=READ.url,
        author="甲",
        tags=("乙", "丙"),
        categories=("乙",),
        comments=False,
        body="<p>甲</p>",
        written={"head": head, "end": "\n\n"},
    )


def test_order_of_fields() -> None:
    lines = FEED.split("\n")
    text = "\n".join([lines[0], *reversed(lines[1:6]), *lines[6:]])
    assert found_in(text) == replace(READ, written={"head": text[: text.index("<div")]})


@pytest.mark.parametrize(
    "body",
    [
        "甲\r\n\r\n乙\r\n",
        "甲\n---\n乙\n",
        "<!-- 甲 -->\n<p>乙</p>\n",
        "<p>甲</p>",
        "<p>甲</p>\n\n\n",
        " \t<p>甲</p>\n",
        "{{ 甲 }}\n{% 乙 %}\n",
        "\n",
        "\n\n",
        "甲\u2028\u0085\x0c\x1c乙\n",
    ],
)
def test_bodies(body: str) -> None:
    found = found_in(FEED[: FEED.index("<div")] + body)
    assert found.body == (body.strip("\n"))
    assert (found.form, found.title) == ("feed", "甲乙 丙丁")


def test_windows() -> None:
    text = FEED.replace("\n", "\r\n")
    assert found_in(text) == replace(READ, newline="\r\n")
    assert found_in("\ufeff" + text) == replace(READ, newline="\r\n", bom=True)
    assert found_in("\ufeff" + FEED) == replace(READ, bom=True)


def test_only_the_front_matter_ends_its_lines_for_windows() -> None:
    head = FEED[: FEED.index("<div")].replace("\n", "\r\n")
    with pytest.raises(Unreadable, match=r"^line 9: ") as error:
        read(head + "<p>甲</p>\n")
    assert error.value.reason == "line-ends"


# Texts of all kinds, as other programs spell them

TITLES = [*hostile.TITLES, *hostile.AUTHORS]


@pytest.mark.parametrize(
    "style",
    [
        {"allow_unicode": True},
        {"allow_unicode": True, "width": 20},
        {"allow_unicode": False},
        {"default_style": "'", "allow_unicode": True},
        {"default_style": '"', "width": 30},
        {"default_style": "|", "allow_unicode": True},
        {"default_style": ">", "allow_unicode": True, "width": 10},
        {"default_flow_style": False, "explicit_start": True, "line_break": "\n"},
    ],
    ids=str,
)
def test_titles_as_python_dumps_them(style: dict[str, Any]) -> None:
    # To PyYAML three more characters end a line, also the one before the dashes, which is not Jekyll's view.
    titles = [encodable(title) for title in TITLES[::3] if not set(title) & set("\x85\u2028\u2029")]
    for number, title in enumerate(titles):
        about = {"layout": "post", "title": title, "date": "2021-04-01", "categories": ["cna", title]}
        head = yaml.safe_dump(about, sort_keys=bool(number % 2), **style).removeprefix("---\n")
        body = hostile.BODIES[number % len(hostile.BODIES)].strip("\n")
        text = encodable(f"---\n{head}---\n\n{body}\n")
        found = read(text)
        assert render(found) == text
        assert (found.form, found.title, found.categories) == ("feed", title, ("cna", title))
        assert found.body == encodable(body).strip("\n") or found.newline == "\r\n"


def test_titles_as_ruby_dumps_them(tmp_path: Path) -> None:
    """The importer's own lines, and its own Psych."""
    ruby = shutil.which("ruby")
    if not ruby:
        pytest.skip("ruby is not installed")
    titles = [encodable(title) for title in TITLES]
    file = tmp_path / "titles.json"
    file.write_text(json.dumps(titles), encoding="utf-8")
    script = """
        puts JSON.generate(JSON.parse(File.read(ARGV[0], encoding: "UTF-8")).map { |title|
            header = { "layout" => "post", "title" => title, "date" => Time.new(2021, 4, 1, 15, 34, 2, "+08:00"),
                "link" => "https://a.example/" + title, "categories" => [title], "tag" => nil }
            header.to_yaml + "---\\n\\n" + "<p>a</p>\\n" })"""
    command = [ruby, "-ryaml", "-rjson", "-e", script, str(file)]
    out = subprocess.run(command, capture_output=True, check=True, encoding="utf-8").stdout
    for title, text in zip(titles, json.loads(out), strict=True):
        found = read(text)
        assert render(found) == text
        assert (found.title, found.categories, found.tags) == (title, (title,), ())
        assert (found.published, found.body) == (READ.published, "<p>a</p>")
