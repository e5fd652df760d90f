"""How much room an archive has left, and for how long that will do."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from newsarchive.health.accounts import Past
from newsarchive.health.problem import Problem, Thresholds, Verdict

__all__ = ["Disk", "disk_of", "room"]

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Disk:
    """Room on the disk of an archive, in bytes."""

    free: int
    total: int
    #: What captures take a day.
    a_day: float

    @property
    def days(self) -> float | None:
        """Return for how many days the room will do; None if nothing tells."""
        return self.free / self.a_day if self.a_day else None


def disk_of(archive: Path, pasts: Sequence[Past]) -> Disk:
    """Return the room of an archive that grows as the runs of its publishers tell; raise OSError if it is not there."""
    usage = shutil.disk_usage(archive)
    return Disk(usage.free, usage.total, sum(map(_a_day, pasts)))


def _a_day(past: Past) -> float:
    """Return how many bytes of captures the runs of a publisher wrote a day; nothing is said of less than a day."""
    if not past or (length := past[-1].ended - past[0].started) < DAY:
        return 0.0
    return sum(int(run.account.get("bytes", {}).get("captured", 0)) for run in past) / (length / DAY)


def room(disk: Disk, thresholds: Thresholds) -> Iterator[Verdict]:
    """Yield whether there is too little room left."""
    days = f", which will do for {disk.days:.0f} days" if disk.days is not None else ""
    problem = Problem("", "disk", "", f"the disk has {disk.free / 1e9:.1f} GB left{days}")
    is_short = disk.days is not None and disk.days < thresholds.disk_days
    yield Verdict(problem.key, problem if is_short or disk.free < thresholds.disk_free else None)
