"""How fast an archive is made again from its captures: ``scrapy replay`` of pages of 300 kB, in one process.

Captures of as many pages as asked are written as a crawl writes them, once as servers send them, compressed, and
once as they are; posts and index are made from them, all synced. What a replay of a single page takes is what the
command takes to start and to end, and is subtracted.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from gzip import compress
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.crawl import DISK, MEASURE, spread
from benchmarks.pages import SINCE_2023, make
from newsarchive.warc import CaptureWriter

HERE = Path(__file__).resolve().parent
PAGES, SIZE, ROUNDS = 1_500, 300_000, 3
#: Pages per second and core, and MB.
TARGET, LIMIT = 300, 200
BEGIN = datetime(2026, 11, 20, 5, 1, 25, tzinfo=UTC)


@dataclass(frozen=True)
class Replay:
    """What a replay took."""

    seconds: float
    cpu: float
    megabytes: float


def pairs(**headers: str) -> list[tuple[bytes, bytes]]:
    """Return headers as they go over the wire."""
    return [(name.replace("_", "-").title().encode(), value.encode()) for name, value in headers.items()]


def capture(archive: Path, count: int, gzip: bool) -> int:
    """Write the captures of so many pages; return how many bytes they take."""
    writer = CaptureWriter(archive, "cna", f"{BEGIN:%Y%m%dT%H%M%SZ}-1f2e3d4c", {})
    for number in range(count):
        page = make(SINCE_2023, SIZE, number)
        body = compress(page.body, 6) if gzip else page.body
        coding = {"content_encoding": "gzip"} if gzip else {}
        writer.write(
            url=page.url,
            captured=BEGIN + timedelta(seconds=2 * number),
            method="GET",
            request_headers=pairs(host="www.cna.com.tw", accept_encoding="gzip, deflate, br"),
            status=200,
            headers=pairs(content_type="text/html; charset=utf-8", content_length=str(len(body)), **coding),
            body=body,
            kind="article",
        )
    writer.close()
    return writer.size


def replay(archive: Path, count: int) -> Replay:
    """Replay an archive's captures with the real command; return what it took.

    Raises CalledProcessError if it fails, RuntimeError if there is not a post for each page.
    """
    command = ["-m", "scrapy", "replay", str(archive / "captures"), "-s", f"ARCHIVE_DIR={archive}"]
    measured = [sys.executable, "-c", MEASURE, sys.executable, *command]
    began = datetime.now().timestamp()
    told = subprocess.run(measured, cwd=HERE.parent, capture_output=True, text=True, check=True)
    end, kilobytes, cpu, status = json.loads(told.stdout)
    posts = sum(1 for _ in archive.glob("_posts/cna/*/*.md"))
    if status or posts != count:
        raise RuntimeError(f"exit status {status}, {posts} posts of {count}: {told.stderr[-2000:]}")
    return Replay(end - began, cpu, kilobytes / 1024)


def replays(folder: Path, count: int, gzip: bool) -> Iterator[Replay]:
    """Yield what replays of so many pages take, each into an archive without posts and index."""
    for number in range(ROUNDS):
        archive = folder / f"{count}-{gzip}-{number}"
        captures = archive / "captures"
        captures.parent.mkdir()
        if number:
            (folder / f"{count}-{gzip}-{number - 1}" / "captures").rename(captures)
        else:
            capture(archive, count, gzip)
        yield replay(archive, count)


def compare(folder: Path, gzip: bool) -> bool:
    """Print what a replay of captures takes; tell whether the targets are met."""
    one, all_pages = (list(replays(folder, count, gzip)) for count in (1, PAGES))
    seconds = min(run.seconds for run in all_pages) - min(run.seconds for run in one)
    cpu = min(run.cpu for run in all_pages) - min(run.cpu for run in one)
    peak = max(run.megabytes for run in all_pages)
    # Threads may keep more than one core busy; waiting for the disk keeps none.
    rate = (PAGES - 1) / max(seconds, cpu)
    size = sum(file.stat().st_size for file in folder.glob(f"{PAGES}-{gzip}-*/captures/cna/*.warc.gz"))
    name = "compressed by the server" if gzip else "as they are"
    print(f"{PAGES} pages of {SIZE // 1000} kB, {name}: {size / PAGES / 1000:.1f} kB a capture; {ROUNDS} rounds")
    print(f"{(PAGES - 1) / seconds:8.0f} pages/s, {cpu / (PAGES - 1) * 1000:.2f} ms CPU a page, peak {peak:.0f} MB")
    met = rate >= TARGET
    print(f"{rate:8.0f} pages per second and core, at least {TARGET}: {'met' if met else 'MISSED'}")
    bounded = peak < LIMIT
    print(f"{peak:8.0f} MB, below {LIMIT}: {'met' if bounded else 'MISSED'}\n", flush=True)
    return met and bounded


def main() -> bool:
    """Replay captures of pages compressed by the server and as they are; tell whether the targets are met."""
    with TemporaryDirectory(dir=DISK) as name:
        spread(Path(name))
        met = [compare(Path(name), gzip) for gzip in (True, False)]
    return all(met)
