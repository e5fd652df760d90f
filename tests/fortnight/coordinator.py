"""The time of several processes: it stands still while one of them has something to do, and else jumps to what is next.

The processes are real ones, started by each other as they would be anywhere; see
``simulated/simulated_process.py`` for their side. The coordinator sees each of them
start and end, so what it has on record is what happened, whatever they say themselves.
"""

import asyncio
import heapq
import os
import signal
import socket
import struct
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from mmap import mmap
from pathlib import Path

from time_machine import travel

__all__ = ["Coordinator", "Process"]

ROOT = Path(__file__).resolve().parents[2]
SIMULATED = Path(__file__).parent / "simulated"
#: Seconds of real time within which something must happen.
PATIENCE = 60
NEVER = 2**62


@dataclass(eq=False)
class Process:
    """A process in simulated time; times in seconds since 1970."""

    id: str
    parent: "Process | None"
    started: float
    pid: int = 0
    words: list[str] = field(default_factory=list)
    ended: float | None = None
    #: Whether it was killed.
    killed: bool = False
    #: Nanoseconds until which it has nothing to do; None while it has.
    idle: int | None = None
    #: Processes that it has started and that have ended, and how many of them it has seen end.
    gone: int = 0
    reaped: int = 0
    writer: asyncio.StreamWriter | None = None

    @property
    def waits(self) -> bool:
        """Whether it has nothing to do at present."""
        return self.idle is not None and self.reaped >= self.gone


class Coordinator:
    """Owns the time."""

    def __init__(self, folder: Path, start: float) -> None:
        """Begin at a time, with the clock and the socket in a folder whose path is short."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "socket").unlink(missing_ok=True)
        (folder / "clock").write_bytes(struct.pack("qq", int(start * 1e9), int(start * 1e9)))
        with (folder / "clock").open("r+b") as file:
            self.clock = mmap(file.fileno(), 16)
        self.living: dict[str, Process] = {}
        self.processes: list[Process] = []
        self.planned: list[tuple[int, int, Callable[[], None]]] = []
        self.numbers = count()
        self.over = asyncio.Event()
        self.failure: BaseException | None = None
        self.moves = 0
        self.happened = 0
        #: Called when a process that this one has started has ended.
        self.child_ended: Callable[[Process], None] = lambda process: None
        self.tasks: set[asyncio.Future[None]] = set()
        self.children: list[subprocess.Popen[bytes]] = []
        traveller = travel(0, tick=False).start()
        type(traveller).time_ns = lambda _: self.now  # type: ignore[method-assign]

    @property
    def now(self) -> int:
        """The time in nanoseconds since 1970."""
        time: int = struct.unpack_from("q", self.clock, 0)[0]
        return time

    @property
    def seconds(self) -> float:
        """The time in seconds since 1970."""
        return self.now / 1e9

    def at(self, time: float, do: Callable[[], None]) -> None:
        """Do something at a time."""
        heapq.heappush(self.planned, (int(time * 1e9), next(self.numbers), do))

    def start(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Process:
        """Start a process in simulated time."""
        mine, theirs = socket.socketpair()
        process = Process(f"root{next(self.numbers)}", None, self.seconds)
        self.known(process)
        more = {
            "SIMULATED_TIME": str(self.folder),
            "SIMULATED_ID": process.id,
            "SIMULATED_FD": str(theirs.fileno()),
            "PYTHONPATH": os.pathsep.join((str(SIMULATED), str(ROOT))),
            "PYTHONHASHSEED": "0",
        }
        with log.open("ab") as out, theirs:
            child = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**environment, **more},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                pass_fds=[theirs.fileno()],
            )
        self.children.append(child)
        process.pid = child.pid
        task = asyncio.ensure_future(self.listen_to(process, mine))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return process

    def known(self, process: Process) -> None:
        """Note a new process, which is busy."""
        self.living[process.id] = process
        self.processes.append(process)

    def kill(self, process: Process, how: int = signal.SIGKILL) -> None:
        """Send a signal to a process; it has something to do then."""
        process.idle = None
        process.killed = process.killed or how == signal.SIGKILL
        os.kill(process.pid, how)

    async def run(self) -> None:
        """Let time pass until somebody sets ``over``; end what is left then, and raise what went wrong."""
        server = await asyncio.start_unix_server(self.accept, str(self.folder / "socket"))
        watch = asyncio.ensure_future(self.watch())
        self.move()
        await self.over.wait()
        watch.cancel()
        server.close()
        for process in self.living.values():
            if process.pid:
                os.kill(process.pid, signal.SIGKILL)
        for child in self.children:
            child.wait()
        if self.failure:
            raise self.failure

    async def watch(self) -> None:
        """Fail when nothing happens any more."""
        while True:
            before = self.happened
            await asyncio.sleep(PATIENCE)
            if self.happened == before:
                for process in self.living.values():
                    os.kill(process.pid, signal.SIGUSR1)
                await asyncio.sleep(1)
                busy = [
                    f"{one.pid} {one.idle} {one.gone} {one.reaped} {' '.join(one.words[3:5])}"
                    for one in self.living.values()
                    if not one.waits
                ]
                self.fail(RuntimeError(f"nothing happens; busy: {busy}"))

    def fail(self, error: BaseException) -> None:
        """End it all."""
        self.failure = self.failure or error
        self.over.set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Meet a process that another one is about to start."""
        _, name, parent = (await reader.readline()).decode().split()
        process = Process(name, self.living.get(parent), self.seconds, writer=writer)
        self.known(process)
        writer.write(b".")
        await self.read(process, reader)

    async def listen_to(self, process: Process, connection: socket.socket) -> None:
        """Meet a process that was started here."""
        reader, process.writer = await asyncio.open_connection(sock=connection)
        await self.read(process, reader)

    async def read(self, process: Process, reader: asyncio.StreamReader) -> None:
        """Hear what a process says until it ends."""
        try:
            while line := await self.line(reader):
                self.happened += 1
                word, *more = line.split(" ")
                if word == "idle":
                    process.idle, process.reaped = int(more[0]), int(more[1])
                elif word == "busy":
                    process.idle = None
                else:
                    process.pid, process.words = int(more[0]), more[1:]
                self.move()
            self.ended(process)
            self.move()
        except Exception as error:  # noqa: BLE001 - whatever it is, the simulation is broken
            self.fail(error)
        finally:
            assert process.writer
            process.writer.close()

    async def line(self, reader: asyncio.StreamReader) -> str:
        """Return the next line; empty at the end."""
        try:
            return (await reader.readline()).decode().rstrip("\n")
        except ConnectionError:
            return ""

    def ended(self, process: Process) -> None:
        """Note the end of a process; whoever started it has something to do then."""
        self.happened += 1
        process.ended = self.seconds
        del self.living[process.id]
        if process.parent:
            process.parent.gone += 1
        else:
            self.child_ended(process)

    def move(self) -> None:
        """Move on to what is next, if nobody has anything to do."""
        while not self.over.is_set() and all(process.waits for process in self.living.values()):
            times = [process.idle for process in self.living.values() if process.idle is not None]
            following = min(*times, self.planned[0][0] if self.planned else NEVER, NEVER)
            if following == NEVER:
                self.fail(RuntimeError("everybody waits for something that will never come"))
                return
            struct.pack_into("q", self.clock, 0, max(following, self.now))
            self.moves += 1
            while self.planned and self.planned[0][0] <= self.now:
                heapq.heappop(self.planned)[2]()
            for process in self.living.values():
                if process.idle is not None and process.idle <= self.now and process.waits:
                    process.idle = None
                    assert process.writer
                    process.writer.write(b"g")
