"""New and changed posts as one commit, which is whole before the branch names it."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from newsarchive.index import Index, IndexUnusable
from newsarchive.publication.git import names
from newsarchive.publication.posts import Changes, changes, entries, key, present
from newsarchive.publication.repository import IGNORE, Repository
from newsarchive.store import index_file

__all__ = ["commit", "follow"]

#: New posts that are written into a pack of their own: as single files they take three times as long.
MANY = 1000


def commit(repository: Repository, say: Callable[[str], None]) -> tuple[str, Changes]:
    """Commit the posts as they are on disk; return the new commit, empty if nothing has changed, and what it holds.

    ``say`` is told what is left out, in sentences. Raises GitFailed; then the branch is as it was.
    """
    git, head = repository.git, repository.head
    # Files that are no posts may be on disk as they like.
    git("read-tree", *(["-i", "-m", "HEAD"] if head else ["--empty"]), index=repository.index)
    staged = _stage(repository, say)
    tree = git("write-tree", index=repository.index).decode().strip()
    before = head or git("hash-object", "-t", "tree", "--stdin").decode().strip()
    found = list(entries(git("diff-tree", "-r", "-z", "--raw", "--no-renames", before, tree)))
    assert {entry.path for entry in found} <= staged
    counted = changes(found, repository.posts)
    if not any(counted.lines):
        return "", counted
    message = "\n".join([counted.subject, "", *counted.lines, ""])
    made = repository.write_commit(tree, (head,) if head else (), message)
    git("update-ref", "-m", f"commit: {counted.subject}", "HEAD", made, head or "0" * len(made))
    return made, counted


def _stage(repository: Repository, say: Callable[[str], None]) -> set[str]:
    """Bring our own index up to the posts on disk, and return the paths that may differ from the last commit."""
    git, index, posts = repository.git, repository.index, repository.posts
    held = {name.removeprefix(posts) for name in names(git("ls-files", "-z", "--", posts, index=index))}
    there = present(repository.archive / "_posts")
    ignored = _ignored(repository, there - held, say)
    gone = _gone(repository, {name for name in held - there if key(name)}, there, say)
    wanted = {posts + name for name in there} - ignored | _own_ignore(repository)
    removed = {posts + name for name in gone}
    words = ("update-index", "--add", "--remove", "--replace", "-z", "--stdin")
    git(*words, input=sorted(wanted), index=index, packed=len(there - held) > MANY)
    git("update-index", "--force-remove", "-z", "--stdin", input=sorted(removed), index=index)
    return wanted | removed


def _ignored(repository: Repository, new: set[str], say: Callable[[str], None]) -> set[str]:
    """Return the paths of new posts that the user's rules leave out."""
    asked = sorted(repository.posts + name for name in new)
    found = set(names(repository.git("check-ignore", "-z", "--stdin", input=asked, ok=(0, 1))) if asked else ())
    if found:
        say(f"{len(found)} posts are not committed, as git ignores them: {min(found)} for one")
    return found


def _gone(repository: Repository, missing: set[str], there: set[str], say: Callable[[str], None]) -> set[str]:
    """Return which posts that are on disk no more are no posts any more; the others are missed."""
    kept = {key(name) for name in there}
    gone = {name for name in missing if key(name) in kept}
    rest = missing - gone
    if rest:
        gone |= _given_way(repository.archive, rest, there, say)
    if lost := sorted(missing - gone):
        say(
            f"{len(lost)} posts are missing on disk and stay in the repository, {repository.posts}{lost[0]} for one:"
            " scrapy verify --repair makes them again, git rm takes them out"
        )
    return gone


def _given_way(archive: Path, missing: set[str], there: set[str], say: Callable[[str], None]) -> set[str]:
    """Return the posts that no article has any more, by an index that knows all others of their publishers."""
    file = index_file(archive)
    if not file.exists():
        return set()
    try:
        with closing(Index(file, read_only=True)) as index:

            def owned(name: str) -> bool:
                return index.owner(f"_posts/{name}") is not None

            known = {name.partition("/")[0] for name in missing}
            known -= {name.partition("/")[0] for name in there if name.partition("/")[0] in known and not owned(name)}
            known &= {name.partition("/")[0] for name in there}
            return {name for name in missing if name.partition("/")[0] in known and not owned(name)}
    except (IndexUnusable, sqlite3.Error, OSError) as error:
        say(f"which posts are no article's any more cannot be told: {error}")
        return set()


def _own_ignore(repository: Repository) -> set[str]:
    """Return the path of the .gitignore that was made with the repository, if it is as we made it and new."""
    file, path = repository.archive / ".gitignore", _ignore_file(repository)
    held = repository.git("ls-files", "-z", "--", path, index=repository.index)
    return {path} if not held and file.is_file() and file.read_bytes() == IGNORE else set()


def follow(repository: Repository) -> None:
    """Bring the user's index up to the posts of the last commit, and leave alone what else is staged in it."""
    git, posts = repository.git, repository.posts
    listed = git("diff-index", "--cached", "-z", "--raw", "--no-renames", "HEAD")

    def ours(path: str) -> bool:
        return path.startswith(posts) and key(path.removeprefix(posts)) is not None

    behind = [entry.path for entry in entries(listed) if ours(entry.path)]
    if not git.text("rev-parse", "--quiet", "--verify", "HEAD^", ok=(0, 1)):
        # Made with the repository, and part of its first commit.
        behind += [entry.path for entry in entries(listed) if entry.path == _ignore_file(repository)]
    if behind:
        git("update-index", "--add", "--remove", "--replace", "-z", "--stdin", input=behind)


def _ignore_file(repository: Repository) -> str:
    """Return the path of the archive's .gitignore."""
    return (repository.archive / ".gitignore").relative_to(repository.work_tree).as_posix()
