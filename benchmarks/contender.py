"""Contenders that share a process: they read pages again and again, and say how long each page took each of them.

Called with their names. The first line of standard input lists the pages, as JSON; each further line asks for a round
and is answered by one: for each page and contender, milliseconds and characters of text found. Nothing is imported but
what the contenders need, as the others are not installed there; reading files and decoding them is not timed.
"""

import gc
import json
import re
import sys
from collections.abc import Callable
from datetime import datetime
from functools import partial, reduce
from pathlib import Path
from time import perf_counter
from typing import Any

Page = dict[str, str]
#: Reads a page and returns the text it found there.
Run = Callable[[], str]


def parse(page: Page) -> Run:
    """Prepare parsel, which only parses."""
    from parsel import Selector

    source = Path(page["file"]).read_text("utf-8", "replace")
    return lambda: Selector(text=source).root.text or ""


def article(page: Page, whole: bool = False) -> Run:
    """Prepare what a spider's author writes, from a response to an Article; or all that is done until it is written."""
    from scrapy.http import HtmlResponse
    from scrapy.spiderloader import get_spider_loader
    from scrapy.utils.misc import load_object
    from scrapy.utils.project import get_project_settings

    settings, body = get_project_settings(), Path(page["file"]).read_bytes()
    spider: Any = get_spider_loader(settings).load(page["publisher"])()
    steps = [spider.parse_article]
    if whole:
        steps = [spider.read, *map(load_object, settings.getlist("READ_STEPS"))]
    return lambda: reduce(lambda found, step: step(found), steps, HtmlResponse(page["url"], body=body)).body


def fundus(page: Page, parser_only: bool = False) -> Run:
    """Prepare fundus up to its Article, language included; for DW by its own parser, which reads no pictures.

    It has none for the other two. For them this is what a contributor would write: its ``BaseParser`` with its own
    helpers for body, title, time, authors, topics and images, and CSS selectors. ``parser_only`` leaves out its
    Article, which is what finds the language of the text.
    """
    from fundus import PublisherCollection
    from fundus.parser import BaseParser, attribute, utility
    from fundus.scraping.article import Article
    from fundus.scraping.html import HTML, SourceInfo
    from lxml.cssselect import CSSSelector

    class Parser(BaseParser):
        leads, headings = CSSSelector(".t-content__chapo, .intro > p"), CSSSelector(".t-content__body > h2")
        paragraphs = CSSSelector("div.paragraph > p, div.box_2 > p, .t-content__body > p, [itemprop=articleBody] > p")
        pictures, start = CSSSelector("figure img, .floatImg img, .media img"), CSSSelector("body")

        @attribute
        def body(self) -> Any:
            texts = (self.paragraphs, self.leads, self.headings)
            return utility.extract_article_body_with_selector(self.precomputed.doc, *texts)

        @attribute
        def facts(self) -> Any:
            ld, meta = self.precomputed.ld, self.precomputed.meta
            stated = ld.bf_search("datePublished") or meta.get("article:published_time")
            authors = utility.generic_author_parsing(ld.bf_search("author"))
            topics = utility.generic_topic_parsing(meta.get("keywords"))
            title = ld.bf_search("headline") or meta.get("og:title")
            return title, utility.generic_date_parsing(stated), authors, topics

        @attribute
        def images(self) -> Any:
            return utility.image_extraction(self.precomputed.doc, self.paragraphs, self.pictures, self.start)

    source = Path(page["file"]).read_text("utf-8", "replace")
    versions = {version.__name__: version for version in PublisherCollection.de.DW.parser}
    own = versions["V1" if 'class="longText"' in source else "V2_1"]
    parser = own() if page["publisher"] == "dw" else Parser()
    html = HTML(page["url"], page["url"], source, datetime.now(), SourceInfo(page["publisher"]))

    def run() -> str:
        extraction = parser.parse(source, "catch")
        found = Article(html=html, **extraction)
        return str(found.body) + ("" if parser_only else f"<{found.lang}>")

    return run


def trafilatura(page: Page) -> Run:
    """Prepare trafilatura with what an archive wants: metadata, links and pictures."""
    from trafilatura import bare_extraction

    source = Path(page["file"]).read_text("utf-8", "replace")
    wanted = {"with_metadata": True, "include_comments": False, "include_images": True, "include_links": True}
    return lambda: getattr(bare_extraction(source, **wanted), "text", None) or ""


def timed(run: Run) -> tuple[float, int]:
    """Return the milliseconds that one reading takes and the characters of text it finds."""
    start = perf_counter()
    found = run()
    took = perf_counter() - start
    return took * 1000, len(re.sub(r"<[^<>]*>|\s", "", found))


if __name__ == "__main__":
    read = partial(article, whole=True)
    fundus_parser = partial(fundus, parser_only=True)
    contenders = [globals()[name] for name in sys.argv[1:]]
    runs = [[prepare(page) for prepare in contenders] for page in json.loads(sys.stdin.readline())]
    for _ in sys.stdin:
        gc.collect()
        print(json.dumps([[timed(run) for run in page] for page in runs]), flush=True)
