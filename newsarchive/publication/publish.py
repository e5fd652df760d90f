"""The one entry: posts committed, pushed if that is asked for, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from newsarchive.lock import Locked, hold
from newsarchive.publication import stale
from newsarchive.publication.committing import commit, follow
from newsarchive.publication.git import GitFailed, NotPublished, Options
from newsarchive.publication.mending import mend
from newsarchive.publication.merging import catch_up
from newsarchive.publication.posts import Changes
from newsarchive.publication.pushing import Remote, push, remote_of
from newsarchive.publication.repository import Repository, find

__all__ = ["Publication", "publish"]


@dataclass
class Publication:
    """What came of publishing."""

    #: The new commit; empty if no post has changed.
    commit: str = ""
    changes: Changes = field(default_factory=Changes)
    #: Where the branch was to be pushed to; None if it was not to be.
    remote: Remote | None = None
    #: Whether it is there.
    pushed: bool = False
    #: What was mended, and what is left out, in sentences.
    notes: list[str] = field(default_factory=list)
    #: Why it ended before its end, and what to do; empty if all is well.
    problem: str = ""
    #: Whether another process is publishing.
    busy: bool = False
    seconds: float = 0.0

    @property
    def lines(self) -> list[str]:
        """What there is to say, in lines for people."""
        told = f"{self.changes.subject} ({self.commit[:12]})" if self.commit else "no post has changed"
        lines = [f"git: {note}" for note in self.notes]
        if self.commit or not self.problem:
            lines.append(f"git: {told}")
        if self.pushed and self.remote:
            lines.append(f"git: pushed to {self.remote.address}")
        return lines + ([f"git: {self.problem}"] if self.problem else [])

    def as_json(self) -> dict[str, Any]:
        """Return what a report holds of it."""
        return {
            "commit": self.commit or None,
            "posts": vars(self.changes),
            "remote": self.remote.address if self.remote else None,
            "pushed": self.pushed,
            "notes": self.notes,
            "problem": self.problem or None,
            "seconds": round(self.seconds, 1),
        }


def publish(archive: Path, options: Options, *, pushing: bool = False) -> Publication:
    """Commit an archive's new and changed posts, push the branch if asked, and return what came of it.

    What keeps posts from being published is told, not raised. A run that was killed at any moment is made up for by
    the next.
    """
    done, began = Publication(), monotonic()
    if not archive.is_dir():
        done.notes.append(f"{archive} is not there: nothing was archived yet")
        return done
    try:
        repository, made = find(archive, options)
        done.notes += made
        with hold(repository.common / "newsarchive.hold"):
            _publish(repository, done, pushing=pushing)
    except Locked as error:
        done.problem, done.busy = f"another run publishes: {error}", True
    except (NotPublished, OSError) as error:
        done.problem = str(error)
    done.seconds = monotonic() - began
    return done


def _publish(repository: Repository, done: Publication, *, pushing: bool) -> None:
    """Mend, commit, and push."""
    say = done.notes.append
    folders = tuple(dict.fromkeys((repository.folder, repository.common)))
    cleared = stale.clear(folders, repository.work_tree, repository.git.options.wait)
    done.notes += cleared
    repository.check()
    done.notes += mend(repository, suspect=bool(cleared))
    catch_up(repository, say)
    done.commit, done.changes = commit(repository, say)
    if not repository.head:
        return
    follow(repository)
    _tidy(repository, say)
    if pushing:
        done.remote = remote_of(repository)
        push(repository, done.remote, say)
        done.pushed = True


def _tidy(repository: Repository, say: Callable[[str], None]) -> None:
    """Let git pack what has become many single files."""
    try:
        repository.git("gc", "--auto", "--quiet")
    except GitFailed as error:
        say(f"{error}; posts are committed all the same")
