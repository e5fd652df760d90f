"""``scrapy replay [PATH…]``: crawls answered from fixtures, offline; a miss is a failure."""

import argparse
from collections import Counter

from scrapy.commands import ScrapyCommand
from scrapy.exceptions import UsageError

from newsarchive.replay import COMMAND_PRIORITY, FixtureReplay, fixture_folders
from newsarchive.run import refusals


class Command(ScrapyCommand):
    """Replays fixtures into ``ARCHIVE_DIR`` and exits with 1 if any did not end as expected."""

    requires_project = True

    def syntax(self) -> str:
        """Return the arguments."""
        return "[PATH ...]"

    def short_desc(self) -> str:
        """Return what ``scrapy -h`` says."""
        return "Crawl saved pages (default: fixtures/) offline and write their posts"

    def process_options(self, args: list[str], opts: argparse.Namespace) -> None:
        """Log less than a live crawl, unless told otherwise: what is refused is part of the report."""
        super().process_options(args, opts)
        assert self.settings is not None
        self.settings.set("LOG_LEVEL", "ERROR", priority=COMMAND_PRIORITY)

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Replay every publisher that has fixtures below the paths."""
        assert self.crawler_process is not None
        try:
            folders = fixture_folders(args or ["fixtures"], self.crawler_process.spider_loader.list())
            replays = [FixtureReplay(name, folder) for name, folder in folders.items()]
        except (ValueError, OSError) as error:
            raise UsageError(str(error), print_help=False) from error
        for replay in replays:
            replay.start(self.crawler_process)
        self.crawler_process.start()
        self.report(replays)

    def report(self, replays: list[FixtureReplay]) -> None:
        """Print one line a publisher, what was refused and why, and what went wrong."""
        for replay in replays:
            for post in sorted(replay.posts):
                print(f"  {post}")
            print(replay.summary())
        reasons: Counter[str] = Counter()
        for replay in replays:
            reasons.update(refusals(replay.stats))
        wrong = [line for replay in replays for line in replay.failures()]
        print("\nrefused:" if wrong else "\nrefused, as the fixtures expect:")
        for name, count in sorted(reasons.items()):
            print(f"{count:6}  {name}")
        for line in wrong:
            print(f"FAILED {line}")
        assert self.settings is not None
        print(f"\nposts in {self.settings['ARCHIVE_DIR']}/_posts" if not wrong else f"\n{len(wrong)} failures")
        self.exitcode = 1 if wrong else 0
