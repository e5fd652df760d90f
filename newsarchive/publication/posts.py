"""Which files of an archive are published, and what has become of them since the last commit."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Changes", "Entry", "changes", "entries", "key", "present"]

#: The name of a post below ``_posts``: publisher, year, and day, id and suffix. Drafts begin with a dot.
POST = re.compile(r"(?P<publisher>[^/.][^/]*)/\d{4}/\d{4}-\d\d-\d\d-(?P<id>[^/]+)\.[A-Za-z]+")


@dataclass(frozen=True)
class Entry:
    """What became of a path between two trees; modes and objects are zeros where there is nothing."""

    path: str
    mode: tuple[str, str]
    object: tuple[str, str]
    #: A for added, D for deleted, anything else for changed.
    kind: str


@dataclass
class Changes:
    """Numbers of posts by publisher."""

    new: dict[str, int] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    renamed: dict[str, int] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, publisher: str) -> None:
        """Count a post."""
        numbers: dict[str, int] = getattr(self, kind)
        numbers[publisher] = numbers.get(publisher, 0) + 1

    @property
    def subject(self) -> str:
        """The first line of the commit's message."""
        total = {kind: sum(getattr(self, kind).values()) for kind in KINDS}
        told = ", ".join(f"{number} {kind}" for kind, number in total.items() if number)
        return f"archive: {told} {'post' if sum(total.values()) == 1 else 'posts'}"

    @property
    def lines(self) -> Iterator[str]:
        """A line a publisher."""
        for publisher in sorted({name for kind in KINDS for name in getattr(self, kind)}):
            numbers = ((kind, getattr(self, kind).get(publisher, 0)) for kind in KINDS)
            yield f"{publisher}: {', '.join(f'{number} {kind}' for kind, number in numbers if number)}"


KINDS = ("new", "changed", "renamed", "removed")


def key(name: str) -> tuple[str, str] | None:
    """Return the publisher and what stands for the id in the name of a post below ``_posts``; None if it is none."""
    match = POST.fullmatch(name)
    return (match["publisher"], match["id"]) if match else None


def present(folder: Path) -> set[str]:
    """Return the names of all posts in a folder ``_posts``."""
    found = set()
    for publisher in _folders(folder):
        for year in _folders(publisher.path):
            with os.scandir(year.path) as files:
                for file in files:
                    name = f"{publisher.name}/{year.name}/{file.name}"
                    if POST.fullmatch(name) and file.is_file(follow_symlinks=False):
                        found.add(name)
    return found


def _folders(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    """Yield the folders in a folder; none if it is not there."""
    try:
        with os.scandir(folder) as files:
            yield from (file for file in files if file.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return


def entries(out: bytes) -> Iterator[Entry]:
    """Yield what ``git diff-tree -r -z --raw`` lists."""
    fields = iter(out.split(b"\0")[:-1])
    for told, path in zip(fields, fields, strict=True):
        before, after, old, new, kind = told.decode("ascii").removeprefix(":").split()
        yield Entry(os.fsdecode(path), (before, after), (old, new), kind[0])


def changes(found: Iterable[Entry], posts: str) -> Changes:
    """Return the numbers of posts that came, changed, got another name, or went; ``posts`` is their folder's name."""
    counted = Changes()
    named = [(entry, key(entry.path.removeprefix(posts))) for entry in found if entry.path.startswith(posts)]
    gone = {about for entry, about in named if entry.kind == "D"}
    come = {about for entry, about in named if entry.kind == "A"}
    for entry, about in named:
        if about is None or (entry.kind == "D" and about in come):
            continue
        new = "renamed" if about in gone else "new"
        counted.add({"A": new, "D": "removed"}.get(entry.kind, "changed"), about[0])
    return counted
