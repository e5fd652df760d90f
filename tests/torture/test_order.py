"""What is written first is what cannot be had again: the order of a run's calls, as strace sees them."""

import gzip
import re
from pathlib import Path

from attack import Torturer
from scene import Record
from strace import Call

SYNCS = ("fsync", "fdatasync")
WRITES = ("write", "pwrite64", "writev", "pwritev")


class Order:
    """The calls of a run on its archive, in the order in which they were made."""

    def __init__(self, calls: list[Call], archive: Path) -> None:
        inside = [call for call in calls if any(path.startswith(str(archive)) for path in call.paths)]
        self.calls = [call for call in inside if (call.result or 0) >= 0]
        self.named = [call for call in self.calls if call.name.startswith(("rename", "link"))]
        #: A transaction's pages are written and synced at once when it is committed.
        self.open = {Path(call.paths[0]) for call in self.calls if call.paths[0].endswith(".warc.gz.open")}
        self.commits = [call for call in self.calls if call.name in WRITES and call.paths[0].endswith("-wal")]

    def mistakes(self, named: Call) -> list[str]:
        """Return what was not safe when a file was given its name, or is not before that is acknowledged."""
        source, target = (Path(path.decode()) for path in named.strings[-2:])
        found = [] if self.synced(self.writes(source), named.began) else [f"{target} is named before it is synced"]
        folder = [call.ended for call in self.syncs(target.parent) if call.began > named.ended]
        if not folder:
            return [*found, f"{target.parent} is not synced after {target.name} is named"]
        if target.suffix != ".md":
            return found
        captured = [call for file in self.open for call in self.writes(file) if shows(call, target.name[11:-3])]
        if not any(self.synced([call], named.began) for call in captured):
            found.append(f"no capture is synced before {target} is named")
        if any(named.ended < commit.began < folder[0] for commit in self.commits):
            found.append(f"the index is written before the folder of {target} is synced")
        if not any(commit.began > folder[0] for commit in self.commits):
            found.append(f"the index is not written after {target}")
        return found

    def syncs(self, file: Path) -> list[Call]:
        return [call for call in self.calls if call.name in SYNCS and call.paths == [str(file)]]

    def writes(self, file: Path) -> list[Call]:
        return [call for call in self.calls if call.name in WRITES and call.paths[0] == str(file)]

    def synced(self, writes: list[Call], moment: int) -> bool:
        """Tell whether what was written to a file was synced before a moment."""
        file = Path(writes[0].paths[0])
        return any(writes[-1].ended < call.began and call.ended < moment for call in self.syncs(file))


def shows(write: Call, id: str) -> bool:
    """Tell whether what is written are records of an article's page."""
    records = gzip.decompress(write.strings[0])
    return re.search(rf"WARC-Target-URI: \S*/{id}\.aspx".encode(), records) is not None


def test_the_order_of_writing(tortured: Torturer, record_property: Record) -> None:
    archive = tortured.copy()
    run, calls = tortured.watched(archive)
    assert run.status == 0, run.output
    order = Order(calls, archive)
    assert [mistake for call in order.named for mistake in order.mistakes(call)] == []
    assert {Path(call.paths[-1]).suffix for call in order.named} == {".md", ".gz", ".json"}
    record_property("total:order: files named only when they, and what they stand on, were safe", len(order.named))


def test_without_fsync_the_order_is_wrong(tortured: Torturer) -> None:
    archive = tortured.copy()
    run, calls = tortured.watched(archive, without=("fsync",))
    assert run.status == 0, run.output
    order = Order(calls, archive)
    assert len([call for call in order.named if order.mistakes(call)]) == len(order.named)
