"""``scrapy schedule [FILE]``: runs ``scrapy archive`` by the clock, as a file of jobs says."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from scrapy.commands import ScrapyCommand
from scrapy.exceptions import UsageError
from scrapy.spiderloader import get_spider_loader

from newsarchive.publishers import publishers

__all__ = ["Command"]


class Command(ScrapyCommand):
    """Runs jobs until SIGTERM or SIGINT; each is a process of its own, and never two at a time archive a publisher.

    Exits with 2 if the file of jobs is wrong, with 3 if another schedule of the archive is under way, and with 8 if the
    archive cannot be written; with ``--once``, with the gravest status of its runs.
    """

    requires_project = True
    requires_crawler_process = False

    def syntax(self) -> str:
        """Return the arguments."""
        return "[FILE]"

    def short_desc(self) -> str:
        """Return what ``scrapy -h`` says."""
        return "Archive by the clock, as the jobs in FILE say (default: schedule.toml)"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add what is done instead of running for years."""
        super().add_options(parser)
        other = parser.add_mutually_exclusive_group()
        other.add_argument("--once", action="store_true", help="run what is due or has never run, and exit")
        other.add_argument("--status", action="store_true", help="say what is due when, and what came of it last")

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Read the file of jobs, and run them."""
        # Scrapy imports all commands whichever is run, and SQLAlchemy takes as long as all else that a crawl needs.
        from newsarchive.scheduling.jobfile import BadJobFile, read
        from newsarchive.scheduling.service import Service

        assert self.settings is not None
        if len(args) > 1:
            raise UsageError("there is one file of jobs", print_help=False)
        known = publishers(get_spider_loader(self.settings))
        try:
            jobs = read(Path(args[0] if args else "schedule.toml"), known, datetime.now(UTC))
        except BadJobFile as error:
            raise UsageError(str(error), print_help=False) from error
        options = [word for pair in opts.set for word in ("-s", pair)]
        service = Service(Path(self.settings["ARCHIVE_DIR"]), jobs, options)
        self.exitcode = service.status() if opts.status else service.run(once=opts.once)
