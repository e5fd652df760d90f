"""How a publisher's hosts are asked: never early, no more often than a day allows, and not where we are unwanted.

A host is asked no earlier than its delay after the end of its last answer: what
counts is when requests arrive at the server, and one that was slow on its way must
not be followed closely by one that is fast. Chance only adds to the delay. What a
host asks for (``Crawl-delay``, ``Retry-After``) counts where it is longer, and so does
what is known of it (``STRICT_HOSTS``).

What outlives a run stands in its account under ``manners``, and the next run goes
on from there (``newsarchive.remembered``): ``not_before`` says when each host may be
asked again, ``blocked`` which hosts refuse their pages and since when, ``budget``
how much of the day's requests is used up.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import random
from time import monotonic
from typing import Any, Self
from urllib.parse import urlsplit

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.settings import BaseSettings
from scrapy.utils.httpobj import urlparse_cached

from newsarchive.article import Article, Refused
from newsarchive.capture import Capture
from newsarchive.remembered import Remembered, remembered
from newsarchive.run import article_ended
from newsarchive.store import Store

__all__ = ["Manners", "host_of"]

#: What is not a page: it tells what there is, and what may be asked.
NO_PAGE = ("listing", "robots")
#: Statuses that refuse a page to us, not to everybody.
UNWANTED = (401, 403)
#: How captures end that were refused to us.
REFUSALS = (*(f"status-{status}" for status in UNWANTED), "challenge")
#: Statuses with which a host answers for a page as it would to anybody.
GONE = (304, 404, 410, 451)
#: A page that was refused to us is no witness of a block that lasts, for so long: it may be refused for itself.
NO_WITNESS = timedelta(hours=6)
#: Which part of a day's requests is kept for listings and robots.txt: what has come is known even on a day on which
#: it cannot all be had.
KEPT_BACK = 10


def host_of(request: Request) -> str:
    """Return whom a request asks, whatever the port: one machine answers them all."""
    return (urlparse_cached(request).hostname or "").lower()


@dataclass
class Host:
    """What a run knows of a host; times in seconds of ``monotonic``."""

    #: Seconds between the end of an answer and the next request.
    delay: float
    #: No request before this.
    due: float = 0
    #: How often in a row it was in trouble, and how long it was left alone for it.
    troubles: int = 0
    waited: float = 0
    #: Whether it is asked no more in this run.
    given_up: bool = False
    #: Whether that has kept this run from anything.
    missed: bool = False
    #: Seconds that its robots.txt asks for and that are too many to wait.
    too_slow: float = 0
    #: How many pages in a row it has refused to us.
    refused: int = 0
    #: Since when it refuses its pages; None if it does not.
    blocked: datetime | None = None
    #: Whether it is asked for no more pages in this run.
    unwanted: bool = False

    def refuses_page(self, patience: int, *, again: bool) -> None:
        """Note that a page was refused to us; so many in a row, or one if it did so before, are enough.

        One that is refused ``again`` says nothing of the others.
        """
        self.refused += not again
        if self.blocked or self.refused >= patience:
            self.unwanted = True
            self.blocked = self.blocked or datetime.now(UTC)

    def serves_page(self) -> None:
        """Note that a page was answered as to anybody; what is refused from now on counts from the beginning."""
        if not self.unwanted:
            self.refused, self.blocked = 0, None


class Manners:
    """Says whether a host may be asked now, and keeps what it answers; one object for a run."""

    def __init__(
        self,
        settings: BaseSettings,
        *,
        count: Callable[[str, Any], object] = lambda _name, _by: None,
        recall: Callable[[datetime], Remembered] = lambda _now: Remembered(),
        refused_at: Callable[[str], datetime | None] = lambda _url: None,
    ) -> None:
        self.delay = settings.getfloat("DOWNLOAD_DELAY")
        self.jitter = settings.getfloat("DELAY_JITTER")
        #: Seconds between requests and seconds after a 429, by host.
        self.strict: dict[str, tuple[float, float]] = settings.getdict("STRICT_HOSTS")
        self.slowest = settings.getfloat("CRAWL_DELAY_MAX")
        self.start = settings.getfloat("BACKOFF_START")
        self.longest = settings.getfloat("BACKOFF_MAX")
        self.believed = settings.getfloat("LEAVE_ALONE_MAX")
        self.patience = settings.getint("BLOCKED_AFTER")
        self.budget = settings.getint("REQUESTS_PER_DAY")
        self.count = count
        self.recall = recall
        #: Tells when an address was refused to us, if that is how it was last answered.
        self.refused_at = refused_at
        #: Whether anybody was to be asked: a replay asks nobody, and is kept from nothing.
        self.begun = False
        self.hosts: dict[str, Host] = {}
        self.asked: Counter[date] = Counter()
        #: Whether anything was refused because the day's requests were used up.
        self.used_up = False

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Return the manners of a crawler's run, which go on from where its archive says the last run ended."""

        def recall(now: datetime) -> Remembered:
            store = Store.of(crawler)
            return remembered(store.known, store.archive, store.publisher, now, manners.believed, manners.unsaid)

        def refused_at(url: str) -> datetime | None:
            row = next(iter(Store.of(crawler).known.captures_of(url, 1)), None)
            return datetime.fromisoformat(row.captured) if row and row.ending in REFUSALS else None

        manners = cls(crawler.settings, count=crawler.stats.inc_value, recall=recall, refused_at=refused_at)
        crawler.signals.connect(manners.article_ended, article_ended)
        return manners

    @classmethod
    def of(cls, crawler: Crawler) -> Self:
        """Return the manners of a crawler's run; raise RuntimeError if the extension is not enabled."""
        manners = crawler.get_extension(cls)
        if manners is None:
            raise RuntimeError("newsarchive.manners.Manners must be among EXTENSIONS")
        return manners

    def begin(self) -> None:
        """Go on from where earlier runs ended."""
        now = datetime.now(UTC)
        found = self.recall(now)
        self.begun = True
        self.asked[now.date()] += found.asked
        for name, until in found.not_before.items():
            # A clock that was set back must not silence a run for longer than a host could have asked for.
            wait = min((until - now).total_seconds(), self.believed)
            self.host(name).due = monotonic() + wait
            self.host(name).given_up = wait > self.longest
        for name, since in found.blocked.items():
            # The next page tells whether it still is.
            self.host(name).blocked = since

    def host(self, name: str) -> Host:
        """Return what is known of a host."""
        if name not in self.hosts:
            self.hosts[name] = Host(max(self.delay, self.strict.get(name, (0, 0))[0]))
        return self.hosts[name]

    def unsaid(self, name: str, status: int) -> float:
        """Return for how many seconds at least a host wants to be left alone that answers with a status."""
        return self.strict.get(name, (0, 0))[1] if status == 429 else 0

    # Before a host is asked.

    def check(self, name: str, what: str, url: str = "") -> None:
        """Raise Refused if a host is not to be asked for this in this run; ``what`` as ``purpose`` says it."""
        if not self.begun:
            self.begin()
        host, now = self.host(name), datetime.now(UTC)
        if host.given_up:
            host.missed = True
            raise Refused("backing-off", f"{name} is to be left alone until {self.until(host):%Y-%m-%dT%H:%M:%SZ}")
        if host.blocked and what not in NO_PAGE:
            if host.unwanted:
                raise Refused("blocked", f"{name} has refused its pages; the next run asks for one")
            if (refused := self.refused_at(url)) and now - refused < NO_WITNESS:
                raise Refused("blocked", f"{name} refuses its pages, and refused this one at {refused:%H:%M:%SZ}")
        if host.too_slow and what != "robots":
            raise Refused("crawl-delay", f"robots.txt of {name} asks for {host.too_slow:g} seconds between requests")
        kept_back = 0 if what in NO_PAGE else self.budget // KEPT_BACK
        if self.budget and self.asked[now.date()] >= self.budget - kept_back:
            self.used_up = True
            raise Refused("budget", f"the {self.budget} requests of the day are used up; more after midnight, UTC")

    def wait(self, name: str) -> float:
        """Return for how many seconds a host is to be left alone; 0 for one that is refused anyhow."""
        host = self.host(name)
        return 0 if host.given_up else max(0.0, host.due - monotonic())

    def ask(self, name: str) -> None:
        """Note that a host is asked now."""
        self.asked[datetime.now(UTC).date()] += 1
        self.rest(self.host(name))

    # After it was asked.

    def rest(self, host: Host) -> None:
        """Leave a host alone for its delay from now on, and a little longer by chance."""
        host.due = max(host.due, monotonic() + host.delay * (1 + self.jitter * random()))

    def answered(self, name: str, what: str, status: int, asked: float | None, url: str = "") -> None:
        """Note an answer, and the seconds for which it asks to be left alone; None if it does not say."""
        host = self.host(name)
        self.count(f"asked/{what or 'other'}/{status}", 1)
        self.rest(host)
        if status == 429 or status >= 500:
            self.back_off(host, max(asked or 0, self.unsaid(name, status)))
            return
        host.troubles, host.waited = 0, 0.0
        if what in NO_PAGE:
            return
        if status in UNWANTED:
            host.refuses_page(self.patience, again=self.refused_at(url) is not None)
        elif status in GONE:
            host.serves_page()

    def silent(self, name: str, what: str, *, trouble: bool) -> None:
        """Note that no answer came, and whether that means that the host is in trouble."""
        host = self.host(name)
        self.count(f"asked/{what or 'other'}/no-answer", 1)
        self.rest(host)
        if trouble:
            self.back_off(host, 0)

    def back_off(self, host: Host, asked: float) -> None:
        """Leave a host in trouble alone for as many seconds as it asks, and longer each time in a row."""
        host.troubles += 1
        doubled = min(self.start * 2.0 ** min(host.troubles - 1, 60), self.longest)
        pause = min(max(asked, doubled), self.believed)
        host.waited += pause
        host.due = max(host.due, monotonic() + pause)
        if host.waited > self.longest:
            host.given_up = host.missed = True
        if not host.given_up:
            self.count("backoff/count", 1)
            self.count("backoff/seconds", pause)

    def is_given_up(self, name: str) -> bool:
        """Tell whether a host is to be left alone for the rest of the run."""
        return self.host(name).given_up

    def crawl_delay(self, name: str, seconds: float | None) -> None:
        """Keep the delay that a host's robots.txt asks for, if it is longer than ours; None if it asks for none."""
        host = self.host(name)
        if seconds is not None and seconds > self.slowest:
            host.too_slow = seconds
        elif seconds is not None and seconds > host.delay:
            host.delay = seconds
            self.rest(host)

    def article_ended(
        self, article: Article | None = None, refusal: Refused | None = None, capture: Capture | None = None, **_: Any
    ) -> None:
        """Note whether a page that came with a good status was one, or asked for proof of being human."""
        capture = article.capture if article else capture
        if capture is None or capture.status >= 300 or not self.begun:
            return
        host = self.host(urlsplit(capture.url).hostname or "")
        if refusal and refusal.reason == "challenge":
            host.refuses_page(self.patience, again=self.refused_at(capture.url) is not None)
        else:
            host.serves_page()

    # For the account.

    def until(self, host: Host) -> datetime:
        """Return when a host may be asked again."""
        return datetime.now(UTC) + timedelta(seconds=max(0.0, host.due - monotonic()))

    def account(self) -> dict[str, Any]:
        """Return what the next run has to know; nothing if nobody was to be asked."""
        if not self.begun:
            return {}
        now = datetime.now(UTC)
        waiting = {name: host for name, host in sorted(self.hosts.items()) if host.due > monotonic()}
        blocked = {name: host.blocked for name, host in sorted(self.hosts.items()) if host.blocked}
        return {
            "not_before": {name: _iso(self.until(host)) for name, host in waiting.items()},
            "blocked": {name: _iso(since) for name, since in blocked.items()},
            "budget": {"day": f"{now:%Y-%m-%d}", "asked": self.asked[now.date()], "of": self.budget},
        }

    def failures(self) -> list[str]:
        """Return what kept the run from asking, one line each."""
        told = []
        for name, host in sorted(self.hosts.items()):
            if host.missed:
                told.append(f"{name} is to be left alone until {self.until(host):%Y-%m-%dT%H:%M:%SZ}")
            if host.unwanted:
                told.append(f"{name} has refused its pages since {host.blocked:%Y-%m-%dT%H:%M:%SZ}")
        if self.used_up:
            tomorrow = datetime.combine(datetime.now(UTC).date() + timedelta(days=1), time(), UTC)
            told.append(f"the {self.budget} requests of the day are used up; more from {tomorrow:%Y-%m-%dT%H:%M:%SZ}")
        return told


def _iso(moment: datetime) -> str:
    """Return a time as accounts have it, rounded up: never a moment too early."""
    up = moment + timedelta(microseconds=999)
    return up.isoformat(timespec="milliseconds").replace("+00:00", "Z")
