"""The index: equal whatever the order, true about what lies on disk, whole after a kill, and exact."""

import pickle
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

import pytest

from newsarchive.capture import Capture
from newsarchive.index import (
    AddressRow,
    ArticleRow,
    Entry,
    Index,
    IndexUnusable,
    Place,
    PostTaken,
    Reading,
    RevisionRow,
    RunRow,
)
from newsarchive.index.schema import SCHEMA

TIME = datetime(2026, 11, 20, 5, 1, 25, 123_000, tzinfo=UTC)
FILE = "captures/cna/20261120T050125Z-1f2e3d4c.warc.gz"
URL = "https://www.cna.com.tw/news/aopl/202611200001.aspx"
READING = Reading("cna", "202611200001", URL, "日美會談", TIME, "_posts/cna/2026/2026-11-20-202611200001.md", "aa")


def capture(number: int = 0, **changes: Any) -> Capture:
    """Return a capture; each number is a minute and 100 bytes later."""
    first = Capture(FILE, 500, URL, TIME, 200, "sha1:A", "article", TIME - timedelta(minutes=1))
    return replace(first, **{"offset": 500 + 100 * number, "captured": TIME + timedelta(minutes=number)} | changes)


def article(number: int = 0, fingerprint: str = "aa", **changes: Any) -> Entry:
    """Return the entry of a capture that reads as an article."""
    return Entry(capture(number), "cna", "article", reading=replace(READING, fingerprint=fingerprint, **changes))


def refused(number: int = 0, ending: str = "expired") -> Entry:
    """Return the entry of a capture that reads as nothing."""
    return Entry(capture(number), "cna", ending)


def record_all(index: Index, entries: Iterable[Entry]) -> None:
    """Record entries in one transaction."""
    with index.transaction():
        for entry in entries:
            index.record(entry)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index(tmp_path / "index.sqlite") as index:
        yield index
        assert list(index.check()) == []


# One article.


def test_article_is_held_as_it_was_recorded(index: Index) -> None:
    assert index.record(article(), "5e") == Place("stored", READING.post, shown=True)
    assert index.article("cna", READING.id) == ArticleRow(
        publisher="cna",
        id=READING.id,
        url=URL,
        title="日美會談",
        published=TIME,
        post=READING.post,
        capture=capture(),
        sha256="5e",
        lies=READING.post,
        stale=False,
        withdrawn=False,
        partial=False,
    )
    assert index.revisions("cna", READING.id) == [RevisionRow(capture(), URL, "日美會談", TIME, "aa")]
    assert index.address(URL) == AddressRow(URL, "article", TIME, "", "cna", READING.id)
    assert list(index.articles("cna")) == [index.article("cna", READING.id)]
    assert index.owner(READING.post) == ("cna", READING.id)
    assert index.publishers() == ["cna"]


def test_unknown_is_none(index: Index) -> None:
    index.record(article())
    assert index.article("cna", "2026112000") is None
    assert index.article("dw", READING.id) is None
    assert index.address(URL[:-1]) is None
    assert index.address(URL + "#top") is None
    assert index.owner(READING.post[:-1]) is None
    assert index.revisions("cna", "") == []
    assert index.find("日美") == []
    assert index.last_capture("") is None


@pytest.mark.parametrize(
    ("recorded", "place", "starts"),
    [
        ([article(1)], Place("stored", READING.post, True), [1]),
        ([article(1), article(1)], Place("unchanged", READING.post, True), [1]),
        ([article(1), article(2, "bb"), article(1)], Place("unchanged", READING.post, False), [1, 2]),
        ([article(1), article(2)], Place("unchanged", READING.post, False), [1]),
        ([article(1), article(2, "bb")], Place("revised", READING.post, True), [1, 2]),
        ([article(2, "bb"), article(1)], Place("revised", READING.post, False), [1, 2]),
        ([article(2), article(1)], Place("unchanged", READING.post, True), [1]),
        ([article(1), article(3), article(2, "bb")], Place("revised", READING.post, False), [1, 2, 3]),
        ([article(1), article(3, "bb"), article(2, "bb")], Place("unchanged", READING.post, True), [1, 2]),
        ([article(1), article(1, "bb")], Place("revised", READING.post, True), [1]),
        ([article(1), article(2, "bb"), article(2)], Place("revised", READING.post, False), [1]),
        ([article(1), refused(2), article(2)], Place("unchanged", READING.post, False), [1]),
        ([article(1), refused(1), article(1)], Place("unchanged", READING.post, True), [1]),
        ([article(1), refused(1), article(2)], Place("unchanged", READING.post, True), [2]),
        ([article(1), refused(1), article(2, "bb")], Place("revised", READING.post, True), [2]),
        ([article(1), refused(2, "status-404")], Place("unchanged", "", False), [1]),
        ([article(1), article(2, "bb"), refused(2)], Place("unchanged", "", False), [1]),
        ([article(1), refused(1)], Place("unchanged", "", False), [1]),
    ],
)
def test_where_a_capture_stands(index: Index, recorded: list[Entry], place: Place, starts: list[int]) -> None:
    for entry in recorded[:-1]:
        index.record(entry)
    assert index.place(recorded[-1]) == index.record(recorded[-1]) == place
    assert [revision.capture for revision in index.revisions("cna", READING.id)] == [capture(n) for n in starts]


def test_post_is_named_by_the_first_capture(index: Index) -> None:
    later = "_posts/cna/2026/2026-11-21-202611200001.md"
    index.record(article(5, post=later), "5e")
    index.record(article(6, "bb"), "6e")
    assert index.article("cna", READING.id).post == later
    assert index.stale("cna") == []
    assert index.record(article(4)) == Place("unchanged", READING.post, False)
    # It still lies under its old name.
    assert index.stale("cna") == [("cna", READING.id, READING.post, capture(6))]
    held = index.article("cna", READING.id)
    assert (held.post, held.sha256, held.lies, held.stale) == (READING.post, "6e", later, True)
    index.record(article(6, "bb"), "6e")
    assert index.stale("cna") == []
    assert index.article("cna", READING.id).lies == READING.post


def test_post_of_an_older_text_is_stale(index: Index) -> None:
    index.record(article(1), "5e")
    index.record(article(2, "bb"))
    assert index.stale("cna") == [("cna", READING.id, READING.post, capture(2))]
    assert index.stale("dw") == []
    held = index.article("cna", READING.id)
    assert (held.sha256, held.lies, held.stale, held.capture) == ("5e", READING.post, True, capture(2))
    index.record(article(2, "bb"), "6e")
    assert index.stale("cna") == []
    assert index.article("cna", READING.id).sha256 == "6e"


def test_post_by_a_former_reading_is_stale(index: Index) -> None:
    index.record(article(1), "5e")
    index.record(article(1, title="美日會談"))
    assert index.stale("cna") == [("cna", READING.id, READING.post, capture(1))]
    index.record(article(1, title="美日會談"), "6e")
    assert index.stale("cna") == []


# A capture that is recorded again.


def test_notice_that_is_refused_later_brings_back_the_text(index: Index) -> None:
    index.record(article(1, "text"), "5e")
    index.record(article(2, "notice"), "6e")
    index.record(refused(2))
    assert [revision.fingerprint for revision in index.revisions("cna", READING.id)] == ["text"]
    assert index.stale("cna") == [("cna", READING.id, READING.post, capture(1))]
    assert index.address(URL).ending == "expired"


def test_parser_that_got_worse_removes_no_article(index: Index) -> None:
    index.record(article(1), "5e")
    index.record(article(2, "bb"), "6e")
    before = index.article("cna", READING.id)
    for number in (1, 2):
        index.record(refused(number, "drift"))
    assert index.article("cna", READING.id) == replace(before, withdrawn=True)
    assert [revision.fingerprint for revision in index.revisions("cna", READING.id)] == ["aa", "bb"]
    assert index.stale("cna") == []
    index.record(article(2, "bb"))
    assert index.article("cna", READING.id) == before
    index.record(article(1))
    assert [revision.fingerprint for revision in index.revisions("cna", READING.id)] == ["aa", "bb"]


def test_post_is_where_it_was_last_written(index: Index) -> None:
    earlier, later = "_posts/cna/1.md", "_posts/cna/2.md"
    index.record(article(1, post=earlier))
    index.record(article(2, "bb", post=later), "5e")
    for number in (1, 2):
        index.record(refused(number))
    assert index.article("cna", READING.id).lies == earlier
    assert index.record(article(2, "bb", post=later), "5e") == Place("revised", later, True, freed=(earlier,))
    held = index.article("cna", READING.id)
    assert (held.post, held.lies, held.stale) == (later, later, False)


def test_article_that_got_another_id_is_the_other(index: Index) -> None:
    index.record(article(), "5e")
    other = article(id="7", post="_posts/cna/7.md")
    assert index.place(other) == index.record(other) == Place("stored", "_posts/cna/7.md", True)
    assert index.article("cna", READING.id) is None
    assert index.find(URL) == [("cna", "7")]
    assert index.stale("cna") == [("cna", "7", "_posts/cna/7.md", capture())]


def test_nothing_is_written_for_what_is_recorded(index: Index) -> None:
    entries = [article(1), article(2, "bb"), refused(3), refused(2)]
    for entry in entries:
        index.record(entry)
    before = index.db.total_changes
    index.record(article(1))
    index.record(refused(2))
    index.record(refused(3))
    assert index.db.total_changes == before


def test_two_articles_never_share_a_post(index: Index) -> None:
    index.record(article(1))
    before = list(index.dump())
    second = article(2, id="7")
    says = re.escape(f"cna 7 would have the post of cna {READING.id}: {READING.post}")
    for act in (index.place, index.record):
        with pytest.raises(PostTaken, match=says):
            act(second)
    assert list(index.dump()) == before
    index.record(article(2, id="7", post="_posts/cna/7.md"))
    with pytest.raises(PostTaken):
        index.record(article(0, id="7"))
    assert len(list(index.articles("cna"))) == 2


def test_contradictions_are_refused(index: Index) -> None:
    with pytest.raises(ValueError, match="a capture of dw that reads as an article of cna"):
        index.record(replace(article(), publisher="dw"))
    with pytest.raises(ValueError, match="a time without zone: 2026"):
        index.record(replace(article(), capture=capture(captured=datetime(2026, 1, 1))))
    with pytest.raises(ValueError, match="a post is made of a reading"):
        index.record(refused(), "5e")
    assert list(index.dump()) == []


# Addresses.


def test_gone_article_keeps_its_address(index: Index) -> None:
    index.record(article(1))
    before = index.article("cna", READING.id)
    index.record(replace(refused(2, "status-404"), capture=capture(2, status=404)))
    assert index.address(URL) == AddressRow(URL, "status-404", capture(2).captured, "", "cna", READING.id)
    assert index.article("cna", READING.id) == before
    index.record(refused(0, "status-503"))
    assert index.address(URL).ending == "status-404"
    assert index.endings("cna") == {"status-404": 1}
    assert index.endings("dw") == {}


def test_canonical_address_leads_to_the_article(index: Index) -> None:
    canonical = "https://www.cna.com.tw/canonical"
    index.record(article(1, url=canonical))
    assert index.address(canonical) == AddressRow(canonical, "", None, "", "cna", READING.id)
    assert index.article("cna", READING.id).url == canonical
    assert index.find(canonical) == index.find(URL) == index.find(READING.id) == [("cna", READING.id)]


def redirect(number: int, url: str, target: str) -> Entry:
    return Entry(capture(number, url=url, status=301), "cna", "redirect", target)


def test_redirects_lead_to_the_article(index: Index) -> None:
    index.record(article(0))
    for number in range(1, 12):
        index.record(redirect(number, f"https://x/{number}", f"https://x/{number - 1}" if number > 1 else URL))
    assert index.address("https://x/10").id == READING.id
    assert index.address("https://x/11") == AddressRow(
        "https://x/11", "redirect", capture(11).captured, "https://x/10", "", ""
    )


def test_redirects_in_a_circle_lead_nowhere(index: Index) -> None:
    index.record(redirect(1, "https://x/1", "https://x/2"))
    index.record(redirect(2, "https://x/2", "https://x/1"))
    index.record(redirect(3, "https://x/3", "https://x/3"))
    index.record(redirect(4, "https://x/4", "https://x/nowhere"))
    assert [index.address(f"https://x/{number}").id for number in (1, 2, 3, 4)] == [""] * 4


def test_captures_of_an_address(index: Index) -> None:
    for entry in (refused(2), article(1), refused(3, "status-404"), article(3, "bb")):
        index.record(entry)
    assert index.last_capture(URL) == capture(3)
    assert index.same_capture(URL, capture(1).captured, "sha1:A") == capture(1)
    assert index.same_capture(URL, capture(2).captured.astimezone(timezone(timedelta(hours=8))), "sha1:A") == capture(2)
    assert index.same_capture(URL, capture(1).captured, "sha1:B") is None
    assert index.same_capture(URL, capture(4).captured, "sha1:A") is None


def test_addresses_of_an_article(index: Index) -> None:
    index.record(article(url=URL + "?page=1"))
    index.record(redirect(1, "https://cna.tw/a", URL))
    index.record(redirect(2, "https://cna.tw/b", "https://cna.tw/a"))
    index.record(redirect(3, "https://cna.tw/c", "https://cna.tw/elsewhere"))
    index.record(article(4))
    expected = ["https://cna.tw/a", "https://cna.tw/b", URL, URL + "?page=1"]
    assert index.addresses_of("cna", READING.id) == expected
    assert index.addresses_of("cna", "1") == []
    assert [row.capture for row in index.captures_of(URL)] == [capture(4), capture()]
    assert index.captures_of("") == []


def test_captures_of_a_file(index: Index) -> None:
    record_all(index, [article(), refused(1), refused(2), Entry(capture(file="captures/cna/b"), "cna", "expired")])
    rows = list(index.captures(FILE))
    assert [row.capture for row in rows] == [capture(), capture(1), capture(2)]
    assert list(index.captures(FILE, 501, 700)) == [rows[1]]
    assert [index.capture_before(FILE, position) for position in (499, 500, 699, 10**6)] == [0, 500, 600, 700]
    assert list(index.captured_files()) == [(FILE, 3), ("captures/cna/b", 1)]
    assert [index.copies(row) for row in rows] == [["captures/cna/b"], [], []]
    assert index.is_readable()


def test_path_that_is_no_longer_a_post(index: Index) -> None:
    index.record(article(1), "5e")
    assert not index.is_former(READING.post)
    index.record(article(0, post="_posts/cna/2026/2026-11-19-202611200001.md"))
    assert index.is_former(READING.post)


def test_text_that_no_database_takes(index: Index) -> None:
    strange = replace(article(title="\ud83d\ude00 \ud800\0", id="\udc00"), capture=capture(url="https://x/\ud800"))
    index.record(strange)
    assert index.place(strange).ending == "unchanged"
    held = index.article("cna", "\udc00")
    assert (held.title, held.id, held.capture.url) == ("😀 \ufffd\0", "\ufffd", "https://x/\ufffd")
    assert index.address("https://x/\ud800").id == "\ufffd"


def test_injection_is_text(index: Index) -> None:
    evil = "'; DROP TABLE captures; --"
    index.record(article(0, id=evil, title=evil, post=evil, fingerprint=evil))
    assert index.find(evil) == [("cna", evil)]
    assert index.files("%") == {}


# Files and runs.


def test_files(index: Index) -> None:
    other = "captures/cna2/a.warc.gz"
    for file, size in ((FILE, 10), (FILE, 20), (other, 30)):
        index.file_recorded(file, size)
    assert (index.files("cna"), index.files("cna2"), index.files("cn")) == ({FILE: 20}, {other: 30}, {})
    index.record(article(1))
    index.record(refused(7))
    assert (index.offsets(FILE), index.offsets(other)) == ({600, 1200}, set())


def test_runs(index: Index) -> None:
    index.run_started("20261120T050125Z-b", "dw", TIME)
    index.run_started("20261120T050125Z-a", "cna", TIME)
    later = TIME + timedelta(hours=1)
    index.run_ended("20261120T050125Z-a", later, "0", {"stored": 2, "failed": 0})
    first = RunRow("20261120T050125Z-a", "cna", TIME, later, "0", {"failed": 0, "stored": 2})
    assert index.runs() == [first, RunRow("20261120T050125Z-b", "dw", TIME, None, "", {})]
    assert index.runs("cna") == [first]
    index.run_recorded(first)
    assert index.runs("cna") == [first]


# Whatever the order.


@dataclass
class Model:
    """What an index must say, from the definitions and nothing else."""

    entries: dict[tuple[str, int], Entry] = field(default_factory=dict)
    readings: dict[tuple[str, int], tuple[str, Reading]] = field(default_factory=dict)
    posts: dict[tuple[str, str], tuple[tuple[str, int], str]] = field(default_factory=dict)

    def record(self, entry: Entry, sha256: str) -> None:
        key = entry.capture.file, entry.capture.offset
        self.entries[key] = entry
        if entry.reading:
            was, now = self.readings.get(key), (entry.capture.url, entry.reading)
            if was not in (None, now):
                self.posts = {owner: post for owner, post in self.posts.items() if post[0] != key}
            self.readings[key] = now
            if sha256:
                article = entry.reading.publisher, entry.reading.id
                self.posts[article] = key, self.articles()[article][0][1].post
        elif key in self.readings and self.readings[key][1].publisher != entry.publisher:
            # Another publisher's capture now: nothing of the first one's is left in it.
            del self.readings[key]
            self.posts = {owner: post for owner, post in self.posts.items() if post[0] != key}

    def articles(self) -> dict[tuple[str, str], list[tuple[tuple[str, int], Reading]]]:
        """Return the readings of each article that count, in order, each with its capture."""
        said: dict[tuple[str, str], dict[bool, list[Any]]] = {}
        for key in sorted(self.readings, key=lambda key: (self.entries[key].capture.captured, key)):
            reading = self.readings[key][1]
            kinds = said.setdefault((reading.publisher, reading.id), {True: [], False: []})
            kinds[self.entries[key].reading is not None].append((key, reading))
        return {article: kinds[True] or kinds[False] for article, kinds in said.items()}

    def revisions(self, article: tuple[str, str]) -> list[tuple[tuple[str, int], Reading]]:
        line = self.articles()[article]
        return [next(group) for _, group in groupby(line, key=lambda one: one[1].fingerprint)]

    def stale(self) -> list[tuple[str, str, str, Capture]]:
        found = []
        for article, line in sorted(self.articles().items()):
            shown, post = self.revisions(article)[-1][0], line[0][1].post
            if self.entries[shown].reading and self.posts.get(article) != (shown, post):
                found.append((*article, post, self.entries[shown].capture))
        return found

    def address(self, url: str) -> tuple[str, str, str]:
        """Return the ending, publisher and id of an address, redirects not followed."""
        asked = [entry for entry in self.entries.values() if entry.capture.url == url]
        last = max(asked, key=lambda entry: _moment(entry), default=None)
        named = [
            (self.entries[key].reading is not None, _moment(self.entries[key]), reading.publisher, reading.id)
            for key, (_, reading) in self.readings.items()
            if url in (self.entries[key].capture.url, reading.url)
        ]
        best = max(named, default=(False, (), "", ""))
        return last.ending if last else "", best[2], best[3]


def _moment(entry: Entry) -> tuple[datetime, str, int]:
    return entry.capture.captured, entry.capture.file, entry.capture.offset


def history(random: Random) -> dict[tuple[str, int], list[Entry]]:
    """Return captures with what each is recorded to say, one after the other; few of everything, so that it meets."""
    found: dict[tuple[str, int], list[Entry]] = {}
    urls = [f"https://x/{number}" for number in range(4)]
    for number in range(random.randint(1, 12)):
        made = capture(
            file=f"captures/cna/{random.choice('ab')}.warc.gz",
            offset=number,
            url=random.choice(urls),
            captured=TIME + timedelta(minutes=random.randint(0, 5)),
        )
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            publisher, id = random.choice(("cna", "cna", "cna", "dw")), random.choice("12")
            reading = Reading(
                publisher,
                id,
                random.choice(urls),
                random.choice("TU"),
                TIME,
                f"{publisher}/{id}/{random.choice('ab')}",
                random.choice("xyz"),
            )
            says = [
                Entry(made, publisher, "article", reading=reading),
                Entry(made, publisher, random.choice(("expired", "status-404"))),
                Entry(made, publisher, "redirect", random.choice(urls)),
            ]
            found.setdefault((made.file, made.offset), []).append(
                random.choices(says, random.choice(((5, 1, 1), (2, 1, 1))))[0]
            )
    return found


def in_some_order(random: Random, history: dict[tuple[str, int], list[Entry]]) -> Iterator[Entry]:
    """Yield all entries, in any order but for those of one capture."""
    keys = [key for key, entries in history.items() for _ in entries]
    random.shuffle(keys)
    left = {key: iter(entries) for key, entries in history.items()}
    yield from (next(left[key]) for key in keys)


def told(index: Index) -> list[tuple[Any, ...]]:
    return list(index.dump())


def emptied(index: Index) -> Index:
    index.db.execute("DELETE FROM captures")
    return index


def agree(index: Index, model: Model) -> None:
    """Assert that an index says what the model says."""
    rows: dict[str, list[Any]] = {"articles": [], "revisions": [], "addresses": []}
    for table, *row in index.dump():
        rows.setdefault(table, []).append(row)
    articles = model.articles()
    assert [tuple(row[:2]) for row in rows["articles"]] == sorted(articles)
    assert [(*row[:2], *row[5:8]) for row in rows["articles"]] == [
        (*article, line[0][1].post, *model.revisions(article)[-1][0]) for article, line in sorted(articles.items())
    ]
    assert [(*row[:2], (row[3], row[4]), row[8]) for row in rows["revisions"]] == [
        (*article, key, reading.fingerprint)
        for article in sorted(articles)
        for key, reading in model.revisions(article)
    ]
    urls = {reading.url for _, reading in model.readings.values()}
    urls |= {entry.capture.url for entry in model.entries.values()}
    assert [(row[0], row[1], *row[4:]) for row in rows["addresses"]] == [
        (url, *model.address(url)) for url in sorted(urls)
    ]
    for url, ending, *_, id in rows["addresses"]:
        row = index.address(url)
        assert (row.url, row.ending) == (url, ending)
        assert id in ("", row.id)
    assert index.stale("cna") + index.stale("dw") == model.stale()
    held = [*index.articles("cna"), *index.articles("dw")]
    assert held == [index.article(*article) for article in sorted(articles)]
    assert [(row.publisher, row.id) for row in held if row.stale] == [tuple(row[:2]) for row in model.stale()]
    for row in held:
        assert row.lies == model.posts.get((row.publisher, row.id), ("", row.lies))[1]


@pytest.mark.parametrize("seed", range(150))
def test_content_follows_from_what_was_recorded(index: Index, seed: int) -> None:
    random = Random(seed)
    recorded = history(random)
    expected = None
    with index.transaction():
        for _ in range(6):
            model = Model()
            for entry in in_some_order(random, recorded):
                place = index.place(entry)
                sha256 = "5e" if place.shown and random.random() < 0.6 else ""
                recorded_as = index.record(entry, sha256)
                assert replace(recorded_as, freed=()) == place
                # Only who writes a post is told where it lay before, and never of what is an article's now.
                assert sha256 or not recorded_as.freed
                assert not any(index.owner(post) for post in recorded_as.freed)
                model.record(entry, sha256)
            agree(index, model)
            assert list(index._marks_wrong()) == []
            expected = expected or told(index)
            assert told(index) == expected
            emptied(index)


@pytest.mark.parametrize("seed", range(40))
def test_place_says_what_changes(index: Index, seed: int) -> None:
    random = Random(seed)
    model = Model()
    for entry in in_some_order(random, history(random)):
        article = (entry.reading.publisher, entry.reading.id) if entry.reading else ("", "")
        before = (
            [reading.fingerprint for _, reading in model.revisions(article)] if article in model.articles() else None
        )
        place = index.record(entry)
        model.record(entry, "")
        if not entry.reading:
            assert place == Place("unchanged", "", False)
            continue
        revisions = model.revisions(article)
        now = [reading.fingerprint for _, reading in revisions]
        assert place.ending == ("stored" if before is None else "unchanged" if before == now else "revised")
        assert place.shown == (revisions[-1][0] == (entry.capture.file, entry.capture.offset))
        assert place.post == model.articles()[article][0][1].post


RECORDER = """
import pickle, sys
from pathlib import Path
from newsarchive.index import Index
with Index(Path(sys.argv[1])) as index:
    for entry in pickle.loads(sys.stdin.buffer.read()):
        index.record(entry)
"""


def python(code: str, *arguments: object, **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=Path(__file__).parents[1], **options)


def test_processes_record_at_once(tmp_path: Path) -> None:
    random = Random(1)
    recorded: dict[tuple[str, int], list[Entry]] = {}
    while len(recorded) < 120:
        recorded |= {
            (file, len(recorded) + n): entries for n, ((file, _), entries) in enumerate(history(random).items())
        }
    recorded = {
        key: [replace(entry, capture=replace(entry.capture, offset=key[1])) for entry in entries]
        for key, entries in recorded.items()
    }
    shares = [dict(list(recorded.items())[number::4]) for number in range(4)]
    writers = [python(RECORDER, tmp_path / "index.sqlite", stdin=subprocess.PIPE) for _ in shares]
    with ThreadPoolExecutor() as pool:
        inputs = [pickle.dumps(list(in_some_order(random, share))) for share in shares]
        list(pool.map(lambda writer, data: writer.communicate(data), writers, inputs))
    assert [writer.returncode for writer in writers] == [0] * 4
    with Index(tmp_path / "index.sqlite") as index, Index(tmp_path / "alone.sqlite") as alone:
        record_all(alone, in_some_order(random, recorded))
        assert told(index) == told(alone)
        assert list(index.check()) == []


# Transactions.


def test_transaction_is_all_or_nothing(index: Index) -> None:
    index.record(article(1))
    before = told(index)

    def broken() -> None:
        with index.transaction():
            index.record(article(2, "bb"))
            index.file_recorded(FILE, 7)
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert told(index) == before
    with index.transaction(), pytest.raises(RuntimeError, match=r"index\.sqlite: a transaction is under way"):
        index.transaction().__enter__()
    with Index(index.file, read_only=True) as reader:
        with index.transaction():
            index.record(article(2, "bb"))
            assert told(reader) == before
        assert told(reader) == told(index) != before


def test_full_disk_is_told_and_half_writes_nothing(index: Index) -> None:
    index.record(article(1))
    before = told(index)
    (pages,) = index.db.execute("PRAGMA page_count").fetchone()
    index.db.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(sqlite3.OperationalError, match=r"index\.sqlite: database or disk is full"):
        record_all(index, (article(number, str(number)) for number in range(2, 1000)))
    assert told(index) == before
    index.db.execute("PRAGMA max_page_count = 1000000")
    index.record(article(2, "bb"))
    assert len(index.revisions("cna", READING.id)) == 2


WRITER = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from newsarchive.capture import Capture
from newsarchive.index import Entry, Index, Reading
time = datetime(2026, 1, 1, tzinfo=UTC)
index = Index(Path(sys.argv[1]))
done = len(index.offsets("a"))
while True:
    with index.transaction():
        for number in range(done, done + 3):
            reading = Reading("cna", str(number // 2), "u", "t", time, str(number // 2), str(number))
            captured = time + timedelta(seconds=number)
            index.record(Entry(Capture("a", number, "u", captured, 200, "d"), "cna", "article", reading=reading), "5e")
    done += 3
    print(done, flush=True)
"""


def test_killed_writer_loses_no_commit(tmp_path: Path) -> None:
    random = Random(5)
    file = tmp_path / "index.sqlite"
    for _ in range(8):
        with python(WRITER, file, stdout=subprocess.PIPE) as writer:
            for _ in range(random.randint(1, 150)):
                acknowledged = int(writer.stdout.readline())
            writer.kill()
        with Index(file) as index:
            offsets = index.offsets("a")
            assert offsets == set(range(len(offsets)))
            assert len(offsets) >= acknowledged
            assert len(offsets) % 3 == 0
            assert list(index.check()) == []


DYING = """
import os, sys
from pathlib import Path
from newsarchive.index import Index
calls, run = int(sys.argv[2]), Index._run
def dying(self, sql, *values):
    global calls
    calls -= 1
    if calls < 0:
        os._exit(9)
    run(self, sql, *values)
Index._run = dying
Index(Path(sys.argv[1])).close()
"""


def test_index_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    statuses = []
    for calls in range(len(SCHEMA) + 12):
        file = tmp_path / f"{calls}.sqlite"
        statuses.append(python(DYING, file, calls).wait())
        with Index(file) as index:
            index.record(article())
            assert list(index.check()) == []
    assert statuses[0] == 9
    assert statuses[-1] == 0


def test_closed_index_is_one_file(tmp_path: Path) -> None:
    file = tmp_path / "new" / "index.sqlite"
    with Index(file) as index:
        index.record(article())
        assert index.db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert index.db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert list(file.parent.iterdir()) == [file]
    with Index(file) as index, Index(file, read_only=True) as reader:
        held = reader.article("cna", READING.id)
        index.record(article(2))
        index.close()
        assert reader.article("cna", READING.id) == held
        copy = tmp_path / "copy.sqlite"
        copy.write_bytes(file.read_bytes())
        with Index(copy) as alone:
            assert told(alone) == told(reader)
            assert len(alone.offsets(FILE)) == 2


# Files that cannot be used.


def test_reader_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "index.sqlite"
    with pytest.raises(FileNotFoundError, match=r"index\.sqlite"):
        Index(file, read_only=True)
    Index(file).close()
    with Index(file, read_only=True) as reader:
        for write in (lambda: reader.record(article()), lambda: reader.file_recorded(FILE, 1)):
            with pytest.raises(sqlite3.OperationalError, match=r"index\.sqlite: attempt to write a readonly database"):
                write()
    file.write_bytes(b"")
    with pytest.raises(IndexUnusable, match="is not an index"):
        Index(file, read_only=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_reader_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "index.sqlite"
    with Index(file) as index:
        index.record(article())
    before = contents(tmp_path)
    with Index(file, read_only=True) as reader:
        assert reader.article("cna", READING.id)
    assert contents(tmp_path) == before
    # Whoever is the last to read tidies up.
    first, second = (Index(file, read_only=True) for _ in range(2))
    assert first.article("cna", READING.id) == second.article("cna", READING.id)
    first.close()
    second.close()
    assert contents(tmp_path) == before


def test_reader_leaves_the_log_of_a_killed_run(tmp_path: Path) -> None:
    file = tmp_path / "index.sqlite"
    Index(file).close()
    with python(WRITER, file, stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        writer.kill()
    log = file.with_name("index.sqlite-wal")
    before = file.read_bytes(), log.read_bytes()
    with Index(file, read_only=True) as reader:
        assert reader.offsets("a")
    assert before[1]
    assert (file.read_bytes(), log.read_bytes()) == before


READER = """
import sys
from pathlib import Path
from newsarchive.index import Index
with Index(Path(sys.argv[1]), read_only=True) as index:
    print(len(index.offsets(sys.argv[2])))
"""


def test_index_on_a_read_only_medium(tmp_path: Path) -> None:
    file = tmp_path / "medium" / "index.sqlite"
    with Index(file) as index:
        index.record(article())
    bind = f"mount --bind {file.parent} {file.parent} && mount -o remount,bind,ro {file.parent}"
    if subprocess.run(["unshare", "-rm", "sh", "-c", bind], check=False, capture_output=True).returncode:
        pytest.skip("this system lets nobody mount")
    command = ["unshare", "-rm", "sh", "-c", f'{bind} && exec "$@"', "sh", sys.executable, "-c", READER, file, FILE]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "1\n"
    assert list(file.parent.iterdir()) == [file]


def unusable(file: Path) -> str:
    before = file.read_bytes()
    with pytest.raises(IndexUnusable) as caught:
        Index(file)
    assert file.read_bytes() == before
    assert str(caught.value).startswith(str(file))
    return str(caught.value).removeprefix(f"{file} ")


REMEDY = ": move it away and run `scrapy verify --repair`, which rebuilds it from the captures"


def test_file_that_is_no_index(tmp_path: Path) -> None:
    file = tmp_path / "index.sqlite"
    file.write_bytes(b"<!DOCTYPE html>" * 1000)
    assert unusable(file) == "is not an SQLite database" + REMEDY
    file.unlink()
    with closing(sqlite3.connect(file)) as db:
        db.execute("CREATE TABLE captures (file)")
    assert unusable(file) == "is not an index of this program" + REMEDY


def test_index_of_another_version_or_without_a_table(tmp_path: Path) -> None:
    file = tmp_path / "index.sqlite"
    Index(file).close()
    for statement, says in (
        ("DROP VIEW revisions", "lacks revisions" + REMEDY),
        ("PRAGMA user_version = 2", "is of version 2, and this newsarchive knows 1: update newsarchive"),
        ("PRAGMA user_version = -1", "is of version -1, and this newsarchive knows 1" + REMEDY),
    ):
        with closing(sqlite3.connect(file)) as db:
            db.execute(statement)
        assert unusable(file) == says


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """Return the file of an index of a few hundred articles."""
    with Index(tmp_path / "index.sqlite") as index:
        record_all(index, (article(number, id=str(number), post=str(number)) for number in range(400)))
    return tmp_path / "index.sqlite"


def test_torn_index(filled: Path) -> None:
    whole = filled.read_bytes()
    for size in (100, 4096, len(whole) // 2, len(whole) - 4096):
        filled.write_bytes(whole[:size])
        assert "is damaged (" in unusable(filled) or size == 100


def test_damage_anywhere_is_told(filled: Path) -> None:
    random = Random(3)
    whole = filled.read_bytes()
    told = 0
    for _ in range(60):
        page = random.randrange(len(whole) // 4096) * 4096
        filled.write_bytes(whole[:page] + random.randbytes(4096) + whole[page + 4096 :])
        try:
            with Index(filled) as index:
                problems = list(index.check())
        except IndexUnusable as error:
            problems = [str(error)]
        assert problems
        assert all(problem.startswith(str(filled)) for problem in problems)
        told += 1
    assert told == 60


def test_damage_met_by_a_run_is_told(filled: Path) -> None:
    whole = filled.read_bytes()
    filled.write_bytes(whole[: 32 * 4096] + b"\xff" * (len(whole) - 32 * 4096))
    with Index(filled) as index, pytest.raises(IndexUnusable, match="is damaged"):
        record_all(index, (article(number, "bb", id=str(number), post=str(number)) for number in range(400)))


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("UPDATE captures SET shown = 0 WHERE offset = 600", "600, of cna 1: shown is 0 where it must be 1"),
        ("UPDATE captures SET fingerprint = 'a' WHERE offset = 700", "700, of cna 1: revision is 0 where it must be 1"),
        ("UPDATE captures SET first = 1 WHERE offset = 700", "700, of cna 1: first is 1 where it must be 0"),
        ("UPDATE captures SET sha256 = x'5e'", "the post is made of more than one"),
    ],
)
def test_marks_that_do_not_follow_are_told(tmp_path: Path, broken: str, says: str) -> None:
    with Index(tmp_path / "index.sqlite") as index:
        for number in (1, 2):
            index.record(article(number, id="1", post="1"))
        assert list(index.check()) == []
        index.db.execute("DROP INDEX named")
        index.db.execute(broken)
        problems = list(index.check())
        assert problems
        assert any(says in problem for problem in problems)


# Speed of one thing; benchmarks/index.py measures the rest.


def test_every_lookup_goes_through_an_index(index: Index) -> None:
    seen: list[str] = []
    index.db.set_trace_callback(seen.append)
    old = URL.replace("aopl", "aipl")
    post = article(8, "dd", id="old", url=old, post="_posts/cna/old.md")
    post = replace(post, capture=replace(post.capture, url=old, kind="post"))
    entries = (article(1), article(2, "bb"), article(0), article(1), refused(1), article(1, "cc"))
    for entry in (*entries, post, redirect(9, old, URL)):
        index.place(entry)
        index.record(entry, "5e" if entry.reading else "")
    index.article("cna", READING.id)
    index.address(URL)
    index.find(URL)
    index.same_capture(URL, TIME, "sha1:A")
    index.last_capture(URL)
    index.stale("cna")
    index.files("cna")
    index.offsets(FILE)
    index.owner(READING.post)
    index.is_former(READING.post)
    index.addresses_of("cna", READING.id)
    for row in index.captures_of(URL):
        index.copies(row)
    index.capture_before(FILE, 500)
    list(index.captures(FILE))
    list(index.articles("cna"))
    assert list(index.lines("cna")) == [index.line("cna", READING.id)]
    list(index.ages("cna"))
    index.db.set_trace_callback(None)
    assert [row.id for row in index.articles("cna")] == [READING.id]
    statements = {text for text in seen if text.startswith(("SELECT", "WITH", "UPDATE", "DELETE"))}
    assert len(statements) > 20
    for statement in statements:
        plan = [detail for *_, detail in index.db.execute(f"EXPLAIN QUERY PLAN {statement}")]
        scans = [detail for detail in plan if re.match(r"SCAN (?!\(subquery|CONSTANT|known\b|told\b|ahead\b)", detail)]
        assert not scans, f"{statement}: {scans}"
