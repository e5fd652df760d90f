"""Checks WARC files strictly: gzip members, structure, fields, digests, and that originals of revisits are there.

Memory is bounded, however large a record is.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from newsarchive.warc.digest import known, named, same
from newsarchive.warc.message import END_OF_HEAD, header, parse_head
from newsarchive.warc.reader import WarcError, moment, record_at, refers_to
from newsarchive.warc.stream import RawFile
from newsarchive.warc.walk import Damage, Record, Walk

__all__ = ["check"]

VERSIONS = ("0.17", "0.18", "1.0", "1.1")
MANDATORY = ("WARC-Type", "WARC-Record-ID", "WARC-Date")
#: Types of records that are about an address.
ADDRESSED = ("response", "request", "revisit", "resource", "conversion", "continuation")
#: Bytes in which the head of a message must end.
MAX_HEAD = 1 << 20


def check(file: Path) -> Iterator[Damage]:
    """Yield what is wrong with a WARC file, in order; nothing if all is right. Raises OSError if there is none."""
    with RawFile(file) as raw:
        for record in Walk(raw):
            if isinstance(record, Damage):
                yield record
                continue
            block = Block(record)
            if record.read(block.take):
                for problem in problems(record, block, file):
                    yield Damage(file, record.offset, problem)


class Block:
    """The block of a record as it passes: its digests, and the head of its message."""

    def __init__(self, record: Record) -> None:
        self.stated = record.fields.get("warc-block-digest", "")
        self.stated_payload = record.fields.get("warc-payload-digest", "") if record.type != "revisit" else ""
        self.block, self.payload = hasher(self.stated), hasher(self.stated_payload)
        self.message = record.fields.get("content-type", "").lower().startswith("application/http")
        self.head = b""
        self.inside = not self.message

    def take(self, piece: memoryview) -> None:
        """Take the next piece."""
        if self.block:
            self.block.update(piece)
        if not self.inside:
            self.head += piece
            end = END_OF_HEAD.search(self.head)
            if not end and len(self.head) <= MAX_HEAD:
                return
            self.inside = True
            begin = end.end() if end else len(self.head)
            piece, self.head = memoryview(self.head)[begin:], self.head[:begin]
        if self.payload:
            self.payload.update(piece)

    def chunked(self) -> bool:
        """Tell whether the payload may be in chunks, which some tools leave out of its digest."""
        try:
            return "chunked" in header(parse_head(self.head.rstrip())[1], "transfer-encoding").lower()
        except ValueError:
            return False

    def problems(self) -> Iterator[str]:
        """Yield which digests are wrong."""
        wrong = self.block is not None and not same(self.stated, self.block.digest())
        if wrong:
            yield "the block's digest is wrong"
        if self.payload is None or same(self.stated_payload, self.payload.digest()):
            return
        if wrong or self.block is None or not self.chunked():
            yield "the payload's digest is wrong"


def hasher(stated: str) -> "hashlib._Hash | None":
    """Return what computes a digest like the stated one; None if none is stated or it is of no known kind."""
    return hashlib.new(named(stated), usedforsecurity=False) if known(stated) else None


def problems(record: Record, block: Block, file: Path) -> Iterator[str]:
    """Yield what is wrong with a whole record."""
    fields = record.fields
    if record.version not in VERSIONS:
        yield f"unknown version: {record.version}"
    for name in MANDATORY:
        if not fields.get(name.lower()):
            yield f"no {name}"
    if record.type in ADDRESSED and not fields.get("warc-target-uri"):
        yield "no WARC-Target-URI"
    try:
        moment(fields.get("warc-date") or "1970")
    except (ValueError, OverflowError):
        yield f"WARC-Date is no time: {fields['warc-date'][:40]!r}"
    if record.loose:
        yield "not one blank line follows the block"
    yield from block.problems()
    if record.type == "response" and block.message:
        try:
            parse_head(block.head.rstrip())
        except ValueError as error:
            yield str(error)
    if record.type == "revisit":
        yield from lost(record, file)


def lost(record: Record, file: Path) -> Iterator[str]:
    """Yield whether the response that a revisit names by file and offset is not there."""
    original = refers_to(record.fields)
    if not original:
        return
    name, offset = original
    try:
        found = record_at(file.with_name(name), offset)
    except WarcError as error:
        # One that lies elsewhere and cannot be had now is for that file to tell.
        if not error.away:
            yield f"its original is not there: {error}"
        return
    if found.get("warc-payload-digest") != record.fields.get("warc-payload-digest"):
        yield f"its original has another body: {name}, offset {offset}"
