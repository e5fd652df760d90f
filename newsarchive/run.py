"""One execution of a spider: how each address ended, and whether all is well.

Endings are announced as signals, so that whoever keeps a report need not be
known to spiders and pipelines.
"""

from collections.abc import Mapping
from typing import Any, Self

from scrapy import Request, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import DropItem
from scrapy.http import Response

from newsarchive.article import Article, Refused
from newsarchive.capture import NO_RESPONSES
from newsarchive.layout import note_layout

__all__ = [
    "ALREADY_RUNNING",
    "COMMAND_PRIORITY",
    "KEPT",
    "PASSING",
    "RunExtension",
    "article_ended",
    "asked",
    "capture_ended",
    "failures",
    "first_asked",
    "listing_ended",
    "post_written",
    "refusals",
]

#: Sent with ``url`` and either ``article`` or ``refusal``, once for each article address; the article is None if the
#: server says that it has not changed; a refusal comes with the ``capture`` it is about, None if there is none.
article_ended = object()
#: Sent with ``capture`` and ``ending`` for a capture that ends without its address: it is asked for again.
capture_ended = object()
#: Sent with ``url`` and either ``links`` or ``refusal``, once for each listing.
listing_ended = object()
#: Sent with ``article``, ``file`` and ``ending`` (stored, revised, unchanged) once for each article that has its post.
post_written = object()

#: What commands set goes above the project's settings and a spider's, and below the command line's.
COMMAND_PRIORITY = 35
#: Exit status of a run that finds another one of the same publisher under way.
ALREADY_RUNNING = 3
#: How articles end that are in the archive.
KEPT = ("stored", "revised", "unchanged")
#: What a publisher may do at any time: an article that is gone is not a failed run.
GONE = ("status-404", "status-410", "status-451")
#: Refusals that say "somebody has to look": a layout changed, a page broke the reader, or we are kept out, as by a 403.
ALARMS = (
    *("drift", "unknown-layout", "unreadable", "encoding", "body-lost", "truncated", "no-time", "bad-time"),
    *("challenge", "consent", "malformed-item"),
)

#: Endings after which an address is asked for again by the next run: they say nothing of the article.
PASSING = frozenset(
    (
        *("timeout", "dns", "no-connection", "no-response", "truncated", "robots-unreachable", "backing-off", "budget"),
        *("blocked", "crawl-delay", "stopped", "exception", "capture", "clock", "challenge", "consent"),
        *("status-403", "status-408", "status-425", "status-429", "partial"),
        *(f"status-{status}" for status in range(500, 600)),
    )
)


class RunExtension:
    """Counts what pipelines did to articles, and what broke."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Return the extension, listening to a crawler's run."""
        extension = cls(crawler)
        crawler.signals.connect(extension.dropped, signals.item_dropped)
        crawler.signals.connect(extension.stored, signals.item_scraped)
        crawler.signals.connect(extension.pipeline_failed, signals.item_error)
        return extension

    def stored(self, item: Article, response: Response | None) -> None:
        """Announce an article that went through all pipelines."""
        if item.partial:
            # Its address has ended: its page could not be had.
            return
        self.crawler.signals.send_catch_log(article_ended, url=_asked(response, item), article=item)

    def dropped(self, item: Article, response: Response | None, exception: DropItem) -> None:
        """Count and announce an article that a pipeline refused."""
        refusal = exception if isinstance(exception, Refused) else Refused("dropped", str(exception))
        self.announce(response, item, "refused", refusal)

    def pipeline_failed(self, item: Article, response: Response | None, failure: Any) -> None:
        """Count and announce an article that a pipeline broke on; it is not stored."""
        self.announce(response, item, "failed", Refused("pipeline", repr(failure.value)))

    def announce(self, response: Response | None, item: Article, ending: str, refusal: Refused) -> None:
        """Count and announce that an article is not stored."""
        if item.partial:
            self.crawler.stats.inc_value(f"partial/{ending}/{refusal.reason}")
            self.crawler.signals.send_catch_log(capture_ended, capture=item.capture, ending=refusal.reason)
            return
        self.crawler.stats.inc_value(f"article/{ending}/{refusal.reason}")
        note_layout(refusal, item.layout)
        url = _asked(response, item)
        self.crawler.signals.send_catch_log(article_ended, url=url, refusal=refusal, capture=item.capture)


def _asked(response: Response | None, item: Article) -> str:
    """Return the address for which an article was read; a replay has captures, and no responses to requests."""
    # What is no response itself has that of a listing.
    if item.capture and (response is None or item.capture.kind in NO_RESPONSES):
        return item.capture.url
    return asked(response) if response else item.url


def first_asked(request: Request) -> str:
    """Return the address that was asked for at first, before redirects."""
    address: str = request.meta.get("redirect_urls", [request.url])[0]
    return address


def asked(response: Response) -> str:
    """Return the address for which a response is the answer."""
    return first_asked(response.request) if response.request else response.url


def failures(stats: Mapping[str, Any]) -> list[str]:
    """Return what a run failed at, one line each; empty if all is well."""

    def total(prefix: str) -> int:
        return sum(value for name, value in stats.items() if name.startswith(prefix))

    failed = [
        f"{value} × {name}"
        for name, value in sorted(stats.items())
        if name.startswith("listing/failed/")
        or (name.startswith("article/failed/") and not name.endswith(GONE))
        or (name.startswith("article/refused/") and name.endswith(ALARMS))
    ]
    ended = stats.get("article/failed/exception", 0) + stats.get("listing/failed/exception", 0)
    if (broken := stats.get("spider_exceptions/count", 0) - ended) > 0:
        failed.append(f"{broken} × exception in the spider")
    if (reason := stats.get("finish_reason", "finished")) != "finished":
        failed.append(f"stopped before its end: {reason}")
    found = total("article/") or stats.get("listing/links")
    if not (found or any(map(stats.get, ("listing/not-due", "backfill/days", "recheck/only")))):
        failed.append("nothing found where articles must be")
    return failed


def refusals(stats: Mapping[str, Any]) -> dict[str, int]:
    """Return how often each reason was given for refusing or failing, by ``refused/<reason>`` and the like."""
    prefixes = ("article/refused/", "article/failed/", "listing/failed/")
    return {name: value for name, value in sorted(stats.items()) if name.startswith(prefixes)}
