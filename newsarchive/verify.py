"""What is wrong with an archive: captures, posts, index and accounts, checked against each other.

Checking changes nothing, and may go on while a run writes: what the index holds
as recorded is there and whole, and what is under way is left out. Nothing is
called wrong before it was looked at again while no transaction was under way.
"""

import os
import random
import sqlite3
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from fcntl import LOCK_NB, LOCK_SH, flock
from functools import partial
from hashlib import sha256
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

import orjson
from rich.filesize import decimal

from newsarchive.address import canonical_url
from newsarchive.capture import NO_RESPONSES, Capture
from newsarchive.comparison import Compared, Found, checked
from newsarchive.elsewhere.afar import Afar, State
from newsarchive.elsewhere.moved import MOVED, NoNote, is_moved, note_of, size_of
from newsarchive.holders import ACCOUNT_NAME, names_in
from newsarchive.index import ArticleRow, Index, IndexUnusable, RunRow
from newsarchive.index.opening import without_writers
from newsarchive.naming import named
from newsarchive.post import Post, read, render
from newsarchive.run import KEPT
from newsarchive.store import index_file, lock_file, run_row
from newsarchive.warc import Damage, WarcError, at
from newsarchive.warc.open_file import OPEN
from newsarchive.warc.render import target

__all__ = [
    "Cure",
    "Figures",
    "Problem",
    "Sample",
    "Verification",
    "amount",
    "is_there",
]

#: What an account raises that is none.
NO_ACCOUNT = (OSError, ValueError, LookupError, TypeError, AttributeError)
#: Bytes of a capture file that a sample takes or leaves.
PIECE = 1 << 20
BACKUP = "bring it back from a backup"


class Cure(Enum):
    """What ``--repair`` does about a problem."""

    CLOSE = "closes it"
    SWEEP = "removes it"
    REBUILD = "makes it again from the captures"
    READ = "reads it again"
    POST = "makes it again from its capture"
    ACCOUNT = "makes it again from the index"
    RUN = "reads it into the index"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong with a file of the archive."""

    #: Path of the file below the archive folder.
    path: str
    what: str
    #: Bytes before it in the file, where that says more than the name.
    offset: int | None = None
    #: How it is mended; None if nothing in the archive can.
    cure: Cure | None = None
    #: What to do, where it cannot be mended.
    remedy: str = ""
    #: Whose file it is, and of which article or run; empty where that does not matter.
    publisher: str = ""
    id: str = ""

    def __str__(self) -> str:
        """Return the problem and what to do about it, on one line."""
        where = self.path if self.offset is None else f"{self.path}: offset {self.offset}"
        remedy = f"`scrapy verify --repair` {self.cure.value}" if self.cure else self.remedy
        return " ".join(f"{where}: {self.what}; {remedy}".split())


@dataclass
class Figures:
    """What was looked at."""

    publishers: int = 0
    files: int = 0
    captures: int = 0
    bytes: int = 0
    #: Capture files that lie elsewhere and were not read, and their bytes.
    elsewhere: int = 0
    bytes_elsewhere: int = 0
    posts: int = 0
    articles: int = 0
    runs: int = 0

    def take(self, files: int, captures: int, bytes: int) -> None:
        """Add capture files."""
        self.files += files
        self.captures += captures
        self.bytes += bytes

    def __str__(self) -> str:
        """Return the figures in words."""
        captures = (
            f"{amount(self.files, 'capture file')} with {amount(self.captures, 'capture')} ({decimal(self.bytes)})"
        )
        if self.elsewhere:
            captures += f", {amount(self.elsewhere, 'file')} elsewhere ({decimal(self.bytes_elsewhere)})"
        rest = (amount(self.posts, "post"), amount(self.articles, "article"), amount(self.runs, "run"))
        return f"{amount(self.publishers, 'publisher')}: {captures}, {', '.join(rest)}"


@dataclass(frozen=True)
class Sample:
    """A part of an archive, chosen at random."""

    #: Which part of it: 0.01.
    share: float
    #: What the choice depends on.
    seed: int


@dataclass
class Verification:
    """One look at what an archive holds of publishers."""

    archive: Path
    publishers: Collection[str]
    #: A part that is looked at in the place of everything.
    sample: Sample | None = None
    #: Whether capture files that lie elsewhere are read; if not, only size and ETag are compared.
    moved: bool = False
    #: Whether this process holds the publishers' locks.
    locked: bool = False
    #: Capture files that were looked at and found right, with their captures and bytes.
    right: dict[str, tuple[int, int]] = field(default_factory=dict)
    #: Called with the bytes that were looked at since the last call.
    advance: Callable[[int], None] = lambda _: None

    def __post_init__(self) -> None:
        self.figures = Figures(publishers=len(self.publishers))
        self.chance = random.Random(self.sample.seed if self.sample else 0)
        self.index: Index | None = None
        #: A second connection: what it reads is not of the moment at which a long query of the first began.
        self.now: Index | None = None
        #: Capture files that are known to be missing.
        self.missing: set[str] = set()
        self.afar = Afar()

    def problems(self) -> Generator[Problem, None, None]:
        """Yield all that is wrong."""
        with ExitStack() as opened:
            yield from self.open_index(opened)
            for publisher in self.publishers:
                yield from self.guarded(partial(self.captures, publisher))
                yield from self.guarded(partial(self.posts, publisher))
            yield from self.guarded(self.gone)
            yield from self.guarded(self.accounts)

    def bytes(self) -> int:
        """Return how many bytes are to be looked at, roughly: captures and posts grow meanwhile."""
        folders = (f"{kind}/{publisher}" for publisher in self.publishers for kind in ("captures", "_posts"))
        paths = (path for folder in folders for path, _ in self.below(folder) if path not in self.right)
        every = sum(self.size(path) for path in paths)
        return int(every * self.sample.share) if self.sample else every

    def size(self, path: str) -> int:
        """Return how many bytes of a file may be looked at."""
        if not path.endswith(MOVED):
            return _size(self.archive / path)
        file = self.archive / path.removesuffix(MOVED)
        return size_of(file) if is_moved(file) and (self.moved or self.sample) else 0

    def guarded(self, part: Callable[[], Iterator[Problem]]) -> Iterator[Problem]:
        """Yield what is wrong with a part; without the index from where that fails."""
        try:
            yield from part()
        except (IndexUnusable, sqlite3.DatabaseError) as error:
            self.index = self.now = None
            yield _index_problem(_said(str(error), index_file(self.archive)))

    # The index.

    def open_index(self, opened: ExitStack) -> Iterator[Problem]:
        """Open the index and look whether it agrees with itself; if it is damaged, the rest is looked at alone."""
        file, told = index_file(self.archive), list[Problem]()
        if not _is_made(file) and any(map(self.busy, self.publishers)):
            # The first run of all is about to make it.
            return
        try:
            index, now = (opened.enter_context(Index(file, read_only=True)) for _ in range(2))
            told = [_index_problem(_said(problem, file)) for problem in index.check()]
            yield from told
            if not told or index.is_readable():
                self.index, self.now = index, now
        except FileNotFoundError:
            yield _index_problem("is missing")
        except (IndexUnusable, OSError, sqlite3.Error) as error:
            if not told:
                yield _index_problem(_said(str(error), file))

    def gone(self) -> Iterator[Problem]:
        """Yield the capture files that the index knows and the archive lacks."""
        if self.index is None:
            return
        for name, number in self.index.captured_files():
            publisher = name.split("/")[1] if name.count("/") == 2 else ""
            if is_there(self.archive, name) or (publisher and publisher not in self.publishers):
                continue
            self.missing.add(name)
            if self.elsewhere(name):
                yield _index_problem(f"names {name}, which is missing, for captures that lie in other files")
            else:
                what = f"is missing, and the index has {amount(number, 'capture')} of it"
                yield Problem(name, what, remedy=f"{BACKUP}, or from where it was moved")

    def elsewhere(self, name: str) -> bool:
        """Tell whether all captures of a file that is missing lie in files that are there."""
        assert self.now is not None
        rows = self.now.captures(name)
        return all(any(is_there(self.archive, other) for other in self.now.copies(row)) for row in rows)

    # Captures.

    def captures(self, publisher: str) -> Iterator[Problem]:
        """Yield what is wrong with the capture files of a publisher."""
        folder = self.archive / "captures" / publisher
        there = names_in(folder)
        names = sorted({name.removesuffix(MOVED) for name in there if ".warc" in name and not name.startswith(".")})
        moved = {name for name in names if is_moved(folder / name)}
        closed = {name: size_of(folder / name) for name in names if not name.endswith(OPEN)}
        known = self.index.files(publisher) if self.index else {}
        read = closed if self.moved or self.sample else {name: closed[name] for name in closed.keys() - moved}
        pieces = self.pieces(read)
        for name in names:
            path = f"captures/{publisher}/{name}"
            if name in moved:
                yield from self.moved_file(publisher, path, known.get(path), pieces.get(name, ()))
            elif name in closed:
                yield from self.capture_file(publisher, path, known.get(path), pieces.get(name, ()))
            elif not self.busy(publisher) and (folder / name).exists():
                yield Problem(path, "was left open by a killed run", cure=Cure.CLOSE, publisher=publisher)
        for what in self.afar.unreached():
            yield Problem(f"captures/{publisher}", what, remedy="look again when it can be reached")
        for name in there:
            if name.startswith(".") and name.endswith(".tmp"):
                yield from self.draft([publisher], f"captures/{publisher}/{name}")

    def pieces(self, sizes: Mapping[str, int]) -> dict[str, Collection[tuple[int, int | None]]]:
        """Return where to begin and where to end in each file; only what the sample takes, if there is one."""
        if not self.sample:
            return {name: [(0, None)] for name in sizes}
        every = [(name, start) for name, size in sizes.items() for start in range(0, size, PIECE)]
        chosen: dict[str, Collection[tuple[int, int | None]]] = {}
        for name, group in groupby(sorted(self.chance.sample(every, self.part(len(every)))), lambda piece: piece[0]):
            chosen[name] = [(start, start + PIECE) for _, start in group]
        return chosen

    def part(self, number: int) -> int:
        """Return how many of so many things are in the sample: one at least."""
        return min(number, max(1, round(number * self.sample.share))) if self.sample else number

    def capture_file(
        self, publisher: str, path: str, known: int | None, pieces: Collection[tuple[int, int | None]]
    ) -> Iterator[Problem]:
        """Yield what is wrong with pieces of a capture file, and with what the index has of it.

        ``known`` is its size if the index has all of it.
        """
        if path in self.right:
            self.figures.take(1, *self.right[path])
            return
        size = size_of(self.archive / path)
        found: list[Problem] = []
        captures = looked_at = 0
        for start, end in pieces:
            compared = Compared(self.rows(path, start := self.record_before(path, start), end))
            found += self.piece(publisher, path, (start, end), compared, known == size)
            captures += compared.count
            looked_at += min(end or size, size) - start
        self.figures.take(bool(pieces), captures, looked_at)
        if self.index and not found:
            found += self.size_wrong(publisher, path, size, known)
        if self.index and not found and not self.sample:
            self.right[path] = captures, looked_at
        yield from found

    def moved_file(
        self, publisher: str, path: str, known: int | None, pieces: Collection[tuple[int, int | None]]
    ) -> Iterator[Problem]:
        """Yield what is wrong with a capture file that lies elsewhere; it is read if only that can tell."""
        try:
            note = note_of(self.archive / path)
        except NoNote as error:
            yield Problem(path + MOVED, str(error), remedy="`scrapy prune --adopt URL` writes it again")
            return
        if note is None:
            # It has come back meanwhile.
            yield from self.capture_file(publisher, path, known, pieces)
            return
        state, why = self.afar.state(note)
        if state is State.WRONG:
            yield Problem(path, why, remedy=f"{BACKUP}, to where it was; what the index has of it stays")
        elif state is State.AS_IT_WAS and not pieces:
            self.figures.elsewhere += 1
            self.figures.bytes_elsewhere += note.size
            yield from self.size_wrong(publisher, path, note.size, known) if self.index else ()
        elif state is not State.UNREACHED:
            pieces = pieces if state is State.AS_IT_WAS else [(0, None)]
            yield from self.capture_file(publisher, path, known, pieces)

    def record_before(self, path: str, start: int) -> int:
        """Return where a record begins at or before a position, so that damage in between is seen."""
        if not start or not self.index:
            return 0
        return self.index.capture_before(path, start)

    def piece(
        self, publisher: str, path: str, span: tuple[int, int | None], compared: Compared, whole: bool
    ) -> Iterator[Problem]:
        """Yield what is wrong with records of a capture file, and what the index says otherwise of them."""
        position, end = span
        for found in checked(self.archive / path, publisher, position, end):
            if isinstance(found, Damage) and found.away:
                yield Problem(path, found.problem, found.offset, remedy="look again when it can be had")
                return
            if isinstance(found, Damage):
                compared.damaged.add(found.offset)
                yield Problem(path, found.problem, found.offset, remedy=f"{BACKUP}; the rest of it is used meanwhile")
            elif found.url:
                compared.add(found)
            self.advance(found.offset - position)
            position = found.offset
        self.advance(max(0, min(end or 1 << 62, _size(self.archive / path)) - position))
        if self.index:
            compared.end()
            yield from self.otherwise(publisher, path, compared, whole)

    def rows(self, path: str, start: int, end: int | None) -> Iterator[Found]:
        """Yield a file's captures between two positions as the index has them."""
        if self.index:
            for row in self.index.captures(path, start, end):
                one = row.capture
                said = target(one.url), one.captured, one.status, one.digest, one.kind, one.announced
                yield Found(one.offset, row.publisher, *said)

    def otherwise(self, publisher: str, path: str, compared: Compared, whole: bool) -> Iterator[Problem]:
        """Yield what a file and the index say otherwise of its captures. If it is being read, some may be missing."""
        assert self.now is not None
        unknown = compared.unknown if whole or not self.busy(publisher) else []
        if unknown:
            recorded = self.now.offsets(path)
            unknown = [found for found in unknown if found.offset not in recorded]
        lies = {(found.url, found.captured): found.offset for found in unknown}
        lost = [row for row in compared.lost if row.offset not in compared.damaged]
        for row in lost:
            if place := lies.get((row.url, row.captured)):
                yield _index_problem(f"says {row.offset} of {path}, but the capture lies at offset {place}")
        lost = [row for row in lost if (row.url, row.captured) not in lies]
        for offset in compared.strange:
            yield _index_problem(f"says that the capture at offset {offset} of {path} is not of {publisher}")
        for group, what, cure in (
            (lost, "{} that the index has cannot be found", None),
            (compared.different, "the index says something else of {}", Cure.READ),
            (unknown, "{} not in the index", Cure.READ),
        ):
            if group:
                told = "a capture" if len(group) == 1 else f"{len(group)} captures from here on"
                yield Problem(path, what.format(told), group[0].offset, cure, "" if cure else BACKUP, publisher)

    def size_wrong(self, publisher: str, path: str, size: int, known: int | None) -> Iterator[Problem]:
        """Yield whether a file has not the size at which the index took all its captures."""
        if known is None:
            if self.busy(publisher):
                return
            # A run may have ended meanwhile.
            known = self.now.files(publisher).get(path) if self.now else None
        if known is None:
            yield Problem(path, "is not known to be in the index to its end", None, Cure.READ, publisher=publisher)
        elif known < size:
            yield Problem(path, "has grown since it was closed", known, Cure.READ, publisher=publisher)
        elif known > size:
            yield Problem(path, f"ends here, and had {known} bytes when it was closed", size, remedy=BACKUP)

    # Posts.

    def posts(self, publisher: str) -> Iterator[Problem]:
        """Yield what is wrong with the articles of a publisher, and with files that are posts of none."""
        for row in self.index.articles(publisher) if self.index else ():
            self.figures.articles += 1
            if self.article_wrong(row, self.chosen()):
                yield from self.still_wrong(row)
        for path, name in self.below(f"_posts/{publisher}"):
            if name.startswith(".") and name.endswith(".tmp"):
                yield from self.draft([publisher], path)
            elif not name.startswith("."):
                self.figures.posts += 1
                yield from self.orphan(publisher, path) if self.index else self.alone(path)

    def chosen(self) -> bool:
        """Tell whether the next post is looked at."""
        return not self.sample or self.chance.random() < self.sample.share

    def below(self, folder: str) -> Iterator[tuple[str, str]]:
        """Yield path and name of the files below a folder."""
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.archive / folder) as found:
            for entry in sorted(found, key=lambda entry: entry.name):
                if entry.is_dir(follow_symlinks=False):
                    yield from self.below(f"{folder}/{entry.name}")
                else:
                    yield f"{folder}/{entry.name}", entry.name

    def article_wrong(self, row: ArticleRow, whole: bool = True) -> Problem | None:
        """Return what is wrong with the post of an article, or with the record it was made from.

        Unless it is looked at as a ``whole``, only whether it is there.
        """
        if not _is_named_for(row):
            return _index_problem(f"names {row.post} as the post of {row.publisher} {row.id}")
        if wrong := self.post_wrong(row, whole):
            return Problem(row.post, *wrong, cure=Cure.POST, publisher=row.publisher, id=row.id)
        return self.record_wrong(row.capture) if whole and self.sample else None

    def post_wrong(self, row: ArticleRow, whole: bool) -> tuple[str, int | None] | None:
        """Return what is wrong with the post of an article, and where; None if nothing."""
        if row.stale or not (row.sha256 or row.withdrawn):
            return "is not known to be made from the article's newest revision", None
        if not row.sha256:
            return None
        if whole:
            return self.content_wrong(self.archive / row.lies, row)
        return None if (self.archive / row.lies).is_file() else ("is missing", None)

    def content_wrong(self, file: Path, row: ArticleRow) -> tuple[str, int | None] | None:
        """Return what is wrong with an article's post, and where; None if nothing."""
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            return "is missing", None
        except OSError as error:
            return f"cannot be read: {error.strerror}", None
        self.advance(len(content))
        taken_over = row.capture.kind in NO_RESPONSES
        post, wrong = post_in(content)
        if post is None and not taken_over:
            return wrong
        if sha256(content).hexdigest() != row.sha256:
            return "is not the file that was written: its SHA-256 is not the index's", None
        # What others wrote is their spelling of an address, and perhaps of a time.
        return None if taken_over or not post else _told_otherwise(post, row)

    def record_wrong(self, capture: Capture) -> Problem | None:
        """Return why a capture cannot be read; a file that is missing is told elsewhere."""
        if not is_there(self.archive, capture.file):
            return None
        try:
            served = at(self.archive / capture.file, capture.offset)
        except WarcError as error:
            # A file that cannot be reached is told elsewhere.
            return None if error.away else Problem(capture.file, error.problem, capture.offset, remedy=BACKUP)
        if served.digest != capture.digest:
            return Problem(capture.file, "another response lies here", capture.offset, remedy=BACKUP)
        return None

    def still_wrong(self, row: ArticleRow) -> Iterator[Problem]:
        """Yield what is wrong with an article while nobody is just writing it."""
        assert self.now is not None
        with self.quiet(row.publisher):
            again = self.now.article(row.publisher, row.id)
            problem = self.article_wrong(again) if again else None
        if problem:
            yield problem

    def orphan(self, publisher: str, path: str) -> Iterator[Problem]:
        """Yield whether a file is the post of no article."""
        assert self.now is not None
        if self.now.owner(path):
            return
        with self.quiet(publisher):
            claimed = self.now.owner(path) or self.now.is_former(path)
            if claimed or not (self.archive / path).exists():
                return
        what = "is the post of no article in the index"
        remedy = "it may be all that is left of an article whose captures are lost; if it is not, move it elsewhere"
        yield Problem(path, what, remedy=remedy)

    def alone(self, path: str) -> Iterator[Problem]:
        """Yield what is wrong with a post by itself, for want of an index."""
        if not self.chosen():
            return
        content = (self.archive / path).read_bytes()
        self.advance(len(content))
        _, wrong = post_in(content)
        if wrong:
            yield Problem(path, *wrong, remedy="first bring the index back")

    def draft(self, publishers: Collection[str], path: str) -> Iterator[Problem]:
        """Yield a draft whose writer was killed; a living one holds it, or the lock of its publisher."""
        file = self.archive / path
        if not any(map(self.busy, publishers)) and not _held(file) and file.exists():
            yield Problem(path, "was left behind by a killed run", cure=Cure.SWEEP)

    # Accounts.

    def accounts(self) -> Iterator[Problem]:
        """Yield what is wrong with the accounts of runs, and which are missing."""
        recorded = {row.run: row for row in self.index.runs()} if self.index else {}
        told: set[str] = set()
        for name in sorted(names_in(self.archive / "runs")):
            match, path = ACCOUNT_NAME.fullmatch(name), f"runs/{name}"
            if name.endswith(".tmp"):
                yield from self.draft(self.publishers, path)
            elif match and match["publisher"] in self.publishers:
                self.figures.runs += 1
                yield from self.account(match["publisher"], path, recorded, told)
        for run, row in recorded.items():
            if row.ended and run not in told and row.publisher in self.publishers and not self.busy(row.publisher):
                path = f"runs/{row.started:%Y%m%dT%H%M%SZ}-{row.publisher}.json"
                yield Problem(path, f"the account of run {run} is missing", None, Cure.ACCOUNT, "", row.publisher, run)

    def account(self, publisher: str, path: str, recorded: Mapping[str, RunRow], told: set[str]) -> Iterator[Problem]:
        """Yield what is wrong with an account; note its run in ``told``."""
        try:
            account = orjson.loads((self.archive / path).read_bytes())
            row = run_row(account)
            wrong = account_wrong(account, path)
        except NO_ACCOUNT as error:
            row, wrong = None, f"is no account of a run: {type(error).__name__}: {error}"
        if wrong or not row:
            run = next((run for run, row in recorded.items() if _account_path(row) == path), "")
            told.add(run)
            yield Problem(path, wrong, None, Cure.ACCOUNT, "", publisher, run)
            return
        told.add(row.run)
        for name in account["captures"]:
            if name not in self.missing and not is_there(self.archive, name):
                yield Problem(path, f"names a capture file that is not there: {name}", remedy=BACKUP)
        expected = account["kind"] == "crawl" or account["captures"]
        if self.index and expected and recorded.get(row.run) != row and not self.busy(publisher):
            assert self.now is not None
            # The run may have ended meanwhile.
            if row not in self.now.runs(publisher):
                yield Problem(path, "is not what the index says of the run", None, Cure.RUN, "", publisher, row.run)

    # Writers.

    def busy(self, publisher: str) -> bool:
        """Tell whether another process writes to a publisher's part of the archive."""
        return not self.locked and _held(lock_file(self.archive, publisher), signed=True)

    @contextmanager
    def quiet(self, publisher: str) -> Iterator[None]:
        """Let no transaction be under way while the block runs, if anybody may begin one."""
        if not self.busy(publisher):
            yield
            return
        # Posts are renamed within a transaction.
        with without_writers(index_file(self.archive)):
            yield


def post_in(content: bytes) -> tuple[Post | None, tuple[str, int | None] | None]:
    """Return the post that a file holds, or what keeps the file from being a post as we write it, and where."""
    try:
        text = content.decode()
        post = read(text)
        return (post, None) if render(post) == text else (None, ("written again it becomes another file", None))
    except UnicodeDecodeError as error:
        return None, ("is not UTF-8", error.start)
    except ValueError as error:
        return None, (f"is no post: {error}", None)


def _told_otherwise(post: Post, row: ArticleRow) -> tuple[str, None] | None:
    """Return what a post says otherwise than the index; None if nothing."""
    for name, ours, theirs in (
        ("title", post.title, row.title),
        ("address", post.url, canonical_url(row.url)),
        ("time", post.published, row.published),
    ):
        if ours != theirs and not row.withdrawn:
            return f"its {name} is {str(ours)!r}, in the index it is {str(theirs)!r}", None
    return None


def _is_named_for(row: ArticleRow) -> bool:
    """Tell whether a post's name is that of its article; the day in it is that of the article's first capture."""
    theirs = PurePosixPath(row.post)
    ours = named(row.publisher, row.id, row.published, theirs.suffix)
    length = len("2024-01-15")
    suffix = theirs.suffix in (".md", ".html")
    return suffix and (ours.parts[:2], ours.name[length:]) == (theirs.parts[:2], theirs.name[length:])


def account_wrong(account: Mapping[str, Any], path: str) -> str:
    """Return what is wrong with an account; empty if nothing. Raises what a thing of another shape raises."""
    ended = sum(account[name] for name in KEPT) + sum(sum(account[name].values()) for name in ("refused", "failed"))
    if account["scheduled"] != ended:
        return f"does not add up: {account['scheduled']} scheduled, {ended} ended"
    begins = f"runs/{datetime.fromisoformat(account['started']):%Y%m%dT%H%M%SZ}-{account['publisher']}"
    return "" if path.startswith(begins) else f"is named for another run than {account['run']}"


# Small things.


def amount(number: int, what: str) -> str:
    """Return a number of things in words."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _size(file: Path) -> int:
    """Return the bytes of a file; none if there is no such file."""
    try:
        return file.lstat().st_size
    except FileNotFoundError:
        return 0


def is_there(archive: Path, name: str) -> bool:
    """Tell whether a capture file is there, closed or open, or known to lie elsewhere."""
    return any((archive / (name + end)).is_file() for end in ("", OPEN, MOVED))


def _held(file: Path, *, signed: bool = False) -> bool:
    """Tell whether another process has locked a file; one that must be ``signed`` is not locked while it is empty."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        if signed and not os.fstat(descriptor).st_size:
            return False
        flock(descriptor, LOCK_SH | LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _account_path(row: RunRow) -> str:
    return f"runs/{row.started:%Y%m%dT%H%M%SZ}-{row.publisher}.json"


def _is_made(file: Path) -> bool:
    """Tell whether whoever makes an index has come to its last step, the mode of its log."""
    try:
        with file.open("rb") as index:
            return index.read(20)[18:] == b"\2\2"
    except FileNotFoundError:
        return False


def _said(problem: str, file: Path) -> str:
    """Return what the index says is wrong with it, without its name and its own advice."""
    return problem.removeprefix(f"{file}: ").removeprefix(f"{file} ").partition(": move it away")[0]


def _index_problem(what: str) -> Problem:
    return Problem("index.sqlite", what, cure=Cure.REBUILD)
