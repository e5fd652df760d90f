"""The health of a whole archive: that of its publishers, and the disk it lies on."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from newsarchive.health.accounts import recent
from newsarchive.health.disk import Disk, disk_of, room
from newsarchive.health.problem import Problem, Thresholds, Verdict
from newsarchive.health.publisher import Health, health_of
from newsarchive.index import Index
from newsarchive.store import index_file

__all__ = ["ArchiveHealth", "archive_health"]


@dataclass(frozen=True)
class ArchiveHealth:
    """What there is to say of an archive at a time."""

    archive: Path
    now: datetime
    publishers: Sequence[Health]
    disk: Disk
    #: On what is no publisher's.
    verdicts: Sequence[Verdict]

    @property
    def all_verdicts(self) -> list[Verdict]:
        """Return all verdicts, those on publishers first."""
        return [*(verdict for health in self.publishers for verdict in health.verdicts), *self.verdicts]

    @property
    def problems(self) -> list[Problem]:
        """Return all that is wrong."""
        return [verdict.problem for verdict in self.all_verdicts if verdict.problem]


def archive_health(
    archive: Path, publishers: Iterable[str], now: datetime, thresholds: Thresholds, *, holds: bool = False
) -> ArchiveHealth:
    """Return the health of some publishers of an archive; with ``holds`` also how much it holds, which takes longer.

    Raises FileNotFoundError if there is no index yet, IndexUnusable if it cannot be used.
    """
    with closing(Index(index_file(archive), read_only=True)) as index:
        healths = [health_of(index, archive, name, now, thresholds, holds=holds) for name in publishers]
        # All publishers share the disk, whether anybody asks for them or not.
        others = set(index.publishers()) - {health.publisher for health in healths}
    pasts = [recent(archive, name, now - thresholds.window, now) for name in sorted(others)]
    disk = disk_of(archive, [*(health.runs for health in healths), *pasts])
    return ArchiveHealth(archive, now, healths, disk, list(room(disk, thresholds)))
