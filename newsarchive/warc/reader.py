"""Reads responses back from WARC files: ours, and those of wget, Heritrix, Browsertrix, Common Crawl and others.

Everything readable is used: what is not becomes a Damage that says where it is.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from newsarchive.capture import NO_RESPONSES
from newsarchive.warc.digest import agrees, known, payload_digest
from newsarchive.warc.message import END_OF_HEAD, ORIGINAL, RENAMED, Headers, dechunked, encoded, header, parse_head
from newsarchive.warc.stream import Broken, RawFile, form, opening
from newsarchive.warc.walk import Damage, Fields, Record, Walk

__all__ = [
    "LIMIT",
    "Find",
    "Served",
    "WarcError",
    "at",
    "holds_capture",
    "is_no_response",
    "is_warc",
    "moment",
    "read",
    "record_at",
    "refers_to",
]

#: Most bytes of a body, unless a caller says otherwise. Pages are at most 8 MiB.
LIMIT = 64 << 20
#: Bytes that the head of a message may have besides.
MAX_HEAD = 1 << 20
#: Revisits of revisits that are followed; ours name the original itself.
MAX_REVISITS = 8

#: Addresses of what is archived besides pages.
NO_PAGES = ("dns:", "whois:", "ntp:", "ftp:", "urn:", "metadata:", "filedesc:", "screenshot:")


class WarcError(ValueError):
    """Says which record cannot be used, and why."""

    def __init__(self, file: Path, offset: int, problem: str, *, away: bool = False) -> None:
        super().__init__(f"{file}, offset {offset}: {problem}")
        self.file, self.offset, self.problem = file, offset, problem
        #: Whether nothing is wrong with it, as far as is known: it lies elsewhere, and cannot be had now.
        self.away = away


@dataclass(frozen=True, slots=True)
class Served:
    """A response read back from a WARC file."""

    #: Address that was asked for.
    url: str
    #: When, aware, in UTC, whole milliseconds.
    captured: datetime
    status: int
    #: HTTP headers in order, as served.
    headers: Headers
    #: Body as served: without transfer coding, its content encoding kept.
    body: bytes
    #: Digest of the body: ``sha1:`` and base32.
    digest: str
    #: Bytes before the record in its file; see ``walk`` for members that hold several.
    offset: int
    #: Where the next record begins.
    end: int
    #: What it was asked for: ``article``, ``listing``, ``robots``, or nothing in particular.
    kind: str = ""
    #: When a listing said that the article was published.
    announced: datetime | None = None
    #: Why the body is not whole: ``disconnect``, ``length``, …; empty if it is.
    truncated: str = ""
    #: Whether the body was stored before, with another capture.
    revisit: bool = False


#: Finds the original of a revisit by address, time (None if not stated) and payload digest (may be empty) elsewhere.
Find = Callable[[str, datetime | None, str], Served | None]


def is_warc(file: Path) -> bool:
    """Tell by its content whether a file is a WARC file."""
    with RawFile(file) as raw:
        return bool(form(raw))


def read(file: Path, start: int = 0, *, find: Find | None = None, limit: int = LIMIT) -> Iterator[Served | Damage]:
    """Yield the responses of a WARC file in order from an offset on, and what cannot be used.

    ``find`` is asked for the originals of revisits that are neither in the file
    nor beside it; bodies of more than ``limit`` bytes are passed over. Raises
    OSError if there is no such file.
    """
    with RawFile(file) as raw:
        reader = Reader(raw, find, limit)
        for record in Walk(raw, start):
            if isinstance(record, Damage):
                yield record
                continue
            try:
                served = reader.served(record)
            except Broken as error:
                yield Damage(file, record.offset, str(error), error.away)
                continue
            if served:
                yield served
            # Where the caller has let go of it, too, the next takes its memory.
            del served


def at(file: Path, offset: int, *, find: Find | None = None, limit: int = LIMIT) -> Served:
    """Return the response at an offset; raise WarcError."""
    try:
        with RawFile(file) as raw:
            return Reader(raw, find, limit).at(offset)[0]
    except (OSError, Broken) as error:
        raise unusable(file, offset, error) from error


def record_at(file: Path, offset: int) -> Fields:
    """Return the header of the record at an offset without reading on; raise WarcError."""
    try:
        with RawFile(file) as raw:
            return found_at(raw, offset).fields
    except (OSError, Broken) as error:
        raise unusable(file, offset, error) from error


def unusable(file: Path, offset: int, error: OSError | Broken) -> WarcError:
    """Return what to raise for a record that cannot be read."""
    if isinstance(error, Broken):
        return WarcError(file, offset, str(error), away=error.away)
    return WarcError(file, offset, error.strerror or str(error))


def holds_capture(record: Record) -> bool:
    """Tell whether a record is a response, or what we have taken out of one for an article of its own."""
    return record.type in ("response", "revisit") or is_no_response(record)


def is_no_response(record: Record) -> bool:
    """Tell whether a record is an article that nobody served by itself; other tools' records of its type are not."""
    return record.type == NO_RESPONSES.get(record.fields.get("x-newsarchive-kind", ""))


def found_at(raw: RawFile, offset: int) -> Record:
    """Return the record at an offset; raise Broken if none begins there."""
    for record in Walk(raw, offset):
        if record.offset != offset:
            break
        if isinstance(record, Damage):
            raise Broken(record.problem, away=record.away)
        return record
    raise Broken("no record begins here")


def moment(text: str) -> datetime:
    """Return the time of a record, aware, in UTC, whole milliseconds; raise ValueError.

    The standard allows any precision from a year to nanoseconds.
    """
    if re.fullmatch(r"\d{4}(-\d\d)?", text, re.ASCII):
        text += "-01" if "-" in text else "-01-01"
    if re.fullmatch(r"\d{14}", text, re.ASCII):
        text = f"{text[:8]}T{text[8:]}"
    time = datetime.fromisoformat(text)
    time = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def target(fields: Fields, name: str = "warc-target-uri") -> str:
    """Return the address of a page that a field names, nothing for what is no page; raise Broken if it is none."""
    url = fields.get(name, "")
    if url.startswith("<") and url.endswith(">"):  # wget 1.19
        url = url[1:-1]
    if url.lower().startswith(NO_PAGES):
        return ""
    if not re.match(r"https?://[^/?#\s]", url, re.IGNORECASE) or re.search(r"[\0-\x1f\x7f]", url):
        raise Broken(f"not an address of the web: {url[:200]!r}" if url else "no WARC-Target-URI")
    return url.replace(" ", "%20")


def refers_to(fields: Fields) -> tuple[str, int] | None:
    """Return name and offset of the file that a revisit says has its body; None if it does not say."""
    # The name may come from anywhere, and must not lead out of the folder.
    name = PurePosixPath(fields.get("warc-refers-to-filename", "").replace("\\", "/")).name
    offset = fields.get("warc-refers-to-file-offset", "")
    if name in ("", "..") or "\0" in name or not (offset.isascii() and offset.isdecimal() and len(offset) <= 18):
        return None
    return name, int(offset)


def announced(fields: Fields) -> datetime | None:
    """Return when a listing announced the article; None if it did not."""
    text = fields.get("x-newsarchive-announced", "")
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if text else None
    except (ValueError, OverflowError):
        return None


class Reader:
    """Turns the records of one open file into responses."""

    def __init__(self, raw: RawFile, find: Find | None, limit: int, *, search: bool = True) -> None:
        self.raw, self.find, self.limit, self.search = raw, find, limit, search
        self._offsets: dict[int, int] | None = None

    def at(self, offset: int, depth: int = 0) -> tuple[Served, Fields]:
        """Return the response at an offset, and the header of its record; raise Broken."""
        record = found_at(self.raw, offset)
        served = self.served(record, depth)
        if record.broken:
            raise record.broken
        if not served:
            raise Broken(f"no response, but {record.type[:40]!r}")
        return served, record.fields

    def served(self, record: Record, depth: int = 0) -> Served | None:
        """Return the response of a record; None if it holds none, or if its walk will say what is wrong with it.

        Raises Broken for other reasons not to use it.
        """
        fields = record.fields
        url = target(fields) if holds_capture(record) else ""
        if not url:
            return None
        pieces = self._block(record)
        if pieces is None:
            return None
        try:
            captured = moment(fields.get("warc-date", ""))
        except (ValueError, OverflowError) as error:
            raise Broken(f"WARC-Date is no time: {fields.get('warc-date', '')[:40]!r}") from error
        status, headers, body = entry(fields, pieces) if is_no_response(record) else message(pieces)
        if len(body) > self.limit:
            raise Broken(f"too large: {record.length} bytes")
        digest = self._verified(record, pieces, body)
        served = Served(
            url=url,
            captured=captured,
            status=status,
            headers=headers,
            body=body,
            digest=digest,
            offset=record.offset,
            end=record.end,
            kind=fields.get("x-newsarchive-kind", ""),
            announced=announced(fields),
            truncated=fields.get("warc-truncated", ""),
            revisit=record.type == "revisit",
        )
        if served.revisit and "server-not-modified" not in fields.get("warc-profile", ""):
            served = as_original(served, self._original(fields, url, depth))
        elif not status:
            raise Broken("no HTTP response: it is empty")
        return as_served(served, fields)

    def _block(self, record: Record) -> list[memoryview] | None:
        """Return the block of a record in pieces; None if it is broken."""
        pieces: list[memoryview] = []
        fits = record.length <= self.limit + MAX_HEAD
        if not record.read(pieces.append if fits else len):
            return None
        if not fits:
            raise Broken(f"too large: {record.length} bytes")
        if "warc-segment-number" in record.fields:
            raise Broken("its body is spread over several records")
        return pieces

    def _verified(self, record: Record, pieces: list[memoryview], body: bytes) -> str:
        """Return the digest of a stored body; raise Broken if the record states another.

        In a gzip member, whose checksum is right, one digest is enough.
        """
        block = record.fields.get("warc-block-digest", "")
        stated = record.fields.get("warc-payload-digest", "") if record.type != "revisit" else ""
        # For a body that it does not store again, wget states the digest of nothing.
        empty = record.type == "revisit" and agrees(block, [])
        if block and not (stated and record.stream.compressed) and not empty and not agrees(block, pieces):
            raise Broken("the block's digest is wrong")
        digest = payload_digest(body)
        if not stated or stated == digest or agrees(stated, [body]):
            return digest
        # Some tools leave out the chunks, some what was cut off.
        plain = dechunked(body)
        if plain and agrees(stated, [plain[0]]):
            return digest
        if block and "warc-truncated" in record.fields and agrees(block, pieces):
            return digest
        raise Broken("the payload's digest is wrong")

    def _original(self, fields: Fields, url: str, depth: int) -> Served:
        """Return the response whose body a revisit shares; raise Broken if it is not to be found."""
        if depth >= MAX_REVISITS:
            raise Broken("a revisit of a revisit, and so on")
        digest = fields.get("warc-payload-digest", "")
        try:
            date = moment(fields.get("warc-refers-to-date", ""))
        except (ValueError, OverflowError):
            date = None
        uri = target(fields, "warc-refers-to-target-uri") if "warc-refers-to-target-uri" in fields else url
        for look in (self._beside, self._inside):
            for served, about in look(fields, uri, date, depth + 1):
                # Where nothing can be computed, the address must do.
                same = agrees(digest, [served.body]) or about.get("warc-payload-digest") == digest
                if same and (known(digest) or served.url == uri):
                    return served
        found = self.find(uri, date, digest) if self.find else None
        if found and (agrees(digest, [found.body]) or (found.url, found.captured) == (uri, date)):
            return found
        raise Broken(f"a revisit whose original is not to be found: {uri[:200]} of {date or 'unknown time'}")

    def _beside(self, fields: Fields, uri: str, date: datetime | None, depth: int) -> Iterator[tuple[Served, Fields]]:
        """Yield the response that a revisit names by file and offset."""
        named = refers_to(fields)
        if not named:
            return
        name, offset = named
        try:
            with RawFile(self.raw.path.with_name(name)) as raw:
                # A record without an offset of its own would have to be walked to.
                if form(raw) == "plain" or opening(raw, offset):
                    yield Reader(raw, self.find, self.limit, search=False).at(offset, depth)
        except Broken as error:
            if error.away:
                raise
        except OSError:
            return

    def _inside(self, fields: Fields, uri: str, date: datetime | None, depth: int) -> Iterator[tuple[Served, Fields]]:
        """Yield the responses of this file that may be meant: by record, address and time, or digest."""
        if self._offsets is None:
            self._offsets = dict(originals(self.raw)) if self.search else {}
        marks = (fields.get("warc-refers-to", ""), (uri, date), fields.get("warc-payload-digest", ""))
        offsets = [self._offsets.get(hash(mark)) for mark in marks if mark]
        for offset in dict.fromkeys(offsets):
            if offset is not None:
                with suppress(Broken):
                    yield self.at(offset, depth)


def originals(raw: RawFile) -> Iterator[tuple[int, int]]:
    """Yield by what revisits may name the responses of a file, as a hash, and the offset."""
    for record in Walk(raw):
        if isinstance(record, Damage):
            if record.away:
                raise Broken(record.problem, "file", away=True)
            continue
        if record.type != "response":
            continue
        fields = record.fields
        with suppress(Broken, ValueError, OverflowError):
            yield hash((target(fields), moment(fields.get("warc-date", "")))), record.offset
        for mark in (fields.get("warc-record-id"), fields.get("warc-payload-digest")):
            if mark:
                yield hash(mark), record.offset


def entry(fields: Fields, pieces: list[memoryview]) -> tuple[int, Headers, bytes]:
    """Return what is no HTTP message as if it had been served: status, headers and body."""
    return 200, [("Content-Type", fields.get("content-type", ""))], b"".join(pieces)


def message(pieces: list[memoryview]) -> tuple[int, Headers, bytes]:
    """Return status, headers and body of a block; 0 and nothing for an empty one; raise Broken."""
    if not pieces:
        return 0, [], b""
    end = END_OF_HEAD.search(pieces[0])
    if not end and len(pieces) > 1:
        pieces = [memoryview(b"".join(pieces))]
        end = END_OF_HEAD.search(pieces[0])
    first, begin = pieces[0], end.end() if end else len(pieces[0])
    if begin > MAX_HEAD:
        raise Broken("no HTTP response: a head that does not end")
    try:
        status, headers = parse_head(bytes(first[: end.start()] if end else first))
    except ValueError as error:
        raise Broken(str(error)) from error
    return status, headers, b"".join([first[begin:], *pieces[1:]])


def as_original(served: Served, original: Served) -> Served:
    """Return a revisit with the body of its original, and with its head where it has none itself."""
    truncated = "" if served.truncated == "length" else served.truncated
    head = served if served.status else original
    return replace(
        served,
        status=head.status,
        headers=head.headers,
        body=original.body,
        digest=original.digest,
        truncated=truncated or original.truncated,
    )


def as_served(served: Served, fields: Fields) -> Served:
    """Return a response with body and headers in accord: as it was served, or as a foreign tool left it."""
    ours = fields.get("x-newsarchive-headers", "")
    if ours == RENAMED:
        return replace(served, headers=[(name.removeprefix(ORIGINAL), value) for name, value in served.headers])
    if ours:
        return served
    chunks = header(served.headers, "transfer-encoding").lower().endswith("chunked")
    plain = dechunked(served.body) if chunks and not served.revisit else None
    if plain:
        body, whole = plain
        truncated = served.truncated or ("" if whole else "disconnect")
        served = replace(served, body=body, digest=payload_digest(body), truncated=truncated)
    if encoded(served.body, header(served.headers, "content-encoding")):
        return served
    stale = ("content-encoding", "content-length")
    headers = [(ORIGINAL + name if name.lower() in stale else name, value) for name, value in served.headers]
    return replace(served, headers=headers)
