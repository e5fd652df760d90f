"""Writes an article as a Jekyll post, and with it what the index says of it: both or neither."""

from typing import Self

from scrapy.crawler import Crawler

from newsarchive.article import Article
from newsarchive.post import content_of
from newsarchive.run import post_written
from newsarchive.store import Store


class WritePostPipeline:
    """Stores each article, and counts it as stored, revised or unchanged once that is safe."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.store = Store.of(crawler)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Return the pipeline for a crawler."""
        return cls(crawler)

    def open_spider(self) -> None:
        """Open the archive; raise what keeps it from being written, before anybody is asked for anything."""
        self.store.open()

    async def process_item(self, item: Article) -> Article:
        """Store the article's post."""
        place = await self.store.put(item, content_of(item, self.crawler.spider.label))
        self.crawler.stats.inc_value(f"{'partial' if item.partial else 'article'}/{place.ending}")
        file = self.store.archive / place.post
        self.crawler.signals.send_catch_log(post_written, file=file, ending=place.ending, article=item)
        return item
