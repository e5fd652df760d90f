"""Whose an article is, by what a post or a feed says of it, and publishers that have no spider of their own."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from urllib.parse import urldefrag, urlsplit

from scrapy import Spider
from scrapy.http import Response
from scrapy.spiderloader import SpiderLoaderProtocol

from newsarchive.address import canonical_url, readable_path
from newsarchive.article import Article, Refused
from newsarchive.post import Post
from newsarchive.spider import PublisherSpider

__all__ = ["NAME", "OtherSpider", "is_on", "publisher_of", "publishers", "spider_class", "spider_of"]


#: What may be the name of a publisher, and so of a folder.
NAME = re.compile(r"(?=.{1,60}$)[0-9a-z]+(?:[._-][0-9a-z]+)*")


class OtherSpider(PublisherSpider):
    """Stands for a publisher of which there is no spider: its pages cannot be read, but posts and full-text feeds can.

    Identifiers are addresses without their scheme.
    """

    label = ""
    language = "und"
    timezone = "UTC"
    article_url = re.compile(r"^https?://(?P<id>.+)$", re.IGNORECASE | re.DOTALL)

    def known_address(self, url: str) -> str:
        """Return an address as a browser writes it; what it is asked with may be all that tells articles apart."""
        return canonical_url(urldefrag(url).url)

    def id_of(self, url: str) -> str:
        """Return host, decoded path and query of an address."""
        parts = urlsplit(url)
        query = f"?{parts.query}" if parts.query else ""
        return f"{parts.netloc.lower()}{readable_path(parts.path)}{query}"

    def parse_article(self, response: Response) -> Article:
        """Raise Refused."""
        raise Refused("no-spider", f"no spider is called {self.name!r}")


def publisher_of(post: Post, name: str, spiders: Mapping[str, type[Spider]]) -> str:
    """Return the publisher of a post in a file of another archive; raise Refused if nothing tells.

    That is whose address it has, else whose label or name it bears, else whose folder it lies in, or whose name its
    file's has after the day; of a publisher without a spider, the label where that can be a folder's name, else the
    host.
    """
    try:
        host = (urlsplit(post.url).hostname or "").removesuffix(".")
    except ValueError as error:
        raise Refused("bad-url", str(error)) from error
    file = PurePosixPath(name)
    after_day = re.match(r"\d{4}-\d\d-\d\d-(\w+)", file.name)
    folders = (*reversed(file.parts[:-1]), after_day[1] if after_day else "")
    labels = [label for label in (post.author, *post.tags, *post.categories) if label]
    named = {getattr(spider, "label", name): name for name, spider in spiders.items()}
    ways = (
        (name for name, spider in spiders.items() if is_on(host, spider)),
        (named[label] for label in labels if label in named),
        (label.lower() for label in labels if label.lower() in spiders),
        (folder.lower() for folder in folders if folder.lower() in spiders),
        (label.lower() for label in labels if NAME.fullmatch(label.lower())),
        (name for name in (host.removeprefix("www."),) if NAME.fullmatch(name)),
    )
    found = next((name for way in ways for name in way), "")
    if not found:
        raise Refused("no-publisher", "neither its address nor its labels tell whose it is")
    return found


def publishers(loader: SpiderLoaderProtocol) -> list[str]:
    """Return the publishers that have a spider of their own, by name; one that reads feeds of any has no label."""
    return [name for name in loader.list() if hasattr(loader.load(name), "label")]


def spider_of(loader: SpiderLoaderProtocol, publisher: str) -> PublisherSpider:
    """Return a new spider that reads what is kept of a publisher."""
    spider = spider_class(loader, publisher)()
    assert isinstance(spider, PublisherSpider)
    return spider


def spider_class(loader: SpiderLoaderProtocol, publisher: str) -> type[Spider]:
    """Return whose instances read what is kept of a publisher."""
    if publisher in publishers(loader):
        return loader.load(publisher)
    return type("OtherSpider", (OtherSpider,), {"name": publisher, "label": publisher})


def is_on(host: str, spider: type[Spider]) -> bool:
    """Tell whether a host is one of a publisher's."""
    domains = getattr(spider, "allowed_domains", None) or ()
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)
