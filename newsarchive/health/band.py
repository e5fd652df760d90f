"""Rates, and the band in which a rate usually lies.

How often something happened in groups that were alike (runs, days) tells how often it will happen in
the next one. Groups differ by more than chance, as on weekends; so the rate of a group is taken to be drawn from
a beta distribution, whose spread follows from how much the groups differed. What a group then counts has
a beta-binomial distribution. Where something never happened, that is all the more telling the longer it never did.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, lgamma, log10
from typing import NamedTuple

__all__ = ["Band", "Rate", "band"]

#: Times that something happened, or did not, below which how groups differed is rather taken for chance.
FEW = 10
#: No group is so like another that its rate is known better than that of all together.
MOST_ALIKE, LEAST_ALIKE = 0.9, 1e-6
#: How alike the members of a group are as a rule, and how many groups must be known to say otherwise.
ALIKE, GROUPS = 0.02, 10


class Rate(NamedTuple):
    """How often something happened, and of how many times it could have."""

    hits: int
    of: int

    def __add__(self, other: object) -> "Rate":
        """Return the rate of both together."""
        assert isinstance(other, Rate)
        return Rate(self.hits + other.hits, self.of + other.of)


@dataclass(frozen=True, slots=True)
class Band:
    """Where rates usually lie."""

    mean: float
    #: As many times as tell as much as what is known of the rate of a single group.
    weight: float
    #: How often the usual was looked at.
    of: int

    def surprise(self, rate: Rate) -> float:
        """Return how unlikely a rate is that lies so far off, in decimal digits: 6 is one in a million."""
        if not rate.of:
            return 0.0
        hits, mean = (rate.hits, self.mean)
        if hits < rate.of * mean:
            hits, mean = rate.of - hits, 1 - mean
        return max(-log10(max(_tail(hits, rate.of, mean * self.weight, (1 - mean) * self.weight), 1e-300)), 0.0)


def band(groups: Iterable[Rate]) -> Band:
    """Return the band that follows from groups."""
    groups = [group for group in groups if group.of]
    hits, of = sum(group.hits for group in groups), sum(group.of for group in groups)
    mean = (hits + 0.5) / (of + 1)
    spread = sum((group.hits - group.of * mean) ** 2 for group in groups) / (mean * (1 - mean))
    pairs = sum(group.of * (group.of - 1) for group in groups)
    alike = (spread - of) / pairs if pairs else 0.0
    events = min(hits, of - hits)
    alike = max(alike, 0.0) * events / (events + FEW)
    alike += (ALIKE - alike) * GROUPS / (len(groups) + GROUPS)
    alike = min(max(alike, LEAST_ALIKE), MOST_ALIKE)
    return Band(mean, 1 / (alike / (1 - alike) + 1 / (of + 1)), of)


def _tail(hits: int, of: int, a: float, b: float) -> float:
    """Return the probability of at least so many hits in a beta-binomial distribution."""
    first = exp(
        (lgamma(of + 1) - lgamma(hits + 1) - lgamma(of - hits + 1))
        + (lgamma(hits + a) + lgamma(of - hits + b) - lgamma(of + a + b))
        + (lgamma(a + b) - lgamma(a) - lgamma(b))
    )
    total = term = 1.0
    for at in range(hits, of):
        term *= (of - at) * (a + at) / ((at + 1) * (b + of - at - 1))
        total += term
    return min(first * total, 1.0)
