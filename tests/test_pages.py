"""All real pages are read or refused rightly.

What a page says is looked up here a second time, by other means and with the
simplest selectors that do: headline, time, identifier, and every paragraph.
"""

import csv
import re
from contextlib import suppress
from datetime import datetime
from html import unescape
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from parsel import Selector
from places import SHARED, needs_shared, saved, spider

from newsarchive.article import Article, Refused
from newsarchive.extract import canonical, tree
from pipelines.clean import clean
from pipelines.validate import validated

pytestmark = needs_shared

#: Where headline and paragraphs are, per publisher; the first that is there counts.
HEADLINE = {
    "cna": (".centralContent h1", ".news_content_new h1"),
    "dw": ("article header h1", "#bodyContent h1", ".content .article h1"),
    "rfi": ("h1.a-page-title", "h1[itemprop=name]"),
}
PARAGRAPHS = {
    "cna": (
        "//div[contains(@class,'centralContent')]/div[@class='paragraph'][1]/p",
        "(//div[@class='box_2'])[1]/p",
    ),
    "dw": (
        "//article//div[contains(@class,'rich-text')]/*[self::p or self::h2 or self::h3]",
        "(//*[@id='bodyContent']//div[@class='longText'])[1]/*[self::p or self::h2 or self::h3]",
    ),
    "rfi": (
        "//*[contains(@class,'t-content__body')]/*[self::p or self::h2 or self::h3 or self::blockquote or self::ul]",
        "//*[@itemprop='articleBody']/p",
    ),
}
TEASER = {"cna": (), "dw": ("p.intro", "article .teaser-text"), "rfi": ("p.t-content__chapo", ".intro p")}
REFUSED = {"expired": "201603190029", "empty-template": "focustaiwan", "redirect-stub": "redirect-stub"}


def rows() -> list[dict[str, str]]:
    if not SHARED.is_dir():
        return []
    with (SHARED / "pages" / "INDEX.tsv").open(encoding="utf-8", newline="") as index:
        return [row for row in csv.DictReader(index, delimiter="\t") if (SHARED / "pages" / row["file"]).exists()]


def read(row: dict[str, str]) -> Article:
    body = (SHARED / "pages" / row["file"]).read_bytes()
    response = saved("https://www.example.com/", body)
    with suppress(Refused):
        response = saved(canonical(tree(response)), body)
    return validated(clean(spider(row["publisher"]).read(response)))


def squeezed(text: str) -> str:
    """Return text without white space, in which sources and browsers differ."""
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", "", text)


def words(fragment: str) -> str:
    return squeezed(unescape(re.sub(r"<[^>]*>", "", fragment)))


def reason(row: dict[str, str]) -> str:
    return next((reason for reason, sign in REFUSED.items() if sign in row["file"]), "")


ARTICLES = [row for row in rows() if not reason(row)]
OTHERS = [row for row in rows() if reason(row)]


def name(row: dict[str, str]) -> str:
    return Path(row["file"]).stem


@pytest.mark.parametrize("row", OTHERS, ids=name)
def test_what_is_no_whole_article_is_refused(row: dict[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        read(row)
    assert refused.value.reason == reason(row)


@pytest.mark.parametrize("row", ARTICLES, ids=name)
def test_headline_time_and_identity_agree_with_the_page(row: dict[str, str]) -> None:
    article = read(row)
    page = Selector(text=(SHARED / "pages" / row["file"]).read_text(encoding="utf-8"))
    headline = next(found[0] for css in HEADLINE[row["publisher"]] if (found := page.css(css)))
    assert squeezed(article.title) == squeezed(headline.xpath("string()").get())
    stated = row["published"].removesuffix(" (Asia/Taipei)")
    moment = (
        datetime.strptime(stated, "%Y/%m/%d %H:%M").replace(tzinfo=ZoneInfo("Asia/Taipei"))
        if "/" in stated
        else datetime.fromisoformat(stated if "T" in stated else f"{stated}T00:00:00+00:00")
    )
    assert article.published == moment
    assert article.modified is None or article.modified > article.published
    if row["publisher"] != "rfi":
        assert article.id == re.search(r"(\d{12})|a-(\d+)$", row["address (canonical, decoded)"].partition("-1.")[0])[
            0
        ].removeprefix("a-")
    elif "datalayer" in page.get():
        assert article.id == re.search(r'"content_id"\s*:\s*"([^"]+)"', page.get())[1]
    if row["language"]:
        assert article.language.startswith(row["language"])


@pytest.mark.parametrize("row", ARTICLES, ids=name)
def test_every_paragraph_is_there_in_order_and_nothing_else(row: dict[str, str]) -> None:
    article = read(row)
    page = Selector(text=(SHARED / "pages" / row["file"]).read_text(encoding="utf-8"))
    for element in page.css("script, style, svg, noscript"):
        element.drop()
    found = next((nodes for path in PARAGRAPHS[row["publisher"]] if (nodes := page.xpath(path))), [])
    teaser = next((nodes[:1] for css in TEASER[row["publisher"]] if (nodes := page.css(css))), [])
    expected = "".join(squeezed(node.xpath("string()").get()) for node in [*teaser, *found])
    prose = re.sub(
        r"<figure>.*?</figure>|<p><a [^>]*>[^<]*</a></p>|<blockquote><p><a [^>]*>http.*?</blockquote>", "", article.body
    )
    assert words(prose) == expected
    assert len(expected) > 30


@pytest.mark.parametrize("row", ARTICLES, ids=name)
def test_pictures_are_in_the_body_with_real_addresses(row: dict[str, str]) -> None:
    article = read(row)
    shown = re.findall(r'<img src="([^"]*)"', article.body)
    assert [unescape(url) for url in shown] == [image.url for image in article.images]
    assert [url for url in shown if not re.match(r"https?://", url) or "${" in url or "gif;base64" in url] == []
    assert len(set(shown)) == len(shown)


def test_two_captures_of_one_article_give_the_same_article() -> None:
    captures: dict[str, list[Article]] = {}
    for row in ARTICLES:
        captures.setdefault(row["address (canonical, decoded)"], []).append(read(row))
    again = {address: articles for address, articles in captures.items() if len(articles) > 1}
    assert len(again) >= 3
    for articles in again.values():
        assert all(article == articles[0] for article in articles)
