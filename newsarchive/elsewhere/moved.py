"""Capture files that lie elsewhere, each with a note where it was: ``captures/cna/….warc.gz.moved``.

A note says in JSON where the file lies, and what its bytes are. It keeps the
file's place: whoever reads captures finds it there, and reads the bytes where they
lie (``newsarchive.elsewhere.reached``). A note holds nothing secret, and nothing that the
place elsewhere could not tell: ``scrapy prune --adopt`` writes it again. Where
file and note are both there, a move was cut short, and the file is what counts.
"""

import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from newsarchive.files import replace_file, sync_folder

__all__ = [
    "CLOSED",
    "MOVED",
    "Kept",
    "Moved",
    "NoNote",
    "closed_files",
    "is_moved",
    "kept",
    "note_of",
    "size_of",
    "write_note",
]

#: Follows the name of a file in that of its note.
MOVED = ".moved"
#: Names of closed WARC files.
CLOSED = re.compile(r"[^./\x00-\x1f][^/\x00-\x1f]*\.warc\.gz")
SHA256 = re.compile(r"[0-9a-f]{64}")


class NoNote(ValueError):
    """Says which note cannot be read, and why."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What a note says of a file."""

    #: Where it lies, as fsspec has it; without anything secret.
    url: str
    #: Bytes.
    size: int
    #: SHA-256 of them, in hexadecimal.
    sha256: str
    #: How many captures are in it.
    captures: int
    #: When the oldest and the newest of them were made, as ISO 8601 in UTC; empty if there is none.
    first: str = ""
    last: str = ""
    #: What the store called the content when it was written; empty where it names none.
    etag: str = ""

    def bytes(self) -> bytes:
        """Return the note's content."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2) + b"\n"

    @property
    def folder(self) -> str:
        """Return where the folder of the file lies."""
        return self.url.rpartition("/")[0]

    @property
    def key(self) -> str:
        """Return what no other content has."""
        return f"{self.sha256} {self.url}"

    @property
    def name(self) -> str:
        """Return the name of the file where it lies."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Kept:
    """How many closed capture files there are of a publisher, and how many bytes they have."""

    here: int = 0
    bytes_here: int = 0
    #: Those that lie elsewhere; their bytes as their notes say.
    elsewhere: int = 0
    bytes_elsewhere: int = 0


def note_file(file: Path) -> Path:
    """Return where the note of a capture file lies."""
    return file.with_name(file.name + MOVED)


def is_moved(file: Path) -> bool:
    """Tell whether a capture file has a note and is not here."""
    return not file.exists() and note_file(file).is_file()


def note_of(file: Path) -> Moved | None:
    """Return the note of a capture file; None if there is none. Raises NoNote, and OSError."""
    try:
        content = note_file(file).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return _parsed(orjson.loads(content))
    except (ValueError, TypeError, KeyError) as error:
        told = f"{type(error).__name__}: {error}"
        raise NoNote(f"does not say where {file.name} was moved ({told})") from error


def _parsed(told: dict[str, Any]) -> Moved:
    note = Moved(**told)
    if not (isinstance(note.url, str) and "/" in note.url):
        raise ValueError(f"no address: {note.url!r}")
    if not (isinstance(note.size, int) and note.size >= 0 and SHA256.fullmatch(note.sha256)):
        raise ValueError("no size, or no SHA-256")
    for moment in filter(None, (note.first, note.last)):
        datetime.fromisoformat(moment)
    return note


def write_note(file: Path, note: Moved) -> None:
    """Write the note of a capture file, whole and synced; raise OSError."""
    replace_file(note_file(file), note.bytes())
    sync_folder(file.parent)


def remove_note(file: Path) -> None:
    """Remove the note of a capture file, if there is one."""
    note_file(file).unlink(missing_ok=True)
    sync_folder(file.parent)


def closed_files(folder: Path) -> list[Path]:
    """Return the closed WARC files of a folder by name, whether they lie here or elsewhere; none without a folder."""
    names: set[str] = set()
    with suppress(FileNotFoundError, NotADirectoryError):
        names.update(file.name.removesuffix(MOVED) for file in folder.iterdir())
    return [folder / name for name in sorted(names) if CLOSED.fullmatch(name)]


def size_of(file: Path) -> int:
    """Return the bytes of a capture file, here or elsewhere; 0 if it has a note that is none. Raises OSError."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        with suppress(NoNote):
            # It may have come back meanwhile.
            return note.size if (note := note_of(file)) else file.stat().st_size
        return 0


def kept(archive: Path, publisher: str) -> Kept:
    """Return how many closed capture files there are of a publisher, here and elsewhere, without asking anybody."""
    here, elsewhere = list[int](), list[int]()
    for file in closed_files(archive / "captures" / publisher):
        with suppress(FileNotFoundError):
            (elsewhere if is_moved(file) else here).append(size_of(file))
    return Kept(len(here), sum(here), len(elsewhere), sum(elsewhere))
