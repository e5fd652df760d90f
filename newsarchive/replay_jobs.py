"""A replay of captures in one process or several, one file a task, and what came of it."""

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from scrapy import Spider
from scrapy.crawler import AsyncCrawlerProcess, Crawler, CrawlerProcessBase
from scrapy.settings import Settings

from newsarchive.ledger import Ledger
from newsarchive.publishers import spider_class
from newsarchive.replay import REPLAY_SETTINGS, Deal
from newsarchive.run import COMMAND_PRIORITY, KEPT
from newsarchive.warc import Damage

__all__ = ["Order", "Outcome", "replay_here", "replay_in_processes"]

#: Bytes read between two reports of a process.
REPORTED = 4 << 20


@dataclass(frozen=True)
class Order:
    """What is to be replayed."""

    archive: Path
    publishers: tuple[str, ...]
    since: datetime | None = None
    until: datetime | None = None


@dataclass
class Outcome:
    """What came of a replay."""

    #: Accounts of the crawls.
    accounts: list[dict[str, Any]] = field(default_factory=list)
    #: Files of the archive that were read to their end.
    finished: list[Path] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)
    #: What lies elsewhere and could not be had.
    away: list[Damage] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    #: What broke, one line each.
    broken: list[str] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        """Add what came of another part of the replay."""
        self.accounts += other.accounts
        self.finished += other.finished
        self.damage += other.damage
        self.away += other.away
        self.left_out.update(other.left_out)
        self.broken += other.broken

    def articles(self, publisher: str) -> dict[str, int]:
        """Return how many articles of a publisher were stored, revised and unchanged."""
        mine = [account for account in self.accounts if account["publisher"] == publisher]
        return {ending: sum(account[ending] for account in mine) for ending in KEPT}

    def reasons(self, publisher: str) -> Counter[str]:
        """Return how often each reason was given for refusing or failing, by ``refused/<reason>`` and the like."""
        found: Counter[str] = Counter()
        for account in self.accounts:
            for ending in ("refused", "failed"):
                if account["publisher"] == publisher:
                    found.update({f"{ending}/{reason}": count for reason, count in account[ending].items()})
        return found


def replay_here(
    process: CrawlerProcessBase, order: Order, files: Iterator[Path], progress: Callable[[int], None]
) -> Outcome:
    """Replay files in this process, whose event loop it runs and ends."""
    spiders = {name: spider_class(process.spider_loader, name) for name in order.publishers}
    deal = Deal(order.archive, spiders, files, order.since, order.until, progress)
    crawlers = [_crawler(process, spider, deal) for spider in spiders.values()]
    for crawler in crawlers:
        process.crawl(crawler)
    process.start()
    outcome = Outcome([], deal.finished, deal.damage, deal.away, deal.left_out)
    for crawler in crawlers:
        ledger = crawler.get_extension(Ledger)
        if ledger is None or not ledger.told:
            outcome.broken.append(f"{crawler.spidercls.name}: could not start; the log says why")
        else:
            outcome.accounts.append(ledger.told)
    return outcome


def _crawler(process: CrawlerProcessBase, spider: type[Spider], deal: Deal) -> Crawler:
    crawler = process.create_crawler(spider)
    crawler.settings.setdict({**REPLAY_SETTINGS, "REPLAY_DEAL": deal}, priority=COMMAND_PRIORITY)
    return crawler


def replay_in_processes(
    settings: Settings, order: Order, files: Iterator[Path], progress: Callable[[int], None], jobs: int
) -> Outcome:
    """Replay files in so many processes; each gets the next file when it has read one."""
    context = multiprocessing.get_context("spawn")
    workers: dict[Connection, Any] = {}
    outcome = Outcome()
    for _ in range(jobs):
        ours, theirs = context.Pipe()
        worker = context.Process(target=_work, args=(settings.copy_to_dict(), order, theirs))
        worker.start()
        theirs.close()
        workers[ours] = worker
    try:
        while workers:
            for ready in wait(list(workers)):
                assert isinstance(ready, Connection)
                try:
                    told = ready.recv()
                except EOFError:
                    worker = workers.pop(ready)
                    worker.join()
                    if worker.exitcode:
                        outcome.broken.append(f"a process ended with {worker.exitcode}; replay again what it had")
                    continue
                if told is None:
                    ready.send(next(files, None))
                elif isinstance(told, int):
                    progress(told)
                else:
                    outcome.add(told)
    finally:
        for worker in workers.values():
            worker.terminate()
            worker.join()
    return outcome


def _work(settings: dict[str, Any], order: Order, parent: Connection) -> None:
    """Replay what the parent hands out, in a process of its own."""
    unsaid = 0

    def progress(count: int) -> None:
        nonlocal unsaid
        unsaid += count
        if unsaid >= REPORTED:
            parent.send(unsaid)
            unsaid = 0

    def files() -> Iterator[Path]:
        while True:
            parent.send(None)
            file = parent.recv()
            if file is None:
                return
            yield file

    outcome = replay_here(AsyncCrawlerProcess(Settings(settings)), order, files(), progress)
    parent.send(unsaid)
    parent.send(outcome)
    parent.close()
