"""``scrapy status [PUBLISHER…]``: what the archive holds, how fresh it is, what may be missing, and what is wrong.

Exits with the gravest of what is wrong, see ``newsarchive.archival.Status``; 0 if nothing is.
"""

import argparse
import errno
import os
import sqlite3
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from scrapy.commands import ScrapyCommand
from scrapy.exceptions import UsageError
from scrapy.spiderloader import get_spider_loader

from newsarchive.alerts import open_since
from newsarchive.archival import MEANS, Status, worst
from newsarchive.files import replace_file
from newsarchive.health import Thresholds
from newsarchive.holders import publishers_asked
from newsarchive.index import NO_INDEX, IndexUnusable
from newsarchive.publishers import publishers, spider_class
from newsarchive.status import Overview, as_json, chart, metrics, overview, page, show

__all__ = ["Command"]

#: Days that charts show if nobody says otherwise: a year, and one to compare.
DAYS = 366
#: No chart has more.
MOST = 36_600
#: What is written to files, by the name of its option.
FORMS: dict[str, Callable[[Overview], bytes]] = {"html": page, "svg": chart, "prometheus": metrics}


class Command(ScrapyCommand):
    """Prints a screen, or JSON, or writes a page, a chart, and metrics."""

    requires_project = True
    requires_crawler_process = False
    # A spider that is broken keeps nobody from seeing what the others left; its publisher has no label then.
    default_settings = {"SPIDER_LOADER_WARN_ONLY": True}

    def syntax(self) -> str:
        """Return the arguments."""
        return "[PUBLISHER ...]"

    def short_desc(self) -> str:
        """Return what ``scrapy -h`` says."""
        return "Say what the archive holds, how fresh it is, where something may be missing, and what is wrong"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add in which forms it is said, and of which days."""
        super().add_options(parser)
        told = "in place of the screen; - for standard output"
        parser.add_argument("--json", action="store_true", help="print JSON in place of the screen")
        parser.add_argument("--html", metavar="FILE", help=f"write a page, {told}")
        parser.add_argument("--svg", metavar="FILE", help=f"write a chart of all days, {told}")
        parser.add_argument("--prometheus", metavar="FILE", help=f"write metrics for Prometheus, {told}")
        parser.add_argument("--days", type=_days, default=DAYS, metavar="N", help=f"days of charts (default: {DAYS})")
        parser.add_argument("--since", type=_day, metavar="DAY", help="first day of charts, in place of --days")
        parser.add_argument("--at", type=_moment, metavar="TIME", help="tell it as of this time (default: now)")

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Print or write the status of the publishers, or of all."""
        assert self.settings is not None
        archive = Path(self.settings["ARCHIVE_DIR"])
        files = {name: file for name in FORMS if (file := getattr(opts, name))}
        if list(files.values()).count("-") + opts.json > 1:
            raise UsageError("only one of --json and what is written to - fits on standard output", print_help=False)
        names = publishers_asked(archive, args)
        now = opts.at or datetime.now(UTC)
        first = opts.since or now.date() - timedelta(days=opts.days - 1)
        if not timedelta(0) <= now.date() - first < timedelta(days=MOST):
            raise UsageError(f"--since is no day of the {MOST} up to {now.date()}", print_help=False)
        told = self._overview(archive, names, now, first)
        if told:
            self.exitcode = int(worst([told.status, self._tell(told, files, as_object=opts.json)]))
        else:
            self.exitcode = int(Status.FAILED)

    def _overview(self, archive: Path, names: Iterable[str], now: datetime, first: date) -> Overview | None:
        """Return what there is to say; None, once it is said why, if the index cannot be read."""
        assert self.settings is not None
        loader = get_spider_loader(self.settings)
        known = publishers(loader)
        labels = {}
        for name in names:
            spider = spider_class(loader, name) if name in known else None
            labels[name] = (getattr(spider, "label", "") or name, getattr(spider, "language", ""))
        try:
            thresholds = Thresholds.of(self.settings, open_since(archive))
            return overview(archive, labels, now, thresholds, first)
        except FileNotFoundError:
            print(f"{archive}: {NO_INDEX}", file=sys.stderr)
        except (IndexUnusable, sqlite3.Error, OSError) as error:
            print(error, file=sys.stderr)
        except ValueError as error:
            raise UsageError(str(error), print_help=False) from error
        return None

    def _tell(self, told: Overview, files: dict[str, str], *, as_object: bool) -> Status:
        """Print and write an overview in all forms that are asked for; return what came of it."""
        if not as_object and not files:
            show(told, sys.stdout)
        status = Status.WELL
        written = [("-", as_json)] if as_object else []
        for file, form in [*written, *((file, FORMS[name]) for name, file in files.items())]:
            try:
                _write(file, form(told))
            except OSError as error:
                name = "standard output" if file == "-" else file
                print(f"{name} cannot be written: {error.strerror or error}", file=sys.stderr)
                status = Status.STORAGE
        if files and told.status and sys.stderr.isatty():
            print(f"{MEANS[told.status]}: scrapy status says more", file=sys.stderr)
        return status


def _write(file: str, content: bytes) -> None:
    """Write a file, whole or not at all; raise OSError. What is no file, as a pipe, is only written to."""
    if file == "-":
        # Without a buffer, which Python would try to write once more at its end.
        with open(sys.stdout.fileno(), "wb", buffering=0, closefd=False) as out:
            while content:
                content = content[out.write(content) :]
        return
    path = Path(file).resolve()
    if path.parent.exists() and not path.parent.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(content)
    else:
        replace_file(path, content)


def _days(text: str) -> int:
    """Return a number of days; raise ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= MOST):
        raise argparse.ArgumentTypeError(f"not a number of days from 1 to {MOST}: {text!r}")
    return int(text)


def _day(text: str) -> date:
    """Return a day; raise ArgumentTypeError."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not a day like 2026-01-31: {text!r}") from error


def _moment(text: str) -> datetime:
    """Return a time, in UTC if it says no zone; raise ArgumentTypeError."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not a time like 2026-01-31T12:00Z: {text!r}") from error
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
