"""What follows a run of all publishers: whether the archive is well, and who is told what has changed."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from newsarchive.alerts import Channel, open_since, tell
from newsarchive.archival import OF_KIND, Outcome, Status, worst
from newsarchive.health import ArchiveHealth, Problem, Thresholds, Verdict, archive_health
from newsarchive.index import IndexUnusable
from newsarchive.lock import Locked
from newsarchive.publication import Publication

__all__ = ["Aftermath", "aftermath", "tell_all"]

#: Kinds of problems that a run cannot help, or that the statuses of the runs do not tell better.
NOT_A_STATUS = ("late", "gap", "listing", "blocked", "nothing", "storage", "crash")


@dataclass
class Aftermath:
    """How an archive is after a run, and what came of telling people."""

    problems: list[Problem] = field(default_factory=list)
    #: What has changed since the last run, and why somebody could not be told, in lines.
    lines: list[str] = field(default_factory=list)
    status: Status = Status.WELL

    def as_json(self) -> list[dict[str, str]]:
        """Return what is wrong, as reports hold it."""
        return [problem.as_json() for problem in self.problems]


def aftermath(
    archive: Path,
    outcomes: Sequence[Outcome],
    settings: Any,
    channels: Sequence[Channel],
    now: datetime,
    published: Publication | None = None,
    skipped: Iterable[str] = (),
) -> Aftermath:
    """Look whether an archive is well after runs, and tell people what has changed.

    ``published`` is what came of publishing posts, if that was asked for; ``skipped`` are publishers that did not
    run, and of which it is said if that lasts.
    """
    after = Aftermath()
    verdicts = [verdict for outcome in outcomes for verdict in judged(outcome)]
    if published and not published.busy:
        kept = Problem("", "publication", "", f"posts are not published: {published.problem}")
        verdicts.append(Verdict(kept.key, kept if published.problem else None))
    try:
        health = examined(archive, [*(outcome.publisher for outcome in outcomes), *skipped], settings, now)
        verdicts = merged([*health.all_verdicts, *verdicts, unreadable()])
    except FileNotFoundError:
        # Nothing was stored yet: that is for the runs to say.
        pass
    except (IndexUnusable, sqlite3.Error, OSError) as error:
        verdicts.append(unreadable(error))
        after.status = Status.STORAGE
    after.problems = [verdict.problem for verdict in verdicts if verdict.problem]
    kinds = {problem.kind for problem in after.problems if problem.kind not in NOT_A_STATUS}
    after.status = worst([after.status, *(OF_KIND[kind] for kind in kinds)])
    tell_all(after, archive, verdicts, channels, now)
    return after


def examined(archive: Path, publishers: Iterable[str], settings: Any, now: datetime) -> ArchiveHealth:
    """Return the health of an archive by its settings, and by what people were told of it."""
    return archive_health(archive, publishers, now, Thresholds.of(settings, open_since(archive)))


def unreadable(error: Exception | None = None) -> Verdict:
    """Return that an archive cannot be read, for an exception that says so, or that it can."""
    told = str(error)
    if isinstance(error, FileNotFoundError):
        told = "there is no index; look whether its disk is there, then run scrapy archive, or scrapy verify --repair"
    problem = Problem("", "storage", "", f"whether the archive is well cannot be told: {told}")
    return Verdict(problem.key, problem if error else None)


def judged(outcome: Outcome) -> list[Verdict]:
    """Return what is to be said of a run that left no account, or that it left one."""
    if outcome.status == Status.RUNNING or (outcome.stopped and not outcome.account):
        # Who is asked to stop before anything has begun leaves no account.
        return []
    told = outcome.said[-1] if outcome.said else "it said nothing"
    crash = Problem(outcome.publisher, "crash", "", f"a run ended without an account: {told}")
    is_unwritten = outcome.status == Status.STORAGE and not outcome.account
    is_crash = outcome.status == Status.FAILED and not outcome.account
    verdicts = [Verdict(crash.key, crash if is_crash else None)]
    if is_unwritten:
        storage = Problem(outcome.publisher, "storage", "", told.removeprefix(f"{outcome.publisher}: "))
        verdicts.append(Verdict(storage.key, storage))
    return verdicts


def merged(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return verdicts, each key once; that something is wrong outweighs that it is not."""
    found: dict[str, Verdict] = {}
    for verdict in verdicts:
        if verdict.problem or verdict.key not in found:
            found[verdict.key] = verdict
    return list(found.values())


def tell_all(
    after: Aftermath, archive: Path, verdicts: Sequence[Verdict], channels: Sequence[Channel], now: datetime
) -> None:
    """Tell people what has changed, and note what came of it."""
    try:
        told = tell(archive, verdicts, channels, now)
    except (OSError, Locked) as error:
        after.lines.append(f"what people were told cannot be kept: {error}")
        after.status = worst([after.status, Status.STORAGE if isinstance(error, OSError) else Status.FAILED])
        return
    after.lines += told.lines
    after.lines += [f"not delivered, tried again after the next run: {why}" for why in told.undelivered]
    if told.undelivered:
        after.status = worst([after.status, Status.FAILED])
