"""Radio France Internationale (法国国际广播电台, 法广), in Chinese and in every other language it is read in.

There is no number in an address, and one article has had addresses of several
hosts and forms. Until a page is read, its decoded address stands for it; then
the ``content_id`` of its data does (``WBMZ76797-RFI-CN-20221107``, or a GUID).
The day in an address is not always the day of publication.

Since the end of 2019 a page describes itself thrice, in the JSON of
``#datalayer``, in meta elements and in JSON-LD, mostly in the same words. Where
not: the datalayer's time had no seconds until 2022, ``modified_time`` is missing
if unchanged or lies seconds before the publication, the section of a show is
``emissions`` in JSON-LD, and descriptions for readers of links are cut. Before,
JSON-LD labels the time of Paris as UTC; only the meta elements are right.

The lead (chapo) stands apart from the text, which it opens here. A show is a
text with a sound of its own, whose address closes the text.
"""

import re
from dataclasses import replace
from datetime import timedelta
from html import escape, unescape
from typing import Any
from urllib.parse import quote as percent_encoded

import orjson
from lxml.etree import _Element as Element
from scrapy.http import Response

from newsarchive.address import canonical_url, readable_path
from newsarchive.article import Article, Drift, Image, Refused
from newsarchive.body import Body, Rules, read_body
from newsarchive.coverage import Span
from newsarchive.extract import (
    Facts,
    Json,
    attribute,
    canonical,
    check_pictures,
    first,
    headline,
    instant,
    language,
    largest,
    meta,
    metas,
    news_article,
    once,
    one,
    script_json,
    select,
    solid,
    stated,
    text,
    tidy,
    tree,
)
from newsarchive.fragment import figure, link, plain, web_address
from newsarchive.layout import layout
from newsarchive.listing import Link, Listing
from newsarchive.page import stranger
from newsarchive.spider import PublisherSpider

#: What hosts tell of the language where the path does not and the host is no language code; the oldest were French.
LANGUAGE_OF_HOST = {"www": "fr", "amp": "fr", "m": "fr", "chinese": "cn", "www.chinese": "cn", "trad.cn": "tw"}
#: The day that an article's address states.
DAY = r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
#: First parts of the addresses of topics and persons, whose names may look like an article's; as written and encoded.
NAMERS = "|".join(
    part
    for name in "tag tags 关键词 關鍵詞 author authors auteur auteurs 作者 sitemaps _ws".split()
    for part in dict.fromkeys((name, percent_encoded(name)))
)
#: The sections that each edition has a page of.
SECTIONS = {
    "cn": "政治 中国 国际 法国 欧洲 亚洲 中东 非洲 港澳台 社会 体育",
    "tw": "政治 中國 港澳台 法國 歐洲 美洲 非洲 中東 亞洲 人權 經貿 社會 生態 科技與文化",
}
#: The publisher's own names, where one of them signs instead of a person.
PUBLISHER = ("RFI", "法广", "法廣", "法国国际广播电台", "法國國際廣播電台", "Radio France Internationale")


def photo(frame: Element, base: str) -> Image:
    """Read a picture with two legends, caption and credit; its alternative text repeats the caption.

    A single legend is the credit. A caption without a credit, or an alternative text without any
    legend, has not been seen, and would be a loss.
    """
    legends = [words for caption in frame.iter("figcaption") for legend in caption if (words := text(legend))]
    image = picture(frame, legends, base)
    if len(legends) == 1 and legends[0] != image.caption:
        legends = [image.caption, *legends]
    if not legends and not image.caption:
        return image
    return legended(image, legends)


def photo_before_2020(frame: Element, base: str) -> Image:
    """Read a picture with caption and credit, each in a ``small``."""
    legends = [words for legend in frame.iter("small") if (words := text(legend))]
    return legended(picture(frame, legends, base), legends)


def picture(frame: Element, legends: list[str], base: str) -> Image:
    """Return the one picture of a frame, captioned with its alternative text, if no words but legends are there.

    The size is a part of the address, and 1280 is the largest.
    """
    named = [img for img in frame.iter("img") if img.getparent().tag != "noscript"]
    if len(named) != 1 or "".join(text(frame).split()) != "".join("".join(legends).split()):
        raise Drift(f"{len(named)} pictures in a frame with the words {text(frame)[:40]!r}")
    if sizes := attribute(named[0], "data-image-dataset"):
        address = max(orjson.loads(sizes), key=lambda size: size["width"])["url"]
    else:
        address = re.sub(r"(//s\.rfi\.fr/media/display/[^/]+)/w:\d+/", r"\1/w:1280/", largest(named[0], base))
    if not address:
        raise Drift("a picture without an address")
    return Image(url=address, caption=tidy(attribute(named[0], "alt")))


def legended(image: Image, legends: list[str]) -> Image:
    """Return a picture with its caption and credit; raise Drift if the legends are not these two."""
    if len(legends) != 2:
        raise Drift(f"a picture with the legends {legends}")
    return replace(image, caption=legends[0], credit=legends[1])


def sound(player: Element) -> str:
    """Return the address of the sound or film that the JSON of a player names."""
    return str(orjson.loads(player.text)["sources"][0]["url"])


def embedded(element: Element, base: str) -> str:
    """Return the address of a sound, a film or somebody's post within the text."""
    player = first(element, "script[data-media-id]")
    if player is not None:
        return sound(player)
    holders = element.iter("iframe", "video-player", "video", "audio", "source", "a")
    found = next(filter(None, (attribute(holder, "src", "data-src", "source", "href") for holder in holders)), "")
    if not found:
        raise Drift(f"{element.get('class')!r} without an address")
    return web_address(found, base)


# Of what is embedded, the words are kept if it quotes somebody, else its address.
RULES = Rules(
    drop=(
        "div.m-interstitial, div.o-self-promo, div.m-block-ad, div.o-ad-container, .a-read-more, div.o-em-consent,"
        " p[class^=promo], p.t-copyright, button.m-main-media-btn"
    ),
    unwrap=(
        "div.m-em-image, div.m-em-textbox, div.m-em-quote__body, div.m-em-flash, div.m-em-twitter, div.m-em-audio,"
        " div.m-em-audio__content"
    ),
    figure="figure",
    picture=photo,
    embed=(
        "div.m-em-flash:not(:has(blockquote)), div.m-em-twitter:not(:has(blockquote)), div.m-em-video,"
        " div.m-em-liveblog, div.m-em-audio:not(:has(blockquote)), div.m-em-audio__content__sound,"
        # Of any other kind, what frames a page and has no words or pictures of its own.
        " div[class^='m-em-']:has(iframe):not(:has(p)):not(:has(blockquote)):not(:has(figure)):not(:has(script))"
    ),
    address=embedded,
)


class RfiSpider(PublisherSpider):
    """Reads www.rfi.fr."""

    name = "rfi"
    label = "法广"
    language = "zh-Hans"
    timezone = "Europe/Paris"
    editions = ("cn", "tw")
    allowed_domains = ["rfi.fr"]
    listings = (
        Listing("https://www.rfi.fr/sitemaps/{edition}/news.xml", whole=True),
        Listing("https://www.rfi.fr/{edition}/rss", whole=True),
        *(
            Listing(f"https://www.rfi.fr/{edition}/{percent_encoded(section)}/", spare=True, edition=edition)
            for edition, sections in SECTIONS.items()
            for section in sections.split()
        ),
    )
    article_url = re.compile(
        r"(?ai)^https?://(?:(?P<host>www|amp|m|[a-z]{2}|trad\.cn|(?:www\.)?chinese)\.)?rfi\.fr(?::80|:443)?/+"
        rf"(?!(?:[a-z]{{2}}/+)?(?:{NAMERS})/)(?![^?#]*/\.\.?/)"
        rf"(?P<id>(?:[^/?#\\]+/+){{0,4}}{DAY}-[^/?#\\]+)/*(?=\Z|[?#])"
    )
    phrases = (*PUBLISHER, "article", "edition", "texte", "audio", "video", "emissions", "Redirecting to")

    def key(self, url: str) -> str:
        """Return the decoded address that an article has, or would have, at www.rfi.fr today."""
        match = self.article_url.search(url)
        if not match:
            return url
        host, path = (match["host"] or "www").lower(), readable_path(match["id"])
        stated = re.match("[A-Za-z]{2}(?=/)", path)
        language = stated[0].lower() if stated else LANGUAGE_OF_HOST.get(host, host)
        # Until 2014 a number that the publisher's system gave could precede the rest of an address.
        rest = re.sub(r"^node/[0-9]+/", "", path[3:] if stated else path)
        return f"https://www.rfi.fr/{language}/{rest}"

    def archives(self, span: Span) -> list[Listing]:
        """Return the sitemaps of the months that a stretch of time touches."""
        months, month = [], span.start.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        while month < span.end:
            following = (month + timedelta(days=31)).replace(day=1)
            url = f"https://www.rfi.fr/sitemaps/{self.edition}/contents_{month:%Y%m}.xml"
            months.append(Listing(url, covers=Span(month, following)))
            month = following
        return months

    def may_lie(self, link: Link, span: Span) -> bool:
        """Tell whether the day in an article's address lies in a stretch of time, a day more or less."""
        day = f"{span.start - timedelta(days=1):%Y%m%d}", f"{span.end + timedelta(days=1):%Y%m%d}"
        return day[0] <= self.day_of(link.url) <= day[1]

    def edition_of(self, url: str) -> str:
        """Return the edition that an article's address belongs to; empty for one in another language."""
        edition = self.key(url).split("/")[3]
        return edition if edition in self.editions else ""

    def in_edition(self, url: str) -> str:
        """Return the address; empty for one of the other edition, as only its page tells the twin's."""
        return url if self.edition_of(url) in ("", self.edition) else ""

    def twin_of(self, root: Element, url: str) -> str:
        """Return the address of a page's twin, as it would be today; empty if the page names none of its day."""
        own = self.edition_of(url)
        for alternate in root.iter("link"):
            address = attribute(alternate, "href")
            if own and alternate.get("hreflang") and self.article_url.search(address):
                other = self.edition_of(address)
                if other and other != own and self.day_of(address) == self.day_of(url):
                    return canonical_url(self.key(address))
        return ""

    def language_at(self, url: str) -> str:
        """Return the language of an article by its address."""
        named = self.key(url).split("/")[3]
        return {"cn": "zh-Hans", "tw": "zh-Hant"}.get(named, named)

    def day_of(self, url: str) -> str:
        """Return the eight digits of the day in an article's address."""
        return self.key(url).rpartition("/")[2][:8]

    def asked_address(self, url: str) -> str:
        """Return an address without the second slash that RFI's feeds had after the host."""
        return re.sub(r"(?<=[^:/])//+", "/", url)

    def known_address(self, url: str) -> str:
        """Return the address that an article has, or would have, today."""
        return canonical_url(self.key(url))

    def id_of(self, url: str) -> str:
        """Return the decoded address, for a page that does not state the publisher's identifier."""
        super().id_of(url)
        return self.key(url)

    def parse_article(self, response: Response) -> Article:
        """Return the article."""
        root = tree(response)
        element = next(root.iter("article"), None)
        if element is not None and "article-page" in attribute(element, "class").split():
            return self.before_2020(response, root, element)
        layer = first(root, "script#datalayer")
        if layer is not None:
            return self.since_2020(response, root, element, script_json(layer))
        raise stranger(root, "neither article.article-page nor #datalayer")

    @layout
    def before_2020(self, response: Response, root: Element, element: Element) -> Article:
        """Read pages with ``article.article-page``; they state their times rightly in meta elements only."""
        facts, about, url = metas(root), news_article(root), self.address_of(root)
        if not about:
            raise Drift("no JSON-LD")
        opening, media = first(element, "div.intro"), first(element, "div.media")
        lead = self.lead_of(opening, url)
        photos = () if media is None else (photo_before_2020(media, url),)
        body = self.filled(read_body(one(element, "div[itemprop=articleBody]"), url, RULES), "texte")
        images = (*lead.images, *photos, *body.images)
        self.check_lead(opening, facts, about, body)
        self.check_pictures(facts, about, images)
        return self.article(
            response,
            url=url,
            id=element.get("data-bo-nid") or self.tms_id(root),
            title=headline(element),
            published=instant(self.fact(facts, "article:published_time"), self.timezone),
            modified=instant(self.fact(facts, "article:modified_time"), self.timezone),
            language=self.language_of(root, facts),
            section=about.get("articleSection") or meta(facts, "article:section"),
            authors=self.persons(about.get("author", ())),
            keywords=once(self.words(about.get("keywords"))) or once(facts.get("article:tag", ())),
            summary=text(opening),
            images=images,
            body=lead.html + "".join(map(figure, photos)) + body.html,
        )

    @layout
    def since_2020(self, response: Response, root: Element, element: Element | None, layer: Json) -> Article:
        """Read pages with ``#datalayer``, news and shows; since 2025 only the classes of pictures differ."""
        self.refuse_others(layer)
        if element is None:
            raise Drift("no article element")
        facts, about, url = metas(root), news_article(root), self.address_of(root)
        # A show may have headline, lead and sound in a header of its own, next to the article element.
        page = element.getparent()
        opening, media = first(page, "p.t-content__chapo"), first(page, "div.t-content__main-media")
        lead = self.lead_of(opening, url)
        shown = Body("") if media is None else read_body(media, url, RULES)
        body = self.filled(self.text_of(page, url, layer["main_media_type"]), layer["main_media_type"])
        images = (*lead.images, *shown.images, *body.images)
        self.check_lead(opening, facts, about, body)
        if "<a href" not in shown.html:
            # With a film in its place, the page is shared with the picture of that.
            self.check_pictures(facts, about, images, page if layer["content_type"] == "edition" else None)
        keywords = once(tag["name"] for tag in layer["tags"] or ())
        changed = stated("modified", facts, about)
        html = lead.html + shown.html + body.html
        return self.article(
            response,
            url=url,
            twin=self.twin_of(root, url),
            id=layer["content_id"],
            title=headline(page),
            published=instant(stated("published", facts, about), self.timezone),
            modified=instant(changed, self.timezone) if changed else None,
            language=self.language_of(root, facts),
            section=meta(facts, "article:section") or self.section_of(facts, keywords, layer),
            authors=self.persons(layer["authors"] or about.get("author", ())),
            keywords=keywords,
            summary=text(opening),
            images=images,
            body=html + self.sound_of(page, about, layer, html),
        )

    def address_of(self, root: Element) -> str:
        """Return the address of a page; raise Refused for one of RFI's sister stations, whose pages look the same."""
        address = canonical(root)
        super().id_of(address)
        return address

    def refuse_others(self, layer: Json) -> None:
        """Raise Refused for a page that says it is something else than an article or an edition of a show."""
        if str(layer["http_code"]) != "200":
            raise Refused("error-page", f"its http_code is {layer['http_code']}")
        if layer["content_type"] not in ("article", "edition"):
            raise Refused("not-an-article", f"its content_type is {layer['content_type']!r}")

    def lead_of(self, opening: Element | None, url: str) -> Body:
        """Return the lead in bold, with the links and emphases it has."""
        if opening is None:
            return Body("")
        lead = read_body(opening, url, RULES)
        html = re.sub("<p>(.*?)</p>", r"<p><strong>\1</strong></p>", re.sub("</?strong>", "", lead.html))
        return replace(lead, html=html)

    def text_of(self, page: Element, url: str, medium: str) -> Body:
        """Return the text; an item that is nothing but a sound or a film may have no place for one."""
        found = select(page, "div.t-content__body")
        if not found and medium in ("audio", "video"):
            raise Refused(medium, "no text beside it")
        if len(found) != 1:
            raise Drift(f"{len(found)} div.t-content__body")
        for quote in select(found[0], "div.m-em-quote"):
            quote.tag = "blockquote"
        return read_body(found[0], url, RULES)

    def filled(self, body: Body, medium: str) -> Body:
        """Return a body that holds words of its own; raise Refused for one that holds pictures and addresses only."""
        if not re.sub("<figure>.*?</figure>|<a [^>]*>https?://[^<]*</a>|<[^>]*>", "", body.html).strip():
            raise Refused(medium if medium in ("audio", "video") else "no-text", "the text is empty")
        return body

    def check_lead(self, opening: Element | None, facts: Facts, about: Json, body: Body) -> None:
        """Raise Drift if no lead was found, and the page's data describes it in words that are not in the text."""
        described = self.words_in(about.get("description") or meta(facts, "og:description")).rstrip("….")
        if not text(opening) and described not in self.words_in(body.html):
            raise Drift(f"no lead, but a description: {described[:40]!r}")

    def words_in(self, html: str) -> str:
        """Return the text of a fragment without white space; descriptions may be escaped twice."""
        return solid(plain(unescape(html)))

    def check_pictures(self, facts: Facts, about: Json, images: tuple[Image, ...], show: Element | None = None) -> None:
        """Raise Drift if the page's data names a picture that was found nowhere; a show's own lies in its header."""
        named = [*facts.get("og:image", ()), about.get("thumbnailUrl") or ""]
        headed = [] if show is None else select(show, ".o-podcast-header img")
        shown = [*(image.url for image in images), *(largest(img, "") for img in headed)]
        # Pages without a picture are shared with a card that names the publisher.
        check_pictures((url for url in named if "//static.rfi.fr/" not in url), shown, self.identity)

    def identity(self, address: str) -> str:
        """Return what the addresses of all sizes of a picture have in common."""
        display = re.search("/media/display/([^/]+)", address)
        return display[1] if display else address.rpartition("/")[2]

    def sound_of(self, page: Element, about: Json, layer: Json, html: str) -> str:
        """Return the link to the sound of a page, if its text does not have it; raise Drift if it is not found."""
        address = (about.get("audio") or {}).get("contentUrl") or ""
        if not address and layer["content_type"] == "edition":
            players = select(page, ".o-podcast-header script[data-media-id], .m-feed-sub__audio script[data-media-id]")
            own = (player for player in players if not player.get("data-media-id").startswith("direct_"))
            address = next(map(sound, own), "")
        if not address and layer["main_media_type"] == "audio" and "<a href" not in html:
            raise Drift("a sound is the main medium, but there is none")
        return link(address) if address and escape(address) not in html else ""

    def fact(self, facts: Facts, name: str) -> str:
        """Return the value of a meta element; raise Drift if there is none."""
        if name not in facts:
            raise Drift(f"no {name}")
        return facts[name][0]

    def language_of(self, root: Element, facts: Facts) -> str:
        """Return the language of a page; its ``og:locale`` names a territory for the script."""
        stated = language(root) or self.fact(facts, "og:locale")
        return {"zh_CN": "zh-Hans", "zh_TW": "zh-Hant"}.get(stated, stated[:2] if "_" in stated else stated)

    def section_of(self, facts: Facts, keywords: tuple[str, ...], layer: Json) -> str:
        """Return the section that precedes show and keywords in the meta element of keywords, if there is one."""
        words = meta(facts, "keywords").split(",")
        leading = words[: len(words) - len(keywords)]
        return leading[0] if len(leading) > (layer["content_type"] == "edition") else ""

    def words(self, told: Any) -> list[str]:
        """Return keywords of JSON-LD, which are a list or, with commas between them, one string."""
        return told.split(",") if isinstance(told, str) else told or []

    def persons(self, authors: Any) -> tuple[str, ...]:
        """Return those who sign besides the publisher, in the words of the page (``旧金山特约记者 王山``)."""
        # One author need not stand in a list.
        listed = authors if isinstance(authors, list | tuple) else [authors]
        signed = ({"name": author} if isinstance(author, str) else author or {} for author in listed)
        names = (tidy(author.get("name") or author.get("title") or "") for author in signed)
        own = {name.casefold() for name in PUBLISHER}
        return tuple(dict.fromkeys(name for name in names if name and name.casefold() not in own))

    def tms_id(self, root: Element) -> str:
        """Return the identifier in the variables of the audience measurement; empty if it is not there."""
        scripts = "".join(script.text or "" for script in root.iter("script"))
        assigned = re.search(r'tms_vars\["aef_id_contenu"\] = ("[^"]+")', scripts)
        return orjson.loads(assigned[1]) if assigned else ""
