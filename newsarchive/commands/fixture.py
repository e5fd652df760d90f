"""``scrapy fixture PUBLISHER [URL|FILE…]``: saves pages, or rewrites expectations for review in ``git diff``."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urljoin, urlsplit

from scrapy import signals
from scrapy.commands import ScrapyCommand
from scrapy.exceptions import UsageError
from scrapy.http import HtmlResponse

from newsarchive.article import Refused
from newsarchive.extract import canonical, tree
from newsarchive.fixture import Fixture, fixture_saved, load
from newsarchive.fixture_replay import SHOWN, FixtureReplay
from newsarchive.log.handler import install
from newsarchive.own_text import own_address, own_text
from newsarchive.publishers import publishers
from newsarchive.run import COMMAND_PRIORITY


class Command(ScrapyCommand):
    """Saves responses as fixtures; then, or without an address, writes how each fixture of the publisher ends."""

    requires_project = True

    def syntax(self) -> str:
        """Return the arguments."""
        return "PUBLISHER [URL|FILE ...]"

    def short_desc(self) -> str:
        """Return what ``scrapy -h`` says."""
        return "Save pages as fixtures, or rewrite what is expected of them"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add what a fixture is called and where a file comes from."""
        super().add_options(parser)
        parser.add_argument("--name", default="", help="what the case is about: expired, article-no-byline")
        parser.add_argument("--url", default="", help="address of a FILE (default: the page's canonical one)")
        parser.add_argument("--fetched", default="", help="day on which a FILE was saved (default: that of the file)")
        parser.add_argument("--listing", action="store_true", help="it is a listing, not an article")
        parser.add_argument("--own-text", action="store_true", help="replace the publisher's text by text of our own")
        parser.add_argument("--folder", default="fixtures", help="folder of all fixtures (default: fixtures)")

    def process_options(self, args: list[str], opts: argparse.Namespace) -> None:
        """Log errors only, unless told otherwise: what is refused goes into the expectations."""
        super().process_options(args, opts)
        assert self.settings is not None
        self.settings.set("LOG_LEVEL", "ERROR", priority=COMMAND_PRIORITY)
        install(self.settings)

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Save what is named, then write expectations."""
        assert self.crawler_process is not None
        known = publishers(self.crawler_process.spider_loader)
        if not args or args[0] not in known:
            raise UsageError(f"name a publisher: {', '.join(known)}", print_help=False)
        self.publisher, self.opts = args[0], opts
        self.spider = self.crawler_process.spider_loader.load(args[0])
        self.folder = Path(opts.folder) / args[0]
        self.taken: set[Path] = set()
        urls = [arg for arg in args[1:] if "://" in arg]
        files = [Path(arg) for arg in args[1:] if "://" not in arg]
        if len(args) > 2 and (opts.name or opts.url):
            raise UsageError("--name and --url are for one page", print_help=False)
        if opts.own_text and len(args) == 1:
            raise UsageError("--own-text needs a page to turn: a URL or a FILE", print_help=False)
        if absent := [str(file) for file in files if not file.is_file()]:
            raise UsageError(f"no such file: {', '.join(absent)}", print_help=False)
        for file in files:
            self.take(file)
        # A replay writes posts; these are about to be judged, and may be in words of our own.
        with TemporaryDirectory() as self.archive:
            if urls:
                self.fetch(urls)
            else:
                self.replay()
            self.crawler_process.start()
        self.write()

    def take(self, file: Path) -> None:
        """Make a fixture of a saved page."""
        body = file.read_bytes()
        try:
            url = self.opts.url or canonical(tree(HtmlResponse("about:blank", body=body)))
        except Refused as error:
            raise UsageError(f"{file}: {error.detail}; give it with --url", print_help=False) from error
        day = self.opts.fetched or f"{datetime.fromtimestamp(file.stat().st_mtime, UTC):%Y-%m-%d}"
        expected = {"url": url, "fetched": day, **({"listing": True} if self.opts.listing else {})}
        self.save(Fixture(self.page(self.case, file.suffix), expected), body)

    def save(self, fixture: Fixture, body: bytes) -> None:
        """Write a fixture, in text of our own where that is asked for."""
        if self.opts.own_text:
            body = own_text(body, keep=getattr(self.spider, "phrases", ()))
            fixture = Fixture(fixture.page, {**fixture.expected, "url": own_address(fixture.url)})
        fixture.save(body)

    @property
    def case(self) -> str:
        """Return what the case is about, as far as the options say."""
        return self.opts.name or ("listing" if self.opts.listing else "article")

    def page(self, case: str, suffix: str) -> Path:
        """Return a file name that is free, or the one that was asked for."""
        page = self.folder / f"{case}{suffix}"
        number = 2
        while (page.exists() or page in self.taken) and case != self.opts.name:
            page = self.folder / f"{case}-{number}{suffix}"
            number += 1
        self.taken.add(page)
        return page

    def fetch(self, urls: list[str]) -> None:
        """Ask the publisher as a crawl would, with robots.txt and delay, and keep each answer; publish nothing."""
        assert self.crawler_process is not None
        crawler = self.crawler_process.create_crawler(self.publisher)
        suffix, more = (".xml", {"listing": True}) if self.opts.listing else (".html", {})
        self.wanted = {url: Fixture(self.page(self.case, suffix), {"url": url, **more}) for url in urls}
        for url in self.robots(urls):
            self.wanted[url] = Fixture(self.page("robots", ".txt"), {"url": url})
        self.saved: set[str] = set()
        middlewares = {**crawler.settings.getdict("DOWNLOADER_MIDDLEWARES"), SAVER: 1000}
        crawler.settings.setdict(
            {
                "SAVE_FIXTURES": self.wanted,
                "DOWNLOADER_MIDDLEWARES": middlewares,
                "ITEM_PIPELINES": {},
                "ARCHIVE_DIR": self.archive,
                "LOG_LEVEL": "INFO",
            },
            priority=COMMAND_PRIORITY,
        )
        crawler.signals.connect(self.note, fixture_saved)
        crawler.signals.connect(self.fetched, signals.spider_closed)
        self.crawler_process.crawl(crawler, only=" ".join(urls))

    def robots(self, urls: list[str]) -> list[str]:
        """Return the addresses of each robots.txt that replaying pages will ask for, if none of the host is saved."""
        fixtures = load(self.folder) if self.folder.is_dir() else ()
        hosts = {urlsplit(fixture.url).netloc for fixture in fixtures if fixture.page.suffix == ".txt"}
        return sorted({urljoin(url, "/robots.txt") for url in urls if urlsplit(url).netloc not in hosts})

    def note(self, url: str) -> None:
        """Note that the answer to an address was saved."""
        self.saved.add(url)

    def fetched(self) -> None:
        """Go on with what was saved, once the last answer is there."""
        for url, fixture in self.wanted.items():
            if url not in self.saved:
                self.exitcode = 1
                print(f"not saved: {fixture.page.name}; the log above says why")
            elif self.opts.own_text and fixture.page.suffix != ".txt":
                self.save(Fixture.of(fixture.page), fixture.page.read_bytes())
        self.replay()

    def replay(self) -> None:
        """Crawl all fixtures of the publisher, to see how each ends."""
        assert self.crawler_process is not None
        self.replayed = FixtureReplay(self.publisher, self.folder)
        self.replayed.start(self.crawler_process, ARCHIVE_DIR=self.archive)

    def write(self) -> None:
        """Write the endings and say which are new; none where something was missing, as it may be the reason."""
        if missed := self.replayed.missed():
            self.exitcode = 1
            print("\n".join([*missed[:SHOWN], f"{len(missed)} not saved, so no expectation was written"]))
            return
        for fixture, found in self.replayed.changes():
            fixture.expecting(found).save()
            print(f"{self.publisher}/{fixture.name}: {found.get('error') or next(iter(found), 'nothing')}")


SAVER = "newsarchive.fixture.SaveFixtureMiddleware"
