"""A disk with room for so many pages and no more: the run says so, and once there is room the next one goes on."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from attack import Torturer
from judge import Judge, after_rerun, unsaid
from nursery import nursery
from scene import WHOLE, Record
from world import command, environment

PAGE = 4096
#: Pages between two sizes that are tried.
STEP = 1 if WHOLE else 16


@dataclass
class SmallDisk:
    """A disk of its own, in the memory of a process that nobody else shares."""

    #: Runs a command where the disk is mounted.
    inside: list[str]
    mounted: Path
    #: The same folder as everybody else sees it.
    seen: Path

    def resize(self, pages: int) -> None:
        subprocess.run([*self.inside, "mount", "-o", f"remount,size={pages * PAGE}", str(self.mounted)], check=True)

    @property
    def used(self) -> int:
        """How many pages are used."""
        found = subprocess.run(
            [*self.inside, "stat", "-f", "-c", "%b %f", str(self.mounted)], capture_output=True, text=True, check=True
        )
        blocks, free = found.stdout.split()
        return int(blocks) - int(free)


@contextmanager
def small_disk(mounted: Path) -> Iterator[SmallDisk]:
    """Have a small disk while the context lasts; skip where none can be mounted."""
    mounted.mkdir()
    script = f"mount -t tmpfs -o size=64M none {mounted} && echo mounted && exec sleep infinity"
    line = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
    if not shutil.which("unshare") or not shutil.which("nsenter"):
        pytest.skip("unshare and nsenter are not installed")
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as holder:
        try:
            assert holder.stdout
            if (said := holder.stdout.readline()) != "mounted\n":
                pytest.skip(f"no disk can be mounted: {said}")
            inside = ["nsenter", "--target", str(holder.pid), "--user", "--mount", "--preserve-credentials"]
            yield SmallDisk(inside, mounted, Path(f"/proc/{holder.pid}/root{mounted}"))
        finally:
            holder.kill()


def test_full_disk(tortured: Torturer, judge: Judge, tmp_path: Path, record_property: Record) -> None:
    problems: list[str] = []
    failed = 0
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    plain = environment(tortured.server, scratch / "told")
    with (
        small_disk(tmp_path / "disk") as disk,
        nursery(scratch, plain, tortured.scratch / "modules", inside=disk.inside) as here,
    ):
        archive = disk.mounted / "archive"
        seen = disk.seen / "archive"
        shutil.copytree(tortured.base, seen)
        first = disk.used
        sizes = range(first, first + 1000, STEP)
        for size in sizes:
            shutil.rmtree(seen)
            disk.resize(16384)
            shutil.copytree(tortured.base, seen)
            disk.resize(size)
            run = here.run(command(archive), plain)
            if run.status == 0:
                break
            failed += 1
            found = [] if run.status == 1 else [f"the run ended with {run.status}"]
            found += unsaid(run)
            found += judge.promised(seen, run)
            disk.resize(16384)
            again = here.run(command(archive), plain)
            found += after_rerun(again)
            found += judge.differences(seen)
            if found:
                problems.append(f"{size - first} pages free:\n    " + "\n    ".join(found))
    record_property("total:full disk: sizes at which the disk was full", failed)
    record_property("total:full disk: archives inconsistent after the rerun", len(problems))
    assert not problems, "\n".join([f"{len(problems)} of {failed}", *problems])
    assert failed
