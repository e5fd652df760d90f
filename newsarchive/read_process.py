"""Pages read in a process of their own, beside the one that asks servers and writes the archive.

Reading a page depends on the page alone, so any process can do it. This one only
helps: a page is read here while the process is starting, has enough to do, or is
gone, and so is a page that it found to be no article, to say why. What is read
is the same either way.
"""

import asyncio
import fcntl
import gc
import logging
import multiprocessing
import os
import pickle
import signal
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Self

from scrapy import Request, signals
from scrapy.crawler import Crawler
from scrapy.http import Response
from scrapy.utils.misc import load_object

from newsarchive.article import Article
from newsarchive.spider import PublisherSpider

__all__ = ["PageReader"]

logger = logging.getLogger(__name__)

#: Pages that the process has at a time: while one is read, others lie ready.
AHEAD = 8
#: Bytes that wait between the processes: what Linux allows at most.
PIPE = 1 << 20
#: The process has everything at hand at once, which it would take a second to load.
FORK = multiprocessing.get_context("fork")
#: What reading a page needs to know besides its response.
TOLD = ("kind", "announced", "capture", "captured")
SIZE = struct.Struct("!I")


class PageReader:
    """Reads the pages of a crawl, and has READ_PROCESS help with it where several are asked for at a time."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        #: Those who wait for the process to answer, in the order of their pages.
        self.waiting: deque[asyncio.Future[Article | None]] = deque()
        self.process: multiprocessing.process.BaseProcess | None = None
        self.pages: asyncio.WriteTransport | None = None
        self.listening: asyncio.Task[None] | None = None

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Return the reader of a crawl."""
        reader = cls(crawler)
        if crawler.settings.getbool("READ_PROCESS") and crawler.settings.getint("CONCURRENT_REQUESTS") > 1:
            crawler.signals.connect(reader.open, signals.spider_opened)
            crawler.signals.connect(reader.close, signals.spider_closed)
        return reader

    async def read(self, response: Response) -> Article:
        """Return the article of a page, ready if the process read it; raise Refused, and nothing else."""
        spider = self.crawler.spider
        assert isinstance(spider, PublisherSpider)
        if self.pages and len(self.waiting) < AHEAD:
            meta = response.request.meta if response.request else {}
            told = {name: meta[name] for name in TOLD if name in meta}
            page = (type(response), response.url, response.status, dict(response.headers), response.body, told)
            done: asyncio.Future[Article | None] = asyncio.get_running_loop().create_future()
            self.waiting.append(done)
            self.pages.write(pickle.dumps(page, pickle.HIGHEST_PROTOCOL))
            article = await done
            if article:
                return article
        return spider.read(response)

    async def open(self) -> None:
        """Start the process; pages are read here until it says that it is ready."""
        theirs, ours = _pipe()
        answers, told = _pipe()
        loop = asyncio.get_running_loop()
        pages, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(ours, "wb", 0))
        steps = [load_object(step) for step in self.crawler.settings.getlist("READ_STEPS")]
        self.process = FORK.Process(target=work, args=(type(self.crawler.spider), steps, theirs, told), daemon=True)
        self.process.start()
        os.close(theirs)
        os.close(told)
        self.listening = loop.create_task(self.listen(pages, os.fdopen(answers, "rb", 0)))

    async def listen(self, pages: asyncio.WriteTransport, told: IO[bytes]) -> None:
        """Hand out what the process answers; without it, those who wait read their pages themselves."""
        answers = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(answers), told)
        try:
            await answers.readexactly(1)
            self.pages = pages
            while True:
                (size,) = SIZE.unpack(await answers.readexactly(SIZE.size))
                found = pickle.loads(await answers.readexactly(size))
                self.answer(found)
        except asyncio.IncompleteReadError:
            logger.warning("the process that helps with reading is gone")
        finally:
            self.pages = None
            while self.waiting:
                self.answer(None)
            if not pages.is_closing():
                pages.abort()

    def answer(self, found: Article | None) -> None:
        """Hand an answer to the one who has waited longest, unless nobody wants it any more."""
        done = self.waiting.popleft()
        if not done.done():
            done.set_result(found)

    async def close(self) -> None:
        """End the process, which keeps nothing."""
        if self.listening and self.process:
            self.listening.cancel()
            await asyncio.wait([self.listening])
            self.process.kill()
            self.process.join()


def _pipe() -> tuple[int, int]:
    """Return the ends of a pipe in which pages have room."""
    reading, writing = os.pipe()
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        # Who has many pipes may not have large ones.
        with suppress(PermissionError):
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE)
    return reading, writing


def work(kind: type[PublisherSpider], steps: list[Callable[[Article], Article]], pages: int, answers: int) -> None:
    """Read the pages that come through a pipe, and write the articles to another, in a process that was just forked."""
    gc.freeze()
    # A crawl that is interrupted still has its pages read.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # No lock is held, and nobody kept waiting, by who has nothing to do with it.
    for descriptor in [int(entry.name) for entry in Path("/dev/fd").iterdir()]:
        if descriptor not in (0, 1, 2, pages, answers):
            with suppress(OSError):
                os.close(descriptor)
    # Whatever prints must not be taken for what the crawl prints.
    os.dup2(2, 1)
    spider = kind()
    with os.fdopen(pages, "rb") as source, os.fdopen(answers, "wb") as out:
        out.write(b"!")
        out.flush()
        while True:
            try:
                answer = pickle.dumps(_read(spider, steps, *pickle.load(source)), pickle.HIGHEST_PROTOCOL)
                out.write(SIZE.pack(len(answer)) + answer)
                out.flush()
            except (EOFError, pickle.UnpicklingError, BrokenPipeError):
                # Nobody is there any more to be told anything.
                os._exit(0)


def _read(
    spider: PublisherSpider,
    steps: list[Callable[[Article], Article]],
    kind: type[Response],
    url: str,
    status: int,
    headers: Any,
    body: bytes,
    meta: Any,
) -> Article | None:
    """Return an article as it can be published; None for a page that must be looked at where it came from."""
    try:
        article = spider.read(kind(url, status=status, headers=headers, body=body, request=Request(url, meta=meta)))
        for step in steps:
            article = step(article)
    except Exception:  # noqa: BLE001 - the crawl reads it again and meets the same, with all that it needs to tell
        return None
    return replace(article, ready=True)
