"""``scrapy alert``: look whether the archive is well, and tell people what has changed, without a run."""

import argparse
import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path

from scrapy.commands import ScrapyCommand
from scrapy.exceptions import UsageError

from newsarchive.aftermath import Aftermath, examined, tell_all, unreadable
from newsarchive.alerts import Channel, Undelivered, channels
from newsarchive.archival import OF_KIND, Status, worst
from newsarchive.health import Thresholds
from newsarchive.holders import publishers_of
from newsarchive.index import IndexUnusable
from newsarchive.printable import printable

__all__ = ["Command"]


class Command(ScrapyCommand):
    """Tells what ``scrapy archive`` would tell after its runs, and also that there are none any more."""

    requires_project = True
    requires_crawler_process = False

    def syntax(self) -> str:
        """Return the arguments."""
        return ""

    def short_desc(self) -> str:
        """Return what ``scrapy -h`` says."""
        return "Tell people what has changed in the archive's health; --test tries whether they can be reached"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the trial."""
        super().add_options(parser)
        parser.add_argument("--test", action="store_true", help="send everybody a message that says that it is a test")

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Tell people, and print what they were told; the status is that of the archive."""
        assert self.settings is not None
        if args:
            raise UsageError("it takes no arguments: all publishers are looked at", print_help=False)
        try:
            reached = channels(self.settings)
            Thresholds.of(self.settings)
        except (ValueError, OSError) as error:
            raise UsageError(str(error), print_help=False) from error
        if opts.test:
            self.try_out(reached)
            return
        archive, now = Path(self.settings["ARCHIVE_DIR"]), datetime.now(UTC)
        try:
            health = examined(archive, publishers_of(archive), self.settings, now)
            verdicts = [*health.all_verdicts, unreadable()]
        except (IndexUnusable, sqlite3.Error, OSError) as error:
            # A disk that is gone has no index either, and nobody else may tell of it.
            verdicts = [unreadable(error)]
        after = Aftermath([verdict.problem for verdict in verdicts if verdict.problem])
        tell_all(after, archive, verdicts, reached, now)
        # What is no news is for whoever reads it at a terminal; cron mails whatever is printed.
        known = [f"still: {problem}" for problem in after.problems] if sys.stdout.isatty() else []
        for line in after.lines or known:
            print(printable(line))
        self.exitcode = int(worst([after.status, *(OF_KIND[problem.kind] for problem in after.problems)]))

    def try_out(self, reached: list[Channel]) -> None:
        """Send everybody a message, and say who could not be reached."""
        if not reached:
            print("nobody is told: ALERTS, NEWSARCHIVE_ALERTS and NEWSARCHIVE_ALERTS_FILE name no address")
            self.exitcode = int(Status.FAILED)
        for channel in reached:
            try:
                channel.send("newsarchive: a test", "Whoever reads this is told when the archive breaks.")
                print(f"sent to {channel.name}")
            except Undelivered as error:
                print(f"not delivered: {error}")
                self.exitcode = int(Status.FAILED)
