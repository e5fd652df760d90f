"""The forms of posts, and what a post says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, Self

from newsarchive.address import canonical_url
from newsarchive.article import Article
from newsarchive.spelling import escape_braces

__all__ = ["BARE", "COMMENTS", "EPOCH", "FEED", "FRONT", "FRONT_HEAD", "MILLISECOND", "Post", "Reason", "Unreadable"]

#: The front matter of the front form.
FRONT_HEAD = """\
---
layout: post
title: {title}
date: {date}
author: {author}
from: {from}
tags: [ {tags} ]
{comments}categories: [ {categories} ]
---
"""

#: The front form after its front matter.
FRONT = """\
<!--{stamp}-->
{link}
------

<div>
{body}
</div>{end}"""

BARE = """\
<!--{stamp}-->
{link}
------

{body}
"""

FEED = "{head}{body}{end}"

COMMENTS = "comments: True\n"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

#: Why a file is not read as a post, as words to count by. Only ``no-post`` files were never meant to be one.
Reason = Literal["no-post", "cut-off", "damaged", "date", "encoding", "line-ends", "nul-bytes", "too-large", "yaml"]


class Unreadable(ValueError):
    """Says which line of a text keeps it from being a post."""

    def __init__(self, line: int, problem: str, reason: Reason = "damaged") -> None:
        super().__init__(f"line {line}: {problem}")
        #: Number of the line, counted from 1.
        self.line = line
        #: What kind of problem it is.
        self.reason: Reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """An article as its Jekyll file says it."""

    #: ``front`` with front matter, ``bare`` without, ``feed`` with front matter and nothing else but the body.
    form: Literal["front", "bare", "feed"] = "front"
    #: Headline as plain text. The link line, all that a bare post has, drops white space at both ends.
    title: str
    #: Publication, aware, in UTC, whole milliseconds.
    #: None only in a bare post stamped ``NaN`` and in a feed post without date.
    published: datetime | None
    #: Address of the article as a browser writes it (``canonical_url``), where it is one of the web; the link line's.
    #: Empty in a feed post that tells none, as before 2021.
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
    #: How the lines of the file end.
    newline: Literal["\n", "\r\n"] = "\n"
    #: Whether the file begins with a byte order mark.
    bom: bool = False
    #: Spellings met in a file, by the template's names, where ours would differ; empty in a new post.
    #: ``head`` is front matter that does not follow our template, as always in a feed post.
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
