"""``scrapy export``: posts under older names, and articles as JSON Lines and Parquet."""

import argparse
import logging
import os
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, TypeVar

from rich.filesize import decimal
from scrapy.commands import ScrapyCommand
from scrapy.exceptions import UsageError

from newsarchive.commands.history import safe
from newsarchive.export.holding import Selection
from newsarchive.export.posts import Form, PostFolder, by_age, made_posts
from newsarchive.export.reading import ProcessGone, Readings
from newsarchive.export.rows import Failure, rows
from newsarchive.export.tables import NoParquet, json_lines, parquet
from newsarchive.files import DRAFTS, streamed_file, sweep
from newsarchive.holders import publishers_asked
from newsarchive.index import Index, IndexUnusable
from newsarchive.progress import Progress
from newsarchive.reading import Reader
from newsarchive.store import index_file

__all__ = ["Command"]

#: Lines of a kind that a reader wants to see; the number of all is told.
SHOWN = 50
#: Captures below which another process is not worth its start.
WORTH = 1_000

Of = TypeVar("Of")


class Command(ScrapyCommand):
    """Exits with 1 if something could not be exported; the rest is."""

    requires_project = True
    requires_crawler_process = False

    def syntax(self) -> str:
        """Return the arguments."""
        return "[--posts FOLDER [--bare]] [--jsonl FILE] [--parquet FILE]"

    def short_desc(self) -> str:
        """Return what ``scrapy -h`` says."""
        return "Write posts under older names, or articles as JSON Lines or Parquet"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add what is to be written, and of which articles."""
        super().add_options(parser)
        parser.add_argument("--posts", metavar="FOLDER", help="write FOLDER/_posts/<day>-<title>.md for each article")
        parser.add_argument("--bare", action="store_true", help="write posts without front matter")
        parser.add_argument("--jsonl", metavar="FILE", help="write JSON Lines; gzip for *.gz, - for standard output")
        parser.add_argument("--parquet", metavar="FILE", help="write Parquet")
        parser.add_argument("--force", action="store_true", help="replace FILE if there is one")
        parser.add_argument("--publisher", action="append", default=[], help="only this publisher; may be repeated")
        parser.add_argument("--since", type=_since, metavar="TIME", help="only what was published then or later")
        parser.add_argument(
            "--until", type=_until, metavar="TIME", help="only what was published before; a day counts to its end"
        )
        parser.add_argument(
            "--revisions", choices=("newest", "all"), help="default: all, and the newest where posts are written"
        )
        parser.add_argument("--jobs", type=_jobs, metavar="N", help="processes that read captures (default: cores)")

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Check what is asked for, and write it."""
        assert self.settings is not None
        self.archive = Path(self.settings["ARCHIVE_DIR"])
        self.exitcode = 0
        self.told: Counter[str] = Counter()
        # What is printed must be nothing but lines of JSON there.
        self.stream = sys.stderr if opts.jsonl == "-" else sys.stdout
        self.check(args, opts)
        # What is wrong with a capture is said in lines of our own.
        logging.getLogger().addHandler(logging.NullHandler())
        parts = (
            (", ".join(filter(None, (opts.jsonl, opts.parquet))), self.export_tables),
            (str(opts.posts or ""), self.export_posts),
        )
        where = ""
        try:
            with self.index() as index:
                for where, export in parts:
                    if where:
                        export(index, opts)
        except BrokenPipeError:
            # Whoever read the lines has had enough, and nothing can be said at exit either.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self.exitcode = 1
        except (IndexUnusable, NoParquet, ProcessGone, OSError, sqlite3.Error) as error:
            print(safe(f"not exported{f' to {where}' if where else ''}: {error}"), file=self.stream)
            self.exitcode = 1

    def index(self) -> Index:
        """Return the index; raise OSError, IndexUnusable or sqlite3.Error."""
        try:
            return Index(index_file(self.archive), read_only=True)
        except FileNotFoundError as error:
            remedy = f"make it with: scrapy replay {self.archive}/captures"
            raise FileNotFoundError(f"no index: {error.filename}; {remedy}") from error

    def check(self, args: list[str], opts: argparse.Namespace) -> None:
        """Raise UsageError for what cannot be meant."""
        if args:
            raise _usage(f"what is {args[0]}? See scrapy export -h")
        if not (opts.posts or opts.jsonl or opts.parquet):
            raise _usage("say what is to be written: --posts FOLDER, --jsonl FILE or --parquet FILE")
        if opts.bare and not opts.posts:
            raise _usage("--bare is for --posts")
        if opts.since and opts.until and opts.since >= opts.until:
            raise _usage("nothing lies between --since and --until")
        self.publishers = tuple(sorted(publishers_asked(self.archive, opts.publisher)))
        files = [Path(name) for name in (opts.jsonl, opts.parquet) if name and name != "-"]
        if len({file.resolve() for file in files}) < len(files):
            raise _usage("--jsonl and --parquet name the same file")
        for file in files:
            self.check_file(file, opts.force)
        if opts.posts:
            folder = Path(opts.posts, "_posts")
            if folder.exists() and not folder.is_dir():
                raise _usage(f"{folder} is no folder")
            self.check_outside(folder)

    def check_file(self, file: Path, force: bool) -> None:
        """Raise UsageError if a file cannot be written."""
        if not file.resolve().parent.is_dir():
            raise _usage(f"there is no folder {file.parent}")
        if file.exists() and not file.is_file():
            raise _usage(f"{file} is no file")
        if file.exists() and not force:
            raise _usage(f"{file} is there already; --force replaces it")
        self.check_outside(file)

    def check_outside(self, path: Path) -> None:
        """Raise UsageError if a path lies in the archive, into which nothing is exported."""
        if path.resolve().is_relative_to(self.archive.resolve()):
            raise _usage(f"{path} lies in the archive {self.archive}")

    # Tables.

    def export_tables(self, index: Index, opts: argparse.Namespace) -> None:
        """Write JSON Lines and Parquet, both from one reading."""
        selection = Selection(self.publishers, opts.since, opts.until, opts.revisions != "newest")
        held = [index.holdings(publisher) for publisher in self.publishers]
        jobs = opts.jobs or min(_cores(), 1 + sum(one.revisions for one in held) // WORTH)
        counts = Counter[str]()
        assert self.settings is not None
        with ExitStack() as open_:
            writers = []
            for name, form in ((opts.parquet, "parquet"), (opts.jsonl, "jsonl")):
                if name:
                    out = open_.enter_context(_output(name))
                    packed = name.endswith(".gz")
                    table = parquet(out) if form == "parquet" else json_lines(out, compressed=packed)
                    writers.append(open_.enter_context(table))
            readings = open_.enter_context(Readings(self.settings, self.archive, jobs))
            articles = rows(index, self.archive, selection, readings)
            for found in self.shown(articles, sum(one.articles for one in held)):
                for row in found:
                    if isinstance(row, Failure):
                        self.failed(row)
                        continue
                    counts["revisions"] += 1
                    counts["articles"] += row["newest"]
                    for write in writers:
                        write(row)
        names = [name for name in (opts.jsonl, opts.parquet) if name]
        sizes = [name if name == "-" else f"{name} ({decimal(Path(name).stat().st_size)})" for name in names]
        told = f"exported {counts['articles']} articles, {counts['revisions']} revisions"
        self.conclude(f"{told} to {', '.join(sizes)}")

    # Posts.

    def export_posts(self, index: Index, opts: argparse.Namespace) -> None:
        """Write posts under older names."""
        assert self.settings is not None
        selection = Selection(self.publishers, opts.since, opts.until, opts.revisions == "all")
        form: Form = "bare" if opts.bare else "front"
        reader = Reader(self.settings)
        total = sum(index.holdings(publisher).articles for publisher in self.publishers)
        with PostFolder(Path(opts.posts, "_posts"), index) as folder:
            for holding in self.shown(by_age(index, selection), total):
                for made in made_posts(self.archive, holding, selection, reader, form) if holding else ():
                    if isinstance(made, Failure):
                        self.failed(made)
                    elif why := folder.put(made):
                        publisher, id = made.holding.key
                        self.tell("RENAMED", f"{publisher} {id}: {why}")
            folder.settle()
        counts = folder.counts
        told = ", ".join(f"{counts[ending]} {ending}" for ending in ("new", "changed", "unchanged"))
        renamed = f"; {counts['renamed']} with another name" if counts["renamed"] else ""
        number = sum(counts[ending] for ending in ("new", "changed", "unchanged"))
        self.conclude(f"exported {number} posts to {folder.folder} ({told}{renamed})")

    # What is said.

    def shown(self, articles: Iterable[Of], total: int) -> Iterator[Of]:
        """Yield articles, and show how many were."""
        with Progress("export", total, unit="articles") as progress:
            for article in articles:
                yield article
                progress.advance(1)

    def failed(self, failure: Failure) -> None:
        """Say what is not exported."""
        self.tell("FAILED", str(failure))
        self.exitcode = 1

    def tell(self, what: str, problem: str) -> None:
        """Say a line of a kind, unless there were many of them."""
        self.told[what] += 1
        if self.told[what] <= SHOWN:
            print(safe(f"{what} {problem}"), file=self.stream, flush=True)

    def conclude(self, summary: str) -> None:
        """Say the last line of an export, and what was not said before it."""
        for what, number in self.told.items():
            if number > SHOWN:
                print(f"{what} {number - SHOWN} more", file=self.stream)
        if self.told["FAILED"]:
            summary += f"; {self.told['FAILED']} failed"
        print(safe(summary), file=self.stream, flush=True)
        self.told.clear()


@contextmanager
def _output(name: str) -> Iterator[BinaryIO]:
    """Let the block write to a file that is there once it is whole, or to standard output."""
    if name == "-":
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    file = Path(name).resolve()
    sweep(file.parent, DRAFTS)
    with streamed_file(file) as out:
        yield out


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _usage(problem: str) -> UsageError:
    return UsageError(problem, print_help=False)


def _since(text: str) -> datetime:
    """Return a time given as ISO 8601, in UTC unless it says otherwise."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: 2023-01-31, 2023-01-31T12:00") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _until(text: str) -> datetime:
    """Return the end of a day, or a time."""
    return _since(text) + timedelta(days=len(text) == len("2023-01-31"))


def _jobs(text: str) -> int:
    """Return a number of processes."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= 256):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes")
    return int(text)
