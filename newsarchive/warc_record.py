"""The records of a WARC file in order, whatever state the file is in.

A file is plain, or a row of gzip members: one for each record, as the standard
advises, or one for many. A record in a member of its own is found again by the
member's offset; further records of a member have none, so the member's plus
their number stands for it.

After damage the walk goes on at the next gzip member, or the next blank line of
a plain file, that opens a WARC record. What a publisher serves may hold such a
record itself, and must not be taken for a capture: in files of ours only a
record that names the file's own ``warcinfo`` is found again in this way, whose
id no publisher knows.
"""

import os
import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

from isal import isal_zlib

__all__ = ["SOFTWARE", "Broken", "Damage", "Fields", "Gunzip", "RawFile", "Record", "Walk", "form", "next_member"]

#: How ``software`` begins in our ``warcinfo`` records.
SOFTWARE = "newsarchive/"
GZIP = b"\x1f\x8b\x08"
#: Flags that no gzip member may have.
RESERVED = 0xE0
#: zlib's notation for gzip, whose checksum is verified.
GZIP_WINDOW = 31
#: What isal raises; its type hints say that it is an instance.
ERROR: type[Exception] = isal_zlib.error  # type: ignore[assignment]
#: Most bytes read from disk at a time.
BUFFER = 1 << 20
#: Bytes given to the decompressor first, enough for most requests, and then.
FIRST, NEXT = 4 << 10, 128 << 10
#: Bytes inflated at a time.
PIECE = 1 << 20
#: Most bytes of line ends between two records; there should be four.
MAX_NEWLINES = 64
#: Most bytes of a record's header.
MAX_HEAD = 1 << 20
#: Bytes of a record that tell whether it is one, and whose; compressed, and as they are.
OPENING = 1 << 10
#: Bytes that may be looked at in vain behind damage, as multiple of the file's size: hostile files end, too.
PATIENCE = 64

BLANK = re.compile(rb"\r?\n\r?\n")
RECORD = re.compile(rb"(?:(?<=\n\r\n)|(?<=\n\n))WARC/[01]\.\d")
VERSION = re.compile(r"WARC/(\d{1,3}\.\d{1,3})[ \t]*\r?(?:\n|$)", re.ASCII)
FOLD = re.compile(r"\r?\n[ \t]+")

#: Fields of a record by their lower-case names.
Fields = dict[str, str]


class Broken(Exception):
    """Says what is wrong, and how far that reaches: nothing behind it in the record, member or file can be read."""

    def __init__(self, problem: str, reach: Literal["record", "member", "file"] = "record") -> None:
        super().__init__(problem)
        self.reach = reach


@dataclass(frozen=True, slots=True)
class Damage:
    """Something in a file that cannot be used."""

    file: Path
    #: Bytes before it in the file.
    offset: int
    problem: str


class RawFile:
    """A file's bytes by position, also while it is being written and has ``.open`` after its name.

    Use it in a ``with`` statement. Raises OSError if there is no such file.
    """

    def __init__(self, path: Path) -> None:
        self.fd = opened(path)
        self.path = path
        self.size = os.fstat(self.fd).st_size
        self.data, self.start, self.ends = b"", 0, False
        self._own: bytes | None = None

    def __enter__(self) -> Self:
        """Return the file."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close the file."""
        os.close(self.fd)

    def slice(self, at: int, size: int) -> memoryview:
        """Return bytes from a position, fewer only at the end of the file; raise Broken if the disk gives none."""
        if at < self.start or (at + size > self.start + len(self.data) and not self.ends):
            # Little for a look at one place, more and more for reading on.
            reading_on = self.start <= at <= self.start + len(self.data)
            wanted = max(size, min(BUFFER, 2 * len(self.data))) if reading_on else size
            try:
                self.data = os.pread(self.fd, wanted, at)
            except OSError as error:
                raise Broken(f"cannot be read: {error.strerror}", "file") from error
            self.start, self.ends = at, len(self.data) < wanted
        return memoryview(self.data)[at - self.start : at - self.start + size]

    def own(self) -> bytes:
        """Return the id that all records of a file of ours name; nothing if it is not ours."""
        if self._own is None:
            self._own = own_id(self)
        return self._own

    def find(self, what: bytes, at: int) -> int:
        """Return where bytes stand next from a position on; -1 if nowhere."""
        while len(self.slice(at, len(what))) == len(what):
            found = self.data.find(what, at - self.start)
            if found >= 0:
                return self.start + found
            at = self.start + len(self.data) - len(what) + 1
        return -1


def opened(path: Path) -> int:
    """Return a descriptor for reading a file, under its name or while that still has ``.open`` after it."""
    beside = path.with_name(path.name + ".open")
    # It may be renamed between two tries.
    for name in (path, beside):
        try:
            return os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


class Source(Protocol):
    """Where a stream takes its bytes from."""

    #: Position in the file behind what was taken.
    at: int
    #: Whether the end was reached, and everything before is known to be right.
    whole: bool

    def piece(self) -> bytes:
        """Return the next bytes, none at the end; raise Broken."""


class Gunzip:
    """The data of one gzip member. Once it has ended, its checksum is known to be right."""

    def __init__(self, raw: RawFile, at: int) -> None:
        self.raw, self.begin, self.at, self.step = raw, at, at, FIRST
        self.inflater = isal_zlib.decompressobj(GZIP_WINDOW)
        self.whole, self.failed = False, False

    def piece(self) -> bytes:
        """Return the next bytes, none when the member has ended; raise Broken."""
        if self.failed:
            raise Broken("damaged gzip data", "member")
        while not self.whole:
            given = self.raw.slice(self.at, self.step)
            if self.at == self.begin and not may_begin(bytes(given[:4])):
                self.failed = True
                raise Broken("no gzip member begins here", "member")
            try:
                data = self.inflater.decompress(given, PIECE)
            except ERROR as error:
                self.failed = True
                raise Broken(f"damaged gzip data: {error}", "member") from error
            self.whole = self.inflater.eof
            rest = self.inflater.unused_data if self.whole else self.inflater.unconsumed_tail
            self.at += len(given) - len(rest)
            self.step = NEXT
            if data:
                return data
            if not given:
                self.failed = True
                raise Broken("torn: the file ends within a gzip member", "member")
        return b""


def may_begin(data: bytes) -> bool:
    """Tell whether a gzip member may begin with four bytes, or fewer at the end of a file; isal is less strict."""
    return GZIP.startswith(data[:3]) and not any(flags & RESERVED for flags in data[3:])


class Plain:
    """The data of a file that is not compressed, from a position on."""

    def __init__(self, raw: RawFile, at: int) -> None:
        self.raw, self.at, self.whole = raw, at, False

    def piece(self) -> bytes:
        """Return the next bytes, none at the end of the file."""
        data = bytes(self.raw.slice(self.at, NEXT))
        self.at += len(data)
        return data


class Stream:
    """Bytes that are taken piece by piece, with a look ahead."""

    def __init__(self, source: Source, before: int = 0) -> None:
        self.restart(source, before)

    def restart(self, source: Source, before: int) -> None:
        """Take bytes from elsewhere from now on."""
        self.source = source
        self.data, self.pos, self.before = b"", 0, before

    @property
    def compressed(self) -> bool:
        """Tell whether the bytes come out of a gzip member."""
        return isinstance(self.source, Gunzip)

    @property
    def position(self) -> int:
        """Return how many bytes were taken before."""
        return self.before + self.pos

    def more(self) -> bool:
        """Look further ahead; tell whether there is more."""
        piece = self.source.piece()
        if piece:
            self.before += self.pos
            self.data, self.pos = self.data[self.pos :] + piece, 0
        return bool(piece)

    def ahead(self, size: int) -> bytes:
        """Return the next bytes without taking them, fewer only at the end."""
        while len(self.data) - self.pos < size and self.more():
            pass
        return self.data[self.pos : self.pos + size]

    def take(self, size: int) -> Iterator[memoryview]:
        """Yield so many bytes in pieces; raise Broken if there are not as many."""
        while size:
            if self.pos == len(self.data) and not self.more():
                raise Broken(f"torn, or its length is wrong: {size} bytes are missing")
            piece = memoryview(self.data)[self.pos : self.pos + size]
            self.pos += len(piece)
            size -= len(piece)
            yield piece

    def skip_newlines(self) -> int:
        """Take a few line ends; return how many there were."""
        ahead = self.ahead(MAX_NEWLINES)
        size = len(ahead) - len(ahead.lstrip(b"\r\n"))
        self.pos += size
        return ahead.count(b"\n", 0, size)

    def head(self) -> bytes:
        """Take lines up to a blank one, and this too; raise Broken if none comes."""
        while not (end := BLANK.search(self.data, self.pos)):
            if len(self.data) - self.pos > MAX_HEAD:
                raise Broken("a header that does not end")
            if not self.more():
                raise Broken("torn, or no WARC record: a header that does not end")
        head, self.pos = self.data[self.pos : end.start()], end.end()
        return head

    def drain(self) -> None:
        """Take what is left, as far as it can be read."""
        try:
            self.pos = len(self.data)
            while self.more():
                self.pos = len(self.data)
        except Broken:
            return

    def find(self, pattern: re.Pattern[bytes]) -> bool:
        """Take what comes before a pattern of at most a few bytes; tell whether it was found."""
        while not (found := pattern.search(self.data, self.pos)):
            self.pos = max(self.pos, len(self.data) - 16)
            if not self.more():
                return False
        self.pos = found.start()
        return True


@dataclass(slots=True)
class Record:
    """A record's header, and its block as long as the walk stands at it."""

    offset: int
    version: str
    fields: Fields
    #: Bytes of its block.
    length: int
    stream: Stream
    #: Where the next record begins; known once this one is read.
    end: int = -1
    #: What is wrong with it, once it is read; the walk yields that as a Damage next.
    broken: Broken | None = None
    #: Whether anything but a blank line follows the block.
    loose: bool = False

    @property
    def type(self) -> str:
        """Return ``response``, ``request``, ``warcinfo``, …"""
        return self.fields.get("warc-type", "").lower()

    def read(self, take: Callable[[memoryview], object]) -> bool:
        """Give the block to a function piece by piece; tell whether the record is whole.

        A record with a gzip member of its own is whole only if the checksum is right.
        """
        try:
            for piece in self.stream.take(self.length):
                take(piece)
            self._close()
        except Broken as error:
            self.broken = error
        return self.broken is None

    def _close(self) -> None:
        """Look at what follows the block."""
        stream, start = self.stream, self.stream.position
        newlines = stream.skip_newlines()
        self.loose = stream.position - start != 4
        following = stream.ahead(5)
        if newlines < 2 or not b"WARC/".startswith(following):
            raise Broken("torn, or its length is wrong: no blank line and next record follow")
        if not stream.compressed:
            self.end = stream.position
        else:
            self.end = self.offset + 1 if following else stream.source.at


def parsed(head: bytes, offset: int, stream: Stream) -> Record:
    """Return the record that a header opens; raise Broken if it opens none."""
    try:
        text = head.decode()
    except UnicodeDecodeError:
        text = head.decode("latin-1")
    version = VERSION.match(text)
    if not version:
        raise Broken("no WARC record begins here")
    if "\n " in text or "\n\t" in text:
        text = FOLD.sub(" ", text)
    fields: Fields = {}
    for line in text.split("\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip().lower(), value.strip())
    length = fields.get("content-length", "")
    if not (length.isascii() and length.isdecimal() and len(length) <= 18):
        raise Broken(f"Content-Length is no number: {length[:40]!r}" if length else "no Content-Length")
    return Record(offset, version[1], fields, int(length), stream)


def opening(raw: RawFile, at: int) -> bytes:
    """Return how the data of a gzip member begins; nothing if none begins here."""
    try:
        data: bytes = isal_zlib.decompressobj(GZIP_WINDOW).decompress(raw.slice(at, OPENING), OPENING)
    except ERROR:
        return b""
    return data


def form(raw: RawFile) -> Literal["gzip", "plain", ""]:
    """Return how a WARC file is written; empty if its beginning is not that of one."""
    begin = bytes(raw.slice(0, len("WARC/")))
    if begin == b"WARC/":
        return "plain"
    # Nothing but the beginning of a first record may have reached the disk.
    if begin[:2] == GZIP[:2] and b"WARC/".startswith(opening(raw, 0)[:5]):
        return "gzip"
    return ""


def own_id(raw: RawFile) -> bytes:
    """Return the id of the ``warcinfo`` that opens a file of ours, which all its records name; else nothing."""
    first = opening(raw, 0) or bytes(raw.slice(0, OPENING))
    found = re.search(rb"\nWARC-Record-ID: (<[^>\r\n]+>)", first)
    return found[1] if found and b"\nsoftware: " + SOFTWARE.encode() in first else b""


def next_member(raw: RawFile, at: int) -> int:
    """Return where the next gzip member begins that opens a WARC record; -1 if nowhere."""
    own = raw.own()
    while (at := raw.find(GZIP, at)) >= 0:
        begin = opening(raw, at)
        if begin.startswith(b"WARC/") and own in begin:
            return at
        at += 1
    return -1


class Walk:
    """The records of an open file from an offset on, and what is damaged between them."""

    def __init__(self, raw: RawFile, start: int = 0) -> None:
        self.raw, self.start = raw, start
        #: Where the walk is.
        self.offset = start
        self.wasted = 0

    def __iter__(self) -> Iterator[Record | Damage]:
        """Yield records by their headers, and damage. A record's block is there until the next step."""
        try:
            kind = form(self.raw)
            if kind == "gzip":
                # A record without an offset of its own is found by walking to it.
                yield from self._members(self.start if self.raw.slice(self.start, 2) == GZIP[:2] else 0)
            elif kind == "plain":
                yield from self._records(Stream(Plain(self.raw, self.start), self.start), 0)
            elif ".warc" in self.raw.path.name and (member := next_member(self.raw, 1)) > 0:
                yield Damage(self.raw.path, 0, "damaged: no WARC record begins here")
                yield from self._members(max(member, self.start))
            else:
                yield Damage(self.raw.path, 0, "not a WARC file" if self.raw.size else "not a WARC file: it is empty")
        except Broken as error:
            yield Damage(self.raw.path, self.offset, str(error))

    def _members(self, position: int) -> Iterator[Record | Damage]:
        """Walk through gzip members."""
        while position >= 0 and self.raw.slice(position, 1):
            stream = yield from self._records(Stream(Gunzip(self.raw, position)), position)
            if stream.source.whole:
                position = stream.source.at
            else:
                self._waste(stream.source.at - position)
                position = next_member(self.raw, position + 1)

    def _records(self, stream: Stream, base: int) -> Generator[Record | Damage, None, Stream]:
        """Walk through a gzip member, or through a plain file; return the stream as it was left."""
        number = 0
        while True:
            offset = self.offset = base + number if stream.compressed else stream.position
            record, problem, after = None, None, stream.position + 1
            try:
                stream.skip_newlines()
                if not stream.ahead(1):
                    return stream
                offset = offset if stream.compressed else stream.position
                record = parsed(stream.head(), offset, stream)
            except Broken as error:
                problem = error
            if record:
                after = stream.position
                if offset >= self.start:
                    yield record
                if record.end < 0 and not record.broken:
                    record.read(len)
                problem = record.broken
            if problem:
                if problem.reach == "file":
                    raise problem
                if offset >= self.start:
                    yield Damage(self.raw.path, offset, str(problem))
                # In a member of its own the record is all there is.
                own_member = stream.compressed and base > 0 and number == 0
                if problem.reach == "member":
                    return stream
                if own_member or not self._next_record(stream, base, after):
                    stream.drain()
                    return stream
            number += 1

    def _next_record(self, stream: Stream, base: int, after: int) -> bool:
        """Turn a stream back behind a header, and go on to the next record; tell whether there is one."""
        self._waste(stream.source.at - (base if stream.compressed else after))
        own = self.raw.own()
        try:
            if stream.compressed:
                stream.restart(Gunzip(self.raw, base), 0)
                for _ in stream.take(after):
                    pass
            else:
                stream.restart(Plain(self.raw, after), after)
            while stream.find(RECORD):
                if own in stream.ahead(OPENING):
                    return True
                stream.pos += 1
        except Broken as error:
            if error.reach == "file":
                raise
        return False

    def _waste(self, size: int) -> None:
        """Count bytes that were looked at in vain; raise Broken if they are too many."""
        self.wasted += size
        if self.wasted > PATIENCE * self.raw.size + BUFFER:
            raise Broken("too much damage: what follows is not looked at", "file")
