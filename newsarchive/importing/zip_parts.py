"""Zip files in parts: once the directory of one is in memory, each member takes most of a kilobyte.

A part is the same file with another directory behind its members, which names some thousands of them. The layout is
that of PKWARE's "ZIP File Format Specification" 6.3, sections 4.3.12 to 4.3.16.
"""

import io
import os
import sqlite3
import struct
import zipfile
from collections.abc import Iterator
from contextlib import closing
from typing import IO, TYPE_CHECKING, NamedTuple

from newsarchive.page import is_utf8

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["parts"]

#: Members that a part names.
MEMBERS = 5_000
#: What a directory says of a member: flags, lengths of name, extra field and comment; the name follows.
HEADER = struct.Struct("<4s4xH18x3H12x")
#: The end of a directory: its disks, how many it names here and in all, its size and offset, the length of a comment.
END = struct.Struct("<4s4H2LH")
#: The same for large files: its own size, versions, disks, how many it names here and in all, its size and offset.
END64 = struct.Struct("<4sQ2H2L4Q")
#: Where that is: its disk and offset, the number of disks.
LOCATOR = struct.Struct("<4sLQL")
LONGEST_COMMENT = (1 << 16) - 1
#: The flag that says that a name is written in UTF-8.
UTF8 = 1 << 11


class _Directory(NamedTuple):
    """Where the directory of a zip file lies; what the file states of that is less where something precedes it."""

    start: int
    size: int
    stated: int


def parts(file: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    """Yield zip files that together hold the members of one, by name.

    A part is to be read before the next one is asked for. Raises BadZipFile for what is no zip file, and where its
    directory is damaged, once there are no more members that it names before.
    """
    directory = _directory(file)
    # An empty name stands for a file that SQLite removes, and in which it keeps what has no place in memory.
    with closing(sqlite3.connect("")) as told:
        told.execute("CREATE TABLE headers (name BLOB, number INTEGER, header BLOB, PRIMARY KEY (name, number))")
        damage = None
        try:
            told.executemany("INSERT INTO headers VALUES (?, ?, ?)", _headers(file, directory))
        except zipfile.BadZipFile as error:
            damage = error
        found = told.execute("SELECT header FROM headers ORDER BY name, number")
        while headers := [header for (header,) in found.fetchmany(MEMBERS)]:
            with zipfile.ZipFile(io.BufferedReader(_Part(file, directory, headers))) as part:
                yield part
    if damage:
        raise damage


def _directory(file: IO[bytes]) -> _Directory:
    """Return where the directory of a zip file lies; raise BadZipFile if there is none."""
    length = file.seek(0, os.SEEK_END)
    before = file.seek(max(length - END.size - LONGEST_COMMENT - LOCATOR.size - END64.size, 0))
    tail = file.read()
    end = tail.rfind(b"PK\5\6")
    if end < 0 or len(tail) < end + END.size:
        raise zipfile.BadZipFile("no directory at its end")
    *_, size, stated, _ = END.unpack_from(tail, end)
    large = end - LOCATOR.size - END64.size
    if large >= 0 and (tail[large:][:4], tail[end - LOCATOR.size :][:4]) == (b"PK\6\6", b"PK\6\7"):
        *_, size, stated = END64.unpack_from(tail, large)
        end = large
    if (start := before + end - size) < 0:
        raise zipfile.BadZipFile("its directory is cut off")
    return _Directory(start, size, stated)


def _headers(file: IO[bytes], directory: _Directory) -> Iterator[tuple[bytes, int, bytes]]:
    """Yield name, number and header of each member as the directory has them; raise BadZipFile if it is damaged."""
    file.seek(directory.start)
    left, number = directory.size, 0
    while left > 0:
        fixed = file.read(HEADER.size)
        if len(fixed) < HEADER.size or not fixed.startswith(b"PK\1\2"):
            raise zipfile.BadZipFile(f"its directory is damaged; the {number} members that it names before were read")
        _, flags, name_length, *lengths = HEADER.unpack(fixed)
        name, rest = file.read(name_length), file.read(sum(lengths))
        if flags & UTF8 and not is_utf8(name):
            # Of what is none, any name may be made, but the members beside it shall not be lost.
            fixed = fixed[:8] + (flags & ~UTF8).to_bytes(2, "little") + fixed[10:]
        yield name, number, fixed + name + rest
        left -= len(fixed) + name_length + sum(lengths)
        number += 1


class _Part(io.RawIOBase):
    """A zip file that ends where its directory begins, with a directory of some of its members behind."""

    def __init__(self, file: IO[bytes], directory: _Directory, headers: list[bytes]) -> None:
        self.file, self.start, self.at = file, directory.start, 0
        count, named = len(headers), b"".join(headers)
        large = END64.pack(b"PK\6\6", END64.size - 12, 45, 45, 0, 0, count, count, len(named), directory.stated)
        located = LOCATOR.pack(b"PK\6\7", 0, self.start + len(named), 1)
        # The highest figures refer to the record for large files.
        end = END.pack(b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
        self.tail = named + large + located + end

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be read anywhere."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to an offset, and return it as counted from the start."""
        base = (0, self.at, self.start + len(self.tail))[whence]
        if base + offset < 0:
            raise OSError("an offset before the file")
        self.at = base + offset
        return self.at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill a buffer as far as members or directory go, and return how many bytes that were."""
        room = memoryview(buffer)
        if self.at < self.start:
            self.file.seek(self.at)
            content = self.file.read(min(len(room), self.start - self.at))
        else:
            at = self.at - self.start
            content = self.tail[at : at + len(room)]
        room[: len(content)] = content
        self.at += len(content)
        return len(content)
