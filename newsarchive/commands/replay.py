"""``scrapy replay [PATH…]``: crawls answered from captures or fixtures, offline."""

import argparse
import re
import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scrapy.commands import ScrapyCommand
from scrapy.exceptions import UsageError

from newsarchive.elsewhere.moved import MOVED, is_moved, size_of
from newsarchive.fixture_replay import FixtureReplay, fixture_folders
from newsarchive.holders import names_in
from newsarchive.index import IndexUnusable
from newsarchive.lock import Locked, hold
from newsarchive.log.handler import install
from newsarchive.printable import printable
from newsarchive.progress import Progress
from newsarchive.publishers import publishers
from newsarchive.recover import closing, settling
from newsarchive.replay import publisher_of_file
from newsarchive.replay_jobs import Order, Outcome, replay_here, replay_in_processes
from newsarchive.run import ALREADY_RUNNING, COMMAND_PRIORITY, refusals
from newsarchive.store import lock_file
from newsarchive.verify import amount

#: Lines about damage that a reader wants to see; the number of all is told.
SHOWN = 50
#: Failures of this replay, not of the crawls whose captures it reads.
BROKEN = ("pipeline", "capture", "clock", "exception", "stopped")
ORDINARY = re.compile(r"\d+ × (article|listing)/|nothing found")


class Command(ScrapyCommand):
    """Replays fixtures or WARC files into ``ARCHIVE_DIR``.

    Exits with 1 if a fixture did not end as expected, a capture is damaged or something broke, and with 3 if
    another run of a publisher is under way.
    """

    requires_project = True

    def syntax(self) -> str:
        """Return the arguments."""
        return "[PATH ...]"

    def short_desc(self) -> str:
        """Return what ``scrapy -h`` says."""
        return "Read WARC files, or saved pages (default: fixtures/), offline and write their posts"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add what limits a replay of WARC files, and how many processes do it."""
        super().add_options(parser)
        parser.add_argument("--since", type=_moment, help="only what was captured at this time or later: 2026-11-20")
        parser.add_argument("--until", type=_moment, help="only what was captured before this time")
        parser.add_argument("--publisher", action="append", default=[], help="only this publisher; may be repeated")
        parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default: 1)")

    def process_options(self, args: list[str], opts: argparse.Namespace) -> None:
        """Log less than a live crawl, unless told otherwise: what is refused is part of the report."""
        super().process_options(args, opts)
        assert self.settings is not None
        self.settings.set("LOG_LEVEL", "ERROR", priority=COMMAND_PRIORITY)
        install(self.settings)

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Replay what lies below the paths."""
        assert self.crawler_process is not None
        assert self.settings is not None
        archive = Path(self.settings["ARCHIVE_DIR"])
        # Of publishers without a spider, the archive may hold what other archives and full-text feeds had.
        known = sorted({*publishers(self.crawler_process.spider_loader), *names_in(archive / "captures")})
        if unknown := set(opts.publisher) - set(known):
            raise UsageError(f"no such publisher: {', '.join(sorted(unknown))}", print_help=False)
        self.publishers = opts.publisher or known
        self.archive = archive
        self.exitcode = 0
        with ExitStack() as held:
            try:
                for name in self.publishers:
                    held.enter_context(hold(lock_file(self.archive, name)))
                if args and not any(holds_fixtures(Path(path), self.publishers) for path in args):
                    self.replay_captures(args, opts)
                else:
                    self.replay_fixtures(args or ["fixtures"])
            except Locked as error:
                print(printable(f"another run is under way: {error}"))
                self.exitcode = ALREADY_RUNNING
            except (OSError, sqlite3.Error, IndexUnusable) as error:
                print(printable(f"the archive cannot be written: {error}"))
                self.exitcode = 1

    # Captures.

    def replay_captures(self, paths: list[str], opts: argparse.Namespace) -> None:
        """Replay WARC files, then make sure that every post is that of its newest revision."""
        assert self.crawler_process is not None
        assert self.settings is not None
        told = [(name, line) for name in self.publishers for line in closing(self.settings, name)]
        files = warc_files(paths)
        owners = {publisher_of_file(file, self.archive) for file in files}
        names = [name for name in self.publishers if name in owners or "" in owners]
        order = Order(self.archive, tuple(names), opts.since, opts.until)
        with Progress("replay", sum(map(size_of, files))) as progress:
            tasks, jobs = iter(files), min(opts.jobs, len(files))
            if jobs > 1:
                outcome = replay_in_processes(self.settings, order, tasks, progress.advance, jobs)
            else:
                outcome = replay_here(self.crawler_process, order, tasks, progress.advance)
        broken = [*outcome.broken, *(line for account in outcome.accounts for line in breaks(account))]
        for name in names:
            told += [(name, line) for line in settling(self.settings, name, [] if broken else outcome.finished)]
        self.report_captures(names, outcome, told, broken)

    def report_captures(
        self, names: list[str], outcome: Outcome, told: list[tuple[str, str]], broken: list[str]
    ) -> None:
        """Print one line a publisher, what was refused and left out and why, and what is damaged."""
        for name in names:
            kept, reasons = outcome.articles(name), outcome.reasons(name)
            if not (sum(kept.values()) or reasons):
                continue
            endings = ", ".join(f"{count} {ending}" for ending, count in kept.items())
            print(f"{name}: {sum(kept.values())} articles ({endings}), {sum(reasons.values())} refused")
            for reason, count in sorted(reasons.items()):
                print(printable(f"{count:6}  {reason}"))
        for why, count in sorted(outcome.left_out.items()):
            print(printable(f"{count:6}  left out: {why}"))
        for name, line in told:
            print(printable(f"{name}: {line}"))
        for damage in outcome.damage[:SHOWN]:
            print(printable(f"DAMAGED {damage.file}: offset {damage.offset}: {damage.problem}"))
        if len(outcome.damage) > SHOWN:
            print(f"DAMAGED {len(outcome.damage) - SHOWN} more")
        for damage in outcome.away[:SHOWN]:
            print(printable(f"MISSING {damage.file}: offset {damage.offset}: {damage.problem}"))
        if len(outcome.away) > SHOWN:
            print(f"MISSING {len(outcome.away) - SHOWN} more")
        if outcome.away:
            number = amount(len({damage.file for damage in outcome.away}), "capture file")
            print(f"{number} could not be read to the end: replay again when what was moved can be had")
        for line in broken:
            print(printable(f"FAILED {line}"))
        self.exitcode = 1 if outcome.damage or outcome.away or broken else 0

    # Fixtures.

    def replay_fixtures(self, paths: list[str]) -> None:
        """Replay the fixtures of every publisher below the paths."""
        assert self.crawler_process is not None
        try:
            folders = fixture_folders(paths, self.publishers)
            replays = [FixtureReplay(name, folder) for name, folder in folders.items()]
        except (ValueError, FileNotFoundError) as error:
            raise UsageError(str(error), print_help=False) from error
        for replay in replays:
            replay.start(self.crawler_process)
        self.crawler_process.start()
        self.report_fixtures(replays)

    def report_fixtures(self, replays: list[FixtureReplay]) -> None:
        """Print one line a publisher, what was refused and why, and what went wrong."""
        for replay in replays:
            for post in sorted(replay.posts):
                print(printable(f"  {post}"))
            print(replay.summary())
        reasons: Counter[str] = Counter()
        for replay in replays:
            reasons.update(refusals(replay.stats))
        wrong = [line for replay in replays for line in replay.failures()]
        print("\nrefused:" if wrong else "\nrefused, as the fixtures expect:")
        for name, count in sorted(reasons.items()):
            print(printable(f"{count:6}  {name}"))
        for line in wrong:
            print(printable(f"FAILED {line}"))
        print(f"\nposts in {self.archive}/_posts" if not wrong else f"\n{len(wrong)} failures")
        self.exitcode = 1 if wrong else 0


def breaks(account: Mapping[str, Any]) -> list[str]:
    """Return what broke in a replay of captures: old pages may be refused, but reading and storing must not fail."""
    publisher = account["publisher"]
    failed = [f"{publisher}: {n} × article/failed/{why}" for why, n in account["failed"].items() if why in BROKEN]
    return failed + [f"{publisher}: {line}" for line in account["failures"] if not ORDINARY.match(line)]


def holds_fixtures(path: Path, publishers: list[str]) -> bool:
    """Tell whether a path is a folder of fixtures."""
    return any(next(folder.glob("*.expected.json"), None) for folder in (path, *(path / name for name in publishers)))


def warc_files(paths: list[str]) -> list[Path]:
    """Return the WARC files among and below paths, oldest name first; raise UsageError for a path without anything."""
    files: list[Path] = []
    for path in map(Path, paths):
        if path.name.endswith(MOVED):
            path = path.with_name(path.name.removesuffix(MOVED))
        if not path.exists() and not is_moved(path):
            raise UsageError(f"no such file or folder: {path}", print_help=False)
        if path.is_dir():
            found = (file for file in path.rglob("*.warc*") if file.is_file())
            files += sorted({file.with_name(file.name.removesuffix(MOVED)) for file in found})
        else:
            files.append(path)
    return files


def _moment(text: str) -> datetime:
    """Return a time given as ISO 8601, in UTC unless it says otherwise."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
