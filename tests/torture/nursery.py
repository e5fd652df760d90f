"""Runs of ``scrapy`` without waiting for its imports: each is forked off a process that has them behind it.

A run may be asked to wait, at the birth of one of its threads, until somebody traces that thread.
"""

import ctypes
import gc
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from itertools import count
from pathlib import Path
from subprocess import Popen
from typing import Any, TextIO

ROOT = Path(__file__).parents[2]
#: Seconds after which a run is taken to hang.
PATIENCE = 60
#: From <sys/prctl.h>.
PR_SET_PTRACER, PR_SET_PTRACER_ANY = 0x59616D61, 2**64 - 1


@dataclass
class Run:
    """What came of a run."""

    #: Exit status; minus the number of the signal that ended it.
    status: int
    output: str
    #: What was promised before the run ended: ending and address.
    told: list[tuple[str, str]] = field(default_factory=list)


class Birth:
    """Counts the threads of a process, the main one being 0, and has one of them wait for its tracer."""

    def __init__(self, awaited: int | None, ready: int, go: int, threads: Path) -> None:
        self.awaited, self.ready, self.go = awaited, ready, go
        self.numbers = count()
        self.threads = os.open(threads, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o644)

    def __call__(self) -> None:
        number, id = next(self.numbers), threading.get_native_id()
        os.write(self.threads, f"{id} {number}\n".encode())
        if number == self.awaited:
            os.write(self.ready, f"{id}\n".encode())
            os.close(self.ready)
            os.read(self.go, 1)


def watch_threads(birth: Birth) -> None:
    """Tell of every thread before it does anything."""
    begin = threading.Thread._bootstrap_inner

    def begin_watched(thread: threading.Thread) -> None:
        birth()
        begin(thread)

    threading.Thread._bootstrap_inner = begin_watched
    birth()


def serve(channel: socket.socket) -> None:
    """Run what is asked for, one after the other, until nobody asks."""
    while True:
        message, pipes, _, _ = socket.recv_fds(channel, 1 << 20, 2)
        if not message:
            return
        asked = json.loads(message)
        process = os.fork()
        if not process:
            channel.close()
            run(asked, *pipes)
            return
        for pipe in pipes:
            os.close(pipe)
        channel.sendall(f"{process}\n".encode())
        _, status = os.waitpid(process, 0)
        channel.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def run(asked: dict[str, Any], ready: int, go: int) -> None:
    """Be the run that was asked for."""
    os.setsid()
    os.chdir(ROOT)
    output = os.open(asked["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.clear()
    os.environ.update(asked["environment"])
    for without in asked["without"]:
        getattr(import_module("controls"), without)()
    # Where only parents may trace, others are allowed to.
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(PR_SET_PTRACER_ANY), 0, 0, 0)
    watch_threads(Birth(asked["awaited"], ready, go, Path(asked["threads"])))
    if asked["awaited"] is None:
        os.close(ready)
    from scrapy.cmdline import execute

    try:
        execute(asked["command"])
    finally:
        if modules := asked["environment"].get("MODULES"):
            Path(modules).write_text("\n".join(sys.modules))


def main() -> None:
    """Import what a run imports, then serve."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    modules = Path(sys.argv[2])
    if modules.exists():
        for name in modules.read_text().split():
            if name not in ("twisted.internet.reactor", "__main__"):
                # Some modules are names that others give themselves.
                with suppress(ImportError):
                    import_module(name)
    import_module("scrapy.cmdline")
    assert "twisted.internet.reactor" not in sys.modules
    gc.collect()
    gc.freeze()
    serve(channel)


class Nursery:
    """The other end: asks for runs, and waits for them."""

    def __init__(self, channel: socket.socket, answers: TextIO, scratch: Path) -> None:
        self.channel, self.answers, self.scratch = channel, answers, scratch

    def run(
        self,
        command: list[str],
        environment: Mapping[str, str],
        *,
        traced: Callable[[int], "Popen[bytes]"] | None = None,
        thread: int = 0,
        without: tuple[str, ...] = (),
    ) -> Run:
        """Run a command to its end; ``traced`` is told a thread's id, and returns its tracer, before it begins."""
        told, output = Path(environment["TOLD"]), self.scratch / "output"
        told.unlink(missing_ok=True)
        asked = {
            "command": command,
            "environment": dict(environment),
            "output": str(output),
            "threads": str(self.scratch / "threads"),
            "awaited": thread if traced else None,
            "without": without,
        }
        ready, ready_there = os.pipe()
        go_there, go = os.pipe()
        socket.send_fds(self.channel, [json.dumps(asked).encode()], [ready_there, go_there])
        process = int(self.answers.readline())
        os.close(ready_there)
        os.close(go_there)
        watchdog = threading.Timer(PATIENCE, os.kill, (process, signal.SIGKILL))
        watchdog.start()
        tracer = None
        with os.fdopen(ready) as waiting:
            if id := waiting.readline():
                assert traced
                tracer = traced(int(id))
        with suppress(BrokenPipeError):
            os.write(go, b"!")
        os.close(go)
        status = int(self.answers.readline())
        watchdog.cancel()
        if tracer:
            tracer.communicate(timeout=PATIENCE)
        lines = told.read_text().splitlines() if told.exists() else []
        return Run(status, output.read_text(), [tuple(line.split(" ", 1)) for line in lines])

    @property
    def threads(self) -> dict[int, int]:
        """The threads of the last run: number by id."""
        lines = (self.scratch / "threads").read_text().split("\n")[:-1]
        return {int(id): int(number) for id, number in map(str.split, lines)}


@contextmanager
def nursery(
    scratch: Path, environment: Mapping[str, str], modules: Path, *, inside: Sequence[str] = ()
) -> Iterator[Nursery]:
    """Have a process that forks runs while the context lasts; ``modules`` names what it imports, if it exists.

    ``inside`` is a command that runs it somewhere else.
    """
    here, there = socket.socketpair()
    command = [*inside, sys.executable, __file__, str(there.fileno()), str(modules)]
    with here, Popen(command, cwd=ROOT, env=dict(environment), pass_fds=[there.fileno()]) as process:
        there.close()
        with here.makefile("r") as answers:
            try:
                yield Nursery(here, answers, scratch)
            finally:
                here.shutdown(socket.SHUT_RDWR)
                process.wait(PATIENCE)


if __name__ == "__main__":
    main()
