"""How much memory a replay takes, and whether it grows with the number of pages.

Fixtures are made for as many pages as asked, in the layout of CNA since 2023, each with an address and an id of its
own and gzipped as it would come over the wire; ``scrapy replay`` crawls them as it crawls any others.
"""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from scrapy.http import HtmlResponse
from scrapy.spiderloader import get_spider_loader
from scrapy.utils.misc import load_object
from scrapy.utils.project import get_project_settings

from newsarchive.fixture import Fixture, as_json
from newsarchive.index.connection import CACHE

COUNTS = (1_000, 10_000)
#: MB. The second allows 1 kB a page, for its address, and what the index may keep of its file in memory.
LIMIT, GROWTH = 200, 9 + CACHE / 1024
#: How many of the pages a listing announces; the others are asked for by address.
LISTED = 100

ID = "202311010000"
URL = f"https://www.cna.com.tw/news/aipl/{ID}.aspx"
TITLE = f"第{ID}號試驗報導"
TIMES = {"datePublished": "2023-11-01T10:00:00+08:00", "dateModified": "2023-11-01T11:00:00+08:00"}
ABOUT = {"@type": "NewsArticle", "headline": TITLE, "articleSection": "生活", "keywords": ["試驗", "報導"], **TIMES}
#: What pages carry before and after their text: scripts, menus, lists of other articles.
AROUND = "".join(
    f"<script>{f'window.options = {{slot: {slot}}};' * 400}</script>"
    f"<ul>{f'<li class=item><a href=/list/{slot}.aspx><span>其他 {slot}</span></a></li>' * 200}</ul>"
    for slot in range(5)
)
PAGE = f"""<!DOCTYPE html><html lang="zh-Hant-TW"><head><meta charset="utf-8"><title>{TITLE}</title>
<link rel="canonical" href="{URL}"><meta property="og:title" content="{TITLE} | 生活 | 中央社 CNA">
<script type="application/ld+json">{json.dumps([ABOUT])}</script></head><body>{AROUND}<article class="article">
<div class="centralContent"><h1><span>{TITLE}</span></h1><div class="paragraph">
{"<p>這一段說明試驗如何進行，其中沒有一句話是新聞，編號一二三四五六七八九十。</p>" * 40}
<p>以上就是全文。（編輯：測試員）1121101</p></div></div></article>{AROUND}</body></html>"""
#: Runs a command, its output put aside, and prints the peak of its memory in KiB (Linux); fails if it fails.
MEASURE = """import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=sys.stderr)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"""


def make(folder: Path, count: int) -> None:
    """Write fixtures: the pages, and the listing and the robots.txt that a crawl asks for."""
    settings = get_project_settings()
    spider = get_spider_loader(settings).load("cna")()
    article = spider.read(HtmlResponse(URL, body=PAGE.encode()))
    for step in settings.getlist("READ_STEPS"):
        article = load_object(step)(article)
    saved = {"fetched": "2023-11-02", "status": 200}
    headers = {"Content-Type": "text/html; charset=utf-8", "Content-Encoding": "gzip"}
    expected = json.dumps({**saved, "url": URL, "headers": headers, "article": as_json(article)})
    ids = [str(int(ID) + number) for number in range(count)]
    for own in ids:
        body = gzip.compress(PAGE.replace(ID, own).encode(), 1)
        Fixture(folder / f"{own}.html", json.loads(expected.replace(ID, own))).save(body)
    links = [URL.replace(ID, own) for own in ids[:LISTED]]
    entries = "".join(f"<url><loc>{link}</loc></url>" for link in links)
    listing = {**saved, "url": spider.start_urls[0], "listing": True, "links": [[link, None] for link in links]}
    Fixture(folder / "listing.xml", listing).save(f"<urlset>{entries}</urlset>".encode())
    Fixture(folder / "robots.txt", {**saved, "url": "https://www.cna.com.tw/robots.txt"}).save(b"User-agent: *\n")


def replay(folder: Path, archive: Path) -> tuple[float, float]:
    """Replay a fixture tree with the real command; return the peak of its memory in MB, and the seconds it took."""
    start = perf_counter()
    command = [sys.executable, "-m", "scrapy", "replay", str(folder), "-s", f"ARCHIVE_DIR={archive}"]
    # A small process in between: the peak of a child counts what its parent held when it started it.
    told = subprocess.run([sys.executable, "-c", MEASURE, *command], check=True, capture_output=True, text=True)
    return float(told.stdout) / 1024, perf_counter() - start


def main() -> bool:
    """Print a table of both replays; tell whether memory is bounded."""
    peaks = []
    print("  pages   peak MB   pages/s")
    for count in COUNTS:
        with TemporaryDirectory() as folder:
            make(Path(folder, "fixtures", "cna"), count)
            peak, took = replay(Path(folder, "fixtures"), Path(folder, "archive"))
        peaks.append(peak)
        print(f"{count:7}{peak:10.1f}{count / took:10.0f}", flush=True)
    growth, more = peaks[1] - peaks[0], COUNTS[1] - COUNTS[0]
    print(f"\npeak: {peaks[1]:.1f} MB, below {LIMIT}: {'met' if peaks[1] < LIMIT else 'MISSED'}")
    told = f"{growth:.1f} MB, {growth * 1000 / more:.2f} kB a page of {len(PAGE.encode()) // 1000} kB"
    print(f"growth: {told}, below {GROWTH:.0f}: {'met' if growth < GROWTH else 'MISSED'}")
    return peaks[1] < LIMIT and growth < GROWTH
