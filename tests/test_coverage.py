"""Which times listings cover, and what lies between them."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from newsarchive.coverage import LAG, QUIET, Span, gaps_between, joined, overlap, reach, without

START = datetime(2026, 11, 18, tzinfo=UTC)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def span(start: float, end: float) -> Span:
    return Span(at(start), at(end))


@pytest.mark.parametrize(
    ("times", "asked", "covered"),
    [
        ([10, 8, 5], 12, span(5, 10)),
        # What a listing says of the time to come says nothing of the past.
        ([10, 8, 99], 12, span(8, 10)),
        # An article that was left over from long ago does not make the listing reach so far.
        ([40, 38, 2], 42, span(38, 40)),
        ([40, 39, 16, -7.5], 42, span(-7.5, 40)),
        # The newest may still be missing.
        ([11.5], 12, None),
        ([], 12, None),
        ([None, 5], 12, span(5, 10)),
    ],
)
def test_what_a_listing_covers(times: list[float | None], asked: float, covered: Span | None) -> None:
    assert timedelta(hours=2) == LAG
    assert timedelta(hours=24) == QUIET
    assert reach([None if time is None else at(time) for time in times], at(asked)) == covered


def test_a_newsroom_that_is_silent_for_a_night_leaves_no_gap() -> None:
    hours = [0, 1, 2, 11, 12]
    covered = [reach([at(time) for time in hours if time <= now], at(now)) for now in (3, 5, 8, 13)]
    assert gaps_between(found for found in covered if found) == []


def test_gaps_lie_between_what_is_covered() -> None:
    spans = [span(30, 40), span(0, 5), span(4, 8), span(12, 20)]
    assert joined(spans) == [span(0, 8), span(12, 20), span(30, 40)]
    assert gaps_between(spans) == [span(8, 12), span(20, 30)]
    assert gaps_between([]) == gaps_between([span(0, 1)]) == []


@pytest.mark.parametrize("seed", range(20))
def test_spans_by_the_hour(seed: int) -> None:
    """Sets of hours say the same, more slowly."""
    random = Random(seed)

    def some() -> list[Span]:
        starts = [random.randrange(100) for _ in range(random.randrange(1, 12))]
        return [span(start, start + random.randrange(1, 15)) for start in starts]

    def hours(spans: list[Span]) -> set[int]:
        return {hour for one in spans for hour in range(120) if one.start <= at(hour) < one.end}

    one, other = some(), some()
    assert hours(joined(one)) == hours(one)
    assert hours(without(one, other)) == hours(one) - hours(other)
    assert joined(without(one, other)) == without(one, other)
    between = set(range(min(hours(one)), max(hours(one)) + 1)) - hours(one)
    assert hours(gaps_between(one)) == between
    common = overlap(one[0], one[-1])
    assert hours([common] if common else []) == hours(one[:1]) & hours(one[-1:])


@pytest.mark.parametrize(
    ("told", "shown"),
    [(span(3, 5.5), "2026-11-18 03:00 to 05:30"), (span(3, 30), "2026-11-18 03:00 to 2026-11-19 06:00")],
)
def test_a_span_is_told_as_people_write_it(told: Span, shown: str) -> None:
    assert str(told) == shown
