"""``scrapy history URL|ID``: the revisions of an article, and what changed between them, for a person to read."""

import argparse
import json
import logging
import os
import re
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from scrapy.commands import ScrapyCommand
from scrapy.exceptions import UsageError

from newsarchive.address import canonical_url
from newsarchive.article import Article, Refused
from newsarchive.fixture import as_json
from newsarchive.index import ArticleRow, Index, IndexUnusable, RelatedRow, RevisionRow
from newsarchive.post import content_of
from newsarchive.publishers import publishers
from newsarchive.reading import Reader
from newsarchive.revision import Passage, Piece, differences, paragraphs
from newsarchive.spelling import well_formed
from newsarchive.spider import without_query
from newsarchive.store import index_file
from newsarchive.warc import WarcError

#: What a terminal would obey, or would show text in another order for.
UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
#: How pieces of text are marked, without colours and with.
MARKS = {"same": ("", ""), "old": ("[-", "-]"), "new": ("{+", "+}")}
COLOURS = {"same": ("", ""), "old": ("\x1b[31m", "\x1b[0m"), "new": ("\x1b[32m", "\x1b[0m")}
#: Characters of unchanged text that are shown beside a change.
AROUND = 40


def safe(text: str) -> str:
    """Return text on one line that a terminal only shows."""
    return UNSAFE.sub("", well_formed(text))


@dataclass(frozen=True)
class Address:
    """An address that led to an article."""

    url: str
    #: How it ended when it was asked last; empty if only pages named it.
    ending: str = ""
    #: Where it leads, if that is a redirect.
    target: str = ""
    #: When it ended so for the first time since it ended otherwise, and when it was asked last.
    since: datetime | None = None
    last: datetime | None = None


@dataclass
class Revision:
    """One revision, and its article if it can be read."""

    number: int
    row: RevisionRow
    article: Article | None = None
    #: Why there is no article.
    problem: str = ""


@dataclass
class History:
    """What is known of one article."""

    row: ArticleRow
    addresses: list[Address]
    revisions: list[Revision] = field(default_factory=list)
    #: Articles of much the same text, each with its title.
    related: list[tuple[RelatedRow, str]] = field(default_factory=list)

    def steps(self) -> Iterator[tuple[Revision, Revision, list[Passage] | None]]:
        """Yield each revision with the next and what changed; None where one of them cannot be read."""
        for old, new in pairwise(self.revisions):
            yield old, new, differences(old.article, new.article) if old.article and new.article else None


class Command(ScrapyCommand):
    """Exits with 1 if there is no such article, or a revision of it cannot be read."""

    requires_project = True
    requires_crawler_process = False

    def syntax(self) -> str:
        """Return the arguments."""
        return "URL|ID [--all] [--json] [--revision N]"

    def short_desc(self) -> str:
        """Return what ``scrapy -h`` says."""
        return "List the revisions of an article and what changed between them"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add what is to be shown."""
        super().add_options(parser)
        parser.add_argument("--all", action="store_true", help="show the whole text of each revision, too")
        parser.add_argument("--json", action="store_true", help="print everything as one JSON object")
        parser.add_argument(
            "--revision", type=int, metavar="N", help="print the post of this revision, and nothing else"
        )

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Look the article up and show it."""
        if len(args) != 1:
            raise UsageError("name one article by its address or identifier", print_help=False)
        assert self.settings is not None
        # What is wrong with a page is said beside its revision.
        logging.getLogger().addHandler(logging.NullHandler())
        self.archive = Path(self.settings["ARCHIVE_DIR"])
        self.reader = Reader(self.settings)
        self.exitcode = 0
        try:
            with Index(index_file(self.archive), read_only=True) as index:
                histories = [self.history(index, row) for row in self.find(index, args[0])]
                known = index.address(args[0])
        except FileNotFoundError as error:
            return self.fail(f"no index: {error.filename}; make it with: scrapy replay {self.archive}/captures")
        except (IndexUnusable, sqlite3.Error) as error:
            return self.fail(str(error))
        if not histories:
            asked = f"; it ended as {known.ending} on {moment(known.captured)}" if known and known.captured else ""
            return self.fail(f"no article is known by {args[0]}{asked}")
        if opts.json:
            print(as_text(histories))
        elif opts.revision is not None:
            for history in histories:
                self.print_post(history, opts.revision)
        else:
            print("\n\n".join("\n".join(lines(history, opts.all)) for history in histories))
        return None

    def fail(self, problem: str) -> None:
        """Say on standard error what is wrong, and exit with 1."""
        print(safe(problem), file=sys.stderr)
        self.exitcode = 1

    def find(self, index: Index, name: str) -> list[ArticleRow]:
        """Return the articles known by an address or an identifier."""
        keys = next(filter(None, map(index.find, spellings(name))), [])
        if not keys:
            # Addresses change; what identifies an article in them does not.
            spiders = {publisher: self.reader.spider(publisher) for publisher in publishers(self.reader.loader)}
            matches = ((publisher, spider.article_url.search(name)) for publisher, spider in spiders.items())
            keys = [(publisher, match["id"]) for publisher, match in matches if match]
        return [row for key in keys if (row := index.article(*key))]

    def history(self, index: Index, row: ArticleRow) -> History:
        """Return everything about an article; note in the exit status what cannot be read."""
        history = History(row, list(addresses(index, row)), related=list(related(index, row)))
        for number, revision in enumerate(index.revisions(row.publisher, row.id), 1):
            found = Revision(number, revision)
            try:
                found.article = self.reader.article(row.publisher, revision.capture, self.archive)
            except (Refused, WarcError, OSError) as error:
                found.problem = str(error)
                self.exitcode = 1
            history.revisions.append(found)
        return history

    def print_post(self, history: History, number: int) -> None:
        """Print the post of a revision: to the byte, unless it goes to a terminal."""
        found = next((revision for revision in history.revisions if revision.number == number), None)
        if found is None:
            return self.fail(f"{history.row.id} has {len(history.revisions)} revisions, none is number {number}")
        if found.article is None:
            return self.fail(f"revision {number} cannot be read: {found.problem}")
        content = content_of(found.article, self.reader.label(history.row.publisher))
        if sys.stdout.isatty():
            content = "".join(f"{safe(line)}\n" for line in content.decode().split("\n")[:-1]).encode()
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        return None


def spellings(url: str) -> Iterator[str]:
    """Yield an address as it is given, and as it may have been captured."""
    yield url
    try:
        canonical = canonical_url(url)
    except ValueError:
        return
    for address in (canonical, without_query(canonical)):
        yield address
        yield re.sub("^https?", lambda scheme: "https" if scheme[0] == "http" else "http", address)


def addresses(index: Index, row: ArticleRow) -> Iterator[Address]:
    """Yield the addresses that an article is known by."""
    for url in index.addresses_of(row.publisher, row.id):
        captures = index.captures_of(url)
        if not captures:
            yield Address(url)
            continue
        (ending, target), lasting = next(groupby(captures, key=lambda row: (row.ending, row.target)))
        times = [one.capture.captured for one in lasting]
        yield Address(url, ending, target, since=times[-1], last=times[0])


def related(index: Index, row: ArticleRow) -> Iterator[tuple[RelatedRow, str]]:
    """Yield the articles of much the same text, each with its title."""
    for other in index.related(row.publisher, row.id):
        if held := index.article(other.publisher, other.id):
            yield other, held.title


# For people.


def lines(history: History, whole: bool) -> Iterator[str]:
    """Yield the lines of a report on an article."""
    row = history.row
    yield safe(f"{row.publisher} {row.id}  {row.title}")
    state = "  (no capture reads as the article any more)" if row.withdrawn else ""
    state = "  (only what a feed says of it: its page could not be had yet)" if row.partial else state
    yield safe(f"  {row.post}{state}")
    yield "\naddresses"
    for address in history.addresses:
        yield safe(f"  {address.url}  {ending(address)}")
    yield "\nrevisions"
    for revision in history.revisions:
        capture = revision.row.capture
        where = f"{capture.file}, offset {capture.offset}"
        yield safe(f"  {revision.number}  {moment(capture.captured)}  {where}  {revision.row.title}")
        if revision.problem:
            yield safe(f"     its text cannot be shown: {revision.problem}")
        elif whole and revision.article:
            yield from (safe(f"     {line}") for line in text_of(revision.article))
    if history.related:
        yield "\nrelated, by how much of the text is the same"
    for other, title in history.related:
        yield safe(f"  {other.similarity:.0%}  {other.publisher} {other.id}  {title}")
    for old, new, passages in history.steps():
        yield f"\n{old.number} → {new.number}"
        yield from told(passages)


def ending(address: Address) -> str:
    """Return how an address ended last, in words."""
    if not address.since or not address.last:
        return "named by the page, never asked for"
    ended = address.ending.removeprefix("status-") or "captured"
    if address.target:
        ended += f" to {address.target}"
    last = f", last on {moment(address.last)}" if address.last != address.since else ""
    return f"{ended} since {moment(address.since)}{last}"


def moment(when: datetime) -> str:
    """Return a time in UTC, to the second."""
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"


def text_of(article: Article) -> Iterator[str]:
    """Yield what a revision says, line by line."""
    yield f"title: {article.title}"
    yield f"section: {article.section}"
    yield from (f"picture: {image.url}" for image in article.images)
    yield from paragraphs(article)


def told(passages: list[Passage] | None) -> Iterator[str]:
    """Yield what changed, line by line, with the beginning of the lines before and after each change."""
    if passages is None:
        yield "  cannot be compared"
    elif not passages:
        yield "  no difference, as the captures are read today"
    marks = COLOURS if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else MARKS
    for part, group in groupby(passages or (), key=lambda passage: passage.part):
        found = list(group)
        if not any(passage.changed for passage in found):
            continue
        yield f"  {part}"
        last = -1
        for at, passage in enumerate(found):
            near = any(one.changed for one in found[max(at - 1, 0) : at + 2])
            if near:
                if last < at - 1:
                    yield "    …"
                last = at
                yield "    " + "".join(shown(passage, marks))
        if last < len(found) - 1:
            yield "    …"


def shown(passage: Passage, marks: dict[str, tuple[str, str]]) -> Iterator[str]:
    """Yield the pieces of a line, marked; unchanged text is cut down to what stands beside a change."""
    if passage.moved:
        yield "(moved) "
    end = len(passage.pieces) - 1
    for at, (kind, words) in enumerate(passage.pieces):
        words = safe(words)
        if kind == "same":
            words = cut(words, before=at > 0, after=at < end)
        before, after = marks[kind]
        yield f"{before}{words}{after}"


def cut(words: str, before: bool, after: bool) -> str:
    """Return the ends of unchanged text that lie beside a change, as it may stand before and after it."""
    head = words[:AROUND] if before or not after else ""
    tail = words[-AROUND:] if after else ""
    return words if len(words) <= len(head) + len(tail) + 1 else f"{head}…{tail}"


# For programs.


def as_text(histories: list[History]) -> str:
    """Return everything as JSON; what a terminal would obey is written as an escape."""
    found = {"articles": [as_object(history) for history in histories]}
    return UNSAFE.sub(lambda char: f"\\u{ord(char[0]):04x}", json.dumps(found, ensure_ascii=False))


def as_object(history: History) -> dict[str, Any]:
    """Return what is known of an article, as JSON can say it."""
    row = history.row
    return {
        "publisher": row.publisher,
        "id": row.id,
        "url": row.url,
        "title": row.title,
        "published": as_json(row.published),
        "post": row.post,
        "withdrawn": row.withdrawn,
        "partial": row.partial,
        "addresses": [{name: as_json(value) for name, value in asdict(one).items()} for one in history.addresses],
        "revisions": [revision_object(revision) for revision in history.revisions],
        "related": [{**asdict(other), "title": title} for other, title in history.related],
        "differences": [
            {"old": old.number, "new": new.number, "passages": passages and list(map(passage_object, passages))}
            for old, new, passages in history.steps()
        ],
    }


def revision_object(revision: Revision) -> dict[str, Any]:
    """Return a revision as JSON can say it."""
    capture = revision.row.capture
    return {
        "number": revision.number,
        "captured": as_json(capture.captured),
        "file": capture.file,
        "offset": capture.offset,
        "fingerprint": revision.row.fingerprint,
        "article": as_json(revision.article),
        "problem": revision.problem,
    }


def passage_object(passage: Passage) -> dict[str, Any]:
    """Return a passage as JSON can say it."""
    pieces: list[Piece] = list(passage.pieces)
    return {"part": passage.part, "moved": passage.moved, "pieces": pieces}
