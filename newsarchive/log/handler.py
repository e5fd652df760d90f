"""Where what is logged goes: standard error, or LOG_FILE, which several processes may share.

A record is written at once, under a lock of what it goes to, so that the lines of
publishers that are archived side by side never mix. LOG_FILE is opened for each
record: it may be moved away by what rotates logs at any time.
"""

import fcntl
import io
import logging
import os
import select
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from scrapy.exceptions import UsageError
from scrapy.settings import BaseSettings

from newsarchive.log.lines import JsonLines, TextLines
from newsarchive.printable import printable

__all__ = ["LogHandler", "install", "install_again"]

logger = logging.getLogger(__name__)


class LogHandler(logging.Handler):
    """Writes records as lines; without a file, to whatever is standard error at the time."""

    def __init__(self, file: Path | None = None) -> None:
        super().__init__()
        self.file = file
        self.broken = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        try:
            self.write(f"{self.format(record)}\n")
            self.broken = False
        except Exception:  # noqa: BLE001 - logging must not break what is logged; handleError says what happened
            self.handleError(record)

    def write(self, lines: str) -> None:
        """Write whole lines, and let nobody write in between; raise OSError if it cannot be done."""
        if self.file:
            descriptor = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                _lock(descriptor)
                _write(descriptor, lines)
            finally:
                os.close(descriptor)
        elif isinstance(sys.stderr, io.TextIOWrapper):
            sys.stderr.flush()
            with _alone(sys.stderr.fileno()):
                _write(sys.stderr.fileno(), lines)
        else:
            # A display that renews itself stands there, and makes room.
            sys.stderr.write(lines)

    def handleError(self, record: logging.LogRecord) -> None:
        """Say once on standard error that the log cannot be written; the run goes on."""
        if not self.broken:
            self.broken = True
            where = self.file or "standard error"
            with suppress(OSError, ValueError):
                print(printable(f"the log cannot be written to {where}: {sys.exc_info()[1]}"), file=sys.stderr)


def install(settings: BaseSettings) -> None:
    """Send what this process logs to where the settings say, and nowhere else.

    Takes Scrapy's LOG_FILE, LOG_FILE_APPEND, LOG_ENABLED, LOG_LEVEL and LOG_COLOR, and LOG_JSON. To be called again
    where settings have changed. Raises UsageError if there is no such level, or LOG_FILE cannot be written.
    """
    file = Path(settings["LOG_FILE"]).absolute() if settings["LOG_FILE"] else None
    before = [handler for handler in logging.root.handlers if isinstance(handler, LogHandler)]
    handler = LogHandler(file) if file or settings.getbool("LOG_ENABLED") else logging.NullHandler()
    handler.setFormatter(JsonLines() if settings.getbool("LOG_JSON") else TextLines(_coloured(settings, file)))
    try:
        handler.setLevel(settings["LOG_LEVEL"])
        if file and file not in [old.file for old in before]:
            file.open("ab" if settings.getbool("LOG_FILE_APPEND") else "wb").close()
    except ValueError as error:
        raise UsageError(f"LOG_LEVEL: {error}", print_help=False) from error
    except OSError as error:
        raise UsageError(f"LOG_FILE cannot be written: {error}", print_help=False) from error
    for old in before:
        logging.root.removeHandler(old)
    logging.root.addHandler(handler)
    logging.root.setLevel(logging.NOTSET)
    _listen()


def install_again(settings: BaseSettings) -> None:
    """Install a handler for a crawl, unless whoever started it without a command has handlers of their own."""
    if all(isinstance(handler, LogHandler) for handler in logging.root.handlers):
        install(settings)


def _coloured(settings: BaseSettings, file: Path | None) -> bool:
    """Tell whether levels are coloured: on a terminal, unless somebody does not want it."""
    terminal = not file and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return terminal and settings.getbool("LOG_COLOR", True) and not os.environ.get("NO_COLOR")


def _listen() -> None:
    """Have Python's own warnings and last words logged: they may quote what came from outside."""
    logging.captureWarnings(True)
    sys.excepthook = _broke
    threading.excepthook = lambda told: _broke(told.exc_type, told.exc_value, told.exc_traceback)
    sys.unraisablehook = lambda told: _broke(told.exc_type, told.exc_value, told.exc_traceback)


def _broke(kind: type[BaseException], error: BaseException | None, traceback: Any) -> None:
    if error is None or issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error or kind(), traceback)
    else:
        logger.critical("broke: %s: %s", kind.__name__, error, exc_info=(kind, error, traceback))


@contextmanager
def _alone(descriptor: int) -> Iterator[None]:
    """Keep other processes from writing to an open file while the block runs, where that can be had.

    Processes that inherited it share its locks: only opened anew it has one of this process.
    """
    mine = None
    # Sockets cannot be opened, nor what belongs to another user.
    with suppress(OSError):
        mine = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        _lock(mine)
    try:
        yield
    finally:
        if mine is not None:
            os.close(mine)


def _lock(descriptor: int) -> None:
    # Some network file systems have no locks.
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _write(descriptor: int, lines: str) -> None:
    """Write all of it: a pipe may take a part only, or none for now."""
    content = lines.encode("utf-8", "backslashreplace")
    while content:
        try:
            content = content[os.write(descriptor, content) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
