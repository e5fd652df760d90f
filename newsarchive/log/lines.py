"""What is logged, as lines of text or of JSON: each says when, of which publisher, and in which run.

Nothing in a message from outside can begin a line of its own, or drive a terminal
(``newsarchive.printable``). Lists and tracebacks, which are laid out on many
lines, have the same beginning on each, and a bar after it.
"""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from newsarchive.printable import printable

__all__ = ["JsonLines", "TextLines", "begin"]

#: Loggers whose messages are laid out on several lines by those who wrote them.
LAID_OUT = ("scrapy", "twisted", "asyncio", "py.warnings")
#: Colours of levels on a terminal; what goes well has none.
COLOURS = {"WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[1;31m"}
RESET = "\x1b[0m"


@dataclass(frozen=True)
class Run:
    """Whose run a line is about; with its mark end the names of its captures and in its account."""

    publisher: str = ""
    mark: str = ""


#: The runs of this process, by publisher: one, unless it replays several.
_runs: dict[str, Run] = {}


def begin(publisher: str, run: str) -> None:
    """Note that what is logged from now on is about a run of a publisher, by its name or its mark."""
    _runs[publisher] = Run(publisher, run.rpartition("-")[2])


def run_of(record: logging.LogRecord) -> Run:
    """Return the run that a record is about; an empty one if nothing tells."""
    name = getattr(getattr(record, "spider", None), "name", "")
    if name in _runs:
        return _runs[name]
    return next(iter(_runs.values())) if len(_runs) == 1 else Run(name)


class TextLines(logging.Formatter):
    """Writes ``2026-11-20 05:01:25 cna 1f2e3d4c WARNING article/refused https://… : reason``, in UTC."""

    def __init__(self, colours: bool = False) -> None:
        super().__init__()
        self.colours = colours

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record, without a newline at the end."""
        run, level = run_of(record), record.levelname
        if self.colours and level in COLOURS:
            level = f"{COLOURS[level]}{level}{RESET}"
        head = f"{_time(record):%Y-%m-%d %H:%M:%S} {printable(run.publisher) or '-'} {run.mark or '-'} {level}"
        first, *more = [*_message(record), *_traceback(record)]
        return "\n".join([f"{head} {first}", *(f"{head} | {line}" for line in more)])


class JsonLines(logging.Formatter):
    """Writes one JSON object a line; times in ISO 8601, UTC, with milliseconds."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as JSON; ``publisher`` and ``run`` are null where it is about none."""
        run = run_of(record)
        told = {
            "time": _time(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": printable(record.name),
            "publisher": printable(run.publisher) or None,
            "run": run.mark or None,
            "message": "\n".join(_message(record)),
        }
        if trace := list(_traceback(record)):
            told["traceback"] = "\n".join(trace)
        return json.dumps(told, ensure_ascii=False)


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _message(record: logging.LogRecord) -> list[str]:
    """Return the lines of a message: one, unless whoever wrote it laid it out on several."""
    try:
        message = record.getMessage()
    except Exception as error:  # noqa: BLE001 - whatever breaks in it, that something was to be said must be said
        why = f"{type(error).__name__} at {record.pathname}:{record.lineno}"
        return [printable(f"a message that cannot be put together ({why}): {record.msg!r}")]
    lines = message.strip("\n").split("\n") if record.name.split(".")[0] in LAID_OUT else [message]
    return [printable(line) for line in lines]


def _traceback(record: logging.LogRecord) -> Iterator[str]:
    """Yield the lines of a record's traceback and of its stack, if it has any."""
    failed = record.exc_info and record.exc_info[0]
    trace = _FORMATTER.formatException(record.exc_info) if record.exc_info and failed else record.exc_text
    for text in (trace or "", record.stack_info or ""):
        yield from (printable(line) for line in text.split("\n") if line)


_FORMATTER = logging.Formatter()
