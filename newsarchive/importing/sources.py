"""The files of existing archives, one by one: in folders, git checkouts, tar and zip files.

Nothing is unpacked: members are read where they lie, and a name leads nowhere but into the report.
"""

import os
import sqlite3
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, Self

from newsarchive.article import Refused
from newsarchive.importing.candidate import Candidate
from newsarchive.importing.zip_parts import parts
from newsarchive.page import MAX_SIZE

__all__ = ["NotThere", "files", "size"]

#: How the names of posts end; the shape of what is in them decides.
SUFFIXES = (".md", ".markdown", ".mkd", ".html", ".htm", ".txt")
#: Folders of a site in which there is no post: what Jekyll made, and what others wrote.
NO_POSTS = ("_site", "_layouts", "_includes", "_sass", "node_modules", "vendor")
#: Bytes that all members of a tar or zip file may have for each of its own: text becomes a tenth at most.
RATIO = 200
#: Bytes that are no bomb yet.
HARMLESS = 1 << 30
#: Members of tar files that tell of others, and how many bytes of them are read.
TELLING = (
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)
MOST_TOLD = 1 << 20
#: What the formats raise for a file that is not whole.
DAMAGED = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, LZMAError, OSError, NotImplementedError)


class NotThere(ValueError):
    """Says which path cannot be taken over, and why."""


def size(path: Path) -> int:
    """Return how many bytes there are to be read of a path, roughly; raise NotThere if there is nothing."""
    if path.is_dir():
        return sum(map(_told_size, _below(path)))
    if not path.is_file():
        raise NotThere(f"no such file or folder: {path}")
    return path.stat().st_size


def files(path: Path) -> Iterator[Candidate]:
    """Yield the files of a folder, a tar or a zip file, or a file, that may be posts, and what cannot be read."""
    if path.is_dir():
        yield from _of_folder(path)
    elif zipfile.is_zipfile(path):
        yield from _of_zip(path)
    elif path.name.lower().endswith(SUFFIXES):
        yield _file(path, path.name)
    elif _is_tar(path):
        yield from _of_tar(path)
    else:
        raise NotThere(f"neither a folder, a tar or zip file, nor a post: {path}")


def _may_be_post(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


# Folders.


class Folder(NamedTuple):
    """A folder in a folder."""

    path: Path


class Unread(NamedTuple):
    """A folder that cannot be looked into."""

    path: Path
    problem: str


def _told_size(found: Path | Unread) -> int:
    if isinstance(found, Unread) or not _may_be_post(found.name):
        return 0
    try:
        return found.lstat().st_size
    except OSError:
        return 0


def _below(folder: Path) -> Iterator[Path | Unread]:
    """Yield what lies below a folder, by name, but not in hidden folders, nor in those that hold no posts.

    No call stands for a folder: they may be nested deeper than calls.
    """
    waiting = [_found(folder)]
    while waiting:
        found = next(waiting[-1], None)
        if found is None:
            waiting.pop()
        elif not isinstance(found, Folder):
            yield found
        elif not found.path.name.startswith(".") and found.path.name not in NO_POSTS:
            waiting.append(_found(found.path))


def _found(folder: Path) -> Iterator[Path | Folder | Unread]:
    """Yield what lies in a folder, by name; if it cannot be looked into, that."""
    try:
        for name, is_folder in _by_name(folder):
            yield Folder(folder / name) if is_folder else folder / name
    except OSError as error:
        yield Unread(folder, error.strerror or str(error))


def _by_name(folder: Path) -> Iterator[tuple[str, bool]]:
    """Yield the names in a folder in their order, and whether each is a folder's; there may be a million."""
    # An empty name stands for a file that SQLite removes, and in which it keeps what has no place in memory.
    with closing(sqlite3.connect("")) as names:
        names.execute("CREATE TABLE names (name BLOB PRIMARY KEY, folder INTEGER) WITHOUT ROWID")
        with os.scandir(folder) as found:
            rows = ((os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in found)
            names.executemany("INSERT INTO names VALUES (?, ?)", rows)
        for name, is_folder in names.execute("SELECT name, folder FROM names ORDER BY name"):
            yield os.fsdecode(name), bool(is_folder)


def _of_folder(folder: Path) -> Iterator[Candidate]:
    root = folder.resolve()
    for path in _below(folder):
        if isinstance(path, Unread):
            name = path.path.relative_to(folder).as_posix()
            yield Candidate(name, refusal=Refused("unreadable-folder", f"{path.problem}; nothing below it was read"))
            continue
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            refusal = _misleading(path, root)
            if refusal or path.is_dir():
                if refusal:
                    yield Candidate(name, refusal=refusal)
                continue
        if _may_be_post(name):
            yield _file(path, name)


def _misleading(link: Path, root: Path) -> Refused | None:
    """Return why a symbolic link is not followed; None if it leads to what lies in the folder."""
    try:
        inside = link.resolve().is_relative_to(root)
    except (OSError, RuntimeError):
        # So does pathlib up to Python 3.12 call a link that leads to itself.
        return Refused("unreadable-file", "a symbolic link that leads nowhere")
    return None if inside else Refused("link-outside", f"a symbolic link to {link.readlink()}")


def _file(path: Path, name: str) -> Candidate:
    try:
        told = path.stat()
        if not stat.S_ISREG(told.st_mode):
            return Candidate(name, refusal=Refused("no-file", "not a regular file"))
        if told.st_size > MAX_SIZE:
            return Candidate(name, size=told.st_size, refusal=_too_large(told.st_size))
        return Candidate(name, path.read_bytes(), size=told.st_size)
    except OSError as error:
        return Candidate(name, refusal=Refused("unreadable-file", error.strerror or str(error)))


def _too_large(count: int) -> Refused:
    return Refused("too-large", f"{count} bytes, of which {MAX_SIZE} are read at most")


# Tar and zip files.


class _TooMuchTold(tarfile.TarError):
    """Says that what tells of a member is larger than any name is long."""


class _Header(tarfile.TarInfo):
    """What tells of a member: it is read into memory, where it is not too large."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Return a header; raise TarError if what tells of a member is too large."""
        header = super().frombuf(buf, encoding, errors)
        if header.type in TELLING and header.size > MOST_TOLD:
            raise _TooMuchTold(f"{header.size} bytes that tell of a member")
        return header


def _is_tar(path: Path) -> bool:
    """Tell whether a file is a tar file, or begins as one and is cut off."""
    try:
        with tarfile.open(path, tarinfo=_Header):
            return True
    except tarfile.ReadError:
        return False
    except DAMAGED:
        return True


def _of_tar(path: Path) -> Iterator[Candidate]:
    with path.open("rb") as file:
        before = 0
        for candidate in _members(path, file):
            # How much of it was read, packed as it is.
            yield replace(candidate, size=file.tell() - before)
            before = file.tell()


def _members(path: Path, file: IO[bytes]) -> Iterator[Candidate]:
    most = max(HARMLESS, RATIO * path.stat().st_size)
    try:
        with tarfile.open(fileobj=file, mode="r|*", tarinfo=_Header, errorlevel=1) as tar:
            for member in tar:
                if member.offset_data + member.size > most:
                    yield Candidate(
                        path.name, refusal=Refused("bomb", f"more than {most} bytes in it; the rest is left")
                    )
                    return
                # What was read of a stream is not read again.
                tar.members = []  # type: ignore[attr-defined]
                if wrong := _refused(member.name, not (member.isfile() or member.isdir())):
                    yield Candidate(member.name, refusal=wrong)
                elif member.isfile() and _wanted(member.name):
                    yield _member(member.name, member.size, tar.extractfile(member))
    except _TooMuchTold as error:
        yield Candidate(path.name, refusal=Refused("bomb", f"{error}; what comes before was read"))
    except DAMAGED as error:
        yield Candidate(path.name, refusal=Refused("damaged-archive", f"{error}; what comes before was read"))


def _of_zip(path: Path) -> Iterator[Candidate]:
    most, total, packed = max(HARMLESS, RATIO * path.stat().st_size), 0, 0
    try:
        with path.open("rb") as file:
            for archive, info in ((part, info) for part in parts(file) for info in part.infolist()):
                packed += info.compress_size
                wrong = _refused(info.filename, stat.S_ISLNK(info.external_attr >> 16))
                if not wrong:
                    if info.is_dir() or not _wanted(info.filename):
                        continue
                    total += min(info.file_size, MAX_SIZE)
                if total > most:
                    yield Candidate(
                        path.name, refusal=Refused("bomb", f"more than {most} bytes in it; the rest is left")
                    )
                    return
                candidate = Candidate(info.filename, refusal=wrong) if wrong else _zipped(archive, info)
                yield replace(candidate, size=packed)
                packed = 0
    except DAMAGED as error:
        yield Candidate(path.name, refusal=Refused("damaged-archive", str(error)))


def _zipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Candidate:
    if info.flag_bits & 1:
        return Candidate(info.filename, refusal=Refused("encrypted", "it cannot be read without a password"))
    try:
        with archive.open(info) as file:
            return _member(info.filename, info.file_size, file)
    except UnicodeDecodeError:
        return Candidate(info.filename, refusal=Refused("damaged-archive", "its name is not in UTF-8, as it says"))
    except (*DAMAGED, RuntimeError) as error:
        return Candidate(info.filename, refusal=Refused("damaged-archive", str(error)))


def _member(name: str, told: int, file: IO[bytes] | None) -> Candidate:
    """Return what a member holds; what it says of its size may be wrong."""
    if file is None or told > MAX_SIZE:
        return Candidate(name, refusal=_too_large(told))
    content = file.read(MAX_SIZE + 1)
    if len(content) > MAX_SIZE:
        return Candidate(name, refusal=_too_large(len(content)))
    return Candidate(name, content)


def _refused(name: str, special: bool) -> Refused | None:
    """Return why a member is not even looked at; None if it may be."""
    if not name:
        return Refused("no-file", "a member without a name")
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or "\0" in name or (len(name) > 1 and name[1] == ":"):
        return Refused("path-outside", "its name leads out of the archive")
    return Refused("no-file", "a link or a device") if special and _may_be_post(name) else None


def _wanted(name: str) -> bool:
    folders: Iterable[str] = PurePosixPath(name.replace("\\", "/")).parts[:-1]
    hidden = any((part.startswith(".") and part != ".") or part in NO_POSTS for part in folders)
    return _may_be_post(name) and not hidden
