"""What a crawl is doing: a line that renews itself on a terminal, a line of the log now and then anywhere else."""

import asyncio
import logging
import sys
from time import monotonic
from typing import Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text
from scrapy import signals
from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured

from newsarchive.manners import Manners
from newsarchive.run import KEPT

__all__ = ["LiveDisplay"]

logger = logging.getLogger(__name__)

#: Seconds between two renewals on a terminal, and between two lines of the log.
RENEWED, EVERY = 0.5, 60


class LiveDisplay:
    """Says how many pages, articles and refusals there are, how fast it goes, and what the crawl waits for."""

    def __init__(self, crawler: Crawler, stream: TextIO | None = None) -> None:
        self.crawler = crawler
        self.stream = stream or sys.stderr
        settings = crawler.settings
        self.renews = self.stream.isatty() and settings["LIVE_DISPLAY"] != "lines" and not settings.getbool("LOG_JSON")
        self.started = monotonic()
        self.showing: asyncio.Task[None] | None = None
        #: Pages at the last look, and when that was.
        self.before = (0, self.started)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Return the display of a crawl."""
        if crawler.settings["LIVE_DISPLAY"] != "lines" and not crawler.settings.getbool("LIVE_DISPLAY"):
            raise NotConfigured
        display = cls(crawler)
        crawler.signals.connect(display.opened, signals.spider_opened)
        crawler.signals.connect(display.closed, signals.spider_closed)
        return display

    def opened(self) -> None:
        """Begin to show."""
        self.started = monotonic()
        self.before = (0, self.started)
        self.showing = asyncio.get_running_loop().create_task(self.show())

    async def closed(self) -> None:
        """Leave the terminal as it was."""
        if self.showing:
            self.showing.cancel()
            await asyncio.wait([self.showing])

    async def show(self) -> None:
        """Show how far the crawl is until it ends."""
        if not self.renews:
            while True:
                await asyncio.sleep(EVERY)
                logger.info("%s", self.line(monotonic()))
        with Live(console=Console(file=self.stream), transient=True, auto_refresh=False) as live:
            while True:
                live.update(Text(self.line(monotonic()), overflow="ellipsis", no_wrap=True), refresh=True)
                await asyncio.sleep(RENEWED)

    def line(self, now: float) -> str:
        """Return how far the crawl is, in a line."""
        assert self.crawler.spider
        stats = self.crawler.stats.get_stats()
        pages = stats.get("response_received_count", 0)
        last, at = self.before
        rate = (pages - last) / (now - at) if now > at else 0
        if now - at >= EVERY:
            self.before = (pages, now)
        kept = {ending: stats.get(f"article/{ending}", 0) for ending in KEPT}
        refused = sum(stats[name] for name in stats if name.startswith(("article/refused/", "article/failed/")))
        waiting = stats.get("scheduler/enqueued", 0) - stats.get("scheduler/dequeued", 0)
        told = [
            f"{self.crawler.spider.name}: {pages} pages",
            f"{sum(kept.values())} articles ({', '.join(f'{count} {name}' for name, count in kept.items())})",
            f"{refused} refused or failed",
            f"{rate:.1f} pages/s",
            f"{waiting} to ask",
        ]
        hosts = sorted(Manners.of(self.crawler).hosts.items())
        told += [
            f"{name} in {host.due - now:.0f} s" for name, host in hosts if host.due - now >= 1 and not host.given_up
        ]
        return ", ".join(told)
