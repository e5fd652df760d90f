"""What an index of a million articles costs a run: its start, lookups, recording, memory and disk.

Captures are made for as many articles as BENCH_ARTICLES says: eight of ten in the layout of CNA, the others with the
long addresses of DW and RFI; every fifth article is captured again a month later, every fourth of these with another
text. They are recorded in the order of time, as runs would. What follows is measured in fresh processes, articles in
random order; lookups and recording by the processor's time, so that other processes are not measured, all else by the
clock.
"""

import json
import os
import subprocess
import sys
from base64 import b32encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from itertools import islice
from pathlib import Path
from random import Random
from resource import RUSAGE_SELF, getrusage
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from urllib.parse import quote

from newsarchive.capture import Capture
from newsarchive.index import Entry, Index, Reading
from newsarchive.likeness import KEY_SIZE, KEYS, OTHERS

ARTICLES = int(os.environ.get("BENCH_ARTICLES", "1000000"))
#: Lookups of a kind, and how many are timed together.
LOOKUPS, PART = 5_000, 500
#: Captures of the file of a run, and of a transaction when the index is built.
FILE, BATCH = 40, 1600
#: Articles in the commits of a run, commits in a round, and rounds.
GROUP, COMMITS, ROUNDS = 8, 50, 5
#: Seconds to start, µs to record, to look up and to find what is related, MB of memory, bytes on disk for an article.
START, RECORD, LOOKUP, RELATED, MEMORY, DISK = 1, 100, 50, 200, 200, 1150
#: Seconds to count everything, as scrapy status does.
CENSUS = 3
#: µs that recording an article may take longer than in an empty index: a run waits two seconds between two articles.
SLOWER = 200

FIRST = datetime(2010, 1, 1, tzinfo=UTC)
MONTH = timedelta(days=30)
#: Minutes from one article to the next, and articles of a month.
PACE = 5
MONTHLY = MONTH // timedelta(minutes=PACE)
SHA256 = "5e" * 32
#: Articles that share a key of a sketch, on average: phrases recur.
SHARING = 4
WORDS = "日美會談同意深化合作總統府今天表示將持續與國際社會共同維護區域和平穩定經濟部長出席論壇強調產業升級"


def entry(number: int, again: bool = False) -> Entry:
    """Return a capture of an article, its first or its second."""
    random = Random(number)
    published = FIRST + number * timedelta(minutes=PACE)
    title = "".join(random.choices(WORDS, k=random.randint(14, 28)))
    publisher, id, url = address(number, f"{published:%Y%m%d}", quote(title[:12]))
    digest = sha1(f"{number} {again and number % 20 == 0}".encode()).digest()
    run = number // (10 * FILE)
    started = FIRST + run * 10 * FILE * timedelta(minutes=PACE) + again * MONTH
    capture = Capture(
        file=f"captures/{publisher}/{started:%Y%m%dT%H%M%SZ}-{2 * run + again:08x}.warc.gz",
        offset=number % (10 * FILE) * 30_011,
        url=url,
        captured=published + again * MONTH + timedelta(minutes=17, milliseconds=number % 1000),
        status=200,
        digest=f"sha1:{b32encode(digest).decode()}",
        kind="article",
        announced=published,
    )
    post = f"_posts/{publisher}/{published:%Y/%Y-%m-%d}-{id.lower()}.md"
    phrases = (Random(random.randrange(ARTICLES // SHARING)).randbytes(KEY_SIZE) for _ in range(KEYS))
    sketch = b"".join(phrases) + random.randbytes(OTHERS)
    reading = Reading(publisher, id, url, title, published, post, digest.hex()[:32], sketch)
    return Entry(capture, publisher, "article", reading=reading)


def address(number: int, day: str, slug: str) -> tuple[str, str, str]:
    """Return the publisher, id and address of an article."""
    if number % 10 == 8:
        return "dw", f"{number + 4_000_000}", f"https://www.dw.com/zh/{slug}/a-{number + 4_000_000}"
    if number % 10 == 9:
        return "rfi", f"WBMZ{number:024}-RFI-ZH-HANS", f"https://www.rfi.fr/cn/{quote('中国')}/{day}-{slug}"
    return "cna", f"{day}{number % 10_000:04}", f"https://www.cna.com.tw/news/aipl/{day}{number % 10_000:04}.aspx"


def captures() -> Iterator[tuple[Entry, str]]:
    """Yield all captures in about the order of time, each with the digest of its post if one is made of it."""
    for number in range(ARTICLES + MONTHLY):
        if number < ARTICLES:
            yield entry(number), SHA256
        if number >= MONTHLY and number % 5 == 0:
            yield entry(number - MONTHLY, again=True), "" if (number - MONTHLY) % 20 else SHA256


def told(**figures: float) -> None:
    """Print figures for the process that started this one; with the peak of this one's memory in MB."""
    print(json.dumps({**figures, "memory": getrusage(RUSAGE_SELF).ru_maxrss / 1024}))


def build(index: Index) -> None:
    """Record all captures."""
    entries, recorded, spent, start = captures(), 0, 0.0, perf_counter()
    while batch := list(islice(entries, BATCH)):
        began = process_time()
        with index.transaction():
            for made, sha256 in batch:
                index.record(made, sha256)
            for file in {made.capture.file for made, _ in batch}:
                index.file_recorded(file, 1_000_000)
        spent += process_time() - began
        recorded += len(batch)
    told(captures=recorded, recording=spent * 1e6 / recorded, seconds=perf_counter() - start)


def started(file: Path) -> None:
    """Open the index and ask what a run asks at its start."""
    start = perf_counter()
    with Index(file) as index:
        files, stale = index.files("cna"), index.stale("cna")
        told(seconds=perf_counter() - start, files=len(files), stale=len(stale))


def timed(look: Callable[[Entry], object], entries: list[Entry]) -> float:
    """Return how many µs of the processor a lookup takes, in the best of some parts."""
    took = []
    for first in range(0, LOOKUPS, PART):
        start = process_time()
        for one in entries[first : first + PART]:
            look(one)
        took.append((process_time() - start) * 1e6 / PART)
    return min(took)


def looked_up(index: Index) -> None:
    """Look articles up that are there, and articles that are not."""
    random = Random(7)
    there = [entry(random.randrange(ARTICLES)) for _ in range(LOOKUPS)]
    missing = [entry(ARTICLES + random.randrange(ARTICLES)) for _ in range(LOOKUPS)]
    told(
        address=timed(lambda one: index.address(one.capture.url), there),
        address_missing=timed(lambda one: index.address(one.capture.url), missing),
        article=timed(lambda one: index.article(one.publisher, one.reading.id), there),
        related=timed(lambda one: index.related(one.publisher, one.reading.id), there),
        place=timed(index.place, there),
        place_missing=timed(index.place, missing),
    )


def counted(index: Index) -> None:
    """Ask how much is held of each publisher, and of each day."""
    start = process_time()
    found = index.census()
    told(seconds=process_time() - start, articles=sum(holdings.articles for holdings, _ in found.values()))


def committed(index: Index, first: int) -> list[float]:
    """Return the milliseconds that each commit of a round took, places included, for articles that are new."""
    took = []
    for group in range(COMMITS):
        entries = [entry(first + group * GROUP + number) for number in range(GROUP)]
        start = perf_counter()
        with index.transaction():
            for one in entries:
                index.place(one)
                index.record(one, SHA256)
        took.append((perf_counter() - start) * 1e3)
    return took


def hourly(large: Path, empty: Path) -> None:
    """Record rounds of new articles in both indexes, in turns."""
    took: dict[Path, list[float]] = {large: [], empty: []}
    for number in range(ROUNDS):
        for file, times in took.items():
            with Index(file) as index:
                times += committed(index, ARTICLES + number * COMMITS * GROUP)
    told(large=median(took[large]), empty=median(took[empty]))


def in_process(step: str, *files: Path) -> dict[str, float]:
    """Return the figures of a step that a fresh process takes."""
    command = [sys.executable, "-m", "benchmarks.index", step, *map(str, files)]
    figures: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return figures


def main() -> bool:
    """Print the figures; tell whether all targets are met."""
    met = []

    def say(name: str, value: float, unit: str, limit: float | None = None) -> None:
        verdict = "" if limit is None else f"   below {limit:g}: {'met' if value < limit else 'MISSED'}"
        print(f"{name:42}{value:10.2f} {unit:3}{verdict}", flush=True)
        met.append(limit is None or value < limit)

    with TemporaryDirectory() as folder:
        file, empty = Path(folder, "index.sqlite"), Path(folder, "empty.sqlite")
        built = in_process("build", file)
        print(f"{ARTICLES} articles, {built['captures']:.0f} captures")
        say("build, making the captures included", built["seconds"], "s")
        say("record()", built["recording"], "µs", RECORD)
        say("size on disk, an article", file.stat().st_size / ARTICLES, "B", DISK)
        start = in_process("start", file)
        say(f"start, {start['files']:.0f} files of the publisher", start["seconds"], "s", START)
        looks = in_process("look", file)
        for name in ("address", "address_missing", "article", "place", "place_missing"):
            say(f"{name.replace('_', '(), ')}{'' if '_' in name else '()'}", looks[name], "µs", LOOKUP)
        say("related()", looks["related"], "µs", RELATED)
        count = in_process("count", file)
        say(f"census(), {count['articles']:.0f} articles", count["seconds"], "s", CENSUS)
        run = in_process("hourly", file, empty)
        say(f"commit of {GROUP}, empty index", run["empty"], "ms")
        say(f"commit of {GROUP}", run["large"], "ms")
        say("longer than in the empty one, an article", (run["large"] - run["empty"]) * 1e3 / GROUP, "µs", SLOWER)
        say("memory, peak of all", max(step["memory"] for step in (built, start, looks, count, run)), "MB", MEMORY)
    return all(met)


def step(name: str, *files: Path) -> None:
    """Take one step of the benchmark."""
    if name == "start":
        started(*files)
    elif name == "hourly":
        hourly(*files)
    else:
        with Index(*files) as index:
            {"build": build, "look": looked_up, "count": counted}[name](index)


if __name__ == "__main__":
    step(sys.argv[1], *map(Path, sys.argv[2:]))
