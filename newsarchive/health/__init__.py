"""Whether an archive is well: fresh, whole, and read rightly; and what somebody must look at if it is not.

All of it follows from what runs left behind: their accounts, the index, the disk. Nothing is asked of a
publisher. What is unusual is told by what is usual for this publisher, at this hour, in this layout: how often
things happened in the last weeks. Only what is sure to be no chance is a problem: a false alarm in a year is one
too many for people to keep looking.
"""

from newsarchive.health.accounts import Past, Run, found_nothing, recent, unwritten
from newsarchive.health.archive import ArchiveHealth, archive_health
from newsarchive.health.band import Band, Rate, band
from newsarchive.health.disk import Disk, disk_of, room
from newsarchive.health.problem import Problem, Thresholds, Verdict
from newsarchive.health.publisher import Health, Refusals, health_of, judged
from newsarchive.health.rhythm import Rhythm

__all__ = [
    "ArchiveHealth",
    "Band",
    "Disk",
    "Health",
    "Past",
    "Problem",
    "Rate",
    "Refusals",
    "Rhythm",
    "Run",
    "Thresholds",
    "Verdict",
    "archive_health",
    "band",
    "disk_of",
    "found_nothing",
    "health_of",
    "judged",
    "recent",
    "room",
    "unwritten",
]
