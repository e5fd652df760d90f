"""A process in simulated time: it says when it has nothing to do and until when, and is told when time has come.

Several processes share a clock that lies in a file. Their coordinator
(``tests.fortnight.coordinator``) moves it on when all of them wait. A process counts as
busy from before it is started, as it inherits its connection, until it says otherwise.

Importing ``join`` must come before everything else: whoever has imported ``monotonic``
by name before has the real one.
"""

import asyncio
import faulthandler
import os
import random
import selectors
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from mmap import ACCESS_READ, mmap
from pathlib import Path
from secrets import token_hex
from typing import Any

from time_machine import travel

__all__ = ["LINK", "join"]

#: Seconds of real time after which is looked whether a thread is waiting.
LOOK = 0.01
#: Nanoseconds by which time moves at least.
LEAST = 1_000
NEVER = 2**62


class Link:
    """The connection to the coordinator, and what it has to know."""

    def __init__(self) -> None:
        self.folder = Path(os.environ["SIMULATED_TIME"])
        with (self.folder / "clock").open("rb") as file:
            self.clock = mmap(file.fileno(), 16, access=ACCESS_READ)
        #: Nanoseconds since 1970 at which the simulation began.
        self.origin: int = struct.unpack_from("q", self.clock, 8)[0]
        self.id = os.environ.pop("SIMULATED_ID")
        self.socket = socket.socket(fileno=int(os.environ.pop("SIMULATED_FD")))
        self.socket.set_inheritable(False)
        # Python closes the socket some time before the process is gone; time must not go on before that.
        os.dup(self.socket.fileno())
        self.lock = threading.Lock()
        #: What is under way in real time: jobs of threads, requests on the wire.
        self.under_way = 0
        #: Threads that wait for a process, which takes simulated time.
        self.parked = 0
        #: Processes that this one has seen end.
        self.reaped: set[int] = set()

    def now(self) -> int:
        """Return the simulated time in nanoseconds since 1970."""
        time: int = struct.unpack_from("q", self.clock, 0)[0]
        return time

    def send(self, *words: object) -> None:
        """Tell the coordinator something."""
        self.socket.sendall((" ".join(map(str, words)) + "\n").encode())

    def idle(self, until: int) -> None:
        """Tell that there is nothing to do until a time."""
        self.send("idle", until, len(self.reaped))

    def child(self) -> tuple[str, socket.socket]:
        """Return name and connection for a new process, which counts as busy from now on."""
        name, connection = token_hex(6), socket.socket(socket.AF_UNIX)
        connection.connect(str(self.folder / "socket"))
        connection.sendall(f"child {name} {self.id}\n".encode())
        # Until it is known, this process may not be taken for idle.
        assert connection.recv(1)
        return name, connection


LINK: Link


class Selector(selectors.EpollSelector):
    """Waits for the coordinator instead of the clock, unless something is under way in real time."""

    def __init__(self) -> None:
        super().__init__()
        self.mark = self.register(LINK.socket, selectors.EVENT_READ)

    def select(self, timeout: float | None = None) -> Any:
        """Return what is ready."""
        ready = self.events(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        wait = NEVER if timeout is None else max(int(timeout * 1e9) + 1, LEAST)
        while LINK.under_way > LINK.parked and wait > LEAST:
            # A thread that begins to wait for a process wakes nobody.
            if ready := self.events(LOOK):
                return ready
        LINK.idle(min(LINK.now() + wait, NEVER))
        while True:
            found = super().select()
            told = [event for event in found if event[0] is not self.mark]
            if len(told) < len(found):
                if not LINK.socket.recv(64):
                    raise SystemExit("the coordinator is gone")
                return told
            if told:
                LINK.send("busy")
                return told

    def events(self, timeout: float) -> list[Any]:
        return [event for event in super().select(timeout) if event[0] is not self.mark]


def run_in_executor(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method of loops, but the clock stands still for what runs in a thread."""

    def run(loop: Any, executor: Any, func: Any, *args: Any) -> Any:
        LINK.under_way += 1
        job = original(loop, executor, func, *args)

        def done(_: Any) -> None:
            LINK.under_way -= 1

        job.add_done_callback(done)
        return job

    return run


def call_later(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method of loops, but not before the clock has moved: a billionth of a second would last for ever."""

    def call(loop: Any, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        return original(loop, max(delay, LEAST / 1e9) if delay > 0 else delay, callback, *args, context=context)

    return call


def init(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return the initialiser of Popen, but the process has a connection to the coordinator."""

    def start(self: Any, args: Any, *more: Any, pass_fds: Any = (), env: Any = None, **options: Any) -> None:
        name, connection = LINK.child()
        env = {**(os.environ if env is None else env), "SIMULATED_ID": name, "SIMULATED_FD": str(connection.fileno())}
        # What is to die is this process and no other.
        env.pop("DIE", None)
        try:
            original(self, args, *more, pass_fds=(*pass_fds, connection.fileno()), env=env, **options)
        finally:
            connection.close()

    return start


def waiting(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of Popen that waits for the process, but time goes on meanwhile."""

    def wait(self: Any, *args: Any, **options: Any) -> Any:
        if self.pid in LINK.reaped or getattr(self, "waited_for", False):
            return original(self, *args, **options)
        self.waited_for = True
        has_loop = LINK.under_way > 0
        with LINK.lock:
            LINK.parked += 1
        if not has_loop:
            LINK.idle(NEVER)
        try:
            return original(self, *args, **options)
        finally:
            with LINK.lock:
                LINK.parked -= 1
                LINK.reaped.add(self.pid)

    return wait


class Mortal(sqlite3.Connection):
    """Kills its process before or after one of its transactions becomes lasting."""

    left = 0
    before = False

    def execute(self, statement: str, *more: Any) -> Any:
        """Execute a statement, unless it is the last that is not."""
        if statement != "COMMIT":
            return super().execute(statement, *more)
        Mortal.left -= 1
        if Mortal.left == 0 and Mortal.before:
            os.kill(os.getpid(), signal.SIGKILL)
        done = super().execute(statement, *more)
        if Mortal.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return done


def mortal(original: Callable[..., Any], when: str) -> Callable[..., Any]:
    """Return what connects to a database, but to die ``before 3`` or ``after 5`` transactions."""
    side, number = when.split()
    Mortal.before, Mortal.left = side == "before", int(number)

    def connect(*args: Any, **options: Any) -> Any:
        return original(*args, **{"factory": Mortal, **options})

    return connect


def join() -> None:
    """Live in simulated time from now on."""
    global LINK
    LINK = Link()
    traveller = travel(0, tick=False).start()
    type(traveller).time_ns = lambda _: LINK.now()  # type: ignore[method-assign]
    time.monotonic = lambda: (LINK.now() - LINK.origin) / 1e9
    selectors.DefaultSelector = Selector  # type: ignore[misc]
    loops = asyncio.base_events.BaseEventLoop
    loops.run_in_executor = run_in_executor(loops.run_in_executor)  # type: ignore[method-assign]
    loops.call_later = call_later(loops.call_later)  # type: ignore[method-assign]
    subprocess.Popen.__init__ = init(subprocess.Popen.__init__)  # type: ignore[method-assign]
    subprocess.Popen.wait = waiting(subprocess.Popen.wait)  # type: ignore[method-assign]
    subprocess.Popen.communicate = waiting(subprocess.Popen.communicate)  # type: ignore[method-assign]
    if when := os.environ.get("DIE"):
        sqlite3.connect = mortal(sqlite3.connect, when)  # type: ignore[assignment]
    # Asked by the coordinator when nothing happens any more, it says where it is.
    faulthandler.register(signal.SIGUSR1)
    # Delays have jitter; the same simulation must go the same way.
    random.seed(str(LINK.now()))
    LINK.send("joined", os.getpid(), *[word.replace(" ", "_").replace("\n", "_") for word in sys.orig_argv])
