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
from newsarchive.recover import WrongClock, recover, refuse_wrong_clock
from newsarchive.run import ALREADY_RUNNING, COMMAND_PRIORITY
from newsarchive.store import lock_file


class Command(CrawlCommand):
    """Runs a spider; exits with 1 if a listing, a page, a callback or a pipeline failed, or if nothing was found.

    Another run of the same publisher makes it exit with 3, before anything is asked for.
    """

    def process_options(self, args: list[str], opts: argparse.Namespace) -> None:
        """Say how far the crawl is, unless told otherwise."""
        super().process_options(args, opts)
        assert self.settings is not None
        self.settings.set("LIVE_DISPLAY", True, priority=COMMAND_PRIORITY)

    def _create_crawler(self, spidercls: type[Spider] | str) -> Crawler:
        """Keep the crawler: its account is looked at after the run."""
        self.crawler: Crawler = super()._create_crawler(spidercls)
        return self.crawler

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Bring the archive in order, run the spider, then say what failed."""
        assert self.crawler_process is not None
        publishers = self.crawler_process.spider_loader.list()
        if len(args) != 1 or args[0] not in publishers:
            raise UsageError(f"name a publisher: {', '.join(publishers)}", print_help=False)
        with ExitStack() as held:
            if not self.ready(args[0], held):
                return
            # A page makes some hundred objects: looking for rings among them at every 700 takes its share of time.
            gc.set_threshold(10_000)
            super().run(args, opts)
        if self.exitcode:
            print(f"{args[0]}: could not start; the log above says why")
            return
        ledger = self.crawler.get_extension(Ledger)
        assert ledger is not None
        for span in ledger.filled:
            print(f"{args[0]}: {span} is covered now")
        for span in ledger.gaps:
            print(f"{args[0]}: {span} may be incomplete")
        if ledger.done:
            print(f"{args[0]}: {ledger.done} is complete")
        for failure in ledger.failures:
            self.exitcode = 1
            print(f"{args[0]}: {failure}")

    def ready(self, publisher: str, held: ExitStack) -> bool:
        """Lock a publisher's archive and mend what an earlier run left; tell whether it can be written."""
        assert self.settings is not None
        archive = Path(self.settings["ARCHIVE_DIR"])
        try:
            held.enter_context(hold(lock_file(archive, publisher)))
            refuse_wrong_clock(archive, publisher)
            for told in recover(self.settings, publisher):
                print(f"{publisher}: {told}", flush=True)
        except Locked as error:
            print(f"{publisher}: another run is under way: {error}")
            self.exitcode = ALREADY_RUNNING
        except (OSError, sqlite3.Error, IndexUnusable, WrongClock) as error:
            print(f"{publisher}: the archive cannot be written: {error}")
            self.exitcode = 1
        return not self.exitcode
