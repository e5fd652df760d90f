"""A run's captures, appended to WARC files one after the other."""

import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from newsarchive.capture import NO_RESPONSES, Capture
from newsarchive.elsewhere.moved import is_moved
from newsarchive.warc.digest import payload_digest
from newsarchive.warc.open_file import OpenFile, failed_before
from newsarchive.warc.reader import WarcError, record_at, refers_to
from newsarchive.warc.render import (
    PROFILE,
    Lines,
    conversion,
    information,
    iso,
    new_id,
    request,
    resource,
    response,
    target,
    whole_milliseconds,
)

__all__ = ["CaptureWriter"]

#: Revisits that are followed to the response that has the body. Ours take one step: they name that response.
MAX_REVISITS = 8


class CaptureWriter:
    """Writes the captures of one run of a publisher, to one file or several.

    The caller sees to it that a publisher has one writer at a time. ``sync`` may
    be called in another thread than the rest.
    """

    def __init__(
        self, archive: Path, publisher: str, name: str, info: Mapping[str, str], *, rotate_at: int = 10**9
    ) -> None:
        """Take what the ``warcinfo`` records say besides (``info``), and the bytes after which a new file begins.

        ``<archive>/captures/<publisher>/<name>.warc.gz`` is created with the first capture; ``<name>-2.warc.gz``
        follows when that is full, or was there before, and so on.
        """
        self.archive, self.publisher, self.name = archive, publisher, name
        self.info, self.rotate_at = info, rotate_at
        #: Files with captures, by their paths below the archive.
        self.files: list[str] = []
        #: Bytes written to all of them.
        self.size = 0
        self._number = 0
        self._file: OpenFile | None = None
        #: Id of the file's ``warcinfo``.
        self._info_id = ""
        #: What failed when a file was closed, if anything did.
        self._failure: OSError | None = None
        self._lock = threading.Lock()

    @property
    def broken(self) -> bool:
        """Tell whether the disk failed in a way that leaves in doubt what is on it: nothing more is written."""
        return bool(self._failure or (self._file and self._file.failure))

    def write(
        self,
        *,
        url: str,
        captured: datetime,
        method: str,
        request_headers: Lines,
        status: int,
        headers: Lines,
        body: bytes,
        kind: str = "",
        announced: datetime | None = None,
        truncated: str = "",
        same_as: Capture | None = None,
        digest: str = "",
    ) -> Capture:
        """Write a response and its request; return where they are kept. They are durable after ``sync``.

        ``captured`` and ``announced`` are aware. ``truncated`` says why a body is
        not whole (``disconnect``, ``length``). ``same_as`` is a capture that may
        have the same body: if it is there and has, the body is not stored again.
        ``digest`` is the body's, for who knows it already.
        Raises OSError if it cannot be written; the file is then as it was before.
        """
        digest = digest or payload_digest(body)
        file, opening, common = self._beginning(url, captured)
        original = self._original(same_as, digest) if same_as else {}
        answer_id = new_id()
        fields = {
            "WARC-Type": "revisit" if original else "response",
            "WARC-Record-ID": answer_id,
            **common,
            **original,
            "WARC-Payload-Digest": digest,
            "WARC-Truncated": truncated,
            "X-Newsarchive-Kind": kind,
            "X-Newsarchive-Announced": iso(announced, "auto") if announced else "",
        }
        asked = {"WARC-Type": "request", "WARC-Record-ID": new_id(), **common, "WARC-Concurrent-To": answer_id}
        bodiless = method.upper() == "HEAD" or status in (204, 304)
        answer = response({name: field for name, field in fields.items() if field}, status, headers, body, bodiless)
        named, offset = self._append(file, opening, answer + request(asked, method, request_headers))
        return Capture(named, offset, url, whole_milliseconds(captured), status, digest, kind, announced)

    def convert(
        self,
        *,
        url: str,
        captured: datetime,
        media_type: str,
        body: bytes,
        kind: str,
        announced: datetime | None = None,
        original: Capture,
    ) -> Capture:
        """Write what another capture says of an address; return where it is kept. It is durable after ``sync``.

        Raises OSError if it cannot be written; the file is then as it was before.
        """
        digest = payload_digest(body)
        file, opening, common = self._beginning(url, captured)
        fields = {
            "WARC-Type": "conversion",
            "WARC-Record-ID": new_id(),
            **common,
            "WARC-Refers-To": self._id_of(original),
            "WARC-Refers-To-Target-URI": target(original.url),
            "WARC-Refers-To-Date": iso(original.captured),
            "WARC-Payload-Digest": digest,
            "X-Newsarchive-Kind": kind,
            "X-Newsarchive-Announced": iso(announced, "auto") if announced else "",
        }
        record = conversion({name: field for name, field in fields.items() if field}, media_type, body)
        named, offset = self._append(file, opening, record)
        return Capture(named, offset, url, whole_milliseconds(captured), 200, digest, kind, announced)

    def take_over(
        self, *, url: str, captured: datetime, media_type: str, body: bytes, kind: str, source: str
    ) -> Capture:
        """Write what nobody served to us; return where it is kept. It is durable after ``sync``.

        ``source`` says which file it was. Raises OSError if it cannot be written; the file is then as it was before.
        """
        digest = payload_digest(body)
        file, opening, common = self._beginning(url, captured)
        fields = {
            "WARC-Type": NO_RESPONSES[kind],
            "WARC-Record-ID": new_id(),
            **common,
            "WARC-Payload-Digest": digest,
            "X-Newsarchive-Kind": kind,
            "X-Newsarchive-Source": source,
        }
        named, offset = self._append(file, opening, resource(fields, media_type, body))
        return Capture(named, offset, url, whole_milliseconds(captured), 200, digest, kind)

    def _beginning(self, url: str, captured: datetime) -> tuple[OpenFile, bytes, dict[str, str]]:
        """Return the file to write to, what has to open it, and what all records of a capture say."""
        file, date = self._current(), iso(captured)
        # A file without captures has no record at all: its first one is written together with the first capture.
        opening = b"" if file.size else self._opening(file.path.name, date)
        return file, opening, {"WARC-Warcinfo-ID": self._info_id, "WARC-Target-URI": target(url), "WARC-Date": date}

    def _append(self, file: OpenFile, opening: bytes, records: bytes) -> tuple[str, int]:
        """Write the records of a capture; return the path of their file below the archive, and where they begin."""
        offset = file.append(opening + records) + len(opening)
        self.size += len(opening) + len(records)
        named = f"captures/{self.publisher}/{file.path.name}"
        if opening:
            self.files.append(named)
        return named, offset

    def _id_of(self, capture: Capture) -> str:
        """Return the id of a capture's record; empty if it cannot be had."""
        try:
            return record_at(self.archive / capture.file, capture.offset).get("warc-record-id", "")
        except WarcError:
            return ""

    def sync(self) -> None:
        """Make durable what was written; raise OSError if that fails, now or before: then it is in doubt."""
        with self._lock:
            file = self._file
        self._trust()
        if file:
            file.sync()

    def close(self) -> None:
        """Make everything durable and close the file, whose name then no longer ends in ``.open``.

        Raises OSError: the file is then left to be mended.
        """
        with self._lock:
            file, self._file = self._file, None
        if file:
            try:
                file.close()
            except OSError as error:
                self._failure = error
                raise

    def _trust(self) -> None:
        """Raise OSError if a file that was closed is in doubt."""
        if self._failure:
            raise failed_before(self._failure, self.archive / "captures" / self.publisher)

    def _current(self) -> OpenFile:
        """Return the file to write to; raise OSError."""
        self._trust()
        if self._file and self._file.size >= self.rotate_at:
            self.close()
        if not self._file:
            file = self._next()
            with self._lock:
                self._file = file
        return self._file

    def _next(self) -> OpenFile:
        """Create the next file whose name is free; raise OSError."""
        folder = self.archive / "captures" / self.publisher
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            number = self._number + 1
            name = self.name if number == 1 else f"{self.name}-{number}"
            try:
                file = OpenFile(folder / f"{name}.warc.gz")
            except FileExistsError:
                self._number = number
                continue
            self._number = number
            return file

    def _opening(self, name: str, date: str) -> bytes:
        """Return the ``warcinfo`` record that opens a file."""
        self._info_id = new_id()
        fields = {"WARC-Type": "warcinfo", "WARC-Record-ID": self._info_id, "WARC-Date": date, "WARC-Filename": name}
        about = {"publisher": self.publisher, "run": self.name, "isPartOf": f"captures/{self.publisher}", **self.info}
        return information(fields, about)

    def _original(self, capture: Capture, digest: str) -> dict[str, str]:
        """Return the fields that name the response which has a capture's body; none if it is not there for sure."""
        file, offset = self.archive / capture.file, capture.offset
        # Originals are looked for beside the file.
        if file.parent != self.archive / "captures" / self.publisher:
            return {}
        for _ in range(MAX_REVISITS):
            # What is captured from now on must not need what lies elsewhere.
            if is_moved(file):
                return {}
            try:
                found = record_at(file, offset)
            except WarcError:
                return {}
            if found.get("warc-payload-digest") != digest:
                return {}
            if found["warc-type"] == "response":
                return {
                    "WARC-Profile": PROFILE,
                    "WARC-Refers-To": found.get("warc-record-id", ""),
                    "WARC-Refers-To-Target-URI": found.get("warc-target-uri", ""),
                    "WARC-Refers-To-Date": found.get("warc-date", ""),
                    "WARC-Refers-To-Filename": file.name,
                    "WARC-Refers-To-File-Offset": str(offset),
                }
            step = refers_to(found)
            if not step:
                return {}
            file, offset = file.with_name(step[0]), step[1]
        return {}
