"""What is taken out of a run to see that tests notice: each function takes out one thing, in the run's own process."""

import fcntl
import os
from pathlib import Path


def fsync() -> None:
    """Sync nothing. SQLite goes on syncing: it does not ask Python."""
    os.fsync = os.fdatasync = lambda descriptor: None


def lock() -> None:
    """Lock nothing."""
    fcntl.flock = lambda descriptor, operation: None
    from newsarchive import files
    from newsarchive import lock as locks

    files.flock = locks.flock = fcntl.flock


def recovery() -> None:
    """Leave everything as the last run left it."""
    from newsarchive import recover, warc

    recover.Recovery.all = lambda recovery: iter(())
    recover.mend = warc.mend = lambda file: None


def draft() -> None:
    """Write posts in place."""
    from newsarchive import files

    def overwrite(drafts: files.Drafts, file: Path, content: bytes) -> None:
        files.make_folder(file.parent)
        drafts.folders.add(file.parent)
        with file.open("wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())

    assert callable(files.Drafts.write)
    files.Drafts.write = overwrite


def order() -> None:
    """Record articles before their captures are synced."""
    from newsarchive import warc

    assert callable(warc.CaptureWriter.sync)
    warc.CaptureWriter.sync = lambda writer: None
