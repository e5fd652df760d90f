"""What places say of capture files that were moved there, without reading any: whether they are there, as they were."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from rich.filesize import decimal

from newsarchive.elsewhere.moved import Moved

__all__ = ["Afar", "State"]


class State(Enum):
    """What a place says of a file."""

    AS_IT_WAS = "as it was, by size and ETag"
    CHANGED = "another ETag"
    WRONG = "not there, or of another size"
    UNREACHED = "nobody knows"


@dataclass
class Afar:
    """Asks each folder once what it holds."""

    #: Files in a folder by name with size and ETag, or why it cannot be asked.
    folders: dict[str, Mapping[str, tuple[int, str]] | str] = field(default_factory=dict)
    #: Bytes of each file that was asked for in a folder that cannot be asked.
    silent: dict[str, list[int]] = field(default_factory=dict)

    def state(self, note: Moved) -> tuple[State, str]:
        """Return what the place says of a file, and what is wrong with it in words."""
        if note.folder not in self.folders:
            self.folders[note.folder] = files_in(note.folder)
        files = self.folders[note.folder]
        if isinstance(files, str):
            self.silent.setdefault(note.folder, []).append(note.size)
            return State.UNREACHED, files
        found = files.get(note.name)
        if found is None:
            return State.WRONG, f"was moved to {note.folder}, and is not there any more"
        size, etag = found
        if size != note.size:
            return State.WRONG, f"was moved to {note.folder} with {note.size} bytes, and has {size} there now"
        return State.CHANGED if etag and note.etag and etag != note.etag else State.AS_IT_WAS, ""

    def unreached(self) -> Iterator[str]:
        """Yield of each folder that could not be asked what lies there, and why it could not; forget them."""
        for folder, sizes in self.silent.items():
            files = "1 capture file" if len(sizes) == 1 else f"{len(sizes)} capture files"
            yield f"{files} ({decimal(sum(sizes))}) in {folder} cannot be had now: {self.folders[folder]}"
        self.silent.clear()


def files_in(folder: str) -> Mapping[str, tuple[int, str]] | str:
    """Return the files in a folder elsewhere by name, with size and ETag, or why it cannot be asked."""
    # Few archives need it, and it takes its time to import.
    from newsarchive.elsewhere.place import Place
    from newsarchive.elsewhere.reached import Away

    try:
        return Place(folder).listed()
    except Away as error:
        return str(error)
