#!/usr/bin/env python3
"""Stands for the Python that runs ``scrapy archive``: says that it was started, and ends when it is told to.

Beside its report it finds ``NAME.go``, whose text is the exit status; SIGTERM makes it end with 1.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

report = Path(sys.argv[sys.argv.index("--report") + 1])
job = report.name.split(".")[0]
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
with (report.parent / "stand-in").open("a") as file:
    file.write(f"{job} start {os.getpid()}\n")
go = report.parent / f"{job}.go"
deadline = time.monotonic() + 60
while not stopped and not go.exists() and time.monotonic() < deadline:
    time.sleep(0.01)
status = 1 if stopped or not go.exists() else int(go.read_text())
with (report.parent / "stand-in").open("a") as file:
    file.write(f"{job} end {os.getpid()}\n")
if status >= 0:
    report.write_text(json.dumps({"status": status, "publishers": [], "not_run": []}))
    sys.exit(status)
print("something went wrong")
os.kill(os.getpid(), -status)
