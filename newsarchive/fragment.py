"""HTML of our own making: paragraphs, figures and links, on one line.

What is written is well-formed whatever is read: inline elements never cross
the end of a paragraph, and empty ones leave no trace.
"""

import re
from dataclasses import dataclass, field
from html import escape, unescape
from urllib.parse import urljoin

from newsarchive.article import Image
from newsarchive.extract import CONTROLS, LAYOUT_SPACE, SURROGATES

__all__ = ["INLINE", "Writer", "figure", "lead", "link", "plain", "web_address"]

INLINE = frozenset(
    "a abbr b bdi bdo cite code del dfn em i ins kbd mark q rp rt ruby s samp small strong sub sup u var".split()
)
ON_THE_WEB = ("https://", "http://")
_TAG = re.compile(r"<[^<>]*>")


def web_address(address: str, base: str) -> str:
    """Return the absolute address a link leads to; empty if it leads nowhere on the web or to a mailbox."""
    # Browsers take no notice of line breaks and tabs in an address.
    address = CONTROLS.sub("", re.sub(r"[\t\n\r]", "", address)).strip()
    if not address or address.startswith(ON_THE_WEB):
        return address
    try:
        absolute = urljoin(base, address)
    except ValueError:
        return ""
    return absolute if absolute.startswith((*ON_THE_WEB, "mailto:")) else ""


def plain(html: str) -> str:
    """Return the words of a fragment: no mark-up, and characters in place of references."""
    return unescape(_TAG.sub("", html))


def link(address: str) -> str:
    """Return a paragraph that leads to an embedded thing."""
    return f'<p><a href="{escape(address)}">{escape(address)}</a></p>'


def figure(image: Image) -> str:
    """Return a picture with its caption and credit."""
    credit = f"<small>{escape(image.credit, quote=False)}</small>" if image.credit else ""
    told = " ".join(filter(None, (escape(image.caption, quote=False), credit)))
    return f'<figure><img src="{escape(image.url)}">{f"<figcaption>{told}</figcaption>" if told else ""}</figure>'


def lead(words: str) -> str:
    """Return the teaser or lead as the paragraph that opens a body; empty if there is none."""
    return f"<p><strong>{escape(words, quote=False)}</strong></p>" if words else ""


@dataclass
class Writer:
    """Collects blocks; what is written inline becomes a paragraph when the next block begins."""

    blocks: list[str] = field(default_factory=list)
    line: list[str] = field(default_factory=list)
    opened: list[tuple[str, str]] = field(default_factory=list)
    nesting: list[str] = field(default_factory=list)
    #: The element around the next paragraph; empty inside a cell, whose own text needs none.
    paragraph: str = "p"
    has_text: bool = False
    weight: int = 0

    def words(self, value: str) -> None:
        """Write text, and count its characters that are not white space."""
        if value.isprintable():
            # The space is the only white space that is printable.
            weight = len(value) - value.count(" ")
            self.line.append(escape(value, quote=False))
        else:
            preformatted = "pre" in self.nesting
            value = value.replace("\r\n", "\n") if preformatted else LAYOUT_SPACE.sub(" ", value)
            value = SURROGATES.sub("\ufffd", CONTROLS.sub("", value))
            weight = len("".join(value.split()))
            self.line.append(escape(value, quote=False).replace("\n", "<br>"))
        self.weight += weight
        self.has_text = self.has_text or weight > 0

    def line_break(self) -> None:
        """Break the line; the second of two breaks in a row ends the paragraph."""
        line = self.line
        while line and line[-1].isspace() and "<br>" in line:
            line.pop()
        if line and line[-1] == "<br>" and self.paragraph == "p":
            line.pop()
            self.flush()
        else:
            self.line.append("<br>")

    def open(self, tag: str, attributes: str = "") -> None:
        """Begin an inline element."""
        self.opened.append((tag, attributes))
        self.line.append(f"<{tag}{attributes}>")

    def close(self) -> None:
        """End the inline element that began last."""
        tag, _ = self.opened.pop()
        self.line.append(f"</{tag}>")

    def flush(self) -> None:
        """End the paragraph, closing and reopening the inline elements around its end."""
        if self.has_text:
            closing = "".join(f"</{tag}>" for tag, _ in reversed(self.opened))
            content = _trimmed("".join(self.line) + closing)
            self.blocks.append(f"<{self.paragraph}>{content}</{self.paragraph}>" if self.paragraph else content)
        self.line = [f"<{tag}{attributes}>" for tag, attributes in self.opened]
        self.has_text = False

    def block(self, html: str) -> None:
        """Write a block, such as a figure, between paragraphs."""
        self.flush()
        self.blocks.append(html)


_EMPTY_INLINE = re.compile(rf"<({'|'.join(sorted(INLINE))})(?: [^<>]*)?></\1>")


def _trimmed(line: str) -> str:
    """Return a paragraph's content without empty inline elements and without white space or breaks at its ends."""
    if "<" not in line:
        return line.strip(" ")
    while True:
        trimmed = (_EMPTY_INLINE.sub("", line) if "></" in line else line).strip(" ")
        trimmed = trimmed.removeprefix("<br>").removesuffix("<br>").strip(" ")
        if trimmed == line:
            return line
        line = trimmed
