"""An archive mended: what is wrong with it is made again from what is not.

The index follows from captures and accounts, posts from captures, accounts from
the index. A capture follows from nothing, so capture files are never rewritten,
and what the index knows of a file that is gone stays: it may come back. Whatever
is replaced without being known to be ours is kept in ``damaged/``, by the name
that it had.
"""

import re
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from itertools import count, islice
from pathlib import Path
from typing import Any, Self

import orjson
from scrapy.settings import Settings

from newsarchive.article import Refused
from newsarchive.capture import Capture
from newsarchive.elsewhere.moved import size_of
from newsarchive.files import Drafts, make_folder, replace_file, sweep, sync_folder
from newsarchive.holders import names_in, publishers_of
from newsarchive.index import ArticleRow, Entry, Index, PostTaken, Reading, Row, RunRow
from newsarchive.index.opening import opened_for_reading
from newsarchive.index.row import WITHDRAWN
from newsarchive.index.schema import SELECT
from newsarchive.lock import Locked
from newsarchive.recover import BATCH, Recovery
from newsarchive.store import entry_of, index_file, run_row
from newsarchive.verify import NO_ACCOUNT, Cure, Problem, amount, is_there
from newsarchive.warc import Served, WarcError
from newsarchive.warc import read as read_warc

__all__ = ["NotMended", "Repair"]


class NotMended(Exception):
    """Says why something stays as it is."""


@dataclass
class Repair:
    """Mends what a verification finds, in an archive whose publishers' locks this process holds.

    Use it in a ``with`` statement. While the index is made again, nobody else may have it open.
    """

    settings: Settings
    archive: Path
    #: Called with the name of a publisher before its files are mended that may not be locked; may raise Locked.
    lock: Callable[[str], None]
    #: What was tried already.
    tried: set[tuple[Cure, str]] = field(default_factory=set)
    opened: ExitStack = field(default_factory=ExitStack)
    recoveries: dict[str, "_Careful"] = field(default_factory=dict)

    def __enter__(self) -> Self:
        """Return the repair."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the index."""
        self.opened.close()

    @cached_property
    def index(self) -> Index:
        """The index, to be written."""
        return self.opened.enter_context(Index(index_file(self.archive)))

    def can(self, problem: Problem) -> bool:
        """Tell whether a problem is worth trying: it can be mended, and that was not tried before."""
        return problem.cure is not None and (problem.cure, _at_once(problem)) not in self.tried

    def mend(self, problem: Problem) -> Iterator[str]:
        """Mend a problem, and yield what was done. Raises NotMended, and Locked."""
        if problem.cure is None:
            return
        self.tried.add((problem.cure, _at_once(problem)))
        try:
            yield from CURES[problem.cure](self, problem)
        except Locked:
            raise
        except (OSError, RuntimeError, ValueError, LookupError, TypeError, sqlite3.Error, Refused) as error:
            raise NotMended(f"{problem.path}: {error}") from error

    def recovery(self, publisher: str) -> "_Careful":
        """Return what reads a publisher's captures into the index."""
        if publisher not in self.recoveries:
            self.recoveries[publisher] = _Careful(self.settings, publisher, self.archive, self.index)
        return self.recoveries[publisher]

    def close(self, problem: Problem) -> Iterator[str]:
        """Close what killed runs of a publisher left open, and read it."""
        recovery = self.recovery(problem.publisher)
        yield from recovery.close_captures()
        for file in recovery.unknown_files():
            yield from recovery.read_again(file)

    def read(self, problem: Problem) -> Iterator[str]:
        """Record all captures of a file, also those that the index has."""
        yield from self.recovery(problem.publisher).read_again(self.archive / problem.path, everything=True)

    def sweep(self, problem: Problem) -> Iterator[str]:
        """Remove the drafts of killed runs from a folder."""
        folder = Path(problem.path).parent
        if number := sweep(self.archive / folder):
            yield f"{folder}: {amount(number, 'draft')} removed"

    def post(self, problem: Problem) -> Iterator[str]:
        """Make a post again."""
        yield from self.recovery(problem.publisher).restore(problem.id)

    # The index.

    def rebuild(self, problem: Problem) -> Iterator[str]:
        """Move the index aside, and make it again from all captures and accounts."""
        publishers = publishers_of(self.archive)
        for publisher in publishers:
            self.lock(publisher)
        self.opened.close()
        vars(self).pop("index", None)
        self.recoveries.clear()
        aside = _move_index_aside(self.archive)
        if aside:
            yield f"{problem.path}: moved to {aside.name}"
        captures = 0
        for recovery in map(self.recovery, publishers):
            yield from recovery.close_captures()
            files = recovery.unknown_files()
            captures += sum(recovery.read_all(file) for file in files)
        away = {name: problem for recovery in self.recoveries.values() for name, problem in recovery.away.items()}
        if aside:
            yield from self.take_over(aside, away)
        yield from (f"{name}: {problem}; it is read when it can be had" for name, problem in away.items())
        for recovery in map(self.recovery, publishers):
            yield from recovery.restore_posts()
        accounts = self.read_accounts()
        told = f"{amount(captures, 'capture')} and {amount(accounts, 'account')}"
        yield f"{problem.path}: made again from {told}"

    def take_over(self, aside: Path, away: Collection[str]) -> Iterator[str]:
        """Record what the former index tells of capture files that are missing, or ``away``: they may come back."""
        number = 0
        there = dict.fromkeys(away, False)
        with self.index.transaction():
            for row in former_rows(aside):
                if not there.setdefault(row.file, is_there(self.archive, row.file)):
                    number += self.taken_over(row)
        if number:
            yield f"index.sqlite: {amount(number, 'capture')} of files that are missing taken over from {aside.name}"

    def taken_over(self, row: Row) -> bool:
        """Record a capture as the former index had it; tell whether that could be, and it is in no other file."""
        with suppress(ValueError, TypeError):
            capture = row.capture
            if self.index.same_capture(capture.url, capture.captured, capture.digest):
                return False
            if row.id is not None:
                published = datetime.fromisoformat(str(row.published))
                said = row.canonical or row.url, str(row.title), published, str(row.post), str(row.fingerprint)
                reading = Reading(row.publisher, row.id, *said, sketch=row.sketch or b"")
                entry = Entry(capture, row.publisher, row.ending, row.target, reading)
                self.index.record(entry, row.sha256.hex() if row.sha256 else "")
            if row.id is None or row.reads == WITHDRAWN:
                self.index.record(Entry(capture, row.publisher, row.ending, row.target))
            return True
        return False

    # Accounts.

    def read_accounts(self) -> int:
        """Read all accounts into the index; return how many."""
        number = 0
        with self.index.transaction():
            for name in sorted(names_in(self.archive / "runs")):
                with suppress(*NO_ACCOUNT):
                    account = orjson.loads((self.archive / "runs" / name).read_bytes())
                    if account["kind"] == "crawl" or account["captures"]:
                        self.index.run_recorded(run_row(account))
                        number += 1
        return number

    def run(self, problem: Problem) -> Iterator[str]:
        """Read an account into the index."""
        self.index.run_recorded(run_row(orjson.loads((self.archive / problem.path).read_bytes())))
        yield f"{problem.path}: read into the index"

    def account(self, problem: Problem) -> Iterator[str]:
        """Write what the index knows of a run in the place of its account."""
        file = self.archive / problem.path
        row = next((row for row in self.index.runs(problem.publisher) if row.run == problem.id and row.ended), None)
        aside = _put_aside(self.archive, problem.path) if file.exists() else ""
        if row:
            replace_file(file, orjson.dumps(_account(row, self.archive), option=orjson.OPT_INDENT_2) + b"\n")
            done = "made again from the index, without its reasons and listings"
        else:
            file.unlink()
            done = "taken away; nothing else tells of its run"
        sync_folder(file.parent)
        yield f"{problem.path}: {done}{aside and f'; what was there is now {aside}'}"


CURES: dict[Cure, Callable[[Repair, Problem], Iterator[str]]] = {
    Cure.CLOSE: Repair.close,
    Cure.SWEEP: Repair.sweep,
    Cure.REBUILD: Repair.rebuild,
    Cure.READ: Repair.read,
    Cure.POST: Repair.post,
    Cure.ACCOUNT: Repair.account,
    Cure.RUN: Repair.run,
}


class _Careful(Recovery):
    """A recovery that overwrites no file that is not known to be ours, and forgets no damage."""

    @cached_property
    def away(self) -> dict[str, str]:
        """Files of which not all could be read, as that lies elsewhere and cannot be had now, and why."""
        return {}

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The sizes that files had when they were read."""
        return self.index.files(self.publisher)

    def read_again(self, file: Path, *, everything: bool = False) -> Iterator[str]:
        """Record the captures of a file that the index lacks, or all."""
        if number := self.read_all(file, frozenset() if everything else self.index.offsets(self.named(file))):
            yield f"{self.named(file)}: {amount(number, 'capture')} read into the index"
        if problem := self.away.get(self.named(file)):
            raise OSError(problem)

    def read_all(self, file: Path, recorded: Collection[int] = ()) -> int:
        """Record the captures of a file but those at some offsets; return how many."""
        number, name = 0, self.named(file)
        self.away.pop(name, None)
        captures = (found for found in self.served(file) if found.offset not in recorded)
        while batch := list(islice(captures, BATCH)):
            self.record(name, batch)
            number += len(batch)
        if name not in self.away and self.sizes.get(name, 0) <= size_of(file):
            self.known(file)
        return number

    def served(self, file: Path) -> Iterator[Served]:
        """Yield the responses of a file; note in ``away`` whether some cannot be had now."""
        for found in read_warc(file):
            if isinstance(found, Served):
                yield found
            elif found.away:
                self.away[self.named(file)] = found.problem
            del found

    def keep(self, entry: Entry, content: bytes, drafts: Drafts) -> None:
        """Record an entry, with its post if nothing is in the way that may be somebody's."""
        with suppress(PostTaken):
            place = self.index.place(entry)
            if content and place.shown and self.is_foreign(entry, place.post, content):
                # It stays stale, and is made again with care.
                content = b""
        super().keep(entry, content, drafts)

    def is_foreign(self, entry: Entry, post: str, content: bytes) -> bool:
        """Tell whether a file lies where a post belongs that is neither the post nor an older one of ours."""
        try:
            there = (self.archive / post).read_bytes()
        except FileNotFoundError:
            return False
        row = self.index.article(self.publisher, entry.reading.id) if entry.reading else None
        return there != content and not (row and row.lies == post and row.sha256 == sha256(there).hexdigest())

    def restore_posts(self) -> Iterator[str]:
        """Make the posts again that are not those of their article's newest revision."""
        for _, id, _, _ in self.index.stale(self.publisher):
            # What cannot be made is found by the next look at the archive.
            with suppress(Refused, WarcError, OSError):
                yield from self.restore(id)

    def restore(self, id: str) -> Iterator[str]:
        """Make the post of an article again, and what the index says of its revisions, from its captures.

        Raises Refused, WarcError or OSError.
        """
        with self.index.transaction():
            for revision in self.index.revisions(self.publisher, id):
                with suppress(Refused, WarcError):
                    self.index.record(self.read_entry(revision.capture)[0])
        row = self.index.article(self.publisher, id)
        if row is None:
            yield f"index.sqlite: what it said of article {id} read again"
            return
        entry, content = self.read_entry(row.capture)
        with self.index.transaction(), Drafts() as drafts:
            foreign = self.is_foreign(entry, row.post, content)
            aside = _put_aside(self.archive, row.post) if foreign else ""
            super().keep(entry, content, drafts)
            drafts.settle()
        if row.lies and row.lies != row.post:
            self.forget_name(row)
        made = f"{row.post}: made again from {row.capture.file}, offset {row.capture.offset}"
        yield made + (f"; what was there is now {aside}" if aside else "")

    def read_entry(self, capture: Capture) -> tuple[Entry, bytes]:
        """Return what the index is to keep of a capture of an article, and its post; raise Refused or WarcError."""
        article = self.reader.article(self.publisher, capture, self.archive)
        return entry_of(capture, article), self.post(article)

    def forget_name(self, row: ArticleRow) -> None:
        """Remove an article's post from the name that it had, if it is ours."""
        file = self.archive / row.lies
        with suppress(FileNotFoundError):
            if sha256(file.read_bytes()).hexdigest() == row.sha256:
                file.unlink()


def former_rows(aside: Path) -> Iterator[Row]:
    """Yield the captures that an index knew, up to where it is damaged."""
    with suppress(sqlite3.DatabaseError), closing(opened_for_reading(aside)) as former:
        yield from map(Row._make, former.execute(f"{SELECT} ORDER BY file, offset"))


def _move_index_aside(archive: Path) -> Path | None:
    """Move the files of an index aside, and return its new name; None if there is none."""
    file = index_file(archive)
    aside = next(name for name in (file.with_name(f"{file.name}.corrupt-{n}") for n in count(1)) if not name.exists())
    for end in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            file.with_name(file.name + end).rename(aside.with_name(aside.name + end))
    sync_folder(archive)
    return aside if aside.exists() else None


def _put_aside(archive: Path, path: str) -> str:
    """Give a file a second name in ``damaged/``, where it stays when it is replaced; return that name."""
    for number in count(1):
        kept = f"damaged/{path}" + (f".{number}" if number > 1 else "")
        make_folder((archive / kept).parent)
        with suppress(FileExistsError):
            (archive / kept).hardlink_to(archive / path)
            break
    sync_folder((archive / kept).parent)
    return kept


def _account(row: RunRow, archive: Path) -> dict[str, Any]:
    """Return what the index knows of a run, as an account."""
    counts = dict(row.counts or {})
    names = sorted(names_in(archive / "captures" / row.publisher))
    files = [f"captures/{row.publisher}/{name}" for name in names if re.match(rf"{row.run}(-\d+)?\.warc", name)]
    return {
        "run": row.run,
        "publisher": row.publisher,
        "kind": "crawl",
        "started": _iso(row.started),
        "ended": _iso(row.ended),
        "finish": row.status,
        **counts,
        **{name: {"unknown": counts[name]} if counts.get(name) else {} for name in ("refused", "failed")},
        "listings": [],
        "covered": [[source, _iso(span.start), _iso(span.end)] for source, span in row.covered],
        "captures": files,
        "failures": ["this account was lost, and made again from the index"],
    }


def _iso(moment: datetime | None) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else ""


def _at_once(problem: Problem) -> str:
    """Return what is mended together with a problem."""
    if problem.cure is Cure.CLOSE:
        return problem.publisher
    if problem.cure is Cure.SWEEP:
        return str(Path(problem.path).parent)
    return f"{problem.publisher} {problem.id}" if problem.cure is Cure.POST else problem.path
