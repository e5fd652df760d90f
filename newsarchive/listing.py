"""What a listing announces: the addresses of articles, with their times where it states them.

A listing is a news sitemap, a plain sitemap, a feed (RSS 2.0, RDF, Atom) or a
page of links, told apart by what it holds.
"""

from calendar import timegm
from dataclasses import dataclass
from datetime import UTC, datetime

import feedparser
from lxml import etree
from scrapy.http import Response

from newsarchive.article import Refused
from newsarchive.extract import select, tree

__all__ = ["Link", "read_listing"]


@dataclass(frozen=True, slots=True)
class Link:
    """The address of an article and when the listing says it was published."""

    url: str
    #: Aware, in UTC; None if the listing states no time, or one without an offset.
    announced: datetime | None = None


def read_listing(response: Response) -> list[Link]:
    """Return what a listing links to, in its order; raise Refused ``malformed-listing`` if it cannot be read."""
    opening = response.body[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if opening.startswith((b"<!doctype html", b"<html")) or b"<html" in opening:
        return _page(response)
    root = _xml(response.body)
    if etree.QName(root).localname in ("urlset", "sitemapindex"):
        return _sitemap(root)
    return _feed(response)


def _xml(body: bytes) -> etree._Element:
    """Return the root of well-formed XML; nothing outside the document is read or expanded."""
    try:
        return etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False))
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Refused("malformed-listing", str(error)) from error


def _sitemap(root: etree._Element) -> list[Link]:
    links = []
    for entry in root.iterfind("{*}url"):
        address = (entry.findtext("{*}loc") or "").strip()
        stated = entry.findtext(".//{*}publication_date") or ""
        if address:
            links.append(Link(address, _announced(stated)))
    return links


def _announced(stated: str) -> datetime | None:
    """Return an ISO 8601 time with an offset in UTC; anything less exact is worth nothing."""
    try:
        found = datetime.fromisoformat(stated.strip())
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else None


def _feed(response: Response) -> list[Link]:
    feed = feedparser.parse(response.body, sanitize_html=False, resolve_relative_uris=False)
    if not feed.version:
        raise Refused("malformed-listing", "XML, but neither a sitemap nor a feed")
    links = []
    for entry in feed.entries:
        stated = entry.get("published_parsed") or entry.get("updated_parsed")
        announced = datetime.fromtimestamp(timegm(stated), UTC) if stated else None
        if entry.get("link"):
            links.append(Link(response.urljoin(entry.link.strip()), announced))
    return links


def _page(response: Response) -> list[Link]:
    anchors = select(tree(response), "a[href]")
    return [Link(response.urljoin(anchor.get("href").strip())) for anchor in anchors]
