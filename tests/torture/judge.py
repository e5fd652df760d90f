"""What an archive must hold, whatever befell the runs before the last one.

Captures are read here with warcio and zlib, the index with SQL: the judge asks nothing of what it judges,
except whether a post can be read.
"""

import errno
import gzip
import json
import os
import shutil
import sqlite3
import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attack import Attacked
from nursery import Run
from warcio.archiveiterator import ArchiveIterator
from world import C, E

from newsarchive.post import Unreadable, read

#: What the index says, whenever and in how many captures it was seen.
CONTENT = {
    "articles": "SELECT publisher, id, url, title, published, post, withdrawn FROM articles ORDER BY 1, 2",
    "revisions": "SELECT publisher, id, url, title, published, fingerprint FROM revisions"
    " ORDER BY publisher, id, captured, file, offset",
    "addresses": "SELECT url, ending, target, publisher, id FROM addresses ORDER BY 1",
}


class Judge:
    """Compares archives with the one before an attack, and with what nobody's attack makes of it."""

    def __init__(self, base: Path, reference: Path) -> None:
        self.before = posts(base)
        self.posts = posts(reference)
        self.content = content(reference)
        if found := problems(reference):
            raise AssertionError(found)

    def promised(self, archive: Path, run: Run) -> list[str]:
        """Return what was acknowledged, by a run or before it, and an archive at rest does not hold."""
        told = {C if E in url else url[-17:-5] for ending, url in run.told if ending == "article"}
        found = [problem for name in self.posts for problem in self.kept(archive, name, name[-15:-3] in told)]
        for name in self.before.keys() - self.posts.keys():
            # It gives way to one of another name.
            if not (archive / name).exists() and not any((archive / "_posts").rglob(f"*{name[-16:]}")):
                found.append(f"{name} is lost, and nothing stands in its place")
        with opened(archive) as index:
            if index is None:
                return [*found, "the index is lost"] if self.before or told else found
            held = {row["id"]: row for row in index.execute("SELECT * FROM captures WHERE shown")}
        newest = {row[1]: row[5] for row in self.content["revisions"]}
        for id in sorted({name[-15:-3] for name in self.before} | told):
            if id not in held:
                found.append(f"{id} is lost: the index does not know it")
            elif id in told and held[id]["fingerprint"] != newest[id]:
                found.append(f"{id} is lost: the index knows another revision")
            else:
                found += unreadable(archive, held[id])
        return found

    def kept(self, archive: Path, name: str, told: bool) -> list[str]:
        """Return what is wrong with a post that may be as before or as later; as later, if that was told."""
        file = archive / name
        if not file.exists():
            return [f"{name} is lost"] if told or name in self.before else []
        if file.read_bytes() == self.posts[name] or (not told and file.read_bytes() == self.before.get(name)):
            return []
        return [f"{name} holds {len(file.read_bytes())} bytes that were never stored, or are no longer to be shown"]

    def differences(self, archive: Path) -> list[str]:
        """Return what an archive holds that is not sound, or that an undisturbed one would not hold."""
        found = problems(archive)
        mine = posts(archive)
        for name in sorted(mine.keys() | self.posts.keys()):
            if mine.get(name) != self.posts.get(name):
                found.append(f"{name} is {'not the same as' if name in mine else 'missing, unlike'} after no attack")
        for table, rows in content(archive).items():
            found += [f"{table}: {row} is too much" for row in rows if row not in self.content[table]]
            found += [f"{table}: {row} is missing" for row in self.content[table] if row not in rows]
            if sorted(rows) == sorted(self.content[table]) and rows != self.content[table]:
                found.append(f"{table} are in another order")
        return found


def posts(archive: Path) -> dict[str, bytes]:
    return {str(path.relative_to(archive)): path.read_bytes() for path in sorted((archive / "_posts").rglob("*.md"))}


@contextmanager
def opened(archive: Path) -> Iterator[sqlite3.Connection | None]:
    """Open a copy of an archive's index, as opening changes files; None if there is none."""
    if not (archive / "index.sqlite").exists():
        yield None
        return
    with TemporaryDirectory() as folder:
        for file in archive.glob("index.sqlite*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, folder)
        with closing(sqlite3.connect(Path(folder, "index.sqlite"))) as index:
            index.row_factory = sqlite3.Row
            try:
                index.execute("SELECT 1 FROM captures")
            except sqlite3.Error:
                yield None
            else:
                yield index


def content(archive: Path) -> dict[str, list[tuple[Any, ...]]]:
    with opened(archive) as index:
        if index is None:
            return {name: [] for name in CONTENT}
        return {name: [tuple(row) for row in index.execute(sql)] for name, sql in CONTENT.items()}


def unreadable(archive: Path, row: sqlite3.Row) -> list[str]:
    """Return what is wrong with the record that a row of the index is about."""
    name, offset = row["file"], row["offset"]
    file = archive / name
    file = file if file.exists() else file.with_name(f"{file.name}.open")
    if not file.exists():
        return [f"{row['id']} is lost: there is no {name}"]
    member = zlib.decompressobj(wbits=31)
    try:
        record = member.decompress(file.read_bytes()[offset:])
    except zlib.error as error:
        return [f"{row['id']} is lost: {name}, offset {offset}: {error}"]
    headers = record.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    if not member.eof or f"WARC-Target-URI: {row['url']}" not in headers:
        return [f"{row['id']} is lost: no whole record of {row['url']} in {name}, offset {offset}"]
    return []


def problems(archive: Path) -> list[str]:
    """Return what is not sound in an archive after a run that ended well."""
    files = [path for path in archive.rglob("*") if path.is_file()]
    found = [f"{path.relative_to(archive)} is left over" for path in files if path.suffix in (".tmp", ".open")]
    for name, text in posts(archive).items():
        try:
            read(text.decode())
        except (Unreadable, UnicodeDecodeError) as error:
            found.append(f"{name} cannot be read: {error}")
    runs = set()
    for path in (archive / "runs").glob("*"):
        try:
            runs.add(json.loads(path.read_bytes())["run"])
        except (ValueError, KeyError) as error:
            found.append(f"{path.name} is no account of a run: {error}")
    records: dict[str, dict[int, tuple[str, int, str]]] = {}
    for path in (archive / "captures").rglob("*.warc.gz"):
        try:
            records[str(path.relative_to(archive))] = responses(path)
        except Exception as error:  # noqa: BLE001
            found.append(f"{path.name} cannot be read: {type(error).__name__}: {error}")
    return found + index_problems(archive, records, runs)


def responses(file: Path) -> dict[int, tuple[str, int, str]]:
    """Return address, status and digest of a WARC file's responses, by offset; raise if anything in it is wrong."""
    with gzip.open(file) as whole:
        while whole.read(1 << 20):
            pass
    found = {}
    with file.open("rb") as stream:
        records = ArchiveIterator(stream, check_digests="raise")
        for record in records:
            record.content_stream().read()
            if record.rec_type in ("response", "revisit", "conversion"):
                status = int(record.http_headers.get_statuscode()) if record.http_headers else 200
                header = record.rec_headers.get_header
                found[records.get_record_offset()] = (header("WARC-Target-URI"), status, header("WARC-Payload-Digest"))
    return found


def index_problems(archive: Path, records: dict[str, dict[int, tuple[str, int, str]]], runs: set[str]) -> list[str]:
    """Return where an index is broken, or does not say what captures, posts and accounts of runs say."""
    with opened(archive) as index:
        if index is None:
            return ["there is no index"]
        found = [row[0] for row in index.execute("PRAGMA integrity_check") if row[0] != "ok"]
        held: dict[str, dict[int, tuple[str, int, str]]] = defaultdict(dict)
        for row in index.execute("SELECT * FROM captures"):
            held[row["file"]][row["offset"]] = row["url"], row["status"], row["digest"]
        for name in sorted(records.keys() | held.keys()):
            if records.get(name, {}) != held.get(name, {}):
                found.append(f"{name} holds {records.get(name)}, in the index {held.get(name)}")
        sizes = {name: (archive / name).stat().st_size for name in records}
        if (known := dict(tuple(row) for row in index.execute("SELECT file, size FROM files"))) != sizes:
            found.append(f"files: {sizes}, in the index {known}")
        sql = "SELECT post, sha256, lies, outdated FROM articles JOIN captures USING (file, offset)"
        for name, digest, lies, outdated in index.execute(sql.replace("SELECT post", "SELECT articles.post")):
            file = archive / name
            if not file.exists() or sha256(file.read_bytes()).digest() != digest or lies or outdated:
                found.append(f"{name} is not as the index says")
        unknown = runs - {row[0] for row in index.execute("SELECT run FROM runs WHERE ended IS NOT NULL")}
        return found + [f"run {name} is not in the index" for name in sorted(unknown)]


def after_kill(attacked: Attacked) -> list[str]:
    """Return what is wrong with how a killed run ended."""
    return [] if attacked.run.status == -9 else [f"the run was not killed but ended with {attacked.run.status}"]


def after_error(attacked: Attacked, judge: Judge) -> list[str]:
    """Return what is wrong with how a run takes an error: it says so, unless all is as if there had been none."""
    run = attacked.run
    if run.status == 0:
        return [f"the run ends with 0, but {problem}" for problem in judge.differences(attacked.archive)]
    if run.status != 1:
        return [f"the run ended with {run.status}: {run.output[-2000:]}"]
    return unsaid(run)


def unsaid(run: Run) -> list[str]:
    """Return that a run does not say what failed, if it does not, in the system's words or SQLite's."""
    words = [os.strerror(code) for code in (errno.ENOSPC, errno.EIO)]
    words += ["database or disk is full", "disk I/O error", "unable to open database file", "readonly database"]
    if any(word in run.output for word in words):
        return []
    return [f"the run does not say what failed: {run.output[-2000:]}"]


def after_rerun(again: Run) -> list[str]:
    """Return what is wrong with how a run after an attack ended."""
    return [] if again.status == 0 else [f"the rerun ends with {again.status}: {again.output[-3000:]}"]
