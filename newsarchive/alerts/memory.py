"""What is wrong since when, and who has been told: the memory between one look at the archive's health and the next.

Problems about the same thing (fields of one layout, listings of one publisher) are one topic, which breaks
once and is well once: whoever was told of the first need not be told of each.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from newsarchive.alerts.message import Event
from newsarchive.health import Problem, Verdict

__all__ = ["CALM", "FORGOTTEN", "STILL", "Memory", "Open", "Topic"]

#: Looks in a row that must find nothing wrong before it is called well: what comes and goes is one trouble.
CALM = 3
#: What could not be looked at for so long is over, as far as anybody can tell: a listing that is asked no more.
FORGOTTEN = timedelta(days=7)
#: The same for what nobody has looked at, as a publisher of a job that runs once a month, or one that is gone.
ABANDONED = timedelta(days=90)
#: After this, whoever was told that something is broken is told that it still is.
STILL = timedelta(days=1)


@dataclass(slots=True)
class Open:
    """A problem that is not over."""

    problem: Problem
    since: datetime
    #: When it was looked at last, and how often since then it was found to be well.
    seen: datetime
    calm: int = 0
    #: A run that ended until then says nothing new of it.
    until: datetime | None = None


@dataclass(slots=True)
class Topic:
    """Problems about one thing, and who was told of them."""

    since: datetime
    problems: dict[str, Open] = field(default_factory=dict)
    #: What each channel was told last: ``broken`` or ``still``.
    told: dict[str, str] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether none of its problems is left."""
        return not self.problems

    def due(self, channel: str, now: datetime) -> str:
        """Return what a channel is to be told: ``broken``, ``still``, ``recovered``; empty if nothing."""
        told = self.told.get(channel, "")
        if self.is_over:
            return "recovered" if told else ""
        if not told:
            return "broken"
        return "still" if told == "broken" and now - self.since >= STILL else ""


@dataclass(slots=True)
class Memory:
    """All topics by their names."""

    topics: dict[str, Topic] = field(default_factory=dict)

    @property
    def since(self) -> dict[str, datetime]:
        """Return since when each problem is open, by its key."""
        return {key: one.since for topic in self.topics.values() for key, one in topic.problems.items()}

    def look(self, verdicts: Iterable[Verdict], now: datetime) -> None:
        """Take in what was found at a time."""
        verdicts = list(verdicts)
        self._set_back(now)
        for verdict in verdicts:
            if verdict.problem:
                self._broken(verdict.problem, now)
            else:
                self._well(verdict, now)
        looked_at = {_whose(verdict.key) for verdict in verdicts}
        for topic in self.topics.values():
            for key in [key for key, one in topic.problems.items() if now - one.seen > self._patience(key, looked_at)]:
                del topic.problems[key]

    @staticmethod
    def _patience(key: str, looked_at: set[str]) -> timedelta:
        """Return how long a problem is kept of which nothing is said."""
        return FORGOTTEN if _whose(key) in looked_at else ABANDONED

    def _set_back(self, now: datetime) -> None:
        """Have nothing be later than now: a clock that was wrong must not keep people from being told."""
        for topic in self.topics.values():
            topic.since = min(topic.since, now)
            for one in topic.problems.values():
                one.since, one.seen = min(one.since, now), min(one.seen, now)
                one.until = min(one.until, now) if one.until else None

    def _broken(self, problem: Problem, now: datetime) -> None:
        topic = self.topics.setdefault(problem.topic, Topic(now))
        if topic.is_over:
            # Those who have not been told that it was well need not be told again that it is broken.
            topic.since, topic.told = now, dict.fromkeys(topic.told, "broken")
        known = topic.problems.get(problem.key)
        topic.problems[problem.key] = Open(problem, known.since if known else now, now, until=now)

    def _well(self, verdict: Verdict, now: datetime) -> None:
        for topic in self.topics.values():
            if known := topic.problems.get(verdict.key):
                known.seen = now
                if verdict.at and known.until and verdict.at <= known.until:
                    continue
                known.until = verdict.at or known.until
                known.calm += 0 if verdict.doubtful else 1
                if known.calm >= CALM:
                    del topic.problems[verdict.key]

    def events(self, channel: str, now: datetime) -> list[Event]:
        """Return what a channel is to be told, by topic."""
        found = []
        for name, topic in sorted(self.topics.items()):
            problems = tuple(one.problem for _, one in sorted(topic.problems.items()))
            if state := topic.due(channel, now):
                found.append(Event(name, state, topic.since, problems))
        return found

    def told(self, channel: str, events: Iterable[Event]) -> None:
        """Note that a channel was told."""
        for event in events:
            told = self.topics[event.topic].told
            if event.state == "recovered":
                told.pop(channel, None)
            else:
                told[channel] = event.state

    def forget(self, channels: Iterable[str]) -> None:
        """Forget channels that are none any more, and topics that are over and of which nobody has to be told."""
        known = set(channels)
        for name, topic in list(self.topics.items()):
            topic.told = {channel: state for channel, state in topic.told.items() if channel in known}
            if topic.is_over and not topic.told:
                del self.topics[name]

    def as_json(self) -> dict[str, Any]:
        """Return the memory as it is kept."""
        return {
            "topics": {
                name: {
                    "since": topic.since,
                    "problems": [
                        {
                            **one.problem.as_json(),
                            "since": one.since,
                            "seen": one.seen,
                            "calm": one.calm,
                            "until": one.until,
                        }
                        for _, one in sorted(topic.problems.items())
                    ],
                    "told": dict(sorted(topic.told.items())),
                }
                for name, topic in sorted(self.topics.items())
            }
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """Return the memory that was kept.

        Raises ValueError, KeyError, TypeError, AttributeError or OverflowError if it is none.
        """
        memory = cls()
        for name, told in kept["topics"].items():
            topic = Topic(_time(told["since"]), told={str(to): str(state) for to, state in told["told"].items()})
            for one in told["problems"]:
                problem = Problem.from_json(one)
                until = _time(one["until"]) if one.get("until") else None
                topic.problems[problem.key] = Open(
                    problem, _time(one["since"]), _time(one["seen"]), int(one["calm"]), until
                )
            memory.topics[str(name)] = topic
        return memory


def _whose(key: str) -> str:
    """Return of what a problem is, by its key: a publisher, or the archive."""
    return key.partition(" ")[0]


def _time(text: str) -> datetime:
    """Return a time in UTC; raise ValueError, TypeError or OverflowError if it is none, or says no zone."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"a time without a zone: {text}")
    return time.astimezone(UTC)
