"""Accounts of runs as a newsroom of many moods would make them, without pages or requests: thousands in seconds.

What real newsrooms do makes rates wander: nights of agency texts without authors, weekends of reviews, bursts of
films, an afternoon with half of the pictures. Nothing of it is drift; what `Change` does to pages is.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from random import Random
from zlib import crc32

from newsarchive.article import Article, Drift, Image, Refused
from newsarchive.health import Run
from newsarchive.profile import Profile

__all__ = ["CHANGES", "Newsroom", "Page"]

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = datetime(2026, 3, 2, tzinfo=UTC)
#: Articles by the hour of the day.
HOURS = (2, 1, 1, 1, 1, 3, 5, 6, 8, 10, 12, 11, 8, 9, 10, 11, 11, 10, 9, 8, 8, 7, 6, 4)
AGAIN = (timedelta(0), HOUR, 6 * HOUR, DAY, 3 * DAY)


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says, or why it is refused."""

    article: Article
    #: Hours after publication at which its text was changed.
    edited: float
    refused: str = ""


Change = Callable[[Page], Page]


def _emptied(field: str) -> Change:
    return lambda page: replace(page, article=replace(page.article, **{field: () if field != "summary" else ""}))


def _cut(share: float) -> Change:
    def change(page: Page) -> Page:
        body = page.article.body
        return replace(page, article=replace(page.article, body=body[: max(int(len(body) * share), 1)]))

    return change


#: What becomes of every page from some time on.
CHANGES: dict[str, Change] = {
    "section is gone": lambda page: replace(page, article=replace(page.article, section="")),
    "authors are gone": _emptied("authors"),
    "images are gone": _emptied("images"),
    "summary is gone": _emptied("summary"),
    "text is cut to a fifth": _cut(0.2),
    "text is cut to a half": _cut(0.5),
    "page is refused": lambda page: replace(page, refused=page.refused or "drift"),
    "films for articles": lambda page: replace(
        page, refused=page.refused or ("video" if crc32(page.article.id.encode()) % 2 else "")
    ),
}


@dataclass(frozen=True)
class Newsroom:
    """A publisher with so many articles a day."""

    seed: int
    a_day: float
    publisher: str = "rfi"
    layout: str = "since_2020"

    def articles(self, day: int) -> Iterator[Page]:
        """Yield the articles of a day."""
        chance = Random(f"{self.seed} {day}")
        begins = START + day * DAY
        weekend = begins.weekday() >= 5
        # Each mood lasts a day, or a part of it.
        busy = chance.gauss(1, 0.15) * (0.6 if weekend else 1)
        moods = {name: chance.gauss(0, 0.6) for name in ("authors", "images", "keywords", "length", "video", "edits")}
        few = chance.randrange(24) if chance.random() < 0.05 else -1
        for hour in range(24):
            expected = max(self.a_day * busy * HOURS[hour] / sum(HOURS), 0.0)
            for number in range(poisson(expected, chance)):
                published = begins + hour * HOUR + chance.random() * HOUR
                yield self.page(f"{day:04}{hour:02}{number:03}", published, hour, moods, few, chance)

    def page(self, id: str, published: datetime, hour: int, moods: dict[str, float], few: int, chance: Random) -> Page:
        """Return a page by the moods of its day and hour."""

        def happens(share: float, mood: str = "") -> bool:
            odds = math.log(share / (1 - share)) + moods.get(mood, 0.0)
            return chance.random() < 1 / (1 + math.exp(-odds))

        night = hour < 6
        length = int(math.exp(chance.gauss(6.3 + 0.1 * moods["length"] - (0.8 if night else 0), 0.6)))
        pictures = happens(0.85, "images") and (happens(0.5) or not few <= hour < few + 4)
        article = Article(
            publisher=self.publisher,
            id=id,
            url=f"https://www.rfi.fr/cn/{id}",
            title=f"t{id}",
            published=published,
            modified=published + HOUR if happens(0.2, "edits") else None,
            language="zh-Hans",
            section="" if happens(0.003) else "s",
            authors=("a",) if happens(0.15 if night else 0.6, "authors") else (),
            keywords=("k",) if happens(0.7, "keywords") else (),
            summary="" if happens(0.02) else "s",
            images=(Image(url="https://x/1", caption="c" if happens(0.9) else ""),) if pictures else (),
            body="x" * max(length, 60),
            layout=self.layout,
        )
        edited = chance.expovariate(1 / 3) if happens(0.15, "edits") else 1e6
        return Page(article, edited, "video" if happens(0.06, "video") else "drift" if happens(0.001) else "")

    @cached_property
    def days(self) -> dict[int, list[Page]]:
        """The days that were asked for."""
        return {}

    def day(self, number: int) -> list[Page]:
        """Return the articles of a day, made once."""
        if number not in self.days:
            self.days[number] = list(self.articles(number)) if number >= 0 else []
        return self.days[number]

    def run(self, number: int, change: Change | None = None) -> Run:
        """Return the run of an hour, counted from the start; a change meets every page."""
        now, before = START + number * HOUR, START + (number - 1) * HOUR
        profile, counts = Profile(), {"stored": 0, "revised": 0, "unchanged": 0}
        refused: dict[str, int] = {}
        for page in [page for day in range(number // 24 - 4, number // 24 + 1) for page in self.day(day)]:
            for at, after in enumerate(AGAIN):
                if before < page.article.published + after <= now:
                    self.read(page, at, change, profile, counts, refused)
        account = {
            "kind": "crawl",
            "publisher": self.publisher,
            "purpose": "all",
            "finish": "finished",
            "scheduled": sum(counts.values()) + sum(refused.values()),
            **counts,
            "refused": refused,
            "failed": {},
            "layouts": profile.account(),
            "listings": [{"url": "https://www.rfi.fr/cn/rss", "links": 20}],
            "manners": {},
            "failures": [],
        }
        return Run(now, now + HOUR / 6, account)

    def read(
        self,
        page: Page,
        at: int,
        change: Change | None,
        profile: Profile,
        counts: dict[str, int],
        refused: dict[str, int],
    ) -> None:
        """Count what a run makes of a page that it reads for the first time, or again."""
        seen = change(page) if change else page
        if seen.refused:
            refused[seen.refused] = refused.get(seen.refused, 0) + 1
            refusal = Drift("0 div.body") if seen.refused == "drift" else Refused(seen.refused)
            vars(refusal)["layout"] = self.layout
            profile.ended(page.article.url, refusal, capture=True)
            return
        edited = at and AGAIN[at - 1] < page.edited * HOUR <= AGAIN[at]
        # It is not known when a change came: every page looks revised when it is read next.
        ending = "stored" if not at else "revised" if edited or seen.article.body != page.article.body else "unchanged"
        counts[ending] += 1
        profile.written(seen.article, ending)


def poisson(expected: float, chance: Random) -> int:
    """Return a number that is on average as large as expected."""
    limit, product, number = math.exp(-expected), chance.random(), 0
    while product > limit:
        product *= chance.random()
        number += 1
    return number
