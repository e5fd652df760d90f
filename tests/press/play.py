"""Months of a crawler's life, to be played in minutes: what is to happen, and what came of it.

The clock of this process stays as it is: plans are played in one of their own
(``tests.press.player``).
"""

import os
import pickle
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.press.listings import EDITIONS
from tests.press.server import Asked
from tests.press.world import Spec

__all__ = ["Plan", "Played", "Run", "play"]

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be played: one publisher, whose crawler is started again and again."""

    publisher: str
    archive: str
    spec: Spec = field(default_factory=Spec)
    hours: int = 24
    #: Hours from one start of the crawler to the next.
    every: int = 1
    #: Share of requests that fail.
    faults: float = 0.05
    #: Hours, counted from the start, between which the crawler does not run.
    outages: tuple[tuple[int, int], ...] = ()
    #: Hours between which RFI answers 403 to everything but robots.txt and feeds.
    blocked: tuple[int, int] = (0, 0)
    #: What the publisher does to all its pages, and after which hour: see ``tests.press.changes``.
    changed: tuple[str, int] = ("", 0)
    #: What the crawls are given: ``since``, ``until``, ``edition``.
    arguments: tuple[tuple[str, str], ...] = ()
    #: Whether it ends with the first run that says that its back-fill is complete.
    backfill: bool = False
    #: Seconds after the world's start at which it begins.
    begin: float = 0
    #: Number of requests after which the crawler is killed; 0 for never.
    kill: int = 0
    #: Whether it ends with a run for which the publisher has nothing new.
    quiet: bool = False

    @property
    def edition(self) -> str:
        """The script that the crawls ask for."""
        return dict(self.arguments).get("edition") or EDITIONS[self.publisher][0]


@dataclass(slots=True)
class Run:
    """One run of the crawler, as it looks from outside."""

    start: float
    end: float
    #: Its requests in the server's log.
    requests: slice
    failures: list[str]
    account: dict[str, Any]
    #: Of real time.
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether it was a back-fill, and says that nothing is left of it."""
        return bool(self.account.get("backfill")) and not self.account["backfill"]["left"]["requests"]


@dataclass(slots=True)
class Played:
    """What came of a plan."""

    plan: Plan
    runs: list[Run] = field(default_factory=list)
    log: list[Asked] = field(default_factory=list)
    #: When it began and ended.
    start: float = 0
    end: float = 0
    #: The run with nothing new, and bytes that it wrote to posts.
    quiet: Run | None = None
    written: int = 0
    killed: bool = False


def play(plan: Plan) -> Played:
    """Play a plan in a process of its own; raise RuntimeError with its last words if it breaks."""
    folder = Path(plan.archive)
    folder.mkdir(parents=True, exist_ok=True)
    given, result = folder / "plan", folder / "played"
    given.write_bytes(pickle.dumps(plan))
    result.unlink(missing_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment |= {"PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.press.player", given, result]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    killed = plan.kill and done.returncode == -signal.SIGKILL
    if not result.exists() or (done.returncode and not killed):
        raise RuntimeError(f"{plan.publisher}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    played: Played = pickle.loads(result.read_bytes())
    return played
