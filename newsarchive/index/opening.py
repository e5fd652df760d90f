"""Files of an index opened for reading, or kept from being written, without leaving anything behind."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

__all__ = ["PATIENCE", "opened", "opened_for_reading", "without_writers"]

#: Seconds that an opening or a transaction waits for another process.
PATIENCE = 30


def opened(file: Path, options: str) -> sqlite3.Connection:
    """Return a connection to an index; ``options`` are those of an SQLite address: ``mode=rwc``."""
    address = f"{file.absolute().as_uri()}?{options}"
    return sqlite3.connect(address, uri=True, timeout=PATIENCE, isolation_level=None, check_same_thread=False)


def opened_for_reading(file: Path) -> sqlite3.Connection:
    """Return a connection that writes nothing to an index, and leaves its folder as it was when it is closed.

    Raises sqlite3.DatabaseError if the file cannot be read.
    """
    if _size(file.with_name(file.name + "-wal")):
        # Who may write would take the log over into the file and remove it.
        return _reader(file, "mode=ro")
    # Readers make a log if there is none, and only who may write takes it away again. Where none can be made,
    # nobody writes.
    for options in ("mode=rw", "mode=ro"):
        try:
            return _reader(file, options)
        except sqlite3.OperationalError as error:
            if not _is_unwritable(error):
                raise
    return _reader(file, "mode=ro&immutable=1")


@contextmanager
def without_writers(file: Path) -> Iterator[None]:
    """Let no transaction of an index be under way while the block runs."""
    with closing(opened(file, "mode=rw")) as database:
        database.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            database.execute("ROLLBACK")


def _reader(file: Path, options: str) -> sqlite3.Connection:
    """Return a connection that writes nothing, after a first look into the file."""
    connection = opened(file, options)
    try:
        connection.execute("PRAGMA query_only = 1")
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _is_unwritable(error: sqlite3.OperationalError) -> bool:
    """Tell whether SQLite could not make a file that it needs."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_CANTOPEN or code == sqlite3.SQLITE_READONLY_DIRECTORY


def _size(file: Path) -> int:
    """Return the bytes of a file; none if there is no such file."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
