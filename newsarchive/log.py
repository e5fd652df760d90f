"""Says what befell an article in one line: Scrapy would print the whole of it."""

import logging
from typing import Any

from scrapy.logformatter import LogFormatter as ScrapyLogFormatter
from scrapy.logformatter import LogFormatterResult

__all__ = ["LogFormatter"]


class LogFormatter(ScrapyLogFormatter):
    """Names articles by their address."""

    def scraped(self, item: Any, response: Any, spider: Any) -> LogFormatterResult:
        """Return the line for an article that went through all pipelines."""
        return {"level": logging.DEBUG, "msg": "stored %(url)s", "args": {"url": item.url}}

    def dropped(self, item: Any, exception: BaseException, response: Any, spider: Any) -> LogFormatterResult:
        """Return the line for an article that a pipeline refused."""
        return {
            "level": logging.WARNING,
            "msg": "article/refused %(url)s: %(why)s",
            "args": {"url": item.url, "why": str(exception)},
        }

    def item_error(self, item: Any, exception: BaseException, response: Any, spider: Any) -> LogFormatterResult:
        """Return the line for an article on which a pipeline failed."""
        return {
            "level": logging.ERROR,
            "msg": "pipeline failed on %(url)s: %(why)s",
            "args": {"url": item.url, "why": repr(exception)},
        }
