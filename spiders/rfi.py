"""Radio France Internationale (法国国际广播电台, 法广), in Chinese and whatever else it is served in.

There is no number in an address, and the same article has had addresses of
several hosts and forms. Until a page is read, its decoded address stands for
it; then the ``content_id`` of its data does (``WBMZ76797-RFI-CN-20221107``,
some are GUIDs). The day in the address is not the day of publication.

Since the end of 2019 a page describes itself in the JSON of ``#datalayer``,
in its meta elements and in JSON-LD, mostly with the same values. Where they
differ: the datalayer's time lacked seconds until 2022; ``modified_time`` is
missing for an unchanged article, or some seconds before the publication; the
JSON-LD of a show calls its section ``emissions``. Before, JSON-LD labels the
time of Paris as UTC, and only the meta elements are right.

The lead (chapo) stands apart from the body and opens it here. A show is text
with a sound of its own, whose address closes the body.
"""

import re
from typing import Any
from unicodedata import normalize
from urllib.parse import unquote

import orjson
from lxml.html import HtmlElement
from scrapy.http import Response

from newsarchive.article import Article, Drift, Image, Refused
from newsarchive.body import Body, Rules, figure, link, read_body, web_address
from newsarchive.extract import (
    attribute,
    canonical,
    first,
    instant,
    language,
    largest,
    metas,
    news_article,
    one,
    script_json,
    select,
    text,
    tidy,
    tree,
)
from newsarchive.page import stranger
from newsarchive.spider import PublisherSpider

#: Hosts of old that told the language which the path of ``www.rfi.fr`` tells today.
LANGUAGE_OF_HOST = {"cn": "cn", "chinese": "cn", "www.chinese": "cn", "trad.cn": "tw", "en": "en", "es": "es", "ru": "ru"}
#: The publisher's own names, where they stand for an author.
PUBLISHER = {"rfi", "法广", "法廣", "法国国际广播电台", "法國國際廣播電台", "radio france internationale"}


def photo(frame: HtmlElement, base: str) -> Image:
    """Read a picture and its two legends, caption and credit; the alternative text repeats the caption.

    A picture without a caption has one legend; one without a credit has not been seen.
    """
    pictures = [picture for picture in frame.iter("img") if picture.getparent().tag != "noscript"]
    legends = [text(legend) for caption in frame.iter("figcaption") for legend in caption]
    alternative = tidy(attribute(first(frame, "img"), "alt"))
    if len(legends) == 1 and legends[0] != alternative:
        legends.insert(0, alternative)
    if len(pictures) != 1 or len(legends) != (2 if alternative or legends else 0) or beside(frame, legends):
        raise Drift(f"a picture with {len(pictures)} sources and the legends {legends}")
    return Image(url=address_of(pictures[0], base), caption=(legends or [""])[0], credit=(legends or [""])[-1])


def beside(frame: HtmlElement, legends: list[str]) -> bool:
    """Tell whether a frame holds words besides its legends."""
    return "".join(text(frame).split()) not in {"".join("".join(part).split()) for part in (legends, legends[1:])}


def address_of(picture: HtmlElement, base: str) -> str:
    """Return the address of a picture in its largest size; the size is a part of it, and 1280 is the largest."""
    if sizes := attribute(picture, "data-image-dataset"):
        return str(max(orjson.loads(sizes), key=lambda size: size["width"])["url"])
    address = re.sub(r"(//s\.rfi\.fr/media/display/[^/]+)/w:\d+/", r"\1/w:1280/", largest(picture, base))
    if not address:
        raise Drift("a picture without an address")
    return address


def embedded(element: HtmlElement, base: str) -> str:
    """Return the address of a sound, a film or somebody's post in the text."""
    player = first(element, "script[data-media-id]")
    if player is not None:
        return sound_of(player)
    holders = element.iter("iframe", "video-player", "video", "audio", "source", "a")
    found = next((source for holder in holders if (source := attribute(holder, "src", "data-src", "source", "href"))), "")
    if not found:
        raise Drift(f"{element.get('class')!r} without an address")
    return web_address(found, base)


def sound_of(player: HtmlElement) -> str:
    """Return the address of the sound or film that a player's JSON names."""
    return str(orjson.loads(player.text)["sources"][0]["url"])


RULES = Rules(
    drop=(
        ".m-interstitial, .o-self-promo, p[class^=promo], .t-copyright, .m-block-ad, .o-ad-container, .a-read-more,"
        " .o-em-consent, .m-main-media-btn"
    ),
    unwrap=(
        ".m-em-image, .m-em-textbox, .m-em-quote__body, .m-em-flash, .m-em-twitter, .m-em-audio--has-quote,"
        " .m-em-audio__content"
    ),
    figure="figure",
    picture=photo,
    embed=(
        ".m-em-flash:not(:has(blockquote)), .m-em-twitter:not(:has(blockquote)), .m-em-video, .m-em-liveblog,"
        " .m-em-audio:not(.m-em-audio--has-quote), .m-em-audio__content__sound"
    ),
    address=embedded,
)


class RfiSpider(PublisherSpider):
    """Reads www.rfi.fr."""

    name = "rfi"
    label = "法广"
    language = "zh-Hans"
    timezone = "Europe/Paris"
    allowed_domains = ["rfi.fr"]
    start_urls = ["https://www.rfi.fr/sitemaps/cn/news.xml", "https://www.rfi.fr/cn/rss"]
    article_url = re.compile(
        r"(?i)^https?://(?:(?P<host>www|amp|m|cn|trad\.cn|(?:www\.)?chinese|en|es|ru)\.)?rfi\.fr"
        r"/+(?P<id>(?:[^/?#]+/+){0,3}\d{8}-[^/?#]+)/?(?=$|[?#])"
    )
    phrases = ("法广", "法廣", "RFI", "法国国际广播电台", "法國國際廣播電台", "Radio France Internationale")

    def key(self, url: str) -> str:
        """Return the decoded address of an article as www.rfi.fr has it today, or any other address as it is."""
        match = self.article_url.search(url)
        if not match:
            return url
        path = re.sub(r"/+", "/", normalize("NFC", unquote(match["id"], errors="backslashreplace")))
        spoken = LANGUAGE_OF_HOST.get((match["host"] or "www").lower(), "fr")
        return f"https://www.rfi.fr/{path if re.match(r'[a-z]{2}/', path) else f'{spoken}/{path}'}"

    def id_of(self, url: str) -> str:
        """Return the decoded address, for a page that does not state the publisher's identifier."""
        super().id_of(url)
        return self.key(url)

    def parse_article(self, response: Response) -> Article:
        """Return the article."""
        root = tree(response)
        story = next(root.iter("article"), None)
        if story is not None and attribute(story, "class") == "article-page":
            return self.before_2020(response, root, story)
        if first(root, "script#datalayer") is not None:
            return self.since_2020(response, root, story)
        raise stranger(root, "neither article.article-page nor #datalayer")

    def before_2020(self, response: Response, root: HtmlElement, story: HtmlElement) -> Article:
        """Read pages with ``article.article-page``, in French until the end of 2019, in Chinese longer before."""
        facts, about, url = metas(root), news_article(root), canonical(root)
        if not about:
            raise Drift("no JSON-LD")
        opening = first(story, "div.intro")
        lead = read_body(opening, url, RULES) if opening is not None else Body("")
        media = first(story, "div.media")
        image = self.photo_before_2020(media, url) if media is not None else None
        body = read_body(one(story, "div[itemprop=articleBody]"), url, RULES)
        summary = text(opening)
        images = (*lead.images, *((image,) if image else ()), *body.images)
        self.check_lead(about, summary, body)
        self.check_pictures(facts, about, images)
        return self.article(
            response,
            url=url,
            id=attribute(story, "data-bo-nid") or self.tms_id(root),
            title=text(one(story, "h1")),
            published=instant(self.stated(facts, "published"), self.timezone),
            modified=instant(self.stated(facts, "modified"), self.timezone),
            language=self.language_of(root, about, {}),
            section=(facts.get("article:section") or [about.get("articleSection", "")])[0],
            authors=self.persons(about.get("author")),
            keywords=tuple(dict.fromkeys(about.get("keywords") or facts.get("article:tag", ()))),
            summary=summary,
            images=images,
            body=self.opened(lead) + (figure(image) if image else "") + self.filled(body, "").html,
        )

    def since_2020(self, response: Response, root: HtmlElement, story: HtmlElement | None) -> Article:
        """Read pages with ``#datalayer``, news and shows; in 2025 only the classes of pictures changed."""
        facts, about, url = metas(root), news_article(root), canonical(root)
        layer = script_json(root, "script#datalayer")
        self.refuse_others(layer)
        if story is None:
            raise Drift("no article element")
        # A show may have its headline, lead and sound in a header of its own, next to the article element.
        page = story.getparent()
        title = text(one(page, "h1"))
        opening, media, text_body = (first(page, css) for css in (
            "p.t-content__chapo", "div.t-content__main-media", "div.t-content__body",
        ))
        ...
