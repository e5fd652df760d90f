"""What can be wrong with an archive, as somebody is to be told it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

from newsarchive.printable import printable

__all__ = ["Problem", "Thresholds", "Verdict"]

#: Settings that are whole numbers, and all others, of which each must be below the most.
WHOLE = ("HEALTH_LEAST", "HEALTH_PATIENCE", "HEALTH_DISK_FREE")
SETTINGS = (
    *WHOLE,
    *("HEALTH_WINDOW_DAYS", "HEALTH_LEARN_DAYS", "HEALTH_SURPRISE", "HEALTH_SURPRISE_LOUD", "HEALTH_SILENCE"),
    *("HEALTH_GAP_DAYS", "HEALTH_LATE", "HEALTH_DISK_DAYS"),
)
MOST = 10**18
#: Of days.
MOST_DAYS = 36_600


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong."""

    #: Name of the publisher; empty for the archive as a whole.
    publisher: str
    #: What kind of trouble it is, of a small set: see ``docs/operating.md``.
    kind: str
    #: What it is about: layout and field, a listing, a host.
    subject: str
    #: What happened, in a sentence without a full stop.
    text: str
    #: Address of an article or a listing to look at; empty if there is none.
    example: str = ""

    def __post_init__(self) -> None:
        """Escape what a terminal, a mail or a log would obey: much of it was written by others."""
        for name, most in (("subject", 1000), ("text", 500), ("example", 1000)):
            object.__setattr__(self, name, printable(getattr(self, name))[:most])

    @property
    def key(self) -> str:
        """Return what tells the problem from others, and stays the same as long as it lasts."""
        return " ".join(filter(None, (self.publisher or "archive", self.kind, self.subject)))

    @property
    def topic(self) -> str:
        """Return what the problem is about, with others: all fields of a layout, all listings of a publisher."""
        about = {"drift": self.subject.rpartition(" ")[0], "listing": ""}.get(self.kind, self.subject)
        return " ".join(filter(None, (self.publisher or "archive", self.kind, about)))

    def __str__(self) -> str:
        """Return the problem as a line."""
        where = f"{self.publisher}: " if self.publisher else ""
        return f"{where}{self.text}{f'; for example {self.example}' if self.example else ''}"

    def as_json(self) -> dict[str, str]:
        """Return the problem as reports hold it."""
        names = ("publisher", "kind", "subject", "text", "example")
        return {"key": self.key, **{name: getattr(self, name) for name in names}}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """Return the problem that a report holds; raise KeyError if it holds none."""
        return cls(*(str(told[name]) for name in ("publisher", "kind", "subject", "text", "example")))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was looked at, and whether anything is wrong with it; what could not be judged has no verdict."""

    key: str
    problem: Problem | None = None
    #: Whether it is so nearly wrong that a problem told before is not over yet.
    doubtful: bool = False
    #: When the run ended by which it was judged; None if the clock or the disk tell. Before another run has ended,
    #: looking again says nothing new.
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where well ends: settings, see ``newsarchive/settings.py``."""

    window: timedelta = timedelta(days=28)
    learn: timedelta = timedelta(days=3)
    least: int = 100
    surprise: float = 7
    surprise_loud: float = 5
    patience: int = 3
    silence: float = 12
    gap: timedelta = timedelta(days=14)
    late: float = 3
    disk_days: float = 14
    disk_free: int = 1_000_000_000
    #: Publishers that are not archived any more.
    ended: frozenset[str] = frozenset()
    #: When problems began that somebody was told, by key: what came after is not what is usual.
    since: Mapping[str, datetime] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Any, since: Mapping[str, datetime] | None = None) -> Self:
        """Return the thresholds of a project's settings; raise ValueError for one that is no positive number."""
        for name in SETTINGS:
            most = MOST_DAYS if name.endswith("_DAYS") else MOST
            try:
                is_one = 0 < settings.getfloat(name) < most
            except (TypeError, ValueError):
                is_one = False
            if not is_one or (name in WHOLE and settings.getfloat(name) % 1):
                kind = "whole number" if name in WHOLE else "number"
                raise ValueError(f"{name} is no {kind} above 0 and below {most}: {settings[name]!r}")
        return cls(
            window=timedelta(days=settings.getfloat("HEALTH_WINDOW_DAYS")),
            learn=timedelta(days=settings.getfloat("HEALTH_LEARN_DAYS")),
            least=settings.getint("HEALTH_LEAST"),
            surprise=settings.getfloat("HEALTH_SURPRISE"),
            surprise_loud=settings.getfloat("HEALTH_SURPRISE_LOUD"),
            patience=settings.getint("HEALTH_PATIENCE"),
            silence=settings.getfloat("HEALTH_SILENCE"),
            gap=timedelta(days=settings.getfloat("HEALTH_GAP_DAYS")),
            late=settings.getfloat("HEALTH_LATE"),
            disk_days=settings.getfloat("HEALTH_DISK_DAYS"),
            disk_free=int(settings.getfloat("HEALTH_DISK_FREE")),
            ended=frozenset(settings.getlist("HEALTH_ENDED")),
            since=since or {},
        )
