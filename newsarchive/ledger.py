"""The account of a run: what was asked for, how each ended, and whether it adds up.

``runs/<time>-<publisher>.json`` in the archive, written once the captures are
closed and everything is in the index. Every article address that a run takes up
is in exactly one of ``stored``, ``revised``, ``unchanged``, ``refused`` and
``failed``; every listing was read or failed.
"""

import logging
import sqlite3
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from itertools import count
from typing import Any, Self

import orjson
from scrapy import Request, signals
from scrapy.crawler import Crawler
from scrapy.http import Response

from newsarchive import __version__
from newsarchive.article import Refused
from newsarchive.coverage import Span, without
from newsarchive.files import create_file
from newsarchive.frontier import Frontier
from newsarchive.index import IndexUnusable
from newsarchive.listing import Link
from newsarchive.manners import Manners
from newsarchive.profile import Profile
from newsarchive.run import KEPT, article_ended, failures, first_asked, listing_ended
from newsarchive.spider import PublisherSpider
from newsarchive.store import Store

__all__ = ["Ledger"]

logger = logging.getLogger(__name__)


def counted_as(request: Request) -> str:
    """Return as what an address is counted: ``article`` or ``listing``, or empty for what is not."""
    kind = request.meta.get("kind", "")
    return {"article": "article", "item": "article", "post": "article", "listing": "listing"}.get(kind, "")


class Ledger:
    """Keeps the account, closes the store when the run ends, and writes the account into the archive."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        #: Addresses that were taken up and have not ended, by what they are for.
        self.open: dict[str, Counter[str]] = {"article": Counter(), "listing": Counter()}
        self.scheduled: Counter[str] = Counter()
        self.listings: list[dict[str, Any]] = []
        #: What is wrong with the run, one line each; empty if all is well. Complete once the run has ended.
        self.failures: list[str] = []
        #: Times at which articles may have come and gone unseen, once the run has ended.
        self.gaps: list[Span] = []
        #: What was such a time before the run, and is none any more.
        self.filled: list[Span] = []
        #: The stretch of time that the run was to ask for, if nothing is left of it, once the run has ended.
        self.done: Span | None = None
        #: The account; empty until the run has ended.
        self.told: dict[str, Any] = {}

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Return the ledger, listening to a crawler's run."""
        ledger = cls(crawler)
        for handler, signal in (
            (ledger.taken_up, signals.request_scheduled),
            (ledger.dropped, signals.request_dropped),
            (ledger.article_ended, article_ended),
            (ledger.listing_ended, listing_ended),
            (ledger.broken, signals.spider_error),
            (ledger.closed, signals.spider_closed),
        ):
            crawler.signals.connect(handler, signal)
        return ledger

    @cached_property
    def store(self) -> Store:
        """The store of the run; not there yet when extensions are made."""
        return Store.of(self.crawler)

    @cached_property
    def frontier(self) -> Frontier:
        """What the run asked for, and what it covered."""
        frontier = self.crawler.get_extension(Frontier)
        assert frontier is not None, "newsarchive.frontier.Frontier must be among EXTENSIONS"
        return frontier

    def taken_up(self, request: Request) -> None:
        """Count an address that is to be asked for; not again where it redirects to, or when it is tried again."""
        kind = counted_as(request)
        if kind and not {"redirect_urls", "retry_times"} & request.meta.keys():
            self.open[kind][request.url] += 1
            self.scheduled[kind] += 1

    def dropped(self, request: Request) -> None:
        """Take back an address that the run has taken up already."""
        kind = counted_as(request)
        if kind and not {"redirect_urls", "retry_times"} & request.meta.keys():
            self.close(kind, request.url)
            self.scheduled[kind] -= 1

    def article_ended(self, url: str, **_: Any) -> None:
        """Note that an article's address has ended."""
        self.close("article", url)

    def close(self, kind: str, url: str) -> None:
        """Note that an address has ended; forget it, as there may be millions."""
        addresses = self.open[kind]
        addresses[url] -= 1
        if not addresses[url]:
            del addresses[url]

    def listing_ended(
        self, url: str, links: list[Link] | None = None, refusal: Refused | None = None, **_: Any
    ) -> None:
        """Note how a listing ended."""
        self.close("listing", url)
        how = {"failed": refusal.reason} if refusal else {"links": len(links or ())}
        self.listings.append({"url": url, **how})

    def broken(self, failure: Any, response: Response) -> None:
        """End an address whose reader broke."""
        request = response.request
        if request and (kind := counted_as(request)):
            self.end(kind, first_asked(request), Refused("exception", repr(failure.value)), request.meta)

    def end(self, kind: str, url: str, refusal: Refused, meta: dict[str, Any]) -> None:
        """Count and announce an ending that nobody else has noticed."""
        self.crawler.stats.inc_value(f"{kind}/failed/{refusal.reason}")
        signal = article_ended if kind == "article" else listing_ended
        self.crawler.signals.send_catch_log(signal, url=url, refusal=refusal, capture=meta.get("capture"))
        logger.error("%s/failed %s: %s", kind, url, refusal)

    async def closed(self, reason: str) -> None:
        """Settle the store, write the account, and let go of the archive."""
        for kind, addresses in self.open.items():
            for url in list(addresses.elements()):
                self.end(kind, url, Refused("stopped", f"the run ended before it: {reason}"), {})
        await self.store.settle()
        stats = self.crawler.stats.get_stats()
        self.told = self.account({**stats, "finish_reason": reason})
        try:
            self.write(self.told)
        except (OSError, sqlite3.Error, IndexUnusable) as error:
            self.failures.append(f"the account could not be written: {type(error).__name__}: {error}")
            logger.error("%s: %s", self.store.publisher, self.failures[-1])
        finally:
            self.store.close()

    def account(self, stats: dict[str, Any]) -> dict[str, Any]:
        """Return the account of the run, and note what is wrong with it."""
        kept = {ending: stats.get(f"article/{ending}", 0) for ending in KEPT}
        refused, failed = _by_reason(stats, "article/refused/"), _by_reason(stats, "article/failed/")
        asked = _by_purpose(stats)
        manners = Manners.of(self.crawler)
        self.failures = [*failures(stats), *manners.failures()]
        try:
            self.gaps = self.frontier.gaps()
            self.filled = without(self.store.known.gaps(self.store.publisher), self.gaps)
        except (OSError, sqlite3.Error, IndexUnusable) as error:
            self.failures.append(f"where gaps are cannot be told: {type(error).__name__}: {error}")
        filling = self.backfill()
        if self.scheduled["article"] != sum(kept.values()) + sum(refused.values()) + sum(failed.values()):
            self.failures.append("the account does not add up: an address has no ending, or two")
        if not self.store.whole:
            self.failures.append("captures are not in the index; the next run reads them again")
        ended = datetime.now(UTC)
        return {
            "run": self.store.name,
            "publisher": self.store.publisher,
            "kind": self.crawler.settings.get("RUN_KIND", "crawl"),
            "purpose": self.purpose(),
            "version": __version__,
            "started": _iso(self.store.started),
            "ended": _iso(ended),
            "seconds": round((ended - self.store.started).total_seconds(), 3),
            "finish": stats["finish_reason"],
            "scheduled": self.scheduled["article"],
            **kept,
            "refused": refused,
            "failed": failed,
            "partial": _by_reason(stats, "partial/"),
            "layouts": profile.account() if (profile := self.crawler.get_extension(Profile)) else {},
            "listings": self.listings,
            "covered": [[source, _iso(span.start), _iso(span.end)] for source, span in self.frontier.covered],
            "gaps": [[_iso(gap.start), _iso(gap.end)] for gap in self.gaps],
            "filled": [[_iso(gap.start), _iso(gap.end)] for gap in self.filled],
            "backfill": filling,
            "unfinished": self.frontier.left(),
            "requests": sum(sum(answers.values()) for answers in asked.values()),
            "asked": asked,
            "responses": _by_reason(stats, "downloader/response_status_count/"),
            "bytes": {
                "received": stats.get("downloader/response_bytes", 0),
                "captured": self.store.writer.size,
            },
            "captures": self.store.writer.files,
            "manners": manners.account(),
            "failures": self.failures,
        }

    def purpose(self) -> str:
        """Return what the run was for: all that is new, another look, a stretch of time, or given addresses."""
        spider = self.crawler.spider
        if not isinstance(spider, PublisherSpider) or spider.past:
            return "backfill"
        return "recheck" if spider.recheck_only else "all" if spider.asked else "addresses"

    def backfill(self) -> dict[str, Any]:
        """Return what is left of the stretch of time that the run was to ask for, and note whether anything is."""
        spider = self.crawler.spider
        if not isinstance(spider, PublisherSpider) or not spider.past:
            return {}
        unread = len([*spider.archives(spider.past)]) - sum("links" in listing for listing in self.listings)
        left = spider.backfill.account(unread)
        self.done = None if left["requests"] else spider.past
        if not self.done:
            hours = "" if left["hours"] is None else f", {left['hours']} hours"
            self.failures.append(
                f"{spider.past} is not complete: {left['days']} days and {left['addresses']} addresses are left, some"
                f" {left['requests']} requests{hours}; the same command goes on"
            )
        return {"since": _iso(spider.past.start), "until": _iso(spider.past.end), "left": left}

    def write(self, account: dict[str, Any]) -> None:
        """Write the account, and tell the index of a run that captured anything."""
        name = f"{self.store.started:%Y%m%dT%H%M%SZ}-{self.store.publisher}"
        content = orjson.dumps(account, option=orjson.OPT_INDENT_2) + b"\n"
        for number in count(1):
            mark = f"-{number}" if number > 1 else ""
            with suppress(FileExistsError):
                create_file(self.store.archive / "runs" / f"{name}{mark}.json", content)
                break
        self.store.ended(account)


def _by_reason(stats: dict[str, Any], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): value for name, value in sorted(stats.items()) if name.startswith(prefix)}


def _by_purpose(stats: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Return how many requests were made, by what for and by how they were answered."""
    asked: dict[str, dict[str, int]] = {}
    for name, value in _by_reason(stats, "asked/").items():
        purpose, _, answer = name.partition("/")
        asked.setdefault(purpose, {})[answer] = value
    return asked


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
