"""Files that are whole or not there, and that stay once they are: drafts, renames, and what is synced when."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from secrets import token_hex
from tempfile import NamedTemporaryFile
from typing import BinaryIO, Self

__all__ = [
    "DRAFTS",
    "Drafts",
    "create_file",
    "make_folder",
    "replace_file",
    "streamed_file",
    "sweep",
    "sync_file",
    "sync_folder",
]

#: Names of drafts where other people's files may lie, too; nobody else gives such names.
DRAFTS = "." + "[0-9a-f]" * 16 + ".tmp"


def sync_folder(folder: Path) -> None:
    """Sync a folder, without which a new name in it may be gone after a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(file: Path) -> None:
    """Sync a file that somebody else may have written; raise OSError."""
    descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


#: Folders whose names this process has synced.
_settled: set[Path] = set()


def make_folder(folder: Path) -> None:
    """Create a folder and those above it, each synced into the one above."""
    if folder in _settled:
        return
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
    # Also one that is there already: whoever made it may have been killed before its name was safe.
    sync_folder(folder.parent)
    _settled.add(folder)


@contextmanager
def _draft(folder: Path, content: bytes) -> Iterator[Path]:
    """Write a synced draft in a folder for the block to give it a name; remove it if it has none afterwards."""
    make_folder(folder)
    with NamedTemporaryFile(dir=folder, prefix=".", suffix=".tmp", delete=False) as draft:
        try:
            # Held until the draft has become the file, or its writer is gone.
            flock(draft, LOCK_EX)
            draft.write(content)
            draft.flush()
            os.fchmod(draft.fileno(), 0o644)
            os.fsync(draft.fileno())
            yield Path(draft.name)
        except BaseException:
            Path(draft.name).unlink(missing_ok=True)
            raise


def replace_file(file: Path, content: bytes) -> None:
    """Write a file so that after any crash it is the old one or the new one.

    Its name is not synced: call ``sync_folder`` before you tell anybody.
    Raises OSError, and leaves no trace, if the new content cannot be written.
    """
    with _draft(file.parent, content) as draft:
        draft.replace(file)


@contextmanager
def streamed_file(file: Path) -> Iterator[BinaryIO]:
    """Let the block write a file that is too large to be held; it replaces one of its name once it is whole and synced.

    Leaves no trace if the block raises. Raises OSError if it cannot be written.
    """
    draft = file.with_name(f".{token_hex(8)}.tmp")
    try:
        with draft.open("xb") as out:
            # Held until the draft has become the file, or its writer is gone.
            flock(out, LOCK_EX)
            yield out
            out.flush()
            os.fsync(out.fileno())
            draft.replace(file)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(file.parent)


class Drafts:
    """Files that are replaced together: all are synced at once, which takes hardly longer than for one.

    Use it in a ``with`` statement; what was not settled when it ends leaves no trace.
    """

    def __init__(self) -> None:
        #: Descriptor and name of each draft, and what it is to be called.
        self.waiting: list[tuple[int, Path, Path]] = []
        self.files: set[Path] = set()
        #: Files that are to be gone after ``settle``.
        self.removed: set[Path] = set()
        self.folders: set[Path] = set()

    def __enter__(self) -> Self:
        """Return the drafts."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the drafts that have no name of their own yet."""
        for descriptor, draft, _file in self.waiting:
            draft.unlink(missing_ok=True)
            os.close(descriptor)
        self.waiting.clear()

    def write(self, file: Path, content: bytes) -> None:
        """Write the content that a file is to have after ``settle``; nothing if it has it.

        Raises OSError, and leaves no trace, if it cannot be written.
        """
        make_folder(file.parent)
        # Also where it is the same: whoever wrote it may have been killed before its name was safe.
        self.folders.add(file.parent)
        self.removed.discard(file)
        if file not in self.files and file.exists() and file.read_bytes() == content:
            return
        draft = file.with_name(f".{token_hex(8)}.tmp")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self.waiting.append((descriptor, draft, file))
        try:
            # Held until the draft has become the file, or its writer is gone.
            flock(descriptor, LOCK_EX)
            with open(descriptor, "wb", buffering=0, closefd=False) as out:
                rest = memoryview(content)
                while rest:
                    rest = rest[out.write(rest) :]
            os.fchmod(descriptor, 0o644)
            if hasattr(os, "posix_fadvise"):
                # The disk begins to write, so that syncing the first draft syncs most of the others.
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            self.files.add(file)
        except BaseException:
            self.waiting.pop()
            draft.unlink(missing_ok=True)
            os.close(descriptor)
            raise

    def remove(self, file: Path) -> None:
        """Let a file be gone after ``settle``, once the others have their content."""
        self.removed.add(file)

    def settle(self) -> None:
        """Sync everything, give the files their content, and sync their names; raise OSError."""
        for descriptor, _, _ in self.waiting:
            os.fsync(descriptor)
        while self.waiting:
            descriptor, draft, file = self.waiting[0]
            draft.replace(file)
            os.close(descriptor)
            del self.waiting[0]
        for folder in self.folders:
            sync_folder(folder)
        for file in self.removed:
            file.unlink(missing_ok=True)
        for folder in {file.parent for file in self.removed if file.parent.is_dir()}:
            sync_folder(folder)
        self.folders.clear()
        self.files.clear()
        self.removed.clear()


def create_file(file: Path, content: bytes) -> None:
    """Write a new file, whole and synced; raise FileExistsError if there is one of its name."""
    with _draft(file.parent, content) as draft:
        file.hardlink_to(draft)
        draft.unlink()
    sync_folder(file.parent)


def sweep(folder: Path, pattern: str = "**/.*.tmp") -> int:
    """Remove the drafts below a folder whose writers were killed; return how many. A living writer holds its own."""
    swept = 0
    for name in folder.glob(pattern):
        with suppress(FileNotFoundError, BlockingIOError), name.open("rb") as draft:
            flock(draft, LOCK_EX | LOCK_NB)
            name.unlink()
            swept += 1
    return swept
