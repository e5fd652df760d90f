"""Which articles must not be published, and that an article is an item like any other."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from itemadapter import ItemAdapter
from test_post import ARTICLE

from newsarchive.article import Article, Image, Refused
from newsarchive.fixture import as_json
from pipelines.validate import problems, validated


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"title": ""}, "no-title"),
        ({"title": "x" * 1001}, "long-title"),
        ({"id": ""}, "no-id"),
        ({"body": ""}, "no-body"),
        ({"body": '<figure><img src="https://x.example/1.jpg"></figure>'}, "no-body"),
        ({"body": "<p>&nbsp;</p>"}, "no-body"),
        ({"url": "javascript:alert(1)"}, "bad-url"),
        ({"url": "https://user@x.example/"}, "bad-url"),
        ({"published": datetime(1993, 12, 31, tzinfo=UTC)}, "bad-time"),
        ({"published": datetime(2023, 1, 1)}, "bad-time"),
        ({"body": "<p>a</p>\n<p>b</p>"}, "many-lines"),
        ({"title": "a\rb"}, "many-lines"),
    ],
)
def test_an_article_with_a_problem_is_refused(changes: dict[str, object], reason: str) -> None:
    article = replace(ARTICLE, **changes)
    assert problems(article) == [reason]
    with pytest.raises(Refused, match=reason):
        validated(article)


def test_an_article_without_problems_is_let_through() -> None:
    assert validated(ARTICLE) is ARTICLE


def test_an_article_is_read_through_itemadapter() -> None:
    article = replace(ARTICLE, images=(Image(url="https://x.example/1.jpg", credit="y"),))
    adapter = ItemAdapter(article)
    assert list(adapter.field_names()) == list(Article.__dataclass_fields__)
    assert adapter.asdict()["images"] == ({"url": "https://x.example/1.jpg", "caption": "", "credit": "y"},)
    assert as_json(article)["images"] == [{"url": "https://x.example/1.jpg", "caption": "", "credit": "y"}]
    assert as_json(article)["published"].endswith("Z")
