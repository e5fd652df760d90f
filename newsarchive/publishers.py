"""Whose an article is, by what a post or a feed says of it, and publishers that have no spider of their own."""

import re
from urllib.parse import urlsplit

from scrapy import Spider
from scrapy.http import Response
from scrapy.spiderloader import SpiderLoaderProtocol

from newsarchive.address import readable_path
from newsarchive.article import Article, Refused
from newsarchive.spider import PublisherSpider

__all__ = ["OtherSpider", "is_on", "spider_of"]


class OtherSpider(PublisherSpider):
    """Stands for a publisher of which there is no spider: its pages cannot be read, but posts and full-text feeds can.

    Identifiers are addresses without their scheme.
    """

    label = ""
    language = "und"
    timezone = "UTC"
    article_url = re.compile(r"^https?://(?P<id>.+)$", re.IGNORECASE | re.DOTALL)

    def id_of(self, url: str) -> str:
        """Return host, decoded path and query of an address."""
        parts = urlsplit(url)
        query = f"?{parts.query}" if parts.query else ""
        return f"{parts.netloc.lower()}{readable_path(parts.path)}{query}"

    def parse_article(self, response: Response) -> Article:
        """Raise Refused."""
        raise Refused("no-spider", f"no spider is called {self.name!r}")


def spider_of(loader: SpiderLoaderProtocol, publisher: str) -> PublisherSpider:
    """Return a new spider that reads what is kept of a publisher."""
    if publisher not in loader.list():
        return OtherSpider(name=publisher)
    spider = loader.load(publisher)()
    assert isinstance(spider, PublisherSpider)
    return spider


def is_on(host: str, spider: type[Spider]) -> bool:
    """Tell whether a host is one of a publisher's."""
    domains = getattr(spider, "allowed_domains", None) or ()
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)
