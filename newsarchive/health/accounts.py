"""What runs say of themselves, read back from their accounts: the recent past of a publisher."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from newsarchive.health.band import Rate
from newsarchive.health.sound import is_sound

__all__ = ["Past", "Run", "found_nothing", "last_started", "recent", "unwritten"]

#: How runs end that cannot write the archive, or do not know the time, and what that means.
UNWRITTEN = {"storage": "the disk did not take what was captured", "clock": "the clock of this machine is wrong"}
#: How failures begin that keep the archive, or its index, from being written.
UNABLE = ("the account could not be written", "where gaps are cannot be told", "the archive cannot be written")


@dataclass(frozen=True, slots=True)
class Run:
    """A run by its account."""

    started: datetime
    ended: datetime
    account: Mapping[str, Any]

    @property
    def looks(self) -> Mapping[str, Any]:
        """Return what its pages looked like, by layout."""
        looks: Mapping[str, Any] = self.account.get("layouts", {})
        return looks

    @property
    def is_ordinary(self) -> bool:
        """Whether it asked for all that was new, as every run of a schedule does, or for another look at what was."""
        purpose = self.account.get("purpose")
        if purpose is None:
            return bool(self.account["listings"]) and not self.account.get("backfill")
        return purpose in ("all", "recheck")

    @property
    def asks_for_new(self) -> bool:
        """Whether it asked for all that was new."""
        return self.is_ordinary and self.account.get("purpose", "all") != "recheck"

    def ends(self, name: str) -> Mapping[str, int]:
        """Return how many addresses ended in a way (refused, failed), by reason."""
        reasons: Mapping[str, int] = self.account[name]
        return reasons

    def rate(self, name: str, reason: str = "") -> Rate:
        """Return how many of all addresses ended in a way, for a reason or for any."""
        reasons, of = self.ends(name), self.account["scheduled"]
        # An account that does not add up says so; it must not keep anybody from looking at the others.
        return Rate(min(reasons.get(reason, 0) if reason else sum(reasons.values()), of), of)

    @property
    def stored(self) -> int:
        """Return how many articles were new."""
        return int(self.account["stored"])


Past = Sequence[Run]


def unwritten(account: Mapping[str, Any]) -> str:
    """Return why a run could not write the archive, or does not know the time; empty if it could."""
    told = next((line for line in account["failures"] if line.startswith(UNABLE)), "")
    return told or UNWRITTEN.get(str(account["finish"]), "")


def found_nothing(account: Mapping[str, Any]) -> bool:
    """Tell whether listings were read and named no article; one that could not be had says nothing of articles."""
    failed = {listing["failed"] for listing in account["listings"] if "failed" in listing}
    return failed <= {"empty-listing"} and any(line.startswith("nothing found") for line in account["failures"])


def recent(archive: Path, publisher: str, since: datetime, until: datetime | None = None) -> list[Run]:
    """Return the crawls of a publisher that began since then, and have ended until then, oldest first.

    Accounts that cannot be read are left out: ``scrapy verify`` tells of them.
    """
    return sorted(_read(archive / "runs", publisher, since, until), key=lambda run: run.started)


def last_started(archive: Path, publisher: str, until: datetime | None = None) -> datetime | None:
    """Return when the last crawl of a publisher began that has ended until then; None if no account tells of one."""
    return next((run.started for run in _read(archive / "runs", publisher, until=until)), None)


def _read(folder: Path, publisher: str, since: datetime | None = None, until: datetime | None = None) -> Iterator[Run]:
    """Yield the crawls of a publisher whose accounts are named for a time between these, newest first."""
    first, last = f"{since:%Y%m%dT%H%M%SZ}" if since else "", f"{until:%Y%m%dT%H%M%S~}" if until else "~"
    mark = f"Z-{publisher}"
    try:
        with os.scandir(folder) as entries:
            # Of a name like 20261120T050125Z-cna-2.json; ten years have a quarter of a million of them.
            found = (entry.name for entry in entries if entry.name[15 : 15 + len(mark)] == mark)
            names = sorted((name for name in found if first <= name < last and name.endswith(".json")), reverse=True)
    except FileNotFoundError:
        return
    for name in names:
        run = _run(folder / name)
        is_its = run and run.account["publisher"] == publisher
        if run and is_its and (not since or run.started >= since) and (not until or run.ended <= until):
            yield run


def _run(file: Path) -> Run | None:
    """Return the crawl whose account a file holds; None if it holds another, or none."""
    try:
        account = orjson.loads(file.read_bytes())
        if account["kind"] != "crawl":
            return None
        started, ended = (datetime.fromisoformat(account[name]).astimezone(UTC) for name in ("started", "ended"))
        return Run(started, ended, account) if is_sound(account) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None
