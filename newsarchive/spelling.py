"""How text is spelled where it means something else: in YAML, in Markdown, and where Liquid reads.

Text that means something in one of them is escaped, and only such text:
ordinary headlines stay as they are.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from html import unescape
from html.entities import html5
from typing import Any
from unicodedata import category

import yaml

__all__ = [
    "NOT_PLAIN",
    "WHITE_SPACE",
    "escape_braces",
    "link_target",
    "link_text",
    "quoted",
    "scalar",
    "string",
    "strings",
    "unescaped",
    "well_formed",
    "yaml_loader",
]

#: What JavaScript's ``trim`` takes off: the link line was defined by it.
WHITE_SPACE = (
    "\t\n\v\f\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)


def escape_braces(html: str) -> str:
    """Return HTML that means the same, in text and attribute values, and nothing to Liquid."""
    return html.replace("{", "&#123;").replace("}", "&#125;")


def well_formed(text: str) -> str:
    """Return text that can be encoded: surrogates are joined to pairs, or become U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


#: What YAML readers refuse or fold, and what means something between double quotes. A separator of lines is folded
#: with the blanks around it, and ends the document before a marker; else it stays, as a byte order mark does.
UNQUOTABLE = re.compile(
    r"""["\\\x00-\x1f\x7f-\x9f\ufffe\uffff]
    |(?<=[ ])[\u2028\u2029]|[\u2028\u2029](?=[ ]|(?:---|\.\.\.)[ \u2028\u2029])""",
    re.VERBOSE,
)


def quoted(text: str) -> str:
    """Return text as a double-quoted YAML scalar on one line."""
    return f'"{UNQUOTABLE.sub(_yaml_escape, text)}"'


def _yaml_escape(match: re.Match[str]) -> str:
    """Return the YAML escape of one character."""
    char = match[0]
    if char in '"\\':
        return "\\" + char
    return f"\\x{ord(char):02x}" if char < "\u0100" else f"\\u{ord(char):04x}"


#: What cannot be a plain YAML scalar, in a block and between brackets.
NOT_PLAIN = re.compile(
    r"""^$|^[ ,\[\]{}#&*!|>'"%@`]|^[-?:](?:[ ]|$)|:(?:[ ]|$)|[ ]\#|[ ]$
    |[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]""",
    re.VERBOSE,
)
NOT_PLAIN_IN_FLOW = re.compile(r"^:|[,?\[\]{}]")

#: What PyYAML or Ruby's Psych reads as something else than a string.
OTHER_TYPE = re.compile(
    r"""~|=|<<|null|yes|no|true|false|on|off|[-+]?\.(?:inf|nan)|:.+
    |[-+]?(?=[\d.,_]*\d)[\d,_]*(?:\.[\d_]*)?(?:e[-+]?\d+)?
    |[-+]?0[xob][\da-f_,]+
    |[-+]?\d[\d_,]*(?::[0-5]?\d)+(?:\.[\d_]*)?
    |\d{4}-\d\d?-\d\d?(?:(?:t|\s+)[\d:.]+\s*(?:z|[-+][\d:]+)?)?""",
    re.VERBOSE | re.IGNORECASE,
)


@lru_cache(maxsize=256)
def scalar(text: str, flow: bool = False) -> str:
    """Return text as a YAML scalar: plain if every reader takes it for the same string."""
    doubtful = NOT_PLAIN.search(text) or OTHER_TYPE.fullmatch(text) or (flow and NOT_PLAIN_IN_FLOW.search(text))
    return quoted(text) if doubtful else text


#: Without any of these a text is the text of a link as it stands.
MARKUP = re.compile(r"[\x00-\x1f\x7f-\x9f\[\]\\{`<&*_]")
#: A pair of brackets in which no Markdown reader sees a link, a footnote or a definition.
HARMLESS_BRACKETS = re.compile(r"(?<![!\]])\[(?!\^)[^\[\]]*\](?![(\[:{])")
#: Character references; those with a name are known only with their semicolon.
REFERENCE = re.compile(r"&(?:#\d+;|#[xX][0-9a-fA-F]+;|([A-Za-z][A-Za-z0-9]*;))")
#: Where a backslash does not help: with references in kramdown, with Liquid, within code.
ESCAPES = {"&": "&amp;", "{": "&#123;", "`": "&#96;"}


def link_text(title: str) -> str:
    """Return Markdown for the text of a link that shows the title, on one line.

    HTML has no place for control characters: they go, or become spaces where they were white space.
    """
    if not MARKUP.search(title):
        return title.strip(WHITE_SPACE)
    text = re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda match: " " if match[0].isspace() else "", title)
    text = text.strip(WHITE_SPACE)
    active = _all(r"[\[\]\\]|\{(?=[{%:])", text)
    for pair in HARMLESS_BRACKETS.finditer(text):
        active -= {pair.start(), pair.end() - 1}
    # Code needs two backticks, a tag or an autolink its ">".
    active |= _all("`", text) if text.count("`") > 1 else set()
    active |= _all("<(?=[!-~])", text[: text.rfind(">") + 1])
    active |= _references(text) | _emphasis(text, "*") | _emphasis(text, "_")
    # To kramdown "]:" makes the line a definition, escaped or not.
    return _escaped(text, active).replace("\\]:", "&#93;:")


def _all(pattern: str, text: str) -> set[int]:
    """Return where a pattern occurs."""
    return {match.start() for match in re.finditer(pattern, text)}


def _references(text: str) -> set[int]:
    """Return where character references begin."""
    return {match.start() for match in REFERENCE.finditer(text) if not match[1] or match[1] in html5}


def _emphasis(text: str, mark: str) -> set[int]:
    """Return where a mark stands if one of its runs can open emphasis that a later one can close.

    CommonMark's rule of flanking runs, where only letters and digits count as
    being neither white space nor punctuation: its versions differ about symbols.
    """
    runs = [run.span() for run in re.finditer(re.escape(mark) + "+", text)]
    opens, closes = [], []
    linked = f"[{text}]"
    for start, end in runs:
        before, after = linked[start], linked[end + 1]
        if mark == "_" and before.isalnum() and after.isalnum():
            continue
        if category(after) != "Zs" and not (category(after)[0] == "P" and before.isalnum()):
            opens.append(start)
        if category(before) != "Zs" and not (category(before)[0] == "P" and after.isalnum()):
            closes.append(start)
    if not (opens and closes and opens[0] < closes[-1]):
        return set()
    return {at for start, end in runs for at in range(start, end)}


def _escaped(text: str, active: set[int]) -> str:
    """Return text in which the characters at some positions mean nothing to Markdown and Liquid."""
    return "".join(ESCAPES.get(char, "\\" + char) if at in active else char for at, char in enumerate(text))


def unescaped(text: str, escape: Callable[[str], str]) -> str:
    """Return what was escaped to the text, or the text itself if it was not escaped by us."""
    if "\\" not in text and "&" not in text:
        return text
    plain = re.sub(r"\\([!-/:-@\[-`{-~])|&(?:amp|#\d+);", lambda match: match[1] or unescape(match[0]), text)
    return plain if escape(plain) == text else text


def link_target(url: str) -> str:
    """Return Markdown for the destination of a link that leads to the address."""
    if not re.search(r"[\\`&()]", url):
        return url
    active = _all(r"[\\`]", url) | _references(url)
    if "](" in url or not _balanced(url):
        active |= _all(r"[()]", url)
    return _escaped(url, active)


def _balanced(text: str, deepest: int = 30) -> bool:
    """Return whether parentheses match, no deeper than Markdown readers follow."""
    depth = 0
    for parenthesis in re.findall(r"[()]", text):
        depth += 1 if parenthesis == "(" else -1
        if not 0 <= depth <= deepest:
            return False
    return depth == 0


def yaml_loader(text: str) -> Any:
    """Return what reads YAML's scalars as strings and constructs nothing: in C, as Ruby's Psych, where that is safe.

    Nested a hundred thousand deep, YAML ends the process there; in Python it is a RecursionError.
    """
    return getattr(yaml, "CBaseLoader", yaml.BaseLoader) if len(text) < 10_000 else yaml.BaseLoader


def _yaml(spelling: str) -> Any:
    """Return what YAML reads, every scalar as a string; None if it reads nothing."""
    try:
        return yaml.load(spelling, yaml_loader(spelling))
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        return None


def string(spelling: str) -> str:
    """Return the string a YAML scalar stands for, also one left plain that YAML reads otherwise."""
    if not spelling.startswith(('"', "'")):
        return spelling
    if (
        spelling[0] == spelling[-1] == '"'
        and len(spelling) > 1
        and not UNQUOTABLE.search(spelling, 1, len(spelling) - 1)
    ):
        return spelling[1:-1]
    value = _yaml(spelling)
    return value if isinstance(value, str) else spelling


@lru_cache(maxsize=256)
def strings(spelling: str) -> tuple[str, ...]:
    """Return the strings of a YAML flow sequence, or the one string that YAML does not read as such."""
    values = _yaml(f"[ {spelling} ]")
    is_list = isinstance(values, list) and all(isinstance(value, str) for value in values)
    return tuple(values) if is_list else (spelling,)
