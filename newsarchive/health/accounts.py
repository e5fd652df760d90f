"""What runs say of themselves, read back from their accounts: the recent past of a publisher."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from newsarchive.health.band import Rate

__all__ = ["KEPT", "Past", "Run", "last_started", "recent", "unwritten"]

#: How articles end that are in the archive.
KEPT = ("stored", "revised", "unchanged")
#: How runs end that cannot write the archive, or do not know the time.
UNWRITTEN = ("storage", "clock")


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
    told = next((line for line in account["failures"] if "cannot be" in line or "written" in line), "")
    return told or (str(account["finish"]) if account["finish"] in UNWRITTEN else "")


def recent(archive: Path, publisher: str, since: datetime) -> list[Run]:
    """Return the crawls of a publisher that began since then and have ended, oldest first.

    Accounts that cannot be read are left out: ``scrapy verify`` tells of them.
    """
    return sorted(_read(archive / "runs", publisher, since), key=lambda run: run.started)


def last_started(archive: Path, publisher: str) -> datetime | None:
    """Return when the last crawl of a publisher began of which there is an account; None if there is none."""
    return next((run.started for run in _read(archive / "runs", publisher)), None)


def _read(folder: Path, publisher: str, since: datetime | None = None) -> Iterator[Run]:
    """Yield the crawls of a publisher whose accounts are named for a time since then, newest first."""
    first, mark = f"{since:%Y%m%dT%H%M%SZ}" if since else "", f"Z-{publisher}"
    try:
        names = sorted((entry.name for entry in os.scandir(folder)), reverse=True)
    except FileNotFoundError:
        return
    for name in names:
        # Of a name like 20261120T050125Z-cna-2.json.
        if name < first or name[15 : 15 + len(mark)] != mark or not name.endswith(".json"):
            continue
        run = _run(folder / name)
        if run and run.account["publisher"] == publisher and (not since or run.started >= since):
            yield run


def _run(file: Path) -> Run | None:
    """Return the crawl whose account a file holds; None if it holds another, or none."""
    try:
        account = orjson.loads(file.read_bytes())
        if account["kind"] != "crawl":
            return None
        started, ended = (datetime.fromisoformat(account[name]).astimezone(UTC) for name in ("started", "ended"))
        run = Run(started, ended, account)
        # What judges rely on.
        _ = run.stored, run.rate("refused"), run.rate("failed"), run.is_ordinary, account["manners"], account["finish"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return run
