"""The world that runs are tortured in: a publisher that changes between two runs, and what a run says of itself.

The first run stores A, B and D, and G as its feed tells of it, since its page is refused. By the second, B is edited,
C is new, D is gone, E leads to C, F is cut down to its lead, G can be had, and A stays as it is: all that can befall
an article befalls one.
"""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scrapy.statscollectors import MemoryStatsCollector
from server import PARAGRAPHS, Answer, Server, article_url, cna_page, reply

from newsarchive.run import article_ended, listing_ended
from spiders.cna import CnaSpider

LISTING = "http://www.cna.com.tw/list.xml"
FEED = "http://www.cna.com.tw/rss.xml"
A, B, C, D, E, F, G = (f"20240115000{number}" for number in range(1, 8))
MORE = "第三段是後來才加上的，說明步道旁新設了一座觀景臺。"


class TorturedSpider(CnaSpider):
    """Reads the listings of this world."""

    name = "cna"
    start_urls = [LISTING, FEED]


class OtherSpider(TorturedSpider):
    """Reads the same as another publisher."""

    name = "other"


class Told(MemoryStatsCollector):
    """Writes down at once, to the file that TOLD names, how each address ended: what is written there was promised."""

    def __init__(self, crawler: Any) -> None:
        super().__init__(crawler)
        self.file = os.open(os.environ["TOLD"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        crawler.signals.connect(self.ended, article_ended)
        crawler.signals.connect(self.ended, listing_ended)

    def ended(self, url: str, refusal: Any = None, **found: Any) -> None:
        how = refusal.reason if refusal else next(iter(found.keys() & {"article", "links"}))
        os.write(self.file, f"{how} {url}\n".encode())


def sitemap(*ids: str) -> bytes:
    urls = "".join(f"<url><loc>{article_url(id)}</loc></url>" for id in ids)
    return reply(f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</urlset>', type="text/xml")


def feed(id: str) -> bytes:
    """Return a feed by which an article came out on another day than by its page, so that its post changes its name."""
    told = "<title>報導</title><description>摘要</description><pubDate>Sun, 14 Jan 2024 02:00:00 GMT</pubDate>"
    item = f"<item>{told}<link>{article_url(id)}</link></item>"
    return reply(f'<rss version="2.0"><channel>{item}</channel></rss>', type="text/xml")


def whole(id: str, *more: str) -> bytes:
    return reply(cna_page(id, paragraphs=(*PARAGRAPHS[:2], *more, PARAGRAPHS[2])))


def at_first(server: Server) -> None:
    """Let a server be the publisher as the first run meets it."""
    server.answer("http://www.cna.com.tw/robots.txt", reply("User-agent: *\nDisallow: /none/", type="text/plain"))
    server.answer(LISTING, sitemap(A, B, D))
    for id in (A, B, D):
        server.answer(article_url(id), whole(id))
    server.answer(FEED, feed(G))
    server.answer(article_url(G), reply("no", "403 Forbidden"))


def later(server: Server) -> None:
    """Let a server be the publisher as every further run meets it."""
    at_first(server)
    server.answer(LISTING, sitemap(A, B, C, D, E, F))
    server.answer(article_url(B), whole(B, MORE))
    server.answer(article_url(C), whole(C))
    server.answer(article_url(G), whole(G))
    server.answer(article_url(D), reply("gone", "404 Not Found"))
    server.answer(article_url(E), reply("", "301 Moved Permanently", location=article_url(C)))
    notice = f"{PARAGRAPHS[0]}</p><p>{CnaSpider.expired}"
    server.answer(article_url(F), reply(cna_page(F, paragraphs=(notice,))))


def take_time(server: Server, seconds: Callable[[], float]) -> None:
    """Let a server wait before each answer."""

    def late(answer: Answer) -> Answer:
        def send(connection: socket.socket) -> None:
            time.sleep(seconds())
            assert isinstance(answer, bytes)
            connection.sendall(answer)

        return send

    for url, answers in server.answers.items():
        server.answer(url, *map(late, answers))


def command(archive: Path, *words: str) -> list[str]:
    """Return the arguments of a run in this world, by default of its publisher; or of another command."""
    settings = {
        "SPIDER_MODULES": "world",
        "ARCHIVE_DIR": archive,
        "DOWNLOAD_DELAY": 0,
        "BACKOFF_START": 0,
        "RETRY_TIMES": 0,
        # Each article is committed before the next is there.
        "COMMIT_PAUSE": 0,
        # A rerun follows at once, when nothing would be due.
        "REFRESH": True,
        "WAYBACK": False,
        "STATS_CLASS": "world.Told",
        "TWISTED_DNS_RESOLVER": "server.NoNetwork",
    }
    options = [word for name, value in settings.items() for word in ("-s", f"{name}={value}")]
    return ["scrapy", *(words or ("crawl", "cna")), *options]


def environment(server: Server, told: Path) -> dict[str, str]:
    """Return the environment of a run that meets a server as its proxy."""
    return {
        **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        "http_proxy": server.url,
        "PYTHONPATH": os.pathsep.join(str(folder) for folder in Path(__file__).parents[:3]),
        "PYTHONHASHSEED": "0",
        "TOLD": str(told),
    }
