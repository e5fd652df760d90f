"""Where a publisher announces its articles, and what a listing says: addresses, with times where it states them.

A listing is a news sitemap, a plain sitemap, a feed (RSS 2.0, RDF, Atom) or a
page of links, told apart by what it holds.
"""

import re
from calendar import timegm
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import struct_time
from urllib.parse import urlsplit

import feedparser
from lxml import etree
from scrapy.http import Response

from newsarchive.article import Refused
from newsarchive.coverage import Span
from newsarchive.extract import select, tidy, tree
from newsarchive.fragment import plain
from newsarchive.page import refuse_long_tag, refuse_unreadable

__all__ = ["Link", "Listing", "Told", "read_entry", "read_listing"]

#: Characters of the tags around a feed's entries; real feeds have some 500.
MOST_AROUND = 5000
#: Where a line ends in HTML.
LINE_END = re.compile(r"<(?:br|/p|/div|/li)\b[^<>]*>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Listing:
    """A place where a publisher announces articles: what is known of it before it is asked."""

    url: str
    #: Whether it names every article that the publisher announces, with its time, as far back as it reaches.
    whole: bool = False
    #: The stretch of time in which it names every article, for one that does not change with time.
    covers: Span | None = None
    #: Whether it is asked only in place of one that fails, or for a gap that others have left.
    spare: bool = False
    #: The edition whose articles it names; empty for any.
    edition: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """The address of an article, and when the listing says it was published and last changed."""

    url: str
    #: Aware, in UTC; None if the listing states no time, or one without an offset.
    announced: datetime | None = None
    #: Aware, in UTC; None if the listing does not say, or only a day.
    modified: datetime | None = None
    #: What a feed says of it: the feed without its other entries, as XML; empty if it is no feed's.
    entry: bytes = field(default=b"", compare=False, repr=False)


def read_listing(response: Response) -> list[Link]:
    """Return what a listing links to, in its order; raise Refused ``malformed-listing`` if it cannot be read."""
    opening = response.body[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if opening.startswith((b"<!doctype html", b"<html")) or b"<html" in opening:
        if urlsplit(response.url).path.endswith(".xml"):
            raise Refused("malformed-listing", "a page where a sitemap or feed should be")
        return _page(response)
    refuse_long_tag(response.body)
    root = _xml(response.body)
    if etree.QName(root).localname in ("urlset", "sitemapindex"):
        return _sitemap(response, root)
    return _feed(response, root)


@dataclass(frozen=True, slots=True)
class Told:
    """What a feed says of one article."""

    url: str
    title: str
    #: Aware, in UTC; None if it states no time, or one that cannot be read.
    published: datetime | None
    #: Plain text; may be empty.
    summary: str


def read_entry(body: bytes) -> Told:
    """Return what ``Link.entry`` says; raise Refused ``malformed-listing`` if it is none."""
    refuse_long_tag(body)
    feed = feedparser.parse(body, sanitize_html=False, resolve_relative_uris=False)
    if len(feed.entries) != 1:
        raise Refused("malformed-listing", f"{len(feed.entries)} entries")
    entry = feed.entries[0]
    stated = entry.get("published_parsed") or entry.get("updated_parsed")
    # Some feeds have the text, or its beginning, in place of a summary.
    summaries = [entry.get("summary_detail") or {}, *entry.get("content", ())]
    summary = next(filter(None, map(_words, summaries)), "")
    return Told(entry.get("link") or "", _words(entry.get("title_detail") or {}), _utc(stated), summary)


def _words(detail: Mapping[str, str]) -> str:
    """Return the words of a feed's text, which is HTML unless it says otherwise."""
    value = detail.get("value") or ""
    return tidy(value if detail.get("type") == "text/plain" else plain(LINE_END.sub("\n", value)))


def _xml(body: bytes) -> etree._Element:
    """Return the root of well-formed XML; nothing outside the document is read or expanded."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, strip_cdata=False)
    try:
        return etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Refused("malformed-listing", str(error)) from error


def _sitemap(response: Response, root: etree._Element) -> list[Link]:
    links = []
    for entry in root.iterfind("{*}url"):
        address = _address(response, entry.findtext("{*}loc") or "")
        stated = entry.findtext(".//{*}publication_date") or ""
        if address:
            links.append(Link(address, _instant(stated), _instant(entry.findtext("{*}lastmod") or "")))
    return links


def _instant(stated: str) -> datetime | None:
    """Return an ISO 8601 time with an offset in UTC; anything less exact is worth nothing."""
    try:
        found = datetime.fromisoformat(stated.strip())
        return found.astimezone(UTC) if found.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _feed(response: Response, root: etree._Element) -> list[Link]:
    feed = feedparser.parse(response.body, sanitize_html=False, resolve_relative_uris=False)
    if not feed.version:
        raise Refused("malformed-listing", "XML, but neither a sitemap nor a feed")
    links = []
    for entry, alone in zip(feed.entries, _entries(root, len(feed.entries)), strict=True):
        stated = entry.get("published_parsed") or entry.get("updated_parsed")
        if address := _address(response, entry.get("link") or ""):
            # Where there is none, feedparser would give the time of publication.
            changed = entry.get("updated_parsed") if "updated_parsed" in entry else None
            links.append(Link(address, _utc(stated), _utc(changed) if changed != stated else None, alone))
    return links


def _entries(root: etree._Element, expected: int) -> list[bytes]:
    """Return each entry of a feed in a feed of its own; empty ones if they are not as many as expected.

    So they are where much stands around them, as it would stand around each.
    """
    found = [element for element in root.iter("{*}item", "{*}entry") if _is_entry(element)]
    if len(found) != expected or any(_around(parent) > MOST_AROUND for parent in {one.getparent() for one in found}):
        return [b""] * expected
    return [_alone(entry) for entry in found]


def _around(parent: etree._Element | None) -> int:
    """Return about how many characters the tags take that an element stands in, its own with them."""
    if parent is None:
        return 0
    told = [*parent.attrib.items(), *parent.nsmap.items()]
    return sum(len(str(word)) for pair in told for word in pair) + _around(parent.getparent())


def _is_entry(element: etree._Element) -> bool:
    """Tell whether an element is a feed's entry by where it stands: not in another one."""
    return not any(etree.QName(above).localname in ("item", "entry") for above in element.iterancestors())


def _alone(entry: etree._Element) -> bytes:
    """Return an entry with the elements around it and nothing else, so that it changes by itself only."""
    alone = deepcopy(entry)
    alone.tail = None
    for above in entry.iterancestors():
        # The name of a namespace may be None, whatever the stubs say.
        around = etree.Element(above.tag, nsmap=above.nsmap)  # type: ignore[arg-type]
        around.attrib.update(above.attrib)
        around.append(alone)
        alone = around
    return etree.tostring(alone, encoding="utf-8", xml_declaration=True)


def _utc(stated: struct_time | None) -> datetime | None:
    """Return a time that feedparser has read; None for one that lies outside of the calendar."""
    try:
        return datetime.fromtimestamp(timegm(stated), UTC) if stated else None
    except (ValueError, OverflowError, OSError):
        return None


def _address(response: Response, link: str) -> str:
    """Return the absolute address of a link; empty if it is none, as one bad link must not spoil the others."""
    try:
        return response.urljoin(link.strip()) if link.strip() else ""
    except ValueError:
        return ""


def _page(response: Response) -> list[Link]:
    refuse_unreadable(response)
    anchors = select(tree(response), "a[href]")
    return [Link(address) for anchor in anchors if (address := _address(response, anchor.get("href") or ""))]
