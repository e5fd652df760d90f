"""Simulated time: whole months of waiting pass in no time at all.

The server and the crawls share one process and one event loop. Whenever nobody has
anything to do, the loop moves the clock on to its next timer instead of waiting for it.
What takes real time (a thread, a request on its way through the kernel) is waited for,
and takes no simulated time. So delays, ``Crawl-delay`` and ``Retry-After`` are kept to
the millisecond and cost nothing.

Importing this module replaces ``time.monotonic``. It comes before all others: whoever
imported ``monotonic`` by name before has the real one.
"""

import asyncio
import selectors
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from time_machine import travel

__all__ = ["Clock", "Loop"]

#: Seconds of real time after which something that is under way will not come any more.
PATIENCE = 60
#: Turns of the loop within which something must have been waited for.
MOST_TURNS = 200_000
#: The clock moves at least so far, in seconds: more than the error of the time as a floating-point number, or what is
#: still a fraction of a microsecond away would never be due.
LEAST = 1e-6


class Clock:
    """Says what time it is, for everything in this process, and moves only when told."""

    #: When ``time.monotonic`` was zero, in nanoseconds.
    origin = time.time_ns()

    def __init__(self, start: float) -> None:
        self.traveller = travel(start, tick=False).start()
        Clock.origin = time.time_ns()
        #: What is under way in real time: jobs of threads, requests on the wire.
        self.under_way = 0

    def move(self, seconds: float) -> None:
        """Move on."""
        self.traveller.shift(max(seconds, LEAST))


def monotonic() -> float:
    """Return the seconds since the start: a small number, as floating-point ones are exact only near zero."""
    return (time.time_ns() - Clock.origin) / 1e9


time.monotonic = monotonic


class _Selector(selectors.EpollSelector):
    """Moves the clock instead of waiting, unless something is under way."""

    clock: Clock
    #: Turns of the loop since the clock moved last.
    turns = 0

    def select(self, timeout: float | None = None) -> Any:
        """Return what is ready."""
        ready = super().select(0)
        self.turns += 1
        if self.turns > MOST_TURNS:
            raise RuntimeError("the clock stands still")
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.clock.under_way and (timeout is None or timeout > LEAST):
            ready = super().select(PATIENCE)
            if not ready:
                raise RuntimeError(f"{self.clock.under_way} under way, and nothing happens")
        elif timeout is None:
            raise RuntimeError("everybody waits for something that will never come")
        else:
            self.clock.move(timeout)
            self.turns = 0
        return ready


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose waiting takes no time."""

    def __init__(self, clock: Clock) -> None:
        selector = _Selector()
        selector.clock = clock
        self.clock = clock
        super().__init__(selector)
        self._clock_resolution = 1e-8

    def time(self) -> float:
        """Return the simulated time."""
        return monotonic()

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """Call later, and not before the clock has moved: who waits for a billionth of a second would wait for ever."""
        return super().call_later(max(delay, LEAST) if delay > 0 else delay, callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        """Run in a thread, for which the clock stands still."""
        self.clock.under_way += 1
        job = super().run_in_executor(executor, func, *args)
        job.add_done_callback(self._done)
        return job

    def _done(self, job: "asyncio.Future[Any]") -> None:
        self.clock.under_way -= 1
        with suppress(asyncio.CancelledError):
            job.exception()
