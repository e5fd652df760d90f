"""Records of captures, written with warcio and compressed by isal."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha1
from http import HTTPStatus
from importlib.metadata import version
from io import BytesIO
from typing import Any, Literal
from urllib.parse import quote
from uuid import uuid4

from isal import isal_zlib
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from newsarchive import __version__
from newsarchive.warc.digest import payload_digest, spelled
from newsarchive.warc.message import AS_SERVED, ORIGINAL, RENAMED
from newsarchive.warc.stream import SOFTWARE

__all__ = [
    "PROFILE",
    "Lines",
    "conversion",
    "information",
    "iso",
    "new_id",
    "request",
    "resource",
    "response",
    "target",
    "whole_milliseconds",
]

#: A 100 kB page takes 0.07 ms and becomes 21.0 kB. Level 0: 0.05 ms, 24.1 kB, but a compressed body grows by a quarter;
#: level 1: 0.06 ms, 21.3 kB; level 3: 0.16 ms, 20.6 kB. zlib's level 9, which is warcio's: 1.4 ms (on larger pages
#: 7 ms), 18.3 kB. A body that came compressed takes 0.02 ms and 23 bytes.
LEVEL = 2
#: zlib's notation for gzip.
GZIP_WINDOW = 31
WARC = "WARC/1.1"
PROFILE = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"

REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
#: What RFC 9110 has no place for in a header's name, or lets a recipient replace by a space in its value.
NO_NAME, NO_VALUE = re.compile(rb"[^!-9;-~\x80-\xff]"), re.compile(rb"[\r\n\0]")
NO_FIELD = re.compile(r"[\0-\x1f\x7f\ud800-\udfff]+")
NO_METHOD = re.compile(r"[^A-Za-z0-9!#$%&'*+.^_`|~-]")
#: Characters of an address that stay as they are.
PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
ADDRESS = re.compile(r"https?://(?:[^/?#]*@)?([^/?#]*)([^#]*)", re.IGNORECASE)

Lines = Iterable[tuple[bytes, bytes]]


class Head(StatusAndHeaders):  # type: ignore[misc]
    """The head of an HTTP message as bytes; warcio's own would percent-encode what is not ASCII."""

    def __init__(self, head: bytes) -> None:
        super().__init__("as it is", [])
        self.headers_buff = head

    def compute_headers_buffer(self, header_filter: Any = None) -> None:
        """Leave the head as it is."""


def response(fields: dict[str, str], status: int, headers: Lines, body: bytes, bodiless: bool) -> bytes:
    """Return the gzip member of a response, or of a revisit, which leaves the body out.

    ``bodiless`` says that ``Content-Length`` speaks of a body that never comes: as with HEAD.
    """
    lines, renamed = stored(list(headers), b"" if bodiless else b"%d" % len(body))
    fields["X-Newsarchive-Headers"] = RENAMED if renamed else AS_SERVED
    head = b"HTTP/1.1 %03d %s\r\n%s\r\n" % (status, REASONS.get(status, b""), lines)
    return member(fields, "application/http; msgtype=response", head, b"" if fields["WARC-Type"] == "revisit" else body)


def request(fields: dict[str, str], method: str, headers: Lines) -> bytes:
    """Return the gzip member of a request without a body, to the address that its fields name."""
    found = ADDRESS.match(fields["WARC-Target-URI"])
    host, path = (found[1], found[2]) if found else ("", "")
    lines = list(headers)
    if not any(name.lower() == b"host" for name, _ in lines):
        lines.insert(0, (b"Host", host.encode()))
    path = path if path.startswith("/") else "/" + path
    line = f"{NO_METHOD.sub('', method) or 'GET'} {path} HTTP/1.1\r\n".encode()
    fields["WARC-Payload-Digest"] = NOTHING
    return member(fields, "application/http; msgtype=request", line + header_lines(lines) + b"\r\n", b"")


def conversion(fields: dict[str, str], kind: str, body: bytes) -> bytes:
    """Return the gzip member of what was made of another record, with its media type."""
    return member(fields, kind, b"", body)


def resource(fields: dict[str, str], kind: str, body: bytes) -> bytes:
    """Return the gzip member of what was not served over HTTP, with its media type."""
    return member(fields, kind, b"", body)


def information(fields: dict[str, str], about: Mapping[str, str]) -> bytes:
    """Return the gzip member of a ``warcinfo`` record: what software wrote a file, and what is said about it."""
    # What damage is measured by comes first; see own_id in stream.
    said = {
        "software": f"{SOFTWARE}{__version__} warcio/{version('warcio')}",
        "format": "WARC File Format 1.1",
        "conformsTo": "http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/",
        **{name: value for name, value in about.items() if name != "software"},
    }
    lines = [f"{one_line(name).replace(':', ' ')}: {one_line(value)}\r\n" for name, value in said.items()]
    return member(fields, "application/warc-fields", b"", "".join(lines).encode())


def member(fields: dict[str, str], kind: str, head: bytes, body: bytes) -> bytes:
    """Return a record as a gzip member: its fields, and its block in two parts."""
    block = sha1(head, usedforsecurity=False)
    block.update(body)
    fields["WARC-Block-Digest"] = spelled(block.digest())
    out = BytesIO()
    writer = WARCWriter(out, gzip=False, warc_version="1.1")
    record = writer.create_warc_record(
        "",
        fields["WARC-Type"],
        payload=BytesIO(body),
        length=len(body),
        warc_content_type=kind,
        warc_headers=StatusAndHeaders("", [(name, one_line(value)) for name, value in fields.items()], protocol=WARC),
        http_headers=Head(head) if head else None,
    )
    writer.write_record(record)
    data: bytes = isal_zlib.compress(out.getbuffer(), LEVEL, GZIP_WINDOW)
    return data


def stored(headers: list[tuple[bytes, bytes]], length: bytes) -> tuple[bytes, bool]:
    """Return the lines of headers, and whether some were renamed as they do not fit the stored body.

    ``length`` is that of the body, in digits; empty if any will do.
    """

    def stale(name: bytes, value: bytes) -> bool:
        name = name.lower()
        return name == b"transfer-encoding" or (name == b"content-length" and bool(length) and value.strip() != length)

    if not any(stale(name, value) for name, value in headers):
        return header_lines(headers), False
    prefix = ORIGINAL.encode()
    # A name that was served with our prefix gets another one, so that taking one away gives back what was served.
    named = [
        (prefix + name if stale(name, value) or name.startswith(prefix) else name, value) for name, value in headers
    ]
    return header_lines(named), True


def header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the lines of headers, of which none can pass for several."""
    lines = []
    for name, value in headers:
        safe = NO_NAME.sub(b"_", name) or b"_"
        lines.append(b"%s: %s\r\n" % (safe, NO_VALUE.sub(b" ", value)))
    return b"".join(lines)


def one_line(value: str) -> str:
    """Return a field's value without what would end it."""
    return value if value.isprintable() else NO_FIELD.sub(" ", value).strip()


def target(url: str) -> str:
    """Return an address as ``WARC-Target-URI`` has it: what is not printable ASCII is percent-encoded."""
    if url.isascii() and url.isprintable() and " " not in url:
        return url
    return quote(url, safe=PRINTABLE, errors="surrogatepass")


def iso(time: datetime, precision: Literal["auto", "milliseconds"] = "milliseconds") -> str:
    """Return an aware time as ISO 8601 in UTC; raise ValueError for a naive one."""
    if time.utcoffset() is None:
        raise ValueError(f"a time without zone: {time}")
    return time.astimezone(UTC).isoformat(timespec=precision).removesuffix("+00:00") + "Z"


def whole_milliseconds(time: datetime) -> datetime:
    """Return a time in UTC as ``WARC-Date`` keeps it."""
    return time.astimezone(UTC).replace(microsecond=time.microsecond // 1000 * 1000)


def new_id() -> str:
    """Return an id that no other record has."""
    return f"<urn:uuid:{uuid4()}>"


NOTHING = payload_digest(b"")
