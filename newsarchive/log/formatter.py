"""Says what befell an article in one line: Scrapy would print the whole of it."""

import logging
from typing import Any, Self

from scrapy.crawler import Crawler
from scrapy.logformatter import LogFormatter as ScrapyLogFormatter
from scrapy.logformatter import LogFormatterResult

from newsarchive.log.handler import install_again
from newsarchive.printable import printable

__all__ = ["LogFormatter"]


class LogFormatter(ScrapyLogFormatter):
    """Names articles by their address."""

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Return the formatter of a crawl, whose spider may have settings of its own for the log."""
        install_again(crawler.settings)
        return cls()

    def scraped(self, item: Any, response: Any, spider: Any) -> LogFormatterResult:
        """Return the line for an article that went through all pipelines."""
        return {"level": logging.DEBUG, "msg": "stored %(url)s", "args": {"url": printable(item.url)}}

    def dropped(self, item: Any, exception: BaseException, response: Any, spider: Any) -> LogFormatterResult:
        """Return the line for an article that a pipeline refused."""
        return {
            "level": logging.WARNING,
            "msg": "article/refused %(url)s: %(why)s",
            "args": {"url": printable(item.url), "why": printable(exception)},
        }

    def item_error(self, item: Any, exception: BaseException, response: Any, spider: Any) -> LogFormatterResult:
        """Return the line for an article on which a pipeline failed."""
        return {
            "level": logging.ERROR,
            "msg": "pipeline failed on %(url)s: %(why)s",
            "args": {"url": printable(item.url), "why": printable(repr(exception))},
        }
