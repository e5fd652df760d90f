"""An archive brought in order before a run: what a crash left is mended, and what the index lacks is read again.

The captures are the truth. Whatever was captured and is not in the index, because
a run was killed or the index was lost, is read as a crawl would have read it.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import closing as closing_
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain, count, takewhile
from pathlib import Path
from typing import Self

import orjson
from scrapy.settings import Settings

from newsarchive.article import Article, Refused
from newsarchive.capture import verdict
from newsarchive.elsewhere.moved import closed_files, size_of
from newsarchive.files import Drafts, make_folder, sweep, sync_folder
from newsarchive.index import Entry, Index
from newsarchive.post import content_of
from newsarchive.reading import Reader
from newsarchive.remembered import NO_ACCOUNT, accounts
from newsarchive.served import capture_of, location
from newsarchive.store import AGAIN, entry_of, index_file, keep, run_row
from newsarchive.warc import Damage, Served, WarcError, mend, read

__all__ = ["FILE_NAME", "Recovery", "WrongClock", "recover", "refuse_wrong_clock"]

#: Captures read between two commits.
BATCH = 200
#: A clock may be set back a little between two runs, not by more.
SET_BACK = timedelta(minutes=10)
#: Names of WARC files: time of the run, its own mark, and a number from the second file on.
FILE_NAME = re.compile(r"(?P<run>(?P<time>\d{8}T\d{6}Z)-[0-9a-f]+)(?:-\d+)?\.warc\.gz")


class WrongClock(RuntimeError):
    """Says that this machine's clock lies before what the archive holds."""


def refuse_wrong_clock(archive: Path, publisher: str) -> None:
    """Raise WrongClock if the last run began later than now: times would be wrong, and old text pass for new."""
    names = (FILE_NAME.match(file.name) for file in (archive / "captures" / publisher).glob("*.warc.gz*"))
    last = max((_time(name["time"]) for name in names if name), default=None)
    now = datetime.now(UTC)
    if last and now < last - SET_BACK:
        raise WrongClock(
            f"the clock says {now:%Y-%m-%dT%H:%M:%SZ}, but the last run began at {last:%Y-%m-%dT%H:%M:%SZ}: set the"
            " clock; if that run's was wrong, move its file out of captures/ and call scrapy verify --repair"
        )


def recover(settings: Settings, publisher: str) -> Iterator[str]:
    """Mend a publisher's archive, and yield what was done, in sentences; nothing if all was in order.

    The caller holds the publisher's lock. Raises OSError, sqlite3.Error or IndexUnusable if it cannot be mended.
    """
    with Recovery.of(settings, publisher) as recovery:
        yield from recovery.all()


def closing(settings: Settings, publisher: str) -> Iterator[str]:
    """Close the capture files of killed runs, and yield what was done; the caller holds the publisher's lock."""
    with Recovery.of(settings, publisher) as recovery:
        yield from recovery.close_captures()


def settling(settings: Settings, publisher: str, read: Iterable[Path]) -> Iterator[str]:
    """Note the capture files that were read to their end, make stale posts again, and yield what was done."""
    with Recovery.of(settings, publisher) as recovery:
        own = [file for file in read if file.resolve().parent == recovery.captures.resolve()]
        for file in own:
            recovery.known(file)
        if own:
            recovery.silent_runs()
        yield from recovery.restore_posts()


@dataclass
class Recovery:
    """What brings one publisher's index and posts up to what its captures say."""

    settings: Settings
    publisher: str
    archive: Path
    index: Index
    reader: Reader = field(init=False)
    #: Whether all captures of the file at hand could be read, or refused with a reason.
    whole: bool = True

    def __post_init__(self) -> None:
        self.reader = Reader(self.settings)

    @classmethod
    @contextmanager
    def of(cls, settings: Settings, publisher: str) -> Iterator[Self]:
        """Open the index of an archive for the block."""
        archive = Path(settings["ARCHIVE_DIR"])
        make_folder(archive)
        with closing_(Index(index_file(archive))) as index:
            yield cls(settings, publisher, archive, index)

    @property
    def captures(self) -> Path:
        """Return the folder of the publisher's captures."""
        return self.archive / "captures" / self.publisher

    def all(self) -> Iterator[str]:
        """Do everything in order."""
        yield from self.close_captures()
        sweep(self.archive / "runs")
        unknown = self.unknown_files()
        is_new = not self.index.runs(self.publisher)
        if unknown:
            sweep(self.archive / "_posts" / self.publisher)
            # A run may have been killed between giving a file its name and making that safe.
            sync_folder(self.captures)
        for file in unknown:
            yield from self.read_again(file)
        if is_new:
            self.silent_runs()
        yield from self.restore_posts()

    def close_captures(self) -> Iterator[str]:
        """Cut the files of killed runs back to their last whole record, and close them."""
        for file in sorted(self.captures.glob("*.open")):
            mended = mend(file)
            told = f"captures/{self.publisher}/{mended.file.name}: closed after its run was killed, {mended.size} bytes"
            yield f"{told}, {mended.torn} torn bytes cut off" if mended.torn else told

    def unknown_files(self) -> list[Path]:
        """Return the capture files of which the index does not know all captures, oldest first.

        One that has become shorter than the index knows it is none of them: it is damaged, as ``scrapy verify`` says.
        """
        known = self.index.files(self.publisher)
        return [file for file in closed_files(self.captures) if known.get(self.named(file), -1) < size_of(file)]

    def named(self, file: Path) -> str:
        """Return the name of a capture file as captures and index have it."""
        return f"captures/{self.publisher}/{file.name}"

    def read_again(self, file: Path) -> Iterator[str]:
        """Record the captures of a file that the index lacks, as the run would have done."""
        name = self.named(file)
        recorded = self.index.offsets(name)
        batch: list[Served] = []
        number, self.whole = 0, True
        for found in read(file):
            if isinstance(found, Damage):
                yield f"{name}: offset {found.offset}: {found.problem}"
                # The next run tries again.
                self.whole = self.whole and not found.away
            elif found.offset not in recorded:
                batch.append(found)
                number += 1
            if len(batch) == BATCH:
                self.record(name, batch)
                batch = []
        self.record(name, batch)
        if self.whole:
            self.known(file)
        if number:
            yield f"{name}: {number} captures were not in the index and were read again"

    def known(self, file: Path) -> None:
        """Tell the index that it knows all captures of a file, and of the run that wrote it."""
        with self.index.transaction():
            if match := FILE_NAME.match(file.name):
                self.run(match)
            self.index.file_recorded(self.named(file), size_of(file))

    def record(self, name: str, batch: list[Served]) -> None:
        """Record captures of a file, and write the posts of articles, in one transaction."""
        with self.index.transaction(), Drafts() as drafts:
            for served in batch:
                entry, content = self.entry(name, served)
                if entry.ending not in AGAIN:
                    self.keep(entry, content, drafts)
            drafts.settle()

    def keep(self, entry: Entry, content: bytes, drafts: Drafts) -> None:
        """Record an entry, with its post if it has one that is nobody else's."""
        try:
            keep(self.index, self.archive, entry, content, drafts)
        except Refused as refusal:
            self.index.record(Entry(entry.capture, self.publisher, refusal.reason))

    def entry(self, name: str, served: Served) -> tuple[Entry, bytes]:
        """Return what the index is to keep of a capture, and the post of its article; empty if it is none."""
        capture = capture_of(name, served)
        if ended := verdict(capture, location(served)):
            return Entry(capture, self.publisher, *ended), b""
        try:
            article = self.reader.read(self.publisher, served)
        except Refused as refusal:
            self.whole = self.whole and refusal.reason not in AGAIN
            return Entry(capture, self.publisher, refusal.reason), b""
        return entry_of(capture, article), self.post(article)

    def post(self, article: Article) -> bytes:
        """Return the bytes of an article's post."""
        return content_of(article, self.reader.label(self.publisher))

    def run(self, name: re.Match[str]) -> None:
        """Tell the index of a file's run, and how it ended if its account is there and can be read."""
        self.index.run_started(name["run"], self.publisher, _time(name["time"]))
        base = self.archive / "runs" / f"{name['time']}-{self.publisher}"
        numbered = (base.with_name(f"{base.name}-{number}.json") for number in count(2))
        for file in takewhile(Path.exists, chain([base.with_name(f"{base.name}.json")], numbered)):
            # A damaged account is for scrapy verify to tell; the captures do not depend on it.
            with suppress(ValueError, KeyError, TypeError, AttributeError):
                account = orjson.loads(file.read_bytes())
                if account["run"] == name["run"]:
                    self.index.run_recorded(run_row(account))

    def silent_runs(self) -> None:
        """Tell an index that was made again of crawls that captured nothing: no file leads to their accounts."""
        known = {row.run for row in self.index.runs(self.publisher)}
        with self.index.transaction():
            for _, account in accounts(self.archive, self.publisher):
                with suppress(*NO_ACCOUNT):
                    if account["kind"] == "crawl" and not account["captures"] and account["run"] not in known:
                        self.index.run_recorded(run_row(account))

    def restore_posts(self) -> Iterator[str]:
        """Make the posts again that are not those of their article's newest revision."""
        for _, id, post, capture in self.index.stale(self.publisher):
            try:
                article = self.reader.article(self.publisher, capture, self.archive)
            except (Refused, WarcError) as error:
                yield f"{post}: article {id} cannot be read again from {capture.file}, offset {capture.offset}: {error}"
                continue
            sweep((self.archive / post).parent)
            with self.index.transaction(), Drafts() as drafts:
                keep(self.index, self.archive, entry_of(capture, article), self.post(article), drafts)
                drafts.settle()
            yield f"{post}: made again from {capture.file}, offset {capture.offset}"


def _time(name: str) -> datetime:
    return datetime.strptime(name, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
