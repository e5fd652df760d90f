"""A night of ``scrapy schedule``, in which clocks go back and the scheduler is killed twice; see ``make fortnight``."""

import os
import subprocess
import sys
from pathlib import Path

from places import CHECKOUT


def test_a_night_of_the_scheduler(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fortnight", "schedule", "HOURS=4", "KILLS=2"]
    environment = {**os.environ, "FORTNIGHT": str(tmp_path)}
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    log = (tmp_path / "schedule/log").read_text()
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{log}"
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["schedulers", "killed", "2"] in rows
    assert [row for row in rows if row[:1] == ["lost"]] == [["lost", "0"]] * 3
    # Both of the two hours that are called two o'clock were archived.
    assert log.count(" cna: well, ") >= 4
