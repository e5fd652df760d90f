"""``scrapy prune``: capture files moved elsewhere, brought back, or found again where they lie."""

import argparse
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.filesize import decimal
from scrapy.commands import ScrapyCommand
from scrapy.exceptions import UsageError

from newsarchive.commands.history import safe
from newsarchive.elsewhere.moved import MOVED, Moved, kept, size_of
from newsarchive.elsewhere.place import Place
from newsarchive.elsewhere.prune import NotMoved, Pruning, SamePlace, moving
from newsarchive.elsewhere.reached import Refusal, place_url
from newsarchive.elsewhere.restore import Adoption, Restoring
from newsarchive.holders import publishers_asked
from newsarchive.lock import Locked
from newsarchive.progress import Progress
from newsarchive.run import ALREADY_RUNNING
from newsarchive.verify import amount

#: Days of what an age is given in.
DAYS = {"d": 1, "w": 7, "y": 365}


@dataclass
class Done:
    """What became of a publisher's files."""

    files: int = 0
    bytes: int = 0
    failed: int = 0

    def take(self, size: int) -> None:
        """Count a file."""
        self.files += 1
        self.bytes += size

    def __str__(self) -> str:
        """Return the figures in words."""
        return f"{amount(self.files, 'capture file')} ({decimal(self.bytes)})"


class Stopped(Exception):
    """Says why no more files are moved."""


class Command(ScrapyCommand):
    """Exits with 1 if a file could not be moved, and with 3 if a run of a publisher is under way: its files stay."""

    requires_project = True
    requires_crawler_process = False

    def syntax(self) -> str:
        """Return the arguments."""
        return "--to PLACE [--older AGE] [--check] | --restore [FILE ...] | --adopt PLACE"

    def short_desc(self) -> str:
        """Return what ``scrapy -h`` says."""
        return "Move old captures to another folder or to S3, where replay and verify find them"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add what is to be done, and with which files."""
        super().add_options(parser)
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--to", metavar="PLACE", help="move files there: a folder, s3://bucket, sftp://host/folder")
        what.add_argument("--restore", action="store_true", help="bring files back from where they were moved")
        what.add_argument("--adopt", metavar="PLACE", help="note the files that lie there and are not noted here")
        older = "with --to: files without a newer capture: 90d, 12w, 2y (default: 365d)"
        parser.add_argument("--older", type=_age, metavar="AGE", help=older)
        parser.add_argument("--publisher", action="append", default=[], help="only this publisher; may be repeated")
        parser.add_argument("--check", action="store_true", help="with --to: say what would be moved, and move nothing")

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Move files, or bring them back, publisher by publisher."""
        assert self.settings is not None
        if (opts.older is not None or opts.check) and not opts.to:
            raise UsageError("--older and --check go with --to", print_help=False)
        if args and not opts.restore:
            raise UsageError(f"what is {args[0]}? files can be named with --restore only", print_help=False)
        self.archive = Path(self.settings["ARCHIVE_DIR"])
        self.exitcode = 0
        try:
            self.act(args, opts)
        except (Stopped, OSError) as error:
            self.tell(f"stopped: {error}; what is not moved stays where it is, and the same command goes on")
            self.exitcode = 1

    def act(self, args: list[str], opts: argparse.Namespace) -> None:
        """Do what is asked for; raise Stopped, Away, and OSError."""
        if opts.adopt:
            self.adopt(Adoption(self.archive, self.place(opts.adopt), self.advance), opts.publisher)
            return
        publishers = self.chosen(opts)
        if opts.restore:
            self.restore(publishers, args)
            return
        before = datetime.now(UTC) - (timedelta(days=365) if opts.older is None else opts.older)
        pruning = Pruning(self.archive, self.place(opts.to), before, self.advance)
        for publisher in publishers:
            self.check(pruning, publisher) if opts.check else self.prune(pruning, publisher)

    def chosen(self, opts: argparse.Namespace) -> list[str]:
        """Return the publishers that are asked for, or all; raise UsageError for one of which nothing is held."""
        chosen = publishers_asked(self.archive, opts.publisher)
        if not chosen:
            raise Stopped(f"{self.archive} holds nothing")
        return chosen

    def place(self, text: str) -> Place:
        """Return where files are moved to; raise UsageError for what is no place, and Unreachable."""
        try:
            url = place_url(text)
        except Refusal as error:
            raise UsageError(str(error), print_help=False) from error
        folder = Path(url.removeprefix("file://")).resolve()
        if url.startswith("file://") and folder.is_relative_to(self.archive.absolute().resolve()):
            raise UsageError(f"{folder} lies in the archive: name a place that is elsewhere", print_help=False)
        return Place(url)

    # What is done.

    def prune(self, pruning: Pruning, publisher: str) -> None:
        """Move the old files of a publisher."""
        files = {file: size_of(file) for file in pruning.candidates(publisher)}
        if not files:
            self.tell(f"{publisher}: nothing to move; {self.left(publisher)}")
            return
        done = self.each(publisher, files, pruning.move, "MOVED", pruning.refuse_archive)
        self.conclude(publisher, f"{done} moved to {pruning.place.url}", done)

    def check(self, pruning: Pruning, publisher: str) -> None:
        """Say which files of a publisher would be moved."""
        done = Done()
        for file in pruning.candidates(publisher):
            self.one(file, pruning.look, "WOULD MOVE", done)
        self.conclude(publisher, f"{done} would be moved to {pruning.place.url}", done)

    def restore(self, publishers: list[str], names: list[str]) -> None:
        """Bring files back: all, or those that are named."""
        restoring = Restoring(self.archive, self.advance)
        wanted = {Path(name).name.removesuffix(MOVED) for name in names}
        noted = {publisher: restoring.files(publisher) for publisher in publishers}
        if missing := sorted(wanted - {file.name for files in noted.values() for file in files}):
            raise Stopped(f"no file was moved that is called {', '.join(missing)}")
        for publisher, files in noted.items():
            chosen = {file: size_of(file) for file in files if not wanted or file.name in wanted}
            if chosen or not wanted:
                done = self.each(publisher, chosen, restoring.bring_back, "RESTORED")
                self.conclude(publisher, f"{done} brought back", done)

    def adopt(self, adoption: Adoption, publishers: list[str]) -> None:
        """Note the files at a place."""
        for publisher in publishers or adoption.publishers():
            files = adoption.files(publisher)
            done = self.each(publisher, files, adoption.adopt, "NOTED")
            self.conclude(publisher, f"{done} noted of {len(files)} in {adoption.place.url}", done)

    def each(
        self,
        publisher: str,
        files: Mapping[Path, int],
        act: Callable[[Path], Moved | None],
        word: str,
        first: Callable[[str], None] = lambda _: None,
    ) -> Done:
        """Do something with files of so many bytes while nobody else moves any; return what was done."""
        done = Done()
        try:
            with (
                moving(self.archive, publisher),
                Progress("prune", sum(files.values())) as self.progress,
            ):
                first(publisher)
                for file in files:
                    self.one(file, act, word, done)
        except Locked as error:
            self.tell(f"{publisher}: another run is under way: {error}")
            self.exitcode = self.exitcode or ALREADY_RUNNING
        except SamePlace as error:
            raise Stopped(str(error)) from error
        return done

    def one(self, file: Path, act: Callable[[Path], Moved | None], word: str, done: Done) -> None:
        """Do something with a file, and say what was done, or why not."""
        name = file.relative_to(self.archive)
        try:
            note = act(file)
        except NotMoved as error:
            self.tell(f"FAILED {name}: {error}")
            done.failed += 1
            self.exitcode = 1
            return
        if note:
            done.take(note.size)
            span = f"{note.first[:10]} to {note.last[:10]}" if note.first else "no captures"
            self.tell(f"{word} {name}: {decimal(note.size)}, {span}")

    def advance(self, count: int) -> None:
        """Count bytes that were read."""
        self.progress.advance(count)

    # What is said.

    def conclude(self, publisher: str, what: str, done: Done) -> None:
        """Say what became of a publisher's files."""
        failed = f", {done.failed} failed" if done.failed else ""
        self.tell(f"{publisher}: {what}{failed}; {self.left(publisher)}")

    def left(self, publisher: str) -> str:
        """Return where the capture files of a publisher lie, in words."""
        held = kept(self.archive, publisher)
        here = f"{held.here} here ({decimal(held.bytes_here)})"
        return f"{here}, {held.elsewhere} elsewhere ({decimal(held.bytes_elsewhere)})"

    def tell(self, line: str) -> None:
        """Print a line."""
        print(safe(line), flush=True)


def _age(text: str) -> timedelta:
    """Return an age; raise ArgumentTypeError."""
    match = re.fullmatch(r"(\d{1,5})([dwy])", text, re.ASCII)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no age: 90d, 12w, 2y")
    return timedelta(days=int(match[1]) * DAYS[match[2]])
