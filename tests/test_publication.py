"""Git as a publication: what is committed and what is not, what is refused, mended, merged and pushed."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from newsarchive.index import Index, PostTaken
from newsarchive.lock import hold
from newsarchive.publication import NotPublished, Options, Publication, publish
from newsarchive.publication.git import shown
from newsarchive.settings import GIT_AUTHOR

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
A, B, C = (f"_posts/cna/2024/2024-01-15-20240115000{number}.md" for number in (1, 2, 3))
D = "_posts/dw/2024/2024-01-15-68000001.md"
NOW = Options(wait=0)


@pytest.fixture(autouse=True)
def nobodys_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let git know nothing of who runs the tests."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@dataclass
class Archive:
    """An archive with a repository, and what a person may do in it."""

    folder: Path

    def write(self, *posts: str, text: str = "text") -> None:
        for post in posts:
            file = self.folder / post
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{post}\n{text}\n")

    def git(self, *words: str, ok: tuple[int, ...] = (0,)) -> str:
        person = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
        done = subprocess.run(
            ["git", *person, *words], cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode in ok, done.stderr
        return done.stdout.rstrip("\n")

    def publish(self, pushing: bool = False, options: Options = NOW) -> Publication:
        return publish(self.folder, options, pushing=pushing)

    def well(self, pushing: bool = False) -> Publication:
        done = self.publish(pushing)
        assert done.problem == ""
        # What a power cut has left over is no error, and goes with time.
        assert self.git("fsck", "--full", "--strict", "--no-dangling") == ""
        return done

    @property
    def held(self) -> list[str]:
        return self.git("ls-tree", "-r", "--name-only", "HEAD").splitlines()

    @property
    def status(self) -> list[str]:
        return self.git("status", "--porcelain", "--no-renames").splitlines()


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Return an archive with two posts, and everything else that lies in one."""
    found = Archive(tmp_path / "archive")
    found.write(A, B)
    # An index that cannot be read, as it matters to nothing but posts that are missing.
    found.write("captures/cna/x.warc.gz", "runs/x.json", "index.sqlite", "damaged/x", "_posts/cna/2024/.ab.tmp")
    return found


@pytest.fixture
def pushed(archive: Archive, tmp_path: Path) -> Archive:
    """Return that archive, pushed to a repository that others can clone."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", tmp_path / "remote.git"], check=True)
    archive.well()
    archive.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    assert archive.well(pushing=True).pushed
    return archive


@pytest.fixture
def other(pushed: Archive, tmp_path: Path) -> Archive:
    """Return somebody else's clone of it."""
    subprocess.run(["git", "clone", "-q", tmp_path / "remote.git", tmp_path / "other"], check=True)
    return Archive(tmp_path / "other")


def commit_and_push(other: Archive, *files: str, text: str = "theirs") -> None:
    other.write(*files, text=text)
    other.git("add", "-f", *files)
    other.git("commit", "-q", "-m", "theirs")
    other.git("push", "-q", "origin", "HEAD:main")


def test_posts_are_committed_and_nothing_else(archive: Archive) -> None:
    done = archive.well()
    assert done.changes.new == {"cna": 2}
    assert archive.held == [".gitignore", A, B]
    assert archive.status == []
    assert archive.git("log", "--format=%an <%ae>, %cn: %B") == (
        "newsarchive <newsarchive@localhost>, newsarchive: archive: 2 new posts\n\ncna: 2 new"
    )


def test_what_has_changed_is_counted_by_publisher(archive: Archive) -> None:
    first = archive.well().commit
    archive.write(A, text="corrected")
    archive.write(C, D)
    done = archive.well()
    assert (
        archive.git("log", "-1", "--format=%B") == "archive: 2 new, 1 changed posts\n\ncna: 1 new, 1 changed\ndw: 1 new"
    )
    assert (archive.git("rev-parse", "HEAD"), archive.git("rev-parse", "HEAD^")) == (done.commit, first)
    assert done.as_json()["posts"] == {"new": {"cna": 1, "dw": 1}, "changed": {"cna": 1}, "renamed": {}, "removed": {}}


def test_twice_is_once(archive: Archive) -> None:
    first = archive.well()
    again = archive.well()
    assert (again.commit, again.lines) == ("", ["git: no post has changed"])
    assert archive.git("rev-parse", "HEAD") == first.commit


def test_a_post_with_another_name_is_renamed(archive: Archive) -> None:
    archive.well()
    (archive.folder / A).rename(archive.folder / A.replace("01-15", "01-16"))
    done = archive.well()
    assert (done.changes.renamed, done.changes.removed, done.changes.new) == ({"cna": 1}, {}, {})
    assert archive.git("show", "--format=", "--name-status", "-M") == f"R100\t{A}\t{A.replace('01-15', '01-16')}"


def test_posts_that_are_missing_stay_in_the_repository(archive: Archive) -> None:
    archive.well()
    archive.write(C)
    shutil.rmtree(archive.folder / "_posts/cna/2024")
    archive.write(D)
    done = archive.well()
    assert archive.held == [".gitignore", A, B, D]
    unusable, missing = done.notes
    assert "which posts are no article's any more cannot be told" in unusable
    assert "index.sqlite" in unusable
    assert f"2 posts are missing on disk and stay in the repository, {A} for one" in missing


@pytest.mark.parametrize("known", [True, False])
def test_a_post_that_no_article_has_goes_if_the_index_knows_all_others(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """An index that was begun anew knows little: what it does not name may be there all the same."""
    assert PostTaken
    (archive.folder / "index.sqlite").unlink()
    with Index(archive.folder / "index.sqlite"):
        pass
    archive.well()
    (archive.folder / A).unlink()
    monkeypatch.setattr(Index, "owner", lambda index, post: ("cna", "2") if known and post == B else None)
    done = archive.well()
    assert done.changes.removed == ({"cna": 1} if known else {})
    assert (A in archive.held) is not known


def test_what_the_user_has_begun_stays_as_it_is(archive: Archive) -> None:
    archive.well()
    archive.write("README.md", "_config.yml", "_posts/2020-01-01-my-own.md", text="first")
    archive.git("add", "README.md", "_config.yml")
    archive.git("commit", "-q", "-m", "mine")
    archive.write("README.md", text="staged")
    archive.write("new.md", text="staged")
    archive.git("add", "README.md", "new.md")
    archive.write("_config.yml", text="changed")
    archive.git("rm", "-q", "--cached", ".gitignore")
    before = [line for line in archive.status if "_posts/cna" not in line]
    archive.write(C)
    archive.well()
    assert archive.git("show", "--format=", "--name-only") == C
    assert [line for line in archive.status if "captures" not in line] == before
    assert {"M  README.md", "A  new.md", " M _config.yml", "?? _posts/2020-01-01-my-own.md"} < set(before)


def test_what_the_user_commits_between_two_runs_is_not_undone(archive: Archive) -> None:
    archive.write("README.md", text="first")
    archive.well()
    archive.git("add", "README.md")
    archive.git("commit", "-q", "-m", "mine")
    archive.write(C)
    archive.well()
    archive.write("README.md", text="second")
    archive.git("commit", "-q", "-a", "-m", "mine")
    archive.write("README.md", text="third")
    archive.write(D)
    archive.well()
    assert archive.git("show", "HEAD:README.md") == "README.md\nsecond"
    assert archive.status == [" M README.md"]


def test_rules_of_the_user_may_leave_posts_out_but_never_bring_captures_in(archive: Archive) -> None:
    archive.write("README.md")
    archive.git("init", "-q", "-b", "trunk")
    (archive.folder / ".gitignore").write_text("*0002.md\n!captures\n")
    done = archive.well()
    assert archive.held == [A]
    assert done.notes == [f"1 posts are not committed, as git ignores them: {B} for one"]


def test_an_archive_below_the_top_of_a_work_tree(tmp_path: Path) -> None:
    site = Archive(tmp_path / "site")
    site.write("README.md", f"news/{A}")
    site.git("init", "-q", "-b", "main")
    site.git("add", "README.md")
    site.git("commit", "-q", "-m", "site")
    refused = publish(site.folder / "news", NOW)
    assert "which has none of its posts: set GIT_REPOSITORY=" in refused.problem
    done = publish(site.folder / "news", Options(wait=0, repository=site.folder))
    assert (done.problem, done.changes.new) == ("", {"cna": 1})
    assert site.held == ["README.md", f"news/{A}"]
    site.write(f"news/{B}")
    assert publish(site.folder / "news", NOW).changes.new == {"cna": 1}


def test_the_checkout_of_this_project_is_no_place_for_posts(tmp_path: Path) -> None:
    checkout = Archive(tmp_path / "checkout")
    checkout.write(f"archive/{A}")
    checkout.git("init", "-q")
    (checkout.folder / ".gitignore").write_text("/archive/\n")
    refused = publish(checkout.folder / "archive", NOW)
    assert "ignores archive/_posts/: give the archive a repository of its own (git init " in refused.problem
    subprocess.run(["git", "init", "-q", checkout.folder / "archive"], check=True)
    assert publish(checkout.folder / "archive", NOW).changes.new == {"cna": 1}


def merging(archive: Archive) -> None:
    archive.git("checkout", "-q", "-b", "side", "HEAD")
    archive.write("README.md", text="side")
    archive.git("add", "README.md")
    archive.git("commit", "-q", "-m", "side")
    archive.git("checkout", "-q", "main")
    archive.write("README.md", text="main")
    archive.git("add", "README.md")
    archive.git("commit", "-q", "-m", "main")
    archive.git("merge", "side", ok=(1,))


def rebasing(archive: Archive) -> None:
    merging(archive)
    archive.git("merge", "--abort")
    archive.git("rebase", "side", ok=(1,))


def detached(archive: Archive) -> None:
    archive.git("checkout", "-q", "--detach")


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (merging, "a merge is under way in {0}: end it with git merge --continue, or git merge --abort"),
        (rebasing, "a rebase is under way in {0}: end it with git rebase --continue"),
        (detached, "{0} is on no branch (detached HEAD): git switch one"),
    ],
)
def test_in_the_middle_of_something_nothing_is_committed(
    archive: Archive, state: Callable[[Archive], None], told: str
) -> None:
    archive.well()
    state(archive)
    before = archive.git("rev-parse", "HEAD")
    archive.write(C)
    assert archive.publish().problem.startswith(told.format(archive.folder))
    assert archive.git("rev-parse", "HEAD") == before


def test_a_repository_without_a_work_tree(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run(["git", "init", "-q", "--bare", bare], check=True)
    Archive(bare / "archive").write(A)
    assert "without a work tree (bare): git clone it" in publish(bare / "archive", NOW).problem


def test_a_repository_that_git_cannot_read(archive: Archive) -> None:
    archive.well()
    (archive.folder / ".git/HEAD").write_bytes(b"")
    assert ".git is no repository that git can read" in archive.publish().problem


def test_nothing_was_archived_yet(tmp_path: Path) -> None:
    done = publish(tmp_path / "none", NOW)
    assert (done.problem, done.notes) == ("", [f"{tmp_path / 'none'} is not there: nothing was archived yet"])
    assert not (tmp_path / "none").exists()


def test_without_git(archive: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert archive.publish().problem.startswith("git is not installed: install it")


def test_a_git_that_takes_too_long_is_stopped(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    slow = tmp_path / "bin/git"
    slow.write_text("#!/bin/sh\nexec sleep 100\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    assert "it took longer than 0.1 seconds, and was stopped" in archive.publish(options=Options(timeout=0.1)).problem


def test_who_commits_must_have_a_name_and_an_address() -> None:
    from scrapy.settings import Settings

    told = {"GIT_REPOSITORY": "", "GIT_REMOTE": ""}
    assert Options.of(Settings({**told, "GIT_AUTHOR": GIT_AUTHOR})).author == ("newsarchive", "newsarchive@localhost")
    with pytest.raises(NotPublished, match="GIT_AUTHOR is 'nobody': write a name and an address"):
        Options.of(Settings({**told, "GIT_AUTHOR": "nobody"}))


def test_another_run_is_publishing(archive: Archive) -> None:
    archive.well()
    lock = archive.folder / ".git/newsarchive.hold"
    with subprocess.Popen(["flock", lock, "cat"], stdin=subprocess.PIPE) as other:
        while subprocess.run(["flock", "-n", lock, "true"], check=False).returncode == 0:
            assert other.poll() is None
        done = archive.publish()
        assert other.stdin
        other.stdin.close()
    assert done.busy
    assert "another run publishes" in done.problem
    assert hold


def test_hooks_for_people_are_not_asked(pushed: Archive) -> None:
    for name in ("pre-commit", "commit-msg", "prepare-commit-msg", "post-commit", "reference-transaction"):
        hook = pushed.folder / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\nexit 1\n")
        hook.chmod(0o755)
    pushed.write(C)
    assert pushed.publish().commit
    (pushed.folder / ".git/hooks/reference-transaction").unlink()
    hook.with_name("pre-push").write_text("#!/bin/sh\necho 'not this way' >&2\nexit 1\n")
    hook.with_name("pre-push").chmod(0o755)
    assert "not this way" in pushed.publish(pushing=True).problem


LOCKS = (
    *("index.lock", "HEAD.lock", "refs/heads/main.lock", "packed-refs.lock", "config.lock", "shallow.lock"),
    *("newsarchive-index.lock", "objects/maintenance.lock", "logs/HEAD.lock", "logs/refs/heads/main.lock"),
)


def test_locks_of_a_dead_git_go(archive: Archive) -> None:
    archive.well()
    locks = [archive.folder / ".git" / name for name in LOCKS]
    for lock in locks:
        lock.touch()
    archive.write(C)
    assert sorted(archive.well().notes) == sorted(f"removed {lock}: the git that held it is gone" for lock in locks)
    assert (C in archive.held, archive.status) == (True, [])


def test_a_repository_of_longer_names(archive: Archive) -> None:
    archive.git("init", "-q", "-b", "main", "--object-format=sha256")
    archive.well()
    archive.write(A, text="corrected")
    cut_power(archive, lambda whole: b"", archive.git("rev-parse", f"HEAD:{B}"))
    assert archive.well().changes.changed == {"cna": 1}
    assert (archive.held, len(archive.git("rev-parse", "HEAD"))) == ([A, B], 64)


@contextmanager
def git_at_work(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(
        ["git", "cat-file", "--batch"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"HEAD\n")
        process.stdin.flush()
        process.stdout.readline()
        yield process
        process.stdin.close()
        process.stdout.read()


def test_a_lock_of_a_living_git_stays(archive: Archive) -> None:
    archive.well()
    archive.write(C)
    lock = archive.folder / ".git/index.lock"
    with git_at_work(archive.folder) as living:
        lock.touch()
        done = archive.publish()
    assert f"process {living.pid} is at work in {archive.folder}, and may hold {lock}" in done.problem
    assert lock.exists()
    assert C in (archive.well() and archive.held)


def test_a_lock_that_any_program_has_open_stays(archive: Archive) -> None:
    archive.well()
    lock = archive.folder / ".git/index.lock"
    with lock.open("w") as opened, subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=opened) as holder:
        assert f"process {holder.pid} is at work" in archive.publish().problem
        assert holder.stdin
        holder.stdin.close()


def test_a_git_at_work_elsewhere_holds_nothing(archive: Archive, tmp_path: Path) -> None:
    archive.well()
    elsewhere = Archive(tmp_path / "archive-of-others")
    elsewhere.write(A)
    elsewhere.well()
    (archive.folder / ".git/index.lock").touch()
    with git_at_work(elsewhere.folder):
        assert len(archive.well().notes) == 1


@pytest.mark.parametrize("content", [b"", b"DIRC\0\0\0\2", None, "half", "zeros"])
def test_a_broken_index_is_made_again(archive: Archive, content: bytes | str | None) -> None:
    archive.write("README.md")
    archive.well()
    archive.git("add", "README.md")
    archive.git("commit", "-q", "-m", "mine")
    archive.write("README.md", text="changed")
    for name in ("index", "newsarchive-index"):
        index = archive.folder / ".git" / name
        whole = index.read_bytes()
        index.unlink()
        if content is not None:
            cut = {"half": whole[: len(whole) // 2], "zeros": whole[:-30] + bytes(30)}
            index.write_bytes(cut[content] if isinstance(content, str) else content)
    archive.write(C)
    (note,) = archive.well().notes
    assert "is made again" in note
    assert (archive.held, archive.status) == ([".gitignore", "README.md", A, B, C], [" M README.md"])
    assert "changed" in (archive.folder / "README.md").read_text()


def cut_power(archive: Archive, torn: Callable[[bytes], bytes], *names: str) -> None:
    """Leave what a power cut does of objects: files of the right name that hold something else."""
    for name in names:
        file = archive.folder / ".git/objects" / name[:2] / name[2:]
        file.chmod(0o644)
        file.write_bytes(torn(file.read_bytes()))
    (archive.folder / ".git/newsarchive-boot").write_text("another boot\n")


@pytest.mark.parametrize("torn", [lambda whole: b"", lambda whole: whole[:-4], lambda whole: bytes(len(whole))])
def test_a_post_that_was_half_written_into_the_repository_is_written_again(
    archive: Archive, torn: Callable[[bytes], bytes]
) -> None:
    archive.well()
    cut_power(archive, torn, archive.git("rev-parse", f"HEAD:{A}"))
    archive.write(C)
    before = archive.git("rev-parse", "HEAD")
    (note,) = archive.well().notes
    assert note.endswith("which is half written")
    assert archive.git("rev-parse", "HEAD^") == before
    assert archive.held == [".gitignore", A, B, C]


@pytest.mark.parametrize("lost", ["HEAD^{commit}", "HEAD^{tree}"])
def test_a_commit_that_was_half_written_is_made_again(archive: Archive, lost: str) -> None:
    first = archive.well().commit
    archive.write(C)
    archive.well()
    cut_power(archive, lambda whole: b"", archive.git("rev-parse", lost))
    # The commit that is made then is another one, whatever the time is.
    archive.write(D)
    notes = archive.well().notes
    assert any("not whole, and names" in note for note in notes)
    assert archive.git("rev-parse", "HEAD^") == first
    assert archive.held == [".gitignore", A, B, C, D]


@pytest.mark.parametrize("content", [b"", bytes(41)])
def test_a_branch_that_names_nothing_names_its_newest_commit(archive: Archive, content: bytes) -> None:
    archive.well()
    archive.write(C)
    last = archive.well().commit
    (archive.folder / ".git/refs/heads/main").write_bytes(content)
    (archive.folder / ".git/newsarchive-boot").unlink()
    archive.well()
    assert archive.git("rev-parse", "HEAD") == last


def test_a_repository_that_was_half_made(archive: Archive) -> None:
    (archive.folder / ".git.new.tmp/.git").mkdir(parents=True)
    archive.well()
    assert archive.status == []
    assert not (archive.folder / ".git.new.tmp").exists()


def test_what_was_not_pushed_is_pushed_by_the_next(pushed: Archive, tmp_path: Path) -> None:
    away = tmp_path / "away"
    (tmp_path / "remote.git").rename(away)
    pushed.write(C)
    failed = pushed.publish(pushing=True)
    assert failed.commit
    assert not failed.pushed
    assert "cannot be pushed to" in failed.problem
    assert "the commits stay here, and the next run pushes them" in failed.problem
    away.rename(tmp_path / "remote.git")
    done = pushed.well(pushing=True)
    assert (done.commit, done.pushed) == ("", True)
    assert remote_head(pushed) == failed.commit


def remote_head(archive: Archive) -> str:
    return archive.git("ls-remote", "origin", "refs/heads/main").split()[0]


def test_what_others_pushed_is_merged(pushed: Archive, other: Archive) -> None:
    theirs = D.replace("dw", "rfi")
    commit_and_push(other, "README.md", theirs)
    pushed.write(C)
    done = pushed.well(pushing=True)
    ours, merged = done.commit, other.git("rev-parse", "HEAD")
    assert pushed.git("rev-list", "--parents", "-1", "HEAD").split()[1:] == [ours, merged]
    assert pushed.held == [".gitignore", "README.md", A, B, C, theirs]
    assert (remote_head(pushed), pushed.status) == (pushed.git("rev-parse", "HEAD"), [])
    assert "theirs" in (pushed.folder / "README.md").read_text()
    assert pushed.git("for-each-ref", "refs/newsarchive") == ""


def test_only_behind_the_branch_goes_forward(pushed: Archive, other: Archive) -> None:
    commit_and_push(other, "README.md")
    other.git("rm", "-q", ".gitignore")
    other.git("commit", "-q", "-m", "gone")
    other.git("push", "-q", "origin", "HEAD:main")
    pushed.well(pushing=True)
    assert pushed.git("rev-parse", "HEAD") == other.git("rev-parse", "HEAD")
    assert not (pushed.folder / ".gitignore").exists()


def test_where_both_changed_a_post_the_archive_is_right(pushed: Archive, other: Archive) -> None:
    commit_and_push(other, A, C, text="theirs")
    pushed.write(A, C, text="ours")
    done = pushed.well(pushing=True)
    assert done.notes == [f"{A}, {C}: changed by others, too; the archive's own are kept"]
    for post in (A, C):
        assert "ours" in pushed.git("show", f"HEAD:{post}")
        assert "ours" in (pushed.folder / post).read_text()
    assert pushed.status == []


def test_an_article_has_one_post_after_a_merge(pushed: Archive, other: Archive) -> None:
    commit_and_push(other, D.replace("01-15", "01-14"))
    pushed.write(D)
    pushed.well(pushing=True)
    assert [name for name in pushed.held if "68000001" in name] == [D]
    assert sorted(file.name for file in (pushed.folder / "_posts/dw/2024").iterdir()) == [Path(D).name]


def test_a_post_that_others_renamed_is_not_lost(pushed: Archive, other: Archive) -> None:
    renamed = A.replace("01-15", "01-14")
    other.git("mv", A, renamed)
    other.git("commit", "-q", "-m", "renamed")
    other.git("push", "-q", "origin", "HEAD:main")
    pushed.write(C)
    pushed.well(pushing=True)
    assert pushed.held == [".gitignore", renamed, B, C]


def test_lines_of_a_file_that_both_changed_are_merged(pushed: Archive, other: Archive) -> None:
    lines = [f"line {number}\n" for number in range(20)]
    (other.folder / "README.md").write_text("".join(lines))
    other.git("add", "README.md")
    other.git("commit", "-q", "-m", "first")
    other.git("push", "-q", "origin", "HEAD:main")
    pushed.well(pushing=True)
    (other.folder / "README.md").write_text("".join(["theirs\n", *lines[1:]]))
    other.git("commit", "-q", "-a", "-m", "theirs")
    other.git("push", "-q", "origin", "HEAD:main")
    (pushed.folder / "README.md").write_text("".join([*lines[:-1], "mine\n"]))
    pushed.git("commit", "-q", "-a", "-m", "mine")
    pushed.well(pushing=True)
    assert (pushed.folder / "README.md").read_text() == "".join(["theirs\n", *lines[1:-1], "mine\n"])


@pytest.mark.parametrize("committed", [True, False])
def test_what_somebody_has_to_choose_is_left(pushed: Archive, other: Archive, committed: bool) -> None:
    commit_and_push(other, "README.md")
    pushed.write("README.md", text="mine")
    if committed:
        pushed.git("add", "README.md")
        pushed.git("commit", "-q", "-m", "mine")
    pushed.write(C)
    done = pushed.publish(pushing=True)
    assert done.commit == pushed.git("rev-parse", "HEAD")
    assert ("git pull --no-rebase" if committed else "commit them, or git stash") in done.problem
    assert "README.md" in done.problem
    assert "mine" in (pushed.folder / "README.md").read_text()
    assert pushed.status == ([] if committed else ["?? README.md"])
    assert remote_head(pushed) == other.git("rev-parse", "HEAD")


def test_nothing_in_common(pushed: Archive, other: Archive) -> None:
    other.git("checkout", "-q", "--orphan", "else")
    other.git("commit", "-q", "-m", "else")
    other.git("push", "-q", "--force", "origin", "HEAD:main")
    pushed.write(C)
    assert "has no commit in common with" in pushed.publish(pushing=True).problem


def test_a_shallow_clone_learns_what_it_needs_to_merge(pushed: Archive, other: Archive, tmp_path: Path) -> None:
    address = (tmp_path / "remote.git").as_uri()
    pushed.write(D)
    pushed.well(pushing=True)
    subprocess.run(["git", "clone", "-q", "--depth=1", address, tmp_path / "shallow"], check=True)
    shallow = Archive(tmp_path / "shallow")
    other.git("pull", "-q")
    commit_and_push(other, "README.md")
    shallow.write(C)
    shallow.well(pushing=True)
    assert shallow.held == [".gitignore", "README.md", A, B, C, D]


def test_a_remote_that_refuses(pushed: Archive, tmp_path: Path) -> None:
    hook = tmp_path / "remote.git/hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nprintf 'protected \\033[31mbranch\\n' >&2\nexit 1\n")
    hook.chmod(0o755)
    pushed.write(C)
    done = pushed.publish(pushing=True)
    assert "refuses refs/heads/main: [remote rejected] (pre-receive hook declined)" in done.problem
    assert "protected" in done.problem
    assert "\033" not in done.problem
    assert C in pushed.held


def test_no_remote(archive: Archive) -> None:
    assert "has no remote origin: git remote add origin ADDRESS" in archive.publish(pushing=True).problem
    archive.git("remote", "add", "here", "x")
    archive.git("remote", "add", "there", "y")
    assert "it has here, there: set GIT_REMOTE" in archive.publish(pushing=True).problem


def test_secrets_of_an_address_are_not_told(archive: Archive) -> None:
    archive.well()
    archive.git("remote", "add", "origin", "http://me:s3cret@127.0.0.1:9/x.git")
    done = archive.publish(pushing=True)
    assert "http://***@127.0.0.1:9/x.git" in done.problem
    assert "s3cret" not in str(done.as_json()) + "".join(done.lines)


def test_what_git_says_is_one_line_without_secrets() -> None:
    said = "fatal: no https://a:b@c@host/x?private_token=zzz\nhint: long\r\n\x1b]0;x\x07remote: y\n"
    assert shown(said) == "fatal: no https://***@host/x?private_token=***; \ufffd]0;x\ufffdremote: y"


def test_thousands_of_posts_at_once(archive: Archive) -> None:
    many = [f"_posts/rfi/2024/2024-01-15-{'x' * 80}{number}.md" for number in range(3000)]
    assert sum(map(len, many)) > 300_000
    archive.write(*many)
    assert archive.well().changes.new == {"cna": 2, "rfi": 3000}
    assert archive.status == []
