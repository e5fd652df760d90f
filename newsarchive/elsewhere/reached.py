"""Capture files that were moved, read where they lie: folders, S3, SFTP and whatever else fsspec knows.

Options and credentials are fsspec's own: its configuration files, ``FSSPEC_…`` and
``AWS_…`` in the environment, ``~/.aws``. Nothing of that is kept in the archive.

What has been moved is read piece by piece; some pieces are kept in memory, as one
capture is often read after its neighbour. Where something cannot be reached,
nobody is kept waiting again for a minute.
"""

import hashlib
import os
import re
import threading
from collections import OrderedDict
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from fsspec import available_protocols, registry
from fsspec.core import url_to_fs

from newsarchive.elsewhere.moved import Moved

__all__ = [
    "Absent",
    "Away",
    "Elsewhere",
    "Refusal",
    "Unreachable",
    "away",
    "file_system",
    "place_url",
    "redacted",
    "told",
]

#: Bytes of a piece, and pieces in memory; half as many are asked for at once when a file is read on and on.
PIECE, PIECES = 256 << 10, 64
#: Seconds for which what could not be reached is not tried again.
PATIENCE = 60
SCHEME = re.compile(r"(?P<protocol>[a-z][a-z0-9+.-]*)://", re.IGNORECASE)
LOCAL = ("file", "local")
#: What stands before the host of an address may be a password.
USER = re.compile(r"(?<=://)[^\s@]*:\S*@")


class Away(OSError):
    """Says that bytes which lie elsewhere cannot be had now, and why."""


class Unreachable(Away):
    """Says that a place cannot be asked."""


class Absent(Away):
    """Says that a place can be asked, and has no such file."""


class Refusal(ValueError):
    """Says why an address is none of a place to keep captures at."""


def place_url(text: str) -> str:
    """Return the address of a place, as notes have it: a local folder becomes ``file://`` and its whole path.

    Raises Refusal: a password does not belong there, nor do options.
    """
    match = SCHEME.match(text)
    if not match or match["protocol"].lower() in LOCAL:
        # A link is left as it is: it may lead to another disk one day.
        return f"file://{os.path.normpath(Path(text[match.end() :] if match else text).absolute())}"
    shown = redacted(text)
    if shown != text:
        raise Refusal(
            f"{shown}: a password in an address would be kept, and seen by others: leave it out,"
            " and set it in fsspec's configuration (~/.config/fsspec/) or in the environment"
        )
    if "::" in text or "?" in text or "#" in text:
        shown = re.split(r"[?#]|::", text)[0]
        raise Refusal(f"{shown}: name a folder alone; options belong in fsspec's configuration (~/.config/fsspec/)")
    if match["protocol"].lower() not in {*available_protocols(), *registry}:
        raise Refusal(f"{text}: no kind of place is called {match['protocol']!r}: name a folder, or s3://, sftp://, …")
    return text.rstrip("/")


def redacted(text: str) -> str:
    """Return text without user and password before a host."""
    return USER.sub("", text)


def told(error: BaseException) -> str:
    """Return what an error says, on one line, without passwords."""
    said = re.sub(r"[\x00-\x1f\x7f-\x9f\s]+", " ", redacted(str(error))).strip()
    return f"{type(error).__name__}: {said[:300]}" if said else type(error).__name__


#: What could not be reached, since when and why.
_down: dict[str, tuple[float, str]] = {}


def file_system(url: str) -> tuple[Any, str]:
    """Return the file system of an address, and the path there; raise Unreachable."""
    since, why = _down.get(_root(url), (0.0, ""))
    if why and monotonic() - since < PATIENCE:
        raise Unreachable(why)
    try:
        fs, path = url_to_fs(url)
    except Exception as error:
        raise away(url, error) from error
    return fs, path


def away(url: str, error: BaseException) -> Away:
    """Return what to raise for an error that a file system gave for a file, each in its own words.

    Where not even the folder is there, as when a disk is not mounted, nothing was reached.
    """
    if isinstance(error, Away):
        return error
    if not isinstance(error, FileNotFoundError):
        # A disk answers at once, and may fail for one file alone.
        if not _root(url).startswith("file:"):
            _down[_root(url)] = monotonic(), told(error)
        return Unreachable(told(error))
    folder = url.rpartition("/")[0]
    try:
        fs, path = file_system(folder)
        there = fs.exists(path)
    except Exception as other:  # noqa: BLE001 - each kind of place fails in its own way
        return other if isinstance(other, Away) else Unreachable(told(other))
    return Absent(f"{redacted(url)} is not there") if there else Unreachable(f"there is no {redacted(folder)}")


def _root(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class Pieces:
    """Pieces of files that were read last, of all files together."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pieces: OrderedDict[tuple[str, int], bytes] = OrderedDict()

    def get(self, file: str, number: int) -> bytes | None:
        """Return a piece of a file; None if it is not at hand."""
        with self.lock:
            if (file, number) in self.pieces:
                self.pieces.move_to_end((file, number))
            return self.pieces.get((file, number))

    def put(self, file: str, number: int, piece: bytes) -> None:
        """Keep a piece, and let go of the one that was not used for longest."""
        with self.lock:
            self.pieces[file, number] = piece
            while len(self.pieces) > PIECES:
                self.pieces.popitem(last=False)


_pieces = Pieces()


class Elsewhere:
    """The bytes of a file that was moved, by position."""

    def __init__(self, note: Moved) -> None:
        self.note, self.size = note, note.size
        self._hash, self._hashed = hashlib.sha256(), 0
        #: How many pieces were asked for at once, and which would be next.
        self._ahead, self._next = 1, 0

    def read(self, at: int, size: int) -> bytes:
        """Return bytes from a position, fewer only at the end; raise Away."""
        end = min(at + size, self.size)
        if at >= end:
            return b""
        first, last = at // PIECE, (end - 1) // PIECE
        found = b"".join(self._piece(number, last - number + 1) for number in range(first, last + 1))
        return found[at - first * PIECE : end - first * PIECE]

    def _piece(self, number: int, wanted: int) -> bytes:
        """Return a piece, the first of so many; one that is not at hand is asked for with those that may be next."""
        piece = _pieces.get(self.note.key, number)
        if piece is None:
            # Little for a look at one place, more and more for reading on.
            self._ahead = min(2 * self._ahead, PIECES // 2) if number == self._next else 1
            ahead = max(wanted, self._ahead)
            fetched = self._fetch(number * PIECE, min((number + ahead) * PIECE, self.size))
            piece = fetched[:PIECE]
            for at in range(0, len(fetched), PIECE):
                _pieces.put(self.note.key, number + at // PIECE, fetched[at : at + PIECE])
            self._next = number + ahead
        self._take(number, piece)
        return piece

    def _fetch(self, start: int, end: int) -> bytes:
        fs, path = file_system(self.note.url)
        try:
            data: bytes = fs.cat_file(path, start=start, end=end)
        except Exception as error:
            raise away(self.note.url, error) from error
        if len(data) != end - start:
            raise Absent(f"{redacted(self.note.url)} is cut short: it had {self.size} bytes when it was moved")
        return data

    def _take(self, number: int, piece: bytes) -> None:
        """Add a piece to the digest, if all before it are in it."""
        if number * PIECE == self._hashed:
            self._hash.update(piece)
            self._hashed += len(piece)

    @property
    def differ(self) -> bool:
        """Tell whether all bytes were read in order and are not those that were moved."""
        return self._hashed == self.size and self._hash.hexdigest() != self.note.sha256

    def close(self) -> None:
        """Let go of nothing: connections are kept for the next."""
