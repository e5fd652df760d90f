"""What happens to an archive in weeks, in simulated time; ``python -m tests.fortnight`` prints tables."""

import os
from pathlib import Path

__all__ = ["FOLDER", "SHOWS"]

#: Modules of shows, in the order in which they are given.
SHOWS = ("schedule", "drift")
FOLDER = Path(os.environ.get("FORTNIGHT") or ("/dev/shm/fortnight" if Path("/dev/shm").is_dir() else "/tmp/fortnight"))
