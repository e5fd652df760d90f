"""``scrapy import PATH…``: take over existing archives."""

import argparse
import sqlite3
from pathlib import Path

from scrapy.commands import ScrapyCommand
from scrapy.exceptions import UsageError

from newsarchive.importing import Importer, NotThere, files, size
from newsarchive.index import IndexUnusable
from newsarchive.lock import Locked
from newsarchive.log.handler import install
from newsarchive.printable import printable
from newsarchive.progress import Progress
from newsarchive.recover import WrongClock
from newsarchive.run import ALREADY_RUNNING, COMMAND_PRIORITY


class Command(ScrapyCommand):
    """Takes posts over into ``ARCHIVE_DIR``.

    Exits with 1 if a file was refused, nothing is of a publisher asked for, or the archive cannot be written, and
    with 3 if another run of a publisher is under way.
    """

    requires_project = True
    default_settings = {"LOG_LEVEL": "ERROR"}

    def syntax(self) -> str:
        """Return the arguments."""
        return "PATH [PATH ...]"

    def short_desc(self) -> str:
        """Return what ``scrapy -h`` says."""
        return "Take over existing archives of posts: folders, git checkouts, tar and zip files"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add what is taken over, and whether it is only looked at."""
        super().add_options(parser)
        parser.add_argument("--check", action="store_true", help="read everything, write nothing, and report")
        parser.add_argument(
            "--only", action="append", default=[], metavar="PUBLISHER", help="only this publisher; may be repeated"
        )

    def process_options(self, args: list[str], opts: argparse.Namespace) -> None:
        """Log less than a crawl, unless told otherwise: what is refused is part of the report."""
        super().process_options(args, opts)
        assert self.settings is not None
        self.settings.set("LOG_LEVEL", "ERROR", priority=COMMAND_PRIORITY)
        install(self.settings)

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Take over what lies below the paths."""
        assert self.settings is not None
        if not args:
            raise UsageError("name what is to be taken over: a folder, a tar or a zip file")
        paths = [Path(path) for path in args]
        own = Path(self.settings["ARCHIVE_DIR"], "_posts").resolve()
        for path in map(Path.resolve, paths):
            if path.is_relative_to(own) or (own.exists() and own.is_relative_to(path)):
                problem = f"{own} is where posts are written to: move those there elsewhere, as to {own.parent}/old"
                raise UsageError(problem, print_help=False)
        self.exitcode = 0
        with Importer(self.settings, frozenset(opts.only)) as importer:
            try:
                self.take_over(importer, paths, opts.check)
            except NotThere as error:
                raise UsageError(str(error), print_help=False) from error
            except Locked as error:
                print(printable(f"another run is under way: {error}"))
                self.exitcode = ALREADY_RUNNING
            except (OSError, sqlite3.Error, IndexUnusable, WrongClock) as error:
                told = "what was stored is safe, and the same command goes on"
                print(printable(f"the archive cannot be written: {error}; {told}"))
                self.exitcode = 1
            else:
                for line in [*importer.mended, *importer.report.lines()]:
                    print(printable(line))
                # A name that was mistyped must not pass for an archive without posts.
                unmet = sorted(set(opts.only) - set(importer.report.publishers))
                for name in unmet:
                    print(
                        f"no post is of a publisher called {name!r}: --check without --only tells what they are called"
                    )
                self.exitcode = 1 if importer.report.refused or importer.report.is_empty or unmet else 0

    def take_over(self, importer: Importer, paths: list[Path], check: bool) -> None:
        """Read all files, and keep their posts unless they are only to be checked."""
        with Progress("check" if check else "import", sum(map(size, paths))) as progress:
            for path in paths:
                for candidate in files(path):
                    taken = importer.read(candidate)
                    if taken and not check:
                        importer.keep(taken)
                    progress.advance(candidate.size)
        if not check:
            importer.finish()
