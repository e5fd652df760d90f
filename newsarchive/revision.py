"""What makes an article that comes back another one: its fingerprint, and the differences for a person to read.

A page is never served twice to the byte: advertisements, nonces, related boxes
and times change. An article is another revision if a reader sees another
headline, text, picture or section, and only then. The fingerprint says so for
decades, so it is defined to the byte and changes for no reason but a real one.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import Match, SequenceMatcher
from functools import lru_cache
from hashlib import sha256
from html import escape, unescape
from itertools import pairwise
from typing import Literal
from unicodedata import normalize
from urllib.parse import parse_qsl, unquote, urlsplit

from newsarchive.article import Article
from newsarchive.fragment import INLINE
from newsarchive.spelling import well_formed

__all__ = ["Passage", "Piece", "differences", "fingerprint", "paragraphs", "picture"]

#: A tag; a quoted value may hold angle brackets.
_TAG = re.compile(r'<[^<>"]*+(?:"[^"]*+"[^<>"]*+)*+>')
_NAME = re.compile(r"\w+")
#: White space, control characters, and what has neither width nor ink.
NO_INK = (
    r"\x00-\x20\x7f-\xa0\xad\u034f\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufe0e\ufe0f\ufeff"
)
_NO_INK = re.compile(f"[{NO_INK}]+")
#: Those of them that Python calls printable: all others are noticed by ``str.isprintable``, which is much faster.
_PRINTABLE = "\u034f\ufe0e\ufe0f"

_SRC = re.compile(r'<img (?:(?!src=)[a-z]+="[^"]*+" )*+src="([^"]*+)"')
#: Something embedded: a link whose words are its own address.
_EMBEDDED = re.compile(r'<a href="(https?://[^"]*+)">\1</a>')
#: What a query names an embedded thing by. The rest of it says how to show the thing, or counts readers.
_NAMING = frozenset("v id list href url pb mid fbid story_fbid".split())


# The fingerprint.


def fingerprint(article: Article) -> str:
    """Return 32 hexadecimal digits: equal for two readings of one revision, others for another.

    They are the beginning of the SHA-256 of these lines in UTF-8, joined by U+000A:

    1. the title;
    2. the section, case-folded;
    3. the body outside of ``<figure>``: tags taken out, then character references resolved as HTML
       says. Of a link whose words are its own address, as for a film or somebody's post, only
       host (without ``www.``), path and the queries of ``_NAMING`` count;
    4. the words within ``<figure>``, which are captions and credits, in order;
    5. and on: each picture of the body, then of ``images``, once, in order (``picture``).

    From every line the characters of ``NO_INK`` are taken out and lone surrogates become U+FFFD;
    the rest is put into Unicode's form C. So no line holds a U+000A.

    Nothing else counts: times, authors, keywords, summary, mark-up, where links lead, between which
    paragraphs a picture stands. Full-width forms are other characters than half-width ones.

    Form C and case folding are Python's. Unicode never changes them for a character it has: digests
    of one text differ only between a Python that has all its characters and one that has not.
    """
    lines = [_ink(article.title), _ink(article.section).casefold(), *_words(article.body), *_pictures(article)]
    return sha256("\n".join(lines).encode()).hexdigest()[:32]


def _ink(text: str) -> str:
    """Return what leaves a mark on paper, in form C."""
    # All other white space and what cannot be encoded is not printable, either.
    text = text.replace(" ", "").replace("\xa0", "")
    if not text.isprintable() or any(char in text for char in _PRINTABLE):
        text = well_formed(_NO_INK.sub("", text))
    return normalize("NFC", text)


def _words(body: str) -> tuple[str, str]:
    """Return the ink of a body outside and inside of its figures."""
    outside, inside = map("".join, _apart(body))
    if '">http' in outside:
        outside = _EMBEDDED.sub(_named, outside)
    return _ink(_plain(outside)), _ink(_plain(inside))


def _apart(body: str) -> tuple[list[str], list[str]]:
    """Return what stands around the figures of a body, and what stands in each."""
    first, *others = body.split("<figure>")
    halves = [other.partition("</figure>") for other in others]
    return [first, *(after for _, _, after in halves)], [inside for inside, _, _ in halves]


def _plain(html: str) -> str:
    words = _TAG.sub("", html)
    return unescape(words) if "&" in words else words


def _named(link: re.Match[str]) -> str:
    """Return what names an embedded thing, as HTML."""
    address = unescape(link[1])
    try:
        parts = urlsplit(address)
    except ValueError:
        return link[0]
    query = "&".join(f"{name}={value}" for name, value in parse_qsl(parts.query) if name in _NAMING)
    return escape(f"{parts.netloc.removeprefix('www.')}{parts.path}?{query}")


# Pictures.

_EXTENSION = re.compile(r"\.(?:jpe?g|png|gif|webp|avif|svg|bmp|tiff?|jfif|heic)$", re.IGNORECASE)
#: ``1151x768_wmkn_…``, ``…-800x600``, ``…@2x``, ``0,,17456545_303,00``, ``62170494_303``; ``62170494_6`` if no day.
_SIZE_IN_NAME = re.compile(
    r"^\d+x\d+[_-]|[_-]\d+x\d+$|@\dx$|^0,\d*,|,00$"
    r"|(?<=^\d{5})(\d*)_\d{3,4}$|^(?!(?:19|20)\d\d(?:0[1-9]|1[0-2])[0-3]\d_)(\d{5,})_\d{1,2}$",
    re.IGNORECASE,
)
#: ``/1024``, ``/w:1280``, ``/p:16x9``, ``/rfi_16x9_1024_578``, ``/w_800,h_600``; not ``/2023`` before a month.
_SIZE_IN_FOLDER = re.compile(
    r"/(?:(?!(?:19|20)\d\d/(?:0[1-9]|1[0-2])/)\d{3,4}|[^/]*\d+x\d+[^/]*|(?:[a-z]+[:=]|[a-z]_)[\w.]+(?:,[^/]*)?)(?=/)"
)
#: Digits of a name that only an agency or a database gives.
_TELLING = 6
#: Characters; no picture's address is longer, and looking for sizes takes the square of it.
_LONGEST = 2000


@lru_cache(maxsize=4096)
def picture(address: str) -> str:
    """Return which picture an address means, whatever the size, crop, format, host and spelling of the address.

    That is the file's name in letters and digits, case-folded, without extension and the sizes of
    ``_SIZE_IN_NAME``: agencies and publishers number their pictures, and a picture keeps its name when it is
    stored anew. A name of less than six digits, as ``hk-1.jpg``, counts with its folders, without those of
    ``_SIZE_IN_FOLDER``; and with its query if it is not a picture's. Of an address that leads
    through a proxy, the query ``url`` is the address. One that is no address, or longer than 2,000
    characters, counts as it is.
    """
    if len(address) > _LONGEST:
        return _ink(address)
    try:
        parts = urlsplit(address)
    except ValueError:
        return _ink(address)
    if not parts.path.strip("/"):
        within = next(
            (value for name, value in parse_qsl(parts.query) if name == "url" and len(value) < len(address)), ""
        )
        return picture(within if "//" in within else f"//{within}") if within else _ink(address)
    folder, _, file = unquote(parts.path).rpartition("/")
    name = _EXTENSION.sub("", file)
    while (less := _SIZE_IN_NAME.sub(r"\1\2", name)) != name:
        name = less
    telling = "".join(filter(str.isalnum, _ink(name).casefold()))
    if sum(map(str.isdecimal, telling)) >= _TELLING:
        return telling
    query = parts.query if name == file else ""
    return _ink(f"{_SIZE_IN_FOLDER.sub('', folder + '/')}{telling}?{query}")


def _pictures(article: Article) -> dict[str, str]:
    """Return the pictures of an article in order, each with the first of its addresses."""
    shown: dict[str, str] = {}
    if "<img" in article.body:
        for src in _SRC.findall(article.body):
            shown.setdefault(picture(unescape(src)), unescape(src))
    for image in article.images:
        shown.setdefault(picture(image.url), image.url)
    return shown


# The differences.

#: ``same`` stands in both articles, ``old`` in the old one only, ``new`` in the new one only.
Piece = tuple[Literal["same", "old", "new"], str]


@dataclass(frozen=True, slots=True)
class Passage:
    """A line of two articles: the title, the section, a picture, a caption or a paragraph."""

    part: Literal["title", "section", "picture", "caption", "text"]
    #: What the line says, in order. All ``same`` where nothing changed.
    pieces: tuple[Piece, ...]
    #: Whether the line stands as it is at another place of the other article.
    moved: bool = False

    @property
    def changed(self) -> bool:
        """Tell whether the two articles differ here."""
        return any(kind != "same" for kind, _ in self.pieces)


def differences(old: Article, new: Article) -> list[Passage]:
    """Return two articles as one: title and section if they changed, pictures, captions and text line by line.

    Within a line that changed, what changed is told by character in Chinese, Japanese and Korean, else by
    word. Empty for two articles of one fingerprint. Lines and pieces hold neither line breaks nor runs of
    white space. The work is bounded: where texts have too little in common to be compared closely, lines
    are told as old and new.
    """
    if fingerprint(old) == fingerprint(new):
        return []
    effort = _Effort()
    passages = []
    if _ink(old.title) != _ink(new.title):
        passages.append(Passage("title", _within(_spaced(old.title), _spaced(new.title), effort)))
    if _ink(old.section).casefold() != _ink(new.section).casefold():
        passages.append(Passage("section", _within(_spaced(old.section), _spaced(new.section), effort)))
    passages += _pictures_compared(_pictures(old), _pictures(new), effort)
    (text, captions), (new_text, new_captions) = _apart(old.body), _apart(new.body)
    passages += _compared("caption", _lines("\n".join(captions)), _lines("\n".join(new_captions)), effort)
    passages += _compared("text", _lines("\n".join(text)), _lines("\n".join(new_text)), effort)
    return passages


def paragraphs(article: Article) -> list[str]:
    """Return what stands on lines of its own in an article's body, in order, captions among it, as plain text."""
    return _lines(article.body)


def _spaced(text: str) -> str:
    """Return text on one line, without runs of white space."""
    return " ".join(text.split())


def _break(tag: re.Match[str]) -> str:
    """Return the line break that a tag means; nothing for one within a line."""
    return "" if not INLINE.isdisjoint(_NAME.findall(tag[0][:12])[:1]) else "\n"


def _lines(html: str) -> list[str]:
    """Return what stands on lines of its own in a fragment, without empty lines."""
    html = _TAG.sub(_break, html)
    return [line for line in map(_spaced, map(unescape, html.split("\n"))) if _ink(line)]


class _Effort:
    """What comparing may still cost, in steps of some 50 nanoseconds."""

    def __init__(self, left: float = 2e7) -> None:
        self.left = left

    def affords(self, steps: float) -> bool:
        """Take from what is left; tell whether it was enough."""
        if steps > self.left:
            return False
        self.left -= steps
        return True


def _pairs(old: Sequence[str], new: Sequence[str]) -> int:
    """Return how many entries of one are equal to one of the other, which is what difflib looks at."""
    there = Counter(new)
    return sum(count * there[entry] for entry, count in Counter(old).items())


class _Matcher(SequenceMatcher[str]):
    """Finds what two sequences have in common until effort is used up, and nothing from then on.

    Without a bound, the time is cubic at worst.
    """

    def __init__(self, old: Sequence[str], new: Sequence[str], effort: _Effort) -> None:
        super().__init__(None, old, new, autojunk=False)
        self.effort, self.size = effort, len(old)
        self.cost = 1 + _pairs(old, new) / (len(old) or 1)

    def find_longest_match(self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None) -> Match:
        """Return the longest stretch in common; an empty one if there is none, or looking for it costs too much."""
        size = (self.size if ahi is None else ahi) - alo
        if self.cost == 1 or not self.effort.affords(size * self.cost):
            return Match(alo, blo, 0)
        return super().find_longest_match(alo, ahi, blo, bhi)


def _pictures_compared(old: dict[str, str], new: dict[str, str], effort: _Effort) -> Iterator[Passage]:
    """Yield the pictures, by their addresses."""
    was, now = list(old), list(new)
    for same, i, j in _steps(was, now, effort):
        if same:
            yield from (Passage("picture", (("same", new[name]),)) for name in now[j])
        else:
            yield from (Passage("picture", (("old", old[name]),), name in new) for name in was[i])
            yield from (Passage("picture", (("new", new[name]),), name in old) for name in now[j])


def _compared(part: Literal["caption", "text"], old: list[str], new: list[str], effort: _Effort) -> Iterator[Passage]:
    """Yield the lines of two texts: those of both, moved ones, changed ones, and those of one of them."""
    was, now = list(map(_ink, old)), list(map(_ink, new))
    steps = list(_steps(was, now, effort))
    gone = Counter(was[at] for same, i, _ in steps if not same for at in _range(i))
    come = Counter(now[at] for same, _, j in steps if not same for at in _range(j))
    moved = gone & come
    for same, i, j in steps:
        if same:
            yield from (Passage(part, (("same", line),)) for line in new[j])
            continue
        stay = [at for at in _range(i) if not moved[was[at]]], [at for at in _range(j) if not moved[now[at]]]
        paired = dict(_paired([old[at] for at in stay[0]], [new[at] for at in stay[1]], effort))
        partner = {stay[0][a]: stay[1][b] for a, b in paired.items()}
        at = j.start
        for line in _range(i):
            if line not in partner:
                yield Passage(part, (("old", old[line]),), bool(moved[was[line]]))
                continue
            yield from (Passage(part, (("new", new[k]),), bool(moved[now[k]])) for k in range(at, partner[line]))
            yield Passage(part, _within(old[line], new[partner[line]], effort))
            at = partner[line] + 1
        yield from (Passage(part, (("new", new[k]),), bool(moved[now[k]])) for k in range(at, j.stop))


def _range(part: slice) -> range:
    return range(part.start, part.stop)


def _steps(old: Sequence[str], new: Sequence[str], effort: _Effort) -> Iterator[tuple[bool, slice, slice]]:
    """Yield stretches of two sequences that are equal, or that stand in each other's place, in order.

    Lines that stand once in both hold the two together; only what lies between them is searched.
    """
    i = j = 0
    for a, b in [*_anchors(old, new), (len(old), len(new))]:
        # An anchor's neighbours are usually equal, too.
        head = _common(old[i:a], new[j:b])
        tail = _common(old[i + head : a][::-1], new[j + head : b][::-1])
        if head:
            yield True, slice(i, i + head), slice(j, j + head)
        i, j, end, stop = i + head, j + head, a - tail, b - tail
        if i < end or j < stop:
            for kind, i1, i2, j1, j2 in _Matcher(old[i:end], new[j:stop], effort).get_opcodes():
                yield kind == "equal", slice(i + i1, i + i2), slice(j + j1, j + j2)
        if tail or a < len(old):
            yield True, slice(end, min(a + 1, len(old))), slice(stop, min(b + 1, len(new)))
        i, j = a + 1, b + 1


def _anchors(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Return the positions of entries that stand once in both, as many as stand in the same order."""
    counts = Counter(old), Counter(new)
    where = {entry: at for at, entry in enumerate(new)}
    pairs = [(at, where[entry]) for at, entry in enumerate(old) if counts[0][entry] == 1 and counts[1][entry] == 1]
    # The longest rising sequence, by patience: each pile's top is the lowest end of a sequence of that length.
    tops: list[int] = []
    piles: list[int] = []
    before: list[int] = []
    for number, (_, at) in enumerate(pairs):
        pile = bisect_left(tops, at)
        tops[pile : pile + 1] = [at]
        piles[pile : pile + 1] = [number]
        before.append(piles[pile - 1] if pile else -1)
    rising = []
    number = piles[-1] if piles else -1
    while number >= 0:
        rising.append(pairs[number])
        number = before[number]
    return rising[::-1]


def _common(old: Sequence[str], new: Sequence[str]) -> int:
    """Return how many entries two sequences begin with in common."""
    length = 0
    for left, right in zip(old, new, strict=False):
        if left != right:
            break
        length += 1
    return length


#: Two lines that have so much in common are one that was changed.
_ALIKE = 0.4


def _paired(old: list[str], new: list[str], effort: _Effort) -> Iterator[tuple[int, int]]:
    """Yield the positions of lines that became each other, in order, so that most of the text is kept."""
    size = sum(map(len, old)) * len(new) + sum(map(len, new)) * len(old)
    if not effort.affords(size):
        yield from zip(range(len(old)), range(len(new)), strict=False) if len(old) == len(new) else ()
        return
    best = [[0.0] * (len(new) + 1) for _ in range(len(old) + 1)]
    left, right = list(map(_shingles, old)), list(map(_shingles, new))
    worth = [[_kept(one, other) for other in right] for one in left]
    for i in reversed(range(len(old))):
        for j in reversed(range(len(new))):
            best[i][j] = max(best[i + 1][j], best[i][j + 1], worth[i][j] and worth[i][j] + best[i + 1][j + 1])
    i = j = 0
    while i < len(old) and j < len(new):
        if worth[i][j] and best[i][j] == worth[i][j] + best[i + 1][j + 1]:
            yield i, j
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1


def _shingles(line: str) -> set[str]:
    """Return all pairs of neighbours in a line."""
    return set(map("".join, pairwise(line))) or {line}


def _kept(old: set[str], new: set[str]) -> int:
    """Return how much two lines have in common; 0 if they are not alike."""
    common = len(old & new)
    return common if 2 * common >= _ALIKE * (len(old) + len(new)) else 0


# Within a line.

#: Chinese, Japanese and Korean: what is told by character.
_CJK = (
    "\u1100-\u11ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3041-\u318f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc\U00016fe0-\U0001b16f"
    "\U00020000-\U0003ffff"
)
_MARKS = r"!-/:-@\[-`{-~\u00a1-\u00bf\u2010-\u205e\u3000-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
#: A character, white space, a mark, or a word; ``1,500.5`` is a word.
_TOKEN = re.compile(
    rf"[{_CJK}][\ufe00-\ufe0f\u3099\u309a\U000e0100-\U000e01ef]*|\s+"
    rf"|[^\s{_CJK}{_MARKS}]+(?:(?<=[0-9])[.,:](?=[0-9])[^\s{_CJK}{_MARKS}]+)*|."
)


_SENTENCE = re.compile(r"[^.!?。！？]*+(?:[.!?。！？]+|$)")
#: Lines whose tokens make more pairs are compared by sentence: all text of a bad page stands in one line.
_MANY = 2_000_000


def _within(old: str, new: str, effort: _Effort) -> tuple[Piece, ...]:
    """Return what two lines have in common and what not, piece by piece."""
    was, now = _TOKEN.findall(old), _TOKEN.findall(new)
    if _pairs(was, now) > _MANY:
        was, now = _SENTENCE.findall(old), _SENTENCE.findall(new)
    head = _common(was, now)
    tail = _common(was[head:][::-1], now[head:][::-1])
    i, j = len(was) - tail, len(now) - tail
    changes = [(was[:head], was[:head])]
    for _, i1, i2, j1, j2 in _Matcher(was[head:i], now[head:j], effort).get_opcodes():
        changes.append((was[head + i1 : head + i2], now[head + j1 : head + j2]))
    changes.append((was[i:], was[i:]))
    return tuple(_told(_readable([("".join(one), "".join(other)) for one, other in changes])))


def _readable(changes: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return changes, joined where what is kept between them is white space, or short beside them."""
    joined = [changes[0]]
    for at, (old, new) in enumerate(changes[1:], 1):
        last = joined[-1]
        following = changes[at + 1] if at + 1 < len(changes) else ("", "")
        change = last[0] != last[1]
        lost = old == new and change and following[0] != following[1] and _is_slight(old, last, following)
        if lost or (change and old != new):
            joined[-1] = (last[0] + old, last[1] + new)
        else:
            joined.append((old, new))
    return joined


def _is_slight(kept: str, before: tuple[str, str], after: tuple[str, str]) -> bool:
    return kept.isspace() or 2 * len(kept) < min(max(map(len, before)), max(map(len, after)))


def _told(changes: list[tuple[str, str]]) -> Iterator[Piece]:
    for old, new in changes:
        if old == new:
            if old:
                yield "same", old
            continue
        if old:
            yield "old", old
        if new:
            yield "new", new
