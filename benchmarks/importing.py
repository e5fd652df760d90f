"""How fast existing archives are taken over: ``scrapy import`` of generated posts of 3 kB, in one process.

Posts of CNA in the front form lie in a folder as older writers left them, and are checked in a zip file, too. A tenth
is of articles that have another post, so that revisions are met. What memory a million would take is told from what
so many and a few more take.
"""

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.crawl import DISK, MEASURE, spread

HERE = Path(__file__).resolve().parent
COUNTS = (20_000, 60_000)
#: Posts per second and core, and MB.
CHECKED, KEPT, LIMIT = 2_000, 500, 200
MILLION = 1_000_000
BEGIN = datetime(2012, 1, 1, 4, 30, tzinfo=UTC)
LABEL = "(臺)中央社CNA"
POST = """---
layout: post
title: "{title}"
date: {date}
author: {label}
from: {url}
tags: [ {label} ]
comments: True
categories: [ {label} ]
---
<!--{stamp}-->
[{title}]({url})
------

<div>
{body}
</div>
"""


def make(folder: Path, count: int) -> None:
    """Write so many posts, each tenth of the article before it."""
    for number in range(count):
        published = BEGIN + timedelta(minutes=20 * number)
        of = number - 1 if number % 10 == 9 else number
        id = f"{BEGIN + timedelta(minutes=20 * of):%Y%m%d}{of % 72:04}"
        sentence = f"這一段說明第{number}次試驗如何進行，其中沒有一句話是新聞，編號一二三四五六七八九十。"
        text = POST.format(
            title=f"第{number}次試驗今天開始",
            date=f"{published:%Y-%m-%dT%H:%M:%S.000Z}",
            stamp=int(published.timestamp()) * 1000,
            label=LABEL,
            url=f"https://www.cna.com.tw/news/ahel/{id}.aspx",
            body="".join(f"<p>{sentence}</p>" for _ in range(9)),
        )
        (folder / f"{published:%Y-%m-%d}-{number}.md").write_text(text, "utf-8")


def take_over(folder: Path, archive: Path, *words: str) -> tuple[float, float]:
    """Run the real command; return the CPU time in seconds and the peak of memory in MB.

    Raises CalledProcessError or RuntimeError if it fails.
    """
    command = ["-m", "scrapy", "import", str(folder), *words, "-s", f"ARCHIVE_DIR={archive}"]
    measured = [sys.executable, "-c", MEASURE, sys.executable, *command]
    told = subprocess.run(measured, cwd=HERE.parent, capture_output=True, text=True, check=True)
    _, kilobytes, cpu, status = json.loads(told.stdout.splitlines()[-1])
    if status:
        raise RuntimeError(f"exit status {status}: {told.stderr[-2000:]}")
    return cpu, kilobytes / 1024


def main() -> bool:
    """Print how fast posts are checked and kept, and with how much memory; tell whether the targets are met."""
    met = []
    with TemporaryDirectory(dir=DISK) as name:
        spread(Path(name))
        few, many, one = (Path(name, part) for part in ("few", "many", "one"))
        for folder, count in ((one, 1), (few, COUNTS[0]), (many, COUNTS[1])):
            folder.mkdir()
            make(folder, count)
        start, _ = take_over(one, Path(name, "archive-of-one"), "--check")
        (_, small), (checked, large) = (take_over(part, Path(name, "none"), "--check") for part in (few, many))
        kept, peak = take_over(few, Path(name, "archive"))
        packed = [Path(shutil.make_archive(str(part), "zip", part)) for part in (few, many)]
        zipped = [take_over(part, Path(name, "none"), "--check")[1] for part in packed]
    print(f"{COUNTS[0]} and {COUNTS[1]} posts of 3 kB, without the {start:.1f} s in which the command starts")
    for what, seconds, count, least in (
        ("checked", checked - start, COUNTS[1], CHECKED),
        ("kept", kept - start, COUNTS[0], KEPT),
    ):
        rate = count / seconds
        met.append(rate >= least)
        print(f"{rate:8.0f} posts {what} per second and core, at least {least}: {'met' if met[-1] else 'MISSED'}")
    memory = [(f"{COUNTS[0]} posts kept", peak)]
    for what, (less, more) in (("a folder", (small, large)), ("a zip file", zipped)):
        million = more + (more - less) / (COUNTS[1] - COUNTS[0]) * (MILLION - COUNTS[1])
        memory.append((f"a million in {what}, told from {more:.0f} MB for {COUNTS[1]}", million))
    for what, megabytes in memory:
        met.append(megabytes < LIMIT)
        print(f"{megabytes:8.0f} MB for {what}, below {LIMIT}: {'met' if met[-1] else 'MISSED'}")
    print()
    return all(met)
