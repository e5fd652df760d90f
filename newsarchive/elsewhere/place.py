"""A folder elsewhere that capture files are moved to and brought back from, under their paths in the archive.

Beside each file lies ``….sha256``, as ``sha256sum --check`` reads it: with that the
notes in the archive can be made again.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from newsarchive.elsewhere.reached import Absent, Away, away, file_system, redacted, told
from newsarchive.files import make_folder, sync_file, sync_folder

__all__ = ["NotStored", "Place", "Stored"]

#: File systems on which half a file may be seen, but a file can be given another name at once. With all others, a file
#: is there once it is whole.
RENAME = frozenset(("file", "local", "sftp", "ssh", "ftp", "smb", "hdfs", "arrow_hdfs", "webhdfs", "webdav", "webdavs"))
LOCAL = frozenset(("file", "local"))
#: Bytes that are read at a time.
CHUNK = 8 << 20

#: Size and ETag of a file.
Stored = tuple[int, str]
#: Called with the bytes that were read since the last call.
Advance = Callable[[int], None]


class NotStored(OSError):
    """Says what could not be written elsewhere, or is not what was written."""


def digest_name(name: str) -> str:
    """Return the name of what tells the SHA-256 of a file; it must not pass for a WARC file."""
    return f"{name.partition('.warc')[0]}.sha256"


class Place:
    """A folder on any file system that fsspec knows."""

    def __init__(self, url: str) -> None:
        """Take an address as ``place_url`` returns it; raise Unreachable."""
        self.url = url
        self.fs, self.root = file_system(url)
        protocols = {self.fs.protocol} if isinstance(self.fs.protocol, str) else set(self.fs.protocol)
        self.renames, self.local = bool(RENAME & protocols), bool(LOCAL & protocols)

    def path(self, name: str) -> str:
        """Return the file system's own path of a file."""
        return f"{self.root.rstrip('/')}/{name}"

    def url_of(self, name: str) -> str:
        """Return the address of a file."""
        return f"{self.url}/{name}"

    # Reading.

    def info(self, name: str) -> Stored | None:
        """Return size and ETag of a file; None if there is none. Raises Unreachable."""
        try:
            self.fs.invalidate_cache()
            return _stored(self.fs.info(self.path(name)))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise away(self.url_of(name), error) from error

    def listed(self, folder: str = "", kind: str = "file") -> dict[str, Stored]:
        """Return what is in a folder by name, of a kind: ``file`` or ``directory``; raise Away."""
        try:
            self.fs.invalidate_cache()
            found = self.fs.ls(self.path(folder).rstrip("/"), detail=True)
        except Exception as error:
            raise away(f"{self.url_of(folder).rstrip('/')}/", error) from error
        return {one["name"].rstrip("/").rpartition("/")[2]: _stored(one) for one in found if one["type"] == kind}

    def content(self, name: str) -> bytes | None:
        """Return the bytes of a small file; None if there is none. Raises Away."""
        try:
            content: bytes = self.fs.cat_file(self.path(name))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise away(self.url_of(name), error) from error
        return content

    def chunks(self, name: str, size: int) -> Iterator[bytes]:
        """Yield so many bytes of a file, in order; raise Away, also if it has fewer."""
        for start in range(0, size, CHUNK):
            end = min(start + CHUNK, size)
            try:
                chunk = self.fs.cat_file(self.path(name), start=start, end=end)
            except Exception as error:
                raise away(self.url_of(name), error) from error
            if len(chunk) != end - start:
                raise Absent(f"{redacted(self.url_of(name))} ends at {start + len(chunk)}, before its {size} bytes")
            yield chunk

    def holds(self, name: str, size: int, sha256: str, advance: Advance) -> bool:
        """Tell whether a file has some bytes and no others: all are read. Raises Away."""
        found = self.info(name)
        if found is None or found[0] != size:
            return False
        if self.local:
            _forget(self.path(name))
        digest = hashlib.sha256()
        for chunk in self.chunks(name, size):
            digest.update(chunk)
            advance(len(chunk))
        return digest.hexdigest() == sha256

    def digest_of(self, name: str) -> str:
        """Return the SHA-256 that is noted beside a file, in hexadecimal; empty if none is. Raises Away."""
        match = re.match(rb"([0-9a-f]{64})\s", self.content(digest_name(name)) or b"")
        return match[1].decode() if match else ""

    # Writing.

    def store(self, file: Path, name: str, size: int, sha256: str, advance: Advance) -> None:
        """Copy a file to a name that nothing has, and read it back before anybody sees it there.

        Raises NotStored, and Away; then nothing is there, or what is there is the whole file.
        """
        draft = f"{name.rpartition('/')[0]}/.{file.name.replace('.warc', '')}.tmp" if self.renames else name
        try:
            self._attempt(name, self._send, file, draft)
            if not self.holds(draft, size, sha256, advance):
                raise NotStored(f"{redacted(self.url_of(name))}: what was read back is not what was written")
            if self.renames:
                self._attempt(name, self._rename, draft, name)
        except BaseException:
            # What is raised says more than that the draft could not be removed; the next run writes over it.
            with suppress(Exception):
                self.fs.rm_file(self.path(draft))
            raise

    def settle(self, name: str) -> None:
        """Make sure that a file stays where it is after a power cut, as far as anybody can; raise NotStored."""
        if self.local:
            self._attempt(name, sync_file, Path(self.path(name)))
            make_folder(Path(self.path(name)).parent)
            self._attempt(name, sync_folder, Path(self.path(name)).parent)

    def note_digest(self, name: str, sha256: str) -> None:
        """Note the SHA-256 of a file beside it; raise NotStored."""
        noted, content = digest_name(name), f"{sha256}  {name.rpartition('/')[2]}\n".encode()
        self._attempt(noted, self._write, noted, content)

    def _attempt(self, name: str, do: Callable[..., None], *arguments: Any) -> None:
        try:
            do(*arguments)
        except Away:
            raise
        except Exception as error:
            raise NotStored(f"{redacted(self.url_of(name))}: {told(error)}") from error

    def _send(self, file: Path, name: str) -> None:
        path = self.path(name)
        if self.local:
            make_folder(Path(path).parent)
            with file.open("rb") as source, Path(path).open("wb") as out:
                shutil.copyfileobj(source, out, CHUNK)
                out.flush()
                os.fsync(out.fileno())
            return
        if self.renames:
            self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        # A gigabyte in flight is a gigabyte in memory.
        self.fs.put_file(str(file), path, **({"max_concurrency": 2} if hasattr(self.fs, "max_concurrency") else {}))

    def _write(self, name: str, content: bytes) -> None:
        path = self.path(name)
        draft = f"{path.rpartition('/')[0]}/.{path.rpartition('/')[2]}.tmp" if self.renames else path
        if self.local:
            Path(draft).write_bytes(content)
            sync_file(Path(draft))
        else:
            self.fs.pipe_file(draft, content)
        if self.renames:
            self._named(draft, path)

    def _rename(self, draft: str, name: str) -> None:
        self._named(self.path(draft), self.path(name))

    def _named(self, draft: str, path: str) -> None:
        if self.local:
            Path(draft).replace(path)
            sync_folder(Path(path).parent)
        else:
            self.fs.mv(draft, path)


def _stored(found: dict[str, Any]) -> Stored:
    """Return what a file system says of a file."""
    return int(found["size"] or 0), str(found.get("ETag") or found.get("etag") or "").strip('"')


def _forget(path: str) -> None:
    """Have the bytes of a file read from the disk, not from memory, when they are read next."""
    with suppress(OSError, AttributeError):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
