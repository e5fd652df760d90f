"""Writes an article as a Jekyll post: whole or not at all, and only if it says something new."""

import os
from contextlib import suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Literal, Self

from scrapy.crawler import Crawler

from newsarchive.article import Article
from newsarchive.post import Post, path, render
from newsarchive.run import post_written

Ending = Literal["stored", "revised", "unchanged"]


def write(file: Path, content: bytes) -> Ending:
    """Write a file so that after any crash it is the old one or the new one; leave one alone that is the same.

    Raises OSError, and leaves no trace, if the new content cannot be written.
    """
    old = file.read_bytes() if file.exists() else None
    if old == content:
        return "unchanged"
    file.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=file.parent, prefix=".", suffix=".tmp", delete=False) as draft:
        try:
            # Held until the draft has become the file, or its writer is gone.
            flock(draft, LOCK_EX)
            draft.write(content)
            draft.flush()
            os.fchmod(draft.fileno(), 0o644)
            os.fsync(draft.fileno())
            Path(draft.name).replace(file)
        except BaseException:
            Path(draft.name).unlink(missing_ok=True)
            raise
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return "stored" if old is None else "revised"


def sweep(folder: Path) -> None:
    """Remove the drafts below a folder whose writers were killed; a living writer holds its draft locked."""
    for name in folder.rglob(".*.tmp"):
        with suppress(FileNotFoundError, BlockingIOError), name.open("rb") as draft:
            flock(draft, LOCK_EX | LOCK_NB)
            name.unlink()


class WritePostPipeline:
    """Writes each article below the archive folder and counts it as stored, revised or unchanged."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.folder = Path(crawler.settings["ARCHIVE_DIR"])

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Return the pipeline for a crawler."""
        return cls(crawler)

    def open_spider(self) -> None:
        """Remove what a killed run left."""
        sweep(self.folder / "_posts" / self.crawler.spider.name)

    def process_item(self, item: Article) -> Article:
        """Write the article's post."""
        post = Post.from_article(item, self.crawler.spider.label)
        file = self.folder / path(item)
        ending = write(file, render(post).encode())
        self.crawler.stats.inc_value(f"article/{ending}")
        self.crawler.signals.send_catch_log(post_written, file=file, ending=ending)
        return item
