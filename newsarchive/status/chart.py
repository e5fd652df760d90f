"""The days of an archive as a calendar: a column is a week, a cell a day; the more articles, the stronger its colour.

Lightness alone tells the classes apart, so that the chart holds in black and white and for whoever sees few colours.
Days of which articles may be missing are hatched and outlined, whatever their colour; days without articles are
empty frames, and days before the archive begins are dots.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from html import escape
from itertools import groupby
from typing import NamedTuple

from newsarchive.status.days import Day, Days
from newsarchive.status.overview import Held, Overview
from newsarchive.status.words import plain
from newsarchive.words import count, length, moment

__all__ = ["COLOURS", "LEFT", "PITCH", "STYLE", "Block", "blocks", "chart", "legend", "pattern", "summary"]

#: Pixels from one cell to the next, and of a cell; room for the names of weekdays and of months.
PITCH, CELL = 13, 11
LEFT, TOP = 30, 15
#: Pixels around the chart, and of the lines above a publisher's days.
MARGIN, HEAD = 18, 44
#: Weeks in a row, where the days are those of a single year or so; longer times have a row for each year.
ROW = 54
#: Columns that the name of a month with its year needs.
ROOM = 4
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
#: Background, ink, faint ink, frames, hatching and the classes of days, for light and for dark.
COLOURS = {
    "light": (
        *("#ffffff", "#1b1f24", "#57606a", "#818b98", "#8a2c0d"),
        *("#c9dcf0", "#8fb8de", "#558fc6", "#25649f", "#0a3263"),
    ),
    "dark": (
        *("#0d1117", "#e6edf3", "#9aa4af", "#768390", "#ffb38a"),
        *("#21446c", "#2f659d", "#4f90cc", "#86b9e6", "#d3e7fa"),
    ),
}


def _rules(colours: Sequence[str]) -> str:
    """Return the colours of one theme as rules."""
    ground, ink, faint, frame, hatch, *levels = colours
    rules = [f".ground{{fill:{ground}}}", f".ink{{fill:{ink}}}", f".faint{{fill:{faint}}}", f".dot{{fill:{frame}}}"]
    rules += [f".l0{{fill:{ground};stroke:{frame}}}", f".h2{{stroke:{hatch}}}", f".h1{{stroke:{ground}}}"]
    rules += [f".h{{stroke:{hatch}}}", *(f".l{number}{{fill:{fill}}}" for number, fill in enumerate(levels, 1))]
    return "".join(rules)


#: The lines of gaps by class, and how wide they are, in a pattern of five pixels.
HATCHING = (("h1", 3.6), ("h2", 1.6))
#: Rules of style for all charts, in light and in dark.
STYLE = (
    "text{font:11px system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','Noto Sans CJK TC',sans-serif}"
    ".name{font-size:14px;font-weight:600}.title{font-size:18px;font-weight:600}.h{stroke-width:1.5}"
    f"{_rules(COLOURS['light'])}@media(prefers-color-scheme:dark){{{_rules(COLOURS['dark'])}}}"
)


class Block(NamedTuple):
    """Some weeks of a calendar."""

    #: What they are: a year, or the first and the last month.
    name: str
    #: The Monday of the first column, and the first and the last day.
    monday: date
    days: Sequence[Day]

    @property
    def weeks(self) -> int:
        """Return how many columns there are."""
        return (self.days[-1].date - self.monday).days // 7 + 1

    @property
    def width(self) -> int:
        """Return how wide it is, in pixels."""
        return LEFT + self.weeks * PITCH

    @property
    def height(self) -> int:
        """Return how high it is, in pixels."""
        return TOP + 7 * PITCH

    def drawn(self, hatching: str) -> str:
        """Return its names and cells as SVG; ``hatching`` is the id of the pattern of gaps."""
        return "".join((*self._names(), *(self._cell(day, hatching) for day in self.days)))

    def _names(self) -> Iterator[str]:
        """Yield the names of every other weekday, and of the months that begin in a week of their own."""
        for number in (0, 2, 4, 6):
            yield f'<text class="faint" x="0" y="{TOP + number * PITCH + 9}">{WEEKDAYS[number]}</text>'
        starts = {f"{day.date:%Y-%m}": (day.date - self.monday).days // 7 for day in reversed(self.days)}
        columns = sorted(starts.items())
        # The rest of a month gives way to the name of the next one, and no name runs out of the block.
        if len(columns) > 1 and columns[1][1] - columns[0][1] < ROOM:
            del columns[0]
        for number, (month, column) in enumerate(columns):
            year = f" ’{month[2:4]}" if not number or month.endswith("-01") else ""
            if column < self.weeks - 1 or len(columns) == 1:
                name = f"{MONTHS[int(month[5:]) - 1]}{year}"
                yield f'<text class="faint" x="{LEFT + column * PITCH}" y="10">{name}</text>'

    def _cell(self, day: Day, hatching: str) -> str:
        """Return the cell of a day."""
        column, row = divmod((day.date - self.monday).days, 7)
        x, y = LEFT + column * PITCH, TOP + row * PITCH
        if day.level is None:
            return f'<circle class="dot" cx="{x + 5.5}" cy="{y + 5.5}" r="1"><title>{told(day)}</title></circle>'
        if not day.gap:
            return f"{_square(day.level, x, y)}<title>{told(day)}</title></rect>"
        over = f'<rect class="h" fill="url(#{hatching})" x="{x + 0.75}" y="{y + 0.75}" width="9.5" height="9.5"/>'
        return f'<g class="gap"><title>{told(day)}</title>{_square(day.level, x, y)}</rect>{over}</g>'


def _square(level: int, x: float, y: float) -> str:
    """Return the beginning of the square of a class; an empty one is a frame."""
    inset = 0 if level else 0.5
    side = CELL - 2 * inset
    return f'<rect class="l{level}" x="{x + inset:g}" y="{y + inset:g}" width="{side:g}" height="{side:g}">'


def told(day: Day) -> str:
    """Return a day in words."""
    if day.level is None:
        return f"{day.date}: before the archive begins"
    gap = f"; {length(day.gap)} of it may be incomplete" if day.gap else ""
    return f"{day.date:%Y-%m-%d} {WEEKDAYS[day.date.weekday()]}: {count(day.articles, 'article')}{gap}"


def pattern(id: str) -> str:
    """Return the pattern of gaps: dark lines between light ones, to be seen on every class."""
    lines = "".join(f'<path class="{name}" d="M2.5 0V5" stroke-width="{wide}"/>' for name, wide in HATCHING)
    return (
        f'<pattern id="{id}" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        f"{lines}</pattern>"
    )


def blocks(days: Days, weeks: int) -> list[Block]:
    """Return the days in blocks of no more than so many weeks, in order: of the last weeks, or of calendar years.

    Of longer times than ``ROW`` weeks each year is cut alike, so that blocks can be compared.
    """
    every = list(days)
    monday = days.first - timedelta(days=days.first.weekday())
    total = (days.last - monday).days // 7 + 1
    if total <= ROW:
        # The newest blocks are whole.
        shift = -(-total // weeks) * weeks - total
        groups = [
            list(some) for _, some in groupby(every, lambda day: ((day.date - monday).days // 7 + shift) // weeks)
        ]
    else:
        parts = -(-ROW // weeks)
        groups = [
            list(some) for _, some in groupby(every, lambda day: (day.date.year, (day.date.month - 1) * parts // 12))
        ]
    return [_block(some) for some in groups if any(day.level is not None for day in some) or total <= ROW]


def _block(days: list[Day]) -> Block:
    first, last = days[0].date, days[-1].date
    name = f"{first:%Y-%m}" if f"{first:%Y-%m}" == f"{last:%Y-%m}" else f"{first:%Y-%m} to {last:%Y-%m}"
    return Block(name, first - timedelta(days=first.weekday()), days)


def summary(days: Days) -> str:
    """Return the days in a sentence or two, for those who cannot see them."""
    months = days.months()
    if not months:
        return "No article came out in these days."
    missing = sum((month.gap for month in months), timedelta(0))
    empty = sum(month.empty for month in months)
    gaps = f"{length(missing)} may be incomplete" if missing else "no gaps are known"
    told = f"{count(sum(month.articles for month in months), 'article')} from {days.first} to {days.last}"
    return f"{told}; {count(empty, 'day')} without any; {gaps}."


def legend(days: Days, hatching: str) -> Iterator[tuple[str, str]]:
    """Yield a sample of each kind of cell, at the origin, and what it says."""
    for level, name in enumerate(days.classes):
        yield f"{_square(level, 0, 0)}</rect>", name
    over = f'<rect class="h" fill="url(#{hatching})" x="0.75" y="0.75" width="9.5" height="9.5"/>'
    yield f"{_square(0, 0, 0)}</rect>{over}", "may be incomplete"
    yield '<circle class="dot" cx="5.5" cy="5.5" r="1"/>', "before the archive"


def chart(told: Overview) -> bytes:
    """Return the days of all publishers as a file of SVG."""
    y, parts = MARGIN + 34, []
    for held in told.publishers:
        rows = blocks(held.days, ROW)
        parts.append(_publisher(held, rows, y))
        y += HEAD + sum(row.height + 8 for row in rows) + 16
    width = 2 * MARGIN + LEFT + ROW * PITCH
    about = " ".join(f"{held.label}: {summary(held.days)}" for held in told.publishers)
    title = "Articles a day"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" width="{width}" height="{y}" role="img"'
        f' aria-labelledby="title about"><title id="title">{title}</title><desc id="about">{_safe(about)}</desc>'
        f"<style>{STYLE}</style><defs>{pattern('gap')}</defs>"
        f'<rect class="ground" width="{width}" height="{y}"/>'
        f'<text class="ink title" x="{MARGIN}" y="{MARGIN + 14}">{title}</text>'
        f'<text class="faint" x="{width - MARGIN}" y="{MARGIN + 14}" text-anchor="end">days in UTC, as of '
        f"{moment(told.now)}</text>"
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}{"".join(parts)}</svg>\n'.encode()


def _publisher(held: Held, rows: Iterable[Block], y: int) -> str:
    """Return the name, the legend and the days of a publisher, from a height on."""
    parts = [f'<text class="ink name" x="{MARGIN}" y="{y + 12}">{_safe(held.label)}</text>']
    x = MARGIN
    for sample, name in legend(held.days, "gap"):
        parts.append(
            f'<g transform="translate({x} {y + 22})">{sample}<text class="faint" x="16" y="9">{name}</text></g>'
        )
        x += 28 + 6 * len(name)
    y += HEAD
    for row in rows:
        parts.append(f'<g transform="translate({MARGIN} {y})">{row.drawn("gap")}</g>')
        y += row.height + 8
    return "".join(parts)


def _safe(text: str) -> str:
    """Return other people's words as XML may hold them."""
    return escape(plain(text))
