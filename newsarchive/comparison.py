"""What a capture file holds, strictly checked, and how that differs from what the index has of it."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from newsarchive.warc import Damage
from newsarchive.warc.checker import Block, problems
from newsarchive.warc.message import parse_head
from newsarchive.warc.reader import announced, holds_capture, is_no_response, moment
from newsarchive.warc.reader import target as target_of
from newsarchive.warc.walk import RawFile, Record, Walk

__all__ = ["Compared", "Found", "checked"]


class Found(NamedTuple):
    """What a file or the index says of a capture."""

    offset: int
    publisher: str = ""
    #: Empty for a record that is no capture.
    url: str = ""
    captured: datetime | None = None
    status: int = 0
    digest: str = ""
    kind: str = ""
    announced: datetime | None = None


class Compared:
    """A file's captures in order, as it has them and as the index has them."""

    def __init__(self, rows: Iterator[Found]) -> None:
        self.rows = rows
        self.row = next(rows, None)
        self.count = 0
        self.damaged: set[int] = set()
        self.lost: list[Found] = []
        self.unknown: list[Found] = []
        self.different: list[Found] = []
        #: Where the index has captures of another publisher.
        self.strange: list[int] = []

    def add(self, found: Found) -> None:
        """Take the next capture that the file has."""
        self.count += 1
        self.pass_to(found.offset)
        if self.row is None or self.row.offset != found.offset:
            self.unknown.append(found)
            return
        if self.row.publisher != found.publisher:
            self.strange.append(found.offset)
        elif self.row != found:
            self.different.append(found)
        self.row = next(self.rows, None)

    def pass_to(self, offset: int) -> None:
        """Take what the index has before a position."""
        while self.row and self.row.offset < offset:
            self.lost.append(self.row)
            self.row = next(self.rows, None)

    def end(self) -> None:
        """Take what the index has behind the file's last capture."""
        self.pass_to(1 << 62)


def checked(
    file: Path, publisher: str, start: int = 0, end: int | None = None, *, beside: Path | None = None
) -> Iterator[Found | Damage]:
    """Yield what a publisher's capture file holds between two positions, strictly checked.

    Originals of revisits are looked for beside it, or beside another file.
    """
    with RawFile(file) as raw:
        for record in Walk(raw, start):
            if end is not None and record.offset >= end:
                return
            if isinstance(record, Damage):
                yield record
                continue
            block = Block(record)
            whole = record.read(block.take)
            wrong = list(problems(record, block, beside or file)) if whole else []
            yield from (Damage(file, record.offset, problem) for problem in wrong)
            capture = whole and not wrong and holds_capture(record)
            yield _as_found(record, block, publisher) if capture else Found(record.offset)
        if raw.bytes.differ:
            yield Damage(file, 0, "its bytes are not those that were moved: their SHA-256 is another")


def _as_found(record: Record, block: Block, publisher: str) -> Found:
    """Return what a whole record says of a capture."""
    fields = record.fields
    return Found(
        record.offset,
        publisher,
        target_of(fields),
        moment(fields["warc-date"]),
        200 if is_no_response(record) else parse_head(block.head.rstrip())[0],
        fields.get("warc-payload-digest", ""),
        fields.get("x-newsarchive-kind", ""),
        announced(fields),
    )
