"""The index: what the archive holds, in SQLite; the commit of its transaction is what "stored" means.

Everything in it follows from the captures and is rebuilt from them; it is never
the only copy of anything. Of each capture it keeps what the capture was last
recorded to say, and every table follows from that: in whatever order captures
are recorded, how often, and by how many processes, the tables end up equal.

Three rules say what follows:

- An article's captures, in the order of (captured, file, offset), fall into
  groups that read alike. A revision is the first capture of a group, and the
  post is made from the newest. The post's name is the one that the reading of
  the article's first capture gives.
- Recorded again, a capture says what it says now. If it said something of an
  article before and says nothing now, that reading is withdrawn: it no longer
  counts, unless none is left that does. So a parser that learns to refuse a
  notice brings back the text that the notice had replaced, and a parser that
  got worse removes no article.
- An address belongs to the article of the newest reading that asked for it, or
  named it as canonical. Its ending is that of its newest capture.

The one table of facts is ``captures``: a row per capture with its reading, and
three marks that follow from the others (``first``, ``revision``, ``shown``).
``articles``, ``revisions`` and ``addresses`` are views of it, so they cannot
say anything else. What does not follow from captures is what lies on disk:
``sha256``, ``lies`` and ``outdated``, in the row of the capture of which the
article's post was made.
"""

import errno
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from newsarchive.capture import Capture
from newsarchive.spelling import well_formed

__all__ = [
    "AddressRow",
    "ArticleRow",
    "Entry",
    "Index",
    "IndexUnusable",
    "Place",
    "PostTaken",
    "Reading",
    "RevisionRow",
    "RunRow",
]

#: "news" in ASCII: what SQLite keeps in a file to tell whose it is.
APPLICATION = 0x6E657773
VERSION = 1
#: The first SQLite with strict tables.
OLDEST = (3, 37)
#: Seconds that an opening or a transaction waits for another process.
PATIENCE = 30
#: KiB of the file that are kept in memory; the system keeps the rest.
CACHE = 16 * 1024
#: Bytes that the log of transactions may keep on disk once they are in the file.
LOG = 64 * 2**20
#: Redirects that are followed from an address to its article.
HOPS = 10

#: What a capture says of an article: nothing; nothing any more; what it says. The greater one counts.
SILENT, WITHDRAWN, CURRENT = range(3)

#: What is true of the capture that an article shows if the post on disk is not known to be made of it as it reads now.
STALE = "shown = 1 AND reads = 2 AND (sha256 IS NULL OR lies IS NOT NULL OR outdated = 1)"

SCHEMA = (
    """CREATE TABLE captures (
 file TEXT NOT NULL, offset INTEGER NOT NULL, url TEXT NOT NULL, captured TEXT NOT NULL, status INTEGER NOT NULL,
 digest TEXT NOT NULL, kind TEXT NOT NULL, announced TEXT,
 publisher TEXT NOT NULL, ending TEXT NOT NULL, target TEXT NOT NULL,
 id TEXT, canonical TEXT, title TEXT, published TEXT, post TEXT, fingerprint TEXT, reads INTEGER NOT NULL,
 first INTEGER NOT NULL, revision INTEGER NOT NULL, shown INTEGER NOT NULL,
 sha256 BLOB, lies TEXT, outdated INTEGER NOT NULL,
 PRIMARY KEY (file, offset),
 CHECK ((id IS NULL) = (reads = 0)),
 CHECK (reads > 0 OR NOT (first OR revision OR shown OR outdated)),
 CHECK (sha256 IS NOT NULL OR NOT (lies IS NOT NULL OR outdated))
) STRICT""",
    "CREATE INDEX by_url ON captures (url, reads, captured)",
    "CREATE INDEX by_canonical ON captures (canonical, reads, captured) WHERE canonical IS NOT NULL",
    "CREATE INDEX by_article ON captures (publisher, id, reads, captured) WHERE id IS NOT NULL",
    "CREATE UNIQUE INDEX shown ON captures (publisher, id) WHERE shown = 1",
    "CREATE UNIQUE INDEX named ON captures (post) WHERE first = 1",
    f"CREATE INDEX stale ON captures (publisher, id) WHERE {STALE}",
    "CREATE TABLE files (file TEXT NOT NULL PRIMARY KEY, size INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    """CREATE TABLE runs (
 run TEXT NOT NULL PRIMARY KEY, publisher TEXT NOT NULL, started TEXT NOT NULL, ended TEXT, status TEXT NOT NULL,
 counts TEXT NOT NULL
) STRICT, WITHOUT ROWID""",
    """CREATE VIEW articles AS
 SELECT shown.publisher, shown.id, coalesce(shown.canonical, shown.url) AS url, shown.title, shown.published,
 named.post, shown.file, shown.offset, shown.reads = 1 AS withdrawn
 FROM captures AS shown JOIN captures AS named
 ON named.publisher = shown.publisher AND named.id = shown.id AND named.first = 1 WHERE shown.shown = 1""",
    """CREATE VIEW revisions AS
 SELECT publisher, id, captured, file, offset, coalesce(canonical, url) AS url, title, published, fingerprint
 FROM captures WHERE revision = 1""",
    """CREATE VIEW addresses AS
 WITH named AS (
 SELECT url, reads, captured, file, offset, publisher, id FROM captures
 UNION ALL
 SELECT canonical, reads, captured, file, offset, publisher, id FROM captures WHERE canonical IS NOT NULL
 ), best AS (
 SELECT *, row_number() OVER (PARTITION BY url ORDER BY reads DESC, captured DESC, file DESC, offset DESC) AS place
 FROM named
 ), newest AS (
 SELECT *, row_number() OVER (PARTITION BY url ORDER BY captured DESC, file DESC, offset DESC) AS place FROM captures
 )
 SELECT best.url, coalesce(newest.ending, '') AS ending, newest.captured, coalesce(newest.target, '') AS target,
 iif(best.id IS NULL, '', best.publisher) AS publisher, coalesce(best.id, '') AS id
 FROM best LEFT JOIN newest ON newest.url = best.url AND newest.place = 1 WHERE best.place = 1""",
)
NAMES = {re.split(r"[ (]+", statement.replace("UNIQUE ", ""))[2] for statement in SCHEMA}


class IndexUnusable(ValueError):
    """Says which file cannot be used as an index, why, and what to do."""

    def __init__(self, file: Path, problem: str, remedy: str = "") -> None:
        remedy = remedy or "move it away and run `scrapy verify --repair`, which rebuilds it from the captures"
        super().__init__(f"{file} {problem}: {remedy}")


class PostTaken(ValueError):
    """Says that two articles would have one post; nothing of the second is recorded."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a capture says of an article."""

    #: Name of the publisher's spider.
    publisher: str
    #: The publisher's own identifier.
    id: str
    #: Canonical address.
    url: str
    #: Headline.
    title: str
    #: First publication, aware.
    published: datetime
    #: Path of a post below the archive folder, as this reading would name it.
    post: str
    #: What tells revisions apart: equal for two readings that differ only in what is no revision.
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be recorded of one capture."""

    capture: Capture
    #: Whose capture it is.
    publisher: str
    #: How it ended: ``article``, ``redirect``, ``status-404``, ``listing``, ``robots``, a reason to refuse; or nothing.
    ending: str
    #: Absolute address to which a redirect leads; else empty.
    target: str = ""
    #: What it says of an article, if it is one's.
    reading: Reading | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a capture stands among those of its article."""

    #: A new article; new revisions, at the end or between older ones; neither.
    ending: Literal["stored", "revised", "unchanged"]
    #: Path of the article's post below the archive folder; empty for a capture without reading.
    post: str
    #: Whether the post is to be made from this capture: it is the first one of the newest revision.
    shown: bool


@dataclass(frozen=True, slots=True)
class ArticleRow:
    """What the index holds of an article."""

    publisher: str
    id: str
    #: Canonical address, as its newest revision says it; so are title and published.
    url: str
    title: str
    published: datetime
    #: Path at which the post belongs.
    post: str
    #: The capture from which the post is to be made.
    capture: Capture
    #: SHA-256 of the post on disk as it was told; empty if none is known to lie there.
    sha256: str
    #: Path at which the post on disk lies: ``post``, or an older name; empty if none is known to lie there.
    lies: str
    #: Whether the post on disk is not known to be made of ``capture``, as it reads now, at ``post``.
    stale: bool
    #: Whether no capture reads as the article any more: its post stays as it is.
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class RevisionRow:
    """One state of an article's text."""

    #: The first capture that shows it.
    capture: Capture
    url: str
    title: str
    published: datetime
    fingerprint: str


@dataclass(frozen=True, slots=True)
class AddressRow:
    """What the index holds of an address."""

    url: str
    #: How its newest capture ended, and when it was made; empty and None if the address was only named as canonical.
    ending: str
    captured: datetime | None
    #: Where its newest capture leads if that is a redirect; else empty.
    target: str
    #: The article that it belongs to, redirects followed; both empty if none is known.
    publisher: str
    id: str


@dataclass(frozen=True, slots=True)
class RunRow:
    """One execution of a spider."""

    #: Name of the run: ``20261120T050125Z-1f2e3d4c``.
    run: str
    publisher: str
    started: datetime
    #: None if it has not ended, or was killed.
    ended: datetime | None = None
    #: How it ended; empty if it has not.
    status: str = ""
    counts: Mapping[str, int] | None = None


class _Row(NamedTuple):
    """A row of ``captures``; times as text, flags as 0 and 1."""

    file: str
    offset: int
    url: str
    captured: str
    status: int
    digest: str
    kind: str
    announced: str | None
    publisher: str
    ending: str
    target: str
    # The reading. Its canonical address is None where it is the one that was asked.
    id: str | None = None
    canonical: str | None = None
    title: str | None = None
    published: str | None = None
    post: str | None = None
    fingerprint: str | None = None
    reads: int = SILENT
    # What follows from the article's other captures.
    first: int = 0
    revision: int = 0
    shown: int = 0
    # What lies on disk: the post made of this capture, and where if not at the article's post; by its former reading?
    sha256: bytes | None = None
    lies: str | None = None
    outdated: int = 0

    @property
    def key(self) -> tuple[str, int]:
        """Return what tells the capture from all others."""
        return self.file, self.offset

    @property
    def article(self) -> tuple[str, str] | None:
        """Return the key of the article that the capture says something of."""
        return None if self.id is None else (self.publisher, self.id)

    @property
    def capture(self) -> Capture:
        """Return the capture."""
        captured, announced = datetime.fromisoformat(self.captured), _time(self.announced)
        return Capture(self.file, self.offset, self.url, captured, self.status, self.digest, self.kind, announced)


#: How many columns say what was recorded, and which of them are the reading.
RECORDED = _Row._fields.index("first")
READING = _Row._fields[_Row._fields.index("id") : _Row._fields.index("reads")]
COLUMNS = ", ".join(_Row._fields)
SELECT = f"SELECT {COLUMNS} FROM captures"
BEST = "ORDER BY reads DESC, captured DESC, file DESC, offset DESC LIMIT 1"
NEWEST = "ORDER BY captured DESC, file DESC, offset DESC LIMIT 1"
UPSERT = (
    f"INSERT INTO captures ({COLUMNS}) VALUES ({', '.join('?' * len(_Row._fields))}) ON CONFLICT (file, offset) "
    f"DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _Row._fields[2:])}"
)


class _Plan(NamedTuple):
    """What recording an entry comes to."""

    place: Place
    #: The row to be written, marks included.
    row: _Row
    #: The row as it is; None if the capture is new.
    known: _Row | None
    #: The captures of each article that is touched as they are to be, in order; None if only ``row`` changes.
    lines: list[list[_Row]] | None = None


NOTHING = Place("unchanged", "", False)


class Index:
    """The index of an archive; one object is one connection, for one thread at a time.

    Raises IndexUnusable if the file is no index, a damaged one, or one of a newer
    version; sqlite3.OperationalError, naming the file, if it is locked for longer
    than 30 seconds, the disk is full, or it cannot be written: the transaction is
    undone then.
    """

    def __init__(self, file: Path, *, read_only: bool = False) -> None:
        """Open an index, or make an empty one; raise FileNotFoundError for one that is only to be read."""
        self.file = file
        self.read_only = read_only
        if sqlite3.sqlite_version_info < OLDEST:
            raise RuntimeError(f"the index needs SQLite 3.37 or newer, and this Python has {sqlite3.sqlite_version}")
        if not read_only:
            file.parent.mkdir(parents=True, exist_ok=True)
        elif not file.exists():
            raise FileNotFoundError(errno.ENOENT, "no index", str(file))
        address = f"{file.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        try:
            self.db = sqlite3.connect(
                address, uri=True, timeout=PATIENCE, isolation_level=None, check_same_thread=False
            )
        except sqlite3.DatabaseError as error:
            raise self._told(error) from error
        try:
            self._open()
        except BaseException:
            self.db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the index; its file alone is whole then, unless others are reading it."""
        try:
            # What is committed is safe without this: whoever opens the index next takes it over from the log.
            with suppress(sqlite3.Error):
                if not self.read_only:
                    self.db.execute("PRAGMA busy_timeout = 0")
                    self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self.db.close()

    # Writing.

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is recorded inside, all or, after an exception, nothing; raise RuntimeError if nested."""
        if self.db.in_transaction:
            raise RuntimeError(f"{self.file}: a transaction is under way")
        self._run("BEGIN IMMEDIATE")
        try:
            yield
            self._run("COMMIT")
        except BaseException:
            # SQLite may have rolled back by itself, as when the disk is full.
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise

    def place(self, entry: Entry) -> Place:
        """Return what recording an entry would return; raise as it would."""
        return self._plan(entry).place

    def record(self, entry: Entry, sha256: str = "") -> Place:
        """Record what a capture says, in place of what it said before, and return where that puts it.

        ``sha256`` is that of the article's post if it now lies on disk, made of
        this capture. Outside a transaction, it is one. Raises ValueError for a time
        without zone or a reading of another publisher, and PostTaken.
        """
        if self.db.in_transaction:
            return self._record(entry, sha256)
        with self.transaction():
            return self._record(entry, sha256)

    def _record(self, entry: Entry, sha256: str) -> Place:
        """Write what recording an entry comes to."""
        if sha256 and not entry.reading:
            raise ValueError(
                f"a post is made of a reading, and {entry.capture.file} has none at {entry.capture.offset}"
            )
        place, row, known, lines = self._plan(entry)
        made = bytes.fromhex(sha256)
        if made and row.first and lines is None and not known:
            row = row._replace(sha256=made)
        if lines is not None:
            self._write_lines(row, known, lines)
        elif row != known:
            if row.shown and not row.first:
                self._run(
                    "UPDATE captures SET shown = 0 WHERE publisher = ? AND id = ? AND shown = 1", row.publisher, row.id
                )
            self._run(UPSERT, *row)
        if made and (row.sha256, row.lies, row.outdated) != (made, None, 0):
            self._made(row, made)
        return place

    def _write_lines(self, row: _Row, known: _Row | None, lines: list[list[_Row]]) -> None:
        """Write a row and the marks of all captures of its articles."""
        # No two captures may bear a mark at any moment.
        for article in _articles(row, known):
            self._run(
                "UPDATE captures SET first = 0, revision = 0, shown = 0 WHERE publisher = ? AND id = ? "
                "AND (first OR revision OR shown)",
                *article,
            )
        self._run(UPSERT, *row._replace(first=0, revision=0, shown=0))
        for one in (one for line in lines for one in line if one.revision or one.sha256):
            self._run(
                "UPDATE captures SET first = ?, revision = ?, shown = ?, sha256 = ?, lies = ?, outdated = ? "
                "WHERE file = ? AND offset = ?",
                *one[RECORDED:],
                *one.key,
            )

    def _made(self, row: _Row, sha256: bytes) -> None:
        """Keep that an article's post lies on disk, made of this capture and no other."""
        self._run(
            "UPDATE captures SET sha256 = NULL, lies = NULL, outdated = 0 "
            "WHERE publisher = ? AND id = ? AND sha256 IS NOT NULL",
            row.publisher,
            row.id,
        )
        self._run("UPDATE captures SET sha256 = ? WHERE file = ? AND offset = ?", sha256, *row.key)

    def file_recorded(self, file: str, size: int) -> None:
        """Keep that all captures of a file are recorded, up to its size in bytes."""
        self._run("INSERT INTO files VALUES (?, ?) ON CONFLICT DO UPDATE SET size = excluded.size", file, size)

    def run_started(self, run: str, publisher: str, started: datetime) -> None:
        """Record that a run has started."""
        self.run_recorded(RunRow(run, publisher, started))

    def run_ended(self, run: str, ended: datetime, status: str, counts: Mapping[str, int]) -> None:
        """Record how a run that had started ended, and what it counted."""
        counted = json.dumps(counts, sort_keys=True)
        self._run("UPDATE runs SET ended = ?, status = ?, counts = ? WHERE run = ?", _text(ended), status, counted, run)

    def run_recorded(self, row: RunRow) -> None:
        """Record a run as it was reported, in place of what was recorded of it."""
        counted = json.dumps(row.counts or {}, sort_keys=True)
        ended = row.ended and _text(row.ended)
        values = (row.run, row.publisher, _text(row.started), ended, row.status, counted)
        self._run("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?)", *values)

    # Where a capture stands.

    def _plan(self, entry: Entry) -> _Plan:
        """Return what recording an entry comes to."""
        known = self._row(f"{SELECT} WHERE file = ? AND offset = ?", entry.capture.file, entry.capture.offset)
        row = _row(entry)
        if known:
            row = _after(known, row)
            if row[:RECORDED] == known[:RECORDED]:
                return _Plan(self._standing(known), known, known)
        if not _articles(row, known):
            return _Plan(NOTHING, row, known)
        return (None if known else self._appended(row)) or self._inserted(row, known)

    def _standing(self, known: _Row) -> Place:
        """Return the place of a capture that says what it said."""
        return Place("unchanged", self._post(known), bool(known.shown)) if known.reads == CURRENT else NOTHING

    def _post(self, row: _Row) -> str:
        """Return the post of the article of a reading that counts."""
        if row.first:
            return str(row.post)
        sql = "SELECT post FROM captures WHERE publisher = ? AND id = ? AND reads = ? "
        (post,) = self._one(f"{sql} ORDER BY captured, file, offset LIMIT 1", row.publisher, row.id, row.reads)
        return str(post)

    def _appended(self, row: _Row) -> _Plan | None:
        """Return what a new capture comes to that is the newest of its article; None if it is not."""
        newest = self._row(f"{SELECT} WHERE publisher = ? AND id = ? {BEST}", row.publisher, row.id)
        if newest is None:
            self._free([row])
            return _Plan(Place("stored", str(row.post), True), row._replace(first=1, revision=1, shown=1), None)
        if newest.reads != CURRENT or _moment(newest) > _moment(row):
            return None
        post = self._post(newest)
        if newest.fingerprint == row.fingerprint:
            return _Plan(Place("unchanged", post, False), row, None)
        return _Plan(Place("revised", post, True), row._replace(revision=1, shown=1), None)

    def _inserted(self, row: _Row, known: _Row | None) -> _Plan:
        """Return what a capture comes to among others, from all captures of the articles that it touches."""
        lines, place = [], NOTHING
        for article in _articles(row, known):
            before = self._line(*article)
            line = [one for one in before if one.key != row.key]
            after = _settled([*line, row] if row.article == article else line, before)
            if row.article == article:
                row = next(one for one in after if one.key == row.key)
                place = _place(before, after, row) if row.reads == CURRENT else NOTHING
            lines.append(after)
        self._free([line[0] for line in lines if line])
        return _Plan(place, row, known, lines)

    def _line(self, publisher: str, id: str) -> list[_Row]:
        """Return what all captures say or said of an article, in order; those that count come first."""
        rows = self._all(f"{SELECT} WHERE publisher = ? AND id = ?", publisher, id)
        return sorted(map(_Row._make, rows), key=_order)

    def _free(self, named: list[_Row]) -> None:
        """Raise PostTaken if a post that articles are to have is another one's."""
        owners = {(row.publisher, row.id): row.post for row in named}
        for row in named:
            owner = self._one("SELECT publisher, id FROM captures WHERE post = ? AND first = 1", row.post)
            other = owner if owner and owner not in owners else None
            other = other or next((one for one in owners if one != row.article and owners[one] == row.post), None)
            if other:
                raise PostTaken(f"{row.publisher} {row.id} would have the post of {other[0]} {other[1]}: {row.post}")

    # Reading.

    def article(self, publisher: str, id: str) -> ArticleRow | None:
        """Return what is held of an article; None if nothing is."""
        row = self._row(f"{SELECT} WHERE publisher = ? AND id = ? AND shown = 1", publisher, _utf8(id))
        return row and self._article(row)

    def articles(self, publisher: str) -> Iterator[ArticleRow]:
        """Yield the articles of a publisher by their ids."""
        for row in self._each(f"{SELECT} WHERE publisher = ? AND shown = 1 ORDER BY id", publisher):
            yield self._article(_Row._make(row))

    def owner(self, post: str) -> tuple[str, str] | None:
        """Return the publisher and id of the article that has a post; None if none has."""
        found: tuple[str, str] | None = self._one(
            "SELECT publisher, id FROM captures WHERE post = ? AND first = 1", post
        )
        return found

    def _article(self, shown: _Row) -> ArticleRow:
        """Return an article by the row of the capture that it shows."""
        post, made = self._post(shown), shown
        if shown.sha256 is None:
            sql = f"{SELECT} WHERE publisher = ? AND id = ? AND sha256 IS NOT NULL"
            made = self._row(sql, shown.publisher, shown.id) or shown
        return ArticleRow(
            publisher=shown.publisher,
            id=str(shown.id),
            url=shown.canonical or shown.url,
            title=str(shown.title),
            published=datetime.fromisoformat(str(shown.published)),
            post=post,
            capture=shown.capture,
            sha256=made.sha256.hex() if made.sha256 else "",
            lies=(made.lies or post) if made.sha256 else "",
            stale=shown.reads == CURRENT and (made is not shown or not made.sha256 or bool(made.lies or made.outdated)),
            withdrawn=shown.reads == WITHDRAWN,
        )

    def stale(self, publisher: str) -> list[tuple[str, str, str, Capture]]:
        """Return articles whose post on disk is not known to be made of the capture they show, as it reads now.

        Each with publisher, id, post and that capture, by id. One that no capture reads as any more is none of them.
        """
        rows = map(_Row._make, self._all(f"{SELECT} WHERE publisher = ? AND {STALE} ORDER BY id", publisher))
        return [(row.publisher, str(row.id), self._post(row), row.capture) for row in rows]

    def revisions(self, publisher: str, id: str) -> list[RevisionRow]:
        """Return the revisions of an article, oldest first; empty if there is no such article."""
        rows = (row for row in self._line(publisher, _utf8(id)) if row.revision)
        return [
            RevisionRow(
                capture=row.capture,
                url=row.canonical or row.url,
                title=str(row.title),
                published=datetime.fromisoformat(str(row.published)),
                fingerprint=str(row.fingerprint),
            )
            for row in rows
        ]

    def address(self, url: str) -> AddressRow | None:
        """Return what is held of an address, looked up exactly; None if it is neither captured nor canonical.

        Its article is looked for behind at most ten redirects.
        """
        url = _utf8(url)
        last, read = self._address(url)
        if not last and not read:
            return None
        target, seen = last.target if last else "", {url}
        while not read and target and target not in seen and len(seen) <= HOPS:
            seen.add(target)
            following, read = self._address(target)
            target = following.target if following else ""
        publisher, id = (read.publisher, str(read.id)) if read else ("", "")
        if not last:
            return AddressRow(url, "", None, "", publisher, id)
        return AddressRow(url, last.ending, datetime.fromisoformat(last.captured), last.target, publisher, id)

    def _address(self, url: str) -> tuple[_Row | None, _Row | None]:
        """Return the newest capture of an address, and its newest reading: one that counts, or else a withdrawn one."""
        asked = self._row(f"{SELECT} WHERE url = ? {BEST}", url)
        named = self._row(f"{SELECT} WHERE canonical = ? {BEST}", url)
        read = max((row for row in (asked, named) if row and row.article), key=_weight, default=None)
        others = self._newest(url, range(asked.reads)) if asked else []
        return max((row for row in (asked, *others) if row), key=_moment, default=None), read

    def _newest(self, url: str, kinds: Iterable[int]) -> list[_Row]:
        """Return the newest captures of an address by what they say of an article, each a step in an index."""
        rows = (self._row(f"{SELECT} WHERE url = ? AND reads = ? {NEWEST}", url, reads) for reads in kinds)
        return [row for row in rows if row]

    def find(self, text: str) -> list[tuple[str, str]]:
        """Return publisher and id of the articles that have an address or an id, looked up exactly."""
        row = self.address(text)
        found = {(row.publisher, row.id)} if row and row.id else set()
        found.update((publisher, text) for publisher in self.publishers() if self.article(publisher, text))
        return sorted(found)

    def publishers(self) -> list[str]:
        """Return the publishers that have articles, by name."""
        names: list[str] = []
        sql = "SELECT publisher FROM captures WHERE shown = 1 AND publisher > ? ORDER BY publisher LIMIT 1"
        while found := self._one(sql, names[-1] if names else ""):
            names.extend(found)
        return names

    def same_capture(self, url: str, captured: datetime, digest: str) -> Capture | None:
        """Return the capture of an address at a time with a digest of its body; None if there is none."""
        # Saying what `reads` may be lets SQLite go through the index by all three columns.
        exact = "url = ? AND reads IN (0, 1, 2) AND captured = ? AND digest = ?"
        values = _utf8(url), _text(captured), digest
        row = self._row(f"{SELECT} WHERE {exact} ORDER BY file, offset LIMIT 1", *values)
        return row and row.capture

    def last_capture(self, url: str) -> Capture | None:
        """Return the newest capture of an address; None if there is none."""
        row = max(self._newest(_utf8(url), (SILENT, WITHDRAWN, CURRENT)), key=_moment, default=None)
        return row and row.capture

    def endings(self, publisher: str) -> dict[str, int]:
        """Return how many addresses of a publisher end how, by ending; each counts by its newest capture."""
        sql = """SELECT ending, count(*) FROM (
 SELECT ending, row_number() OVER (PARTITION BY url ORDER BY captured DESC, file DESC, offset DESC) AS place
 FROM captures WHERE publisher = ?) WHERE place = 1 GROUP BY ending ORDER BY ending"""
        return dict(self._all(sql, publisher))

    def files(self, publisher: str) -> dict[str, int]:
        """Return the files of a publisher's captures that are recorded as a whole, with their sizes in bytes."""
        # What sorts between the folder's slash and the character after it lies in the folder.
        low, high = f"captures/{publisher}/", f"captures/{publisher}0"
        return dict(self._all("SELECT file, size FROM files WHERE file >= ? AND file < ?", low, high))

    def offsets(self, file: str) -> set[int]:
        """Return where the captures of a file begin that are recorded."""
        return {offset for (offset,) in self._all("SELECT offset FROM captures WHERE file = ?", file)}

    def runs(self, publisher: str = "") -> list[RunRow]:
        """Return the runs of a publisher, or of all, by their names: oldest first."""
        rows = self._all("SELECT * FROM runs WHERE ?1 IN ('', publisher) ORDER BY run", publisher)
        return [
            RunRow(
                run, publisher, datetime.fromisoformat(started), _time(ended), status=status, counts=json.loads(counts)
            )
            for run, publisher, started, ended, status, counts in rows
        ]

    def dump(self) -> Iterator[tuple[Any, ...]]:
        """Yield all that follows from what was recorded: the name of a table and a row of it, in the order of keys."""
        columns = COLUMNS[: COLUMNS.index(", sha256")]
        yield from self._each(f"SELECT 'captures', {columns} FROM captures ORDER BY file, offset")
        yield from self._each("SELECT 'articles', * FROM articles ORDER BY publisher, id")
        yield from self._each("SELECT 'revisions', * FROM revisions ORDER BY publisher, id, captured, file, offset")
        yield from self._each("SELECT 'addresses', * FROM addresses ORDER BY url")
        yield from self._each("SELECT 'files', * FROM files ORDER BY file")
        yield from self._each("SELECT 'runs', * FROM runs ORDER BY run")

    def check(self) -> Iterator[str]:
        """Yield what is wrong with the index, a sentence for each problem."""
        try:
            problems = [told for (told,) in self._each("PRAGMA integrity_check") if told != "ok"]
            yield from (f"{self.file}: {told}" for told in problems)
            if not problems:
                yield from self._marks_wrong()
        except IndexUnusable as error:
            yield str(error)

    def _marks_wrong(self) -> Iterator[str]:
        """Yield what the captures' marks say that does not follow from the captures."""
        rows = self._each(f"{SELECT} WHERE id IS NOT NULL ORDER BY publisher, id")
        for (publisher, id), line in groupby(map(_Row._make, rows), key=lambda row: (row.publisher, row.id)):
            before = sorted(line, key=_order)
            for was, row in zip(before, _settled(before, before), strict=True):
                for mark in ("first", "revision", "shown"):
                    if getattr(was, mark) != getattr(row, mark):
                        said = f"{mark} is {getattr(was, mark)} where it must be {getattr(row, mark)}"
                        yield f"{self.file}: captures {row.file} {row.offset}, of {publisher} {id}: {said}"
            if len(made := [row for row in before if row.sha256]) > 1:
                told = ", ".join(f"{row.file} {row.offset}" for row in made)
                yield f"{self.file}: captures {told}, of {publisher} {id}: the post is made of more than one"

    # SQLite.

    def _open(self) -> None:
        """Make the tables if there are none; raise IndexUnusable if the file is not an index that can be used."""
        self._run(f"PRAGMA cache_size = -{CACHE}")
        self._run("PRAGMA synchronous = FULL")
        self._run(f"PRAGMA journal_size_limit = {LOG}")
        if not self.read_only and not self._names():
            with self.transaction():
                self._make()
        self._examine()
        if not self.read_only:
            self._run("PRAGMA journal_mode = WAL")

    def _names(self) -> set[str]:
        """Return the names of what the file defines; empty if it is new."""
        return {name for (name,) in self._all("SELECT name FROM sqlite_master")}

    def _make(self) -> None:
        """Make the tables, unless another process has just made them."""
        if not self._names():
            self._run(f"PRAGMA application_id = {APPLICATION}")
            self._run(f"PRAGMA user_version = {VERSION}")
            for statement in SCHEMA:
                self._run(statement)

    def _examine(self) -> None:
        """Raise IndexUnusable if the file is of another program or version, or lacks a table."""
        (application,), (version,) = self._one("PRAGMA application_id"), self._one("PRAGMA user_version")
        if application != APPLICATION:
            raise IndexUnusable(self.file, "is not an index of this program")
        if version != VERSION:
            problem = f"is of version {version}, and this newsarchive knows {VERSION}"
            raise IndexUnusable(self.file, problem, "update newsarchive" if version > VERSION else "")
        if missing := NAMES - self._names():
            raise IndexUnusable(self.file, f"lacks {', '.join(sorted(missing))}")

    def _run(self, sql: str, *values: Any) -> None:
        """Execute a statement."""
        try:
            self.db.execute(sql, values)
        except sqlite3.DatabaseError as error:
            raise self._told(error) from error

    def _one(self, sql: str, *values: Any) -> Any:
        """Return the first row of a query; None if it has none."""
        try:
            return self.db.execute(sql, values).fetchone()
        except sqlite3.DatabaseError as error:
            raise self._told(error) from error

    def _row(self, sql: str, *values: Any) -> _Row | None:
        """Return the first row of a query of captures; None if it has none."""
        row = self._one(sql, *values)
        return row and _Row._make(row)

    def _all(self, sql: str, *values: Any) -> list[Any]:
        """Return all rows of a query."""
        return list(self._each(sql, *values))

    def _each(self, sql: str, *values: Any) -> Iterator[Any]:
        """Yield the rows of a query, read as they are asked for."""
        try:
            yield from self.db.execute(sql, values)
        except sqlite3.DatabaseError as error:
            raise self._told(error) from error

    def _told(self, error: sqlite3.DatabaseError) -> Exception:
        """Return what SQLite says, with the file's name; as IndexUnusable if the file is damaged."""
        code = getattr(error, "sqlite_errorcode", 0)
        if code & 0xFF == sqlite3.SQLITE_NOTADB:
            return IndexUnusable(self.file, "is not an SQLite database")
        if code & 0xFF == sqlite3.SQLITE_CORRUPT:
            return IndexUnusable(self.file, f"is damaged ({error})")
        told = type(error)(f"{self.file}: {error}")
        told.sqlite_errorcode = code
        return told


def _text(time: datetime) -> str:
    """Return a time as text in UTC, to the millisecond; raise ValueError if it has no zone."""
    if time.tzinfo is not UTC:
        if time.utcoffset() is None:
            raise ValueError(f"a time without zone: {time}")
        time = time.astimezone(UTC)
    return time.isoformat(timespec="milliseconds")[:-6] + "Z"


def _utf8(text: str) -> str:
    """Return text that can be written as UTF-8."""
    return text if text.isascii() else well_formed(text)


def _time(text: str | None) -> datetime | None:
    """Return the time that a text says, if there is one."""
    return datetime.fromisoformat(text) if text else None


def _row(entry: Entry) -> _Row:
    """Return the row of an entry, as if its capture were the only one; raise ValueError if it contradicts itself."""
    capture, reading = entry.capture, entry.reading
    url, announced = _utf8(capture.url), _text(capture.announced) if capture.announced else None
    served = capture.file, capture.offset, url, _text(capture.captured), capture.status, capture.digest, capture.kind
    if reading is None:
        return _Row(*served, announced, entry.publisher, entry.ending, _utf8(entry.target))
    if reading.publisher != entry.publisher:
        raise ValueError(f"a capture of {entry.publisher} that reads as an article of {reading.publisher}: {url}")
    canonical = _utf8(reading.url)
    return _Row(
        *served,
        announced,
        entry.publisher,
        entry.ending,
        _utf8(entry.target),
        id=_utf8(reading.id),
        canonical=None if canonical == url else canonical,
        title=_utf8(reading.title),
        published=_text(reading.published),
        post=reading.post,
        fingerprint=reading.fingerprint,
        reads=CURRENT,
    )


def _after(known: _Row, row: _Row) -> _Row:
    """Return a row as it comes after an earlier one of its capture, whose reading it may withdraw."""
    if row.reads == SILENT and known.article and known.publisher == row.publisher:
        row = row._replace(**{name: getattr(known, name) for name in READING}, reads=WITHDRAWN)
    if row.article is None or row.article != known.article:
        return row
    same = all(getattr(row, name) == getattr(known, name) for name in READING)
    return row._replace(
        sha256=known.sha256, lies=known.lies, outdated=int(bool(known.sha256 and not same) or known.outdated)
    )


def _articles(*rows: _Row | None) -> list[tuple[str, str]]:
    """Return the keys of the articles that rows say something of, each once."""
    return sorted({row.article for row in rows if row and row.article})


def _moment(row: _Row) -> tuple[str, str, int]:
    """Return what captures are sorted by."""
    return row.captured, row.file, row.offset


def _order(row: _Row) -> tuple[int, str, str, int]:
    """Return what an article's captures are sorted by: those that count come first, each kind in the order of time."""
    return -row.reads, *_moment(row)


def _weight(row: _Row) -> tuple[int, str, str, int]:
    """Return what readings are compared by: one that counts outweighs one withdrawn, a newer one an older one."""
    return row.reads, *_moment(row)


def _settled(rows: Iterable[_Row], before: list[_Row]) -> list[_Row]:
    """Return all that captures say of an article, in order, with their marks; ``before`` says where its post lies."""
    line = sorted(rows, key=_order)
    counting = sum(row.reads == line[0].reads for row in line)
    starts = [at for at in range(counting) if not at or line[at].fingerprint != line[at - 1].fingerprint]
    old = next((row.post for row in before if row.first), None)
    return [
        row._replace(
            first=int(at == 0),
            revision=int(at in starts),
            shown=int(at == starts[-1]),
            lies=_lies(row, old, line[0].post),
        )
        for at, row in enumerate(line)
    ]


def _lies(row: _Row, old: str | None, new: str | None) -> str | None:
    """Return where the post that was made of a capture lies, if not at its article's new post."""
    lies = None if row.sha256 is None else row.lies or old
    return None if lies == new else lies


def _place(before: list[_Row], after: list[_Row], row: _Row) -> Place:
    """Return the place of a capture by all captures of its article, before and after."""
    was = [one.fingerprint for one in before if one.revision]
    now = [one.fingerprint for one in after if one.revision]
    ending: Literal["stored", "revised", "unchanged"] = (
        "stored" if not was else "revised" if was != now else "unchanged"
    )
    return Place(ending, str(after[0].post), bool(row.shown))
