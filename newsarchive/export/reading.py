"""Captures read again in several processes, in the order in which they are asked for."""

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any, Self, TypeVar

from scrapy.settings import Settings

from newsarchive.article import Article, Refused
from newsarchive.capture import NO_RESPONSES, Capture
from newsarchive.reading import Reader
from newsarchive.warc import WarcError

__all__ = ["ProcessGone", "Readings", "Unread", "Wanted", "read_article"]

#: Publisher and id of an article, and its capture.
Wanted = tuple[str, str, Capture]
#: Batches that a process has at a time: while one is read, another lies ready.
AHEAD = 2
#: The processes must not hold what this one has open.
SPAWN = multiprocessing.get_context("spawn")

Of = TypeVar("Of")


@dataclass(frozen=True, slots=True)
class Unread:
    """Why a capture does not read as its article."""

    problem: str
    #: Whether it was read, and is not the article.
    refused: bool = False


class ProcessGone(RuntimeError):
    """Says that a process that read captures has ended, which it should not."""


def read_article(reader: Reader, archive: Path, wanted: Wanted) -> Article | Unread:
    """Return the article of a capture, or why it cannot be had."""
    publisher, id, capture = wanted
    try:
        article = reader.article(publisher, capture, archive)
    except (WarcError, OSError) as error:
        return Unread(str(error))
    except Refused as refusal:
        return Unread(f"{archive / capture.file}, offset {capture.offset}: refused now: {refusal}", refused=True)
    # What others wrote of an article may not say its id, which the index then has from a page.
    if capture.kind not in NO_RESPONSES and (article.publisher, article.id) != (publisher, id):
        told = f"reads as {article.publisher} {article.id} now"
        return Unread(f"{archive / capture.file}, offset {capture.offset}: {told}", refused=True)
    return article


class Readings:
    """Reads captures of an archive in so many processes, or in this one; use it in a ``with`` statement."""

    def __init__(self, settings: Settings, archive: Path, jobs: int) -> None:
        self.reader, self.archive = Reader(settings), archive
        self.workers: list[tuple[Connection, Any]] = []
        for _ in range(jobs if jobs > 1 else 0):
            ours, theirs = SPAWN.Pipe()
            worker = SPAWN.Process(target=_work, args=(settings.copy_to_dict(), archive, theirs), daemon=True)
            worker.start()
            theirs.close()
            self.workers.append((ours, worker))

    def __enter__(self) -> Self:
        """Return the readings."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes, which keep nothing."""
        for connection, worker in self.workers:
            connection.close()
            worker.terminate()
            worker.join()

    def each(self, batches: Iterable[tuple[Of, list[Wanted]]]) -> Iterator[tuple[Of, list[Article | Unread]]]:
        """Yield what came with each batch, and its articles, in order; raise ProcessGone."""
        if not self.workers:
            for about, wanted in batches:
                yield about, [read_article(self.reader, self.archive, one) for one in wanted]
            return
        waiting: deque[tuple[Of, Connection]] = deque()
        for number, (about, wanted) in enumerate(batches):
            if len(waiting) == AHEAD * len(self.workers):
                yield self._answer(*waiting.popleft())
            connection, _ = self.workers[number % len(self.workers)]
            with suppress(BrokenPipeError):  # It is said where its answer is missing.
                connection.send(wanted)
            waiting.append((about, connection))
        while waiting:
            yield self._answer(*waiting.popleft())

    def _answer(self, about: Of, connection: Connection) -> tuple[Of, list[Article | Unread]]:
        try:
            found: list[Article | Unread] = connection.recv()
        except (EOFError, ConnectionResetError) as error:
            raise ProcessGone("a process that read captures was killed or broke") from error
        return about, found


def _work(settings: dict[str, Any], archive: Path, parent: Connection) -> None:
    """Read what the parent asks for, in a process of its own, until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    reader = Reader(Settings(settings))
    asked: Queue[list[Wanted] | None] = Queue()
    # The parent is never kept waiting when it asks: it may be this process that waits for it to take an answer.
    Thread(target=_listen, args=(parent, asked), daemon=True).start()
    with suppress(BrokenPipeError, ConnectionResetError):
        while (wanted := asked.get()) is not None:
            parent.send([read_article(reader, archive, one) for one in wanted])


def _listen(parent: Connection, asked: "Queue[list[Wanted] | None]") -> None:
    """Queue what the parent asks for, and at its end None."""
    with suppress(EOFError, ConnectionResetError, OSError):
        while True:
            asked.put(parent.recv())
    asked.put(None)
