"""Which articles are related: SQL that looks sketches up, and what follows from the rows it finds.

A related article shares a key with the other and is much like it. A key that
many articles share is a phrase of a publisher's, not copy; it says nothing of
any of them. So whether two articles are related follows from what both show and
from how many articles share their keys, never from which of them came first.
"""

from collections.abc import Callable, Iterable
from itertools import chain

from newsarchive.index.facts import RelatedRow
from newsarchive.likeness import ALIKE, KEY_SIZE, KEYS, keys, likeness

__all__ = ["INDEXES", "related"]

#: Articles that share a key at most for it to say something.
MOST = 100

_KEYS = [f"substr(sketch, {1 + number * KEY_SIZE}, {KEY_SIZE})" for number in range(KEYS)]
_COMPARED = "shown = 1 AND sketch IS NOT NULL"
#: Each has a name of its own, so that an index file of other keys is told.
INDEXES = tuple(f"CREATE INDEX like_{number} ON captures ({key}) WHERE {_COMPARED}" for number, key in enumerate(_KEYS))
_SHARING = [
    f"SELECT publisher, id, sketch FROM captures WHERE {key} = ? AND {_COMPARED} LIMIT {MOST + 1}" for key in _KEYS
]


def related(
    publisher: str, id: str, sketch: bytes | None, ask: Callable[[str, bytes], Iterable[tuple[str, str, bytes]]]
) -> list[RelatedRow]:
    """Return what is related to the article that shows a sketch, the most alike first; ``ask`` asks the database."""
    if sketch is None:
        return []
    sharing = [list(ask(sql, key)) for sql, key in zip(_SHARING, keys(sketch), strict=True) if any(key)]
    others = set(chain.from_iterable(rows for rows in sharing if len(rows) <= MOST)) - {(publisher, id, sketch)}
    rows = [
        RelatedRow(other, its, similarity)
        for other, its, shown in others
        if (similarity := likeness(sketch, shown)) >= ALIKE
    ]
    return sorted(rows, key=lambda row: (-row.similarity, row.publisher, row.id))
