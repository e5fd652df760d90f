"""What a disk may hold after a power cut, by the calls that a run made: only what was synced is certain.

A file's bytes are safe when the file was synced after they were written, a name when its folder was synced
after it was given. Everything else may or may not have reached the disk, in any order.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from strace import Call, plain

#: Which of what was not synced is on the disk after the cut.
VARIANTS = {
    "lost": "nothing",
    "names": "all names, but no bytes: files are as they were, or empty",
    "bytes": "all bytes, but no names: files are where they were, or nowhere",
    "torn": "everything, but half of the last bytes written to each file",
    "holes": "the last bytes written to each file, after zeros",
    "kept": "everything",
}
_WRITES = ("write", "pwrite64")
_NAMES = ("rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir")
_NO_SUPPORT = ("writev", "pwritev", "pwritev2", "sendfile", "copy_file_range", "fallocate", "truncate", "symlink")


#: What is done to a file: bytes at an offset, or its length if there are no bytes.
Change = tuple[int, bytes | None]


@dataclass(eq=False)
class File:
    """A file's bytes: as the kernel has them, as the disk certainly has them, and what may be on its way between."""

    content: bytes = b""
    safe: bytes = b""
    #: What was done to the content since it was last synced.
    unsafe: list[Change] = field(default_factory=list)
    #: How many changes are not among those any more.
    settled: int = 0

    @property
    def changes(self) -> int:
        return self.settled + len(self.unsafe)

    def change(self, offset: int, data: bytes | None) -> None:
        self.unsafe.append((offset, data))
        self.content = _changed(self.content, offset, data)

    def synced(self, changes: int) -> None:
        """Make so many changes safe, counted from the beginning."""
        number = max(0, changes - self.settled)
        self.safe = self._with(self.unsafe[:number])
        self.settled += number
        del self.unsafe[:number]

    def not_synced(self) -> None:
        """Take what was written for written, as the kernel does when the disk has failed: it is never tried again."""
        lengths = [change for change in self.unsafe if change[1] is None]
        self.settled += len(self.unsafe) - len(lengths)
        self.unsafe = lengths

    def after(self, variant: str) -> bytes:
        """Return the bytes that the disk may hold."""
        if variant in ("lost", "names") or not self.unsafe:
            return self.safe
        *earlier, (offset, data) = self.unsafe
        if variant in ("kept", "bytes") or data is None:
            return self._with(self.unsafe)
        if variant == "torn":
            return self._with([*earlier, (offset, data[: len(data) // 2])])
        return self._with([(offset, data)])

    def _with(self, changes: list[Change]) -> bytes:
        content = self.safe
        for offset, data in changes:
            content = _changed(content, offset, data)
        return content


@dataclass(eq=False)
class Folder:
    """A folder's names: as the kernel has them, and as the disk certainly has them."""

    names: dict[str, "File | Folder"] = field(default_factory=dict)
    safe: dict[str, "File | Folder"] = field(default_factory=dict)

    def after(self, variant: str) -> dict[str, "File | Folder"]:
        """Return the names that the disk may hold."""
        return self.safe if variant in ("lost", "bytes") else self.names


@dataclass
class _Open:
    node: File | Folder
    position: int = 0
    append: bool = False


def _changed(content: bytes, offset: int, data: bytes | None) -> bytes:
    start = content[:offset].ljust(offset, b"\0")
    return start if data is None else start + data + content[offset + len(data) :]


def loaded(folder: Path) -> Folder:
    """Return a folder as it lies on the disk, all of it safe."""
    names: dict[str, File | Folder] = {}
    for path in folder.iterdir():
        content = b"" if path.is_dir() else path.read_bytes()
        names[path.name] = loaded(path) if path.is_dir() else File(content, content)
    return Folder(names, dict(names))


class Disk:
    """A folder on a disk, to which a run's calls are done again one by one."""

    def __init__(self, root: Folder, path: Path) -> None:
        self.root, self.path = root, path
        self.open: dict[int, _Open] = {}
        #: What is being synced: as it was when the call began.
        self.syncing: dict[tuple[int, int], int | dict[str, File | Folder]] = {}

    def moments(self, calls: list[Call]) -> Iterator[Call]:
        """Do the calls in the order in which they were done, yielding after each that changed something."""
        events = [(call.began, 0, call) for call in calls] + [(call.ended, 1, call) for call in calls]
        for _, ends, call in sorted(events, key=lambda event: event[:2]):
            if call.result is None:
                continue
            if call.result < 0:
                self.failed(call)
            elif not ends:
                self.begin(call)
            elif self.do(call):
                yield call

    def finish(self, call: Call) -> None:
        """Do a call whose end nobody saw as if it had succeeded; what it would have synced is not safe for that."""
        if call.name not in ("fsync", "fdatasync", "openat"):
            self.do(replace(call, result=len(call.strings[0]) if call.name in _WRITES else 0))

    def begin(self, call: Call) -> None:
        if call.name == "close":
            # Another thread may be given the number before this one has heard that it is free.
            self.open.pop(_number(call), None)
        if call.name in ("fsync", "fdatasync") and (opened := self.open.get(_number(call))):
            node = opened.node
            self.syncing[call.thread, call.began] = node.changes if isinstance(node, File) else dict(node.names)

    def failed(self, call: Call) -> None:
        opened = self.open.get(_number(call))
        if call.name in ("fsync", "fdatasync") and opened and isinstance(opened.node, File):
            opened.node.not_synced()

    def do(self, call: Call) -> bool:
        """Do what a call did; tell whether it can have changed what the disk holds."""
        name, opened = call.name, self.open.get(_number(call))
        if name in ("openat", "open"):
            return self.opened(call)
        if name in _NAMES:
            return self.named(call)
        if opened is None:
            return False
        if name in _WRITES and isinstance(opened.node, File):
            self.written(call, opened, opened.node)
        elif name == "ftruncate" and isinstance(opened.node, File):
            opened.node.change(int(call.arguments.rpartition(", ")[2]), None)
        elif name in ("fsync", "fdatasync"):
            self.synced(call, opened.node)
        elif name == "lseek":
            opened.position = call.result or 0
            return False
        elif name in ("dup", "dup2", "dup3") or (name == "fcntl" and "F_DUPFD" in call.arguments):
            self.open[call.result or 0] = opened
            return False
        elif name in _NO_SUPPORT or (name == "mmap" and re.search("PROT_WRITE.*MAP_SHARED", call.arguments)):
            # SQLite's shared memory holds nothing that must outlive a power cut.
            assert call.paths[0].endswith("-shm"), f"the simulated disk knows no {name}: {call}"
            return False
        return True

    def opened(self, call: Call) -> bool:
        at = self.find(_target(call))
        if at is None:
            return False
        folder, name = at
        node = folder.names.get(name) if name else folder
        changed = node is None or "O_TRUNC" in call.arguments
        if node is None:
            node = folder.names[name] = File()
        elif "O_TRUNC" in call.arguments and isinstance(node, File):
            node.change(0, None)
        self.open[call.result or 0] = _Open(node, append="O_APPEND" in call.arguments)
        return changed

    def written(self, call: Call, opened: _Open, file: File) -> None:
        data = call.strings[0][: call.result]
        if call.name == "pwrite64":
            file.change(int(call.arguments.rpartition(", ")[2]), data)
            return
        if opened.append:
            opened.position = len(file.content)
        file.change(opened.position, data)
        opened.position += len(data)

    def synced(self, call: Call, node: File | Folder) -> None:
        state = self.syncing.pop((call.thread, call.began))
        if isinstance(node, File):
            assert isinstance(state, int)
            node.synced(state)
        else:
            assert isinstance(state, dict)
            node.safe = state

    def named(self, call: Call) -> bool:
        paths = [path.decode() for path in call.strings]
        if "AT_FDCWD" not in call.arguments and (at := re.match(r"\d+<((?:\\x[0-9a-f]{2})+)>", call.arguments)):
            paths = [str(PurePosixPath(plain(at[1]).decode(), path)) for path in paths]
        assert all(path.startswith("/") for path in paths), f"the simulated disk does not know where this is: {call}"
        found = [at for path in paths if (at := self.find(path))]
        if len(found) < len(paths):
            return False
        folder, name = found[0]
        if call.name.startswith(("unlink", "rmdir")):
            del folder.names[name]
        elif call.name.startswith("mkdir"):
            folder.names[name] = Folder()
        else:
            other, new = found[1]
            other.names[new] = folder.names[name]
            if call.name.startswith("rename"):
                del folder.names[name]
        return True

    def find(self, path: str) -> tuple[Folder, str] | None:
        """Return the folder that a path's last name is in, and that name; None if it lies elsewhere."""
        path = str(PurePosixPath(path))
        if path == str(self.path):
            return self.root, ""
        if not path.startswith(f"{self.path}/"):
            return None
        *above, name = PurePosixPath(path).relative_to(self.path).parts
        folder = self.root
        for part in above:
            inner = folder.names[part]
            assert isinstance(inner, Folder)
            folder = inner
        return folder, name

    def after(self, variant: str) -> dict[str, bytes | None]:
        """Return what the disk may hold after a power cut: bytes by path, None for a folder."""
        found: dict[str, bytes | None] = {}
        pending: list[tuple[str, Folder]] = [("", self.root)]
        while pending:
            path, folder = pending.pop()
            for name, node in folder.after(variant).items():
                if isinstance(node, Folder):
                    found[f"{path}{name}"] = None
                    pending.append((f"{path}{name}/", node))
                elif not name.endswith("-shm"):
                    found[f"{path}{name}"] = node.after(variant)
        return found


def write(state: dict[str, bytes | None], folder: Path) -> None:
    """Make a folder that holds what a disk holds."""
    folder.mkdir()
    for path in sorted(state):
        content = state[path]
        if content is None:
            (folder / path).mkdir()
        else:
            (folder / path).write_bytes(content)


def _target(call: Call) -> str:
    """Return the path of what a call opened."""
    named = re.match(r"<((?:\\x[0-9a-f]{2})+)>", call.more)
    return plain(named[1]).decode() if named else ""


def _number(call: Call) -> int:
    """Return the file descriptor that a call is about; -1 if it is about none."""
    if call.name == "mmap":
        numbers = re.findall(r", (\d+)<", call.arguments)
        return int(numbers[-1]) if numbers else -1
    number = re.match(r"\d+", call.arguments)
    return int(number[0]) if number else -1
