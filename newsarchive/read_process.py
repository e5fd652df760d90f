"""Pages read in a process of their own, beside the one that asks servers and writes the archive.

Reading a page depends on the page alone, so any process can do it. This one only
helps: a page is read here while the process is starting, has enough to do, or is
gone, and so is a page that it found to be no article, to say why. What is read
is the same either way.
"""

import asyncio
import logging
import os
import pickle
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import replace
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
#: What reading a page needs to know besides its response.
TOLD = ("kind", "announced", "capture", "captured")
SIZE = struct.Struct("!I")


class PageReader:
    """Reads the pages of a crawl, and has READ_PROCESS help with it where several are asked for at a time."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        #: Those who wait for the process to answer, in the order of their pages.
        self.waiting: deque[asyncio.Future[Article | None]] = deque()
        self.process: subprocess.Popen[bytes] | None = None
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
        spider = self.crawler.spider
        told = pickle.dumps((type(spider), self.crawler.settings.getlist("READ_STEPS")))
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from newsarchive.read_process import work; work()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            pipesize=PIPE,
        )
        assert self.process.stdin
        assert self.process.stdout
        loop = asyncio.get_running_loop()
        pages, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, self.process.stdin)
        pages.write(told)
        self.listening = loop.create_task(self.listen(pages, self.process.stdout))

    async def listen(self, pages: asyncio.WriteTransport, stdout: IO[bytes]) -> None:
        """Hand out what the process answers; without it, those who wait read their pages themselves."""
        answers = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(answers), stdout)
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
            self.process.wait()


def work() -> None:
    """Read the pages that come through standard input, and write the articles to standard output."""
    pages, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Whatever prints must not be taken for an answer.
    os.dup2(2, 1)
    kind, steps = pickle.load(pages)
    spider = kind()
    steps = [load_object(step) for step in steps]
    answers.write(b"!")
    answers.flush()
    while True:
        try:
            answer = pickle.dumps(_read(spider, steps, *pickle.load(pages)), pickle.HIGHEST_PROTOCOL)
            answers.write(SIZE.pack(len(answer)) + answer)
            answers.flush()
        except (EOFError, pickle.UnpicklingError, BrokenPipeError, KeyboardInterrupt):
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
