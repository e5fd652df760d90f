"""An item of a full-text feed as an article: cleaned like any other, or verbatim."""

import re
from html import escape
from typing import TYPE_CHECKING

from scrapy.http import Response

from newsarchive.address import canonical_url
from newsarchive.article import Article, Refused, Signed
from newsarchive.date_parse import date_parse
from newsarchive.extract import tidy
from newsarchive.items import Manner, Said, manner_of, read_item, text_of
from newsarchive.spelling import WHITE_SPACE
from newsarchive.verbatim import CONTROLS, verbatim_body, verbatim_content

if TYPE_CHECKING:
    from datetime import datetime

    from newsarchive.spider import PublisherSpider

__all__ = ["item_article"]

#: The language of a publisher of which there is no spider, and so no page.
UNKNOWN = "und"
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*")


def item_article(spider: "PublisherSpider", response: Response) -> Article:
    """Return the article of an item that was kept; raise Refused if it is none.

    Only its text has to be there, its title and its time; how much text that is depends on the feed.
    """
    xml = text_of(response.body)
    manner, said = manner_of(xml), read_item(xml)
    title = said.headline or tidy(CONTROLS.sub("", said.title))
    if not title:
        raise Refused("no-title", "the item has no title")
    content = f"<p>{escape(said.content, quote=False)}</p>" if said.is_plain and not manner.verbatim else said.content
    if manner.verbatim:
        content = verbatim_body(content, manner.form)
    if not content.strip(WHITE_SPACE):
        raise Refused("no-text", "the item has no text")
    signed = Signed(author=author(spider, manner, said), label=manner.label, form=manner.form)
    url = spider.known_address(manner.url)
    article = spider.article(
        response,
        id=spider.known_id(url),
        url=url,
        title=title,
        published=published(manner, said),
        body=content,
        language=language(spider, url, manner, said),
        authors=tuple(name for name in said.authors if name != manner.label),
        keywords=said.keywords,
        summary=said.summary,
        images=said.images,
        signed=signed,
    )
    return verbatim_content(article, said.title, canonical_url(manner.url)) if manner.verbatim else article


def published(manner: Manner, said: Said) -> "datetime":
    """Return when an item was published; raise Refused ``no-time`` if it states no time that can be read."""
    stated = [time for time in said.times if time.strip()]
    if not stated and not manner.verbatim:
        # RDF has no other.
        stated = [said.other_time]
    found = next(filter(None, map(date_parse, stated)), None)
    if not found:
        told = stated[0].strip()[:60] if any(stated) else ""
        raise Refused("no-time", f"not a time: {told!r}" if told else "the item does not say when it was published")
    return found


def author(spider: "PublisherSpider", manner: Manner, said: Said) -> str:
    """Return who signs: whom the item names, but in posts like those of pages the publisher."""
    if manner.verbatim:
        return said.author or manner.label
    return manner.label if spider.language != UNKNOWN else tidy(said.author) or manner.label


def language(spider: "PublisherSpider", url: str, manner: Manner, said: Said) -> str:
    """Return the language of an article, of which feeds know only where the publisher is a stranger."""
    known = spider.language_at(url)
    stated = (said.language, manner.language)
    return next(filter(LANGUAGE.fullmatch, stated), known) if known == UNKNOWN else known
