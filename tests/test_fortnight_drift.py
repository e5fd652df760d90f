"""A layout that changes is named by the next run, and nothing is told before: the fortnight's show in short."""

from pathlib import Path

import pytest
from scrapy.http import HtmlResponse
from scrapy.spiderloader import get_spider_loader
from scrapy.utils.project import get_project_settings

from newsarchive.article import Refused
from newsarchive.layout import layout_of
from tests.fortnight import drift
from tests.fortnight.newsroom import CHANGES as MOODY
from tests.press.changes import CHANGES
from tests.press.pages import page
from tests.press.world import PUBLISHERS, Spec, World, url_of


@pytest.mark.parametrize(
    ("publisher", "name"), [(publisher, name) for publisher in PUBLISHERS for name in CHANGES[publisher]]
)
def test_a_change_does_what_it_says(publisher: str, name: str) -> None:
    spider = get_spider_loader(get_project_settings()).load(publisher)()
    world, change = World(Spec(cna=(25, 40), dw=10, rfi=15)), CHANGES[publisher][name]
    piece = world.day(publisher, world.spec.start)[0]
    html, url = page(piece, piece.states[0], 0), url_of(publisher, piece.states[0].path)
    before = spider.read(HtmlResponse(url, body=html.encode()))
    after = HtmlResponse(url, body=change.alter(html).encode())
    if change.loud:
        with pytest.raises(Refused) as refused:
            spider.read(after)
        assert (refused.value.reason in change.about, layout_of(refused.value)) == (True, change.layout)
        return
    article = spider.read(after)
    assert article.layout == change.layout
    if "short" in change.about:
        assert len(article.body) < len(before.body)
    else:
        (field,) = change.about
        assert getattr(before, field)
        assert not getattr(article, field)


def test_days_of_the_press_and_a_change_at_noon(tmp_path: Path) -> None:
    plan = drift.weeks(Spec(rfi=30), "rfi", 4, tmp_path)
    watch = drift.watched(plan)
    assert watch.broken() == []
    assert len(watch.runs) == 4 * 24 - 10
    for name in ("text renamed", "section gone"):
        _, told, missed = drift.noon(plan, name, hours=14)
        assert missed == []
        assert told.startswith("told after run  1: since_2020: ")


def test_a_newsroom_of_many_moods() -> None:
    size, watch, delays = drift.moody(1, 60, 200)
    assert (size, watch.broken()) == (60, [])
    assert delays.keys() == MOODY.keys()
    assert delays["section is gone"] == delays["page is refused"] == 1
