"""The status of an archive on a screen: a table of all, each publisher, the archive, and what is wrong last."""

from collections.abc import Iterable
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from newsarchive.archival import MEANS, Status
from newsarchive.status import facts
from newsarchive.status.facts import DAY, Fact
from newsarchive.status.overview import Held, Overview, Trouble
from newsarchive.status.words import percent, plain
from newsarchive.words import count, length, moment

__all__ = ["show"]

COLUMNS = ("publisher", "articles", "newest", "last day", "success", "gaps", "last run", "status")
#: Characters of a line where no terminal says how many it has, and of the name of a fact.
WIDTH, NAME = 160, 11


def show(told: Overview, stream: TextIO) -> None:
    """Print an overview: in colours, and in the width there is, on a terminal; line by line anywhere else."""
    is_terminal = stream.isatty()
    console = Console(file=stream, soft_wrap=not is_terminal, width=None if is_terminal else WIDTH, highlight=False)
    if len(told.publishers) > 1:
        console.print(_table(told.publishers))
        console.print()
    for held in told.publishers:
        console.print(_heading(held))
        _print(console, facts.about(held))
        console.print()
    console.print(Text("archive", style="bold"))
    _print(console, facts.archive(told))
    console.print()
    for line in _troubles(told):
        console.print(line)


def _print(console: Console, lines: Iterable[Fact]) -> None:
    """Print facts, each with its name before it; what goes on in another line stands below what it goes on from."""
    table = Table.grid(padding=(0, 1))
    table.add_column(width=NAME + 2, no_wrap=True)
    table.add_column(overflow="fold")
    for fact in lines:
        text = Text(plain(fact.text), style="yellow" if fact.odd else "")
        if console.soft_wrap:
            console.print(Text(f"  {fact.name:{NAME}} ") + text)
        else:
            table.add_row(Text(f"  {fact.name}", style="dim"), text)
    if not console.soft_wrap:
        console.print(table)


def _heading(held: Held) -> Text:
    label = f" {plain(held.label)}" if held.label != held.name else ""
    return Text.assemble((plain(held.name), "bold"), label, ": ", _status(held.status))


def _status(status: Status) -> Text:
    return Text(MEANS[status], style="bold red" if status else "green")


def _table(publishers: Iterable[Held]) -> Table:
    """Return a table of publishers, a row each."""
    table = Table(box=None, pad_edge=False)
    for name in COLUMNS:
        table.add_column(name, justify="right" if name in ("articles", "last day", "success", "gaps") else "left")
    for held in publishers:
        table.add_row(*map(Text, _cells(held)), _status(held.status))
    return table


def _cells(held: Held) -> list[str]:
    """Return the cells of a publisher's row, but for its status."""
    health = held.health
    run = health.last
    return [
        plain(held.name),
        count(held.holdings.articles),
        f"{length(health.now - held.newest)} ago" if held.newest else "–",
        count(health.rhythm.between(health.now - DAY, health.now)),
        percent(health.success(health.day)),
        count(len(health.gaps)),
        f"{length(health.now - run.ended)} ago" if run else "–",
    ]


def _troubles(told: Overview) -> Iterable[Text]:
    """Yield what is wrong, a line each, and what it comes to."""
    for trouble in told.troubles:
        yield Text.assemble((f"{trouble.problem.kind}: ", "bold red"), _trouble(trouble))
    if not told.troubles:
        yield Text(f"all is well, as of {moment(told.now)}", style="green")
    else:
        yield Text(f"what to do: docs/operating.md; exit status {int(told.status)}, as of {moment(told.now)}")


def _trouble(trouble: Trouble) -> str:
    since = f" (known since {moment(trouble.since)})" if trouble.since else ""
    return f"{plain(trouble.problem)}{since}"
