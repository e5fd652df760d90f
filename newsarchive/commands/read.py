"""``scrapy read PUBLISHER FILE…``: what a publisher's spider reads in saved pages, as JSON lines."""

import argparse
import json
from pathlib import Path
from typing import Any

from scrapy.commands import ScrapyCommand
from scrapy.exceptions import UsageError
from scrapy.http import HtmlResponse
from scrapy.spiderloader import get_spider_loader
from scrapy.utils.misc import load_object

from newsarchive.article import Drift, Refused
from newsarchive.extract import canonical, tree
from newsarchive.fixture import as_json
from newsarchive.page import refuse_unreadable
from newsarchive.publishers import publishers
from newsarchive.spider import PublisherSpider


class Command(ScrapyCommand):
    """Prints one JSON object a file and exits with 1 if any was refused."""

    requires_project = True
    requires_crawler_process = False

    def syntax(self) -> str:
        """Return the arguments."""
        return "PUBLISHER FILE ... [--url URL]"

    def short_desc(self) -> str:
        """Return what ``scrapy -h`` says."""
        return "Print what is read in saved pages, as JSON lines"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the option for a page's address."""
        super().add_options(parser)
        parser.add_argument("--url", default="", help="address of the pages (default: their canonical one)")

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Read each file."""
        if len(args) < 2:
            raise UsageError
        assert self.settings is not None
        self.steps = [load_object(step) for step in self.settings.getlist("READ_STEPS")]
        loader = get_spider_loader(self.settings)
        if args[0] not in publishers(loader):
            raise UsageError(f"name a publisher: {', '.join(publishers(loader))}", print_help=False)
        spider = loader.load(args[0])()
        assert isinstance(spider, PublisherSpider)
        self.exitcode = 0
        for file in map(Path, args[1:]):
            print(json.dumps(self.read(spider, file, opts.url), ensure_ascii=False), flush=True)

    def read(self, spider: PublisherSpider, file: Path, url: str) -> dict[str, Any]:
        """Return what is read in one file, as it would be published, or the reason for refusing it."""
        try:
            body = file.read_bytes()
            article = spider.read(HtmlResponse(url or address(body), body=body))
            for step in self.steps:
                article = step(article)
            found: dict[str, Any] = as_json(article)
            return found
        except Refused as refusal:
            told = {"refused": refusal.reason, "detail": refusal.detail}
        except OSError as error:
            told = {"refused": "no-file", "detail": error.strerror or str(error)}
        self.exitcode = 1
        return {"file": str(file), **told}


def address(body: bytes) -> str:
    """Return the address that a page names itself, or one that leads nowhere; raise Refused if it cannot be read."""
    response = HtmlResponse("about:blank", body=body)
    refuse_unreadable(response)
    try:
        return canonical(tree(response))
    except Drift:
        return "about:blank"
