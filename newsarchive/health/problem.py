"""What can be wrong with an archive, as somebody is to be told it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

__all__ = ["Problem", "Thresholds", "Verdict"]


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
    #: When problems began that somebody was told, by key: what came after is not what is usual.
    since: Mapping[str, datetime] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Any, since: Mapping[str, datetime] | None = None) -> Self:
        """Return the thresholds of a project's settings."""
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
            disk_free=settings.getint("HEALTH_DISK_FREE"),
            since=since or {},
        )


def found(verdicts: Iterable[Verdict]) -> list[Problem]:
    """Return what is wrong among verdicts."""
    return [verdict.problem for verdict in verdicts if verdict.problem]
