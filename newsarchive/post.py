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
from functools import lru_cache
from hashlib import sha256
from html import unescape
from html.entities import html5
from pathlib import PurePosixPath
from typing import Any, Literal, Self
from unicodedata import category

import can_ada
import yaml

from newsarchive.article import Article

__all__ = ["Post", "Unreadable", "canonical_url", "escape_braces", "path", "read", "render"]

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

#: What JavaScript's ``trim`` takes off: the link line was defined by it.
WHITE_SPACE = (
    "\t\n\v\f\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)


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
    return _well_formed(template.format_map({**_spelled(post), **post.written}))


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
        title=_title(spelled["title"], shown) if form == "front" else _unescaped(shown, _shown),
        published=meant.get("date", meant["stamp"]),
        url=_unescaped(target, _target),
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
    day = article.published.astimezone(UTC).isoformat()[:10]
    name = f"{day}-{_file_name(article.id)}.md"
    return PurePosixPath("_posts", _file_name(article.publisher), day[:4], name)


def canonical_url(url: str) -> str:
    """Return a web address as a browser writes it; raise ValueError if it is none, or names a user."""
    parsed = can_ada.parse(_well_formed(url))
    if parsed.protocol not in ("http:", "https:") or parsed.username or parsed.password:
        raise ValueError(f"not an address of the web: {url!r}")
    if "{" in parsed.host or "}" in parsed.host:
        raise ValueError(f"not a host name: {parsed.host!r}")
    # Browsers leave braces in queries and fragments, but Liquid would read them.
    return str(parsed.href).replace("{", "%7B").replace("}", "%7D")


def escape_braces(html: str) -> str:
    """Return HTML that means the same, in text and attribute values, and nothing to Liquid."""
    return html.replace("{", "&#123;").replace("}", "&#125;")


# The fields of the templates, from meaning to spelling.


def _spelled(post: Post) -> dict[str, str]:
    """Return how we spell the fields of the templates."""
    return {
        "title": _quoted(post.title),
        "date": post.published.isoformat(timespec="milliseconds")[:-6] + "Z" if post.published else "",
        "author": _scalar(post.author),
        "from": _scalar(post.url),
        "tags": ", ".join(_scalar(tag, flow=True) for tag in post.tags),
        "comments": COMMENTS if post.comments else "",
        "categories": ", ".join(_scalar(name, flow=True) for name in post.categories),
        "stamp": str((post.published - EPOCH) // MILLISECOND) if post.published else "NaN",
        "link": f"[{_shown(post.title)}]({_target(post.url)})",
        "body": post.body,
    }


def _well_formed(text: str) -> str:
    """Return text that can be encoded: surrogates are joined to pairs, or become U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


#: What YAML readers refuse, fold or drop, and what means something between double quotes.
UNQUOTABLE = re.compile(r'["\\\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]')


def _quoted(text: str) -> str:
    """Return text as a double-quoted YAML scalar on one line."""
    return f'"{UNQUOTABLE.sub(_yaml_escape, text)}"'


def _yaml_escape(match: re.Match[str]) -> str:
    """Return the YAML escape of one character."""
    char = match[0]
    if char in '"\\':
        return "\\" + char
    return f"\\x{ord(char):02x}" if char < "\u0100" else f"\\u{ord(char):04x}"


#: What cannot be a plain YAML scalar, in a block and between brackets.
NOT_PLAIN = re.compile(
    r"""^$|^[ ,\[\]{}#&*!|>'"%@`]|^[-?:](?:[ ]|$)|:(?:[ ]|$)|[ ]\#|[ ]$
    |[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]""",
    re.VERBOSE,
)
NOT_PLAIN_IN_FLOW = re.compile(r"^:|[,?\[\]{}]")

#: What PyYAML or Ruby's Psych reads as something else than a string.
OTHER_TYPE = re.compile(
    r"""~|=|<<|null|yes|no|true|false|on|off|[-+]?\.(?:inf|nan)|:.+
    |[-+]?(?=[\d.,_]*\d)[\d,_]*(?:\.[\d_]*)?(?:e[-+]?\d+)?
    |[-+]?0[xob][\da-f_,]+
    |[-+]?\d[\d_,]*(?::[0-5]?\d)+(?:\.[\d_]*)?
    |\d{4}-\d\d?-\d\d?(?:(?:t|\s+)[\d:.]+\s*(?:z|[-+][\d:]+)?)?""",
    re.VERBOSE | re.IGNORECASE,
)


@lru_cache(maxsize=256)
def _scalar(text: str, flow: bool = False) -> str:
    """Return text as a YAML scalar: plain if every reader takes it for the same string."""
    doubtful = NOT_PLAIN.search(text) or OTHER_TYPE.fullmatch(text) or (flow and NOT_PLAIN_IN_FLOW.search(text))
    return _quoted(text) if doubtful else text


#: A pair of brackets in which no Markdown reader sees a link, a footnote or a definition.
HARMLESS_BRACKETS = re.compile(r"(?<![!\]])\[(?!\^)[^\[\]]*\](?![(\[:{])")
#: Character references; those with a name are known only with their semicolon.
REFERENCE = re.compile(r"&(?:#\d+;|#[xX][0-9a-fA-F]+;|([A-Za-z][A-Za-z0-9]*;))")
#: Where a backslash does not help: with references in kramdown, with Liquid, within code.
ESCAPES = {"&": "&amp;", "{": "&#123;", "`": "&#96;"}


def _shown(title: str) -> str:
    """Return Markdown for the text of a link that shows the title, on one line.

    HTML has no place for control characters: they go, or become spaces where they were white space.
    """
    text = re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda match: " " if match[0].isspace() else "", title)
    text = text.strip(WHITE_SPACE)
    active = _all(r"[\[\]\\]|\{(?=[{%:])", text)
    for pair in HARMLESS_BRACKETS.finditer(text):
        active -= {pair.start(), pair.end() - 1}
    # Code needs two backticks, a tag or an autolink its ">".
    active |= _all("`", text) if text.count("`") > 1 else set()
    active |= _all("<(?=[!-~])", text[: text.rfind(">") + 1])
    active |= _references(text) | _emphasis(text, "*") | _emphasis(text, "_")
    # To kramdown "]:" makes the line a definition, escaped or not.
    return _escaped(text, active).replace("\\]:", "&#93;:")


def _all(pattern: str, text: str) -> set[int]:
    """Return where a pattern occurs."""
    return {match.start() for match in re.finditer(pattern, text)}


def _references(text: str) -> set[int]:
    """Return where character references begin."""
    return {match.start() for match in REFERENCE.finditer(text) if not match[1] or match[1] in html5}


def _emphasis(text: str, mark: str) -> set[int]:
    """Return where a mark stands if one of its runs can open emphasis that a later one can close.

    CommonMark's rule of flanking runs, where only letters and digits count as
    being neither white space nor punctuation: its versions differ about symbols.
    """
    runs = [run.span() for run in re.finditer(re.escape(mark) + "+", text)]
    opens, closes = [], []
    linked = f"[{text}]"
    for start, end in runs:
        before, after = linked[start], linked[end + 1]
        if mark == "_" and before.isalnum() and after.isalnum():
            continue
        if category(after) != "Zs" and not (category(after)[0] == "P" and before.isalnum()):
            opens.append(start)
        if category(before) != "Zs" and not (category(before)[0] == "P" and after.isalnum()):
            closes.append(start)
    if not (opens and closes and opens[0] < closes[-1]):
        return set()
    return {at for start, end in runs for at in range(start, end)}


def _escaped(text: str, active: set[int]) -> str:
    """Return text in which the characters at some positions mean nothing to Markdown and Liquid."""
    return "".join(ESCAPES.get(char, "\\" + char) if at in active else char for at, char in enumerate(text))


def _unescaped(text: str, escape: Callable[[str], str]) -> str:
    """Return what was escaped to the text, or the text itself if it was not escaped by us."""
    plain = re.sub(r"\\([!-/:-@\[-`{-~])|&(?:amp|#\d+);", lambda match: match[1] or unescape(match[0]), text)
    return plain if escape(plain) == text else text


def _target(url: str) -> str:
    """Return Markdown for the destination of a link that leads to the address."""
    active = _all(r"[\\`]", url) | _references(url)
    if "](" in url or not _balanced(url):
        active |= _all(r"[()]", url)
    return _escaped(url, active)


def _balanced(text: str, deepest: int = 30) -> bool:
    """Return whether parentheses match, no deeper than Markdown readers follow."""
    depth = 0
    for parenthesis in re.findall(r"[()]", text):
        depth += 1 if parenthesis == "(" else -1
        if not 0 <= depth <= deepest:
            return False
    return depth == 0


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


def _yaml(spelling: str) -> Any:
    """Return what YAML reads, every scalar as a string; None if it reads nothing."""
    try:
        return yaml.load(spelling, yaml.BaseLoader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        return None


def _string(spelling: str) -> str:
    """Return the string a YAML scalar stands for, also one left plain that YAML reads otherwise."""
    value = _yaml(spelling) if spelling.startswith(('"', "'")) else None
    return value if isinstance(value, str) else spelling


@lru_cache(maxsize=256)
def _strings(spelling: str) -> tuple[str, ...]:
    """Return the strings of a YAML flow sequence, or the one string that YAML does not read as such."""
    values = _yaml(f"[ {spelling} ]")
    is_list = isinstance(values, list) and all(isinstance(value, str) for value in values)
    return tuple(values) if is_list else (spelling,)


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
    ours = _string(spelling)
    if not re.fullmatch(r'".*"', spelling, re.DOTALL) or shown in (_shown(ours), ours.strip(WHITE_SPACE)):
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
    "title": _string,
    "date": _instant,
    "author": _string,
    "from": str,
    "tags": _strings,
    "comments": _comments,
    "categories": _strings,
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
