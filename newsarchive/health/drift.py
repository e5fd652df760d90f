"""Whether the pages of a publisher look as they usually do: layout by layout, field by field.

Of every run it is known how often each field was empty, how long texts were, and what was refused. What the last
run found is held against the runs before it, and what was new on the last day against the days before: a page that
breaks is seen in one run, one that looks a little poorer within days. Rates are compared, never single pages, as any
page may be odd.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from newsarchive.health.accounts import Past, Run
from newsarchive.health.band import Rate, band
from newsarchive.health.problem import Problem, Thresholds, Verdict

__all__ = ["drift"]

DAY = timedelta(days=1)
#: Of texts, the share that counts as short, and as long.
TAIL = 0.05
#: Days that must be known before one of them can be unusual.
LEAST_DAYS = 7
#: Reasons that say of themselves that a page is not what its spider knows: two pages in a row are enough.
LOUD = ("drift", "unknown-layout", "body-lost", "unreadable")
#: Fields of which only new articles tell: of others, servers may send only those that have changed.
AT_FIRST = ("modified",)
#: What is told of texts; only more of it is a trouble.
LENGTHS = ("short", "long")
#: What the pages of a layout looked like, as ``newsarchive.profile`` tells of them.
Look = Mapping[str, Any]


class Counts(NamedTuple):
    """What a run counted: of all pages that it read, and of those that were new."""

    read: Rate
    new: Rate


#: Counts something in what the pages of a layout looked like.
Measure = Callable[[Look], Counts]


def drift(publisher: str, past: Past, thresholds: Thresholds) -> Iterator[Verdict]:
    """Yield what is to be said of the pages that the last of some ordinary runs read, and that were new on its day."""
    if not past:
        return
    for layout in sorted({name for run in past for name in run.looks}):
        looks = [(run, look) for run in past if (look := run.looks.get(layout)) and sum(look["read"])]
        if not looks or looks[-1][0].started < past[-1].started - DAY:
            continue
        before = [look for run, look in looks if run is not past[-1]]
        for subject, measure, words in _measures(before, looks[-1][1]):
            counted = [(run, measure(look)) for run, look in looks]
            name = f"{layout} {subject}".strip()
            judged = Judged(Problem(publisher, "drift", name, ""), layout, words, counted, subject, subject in LENGTHS)
            yield from _judged(judged, [look for _, look in looks], past[-1], thresholds)
    yield from _revisions(publisher, past, thresholds)
    yield from _refusals(publisher, past, thresholds)


class Judged(NamedTuple):
    """What is held against what it usually is."""

    #: What is wrong if it is another, without the words.
    problem: Problem
    layout: str
    #: What it says of a page, as in "3 of 4 pages …".
    words: str
    counted: list[tuple[Run, Counts]]
    #: What an example of it is called.
    example: str
    #: Whether less of it than usual is no trouble.
    only_more: bool = True


class Way(NamedTuple):
    """A way of looking at what was counted: what is new, and what came before it."""

    now: list[Rate]
    before: list[Rate]
    #: For how long that was.
    length: timedelta
    learn: timedelta
    #: When it was, in words.
    when: str


def _judged(judged: Judged, looks: list[Look], last: Run, thresholds: Thresholds) -> Iterator[Verdict]:
    """Yield the verdict on what was counted, if there is enough to judge by; the newest look is the last."""
    key = judged.problem.key
    limit = thresholds.surprise_loud if judged.problem.subject in LOUD else thresholds.surprise
    surprises = []
    for way in _ways(judged.counted, last, thresholds.since.get(key), thresholds.learn):
        rate, usual = sum(way.now, Rate(0, 0)), band(way.before)
        if rate.of and way.length >= way.learn and usual.of >= thresholds.least:
            is_usual = judged.only_more and rate.hits <= rate.of * usual.mean
            surprises.append((0.0 if is_usual else usual.surprise(rate), rate, usual.mean, way.when))
    if not surprises:
        return
    surprise, rate, mean, when = max(surprises)
    if surprise < limit:
        yield Verdict(key, doubtful=surprise >= limit / 2)
        return
    where = f"{judged.layout}: " if judged.layout else ""
    text = f"{where}{rate.hits} of {rate.of} pages {when} {judged.words}, usually {mean:.1%}"
    # Where it happens less than it did, what it did not happen to is the example.
    name = judged.example if rate.hits > rate.of * mean else f"{judged.example}, not empty"
    example = next((look["examples"][name] for look in reversed(looks) if name in look["examples"]), "")
    yield Verdict(key, replace(judged.problem, text=text, example=example))


def _ways(counted: list[tuple[Run, Counts]], last: Run, frozen: datetime | None, learn: timedelta) -> Iterator[Way]:
    """Yield the ways of looking at it; what came after a problem had begun, is not what was before it."""
    streak = list(_streak(counted, last))
    usual = [(run, counts) for run, counts in counted if run is not last and not (frozen and run.started >= frozen)]
    runs = [(run, counts.read) for run, counts in usual]
    yield Way([counts.read for run, counts in counted if run is last], *_past(runs), learn, "in the last run")
    if len(streak) > 1:
        runs = [(run, rate) for run, rate in runs if run.started < streak[-1][0].started]
        when = f"in the last {len(streak)} runs"
        yield Way([rate for _, rate in streak], *_past(runs), learn, when)
    lately = [counts.new for run, counts in counted if run.started > last.started - DAY]
    days = [(run, counts.new) for run, counts in usual if run.started <= last.started - DAY]
    yield Way(lately, _by_day(days), _past(days)[1], max(learn, LEAST_DAYS * DAY), "in a day")


def _streak(counted: list[tuple[Run, Counts]], last: Run) -> Iterator[tuple[Run, Rate]]:
    """Yield the last runs of a day in which it happened to all pages, or to none, newest first."""
    share = None
    for run, counts in reversed(counted):
        hits, of = counts.read
        if of:
            share = hits / of if share is None else share
            if share not in (0, 1) or hits != share * of or run.started <= last.started - DAY:
                return
            yield run, counts.read


def _past(counted: list[tuple[Run, Rate]]) -> tuple[list[Rate], timedelta]:
    """Return the rates of runs, and how long the time is in which they began."""
    length = counted[-1][0].started - counted[0][0].started if counted else timedelta()
    return [rate for _, rate in counted], length


def _by_day(counted: list[tuple[Run, Rate]]) -> list[Rate]:
    """Return rates of whole days, counted back from the last run."""
    days: dict[int, Rate] = {}
    for run, rate in counted:
        number = (counted[-1][0].started - run.started) // DAY
        days[number] = days.get(number, Rate(0, 0)) + rate
    return list(days.values())


def _measures(before: list[Look], last: Look) -> Iterator[tuple[str, Measure, str]]:
    """Yield what is counted of a layout, by the name of its example, and what that says of a page."""
    for field in last["empty"]:
        yield field, partial(_empty, field=field), f"have no {field}"
    lengths: Counter[int] = Counter()
    for look in before:
        lengths.update({int(at): sum(pair) for at, pair in look["lengths"].items()})
    if total := lengths.total():
        short = _edge(sorted(lengths.items()), total, outside=min(lengths) - 1)
        long = _edge(sorted(lengths.items(), reverse=True), total, outside=max(lengths) + 1)
        yield "short", partial(_among, least=-1, most=short), "have a text as short as few have"
        yield "long", partial(_among, least=long, most=10**6), "have a text as long as few have"


def _edge(lengths: list[tuple[int, int]], total: int, outside: int) -> int:
    """Return up to which class of lengths a small share of all texts lies; what lies outside if the first has more."""
    edge, seen = outside, 0
    for at, number in lengths:
        seen += number
        if seen > total * TAIL:
            break
        edge = at
    return edge


def _empty(look: Look, field: str) -> Counts:
    new, again = look["empty"].get(field, (0, 0))
    at_first = Rate(new, look["read"][0])
    return Counts(at_first if field in AT_FIRST else Rate(new + again, sum(look["read"])), at_first)


def _among(look: Look, least: int, most: int) -> Counts:
    pairs = [pair for at, pair in look["lengths"].items() if least <= int(at) <= most]
    new, again = sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)
    return Counts(Rate(new + again, sum(look["read"])), Rate(new, look["read"][0]))


def _revisions(publisher: str, past: Past, thresholds: Thresholds) -> Iterator[Verdict]:
    """Yield what is to be said of articles that were looked at again: where many have changed at once, pages have.

    Servers that say themselves that a page is unchanged say so for any layout, so layouts are not told apart.
    """
    counted = [(run, Counts(rate, rate)) for run in past for rate in [_revised(run)]]
    lately = [run for run in past if run.started > past[-1].started - DAY]
    looks = [(name, look) for run in lately for name, look in run.looks.items() if look["revised"]]
    layouts = ", ".join(dict.fromkeys(name for name, _ in looks if name))
    words = "that were looked at again have changed"
    judged = Judged(Problem(publisher, "drift", "revised", ""), layouts, words, counted, "revised")
    yield from _judged(judged, [look for _, look in looks], past[-1], thresholds)


def _revised(run: Run) -> Rate:
    return Rate(run.account["revised"], run.account["revised"] + run.account["unchanged"])


def _refusals(publisher: str, past: Past, thresholds: Thresholds) -> Iterator[Verdict]:
    """Yield what is to be said of pages that were refused, by reason; which layouts they had is said, too."""
    lately = [run for run in past if run.started > past[-1].started - DAY]
    for reason in sorted({reason for run in past for look in run.looks.values() for reason in look["refused"]}):
        counted = [(run, _refused(run, reason)) for run in past]
        pages = ((name, look) for run in reversed(lately) for name, look in run.looks.items())
        looks = [(name, look) for name, look in pages if reason in look["refused"]]
        layouts = ", ".join(dict.fromkeys(name or "no known layout" for name, _ in looks))
        detail = next((look["details"].get(reason, "") for _, look in looks), "")
        words = f"were refused as {reason}{f' ({detail})' if detail else ''}"
        judged = Judged(Problem(publisher, "refused", reason, ""), layouts, words, counted, reason)
        yield from _judged(judged, [look for _, look in reversed(looks)], past[-1], thresholds)


def _refused(run: Run, reason: str) -> Counts:
    """Return how many pages of a run were refused for a reason, of all that were read or refused."""
    looks = run.looks.values()
    pages = sum(sum(look["read"]) + sum(look["refused"].values()) for look in looks)
    rate = Rate(sum(look["refused"].get(reason, 0) for look in looks), pages)
    return Counts(rate, rate)
