"""The Wayback Machine of the Internet Archive, as a source for what a publisher has cut down or taken away.

Its CDX server says which copies there are of an address, or of all addresses
that begin alike; a raw copy (``id_``) is the page as the publisher sent it, with
the publisher's headers under other names.

Addresses are compared without scheme, ``www.``, port and case: a copy's original
address may be spelled differently from the one that was asked for.

The CDX server allows some 24 questions a minute, answers 429 without
``Retry-After``, and locks out for an hour those who go on. One that does not
know an answer and one that cannot give it look alike but for the form of the
answer, so nothing is read out of a malformed one.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import unquote, urlencode

import orjson
from scrapy.http import Headers, Response, TextResponse
from scrapy.responsetypes import responsetypes

from newsarchive.article import Refused
from newsarchive.warc.message import encoded
from newsarchive.whole_body import DECODE, Cut, content_encodings, whole

__all__ = ["Copy", "as_original", "cdx_url", "choose", "copy_url", "original_of", "read_cdx"]

ARCHIVE = "https://web.archive.org"

#: Columns of an answer. A resume key is right only where the first is among them (internetarchive/wayback#121).
FIELDS = ["urlkey", "timestamp", "original", "mimetype", "statuscode", "digest", "length"]

#: Copies an answer holds at most: the server gives up (504) before it has many. A month of one section has some 850.
ROWS = 1000

#: Copies to try for an article. Pages are cut down for good: where early copies are no use, later ones are none.
TRIES = 4

#: How much earlier than it is said to be published an article may have been copied: often only its day is known.
EARLIEST = timedelta(days=1)

TIME = "%Y%m%d%H%M%S"
COPY_URL = re.compile(r"https?://web\.archive\.org/web/(?P<time>[0-9]{14})(?P<mode>[a-z]{2}_)?/(?P<original>\S+)")
WEB_URL = re.compile(r"https?://[^\s/]\S*", re.I)
GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A copy of a page in the Wayback Machine, as its CDX server lists it."""

    #: Address that was copied, as the archive spells it: ``http://www.cna.com.tw:80/News/aCN/…``.
    original: str
    #: When it was copied, aware, in UTC, whole seconds.
    taken: datetime
    #: SHA-1 of the body in base32; equal bodies have equal digests.
    digest: str
    #: HTTP status; None for a copy that only says that nothing had changed.
    status: int | None
    #: ``text/html``; ``warc/revisit`` for a copy that only says that nothing had changed.
    mimetype: str
    #: Bytes it takes in the archive, compressed; None if the archive does not say.
    length: int | None


def cdx_url(
    url: str,
    *,
    match: Literal["exact", "prefix"] = "exact",
    since: datetime | None = None,
    until: datetime | None = None,
    collapse: Literal["digest", "urlkey"] = "digest",
    limit: int = ROWS,
    resume: str = "",
) -> str:
    """Return the address that lists copies with status 200 of an address, or of all that begin with it.

    ``since`` and ``until`` bound the time of copying, inclusive; aware, else ValueError. Of copies that follow one
    another, by address and then by time, only the first is listed where ``digest`` is equal, or, with ``urlkey``,
    where the address is. ``resume`` is what the previous answer to the same question ended with.
    """
    question = {
        "url": url,
        "matchType": match,
        "output": "json",
        "fl": ",".join(FIELDS),
        "filter": "statuscode:200",
        "collapse": collapse,
        "from": _stamp(since) if since else "",
        "to": _stamp(until) if until else "",
        "limit": limit,
        "showResumeKey": "true",
        # It comes encoded and is encoded once more: the server decodes it twice (internetarchive/wayback#195).
        "resumeKey": resume,
    }
    return f"{ARCHIVE}/cdx/search/cdx?" + urlencode({name: value for name, value in question.items() if value != ""})


def read_cdx(body: bytes, *, resumed: str = "") -> tuple[list[Copy], str]:
    """Return the copies in an answer of the CDX server, and the key for the next question, empty if that is all.

    ``resumed`` is the key of the question. The first copies of an answer may be of the address with which the
    answer before it ended. Raises Refused ``malformed-listing`` for an answer of any other form.
    """
    try:
        rows = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused("malformed-listing", f"{error}: {body[:80]!r}") from error
    if not isinstance(rows, list):
        raise Refused("malformed-listing", f"not a list of rows: {body[:80]!r}")
    if not rows:
        return [], ""
    header, *rows = rows
    if header != FIELDS:
        raise Refused("malformed-listing", f"its columns are {str(header)[:80]}")
    resume = ""
    if len(rows) > 1 and rows[-2] == []:
        resume = _resume_key(rows[-1], resumed)
        rows = rows[:-2]
    # The server lists some copies twice.
    return list(dict.fromkeys(map(_copy, rows))), resume


def _resume_key(row: Any, resumed: str) -> str:
    if not (isinstance(row, list) and len(row) == 1 and isinstance(row[0], str) and row[0]):
        raise Refused("malformed-listing", f"not a resume key: {str(row)[:80]}")
    if row[0] == resumed:
        raise Refused("malformed-listing", f"it goes in circles at {resumed}")
    return row[0]


def _copy(row: Any) -> Copy:
    if not (isinstance(row, list) and len(row) == len(FIELDS) and all(isinstance(value, str) for value in row)):
        raise Refused("malformed-listing", f"not a copy: {str(row)[:80]}")
    _, stamp, original, mimetype, status, digest, length = row
    if not WEB_URL.fullmatch(original) or not digest:
        raise Refused("malformed-listing", f"not a copy: {str(row)[:80]}")
    try:
        return Copy(
            original=original,
            taken=_time(stamp),
            digest=digest,
            status=_number(status),
            mimetype=mimetype,
            length=_number(length),
        )
    except ValueError as error:
        raise Refused("malformed-listing", f"{error}: {str(row)[:80]}") from error


def _number(value: str) -> int | None:
    """Return a number; None for ``-``, which stands where there is none."""
    if not re.fullmatch(r"[0-9]{1,15}|-", value):
        raise ValueError(f"neither a number nor '-': {value!r}")
    return None if value == "-" else int(value)


def _time(stamp: str) -> datetime:
    if not re.fullmatch("[0-9]{14}", stamp):
        raise ValueError(f"not a time: {stamp!r}")
    return datetime.strptime(stamp, TIME).replace(tzinfo=UTC)


def _stamp(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {moment}")
    return moment.astimezone(UTC).strftime(TIME)


def copy_url(copy: Copy) -> str:
    """Return the address of a copy's page as the publisher sent it."""
    # Whatever follows a number sign would not be sent.
    return f"{ARCHIVE}/web/{_stamp(copy.taken)}id_/{copy.original.replace('#', '%23')}"


def original_of(url: str) -> tuple[str, datetime] | None:
    """Return from a copy's address the original one and the time of copying, aware, in UTC; None if it is no copy's."""
    match = COPY_URL.fullmatch(url)
    if not match:
        return None
    original = match["original"]
    if original[:9].lower().startswith(("http%3a", "https%3a")):
        original = unquote(original)
    try:
        return (original, _time(match["time"])) if WEB_URL.fullmatch(original) else None
    except ValueError:
        return None


def choose(copies: Iterable[Copy], published: datetime, at_most: int = TRIES) -> list[Copy]:
    """Return the copies to try for an article, best first: whole pages, each body once, early before late.

    The earliest since publication comes first: had the page been cut down by then, it would be so in all later ones.
    After it comes the first of each other day, as copies of one day tend to fail alike, then the rest. Copies made
    before ``published``, which is aware, come last: the time may be wrong.
    """
    bodies: dict[str, Copy] = {}
    for copy in sorted(copies, key=lambda copy: copy.taken):
        if copy.status == 200 and copy.mimetype == "text/html":
            bodies.setdefault(copy.digest, copy)
    before = [copy for copy in bodies.values() if copy.taken < published - EARLIEST]
    since = list(bodies.values())[len(before) :]
    days: dict[date, Copy] = {}
    for copy in since:
        days.setdefault(copy.taken.date(), copy)
    return list(dict.fromkeys([*days.values(), *since, *before]))[:at_most]


#: Headers that tell how a body was sent, not what it is.
_OF_THE_WIRE = ("Content-Encoding", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive")


def as_original(response: Response) -> Response:
    """Return the response that a raw copy holds as if its publisher had sent it: address, status, headers, body.

    ``Memento-Datetime`` stays among the headers and says when it was copied; the request stays the one that was made.
    Raises Refused ``not-a-copy`` for anything but a raw copy of the time in its address, such as messages of the
    archive itself, ``truncated`` for a copy that is not whole, and ``undecodable`` or ``too-large`` as for any page.
    """
    copy = COPY_URL.fullmatch(response.url)
    found = original_of(response.url)
    if not copy or not found or copy["mode"] != "id_":
        raise Refused("not-a-copy", f"{response.url} is not the address of a raw copy")
    stated = (response.headers.get("Memento-Datetime") or b"").decode("latin-1")
    original, taken = found
    if _http_time(stated) != taken:
        raise Refused("not-a-copy", f"Memento-Datetime: {stated!r}, but {taken:%Y-%m-%dT%H:%M:%SZ} in its address")
    headers = _original_headers(response.headers)
    body = _original_body(Response(original, headers=headers, body=response.body))
    for name in _OF_THE_WIRE:
        headers.pop(name, None)
    headers["Memento-Datetime"] = stated
    kind = responsetypes.from_args(headers=headers, url=original, body=body)
    more = {"encoding": None} if issubclass(kind, TextResponse) else {}
    return response.replace(cls=kind, url=original, headers=headers, body=body, **more)


def _http_time(stated: str) -> datetime | None:
    """Return the time in a header; None if it states none."""
    try:
        return parsedate_to_datetime(stated)
    except (ValueError, OverflowError):
        return None


def _original_headers(headers: Headers) -> Headers:
    """Return the headers that the publisher sent; the archive passes on the type of the page under its own name."""
    originals = Headers()
    if kind := headers.get("Content-Type"):
        originals["Content-Type"] = kind
    for name, values in headers.items():
        if name.lower().startswith(b"x-archive-orig-"):
            originals[name[len("x-archive-orig-") :]] = values
    return originals


def _original_body(response: Response) -> bytes:
    """Return the body before it was compressed; the archive decodes some, and loses the header of others."""
    encodings = content_encodings(response)
    if not encoded(response.body, ",".join(encodings)):
        encodings = []
    if not encodings and response.body.startswith(GZIP):
        encodings = ["gzip"]
        response.headers["Content-Encoding"] = "gzip"
    if unknown := [encoding for encoding in encodings if encoding not in DECODE]:
        raise Refused("undecodable", f"Content-Encoding: {', '.join(unknown)}")
    try:
        return whole(response, encodings).body
    except Cut as cut:
        raise Refused("truncated", str(cut)) from cut
