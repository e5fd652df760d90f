"""A publisher on loopback that answers as badly as tests ask it to, and real crawls of it.

A crawl is ``scrapy crawl cna`` in a process of its own with the project's settings. It meets the server as its
HTTP proxy, so that the publisher's own addresses are asked for; names are resolved without the network.
"""

import json
import os
import re
import resource
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from types import MappingProxyType
from typing import Any

from scrapy import signals
from scrapy.http import Response
from scrapy.resolver import CachingThreadedResolver
from scrapy.statscollectors import MemoryStatsCollector
from twisted.internet import defer
from twisted.internet.error import DNSLookupError

from newsarchive.copies import Copies
from newsarchive.ledger import Ledger
from newsarchive.listing import Listing
from newsarchive.run import article_ended, listing_ended
from newsarchive.wayback import Copy
from spiders.cna import CnaSpider
from spiders.rfi import RfiSpider

ROOT = Path(__file__).parents[1]

#: What is sent: bytes as they are, or whatever a function does with the connection.
Answer = bytes | Callable[[socket.socket], None]


def reply(
    body: bytes | str = b"", status: str = "200 OK", type: str = "text/html; charset=utf-8", **headers: str
) -> bytes:
    """Return a whole answer; ``content_length="7"`` and the like add or replace headers, None leaves one out."""
    body = body.encode() if isinstance(body, str) else body
    named = {"content_type": type, "content_length": str(len(body)), "connection": "close", **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in named.items() if value is not None]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1") + body


def chunks(*pieces: bytes, end: bytes = b"0\r\n\r\n", **headers: str) -> bytes:
    """Return an answer in chunks; without its ``end`` it is cut."""
    head = reply(b"", content_length=None, transfer_encoding="chunked", **headers)
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + end


def reset(connection: socket.socket) -> None:
    """Break the connection off."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def silence(connection: socket.socket) -> None:
    """Say nothing, until the other side has had enough."""
    with suppress(OSError):
        connection.recv(1)


def drip(connection: socket.socket) -> None:
    """Send a page so slowly that it never ends."""
    with suppress(OSError):
        connection.sendall(reply("<html>", content_length="1000000"))
        while True:
            connection.sendall(b" ")
            time.sleep(0.05)


def flood(megabytes: int, head: bytes) -> Callable[[socket.socket], None]:
    """Return an answer that sends as much as the other side takes."""

    def pour(connection: socket.socket) -> None:
        with suppress(OSError):
            connection.sendall(head)
            for _ in range(megabytes):
                connection.sendall(b"x" * (1 << 20))

    return pour


class Server(ThreadingTCPServer):
    """Answers each address as it was told, the first time with the first answer, and notes what it is asked."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, url: str, *answers: Answer) -> str:
        """Say how to answer an address: one answer after the other, the last one from then on."""
        self.answers[url] = list(answers)
        return url

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: broken connections are what this is about."""


class _Handler(StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        url = self.rfile.readline().split(b" ")[1].decode("latin-1")
        headers = {}
        while (line := self.rfile.readline()) not in (b"\r\n", b"\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        self.server.asked.append(url)
        self.server.headers.append(headers)
        self.server.times.append(time.monotonic())
        answers = self.server.answers.get(url) or [reply("Not found", "404 Not Found")]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer):
            answer(self.connection)
        else:
            self.connection.sendall(answer)


@contextmanager
def serving() -> Iterator[Server]:
    """Run a server while the context lasts."""
    with Server() as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


class NoNetwork(CachingThreadedResolver):
    """Knows loopback, and ``refused.cna.com.tw`` there; every other name does not exist."""

    def getHostByName(self, name: str, timeout: Any = ()) -> Any:
        if name in ("127.0.0.1", "refused.cna.com.tw"):
            return defer.succeed("127.0.0.1")
        return defer.fail(DNSLookupError(f"{name} is not known to tests"))


def megabytes() -> int:
    """Return the most memory that this program had; what ``getrusage`` says may be that of who started it."""
    if match := re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text()):
        return int(match[1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


class SavedStats(MemoryStatsCollector):
    """Writes what a run counted, and how each address ended, to where CRAWL_REPORT says."""

    def __init__(self, crawler: Any) -> None:
        super().__init__(crawler)
        self.endings: list[tuple[str, str]] = []
        self.file = Path(os.environ["CRAWL_REPORT"])
        crawler.signals.connect(self.ended, article_ended)
        crawler.signals.connect(self.ended, listing_ended)
        crawler.signals.connect(self.scheduled, signals.request_scheduled)
        self.requests: list[str] = []

    def ended(self, url: str, refusal: Any = None, **found: Any) -> None:
        self.endings.append((url, refusal.reason if refusal else next(iter(found.keys() & {"article", "links"}))))

    def scheduled(self, request: Any) -> None:
        """Note what is asked for first: not what is tried again, nor where redirects lead."""
        if not {"redirect_urls", "retry_times"} & request.meta.keys():
            self.requests.append(request.url)

    def close_spider(self, *args: Any, **kwargs: Any) -> None:
        super().close_spider(*args, **kwargs)
        stats = {name: value for name, value in self.get_stats().items() if isinstance(value, int | float | str)}
        peak = megabytes()
        report = {"endings": self.endings, "requests": self.requests, "stats": stats, "megabytes": peak}
        self.file.write_text(json.dumps(report))


class LocalCopies(Copies):
    """Asks for copies without TLS."""

    def listing(self, url: str, **question: Any) -> str:
        return without_tls(super().listing(url, **question))

    def address(self, copy: Copy) -> str:
        return without_tls(super().address(copy))


def without_tls(url: str) -> str:
    return url.replace("https://web.", "http://web.", 1)


class LocalSpider(CnaSpider):
    """Reads CNA from listings of the tests: the real ones are asked for by https, for which no proxy can speak."""

    name = "cna"
    listings = tuple(Listing(url, spare=True) for url in os.environ.get("CRAWL_SPARES", "").split())
    start_urls = os.environ.get("CRAWL_LISTINGS", "").split() + [listing.url for listing in listings]

    def number_url(self, id: str) -> str:
        return super().number_url(id).replace("https:", "http:")

    @cached_property
    def copies(self) -> Copies:
        return LocalCopies(self)


class LocalRfiSpider(RfiSpider):
    """Reads RFI from listings of the tests."""

    name = "rfi"
    start_urls = LocalSpider.start_urls


class BrokenSpider(LocalSpider):
    """Breaks on every page."""

    name = "broken"

    def parse(self, response: Response, **kwargs: Any) -> Any:
        raise RuntimeError("the spider is broken")


class BrokenLedger(Ledger):
    """Breaks on the account."""

    def account(self, stats: dict[str, Any]) -> dict[str, Any]:
        raise RuntimeError("the account is broken")


@dataclass
class Crawl:
    """What came of a crawl."""

    status: int
    stdout: str
    log: str
    archive: Path
    endings: list[tuple[str, str]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    stats: dict[str, Any] = field(default_factory=dict)
    #: The most memory that the process had.
    megabytes: int = 0

    @property
    def ended(self) -> dict[str, str]:
        """How each address ended: ``article``, ``links`` or a reason."""
        return dict(self.endings)

    @property
    def counted(self) -> dict[str, int]:
        """What was counted of articles and listings."""
        return {name: value for name, value in self.stats.items() if re.match("article/|listing/(?!links)", name)}

    @property
    def posts(self) -> list[str]:
        """All posts of the archive, drafts too, by name."""
        found = self.archive.glob("_posts/**/*")
        return sorted(str(path.relative_to(self.archive)) for path in found if path.is_file())


def crawl(
    server: Server,
    folder: Path,
    *only: str,
    listings: tuple[str, ...] = (),
    spares: tuple[str, ...] = (),
    publisher: str = "cna",
    args: Mapping[str, str] = MappingProxyType({}),
    **settings: object,
) -> Crawl:
    """Crawl the addresses ``only``, or the ``listings`` instead of the publisher's, and say what came of it.

    ``spares`` are listings to ask in place of those; ``args`` are further arguments of the spider.
    """
    archive = Path(str(settings.pop("ARCHIVE_DIR", folder / "archive")))
    settings = {
        **({"SPIDER_MODULES": "server"} if listings or args or publisher == "broken" else {}),
        "ARCHIVE_DIR": archive,
        "DOWNLOAD_DELAY": 0,
        "BACKOFF_START": 0,
        "STRICT_HOSTS": "{}",
        "RETRY_TIMES": 1,
        # Runs of a test lie seconds apart: nothing would be due.
        "REFRESH": True,
        "WAYBACK": False,
        "STATS_CLASS": "server.SavedStats",
        "TWISTED_DNS_RESOLVER": "server.NoNetwork",
        **settings,
    }
    command = [sys.executable, "-m", "scrapy", "crawl", publisher]
    for name, value in settings.items():
        command += ["-s", f"{name}={value}"]
    if only:
        command += ["-a", f"only={' '.join(only)}"]
    for name, value in args.items():
        command += ["-a", f"{name}={value}"]
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        "http_proxy": server.url,
        "https_proxy": server.url,
        "no_proxy": "unknown.cna.com.tw,refused.cna.com.tw",
        "PYTHONPATH": str(Path(__file__).parent),
        "CRAWL_REPORT": str(report),
        "CRAWL_LISTINGS": " ".join(listings),
        "CRAWL_SPARES": " ".join(spares),
        "PYTHONWARNINGS": "default",
    }
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    told = json.loads(report.read_text()) if report.exists() else {}
    told["endings"] = [tuple(ending) for ending in told.get("endings", ())]
    return Crawl(done.returncode, done.stdout, done.stderr, archive, **told)


def calling(server: Server, archive: Path, *words: str) -> tuple[list[str], dict[str, str]]:
    """Return a command that starts crawls, and its environment; all publishers meet the server as their proxy.

    Listings are named by ``CRAWL_LISTINGS`` in the environment.
    """
    settings = {
        "SPIDER_MODULES": "server",
        "ARCHIVE_DIR": archive,
        "DOWNLOAD_DELAY": 0,
        "BACKOFF_START": 0,
        "RETRY_TIMES": 0,
        "WAYBACK": False,
        "TWISTED_DNS_RESOLVER": "server.NoNetwork",
    }
    options = [word for name, value in settings.items() for word in ("-s", f"{name}={value}")]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        "http_proxy": server.url,
        "https_proxy": server.url,
        # Alerts go to another server.
        "no_proxy": "127.0.0.1",
        "PYTHONPATH": str(Path(__file__).parent),
    }
    return [sys.executable, "-m", "scrapy", *words, *options], environment


def article_url(id: str) -> str:
    """Return the address of an article, as the proxy is asked for it."""
    return f"http://www.cna.com.tw/news/ahel/{id}.aspx"


TITLE = "河岸新步道今天開放"
PARAGRAPHS = (
    "（中央社記者測試台北15日電）這是為測試所寫的第一段文字，沒有任何一句出自真正的報導。",
    "第二段說明步道全長三公里，沿途設有座椅與照明，週末開放自行車通行。",
    "（編輯：測試）1130115",
)


def cna_page(
    id: str,
    *,
    title: str = TITLE,
    paragraphs: tuple[str, ...] = PARAGRAPHS,
    inside: str = "",
    head: str = '<meta charset="utf-8">',
    canonical: str = "",
    published: str = "2024-01-15T10:00:00+08:00",
) -> str:
    """Return a page in the layout since 2023; ``inside`` is mark-up that follows the paragraphs."""
    address = canonical or f"https://www.cna.com.tw/news/ahel/{id}.aspx"
    about = {
        "@context": "https://schema.org",
        "@type": "NewsArticle",
        "mainEntityOfPage": address,
        "headline": title,
        "about": "為測試所寫的摘要。",
        "keywords": ["步道", "NewsArticle"],
        "articleSection": "生活",
        "datePublished": published,
        "dateModified": published,
        "author": {"@type": "Organization", "name": "中央通訊社"},
    }
    text = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    return f"""<!DOCTYPE html>
<html lang="zh-Hant-TW"><head>{head}
<title>{escape(title)} | 生活 | 中央社 CNA</title>
<link rel="canonical" href="{address}">
<meta property="og:title" content="{escape(title)} | 生活 | 中央社 CNA">
<script type="application/ld+json">{json.dumps(about, ensure_ascii=False)}</script>
</head><body><article class="article"><div class="centralContent">
<div class="breadcrumb"><a href="/">首頁</a><a href="/list/ahel.aspx">生活</a></div>
<h1><span>{escape(title)}</span></h1>
<div class="paragraph">{text}{inside}</div>
</div></article></body></html>
"""
