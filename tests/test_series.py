"""A day's numbers are all found, whatever holes there are, in whatever order answers come, however often it stops."""

from collections.abc import Iterable
from datetime import date
from random import Random

import pytest

from newsarchive.series import DaySeries, Ending, Series

DAY = date(2023, 8, 23)
ORDINARY = Series(start=1, last=5000, width=4, floor=200, hole=60, density=0.3)
ROUND_UPS = Series(start=5001, last=9999, width=4, floor=41, hole=15, density=0.3)
BOTH = pytest.mark.parametrize("series", [ORDINARY, ROUND_UPS], ids=["ordinary", "round-ups"])
#: Numbers a day reaches, at least and at most.
REACH = {ORDINARY: (170, 470), ROUND_UPS: (5, 45)}
#: Holes lie so many numbers apart that they stay holes of their own.
APART = 20


def simulated(random: Random, series: Series, density: float) -> set[int]:
    """Return the numbers of a day: each an article with the given chance, but for up to four holes."""
    reach = random.randint(*REACH[series])
    holes: list[tuple[int, int]] = []
    for _ in range(random.randint(0, 4)):
        begin = series.start + random.randrange(reach)
        end = begin + random.randint(1, series.hole)
        if all(end + APART <= first or last + APART <= begin for first, last in holes):
            holes.append((begin, end))
    return {
        number
        for number in range(series.start, series.start + reach)
        if random.random() < density and not any(begin <= number < end for begin, end in holes)
    }


def in_order(day: DaySeries, articles: set[int]) -> list[int]:
    """Ask for one number after the other and return them."""
    asked = []
    while numbers := day.ask(1):
        asked += numbers
        for number in numbers:
            day.tell(number, "found" if number in articles else "missing")
    return asked


def found(day: DaySeries) -> set[int]:
    return {number for number, ending in day.endings.items() if ending == "found"}


@BOTH
@pytest.mark.parametrize(
    ("density", "most"), [(0.3, {1: 5.0, 5001: 11.0}), (0.6, {1: 2.6, 5001: 6.0}), (0.95, {1: 1.7, 5001: 4.0})]
)
def test_every_article_of_a_day_is_found(series: Series, density: float, most: dict[int, float]) -> None:
    random, articles, asked = Random(f"{series.start} {density}"), 0, 0
    for _ in range(200):
        there = simulated(random, series, density)
        day = DaySeries(DAY, series)
        asked += len(in_order(day, there))
        articles += len(there)
        assert found(day) == there
        assert day.complete
    print(f"series from {series.start}, density {density}: {asked / articles:.2f} requests per article")
    assert asked / articles < most[series.start]


@BOTH
def test_known_numbers_cost_nothing(series: Series) -> None:
    there = simulated(Random(1), series, 0.5)
    alone = DaySeries(DAY, series)
    everything = in_order(alone, there)
    rest = in_order(DaySeries(DAY, series, found=there), there)
    assert sorted([*rest, *there]) == sorted(everything)


@BOTH
@pytest.mark.parametrize("seed", range(20))
def test_order_failures_and_interruptions_change_nothing(series: Series, seed: int) -> None:
    random = Random(seed)
    there = simulated(random, series, random.uniform(0.3, 0.95))
    named = set(random.sample(sorted(there), len(there) // 10))
    straight = DaySeries(DAY, series, named=named)
    in_order(straight, there)

    endings: dict[int, Ending] = {}
    day = DaySeries(DAY, series, named=named)
    under_way: list[int] = []
    while not day.complete:
        under_way += day.ask(random.randint(1, 16))
        if not under_way or random.random() < 0.01:
            # Killed, or all is asked but some could not be: the next run starts from what the index holds.
            day = DaySeries(
                DAY, series, found=having(endings, "found"), missing=having(endings, "missing"), named=named
            )
            under_way = []
            continue
        number = under_way.pop(random.randrange(len(under_way)))
        ending: Ending = "unknown" if random.random() < 0.05 else "found" if number in there else "missing"
        day.tell(number, ending)
        if ending != "unknown":
            assert number not in endings, "asked twice"
            endings[number] = ending
    assert endings == day.endings == straight.endings
    assert found(day) == there


def having(endings: dict[int, Ending], ending: Ending) -> Iterable[int]:
    return [number for number, ended in endings.items() if ended == ending]


def test_numbers_are_asked_in_order_and_few_at_a_time() -> None:
    day = DaySeries(DAY, ORDINARY)
    assert day.ask(3) == [1, 2, 3]
    assert day.ask(3) == []
    day.tell(2, "missing")
    assert day.ask(3) == [4]
    assert day.left == 199


def test_a_day_without_articles_ends_at_its_floor() -> None:
    day = DaySeries(DAY, ORDINARY)
    assert in_order(day, set()) == list(range(1, 201))
    assert day.complete


def test_the_end_lies_beyond_what_is_known_to_exist() -> None:
    patience = ORDINARY.patience
    assert patience == 60 + 26
    assert max(in_order(DaySeries(DAY, ORDINARY, found=[300]), set())) == 300 + patience
    assert max(in_order(DaySeries(DAY, ORDINARY, named=[300]), set())) == 300 + patience
    assert 300 in in_order(DaySeries(DAY, ORDINARY, named=[300]), set())
    assert 300 not in in_order(DaySeries(DAY, ORDINARY, found=[300]), set())


def test_a_number_named_meanwhile_is_asked_for() -> None:
    day = DaySeries(DAY, ORDINARY)
    in_order(day, set())
    day.name(280)
    assert not day.complete
    assert in_order(day, {280, 290}) == list(range(201, 290 + ORDINARY.patience + 1))


def test_a_number_far_off_does_not_make_thousands_of_requests() -> None:
    # The publisher's 202303043001 is an article, and the only one of its kind that was ever seen.
    asked = in_order(DaySeries(DAY, ORDINARY, named=[3001]), {3001, 3002})
    assert len(asked) < 800
    assert {2900, 3001, 3003, 3088} < set(asked)
    assert in_order(DaySeries(DAY, ORDINARY, named=[5000]), set())[-1] == 5000


def test_a_day_with_numbers_that_could_not_be_asked_is_not_complete() -> None:
    day = DaySeries(DAY, ROUND_UPS, missing=range(5002, 5042))
    assert day.ask(5) == [5001]
    assert not day.complete
    day.tell(5001, "unknown")
    assert day.ask(5) == []
    assert day.left == 0
    assert not day.complete
    day.tell(5001, "missing")
    assert day.complete


def test_the_ending_that_says_most_holds() -> None:
    day = DaySeries(DAY, ROUND_UPS)
    for ending, holds in (("unknown", "unknown"), ("found", "found"), ("missing", "found"), ("unknown", "found")):
        day.tell(5003, ending)
        assert day.endings == {5003: holds}


def test_ids() -> None:
    assert ORDINARY.id_of(DAY, 7) == "202308230007"
    assert ORDINARY.number_of(DAY, "202308230370") == 370
    assert ROUND_UPS.number_of(DAY, "202308235003") == 5003
    for other in ("202308240370", "202308235003", "202308230000", "2023082337", "20230823²370", "20230823+370", ""):
        assert ORDINARY.number_of(DAY, other) is None


@BOTH
def test_numbers_of_another_series_are_an_error(series: Series) -> None:
    for number in (series.start - 1, series.last + 1):
        with pytest.raises(ValueError, match=str(number)):
            DaySeries(DAY, series, found=[number])
        with pytest.raises(ValueError, match=str(number)):
            DaySeries(DAY, series, named=[number])
