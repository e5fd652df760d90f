"""Which numbers of a day to ask for, where a publisher counts its articles day by day.

Such numbers are not dense: drafts are thrown away, desks reserve blocks they do
not fill. So a series does not end at the first numbers that are missing. Around
every number known to exist, from whatever source, all numbers are asked for as
far as a hole may reach (``Series.patience``), and below it as far as a day
reaches (``Series.floor``); what is found thereby is known to exist as well. The
series is at its end when nothing is left to ask.

More known numbers can only mean more numbers to ask. Hence the same are asked,
and the same are found, whatever the order of answers, and however often the
work was interrupted. A rule that loses patience sooner on dense days would save
a twentieth of the requests, but would end elsewhere when answers come in another order.

A number far above all others does not make thousands of requests: it may be of
a series that nobody knows of.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from heapq import nsmallest
from typing import Literal

__all__ = ["DaySeries", "Ending", "Series"]

#: How a number ended: it is an article's, no article has it, or the publisher could not be asked.
Ending = Literal["found", "missing", "unknown"]

#: Existence that was seen once holds; an answer says more than none.
_WEIGHT: dict[Ending, int] = {"unknown": 1, "missing": 2, "found": 3}

#: How likely a run of missing numbers beside a hole is to come about by chance, and to be taken for the end.
RISK = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A series of numbers that begins anew every day, as the facts of a publisher."""

    #: First number of a day.
    start: int
    #: Last number that can belong to it; numbers above are another series'.
    last: int
    #: Digits of a number in an id, filled up with zeros.
    width: int
    #: How many numbers from ``start`` on are asked for on any day, and below any number known to exist. Fewer than
    #: ``patience`` are too few where a hole may come first; as many as the poorest day has cost nothing.
    floor: int
    #: Consecutive numbers that may be missing for one reason, as when a desk reserves a block.
    hole: int
    #: Least share of articles among the numbers outside of such holes, above 0 and below 1.
    density: float

    @property
    def patience(self) -> int:
        """Return after how many missing numbers the series ends: the longest hole and a run of bad luck beside it."""
        return self.hole + math.ceil(math.log(RISK) / math.log(1 - self.density))

    def id_of(self, day: date, number: int) -> str:
        """Return the id of a number on a day: ``202308230370``."""
        return f"{day:%Y%m%d}{number:0{self.width}}"

    def number_of(self, day: date, id: str) -> int | None:
        """Return the number in an id; None for an id of another day or series."""
        number = id.removeprefix(f"{day:%Y%m%d}")
        if len(id) != 8 + self.width or len(number) != self.width or not (number.isascii() and number.isdecimal()):
            return None
        return int(number) if self.start <= int(number) <= self.last else None


class DaySeries:
    """One series on one day: says which numbers to ask for, and is told how each ended.

    The day has to be over where the publisher is, or numbers may be missing that are still to come.
    """

    def __init__(
        self,
        day: date,
        series: Series,
        *,
        found: Iterable[int] = (),
        missing: Iterable[int] = (),
        named: Iterable[int] = (),
    ) -> None:
        """Take up the work where the archive stands.

        ``found`` and ``missing`` have ended and are not asked for again; ``named`` are said to exist, by a listing
        or an archive of others, and are still to be asked for. Raises ValueError for numbers outside of the series.
        """
        self.day = day
        self.series = series
        #: How every number that is known ended.
        self.endings: dict[int, Ending] = {}
        self._due: set[int] = set()
        self._under_way: set[int] = set()
        self._plan(series.start, series.start + series.floor - 1)
        for number in missing:
            self.tell(number, "missing")
        for number in found:
            self.tell(number, "found")
        for number in named:
            self.name(number)

    def name(self, number: int) -> None:
        """Note that a number is said to exist, so that it and those around it are asked for."""
        self._check(number)
        patience = self.series.patience
        self._plan(number - max(self.series.floor, patience), number + patience)

    def tell(self, number: int, ending: Ending) -> None:
        """Note how a number ended, whether or not it was asked for; of several endings the one that says most holds."""
        self._check(number)
        self.endings[number] = max(self.endings.get(number, ending), ending, key=_WEIGHT.__getitem__)
        self._due.discard(number)
        self._under_way.discard(number)
        if ending == "found":
            self.name(number)

    def ask(self, at_once: int) -> list[int]:
        """Return the next numbers to ask for, lowest first, so that no more than ``at_once`` are under way."""
        numbers = nsmallest(max(at_once - len(self._under_way), 0), self._due)
        self._due.difference_update(numbers)
        self._under_way.update(numbers)
        return numbers

    @property
    def left(self) -> int:
        """Return how many numbers are to be asked for or under way, as far as is known: what is found adds some."""
        return len(self._due) + len(self._under_way)

    @property
    def open(self) -> int:
        """Return how many numbers have not ended, or as unknown, as far as is known."""
        return self.left + sum(ending == "unknown" for ending in self.endings.values())

    @property
    def complete(self) -> bool:
        """Tell whether every number up to the end of the series has ended, and none as unknown."""
        return not self.open

    def _check(self, number: int) -> None:
        if not self.series.start <= number <= self.series.last:
            raise ValueError(f"{number} is not between {self.series.start} and {self.series.last}")

    def _plan(self, first: int, last: int) -> None:
        """Make numbers due that have not ended and are not under way."""
        numbers = set(range(max(first, self.series.start), min(last, self.series.last) + 1))
        self._due |= numbers.difference(self.endings, self._under_way)
