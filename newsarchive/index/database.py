"""The index as an object: one connection to its file, what it is told, and what it is asked."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import chain
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import NamedTuple

from newsarchive.capture import NO_RESPONSES
from newsarchive.index.facts import Entry, Place, PostTaken, Reading, RunRow, TwinTaken
from newsarchive.index.row import (
    CURRENT,
    READING,
    RECORDED,
    Row,
    articles_of,
    as_text,
    as_utf8,
    moment,
    place_of,
    row_of,
    settled,
    unread,
    updated,
)
from newsarchive.index.schema import BEST, PARTIAL, SELECT, UPSERT
from newsarchive.index.telling import ADOPTED, Telling
from newsarchive.naming import named

__all__ = ["Index"]


class _Plan(NamedTuple):
    """What recording an entry comes to."""

    place: Place
    #: The row to be written, marks included.
    row: Row
    #: The row as it is; None if the capture is new.
    known: Row | None
    #: The captures of each article that is touched as they are to be, in order; None if only ``row`` changes.
    lines: list[list[Row]] | None = None


class _Ends(NamedTuple):
    """Articles that end as an entry is recorded."""

    #: Ids under which only feeds told of an article: of these, nothing is left.
    told: Collection[str] = ()
    #: Ids under which only posts and items did, by that of the article that they become one with.
    adopted: Mapping[str, list[str]] = MappingProxyType({})


NOTHING = Place("unchanged", "", False)
TAKE_BACK = f"""UPDATE captures SET {", ".join(f"{name} = NULL" for name in READING)}, reads = 0,
 first = 0, revision = 0, shown = 0, sha256 = NULL, lies = NULL, outdated = 0
 WHERE publisher = ? AND id = ? AND {PARTIAL}"""
#: Where an article's post lies if the article has another name since, and no other article has that one.
FORMER = """SELECT lies FROM captures AS made WHERE publisher = ? AND id = ? AND lies IS NOT NULL
 AND NOT EXISTS (SELECT 1 FROM captures WHERE post = made.lies AND first = 1)"""


class Index(Telling):
    """The index of an archive; one object is one connection, for one thread at a time.

    Raises IndexUnusable if the file is no index, a damaged one, or one of a newer
    version; sqlite3.OperationalError, naming the file, if it is locked for longer
    than 30 seconds, the disk is full, or it cannot be written: the transaction is
    undone then.
    """

    def place(self, entry: Entry) -> Place:
        """Return what recording an entry would return; raise as it would."""
        self._run("SAVEPOINT trial")
        try:
            entry, ends = self._met(entry)
            # Where no article ends, nothing need be written to know, and nothing undone.
            return self._record_ending(ends, entry, "", None) if any(ends) else self._plan(entry).place
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
        entry, ends = self._met(entry)
        if not entry.reading:
            sha256 = ""
        if any(ends):
            return self._record_ending(ends, entry, sha256, write)
        return self._record_alone(entry, sha256, write)

    def _met(self, entry: Entry) -> tuple[Entry, _Ends]:
        """Return an entry as it is to be recorded, and the articles that end with it."""
        url, reading = entry.capture.url, entry.reading
        if reading and entry.ending == "partial":
            return (replace(entry, reading=None) if self._page_read(reading, url) else entry), _Ends()
        says = bool(reading or entry.target or entry.ending == TwinTaken.reason)
        told = self._told_by_feeds(entry.publisher, url, reading) if says else []
        if told and entry.target and not self._leads_to_page(entry):
            told = []
        if reading and entry.capture.kind in ADOPTED:
            if not (id := self._adopter(entry, reading)):
                return entry, _Ends(told)
            # The others of its former id go with it, also those that are not of that minute.
            others = {id: [as_utf8(reading.id)]} if self._only_told(entry.publisher, reading.id) else {}
            return replace(entry, reading=_under(reading, id)), _Ends(told, others)
        if entry.target or (reading and entry.capture.kind not in NO_RESPONSES):
            return entry, _Ends(told, self._adopting(entry))
        return entry, _Ends(told)

    def _record_ending(self, ends: _Ends, entry: Entry, sha256: str, write: Callable[[str], str] | None) -> Place:
        """Write what recording an entry comes to if articles end with it."""
        self._run("SAVEPOINT ending")
        try:
            ids = chain(ends.told, *ends.adopted.values())
            rows = [row for id in ids if (row := self.article(entry.publisher, id))]
            for id in ends.told:
                self._run(TAKE_BACK, entry.publisher, id)
            for id, others in ends.adopted.items():
                self._adopt(entry.publisher, others, id)
            place = self._record_alone(entry, sha256, write)
        except BaseException:
            self._undo("ending")
            raise
        self._run("RELEASE ending")
        return replace(place, freed=(*place.freed, *(row.lies for row in rows if row.lies)))

    def _adopt(self, publisher: str, ids: list[str], id: str) -> None:
        """Write what posts and items say of articles as what they say of the one whose page was read."""
        lines = [self._line(publisher, other) for other in ids]
        for row in chain.from_iterable(lines):
            self._run(UPSERT, *unread(row))
        for row in chain.from_iterable(lines):
            self._record_alone(_as_read_by(row, id), "", None)

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
            place = replace(place, freed=self._made(row, made))
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
                "UPDATE captures SET post = ?, first = ?, revision = ?, shown = ?, sha256 = ?, lies = ?, outdated = ? "
                "WHERE file = ? AND offset = ?",
                one.post,
                *one[RECORDED:],
                *one.key,
            )

    def _made(self, row: Row, sha256: bytes) -> tuple[str, ...]:
        """Keep that an article's post lies on disk, made of this capture and no other; return where it lay before."""
        former = tuple(lies for (lies,) in self._all(FORMER, row.publisher, row.id))
        self._run(
            "UPDATE captures SET sha256 = NULL, lies = NULL, outdated = 0 "
            "WHERE publisher = ? AND id = ? AND sha256 IS NOT NULL",
            row.publisher,
            row.id,
        )
        self._run("UPDATE captures SET sha256 = ? WHERE file = ? AND offset = ?", sha256, *row.key)
        return former

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
        if PurePosixPath(post).suffix != PurePosixPath(str(row.post)).suffix:
            return None
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
