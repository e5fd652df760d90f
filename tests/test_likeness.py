"""Related articles: found by what their texts share, whatever the order, and nothing else is.

``pytest -s tests/test_likeness.py -k real`` prints how many of them are found among real posts.
"""

import json
import re
import sqlite3
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from itertools import combinations
from pathlib import Path
from random import Random
from time import perf_counter
from zlib import crc32

import pytest
from places import SHARED, needs_shared
from server import PARAGRAPHS, cna_page
from test_history import ID, Archive, history
from test_history import archive as archive

from newsarchive.capture import Capture
from newsarchive.index import Entry, Index, IndexUnusable, Reading, RelatedRow
from newsarchive.index.likeness import MOST
from newsarchive.likeness import ALIKE, GROUPS, KEY_SIZE, KEYS, OTHERS, keys, likeness, sketch
from newsarchive.post import read
from newsarchive.store import index_file

TIME = datetime(2026, 11, 20, 5, tzinfo=UTC)
LETTERS = [chr(code) for code in range(0x4E00, 0x5600)]


def text(random: Random, length: int = 800) -> str:
    """Return a text of words that come as often as words do: some often, most seldom."""
    vocabulary = vocabulary_of(7)
    words = random.choices(vocabulary, [1 / rank for rank in range(1, len(vocabulary) + 1)], k=length)
    return "".join(words)[:length]


@cache
def vocabulary_of(seed: int) -> list[str]:
    random = Random(seed)
    return ["".join(random.choices(LETTERS, k=random.randint(1, 3))) for _ in range(4000)]


def letters_of(body: str) -> str:
    return re.sub(r"<[^>]*>|[\W_]", "", body)


@lru_cache(300)
def passages(letters: str, width: int = 8) -> set[str]:
    return {letters[at : at + width] for at in range(len(letters) - width + 1)}


def shared(one: str, other: str) -> float:
    """Return the share of passages that two texts have in common, exactly."""
    mine, yours = passages(one), passages(other)
    both = len(mine & yours)
    return both / (len(mine) + len(yours) - both)


kept = lru_cache(300)(sketch)


def found(one: str, other: str) -> bool:
    """Tell whether two texts would be found to be related."""
    mine, yours = kept(one), kept(other)
    if not mine or not yours:
        return False
    looked_up = any(a == b and any(a) for a, b in zip(keys(mine), keys(yours), strict=True))
    return looked_up and likeness(mine, yours) >= ALIKE


# The sketch.


def by_definition(letters: str, width: int) -> bytes:
    """Return a sketch by its definition: of each group of passages, the lowest hash."""
    hashes = {crc32(passage.encode("utf-16-le")) for passage in passages(letters, width)}
    lowest = [min((hash // GROUPS for hash in hashes if hash % GROUPS == group), default=-1) for group in range(GROUPS)]
    firsts = [0 if hash < 0 else hash % 0xFFFFFF + 1 for hash in lowest[:KEYS]]
    others = [0 if hash < 0 else hash % 255 + 1 for hash in lowest[KEYS:]]
    return b"".join(first.to_bytes(3, "big") for first in firsts) + bytes(others)


@pytest.mark.parametrize("length", [100, 101, 150, 300, 1000, 5000])
def test_sketch_follows_its_definition(length: int) -> None:
    for seed in range(5):
        letters = text(Random(seed), length)
        assert sketch(letters) == by_definition(letters, 8)
        spaced = "".join(Random(seed).choices("abcdefghijklmnopqrstuvwxyzаб", k=length))
        assert sketch(spaced) == by_definition(spaced, 20)
    again = text(Random(1), 100) * (length // 100)
    assert sketch(again) == by_definition(again, 8)


def test_sketch_stays_what_it_is() -> None:
    body = "".join(chr(0x4E00 + number * number % 2000) for number in range(400))
    assert sketch(f"<p>{body}</p>").hex() == (
        "aeb75f0d46d4afbf735973857d55c2754812f7c668d64140ab12d76573a08236bc64b42f"
    )
    assert len(sketch(body)) == KEYS * KEY_SIZE + OTHERS


def test_sketch_depends_on_letters_alone() -> None:
    letters = text(Random(2), 300) + "abc2026ＡＢＣ"
    expected = sketch(letters)
    for body in (
        f"<p>{letters[:100]}，</p>\n<p>「{letters[100:]}」</p>",
        f'<p>{letters}</p><figure><img src="https://x/a.jpg" alt="字>字"><figcaption>說明文字</figcaption></figure>',
        letters.upper(),
        letters.replace("ＡＢＣ", "abc"),
        f'<p><a href="https://x/?a=1&amp;b=2">{letters}</a>&nbsp;&amp;</p>',
    ):
        assert sketch(body) == expected
    assert sketch(letters + text(Random(3), 300)) != expected


def test_short_text_has_no_sketch() -> None:
    letters = text(Random(3), 100)
    assert sketch(letters)
    assert sketch(f"<p>{letters[:99]}，，，，</p><figure><figcaption>{letters}</figcaption></figure>") == b""
    assert sketch("") == b""


def test_body_of_2000_letters_takes_no_time() -> None:
    body = f"<p>{text(Random(4), 2000)}</p>"
    took = []
    for _ in range(200):
        start = perf_counter()
        sketch(body)
        took.append(perf_counter() - start)
    # 0.27 ms where nothing else runs.
    assert min(took) < 1e-3


@pytest.mark.parametrize("evil", ["<figure>" * 100_000, '<a href="' * 100_000, "字" * 1_000_000, "&#0;" * 200_000])
def test_time_is_bounded(evil: str) -> None:
    start = perf_counter()
    sketch(evil)
    assert perf_counter() - start < 5


# Likeness.


def test_likeness_estimates_the_share_of_passages() -> None:
    random, off = Random(5), []
    for part in (0, 0.1, 0.3, 0.5, 0.7, 0.9, 1):
        for _ in range(60):
            one, other = text(random), text(random)
            changed = one[: int(800 * part)] + other[int(800 * part) :]
            estimate = likeness(sketch(one), sketch(changed))
            assert estimate == likeness(sketch(changed), sketch(one))
            off.append(estimate - shared(one, changed))
    assert abs(sum(off)) / len(off) < 0.02
    assert (sum(error * error for error in off) / len(off)) ** 0.5 < 0.09


def test_groups_without_passages_say_nothing() -> None:
    nothing = bytes(KEYS * KEY_SIZE + OTHERS)
    one = bytes(KEY_SIZE - 1) + b"\1" + nothing[KEY_SIZE:]
    last = nothing[:-1] + b"\1"
    assert likeness(nothing, nothing) == 0
    assert likeness(one, one) == likeness(last, last) == 1
    assert likeness(one, nothing) == likeness(nothing, one) == likeness(one, last) == 0
    both = one[:-1] + b"\1"
    assert likeness(both, one) == likeness(one, both) == 0.5


def test_other_scripts() -> None:
    random = Random(6)
    vocabulary = [
        "".join(random.choices("abcdefghijklmnopqrstuvwxyzäöü", k=random.randint(2, 10))) for _ in range(3000)
    ]
    weights = [1 / rank for rank in range(1, 3001)]
    articles = [random.choices(vocabulary, weights, k=400) for _ in range(40)]
    edited = [[*words[:200], *random.choices(vocabulary, weights, k=40), *words[200:]] for words in articles]
    assert all(found(" ".join(one), " ".join(other)) for one, other in zip(articles, edited, strict=True))
    assert not any(found(" ".join(one), " ".join(other)) for one, other in combinations(articles, 2))


# Real posts, and what may happen to them.


@cache
def real_posts() -> list[str]:
    """Return the letters of real posts that are long enough to be compared."""
    files = [*SHARED.glob("posts/*/*/*.md"), *SHARED.glob("seeds/*.txt")]
    bodies = [read(file.read_bytes().decode()).body for file in sorted(files)]
    return [letters_of(body) for body in bodies if sketch(body)]


def paragraph_added(random: Random, letters: str, other: str) -> str:
    at = random.randrange(len(letters))
    return letters[:at] + other[:120] + letters[at:]


def characters_changed(random: Random, letters: str, other: str) -> str:
    changed = set(random.sample(range(len(letters)), len(letters) // 20))
    return "".join(random.choice(other) if at in changed else letter for at, letter in enumerate(letters))


def words_changed(random: Random, letters: str, other: str) -> str:
    for _ in range(len(letters) // 60):
        at, there = random.randrange(len(letters)), random.randrange(len(other))
        letters = letters[:at] + other[there : there + random.randint(2, 5)] + letters[at + 3 :]
    return letters


def end_cut_off(random: Random, letters: str, other: str) -> str:
    return letters[: len(letters) * 7 // 10]


def lead_with_another_rest(random: Random, letters: str, other: str) -> str:
    return letters[:100] + other[100:]


def same_boilerplate(random: Random, letters: str, other: str) -> str:
    return other + letters[-100:]


def another_article(random: Random, letters: str, other: str) -> str:
    return other


Edit = Callable[[Random, str, str], str]
ALIKE_EDITS: tuple[Edit, ...] = (paragraph_added, characters_changed, words_changed, end_cut_off)
OTHER_EDITS: tuple[Edit, ...] = (lead_with_another_rest, same_boilerplate, another_article)


@needs_shared
def test_edits_of_real_posts_are_found() -> None:
    random, texts = Random(7), real_posts()
    counts: dict[str, list[bool]] = defaultdict(list)
    for letters in texts:
        for edit in (*ALIKE_EDITS, *OTHER_EDITS):
            others = random.sample(texts, len(texts))
            other = next(one for one in others if len(one) >= 600 and shared(one, letters) < 0.1)
            if edit not in OTHER_EDITS or len(letters) >= 600:
                counts[edit.__name__].append(found(letters, edit(random, letters, other)))
    related = [hit for edit in ALIKE_EDITS for hit in counts[edit.__name__]]
    wrong = [hit for edit in OTHER_EDITS for hit in counts[edit.__name__]]
    print(f"\n{len(texts)} real posts; pairs that are related, and that are not")
    for edit in (*ALIKE_EDITS, *OTHER_EDITS):
        hits = counts[edit.__name__]
        print(f"{edit.__name__.replace('_', ' '):24}{sum(hits):5} of {len(hits):4} found")
    precision, recall = sum(related) / (sum(related) + sum(wrong)), sum(related) / len(related)
    print(f"precision {precision:.3f}, recall {recall:.3f}")
    assert precision > 0.99
    assert recall > 0.97
    assert all(sum(counts[edit.__name__]) / len(texts) > 0.92 for edit in ALIKE_EDITS)


@needs_shared
def test_live_blogs_of_real_paragraphs_are_found_from_hour_to_hour() -> None:
    random, texts = Random(8), real_posts()
    hits: dict[int, list[bool]] = defaultdict(list)
    for _ in range(60):
        entries = [one[:200] for one in random.sample(texts, 12)]
        hours = ["".join(reversed(entries[:hour])) for hour in range(1, 13)]
        for (hour, one), (later, other) in combinations(enumerate(hours), 2):
            hits[later - hour].append(found(one, other))
    told = {apart: sum(found) / len(found) for apart, found in hits.items()}
    print("\nlive blogs of 12 hours, by hours apart: " + ", ".join(f"{told[apart]:.2f}" for apart in (1, 2, 3, 6, 11)))
    assert told[1] > 0.97


@needs_shared
def test_of_real_posts_only_those_that_share_copy_are_related() -> None:
    texts = real_posts()
    pairs = [(one, other) for one, other in combinations(texts, 2)]
    hits = {pair for pair in pairs if found(*pair)}
    truth = {pair for pair in pairs if shared(*pair) >= ALIKE}
    print(f"\n{len(pairs)} pairs of real posts, {len(truth)} share {ALIKE:.0%} of their passages: {len(hits)} found")
    assert truth == hits


def test_edits_of_made_up_texts_are_found() -> None:
    random = Random(9)
    texts = [text(random, random.randint(150, 1500)) for _ in range(150)]
    for edit in ALIKE_EDITS:
        assert sum(found(letters, edit(random, letters, text(random))) for letters in texts) > 140
    for edit in OTHER_EDITS:
        long = [letters for letters in texts if len(letters) >= 600]
        assert sum(found(letters, edit(random, letters, text(random))) for letters in long) < 2


# The index.


def entry(number: int, body: str, id: str = "", publisher: str = "cna", minute: int = 0) -> Entry:
    """Return a capture that reads as an article with a body."""
    id = id or f"{number:03}"
    capture = Capture(f"captures/{publisher}/a", number, f"https://x/{publisher}/{id}", TIME, 200, "sha1:A", "article")
    capture = replace(capture, captured=TIME + timedelta(minutes=minute))
    digest = f"{crc32(body.encode()):08x}"
    reading = Reading(publisher, id, capture.url, "T", TIME, f"_posts/{publisher}/{id}.md", digest, sketch(body))
    return Entry(capture, publisher, "article", reading=reading)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index(tmp_path / "index.sqlite") as index:
        yield index
        assert list(index.check()) == []


def record_all(index: Index, entries: Iterable[Entry]) -> None:
    with index.transaction():
        for one in entries:
            index.record(one)


def test_same_copy_at_two_publishers_is_related(index: Index) -> None:
    random = Random(10)
    copy, other = text(random), text(random)
    longer = copy + text(random, 150)
    record_all(index, [entry(1, copy), entry(2, longer, publisher="dw"), entry(3, other), entry(4, copy)])
    assert index.related("cna", "001") == [
        RelatedRow("cna", "004", 1.0),
        RelatedRow("dw", "002", likeness(sketch(copy), sketch(longer))),
    ]
    assert [(row.publisher, row.id) for row in index.related("dw", "002")] == [("cna", "001"), ("cna", "004")]
    assert index.related("cna", "003") == index.related("rfi", "001") == index.related("cna", "no") == []
    # Nothing is merged.
    assert [row.id for row in index.articles("cna")] == ["001", "003", "004"]


def test_short_texts_are_not_related(index: Index) -> None:
    short = text(Random(11), 90)
    record_all(index, [entry(1, short), entry(2, short)])
    assert index.related("cna", "001") == []


def test_what_is_shown_is_compared(index: Index) -> None:
    random = Random(12)
    copy, other = text(random), text(random)
    record_all(index, [entry(1, copy), entry(2, copy), entry(3, other)])
    assert [row.id for row in index.related("cna", "001")] == ["002"]
    revised = entry(4, other, id="002", minute=1)
    record_all(index, [revised])
    assert index.related("cna", "001") == []
    assert [row.id for row in index.related("cna", "003")] == ["002"]
    # The reading is withdrawn, and the text that it had replaced is shown again.
    record_all(index, [Entry(revised.capture, "cna", "expired")])
    assert [row.id for row in index.related("cna", "001")] == ["002"]
    assert index.related("cna", "003") == []
    record_all(index, [Entry(entry(2, copy).capture, "cna", "drift")])
    assert index.related("cna", "001") == []
    assert [row.id for row in index.related("cna", "003")] == ["002"]


def test_phrases_of_many_articles_say_nothing(index: Index) -> None:
    copy = text(Random(13), 400)
    record_all(index, (entry(number, copy) for number in range(MOST)))
    assert len(index.related("cna", "000")) == MOST - 1
    record_all(index, [entry(MOST, copy)])
    assert index.related("cna", "000") == index.related("cna", f"{MOST}") == []


def families(random: Random) -> list[Entry]:
    """Return captures of articles of a few families, revisions among them, in the order of their making."""
    made: list[Entry] = []
    for family in range(5):
        copy = text(random, random.choice((90, 150, 600)))
        for _ in range(random.randint(1, 5)):
            body = random.choice((copy, copy + text(random, 60), copy[: len(copy) * 2 // 3], text(random, 300)))
            publisher, id = random.choice(("cna", "dw")), f"{family}{random.randint(1, 4)}"
            number = len(made)
            made.append(entry(number, body, id=id, publisher=publisher, minute=random.randint(0, 9)))
            if random.random() < 0.15:
                made.append(Entry(made[-1].capture, publisher, "expired"))
    return made


def in_some_order(random: Random, entries: list[Entry]) -> list[Entry]:
    """Return entries in any order but for those of one capture."""
    offsets = [one.capture.offset for one in entries]
    random.shuffle(offsets)
    left = {offset: iter([one for one in entries if one.capture.offset == offset]) for offset in offsets}
    return [next(left[offset]) for offset in offsets]


@pytest.mark.parametrize("seed", range(25))
def test_relations_follow_from_what_was_recorded(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    made = families(random)
    dumps = []
    for number in range(4):
        with Index(tmp_path / f"{number}.sqlite") as index:
            record_all(index, in_some_order(random, made) if number else made)
            dumps.append(list(index.dump()))
            keys_of = [(row.publisher, row.id) for name in ("cna", "dw") for row in index.articles(name)]
            rows = {(*one, row.publisher, row.id): row.similarity for one in keys_of for row in index.related(*one)}
    assert dumps[1:] == dumps[:-1]
    assert [row for row in dumps[0] if row[0] == "related"] == sorted(
        (("related", *key, similarity) for key, similarity in rows.items()),
        key=lambda row: (row[1:3], -row[5], row[3:5]),
    )
    assert all(rows[(*key[2:], *key[:2])] == similarity for key, similarity in rows.items())
    assert all(key[:2] != key[2:] and similarity >= ALIKE for key, similarity in rows.items())


def test_look_up_goes_through_indexes(index: Index) -> None:
    copy = text(Random(14))
    record_all(index, [entry(1, copy), entry(2, copy)])
    seen: list[str] = []
    index.db.set_trace_callback(seen.append)
    assert index.related("cna", "001")
    index.db.set_trace_callback(None)
    assert len(seen) == 1 + KEYS
    for statement in seen:
        plan = [detail for *_, detail in index.db.execute(f"EXPLAIN QUERY PLAN {statement}")]
        assert all(detail.startswith("SEARCH captures USING INDEX") for detail in plan), plan


def test_index_from_before_is_told(tmp_path: Path) -> None:
    file = tmp_path / "index.sqlite"
    Index(file).close()
    with closing(sqlite3.connect(file)) as db:
        for number in range(KEYS):
            db.execute(f"DROP INDEX like_{number}")
        db.execute("ALTER TABLE captures DROP COLUMN sketch")
    with pytest.raises(IndexUnusable, match=r"lacks like_0, .* move it away and run `scrapy verify --repair`"):
        Index(file)


def test_index_needs_no_scrapy() -> None:
    code = "import sys, newsarchive.index.likeness, newsarchive.likeness; sys.exit('scrapy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], check=False).returncode == 0


# The command.


def test_history_names_related_articles(archive: Archive) -> None:
    random = Random(15)
    # What an article ends with is the agency's mark of a whole one.
    *_, end = PARAGRAPHS
    paragraphs = [text(random, 200) for _ in range(4)]
    other = str(int(ID) + 1)
    archive.add(cna_page(ID, paragraphs=[*paragraphs, end]))
    assert "related" not in history(archive, ID).stdout
    url = f"https://www.cna.com.tw/news/ahel/{other}.aspx"
    archive.add(cna_page(other, title="另一個標題", paragraphs=[*paragraphs, text(random, 50), end]), url=url)
    with Index(index_file(archive.folder), read_only=True) as index:
        (row,) = index.related("cna", ID)
    told = history(archive, ID).stdout
    assert (
        f"\n\nrelated, by how much of the text is the same\n  {row.similarity:.0%}  cna {other}  另一個標題\n" in told
    )
    (found,) = json.loads(history(archive, ID, "--json").stdout)["articles"]
    assert found["related"] == [{"publisher": "cna", "id": other, "similarity": row.similarity, "title": "另一個標題"}]
