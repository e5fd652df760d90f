"""The git command: how it is called so that nobody is asked, nothing waits for ever, and no secret is told."""

import os
import re
import signal
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from scrapy.settings import BaseSettings

__all__ = ["Git", "GitFailed", "NotPublished", "Options", "names", "shown"]

#: What a calling git leaves in the environment of a hook: it would lead to another repository than the archive's.
FOREIGN = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"),
    *("GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_QUARANTINE_PATH", "GIT_LITERAL_PATHSPECS"),
    *("GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_REFLOG_ACTION", "GIT_EDITOR"),
)
#: Nothing of a commit may be lost by a power cut once the branch names it; posts are committed to the byte.
CONFIG = {
    "core.fsync": "all",
    "core.fsyncMethod": "batch",
    "core.quotePath": "false",
    "core.autocrlf": "false",
    "core.safecrlf": "false",
    "core.fsmonitor": "false",
    "gc.autoDetach": "false",
    "maintenance.autoDetach": "false",
    "i18n.commitEncoding": "UTF-8",
}
#: Hooks are for people who commit. Those of a push guard what leaves the machine: they run.
NO_HOOKS = {"core.hooksPath": os.devnull}
#: What git takes for big, it writes into a pack at once.
PACKED = {"core.bigFileThreshold": "1"}
#: Seconds in which a git that has to stop removes its locks.
GRACE = 10
#: Characters of what git said that are told.
MOST_SAID = 1000


class NotPublished(RuntimeError):
    """Says why posts are not published, and what to do."""


class GitFailed(NotPublished):
    """Says which git command failed, and what it said."""

    def __init__(self, command: str, status: int, said: str, out: bytes = b"") -> None:
        ended = f"was killed by signal {-status}" if status < 0 else f"ended with {status}"
        super().__init__(f"git {command} {ended}: {said or 'it said nothing'}")
        self.status, self.said, self.out = status, said, out


@dataclass(frozen=True)
class Options:
    """What settings say of publishing."""

    author: tuple[str, str] = ("newsarchive", "newsarchive@localhost")
    sign: bool = False
    #: The work tree that takes the posts; None to find it.
    repository: Path | None = None
    remote: str = ""
    #: Seconds for a command here, for one that talks to a remote, and to wait for another git.
    timeout: float = 3600
    remote_timeout: float = 600
    wait: float = 30

    @classmethod
    def of(cls, settings: BaseSettings) -> Self:
        """Return the options that settings hold; raise NotPublished if one makes no sense."""
        author = re.fullmatch(r"([^<>\n]*[^<>\s])\s*<([^<>\s]+)>", settings["GIT_AUTHOR"].strip())
        if not author:
            raise NotPublished(f"GIT_AUTHOR is {settings['GIT_AUTHOR']!r}: write a name and an address, Name <address>")
        return cls(
            author=(author[1], author[2]),
            sign=settings.getbool("GIT_SIGN"),
            repository=Path(settings["GIT_REPOSITORY"]) if settings["GIT_REPOSITORY"] else None,
            remote=settings["GIT_REMOTE"],
            timeout=settings.getfloat("GIT_TIMEOUT"),
            remote_timeout=settings.getfloat("GIT_REMOTE_TIMEOUT"),
            wait=settings.getfloat("GIT_WAIT"),
        )


def shown(text: str) -> str:
    """Return what git or a server said as one line, without secrets of addresses and control characters."""
    text = re.sub(r"(\w[\w+.-]*://)[^\s/]*@", r"\1***@", text)
    text = re.sub(r"(?i)([?&][\w-]*(?:token|key|secret|password|auth)[\w-]*=)[^&\s'\"]+", r"\1***", text)
    lines = (line.strip() for line in re.split(r"[\r\n]+", text))
    text = "; ".join(line for line in lines if line and not line.startswith("hint:"))
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)[
        :MOST_SAID
    ]


def names(out: bytes) -> list[str]:
    """Return what git lists with ``-z``."""
    return [os.fsdecode(name) for name in out.split(b"\0") if name]


class Git:
    """Calls git in a folder."""

    def __init__(self, folder: Path, options: Options) -> None:
        self.folder, self.options = folder, options
        name, address = options.author
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in (*FOREIGN, "SSH_ASKPASS")},
            "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GCM_INTERACTIVE": "never",
            "SSH_ASKPASS_REQUIRE": "never",
            **{f"GIT_{role}_NAME": name for role in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{role}_EMAIL": address for role in ("AUTHOR", "COMMITTER")},
        }

    def __call__(
        self,
        *words: str,
        input: bytes | Iterable[str] = b"",
        index: Path | None = None,
        ok: tuple[int, ...] = (0,),
        remote: bool = False,
        hooks: bool = False,
        packed: bool = False,
    ) -> bytes:
        """Return what a command writes; ``input`` may be names, for commands that read them with ``-z``.

        ``packed`` has it write files into one pack; ``hooks`` lets it ask the user's hooks.

        Raises GitFailed if it ends with another status than those that are ok, or takes too long, and NotPublished
        if there is no git.
        """
        if not isinstance(input, bytes):
            input = b"".join(os.fsencode(name) + b"\0" for name in input)
        config = {**CONFIG, **({} if hooks else NO_HOOKS), **(PACKED if packed else {})}
        if index:
            # An index of our own holds everything, in one file.
            config |= {"core.splitIndex": "false", "core.sparseCheckout": "false", "index.skipHash": "false"}
        set_ = [word for name, value in config.items() for word in ("-c", f"{name}={value}")]
        environment = {**self.environment, **({"GIT_INDEX_FILE": str(index)} if index else {})}
        seconds = self.options.remote_timeout if remote else self.options.timeout
        # This one command will not have its paths taken as they are.
        options = [] if words[0] == "check-ignore" else ["--literal-pathspecs"]
        done = self._run(["git", "--no-pager", *options, *set_, *words], environment, input, seconds)
        if done.returncode not in ok:
            said = shown(done.stderr.decode("utf-8", "replace"))
            raise GitFailed(words[0], done.returncode, said, done.stdout)
        return done.stdout

    def text(self, *words: str, ok: tuple[int, ...] = (0,)) -> str:
        """Return the line that a command writes."""
        return os.fsdecode(self(*words, ok=ok)).removesuffix("\n")

    def says(self, *words: str) -> bool:
        """Tell whether a command that answers by its status says yes."""
        try:
            self(*words)
            return True
        except GitFailed as error:
            if error.status != 1:
                raise
            return False

    def _run(
        self, command: list[str], environment: Mapping[str, str], input: bytes, seconds: float
    ) -> "subprocess.CompletedProcess[bytes]":
        """Run a command in a session of its own: neither a terminal's signals nor its prompts concern it."""
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            if not self.folder.is_dir():
                raise NotPublished(f"{self.folder} is not there: nothing can be published") from error
            raise NotPublished("git is not installed: install it (apt-get install git), or leave out --git") from error
        with process:
            try:
                out, said = process.communicate(input, seconds)
            except subprocess.TimeoutExpired:
                out, said = _stop(process)
                said += f"\nit took longer than {seconds:g} seconds, and was stopped".encode()
                return subprocess.CompletedProcess(command, 124, out, said)
            except BaseException:
                _stop(process)
                raise
        return subprocess.CompletedProcess(command, process.returncode, out, said)


def _stop(process: "subprocess.Popen[bytes]") -> tuple[bytes, bytes]:
    """End a command and what it started, gently at first; return what it wrote."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        return process.communicate(timeout=GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()
