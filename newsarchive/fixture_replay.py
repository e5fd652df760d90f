"""A crawl answered from saved responses: the real spiders, settings, middlewares and pipelines, and no socket."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scrapy import Spider
from scrapy.crawler import Crawler, CrawlerProcessBase

from newsarchive.article import Refused
from newsarchive.extract import Json
from newsarchive.fixture import Fixture, Fixtures, ending
from newsarchive.run import COMMAND_PRIORITY, article_ended, failures, listing_ended, post_written, refusals
from newsarchive.spider import PublisherSpider

__all__ = ["SHOWN", "FixtureReplay", "fixture_folders"]

HANDLER = "newsarchive.fixture.FixtureHandler"
#: What a replayed crawl does otherwise than a live one: nobody has to be spared, and a saved answer stays the same.
FIXTURE_SETTINGS: dict[str, Any] = {
    "DOWNLOAD_HANDLERS": {"http": HANDLER, "https": HANDLER, "file": None, "data": None, "ftp": None, "s3": None},
    "DOWNLOAD_DELAY": 0,
    "RETRY_ENABLED": False,
    "BACKOFF_START": 0,
    "REPLAYED": True,
    "REFRESH": True,
    "WAYBACK": False,
    "RUN_KIND": "replay",
}
#: Posts of a publisher, or addresses that are not saved, that are named in a report.
SHOWN = 20


def fixture_folders(paths: list[str], publishers: list[str]) -> dict[str, Path]:
    """Return the fixture folder of each publisher below the given folders; raise ValueError for one without."""
    folders: dict[str, Path] = {}
    for path in map(Path, paths):
        candidates = [path] if path.name in publishers else [path / name for name in publishers]
        found = {folder.name: folder for folder in candidates if next(folder.glob("*.expected.json"), None)}
        if not found:
            raise ValueError(f"{path} holds no fixtures of {', '.join(publishers)}")
        folders |= found
    return folders


@dataclass
class FixtureReplay:
    """The replay of one publisher's fixtures, and which did not end as expected."""

    publisher: str
    folder: Path
    fixtures: Fixtures = field(init=False)
    #: Addresses that have yet to end.
    awaited: set[str] = field(default_factory=set)
    #: Endings other than expected.
    endings: dict[str, Json] = field(default_factory=dict)
    posts: set[Path] = field(default_factory=set)
    crawler: Crawler = field(init=False)

    def __post_init__(self) -> None:
        self.fixtures = Fixtures(self.folder)

    def start(self, process: CrawlerProcessBase, **settings: Any) -> None:
        """Add the crawl of all fixtures to a process: listings first, then what none of them announces."""
        self.crawler = process.create_crawler(self.publisher)
        settings = {**FIXTURE_SETTINGS, "REPLAY_FIXTURES": self.fixtures, **settings}
        self.crawler.settings.setdict(settings, priority=COMMAND_PRIORITY)
        self.crawler.signals.connect(self.ended, article_ended)
        self.crawler.signals.connect(self.ended, listing_ended)
        self.crawler.signals.connect(self.written, post_written)
        spider = process.spider_loader.load(self.publisher)
        announced: set[str] = set()
        listings, articles = [], []
        for url, fixture in self.fixtures.items():
            if fixture.ending:
                self.awaited.add(url)
            if fixture.listing:
                listings.append(url)
                announced.update(_links(spider(), fixture))
            elif fixture.is_article:
                articles.append(url)
        process.crawl(
            self.crawler,
            addresses=[url for url in articles if url not in announced],
            listings=" ".join(listings),
        )

    def written(self, file: Path) -> None:
        """Note the first posts, as many as a reader wants to see."""
        if len(self.posts) < SHOWN:
            self.posts.add(file)

    def ended(self, url: str, **how: Any) -> None:
        """Note how an address ended, unless it is as expected."""
        found = ending(**{name: how.get(name) for name in ("article", "links", "refusal")})
        self.awaited.discard(url)
        self.endings.pop(url, None)
        if url in self.fixtures and found != self.fixtures[url].ending:
            self.endings[url] = found

    @property
    def stats(self) -> dict[str, Any]:
        """Return what the crawl counted."""
        stats: dict[str, Any] = self.crawler.stats.get_stats()
        return stats

    def changes(self) -> Iterator[tuple[Fixture, Json]]:
        """Yield the fixtures that did not end as expected, by name, with how they did; empty for not at all."""
        for url in self.fixtures:
            if url in self.awaited or url in self.endings:
                yield self.fixtures[url], self.endings.get(url, {})

    def differences(self) -> list[str]:
        """Return where the endings are not those expected, one line each."""
        told = ((fixture.name, _difference(fixture.ending, found)) for fixture, found in self.changes())
        return [f"{self.publisher}/{name}: {difference}" for name, difference in told]

    def failures(self) -> list[str]:
        """Return what went wrong, one line each: differences, addresses not saved, exceptions."""
        # What fixtures expect to be refused or to fail is no failure of the replay.
        broken = [line for line in failures(self.stats) if re.search("exception|pipeline|nothing", line)]
        return [*self.differences(), *self.missed(), *broken]

    def missed(self) -> list[str]:
        """Return the addresses that were asked for and are not saved, one line each."""
        missed = self.stats.get("replay/missed", ())
        return [f"{self.publisher}: no fixture answers {url}; save it, or take it out of the listing" for url in missed]

    def summary(self) -> str:
        """Return one line on the whole replay."""
        counted = {name: self.stats.get(f"article/{name}", 0) for name in ("stored", "revised", "unchanged")}
        refused = sum(refusals(self.stats).values())
        listings = self.stats.get("listing/read", 0)
        told = ", ".join(f"{count} {name}" for name, count in counted.items())
        return f"{self.publisher}: {sum(counted.values())} articles ({told}), {refused} refused, {listings} listings"


def _links(spider: Spider, fixture: Fixture) -> list[str]:
    """Return the articles that a listing names; none if it cannot be read."""
    assert isinstance(spider, PublisherSpider)
    try:
        return [link.url for link in spider.links(fixture.response())]
    except Refused:
        return []


def _difference(expected: Json, ended: Json) -> str:
    """Return what sets an ending apart from the one expected."""
    if "article" in expected and "article" in ended:
        fields = [name for name, value in expected["article"].items() if ended["article"].get(name) != value]
        return "another " + ", ".join(fields)
    return f"expected {_brief(expected)}, found {_brief(ended)}"


def _brief(end: Json) -> str:
    return (end.get("error") and f"refusal {end['error']}") or next(iter(end), "nothing")
