"""Runs all benchmarks, or those that are named; exits with 1 if a target is missed."""

import sys

from benchmarks import captures, crawl, export, importing, index, read, replay

BENCHMARKS = {
    "read": read.main,
    "replay": replay.main,
    "captures": captures.main,
    "crawl": crawl.main,
    "index": index.main,
    "import": importing.main,
    "export": export.main,
}

met = [BENCHMARKS[name]() for name in sys.argv[1:] or BENCHMARKS]
sys.exit(0 if all(met) else 1)
