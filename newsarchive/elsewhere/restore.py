"""Capture files brought back into the archive from where they were moved, and notes made again from what lies there."""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from newsarchive.elsewhere.moved import CLOSED, Moved, NoNote, closed_files, note_of, remove_note, write_note
from newsarchive.elsewhere.place import Place
from newsarchive.elsewhere.prune import NotMoved, examined
from newsarchive.elsewhere.reached import Absent
from newsarchive.files import make_folder, streamed_file, sync_file, sync_folder
from newsarchive.lock import hold
from newsarchive.store import lock_file
from newsarchive.warc import Damage

__all__ = ["Adoption", "Restoring"]

#: What a folder of captures may be called; an object store may have anything else.
PUBLISHER = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class Restoring:
    """Brings files back; what lies elsewhere stays there."""

    archive: Path
    #: Called with the bytes that were read since the last call.
    advance: Callable[[int], None] = lambda _: None

    def files(self, publisher: str) -> list[Path]:
        """Return the files of a publisher that have a note, also one that is none."""
        return [file for file in closed_files(self.archive / "captures" / publisher) if _noted(file)]

    def bring_back(self, file: Path) -> Moved | None:
        """Bring a file back, and remove its note, which is returned; None if another process has just done that.

        Raises NotMoved, Away, Locked, and OSError.
        """
        try:
            note = note_of(file)
        except NoNote as error:
            raise NotMoved(f"its note {error}: scrapy prune --adopt URL writes it again") from error
        if note is None:
            return None
        if not file.exists():
            with streamed_file(file) as out:
                for chunk in self.bytes(note):
                    out.write(chunk)
        if not _is(file, note):
            raise NotMoved(f"what is here is not what was moved to {note.url}: move it elsewhere, and restore again")
        # Whoever put it here may have been killed before that was safe.
        sync_file(file)
        sync_folder(file.parent)
        with hold(lock_file(self.archive, file.parent.name)):
            remove_note(file)
        return note

    def bytes(self, note: Moved) -> Iterator[bytes]:
        """Yield the bytes of a file, and raise at their end if they are not those that were moved."""
        digest = hashlib.sha256()
        place = Place(note.folder)
        found = place.info(note.name)
        if found is None:
            raise Absent(f"{note.url} is not there any more")
        if found[0] == note.size:
            for chunk in place.chunks(note.name, note.size):
                digest.update(chunk)
                self.advance(len(chunk))
                yield chunk
        if digest.hexdigest() != note.sha256:
            raise NotMoved(f"what lies at {note.url} is not what was moved: its SHA-256 is another")


@dataclass(frozen=True)
class Adoption:
    """Notes capture files that lie at a place and that the archive lacks, as ``Pruning`` leaves them there."""

    archive: Path
    place: Place
    #: Called with the bytes that were read since the last call.
    advance: Callable[[int], None] = lambda _: None

    def publishers(self) -> list[str]:
        """Return the publishers of which the place has captures; raise Away."""
        return sorted(name for name in self.place.listed("captures", "directory") if PUBLISHER.fullmatch(name))

    def files(self, publisher: str) -> dict[Path, int]:
        """Return the files that the place has of a publisher, by where they belong here, with sizes; raise Away."""
        folder = self.archive / "captures" / publisher
        listed = self.place.listed(f"captures/{publisher}")
        return {folder / name: listed[name][0] for name in sorted(listed) if CLOSED.fullmatch(name)}

    def adopt(self, file: Path) -> Moved | None:
        """Note a file of the place; return the note, None if the archive has the file or the note.

        The file is read whole. Raises NotMoved if it is damaged, or another than is known; Away, Locked, and OSError.
        """
        name = f"captures/{file.parent.name}/{file.name}"
        held = _held(file)
        found = self.place.info(name)
        if file.exists() or found is None or (held and (held.url, held.size) == (self.place.url_of(name), found[0])):
            return None
        about, damage = self.read(file, name, found[0])
        note = replace(about, etag=found[1])
        known = {self.place.digest_of(name), held.sha256 if held else ""} - {""}
        if known - {note.sha256}:
            raise NotMoved(f"what lies at {note.url} is not what was moved: its SHA-256 is another")
        if damage and not known:
            raise NotMoved(f"what lies at {note.url} is damaged at offset {damage.offset}: {damage.problem}")
        make_folder(file.parent)
        with hold(lock_file(self.archive, file.parent.name)):
            write_note(file, note)
        return note

    def read(self, file: Path, name: str, size: int) -> tuple[Moved, Damage | None]:
        """Return what is to be noted of a file, and what is wrong with it; it is copied here for the moment."""
        with TemporaryDirectory(prefix="newsarchive-") as folder:
            copy = Path(folder, file.parent.name, file.name)
            copy.parent.mkdir()
            with copy.open("wb") as out:
                for chunk in self.place.chunks(name, size):
                    self.advance(len(chunk))
                    out.write(chunk)
            return examined(copy, self.place.url_of(name), beside=file)


def _noted(file: Path) -> bool:
    try:
        return note_of(file) is not None
    except NoNote:
        return True


def _held(file: Path) -> Moved | None:
    try:
        return note_of(file)
    except NoNote:
        return None


def _is(file: Path, note: Moved) -> bool:
    """Tell whether a file has the bytes that a note tells of."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() == note.sha256
