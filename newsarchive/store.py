"""The archive of one publisher while a run writes to it: captures, then posts, then the index.

What is written first is what cannot be had again. A response is appended to the
run's WARC file before anybody reads it, and synced before its article's post is
written; the post is a draft in its folder, synced, renamed, and the folder synced,
before the transaction of the index that says so is committed. That commit is
what "stored" means. A crash in between leaves captures that the index does not
know: the next run reads them again (``newsarchive.recover``).

Syncing takes longer than everything else, so one thread does it, for all articles
that wait at that moment together.
"""

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any, Self

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.http import Response
from scrapy.utils.httpobj import urlparse_cached

from newsarchive.article import Article, Refused
from newsarchive.capture import NO_RESPONSES, Capture, verdict
from newsarchive.coverage import Span
from newsarchive.files import Drafts
from newsarchive.index import Entry, Index, Place, PostTaken, Reading, RunRow
from newsarchive.likeness import sketch
from newsarchive.lock import hold
from newsarchive.log.lines import begin
from newsarchive.post import path
from newsarchive.revision import fingerprint
from newsarchive.run import article_ended, capture_ended
from newsarchive.warc import CaptureWriter, payload_digest

__all__ = [
    *("AGAIN", "CaptureMiddleware", "Store", "entry_of", "index_file", "keep", "lock_file"),
    *("run_mark", "run_name", "run_row"),
]

logger = logging.getLogger(__name__)

#: Headers of requests that must not be kept: they open doors.
SECRET = frozenset((b"authorization", b"proxy-authorization", b"cookie"))
#: A server's clock may be wrong, and answers may be stored on their way; by more than a day it is ours that is wrong.
CLOCK_TOLERANCE = timedelta(days=1)
#: Endings that say nothing of a capture: something of ours broke.
AGAIN = ("pipeline", "capture", "exception", "stopped")
#: Endings that wait to be recorded before a replay waits for them.
MOST_WAITING = 500
#: Endings that are recorded in one transaction; the drafts of their posts are open meanwhile.
MOST_AT_ONCE = 100
#: Media type of what feeds say of an article.
FEED = "application/xml"
#: Settings that tell in a WARC file how its responses were asked for.
TOLD = (
    *("USER_AGENT", "ROBOTSTXT_OBEY", "ROBOTSTXT_USER_AGENT", "DEFAULT_REQUEST_HEADERS", "CONCURRENT_REQUESTS"),
    *("DOWNLOAD_DELAY", "DOWNLOAD_TIMEOUT", "DOWNLOAD_MAXSIZE", "RETRY_TIMES", "REDIRECT_MAX_TIMES"),
)


def index_file(archive: Path) -> Path:
    """Return where the index of an archive lies."""
    return archive / "index.sqlite"


def lock_file(archive: Path, publisher: str) -> Path:
    """Return what a process must hold that writes to a publisher's part of an archive."""
    return archive / "captures" / publisher / ".lock"


def run_mark() -> str:
    """Return eight hexadecimal digits by which a run is known."""
    return token_hex(4)


def run_name(started: datetime, mark: str | None = None) -> str:
    """Return a name for a run that sorts by its time and is nobody else's: its mark is its end."""
    return f"{started:%Y%m%dT%H%M%SZ}-{mark or run_mark()}"


def entry_of(capture: Capture, article: Article) -> Entry:
    """Return what the index keeps of a capture that reads as an article."""
    reading = Reading(
        publisher=article.publisher,
        id=article.id,
        url=article.url,
        twin=article.twin,
        title=article.title,
        published=article.published,
        post=str(path(article)),
        fingerprint=fingerprint(article),
        sketch=sketch(article.body),
    )
    ending = "partial" if article.partial else "article"
    return Entry(capture=capture, publisher=article.publisher, ending=ending, reading=reading)


def run_row(account: Mapping[str, Any]) -> RunRow:
    """Return what the index keeps of a run, by its account."""
    return RunRow(
        run=account["run"],
        publisher=account["publisher"],
        started=datetime.fromisoformat(account["started"]),
        ended=datetime.fromisoformat(account["ended"]),
        status=account["finish"],
        counts={
            **{name: account[name] for name in ("scheduled", "stored", "revised", "unchanged")},
            **{name: sum(account[name].values()) for name in ("refused", "failed")},
        },
        covered=tuple(sorted((source, _span(*span)) for source, *span in account.get("covered", ()))),
    )


def keep(index: Index, archive: Path, entry: Entry, content: bytes, drafts: Drafts) -> Place:
    """Write an article's post if the entry's capture is the one to be shown, and record the entry.

    To be called in a transaction; ``drafts`` are to be settled before its commit. A post that is the same
    already is left alone; so are all, if there is no content. Posts of what gives way to the entry are removed.
    Raises OSError if the post cannot be written, Refused ``post-taken`` if it is another article's; then nothing
    is recorded.
    """

    def write(post: str) -> str:
        drafts.write(archive / post, content)
        return sha256(content).hexdigest()

    try:
        place = index.record(entry, write=write if content else None)
    except PostTaken as error:
        raise Refused(error.reason, str(error)) from error
    for post in place.freed:
        if post != place.post:
            drafts.remove(archive / post)
    return place


@dataclass(eq=False, slots=True)
class _Job:
    """An entry that waits for the thread, its post, and who waits for it."""

    entry: Entry
    content: bytes
    done: "asyncio.Future[Place] | None"


class Store:
    """Takes captures and articles, and answers when they are safe."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        assert crawler.spider is not None
        self.publisher = crawler.spider.name
        self.archive = Path(crawler.settings["ARCHIVE_DIR"])
        self.started = datetime.now(UTC)
        # The log has its mark since the command began.
        self.name = run_name(self.started, crawler.settings["RUN_MARK"])
        begin(self.publisher, self.name)
        self.last = self.started
        #: Seconds to gather what is committed together.
        self.pause = crawler.settings.getfloat("COMMIT_PAUSE")
        #: Whether everything that was captured is in the index.
        self.whole = True
        self.jobs: list[_Job] = []
        self.working: asyncio.Task[None] | None = None
        self.closing: asyncio.Task[None] | None = None
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self.resources = ExitStack()

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Return the store for a crawler's run; nothing is opened before it is needed."""
        store = cls(crawler)
        crawler.signals.connect(store.article_ended, article_ended)
        crawler.signals.connect(store.capture_ended, capture_ended)
        return store

    @classmethod
    def of(cls, crawler: Crawler) -> Self:
        """Return the store of a crawler's run; raise RuntimeError if the extension is not enabled."""
        store = crawler.get_extension(cls)
        if store is None:
            raise RuntimeError("newsarchive.store.Store must be among EXTENSIONS")
        return store

    def open(self) -> None:
        """Take the publisher's lock and open the index.

        Raises Locked, OSError, or IndexUnusable.
        """
        if not self.crawler.settings.getbool("ARCHIVE_LOCKED"):
            self.resources.enter_context(hold(lock_file(self.archive, self.publisher)))
        self.index  # noqa: B018

    @cached_property
    def index(self) -> Index:
        """The index, for the thread that writes."""
        return self._opened(Index(index_file(self.archive)))

    @cached_property
    def known(self) -> Index:
        """The index, for questions that must not wait for the thread."""
        self.index  # noqa: B018
        return self._opened(Index(index_file(self.archive), read_only=True))

    def _opened(self, index: Index) -> Index:
        self.resources.callback(index.close)
        return index

    @cached_property
    def writer(self) -> CaptureWriter:
        """The run's WARC files; none is made before there is something to write."""
        settings = self.crawler.settings
        told = {name: str(dict(settings[name]) if "HEADERS" in name else settings[name]) for name in TOLD}
        # What wacz takes a file's pages from, where no page names another as the one it was reached from.
        told["json-metadata"] = json.dumps({"type": "collection", "title": self.publisher})
        size = settings.getint("CAPTURE_ROTATE_AT")
        return CaptureWriter(self.archive, self.publisher, self.name, told, rotate_at=size)

    # Captures.

    def clock(self) -> datetime:
        """Return now, in whole milliseconds; later each time, even if the clock is set back a little meanwhile."""
        self.last = max(_milliseconds(datetime.now(UTC)), self.last + timedelta(milliseconds=1))
        return self.last

    def capture(self, request: Request, response: Response) -> Capture:
        """Keep a response as served, unless it comes from a capture that the archive has; raise OSError if it cannot.

        ``captured`` in the request's meta is when a replayed response was captured.
        """
        stated, known = request.meta.get("captured"), self.known
        captured = _milliseconds(stated) if stated else self.clock()
        digest = payload_digest(response.body)
        if stated and (held := known.same_capture(request.url, captured, digest)):
            return held
        earlier = known.last_capture(request.url) if response.body else None
        return self.writer.write(
            url=request.url,
            captured=captured,
            method=request.method,
            request_headers=_sent(request),
            status=response.status,
            headers=_pairs(response.headers.items()),
            body=response.body,
            kind=purpose(request),
            announced=request.meta.get("announced"),
            truncated="disconnect" if _is_short(response) else "",
            same_as=earlier if earlier and earlier.digest == digest else None,
            digest=digest,
        )

    def take(self, request: Request, response: Response) -> None:
        """Keep a response, and note its capture in the request's meta: as ``capture`` if it has to be read.

        Raises Refused ``capture`` if it cannot be kept; the run then stops.
        """
        try:
            capture = self.capture(request, response)
        except Exception as error:
            self.broken(error)
            raise Refused("capture", f"{type(error).__name__}: {error}") from error
        request.meta["kept"] = capture
        if ended := verdict(capture, (response.headers.get("Location") or b"").decode("latin-1")):
            self.capture_ended(capture, *ended)
        else:
            request.meta["capture"] = capture

    def wrong_clock(self, response: Response) -> str:
        """Return how far this machine's clock is from the server's, in words; empty if they agree."""
        try:
            told = parsedate_to_datetime((response.headers.get("Date") or b"").decode("latin-1"))
            ahead = datetime.now(UTC) - told.astimezone(UTC)
        except (ValueError, TypeError, OverflowError):
            return ""
        if abs(ahead) <= CLOCK_TOLERANCE or (ahead > CLOCK_TOLERANCE and response.headers.get("Age")):
            return ""
        return f"this machine says {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}, the server {told:%Y-%m-%dT%H:%M:%SZ}"

    # Endings.

    def article_ended(self, refusal: Refused | None = None, capture: Capture | None = None, **_: Any) -> None:
        """Record how a capture ended that is no article; articles are recorded as they are stored."""
        if refusal and capture:
            self.capture_ended(capture, refusal.reason)

    def capture_ended(self, capture: Capture, ending: str, target: str = "") -> None:
        """Record how a capture ended, some time before the run ends; not if it must be read again."""
        if ending in AGAIN:
            self.whole = False
        else:
            self._ask(_Job(Entry(capture=capture, publisher=self.publisher, ending=ending, target=target), b"", None))

    def keep_entry(self, url: str, entry: bytes, announced: datetime | None, feed: Capture) -> Capture | None:
        """Keep what a feed among the captures says of an article; None if that is what it said before.

        Raises OSError if it cannot be kept; the run then stops.
        """
        before = self.known.last_told("entry", url)
        if before and before.digest == payload_digest(entry):
            return None
        return self.keep_told("entry", url, entry, feed, announced)

    def last_item(self, url: str, item: bytes) -> str:
        """Return how an item of a full-text feed ended that was the last one at an address; empty if it was another."""
        last = self.known.last_told("item", url)
        return last.ending if last and last.digest == payload_digest(item) else ""

    def holds_page(self, publisher: str, id: str, url: str) -> bool:
        """Tell whether a page of an article was read."""
        row = self.known.address(url)
        ids = {id, row.id} if row and row.publisher == publisher else {id}
        revisions = (revision for one in ids if one for revision in self.known.revisions(publisher, one))
        return any(revision.capture.kind not in NO_RESPONSES for revision in revisions)

    def keep_told(self, kind: str, url: str, xml: bytes, feed: Capture, announced: datetime | None = None) -> Capture:
        """Keep what a feed among the captures says of an article, or has of it.

        Raises OSError if it cannot be kept; the run then stops.
        """
        try:
            return self.writer.convert(
                url=url,
                captured=self.clock(),
                media_type=FEED,
                body=xml,
                kind=kind,
                announced=announced,
                original=feed,
            )
        except OSError as error:
            self.broken(error)
            raise

    async def put(self, article: Article, content: bytes) -> Place:
        """Write an article's post and record it; return once both are safe.

        Raises OSError or sqlite3.Error if they are not; the next run tries again.
        """
        if article.capture is None:
            raise Refused("capture", "no capture of it is kept")
        done: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        self._ask(_Job(entry_of(article.capture, article), content, done))
        return await done

    async def room(self) -> None:
        """Wait while more waits to be recorded than one commit should take."""
        while len(self.jobs) >= MOST_WAITING and self.working:
            await asyncio.wait([self.working], timeout=0.1)

    def _ask(self, job: _Job) -> None:
        self.jobs.append(job)
        if self.working is None:
            self.working = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        """Hand the thread what waits, until nothing does."""
        loop = asyncio.get_running_loop()
        while self.jobs:
            await asyncio.sleep(self.pause)
            jobs, self.jobs = self.jobs[:MOST_AT_ONCE], self.jobs[MOST_AT_ONCE:]
            try:
                outcomes: Iterable[Place | Exception] = await loop.run_in_executor(self.thread, self._commit, jobs)
            except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must be told
                outcomes = [error] * len(jobs)
            for job, outcome in zip(jobs, outcomes, strict=True):
                if isinstance(outcome, Exception) and not isinstance(outcome, Refused):
                    self.broken(outcome)
                if job.done and not job.done.done():
                    job.done.set_exception(outcome) if isinstance(outcome, Exception) else job.done.set_result(outcome)
        self.working = None

    def _commit(self, jobs: list[_Job]) -> list[Place | Exception]:
        """Make everything that the jobs need safe, in the order that lets nothing be missing."""
        outcomes: list[Place | Exception] = []
        self.writer.sync()
        with self.index.transaction(), Drafts() as drafts:
            for job in jobs:
                try:
                    outcomes.append(keep(self.index, self.archive, job.entry, job.content, drafts))
                except (OSError, Refused) as error:
                    outcomes.append(error)
            drafts.settle()
        return outcomes

    def broken(self, error: Exception, why: str = "storage") -> None:
        """Stop the run: nobody is to be asked for what cannot be kept."""
        if self.whole:
            logger.error("%s: the run stops, as nothing can be kept: %s", self.publisher, error)
        self.whole = False
        engine = self.crawler.engine
        if engine and engine.spider and not self.closing:
            self.closing = asyncio.get_running_loop().create_task(engine.close_spider_async(reason=why))

    async def settle(self) -> None:
        """Wait until everything is recorded, and close the run's WARC files; what fails is logged."""
        while self.working:
            await asyncio.wait([self.working])
        self.thread.shutdown()
        try:
            self.writer.close()
        except OSError as error:
            self.broken(error)

    def ended(self, account: Mapping[str, Any]) -> None:
        """Tell the index that the run has ended and that it knows all captures of it."""
        if account["kind"] != "crawl" and not self.writer.files:
            return
        with self.index.transaction():
            self.index.run_recorded(run_row(account))
            for file in self.writer.files if self.whole else ():
                self.index.file_recorded(file, (self.archive / file).stat().st_size)

    def close(self) -> None:
        """Close the index and let go of the lock."""
        self.resources.close()


class CaptureMiddleware:
    """Keeps each response before anybody reads it, next to the network, where bodies are as they came over the wire.

    What cannot be kept is not handed on: no article without its capture.
    """

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.store = Store.of(crawler)
        self.clock_checked = crawler.settings.getbool("REPLAYED")

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Return the middleware for a crawler."""
        return cls(crawler)

    def process_request(self, request: Request) -> None:
        """Forget what an earlier answer left: redirects and further tries inherit it."""
        request.meta.pop("capture", None)

    def process_response(self, request: Request, response: Response) -> Response:
        """Keep a response and hand it on; raise Refused ``capture`` or ``clock`` if it cannot be kept rightly."""
        if not self.clock_checked:
            if wrong := self.store.wrong_clock(response):
                self.store.broken(RuntimeError(f"the clock is wrong: {wrong}; set it and run again"), "clock")
                raise Refused("clock", wrong)
            self.clock_checked = True
        self.store.take(request, response)
        return response


def purpose(request: Request) -> str:
    """Return what a request is for: ``article``, ``listing``, ``robots`` or nothing in particular."""
    kind: str = request.meta.get("kind", "")
    return kind or ("robots" if urlparse_cached(request).path == "/robots.txt" else "")


def _span(start: str, end: str) -> Span:
    return Span(datetime.fromisoformat(start), datetime.fromisoformat(end))


def _milliseconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _pairs(headers: Iterable[tuple[bytes, list[bytes]]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, values in headers for value in values]


def _sent(request: Request) -> list[tuple[bytes, bytes]]:
    """Return the headers of a request as they were sent, without what opens doors."""
    host = urlparse_cached(request).netloc.rpartition("@")[2].encode("latin-1", "replace")
    return [(b"Host", host), *(pair for pair in _pairs(request.headers.items()) if pair[0].lower() not in SECRET)]


def _is_short(response: Response) -> bool:
    """Tell whether a body is shorter than its Content-Length."""
    promised = (response.headers.get("Content-Length") or b"").strip()
    return promised.isdigit() and len(response.body) < int(promised)
