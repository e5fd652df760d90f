"""A WARC file while it is written: whole records or nothing, and durable when it is said to be."""

import errno
import os
import re
import threading
from pathlib import Path

from newsarchive.elsewhere.moved import is_moved

__all__ = ["OPEN", "OpenFile", "failed_before", "sync_folder", "unused"]

#: Ends the name of a file that is being written.
OPEN = ".open"


class OpenFile:
    """A new file that records are appended to, named ``*.open`` until it is closed.

    Raises FileExistsError if there is such a file already, closed or not.
    """

    def __init__(self, path: Path) -> None:
        if path.exists() or is_moved(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        self.path, self.open_path = path, path.with_name(path.name + OPEN)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self.descriptor = os.open(self.open_path, flags, 0o666)
        #: Bytes of whole records, and how many of them are durable.
        self.size, self.synced = 0, 0
        #: What failed so that what is on disk is in doubt, if anything did.
        self.failure: OSError | None = None
        self._lock = threading.Lock()

    def append(self, data: bytes) -> int:
        """Write records; return the offset of the first. Raises OSError, and the file is as it was before."""
        self._trust()
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self.descriptor, rest) :]
        except BaseException:
            self._cut_back()
            raise
        self.size += len(data)
        return self.size - len(data)

    def _trust(self) -> None:
        """Raise OSError if what is on disk is in doubt: a second try may succeed and mean nothing."""
        if self.failure:
            raise failed_before(self.failure, self.open_path)

    def _cut_back(self) -> None:
        """Take a piece of a record off the end."""
        try:
            os.ftruncate(self.descriptor, self.size)
        except OSError as error:
            self.failure = error

    def sync(self) -> None:
        """Make what was written durable, and the name of the file. Other threads may write meanwhile."""
        self._trust()
        with self._lock:
            if self.descriptor < 0 or self.synced == self.size:
                return
            size, first, descriptor = self.size, not self.synced, os.dup(self.descriptor)
        try:
            os.fsync(descriptor)
            if first:
                # captures/<publisher>, captures and the archive may be new, too.
                for folder in list(self.path.parents)[:3]:
                    sync_folder(folder)
        except OSError as error:
            # Once it failed, the system may take for written what is not.
            self.failure = error
            raise
        finally:
            os.close(descriptor)
        with self._lock:
            self.synced = max(self.synced, size)

    def close(self) -> None:
        """Make everything durable and take ``.open`` off the name; an empty file goes away.

        Raises OSError: the file then keeps its name, and is to be mended.
        """
        try:
            self.sync()
        finally:
            with self._lock:
                os.close(self.descriptor)
                self.descriptor = -1
        if not self.size:
            self.open_path.unlink()
        elif self.path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self.path))
        else:
            self.open_path.rename(self.path)
        sync_folder(self.path.parent)


def failed_before(failure: OSError, path: Path) -> OSError:
    """Return what to raise for a file that cannot be trusted since something failed; it says what that was."""
    return OSError(failure.errno, f"{failure.strerror}, before this", str(path))


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unused(file: Path) -> Path:
    """Return the name of a file, or with the next number (``x-2.warc.gz``) that no file has, closed or not."""
    stem, dot, kind = file.name.partition(".")
    numbered = re.fullmatch(r"(.+-[^-]+)-(\d{1,4})", stem, re.ASCII)
    base, number = (numbered[1], int(numbered[2])) if numbered else (stem, 1)
    name = file
    while name.exists() or is_moved(name) or (name != file and name.with_name(name.name + OPEN).exists()):
        number += 1
        name = file.with_name(f"{base}-{number}{dot}{kind}")
    return name
