"""Times as JavaScript's ``Date.parse`` reads them in UTC: what older archives dated their posts by.

Engines read ISO 8601 and, where a text is none, whatever else looks like a date;
what follows is V8's way with those. A weekday is not looked at, what stands
in brackets neither. Zones are ``GMT``, ``UT``, ``UTC``, ``Z`` and the North American ones, or offsets.
"""

import re
from datetime import UTC, datetime, timedelta

from newsarchive.spelling import WHITE_SPACE

__all__ = ["date_parse"]

MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
#: Hours from UTC.
ZONES = {
    **dict.fromkeys(("ut", "utc", "z", "gmt"), 0),
    "est": -5,
    "edt": -4,
    "cst": -6,
    "cdt": -5,
    "mst": -7,
    "mdt": -6,
    "pst": -8,
    "pdt": -7,
}
HALVES = {"am": 0, "pm": 12}
ISO = re.compile(
    r"(\d{4}|\+\d{6})(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12]\d|3[01]))?)?"
    r"(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(?:(Z)|([-+])(\d\d):?(\d\d))?)?",
    re.IGNORECASE | re.ASCII,
)
#: Separators of lines are no space within a time.
SPACE = re.sub("[\u2028\u2029]", "", WHITE_SPACE)
TOKEN = re.compile(
    rf"(?P<number>\d+)|(?P<space>[{SPACE}]+)|(?P<word>[^\0-@{SPACE}]+)|(?P<symbol>.)", re.ASCII | re.DOTALL
)
#: Characters; beyond it nobody states a time.
LONGEST = 200


def date_parse(text: str) -> datetime | None:
    """Return the instant that a text states, in UTC to the millisecond; None if it states none that can be read.

    White space at both ends does not matter, which older engines minded before ISO 8601.
    """
    text = text.strip(WHITE_SPACE)
    if not text or len(text) > LONGEST:
        return None
    try:
        return _iso(text) if ISO.fullmatch(text) else _Legacy(text).read()
    except (ValueError, OverflowError):
        # A day that no calendar has, and years that ours has not.
        return None


def _iso(text: str) -> datetime | None:
    """Return the instant of an ISO 8601 text."""
    match = ISO.fullmatch(text)
    assert match
    year, month, day, hour, minute, second, fraction, _, sign, ahead, ahead_minutes = match.groups()
    offset = 0
    if sign:
        if int(ahead) > 23 or int(ahead_minutes) > 59:
            return None
        offset = (int(ahead) * 60 + int(ahead_minutes)) * (-1 if sign == "-" else 1)
    thousandths = int(((fraction or "") + "000")[:3])
    return _instant(
        (int(year), int(month or 1), int(day or 1)),
        (int(hour or 0), int(minute or 0), int(second or 0), thousandths),
        offset,
    )


def _instant(day: tuple[int, int, int], time: tuple[int, int, int, int], offset: int) -> datetime | None:
    """Return an instant in UTC; ``offset`` are minutes. A day that a month lacks is one of the next month."""
    year, month, number = day
    hour, minute, second, thousandth = time
    if not (1 <= month <= 12 and 1 <= number <= 31):
        return None
    if not (hour < 24 and minute < 60 and second < 60 and thousandth < 1000) and time != (24, 0, 0, 0):
        return None
    begins = datetime(year, month, 1, tzinfo=UTC) + timedelta(days=number - 1)
    return begins + timedelta(hours=hour, minutes=minute - offset, seconds=second, milliseconds=thousandth)


class _Legacy:
    """Reads a text that is not ISO 8601, word for word from its beginning."""

    def __init__(self, text: str) -> None:
        self.tokens = [(str(match.lastgroup), match[0]) for match in TOKEN.finditer(text)]
        self.at = 0
        self.day: list[int] = []
        self.time: list[int] = []
        #: Whether no more of the time may follow.
        self.timed = False
        self.month = 0
        self.half: int | None = None
        self.sign = 0
        self.hours: int | None = None
        self.minutes: int | None = None

    def peek(self) -> tuple[str, str]:
        """Return the next token, an empty one at the end."""
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def skip(self, symbol: str) -> bool:
        """Tell whether the next token is a symbol, and go on behind it then."""
        found = self.peek() == ("symbol", symbol)
        self.at += found
        return found

    def read(self) -> datetime | None:
        """Return the instant that all tokens together state."""
        number_read = False
        while self.at < len(self.tokens):
            kind, token = self.tokens[self.at]
            self.at += 1
            if kind == "number":
                number_read = True
                if not self.number(int(token)):
                    return None
            elif kind == "word":
                if not self.word(token.lower(), number_read):
                    return None
            elif token in ("+", "-") and (self.time or (self.hours, self.minutes) == (0, 0)):
                number_read = True
                if not self.offset(-1 if token == "-" else 1):
                    return None
            elif token in ("+", "-", ")") and number_read:
                return None
            elif token == "(":
                self.skip_brackets()
        return self.result()

    def number(self, value: int) -> bool:
        """Take a number; tell whether it can stand where it does."""
        if self.skip(":"):
            double = self.skip(":")
            if double and self.time:
                return False
            return self.add_time(value) and (not double or self.add_time(0))
        if self.peek() == ("symbol", ".") and self.expects(value):
            self.at += 1
            kind, fraction = self.peek()
            if kind != "number":
                return False
            self.at += 1
            self.time += [value, *[0] * (2 - len(self.time)), int((fraction + "000")[:3])][: 4 - len(self.time)]
            self.timed = True
            return True
        self.skip(".")
        if self.hours is not None and self.minutes is None and value < 60:
            self.minutes = value
            return True
        if self.expects(value):
            self.time.append(value)
            self.timed = True
            kind, token = self.peek()
            return kind in ("end", "space") or token in ("Z", "z", "+", "-")
        if len(self.day) == 3:
            return False
        self.day.append(value)
        self.skip("-")
        return True

    def expects(self, value: int) -> bool:
        """Tell whether a number goes on with the time."""
        return not self.timed and 1 <= len(self.time) <= 3 and value < (60 if len(self.time) < 3 else 1000)

    def add_time(self, value: int) -> bool:
        """Take an hour, or what follows it."""
        if self.timed or len(self.time) == 4:
            return False
        self.time.append(value)
        return True

    def word(self, word: str, number_read: bool) -> bool:
        """Take a word; tell whether it can stand where it does: others than these only before all numbers."""
        if word in HALVES and self.time:
            self.half = HALVES[word]
        elif word[:3] in MONTHS:
            self.month = MONTHS.index(word[:3]) + 1
            self.skip("-")
        elif word in ZONES and number_read:
            self.sign = -1 if ZONES[word] < 0 else 1
            self.hours, self.minutes = abs(ZONES[word]), 0
        else:
            return not number_read and self.peek()[0] != "number"
        return True

    def offset(self, sign: int) -> bool:
        """Take an offset from UTC: ``+8``, ``+08``, ``+800``, ``+0800``, ``+08:00``."""
        self.sign = sign
        kind, digits = self.peek()
        digits = digits if kind == "number" else ""
        self.at += bool(digits)
        if self.peek() == ("symbol", ":"):
            self.hours, self.minutes = int(digits or 0), None
        elif 1 <= len(digits) <= 2:
            self.hours, self.minutes = int(digits), 0
        elif 3 <= len(digits) <= 4:
            self.hours, self.minutes = divmod(int(digits), 100)
        else:
            return False
        return True

    def skip_brackets(self) -> None:
        """Go on behind the bracket that closes the last one."""
        depth = 1
        while depth and self.at < len(self.tokens):
            depth += {"(": 1, ")": -1}.get(self.tokens[self.at][1], 0)
            self.at += 1

    def result(self) -> datetime | None:
        """Return the instant that was read."""
        if not self.day:
            return None
        first, second, third = [*self.day, 1, 1][:3]
        if self.month:
            day = (second, self.month, first) if 1 <= first <= 31 else (first, self.month, second)
        elif not 1 <= first <= 31:
            day = first, second, third
        else:
            day = third, first, second
        if day[0] < 100:
            day = (day[0] + (2000 if day[0] < 50 else 1900), *day[1:])
        hour, minute, seconds, thousandth = [*self.time, 0, 0, 0, 0][:4]
        if self.half is not None:
            if hour > 12:
                return None
            hour = hour % 12 + self.half
        offset = self.sign * ((self.hours or 0) * 60 + (self.minutes or 0))
        return _instant(day, (hour, minute, seconds, thousandth), offset)
