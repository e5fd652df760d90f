"""An article, the one item of the project, and what it means to refuse a page.

An article says what was published at one address. Every field is a fact read
from the page (or, where a page states only the day, from the listing that
announced it): nothing is guessed, and what a page does not say stays empty.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from scrapy.exceptions import DropItem

from newsarchive.capture import Capture

__all__ = ["Article", "Drift", "Image", "Refused", "Signed"]


class Refused(DropItem):
    """Says why a response does not become an article, or why an article is not published.

    It is what Scrapy raises to drop an item, so that spiders and pipelines refuse in one way.
    ``reason`` is a short name that is counted (``article/refused/<reason>``):
    lower-case words joined by hyphens, one of a small set. ``detail`` is for the
    reader of the log: which part of the page, and what was found there.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Drift(Refused):
    """Says that a page of a known layout lacks what that layout has, or holds what it has not.

    This is the alarm of the project: the publisher has changed something, and
    somebody has to look before such pages can be read again.
    """

    def __init__(self, detail: str) -> None:
        super().__init__("drift", detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A picture of an article, in the order in which the page shows them."""

    #: Absolute address of the largest sensible size the page names.
    url: str
    #: What the newsroom wrote under the picture, as plain text; empty if nothing.
    caption: str = ""
    #: Whose picture it is, where the page states it apart from the caption; else empty.
    credit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """How a post is signed, and its form, where that does not follow from the publisher."""

    #: Who signs.
    author: str
    #: What it is filed under.
    label: str
    #: With front matter or without.
    form: Literal["front", "bare"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """What a newsroom published at one address."""

    #: Name of the publisher's spider: ``cna``.
    publisher: str
    #: The publisher's own identifier: CNA's 12 digits, DW's number, RFI's ``content_id``.
    id: str
    #: Canonical address as a browser writes it (WHATWG URL, percent-encoded).
    url: str
    #: Address of the same article in another script, where the publisher has two of it; empty if the page names none.
    twin: str = ""
    #: Headline as plain text, without section or publisher; white space at both ends removed.
    title: str
    #: First publication, aware, in UTC. 00:00 where only the day is known.
    published: datetime
    #: Last change, aware, in UTC; None if the article is unchanged since, or the page does not say.
    modified: datetime | None = None
    #: Language of the text as a BCP 47 tag: ``zh-Hant-TW``, ``zh-Hans``, ``de``.
    language: str
    #: The publisher's section in the publisher's words: ``國際``; empty if the page names none.
    section: str = ""
    #: Persons named as authors, in the page's order; empty if only the publisher signs.
    authors: tuple[str, ...] = ()
    #: Keywords or topics in the page's order, each once; empty if there are none.
    keywords: tuple[str, ...] = ()
    #: Summary in the publisher's words (teaser, lead, description) as plain text; may be empty.
    summary: str = ""
    #: All pictures of the article, lead picture first.
    images: tuple[Image, ...] = ()
    #: What the newsroom wrote, in order, as an HTML fragment on one line.
    body: str
    #: Layout of its page, as the spider calls it; empty if it was read from no page, or the spider knows just one.
    layout: str = field(default="", compare=False, repr=False)
    #: Whether it is only what a feed says of it, as its page could not be had.
    partial: bool = False
    #: The capture it was read from; None outside of a run. Says nothing of the article itself.
    capture: Capture | None = field(default=None, compare=False, repr=False)
    #: How its post is signed, if not by its publisher's label alone, and in which form it is; None if as usual.
    signed: Signed | None = field(default=None, compare=False, repr=False)
    #: Its post to the byte, where that is not made of the fields: an imported one's; empty otherwise.
    content: bytes = field(default=b"", compare=False, repr=False)
    #: How the name of its post ends: ``.md``, or ``.html`` where that was the name of an imported one.
    suffix: str = field(default=".md", compare=False, repr=False)
    #: Whether it went through READ_STEPS already, in the process that read it, or needs none.
    ready: bool = field(default=False, compare=False, repr=False)
