"""How fast an archive is exported: ``scrapy export`` in each of its forms, and how much memory it takes.

Two archives of as many articles as asked are made: one of posts that were taken over from another archive, one of
small pages in the layout of CNA since 2023. Posts are exported from the archive's posts, tables from its captures,
which are read again in as many processes as there are cores. What the export of an archive of one article takes is
what the command takes to start and to end, and is subtracted. Memory is that of the process that writes.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from scrapy.utils.project import get_project_settings

from benchmarks.crawl import DISK, MEASURE, spread
from benchmarks.replay import ID, TIMES, TITLE, URL
from newsarchive.capture import Capture
from newsarchive.export.posts import old_name
from newsarchive.files import Drafts
from newsarchive.index import Index
from newsarchive.post import Post, content_of, render
from newsarchive.reading import Reader
from newsarchive.store import entry_of, index_file
from newsarchive.warc import CaptureWriter

#: As many processes also for one article, so that what they take to start is subtracted.
CORES = str(os.cpu_count())
HERE = Path(__file__).resolve().parent
ARTICLES = 3_000
#: Articles per second, and MB.
TARGET, LIMIT = 2_000, 200
BEGIN = datetime(2026, 11, 20, 5, 1, 25, tzinfo=UTC)
HEADERS = [(b"Content-Type", b"text/html; charset=utf-8")]
ABOUT = {"@type": "NewsArticle", "headline": TITLE, "articleSection": "生活", "keywords": ["試驗", "報導"], **TIMES}
SENTENCE = "這一段說明試驗如何進行，其中沒有一句話是新聞，編號一二三四五六七八九十。"
PAGE = f"""<!DOCTYPE html><html lang="zh-Hant-TW"><head><meta charset="utf-8"><title>{TITLE}</title>
<link rel="canonical" href="{URL}"><meta property="og:title" content="{TITLE} | 生活 | 中央社 CNA">
<script type="application/ld+json">{json.dumps([ABOUT])}</script></head><body><article class="article">
<div class="centralContent"><h1><span>{TITLE}</span></h1><div class="paragraph">{f"<p>{SENTENCE * 5}</p>" * 6}
<p>以上就是全文。（編輯：測試員）1121101</p></div></div></article></body></html>"""
#: What is exported, by name; again what is there already.
EXPORTS = {
    "posts": ["--posts", "{folder}/front"],
    "posts again": ["--posts", "{folder}/front"],
    "posts --bare": ["--posts", "{folder}/bare", "--bare"],
    "jsonl": ["--jsonl", "{folder}/a.jsonl", "--jobs", CORES],
    "jsonl.gz": ["--jsonl", "{folder}/a.jsonl.gz", "--jobs", CORES],
    "parquet": ["--parquet", "{folder}/a.parquet", "--jobs", CORES],
}
#: Of what is exported of articles that were read from pages: what takes longest.
PAGES = ("posts --bare", "jsonl")


@dataclass(frozen=True)
class Export:
    """What an export took."""

    seconds: float
    cpu: float
    megabytes: float


def make(archive: Path, count: int, kind: str) -> None:
    """Make an archive of so many articles, of pages or of another archive's posts: captures, posts and index."""
    reader = Reader(get_project_settings())
    writer = CaptureWriter(archive, "cna", f"{BEGIN:%Y%m%dT%H%M%SZ}-1f2e3d4c", {})
    with Index(index_file(archive)) as index, Drafts() as drafts, index.transaction():
        for number in range(count):
            capture = KINDS[kind](writer, number)
            article = reader.article("cna", capture, archive)
            entry, content = entry_of(capture, article), content_of(article, LABEL)
            assert entry.reading
            index.record(entry, sha256(content).hexdigest())
            drafts.write(archive / entry.reading.post, content)
            if number % 500 == 0:
                drafts.settle()
        drafts.settle()
    writer.close()


def page(writer: CaptureWriter, number: int) -> Capture:
    """Capture a page as a crawl does."""
    id = str(int(ID) + number)
    return writer.write(
        url=URL.replace(ID, id),
        captured=BEGIN + timedelta(seconds=2 * number),
        method="GET",
        request_headers=(),
        status=200,
        headers=HEADERS,
        body=PAGE.replace(ID, id).encode(),
        kind="article",
    )


def post(writer: CaptureWriter, number: int) -> Capture:
    """Capture another archive's post as an import does."""
    id = str(int(ID) + number)
    made = Post(
        title=TITLE.replace(ID, id),
        published=BEGIN,
        url=URL.replace(ID, id),
        author=LABEL,
        tags=(LABEL,),
        categories=(LABEL,),
        body=f"<p>{SENTENCE * 5}</p>" * 6,
    )
    return writer.take_over(
        url=made.url,
        captured=BEGIN + timedelta(seconds=2 * number),
        media_type="text/markdown; charset=utf-8",
        body=render(made).encode(),
        kind="post",
        source=f"_posts/{old_name(made.title, BEGIN)}",
    )


LABEL = "(臺)中央社CNA"
KINDS = {"posts": post, "pages": page}
SIZES = {"posts": len(SENTENCE.encode()) * 30, "pages": len(PAGE.encode())}


def export(archive: Path, folder: Path, arguments: list[str]) -> Export:
    """Export an archive with the real command; return what it took, raise RuntimeError if it fails."""
    told_to = [argument.format(folder=folder) for argument in arguments]
    command = [sys.executable, "-m", "scrapy", "export", *told_to, "-s", f"ARCHIVE_DIR={archive}"]
    began = datetime.now().timestamp()
    told = subprocess.run([sys.executable, "-c", MEASURE, *command], cwd=HERE.parent, capture_output=True, text=True)
    end, kilobytes, cpu, status = json.loads(told.stdout.splitlines()[-1])
    if status:
        raise RuntimeError(f"exit status {status}: {told.stdout[-2000:]}{told.stderr[-2000:]}")
    return Export(end - began, cpu, kilobytes / 1024)


def compare(folder: Path, kind: str, starts: dict[str, Export]) -> Iterator[bool]:
    """Print the rates of exports of an archive; yield whether each target is met."""
    large = folder / kind
    make(large / "archive", ARTICLES, kind)
    print(f"{ARTICLES} articles, captured as {kind} of {SIZES[kind] / 1000:.1f} kB")
    for what, arguments in EXPORTS.items():
        if kind == "pages" and what not in PAGES:
            continue
        start, run = starts[what], export(large / "archive", large, arguments)
        rate = (ARTICLES - 1) / (run.seconds - start.seconds)
        cpu = (run.cpu - start.cpu) / (ARTICLES - 1) * 1000
        # How long pages take to be read is not a matter of exports.
        targets = [(f"below {LIMIT} MB", run.megabytes < LIMIT)]
        targets += [(f"at least {TARGET}", rate >= TARGET)] if kind == "posts" else []
        told = ", ".join(f"{target}: {'met' if met else 'MISSED'}" for target, met in targets)
        print(f"{what:14}{rate:6.0f} articles/s, {cpu:.2f} ms CPU, peak {run.megabytes:3.0f} MB   {told}", flush=True)
        yield all(met for _, met in targets)
    print(flush=True)


def main() -> bool:
    """Export articles that were taken over as posts, and such as were read from pages; tell whether targets are met."""
    with TemporaryDirectory(dir=DISK) as name:
        folder = Path(name)
        spread(folder)
        one = folder / "one"
        make(one / "archive", 1, "posts")
        starts = {what: export(one / "archive", one, arguments) for what, arguments in EXPORTS.items()}
        met = [each for kind in KINDS for each in compare(folder, kind, starts)]
    return all(met)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
