"""What a power cut or a killed git left broken in a repository, mended without touching the work tree."""

import hashlib
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from newsarchive.files import replace_file
from newsarchive.publication.git import GitFailed, NotPublished
from newsarchive.publication.posts import present
from newsarchive.publication.repository import Repository

__all__ = ["mend"]

BOOT = Path("/proc/sys/kernel/random/boot_id")


def mend(repository: Repository, *, suspect: bool) -> Iterator[str]:
    """Mend a repository, and yield what was done, in sentences; ``suspect`` if a git was killed in it.

    Raises NotPublished if it cannot be mended.
    """
    stamp, booted = repository.folder / "newsarchive-boot", _boot()
    suspect |= not booted or not stamp.exists() or stamp.read_bytes() != booted
    damaged = list(_damaged(repository.common / "objects")) if suspect else []
    for file in damaged:
        file.unlink()
        yield f"removed {file}, which is half written"
    if damaged:
        _write_again(repository)
    if suspect:
        yield from _mend_branch(repository)
    if damaged or not _is_whole(repository.index):
        # What was believed to be in the repository is written again, if it is not.
        repository.index.unlink(missing_ok=True)
    yield from _mend_index(repository)
    if suspect:
        replace_file(stamp, booted)


def _boot() -> bytes:
    """Return what names this boot of the machine; empty if nothing does."""
    with suppress(OSError):
        return BOOT.read_bytes()
    return b""


def _damaged(objects: Path) -> Iterator[Path]:
    """Yield the files of single objects that do not hold what their names say; packs are synced by every git."""
    for folder in sorted(objects.glob("[0-9a-f][0-9a-f]")):
        for file in folder.iterdir():
            name = folder.name + file.name
            if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", name) and not _holds(file, name):
                yield file


def _holds(file: Path, name: str) -> bool:
    """Tell whether a file holds the object of a name."""
    digest, unpacked = hashlib.sha1() if len(name) == 40 else hashlib.sha256(), zlib.decompressobj()
    try:
        with file.open("rb") as opened:
            while piece := opened.read(1 << 20):
                digest.update(unpacked.decompress(piece))
    except zlib.error:
        return False
    return unpacked.eof and digest.hexdigest() == name


def _write_again(repository: Repository) -> None:
    """Write the posts on disk into the repository: what was half written may have been one of them."""
    listed = "".join(f"{repository.posts}{name}\n" for name in sorted(present(repository.archive / "_posts")))
    repository.git("hash-object", "-w", "--stdin-paths", input=os.fsencode(listed))


def _is_whole(index: Path, *, undigested: bool = False) -> bool:
    """Tell whether an index ends with the digest of what is before it, or is not there.

    ``undigested`` if it may end with zeros instead.
    """
    try:
        content = index.read_bytes()
    except FileNotFoundError:
        return True
    if not content.startswith(b"DIRC"):
        return False
    for size, digest in ((20, hashlib.sha1), (32, hashlib.sha256)):
        if content[-size:] == digest(content[:-size]).digest() or (undigested and content[-size:] == bytes(size)):
            return True
    return False


def _mend_index(repository: Repository) -> Iterator[str]:
    """Make the user's index again from the last commit if it is gone or broken."""
    index = repository.folder / "index"
    settings = ("index.skipHash", "feature.manyFiles")
    undigested = any(repository.git.text("config", "--bool", name, ok=(0, 1)) == "true" for name in settings)
    if index.exists() and _is_whole(index, undigested=undigested):
        return
    if not repository.head:
        index.unlink(missing_ok=True)
        return
    if index.exists():
        index.replace(aside := index.with_name("index.broken"))
        yield f"{index} was broken and is made again; {aside} is what was there, and what was staged has to be again"
    else:
        yield f"{index} was not there and is made again"
    repository.git("read-tree", "HEAD")
    repository.git("update-index", "-q", "--refresh", ok=(0, 1))


def _mend_branch(repository: Repository) -> Iterator[str]:
    """Let the branch name the newest commit that is whole, if the one that it named is not."""
    git, branch = repository.git, repository.branch
    file = repository.common / branch
    named = file.read_bytes().strip() if file.is_file() else b""
    if not file.is_file() and not repository.head:
        return
    if repository.head and _readable(repository, repository.head):
        return
    for commit in _former(repository):
        if _readable(repository, commit):
            file.unlink(missing_ok=True)
            git("update-ref", "-m", "newsarchive: the newest commit that is whole", branch, commit)
            # What the log of the branch says of commits that are gone would be an error for ever.
            git("reflog", "expire", "--expire=never", "--expire-unreachable=never", "--stale-fix", "--all")
            told = os.fsdecode(named) if re.fullmatch(rb"[0-9a-f]+", named) else "nothing"
            yield f"{branch} named {told}, which is not whole, and names {commit} now, the newest that is"
            return
    raise NotPublished(
        f"{branch} in {repository.work_tree} names no commit that can be read, and none of its former ones can be:"
        f" look with git fsck; if all is pushed, move {repository.folder} away and clone it again"
    )


def _former(repository: Repository) -> list[str]:
    """Return the commits that the branch has named, newest first, as the reflog and the remotes tell."""
    found = []
    with suppress(FileNotFoundError):
        log = (repository.common / "logs" / repository.branch).read_bytes().splitlines()
        found = [match[1].decode() for line in reversed(log) if (match := re.match(rb"[0-9a-f]+ ([0-9a-f]+) ", line))]
    return found


def _readable(repository: Repository, commit: str) -> bool:
    """Tell whether a commit can be read, and all of its trees and their files are there."""
    try:
        repository.git("rev-list", "--objects", "--no-walk", "--quiet", commit)
        return True
    except GitFailed as error:
        if error.status < 0:
            raise
        return False
