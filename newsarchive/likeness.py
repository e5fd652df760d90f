"""How much alike two texts are: a sketch of each, small enough to keep for every article and to look up by.

The same wire copy under two ids, a live blog saved hour by hour, an article
published again: their texts share passages. A text is taken as the set of its
passages, and two texts are as much alike as the share of these sets' union that
both hold (Jaccard). Passages fall into groups by their hash; of each group the
lowest hash is kept (MinHash by one permutation), and the share of groups in
which two texts agree estimates their likeness.

Some groups are kept with more bits than others, to be looked up: two texts that
are alike agree in at least one of those, and texts that are not rarely do. On
real posts this finds more than SimHash does, and takes for something else less.
"""

import re
from html import unescape
from operator import eq
from unicodedata import normalize
from zlib import crc32

__all__ = ["ALIKE", "KEYS", "KEY_SIZE", "keys", "likeness", "sketch"]

#: How much alike two texts are at least to be called related. Of real posts, those that share no copy reach 0.15.
ALIKE = 0.25
#: Groups that are looked up, the bytes kept of each, and the groups that are only compared, of which one byte is kept.
KEYS, KEY_SIZE, OTHERS = 5, 3, 21
GROUPS = KEYS + OTHERS
#: Where the bytes of those begin, and what is looked up for a group without a passage.
_OTHERS, _NONE = KEYS * KEY_SIZE, bytes(KEY_SIZE)
#: Letters of a text that is too short to be compared.
SHORTEST = 100
#: Letters of a passage where words are written without spaces, and elsewhere: some four words of either.
DENSE, SPACED = 8, 20
#: Hashes among which the lowest of all groups are looked for first: one time of a thousand, one is not there.
MANY = 10 * GROUPS

#: A tag; a quoted value may hold angle brackets.
_TAG = re.compile(r'<[^<>"]*+(?:"[^"]*+"[^<>"]*+)*+>')
_NO_LETTER = re.compile(r"[\W_]+")


def sketch(body: str) -> bytes:
    """Return the sketch of an article's body, KEYS times KEY_SIZE bytes and one byte for each other group.

    It depends on the letters and digits outside of figures and on nothing else. A group without a
    passage is zero. Empty for a text of less than 100 letters.
    """
    letters = _letters(body)
    if len(letters) < SHORTEST:
        return b""
    # Chinese, Japanese and Korean take three bytes a letter, European scripts and Arabic one or two.
    width = DENSE if len(letters.encode()) > 2 * len(letters) else SPACED
    lowest = _lowest(letters.encode("utf-16-le"), 2 * width)
    # A number modulo the greatest that fits, plus one, is never zero.
    firsts = (lowest[group] % (256**KEY_SIZE - 1) + 1 if group in lowest else 0 for group in range(KEYS))
    others = (lowest[group] % 255 + 1 if group in lowest else 0 for group in range(KEYS, GROUPS))
    return b"".join(number.to_bytes(KEY_SIZE, "big") for number in firsts) + bytes(others)


def likeness(one: bytes, other: bytes) -> float:
    """Return the estimated share of passages that two texts have in common, from 0 to 1, by their sketches."""
    mine, yours, rest, others = keys(one), keys(other), one[_OTHERS:], other[_OTHERS:]
    agreed = sum(map(eq, mine, yours)) + sum(map(eq, rest, others))
    # Where neither text has a passage, they agree in nothing.
    neither = 0
    if _NONE in mine or 0 in rest:
        neither = sum(map(_NONE.__eq__, map(max, mine, yours))) + sum(map((0).__eq__, map(max, rest, others)))
    return (agreed - neither) / (GROUPS - neither) if neither < GROUPS else 0.0


def keys(sketch: bytes) -> list[bytes]:
    """Return what a sketch is looked up by, for each of the first KEYS groups; zero for a group without a passage."""
    return [sketch[at : at + KEY_SIZE] for at in range(0, _OTHERS, KEY_SIZE)]


def _letters(body: str) -> str:
    """Return the letters and digits outside of figures, those that differ in width or case only made the same."""
    first, *others = body.split("<figure>")
    outside = "".join([first, *(other.partition("</figure>")[2] for other in others)])
    words = _NO_LETTER.sub("", unescape(_TAG.sub("", outside)))
    return normalize("NFKC", words).casefold()


def _lowest(data: bytes, width: int) -> dict[int, int]:
    """Return the lowest hash of each group that has a passage; passages are as many bytes, and begin at every second.

    The hash is CRC-32, which will be the same for ever, in every Python.
    """
    hashes = [crc32(data[at : at + width]) for at in range(0, len(data) - width + 1, 2)]
    low = (MANY << 32) // len(hashes)
    lowest = _by_group([hash for hash in hashes if hash < low])
    return lowest if len(lowest) == GROUPS else _by_group(hashes)


def _by_group(hashes: list[int]) -> dict[int, int]:
    """Return the lowest of hashes in each group, by group."""
    return {hash % GROUPS: hash // GROUPS for hash in sorted(hashes, reverse=True)}
