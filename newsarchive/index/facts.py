"""What the index is told and what it tells: the facts of captures, articles, addresses and runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from newsarchive.capture import Capture
from newsarchive.coverage import Span

__all__ = [
    "AddressRow",
    "ArticleRow",
    "Entry",
    "Holdings",
    "IndexUnusable",
    "Place",
    "PostTaken",
    "ReadRow",
    "Reading",
    "RelatedRow",
    "RevisionRow",
    "RunRow",
    "TwinTaken",
]


#: What to do where there is none.
NO_INDEX = "there is no index yet; run scrapy archive, or scrapy verify --repair if there are captures"


class IndexUnusable(ValueError):
    """Says which file cannot be used as an index, why, and what to do."""

    def __init__(self, file: Path, problem: str, remedy: str = "") -> None:
        remedy = remedy or "move it away and run `scrapy verify --repair`, which rebuilds it from the captures"
        super().__init__(f"{file} {problem}: {remedy}")


class PostTaken(ValueError):
    """Says that two articles would have one post; nothing of the second is recorded."""

    #: What the second is refused for.
    reason = "post-taken"


class TwinTaken(PostTaken):
    """Says that an article is in the index in another script; nothing of it in this one is recorded."""

    reason = "twin"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a capture says of an article."""

    #: Name of the publisher's spider.
    publisher: str
    #: The publisher's own identifier.
    id: str
    #: Canonical address.
    url: str
    #: Headline.
    title: str
    #: First publication, aware.
    published: datetime
    #: Path of a post below the archive folder, as this reading would name it.
    post: str
    #: What tells revisions apart: equal for two readings that differ only in what is no revision.
    fingerprint: str
    #: What tells which articles are alike (``newsarchive.likeness``); empty for a text that is too short to say.
    sketch: bytes = b""
    #: Address of the same article in another script; empty if the page names none.
    twin: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be recorded of one capture."""

    capture: Capture
    #: Whose capture it is.
    publisher: str
    #: How it ended: ``article``, ``redirect``, ``status-404``, ``listing``, ``robots``, a reason to refuse; or nothing.
    #: ``partial`` for what a feed says of an article: it gives way as soon as a page of the article can be read, and
    #: is no answer of the address.
    ending: str
    #: Absolute address to which a redirect leads; else empty.
    target: str = ""
    #: What it says of an article, if it is one's.
    reading: Reading | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a capture stands among those of its article."""

    #: A new article; new revisions, at the end or between older ones; neither.
    ending: Literal["stored", "revised", "unchanged"]
    #: Path of the article's post below the archive folder; empty for a capture without reading.
    post: str
    #: Whether the post is to be made from this capture: it is the first one of the newest revision.
    shown: bool
    #: Paths of posts made of what gives way to this capture, or under a former name, which are no article's any more.
    freed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ArticleRow:
    """What the index holds of an article."""

    publisher: str
    id: str
    #: Canonical address, as its newest revision says it; so are title and published.
    url: str
    title: str
    published: datetime
    #: Path at which the post belongs.
    post: str
    #: The capture from which the post is to be made.
    capture: Capture
    #: SHA-256 of the post on disk as it was told; empty if none is known to lie there.
    sha256: str
    #: Path at which the post on disk lies: ``post``, or an older name; empty if none is known to lie there.
    lies: str
    #: Whether the post on disk is not known to be made of ``capture``, as it reads now, at ``post``.
    stale: bool
    #: Whether no capture reads as the article any more: its post stays as it is.
    withdrawn: bool
    #: Whether it is only what a feed says of it: no page of it could be read yet.
    partial: bool


@dataclass(frozen=True, slots=True)
class ReadRow:
    """When an article was read."""

    #: Where it was read last.
    url: str
    first: datetime
    last: datetime
    #: When it came out: the time on its page, or when a listing announced it, whichever is later.
    out: datetime


@dataclass(frozen=True, slots=True)
class RevisionRow:
    """One state of an article's text."""

    #: The first capture that shows it.
    capture: Capture
    url: str
    title: str
    published: datetime
    fingerprint: str


@dataclass(frozen=True, slots=True)
class RelatedRow:
    """An article that has much of its text in common with another one."""

    publisher: str
    id: str
    #: Share of the passages of both that both have, estimated: 1 for the same text.
    similarity: float


@dataclass(frozen=True, slots=True)
class AddressRow:
    """What the index holds of an address."""

    url: str
    #: How its newest capture ended, and when it was made; empty and None if the address was only named as canonical.
    ending: str
    captured: datetime | None
    #: Where its newest capture leads if that is a redirect; else empty.
    target: str
    #: The article that it belongs to, redirects followed; both empty if none is known.
    publisher: str
    id: str


@dataclass(frozen=True, slots=True)
class Holdings:
    """How much is held of a publisher."""

    articles: int
    #: Those of which only a feed could be read.
    partial: int
    #: States of their texts: at least one an article.
    revisions: int
    #: Responses of any kind.
    captures: int
    #: When the oldest and the newest article were published; None if there is none.
    oldest: datetime | None
    newest: datetime | None


@dataclass(frozen=True, slots=True)
class RunRow:
    """One execution of a spider."""

    #: Name of the run: ``20261120T050125Z-1f2e3d4c``.
    run: str
    publisher: str
    started: datetime
    #: None if it has not ended, or was killed.
    ended: datetime | None = None
    #: How it ended; empty if it has not.
    status: str = ""
    counts: Mapping[str, int] | None = None
    #: Which times it covered, each with the address of the listing or the name of the series that did.
    covered: tuple[tuple[str, Span], ...] = ()
