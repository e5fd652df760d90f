"""Where tests find things: the checkout, its fixtures, real pages beside it, and the spiders by name."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from scrapy import Request
from scrapy.http import HtmlResponse
from scrapy.settings import Settings
from scrapy.spiderloader import SpiderLoader

from newsarchive.publishers import publishers
from newsarchive.spider import PublisherSpider

CHECKOUT = Path(__file__).parents[1]
FIXTURES = CHECKOUT / "fixtures"
#: Other people's pages, feeds and posts; tests may read them, the project holds none of them.
SHARED = CHECKOUT.parent / "shared"

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the folder of real pages, ../shared, is not here")
_LOADER = SpiderLoader(Settings({"SPIDER_MODULES": ["spiders"]}))
PUBLISHERS = sorted(publishers(_LOADER))


def saved(url: str, body: bytes) -> HtmlResponse:
    """Return a saved page, captured long after it was published, whatever day it is today."""
    return HtmlResponse(url, body=body, request=Request(url, meta={"captured": datetime(2100, 1, 1, tzinfo=UTC)}))


def spider(publisher: str) -> PublisherSpider:
    """Return a publisher's spider."""
    found = _LOADER.load(publisher)()
    assert isinstance(found, PublisherSpider)
    return found
