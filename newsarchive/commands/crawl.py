"""``scrapy crawl PUBLISHER``: one publisher, live, with a true exit status."""

import argparse
import gc
import sqlite3
from contextlib import ExitStack
from pathlib import Path

from scrapy import Spider
from scrapy.commands.crawl import Command as CrawlCommand
from scrapy.crawler import Crawler
from scrapy.exceptions import UsageError

from newsarchive.index import IndexUnusable
from newsarchive.ledger import Ledger
from newsarchive.lock import Locked, hold
from newsarchive.log.handler import install
from newsarchive.log.lines import begin
from newsarchive.printable import printable
from newsarchive.publishers import publishers
from newsarchive.recover import WrongClock, recover, refuse_wrong_clock
from newsarchive.run import ALREADY_RUNNING, COMMAND_PRIORITY
from newsarchive.spider import PublisherSpider
from newsarchive.store import lock_file, run_mark


class Command(CrawlCommand):
    """Runs a spider; exits with 1 if a listing, a page, a callback or a pipeline failed, or if nothing was found.

    Another run of the same publisher makes it exit with 3, before anything is asked for.
    """

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the form of posts that are made of a full-text feed."""
        super().add_options(parser)
        parser.add_argument("--bare", action="store_true", help="crawl feed: write posts without front matter")

    def process_options(self, args: list[str], opts: argparse.Namespace) -> None:
        """Name the run, and say how far it is unless told otherwise."""
        super().process_options(args, opts)
        if opts.bare:
            opts.spargs["bare"] = "1"
        assert self.settings is not None
        self.settings.set("LIVE_DISPLAY", True, priority=COMMAND_PRIORITY)
        mark = run_mark()
        self.settings.set("RUN_MARK", mark, priority=COMMAND_PRIORITY)
        begin(opts.spargs.get("publisher") or " ".join(args), mark)
        install(self.settings)

    def _create_crawler(self, spidercls: type[Spider] | str) -> Crawler:
        """Keep the crawler: its account is looked at after the run."""
        self.crawler: Crawler = super()._create_crawler(spidercls)
        return self.crawler

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Bring the archive in order, run the spider, then say what failed."""
        assert self.crawler_process is not None
        loader = self.crawler_process.spider_loader
        if len(args) != 1 or args[0] not in loader.list():
            known = publishers(loader)
            raise UsageError(f"name a publisher: {', '.join(known)}; or feed, for any", print_help=False)
        publisher = self.publisher(loader.load(args[0]), opts)
        with ExitStack() as held:
            if not self.ready(publisher, held):
                return
            # A page makes some hundred objects: looking for rings among them at every 700 takes its share of time.
            gc.set_threshold(10_000)
            super().run(args, opts)
        if self.exitcode:
            print(f"{publisher}: could not start; the log above says why")
            return
        ledger = self.crawler.get_extension(Ledger)
        assert ledger is not None
        if not ledger.told:
            self.exitcode = 1
            print(f"{publisher}: its account could not be made; the log above says why")
        for span in ledger.filled:
            print(f"{publisher}: {span} is covered now")
        for span in ledger.gaps:
            print(f"{publisher}: {span} may be incomplete")
        if ledger.done:
            print(f"{publisher}: {ledger.done} is complete")
        for failure in ledger.failures:
            self.exitcode = 1
            print(printable(f"{publisher}: {failure}"))

    def publisher(self, spider: type[Spider], opts: argparse.Namespace) -> str:
        """Return the publisher whose archive the run writes to; raise UsageError if its arguments make no sense."""
        assert issubclass(spider, PublisherSpider)
        if opts.bare and hasattr(spider, "label"):
            raise UsageError("--bare is for full-text feeds: scrapy crawl feed", print_help=False)
        try:
            return spider.publisher_of(opts.spargs)
        except ValueError as error:
            raise UsageError(str(error), print_help=False) from error

    def ready(self, publisher: str, held: ExitStack) -> bool:
        """Lock a publisher's archive and mend what an earlier run left; tell whether it can be written."""
        assert self.settings is not None
        archive = Path(self.settings["ARCHIVE_DIR"])
        try:
            held.enter_context(hold(lock_file(archive, publisher)))
            refuse_wrong_clock(archive, publisher)
            for told in recover(self.settings, publisher):
                print(printable(f"{publisher}: {told}"), flush=True)
        except Locked as error:
            print(printable(f"{publisher}: another run is under way: {error}"))
            self.exitcode = ALREADY_RUNNING
        except (OSError, sqlite3.Error, IndexUnusable, WrongClock) as error:
            print(printable(f"{publisher}: the archive cannot be written: {error}"))
            self.exitcode = 1
        return not self.exitcode
