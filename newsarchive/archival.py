"""All publishers archived by one command: a run each, in a process of its own, and what came of all of them.

A run's account says how it ended; a run that left none is told by how its process ended.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any

from newsarchive.health import found_nothing, unwritten
from newsarchive.run import KEPT

__all__ = ["Archival", "Outcome", "Status", "status_of", "worst"]


class Status(IntEnum):
    """How a run ended, and with it the command: the exit status. What comes later in ``GRAVEST`` outweighs the rest."""

    WELL = 0
    #: Pages, or something of our own, failed.
    FAILED = 1
    RUNNING = 3
    LISTING = 4
    NOTHING = 5
    DRIFT = 6
    BLOCKED = 7
    STORAGE = 8
    PUBLICATION = 9
    #: Runs have stopped; articles may be missing. Only ``scrapy status`` can tell.
    LATE = 10
    GAP = 11


#: From what a next run mends by itself to what somebody has to see to.
GRAVEST = (
    *(Status.WELL, Status.RUNNING, Status.FAILED, Status.GAP, Status.LISTING),
    *(Status.NOTHING, Status.BLOCKED, Status.PUBLICATION, Status.LATE, Status.DRIFT, Status.STORAGE),
)
MEANS = {
    Status.WELL: "well",
    Status.FAILED: "something failed",
    Status.RUNNING: "another run is under way",
    Status.LISTING: "a listing failed",
    Status.NOTHING: "nothing found where articles must be",
    Status.DRIFT: "a layout has drifted",
    Status.BLOCKED: "its pages are refused",
    Status.STORAGE: "the archive cannot be written",
    Status.PUBLICATION: "the posts could not be published",
    Status.LATE: "runs have stopped",
    Status.GAP: "articles may be missing",
}
#: What a problem of a kind comes to (``newsarchive.health``).
OF_KIND = {
    "crash": Status.FAILED,
    "failing": Status.FAILED,
    "listing": Status.LISTING,
    "nothing": Status.NOTHING,
    "silent": Status.NOTHING,
    "drift": Status.DRIFT,
    "refused": Status.DRIFT,
    "blocked": Status.BLOCKED,
    "storage": Status.STORAGE,
    "disk": Status.STORAGE,
    "late": Status.LATE,
    "gap": Status.GAP,
    "publication": Status.PUBLICATION,
}
#: Reasons that say that a publisher's pages are not what its spider knows.
DRIFTED = ("drift", "unknown-layout", "body-lost")
#: How a run ends that was to end so.
EXPECTED = ("finished", "closespider_timeout", "closespider_itemcount", "closespider_timeout_no_item")
#: Failures of a run that had to stop: what it left, the next run takes up.
STOPPED = re.compile(r"\d+ × (?:article|listing)/failed/stopped$|stopped before its end: closespider_")
#: The same of one that had to stop while it asked for a stretch of time.
LEFT = re.compile(r"\S+ \S+ to \S+ \S+ is not complete: ")


def worst(statuses: Iterable[Status]) -> Status:
    """Return the status that outweighs all others."""
    return max(statuses, key=GRAVEST.index, default=Status.WELL)


@dataclass
class Outcome:
    """What came of a publisher's run."""

    publisher: str
    status: Status
    seconds: float = 0.0
    #: The run's account; empty if it left none.
    account: Mapping[str, Any] = field(default_factory=dict)
    #: What the run said.
    said: list[str] = field(default_factory=list)
    #: Whether it was asked to stop.
    stopped: bool = False

    @property
    def row(self) -> list[str]:
        """Return the cells of the summary."""
        account = self.account
        numbers = [str(account.get(name, "-")) for name in KEPT]
        lost = [str(sum(account[name].values())) if name in account else "-" for name in ("refused", "failed")]
        listings = account.get("listings", ())
        read = f"{sum('links' in one for one in listings)}/{len(listings)}" if account else "-"
        return [self.publisher, *numbers, *lost, read, str(account.get("requests", "-")), f"{self.seconds:.0f} s"]

    def as_json(self) -> dict[str, Any]:
        """Return what a report holds of it."""
        told = {"publisher": self.publisher, "status": int(self.status), "means": MEANS[self.status]}
        return {**told, "seconds": round(self.seconds, 1), "account": dict(self.account), "said": self.said}


def status_of(code: int, account: Mapping[str, Any], said: Sequence[str] = ()) -> Status:
    """Return how a run ended, by its exit status, its account, and what it said."""
    if code == Status.RUNNING:
        return Status.RUNNING
    if not account:
        is_unwritten = any("cannot be written" in line for line in said)
        return Status.STORAGE if is_unwritten else Status.FAILED if code else Status.WELL
    is_limited = account["finish"].startswith("closespider_")
    failures = [
        line for line in account["failures"] if not STOPPED.match(line) and not (is_limited and LEFT.match(line))
    ]
    found = []
    if unwritten(account):
        found.append(Status.STORAGE)
    if any(account["refused"].get(reason) for reason in DRIFTED):
        found.append(Status.DRIFT)
    if account["failed"].get("blocked") or account.get("manners", {}).get("blocked"):
        found.append(Status.BLOCKED)
    if found_nothing(account):
        found.append(Status.NOTHING)
    elif any("failed" in listing for listing in account["listings"]):
        found.append(Status.LISTING)
    if failures or account["finish"] not in EXPECTED:
        found.append(Status.FAILED)
    return worst(found)


@dataclass
class Archival:
    """Runs of several publishers, so many at a time."""

    archive: Path
    #: Arguments of every crawl after its publisher's name.
    arguments: Sequence[str]
    jobs: int = 1
    #: Seconds for all of them; None for no end.
    budget: float | None = None

    def __post_init__(self) -> None:
        self.started = datetime.now(UTC)
        self.until = monotonic() + self.budget if self.budget is not None else None
        self.processes: set[subprocess.Popen[str]] = set()
        self.lock = Lock()
        self.stopped = False

    def outcomes(self, publishers: Sequence[str]) -> list[Outcome]:
        """Run the crawls of publishers, and return what came of each, in their order."""
        with ThreadPoolExecutor(self.jobs) as pool:
            return [outcome for outcome in pool.map(self.outcome, publishers) if outcome]

    def outcome(self, publisher: str) -> Outcome | None:
        """Run the crawl of a publisher; None if there is no time left for it, or all were asked to stop."""
        command = [sys.executable, "-m", "scrapy", "crawl", publisher, *self.arguments]
        if self.until is not None:
            if (left := int(self.until - monotonic())) < 1:
                return None
            command += ["-s", f"CLOSESPIDER_TIMEOUT={left}"]
        began = datetime.now(UTC)
        with self.lock:
            if self.stopped:
                return None
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8", errors="replace")
            self.processes.add(process)
        said = process.communicate()[0].splitlines()
        with self.lock:
            self.processes.discard(process)
        account = self.account(publisher, began)
        seconds = (datetime.now(UTC) - began).total_seconds()
        status = status_of(process.returncode, account, said)
        return Outcome(publisher, status, seconds, account, said, self.stopped)

    def stop(self) -> None:
        """Ask all runs to end: they finish what they have begun."""
        with self.lock:
            self.stopped = True
            for process in self.processes:
                process.terminate()

    def account(self, publisher: str, began: datetime) -> dict[str, Any]:
        """Return the account of the run of a publisher that began at a time; empty if it left none."""
        first = f"{began:%Y%m%dT%H%M%SZ}"
        # Accounts of ten years lie there: only those named for the time since then are read.
        files = (file for file in self.archive.glob(f"runs/*Z-{publisher}*.json") if file.name >= first)
        for file in sorted(files, reverse=True):
            with suppress(OSError, ValueError, KeyError, TypeError):
                account: dict[str, Any] = json.loads(file.read_bytes())
                started = datetime.fromisoformat(account["started"])
                if (account["kind"], account["publisher"]) == ("crawl", publisher) and started >= began:
                    return account
        return {}
