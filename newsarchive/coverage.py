"""Which times listings have covered, and where articles may have come and gone unseen.

A whole listing names every article as far back as it reaches. What was published
between its oldest article and shortly before it was asked has been seen, then. What
no listing has covered between the first such time and the last is a gap, until a
listing that reaches further back covers it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

__all__ = ["LAG", "QUIET", "Span", "gaps_between", "joined", "overlap", "reach", "without"]

#: An article may appear in a listing this long after it is said to have been published.
LAG = timedelta(hours=2)
#: No newsroom is silent for longer. Where a listing shows such a hole, what lies before it may be a leftover.
QUIET = timedelta(hours=24)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of time, from its start up to its end; both aware, in UTC."""

    start: datetime
    end: datetime

    def __str__(self) -> str:
        """Return the span as people write it: the day only once if it is the same."""
        ends = f"{self.end:%H:%M}" if self.start.date() == self.end.date() else f"{self.end:%Y-%m-%d %H:%M}"
        return f"{self.start:%Y-%m-%d %H:%M} to {ends}"


def reach(announced: Iterable[datetime | None], asked: datetime) -> Span | None:
    """Return what a whole listing covers that announced articles of these times when it was asked; None if nothing."""
    end = begin = asked - LAG
    for time in sorted((time for time in announced if time and time <= asked), reverse=True):
        if begin - time > QUIET:
            break
        begin = min(begin, time)
    return Span(begin, end) if begin < end else None


def joined(spans: Iterable[Span]) -> list[Span]:
    """Return spans in order, those that touch or overlap as one."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def gaps_between(spans: Iterable[Span]) -> list[Span]:
    """Return what lies between spans and in none of them."""
    whole = joined(spans)
    return [Span(one.end, other.start) for one, other in pairwise(whole)]


def overlap(span: Span, other: Span) -> Span | None:
    """Return what two spans have in common; None if nothing."""
    start, end = max(span.start, other.start), min(span.end, other.end)
    return Span(start, end) if start < end else None


def without(spans: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """Return what spans have that others have not, in order."""
    left, taken = joined(spans), joined(others)
    for other in taken:
        pieces = (
            (Span(span.start, min(span.end, other.start)), Span(max(span.start, other.end), span.end)) for span in left
        )
        left = [piece for pair in pieces for piece in pair if piece.start < piece.end]
    return left
