"""Central News Agency (中央社), Taiwan's national news agency.

The news sitemap lists about a thousand articles, some six days' worth. The
twelve digits in an address are the article's identity: one article lives under
several channels and in several spellings (``aCN``, ``…-1.aspx``).

Every article closes with the day in the Republic of China's calendar, glued to
the editor's credit: ``（編輯：…）1120823``. Two years on, most articles are cut
down to their first paragraph, which lacks it, and a notice in a red box. Such a
page is refused: a lead must not pass for an article.

The author in the page's data is always the agency; who wrote it stands in the
text only, run together with the place, and stays there.
"""

import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from lxml.etree import _Element as Element
from scrapy.http import Response

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
    largest,
    meta,
    metas,
    news_article,
    once,
    one,
    select,
    stated,
    text,
    tidy,
    tree,
)
from newsarchive.fragment import plain
from newsarchive.layout import layout
from newsarchive.listing import Link, Listing
from newsarchive.page import stranger
from newsarchive.series import Series
from newsarchive.spider import PublisherSpider

SITE = "https://www.cna.com.tw"
#: Sections that addresses name. An article's address names any; most copies are of the one that listings name.
SECTIONS = ("aipl", "aopl", "acn", "afe", "ait", "ahel", "asoc", "aloc", "acul", "aspt", "amov", "firstnews")
#: Sections that have a page of their newest articles, and those that have a feed.
LISTS = ("aipl", "aopl", "acn", "aie", "asc", "ait", "ahel", "asoc", "aloc", "acul", "aspt", "amov")
FEEDS = "politics intworld mainland finance technology lifehealth social local culture sport stars".split()
CLOSING_DAY = re.compile(r"(?<!\d)\d{6,7}[^\w<]*(?:</[a-z]+>)*</p>")
#: A day in the calendar of the Republic of China, wherever it stands: ``1120823（18:20更新）``.
ROC_DAY = re.compile(r"(?<!\d)(\d{2,3})(\d{2})(\d{2})(?!\d)")
#: What an article's own keywords are followed by on pages before 2023.
GENERAL = ("News", "新聞", "即時新聞", "中央社")


def photo(frame: Element, base: str) -> Image:
    """Read a photo; its size is a part of the address, and 1024 pixels is the largest."""
    address = re.sub(r"/(WebPhotos|WebCover)/\d+/", r"/\1/1024/", largest(frame, base), flags=re.I)
    if not address:
        raise Drift("a photo without an address")
    caption = first(frame, ".picinfo, figcaption")
    # Words in a frame are the caption, whatever holds them; without words the alternative text says the same.
    words = text(frame if caption is None else caption)
    return Image(url=address, caption=words or tidy(one(frame, "img").get("alt") or ""))


def embedded(element: Element, base: str) -> str:
    """Return the address of what a script would put in an element's place."""
    if "infogram-embed" in attribute(element, "class"):
        return f"https://infogram.com/{attribute(element, 'data-id')}"
    if "flourish-embed" in attribute(element, "class"):
        return f"https://flo.uri.sh/{attribute(element, 'data-src')}/embed"
    return attribute(element, "data-href", "href")


RULES = Rules(
    drop=(
        ".insertGroup, .moreArticle, .articlekeywordGroup, .bottomBox, .SubscriptionInner, .gmailNews, .hiddenCont,"
        " .dic-icon, .dictionary-box, .dictionary-title, .news-dic-text, .news-dic-all, .articleADbox, .BtnShareGroup,"
        " .bottomArticleBanner, div.infogram-embed ~ div"
    ),
    unwrap=(
        ".youtubeBox, .youtube, .picinfo, .outerMedia, .myCustom, .book, .book-title, .book-content, .dictionary,"
        " .box_1, .box_2"
    ),
    figure=".floatImg",
    picture=photo,
    embed=".fb-post, .fb-video, .infogram-embed, .flourish-embed, .gie-single",
    address=embedded,
)


class CnaSpider(PublisherSpider):
    """Reads www.cna.com.tw."""

    name = "cna"
    label = "(臺)中央社CNA"
    language = "zh-Hant-TW"
    timezone = "Asia/Taipei"
    allowed_domains = ["cna.com.tw"]
    listings = (
        Listing(f"{SITE}/GoogleNewsSitemap_fromRemote_cfp.xml", whole=True),
        Listing(f"{SITE}/sitemap_fromRemote_cfp.xml"),
        Listing(f"{SITE}/list/aall.aspx"),
        Listing(f"{SITE}/atomfeed_cfp.xml", spare=True),
        *(Listing(f"{SITE}/list/{section}.aspx", spare=True) for section in LISTS),
        *(Listing(f"https://feeds.feedburner.com/rsscna/{feed}", spare=True) for feed in FEEDS),
    )
    # Round-ups and features have numbers of their own, from 5001 on; what has one from 3001 on is rare.
    series = (
        Series(start=1, last=3000, width=4, floor=200, hole=60, density=0.3),
        Series(start=3001, last=5000, width=4, floor=5, hole=0, density=0.3),
        Series(start=5001, last=9999, width=4, floor=41, hole=15, density=0.3),
    )
    article_url = re.compile(
        r"(?ai)^https?://(?:www\.)?cna\.com\.tw(?::80|:443)?/+(?:amp/+)?(?:news|topic/+popular)/+"
        r"(?!\.\.?/)[^/?#\\]+/+(?P<id>\d{12})(?:-\d+)?\.aspx/*(?=\Z|[?#])"
    )
    cut_down = ("expired",)
    expired = "您所瀏覽的新聞已過查詢時效"
    phrases = (
        expired,
        "發稿時間：",
        "最新更新：",
        "News,新聞,即時新聞,中央社",
        "中央社即時新聞 CNA NEWS",
        "中央社 CNA",
        "中央通訊社",
        "首頁",
    )

    def copied_below(self, span: Span) -> list[str]:
        """Return sections and months: an address is that of one section, and begins with the day in Taipei."""
        first, last = (moment.astimezone(ZoneInfo(self.timezone)).date() for moment in (span.start, span.end))
        days = (first + timedelta(days=number) for number in range((last - first).days + 1))
        months = dict.fromkeys(f"{day:%Y%m}" for day in days)
        return [f"{SITE}/news/{section}/{month}" for month in months for section in SECTIONS]

    def number_url(self, id: str) -> str:
        """Return an address of the article with a number: any category in the path resolves any number."""
        return f"{SITE}/news/aipl/{id}.aspx"

    def published_about(self, url: str) -> datetime | None:
        """Return the beginning of the day that an article's number states; None for a number of no day."""
        try:
            return datetime.strptime(self.key(url)[:8], "%Y%m%d").replace(tzinfo=ZoneInfo(self.timezone))
        except ValueError:
            return None

    def may_lie(self, link: Link, span: Span) -> bool:
        """Tell whether an article's number is of a day that lies in a stretch of time, a day more or less."""
        day = f"{span.start - timedelta(days=1):%Y%m%d}", f"{span.end + timedelta(days=1):%Y%m%d}"
        return day[0] <= self.key(link.url)[:8] <= day[1]

    def parse_article(self, response: Response) -> Article:
        """Return the article."""
        root = tree(response)
        content = first(root, "article.article")
        if content is not None:
            return self.since_2018(response, root, one(content, "div.centralContent"))
        content = first(root, "div.news_content_new")
        if content is not None:
            return self.before_2018(response, root, content)
        raise stranger(root, "neither article.article nor .news_content_new")

    @layout
    def before_2018(self, response: Response, root: Element, content: Element) -> Article:
        """Read pages of 2013 and 2014: one paragraph, broken by pairs of line breaks."""
        facts = metas(root)
        title = headline(content)
        times = one(content, "div.date")
        published, modified = text(times).removeprefix("發稿時間：").split("最新更新：")
        trail = select(root, "div.bread > a:not(.rss_2)")
        first_published = instant(published, self.timezone)
        body = self.whole(read_body(one(content, "div.box_0"), response.url, RULES), first_published)
        return self.article(
            response,
            url=canonical(root),
            title=title,
            published=first_published,
            modified=instant(modified, self.timezone),
            section=self.section_of(root, facts, title) or text(trail[-1]),
            keywords=self.keywords_of(facts, title),
            images=body.images,
            body=body.html,
        )

    @layout
    def since_2018(self, response: Response, root: Element, content: Element) -> Article:
        """Read pages with ``.centralContent``; since 2023 they describe themselves in JSON-LD.

        Until 2020 the visible time is that of the last change, and only the meta elements state the first.
        """
        facts, about = metas(root), news_article(root)
        title = headline(content)
        paragraphs = one(content, "div.paragraph", axis="child")
        if self.expired in text(paragraphs):
            raise Refused("expired", "cut down to its first paragraph")
        leads = [read_body(lead, response.url, RULES) for lead in select(content, "div.fullPic", axis="child")]
        published = instant(stated("published", facts, about), self.timezone)
        body = self.whole(read_body(paragraphs, response.url, RULES), published)
        images = tuple(image for part in (*leads, body) for image in part.images)
        if not any("<a href" in lead.html for lead in leads):
            # The picture of a film that stands above the text is not looked for.
            self.check_photos(facts, about, images)
        crumb = first(content, "div.breadcrumb > a:last-child")
        return self.article(
            response,
            url=canonical(root),
            title=title,
            published=published,
            modified=instant(stated("modified", facts, about), self.timezone),
            section=about.get("articleSection") or text(crumb) or self.section_of(root, facts, title),
            keywords=self.tags_of(content, about) if about else self.keywords_of(facts, title),
            summary=tidy(about.get("about") or "") or meta(facts, "description", "og:description"),
            images=images,
            body="".join(part.html for part in (*leads, body)),
        )

    def check_photos(self, facts: Facts, about: Json, images: tuple[Image, ...]) -> None:
        """Raise Drift if the page's data names photos that were not found in its text."""
        named = [url for url in about.get("image", ()) if "/webphotos/" in url.lower()]
        check_pictures(named, [image.url for image in images], lambda url: url.rpartition("/")[2])
        shared = meta(facts, "og:image")
        if not about and not images and re.search(r"/\d{8}/", shared):
            raise Drift(f"no photo in the text, but {shared} is shared with it")

    def tags_of(self, content: Element, about: Json) -> tuple[str, ...]:
        """Return the keywords of pages since 2023, whose JSON-LD closes its list with the name of its type."""
        named = about.get("keywords") or [
            text(tag).removeprefix("#") for tag in select(content, ".articlekeywordGroup > *")
        ]
        return once(word for word in named if word != "NewsArticle")

    def whole(self, body: Body, published: datetime) -> Body:
        """Return a body that closes with its day; raise Refused for one that was cut.

        What follows the day in its paragraph may be anything if the day is that of the publication.
        """
        if not CLOSING_DAY.search(body.html) and not self.names_its_day(body, published):
            raise Refused("incomplete", "the text does not close with its day")
        return body

    def names_its_day(self, body: Body, published: datetime) -> bool:
        """Tell whether the day of publication, or one next to it, is in the text as a closing day is written."""
        own = published.astimezone(ZoneInfo(self.timezone)).date()
        days = {(own + timedelta(days=away)) for away in range(-2, 3)}
        for year, month, number in ROC_DAY.findall(plain(body.html)):
            try:
                if date(int(year) + 1911, int(month), int(number)) in days:
                    return True
            except ValueError:
                continue
        return False

    def section_of(self, root: Element, facts: Facts, title: str) -> str:
        """Return the section that follows the headline in ``T | 國際 | 重點新聞 | 中央社 CNA``."""
        trail = meta(facts, "og:title") or text(first(root, "title"))
        # Shared under another headline, a page says nothing about where its own ends.
        return trail.removeprefix(title).strip(" |").split(" | ")[0] if trail.startswith(title) else ""

    def keywords_of(self, facts: Facts, title: str) -> tuple[str, ...]:
        """Return the keywords of pages before 2023, which often are just the headline and end in general words."""
        if "keywords" not in facts:
            raise Drift("no meta keywords")
        named = [word.strip() for word in ",".join(facts["keywords"]).split(",")]
        if tuple(named[-len(GENERAL) :]) == GENERAL:
            # ``…,News,新聞`` in 2020, ``…, News, 新聞`` in 2018.
            named = named[: -len(GENERAL)]
        return once(word for word in named if word != title)
