"""Attacks on runs at one system call each: the process is killed there, or the call fails."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import strace
from nursery import Nursery, Run, nursery
from server import Server, serving
from strace import Call
from world import at_first, command, environment, later, take_time

#: Seconds in which a run commits what it has, unless the machine is busy.
PAUSE = 0.02
ERRORS = ("ENOSPC", "EIO")
HARMS = ("KILL", *ERRORS)


@dataclass(frozen=True)
class Point:
    """A call of a run under attack, and what is done to it."""

    thread: int
    name: str
    ordinal: int
    #: What the call was about in the run that was watched, for people.
    file: str
    #: ``KILL``, or the name of the error that the call gives.
    harm: str

    @property
    def option(self) -> str:
        """What does this harm, as strace wants it."""
        harm = "signal=KILL" if self.harm == "KILL" else f"error={self.harm}"
        if self.harm != "KILL" and self.name in ("fsync", "fdatasync"):
            # A disk takes its time to fail, and what comes meanwhile waits: in microseconds.
            harm += ":delay_enter=50000"
        return f"inject={self.name}:{harm}:when={self.ordinal}"

    @property
    def possible(self) -> bool:
        """Whether it can happen: locks do not fail for want of a disk."""
        return self.harm == "KILL" or self.name not in strace.LOCKS

    def __str__(self) -> str:
        return f"{self.harm} at thread {self.thread}'s {self.name} number {self.ordinal}, of {self.file}"


@dataclass
class Attacked:
    """An archive after an attack, and the run that was attacked."""

    archive: Path
    run: Run
    #: The call that was harmed; None if the run ended without making it.
    call: Call | None


class Torturer:
    """Runs of this world against archives that begin as copies of one."""

    def __init__(self, here: Nursery, server: Server, steady: Server, scratch: Path) -> None:
        self.here, self.scratch = here, scratch
        #: The publisher as it is later, and one that takes its time, so that each article is committed before the
        #: next is there, and every run makes the same calls.
        self.server, self.steady = server, steady
        #: Seconds for which that one waits before each answer.
        self.pause = PAUSE
        take_time(steady, lambda: self.pause)
        #: The archive after the first run.
        self.base = scratch / "base"

    def run(self, archive: Path, *, without: tuple[str, ...] = (), publisher: str = "cna") -> Run:
        """Run plainly."""
        words = ("crawl", publisher)
        return self.here.run(command(archive, *words), environment(self.server, self.told), without=without)

    def verified(self, archive: Path) -> list[str]:
        """Return what ``scrapy verify`` says against an archive."""
        run = self.here.run(command(archive, "verify"), environment(self.server, self.told))
        return [] if run.status == 0 else [f"scrapy verify ends with {run.status}: {run.output[-3000:]}"]

    @property
    def told(self) -> Path:
        return self.scratch / "told"

    def copy(self, name: str = "archive", of: Path | None = None) -> Path:
        """Return a fresh copy of an archive, by default of the one after the first run."""
        archive = self.scratch / name
        if archive.exists():
            shutil.rmtree(archive)
        shutil.copytree(of or self.base, archive)
        return archive

    def watched(
        self, archive: Path, *, without: tuple[str, ...] = (), steady: bool = False, harm: Point | None = None
    ) -> tuple[Run, list[Call]]:
        """Run while every call is written down; return the run and its calls.

        ``harm`` is done by whichever thread comes first to as many calls of that name.
        """
        log = self.scratch / "watched"
        options = ("-f", "-e", f"trace={strace.names()}", *(("-e", harm.option) if harm else ()))
        run = self.here.run(
            command(archive),
            environment(self.steady if steady else self.server, self.told),
            traced=lambda thread: strace.attach(thread, log, *options),
            without=without,
        )
        return run, list(strace.calls(log, self.here.threads))

    def attack(self, point: Point, *, of: Path | None = None, without: tuple[str, ...] = ()) -> Attacked:
        """Run on a fresh copy, do harm at a point, and return what is left."""
        archive, log = self.copy(of=of), self.scratch / "attacked"
        log.unlink(missing_ok=True)
        run = self.here.run(
            command(archive),
            environment(self.steady, self.told),
            traced=lambda thread: strace.attach(thread, log, "-e", f"trace={point.name}", "-e", point.option),
            thread=point.thread,
            without=without,
        )
        number = {id: number for id, number in self.here.threads.items() if number == point.thread}
        hit = None
        if log.exists():
            # Only one thread is traced: strace does not name it.
            id = next(iter(number), 0)
            named = log.with_name("named")
            named.write_text("".join(f"{id} {line}\n" for line in log.read_text().splitlines()))
            made = [call for call in strace.calls(named, number) if call.name == point.name]
            if len(made) >= point.ordinal:
                hit = made[point.ordinal - 1]
        return Attacked(archive, run, hit)

    def hit(self, point: Point, *, of: Path) -> Attacked | None:
        """Attack until the call is made: a busy machine commits several articles at once. None if it never is."""
        try:
            for patience in (1, 3, 10):
                self.pause = patience * PAUSE
                attacked = self.attack(point, of=of)
                if attacked.call:
                    return attacked
            return None
        finally:
            self.pause = PAUSE


@contextmanager
def torturer(scratch: Path) -> Iterator[Torturer]:
    """Make this world in a folder, and the archive of its first run, while the context lasts."""
    modules = scratch / "modules"
    scratch.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        before, now, steady = (stack.enter_context(serving()) for _ in range(3))
        at_first(before)
        later(now)
        later(steady)
        plain = environment(now, scratch / "told")
        with nursery(scratch, plain, modules) as slow:
            told = {**environment(before, scratch / "told"), "MODULES": str(modules)}
            first = slow.run(command(scratch / "base"), told)
        # A page was refused.
        assert first.status == 1, first.output
        yield Torturer(stack.enter_context(nursery(scratch, plain, modules)), now, steady, scratch)


def points(calls: list[Call], archive: Path) -> list[Point]:
    """Return a killing attack on each call that touches an archive."""
    return [
        Point(call.thread, call.name, call.ordinal, call.file(archive), "KILL")
        for call in calls
        if call.name in strace.WRITES and call.touches(archive)
    ]


def sample(points: list[Point], harm: str, step: int) -> list[Point]:
    """Return every so-many-th of the points, and one of each kind of call on each kind of file, to be harmed.

    Kinds of errors take turns.
    """
    possible = [point for point in (replace(point, harm=harm) for point in points) if point.possible]
    if step == 1:
        return possible
    kinds: set[tuple[str, str]] = set()
    chosen = []
    for number, point in enumerate(possible):
        kind = point.name, Path(point.file).suffix
        if number % step == 0 or kind not in kinds:
            chosen.append(point)
        kinds.add(kind)
    return chosen if harm == "KILL" else chosen[ERRORS.index(harm) :: len(ERRORS)]
