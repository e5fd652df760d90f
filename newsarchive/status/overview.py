"""All that there is to say of an archive at a time, gathered once for all ways to tell it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

from newsarchive.alerts import remembered
from newsarchive.archival import GRAVEST, OF_KIND, Status, status_of, worst
from newsarchive.elsewhere.moved import kept
from newsarchive.health import ArchiveHealth, Disk, Health, Problem, Run, Thresholds, archive_health
from newsarchive.index import Holdings, Index
from newsarchive.status.days import Days
from newsarchive.store import index_file

__all__ = ["Held", "Kept", "Overview", "Trouble", "overview"]

#: Kinds of problems of which a run may not have left an account.
UNACCOUNTED = ("crash", "storage")
#: What the index says of a publisher of which it holds nothing.
NOTHING: tuple[Holdings, dict[date, int]] = (Holdings(0, 0, 0, 0, None, None), {})


class Kept(NamedTuple):
    """Capture files, and their bytes."""

    files: int
    bytes: int


class Trouble(NamedTuple):
    """A problem, and since when somebody knows of it; None where it is new."""

    problem: Problem
    since: datetime | None

    @property
    def status(self) -> Status:
        """Return what it comes to."""
        return OF_KIND[self.problem.kind]


@dataclass(frozen=True)
class Held:
    """What there is to say of a publisher."""

    health: Health
    #: What people call it: other people's words.
    label: str
    #: Its language, as HTML has it; empty if nothing tells.
    language: str
    days: Days
    #: Where its captures are kept: ``here``, and other places.
    captures: Mapping[str, Kept]
    #: Gravest first.
    troubles: Sequence[Trouble]

    @property
    def name(self) -> str:
        """Return the name of the publisher."""
        return self.health.publisher

    @property
    def status(self) -> Status:
        """Return how the publisher's archive is."""
        return worst(trouble.status for trouble in self.troubles)

    @property
    def holdings(self) -> Holdings:
        """Return how much is held."""
        assert self.health.holdings is not None
        return self.health.holdings

    @property
    def newest(self) -> datetime | None:
        """Return when the newest article came out, as of now; None if there is none."""
        newest = self.health.rhythm.newest or self.holdings.newest
        return min(newest, self.health.now) if newest else None

    def unwell(self) -> list[Run]:
        """Return those runs of the last day that did not end well."""
        return [run for run in self.health.day if run_status(run)]


@dataclass(frozen=True)
class Overview:
    """What there is to say of an archive."""

    now: datetime
    archive: Path
    publishers: Sequence[Held]
    disk: Disk
    #: Of the archive and of all publishers, gravest first.
    troubles: Sequence[Trouble]

    @property
    def status(self) -> Status:
        """Return how the archive is: the gravest of all that is wrong."""
        return worst(trouble.status for trouble in self.troubles)

    @property
    def captures(self) -> dict[str, Kept]:
        """Return where the captures of all publishers are kept."""
        found: dict[str, Kept] = {"here": Kept(0, 0)}
        for held in self.publishers:
            for where, lying in held.captures.items():
                before = found.get(where, Kept(0, 0))
                found[where] = Kept(before.files + lying.files, before.bytes + lying.bytes)
        return found


def run_status(run: Run) -> Status:
    """Return how a run ended."""
    return status_of(0, run.account)


def overview(
    archive: Path, names: Mapping[str, tuple[str, str]], now: datetime, thresholds: Thresholds, first: date
) -> Overview:
    """Return what there is to say of publishers, given with labels and languages; with their days since the first.

    Raises FileNotFoundError if there is no index yet, IndexUnusable if it cannot be used.
    """
    told = archive_health(archive, names, now, thresholds)
    with closing(Index(index_file(archive), read_only=True)) as index:
        census = index.census()
    problems = [*told.problems, *_unaccounted(archive, told)]
    troubles = sorted((Trouble(problem, thresholds.since.get(problem.key)) for problem in problems), key=_order)
    publishers = []
    for health in told.publishers:
        name, (holdings, counts) = health.publisher, census.get(health.publisher, NOTHING)
        own = [trouble for trouble in troubles if trouble.problem.publisher == name]
        days, captures = _days(holdings, counts, health, first), _captures(archive, name)
        publishers.append(Held(replace(health, holdings=holdings), *names[name], days, captures, own))
    return Overview(now, archive, publishers, told.disk, troubles)


def _unaccounted(archive: Path, told: ArchiveHealth) -> Iterator[Problem]:
    """Yield what went wrong with runs that left no account, as people were told of it, if no run has ended since."""
    last = {health.publisher: health.last for health in told.publishers}
    known = {problem.key for problem in told.problems}
    for topic in remembered(archive).topics.values():
        for one in topic.problems.values():
            run, problem = last.get(one.problem.publisher), one.problem
            is_last = problem.publisher in last and not one.calm and not (run and run.ended > one.seen)
            if problem.kind in UNACCOUNTED and problem.key not in known and is_last and one.seen <= told.now:
                yield problem


def _order(trouble: Trouble) -> tuple[int, str]:
    """Return what sorts the gravest first."""
    return -GRAVEST.index(trouble.status), trouble.problem.key


def _days(holdings: Holdings, counts: Mapping[date, int], health: Health, first: date) -> Days:
    """Return the days of a publisher from the first one on."""
    last = health.now.astimezone(UTC).date()
    begins = holdings.oldest.astimezone(UTC).date() if holdings.oldest else None
    return Days(
        first, last, begins, {day: number for day, number in counts.items() if first <= day <= last}, health.gaps
    )


def _captures(archive: Path, publisher: str) -> dict[str, Kept]:
    """Return where the captures of a publisher are kept."""
    found = kept(archive, publisher)
    elsewhere = {"elsewhere": Kept(found.elsewhere, found.bytes_elsewhere)} if found.elsewhere else {}
    return {"here": Kept(found.here, found.bytes_here), **elsewhere}
