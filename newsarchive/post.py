"""An article as a post, and back: render, read, path.

A post is a Jekyll file in one of two forms. The front form has front matter and
a ``<div>`` around the body, the bare form has neither. One template per form
serves both ways: ``render`` fills it in, ``read`` takes it apart.

What is read is parsed to its meaning. Posts in the wild spell some meanings in
their own way (an unescaped backslash, an address before percent-encoding, a
stamp of ``NaN``); such a spelling is kept beside the meaning, so that writing
back what was read gives the same bytes.

Three languages meet in a post: YAML in the front matter, Markdown in the link
line, and Liquid in everything after the front matter. Text that means something
in one of them is escaped, and only such text: ordinary headlines stay as they are.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any, Literal, Self

from newsarchive.address import canonical_url
from newsarchive.article import Article
from newsarchive.spelling import (
    WHITE_SPACE,
    escape_braces,
    link_target,
    link_text,
    quoted,
    scalar,
    string,
    strings,
    unescaped,
    well_formed,
)

__all__ = ["Post", "Unreadable", "content_of", "named", "path", "read", "render"]

FRONT = """\
---
layout: post
title: {title}
date: {date}
author: {author}
from: {from}
tags: [ {tags} ]
{comments}categories: [ {categories} ]
---
<!--{stamp}-->
{link}
------

<div>
{body}
</div>
"""

BARE = """\
<!--{stamp}-->
{link}
------

{body}
"""

COMMENTS = "comments: True\n"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


class Unreadable(ValueError):
    """Says which line of a text keeps it from being a post."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        #: Number of the line, counted from 1.
        self.line = line


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """An article as its Jekyll file says it."""

    #: ``front`` with front matter, ``bare`` without.
    form: Literal["front", "bare"] = "front"
    #: Headline as plain text. The link line, all that a bare post has, drops white space at both ends.
    title: str
    #: Publication, aware, in UTC, whole milliseconds; None only in a bare post stamped ``NaN``.
    published: datetime | None
    #: Address of the article as the link line has it: as a browser writes it (``canonical_url``).
    url: str
    #: Who signs: the publisher's label; empty in a bare post.
    author: str = ""
    #: Tags in order: the label alone in a new post, none in a bare one.
    tags: tuple[str, ...] = ()
    #: Categories in order: as tags.
    categories: tuple[str, ...] = ()
    #: Whether the front matter says ``comments: True``; it does not in the oldest posts.
    comments: bool = True
    #: HTML as it stands in the file: one line in a new post, possibly several in an old one.
    body: str
    #: Spellings met in a file, by the template's names, where ours would differ; empty in a new post.
    written: Mapping[str, str] = field(default_factory=dict, hash=False)

    @classmethod
    def from_article(cls, article: Article, label: str) -> Self:
        """Return the post of an article, signed with its publisher's label.

        Raises ValueError for a time without zone, an address that is not of the
        web, and a body of several lines.
        """
        if article.published.utcoffset() is None:
            raise ValueError(f"published has no time zone: {article.published}")
        # A blank line ends the HTML block: what follows it would be read as Markdown.
        if "\n" in article.body or "\r" in article.body:
            raise ValueError("the body is not on one line")
        return cls(
            title=article.title,
            published=EPOCH + (article.published - EPOCH) // MILLISECOND * MILLISECOND,
            url=canonical_url(article.url),
            author=label,
            tags=(label,),
            categories=(label,),
            body=escape_braces(article.body),
        )


def render(post: Post) -> str:
    """Return the text of a post's file; a lone surrogate becomes U+FFFD."""
    if post.form == "front" and not (post.published or "date" in post.written):
        raise ValueError("a post with front matter needs its time of publication")
    template = FRONT if post.form == "front" else BARE
    return well_formed(template.format_map({**_spelled(post), **post.written}))


def content_of(article: Article, label: str) -> bytes:
    """Return the bytes of an article's post, signed with its publisher's label; raise ValueError if it has none."""
    return article.content or render(Post.from_article(article, label)).encode()


def read(text: str) -> Post:
    """Return the post that a file's text holds; raise Unreadable if it holds none."""
    form: Literal["front", "bare"] = "front" if text.startswith("---\n") else "bare"
    spelled: dict[str, str] = {}
    meant: dict[str, Any] = {}
    for name, line, spelling in _taken_apart(text, FRONT if form == "front" else BARE):
        spelled[name] = spelling
        try:
            meant[name] = MEANINGS[name](spelling)
        except (ValueError, OverflowError) as error:
            raise Unreadable(line, f"{name}: {error}") from error
    shown, target = meant["link"]
    post = Post(
        form=form,
        title=_title(spelled["title"], shown) if form == "front" else unescaped(shown, link_text),
        published=meant.get("date", meant["stamp"]),
        url=unescaped(target, link_target),
        author=meant.get("author", ""),
        tags=meant.get("tags", ()),
        categories=meant.get("categories", ()),
        comments=meant.get("comments", True),
        body=spelled["body"],
    )
    ours = _spelled(post)
    return replace(post, written={name: text for name, text in spelled.items() if text != ours[name]})


def path(article: Article) -> PurePosixPath:
    """Return where an article's post lives in the archive: it depends on publisher, id and day alone."""
    return named(article.publisher, article.id, article.published, article.suffix)


def named(publisher: str, id: str, published: datetime, suffix: str = ".md") -> PurePosixPath:
    """Return where the post of an article of a publisher lives that has an id, and was published at a time."""
    day = published.astimezone(UTC).isoformat()[:10]
    return PurePosixPath("_posts", _file_name(publisher), day[:4], f"{day}-{_file_name(id)}{suffix}")


# The fields of the templates, from meaning to spelling.


def _spelled(post: Post) -> dict[str, str]:
    """Return how we spell the fields of the templates."""
    return {
        "title": quoted(post.title),
        "date": post.published.isoformat(timespec="milliseconds")[:-6] + "Z" if post.published else "",
        "author": scalar(post.author),
        "from": scalar(post.url),
        "tags": ", ".join(scalar(tag, flow=True) for tag in post.tags),
        "comments": COMMENTS if post.comments else "",
        "categories": ", ".join(scalar(name, flow=True) for name in post.categories),
        "stamp": str((post.published - EPOCH) // MILLISECOND) if post.published else "NaN",
        "link": f"[{link_text(post.title)}]({link_target(post.url)})",
        "body": post.body,
    }


# The fields of the templates, from spelling to meaning.


def _taken_apart(text: str, template: str) -> Iterator[tuple[str, int, str]]:
    """Yield the name, line and spelling of each field of a template that a text fills in."""
    start, *pieces = re.split(r"\{(\w+)\}", template)
    if not text.startswith(start):
        raise Unreadable(1, f"neither front matter nor {start!r}")
    position, line = len(start), 1 + start.count("\n")
    for name, following in zip(pieces[::2], pieces[1::2], strict=True):
        end = text.rfind(following, position) if name == "body" else text.find(following, position)
        if end < 0 or (name == "body" and end + len(following) != len(text)):
            raise Unreadable(line, f"{name} is not followed by {following!r}")
        yield name, line, text[position:end]
        line += text.count("\n", position, end + len(following))
        position = end + len(following)


def _instant(spelling: str) -> datetime:
    """Return the instant of an ISO 8601 date, which is in UTC unless it says otherwise."""
    instant = datetime.fromisoformat(spelling)
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)


def _stamp(spelling: str) -> datetime | None:
    """Return the instant of milliseconds since 1970, None for ``NaN``."""
    if spelling == "NaN":
        return None
    if not re.fullmatch(r"-?\d{1,15}", spelling, re.ASCII):
        raise ValueError("not a number of milliseconds")
    return EPOCH + int(spelling) * MILLISECOND


def _comments(spelling: str) -> bool:
    """Return whether the line about comments is there."""
    if spelling not in (COMMENTS, ""):
        raise ValueError(f"not {COMMENTS!r}")
    return bool(spelling)


def _link(spelling: str) -> tuple[str, str]:
    """Return text and destination of a link, divided at the last ``](`` that can be the right one.

    That is one before an address, and preferably not one that we escaped.
    """
    for middle in (r"(?<!\\)(?:\\\\)*\]\((?=https?:)", r"\]\((?=https?:)", r"\]\("):
        ends = [match.end() for match in re.finditer(middle, spelling)]
        if ends and spelling[0] == "[" and spelling[-1] == ")" and "\n" not in spelling:
            return spelling[1 : ends[-1] - 2], spelling[ends[-1] : -1]
    raise ValueError("not [title](address) on one line")


def _title(spelling: str, shown: str) -> str:
    """Return the title of front matter whose writer may have escaped nothing but quotes.

    The same spelling then has two meanings; the link line tells which one is meant.
    """
    ours = string(spelling)
    if not re.fullmatch(r'".*"', spelling, re.DOTALL) or shown in (link_text(ours), ours.strip(WHITE_SPACE)):
        return ours
    theirs = spelling[1:-1].replace('\\"', '"')
    if shown == theirs.strip(WHITE_SPACE):
        return theirs
    # They also took no-break spaces and an ellipsis out of the front matter.
    faded = shown.replace("\xa0", " ")
    if theirs.strip(WHITE_SPACE) in (faded, faded.replace("...", "", 1).strip(WHITE_SPACE)):
        return shown
    return theirs if ours == spelling else ours


MEANINGS: dict[str, Callable[[str], Any]] = {
    "title": string,
    "date": _instant,
    "author": string,
    "from": str,
    "tags": strings,
    "comments": _comments,
    "categories": strings,
    "stamp": _stamp,
    "link": _link,
    "body": str,
}


# Names of files.


def _file_name(text: str) -> str:
    """Return a name that is safe on every file system, and the text itself if it is such a name.

    Other texts become a slug and a hash. Jekyll joins separators when it makes an
    address of a name, and some file systems do not tell cases apart: so neither
    doubled separators nor mixed cases are safe, nor what looks like our own hash.
    """
    safe = re.fullmatch(r"(?=.{1,90}$)(?:[0-9a-z]+(?:[._-][0-9a-z]+)*|[0-9A-Z]+(?:[._-][0-9A-Z]+)*)", text)
    if safe and not re.search(r"-[0-9a-f]{16}$", text):
        return text
    slug = "-".join(re.findall("[0-9a-z]+", text.lower()))[-60:].strip("-")
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{slug or 'id'}-{digest}"
