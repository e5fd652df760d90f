"""Posts of existing archives read, and kept: captured to the byte, stored as they are, and in the index.

The file of a post is captured as a ``resource`` record whose time is that of the
publication that the post states: whatever was captured of the article's page came
later, so that the post is the first revision. From that record the article is read, now
and whenever the index is made again. The post stays what it is, to the byte.
"""

import re
from collections import Counter
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Self
from urllib.parse import quote

import orjson
from scrapy.settings import Settings

from newsarchive.address import canonical_url
from newsarchive.article import Refused
from newsarchive.capture import Capture
from newsarchive.files import Drafts, create_file
from newsarchive.importing.candidate import Candidate, Taken
from newsarchive.importing.report import Report
from newsarchive.index import Entry, Index
from newsarchive.lock import hold
from newsarchive.post import Post, Unreadable, read_bytes, render_bytes
from newsarchive.publishers import publisher_of, publishers
from newsarchive.reading import Reader
from newsarchive.recover import recover, refuse_wrong_clock, settling
from newsarchive.store import entry_of, index_file, keep, lock_file, run_name, run_row
from newsarchive.warc import CaptureWriter, Served, payload_digest

__all__ = ["Importer"]

#: Posts that are made safe together, and how many bytes of them wait in memory.
BATCH = 200
MOST_WAITING = 4 << 20
#: Publishers whose files are open when a batch begins; each batch may bring as many more.
MOST_RUNS = 50
#: A post may be dated ahead a little: clocks and zones differ.
AHEAD = timedelta(days=1)
DAY = re.compile(r"(?<!\d)((?:19|20)\d\d)-(\d\d)-(\d\d)(?!\d)")


@dataclass
class Importer:
    """Takes posts over into an archive, or only reads them. Use it in a ``with`` statement.

    Raises Locked if another run of a publisher is under way; OSError, sqlite3.Error or IndexUnusable if the archive
    cannot be written: what was told as stored is safe, and taking the same archive over again goes on.
    """

    settings: Settings
    #: Publishers that are taken over; all if none is named.
    only: Collection[str] = ()
    report: Report = field(default_factory=Report)
    #: What was mended before, in sentences.
    mended: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.archive = Path(self.settings["ARCHIVE_DIR"])
        self.reader = Reader(self.settings)
        self.spiders = {name: self.reader.loader.load(name) for name in publishers(self.reader.loader)}
        self.now = datetime.now(UTC)
        self.waiting: list[Taken] = []
        self.held = 0
        self.runs: dict[str, _Run] = {}
        self.opened = ExitStack()

    def __enter__(self) -> Self:
        """Return the importer."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what is open; what was not made safe is not told as stored."""
        self.opened.close()

    # Reading.

    def read(self, candidate: Candidate) -> Taken | None:
        """Return the post in a file; None, counted, if there is none, or it cannot be read, or is not asked for."""
        try:
            if candidate.refusal:
                raise candidate.refusal
            taken = self.taken(candidate)
        except Refused as refusal:
            if refusal.reason == "no-post":
                self.report.left_out["no post"] += 1
            else:
                self.report.refuse(candidate.name, refusal)
            return None
        if self.only and taken.article.publisher not in self.only:
            self.report.left_out["not of a publisher asked for"] += 1
            return None
        self.report.take(taken)
        return taken

    def taken(self, candidate: Candidate) -> Taken:
        """Return the post in a file; raise Refused."""
        post = post_in(candidate.content)
        self.report.recognise(candidate.name, render_bytes(post) == candidate.content)
        publisher = publisher_of(post, candidate.name, self.spiders)
        url = self.address(publisher, post, candidate.name)
        captured = post.published or day_of(candidate.name)
        if captured > self.now + AHEAD:
            raise Refused("future-time", f"{captured:%Y-%m-%dT%H:%M:%SZ}")
        served = Served(
            url=url,
            captured=captured.replace(microsecond=captured.microsecond // 1000 * 1000),
            status=200,
            headers=[("Content-Type", media_type(candidate.name))],
            body=candidate.content,
            digest="",
            offset=0,
            end=0,
            kind="post",
        )
        article = self.reader.read(publisher, served)
        return Taken(candidate.name, candidate.content, post.form, url, served.captured, article)

    def address(self, publisher: str, post: Post, name: str) -> str:
        """Return the address to capture a post under; raise Refused if it states one that is none.

        Of one that states none, no more is known than whose it is: it is called by its file's name, at no page's
        address.
        """
        spider = self.reader.spider(publisher)
        try:
            if post.url:
                return canonical_url(spider.asked_address(post.url))
            host = next(iter(getattr(spider, "allowed_domains", None) or ()), f"{publisher}.invalid")
            return canonical_url(f"https://{host}/#{quote(PurePosixPath(name).stem, errors='surrogateescape')}")
        except ValueError as error:
            raise Refused("bad-url", str(error)) from error

    # Writing.

    def keep(self, taken: Taken) -> None:
        """Take a post over, some time before ``finish`` returns."""
        self.waiting.append(taken)
        self.held += len(taken.content)
        if len(self.waiting) >= BATCH or self.held >= MOST_WAITING:
            self.settle()

    def settle(self) -> None:
        """Make everything safe that waits: captures, then posts, then the index."""
        waiting, self.waiting, self.held = self.waiting, [], 0
        if not waiting:
            return
        captured: list[tuple[Taken, Capture, _Run]] = []
        met: set[tuple[str, datetime, str]] = set()
        for taken in waiting:
            publisher, what = taken.article.publisher, (taken.url, taken.captured, payload_digest(taken.content))
            if what in met or self.is_kept(publisher, *what):
                self.report.end(publisher, "unchanged")
                continue
            met.add(what)
            run = self.run(publisher)
            captured.append((taken, run.capture(taken), run))
        for run in {id(run): run for _, _, run in captured}.values():
            run.writer.sync()
        endings: list[tuple[_Run, str]] = []
        with self.index.transaction(), Drafts() as drafts:
            for taken, capture, run in captured:
                try:
                    entry = entry_of(capture, taken.article)
                    place = keep(self.index, self.archive, entry, taken.article.content, drafts)
                    endings.append((run, place.ending))
                except Refused as refusal:
                    self.index.record(Entry(capture, taken.article.publisher, refusal.reason))
                    endings.append((run, refusal.reason))
                    self.report.refuse(taken.name, refusal)
            drafts.settle()
        for run, ending in endings:
            run.endings[ending] += 1
            self.report.end(run.publisher, ending)
        if len(self.runs) > MOST_RUNS:
            self.finish_runs()

    def finish(self) -> None:
        """Make everything safe, close the capture files, and write the account of each publisher."""
        self.settle()
        self.finish_runs()

    def finish_runs(self) -> None:
        """End all runs; what comes of their publishers later is written by others."""
        while self.runs:
            publisher, run = self.runs.popitem()
            with run.held:
                run.finish(self.index)
                # An older post may have come after a newer one, and names the article's.
                list(settling(self.settings, publisher, ()))

    def is_kept(self, publisher: str, url: str, captured: datetime, digest: str) -> bool:
        """Tell whether the archive has a post, captured at a time with a digest."""
        if self.index.same_capture(url, captured, digest):
            return True
        if publisher in self.runs:
            return False
        # The index learns now what was captured before a kill.
        self.run(publisher)
        return self.index.same_capture(url, captured, digest) is not None

    def run(self, publisher: str) -> "_Run":
        """Return what writes to a publisher's archive, which is brought in order first."""
        if publisher not in self.runs:
            with ExitStack() as held:
                held.enter_context(hold(lock_file(self.archive, publisher)))
                refuse_wrong_clock(self.archive, publisher)
                self.mended += recover(self.settings, publisher)
                self.runs[publisher] = _Run(self.archive, publisher, held.pop_all())
            self.opened.callback(self.runs[publisher].held.close)
        return self.runs[publisher]

    @cached_property
    def index(self) -> Index:
        """The index of the archive."""
        return self.opened.enter_context(Index(index_file(self.archive)))


class _Run:
    """What is written of one publisher."""

    def __init__(self, archive: Path, publisher: str, held: ExitStack) -> None:
        self.archive, self.publisher = archive, publisher
        #: The publisher's lock.
        self.held = held
        self.started = datetime.now(UTC)
        self.name = run_name(self.started)
        self.writer = CaptureWriter(archive, publisher, self.name, {})
        self.endings: Counter[str] = Counter()

    def capture(self, taken: Taken) -> Capture:
        """Capture a post."""
        return self.writer.take_over(
            url=taken.url,
            captured=taken.captured,
            media_type=media_type(taken.name),
            body=taken.content,
            kind="post",
            source=taken.name.encode("utf-8", "backslashreplace").decode(),
        )

    def finish(self, index: Index) -> None:
        """Close the capture files, and tell archive and index that all of them is recorded."""
        self.writer.close()
        account = self.account()
        if self.writer.files:
            folder, name = self.archive / "runs", f"{self.started:%Y%m%dT%H%M%SZ}-{self.publisher}"
            numbered = [name, *(f"{name}-{number}" for number in range(2, 100))]
            file = next(folder / f"{one}.json" for one in numbered if not (folder / f"{one}.json").exists())
            create_file(file, orjson.dumps(account, option=orjson.OPT_INDENT_2) + b"\n")
            with index.transaction():
                index.run_recorded(run_row(account))
                for path in self.writer.files:
                    index.file_recorded(path, (self.archive / path).stat().st_size)

    def account(self) -> dict[str, Any]:
        """Return the account of the run."""
        kept = {ending: self.endings[ending] for ending in ("stored", "revised", "unchanged")}
        refused = {reason: count for reason, count in self.endings.items() if reason not in kept}
        return {
            "run": self.name,
            "publisher": self.publisher,
            "kind": "import",
            "started": _iso(self.started),
            "ended": _iso(datetime.now(UTC)),
            "finish": "finished",
            "scheduled": self.endings.total(),
            **kept,
            "refused": refused,
            "failed": {},
            "listings": [],
            "covered": [],
            "captures": self.writer.files,
            "failures": [],
        }


def post_in(content: bytes) -> Post:
    """Return the post that bytes are; raise Refused."""
    try:
        return read_bytes(content)
    except Unreadable as error:
        raise Refused(error.reason, str(error)) from error


def media_type(name: str) -> str:
    """Return what a post is by its name: Jekyll shows Markdown otherwise than HTML."""
    is_html = name.lower().endswith((".html", ".htm"))
    return f"text/{'html' if is_html else 'markdown'}; charset=utf-8"


def day_of(name: str) -> datetime:
    """Return the beginning of the day in the name of a file; raise Refused if there is none."""
    found = DAY.search(PurePosixPath(name).name)
    try:
        if found:
            year, month, day = map(int, found.groups())
            return datetime(year, month, day, tzinfo=UTC)
    except ValueError:
        pass
    raise Refused("no-time", "neither the post nor its file's name says when it was published")


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
