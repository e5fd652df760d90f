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

import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from newsarchive.warc.stream import BUFFER, GZIP, OPENING, Broken, Gunzip, Plain, RawFile, Stream, form, next_member

__all__ = ["Broken", "Damage", "Fields", "RawFile", "Record", "Walk"]

#: Bytes that may be looked at in vain behind damage, as multiple of the file's size: hostile files end, too.
PATIENCE = 64

RECORD = re.compile(rb"(?:(?<=\n\r\n)|(?<=\n\n))WARC/[01]\.\d")
VERSION = re.compile(r"WARC/(\d{1,3}\.\d{1,3})[ \t]*\r?(?:\n|$)", re.ASCII)
FOLD = re.compile(r"\r?\n[ \t]+")

#: Fields of a record by their lower-case names.
Fields = dict[str, str]


@dataclass(frozen=True, slots=True)
class Damage:
    """Something in a file that cannot be used."""

    file: Path
    #: Bytes before it in the file.
    offset: int
    problem: str
    #: Whether nothing is wrong with it, as far as is known: what it takes lies elsewhere, and cannot be had now.
    away: bool = False


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
            yield Damage(self.raw.path, self.offset, str(error), error.away)

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
