"""What is wrong with a publisher by the accounts of its runs: listings, refusals to answer, failures, gaps, silence."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median_low

from newsarchive.coverage import Span
from newsarchive.health.accounts import Past, Run, found_nothing, unwritten
from newsarchive.health.band import Rate, band
from newsarchive.health.problem import Problem, Thresholds, Verdict
from newsarchive.health.rhythm import Rhythm
from newsarchive.words import length

__all__ = ["failing", "gaps", "last_run", "late", "listings", "pause_between", "silent"]

#: Decimal digits of surprise of each of several runs in a row that fail.
UNUSUAL = 3
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
#: A listing that has not been asked for so long is none any more, or only asked where others fail.
FORSAKEN = 2 * DAY
#: Pauses as long as this many others are those of a schedule, as nights and weekends; and how much longer one may be.
PLANNED, LONGER = 3, 1.25


def verdict(problem: Problem, is_so: bool) -> Verdict:
    """Return the verdict that something is wrong, or is not."""
    return Verdict(problem.key, problem if is_so else None)


def last_run(publisher: str, past: Past) -> Iterator[Verdict]:
    """Yield what the last run says of itself: nothing found, pages refused by the host, an archive it cannot write."""
    if not past:
        return
    account = past[-1].account
    nothing = Problem(publisher, "nothing", "", "nothing was found where articles must be")
    # Another look at what is known says nothing of what is new.
    if asked := [run for run in past if run.asks_for_new]:
        yield verdict(nothing, found_nothing(asked[-1].account))
    hosts = {host for run in past for host in run.account["manners"].get("blocked", {})}
    for host in sorted(hosts):
        blocked = account["manners"].get("blocked", {})
        since = f" since {blocked[host][:16].replace('T', ' ')} UTC" if host in blocked else ""
        problem = Problem(publisher, "blocked", host, f"{host} refuses its pages{since}", f"https://{host}/")
        yield verdict(problem, host in blocked)
    told = unwritten(account)
    yield verdict(Problem(publisher, "storage", "", f"the archive could not be written: {told}"), bool(told))


def listings(publisher: str, past: Past, thresholds: Thresholds) -> Iterator[Verdict]:
    """Yield whether the listings asked of late could be read; one that failed just once or twice is asked again."""
    tried: dict[str, list[tuple[Run, str]]] = {}
    for run in past:
        for listing in run.account["listings"]:
            tried.setdefault(listing["url"], []).append((run, listing.get("failed", "")))
    for url, ends in sorted(tried.items()):
        if ends[-1][0].started < past[-1].started - FORSAKEN:
            continue
        failed = 0
        while failed < len(ends) and ends[-1 - failed][1]:
            failed += 1
        since = ends[-failed][0].started if failed else None
        text = f"a listing cannot be read since {since:%Y-%m-%d %H:%M} UTC: {ends[-1][1]}" if since else ""
        yield Verdict(
            (problem := Problem(publisher, "listing", url, text, url)).key,
            problem if failed >= thresholds.patience else None,
            doubtful=0 < failed < thresholds.patience,
        )


def failing(publisher: str, past: Past, thresholds: Thresholds) -> Iterator[Verdict]:
    """Yield whether unusually many articles could not be had, in several runs in a row."""
    key = Problem(publisher, "failing", "", "").key
    last, since = past[-thresholds.patience :], thresholds.since.get(key)
    # Neither what came after it was told is usual, nor the runs by which it was seen.
    before = [run for run in past if not since or run.started < since][: -thresholds.patience]
    if not before or before[-1].started - before[0].started < thresholds.learn:
        return
    usual = band(run.rate("failed") for run in before)
    rates = [run.rate("failed") for run in last]
    if usual.of < thresholds.least or not rates[-1].of:
        return
    is_so = all(rate.hits > rate.of * usual.mean and usual.surprise(rate) >= UNUSUAL for rate in rates)
    total = sum(rates, Rate(0, 0))
    reasons = sorted(last[-1].ends("failed").items(), key=lambda item: -item[1])
    told = ", ".join(f"{number} × {reason}" for reason, number in reasons[:3])
    text = (
        f"{total.hits} of {total.of} articles could not be had in {len(last)} runs ({told}), usually {usual.mean:.1%}"
    )
    yield verdict(Problem(publisher, "failing", "", text), is_so)


def gaps(publisher: str, known: Sequence[Span], now: datetime, thresholds: Thresholds) -> Iterator[Verdict]:
    """Yield whether articles may be missing of late; older gaps are known, and will not be filled any more."""
    open_gaps = [gap for gap in known if gap.end > now - thresholds.gap and gap.end < now - timedelta(hours=24)]
    told = "; ".join(f"{gap} UTC" for gap in open_gaps[-3:])
    yield verdict(Problem(publisher, "gap", "", f"articles may be missing: {told}"), bool(open_gaps))


def silent(publisher: str, rhythm: Rhythm, past: Past, thresholds: Thresholds) -> Iterator[Verdict]:
    """Yield whether a publisher has had no article for unusually long, as of the last run that could read a listing."""
    asked = [run for run in past if run.asks_for_new and any("links" in one for one in run.account["listings"])]
    if not asked or not rhythm.newest or rhythm.days < thresholds.learn / timedelta(days=1):
        return
    now = asked[-1].started
    usually, newest = rhythm.silence(now), rhythm.newest
    text = f"no article since {newest:%Y-%m-%d %H:%M} UTC; usually {usually:.0f} come out in such a time"
    yield verdict(Problem(publisher, "silent", "", text), rhythm.is_silent(now, thresholds.silence))


def pause_between(past: Past) -> timedelta | None:
    """Return how long it usually is from the start of one run to that of the next; None where there are too few."""
    starts = [run.started for run in past]
    pauses = [after - before for before, after in pairwise(starts)]
    return median_low(pauses) if len(pauses) >= 3 else None


def late(publisher: str, past: Past, now: datetime, thresholds: Thresholds) -> Iterator[Verdict]:
    """Yield whether no run that asks for what is new has ended for unusually long: whatever starts them has stopped.

    Nights and weekends without runs are no trouble where they belong to the schedule.
    """
    past = [run for run in past if run.asks_for_new]
    pause = pause_between(past)
    if not pause or past[-1].started - past[0].started < thresholds.learn:
        return
    planned = sorted((after.started - before.started for before, after in pairwise(past)), reverse=True)[:PLANNED][-1]
    most = max(pause * thresholds.late, planned * LONGER, HOUR)
    text = f"no run has ended since {past[-1].ended:%Y-%m-%d %H:%M} UTC; usually one begins every {length(pause)}"
    yield verdict(Problem(publisher, "late", "", text), now - past[-1].ended > most)
