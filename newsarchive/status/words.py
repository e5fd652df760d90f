"""Shares, bytes and other people's words, as screen and page show them."""

from newsarchive.health import Rate
from newsarchive.printable import printable as plain

__all__ = ["percent", "plain", "size"]


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
