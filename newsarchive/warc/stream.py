"""Bytes of WARC files: from disk, out of gzip members, and piece by piece; and where a WARC record may begin."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

from isal import isal_zlib

from newsarchive.elsewhere.moved import Moved, NoNote, note_of

__all__ = [
    "BUFFER",
    "GZIP",
    "OPENING",
    "SOFTWARE",
    "Broken",
    "Bytes",
    "Gunzip",
    "Plain",
    "RawFile",
    "Stream",
    "form",
    "next_member",
    "opening",
]

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

BLANK = re.compile(rb"\r?\n\r?\n")


class Broken(Exception):
    """Says what is wrong, and how far that reaches: nothing behind it in the record, member or file can be read."""

    def __init__(
        self, problem: str, reach: Literal["record", "member", "file"] = "record", *, away: bool = False
    ) -> None:
        super().__init__(problem)
        self.reach = reach
        #: Whether nothing is wrong with the bytes, as far as is known: they lie elsewhere, and cannot be had now.
        self.away = away


class Bytes(Protocol):
    """The bytes of a file by position, wherever they lie."""

    size: int

    @property
    def differ(self) -> bool:
        """Tell whether all were read in order, and are not those that they are known to have been."""

    def read(self, at: int, size: int) -> bytes:
        """Return bytes from a position, fewer only at the end of the file; raise OSError."""

    def close(self) -> None:
        """Let go of the file."""


class OnDisk:
    """The bytes of a file that is here."""

    differ = False

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def read(self, at: int, size: int) -> bytes:
        """Return bytes from a position, fewer only at the end of the file; raise OSError."""
        return os.pread(self.descriptor, size, at)

    def close(self) -> None:
        """Close the file."""
        os.close(self.descriptor)


class Nowhere:
    """The bytes of a file that was moved, nobody can say where."""

    differ = False

    def __init__(self, why: NoNote) -> None:
        self.why, self.size = why, 0

    def read(self, at: int, size: int) -> bytes:
        """Raise OSError."""
        raise OSError(f"its note {self.why}; scrapy prune --adopt URL writes it again")

    def close(self) -> None:
        """Let go of nothing."""


class RawFile:
    """A file's bytes by position, also while it is being written and has ``.open`` after its name, or was moved.

    Use it in a ``with`` statement. Raises OSError if there is no such file.
    """

    def __init__(self, path: Path) -> None:
        self.bytes = opened(path)
        self.path = path
        self.size = self.bytes.size
        self.data, self.start, self.ends = b"", 0, False
        self._own: bytes | None = None

    def __enter__(self) -> Self:
        """Return the file."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close the file."""
        self.bytes.close()

    def slice(self, at: int, size: int) -> memoryview:
        """Return bytes from a position, fewer only at the end of the file; raise Broken if the disk gives none."""
        if at < self.start or (at + size > self.start + len(self.data) and not self.ends):
            # Little for a look at one place, more and more for reading on.
            reading_on = self.start <= at <= self.start + len(self.data)
            wanted = max(size, min(BUFFER, 2 * len(self.data))) if reading_on else size
            try:
                self.data = self.bytes.read(at, wanted)
            except OSError as error:
                away = not isinstance(self.bytes, OnDisk)
                problem = "lies elsewhere, and cannot be had now" if away else "cannot be read"
                raise Broken(f"{problem}: {error.strerror or error}", "file", away=away) from error
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


def opened(path: Path) -> Bytes:
    """Return what reads a file, under its name, while that still has ``.open`` after it, or where it was moved."""
    # A pipe must not make anybody wait.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    # It may be renamed between two tries.
    for name in (path, path.with_name(path.name + ".open")):
        with suppress(FileNotFoundError):
            return OnDisk(os.open(name, flags))
    try:
        note = note_of(path)
    except NoNote as error:
        return Nowhere(error)
    return read_elsewhere(note) if note else OnDisk(os.open(path, flags))


def read_elsewhere(note: Moved) -> Bytes:
    """Return what reads a file that was moved."""
    # Few archives need it, and it takes its time to import.
    from newsarchive.elsewhere.reached import Elsewhere

    return Elsewhere(note)


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
