"""An article and its revisions as the index holds them, and which articles are asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from newsarchive.index import Index, Row

__all__ = ["Holding", "Selection", "State"]


@dataclass(frozen=True, slots=True)
class State:
    """One revision of an article."""

    #: Counted from 1, the oldest.
    number: int
    #: Its first capture.
    row: Row
    #: When it was captured last, as the index writes times.
    last: str


@dataclass(frozen=True, slots=True)
class Holding:
    """What the index holds of an article."""

    #: Oldest first; the last is what the article shows.
    states: tuple[State, ...]
    #: The capture of which the post on disk is made; None if none is known to lie there.
    made: Row | None
    #: Path at which the post belongs.
    post: str

    @classmethod
    def of(cls, line: list[Row]) -> "Holding":
        """Return what all captures of an article come to, as ``Index.line`` orders them."""
        counting = [row for row in line if row.reads == line[0].reads]
        starts = [at for at, row in enumerate(counting) if row.revision]
        ends = [*starts[1:], len(counting)]
        states = [
            State(number, counting[start], counting[end - 1].captured)
            for number, (start, end) in enumerate(zip(starts, ends, strict=True), 1)
        ]
        return cls(tuple(states), next((row for row in line if row.sha256), None), str(line[0].post))

    @property
    def row(self) -> Row:
        """Return the capture that the article shows."""
        return self.states[-1].row

    @property
    def key(self) -> tuple[str, str]:
        """Return publisher and id."""
        return self.row.publisher, str(self.row.id)

    @property
    def withdrawn(self) -> bool:
        """Tell whether no capture reads as the article any more."""
        return self.row.reads == 1

    @property
    def published(self) -> datetime:
        """Return when the article was published, as its newest revision says."""
        return datetime.fromisoformat(str(self.row.published))

    @property
    def lies(self) -> str:
        """Return where the post on disk lies; empty if none is known to lie there."""
        return (self.made.lies or self.post) if self.made else ""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which articles are asked for."""

    publishers: tuple[str, ...]
    #: Published then or later, as the newest revision says it.
    since: datetime | None = None
    #: Published before that.
    until: datetime | None = None
    #: Whether all revisions are wanted, or only the newest.
    every: bool = True

    def holdings(self, index: Index) -> Iterator[Holding | None]:
        """Yield the articles by publisher and id; None for one that is not asked for."""
        for publisher in self.publishers:
            for line in index.lines(publisher):
                yield self.chosen(line)

    def chosen(self, line: list[Row]) -> Holding | None:
        """Return an article if it is asked for, with the revisions that are."""
        holding = Holding.of(line)
        if (self.since and holding.published < self.since) or (self.until and holding.published >= self.until):
            return None
        return holding

    def states(self, holding: Holding) -> tuple[State, ...]:
        """Return the revisions of an article that are asked for, oldest first."""
        return holding.states if self.every else holding.states[-1:]
