"""What people are told, in words."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from newsarchive.health import Problem

__all__ = ["Event", "message"]

#: Problems of a topic, and topics, that a message names.
MOST = 10
WORDS = {"broken": "broken", "still": "still broken", "recovered": "well again"}


@dataclass(frozen=True, slots=True)
class Event:
    """That a topic has changed its state: ``broken``, ``still``, ``recovered``."""

    topic: str
    state: str
    since: datetime
    problems: tuple[Problem, ...]

    def lines(self) -> list[str]:
        """Return the event in lines."""
        since = "" if self.state == "broken" else f" since {self.since:%Y-%m-%d %H:%M} UTC"
        if self.state == "recovered":
            return [f"well again: {self.topic}, broken{since}"]
        lines = [f"{WORDS[self.state]}{since}: {problem}" for problem in self.problems[:MOST]]
        more = len(self.problems) - MOST
        return [*lines, f"and {more} more about {self.topic}"] if more > 0 else lines


def message(events: Sequence[Event], archive: str) -> tuple[str, str]:
    """Return title and text of one message about all that has changed in an archive."""
    numbers = Counter(event.state for event in events)
    told = ", ".join(f"{numbers[state]} {words}" for state, words in WORDS.items() if numbers[state])
    if len(events) == 1:
        told = f"{events[0].topic} {WORDS[events[0].state]}"
    lines = [line for event in events[:MOST] for line in event.lines()]
    if len(events) > MOST:
        lines.append(f"and {len(events) - MOST} more; scrapy status names them all")
    kinds = sorted({problem.kind for event in events if event.state != "recovered" for problem in event.problems})
    if kinds:
        lines += ["", f"What to do: docs/operating.md, {', '.join(kinds)}."]
    return f"newsarchive: {told}", "\n".join([*lines, f"Archive: {archive}"])
