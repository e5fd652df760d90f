"""Posts from bytes to meaning."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NamedTuple

from newsarchive.address import canonical_url
from newsarchive.post.forms import BARE, COMMENTS, EPOCH, FRONT, FRONT_HEAD, MILLISECOND, Post, Reason, Unreadable
from newsarchive.post.front_matter import CLOSED, OPENED, Field, fields, one_by_one
from newsarchive.post.writing import spelled
from newsarchive.spelling import WHITE_SPACE, link_target, link_text, string, strings, unescaped

__all__ = ["read", "read_bytes"]

#: More bytes than the longest article has by far.
LARGEST = 8 * 1024 * 1024
#: How the forms begin that have a stamp, whether it is a good one or not.
STAMPED = re.compile(r"<!--(?:-?\d+|NaN)|<!--.*-->\n\[|\[.*\]\(.*\)\n------", re.ASCII)


def read_bytes(content: bytes) -> Post:
    """Return the post that a file's content holds; raise Unreadable if it holds none."""
    if len(content) > LARGEST:
        raise Unreadable(1, f"{len(content)} bytes", "too-large")
    if (nul := content.find(b"\0")) >= 0:
        raise Unreadable(1 + content.count(b"\n", 0, nul), "a NUL byte", "nul-bytes")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        ends_within_character = error.end == len(content) and error.reason == "unexpected end of data"
        reason: Reason = "cut-off" if ends_within_character else "encoding"
        raise Unreadable(1 + content.count(b"\n", 0, error.start), f"not UTF-8: {error.reason}", reason) from error
    return read(text)


def read(text: str) -> Post:
    """Return the post that a file's text holds; raise Unreadable if it holds none."""
    bom = text.startswith("\ufeff")
    text = text.removeprefix("\ufeff")
    newline = _newline(text)
    post = _read(text.replace(newline, "\n") if newline != "\n" else text)
    return replace(post, bom=bom, newline=newline) if bom or newline != "\n" else post


def _newline(text: str) -> Literal["\n", "\r\n"]:
    """Return how the lines end: as the first one does, and then all do, or only some of a body's end otherwise."""
    first = text.find("\n")
    if first < 0 <= text.find("\r"):
        raise Unreadable(1, "no line feed, but carriage returns", "line-ends")
    if first < 1 or text[first - 1] != "\r":
        return "\n"
    if odd := re.search(r"(?<!\r)\n", text):
        raise Unreadable(1 + text.count("\n", 0, odd.start()), "a line that ends otherwise than the first", "line-ends")
    return "\r\n"


def _read(text: str) -> Post:
    """Return the post of a text whose lines end as we end them."""
    if opened := OPENED.match(text):
        closed = CLOSED.search(text, opened.end())
        if not closed:
            raise _unclosed(text, opened.end())
        head = text[: closed.end()]
        return _front(text, head) if STAMPED.match(text, closed.end()) else _feed(text, head)
    if STAMPED.match(text):
        return _bare(text)
    if not text.strip():
        raise Unreadable(1, "an empty file", "cut-off")
    raise Unreadable(1, "neither front matter nor a stamp", "no-post")


def _unclosed(text: str, start: int) -> Unreadable:
    """Return what is wrong with front matter that does not end."""
    begun = re.search(r"^(?:layout|title|date):", text[start:], re.MULTILINE) or "layout: post\n".startswith(
        text[start:]
    )
    if begun:
        return Unreadable(1 + text.count("\n"), "the front matter does not end", "cut-off")
    return Unreadable(1, "a line of dashes, but no front matter", "no-post")


# The three forms.


def _bare(text: str) -> Post:
    """Return the post of a text without front matter."""
    found = _taken_apart(text, 0, BARE_START)
    body = text[_end(found["link"], BARE_START) :]
    if not body.endswith("\n"):
        raise Unreadable(1 + text.count("\n"), "the last line does not end", "cut-off")
    shown, target = _meant(text, "link", found)
    post = Post(
        form="bare",
        title=unescaped(shown, link_text),
        published=_meant(text, "stamp", found),
        url=unescaped(target, link_target),
        body=body[:-1],
    )
    return _with_spellings(post, _spellings(found))


def _front(text: str, head: str) -> Post:
    """Return the post of a text with front matter and a stamp."""
    found = _taken_apart(text, len(head), FRONT_START)
    shown, target = _meant(text, "link", found)
    stamp = _meant(text, "stamp", found)
    body, end = _body_and_end(text, _end(found["link"], FRONT_START))
    about, written = _head_like_ours(head, shown) or _other_head(head, shown)
    published = about.get("date", stamp)
    if not published:
        raise Unreadable(_line(text, len(head)), "no time of publication", "date")
    post = Post(
        title=about.get("title", unescaped(shown, link_text)),
        published=published,
        url=unescaped(target, link_target),
        author=about.get("author", ""),
        tags=about.get("tags", ()),
        categories=about.get("categories", ()),
        comments=about.get("comments", False),
        body=body,
    )
    return _with_spellings(post, {**written, **_spellings(found), "end": end})


def _body_and_end(text: str, start: int) -> tuple[str, str]:
    """Return the body of a front post, from a position on, and the line feeds at its end; raise Unreadable."""
    whole = text.rstrip("\n")
    if len(whole) >= start + len(FRONT_END) and whole.endswith(FRONT_END):
        return whole[start : -len(FRONT_END)], text[len(whole) :]
    ended = FRONT_END + "\n" in text[start:]
    problem = f"the body is not followed by {FRONT_END!r}"
    raise Unreadable(1 + whole.count("\n"), problem, "damaged" if ended else "cut-off")


def _head_like_ours(head: str, shown: str) -> tuple[dict[str, Any], dict[str, str]] | None:
    """Return meanings and spellings of front matter that follows our template; None if it does not."""
    found = _filled(head, 0, HEAD)
    written = _spellings(found)
    if len(found) < len(HEAD.fields) or _end(found["categories"], HEAD) != len(head):
        return None
    if written["comments"] not in (COMMENTS, "") or any(MORE.search(value) for value in written.values()):
        return None
    about = {name: _meant(head, name, found) for name in ("date", "author", "tags", "comments", "categories")}
    return {**about, "title": _title(written["title"], shown)}, written


def _other_head(head: str, shown: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the meanings of front matter with other fields, or in another order, and that it is to stay as it is."""
    text = _between(head)
    found = _about(text)
    lines = one_by_one(text, 2) or {}
    about: dict[str, Any] = {
        "author": _text(found, "author"),
        "tags": _names(found, "tags", "tag"),
        "categories": _names(found, "categories", "category"),
        "comments": _comments(found),
    }
    if "date" in found:
        about["date"] = _date(found)
    if "title" in found:
        about["title"] = _title(lines["title"][1], shown) if "title" in lines else _text(found, "title")
    return about, {"head": head}


def _about(text: str) -> dict[str, Field]:
    """Return the fields of front matter; raise Unreadable.

    Writers who say ``from`` knew no YAML: where theirs is none, every line is a field, and means what it shows.
    """
    try:
        return fields(text, 2)
    except Unreadable:
        lines = one_by_one(text, 2) or {}
        if "from" not in lines:
            raise
        return {name: Field(at, _in_one_line(spelling)) for name, (at, spelling) in lines.items()}


def _between(head: str) -> str:
    """Return front matter without the lines around it."""
    return head[head.index("\n") + 1 : head.rstrip("\n").rindex("\n") + 1]


def _in_one_line(spelling: str) -> str | tuple[str, ...]:
    """Return the string or strings that a field means in front matter that is no YAML."""
    listed = re.fullmatch(r"\[ *(.*?) *\]", spelling)
    if listed:
        return strings(listed[1])
    meant = string(spelling)
    return spelling[1:-1].replace('\\"', '"') if meant == spelling and QUOTED.fullmatch(spelling) else meant


def _feed(text: str, head: str) -> Post:
    """Return the post of a text that jekyll-import, or something like it, made of an entry of a feed."""
    about = _about(_between(head))
    layout = _text(about, "layout") or ("post" if "date" in about else "")
    if layout != "post" or "title" not in about:
        raise Unreadable(1, "front matter, but not that of a post", "no-post")
    if not isinstance(about["title"].value, str):
        raise Unreadable(about["title"].line, "the title is no string")
    rest = text[len(head) :]
    body = rest.strip("\n")
    before, _, end = rest.partition(body) if body else (rest, "", "")
    # Nothing at the end tells that it is the end, but every writer ends the last line, and every cut is somewhere else.
    if not (end or body.endswith(">") or (not body and len(rest) > 1)):
        raise Unreadable(1 + text.count("\n"), "the last line does not end", "cut-off")
    head += before
    return Post(
        form="feed",
        title=_text(about, "title"),
        published=_date(about),
        url=next(filter(None, (_address(about, name) for name in ("link", "canonical_url", "from", "guid"))), ""),
        author=_text(about, "author"),
        tags=_names(about, "tags", "tag"),
        categories=_names(about, "categories", "category"),
        comments=_comments(about),
        body=body,
        written={"head": head} if end == "\n" else {"head": head, "end": end},
    )


# The fields of the templates, from spelling to meaning.

QUOTED = re.compile(r'".*"', re.DOTALL)
#: What seems to be one field and is two, or goes on in YAML's way.
MORE = re.compile(r"\n(?:[ \t]|[\w-]+:(?:\s|$))", re.ASCII)

#: Where a field of a template begins in a text, and how it is spelled.
Written = dict[str, tuple[int, str]]


class Template(NamedTuple):
    """A template up to its body."""

    start: str
    #: Names of fields, each with what follows it.
    fields: list[tuple[str, str]]


def _template(text: str) -> Template:
    """Return a template that can be compared with texts."""
    start, *pieces = re.split(r"\{(\w+)\}", text.partition("{body}")[0])
    return Template(start, list(zip(pieces[::2], pieces[1::2], strict=True)))


HEAD, FRONT_START, BARE_START = map(_template, (FRONT_HEAD, FRONT, BARE))
FRONT_END = "\n</div>"


def _filled(text: str, position: int, template: Template) -> Written:
    """Return the fields of a template that a text fills in from a position on, up to one that does not fit."""
    found: Written = {}
    if not text.startswith(template.start, position):
        return found
    position += len(template.start)
    for name, following in template.fields:
        end = text.find(following, position)
        if end < 0:
            break
        found[name] = position, text[position:end]
        position = end + len(following)
    return found


def _end(last: tuple[int, str], template: Template) -> int:
    """Return where a template ends in a text, by the last of its fields."""
    return last[0] + len(last[1]) + len(template.fields[-1][1])


def _taken_apart(text: str, position: int, template: Template) -> Written:
    """Return the fields of a template that a text fills in from a position on; raise Unreadable."""
    found = _filled(text, position, template)
    for name, following in template.fields:
        if name not in found:
            ended = text.count("\n", position) < following.count("\n")
            problem = f"{name} is not followed by {following!r}"
            raise Unreadable(_line(text, position), problem, "cut-off" if ended else "damaged")
        position = found[name][0] + len(found[name][1]) + len(following)
    return found


def _line(text: str, position: int) -> int:
    """Return the number of the line of a position."""
    return 1 + text.count("\n", 0, position)


def _meant(text: str, name: str, written: Written) -> Any:
    """Return the meaning of a field of a template; raise Unreadable."""
    position, spelling = written[name]
    try:
        return MEANINGS[name](spelling)
    except (ValueError, OverflowError) as error:
        reason: Reason = "date" if name == "date" else "damaged"
        raise Unreadable(_line(text, position), f"{name}: {error}", reason) from error


def _spellings(found: Written) -> dict[str, str]:
    """Return how fields are spelled."""
    return {name: spelling for name, (_, spelling) in found.items()}


def _with_spellings(post: Post, written: Mapping[str, str]) -> Post:
    """Return a post that keeps the spellings that are not ours."""
    ours = spelled(post)
    return replace(post, written={name: text for name, text in written.items() if text != ours.get(name)})


def _instant(spelling: str) -> datetime:
    """Return the instant of an ISO 8601 or RFC 822 date, which is in UTC unless it says otherwise."""
    if RFC_822.fullmatch(spelling):
        instant = parsedate_to_datetime(spelling)
    else:
        instant = datetime.fromisoformat(ZONE.sub(lambda zone: zone[1] or "Z", spelling))
    instant = instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


#: A zone that ``datetime`` does not read: Ruby leaves a space before it.
ZONE = re.compile(r" +(?:([+-]\d\d:?\d\d)|Z|UTC|GMT)$", re.ASCII)
#: Other names of zones mean several zones.
RFC_822 = re.compile(r"(?:\w{3}, +)?\d{1,2} +\w{3} +\d{4} +[\d:]+ +(?:[+-]\d{4}|GMT|UTC?|Z)", re.ASCII)


def _stamp(spelling: str) -> datetime | None:
    """Return the instant of milliseconds since 1970, None for ``NaN``."""
    if spelling == "NaN":
        return None
    if not re.fullmatch(r"-?\d{1,15}", spelling, re.ASCII):
        raise ValueError("not a number of milliseconds")
    return EPOCH + int(spelling) * MILLISECOND


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
    if not QUOTED.fullmatch(spelling) or shown in (link_text(ours), ours.strip(WHITE_SPACE)):
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
    "date": _instant,
    "author": string,
    "tags": strings,
    "comments": bool,
    "categories": strings,
    "stamp": _stamp,
    "link": _link,
}


# The fields of front matter, from YAML to meaning.


def _date(about: Mapping[str, Field]) -> datetime | None:
    """Return the date of front matter, None if there is none; raise Unreadable."""
    line, value = about.get("date", Field(0, ""))
    if value == "":
        return None
    try:
        return _instant(value if isinstance(value, str) else "")
    except (ValueError, OverflowError) as error:
        raise Unreadable(line, f"date: {error}", "date") from error


def _text(about: Mapping[str, Field], name: str) -> str:
    """Return a string of front matter; empty if there is none, or something else."""
    value = about[name].value if name in about else ""
    return value if isinstance(value, str) else ""


def _address(about: Mapping[str, Field], name: str) -> str:
    """Return an address of front matter as a browser writes it, or as it stands if it is none of the web."""
    address = _text(about, name).strip(WHITE_SPACE)
    try:
        return canonical_url(address)
    except ValueError:
        return "" if name == "guid" else address


def _names(about: Mapping[str, Field], several: str, one: str) -> tuple[str, ...]:
    """Return tags or categories as Jekyll reads them: a list, or words, or a single name."""
    value = about[several].value if several in about else None
    if value:
        return tuple(value.split()) if isinstance(value, str) else value
    value = about[one].value if one in about else None
    return (value,) if isinstance(value, str) and value else value or ()


def _comments(about: Mapping[str, Field]) -> bool:
    """Return whether front matter wants comments; raise Unreadable for something else than a truth value."""
    line, value = about.get("comments", Field(0, "false"))
    if str(value).lower() not in ("true", "yes", "on", "false", "no", "off", ""):
        raise Unreadable(line, f"comments: {value!r} is neither true nor false")
    return str(value).lower() in ("true", "yes", "on")
