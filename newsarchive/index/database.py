"""The index as an object: one connection to its file, what it is told, and what it is asked."""

import errno
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from itertools import chain, groupby
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Self

from newsarchive.capture import NO_RESPONSES, Capture
from newsarchive.coverage import Span, gaps_between, joined
from newsarchive.index.facts import (
    AddressRow,
    ArticleRow,
    Entry,
    Holdings,
    IndexUnusable,
    Place,
    PostTaken,
    Reading,
    ReadRow,
    RelatedRow,
    RevisionRow,
    RunRow,
    TwinTaken,
)
from newsarchive.index.likeness import related
from newsarchive.index.opening import opened, opened_for_reading
from newsarchive.index.row import (
    CURRENT,
    READING,
    RECORDED,
    SILENT,
    WITHDRAWN,
    Row,
    articles_of,
    as_text,
    as_time,
    as_utf8,
    moment,
    order,
    place_of,
    row_of,
    settled,
    unread,
    updated,
    weight,
)
from newsarchive.index.schema import (
    APPLICATION,
    BEST,
    COLUMNS,
    NAMES,
    NEWEST,
    PAGELESS,
    PARTIAL,
    SCHEMA,
    SELECT,
    STALE,
    UPSERT,
    VERSION,
)
from newsarchive.post import named

__all__ = ["Index"]

#: The first SQLite with strict tables.
OLDEST = (3, 37)
#: KiB of the file that are kept in memory; the system keeps the rest.
CACHE = 16 * 1024
#: Bytes that the log of transactions may keep on disk once they are in the file.
LOG = 64 * 2**20
#: Redirects that are followed from an address to its article.
HOPS = 10


class _Plan(NamedTuple):
    """What recording an entry comes to."""

    place: Place
    #: The row to be written, marks included.
    row: Row
    #: The row as it is; None if the capture is new.
    known: Row | None
    #: The captures of each article that is touched as they are to be, in order; None if only ``row`` changes.
    lines: list[list[Row]] | None = None


NOTHING = Place("unchanged", "", False)
#: Captures of an address at a time with a digest. Saying what `reads` may be lets SQLite use the index of all three.
EXACT = "url = ? AND reads IN (0, 1, 2) AND captured = ? AND digest = ?"
#: Addresses at which an article was read, that its pages name, or that redirect to one of those. A twin's is one of
#: them unless it is another article's own.
ADDRESSES = """WITH RECURSIVE known(url) AS (
 SELECT url FROM captures WHERE publisher = ?1 AND id = ?2
 UNION SELECT canonical FROM captures WHERE publisher = ?1 AND id = ?2 AND canonical IS NOT NULL
 UNION SELECT twin FROM captures WHERE publisher = ?1 AND id = ?2 AND twin IS NOT NULL
 AND NOT EXISTS (SELECT 1 FROM captures AS own WHERE own.url = captures.twin AND own.reads IN (1, 2))
 AND NOT EXISTS (SELECT 1 FROM captures AS own WHERE own.canonical = captures.twin)
 UNION SELECT captures.url FROM known JOIN captures
 ON captures.target = known.url AND captures.target <> '' AND captures.publisher = ?1
) SELECT url FROM known ORDER BY url"""
#: Articles of which only a feed could be read so far, of those at some addresses, or at such as redirect there.
FED = f"""WITH RECURSIVE known(url) AS (
 VALUES (?2), (?4), (?5)
 UNION SELECT captures.url FROM known JOIN captures
 ON captures.target = known.url AND captures.target <> '' AND captures.publisher = ?1
) SELECT DISTINCT id FROM captures WHERE publisher = ?1 AND {PARTIAL}
 AND (id = ?3 OR url IN (SELECT url FROM known) OR canonical IN (SELECT url FROM known)) ORDER BY id"""
#: All captures of so many articles of a publisher, by id, that come after one.
LINES = f"""{SELECT} WHERE publisher = ?1 AND id > ?2 AND id <= (SELECT max(id) FROM (
 SELECT id FROM captures WHERE publisher = ?1 AND shown = 1 AND id > ?2 ORDER BY id LIMIT ?3)) ORDER BY id"""
#: Articles that are asked for at a time.
MANY = 500
TAKE_BACK = f"""UPDATE captures SET {", ".join(f"{name} = NULL" for name in READING)}, reads = 0,
 first = 0, revision = 0, shown = 0, sha256 = NULL, lies = NULL, outdated = 0
 WHERE publisher = ? AND id = ? AND {PARTIAL}"""
#: Other ids under which only posts and items tell of the article that a page at an address reads as.
TOLD_OF = """SELECT DISTINCT id FROM (
 SELECT publisher, id, kind FROM captures WHERE url IN (?3, ?4) AND reads IN (1, 2)
 UNION SELECT publisher, id, kind FROM captures WHERE canonical IN (?3, ?4) AND reads IN (1, 2)
) AS told WHERE publisher = ?1 AND id <> ?2 AND kind IN ('item', 'post') AND NOT EXISTS (
 SELECT 1 FROM captures WHERE publisher = ?1 AND id = told.id AND kind NOT IN ('item', 'post')) ORDER BY id"""
#: Kinds of captures that say of an article what pages say of it, without its id.
ADOPTED = ("item", "post")
#: What sorts behind every position in a file.
END = (1 << 63) - 1


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
        try:
            self.db = opened_for_reading(file) if read_only else opened(file, "mode=rwc")
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
        self._run("SAVEPOINT trial")
        try:
            return self._record(entry, "", None)
        finally:
            self._undo("trial")

    def record(self, entry: Entry, sha256: str = "", *, write: Callable[[str], str] | None = None) -> Place:
        """Record what a capture says, in place of what it said before, and return where that puts it.

        ``sha256`` is that of the article's post if it now lies on disk, made of
        this capture. ``write`` is called with the name of the post if this capture is to
        be shown, before anything is recorded, and returns that sum. Outside a transaction,
        it is one. Raises ValueError for a time without zone or a reading of another
        publisher, PostTaken, and what ``write`` raises.
        """
        if self.db.in_transaction:
            return self._record(entry, sha256, write)
        with self.transaction():
            return self._record(entry, sha256, write)

    def _record(self, entry: Entry, sha256: str, write: Callable[[str], str] | None) -> Place:
        """Write what recording an entry comes to."""
        if sha256 and not entry.reading:
            raise ValueError(
                f"a post is made of a reading, and {entry.capture.file} has none at {entry.capture.offset}"
            )
        url, reading = entry.capture.url, entry.reading
        if reading and entry.ending == "partial":
            told = []
            if self._page_read(reading, url):
                entry, sha256 = replace(entry, reading=None), ""
        else:
            says = bool(reading or entry.target or entry.ending == TwinTaken.reason)
            told = self._told_by_feeds(entry.publisher, url, reading) if says else []
        if reading and entry.capture.kind in ADOPTED:
            entry = self._adopted(entry, reading)
        elif reading and entry.capture.kind not in NO_RESPONSES and (ids := self._told_by_posts(reading, url)):
            return self._record_adopting(ids, entry, sha256, write)
        if told and (not entry.target or self._leads_to_page(entry)):
            return self._record_instead(told, entry, sha256, write)
        return self._record_alone(entry, sha256, write)

    def _record_instead(self, told: list[str], entry: Entry, sha256: str, write: Callable[[str], str] | None) -> Place:
        """Write what recording an entry comes to, in place of articles of which only feeds told."""
        self._run("SAVEPOINT instead")
        try:
            rows = [row for id in told if (row := self.article(entry.publisher, id))]
            for id in told:
                self._run(TAKE_BACK, entry.publisher, id)
            place = self._record_alone(entry, sha256, write)
        except BaseException:
            self._undo("instead")
            raise
        self._run("RELEASE instead")
        return replace(place, freed=tuple(row.lies for row in rows if row.lies))

    def _record_adopting(self, ids: list[str], entry: Entry, sha256: str, write: Callable[[str], str] | None) -> Place:
        """Write what recording a page comes to whose article is known by its address alone: they become one."""
        assert entry.reading
        self._run("SAVEPOINT instead")
        try:
            articles = [article for id in ids if (article := self.article(entry.publisher, id))]
            lines = [self._line(entry.publisher, id) for id in ids]
            for row in chain.from_iterable(lines):
                self._run(UPSERT, *unread(row))
            for row in chain.from_iterable(lines):
                self._record_alone(_as_read_by(row, entry.reading.id), "", None)
            place = self._record_alone(entry, sha256, write)
        except BaseException:
            self._undo("instead")
            raise
        self._run("RELEASE instead")
        return replace(place, freed=tuple(article.lies for article in articles if article.lies))

    def _adopted(self, entry: Entry, reading: Reading) -> Entry:
        """Return what a post or an item says, as of the article that pages at its address read as."""
        page = max(
            (row for url in {entry.capture.url, reading.url} if (row := self._read(as_utf8(url)))),
            key=weight,
            default=None,
        )
        if not page or page.publisher != entry.publisher or page.id == as_utf8(reading.id):
            return entry
        return replace(entry, reading=_under(reading, str(page.id)))

    def _undo(self, savepoint: str) -> None:
        """Undo what was done since a savepoint, unless SQLite has undone the whole transaction."""
        if self.db.in_transaction:
            self._run(f"ROLLBACK TO {savepoint}")
            self._run(f"RELEASE {savepoint}")

    def _record_alone(self, entry: Entry, sha256: str, write: Callable[[str], str] | None) -> Place:
        """Write what recording an entry comes to, whatever feeds tell."""
        place, row, known, lines = self._plan(entry)
        if write and place.shown:
            sha256 = write(place.post)
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

    def _write_lines(self, row: Row, known: Row | None, lines: list[list[Row]]) -> None:
        """Write a row and the marks of all captures of its articles."""
        # No two captures may bear a mark at any moment.
        for article in articles_of(row, known):
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

    def _made(self, row: Row, sha256: bytes) -> None:
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
        self._run(
            "UPDATE runs SET ended = ?, status = ?, counts = ? WHERE run = ?", as_text(ended), status, counted, run
        )

    def run_recorded(self, row: RunRow) -> None:
        """Record a run as it was reported, in place of what was recorded of it."""
        counted = json.dumps(row.counts or {}, sort_keys=True)
        ended = row.ended and as_text(row.ended)
        values = (row.run, row.publisher, as_text(row.started), ended, row.status, counted)
        self._run("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?)", *values)
        self._run("DELETE FROM coverage WHERE run = ?", row.run)
        for source, span in row.covered:
            self._run(
                "INSERT OR IGNORE INTO coverage VALUES (?, ?, ?, ?, ?)",
                *(row.publisher, as_text(span.start), as_text(span.end), row.run, source),
            )

    # What feeds say of articles, and what pages say.

    def _page_read(self, reading: Reading, url: str) -> bool:
        """Tell whether a page was read of an article of which a feed tells at an address."""
        at = (row for address in {url, reading.url} if (row := self.address(as_utf8(address))))
        ids = {as_utf8(reading.id), *(row.id for row in at if row.publisher == reading.publisher)}
        sql = "SELECT 1 FROM captures WHERE publisher = ? AND id = ? AND kind <> 'entry' LIMIT 1"
        # Or one that is in the index in another script.
        twin = "SELECT 1 FROM captures WHERE url = ? AND reads = 0 AND ending = 'twin' LIMIT 1"
        return any(self._one(sql, reading.publisher, id) for id in ids) or bool(self._one(twin, as_utf8(url)))

    def _leads_to_page(self, entry: Entry) -> bool:
        """Tell whether a redirect leads to an article of which a page was read."""
        row = self.address(entry.target)
        article = self.article(row.publisher, row.id) if row and row.publisher == entry.publisher else None
        return bool(article and not article.partial)

    def _told_by_feeds(self, publisher: str, url: str, reading: Reading | None = None) -> list[str]:
        """Return the ids under which only feeds told of the article at an address."""
        if not self._one(f"SELECT 1 FROM captures WHERE publisher = ? AND {PARTIAL} LIMIT 1", publisher):
            return []
        named = (reading.id, reading.url, reading.twin or url) if reading else ("", url, url)
        return [id for (id,) in self._all(FED, publisher, as_utf8(url), *map(as_utf8, named))]

    def _told_by_posts(self, reading: Reading, url: str) -> list[str]:
        """Return the other ids under which only posts and items tell of the article that a page reads as."""
        values = reading.publisher, as_utf8(reading.id), as_utf8(url), as_utf8(reading.url)
        return [id for (id,) in self._all(TOLD_OF, *values)]

    # Where a capture stands.

    def _plan(self, entry: Entry) -> _Plan:
        """Return what recording an entry comes to."""
        known = self._row(f"{SELECT} WHERE file = ? AND offset = ?", entry.capture.file, entry.capture.offset)
        row = row_of(entry)
        if known:
            row = updated(known, row)
            if row[:RECORDED] == known[:RECORDED]:
                return _Plan(self._standing(known), known, known)
        if not articles_of(row, known):
            return _Plan(NOTHING, row, known)
        return (None if known else self._appended(row)) or self._inserted(row, known)

    def _standing(self, known: Row) -> Place:
        """Return the place of a capture that says what it said."""
        return Place("unchanged", self._post(known), bool(known.shown)) if known.reads == CURRENT else NOTHING

    def _post(self, row: Row) -> str:
        """Return the post of the article of a reading that counts."""
        if row.first:
            return str(row.post)
        sql = "SELECT post FROM captures WHERE publisher = ? AND id = ? AND reads = ? "
        (post,) = self._one(f"{sql} ORDER BY captured, file, offset LIMIT 1", row.publisher, row.id, row.reads)
        return str(post)

    def _appended(self, row: Row) -> _Plan | None:
        """Return what a new capture comes to that is the newest of its article; None if it is not."""
        newest = self._row(f"{SELECT} WHERE publisher = ? AND id = ? {BEST}", row.publisher, row.id)
        if newest is None:
            self._free([row])
            self._single(row)
            return _Plan(Place("stored", str(row.post), True), row._replace(first=1, revision=1, shown=1), None)
        if newest.reads != CURRENT or moment(newest) > moment(row):
            return None
        post = self._post(newest)
        if newest.fingerprint == row.fingerprint:
            return _Plan(Place("unchanged", post, False), row, None)
        return _Plan(Place("revised", post, True), row._replace(revision=1, shown=1), None)

    def _inserted(self, row: Row, known: Row | None) -> _Plan:
        """Return what a capture comes to among others, from all captures of the articles that it touches."""
        lines, place = [], NOTHING
        for article in articles_of(row, known):
            before = self._line(*article)
            line = [one for one in before if one.key != row.key]
            after = settled([*line, row] if row.article == article else line, before)
            if row.article == article:
                row = next(one for one in after if one.key == row.key)
                place = place_of(before, after, row) if row.reads == CURRENT else NOTHING
            lines.append(after)
        self._free([line[0] for line in lines if line])
        return _Plan(place, row, known, lines)

    def _line(self, publisher: str, id: str) -> list[Row]:
        """Return what all captures say or said of an article, in order; those that count come first."""
        rows = self._all(f"{SELECT} WHERE publisher = ? AND id = ?", publisher, id)
        return sorted(map(Row._make, rows), key=order)

    def _free(self, named: list[Row]) -> None:
        """Raise PostTaken if a post that articles are to have is another one's."""
        owners = {(row.publisher, row.id): row.post for row in named}
        for row in named:
            owner = self._one("SELECT publisher, id FROM captures WHERE post = ? AND first = 1", row.post)
            other = owner if owner and owner not in owners else None
            other = other or next((one for one in owners if one != row.article and owners[one] == row.post), None)
            if other:
                raise PostTaken(f"{row.publisher} {row.id} would have the post of {other[0]} {other[1]}: {row.post}")

    def _single(self, row: Row) -> None:
        """Raise TwinTaken if a new article is another one in another script: either names an address of the other."""
        others = [self._row(f"{SELECT} WHERE twin = ? {BEST}", url) for url in {row.url, row.canonical or row.url}]
        for other in (*others, self._read(row.twin) if row.twin else None):
            if other and other.publisher == row.publisher and other.id != row.id:
                raise TwinTaken(f"{row.publisher} {row.id} is {other.id} in another script")

    # Reading.

    def article(self, publisher: str, id: str) -> ArticleRow | None:
        """Return what is held of an article; None if nothing is."""
        row = self._row(f"{SELECT} WHERE publisher = ? AND id = ? AND shown = 1", publisher, as_utf8(id))
        return row and self._article(row)

    def articles(self, publisher: str) -> Iterator[ArticleRow]:
        """Yield the articles of a publisher by their ids."""
        for row in self._each(f"{SELECT} WHERE publisher = ? AND shown = 1 ORDER BY id", publisher):
            yield self._article(Row._make(row))

    def line(self, publisher: str, id: str) -> list[Row]:
        """Return what all captures say or said of an article, in order; those that count come first."""
        return self._line(publisher, as_utf8(id))

    def lines(self, publisher: str) -> Iterator[list[Row]]:
        """Yield what all captures say or said of each article of a publisher, by id, each as ``line`` does.

        Asks for some articles at a time: whoever takes hours over them keeps nobody from writing.
        """
        last = ""
        while rows := self._all(LINES, publisher, last, MANY):
            for _, line in groupby(map(Row._make, rows), key=lambda row: row.id):
                yield sorted(line, key=order)
            last = Row._make(rows[-1]).id or ""

    def ages(self, publisher: str) -> Iterator[tuple[str, str, int, str]]:
        """Yield time, file and offset of the first capture of each article of a publisher, and its id."""
        sql = "SELECT captured, file, offset, id FROM captures WHERE publisher = ? AND first = 1"
        yield from self._each(sql, publisher)

    def owner(self, post: str) -> tuple[str, str] | None:
        """Return the publisher and id of the article that has a post; None if none has."""
        found: tuple[str, str] | None = self._one(
            "SELECT publisher, id FROM captures WHERE post = ? AND first = 1", post
        )
        return found

    def is_former(self, post: str) -> bool:
        """Tell whether the post of an article lies at a path that is its post no more."""
        return self._one("SELECT 1 FROM captures WHERE lies = ? LIMIT 1", post) is not None

    def _article(self, shown: Row) -> ArticleRow:
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
            partial=shown.kind == "entry",
        )

    def stale(self, publisher: str) -> list[tuple[str, str, str, Capture]]:
        """Return articles whose post on disk is not known to be made of the capture they show, as it reads now.

        Each with publisher, id, post and that capture, by id. One that no capture reads as any more is none of them.
        """
        rows = map(Row._make, self._all(f"{SELECT} WHERE publisher = ? AND {STALE} ORDER BY id", publisher))
        return [(row.publisher, str(row.id), self._post(row), row.capture) for row in rows]

    def revisions(self, publisher: str, id: str) -> list[RevisionRow]:
        """Return the revisions of an article, oldest first; empty if there is no such article."""
        rows = (row for row in self._line(publisher, as_utf8(id)) if row.revision)
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

    def related(self, publisher: str, id: str) -> list[RelatedRow]:
        """Return the articles whose text is much like that of an article, as both are shown, the most alike first.

        Those of other publishers too; none of a text that is too short to be compared.
        """
        id = as_utf8(id)
        shown = self._one("SELECT sketch FROM captures WHERE publisher = ? AND id = ? AND shown = 1", publisher, id)
        return related(publisher, id, shown[0], self._all) if shown else []

    def address(self, url: str) -> AddressRow | None:
        """Return what is held of an address, looked up exactly; None if it is neither captured nor canonical.

        Its article is looked for behind at most ten redirects.
        """
        url = as_utf8(url)
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

    def _address(self, url: str) -> tuple[Row | None, Row | None]:
        """Return the newest capture of an address, and its newest reading: one that counts, or else a withdrawn one."""
        asked = self._row(f"{SELECT} WHERE url = ? AND NOT {PAGELESS} {BEST}", url)
        read = self._read(url) or self._row(f"{SELECT} WHERE twin = ? {BEST}", url)
        others = self._newest(url, range(asked.reads)) if asked else []
        return max((row for row in (asked, *others) if row), key=moment, default=None), read

    def _read(self, url: str) -> Row | None:
        """Return the newest reading that asked for an address or named it as canonical; None if there is none."""
        rows = (self._row(f"{SELECT} WHERE {name} = ? {BEST}", url) for name in ("url", "canonical"))
        return max((row for row in rows if row and row.article), key=weight, default=None)

    def _newest(self, url: str, kinds: Iterable[int]) -> list[Row]:
        """Return the newest captures of an address by what they say of an article, each a step in an index."""
        sql = f"{SELECT} WHERE url = ? AND reads = ? AND NOT {PAGELESS} {NEWEST}"
        rows = (self._row(sql, url, reads) for reads in kinds)
        return [row for row in rows if row]

    def addresses_of(self, publisher: str, id: str) -> list[str]:
        """Return the addresses that an article was read at, that its pages name, or that redirect to one of those."""
        return [url for (url,) in self._all(ADDRESSES, publisher, as_utf8(id))]

    def captures_of(self, url: str, most: int = -1) -> list[Row]:
        """Return the captures of an address, newest first; no more than ``most``, if it is given.

        What feeds say of an article is none of them.
        """
        # Each kind is a walk in an index; a listing has thousands of captures.
        sql = f"""{SELECT} WHERE url = ? AND reads = ? AND NOT {PAGELESS}
 ORDER BY captured DESC, file DESC, offset DESC LIMIT ?"""
        kinds = (map(Row._make, self._all(sql, as_utf8(url), reads, most)) for reads in (SILENT, WITHDRAWN, CURRENT))
        rows = sorted(chain.from_iterable(kinds), key=moment, reverse=True)
        return rows if most < 0 else rows[:most]

    def last_entry(self, url: str) -> Capture | None:
        """Return the newest capture of what feeds say of the article at an address; None if there is none."""
        row = self._row(f"{SELECT} WHERE url = ? AND reads IN (0, 1, 2) AND kind = 'entry' {NEWEST}", as_utf8(url))
        return row and row.capture

    def read(self, publisher: str, id: str) -> ReadRow | None:
        """Return where and when an article was read; None if no page of it ever was."""
        sql = f"{SELECT} WHERE publisher = ? AND id = ? AND reads = ? ORDER BY captured "
        first, last = (
            self._row(f"{sql} {order} LIMIT 1", publisher, as_utf8(id), CURRENT) for order in ("ASC", "DESC")
        )
        if not (first and last) or last.kind in NO_RESPONSES:
            return None
        published = datetime.fromisoformat(str(last.published))
        announced = as_time(first.announced) or published
        return ReadRow(last.url, first.capture.captured, last.capture.captured, max(published, announced))

    def ids(self, publisher: str, begins: str) -> list[str]:
        """Return the ids of a publisher's articles that begin with some ASCII digits, and of which a page was read."""
        sql = "SELECT DISTINCT id FROM captures WHERE publisher = ? AND id >= ? AND id < ? AND reads = ?"
        partial = {id for (id,) in self._all(f"SELECT id FROM captures WHERE publisher = ? AND {PARTIAL}", publisher)}
        return [id for (id,) in self._all(sql, publisher, begins, begins + ":", CURRENT) if id not in partial]

    def endings_below(self, address: str) -> list[tuple[str, str, datetime]]:
        """Return the captured addresses that begin with another and a digit, how each ended last, and when."""
        sql = f"""SELECT url, ending, max(captured) FROM captures
 WHERE url >= ? AND url < ? AND NOT {PAGELESS} GROUP BY url"""
        rows = self._all(sql, address + "0", address + ":")
        return [(url, ending, datetime.fromisoformat(captured)) for url, ending, captured in rows]

    def first_read(self, publisher: str, since: datetime) -> list[tuple[str, datetime]]:
        """Return the articles of a publisher whose pages were read for the first time since then, with that time."""
        sql = f"""SELECT id, captured FROM captures
 WHERE publisher = ? AND first = 1 AND captured >= ? AND NOT {PAGELESS} ORDER BY captured"""
        return [(id, datetime.fromisoformat(first)) for id, first in self._all(sql, publisher, as_text(since))]

    def find(self, text: str) -> list[tuple[str, str]]:
        """Return publisher and id of the articles that have an address or an id, looked up exactly."""
        row = self.address(text)
        found = {(row.publisher, row.id)} if row and row.id else set()
        found.update((publisher, text) for publisher in self.publishers() if self.article(publisher, text))
        return sorted(found)

    def holdings(self, publisher: str) -> Holdings:
        """Return how much is held of a publisher."""
        values = self._one(
            "SELECT count(*), min(published), max(published) FROM captures WHERE publisher = ? AND shown = 1", publisher
        )
        (revisions,) = self._one("SELECT count(*) FROM captures WHERE publisher = ? AND revision = 1", publisher)
        (captures,) = self._one("SELECT count(*) FROM captures WHERE publisher = ?", publisher)
        (partial,) = self._one(f"SELECT count(DISTINCT id) FROM captures WHERE publisher = ? AND {PARTIAL}", publisher)
        articles, oldest, newest = values
        return Holdings(articles, partial, revisions, captures, as_time(oldest), as_time(newest))

    def publishers(self) -> list[str]:
        """Return the publishers that have articles, by name."""
        names: list[str] = []
        sql = "SELECT publisher FROM captures WHERE shown = 1 AND publisher > ? ORDER BY publisher LIMIT 1"
        while found := self._one(sql, names[-1] if names else ""):
            names.extend(found)
        return names

    def same_capture(self, url: str, captured: datetime, digest: str) -> Capture | None:
        """Return the capture of an address at a time with a digest of its body; None if there is none."""
        values = as_utf8(url), as_text(captured), digest
        row = self._row(f"{SELECT} WHERE {EXACT} ORDER BY file, offset LIMIT 1", *values)
        return row and row.capture

    def copies(self, row: Row) -> list[str]:
        """Return the other files that hold a capture of the same address, time and body, by name."""
        sql = f"SELECT DISTINCT file FROM captures WHERE {EXACT} AND file <> ? ORDER BY file"
        return [file for (file,) in self._all(sql, row.url, row.captured, row.digest, row.file)]

    def last_capture(self, url: str) -> Capture | None:
        """Return the newest capture of an address; None if there is none."""
        row = max(self._newest(as_utf8(url), (SILENT, WITHDRAWN, CURRENT)), key=moment, default=None)
        return row and row.capture

    def endings(self, publisher: str) -> dict[str, int]:
        """Return how many addresses of a publisher end how, by ending; each counts by its newest capture."""
        sql = f"""SELECT ending, count(*) FROM (
 SELECT ending, row_number() OVER (PARTITION BY url ORDER BY captured DESC, file DESC, offset DESC) AS place
 FROM captures WHERE publisher = ? AND NOT {PAGELESS}) WHERE place = 1 GROUP BY ending ORDER BY ending"""
        return dict(self._all(sql, publisher))

    def files(self, publisher: str) -> dict[str, int]:
        """Return the files of a publisher's captures that are recorded as a whole, with their sizes in bytes."""
        # What sorts between the folder's slash and the character after it lies in the folder.
        low, high = f"captures/{publisher}/", f"captures/{publisher}0"
        return dict(self._all("SELECT file, size FROM files WHERE file >= ? AND file < ?", low, high))

    def captured_files(self) -> Iterator[tuple[str, int]]:
        """Yield the files that captures lie in, by name, each with their number."""
        yield from self._each("SELECT file, count(*) FROM captures GROUP BY file ORDER BY file")

    def captures(self, file: str, start: int = 0, end: int | None = None) -> Iterator[Row]:
        """Yield the captures of a file that begin between two positions, in order; to its end without the second."""
        sql = f"{SELECT} WHERE file = ? AND offset >= ? AND offset < ? ORDER BY offset"
        yield from map(Row._make, self._each(sql, file, start, END if end is None else end))

    def capture_before(self, file: str, position: int) -> int:
        """Return where the last capture of a file begins at or before a position; 0 if none does."""
        sql = "SELECT coalesce(max(offset), 0) FROM captures WHERE file = ? AND offset <= ?"
        (offset,) = self._one(sql, file, position)
        return int(offset)

    def offsets(self, file: str) -> set[int]:
        """Return where the captures of a file begin that are recorded."""
        return {offset for (offset,) in self._all("SELECT offset FROM captures WHERE file = ?", file)}

    def runs(self, publisher: str = "") -> list[RunRow]:
        """Return the runs of a publisher, or of all, by their names: oldest first."""
        rows = self._all("SELECT * FROM runs WHERE ?1 IN ('', publisher) ORDER BY run", publisher)
        covered: dict[str, list[tuple[str, Span]]] = {}
        for run, source, *span in self._each(
            """SELECT run, source, start, "end" FROM coverage WHERE ?1 IN ('', publisher)""", publisher
        ):
            covered.setdefault(run, []).append((source, _span(*span)))
        return [
            RunRow(
                run,
                publisher,
                datetime.fromisoformat(started),
                as_time(ended),
                status=status,
                counts=json.loads(counts),
                covered=tuple(sorted(covered.get(run, ()))),
            )
            for run, publisher, started, ended, status, counts in rows
        ]

    def covered(self, publisher: str) -> list[Span]:
        """Return the times that listings of a publisher have covered, in order; those that touch as one."""
        sql = """SELECT start, "end" FROM coverage WHERE publisher = ? ORDER BY start, "end" """
        return joined(_span(*row) for row in self._each(sql, publisher))

    def gaps(self, publisher: str) -> list[Span]:
        """Return the times at which articles of a publisher may have come and gone unseen, in order."""
        return gaps_between(self.covered(publisher))

    def dump(self) -> Iterator[tuple[Any, ...]]:
        """Yield all that follows from what was recorded: the name of a table and a row of it, in the order of keys."""
        columns = COLUMNS[: COLUMNS.index(", sha256")]
        yield from self._each(f"SELECT 'captures', {columns} FROM captures ORDER BY file, offset")
        yield from self._each("SELECT 'articles', * FROM articles ORDER BY publisher, id")
        yield from self._each("SELECT 'revisions', * FROM revisions ORDER BY publisher, id, captured, file, offset")
        yield from self._each("SELECT 'addresses', * FROM addresses ORDER BY url")
        shown = "SELECT publisher, id, sketch FROM captures WHERE shown = 1 ORDER BY publisher, id"
        for publisher, id, sketch in self._each(shown):
            for row in related(publisher, id, sketch, self._all):
                yield "related", publisher, id, row.publisher, row.id, row.similarity
        yield from self._each("SELECT 'files', * FROM files ORDER BY file")
        yield from self._each("SELECT 'runs', * FROM runs ORDER BY run")
        yield from self._each("SELECT 'coverage', * FROM coverage ORDER BY 2, 3, 4, 5, 6")

    def check(self) -> Iterator[str]:
        """Yield what is wrong with the index, a sentence for each problem."""
        try:
            problems = [told for (told,) in self._each("PRAGMA integrity_check") if told != "ok"]
            yield from (f"{self.file}: {told}" for told in problems)
            if not problems:
                yield from self._marks_wrong()
        except IndexUnusable as error:
            yield str(error)

    def is_readable(self) -> bool:
        """Tell whether SQLite finds the file in order, whatever its rows say."""
        return bool(self._one("PRAGMA quick_check(1)") == ("ok",))

    def _marks_wrong(self) -> Iterator[str]:
        """Yield what the captures' marks say that does not follow from the captures."""
        rows = self._each(f"{SELECT} WHERE id IS NOT NULL ORDER BY publisher, id")
        for (publisher, id), line in groupby(map(Row._make, rows), key=lambda row: (row.publisher, row.id)):
            before = sorted(line, key=order)
            for was, row in zip(before, settled(before, before), strict=True):
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

    def _row(self, sql: str, *values: Any) -> Row | None:
        """Return the first row of a query of captures; None if it has none."""
        row = self._one(sql, *values)
        return row and Row._make(row)

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


def _span(start: str, end: str) -> Span:
    return Span(datetime.fromisoformat(start), datetime.fromisoformat(end))


def _under(reading: Reading, id: str) -> Reading:
    """Return what is said of an article under another id, by which its post is named, too."""
    suffix = PurePosixPath(reading.post).suffix
    return replace(reading, id=id, post=str(named(reading.publisher, id, reading.published, suffix)))


def _as_read_by(row: Row, id: str) -> Entry:
    """Return what a post or an item says, as of the article with an id."""
    reading = Reading(
        publisher=row.publisher,
        id=str(row.id),
        url=row.canonical or row.url,
        twin=row.twin or "",
        title=str(row.title),
        published=datetime.fromisoformat(str(row.published)),
        post=str(row.post),
        fingerprint=str(row.fingerprint),
        sketch=row.sketch or b"",
    )
    return Entry(row.capture, row.publisher, row.ending, row.target, _under(reading, id))
