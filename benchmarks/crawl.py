"""How fast a whole crawl is, next to plain Scrapy with an empty callback on the same server.

nginx serves article pages of 100 kB in the layout of CNA before 2018, each with an address and a text of its own
(``benchmarks/pages.py``). It is met as the HTTP proxy, so that the publisher's own addresses are asked for. Plain
Scrapy asks for all of them and does nothing with the answers. ``scrapy crawl cna`` reads the listing and the pages,
captures them and writes posts and index, all synced, with the project's settings but for its manners: no delay, and
the concurrency that Scrapy ships. Both take turns, and a contender's time is that of its fastest round.

A run's time is from the first request that reaches nginx to the end of the process.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from gzip import compress
from pathlib import Path
from socket import create_connection, socket
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from urllib.parse import urlsplit

from benchmarks.pages import BEFORE_2018, make
from spiders.cna import CnaSpider

HERE = Path(__file__).resolve().parent
PAGES, SIZE, ROUNDS = 2_000, 100_000, 5
#: Pages per second, as a share of plain Scrapy's.
TARGET, AIM = 0.6, 1.0
HOST = "http://www.cna.com.tw"
LISTING = f"{HOST}/GoogleNewsSitemap_fromRemote_cfp.xml"
#: On the disk, where ``/tmp`` may be in memory.
DISK = "/var/tmp"

NGINX = """worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr error;
{user}
events {{ worker_connections 256; }}
http {{
    log_format times '$msec $request_time $status $uri';
    access_log {folder}/access.log times;
    {temporary}
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000;
    gzip_static {gzip};
    types {{ text/html aspx; text/xml xml; text/plain txt; }}
    charset utf-8;
    server {{ listen 127.0.0.1:{port}; root {folder}/www; }}
}}
"""
#: What a newcomer writes, and Scrapy's own settings.
PLAIN = """import scrapy

class PlainSpider(scrapy.Spider):
    name = "plain"
    start_urls = open("addresses").read().split()

    def parse(self, response):
        pass
"""
#: Runs a command and prints when it ended, the peak of its memory in KiB (Linux), its CPU time and its exit status.
#: A small process in between: the peak of a child counts what its parent held when it started it.
MEASURE = """import os, subprocess, sys, time
process = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
_, status, used = os.wait4(process.pid, 0)
print([time.time(), used.ru_maxrss, used.ru_utime + used.ru_stime, os.waitstatus_to_exitcode(status)])"""


class LocalSpider(CnaSpider):
    """Reads CNA from a listing without TLS, for which a proxy can speak."""

    name = "cna"
    start_urls = [LISTING]


@dataclass(frozen=True)
class Run:
    """What a crawl took."""

    seconds: float
    cpu: float
    megabytes: float
    #: What went wrong; empty if all pages were served, and what had to be written is there.
    problem: str = ""


def installed() -> bool:
    """Tell whether nginx is here; install Debian's if that is possible."""
    if not shutil.which("nginx") and shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "install", "-y", "-qq", "nginx-light"], check=False, stdout=sys.stderr)
    return shutil.which("nginx") is not None


def write_pages(folder: Path) -> None:
    """Write what nginx serves, and the addresses of all articles."""
    urls = []
    for number in range(PAGES):
        page = make(BEFORE_2018, SIZE, number)
        file = folder / "www" / urlsplit(page.url).path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(page.body)
        file.with_name(f"{file.name}.gz").write_bytes(compress(page.body, 6))
        urls.append(page.url)
    entries = "".join(f"<url><loc>{url}</loc></url>" for url in urls)
    Path(folder, "www", urlsplit(LISTING).path.lstrip("/")).write_text(f"<urlset>{entries}</urlset>")
    Path(folder, "www", "robots.txt").write_text("User-agent: *\nDisallow: /search\n")
    Path(folder, "addresses").write_text("\n".join(urls))
    Path(folder, "plain.py").write_text(PLAIN)


def spread(folder: Path) -> None:
    """Let each folder in a folder begin in a part of the disk of its own, where that can be said (ext4).

    Ext4 does not reuse the inode of a file that was removed minutes ago, and looks for another one by one: after a
    benchmark or a test that removed thousands of files, creating one next to them takes a millisecond.
    """
    if shutil.which("chattr"):
        subprocess.run(["chattr", "+T", folder], check=False, stderr=subprocess.DEVNULL)


@contextmanager
def serving(folder: Path, gzip: bool) -> Iterator[str]:
    """Run nginx on a free port of loopback while the context lasts; yield its address."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    config = NGINX.format(
        folder=folder,
        port=port,
        gzip="on" if gzip else "off",
        user="user root;" if os.geteuid() == 0 else "",
        temporary=" ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds),
    )
    Path(folder, "nginx.conf").write_text(config)
    process = subprocess.Popen(["nginx", "-p", folder, "-c", folder / "nginx.conf"])
    try:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait until somebody listens on a port; raise RuntimeError if the process ends or takes longer than 10 s."""
    until = monotonic() + 10
    while process.poll() is None and monotonic() < until:
        with suppress(OSError), create_connection(("127.0.0.1", port), 1):
            return
        sleep(0.02)
    raise RuntimeError("nginx does not start")


def run(command: list[str], where: Path, folder: Path, proxy: str) -> Run:
    """Run a crawl; return what it took."""
    log = folder / "access.log"
    os.truncate(log, 0)
    unwanted = ("_proxy", "scrapy_settings_module")
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith(unwanted)}
    environment |= {"http_proxy": proxy, "PYTHONPATH": str(HERE.parent)}
    measured = [sys.executable, "-c", MEASURE, sys.executable, "-m", "scrapy", *command]
    with Path(folder, "crawl.log").open("w") as output:
        told = subprocess.run(
            measured, cwd=where, env=environment, stdout=subprocess.PIPE, stderr=output, text=True, check=True
        )
    end, kilobytes, cpu, status = json.loads(told.stdout)
    served = [line.split() for line in log.read_text().splitlines()]
    began = min((float(at) - float(took) for at, took, *_ in served), default=end)
    articles = {path for _, _, answer, path in served if answer == "200" and path.startswith("/news/")}
    problem = f"exit status {status}" if status else f"{len(articles)} pages served" if len(articles) != PAGES else ""
    if problem:
        print(Path(output.name).read_text()[-2000:], file=sys.stderr)
    return Run(end - began, cpu, kilobytes / 1024, problem)


def plain(folder: Path, proxy: str) -> Run:
    """Crawl with Scrapy as shipped and a callback that does nothing."""
    return run(["runspider", "plain.py"], folder, folder, proxy)


def project(folder: Path, proxy: str) -> Run:
    """Crawl with ``scrapy crawl cna``, without its manners."""
    with TemporaryDirectory(dir=folder) as archive:
        settings = {
            "ARCHIVE_DIR": archive,
            "SPIDER_MODULES": "benchmarks.crawl",
            "CONCURRENT_REQUESTS": 16,
            "CONCURRENT_REQUESTS_PER_DOMAIN": 8,
            "DOWNLOAD_DELAY": 0,
        }
        options = [part for name, value in settings.items() for part in ("-s", f"{name}={value}")]
        found = run(["crawl", "cna", *options], HERE.parent, folder, proxy)
        return Run(found.seconds, found.cpu, found.megabytes, found.problem or lack(Path(archive)))


def lack(archive: Path) -> str:
    """Return what an archive lacks of what a crawl must leave in it; empty if all is there."""
    posts = sum(1 for _ in archive.glob("_posts/cna/*/*.md"))
    if posts != PAGES:
        return f"{posts} posts"
    missing = [
        name for name in ("captures/cna/*.warc.gz", "index.sqlite", "runs/*-cna.json") if not [*archive.glob(name)]
    ]
    return f"no {', no '.join(missing)}" if missing else ""


def compare(folder: Path, gzip: bool) -> bool:
    """Print a table of both contenders; tell whether the target is met."""
    contenders = {"plain Scrapy": plain, "scrapy crawl cna": project}
    with serving(folder, gzip) as proxy:
        rounds = [[crawl(folder, proxy) for crawl in contenders.values()] for _ in range(ROUNDS)]
    best = []
    for name, runs in zip(contenders, zip(*rounds, strict=True), strict=True):
        best.append(fastest := min(runs, key=lambda run: run.seconds))
        middle = median(run.seconds for run in runs)
        rates = f"{PAGES / fastest.seconds:10.0f}{PAGES / middle:10.0f}{fastest.cpu / PAGES * 1000:12.2f}"
        problems = {run.problem for run in runs} - {""}
        print(f"{name:18}{rates}{max(run.megabytes for run in runs):10.0f}   {'; '.join(problems)}", flush=True)
    ratio = best[0].seconds / best[1].seconds
    middle = median(plain.seconds / project.seconds for plain, project in rounds)
    whole = not any(run.problem for pair in rounds for run in pair)
    verdict = "met" if ratio >= TARGET and whole else "MISSED"
    print(f"ratio {ratio:.2f} (median of rounds {middle:.2f}), at least {TARGET}: {verdict}; the aim is {AIM}\n")
    return ratio >= TARGET and whole


def main() -> bool:
    """Compare both on pages as they are and compressed; tell whether the target is met on both."""
    if not installed():
        print("nginx is missing (Debian: nginx-light), so nothing can be measured: MISSED")
        return False
    with TemporaryDirectory(dir=DISK) as name:
        folder = Path(name)
        spread(folder)
        write_pages(folder)
        met = []
        for served, gzip in (("as they are", False), ("gzipped", True)):
            print(f"{PAGES} pages of {SIZE // 1000} kB, {served}; {ROUNDS} rounds")
            print(f"{'':18}{'pages/s':>10}{'median':>10}{'CPU ms/page':>12}{'peak MB':>10}")
            met.append(compare(folder, gzip))
    return all(met)
