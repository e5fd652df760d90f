"""Numbers and times in English, as screens, pages and messages say them."""

from datetime import datetime, timedelta

__all__ = ["count", "length", "moment"]

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
