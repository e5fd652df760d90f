"""Lengths of time as people write them: ``90s``, ``10m``, ``2h``."""

import re

__all__ = ["seconds"]

UNITS = {"s": 1, "m": 60, "h": 3600}
#: Seconds: a year, which no run or pause takes.
LONGEST = 366 * 24 * 3600


def seconds(text: str) -> float:
    """Return a length of time in seconds, a year at most; raise ValueError for what is none."""
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smh])", text)
    if not match:
        raise ValueError(f"not a length of time like 90s, 10m or 2h: {text!r}")
    found = float(match[1]) * UNITS[match[2]]
    if found > LONGEST:
        raise ValueError(f"longer than a year: {text!r}")
    return found
