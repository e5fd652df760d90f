"""A saved page and what should be read from it.

``fixtures/<publisher>/<name>.html`` (or ``.xml``, ``.txt``) holds the body as it
came over the wire, and ``<name>.expected.json`` beside it says for which
address, when it was fetched, with which status and headers, and how it ends:

    {"url": …, "fetched": "2023-08-24", "status": 200, "headers": {…}, "article": {…}}
    {"url": …, "fetched": …, "error": "expired"}  a refusal, by its reason
    {"url": …, "fetched": …, "listing": true, "links": […]}
    {"url": …, "fetched": …}                      robots.txt, whose end is not looked at

The name says what the case is about. Tests check expectations, ``scrapy
fixture`` writes them, and ``git diff`` reviews them.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any, Self

from itemadapter import ItemAdapter
from scrapy import Request
from scrapy.core.downloader.handlers.base import BaseDownloadHandler
from scrapy.crawler import Crawler
from scrapy.exceptions import IgnoreRequest, NotConfigured
from scrapy.http import Headers, Response
from scrapy.responsetypes import responsetypes

from newsarchive.article import Article, Refused
from newsarchive.extract import Json
from newsarchive.listing import Link

__all__ = [
    "Fixture",
    "FixtureHandler",
    "Fixtures",
    "NotSaved",
    "SaveFixtureMiddleware",
    "as_json",
    "ending",
    "fixture_saved",
    "load",
]

EXPECTED = ".expected.json"
ENDINGS = ("article", "links", "error")
#: What an article has that its page does not say.
NOT_SAID = ("layout", "partial", "capture", "signed", "content", "suffix", "ready")


#: Sent with ``url`` once the answer to an address of SAVE_FIXTURES is saved, each time if it is asked again.
fixture_saved = object()


class NotSaved(Refused, IgnoreRequest):
    """Says that a replayed crawl asked for an address that no fixture answers; Scrapy logs no traceback of it."""

    def __init__(self, url: str) -> None:
        super().__init__("not-saved", f"no fixture answers {url}")


def as_json(value: Any) -> Any:
    """Return an article, a time or a tuple of them as what JSON can say, as far as a page says it; times end in Z."""
    if ItemAdapter.is_item(value):
        return {name: as_json(field) for name, field in ItemAdapter(value).items() if name not in NOT_SAID}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, (list, tuple)):
        return [as_json(entry) for entry in value]
    return value


def ending(article: Article | None = None, links: list[Link] | None = None, refusal: Refused | None = None) -> Json:
    """Return how an address ended, as an expectation says it."""
    if article:
        return {"article": as_json(article)}
    if links is not None:
        return {"links": [[link.url, as_json(link.announced)] for link in links]}
    return {"error": refusal.reason} if refusal else {}


@dataclass(frozen=True)
class Fixture:
    """One saved response and its expectation."""

    page: Path
    expected: Json

    @classmethod
    def of(cls, page: Path) -> Self:
        """Return the fixture of a saved page; its expectation lies beside it."""
        expectation = page.with_name(page.name.partition(".")[0] + EXPECTED)
        return cls(page, json.loads(expectation.read_text(encoding="utf-8")))

    @property
    def name(self) -> str:
        """Return what the case is about."""
        return self.page.name.partition(".")[0]

    @property
    def url(self) -> str:
        """Return the address that the saved response answered."""
        url: str = self.expected["url"]
        return url

    @property
    def fetched(self) -> datetime:
        """Return the end of the day on which the response was saved, or the moment where it says one."""
        fetched: str = self.expected["fetched"]
        moment = datetime.fromisoformat(fetched)
        if len(fetched) == len("2023-08-24"):
            moment = datetime.combine(moment.date(), time.max)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    @property
    def ending(self) -> Json:
        """Return what the expectation says of the end."""
        return {name: value for name, value in self.expected.items() if name in ENDINGS}

    @property
    def listing(self) -> bool:
        """Tell whether this is a listing."""
        return bool(self.expected.get("listing"))

    @property
    def is_article(self) -> bool:
        """Tell whether this answers for an article; robots.txt and listings are read on the way."""
        return not self.listing and self.page.suffix != ".txt"

    def response(self) -> Response:
        """Return the saved response."""
        body = self.page.read_bytes()
        headers = Headers(self.expected.get("headers", {}))
        kind = responsetypes.from_args(headers=headers, url=self.url, body=body)
        return kind(self.url, status=self.expected.get("status", 200), headers=headers, body=body)

    def expecting(self, found: Json) -> Self:
        """Return the fixture with another ending."""
        kept = {name: value for name, value in self.expected.items() if name not in ENDINGS}
        return type(self)(self.page, {**kept, **found})

    def save(self, body: bytes | None = None) -> None:
        """Write the expectation, and the page where a body is given."""
        self.page.parent.mkdir(parents=True, exist_ok=True)
        if body is not None:
            self.page.write_bytes(body)
        text = json.dumps(self.expected, ensure_ascii=False, indent=1)
        self.page.with_name(self.name + EXPECTED).write_text(text + "\n", encoding="utf-8")


def load(folder: Path) -> Iterator[Fixture]:
    """Yield the fixtures of a folder by name; raise FileNotFoundError for an expectation without its page."""
    pages: dict[str, list[str]] = {}
    expected = []
    for entry in os.scandir(folder):
        name, _, kind = entry.name.partition(".")
        if f".{kind}" == EXPECTED:
            expected.append(name)
        else:
            pages.setdefault(name, []).append(entry.name)
    for name in sorted(expected):
        found = pages.get(name, [])
        if len(found) != 1:
            raise FileNotFoundError(f"{folder / name}{EXPECTED} needs one page beside it, found {len(found)}")
        yield Fixture.of(folder / found[0])


class Fixtures(Mapping[str, Fixture]):
    """The fixtures of folders by their addresses, each read when it is asked for: there may be many."""

    def __init__(self, *folders: Path) -> None:
        self.pages = {fixture.url: str(fixture.page) for folder in folders for fixture in load(folder)}

    def __getitem__(self, url: str) -> Fixture:
        """Return the fixture that answers an address."""
        return Fixture.of(Path(self.pages[url]))

    def __contains__(self, url: object) -> bool:
        """Tell whether a fixture answers an address, without reading it."""
        return url in self.pages

    def __iter__(self) -> Iterator[str]:
        """Yield the addresses in the order of the fixtures' names."""
        return iter(self.pages)

    def __len__(self) -> int:
        """Return the number of addresses."""
        return len(self.pages)


class FixtureHandler(BaseDownloadHandler):
    """Answers requests from ``REPLAY_FIXTURES`` (a ``Fixtures``); nothing goes over the network."""

    lazy = True

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self.missed: set[str] = set()
        self.fixtures: Fixtures = crawler.settings["REPLAY_FIXTURES"]

    async def download_request(self, request: Request) -> Response:
        """Return the saved response; raise NotSaved if there is none."""
        fixture = self.fixtures.get(request.url)
        if fixture is None:
            self.missed.add(request.url)
            self.crawler.stats.set_value("replay/missed", sorted(self.missed))
            raise NotSaved(request.url)
        request.meta["captured"] = fixture.fetched
        return fixture.response()

    async def close(self) -> None:
        """Do nothing: no connection was opened."""


#: Headers that say how to read a body. The others are of no use later and may name somebody.
KEPT_HEADERS = ("Content-Type", "Content-Encoding", "Content-Length", "Location", "Retry-After")


class SaveFixtureMiddleware:
    """Saves the answers to the addresses in ``SAVE_FIXTURES`` (address: ``Fixture``) as they came over the wire."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.wanted: dict[str, Fixture] = crawler.settings.getdict("SAVE_FIXTURES")
        if not self.wanted:
            raise NotConfigured

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Return the middleware; raise NotConfigured if nothing is to be saved."""
        return cls(crawler)

    def process_response(self, request: Request, response: Response) -> Response:
        """Save a response that was asked for, and hand it on."""
        if fixture := self.wanted.get(request.url):
            headers = {name: value.decode("latin-1") for name in KEPT_HEADERS if (value := response.headers.get(name))}
            fetched = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
            facts = {"fetched": fetched, "status": response.status, "headers": headers}
            Fixture(fixture.page, {**fixture.expected, **facts}).save(response.body)
            self.crawler.signals.send_catch_log(fixture_saved, url=request.url)
        return response
