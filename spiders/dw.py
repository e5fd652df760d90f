"""Deutsche Welle (德国之声), Germany's international broadcaster, in some thirty languages.

The number at the end of an address is the identity of whatever the address
leads to, and the letters before it say what that is: ``a-`` an article,
``live-`` a live blog, ``av-`` or ``video-`` a film. Everything else in an
address may change, in old articles even the host. Pictures are numbered too:
a second number names the size, and every size exists of pictures of any age.

The pages were rebuilt language by language, the Chinese ones last, early in
2024. The classic page states the day only and prints its list of facts twice.
Its successor is drawn from a state that is embedded in the page, where the
article is complete. Texts in traditional characters stand under the same
language mark as those in simplified ones on classic pages, and nothing there
tells them apart.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from html import escape
from typing import Any
from urllib.parse import quote, urljoin

from lxml import etree
from lxml.etree import _Element as Element
from scrapy.http import Response

from newsarchive.article import Article, Drift, Image, Refused
from newsarchive.body import Body, Rules, read_body
from newsarchive.coverage import Span
from newsarchive.extract import (
    Facts,
    Json,
    attribute,
    check_pictures,
    day,
    first,
    headline,
    instant,
    language,
    news_article,
    once,
    one,
    parse,
    select,
    state,
    text,
    tidy,
    tree,
)
from newsarchive.fragment import figure, lead, plain, web_address
from newsarchive.layout import layout
from newsarchive.listing import Link, Listing
from newsarchive.page import stranger
from newsarchive.spider import PublisherSpider

#: The last such part of an address; a headline may end like it: ``/en/covid-19/a-52904433``.
KIND = re.compile(r"/([a-z]+)-\d+(?=/?(?:$|[?#]))")
#: The script that an address states, and the part of it that stays the same in another.
EDITION = re.compile(
    r"(?ai)^https?://[^/]+/+(?P<edition>zh(?:-hant)?)/(?:[^?#]*/)?(?P<thing>(?:a|live)-\d+)/*(?=\Z|[?#])"
)
KINDS = {"live": "live-blog", "av": "video", "video": "video", "audio": "audio", "g": "gallery"}
#: What a state calls the things that have a place of their own in a text; links to other things are words.
PLACED = ("IMAGE", "VIDEO", "AUDIO", "IMAGE_GALLERY")
HEAD = ("description", "og:description", "og:image", "twitter:image", "keywords")
LANGUAGES = {"zh": "zh-Hans", "zh-hans": "zh-Hans", "zh-hant": "zh-Hant"}

#: Articles are numbered in the order in which they are begun, so long at most before they come out.
BEGUN = timedelta(days=7)
#: How many articles with the next lower numbers tell when one was begun: one of them may have lain for longer.
WITNESSES = 3

SITE = "https://www.dw.com"
#: Sections that have a page of their newest articles; both editions have the same numbers.
SECTIONS = (
    *("在线报导/s-9058", "政治/s-1681", "经济/s-1682", "文化/s-1683", "科技创新/s-1686", "中国/s-68398488"),
    *("台湾/s-68398524", "香港/s-68820324", "亚洲/s-68398536", "欧洲/s-68398532", "德国/s-68398523"),
    *("人权/s-68398577", "气候环境/s-68398593", "法治国家/s-68398589", "新闻自由/s-68398580"),
)
TWEET = "https://twitter.com/i/status/"
TOPIC = re.compile(r"/t-\d+$")
#: ``/image/62170494_303.jpg``; until 2015 also ``/image/0,,17456545_303,00.jpg``.
PICTURE = re.compile(r"/image/(?:0,\d*,)?(\d+)_[^/.]+\.(\w+)$")
#: 1,199 pixels wide, the largest size of the whole picture that pages name for all devices; 703 is upright.
LANDSCAPE, PORTRAIT = "605", "703"

HOUSE = ("Deutsche Welle", "DW")
#: Whole paragraphs that promote the house's other channels.
PROMOTION = (
    "DW中文有Instagram！欢迎搜寻dw.chinese，看更多深入浅出的图文与影音报道。",
    "DW中文有Instagram！歡迎搜尋dw.chinese，看更多深入淺出的圖文與影音報導。",
)
DAY = re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}")
#: What the classic list of facts calls an author, in lower case.
AUTHOR = frozenset(
    "作者 author auteur autorin/autor autor autorin autor(in) autor/a autora autores autore автор автори autoria autori"
    " الكاتب نویسنده yazar συντάκτης penulis mwandishi mawallafi".split()
)
#: Between two names; within brackets stand agencies and places.
BETWEEN_NAMES = re.compile(r"\s*[/,，、;|]\s*(?![^(（]*[)）])")


def number_of(address: str) -> str:
    """Return the number of the picture that an address names; empty if it is none of DW's."""
    match = PICTURE.search(address)
    return match[1] if match else ""


def photo(address: str, portrait: bool = False) -> str:
    """Return the address of a picture in the size kept here; raise Drift if it has no number."""
    match = PICTURE.search(address)
    if not match:
        raise Drift(f"a picture without a number: {address!r}")
    return f"https://static.dw.com/image/{match[1]}_{PORTRAIT if portrait else LANDSCAPE}.{match[2]}"


def classic_picture(frame: Element, base: str) -> Image:
    """Read a picture of a classic page: all words in its frame are the caption."""
    image = one(frame, "img")
    width, height = (int(re.sub(r"\D.*", "", image.get(name) or "") or 0) for name in ("width", "height"))
    return Image(url=photo(attribute(image, "src"), portrait=0 < width < height), caption=text(frame))


def picture(frame: Element, base: str) -> Image:
    """Read a picture of the new pages; the last address is the one for old browsers, which all know JPEG."""
    caption = one(frame, "figcaption")
    small = text(one(caption, "small"))
    named = [attribute(image, "data-url", "src") for image in frame.iter("img", "amp-img")]
    return Image(
        url=photo(next(filter(number_of, reversed(named)), ""), portrait="portrait" in (frame.get("class") or "")),
        caption=text(caption).removesuffix(small).strip(),
        # ``Bild: Imago``; the word before the colon is the language's for picture.
        credit=re.sub(r"^[^:：]*[:：]\s*", "", small),
    )


def player(wrapper: Element, base: str) -> str:
    """Return the address of a film or sound; the last source is a file, those before it are streams."""
    holders = [*reversed(list(wrapper.iter("source"))), *wrapper.iter("iframe")]
    return web_address(next(filter(None, (attribute(holder, "src", "data-src") for holder in holders)), ""), base)


CLASSIC = Rules(
    drop=".col1, .col3.right, .gallery",
    unwrap=".longText, .col2",
    figure=".picBox",
    picture=classic_picture,
)
STATE = Rules(
    unwrap="div.yt-wrapper",
    figure="figure",
    picture=picture,
    # A state holds no advertisements: whose page a frame without words shows does not matter.
    embed="div.vjs-wrapper, div.embed:has(iframe):not(:has(p)):not(:has(blockquote))",
    address=player,
)
#: Galleries name their pictures on these pages, but not their address.
AMP = replace(STATE, drop=".advertisement, .image-gallery")


def fragment_of(html: str) -> Element:
    """Parse a piece of HTML into an element that holds it."""
    body = one(parse(f"<body>{html}".encode("utf-8", "replace")), "body")
    body.getparent().remove(body)
    return body


def become_link(element: Element, address: str, words: str = "") -> None:
    """Turn an element into a paragraph that leads to an address."""
    element.clear(keep_tail=True)
    element.tag = "p"
    etree.SubElement(element, "a", href=address).text = words or address


def holds_no_picture(frame: Element) -> bool:
    """Tell whether the frame of a picture holds somebody's page or post instead."""
    return next(frame.iter("img"), None) is None and next(frame.iter("iframe", "blockquote"), None) is not None


def link_tweets(written: Element) -> Element:
    """Return the text with links for the places that scripts fill with tweets; most stand in the frame of a picture."""
    if first(written, ".embeddedTweet") is None and not any(map(holds_no_picture, select(written, ".picBox"))):
        return written
    written = deepcopy(written)
    for frame in filter(holds_no_picture, select(written, ".picBox")):
        frame.attrib.clear()
    for tweet in select(written, ".embeddedTweet"):
        frame = tweet.getparent()
        place = frame if "picBox" in (frame.get("class") or "") else tweet
        become_link(place, TWEET + attribute(tweet, "id").removeprefix("twtr-"))
    return written


def link_embeds(fragment: Element, things: Json, tongue: str) -> set[str]:
    """Turn the places that scripts fill with galleries, films, tweets and widgets into links; return their numbers.

    A place that nothing names and that holds nothing shows nothing.
    """
    linked = set()
    for holder in [*fragment.iter()]:
        number, kinds = holder.get("data-id"), (holder.get("class") or "").split()
        if not number:
            continue
        if "namedUrl" in things.get(number, {}):
            outer = (outer for outer in holder.iterancestors() if "embed" in (outer.get("class") or "").split())
            wrapper = next(outer, holder)
            become_link(wrapper, urljoin(SITE, things[number]["namedUrl"]), tidy(things[number]["name"]))
            linked.add(number)
        elif "tweet" in kinds and not text(holder):
            become_link(holder, TWEET + number)
        elif "dw-widget" in kinds and not text(holder):
            become_link(holder, f"https://webapi.dw.com/iframes/widget/{tongue}/{number}")
    return linked


def lead_of(link: Json, image: Json) -> Image:
    """Return the lead picture of a state."""
    caption, credit = (tidy(words or "") for words in (link["description"], image["licenserSupplement"]))
    return Image(url=photo(image["staticUrl"]), caption=caption, credit=credit)


def section_of(content: Json) -> str:
    """Return what stands above the headline; older articles have only their place in the menu."""
    focus = content.get("thematicFocusCategory") or {}
    return tidy(focus.get("name") or content.get("kicker") or (content["trackingCategories"] or [""])[-1] or "")


def kicker_of(area: Element) -> str:
    """Return the first of the words above the headline; old articles have none."""
    above = next(iter(one(area, "header")), None)
    return text(above[0]) if above is not None and above.tag != "h1" and len(above) else ""


def address_of(root: Element) -> str:
    """Return the canonical address of an article, empty if there is none; raise Refused for what is no article."""
    address = next((attribute(link, "href") for link in root.iter("link") if link.get("rel") == "canonical"), "")
    kind = KIND.search(address)
    if address and (not kind or kind[1] != "a"):
        raise Refused(KINDS.get(kind[1] if kind else "", "not-an-article"), address)
    return address


def head_of(root: Element) -> Facts:
    """Return what is used of the meta elements, of which there are some hundred."""
    facts: Facts = {name: [] for name in HEAD}
    for meta in root.iter("meta"):
        name = meta.get("property") or meta.get("name")
        if name in facts and (content := tidy(meta.get("content") or "")):
            facts[name].append(content)
    return facts


def teaser_of(facts: Facts) -> str:
    """Return the teaser as the page's head repeats it."""
    return next(iter(facts["description"] + facts["og:description"]), "")


def names_in(told: str) -> tuple[str, ...]:
    """Return the names in a line of authors, each with what stands behind it in brackets."""
    return once(name for name in BETWEEN_NAMES.split(tidy(told)) if name not in HOUSE)


def persons_of(about: Json) -> tuple[str, ...]:
    """Return the authors in a page's JSON-LD, where the house signs for articles that have none."""
    authors = about.get("author") or []
    authors = authors if isinstance(authors, list) else [authors]
    return once(author["name"] for author in authors if author["@type"] == "Person")


def list_of_facts(facts: Element) -> Json:
    """Read a list of facts: its labels are in the page's language, so the values tell what they are."""
    told: Json = {"day": "", "authors": (), "topics": (), "keywords": ()}
    for item in facts.iterchildren("li"):
        links = [*item.iter("a")]
        targets = [link.get("href") or "" for link in links]
        label = text(item.find("strong"))
        value = "" if links and label.lower() not in AUTHOR else text(item).removeprefix(label).strip(" :")
        if DAY.fullmatch(value):
            told["day"] = value
        elif links and all("/search/" in target for target in targets):
            told["keywords"] = once(map(text, links))
        elif links and all(TOPIC.search(target) for target in targets):
            told["topics"] = once(map(text, links))
        elif value and not value.startswith("http"):
            # All other facts are links, in every language.
            if not label:
                raise Drift(f"a fact without a label: {value!r}")
            told["authors"] = names_in(value)
    return told


class DwSpider(PublisherSpider):
    """Reads www.dw.com."""

    name = "dw"
    label = "德国之声"
    language = "zh-Hans"
    timezone = "UTC"
    editions = ("zh", "zh-hant")
    allowed_domains = ["dw.com", "dw.de"]
    listings = (
        Listing(f"{SITE}/{{edition}}/news-sitemap.xml", whole=True),
        Listing("https://rss.dw.com/rdf/rss-chi-all", whole=True),
        Listing("https://rss.dw.com/xml/rss-chi-all", spare=True),
        *(Listing(f"{SITE}/{{edition}}/{quote(section)}", spare=True) for section in SECTIONS),
    )
    article_url = re.compile(
        r"(?ai)^https?://(?:(?:www|m|amp)\.)?dw(?:-world)?\.(?:com|de)(?::80|:443)?/+"
        r"(?!(?:overlay|search|graph-api|static|media)/)(?:[^?#\\]*/)?"
        r"(?:(?:a|live)-(?=\d+/*(?:\Z|[?#]))|article/+(?:\d+/+)*0,\d*,(?=\d+[,_][^/?#\\]*/*(?:\Z|[?#])))(?P<id>\d+)"
    )
    phrases = (*PROMOTION, *HOUSE, "德国之声", "日期", "作者", "主题", "关键词", "Datum", "Autorin/Autor", "الكاتب")

    def archives(self, span: Span) -> list[Listing]:
        """Return the sitemap of all articles; how far back it reaches, it tells itself."""
        return [Listing(f"{SITE}/{self.edition}/article-sitemap.xml", whole=True)]

    def may_lie(self, link: Link, span: Span) -> bool:
        """Tell whether an article may be of a stretch of time: it was not changed before, nor begun after it."""
        if link.modified and link.modified < span.start:
            return False
        place = bisect_left(self.numbered, (int(self.key(link.url)),))
        before = [published for _, published in self.numbered[max(place - WITNESSES, 0) : place]]
        begun_after = bool(before) and min(before) >= span.end + BEGUN
        return super().may_lie(link, span) and not begun_after

    @cached_property
    def numbered(self) -> list[tuple[int, datetime]]:
        """Number and publication of the articles that the archive had when this was first asked, in order."""
        articles = self.frontier.store.known.articles(self.name)
        return sorted((int(article.id), article.published) for article in articles if article.id.isdecimal())

    def in_edition(self, url: str) -> str:
        """Return the address in the run's edition, where an article has the same number."""
        found = EDITION.search(url)
        if not found or found["edition"].lower() == self.edition:
            return url
        return f"{SITE}/{self.edition}/{found['thing'].lower()}"

    def parse_article(self, response: Response) -> Article:
        """Return the article."""
        root = tree(response)
        address = address_of(root)
        if not address:
            raise stranger(root, "no canonical address")
        content = first(root, "div#bodyContent")
        if content is not None:
            return self.before_2024(response, root, address, content)
        if {"⚡", "amp"} & set(root.attrib):
            return self.amp(response, root, address)
        if apollo := state(root, "__APOLLO_STATE__"):
            return self.since_2023(response, root, address, apollo[f"Article:{self.id_of(address)}"], apollo)
        if app := state(root, "__APP_STATE__"):
            path = f"/content/article/{self.id_of(address)}"
            held = next(held for key, held in app.items() if key.endswith(path))
            return self.since_2023(response, root, address, held["data"]["content"], {})
        written = first(root, "div.longtextMobile")
        if written is not None:
            return self.mobile_2018(response, root, address, written)
        if first(root, "div.rich-text") is not None:
            raise Drift("a page without the state that it is drawn from")
        raise stranger(root, "neither #bodyContent nor a state nor .longtextMobile")

    @layout
    def before_2024(self, response: Response, root: Element, address: str, content: Element) -> Article:
        """Read the classic pages."""
        column = one(content, "div.col3", axis="child")
        trail = one(root, "div#navPath").iter("a")
        frames = select(column, ".picBox", axis="child")
        films = select(column, ".standaloneWrap", axis="child")
        section = [*map(text, trail)][-1]
        return self.classic(response, root, address, content, one(column, ".longText"), frames, len(films), section)

    @layout
    def mobile_2018(self, response: Response, root: Element, address: str, written: Element) -> Article:
        """Read the pages of m.dw.com, which are classic ones cut down."""
        column = one(root, "div.article")
        frames = [frame for frame in select(column, ".picBox") if written not in frame.iterancestors()]
        return self.classic(response, root, address, column, written, frames, 0, text(one(column, "h4")))

    def classic(
        self,
        response: Response,
        root: Element,
        address: str,
        content: Element,
        written: Element,
        frames: list[Element],
        films: int,
        section: str,
    ) -> Article:
        """Read a classic page, the last of which describe themselves in JSON-LD; above the text may stand a film."""
        facts, about = head_of(root), news_article(root)
        shared = [*facts["og:image"], *facts["twitter:image"], *about.get("image", ())]
        if not about and any(image.endswith(".webp") for image in shared):
            raise Drift("pictures in WebP, as on the pages with JSON-LD, but no JSON-LD")
        # As a rule the lists are the same to the letter, and one need not be read.
        printed = {etree.tostring(facts, with_tail=False): facts for facts in select(content, "ul.smallList")}
        told = [*map(list_of_facts, printed.values())]
        if not told or any(other != told[0] for other in told):
            raise Drift(f"{len(told)} lists of facts, or not the same")
        if facts["keywords"] and not told[0]["keywords"]:
            raise Drift(f"keywords in the page's head only: {facts['keywords']}")
        return self.composed(
            response,
            root,
            address,
            shared=shared,
            films=films,
            leads=[classic_picture(frame, address) for frame in frames],
            text=self.body(link_tweets(written), address, CLASSIC),
            title=headline(content),
            published=instant(about["datePublished"], self.timezone) if about else day(told[0]["day"]),
            modified=instant(about["dateModified"], self.timezone) if about else None,
            section=section,
            authors=told[0]["authors"] or persons_of(about),
            keywords=told[0]["keywords"] or told[0]["topics"],
            summary=text(first(content, "p.intro")) or teaser_of(facts),
        )

    @layout
    def since_2023(self, response: Response, root: Element, address: str, content: Json, objects: Json) -> Article:
        """Read the state of a new page; until 2024 it refers to its objects, since then it holds them."""

        def known(value: Any) -> Any:
            return objects[value["__ref"]] if isinstance(value, dict) and "__ref" in value else value

        fragment = fragment_of(content["text"] or "")
        # What must be there may be null, which says that there is none.
        links = [link for link in map(known, content["contentLinks"] or ()) if link]
        things = {str(link["targetId"]): known(link.get("target") or {}) or {} for link in links}
        lists = [[*filter(None, map(known, content[kind] or ()))] for kind in ("videos", "audios", "imageGalleries")]
        things |= {str(thing["id"]): thing for listed in lists for thing in listed}
        linked = link_embeds(fragment, things, language(root))
        body = self.body(fragment, address, STATE)
        placed = {str(link["targetId"]) for link in links if link["isInText"] and link["targetType"] in PLACED}
        if lost := placed - linked - {number_of(image.url) for image in body.images}:
            raise Drift(f"in the text by its state, but not found there: {sorted(lost)}")
        addresses = {urljoin(SITE, things[number]["namedUrl"]) for number in linked}
        if unwritten := {address for address in addresses if escape(address) not in body.html}:
            raise Drift(f"linked in the text, but lost with what is around it: {sorted(unwritten)}")
        leads = [lead_of(link, known(link["target"])) for link in [known(content.get("mainContentImageLink"))] if link]
        published = content.get("firstPublicationDate") or news_article(root).get("datePublished")
        return self.composed(
            response,
            root,
            address,
            shared=[(content["imageSharingMetadata"] or {}).get("url", "")],
            # With a film above the text, the page is shared with the picture of that.
            films=int(content.get("mainContentImageLink", "renamed") is None and bool(lists[0])),
            leads=leads,
            text=body,
            title=tidy(content["title"]),
            published=instant(published or content["contentDate"], self.timezone),
            modified=instant(changed, self.timezone) if (changed := content["lastModifiedDate"]) else None,
            section=section_of(content),
            authors=once(known(person)["fullName"] or "" for person in content["persons"] or ())
            or names_in(content.get("legacyAuthor") or ""),
            keywords=once(known(topic)["name"] or "" for topic in content["relatedAutoTopics"] or ()),
            summary=tidy(content["teaser"] or ""),
        )

    @layout
    def amp(self, response: Response, root: Element, address: str) -> Article:
        """Read the pages of amp.dw.com, which have JSON-LD but no state."""
        about, area = news_article(root), one(root, "article")
        written = one(area, "div.rich-text")
        frames = [frame for frame in select(area, "figure") if written not in frame.iterancestors()]
        buttons = [link for link in root.iter("a") if link.get("role") == "button"]
        return self.composed(
            response,
            root,
            address,
            shared=about["image"],
            leads=[picture(frame, address) for frame in frames],
            text=self.body(written, address, AMP),
            title=tidy(about["headline"]),
            published=instant(about["datePublished"], self.timezone),
            modified=instant(about["dateModified"], self.timezone),
            section=kicker_of(area),
            authors=persons_of(about),
            keywords=once(text(link) for link in buttons if TOPIC.search(link.get("href") or "")),
            summary=teaser_of(head_of(root)),
        )

    def body(self, container: Element, address: str, rules: Rules) -> Body:
        """Return the text without paragraphs that are promotion."""
        body = read_body(container, address, rules)
        if "dw.chinese" not in body.html:
            return body
        paragraphs = re.compile(r"<p>(.*?)</p>")
        html = paragraphs.sub(lambda p: "" if plain(p[1]) in PROMOTION else p[0], body.html)
        return Body(html, body.images)

    def composed(
        self,
        response: Response,
        root: Element,
        address: str,
        *,
        leads: list[Image],
        text: Body,
        summary: str,
        shared: Iterable[str],
        films: int = 0,
        **fields: Any,
    ) -> Article:
        """Return the article: teaser, lead picture, text.

        Raises Drift if a picture that the page is shared with was not found; that of a film is not looked for.
        """
        images = (*leads, *text.images)
        check_pictures(shared, [image.url for image in images], number_of, spare=films)
        if not text.html:
            raise Drift("no text")
        tag = language(root)
        if not tag:
            raise Drift("the page does not say its language")
        return self.article(
            response,
            url=address,
            language=LANGUAGES.get(tag.lower(), tag),
            summary=summary,
            images=images,
            body="".join((lead(summary), *map(figure, leads), text.html)),
            **fields,
        )
