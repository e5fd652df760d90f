"""A capture read again as an article, without a crawl: what a crawl read in it, to the letter.

Everything that a crawl does between the network and the post is done here in
the same order by the same code: whether the body is whole, decompression,
status, the spider, and the pipelines that are pure functions (``READ_STEPS``).
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from scrapy import Request, Spider
from scrapy.crawler import Crawler
from scrapy.http import Response
from scrapy.settings import Settings
from scrapy.spiderloader import get_spider_loader
from scrapy.statscollectors import DummyStatsCollector
from scrapy.utils.misc import load_object
from twisted.python.failure import Failure

from newsarchive.article import Article, Refused
from newsarchive.capture import Capture, verdict
from newsarchive.failure import refusal_of
from newsarchive.publishers import spider_of
from newsarchive.served import as_response, capture_of, location
from newsarchive.spider import PublisherSpider
from newsarchive.warc import Served, WarcError, at
from newsarchive.whole_body import WholeBodyMiddleware

__all__ = ["Reader", "whole"]

failed: Callable[[Exception], Failure] = Failure


def whole(middleware: WholeBodyMiddleware, request: Request, response: Response) -> Response:
    """Return a response decompressed, with its request; raise Refused if it is not whole."""
    try:
        found = middleware.process_response(request, response)
    except Refused:
        raise
    except Exception as error:
        raise refusal_of(failed(error)) from error
    assert isinstance(found, Response)
    found.request = request
    return found


class Reader:
    """Reads captures of any publisher by the project's settings; keep it, it remembers spiders."""

    def __init__(self, settings: Settings) -> None:
        self.loader = get_spider_loader(settings)
        self.steps = [load_object(step) for step in settings.getlist("READ_STEPS")]
        self.spiders: dict[str, PublisherSpider] = {}
        # Without a spider of its own, it asks nobody again.
        crawler = Crawler(Spider, settings)
        crawler.stats = DummyStatsCollector(crawler)
        self.whole_body = WholeBodyMiddleware(crawler)

    def article(self, publisher: str, capture: Capture, archive: Path) -> Article:
        """Return the article of a capture in an archive.

        Raises Refused if it is none, and WarcError, with file and offset, if it cannot be had from its file.
        """
        file = archive / capture.file
        served = at(file, capture.offset)
        if (served.captured, served.digest) != (capture.captured, capture.digest):
            raise WarcError(file, capture.offset, f"another capture lies here: {served.url} of {served.captured}")
        return replace(self.read(publisher, served), capture=capture)

    def read(self, publisher: str, served: Served) -> Article:
        """Return the article of a response that was read back from a WARC file; raise Refused if it is none."""
        spider = self.spider(publisher)
        article = spider.read(self.response(served))
        try:
            for step in () if article.ready else self.steps:
                article = step(article)
        except Refused:
            raise
        except Exception as error:
            raise Refused("pipeline", repr(error)) from error
        return article

    def response(self, served: Served) -> Response:
        """Return a response as a spider's callback gets it; raise Refused for one that no callback would get."""
        ended = verdict(replace(capture_of("", served), kind="article"), location(served))
        if ended:
            raise Refused(*ended)
        meta = {"kind": served.kind, "captured": served.captured, "announced": served.announced}
        request = Request(served.url, meta=meta)
        return whole(self.whole_body, request, as_response(served))

    def spider(self, publisher: str) -> PublisherSpider:
        """Return the spider that reads what is kept of a publisher."""
        if publisher not in self.spiders:
            self.spiders[publisher] = spider_of(self.loader, publisher)
        return self.spiders[publisher]

    def label(self, publisher: str) -> str:
        """Return what a publisher's posts are labelled with; empty for one without a spider."""
        return self.spider(publisher).label
