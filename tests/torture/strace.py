"""System calls of a run as strace tells them, and strace's ways to attack them.

Calls are named by the thread that makes them, their name and how often that thread has called it before,
as ``when=`` counts.
"""

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

#: What can change a file, a folder, or who may change them. Some machines lack some of them.
WRITES = (
    *("write", "pwrite64", "writev", "pwritev", "pwritev2", "sendfile", "copy_file_range"),
    *("openat", "openat2", "open", "creat", "ftruncate", "truncate", "fallocate"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat"),
    *("mkdir", "mkdirat", "rmdir", "fchmod", "chmod", "fchmodat", "fsync", "fdatasync", "sync_file_range"),
    *("flock", "fcntl"),
)
LOCKS = ("flock", "fcntl")
#: What one has to know besides to follow where bytes go.
POSITIONS = ("lseek", "close", "dup", "dup2", "dup3", "mmap")

_LINE = re.compile(r"(?P<thread>\d+) +(?P<rest>.*)")
_CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+|\?)(?P<more>.*)")


@dataclass(frozen=True, slots=True)
class Call:
    """A system call that a run made."""

    #: Number of the thread, 0 for the main one, in the order in which they began.
    thread: int
    name: str
    #: How often the thread had called it, this call included.
    ordinal: int
    #: Arguments as strace writes them, in ASCII: strings in hexadecimal.
    arguments: str
    #: What was returned; None if the process ended in the call.
    result: int | None
    #: What follows the result: the path of a new file descriptor, or an error's name.
    more: str
    #: Where in the log the call began and ended.
    began: int
    ended: int

    @property
    def strings(self) -> list[bytes]:
        """The texts among the arguments."""
        return [plain(text) for text in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', self.arguments)]

    @property
    def paths(self) -> list[str]:
        """The absolute paths of files that the call is about."""
        found = [plain(text) for text in re.findall(r"<((?:\\x[0-9a-f]{2})+)>", f"{self.arguments} {self.more}")]
        if self.name not in ("write", "pwrite64", "writev", "pwritev", "pwritev2"):
            found += self.strings
        return [path.decode("utf-8", "replace") for path in found if path.startswith(b"/")]

    def touches(self, folder: Path) -> bool:
        """Tell whether the call may change something in a folder, or the folder itself."""
        if self.name in ("openat", "openat2", "open") and not re.search("O_CREAT|O_TRUNC", self.arguments):
            return False
        if self.name == "fcntl" and "SETLK" not in self.arguments:
            return False
        return any(path == str(folder) or path.startswith(f"{folder}/") for path in self.paths)

    def file(self, folder: Path) -> str:
        """Return which file of a folder the call is about, without what differs from run to run."""
        inside = [path for path in self.paths if path.startswith(str(folder))]
        return " ".join(dict.fromkeys(nameless(path.removeprefix(str(folder)).strip("/")) for path in inside))


def plain(text: str) -> bytes:
    """Return what ``\\x61\\x62`` stands for."""
    return bytes.fromhex(text.replace("\\x", ""))


def nameless(path: str) -> str:
    """Return a path without the time, the run's name and the draft's name in it."""
    path = re.sub(r"\d{8}T\d{6}Z(-[0-9a-f]{8})?", "<run>", path)
    return re.sub(r"/\.(\w+)\.tmp$", "/<draft>", path)


def calls(log: Path, threads: dict[int, int]) -> Iterator[Call]:
    """Yield the calls in a log in the order in which they began; ``threads`` numbers the threads by id."""
    ordinals: Counter[tuple[str, str]] = Counter()
    pending: dict[str, tuple[str, int]] = {}
    found: list[Call] = []
    for number, line in enumerate(log.read_text("ascii", "replace").splitlines()):
        thread, rest = _LINE.fullmatch(line).group("thread", "rest")
        began = number
        if rest.endswith(" <unfinished ...>"):
            pending[thread] = (rest.removesuffix(" <unfinished ...>"), number)
            continue
        if resumed := re.match(r"<\.\.\. \w+ resumed>", rest):
            start, began = pending.pop(thread)
            rest = start + rest[resumed.end() :]
        if int(thread) in threads and (match := _CALL.match(rest)):
            name, arguments, result, more = match.groups()
            result = None if result == "?" else int(result)
            found.append(Call(threads[int(thread)], name, 0, arguments, result, more.strip(), began, number))
    for thread, (start, began) in pending.items():
        if int(thread) in threads:
            name, _, arguments = start.partition("(")
            found.append(Call(threads[int(thread)], name, 0, arguments, None, "", began, 1 << 60))
    for call in sorted(found, key=lambda call: call.began):
        ordinals[call.thread, call.name] += 1
        yield Call(
            *(call.thread, call.name, ordinals[call.thread, call.name]),
            *(call.arguments, call.result, call.more, call.began, call.ended),
        )


def attach(thread: int, log: Path, *options: str) -> "subprocess.Popen[bytes]":
    """Trace a thread; return when not one of its calls can escape any more."""
    command = ["strace", "-y", "-xx", "-s", "100000000", "-o", str(log), "-p", str(thread), *options]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE)
    assert tracer.stderr
    said = b""
    while b" attached" not in said:
        line = tracer.stderr.readline()
        if not line:
            tracer.wait()
            raise RuntimeError(f"strace does not trace: {said.decode()}")
        said += line
    return tracer


@cache
def names(wanted: tuple[str, ...] = WRITES + POSITIONS) -> str:
    """Return those names of calls that this machine has, as strace wants them."""
    return ",".join(f"?{name}" for name in wanted)


@cache
def missing() -> str:
    """Return why strace cannot be used; empty if it can."""
    if not shutil.which("strace"):
        return "strace is not installed"
    tried = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"strace may not trace: {tried.stderr.strip()}"
