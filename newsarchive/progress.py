"""How far a long job is: a line that renews itself on a terminal, a plain line now and then anywhere else."""

import sys
from time import monotonic
from typing import Self, TextIO

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bar

__all__ = ["Progress"]

#: Seconds between two plain lines.
EVERY = 30


class Progress:
    """Counts bytes, or what ``unit`` says, of a known number, and says the rate and the remaining time."""

    def __init__(self, what: str, total: int, stream: TextIO | None = None, unit: str = "") -> None:
        self.what, self.total, self.unit = what, total, unit
        self.stream = stream or sys.stderr
        self.done = 0
        self.start = self.said = monotonic()
        amounts: tuple[ProgressColumn, ...] = (DownloadColumn(), TransferSpeedColumn())
        if unit:
            amounts = (MofNCompleteColumn(), TextColumn(unit))
        columns = (TextColumn(what), BarColumn(), *amounts, TimeRemainingColumn())
        self.bar = Bar(*columns, console=Console(file=self.stream), transient=True)
        self.task = self.bar.add_task(what, total=total)
        self.live = self.stream.isatty()

    def __enter__(self) -> Self:
        """Begin."""
        if self.live:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""
        if self.live:
            self.bar.stop()

    def advance(self, count: int) -> None:
        """Count what is done."""
        self.done += count
        if self.live:
            self.bar.advance(self.task, count)
        elif monotonic() - self.said >= EVERY:
            self.said = monotonic()
            print(self.line(self.said - self.start), file=self.stream, flush=True)

    def line(self, seconds: float) -> str:
        """Return how far it is after so many seconds, as a plain line."""
        rate = self.done / seconds if seconds > 0 else 0
        left = f"{(self.total - self.done) / rate:.0f} seconds left" if rate else "no rate yet"
        if self.unit:
            return f"{self.what}: {self.done} of {self.total} {self.unit}, {rate:.0f}/s, {left}"
        return f"{self.what}: {decimal(self.done)} of {decimal(self.total)}, {decimal(int(rate))}/s, {left}"
