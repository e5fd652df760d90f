"""Where in a TOML file something stands: tomllib says so of what it cannot read, but not of what makes no sense."""

import re
import tomllib
from collections.abc import Sequence

__all__ = ["Position", "of_error", "of_key", "of_value"]

#: Line and column, both from 1.
Position = tuple[int, int]


def of_error(error: tomllib.TOMLDecodeError, text: str) -> Position:
    """Return where tomllib found something wrong."""
    if found := re.search(r"at line (\d+), column (\d+)", str(error)):
        return int(found[1]), int(found[2])
    lines = text.splitlines() or [""]
    return len(lines), len(lines[-1]) + 1


def of_key(text: str, path: Sequence[str]) -> Position:
    """Return where a key stands, by the names that lead to it; the beginning of the file if there is none."""
    lines, first, last = _lines(text, path)
    name = rf"(?<![\w-])[\"']?{re.escape(path[-1])}(?![\w-])" if path else "^"
    # Inside an inline table it comes after those that lead to it; in the head of a table nothing is behind it.
    for pattern in (rf"{name}[\"']?\s*=", name):
        for number in range(first, last + 1):
            if found := [*re.finditer(pattern, lines[number - 1])]:
                return number, found[-1].start() + 1
    return first, 1


def of_value(text: str, path: Sequence[str], item: str = "") -> Position:
    """Return where the value of a key stands, or an item of it as it is written."""
    lines, _, last = _lines(text, path)
    line, column = of_key(text, path)
    for number in range(line, last + 1) if item else ():
        start = column if number == line else 0
        if (found := lines[number - 1].find(item, start)) >= 0:
            return number, found + 1
    value = re.compile(r"\s*=\s*").search(lines[line - 1], column - 1) if lines else None
    return (line, value.end() + 1) if value else (line, column)


def _lines(text: str, path: Sequence[str]) -> tuple[list[str], int, int]:
    """Return all lines, and the first and last of the statement that brings a key."""
    lines = text.split("\n")
    whole = 0
    for number in range(1, len(lines) + 1):
        try:
            told = tomllib.loads("\n".join(lines[:number]))
        except tomllib.TOMLDecodeError:
            # A statement of several lines has not come to its end.
            continue
        if _holds(told, path):
            return lines, whole + 1, number
        whole = number
    return lines, 1, 1


def _holds(told: object, path: Sequence[str]) -> bool:
    for name in path:
        if not isinstance(told, dict) or name not in told:
            return False
        told = told[name]
    return True
