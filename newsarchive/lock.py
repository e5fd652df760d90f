"""One writer at a time: a lock that the kernel drops when its process dies."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from time import sleep

from newsarchive.files import make_folder

__all__ = ["Locked", "hold"]

#: Whoever only looks whether a lock is held takes it for a moment: it is asked for again, after so many seconds.
TRIES, PAUSE = 5, 0.1
#: Locks that this process holds: a run that recovers what another left asks for its lock twice.
_held: set[Path] = set()


class Locked(RuntimeError):
    """Says which process holds a lock, and since when."""


@contextmanager
def hold(file: Path, tries: int = TRIES) -> Iterator[None]:
    """Hold a lock while the block runs; raise Locked if another process holds it, OSError if it cannot be written.

    It is asked for so many times, ten times a second.

    The file stays when the lock is gone: removing it would let two processes lock two files of one name.
    """
    file = file.absolute()
    if file in _held:
        yield
        return
    make_folder(file.parent)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        for left in reversed(range(tries)):
            try:
                flock(descriptor, LOCK_EX | LOCK_NB)
                break
            except BlockingIOError as error:
                if not left:
                    raise Locked(f"{file} is held by {_holder(descriptor)}") from error
                sleep(PAUSE)
        _sign(descriptor)
        _held.add(file)
        try:
            yield
        finally:
            _held.discard(file)
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _sign(descriptor: int) -> None:
    """Write into a lock who holds it, for whoever finds it locked."""
    mine = {"pid": os.getpid(), "host": socket.gethostname(), "since": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(mine).encode(), 0)


def _holder(descriptor: int) -> str:
    """Return who holds a lock, as its file says it."""
    try:
        told = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {told['pid']} on {told['host']} since {told['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
