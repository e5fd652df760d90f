"""The health of one publisher's archive: what is held, how fresh it is, what is usual, and what is wrong."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from statistics import median_low
from typing import Any

from newsarchive.coverage import Span
from newsarchive.health import checks
from newsarchive.health.accounts import Past, Run, last_started, recent
from newsarchive.health.band import Rate
from newsarchive.health.drift import drift
from newsarchive.health.problem import Problem, Thresholds, Verdict
from newsarchive.health.rhythm import Rhythm
from newsarchive.index import Holdings, Index
from newsarchive.run import KEPT

__all__ = ["Health", "Refusals", "health_of", "judged"]

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Refusals:
    """How often pages were refused, or could not be had, for a reason."""

    #: ``refused`` or ``failed``.
    ending: str
    reason: str
    #: In the last day, and how often that is usual.
    day: int
    usual: float
    #: Layouts of the pages, and one of them; empty for what is no page.
    layouts: tuple[str, ...] = ()
    example: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Health:
    """What there is to say of a publisher at a time; a day is the last one of its runs."""

    publisher: str
    now: datetime
    #: What the archive holds; None where that was not asked for.
    holdings: Holdings | None
    #: The runs of the last weeks, oldest first: all, and those that a schedule starts.
    runs: Past
    past: Past
    rhythm: Rhythm
    #: Of articles that were new in the last weeks: when they were captured, and how long after they came out.
    lags: Sequence[tuple[datetime, timedelta]]
    gaps: Sequence[Span]
    verdicts: Sequence[Verdict]

    @property
    def problems(self) -> list[Problem]:
        """Return what is wrong."""
        return [verdict.problem for verdict in self.verdicts if verdict.problem]

    @property
    def last(self) -> Run | None:
        """Return the last run that has ended; None if there is none."""
        return self.runs[-1] if self.runs else None

    @property
    def unfinished(self) -> list[dict[str, Any]]:
        """Return what could not be had yet: address, since when, reason."""
        return list(self.last.account.get("unfinished", ())) if self.last else []

    @property
    def age(self) -> timedelta | None:
        """Return how old the newest article is; None if there is none."""
        return self.now - self.rhythm.newest if self.rhythm.newest else None

    @property
    def expected(self) -> float:
        """Return how many articles usually come out in the time since the newest one."""
        return self.rhythm.silence(self.now)

    @cached_property
    def day(self) -> Past:
        """The ordinary runs of the last day."""
        return [run for run in self.past if run.started > self.past[-1].started - DAY] if self.past else []

    @property
    def days(self) -> float:
        """Return of how many days there are accounts."""
        return max((self.past[-1].ended - self.past[0].started) / DAY, 1.0) if self.past else 0.0

    def articles(self, runs: Past) -> int:
        """Return how many articles were new in runs."""
        return sum(run.stored for run in runs)

    def success(self, runs: Past) -> Rate:
        """Return how many articles were had of all that were asked for in runs."""
        had = sum(run.account[ending] for run in runs for ending in KEPT)
        return Rate(had, sum(run.account["scheduled"] for run in runs))

    def lag(self, since: datetime | None = None) -> timedelta | None:
        """Return how long after it came out an article was captured, in the median, since a time; None if none was."""
        lags = [lag for captured, lag in self.lags if since is None or captured >= since]
        return median_low(lags) if lags else None

    def captures(self) -> list[tuple[str, int]]:
        """Return how many responses were captured on each day of which there are accounts, oldest first."""
        days: Counter[str] = Counter()
        for run in self.runs:
            days[f"{run.started:%Y-%m-%d}"] += sum(run.account.get("responses", {}).values())
        return sorted(days.items())

    def listings(self) -> list[tuple[str, datetime | None, str]]:
        """Return the listings that were asked, when each was read last, and why it failed at last, if it did."""
        read: dict[str, datetime] = {}
        failed: dict[str, str] = {}
        for run in self.past:
            for listing in run.account["listings"]:
                url, failed[listing["url"]] = listing["url"], listing.get("failed", "")
                if not failed[url]:
                    read[url] = run.started
        return [(url, read.get(url), why) for url, why in sorted(failed.items())]

    def refusals(self) -> list[Refusals]:
        """Return how often pages were refused or could not be had, the most frequent reasons first."""
        found = [
            self._refusals(ending, reason)
            for ending in ("refused", "failed")
            for reason in {reason for run in self.past for reason in run.ends(ending)}
        ]
        return sorted(found, key=lambda one: (-one.day, -one.usual, one.reason))

    def _refusals(self, ending: str, reason: str) -> Refusals:
        looks = [
            (name, look) for run in reversed(self.past) for name, look in run.looks.items() if reason in look["refused"]
        ]
        return Refusals(
            ending,
            reason,
            sum(run.rate(ending, reason).hits for run in self.day),
            sum(run.rate(ending, reason).hits for run in self.past) / self.days,
            tuple(sorted({name for name, _ in looks if name})),
            looks[0][1]["examples"].get(reason, "") if looks else "",
            looks[0][1]["details"].get(reason, "") if looks else "",
        )


def judged(
    publisher: str,
    runs: Past,
    arrivals: Sequence[tuple[datetime, datetime]],
    gaps: Sequence[Span],
    now: datetime,
    thresholds: Thresholds,
    holdings: Holdings | None = None,
) -> Health:
    """Return the health of a publisher by its runs, by when its new articles came out and were captured, and its gaps.

    Depends on what it is given alone.
    """
    past = [run for run in runs if run.is_ordinary]
    rhythm = Rhythm.of([published for published, _ in arrivals], now, thresholds.window, gaps)
    verdicts = [
        *checks.last_run(publisher, past),
        *checks.listings(publisher, past, thresholds),
        *checks.failing(publisher, past, thresholds),
        *checks.gaps(publisher, gaps, now, thresholds),
        *checks.silent(publisher, rhythm, past, thresholds),
        *drift(publisher, past, thresholds),
    ]
    verdicts = [replace(verdict, at=runs[-1].ended) for verdict in verdicts] if runs else verdicts
    verdicts += checks.late(publisher, past, now, thresholds)
    if publisher in thresholds.ended:
        verdicts = []
    lags = [(captured, captured - published) for published, captured in arrivals]
    return Health(publisher, now, holdings, runs, past, rhythm, lags, gaps, verdicts)


def health_of(
    index: Index, archive: Path, publisher: str, now: datetime, thresholds: Thresholds, *, holds: bool = False
) -> Health:
    """Return the health of a publisher's archive; with ``holds`` also how much it holds, which takes longer.

    Where runs have stopped for longer than the window of what is usual, the weeks before count.
    """
    since = now - thresholds.window
    runs = recent(archive, publisher, since, now)
    if not runs and (last := last_started(archive, publisher, now)):
        runs = recent(archive, publisher, last - thresholds.window, now)
    return judged(
        publisher,
        runs,
        index.arrivals(publisher, since),
        index.gaps(publisher),
        now,
        thresholds,
        index.holdings(publisher) if holds else None,
    )
