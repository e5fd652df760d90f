"""Numbers, times and other people's words, as screen and page show them."""

from datetime import datetime, timedelta

from newsarchive.health import Rate
from newsarchive.printable import printable as plain

__all__ = ["count", "length", "moment", "percent", "plain", "size"]

#: From how many minutes on a length of time is told in hours, and in days.
HOURS, DAYS = 120, 2880


def count(number: float, noun: str = "", plural: str = "") -> str:
    """Return a number with what there are so many of, in English: ``1 article``, ``1,203 articles``, ``2.5``."""
    told = f"{number:,.1f}".removesuffix(".0") if abs(number) < 10 else f"{number:,.0f}"
    if number and told == "0":
        told = "<0.1"
    if not noun:
        return told
    return f"{told} {noun if told == '1' else plural or f'{noun}s'}"


def length(time: timedelta) -> str:
    """Return a length of time in the unit that people would use, without its sign."""
    minutes = int(abs(time).total_seconds() // 60)
    if minutes < 1:
        return "less than a minute"
    if minutes < HOURS:
        return count(minutes, "minute")
    return count(minutes // 60, "hour") if minutes < DAYS else count(abs(time).days, "day")


def moment(time: datetime) -> str:
    """Return a time in UTC to the minute."""
    return f"{time:%Y-%m-%d %H:%M} UTC"


def percent(rate: Rate) -> str:
    """Return a rate in per cent: never ``100 %`` where something is missing, nor ``0 %`` where something is not."""
    if not rate.of:
        return "–"
    told = f"{rate.hits / rate.of:.1%}"
    if (rate.hits < rate.of and told == "100.0%") or (rate.hits and told == "0.0%"):
        told = f"{rate.hits / rate.of:.3%}"
    return told.replace(".0%", "%").replace("%", "\N{NO-BREAK SPACE}%")


def size(number: float) -> str:
    """Return a number of bytes in the unit that people would use."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}" if number < 100 else f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:,.1f} TB"
