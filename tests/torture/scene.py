"""What is attacked, and how thoroughly."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from attack import Point
from judge import Judge

#: Whether everything is attacked, as ``make torture`` does, or a sample.
WHOLE = bool(os.environ.get("TORTURE"))
#: What notes a figure: pytest's ``record_property``.
Record = Callable[[str, object], None]


@dataclass(frozen=True)
class Scene:
    """What is attacked: an archive, what an undisturbed run makes of it, and the calls of that run."""

    base: Path
    judge: Judge
    #: Every write-side call that touches the archive, to be killed; the same for all processes.
    points: list[Point]
