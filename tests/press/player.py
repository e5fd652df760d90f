"""Plays a plan: server and crawls in one event loop, in simulated time. ``python -m tests.press.player PLAN RESULT``

Each run does what ``scrapy crawl`` does, with the project's own settings; only where its
connections lead is different.
"""

# The clock comes first: what others import of ``time`` must be simulated already.
from tests.press.clock import Clock, Loop  # isort: skip

import asyncio
import gc
import logging
import os
import pickle
import random
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scrapy.crawler import AsyncCrawlerRunner
from scrapy.utils.misc import load_object
from scrapy.utils.project import get_project_settings
from twisted.internet import asyncioreactor

from newsarchive.ledger import Ledger
from newsarchive.lock import hold
from newsarchive.recover import recover, refuse_wrong_clock
from newsarchive.store import lock_file
from tests.press.changes import CHANGES
from tests.press.play import Plan, Played, Run
from tests.press.server import Press
from tests.press.wire import wired
from tests.press.world import HOUR, World

#: Seconds after which a run must have ended: two days, which no budget of requests allows for.
LONGEST = 48 * HOUR


class Player:
    """Runs the crawler of a plan against the press, in simulated time."""

    def __init__(self, plan: Plan, clock: Clock, result: Path) -> None:
        self.plan, self.clock, self.result = plan, clock, result
        self.world = World(plan.spec)
        self.press = Press(self.world, plan.faults, self.is_blocked, self.alter)
        self.played = Played(plan, log=self.press.log)
        self.settings = get_project_settings()
        self.settings.set("ARCHIVE_DIR", plan.archive, priority="cmdline")
        # A process beside the crawl would have a clock of its own.
        self.settings.set("READ_PROCESS", False, priority="cmdline")

    def is_blocked(self, host: str, path: str, time: float) -> bool:
        """Tell whether RFI answers 403."""
        first, last = (self.world.start + hour * HOUR for hour in self.plan.blocked)
        return host == "www.rfi.fr" and first <= time < last and not path.endswith(("/rss", "/robots.txt"))

    def alter(self, publisher: str, time: float, page: str) -> str:
        """Return a page as the publisher serves it since it has changed its layout."""
        name, hour = self.plan.changed
        if not name or time < self.world.start + hour * HOUR:
            return page
        return CHANGES[publisher][name].alter(page)

    def is_out(self, time: float) -> bool:
        """Tell whether the crawler is out of order."""
        hour = (time - self.world.start) / HOUR
        return any(first <= hour < last for first, last in self.plan.outages)

    async def all(self) -> None:
        """Play the plan."""
        handler = load_object(self.settings.getwithbase("DOWNLOAD_HANDLERS")["https"])
        wire = wired(handler, await self.press.listen(), self.clock)
        handlers = {**self.settings.getdict("DOWNLOAD_HANDLERS"), "http": wire, "https": wire}
        self.settings.set("DOWNLOAD_HANDLERS", handlers, priority="cmdline")
        if self.plan.kill:
            self.press.last, self.press.end = self.plan.kill, self.die
        self.played.start = slot = self.world.start + self.plan.begin
        until = slot + self.plan.hours * HOUR
        while slot < until:
            if not self.is_out(slot):
                await asyncio.sleep(max(slot - time.time(), 0))
                self.played.runs.append(await self.run())
                if self.plan.backfill and self.played.runs[-1].complete:
                    break
            # One that is still running is not started again.
            pause = self.plan.every * HOUR
            slot += pause * max(1, -((slot - time.time()) // pause))
        self.played.end = time.time()
        if self.plan.quiet:
            await self.be_quiet()

    async def be_quiet(self) -> None:
        """Stop the world and its troubles, wait for the last re-checks, and have one run more."""
        self.press.faults, self.press.frozen = 0, time.time()
        for _ in range(14):
            await self.run()
            await asyncio.sleep(6 * HOUR)
        before = posts(Path(self.plan.archive))
        self.played.quiet = await self.run()
        after = posts(Path(self.plan.archive))
        self.played.written = sum(file[1] for name, file in after.items() if before.get(name) != file)

    def die(self) -> None:
        """Be killed, with the run and all that it has not made safe; what the server was asked is told."""
        self.played.killed, self.played.end = True, time.time()
        self.tell()
        os.kill(os.getpid(), signal.SIGKILL)

    def tell(self) -> None:
        """Write what came of the plan."""
        self.result.write_bytes(pickle.dumps(self.played))

    async def run(self) -> Run:
        """Do what ``scrapy crawl`` does, and return what came of it."""
        archive, publisher = Path(self.plan.archive), self.plan.publisher
        start, began, asked = time.time(), time.perf_counter(), len(self.press.log)
        with hold(lock_file(archive, publisher)):
            refuse_wrong_clock(archive, publisher)
            list(recover(self.settings, publisher))
            runner = AsyncCrawlerRunner(self.settings)
            crawler = runner.create_crawler(publisher)
            task = runner.crawl(crawler, **dict(self.plan.arguments))
            _, hanging = await asyncio.wait({task}, timeout=LONGEST)
            if hanging:
                raise RuntimeError(f"the run of {datetime.fromtimestamp(start, UTC)} does not end:\n{waiting()}")
            await task
        ledger = crawler.get_extension(Ledger)
        assert ledger is not None
        return Run(
            start=start,
            end=time.time(),
            requests=slice(asked, len(self.press.log)),
            failures=ledger.failures,
            account=ledger.told,
            seconds=time.perf_counter() - began,
        )


def waiting() -> str:
    """Return who waits for what in the project."""
    found = []
    for task in asyncio.all_tasks():
        awaited, lines = task.get_coro(), []
        while awaited is not None:
            frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None)
            if frame and "newsarchive" in frame.f_code.co_filename:
                lines.append(f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}")
            awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)
        found += lines
    return "\n".join(found)


def posts(archive: Path) -> dict[str, tuple[int, int]]:
    """Return when each post was written, in real nanoseconds, and its size."""
    files = ((str(file), file.stat()) for file in (archive / "_posts").rglob("*") if file.is_file())
    return {name: (told.st_mtime_ns, told.st_size) for name, told in files}


def main(given: Path, result: Path) -> None:
    """Play the plan of a file, and write what came of it to another."""
    plan: Plan = pickle.loads(given.read_bytes())
    clock = Clock(World(plan.spec).start + plan.begin)
    loop = Loop(clock)
    asyncioreactor.install(loop)
    from twisted.internet import reactor

    logging.basicConfig(filename=given.with_name("log"), level=logging.WARNING)
    logging.getLogger("scrapy.downloadermiddlewares.redirect").setLevel(logging.ERROR)
    # Delays have jitter; the same plan must play the same way.
    random.seed(f"{plan.spec.seed} {plan.publisher}")
    gc.set_threshold(10_000)
    player = Player(plan, clock, result)
    broken: list[BaseException] = []

    def ended(task: Any) -> None:
        if error := task.exception():
            broken.append(error)
        reactor.stop()

    start: Callable[[], None] = lambda: loop.create_task(player.all()).add_done_callback(ended)  # noqa: E731
    reactor.callWhenRunning(start)
    reactor.run(installSignalHandlers=False)
    if broken:
        raise broken[0]
    player.tell()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
