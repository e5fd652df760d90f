"""Of whom an archive holds anything."""

import re
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from scrapy.exceptions import UsageError

from newsarchive.index import Index, IndexUnusable
from newsarchive.store import index_file

__all__ = ["ACCOUNT_NAME", "names_in", "publishers_asked", "publishers_of"]

#: Name of an account: time and publisher of its run, and a number if there was one of this name.
ACCOUNT_NAME = re.compile(r"\d{8}T\d{6}Z-(?P<publisher>.+?)(?:-\d+)?\.json")


def publishers_of(archive: Path) -> list[str]:
    """Return the publishers of which an archive holds anything, by name."""
    folders = (archive / above / name for above in ("captures", "_posts") for name in names_in(archive / above))
    names = {folder.name for folder in folders if folder.is_dir()}
    accounts = map(ACCOUNT_NAME.fullmatch, names_in(archive / "runs"))
    names.update(match["publisher"] for match in accounts if match)
    with suppress(OSError, IndexUnusable, sqlite3.Error), Index(index_file(archive), read_only=True) as index:
        names.update(index.publishers())
    return sorted(names)


def publishers_asked(archive: Path, names: Iterable[str]) -> list[str]:
    """Return the publishers that are named, each once, or all of which an archive holds anything; raise UsageError."""
    held = publishers_of(archive)
    if unknown := sorted(set(names) - set(held)):
        told = f"it holds {', '.join(held)}" if held else "it holds nothing"
        raise UsageError(f"{archive} holds nothing of {', '.join(unknown)}: {told}", print_help=False)
    return list(dict.fromkeys(names)) or held


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder; none if there is no such folder."""
    try:
        return [file.name for file in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
