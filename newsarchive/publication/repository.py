"""The repository that takes the posts: which one it is, and whether anything may be committed to it now."""

import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from newsarchive.files import replace_file, sync_folder
from newsarchive.publication.git import Git, GitFailed, NotPublished, Options

__all__ = ["IGNORE", "Repository", "find"]

#: What a repository of the archive's own leaves out.
IGNORE = b"""\
# Only posts are published: the rest of the archive is large, or made again from the captures.
/captures/
/damaged/
/runs/
/index.sqlite*
/alerts.*
/schedule*
.lock
.*.tmp
"""
#: Files that say that the user is in the middle of something, and what ends it.
UNDER_WAY = {
    "MERGE_HEAD": ("a merge", "git merge --continue, or git merge --abort"),
    "rebase-merge": ("a rebase", "git rebase --continue, or git rebase --abort"),
    "rebase-apply": ("a rebase", "git rebase --continue, or git rebase --abort; git am --abort, if it is one"),
    "CHERRY_PICK_HEAD": ("a cherry-pick", "git cherry-pick --continue, or git cherry-pick --abort"),
    "REVERT_HEAD": ("a revert", "git revert --continue, or git revert --abort"),
    "BISECT_LOG": ("a bisection", "git bisect reset"),
}


@dataclass(frozen=True)
class Repository:
    """A work tree with the archive in it, and its repository."""

    git: Git
    archive: Path
    #: The work tree's own folder of the repository, and the one that it shares with other work trees.
    folder: Path
    common: Path

    @property
    def work_tree(self) -> Path:
        """The top of the work tree: git is called there, and names are relative to it."""
        return self.git.folder

    @cached_property
    def posts(self) -> str:
        """The name of the folder of posts, with a slash at its end."""
        return (self.archive / "_posts").relative_to(self.work_tree).as_posix() + "/"

    @property
    def index(self) -> Path:
        """An index of our own, from which posts are committed."""
        return self.folder / "newsarchive-index"

    @cached_property
    def branch(self) -> str:
        """The full name of the branch; raise NotPublished if there is none."""
        try:
            return self.git.text("symbolic-ref", "--quiet", "HEAD")
        except GitFailed as error:
            # Git does not name a branch whose file is broken.
            told = (self.folder / "HEAD").read_text("utf-8", "surrogateescape").strip()
            if told.startswith("ref: refs/heads/") and not told.endswith("/.invalid"):
                return told.removeprefix("ref: ")
            raise NotPublished(
                f"{self.work_tree} is on no branch (detached HEAD): git switch one; the posts are committed by the"
                " next run"
            ) from error

    @property
    def head(self) -> str:
        """The commit that the branch names; empty before the first."""
        return self.git.text("rev-parse", "--quiet", "--verify", "HEAD^{commit}", ok=(0, 1))

    def write_commit(self, tree: str, parents: tuple[str, ...], message: str) -> str:
        """Write a commit that nobody names yet, and return its name."""
        named = [word for parent in parents for word in ("-p", parent)]
        sign = "-S" if self.git.options.sign else "--no-gpg-sign"
        return self.git("commit-tree", sign, *named, "-F", "-", tree, input=message.encode()).decode().strip()

    def check(self) -> None:
        """Raise NotPublished if the user is in the middle of something, or leaves posts out."""
        for name, (what, end) in UNDER_WAY.items():
            if (self.folder / name).exists():
                raise NotPublished(
                    f"{what} is under way in {self.work_tree}: end it with {end}; the posts are committed by the next"
                    " run"
                )
        _ = self.branch
        probe = f"{self.posts}publisher/2000/2000-01-01-0.md"
        if self.git.says("check-ignore", "--quiet", "--no-index", probe):
            raise NotPublished(
                f"{self.work_tree} ignores {self.posts}: {_way_out(self.archive)}, or take the rule out of its"
                " .gitignore"
            )


def find(archive: Path, options: Options) -> tuple[Repository, list[str]]:
    """Return the repository that takes an archive's posts, made if there is none, and what was done, in sentences.

    Raises NotPublished if it is not plain which one it is.
    """
    archive = archive.resolve()
    notes = []
    git = Git(archive, options)
    # A git that is asked for nothing else says whether there is one.
    git("--version")
    if not _within(git):
        _refuse_bare(git, archive)
        if options.repository:
            raise NotPublished(f"GIT_REPOSITORY names {options.repository}, but {archive} lies in no repository")
        _make(archive, options)
        notes.append(f"{archive} is a git repository now")
    repository = _opened(archive, options)
    _refuse_foreign(repository, options)
    return repository, notes


def _within(git: Git) -> bool:
    """Tell whether a folder lies in a work tree; raise GitFailed if git will not say."""
    try:
        return git("rev-parse", "--is-inside-work-tree").strip() == b"true"
    except GitFailed as error:
        if "not a git repository" not in error.said:
            raise
        if (git.folder / ".git").exists():
            raise NotPublished(
                f"{git.folder}/.git is no repository that git can read ({error.said}): move it away, and clone it"
                " again from its remote, or let the next run make a new one"
            ) from error
        return False


def _refuse_bare(git: Git, archive: Path) -> None:
    """Raise NotPublished if a folder lies in a repository that has no work tree."""
    if git("rev-parse", "--is-inside-git-dir", ok=(0, 128)).strip() == b"true" or (
        git("rev-parse", "--is-bare-repository", ok=(0, 128)).strip() == b"true"
    ):
        raise NotPublished(
            f"{archive} lies in a repository without a work tree (bare): git clone it, and have ARCHIVE_DIR name a"
            " folder in the clone"
        )


def _make(archive: Path, options: Options) -> None:
    """Make a repository of an archive, whole or not at all."""
    draft = archive / ".git.new.tmp"
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir()
    git = Git(draft, options)
    named = git.text("config", "init.defaultBranch", ok=(0, 1)) or "main"
    git("-c", f"init.defaultBranch={named}", "init", "--quiet", "--template=")
    (draft / ".git/info").mkdir(exist_ok=True)
    if not (archive / ".gitignore").exists():
        replace_file(archive / ".gitignore", IGNORE)
    (draft / ".git").rename(archive / ".git")
    draft.rmdir()
    sync_folder(archive)


def _opened(archive: Path, options: Options) -> Repository:
    """Return the repository of the work tree that an archive lies in."""
    told = Git(archive, options)("rev-parse", "--show-toplevel", "--absolute-git-dir", "--git-common-dir")
    top, folder, common = map(os.fsdecode, told.removesuffix(b"\n").split(b"\n"))
    # An archive that is reached by another name than git has for it has none that is relative to the work tree.
    return Repository(Git(Path(top), options), archive, Path(folder), (archive / common).resolve())


def _refuse_foreign(repository: Repository, options: Options) -> None:
    """Raise NotPublished if nothing says that the posts belong into this repository."""
    top, archive = repository.work_tree, repository.archive
    if options.repository and options.repository.resolve() != top:
        raise NotPublished(f"GIT_REPOSITORY names {options.repository}, but {archive} lies in the work tree {top}")
    if options.repository or top == archive:
        return
    repository.check()
    if not repository.git("ls-files", "-z", "--", repository.posts.removesuffix("/")):
        raise NotPublished(
            f"{archive} lies in the work tree {top}, which has none of its posts: set GIT_REPOSITORY={top} if they"
            f" belong there, or {_way_out(archive)}"
        )


def _way_out(archive: Path) -> str:
    """Return what gives an archive a repository of its own."""
    return f"give the archive a repository of its own (git init {archive}), or move it (ARCHIVE_DIR)"
