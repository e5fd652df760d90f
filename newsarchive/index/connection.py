"""A connection to the index's file: its tables made, its version looked at, and what SQLite says told with its name."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from newsarchive.index.facts import IndexUnusable
from newsarchive.index.opening import opened, opened_for_reading
from newsarchive.index.row import Row
from newsarchive.index.schema import APPLICATION, NAMES, SCHEMA, VERSION

__all__ = ["CACHE", "Connection"]

#: The first SQLite with strict tables.
OLDEST = (3, 37)
#: KiB of the file that are kept in memory; the system keeps the rest.
CACHE = 16 * 1024
#: Bytes that the log of transactions may keep on disk once they are in the file.
LOG = 64 * 2**20


class Connection:
    """One connection to an index, for one thread at a time; see ``Index`` for what it raises."""

    def __init__(self, file: Path, *, read_only: bool = False) -> None:
        """Open an index, or make an empty one; raise FileNotFoundError for one that is only to be read."""
        self.file = file
        self.read_only = read_only
        if sqlite3.sqlite_version_info < OLDEST:
            raise RuntimeError(f"the index needs SQLite 3.37 or newer, and this Python has {sqlite3.sqlite_version}")
        if not read_only:
            file.parent.mkdir(parents=True, exist_ok=True)
        elif not file.exists():
            raise FileNotFoundError(errno.ENOENT, "no index", str(file))
        try:
            self.db = opened_for_reading(file) if read_only else opened(file, "mode=rwc")
        except sqlite3.DatabaseError as error:
            raise self._told(error) from error
        try:
            self._open()
        except BaseException:
            self.db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the index; its file alone is whole then, unless others are reading it."""
        try:
            # What is committed is safe without this: whoever opens the index next takes it over from the log.
            with suppress(sqlite3.Error):
                if not self.read_only:
                    self.db.execute("PRAGMA busy_timeout = 0")
                    self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is recorded inside, all or, after an exception, nothing; raise RuntimeError if nested."""
        if self.db.in_transaction:
            raise RuntimeError(f"{self.file}: a transaction is under way")
        self._run("BEGIN IMMEDIATE")
        try:
            yield
            self._run("COMMIT")
        except BaseException:
            # SQLite may have rolled back by itself, as when the disk is full.
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise

    def _open(self) -> None:
        """Make the tables if there are none; raise IndexUnusable if the file is not an index that can be used."""
        self._run(f"PRAGMA cache_size = -{CACHE}")
        self._run("PRAGMA synchronous = FULL")
        self._run(f"PRAGMA journal_size_limit = {LOG}")
        if not self.read_only and not self._names():
            with self.transaction():
                self._make()
        self._examine()
        if not self.read_only:
            self._run("PRAGMA journal_mode = WAL")

    def _names(self) -> set[str]:
        """Return the names of what the file defines; empty if it is new."""
        return {name for (name,) in self._all("SELECT name FROM sqlite_master")}

    def _make(self) -> None:
        """Make the tables, unless another process has just made them."""
        if not self._names():
            self._run(f"PRAGMA application_id = {APPLICATION}")
            self._run(f"PRAGMA user_version = {VERSION}")
            for statement in SCHEMA:
                self._run(statement)

    def _examine(self) -> None:
        """Raise IndexUnusable if the file is of another program or version, or lacks a table."""
        (application,), (version,) = self._one("PRAGMA application_id"), self._one("PRAGMA user_version")
        if application != APPLICATION:
            raise IndexUnusable(self.file, "is not an index of this program")
        if version != VERSION:
            problem = f"is of version {version}, and this newsarchive knows {VERSION}"
            raise IndexUnusable(self.file, problem, "update newsarchive" if version > VERSION else "")
        if missing := NAMES - self._names():
            raise IndexUnusable(self.file, f"lacks {', '.join(sorted(missing))}")

    def _run(self, sql: str, *values: Any) -> None:
        """Execute a statement."""
        try:
            self.db.execute(sql, values)
        except sqlite3.DatabaseError as error:
            raise self._told(error) from error

    def _one(self, sql: str, *values: Any) -> Any:
        """Return the first row of a query; None if it has none."""
        try:
            return self.db.execute(sql, values).fetchone()
        except sqlite3.DatabaseError as error:
            raise self._told(error) from error

    def _row(self, sql: str, *values: Any) -> Row | None:
        """Return the first row of a query of captures; None if it has none."""
        row = self._one(sql, *values)
        return row and Row._make(row)

    def _all(self, sql: str, *values: Any) -> list[Any]:
        """Return all rows of a query."""
        return list(self._each(sql, *values))

    def _each(self, sql: str, *values: Any) -> Iterator[Any]:
        """Yield the rows of a query, read as they are asked for."""
        try:
            yield from self.db.execute(sql, values)
        except sqlite3.DatabaseError as error:
            raise self._told(error) from error

    def _told(self, error: sqlite3.DatabaseError) -> Exception:
        """Return what SQLite says, with the file's name; as IndexUnusable if the file is damaged."""
        code = getattr(error, "sqlite_errorcode", 0)
        if code & 0xFF == sqlite3.SQLITE_NOTADB:
            return IndexUnusable(self.file, "is not an SQLite database")
        if code & 0xFF == sqlite3.SQLITE_CORRUPT:
            return IndexUnusable(self.file, f"is damaged ({error})")
        told = type(error)(f"{self.file}: {error}")
        told.sqlite_errorcode = code
        return told
