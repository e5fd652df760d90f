"""A file of an existing archive, and what becomes of it."""

from dataclasses import dataclass
from datetime import datetime

from newsarchive.article import Article, Refused

__all__ = ["Candidate", "Taken"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may be a post."""

    #: Its path in the archive that is taken over, as it stands there.
    name: str
    content: bytes = b""
    #: Why it cannot be read, if it cannot.
    refusal: Refused | None = None
    #: Bytes that were read for it, or passed over before it, of all that ``size`` counts; packed ones of a packed file.
    size: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """A post that was read."""

    name: str
    content: bytes
    #: ``front``, ``bare`` or ``feed``.
    form: str
    #: Address as the post has it, as a browser writes it.
    url: str
    #: The time that the post gives, or else the day in its file's name.
    captured: datetime
    article: Article
