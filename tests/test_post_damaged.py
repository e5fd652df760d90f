"""Files that are no good posts: what can be understood for certain is read, the rest says where and why."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from test_post import BARE, FRONT, LABEL, post
from test_post_feed import FEED

from newsarchive.post import Reason, Unreadable, read, read_bytes, render_bytes


def head_of(text: str) -> str:
    """Return the front matter of a post in the front form."""
    return text[: text.index("<!--")]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("comments: True\n", "comments: true\n"), {}),
        (("comments: True\n", "comments: false\n"), {"comments": False}),
        (("comments: True\n", "lang: zh\ncomments: True\nweight: [1, {a: b}]\n"), {}),
        (("layout: post\n", ""), {}),
        (("layout: post\n", "layout: article\n"), {}),
        (("---\nlayout", "--- \nlayout"), {}),
        (("date: 2023-01-12T08:04:03.000Z\n", ""), {}),
        (("date: 2023-01-12T08:04:03.000Z\n", "date: 2023-01-12 16:04:03 +0800\nlang: zh\n"), {}),
        (('title: "日美2+2會談 同意深化合作"\n', ""), {}),
        (('title: "日美2+2會談 同意深化合作"\n', "title: >-\n  日美2+2會談\n  同意深化合作\n"), {}),
        (("from: https://www.cna.com.tw/news/aopl/202301120204.aspx\n", ""), {}),
        ((f"author: {LABEL}\n", ""), {"author": ""}),
        ((f"author: {LABEL}\n", "author: 甲\n  乙\nlang: zh\n"), {"author": "甲 乙"}),
        ((f"tags: [ {LABEL} ]\n", "tags:\n  - a\n  - b c\n"), {"tags": ("a", "b c")}),
        ((f"tags: [ {LABEL} ]\n", "tags: a b\n"), {"tags": ("a", "b")}),
        ((f"tags: [ {LABEL} ]\n", ""), {"tags": ()}),
        # No YAML, but every line is a field:
        ((f"author: {LABEL}\n", "author: a: b\nlang: zh\n"), {"author": "a: b"}),
        ((f"author: {LABEL}\n", f"lang: \\d: e\nauthor: {LABEL}\n"), {}),
    ],
)
def test_front_matter_by_hand(change: tuple[str, str], expected: dict[str, Any]) -> None:
    text = FRONT.replace(*change)
    assert text != FRONT
    assert read(text) == replace(post(**expected), written={"head": head_of(text)})
    assert render_bytes(read(text)).decode() == text


def test_titles_that_are_no_yaml_in_front_matter_by_hand() -> None:
    text = FRONT.replace("日美2+2會談", r"\d日美 \"2+2\"").replace("comments: True", "comments: true")
    text = text.replace(r"[\d日美 \"2+2\"", r'[\d日美 "2+2"')
    assert read(text).title == r'\d日美 "2+2" 同意深化合作'
    assert render_bytes(read(text)).decode() == text


def test_order_of_fields() -> None:
    lines = FRONT.split("\n")
    text = "\n".join([lines[0], *reversed(lines[1:9]), *lines[9:]])
    assert read(text) == post(written={"head": head_of(text)})
    assert render_bytes(read(text)).decode() == text


@pytest.mark.parametrize(("change", "end"), [(("</div>\n</div>\n", "</div>\n</div>"), ""), (("", ""), "\n\n")])
def test_line_feeds_at_the_end(change: tuple[str, str], end: str) -> None:
    text = FRONT.replace(*change).rstrip("\n") + end
    assert read(text) == post(written={"end": end})
    assert render_bytes(read(text)).decode() == text


@pytest.mark.parametrize("text", [FRONT, BARE])
def test_windows(text: str) -> None:
    content = ("\ufeff" + text.replace("\n", "\r\n")).encode()
    assert read_bytes(content) == replace(read(text), bom=True, newline="\r\n")
    assert render_bytes(read_bytes(content)) == content


def test_a_stamp_of_nan_leaves_the_date() -> None:
    assert read(FRONT.replace("1673510643000", "NaN")).published == datetime(2023, 1, 12, 8, 4, 3, tzinfo=UTC)
    assert read(BARE.replace("1673510643000", "NaN")).published is None


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        # No post at all
        ("# A page\n\n---\n", 1, "no-post"),
        ("<!-- a comment -->\n", 1, "no-post"),
        ("<html>\n", 1, "no-post"),
        ("---\n\nA text under a rule\n", 1, "no-post"),
        ("---\ntitle: About\n---\n\n<p>a</p>\n", 1, "no-post"),
        ("---\nlayout: page\ntitle: CNA\ndate: 2021-04-01\n---\n\n<p>a</p>\n", 1, "no-post"),
        ("---\nlayout: post\n---\n\n<p>a</p>\n", 1, "no-post"),
        ("---\n- a\n- b\n---\n\n<p>a</p>\n", 2, "no-post"),
        ("---\n---\n\n<p>a</p>\n", 2, "no-post"),
        # Bytes
        ("", 1, "cut-off"),
        (" \n", 1, "cut-off"),
        (FRONT.encode().replace("東京".encode(), "東京".encode("big5")), 16, "encoding"),
        (FRONT.encode("utf-16"), 1, "nul-bytes"),
        (FRONT.encode("big5", "replace"), 3, "encoding"),
        (FRONT.encode().replace(b"</p>", b"\xed\xa0\x80</p>"), 16, "encoding"),
        (FRONT.replace("</p>", "\0</p>"), 16, "nul-bytes"),
        ("\0" * 4096, 1, "nul-bytes"),
        (FRONT.replace("</p>", "a" * 8_400_000 + "</p>"), 1, "too-large"),
        (FRONT.encode()[: FRONT.encode().index("甲".encode()) + 1], 16, "cut-off"),
        (FRONT.replace("\n", "\r\n", 12), 13, "line-ends"),
        (BARE.replace("\n", "\r\n", 1), 2, "line-ends"),
        (BARE.replace("\n", "\r"), 1, "line-ends"),
        # Front matter
        ("---\n", 2, "cut-off"),
        (FRONT[:60], 4, "cut-off"),
        (FRONT.replace("categories: [ (臺)中央社CNA ]\n---\n", ""), 16, "cut-off"),
        (head_of(FRONT), 11, "cut-off"),
        (FRONT.replace('"日美', '"\n"日美').replace("comments: True", "a"), 4, "yaml"),
        (FRONT.replace("comments: True", "comments: maybe"), 8, "damaged"),
        (FRONT.replace("comments: True", "comments:\n- true"), 8, "damaged"),
        (FRONT.replace("2023-01-12T08", "2023-01-32T08"), 4, "date"),
        (FRONT.replace("2023-01-12T08:04:03.000Z", "now\nlang: zh"), 4, "date"),
        (FRONT.replace("date: 2023-01-12T08:04:03.000Z\n", "").replace("1673510643000", "NaN"), 10, "date"),
        (FEED.replace("2021-04-01 15", "2021-04-31 15"), 4, "date"),
        (FEED.replace("2021-04-01 15:34:02.000000000 +08:00", "Thu, 01 Apr 2021 15:34:02 CST"), 4, "date"),
        (FEED.replace("2021-04-01 15:34:02.000000000 +08:00", "[2021]"), 4, "date"),
        (FEED.replace("+08:00", "+99:00"), 4, "date"),
        (FEED.replace("甲乙 丙丁", "[甲]"), 3, "damaged"),
        (FEED.replace("甲乙 丙丁", "{甲: 乙}"), 3, "damaged"),
        (FEED.replace("categories: cna", "categories: cna\ntitle: 甲"), 7, "yaml"),
        (FEED.replace("categories: cna", "categories: cna\n[a]: b"), 7, "yaml"),
        (FEED.replace("layout: post\n", "- layout\n- post\n"), 4, "yaml"),
        (FEED.replace("categories: cna", "categories: " + "[" * 200_000), 2, "yaml"),
        (FEED.replace("categories: cna", "categories: cna\n" + "- " * 4_000), 7, "yaml"),
        # What follows it
        (FRONT.replace("<!--1673510643000", "<!--now"), 11, "damaged"),
        (FRONT.replace("<!--1673510643000-->\n", ""), 11, "damaged"),
        (FRONT.replace("[日美2", "日美2"), 12, "damaged"),
        (FRONT.replace("------", "-----"), 12, "damaged"),
        (FRONT[: FRONT.index("------")], 12, "cut-off"),
        (FRONT.replace("</div>\n", ""), 16, "cut-off"),
        (FRONT + "<p>a</p>\n", 18, "damaged"),
        (FEED[: FEED.index("\n\n")], 7, "cut-off"),
        (FEED[: FEED.index("。</p>")], 9, "cut-off"),
        (BARE[:-1], 5, "cut-off"),
        (BARE[: BARE.index("\n")], 1, "cut-off"),
    ],
)
def test_bad_files_name_line_and_reason(content: str | bytes, line: int, reason: Reason) -> None:
    with pytest.raises(Unreadable, match=rf"^line {line}: ") as error:
        read_bytes(content if isinstance(content, bytes) else content.encode())
    assert (error.value.line, error.value.reason) == (line, reason)
