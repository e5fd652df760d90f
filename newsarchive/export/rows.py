"""A revision of an article as one row of a table: every field of the article, and what the index says of it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from newsarchive.article import Article
from newsarchive.export.holding import Holding, Selection, State
from newsarchive.export.reading import Readings, Unread, Wanted
from newsarchive.index import Index
from newsarchive.index.row import as_time, as_utf8
from newsarchive.post import read_bytes

__all__ = ["FIELDS", "Failure", "Row", "rows"]

Row = dict[str, Any]
#: The fields of a row in order, and what each holds; what is not known is null.
FIELDS = {
    "publisher": "text",
    "id": "text",
    # Counted from 1, the oldest; whether it is the newest.
    "revision": "number",
    "newest": "flag",
    # As ``newsarchive.article.Article`` says.
    "url": "text",
    "twin": "text",
    "title": "text",
    "published": "time",
    "modified": "time",
    "language": "text",
    "section": "text",
    "authors": "texts",
    "keywords": "texts",
    "summary": "text",
    "images": "images",
    "body": "text",
    "layout": "text",
    "partial": "flag",
    # When the revision was captured first and last, and its first capture.
    "captured": "time",
    "last_captured": "time",
    "kind": "text",
    "asked": "text",
    "file": "text",
    "offset": "number",
    "digest": "text",
    # Path of the article's post below the archive, and the digest of that file if it is made of this revision.
    "post": "text",
    "sha256": "text",
    # Whether no capture reads as the article any more; how the article's address ended last, and when.
    "withdrawn": "flag",
    "ending": "text",
    "ended": "time",
}
#: Articles that are read together.
BATCH = 32


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that is not exported."""

    publisher: str
    id: str
    #: Number of the revision.
    revision: int
    problem: str

    def __str__(self) -> str:
        return f"{self.publisher} {self.id}, revision {self.revision}: {self.problem}"


def rows(index: Index, archive: Path, selection: Selection, readings: Readings) -> Iterator[list[Row | Failure]]:
    """Yield the rows of each article by publisher, id and revision; none for an article that is not asked for."""
    for holdings, found in readings.each(_batches(index, selection)):
        articles = iter(found)
        for holding in holdings:
            if holding is None:
                yield []
                continue
            about = _about(index, holding)
            yield [_row(archive, holding, state, next(articles), about) for state in selection.states(holding)]


def _batches(index: Index, selection: Selection) -> Iterator[tuple[tuple[Holding | None, ...], list[Wanted]]]:
    """Yield articles, and which captures are to be read for them."""
    found = selection.holdings(index)
    while holdings := tuple(islice(found, BATCH)):
        states = ((holding.key, state) for holding in holdings if holding for state in selection.states(holding))
        yield holdings, [(*key, state.row.capture) for key, state in states]


def _about(index: Index, holding: Holding) -> Row:
    """Return what is said of an article besides its revisions."""
    row = holding.row
    address = index.address(row.canonical or row.url)
    if not (address and address.captured):
        address = index.address(row.url)
    return {
        "post": holding.post,
        "withdrawn": holding.withdrawn,
        "ending": address and address.ending,
        "ended": address and address.captured,
    }


def _row(archive: Path, holding: Holding, state: State, article: Article | Unread, about: Row) -> Row | Failure:
    """Return the row of a revision."""
    row, made = state.row, holding.made
    sha256 = made.sha256.hex() if made and made.sha256 and made.key == row.key else None
    try:
        if isinstance(article, Article):
            said = _said(article)
        elif holding.withdrawn and article.refused:
            said = _kept(archive, holding, state)
        else:
            return Failure(*holding.key, state.number, article.problem)
    except (OSError, ValueError) as error:
        return Failure(*holding.key, state.number, f"{archive / holding.lies}: {error}")
    values = {
        "publisher": row.publisher,
        "id": row.id,
        "revision": state.number,
        "newest": state is holding.states[-1],
        **said,
        "captured": as_time(row.captured),
        "last_captured": as_time(state.last),
        "kind": row.kind,
        "asked": row.url,
        "file": row.file,
        "offset": row.offset,
        "digest": row.digest,
        "sha256": sha256,
        **about,
    }
    return {name: values[name] for name in FIELDS}


def _said(article: Article) -> Row:
    """Return what an article says."""
    return {
        "url": as_utf8(article.url),
        "twin": as_utf8(article.twin),
        "title": as_utf8(article.title),
        "published": _milliseconds(article.published),
        "modified": article.modified and _milliseconds(article.modified),
        "language": as_utf8(article.language),
        "section": as_utf8(article.section),
        "authors": list(map(as_utf8, article.authors)),
        "keywords": list(map(as_utf8, article.keywords)),
        "summary": as_utf8(article.summary),
        "images": [{name: as_utf8(text) for name, text in asdict(image).items()} for image in article.images],
        "body": as_utf8(article.body),
        "layout": article.layout,
        "partial": article.partial,
    }


def _kept(archive: Path, holding: Holding, state: State) -> Row:
    """Return what is still known of a revision that no capture reads as any more."""
    row, body = state.row, None
    if holding.made and holding.made.key == row.key:
        body = read_bytes((archive / holding.lies).read_bytes()).body
    known = {"url": row.canonical or row.url, "twin": row.twin or "", "title": row.title}
    nothing = dict.fromkeys(("modified", "language", "section", "authors", "keywords", "summary", "images", "layout"))
    return {**known, "published": as_time(row.published), **nothing, "body": body, "partial": row.kind == "entry"}


def _milliseconds(time: datetime) -> datetime:
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
