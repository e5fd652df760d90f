"""``scrapy archive [PUBLISHER…]``: a run of every publisher, one summary, and a true exit status."""

import argparse
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from scrapy.commands import ScrapyCommand
from scrapy.exceptions import UsageError
from scrapy.spiderloader import get_spider_loader

from newsarchive.aftermath import Aftermath, aftermath
from newsarchive.alerts import channels
from newsarchive.archival import MEANS, Archival, Outcome, Status, worst
from newsarchive.backfill import stretch
from newsarchive.duration import seconds
from newsarchive.files import replace_file
from newsarchive.health import Thresholds
from newsarchive.printable import printable
from newsarchive.publication import NotPublished, Options, Publication, publish
from newsarchive.publishers import publishers

COLUMNS = ("publisher", "stored", "revised", "unchanged", "refused", "failed", "listings", "requests", "time", "status")
#: Characters of a line where no terminal says how many it has.
WIDTH = 160


class Command(ScrapyCommand):
    """Runs ``scrapy crawl`` for every publisher, each in a process of its own.

    Exits with the gravest status of all runs, see ``newsarchive.archival.Status``.
    """

    requires_project = True
    requires_crawler_process = False

    def syntax(self) -> str:
        """Return the arguments."""
        return "[PUBLISHER ...]"

    def short_desc(self) -> str:
        """Return what ``scrapy -h`` says."""
        return "Archive all publishers, or those that are named, and say what came of it"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add what limits the runs, how many go on at a time, and where the report goes."""
        super().add_options(parser)
        parser.add_argument("--since", default="", metavar="DAY", help="what was published from this day on")
        parser.add_argument("--until", default="", metavar="DAY", help="with --since: up to this day")
        parser.add_argument("--budget", type=_seconds, metavar="10m", help="time for all runs: 90s, 10m, 2h")
        parser.add_argument("--max-articles", type=_number, metavar="N", help="end each run after so many articles")
        parser.add_argument("--recheck-only", action="store_true", help="only look again at what is due, or left over")
        parser.add_argument("--jobs", type=_number, default=1, metavar="N", help="runs at a time (default: 1)")
        parser.add_argument("--git", action="store_true", help="commit new and changed posts afterwards")
        parser.add_argument("--push", action="store_true", help="with --git: push them")
        parser.add_argument("--report", metavar="FILE", help="write a report in JSON; - for standard output")

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Run the crawls, and print the summary."""
        assert self.settings is not None
        known = publishers(get_spider_loader(self.settings))
        if unknown := [name for name in args if name not in known]:
            raise UsageError(f"no publisher is called {', '.join(unknown)}, but {', '.join(known)}", print_help=False)
        if opts.until and not opts.since:
            raise UsageError("--until goes with --since", print_help=False)
        if opts.since and opts.recheck_only:
            raise UsageError("--recheck-only does not go with --since", print_help=False)
        if opts.push and not opts.git:
            raise UsageError("--push goes with --git", print_help=False)
        if opts.report and Path(opts.report).is_dir():
            raise UsageError(f"--report names a folder: {opts.report}", print_help=False)
        try:
            options = Options.of(self.settings)
            stretch(opts.since, opts.until, datetime.now(UTC)) if opts.since else None
            reached = channels(self.settings)
            Thresholds.of(self.settings)
        except (ValueError, OSError, NotPublished) as error:
            raise UsageError(str(error), print_help=False) from error
        archive = Path(self.settings["ARCHIVE_DIR"])
        archival = Archival(archive, self.arguments(opts), opts.jobs, opts.budget)
        for asked in (signal.SIGTERM, signal.SIGINT):
            signal.signal(asked, lambda *_: archival.stop())
        names = list(dict.fromkeys(args or known))
        outcomes = archival.outcomes(names)
        # Who is asked to stop has no time for a network.
        published = publish(archive, options, pushing=opts.push and not archival.stopped) if opts.git else None
        skipped = [name for name in names if name not in {outcome.publisher for outcome in outcomes}]
        after = aftermath(archive, outcomes, self.settings, reached, datetime.now(UTC), published, skipped)
        # That another run publishes is no problem that anybody is told of.
        busy = [Status.RUNNING] if published and published.busy else []
        statuses = [after.status, *busy, *(outcome.status for outcome in outcomes)]
        self.exitcode = int(worst(statuses))
        self.report(archival, outcomes, skipped, after, published, opts.report)

    def arguments(self, opts: argparse.Namespace) -> list[str]:
        """Return the arguments that all crawls have in common."""
        assert self.settings is not None
        words = [word for pair in opts.set for word in ("-s", pair)]
        words += ["-s", f"LOG_LEVEL={self.settings['LOG_LEVEL']}"]
        if opts.jobs > 1:
            words += ["-s", "LIVE_DISPLAY=lines"]
        if opts.max_articles:
            words += ["-s", f"CLOSESPIDER_ITEMCOUNT={opts.max_articles}"]
        for name in ("since", "until"):
            if value := getattr(opts, name):
                words += ["-a", f"{name}={value}"]
        if opts.recheck_only:
            words += ["-a", "recheck_only=1"]
        return words

    def report(
        self,
        archival: Archival,
        outcomes: list[Outcome],
        skipped: list[str],
        after: Aftermath,
        published: Publication | None,
        file: str | None,
    ) -> None:
        """Print what every run said, a table of all, and what has changed; write the report if one is asked for."""
        stream = sys.stderr if file == "-" else sys.stdout
        console = Console(file=stream, soft_wrap=True, width=None if stream.isatty() else WIDTH)
        table = Table(box=None, pad_edge=False)
        for name in COLUMNS:
            table.add_column(name, no_wrap=True)
        for outcome in outcomes:
            for line in outcome.said:
                console.print(printable(line), markup=False, highlight=False)
            table.add_row(*outcome.row, MEANS[outcome.status])
        console.print(table)
        for name in skipped:
            console.print(f"{name}: not run, as there was no time left for it", markup=False, highlight=False)
        for line in [*after.lines, *(published.lines if published else ())]:
            console.print(printable(line), markup=False, highlight=False)
        told: dict[str, Any] = {
            "started": archival.started,
            "status": self.exitcode,
            "publishers": [outcome.as_json() for outcome in outcomes],
            "not_run": skipped,
            "problems": after.as_json(),
            "git": published.as_json() if published else None,
        }
        content = orjson.dumps(told, option=orjson.OPT_INDENT_2) + b"\n"
        if file == "-":
            sys.stdout.buffer.write(content)
        elif file:
            try:
                replace_file(Path(file), content)
            except OSError as error:
                print(printable(f"the report cannot be written: {file}: {error.strerror or error}"), file=sys.stderr)
                self.exitcode = int(worst([Status(self.exitcode), Status.STORAGE]))


def _seconds(text: str) -> float:
    """Return a length of time in seconds; raise ArgumentTypeError."""
    try:
        found = seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not found:
        raise argparse.ArgumentTypeError(f"no time at all: {text!r}")
    return found


def _number(text: str) -> int:
    """Return a positive number; raise ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"not a positive number: {text!r}")
    return int(text)
