"""What is committed, brought to a remote; and what others brought there, brought here."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass

from newsarchive.publication.committing import follow
from newsarchive.publication.git import GitFailed, NotPublished, shown
from newsarchive.publication.merging import merge
from newsarchive.publication.repository import Repository

__all__ = ["Remote", "push", "remote_of"]

#: What others pushed while we fetched, they may push again: tries before the next run has its turn.
TRIES = 5
THEIRS = "refs/newsarchive/theirs"
#: Why a remote takes nothing now: somebody else pushed at the same moment.
RACE = re.compile(r"cannot lock ref|incorrect old value|failed to update ref|already exists|reference already")
LATER = "the commits stay here, and the next run pushes them"


@dataclass(frozen=True)
class Remote:
    """Where a branch is pushed to."""

    name: str
    #: The full name of the branch there.
    branch: str
    #: The address, without secrets.
    address: str


def remote_of(repository: Repository) -> Remote:
    """Return where the branch is pushed to; raise NotPublished if that is not plain."""
    git, short = repository.git, repository.branch.removeprefix("refs/heads/")

    def config(name: str) -> str:
        return git.text("config", "--get", name, ok=(0, 1))

    known = git.text("remote").splitlines()
    fetched = config(f"branch.{short}.remote")
    found = git.options.remote or config(f"branch.{short}.pushRemote") or config("remote.pushDefault") or fetched
    name = found or (known[0] if len(known) == 1 else "origin")
    if name not in known:
        told = f"it has {', '.join(known)}: set GIT_REMOTE" if known else "git remote add origin ADDRESS"
        raise NotPublished(f"{repository.work_tree} has no remote {name}: {told}; {LATER}")
    upstream = config(f"branch.{short}.merge") if fetched == name else ""
    return Remote(name, upstream or repository.branch, shown(git.text("remote", "get-url", "--push", name)))


def push(repository: Repository, remote: Remote, say: Callable[[str], None]) -> None:
    """Push the branch; merge what others have pushed before.

    Raises NotPublished if that cannot be; then what is committed stays, and nothing at the remote is changed.
    """
    for _ in range(TRIES):
        told = _pushed(repository, remote)
        if not told:
            return
        if theirs := _fetched(repository, remote):
            merge(repository, theirs, say)
            follow(repository)
            repository.git("update-ref", "-d", THEIRS)
    raise NotPublished(f"{remote.address} takes nothing, as others push to it all the time ({told}): {LATER}")


def _pushed(repository: Repository, remote: Remote) -> str:
    """Push; return why it was rejected if merging may help, and nothing if it was not.

    Raises NotPublished if somebody has to do something.
    """
    spec = f"{repository.branch}:{remote.branch}"
    options = ("--porcelain", "--no-follow-tags", "--recurse-submodules=no", "--no-signed")
    try:
        repository.git("push", *options, remote.name, spec, remote=True, hooks=True)
        return ""
    except GitFailed as error:
        lines = (line.split("\t") for line in _report(error.out))
        reason = next((fields[2] for fields in lines if fields[0] == "!" and len(fields) > 2), "")
        if re.match(r"\[rejected\]", reason) or RACE.search(reason):
            return reason
        if reason:
            raise NotPublished(
                f"{remote.address} refuses {remote.branch}: {reason}; {error.said}: allow this branch to be pushed to,"
                f" or name another with git branch --set-upstream-to; {LATER}"
            ) from error
        raise NotPublished(
            f"{remote.address} cannot be pushed to: {error.said}; {_advice(error.said)}{LATER}"
        ) from error


def _fetched(repository: Repository, remote: Remote) -> str:
    """Fetch the remote's branch, and return its commit; empty if there is none yet."""
    git = repository.git
    shallow = git.text("rev-parse", "--is-shallow-repository") == "true"
    options = ["--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"]
    # Without what both have in common there is nothing to merge by.
    options += ["--unshallow"] if shallow else []
    try:
        git("fetch", *options, remote.name, f"+{remote.branch}:{THEIRS}", remote=True)
    except GitFailed as error:
        if "couldn't find remote ref" in error.said:
            return ""
        raise NotPublished(f"{remote.address} cannot be fetched: {error.said}; {_advice(error.said)}{LATER}") from error
    return git.text("rev-parse", "--verify", f"{THEIRS}^{{commit}}")


def _report(out: bytes) -> list[str]:
    """Return the lines that a push reports, fit to be told."""
    return ["\t".join(map(shown, line.split("\t"))) for line in os.fsdecode(out).splitlines()]


def _advice(said: str) -> str:
    """Return what to do about a remote that does not answer as it should."""
    if re.search(r"could not read (Username|Password)|Authentication failed|Permission denied|403|401", said):
        return "give git the credentials of one who may push (git credential, or an ssh key without a passphrase); "
    if "Host key verification failed" in said:
        return "take its key once by hand (ssh-keyscan); "
    return "look whether the address is right and the network is there; "
