"""``scrapy crawl PUBLISHER``: one publisher, live, with a true exit status."""

import argparse
from typing import Any

from scrapy import Spider
from scrapy.commands.crawl import Command as CrawlCommand
from scrapy.crawler import Crawler

from newsarchive.run import failures


class Command(CrawlCommand):
    """Runs a spider and exits with 1 if a listing, a page, a callback or a pipeline failed, or if nothing was found."""

    def _create_crawler(self, spidercls: type[Spider] | str) -> Crawler:
        """Keep the crawler: what it counted is looked at after the run."""
        self.crawler: Crawler = super()._create_crawler(spidercls)
        return self.crawler

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Run the spider, then say what failed."""
        super().run(args, opts)
        stats: dict[str, Any] = self.crawler.stats.get_stats()
        for failure in failures(stats):
            self.exitcode = 1
            print(f"{args[0]}: {failure}")
