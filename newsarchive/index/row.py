"""A row of ``captures``, and what follows from the rows of an article; nothing here asks the database."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from newsarchive.capture import Capture
from newsarchive.index.facts import Entry, Place
from newsarchive.spelling import well_formed

__all__ = [
    "CURRENT",
    "READING",
    "RECORDED",
    "SILENT",
    "WITHDRAWN",
    "Row",
    "articles_of",
    "as_text",
    "as_time",
    "as_utf8",
    "moment",
    "order",
    "place_of",
    "post_of",
    "row_of",
    "settled",
    "unread",
    "updated",
    "weight",
]

#: What a capture says of an article: nothing; nothing any more; what it says. The greater one counts.
SILENT, WITHDRAWN, CURRENT = range(3)


class Row(NamedTuple):
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
    twin: str | None = None
    title: str | None = None
    published: str | None = None
    post: str | None = None
    fingerprint: str | None = None
    sketch: bytes | None = None
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
        captured, announced = datetime.fromisoformat(self.captured), as_time(self.announced)
        return Capture(self.file, self.offset, self.url, captured, self.status, self.digest, self.kind, announced)


#: How many columns say what was recorded, and which of them are the reading.
RECORDED = Row._fields.index("first")
READING = Row._fields[Row._fields.index("id") : Row._fields.index("reads")]


def as_text(time: datetime) -> str:
    """Return a time as text in UTC, to the millisecond; raise ValueError if it has no zone."""
    if time.tzinfo is not UTC:
        if time.utcoffset() is None:
            raise ValueError(f"a time without zone: {time}")
        time = time.astimezone(UTC)
    return time.isoformat(timespec="milliseconds")[:-6] + "Z"


def as_utf8(text: str) -> str:
    """Return text that can be written as UTF-8."""
    return text if text.isascii() else well_formed(text)


def as_time(text: str | None) -> datetime | None:
    """Return the time that a text says, if there is one."""
    return datetime.fromisoformat(text) if text else None


def row_of(entry: Entry) -> Row:
    """Return the row of an entry, as if its capture were the only one; raise ValueError if it contradicts itself."""
    capture, reading = entry.capture, entry.reading
    url, announced = as_utf8(capture.url), as_text(capture.announced) if capture.announced else None
    served = capture.file, capture.offset, url, as_text(capture.captured), capture.status, capture.digest, capture.kind
    if reading is None:
        return Row(*served, announced, entry.publisher, entry.ending, as_utf8(entry.target))
    if reading.publisher != entry.publisher:
        raise ValueError(f"a capture of {entry.publisher} that reads as an article of {reading.publisher}: {url}")
    canonical = as_utf8(reading.url)
    return Row(
        *served,
        announced,
        entry.publisher,
        entry.ending,
        as_utf8(entry.target),
        id=as_utf8(reading.id),
        canonical=None if canonical == url else canonical,
        twin=as_utf8(reading.twin) or None,
        title=as_utf8(reading.title),
        published=as_text(reading.published),
        post=reading.post,
        fingerprint=reading.fingerprint,
        sketch=reading.sketch or None,
        reads=CURRENT,
    )


def unread(row: Row) -> Row:
    """Return a row without what its capture says of an article."""
    return Row._make((*row[: Row._fields.index("id")], *Row._field_defaults.values()))


def updated(known: Row, row: Row) -> Row:
    """Return a row as it comes after an earlier one of its capture, whose reading it may withdraw."""
    if row.reads == SILENT and known.article and known.publisher == row.publisher:
        row = row._replace(**{name: getattr(known, name) for name in READING}, reads=WITHDRAWN)
    if row.article is None or row.article != known.article:
        return row
    same = all(getattr(row, name) == getattr(known, name) for name in READING)
    return row._replace(
        sha256=known.sha256, lies=known.lies, outdated=int(bool(known.sha256 and not same) or known.outdated)
    )


def articles_of(*rows: Row | None) -> list[tuple[str, str]]:
    """Return the keys of the articles that rows say something of, each once."""
    return sorted({row.article for row in rows if row and row.article})


def moment(row: Row) -> tuple[str, str, int]:
    """Return what captures are sorted by."""
    return row.captured, row.file, row.offset


def order(row: Row) -> tuple[int, str, str, int]:
    """Return what an article's captures are sorted by: those that count come first, each kind in the order of time."""
    return -row.reads, *moment(row)


def weight(row: Row) -> tuple[int, str, str, int]:
    """Return what readings are compared by: one that counts outweighs one withdrawn, a newer one an older one."""
    return row.reads, *moment(row)


def settled(rows: Iterable[Row], before: list[Row]) -> list[Row]:
    """Return all that captures say of an article, in order, with their marks; ``before`` says where its post lies."""
    line = sorted(rows, key=order)
    counting = sum(row.reads == line[0].reads for row in line)
    starts = [at for at in range(counting) if not at or line[at].fingerprint != line[at - 1].fingerprint]
    if not line:
        return []
    line[0] = line[0]._replace(post=post_of(line[0], line[starts[-1]]))
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


def post_of(first: Row, shown: Row) -> str:
    """Return the post of an article: called as its first reading says, and ending as that of the reading it shows.

    Jekyll tells by the end of a name what is in a file.
    """
    return str(PurePosixPath(str(first.post)).with_suffix(PurePosixPath(str(shown.post)).suffix))


def _lies(row: Row, old: str | None, new: str | None) -> str | None:
    """Return where the post that was made of a capture lies, if not at its article's new post."""
    lies = None if row.sha256 is None else row.lies or old
    return None if lies == new else lies


def place_of(before: list[Row], after: list[Row], row: Row) -> Place:
    """Return the place of a capture by all captures of its article, before and after."""
    was = [one.fingerprint for one in before if one.revision]
    now = [one.fingerprint for one in after if one.revision]
    ending: Literal["stored", "revised", "unchanged"] = (
        "stored" if not was else "revised" if was != now else "unchanged"
    )
    return Place(ending, str(after[0].post), bool(row.shown))
