"""What is told of a publisher and of the archive, in words, for screen and page alike."""

from collections.abc import Iterator
from datetime import timedelta
from math import sqrt
from typing import NamedTuple

from newsarchive.archival import MEANS
from newsarchive.health import Refusals
from newsarchive.health.checks import pause_between
from newsarchive.status.overview import Held, Overview, run_status
from newsarchive.status.words import percent, size
from newsarchive.words import count, length, moment

__all__ = [
    "DAY",
    "Fact",
    "about",
    "archive",
    "captures",
    "example",
    "figures",
    "holdings",
    "is_unusual",
    "listings",
    "missing",
    "refusals",
    "refused",
    "runs",
]

DAY = timedelta(days=1)
#: Days of which there must be accounts for anything to be usual.
LEAST = 2
#: Gaps, and addresses that could not be had yet, that are named.
SHOWN = 10
#: Heights of a bar in a line of text.
BARS = "▁▂▃▄▅▆▇█"
#: Days of captures that are shown.
CAPTURED = 28


class Fact(NamedTuple):
    """A line under a name."""

    name: str
    value: str
    #: Whether somebody may want to look at it.
    odd: bool = False
    #: What the value is measured against.
    note: str = ""

    @property
    def text(self) -> str:
        """Return all of it."""
        return f"{self.value}{self.note}"


def usual(held: Held, text: str) -> str:
    """Return what is usual as an addition; empty where too little is known of the publisher."""
    return f"; usually {text}" if held.health.days >= LEAST else ""


def about(held: Held) -> Iterator[Fact]:
    """Yield the facts of a publisher, in order."""
    yield from holdings(held)
    yield from figures(held)
    yield from listings(held)
    yield from refused(held)
    if days := captures(held):
        bars = sparkline([number for _, number in days])
        yield Fact("captures", f"{bars} {count(days[-1][1])} on {days[-1][0]}")
    yield from runs(held)
    yield from missing(held)


def holdings(held: Held) -> Iterator[Fact]:
    """Yield how much is held."""
    found = held.holdings
    amounts = (count(found.articles, "article"), count(found.revisions, "revision"))
    yield Fact("held", ", ".join((*amounts, count(found.captures, "capture"))))
    if found.partial:
        yield Fact(
            "", f"{count(found.partial)} of them in part, as feeds tell of them: their pages could not be had yet"
        )
    if found.oldest and found.newest:
        yield Fact("published", f"{found.oldest:%Y-%m-%d %H:%M} to {moment(found.newest)}")


def figures(held: Held) -> Iterator[Fact]:
    """Yield how fresh the archive is, and how much is had, each against what is usual."""
    health, newest = held.health, held.newest
    kinds = {trouble.problem.kind for trouble in held.troubles}
    if newest:
        often = f"; usually {count(health.expected, 'article')} in such a time" if health.rhythm.newest else ""
        yield Fact("newest", f"{length(health.now - newest)} ago", "silent" in kinds, often)
    if health.rhythm.newest:
        came = health.rhythm.between(health.now - DAY, health.now)
        often = count(round(health.rhythm.expected(health.now - DAY, health.now)))
        yield Fact("last day", count(came, "article"), note=usual(held, often))
    if (success := health.success(health.day)).of:
        note = f" of {count(success.of, 'address', 'addresses')} asked for in the last day"
        often = usual(held, percent(health.success(health.past)))
        yield Fact("success", percent(success), "failing" in kinds, f"{note}{often}")
    if (lag := health.lag(health.now - DAY)) is not None:
        often = usual(held, length(health.lag() or timedelta(0)))
        yield Fact("lag", length(lag), note=f" from publication to capture, in the median{often}")


def refused(held: Held) -> Iterator[Fact]:
    """Yield what was refused and what failed, by reason, each with how often it usually does."""
    for ending in ("refused", "failed"):
        if told := [refusal for refusal in refusals(held) if refusal.ending == ending]:
            text = ", ".join(_refusal(held, refusal) for refusal in told)
            yield Fact(ending, text, any(map(is_unusual, told)))
            for refusal in filter(is_unusual, told):
                yield Fact("", example(refusal), odd=True)


def runs(held: Held) -> Iterator[Fact]:
    """Yield how runs went lately."""
    health = held.health
    if health.day:
        pause = pause_between(health.past)
        often = f", one every {length(pause)}" if pause and pause >= timedelta(minutes=1) else ""
        unwell = len(held.unwell())
        text = f"{count(len(health.day))} in the last day{often}; {count(unwell) if unwell else 'none'} of them failed"
        yield Fact("runs", text, bool(unwell))
    if not (run := health.last):
        yield Fact("last run", "no run has ended yet")
        return
    failed = sum(run.ends("failed").values())
    lost = f", {count(failed, 'address', 'addresses')} failed" if failed else ""
    status = run_status(run)
    text = f"{moment(run.ended)}, {length(health.now - run.ended)} ago: {MEANS[status]}{lost}"
    yield Fact("last run", text, bool(status))


def listings(held: Held) -> Iterator[Fact]:
    """Yield how many listings could be read, and those that could not."""
    asked = held.health.listings()
    failing = [(url, read, why) for url, read, why in asked if why]
    if asked:
        yield Fact("listings", f"{len(asked) - len(failing)} of {len(asked)} could be read", bool(failing))
    for url, read, why in failing:
        when = f"read last {moment(read)}" if read else "not read lately"
        yield Fact("", f"{url}: {why}; {when}", odd=True)


def _refusal(held: Held, refusal: Refusals) -> str:
    often = f" (usually {count(refusal.usual)})" if held.health.days >= LEAST else ""
    return f"{refusal.reason} {count(refusal.day)}{often}"


def example(refusal: Refusals) -> str:
    """Return where to look at what is refused more often than usual."""
    detail = f" ({refusal.detail})" if refusal.detail else ""
    layouts = f" in {', '.join(refusal.layouts)}" if refusal.layouts else ""
    where = f": {refusal.example}" if refusal.example else ""
    return f"more {refusal.reason}{layouts} than usual{detail}{where}"


def is_unusual(refusal: Refusals) -> bool:
    """Tell whether something is worth a look that happened more often than it does; alarms are more careful."""
    return refusal.day > refusal.usual + 3 * sqrt(refusal.usual + 1)


def refusals(held: Held) -> list[Refusals]:
    """Return what was refused or failed in the last day, or is so every day, the most frequent reasons first."""
    return [refusal for refusal in held.health.refusals() if refusal.day or refusal.usual >= 1]


def captures(held: Held) -> list[tuple[str, int]]:
    """Return how many responses were captured on each of the last days."""
    return held.health.captures()[-CAPTURED:]


def sparkline(numbers: list[int]) -> str:
    """Return bars of the height of numbers, in a line."""
    most = max(numbers, default=0) or 1
    return "".join(BARS[min(number * len(BARS) // most, len(BARS) - 1)] for number in numbers)


def missing(held: Held) -> Iterator[Fact]:
    """Yield where articles may be missing, and what could not be had yet."""
    gaps, unfinished = held.health.gaps, held.health.unfinished
    is_odd = any(trouble.problem.kind == "gap" for trouble in held.troubles)
    for number, gap in enumerate(reversed(gaps[-SHOWN:])):
        yield Fact("gaps" if not number else "", f"{gap} UTC may be incomplete", is_odd and not number)
    if len(gaps) > SHOWN:
        yield Fact("", f"and {count(len(gaps) - SHOWN)} more before them")
    if not gaps:
        yield Fact("gaps", "no gaps are known")
    for number, entry in enumerate(unfinished[:SHOWN]):
        text = f"since {entry['since'][:16].replace('T', ' ')}: {entry['url']} ({entry['reason']})"
        yield Fact("not had yet" if not number else "", text)
    if len(unfinished) > SHOWN:
        yield Fact("", f"and {count(len(unfinished) - SHOWN)} more addresses that were not had yet")


def archive(told: Overview) -> Iterator[Fact]:
    """Yield the facts of the archive as a whole."""
    articles = sum(held.holdings.articles for held in told.publishers)
    yield Fact("held", f"{count(articles, 'article')} of {count(len(told.publishers), 'publisher')}")
    places = (f"{size(kept.bytes)} in {count(kept.files, 'file')} {where}" for where, kept in told.captures.items())
    yield Fact("captures", ", ".join(places))
    disk = told.disk
    days = f", which will do for {count(disk.days, 'day')}" if disk.days is not None else ""
    short = any(trouble.problem.kind == "disk" for trouble in told.troubles)
    yield Fact("disk", f"{size(disk.free)} of {size(disk.total)} left{days}", short)
