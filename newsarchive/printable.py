"""Text from outside, as a line of a log or of a terminal may hold it.

A title, an address or a header can hold what ends a line, moves a cursor, or turns
the order of what follows: whoever reads a log must see it, and not what it does.
"""

import re

__all__ = ["UNSAFE", "printable"]

#: Control characters, ends of lines, what turns the direction of text, byte order marks, annotations within text,
#: halves of characters, and what is no character.
UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff"
    r"\ud800-\udfff]"
)


def printable(text: object) -> str:
    r"""Return text on one line that a terminal only shows: what it would obey is escaped, as ``\x1b`` or ``\u202e``.

    Text that is printable already is the same.
    """
    return UNSAFE.sub(_escaped, str(text))


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
