"""``scrapy crawl PUBLISHER``: one publisher, live, with a true exit status."""

import argparse
from typing import Any

from scrapy import Spider
from scrapy.commands.crawl import Command as CrawlCommand
from scrapy.crawler import Crawler
from scrapy.exceptions import UsageError

from newsarchive.run import failures


class Command(CrawlCommand):
    """Runs a spider and exits with 1 if a listing, a page, a callback or a pipeline failed, or if nothing was found."""

    def _create_crawler(self, spidercls: type[Spider] | str) -> Crawler:
        """Keep the crawler: what it counted is looked at after the run."""
        self.crawler: Crawler = super()._create_crawler(spidercls)
        return self.crawler

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Run the spider, then say what failed."""
        assert self.crawler_process is not None
        publishers = self.crawler_process.spider_loader.list()
        if len(args) != 1 or args[0] not in publishers:
            raise UsageError(f"name a publisher: {', '.join(publishers)}", print_help=False)
        super().run(args, opts)
        if self.exitcode:
            print(f"{args[0]}: could not start; the log above says why")
            return
        stats: dict[str, Any] = self.crawler.stats.get_stats()
        for failure in failures(stats):
            self.exitcode = 1
            print(f"{args[0]}: {failure}")
