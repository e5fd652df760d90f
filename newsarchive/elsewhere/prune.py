"""Capture files moved out of the archive: stored elsewhere, read back, noted, and only then removed.

A closed capture file never changes, so it is copied without the publisher's lock,
and a run may go on. That lock is held for the last step alone: the note is written
and synced, the file removed. Killed at any point, the file is here, or it is
elsewhere and the note says where; the same command goes on.
"""

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from newsarchive.comparison import checked
from newsarchive.elsewhere.moved import Moved, closed_files, is_moved, write_note
from newsarchive.elsewhere.place import Place
from newsarchive.files import sweep, sync_folder
from newsarchive.index import Index, IndexUnusable
from newsarchive.lock import hold
from newsarchive.store import index_file, lock_file
from newsarchive.warc import Damage

__all__ = ["NotMoved", "Pruning", "SamePlace", "examined", "moving", "prune_lock"]


class NotMoved(Exception):
    """Says why a file stays where it is."""


class SamePlace(Exception):
    """Says that files would be moved to where they are."""


def prune_lock(archive: Path, publisher: str) -> Path:
    """Return what a process must hold that moves a publisher's capture files."""
    return archive / "captures" / publisher / ".prune.lock"


@contextmanager
def moving(archive: Path, publisher: str) -> Iterator[None]:
    """Let nobody else move a publisher's files while the block runs; raise Locked, also if a run is under way."""
    with hold(prune_lock(archive, publisher)):
        with hold(lock_file(archive, publisher)):
            sweep(archive / "captures" / publisher, ".*.tmp")
        yield


@dataclass(frozen=True)
class Pruning:
    """Moves files of an archive to a place whose newest capture is older than some time."""

    archive: Path
    place: Place
    before: datetime
    #: Called with the bytes that were read back since the last call.
    advance: Callable[[int], None] = lambda _: None

    def name(self, file: Path) -> str:
        """Return the name of a capture file in the archive and at the place."""
        return f"captures/{file.parent.name}/{file.name}"

    def candidates(self, publisher: str) -> list[Path]:
        """Return the closed files here that may be old enough, by what the index says of them; else they are read."""
        newest: dict[str, str] = {}
        with suppress(OSError, IndexUnusable, sqlite3.Error), Index(index_file(self.archive), read_only=True) as index:
            newest = index.newest(publisher)
        files = closed_files(self.archive / "captures" / publisher)
        return [file for file in files if file.is_file() and self.is_old(newest.get(self.name(file), ""))]

    def is_old(self, moment: str) -> bool:
        """Tell whether a time is old enough, or not known."""
        return not moment or datetime.fromisoformat(moment) < self.before

    def refuse_archive(self, publisher: str) -> None:
        """Raise SamePlace if the place is the archive itself, by whatever name; the caller holds ``prune_lock``."""
        lock = prune_lock(self.archive, publisher)
        theirs = self.place.content(f"captures/{publisher}/{lock.name}")
        if theirs is not None and theirs == lock.read_bytes():
            raise SamePlace(f"{self.place.url} is the archive itself: nothing would be left of what is moved there")

    def look(self, file: Path) -> Moved:
        """Return what is to be noted of a file, if it may be moved; raise NotMoved, Away, and OSError."""
        about, damage = examined(file, self.place.url_of(self.name(file)))
        if damage:
            told = f"it is damaged at offset {damage.offset}: {damage.problem}"
            raise NotMoved(f"{told}; what is not sound stays here: scrapy verify tells what to do")
        if not self.is_old(about.last):
            raise NotMoved(f"its newest capture is of {about.last}, whatever the index says")
        found = self.place.info(self.name(file))
        if found and found[0] != about.size:
            raise NotMoved(f"another file has its name: {about.url} has {found[0]} bytes, and not {about.size}")
        return about

    def move(self, file: Path) -> Moved | None:
        """Move a file; return its note, None if another process has just moved it.

        Raises NotMoved, Away, Locked, and OSError; then it is still here.
        """
        if is_moved(file):
            return None
        before, name = file.stat(), self.name(file)
        about = self.look(file)
        if self.place.info(name) is None:
            self.place.store(file, name, about.size, about.sha256, self.advance)
        elif not self.place.holds(name, about.size, about.sha256, self.advance):
            raise NotMoved(f"another file has its name: {about.url} has another SHA-256")
        # Whoever put it there may have been killed before that was safe.
        self.place.settle(name)
        self.place.note_digest(name, about.sha256)
        stored = self.place.info(name)
        if stored is None or stored[0] != about.size:
            raise NotMoved(f"it was stored, and is not there any more: {about.url}")
        note = replace(about, etag=stored[1])
        with hold(lock_file(self.archive, file.parent.name)):
            if _marks(file.stat()) != _marks(before):
                raise NotMoved("it has changed meanwhile")
            write_note(file, note)
            file.unlink()
            sync_folder(file.parent)
        return note


def examined(file: Path, url: str, *, beside: Path | None = None) -> tuple[Moved, Damage | None]:
    """Return what is to be noted of a file that is here, and what is wrong with it first; raise OSError.

    Originals of revisits are looked for beside it, or beside another file.
    """
    damage: Damage | None = None
    times: list[datetime] = []
    for found in checked(file, file.parent.name, beside=beside):
        if isinstance(found, Damage):
            damage = damage or found
        elif found.captured:
            times.append(found.captured)
    with file.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
        size = os.fstat(opened.fileno()).st_size
    ends = (_iso(min(times)), _iso(max(times))) if times else ("", "")
    return Moved(url, size, sha256, len(times), *ends), damage


def _marks(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
