"""What others have pushed, merged: a commit of both, whose posts are those of the archive where the two differ.

The merge is made in an index of its own. Then the branch names it, and then the work tree follows; a mark
in the repository tells the next run where a killed one was.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from newsarchive.publication.git import Git, GitFailed, NotPublished, names
from newsarchive.publication.posts import Entry, entries, key
from newsarchive.publication.repository import Repository

__all__ = ["catch_up", "merge"]

#: The branch before a merge and after it, as long as the work tree may not have followed.
BEFORE, AFTER = "refs/newsarchive/before", "refs/newsarchive/after"
MARKS = (BEFORE, AFTER)
NONE = "000000"
SUBMODULE = "160000"
#: Paths that are named where there are more.
MOST_NAMED = 5


def merge(repository: Repository, theirs: str, say: Callable[[str], None]) -> str:
    """Merge a commit into the branch, let the work tree follow, and return the commit that the branch names then.

    Raises NotPublished if both changed the same lines of a file that is no post, or the user has changes that
    would be lost; then nothing is changed.
    """
    ours = repository.head
    base = repository.git.text("merge-base", ours, theirs, ok=(0, 1))
    if not base:
        raise NotPublished(
            f"{repository.work_tree} has no commit in common with what it would be pushed to: name another branch"
            " (git branch --set-upstream-to), or merge by hand (git merge --allow-unrelated-histories)"
        )
    if base == theirs:
        return ours
    made = theirs if base == ours else _merged(repository, base, ours, theirs, say)
    _refuse_overwriting(repository, _differences(repository, ours, made))
    repository.git("update-ref", BEFORE, ours)
    repository.git("update-ref", AFTER, made)
    repository.git("update-ref", "-m", "newsarchive: merge what others pushed", "HEAD", made, ours)
    _follow(repository, ours, made)
    return made


def catch_up(repository: Repository, say: Callable[[str], None]) -> None:
    """Let the work tree follow a merge during which a run was killed; nothing if there was none."""
    before, after = (repository.git.text("rev-parse", "--quiet", "--verify", mark, ok=(0, 1)) for mark in MARKS)
    if before and after == repository.head:
        _follow(repository, before, after)
        say(f"finished a merge that was cut short: {after}")
    elif before or after:
        _unmark(repository)


def _unmark(repository: Repository) -> None:
    """Remove the marks, the one that tells of a merge first."""
    for mark in reversed(MARKS):
        repository.git("update-ref", "-d", mark)


def _merged(repository: Repository, base: str, ours: str, theirs: str, say: Callable[[str], None]) -> str:
    """Return a commit that merges two; raise NotPublished if somebody has to choose."""
    git, index = repository.git, repository.folder / "newsarchive-merge-index"
    index.unlink(missing_ok=True)
    git("read-tree", "-i", "-m", "--aggressive", base, ours, theirs, index=index)
    unmerged: dict[str, dict[int, tuple[str, str]]] = {}
    for line in names(git("ls-files", "-u", "-z", index=index)):
        told, path = line.split("\t", 1)
        mode, object, stage = told.split()
        unmerged.setdefault(path, {})[int(stage)] = (mode, object)
    chosen, conflicts = [], []
    for path, stages in unmerged.items():
        if _about(repository, path):
            found = stages.get(2)
        elif (found := _of_both(git, stages)) is None:
            conflicts.append(path)
            continue
        mode, object = found or (NONE, "0" * len(ours))
        # A path is taken out before it is put in: it has more than one entry.
        chosen += [f"{NONE} {'0' * len(ours)}\t{path}"] + ([f"{mode} {object} 0\t{path}"] if found else [])
    if conflicts:
        raise NotPublished(
            f"{_listed(conflicts)} in {repository.work_tree} was changed here and in what was pushed by others: git"
            f" pull --no-rebase, choose, and git commit; posts are pushed by the next run"
        )
    git("update-index", "-z", "--index-info", input=chosen, index=index)
    _drop_doubles(repository, index, ours)
    tree = git("write-tree", index=index).decode().strip()
    index.unlink()
    if posts := [path for path in unmerged if _about(repository, path)]:
        say(f"{_listed(posts)}: changed by others, too; the archive's own are kept")
    message = f"archive: merge what others pushed\n\n{theirs} into {ours}\n"
    return repository.write_commit(tree, (ours, theirs), message)


def _about(repository: Repository, path: str) -> tuple[str, str] | None:
    """Return the publisher and id of the post at a path; None if it is no post."""
    return key(path.removeprefix(repository.posts)) if path.startswith(repository.posts) else None


def _drop_doubles(repository: Repository, index: Path, ours: str) -> None:
    """Take posts of others out of a merge for whose articles the archive has a post of another name."""
    git, posts = repository.git, repository.posts
    listed = set(names(git("ls-tree", "-r", "-z", "--name-only", ours, "--", posts.rstrip("/"))))
    merged = names(git("ls-files", "-z", "--", posts, index=index))
    own = {_about(repository, path) for path in merged if path in listed} - {None}
    doubles = [path for path in merged if path not in listed and _about(repository, path) in own]
    git("update-index", "--force-remove", "-z", "--stdin", input=doubles, index=index)


def _of_both(git: Git, stages: dict[int, tuple[str, str]]) -> tuple[str, str] | None:
    """Return mode and object of a file with the changes of both sides; None if they cannot be told apart."""
    if set(stages) != {1, 2, 3} or len({mode for mode, _ in stages.values()}) != 1 or stages[1][0] == SUBMODULE:
        return None
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, str(stage)) for stage in (2, 1, 3)]
        for file in files:
            file.write_bytes(git("cat-file", "blob", stages[int(file.name)][1]))
        try:
            merged = git("merge-file", "-p", "--quiet", *map(str, files))
        except GitFailed:
            return None
    return stages[2][0], git("hash-object", "-w", "--stdin", input=merged).decode().strip()


def _differences(repository: Repository, before: str, after: str) -> list[Entry]:
    """Return what differs between two commits."""
    return list(entries(repository.git("diff-tree", "-r", "-z", "--raw", "--no-renames", before, after)))


def _on_disk(repository: Repository, found: list[Entry]) -> dict[str, str]:
    """Return the objects that the files at paths would be; none for a path where nothing is, or no file."""
    plain = [entry.path for entry in found if (repository.work_tree / entry.path).is_file() and "\n" not in entry.path]
    told = repository.git("hash-object", "--stdin-paths", input="".join(f"{path}\n" for path in plain).encode())
    return dict(zip(plain, told.decode().split(), strict=True))


def _refuse_overwriting(repository: Repository, found: list[Entry]) -> None:
    """Raise NotPublished if the user has changed files that the work tree would have from a merge."""
    others = [entry for entry in found if not _about(repository, entry.path)]
    disk = _on_disk(repository, others)
    listed = repository.git("diff-index", "--cached", "-z", "--raw", "--no-renames", "HEAD")
    staged = {entry.path: entry.object[1] for entry in entries(listed)}
    mine = [
        entry.path
        for entry in others
        if disk.get(entry.path, "0" * len(entry.object[0])) not in entry.object
        or staged.get(entry.path, entry.object[0]) not in entry.object
    ]
    if mine:
        raise NotPublished(
            f"{_listed(mine)} in {repository.work_tree} has changes that are not committed, and was changed by others,"
            " too: commit them, or git stash; posts are pushed by the next run"
        )


def _follow(repository: Repository, before: str, after: str) -> None:
    """Let work tree and index have what a merge changed, but for posts that a run has written meanwhile."""
    found = _differences(repository, before, after)
    disk = _on_disk(repository, found)

    def free(entry: Entry) -> bool:
        now = disk.get(entry.path, "0" * len(before))
        return now in entry.object or _is_torn(repository, entry)

    followed = [entry for entry in found if free(entry)]
    written = [entry.path for entry in followed if entry.kind != "D"]
    removed = [entry.path for entry in followed if entry.kind == "D"]
    git = repository.git
    if written:
        git("checkout", "--quiet", "--pathspec-from-file=-", "--pathspec-file-nul", after, input=written)
    for path in removed:
        (repository.work_tree / path).unlink(missing_ok=True)
    git("update-index", "--force-remove", "-z", "--stdin", input=removed)
    _unmark(repository)


def _is_torn(repository: Repository, entry: Entry) -> bool:
    """Tell whether a file is gone, or the beginning of what it is to be: a git was killed that wrote it."""
    file = repository.work_tree / entry.path
    if entry.kind == "D" or entry.mode[1] == SUBMODULE or file.is_symlink() or file.is_dir():
        return False
    if not file.exists():
        return True
    whole = repository.git("cat-file", "--filters", f"--path={entry.path}", entry.object[1])
    return whole.startswith(file.read_bytes())


def _listed(paths: list[str]) -> str:
    """Return some paths for people, and how many more there are."""
    more = f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
    return ", ".join(sorted(paths)[:MOST_NAMED]) + more
