"""How long it takes to commit posts: the first time all of them, then a few.

``python -m benchmarks.publication [POSTS]`` prints seconds, and the size of the repository.
"""

import random
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from newsarchive.publication import Options, publish

NEW, CHANGED = 12, 3


def main() -> None:
    """Commit so many posts, by default 100,000, then fifteen, then none."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    draw = random.Random(1)
    with TemporaryDirectory() as scratch:
        archive = Path(scratch)
        for n in range(number):
            write(archive, n, draw)
        timed(archive, f"{number} posts at once")
        for n in [*range(number, number + NEW), *range(CHANGED)]:
            write(archive, n, draw)
        timed(archive, f"{NEW} new, {CHANGED} changed of {number}")
        timed(archive, "nothing new")
        for folder in ("_posts", ".git"):
            size = subprocess.run(
                ["du", "-sm", "--apparent-size", archive / folder], capture_output=True, text=True, check=True
            )
            print(f"{int(size.stdout.split()[0]):8} MB  {folder}")


def write(archive: Path, number: int, draw: random.Random) -> None:
    """Write a post of some three kilobytes of Chinese that compresses as text does."""
    words = [chr(draw.randrange(0x4E00, 0x4E00 + 800)) for _ in range(900)]
    year, month, day = 2014 + number // 10_000 % 10, number // 800 % 12 + 1, number // 28 % 28 + 1
    file = archive / f"_posts/cna/{year}/{year}-{month:02}-{day:02}-{year}{month:02}{day:02}{number:08}.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"---\nlayout: post\ntitle: {number}\n---\n<p>{''.join(words)}</p>\n", "utf-8")


def timed(archive: Path, what: str) -> None:
    """Publish, and print how long it took."""
    began = monotonic()
    done = publish(archive, Options())
    assert not done.problem, done.problem
    print(f"{monotonic() - began:8.1f} s   {what}")


if __name__ == "__main__":
    main()
