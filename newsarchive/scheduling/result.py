"""What came of a job's run, by the report of ``scrapy archive`` and by how its process ended."""

import json
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from newsarchive.archival import MEANS, Status, worst

__all__ = ["Result", "gravest", "of_run", "words"]

#: Bytes of a log's end in which its last line is looked for, and characters of a line that are told.
TAIL, SHOWN = 4096, 200


@dataclass(frozen=True)
class Result:
    """How a run ended."""

    #: Exit status; negative if a signal ended it, None if nobody saw its end.
    status: int | None
    said: str
    #: Whether it was killed before it could say what came of it.
    killed: bool = False


def of_run(report: Path, log: Path, code: int | None) -> Result:
    """Return the result of a run that has ended, with an exit status if somebody saw it; raise OSError."""
    if told := _report(report):
        parts = [f"{one['publisher']}: {one['means']}" for one in told["publishers"] if one["status"]]
        parts += [f"{publisher}: no time was left" for publisher in told["not_run"]]
        return Result(told["status"], "; ".join(parts))
    if code is None:
        return Result(None, "", killed=True)
    if code < 0:
        return Result(code, "", killed=True)
    return Result(code, _last_line(log))


def words(status: int | None) -> str:
    """Return a status in words."""
    if status is None:
        return "killed"
    if status < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-status).name}"
        return f"killed by signal {-status}"
    if status == 2:
        return "the arguments are wrong"
    with suppress(ValueError):
        return MEANS[Status(status)]
    return f"ended with status {status}"


def gravest(statuses: list[int | None]) -> int:
    """Return the exit status for runs that ended with these."""
    known = set(Status)
    return int(worst(Status(status) if status in known else Status.FAILED for status in statuses))


def _report(file: Path) -> dict[str, Any]:
    """Return a run's report; empty if it left none that can be read."""
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        told = json.loads(file.read_bytes())
        return {name: told[name] for name in ("status", "publishers", "not_run")}
    return {}


def _last_line(log: Path) -> str:
    """Return the last line of a log that says something."""
    content = log.read_bytes()[-TAIL:].decode("utf-8", "replace") if log.exists() else ""
    line = next((line.strip() for line in reversed(content.splitlines()) if line.strip()), "")
    return "".join(mark if mark.isprintable() else "\N{REPLACEMENT CHARACTER}" for mark in line[:SHOWN])
