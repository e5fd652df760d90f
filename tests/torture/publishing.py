"""Publications tortured: git, or what calls it, is killed at one system call, and all that belongs to it with it.

A git of our own stands before the real one in its search path. It counts how often each command is called in
the archive, and has the call that is named traced, or killed, by strace. Commands that git itself calls come by
there, too.
"""

import ctypes
import multiprocessing
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import strace
from nursery import PATIENCE, PR_SET_PTRACER, PR_SET_PTRACER_ANY
from strace import Call

from newsarchive.publication import Options, Publication, publish
from newsarchive.publication.posts import key

A, B, C, D = (f"_posts/cna/2024/2024-01-15-20240115000{number}.md" for number in range(1, 5))
RENAMED = B.replace("01-15", "01-16")
THEIRS = "_posts/dw/2024/2024-01-15-68000001.md"
#: What stands for the process that calls git.
CALLER = "newsarchive"
_GIT = """\
#!/bin/sh
case $PWD in {archive}|{archive}/*) ;; *) exec {git} "$@" ;; esac
skip= command=
for word in "$@"; do
    if [ "$skip" ]; then skip=; continue; fi
    case $word in
        -c) skip=1 ;;
        -*) ;;
        *) command=$word; break ;;
    esac
done
printf x >> {scratch}/count-$command
number=$(wc -c < {scratch}/count-$command)
if [ "$TORTURE_WATCH" ]; then
    exec strace -y -xx -s 100000000 -o {scratch}/calls-$command-$number -e trace=$TORTURE_WATCH {git} "$@"
fi
[ "$TORTURE_CALL" = "$command-$number" ] || exec {git} "$@"
strace -o {scratch}/killed -e trace=$TORTURE_NAME -e inject=$TORTURE_NAME:signal=KILL:when=$TORTURE_WHEN {git} "$@"
status=$?
[ $status = 137 ] || exit $status
[ "$TORTURE_ALONE" ] || {{ kill -9 $(cat {scratch}/caller); kill -9 0; }}
kill -9 $$
"""


@dataclass(frozen=True)
class Point:
    """A system call of a publication."""

    #: The git command and which of its calls it is, ``commit-tree-1``; or CALLER.
    process: str
    name: str
    ordinal: int
    file: str

    def __str__(self) -> str:
        return f"{self.process}'s {self.name} number {self.ordinal}, of {self.file}"


@dataclass(frozen=True)
class Stage:
    """What is attacked: an archive, its remote, and whether it is pushed."""

    base: Path
    pushing: bool


class Publisher:
    """Publishes copies of a stage, undisturbed, watched or attacked."""

    def __init__(self, scratch: Path, stage: Stage) -> None:
        self.scratch, self.stage = scratch, stage
        self.folder = scratch / "copy"
        self.tools = scratch / "tools"
        self._place_git()

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    @property
    def remote(self) -> Path:
        return self.folder / "remote.git"

    def _place_git(self) -> None:
        """Make a folder of git's commands in which git itself is ours."""
        real = Path(subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip())
        self.tools.mkdir()
        for command in real.iterdir():
            if command.name != "git":
                (self.tools / command.name).symlink_to(command)
        places = {"archive": self.archive, "scratch": self.scratch, "git": real / "git"}
        ours = self.tools / "git"
        ours.write_text(_GIT.format(**{name: shlex.quote(str(place)) for name, place in places.items()}))
        ours.chmod(0o755)

    def fresh(self) -> None:
        """Begin with a copy of the stage."""
        if self.folder.exists():
            shutil.rmtree(self.folder)
        shutil.copytree(self.stage.base, self.folder, symlinks=True)
        for old in self.scratch.glob("c[ao]*-*"):
            old.unlink()
        (self.scratch / "killed").unlink(missing_ok=True)

    def plainly(self) -> Publication:
        """Publish undisturbed."""
        return publish(self.archive, Options(wait=20), pushing=self.stage.pushing)

    def git(self, *words: str, remote: bool = False) -> str:
        """Return what git says of the archive, or of the remote; errors with it."""
        done = subprocess.run(
            ["git", *words],
            cwd=self.remote if remote else self.archive,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout.rstrip("\n")

    @property
    def head(self) -> str:
        """The commit that the branch names; empty if it names none."""
        told = self.git("rev-parse", "--quiet", "--verify", "HEAD")
        return told if re.fullmatch("[0-9a-f]{40}", told) else ""

    def _run(self, environment: dict[str, str], *options: str, log: Path | None = None) -> int:
        """Publish in a process of its own, by our git; return how it ended. ``options`` are of a strace on it."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["publishing"])
        here, there = context.Pipe()
        told = {
            "PATH": f"{self.tools}{os.pathsep}{os.environ['PATH']}",
            "GIT_EXEC_PATH": str(self.tools),
            **environment,
        }
        process = context.Process(target=_published, args=(there, told, self.archive, self.stage.pushing))
        process.start()
        there.close()
        here.recv()
        (self.scratch / "caller").write_text(str(process.pid))
        tracer = strace.attach(process.pid, log, *options) if log and process.pid else None
        here.send("go")
        process.join(PATIENCE)
        if tracer:
            tracer.communicate(timeout=PATIENCE)
        assert process.exitcode is not None, f"{self.archive}: it hangs"
        return process.exitcode

    def points(self) -> Iterator[Point]:
        """Yield every call that writes to the archive or its repository, of git and of what calls it."""
        names = strace.names(strace.WRITES)
        self.fresh()
        assert self._run({"TORTURE_WATCH": names}) == 0
        for log in sorted(self.scratch.glob("calls-*")):
            yield from self._points(log, log.name.removeprefix("calls-"))
        self.fresh()
        log = self.scratch / "watched"
        assert self._run({}, "-e", f"trace={names}", log=log) == 0
        yield from self._points(log, CALLER)

    def _points(self, log: Path, process: str) -> Iterator[Point]:
        """Yield the calls of one process."""
        for call in _calls(log):
            if call.touches(self.archive):
                yield Point(process, call.name, call.ordinal, call.file(self.archive))

    def kill(self, point: Point, *, alone: bool = False) -> bool:
        """Publish a fresh copy and kill it at a point; ``alone`` spares what called git. Return whether it was."""
        self.fresh()
        if point.process == CALLER:
            options = ("-e", f"trace={point.name}", "-e", f"inject={point.name}:signal=KILL:when={point.ordinal}")
            return self._run({}, *options, log=self.scratch / "killed") == -signal.SIGKILL
        told = {
            "TORTURE_CALL": point.process,
            "TORTURE_NAME": point.name,
            "TORTURE_WHEN": str(point.ordinal),
            "TORTURE_ALONE": "1" if alone else "",
        }
        ended = self._run(told)
        killed = self.scratch / "killed"
        hit = killed.exists() and "killed by SIGKILL" in killed.read_text()
        assert not hit or ended == (0 if alone else -signal.SIGKILL)
        return hit


def _calls(log: Path) -> list[Call]:
    """Return the calls of a process that was traced alone: strace does not name it."""
    named = log.with_name("named")
    named.write_text("".join(f"1 {line}\n" for line in log.read_text().splitlines() if line[0].isalpha()))
    return list(strace.calls(named, {1: 0}))


def _published(there: Connection, environment: dict[str, str], archive: Path, pushing: bool) -> None:
    """Be the process that publishes, once somebody traces it."""
    os.environ.update(environment)
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(PR_SET_PTRACER_ANY), 0, 0, 0)
    there.send("ready")
    there.recv()
    publish(archive, Options(wait=20), pushing=pushing)


def write(folder: Path, *files: str, text: str) -> None:
    """Write files that say what they are and a text."""
    for name in files:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{name}\n{text}\n" * 20)


def _git(folder: Path, *words: str) -> None:
    person = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *person, *words], cwd=folder, check=True, capture_output=True)


def first(base: Path) -> Stage:
    """Return an archive that was never published."""
    write(base / "archive", A, B, "captures/cna/x.warc.gz", "index.sqlite", text="first")
    return Stage(base, pushing=False)


def hourly(base: Path) -> Stage:
    """Return an archive that is published by the hour: a post is new, one has changed, one has another name."""
    archive = first(base).base / "archive"
    _git(base, "init", "-q", "--bare", "remote.git")
    assert publish(archive, Options()).commit
    write(archive, "old.md", "about.md", text="first")
    _git(archive, "add", "old.md", "about.md")
    _git(archive, "commit", "-q", "-m", "pages")
    # Names that hold wherever the stage is copied to.
    _git(archive, "remote", "add", "origin", "../remote.git")
    assert publish(archive, Options(), pushing=True).pushed
    (archive / B).rename(archive / RENAMED)
    write(archive, A, C, text="second")
    return Stage(base, pushing=True)


def diverged(base: Path) -> Stage:
    """Return the same, to whose remote others have pushed: files of theirs, a post of theirs, and one of ours."""
    stage = hourly(base)
    _git(base, "clone", "-q", "remote.git", "other")
    write(base / "other", "README.md", "about.md", THEIRS, A, text="theirs")
    (base / "other/old.md").unlink()
    _git(base / "other", "add", "-A")
    _git(base / "other", "commit", "-q", "-m", "theirs")
    _git(base / "other", "push", "-q", "origin", "HEAD:main")
    shutil.rmtree(base / "other")
    return stage


def packing(base: Path) -> Stage:
    """Return the same as by the hour, where git finds that it is time to pack."""
    hourly(base)
    for number in range(2):
        write(base / "archive", D, text=f"pack {number}")
        assert publish(base / "archive", Options()).commit
        _git(base / "archive", "repack", "-q", "-d")
    _git(base / "archive", "config", "gc.autoPackLimit", "1")
    write(base / "archive", D, text="third")
    return Stage(base, pushing=False)


STAGES: dict[str, Callable[[Path], Stage]] = {each.__name__: each for each in (first, hourly, diverged, packing)}


def problems(publisher: Publisher, before: str) -> list[str]:
    """Publish again after a kill, and return what is not as it must be; ``before`` is the commit before the kill."""
    after = publisher.head
    done = publisher.plainly()
    found = [f"the next run: {done.problem}"] if done.problem else []
    checks = {
        "git fsck": publisher.git("fsck", "--full", "--strict", "--no-dangling"),
        "git fsck of the remote": publisher.git("fsck", "--full", "--strict", "--no-dangling", remote=True)
        if publisher.stage.pushing
        else "",
        "git status": publisher.git("status", "--porcelain"),
        "git diff": publisher.git("diff", "--stat", "HEAD"),
        "locks": " ".join(str(lock) for lock in (publisher.archive / ".git").rglob("*.lock")),
    }
    found += [f"{check}: {told[:400]}" for check, told in checks.items() if told]
    posts = [post for post in publisher.git("ls-tree", "-r", "--name-only", "HEAD").splitlines() if "_posts" in post]
    there = sorted(str(post.relative_to(publisher.archive)) for post in publisher.archive.glob("_posts/*/*/*.md"))
    if sorted(posts) != there or len({key(post.removeprefix("_posts/")) for post in posts}) != len(posts):
        found.append(f"the repository has the posts {posts}, the disk has {there}")
    lost = [earlier for earlier in (before, after) if earlier and publisher.git("rev-list", "-1", earlier, "^HEAD")]
    found += [f"{earlier} is no part of history any more" for earlier in lost]
    if publisher.stage.pushing and publisher.git("rev-parse", "HEAD") != publisher.git(
        "rev-parse", "refs/heads/main", remote=True
    ):
        found.append("not everything was pushed")
    return found
