"""Words of our own, for pages that may be published.

Every letter of a publisher's text is replaced by a letter of ours, so lengths
stay. What is chosen follows from a hash of the text so far: the same words give
the same words in any file, and a text cut short gives the same text cut short.
Many texts share a replacement, so nothing leads back from it.
"""

import functools
import hashlib
import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

__all__ = ["own_digits", "own_han", "own_token", "own_word"]

T = TypeVar("T")

#: Chinese is made of pairs, what a thing is like and the thing: 青山, 旧桥, 晚风, 雨声.
#: All of weather, gardens, books and bridges.
LIKE = (
    "大小新旧早晚高低长短深浅青白红黄绿蓝金银香甜清静冷暖远近东西"
    "南北前后内外春夏秋冬山水海河湖林花草竹木石雪雨风云月星夜晨晴"
)
THING = (
    "山水河湖海桥路园林树花草叶果枝根木石门窗灯书页船帆塔墙屋亭廊村"
    "街巷市田井池岸滩岛云雨雪风雾霜月星光影声香色味茶杯壶琴笛伞纸笔椅"
)
PARTICLES = "的在和与有又也从到了"
TRADITIONAL = str.maketrans(
    "旧长浅红黄绿蓝银静远东后内风云桥园树叶门窗灯书页墙乡岛雾声壶伞纸笔与从滩",
    "舊長淺紅黃綠藍銀靜遠東後內風雲橋園樹葉門窗燈書頁牆鄉島霧聲壺傘紙筆與從灘",
)


class Vocabulary(NamedTuple):
    """Short words whole; longer ones as a stem and an ending."""

    words: str
    stems: str
    endings: str

    @functools.cache  # noqa: B019 - there are three, for ever
    def of(self, length: int) -> list[str]:
        """Return all words of one length."""
        made = [stem + ending for stem in self.stems.split() for ending in self.endings.split()]
        return sorted({word for word in [*self.words.split(), *made] if len(word) == length})


LATIN = Vocabulary(
    "et in ad ex de ut ab si ac ob ne at se tu iam sub per pro sed via lux ros nix sol mos vox aer hic est non qui "
    "pons rosa aqua ager luna mare dies urbs ripa unda saxa nunc inde vere ante sine imus itur erat agri "
    "rura rete fons mons vena humi heri cras diem mane sero nive crus uvae apes aves ovum olea malo vino "
    "pane igne nave vela remo cura laus vita",
    "hort pont arb flor vent nub sol lun riv camp herb silv libr chart lect port turr plat pluv font mont coll aest "
    "autumn tempest fenestr lucern semit pomar bibliothec aquaeduct hortul nebul arbor flumin lapid vesper matutin "
    "ambul custod serot hibern virid tranquill lector platan tabul murmur margin viator scriptor caement frument",
    "a us um is ae am os em it ior ium orum arum ibus ente ando itate antur issima oribus ationem iditate",
)
CYRILLIC = Vocabulary(
    "и на по из до за не от со но мы вот при над под для сад лес мир дом пруд мост снег день река роща",
    "сад мост дожд ветр книг лист трав цвет рек озер облак берег окн тропинк фонар библиотек погод яблон утр вечер "
    "осен весн зим лет полян тишин страниц читател дорожк пристан колокол деревян камен листв теплиц",
    "а у ом ой ам ах ами ный ого ому ское ским овая ового ность ением енными ностями ованием",
)
ARABIC = Vocabulary(
    "في من عن أو ثم قد لم على إلى هذا نهر مطر جسر ورد باب ظل شمس قمر بحر ريح غيم ماء زهر ليل حقل كتب",
    "حديقة مكتبة شجرة نافذة قنطرة زهور أمطار غيوم رياح أنهار كتاب شارع جسور ضفاف مصباح قارئ بستان ربيع خريف شتاء ورق "
    "ظلال نسيم سحاب طريق صباح مساء حقول ثلج نهر مطر جسر ورد ماء قمر",
    "ي ها هم نا ات ية كما يون هما تها اتها وهما اتهما",
)
#: Words that stay: abbreviations (DW, CNA, COVID), DW's NaN/NaN/NaN for a date, single letters.
PLAIN = re.compile(r"[A-Z]{1,5}|NaN|.?")


def _hash(*key: str) -> int:
    text = "\0".join(key).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())


def _pick(options: Sequence[T], *key: str) -> T:
    return options[_hash(*key) % len(options)]


def own_han(run: str, *, traditional: bool) -> str:
    """Return Chinese of our own for a run of Chinese characters.

    A character depends on those up to its place only, and on the last sixteen of them at most.
    """
    out = ""
    while (at := len(out)) < len(run):
        seen = run[max(0, at - 15) : at + 1]
        if at and _hash("particle", seen) % 6 == 0:
            out += _pick(PARTICLES, seen)
        else:
            out += _pick(LIKE, seen) + _pick(THING, run[max(0, at - 14) : at + 2])
    return out[: len(run)].translate(TRADITIONAL if traditional else {})


@functools.lru_cache(maxsize=1 << 16)
def own_word(word: str) -> str:
    """Return a word of our own, of the script, length and capitals of a word."""
    if PLAIN.fullmatch(word):
        return word
    key = unicodedata.normalize("NFC", word).casefold()
    if "a" <= key[0] <= "ɏ" or "Ḁ" <= key[0] <= "ỿ":
        own = _accented(_words(LATIN, len(word), key), key)
    elif "Ѐ" <= key[0] <= "ӿ":
        own = _words(CYRILLIC, len(word), key)
    elif "ء" <= key[0] <= "ۿ":
        own = _words(ARABIC, len(word), key)
    else:
        return "".join(_letter(word, at) for at in range(len(word)))
    if word.isupper():
        return own.upper() if len(own.upper()) == len(own) else own
    return own[0].upper() + own[1:] if word[0].isupper() else own


def _words(vocabulary: Vocabulary, length: int, key: str) -> str:
    """Return one word, or for lengths beyond the vocabulary a compound."""
    own = ""
    while not (pool := vocabulary.of(length - len(own))):
        own += _pick(vocabulary.of(min(9, length - len(own) - 2)), key[:32], str(len(own)))
    return own + _pick(pool, key, str(len(own)))


def _accented(own: str, word: str) -> str:
    """Return a Latin word with the first accented letter of another, so that a page keeps its alphabet."""
    for letter in word:
        if letter > "\x7f" and letter.isalpha():
            base = unicodedata.normalize("NFD", letter)[0]
            at = own.find(base) if base in own else next((i for i, c in enumerate(own) if c in "aeiou"), 0)
            return own[:at] + letter + own[at + 1 :]
    return own


def _letter(word: str, at: int) -> str:
    """Return a letter of the same block and kind, for scripts that only appear in menus."""
    kind = unicodedata.category(word[at])
    block = ord(word[at]) & ~0x1F
    near = [chr(code) for code in range(block, block + 32) if unicodedata.category(chr(code)) == kind]
    return _pick(near, word[max(0, at - 15) : at + 1]) if kind.startswith("L") else word[at]


def own_digits(run: str) -> str:
    """Return another number of the same length; two numbers never become one.

    Dates (20230823) stay; of a number that starts with a date only what follows
    changes, and there the first digit stays: CNA's series 0xxx and 5xxx.
    """
    if re.match(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])", run):
        if len(run) < 11:
            return run
        fixed, rest = run[:9], run[9:]
    else:
        fixed, rest = run[0], run[1:]
    if not rest:
        return run
    # Multiplying by a number prime to 10 permutes; the hash moves the permutation with the fixed part.
    size = 10 ** len(rest)
    return fixed + str((int(rest) * 7919 + _hash(fixed, str(size))) % size).zfill(len(rest))


def own_token(token: str) -> str:
    """Return a token of the same shape: digits for digits, letters for letters, hexadecimal stays so."""
    hexadecimal = re.fullmatch(r"[0-9a-f-]{8,}", token)
    alphabets = {"1": "0123456789", "a": "abcdef" if hexadecimal else "abcdefghijklmnopqrstuvwxyz"}
    alphabets["A"] = alphabets["a"].upper()
    kinds = ["1" if c.isdigit() else "A" if c.isupper() else "a" if c.isalpha() else "" for c in token]
    return "".join(
        _pick(alphabets[kind], token, str(at)) if kind and token[at].isascii() else token[at]
        for at, kind in enumerate(kinds)
    )
