"""Closes a WARC file that its writer left open: cut to its last whole record, and given its name."""

import os
from dataclasses import dataclass
from pathlib import Path

from newsarchive.warc.open_file import OPEN, sync_folder, unused
from newsarchive.warc.stream import Broken, Gunzip, RawFile, next_member

__all__ = ["Mended", "mend"]

#: Bytes that are looked at for a gap where a member should begin.
GAP = 16


@dataclass(frozen=True, slots=True)
class Mended:
    """What became of a file."""

    #: The closed file. Its name is numbered on if another file had it already; if nothing was left, there is no file.
    file: Path
    #: Bytes that it has.
    size: int
    #: Bytes that were cut off.
    torn: int


def mend(file: Path) -> Mended:
    """Cut ``*.warc.gz.open`` to its last whole gzip member, and take ``.open`` off its name.

    What stands behind damage is kept; not what stands behind a gap of zeros, which
    a power cut leaves where nothing was synced. It can be killed at any point and
    done again. Raises OSError, and ValueError for another name.
    """
    if not file.name.endswith(OPEN):
        raise ValueError(f"{file} is not named *{OPEN}")
    with RawFile(file) as raw:
        size, whole = raw.size, last_end(raw)
    if not whole:
        file.unlink()
        sync_folder(file.parent)
        return Mended(file.with_name(file.name.removesuffix(OPEN)), 0, size)
    descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    try:
        if whole < size:
            os.ftruncate(descriptor, whole)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    name = unused(file.with_name(file.name.removesuffix(OPEN)))
    file.rename(name)
    sync_folder(file.parent)
    return Mended(name, whole, size - whole)


def last_end(raw: RawFile) -> int:
    """Return where the last whole gzip member ends; 0 if there is none. Raises OSError if the disk fails."""
    at = end = 0
    while 0 <= at < raw.size:
        member = Gunzip(raw, at)
        try:
            while member.piece():
                pass
            at = end = member.at
        except Broken as error:
            if error.reach == "file":
                raise OSError(f"{raw.path}, offset {member.at}: {error}") from error
            if not any(raw.slice(at, GAP)):
                break
            at = next_member(raw, at + 1)
    return end
