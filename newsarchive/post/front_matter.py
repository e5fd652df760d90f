"""Front matter: the YAML at the head of a Jekyll file, as strings with the lines they stand on.

Nothing is constructed, whatever tags stand there, and nothing is expanded: only
strings and lists of strings are looked at, and what lies deeper is left alone.
"""

import re
from base64 import b64decode
from typing import NamedTuple

import yaml

from newsarchive.post.forms import Unreadable
from newsarchive.spelling import NOT_PLAIN, yaml_loader

__all__ = ["CLOSED", "OPENED", "Field", "fields", "one_by_one"]

#: The lines around front matter, as Jekyll knows them.
OPENED = re.compile(r"---[ \t]*\n")
CLOSED = re.compile(r"^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.MULTILINE)

#: A field on one line.
ENTRY = re.compile(r"(\w[\w-]*):(?: +(.*))?", re.ASCII)
#: What YAML takes for nothing where it stands plain.
NOTHING = ("", "~", "null", "Null", "NULL")
BINARY = ("!binary", "tag:yaml.org,2002:binary")


class Field(NamedTuple):
    """What stands under a name."""

    #: Number of the line of the name, counted from 1.
    line: int
    #: The string, or the strings of a list; None for anything else.
    value: str | tuple[str, ...] | None


def fields(text: str, line: int) -> dict[str, Field]:
    """Return the fields of front matter that begins on a line; raise Unreadable ``yaml`` or ``no-post``."""
    spelled = one_by_one(text, line)
    # YAML says the same of plain scalars, at twenty times the cost.
    if spelled and not any(NOT_PLAIN.search(value) or value in NOTHING for _, value in spelled.values()):
        return {name: Field(at, value) for name, (at, value) in spelled.items()}
    try:
        return _parsed(text, line)
    except yaml.MarkedYAMLError as error:
        # A quoted string that does not end goes wrong far below.
        scanned = (error.context or "").startswith("while scanning")
        mark = (error.context_mark if scanned else None) or error.problem_mark
        at = mark.line if mark else 0
        raise Unreadable(line + at, f"front matter: {error.problem or error.context}", "yaml") from error
    except yaml.reader.ReaderError as error:
        at = text.encode()[: error.position].count(b"\n")
        raise Unreadable(line + at, f"front matter: {error.reason}", "yaml") from error
    except RecursionError as error:
        raise Unreadable(line, "front matter: nested too deep", "yaml") from error
    except UnicodeEncodeError as error:
        at = text.count("\n", 0, error.start)
        raise Unreadable(line + at, "front matter: a lone surrogate", "yaml") from error


def one_by_one(text: str, line: int) -> dict[str, tuple[int, str]] | None:
    """Return line and spelling of each field, None if a field takes several lines or a name is there twice."""
    found: dict[str, tuple[int, str]] = {}
    for number, each in enumerate(text.removesuffix("\n").split("\n"), line):
        entry = ENTRY.fullmatch(each)
        if not entry or entry[1] in found:
            return None
        found[entry[1]] = number, entry[2] or ""
    return found


def _parsed(text: str, line: int) -> dict[str, Field]:
    """Return the fields as YAML reads them."""
    root = yaml.compose(text, yaml_loader(text))
    if not isinstance(root, yaml.MappingNode):
        raise Unreadable(line, "front matter without fields", "no-post")
    found: dict[str, Field] = {}
    for key, value in root.value:
        at = line + key.start_mark.line
        if not isinstance(key, yaml.ScalarNode) or key.value in found:
            raise Unreadable(at, "front matter: no name, or one that is there twice", "yaml")
        try:
            found[key.value] = Field(at, _meaning(value))
        except ValueError as error:
            raise Unreadable(at, f"{key.value}: {error}", "yaml") from error
    return found


def _meaning(node: yaml.Node) -> str | tuple[str, ...] | None:
    """Return the string or strings of a node; raise ValueError for binary that is not text."""
    if isinstance(node, yaml.SequenceNode):
        flat = all(isinstance(item, yaml.ScalarNode) for item in node.value)
        return tuple(map(_string, node.value)) if flat else None
    return _string(node) if isinstance(node, yaml.ScalarNode) else None


def _string(node: yaml.ScalarNode) -> str:
    """Return the string of a scalar; Psych writes one that it does not take for text in base64."""
    if node.tag in BINARY:
        return b64decode(node.value).decode()
    return "" if not node.style and node.value in NOTHING else str(node.value)
