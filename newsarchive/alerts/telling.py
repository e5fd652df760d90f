"""Tells people what has changed, and keeps what they were told."""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import orjson

from newsarchive.alerts.channel import Channel, Undelivered
from newsarchive.alerts.memory import Memory
from newsarchive.alerts.message import message
from newsarchive.files import replace_file, sync_folder
from newsarchive.health import Verdict
from newsarchive.lock import hold

__all__ = ["Told", "open_since", "remembered", "tell"]

logger = logging.getLogger(__name__)

#: What is told where the run itself is read: on the screen, in a log.
HERE = "here"
#: Tenths of a second for which another process may tell people: mail servers take their time.
PATIENCE = 600


class Told:
    """What came of telling people."""

    def __init__(self) -> None:
        #: What has changed since the last look, in lines.
        self.lines: list[str] = []
        #: Why somebody could not be told; they are told after the next run.
        self.undelivered: list[str] = []


def tell(archive: Path, verdicts: Iterable[Verdict], channels: Sequence[Channel], now: datetime) -> Told:
    """Tell every channel what has changed for it, in one message each, and return that.

    Raises Locked if another process does so for longer than a minute, OSError if what was told cannot be kept.
    """
    told = Told()
    with hold(archive / "alerts.lock", tries=PATIENCE), _kept(archive) as memory:
        memory.look(verdicts, now)
        here = memory.events(HERE, now)
        told.lines = [line for event in here for line in event.lines()]
        memory.told(HERE, here)
        for channel in channels:
            if not (events := memory.events(channel.name, now)):
                continue
            try:
                channel.send(*message(events, str(archive.absolute())))
                memory.told(channel.name, events)
            except Undelivered as error:
                told.undelivered.append(str(error))
        memory.forget([HERE, *(channel.name for channel in channels)])
    return told


@contextmanager
def _kept(archive: Path) -> Iterator[Memory]:
    """Let the block change the memory of an archive, and keep it; raise OSError if that cannot be done."""
    memory = remembered(archive)
    yield memory
    file = archive / "alerts.json"
    content = orjson.dumps(memory.as_json(), option=orjson.OPT_INDENT_2) + b"\n"
    if not file.exists() or file.read_bytes() != content:
        try:
            replace_file(file, content)
            sync_folder(archive)
        except OSError:
            if not _overwritten(file, content):
                raise


def _overwritten(file: Path, content: bytes) -> bool:
    """Write into the room that a file has already; tell whether it has enough.

    On a full disk people would otherwise be told again by every run. After a kill they are told once more.
    """
    try:
        with file.open("r+b") as kept:
            if len(content) > os.fstat(kept.fileno()).st_blocks * 512:
                return False
            kept.write(content)
            kept.truncate()
            kept.flush()
            os.fsync(kept.fileno())
    except OSError:
        return False
    return True


def remembered(archive: Path) -> Memory:
    """Return the memory of an archive: an empty one if there is none, or none that can be read."""
    try:
        return Memory.from_json(orjson.loads((archive / "alerts.json").read_bytes()))
    except FileNotFoundError:
        return Memory()
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        logger.error("%s/alerts.json cannot be understood (%s): whoever has to know is told once more", archive, error)
        return Memory()


def open_since(archive: Path) -> dict[str, datetime]:
    """Return since when each problem of an archive is open, by its key."""
    return {key: since.astimezone(UTC) for key, since in remembered(archive).since.items()}
