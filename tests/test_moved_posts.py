"""Posts of other archives whose addresses redirect: one article with the page they lead to, whatever comes first."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from newsarchive.capture import Capture
from newsarchive.index import Entry, Index, Reading

PUBLISHED = datetime(2022, 11, 25, 14, 3, 7, tzinfo=UTC)
OLD, MOVED, NEW = (
    f"https://www.rfi.fr/cn/{path}" for path in ("中国/20221125-a", "人权/20221125-b", "人权/20221125-c")
)


def entry(at: int, url: str, kind: str, ending: str, **read: Any) -> Entry:
    capture = Capture("captures/rfi/a.warc.gz", at, url, PUBLISHED + timedelta(hours=at), 200, f"sha1:{at}", kind)
    facts = {"url": url, "id": url, "title": "a", "published": PUBLISHED, "fingerprint": f"{at:032x}", **read}
    post = f"_posts/rfi/2022/{facts['id'].rpartition('/')[2]}.md"
    target = facts.pop("target", "")
    return Entry(capture, "rfi", ending, target, None if target else Reading("rfi", post=post, **facts))


def post(at: int, url: str = OLD, **read: Any) -> Entry:
    return entry(at, url, "post", "post", **read)


def page(at: int, url: str = NEW, **read: Any) -> Entry:
    return entry(at, url, "article", "article", **{"id": "W1", **read})


def redirect(at: int, url: str, target: str) -> Entry:
    return entry(at, url, "article", "redirect", target=target)


def recorded(folder: Path, entries: tuple[Entry, ...]) -> tuple[list[str], list[Any]]:
    """Return the ids of the articles, and all that the index holds, once entries are recorded in an order."""
    name = "-".join(str(one.capture.offset) for one in entries)
    with Index(folder / f"{name}.sqlite") as index:
        for one in entries:
            place = index.place(one)
            # Where the post has lain is free once it is known to lie elsewhere.
            assert replace(index.record(one, "5e" if place.shown else ""), freed=place.freed) == place
        assert list(index.check()) == []
        return [row.id for row in index.articles("rfi")], list(index.dump())


LATER = {"published": PUBLISHED + timedelta(seconds=40)}
ANOTHER = {"published": PUBLISHED + timedelta(days=9)}


@pytest.mark.parametrize(
    "entries",
    [
        (post(1), redirect(2, OLD, NEW), page(3)),
        # Times of which one has no seconds are the same.
        (post(1), redirect(2, OLD, NEW), page(3, **LATER)),
        # From one address to the next.
        (post(1), redirect(2, OLD, MOVED), redirect(3, MOVED, NEW), page(4)),
        # A post at an older address, and another one at a newer.
        (post(1), post(2, MOVED), redirect(3, OLD, MOVED), page(4, MOVED)),
        # Two posts of an article, of which one has a time that was corrected.
        (post(1), post(2, **ANOTHER), redirect(3, OLD, NEW), page(4)),
        # Two states of the page, of which one has a time that was corrected.
        (post(1), redirect(2, OLD, NEW), page(3, **ANOTHER), page(4)),
    ],
)
def test_a_post_whose_address_redirects_to_a_page_is_the_first_revision(
    tmp_path: Path, entries: tuple[Entry, ...]
) -> None:
    results = [recorded(tmp_path, order) for order in permutations(entries)]
    assert [ids for ids, _ in results] == [["W1"]] * len(results)
    assert all(held == results[0][1] for _, held in results)
    with Index(next(tmp_path.iterdir())) as index:
        assert index.revisions("rfi", "W1")[0].capture.kind == "post"
        row = index.address(OLD)
        assert row
        assert row.id == "W1"


@pytest.mark.parametrize(
    "entries",
    [
        # Old episodes of a show lead to its newest.
        (post(1, **ANOTHER), redirect(2, OLD, NEW), page(3)),
        # It leads to no article.
        (post(1), redirect(2, OLD, "https://www.rfi.fr/cn/"), page(3)),
    ],
)
def test_a_post_that_leads_to_another_article_stays_one(tmp_path: Path, entries: tuple[Entry, ...]) -> None:
    results = [recorded(tmp_path, order) for order in permutations(entries)]
    assert [sorted(ids) for ids, _ in results] == [["W1", OLD]] * len(results)
    assert all(held == results[0][1] for _, held in results)


def test_redirects_in_a_circle_lead_a_post_nowhere(tmp_path: Path) -> None:
    entries = (post(1), redirect(2, OLD, MOVED), redirect(3, MOVED, OLD), page(4))
    assert [sorted(ids) for ids, _ in (recorded(tmp_path, order) for order in permutations(entries))] == [
        ["W1", OLD]
    ] * 24


def test_an_article_that_has_a_page_of_its_own_is_not_taken(tmp_path: Path) -> None:
    """An address that has redirected for a while."""
    entries = (post(1), page(2, OLD, id="W2"), redirect(3, OLD, NEW), page(4))
    assert [sorted(ids) for ids, _ in (recorded(tmp_path, order) for order in permutations(entries))] == [
        ["W1", "W2"]
    ] * 24
