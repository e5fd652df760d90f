"""A capture: one response as served, kept in a WARC file, and what it says by itself."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urljoin

__all__ = ["NO_RESPONSES", "Capture", "verdict"]


@dataclass(frozen=True, slots=True)
class Capture:
    """Where a response is kept, and what was asked when."""

    #: Path of the WARC file below the archive folder: ``captures/cna/20261120T050125Z-1f2e3d4c.warc.gz``.
    #: While the file is being written, ``.open`` is appended to its name on disk, never here.
    file: str
    #: Bytes before the record in the file.
    offset: int
    #: Address that was asked for, exactly as it was asked.
    url: str
    #: When the response arrived, aware, in UTC, whole milliseconds.
    captured: datetime
    #: HTTP status.
    status: int
    #: Digest of the body as served, as the WARC file states it: ``sha1:`` and base32.
    digest: str
    #: What it was asked for: ``article``, ``listing``, ``robots`` or nothing in particular. Three kinds are no
    #: responses: ``entry`` is what a feed among the captures says of one article, ``item`` an article that such a feed
    #: has in full, ``post`` a post of another archive.
    kind: str = ""
    #: When a listing says that the article was published, aware, in UTC; None if none says it.
    announced: datetime | None = None


#: Kinds of captures that are read as articles, and those among them that are no responses, with their WARC types.
NO_RESPONSES = {"entry": "conversion", "item": "conversion", "post": "resource"}
TO_BE_READ = ("article", *NO_RESPONSES)
#: Statuses with which a server names another address.
REDIRECTS = (301, 302, 303, 307, 308)


def verdict(capture: Capture, location: str) -> tuple[str, str] | None:
    """Return how a capture ends by its status and purpose alone, and where it redirects to.

    None means that it has to be read: it may be an article. The same capture always ends alike,
    during a crawl, in a replay, and when the index is made again.
    """
    if capture.status in REDIRECTS and location:
        try:
            return "redirect", urljoin(capture.url, location)
        except ValueError:
            return "redirect-malformed", ""
    if capture.status >= 300:
        return f"status-{capture.status}", ""
    return None if capture.kind in TO_BE_READ else (capture.kind, "")
