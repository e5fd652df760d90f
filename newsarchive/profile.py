"""What the pages of a run looked like, by layout: which fields were empty, how long texts were, what was refused.

It stands in the run's account, and says nothing of single articles but where to look at one. What is usual
follows from the accounts of many runs (``newsarchive.health``).
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from math import log2
from typing import Any, Self

from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured

from newsarchive.article import Article, Refused
from newsarchive.layout import layout_of
from newsarchive.run import article_ended, post_written

__all__ = ["FIELDS", "STEPS", "Profile"]

#: What a page need not say, and how it is told that it does not.
FIELDS: dict[str, Callable[[Article], bool]] = {
    "modified": lambda article: not article.modified,
    "twin": lambda article: not article.twin,
    "section": lambda article: not article.section,
    "authors": lambda article: not article.authors,
    "keywords": lambda article: not article.keywords,
    "summary": lambda article: not article.summary,
    "images": lambda article: not article.images,
    "captions": lambda article: not any(image.caption for image in article.images),
    "credits": lambda article: not any(image.credit for image in article.images),
}
#: Classes of lengths of text in an octave: a length of 2 ** (number / STEPS) characters lies in the middle of one.
STEPS = 4
_TAG = re.compile(r"<[^>]*>")


@dataclass(slots=True)
class Look:
    """What pages of one layout looked like; of articles that were new, and of those that were read before."""

    new: int = 0
    again: int = 0
    #: Of those that were read before, how many read otherwise.
    revised: int = 0
    #: How often a field was empty.
    empty: dict[bool, Counter[str]] = field(default_factory=lambda: {True: Counter(), False: Counter()})
    #: How many texts were how long, by class.
    lengths: dict[bool, Counter[int]] = field(default_factory=lambda: {True: Counter(), False: Counter()})
    #: How many pages were refused, by reason.
    refused: Counter[str] = field(default_factory=Counter)
    #: An address for each of the above, and what a refusal said of it.
    examples: dict[str, str] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)
    #: The shortest and the longest text: class and address.
    ends: tuple[tuple[int, str], tuple[int, str]] | None = None

    def add(self, article: Article, is_new: bool, is_revised: bool) -> None:
        """Count an article."""
        self.new += is_new
        self.again += not is_new
        self.revised += is_revised
        if is_revised:
            self.examples.setdefault("revised", article.url)
        for name, is_empty in FIELDS.items():
            kind = name if is_empty(article) else f"{name}, not empty"
            self.examples.setdefault(kind, article.url)
            self.empty[is_new][name] += kind == name
        length = length_class(len(_TAG.sub("", article.body)))
        self.lengths[is_new][length] += 1
        here = (length, article.url)
        self.ends = (min(self.ends[0], here), max(self.ends[1], here)) if self.ends else (here, here)

    def refuse(self, url: str, refusal: Refused) -> None:
        """Count a page that was refused."""
        self.refused[refusal.reason] += 1
        self.examples.setdefault(refusal.reason, url)
        self.details.setdefault(refusal.reason, refusal.detail)

    def account(self) -> dict[str, Any]:
        """Return what an account says of it: pairs are of new articles, and of those that were read before."""
        ends = {"short": self.ends[0][1], "long": self.ends[1][1]} if self.ends else {}
        lengths = sorted(self.lengths[True].keys() | self.lengths[False].keys())
        return {
            "read": [self.new, self.again],
            "revised": self.revised,
            "empty": {name: [self.empty[True][name], self.empty[False][name]] for name in FIELDS},
            "lengths": {str(at): [self.lengths[True][at], self.lengths[False][at]] for at in lengths},
            "refused": dict(sorted(self.refused.items())),
            "examples": {**dict(sorted(self.examples.items())), **ends},
            "details": dict(sorted(self.details.items())),
        }


class Profile:
    """Looks at every page of a crawl that was read or refused."""

    def __init__(self) -> None:
        self.looks: dict[str, Look] = {}

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Return the profile of a crawl; raise NotConfigured for a replay, which tells nothing of today's pages."""
        if crawler.settings.get("RUN_KIND", "crawl") != "crawl":
            raise NotConfigured
        profile = cls()
        crawler.signals.connect(profile.written, post_written)
        crawler.signals.connect(profile.ended, article_ended)
        return profile

    def look(self, layout: str) -> Look:
        """Return what pages of a layout look like; empty is the name of none, or of the only one."""
        return self.looks.setdefault(layout, Look())

    def written(self, article: Article, ending: str) -> None:
        """Count an article of which a page was read."""
        if not article.partial:
            self.look(article.layout).add(article, ending == "stored", ending == "revised")

    def ended(self, url: str, refusal: Refused | None = None, capture: Any = None) -> None:
        """Count a page that was refused; what was no page, or could not be had, has no capture."""
        if refusal and capture:
            self.look(layout_of(refusal)).refuse(url, refusal)

    def account(self) -> dict[str, Any]:
        """Return what the account says of the pages, by layout."""
        return {layout: look.account() for layout, look in sorted(self.looks.items())}


def length_class(characters: int) -> int:
    """Return the class of a length of text, in characters; empty texts are as long as one character."""
    return round(STEPS * log2(max(characters, 1)))
