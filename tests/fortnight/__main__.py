"""Weeks of an archive's life in minutes: ``python -m tests.fortnight schedule SEED=1 DAYS=14``.

Each show is a module whose ``main`` gets what is given as NAME=number, prints its tables
and returns which figures are not what they must be. Exits with 1 if there are any.
Archives and logs stay in the folder that FORTNIGHT names, to look at what went wrong.
"""

import sys
from importlib import import_module
from time import perf_counter

from tests.fortnight import SHOWS


def main(words: list[str]) -> int:
    """Show what is named, or everything, and return the exit status."""
    given = {name.upper(): int(value) for name, _, value in (word.partition("=") for word in words) if value}
    missed = []
    for show in [word for word in words if "=" not in word] or SHOWS:
        began = perf_counter()
        missed += import_module(f"tests.fortnight.{show}").main(**given)
        print(f"\n{show}: {perf_counter() - began:.0f} s.", flush=True)
    print(f"{len(missed)} figures missed: {', '.join(missed)}" if missed else "All held.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
