"""What the index is asked: articles, addresses, captures, runs, and whether it agrees with itself."""

import json
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from itertools import chain, groupby
from typing import Any

from newsarchive.capture import NO_RESPONSES, Capture
from newsarchive.coverage import Span, gaps_between, joined
from newsarchive.index.connection import Connection
from newsarchive.index.facts import (
    AddressRow,
    ArticleRow,
    Holdings,
    IndexUnusable,
    ReadRow,
    RelatedRow,
    RevisionRow,
    RunRow,
)
from newsarchive.index.likeness import related
from newsarchive.index.row import (
    CURRENT,
    SILENT,
    WITHDRAWN,
    Row,
    as_text,
    as_time,
    as_utf8,
    moment,
    order,
    settled,
    weight,
)
from newsarchive.index.schema import BEST, COLUMNS, NEWEST, PAGELESS, PARTIAL, SELECT, STALE

__all__ = ["Questions"]

#: Redirects that are followed from an address to its article.
HOPS = 10
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
#: All captures of so many articles of a publisher, by id, that come after one.
LINES = f"""{SELECT} WHERE publisher = ?1 AND id > ?2 AND id <= (SELECT max(id) FROM (
 SELECT id FROM captures WHERE publisher = ?1 AND shown = 1 AND id > ?2 ORDER BY id LIMIT ?3)) ORDER BY id"""
#: Captures and revisions by publisher and day, of those that articles show; of all others without a day.
CENSUS = """SELECT publisher, iif(shown = 1, substr(published, 1, 10), NULL) AS day, count(*), sum(revision),
 min(published), max(published) FROM captures NOT INDEXED GROUP BY publisher, day"""
#: Articles that are asked for at a time.
MANY = 500
#: What sorts behind every position in a file.
END = (1 << 63) - 1


class Questions(Connection):
    """A connection to an index that answers."""

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

    def last_told(self, kind: str, url: str) -> Row | None:
        """Return the newest capture of a kind, of what is said of the article at an address; None if there is none."""
        sql = f"{SELECT} WHERE url = ? AND reads IN (0, 1, 2) AND kind = ? {NEWEST}"
        return self._row(sql, as_utf8(url), kind)

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

    def arrivals(self, publisher: str, since: datetime) -> list[tuple[datetime, datetime]]:
        """Return of each article that was captured first since then when it was published and when that was."""
        sql = "SELECT published, captured FROM captures WHERE publisher = ? AND first = 1 AND captured >= ?"
        rows = self._all(sql, publisher, as_text(since))
        return [(datetime.fromisoformat(published), datetime.fromisoformat(captured)) for published, captured in rows]

    def census(self) -> dict[str, tuple[Holdings, dict[date, int]]]:
        """Return how much is held of each publisher, and how many of its articles came out on each day in UTC.

        Reads the whole index once, which takes a second or two where it has a million articles.
        """
        rows: dict[str, list[Any]] = {}
        for publisher, *row in self._each(CENSUS):
            rows.setdefault(publisher, []).append(row)
        return {publisher: self._census(publisher, found) for publisher, found in sorted(rows.items())}

    def _census(self, publisher: str, rows: list[Any]) -> tuple[Holdings, dict[date, int]]:
        """Return what rows of days say of a publisher; one has the captures that no article shows."""
        days = {date.fromisoformat(day): captures for day, captures, *_ in rows if day}
        revisions, captures = sum(row[2] for row in rows), sum(row[1] for row in rows)
        oldest = min((oldest for day, _, _, oldest, _ in rows if day), default=None)
        newest = max((newest for day, _, _, _, newest in rows if day), default=None)
        held = sum(days.values()), self._partial(publisher), revisions, captures, as_time(oldest), as_time(newest)
        return Holdings(*held), days

    def _partial(self, publisher: str) -> int:
        """Return of how many articles of a publisher only a feed could be read."""
        sql = f"SELECT count(DISTINCT id) FROM captures WHERE publisher = ? AND {PARTIAL}"
        return int(self._one(sql, publisher)[0])

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
        articles, oldest, newest = values
        return Holdings(articles, self._partial(publisher), revisions, captures, as_time(oldest), as_time(newest))

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

    def newest(self, publisher: str) -> dict[str, str]:
        """Return when the newest capture in each of a publisher's files was made, as the index writes times."""
        low, high = f"captures/{publisher}/", f"captures/{publisher}0"
        sql = "SELECT file, max(captured) FROM captures WHERE file >= ? AND file < ? GROUP BY file"
        return dict(self._all(sql, low, high))

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

    def _line(self, publisher: str, id: str) -> list[Row]:
        """Return what all captures say or said of an article, in order; those that count come first."""
        rows = self._all(f"{SELECT} WHERE publisher = ? AND id = ?", publisher, id)
        return sorted(map(Row._make, rows), key=order)

    def _post(self, row: Row) -> str:
        """Return the post of the article of a reading that counts."""
        if row.first:
            return str(row.post)
        sql = "SELECT post FROM captures WHERE publisher = ? AND id = ? AND reads = ? "
        (post,) = self._one(f"{sql} ORDER BY captured, file, offset LIMIT 1", row.publisher, row.id, row.reads)
        return str(post)


def _span(start: str, end: str) -> Span:
    return Span(datetime.fromisoformat(start), datetime.fromisoformat(end))
