"""Text from outside, as a log or a terminal may show it."""

import sys
import unicodedata

import pytest

from newsarchive.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("河岸新步道　今天開放 – „Überschrift“ 👩‍👩‍👧", "河岸新步道　今天開放 – „Überschrift“ 👩‍👩‍👧"),
        ("\x1b[2J\x1b]0;owned\x07", r"\x1b[2J\x1b]0;owned\x07"),
        ("one\r\ntwo\ttabs\x00", r"one\r\ntwo\ttabs\x00"),
        ("\x9b31m\x85next\x7f", r"\x9b31m\x85next\x7f"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("photo\u202egpj.exe\u2066\u200f\u061c", r"photo\u202egpj.exe\u2066\u200f\u061c"),
        ("\ufeffmark", r"\ufeffmark"),
        ("half \ud83d of a \udc80 byte", r"half \ud83d of a \udc80 byte"),
        (r"C:\new", r"C:\new"),
        (ValueError("x\ny"), r"x\ny"),
    ],
)
def test_what_is_shown(text: object, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_no_character_of_unicode_ends_a_line_or_drives_a_terminal() -> None:
    shown = printable("".join(map(chr, range(sys.maxunicode + 1))))
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert len(shown.splitlines()) == 1
    turning = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    assert not {unicodedata.bidirectional(char) for char in shown} & turning
    assert shown.encode("utf-8")
