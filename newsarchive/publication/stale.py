"""Locks that a killed git left in a repository: they go once nobody can hold them any more."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from newsarchive.publication.git import NotPublished

__all__ = ["clear"]

#: Where locks lie in a repository.
LOCKS = (
    *("*.lock", "gc.pid", "packed-refs.new", "refs/**/*.lock", "logs/**/*.lock", "objects/*.lock"),
    *("objects/pack/*.lock", "objects/info/*.lock", "objects/info/commit-graphs/*.lock"),
)
PROC = Path("/proc")
#: Seconds between two looks at a lock.
PAUSE = 0.2
#: Seconds after which a lock counts as left behind where processes cannot be looked at.
OLD = 3600


@dataclass(frozen=True)
class Lock:
    """A lock's file, as it was when it was looked at."""

    file: Path
    inode: int
    made: float

    @property
    def unchanged(self) -> bool:
        """Whether it is still the same: another process may have let it go and a third taken it."""
        try:
            found = self.file.lstat()
        except FileNotFoundError:
            return False
        return (found.st_ino, found.st_mtime) == (self.inode, self.made)


def clear(folders: tuple[Path, ...], work_tree: Path, wait: float) -> list[str]:
    """Remove locks in a repository's folders whose processes are gone, and return what was done, in sentences.

    Waits so many seconds for living ones. Raises NotPublished if one is still at work then.
    """
    until = time.monotonic() + wait
    while True:
        locks = [lock for folder in folders for lock in _locks(folder)]
        living = next((told for lock in locks if (told := _holder(lock, (*folders, work_tree)))), "")
        if not living:
            return [_removed(lock) for lock in locks if lock.unchanged]
        if time.monotonic() > until:
            raise NotPublished(f"{living}; the next run publishes what this one could not")
        time.sleep(PAUSE)


def _removed(lock: Lock) -> str:
    """Remove a lock; return that it was."""
    lock.file.unlink(missing_ok=True)
    return f"removed {lock.file}: the git that held it is gone"


def _locks(folder: Path) -> Iterator[Lock]:
    """Yield the locks in a repository's folder."""
    for pattern in LOCKS:
        for file in folder.glob(pattern):
            try:
                found = file.lstat()
            except FileNotFoundError:
                continue
            yield Lock(file, found.st_ino, found.st_mtime)


def _holder(lock: Lock, folders: tuple[Path, ...]) -> str:
    """Return who may hold a lock; empty if nobody can."""
    if not (PROC / "self/fd").is_dir():
        young = time.time() - lock.made < OLD
        return f"{lock.file} is there, and may be held: remove it if no git is at work" if young else ""
    booted = _booted()
    if lock.made < booted - 1:
        return ""
    for process in PROC.iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid() and _may_hold(process, lock, folders, booted):
            return f"process {process.name} is at work in {folders[-1]}, and may hold {lock.file}"
    return ""


def _may_hold(process: Path, lock: Lock, folders: tuple[Path, ...], booted: float) -> bool:
    """Tell whether a process has a lock open, or is a git that works in a repository."""
    try:
        name, _, rest = (process / "stat").read_bytes().partition(b"(")[2].rpartition(b") ")
        state, started = rest.split()[0], booted + int(rest.split()[19]) / os.sysconf("SC_CLK_TCK")
        if state in (b"Z", b"X"):
            return False
        git = name == b"git" or name.startswith(b"git-")
        open_files = [str(file.readlink()) for file in (process / "fd").iterdir()]
        if str(lock.file) in open_files:
            return True
        if not git:
            return False
        named = os.fsdecode((process / "cmdline").read_bytes()).split("\0")
        places = [*open_files, str((process / "cwd").readlink()), *named]
        return any(place == str(folder) or place.startswith(f"{folder}/") for place in places for folder in folders)
    except PermissionError:
        # Another user's: it may be at work here if it was there when the lock was made.
        return git and started <= lock.made + 1
    except (FileNotFoundError, ProcessLookupError):
        return False


def _booted() -> float:
    """Return when this machine was started, in seconds since 1970."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
