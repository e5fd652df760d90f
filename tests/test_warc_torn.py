"""Capture files torn at every byte and damaged at every byte; ``TORTURE=1`` tries all, otherwise a sample."""

import gzip
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from warcio.archiveiterator import ArchiveIterator

from newsarchive.warc import CaptureWriter, Damage, Mended, Served, check, mend, read

TORTURE = os.environ.get("TORTURE") == "1"
#: Tests of the same kind that can run side by side.
PARTS = 8 if TORTURE else 2
NAME = "20261120T050125Z-1f2e3d4c"
NEXT = "20261121T050125Z-5a6b7c8d"
WHEN = datetime(2026, 11, 20, 5, 1, 25, tzinfo=UTC)
WORDS = "高椅冬霜 造船 the quick brown fox jumps over a lazy dog".split()

Record = Callable[[str, object], None]


def capture(to: CaptureWriter, number: int, **more: Any) -> Any:
    """Write a capture; its body is text, random bytes, or nothing."""
    chance = random.Random(number)
    text = " ".join(chance.choices(WORDS, k=60)).encode()
    body = (text, chance.randbytes(300), b"")[number % 3]
    given: dict[str, Any] = {"body": body, "status": 200 if body else 404, **more}
    return to.write(
        url=f"https://news.example/{number}",
        captured=WHEN + timedelta(seconds=number),
        method="GET",
        request_headers=[(b"User-Agent", b"newsarchive")],
        headers=[(b"Content-Type", b"text/html"), (b"Transfer-Encoding", b"chunked")],
        **given,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with responses, requests and a revisit."""
    archive = tmp_path_factory.mktemp("whole")
    to = CaptureWriter(archive, "cna", NAME, {})
    first = capture(to, 0)
    for number in range(1, 6):
        capture(to, number)
    capture(to, 6, body=b"", status=301)
    body = next(served.body for served in read(archive / f"{first.file}.open") if isinstance(served, Served))
    capture(to, 7, body=body, same_as=first)
    to.close()
    return archive / first.file


def members(file: Path) -> list[int]:
    """Return where the records of a file begin, as another reader finds them."""
    with file.open("rb") as stream:
        records = ArchiveIterator(stream)
        return [records.get_record_offset() for _ in records]


def served_by(file: Path) -> list[Served]:
    return [found for found in read(file) if isinstance(found, Served)]


def damage_in(file: Path) -> list[int]:
    return [found.offset for found in read(file) if isinstance(found, Damage)]


def places(size: int, boundaries: list[int], step: int) -> list[int]:
    """Return all positions in a file, or a sample that has everything around the boundaries."""
    near = {boundary + more for boundary in [*boundaries, size] for more in range(-2, 3)}
    chosen = range(size + 1) if TORTURE else {*near, *range(0, size, step)}
    return sorted(place for place in chosen if 0 <= place <= size)


@pytest.mark.parametrize("part", range(PARTS))
def test_torn_at_every_byte(whole: Path, tmp_path: Path, record_property: Record, part: int) -> None:
    content, starts, all_served = whole.read_bytes(), members(whole), served_by(whole)
    ends = [*starts[1:], len(content)]
    counts = dict.fromkeys(("tears", "reported", "records", "read", "recovered", "appended", "accepted"), 0)
    cuts = places(len(content), starts, 127)[part::PARTS]
    for cut in cuts:
        folder = tmp_path / "captures/cna"
        folder.mkdir(parents=True)
        torn = folder / f"{NAME}.warc.gz.open"
        torn.write_bytes(content[:cut])
        boundary = max((end for end in ends if end <= cut), default=0)
        expected = [served for served in all_served if served.end <= cut]
        # Read as it is: everything whole, and where the tear is.
        counts["records"] += len(expected)
        counts["read"] += sum(each == served for each, served in zip(served_by(torn), expected, strict=True))
        is_torn = cut > boundary or not cut
        counts["tears"] += is_torn
        reported = damage_in(torn)
        counts["reported"] += is_torn and reported == [boundary]
        assert is_torn or not reported, cut
        # Recovered: everything whole, and nothing else.
        final = folder / f"{NAME}.warc.gz"
        assert mend(torn) == Mended(final, boundary, cut - boundary)
        assert final.exists() == bool(boundary)
        if boundary:
            assert list(read(final)) == expected
            counts["accepted"] += not list(check(final))
        # The next run goes on; all that is there can be read.
        to = CaptureWriter(tmp_path, "cna", NAME, {})
        added = capture(to, 8)
        to.close()
        found = [served.url for file in sorted(folder.iterdir()) for served in served_by(file)]
        assert sorted(found) == sorted([*(served.url for served in expected), added.url])
        counts["recovered"] += len(found) - 1
        # So can what is appended to the recovered file itself.
        if boundary:
            with final.open("ab") as stream:
                stream.write((tmp_path / added.file).read_bytes())
            urls = [served.url for served in served_by(final)]
            counts["appended"] += urls == [*(each.url for each in expected), added.url]
            assert len(members(final)) == len(members(tmp_path / added.file)) + ends.index(boundary) + 1
        shutil.rmtree(tmp_path / "captures")
    files = sum(cut >= ends[0] for cut in cuts)
    assert counts["reported"] == counts["tears"]
    assert counts["read"] == counts["recovered"] == counts["records"]
    assert counts["appended"] == counts["accepted"] == files
    record_property("total:capture files torn, recovered and appended to", len(cuts))
    record_property("total:tears, with their offsets", counts["tears"])
    record_property("total:of them reported", counts["reported"])
    record_property("total:whole captures in them", counts["records"])
    record_property("total:of them read, also after recovery and appending", counts["recovered"])


def test_appending_without_recovery_would_be_noticed(whole: Path, tmp_path: Path) -> None:
    content, starts = whole.read_bytes(), members(whole)
    to = CaptureWriter(tmp_path, "cna", NEXT, {})
    added = tmp_path / capture(to, 8).file
    to.close()
    file = tmp_path / "x.warc.gz"
    hidden = 0
    cuts = [start - 1 for start in starts[2:]]
    for cut in cuts:
        file.write_bytes(content[:cut] + added.read_bytes())
        with file.open("rb") as stream:
            try:
                urls = [record.rec_headers.get_header("WARC-Target-URI") for record in ArchiveIterator(stream)]
            except Exception:  # noqa: BLE001
                urls = []
        hidden += "https://news.example/8" not in urls
        assert damage_in(file)
        assert list(check(file))
    assert hidden == len(cuts)


def flips(size: int, boundaries: list[int], step: int) -> Iterator[tuple[int, int]]:
    """Yield positions and what their byte is changed by."""
    for place in places(size - 1, boundaries, step):
        for mask in (1, 0x80, 0xFF) if TORTURE else (0xFF if place % 2 else 1 << place % 8,):
            yield place, mask


@pytest.mark.parametrize("part", range(PARTS))
def test_damaged_at_every_byte(whole: Path, tmp_path: Path, record_property: Record, part: int) -> None:
    content, starts, all_served = whole.read_bytes(), members(whole), served_by(whole)
    ends = [*starts[1:], len(content)]
    plain = gzip.decompress(content)
    file = tmp_path / f"{NAME}.warc.gz"
    tried = lost = 0
    for place, mask in list(flips(len(content), starts, 17))[part::PARTS]:
        damaged = bytearray(content)
        damaged[place] ^= mask
        file.write_bytes(damaged)
        begin = max(start for start in starts if start <= place)
        end = min(end for end in ends if end > place)
        found = list(read(file))
        served = [each for each in found if isinstance(each, Served)]
        missing = [each for each in all_served if each not in served]
        tried += 1
        lost += len(missing)
        # Nothing that was not there; only what stood in the damaged member is missing, and revisits that name it.
        assert [each for each in served if each not in all_served] == [], place
        assert {each.offset for each in missing} <= {begin, *(each.offset for each in all_served if each.revisit)}, (
            place
        )
        problems = [each.offset for each in found if isinstance(each, Damage)]
        assert set(problems) >= {each.offset for each in missing}, place
        assert set(problems) <= {begin, end, *(each.offset for each in missing)}, place
        # Some bits mean nothing: in a gzip header, behind its data, or which of two equal texts is repeated.
        harmless = not problems and served == all_served
        assert harmless or [each.offset for each in check(file)], place
        assert not harmless or gzip.decompress(damaged) == plain, place
    assert lost
    record_property("total:capture files damaged, of which nothing untrue was read", tried)


@pytest.mark.skipif(not shutil.which("gzip"), reason="gzip is not installed")
def test_check_is_as_strict_as_gzip(whole: Path, tmp_path: Path) -> None:
    content, starts = whole.read_bytes(), members(whole)
    file = tmp_path / f"{NAME}.warc.gz"
    places_ = {*range(starts[1], starts[1] + 14), *range(starts[2] - 9, starts[2]), *range(0, len(content), 151)}
    for place in sorted(places_):
        for mask in (0x01, 0x20, 0x80):
            damaged = bytearray(content)
            damaged[place] ^= mask
            file.write_bytes(damaged)
            if subprocess.run(["gzip", "-t", file], capture_output=True).returncode:
                assert list(check(file)), (place, mask)


@pytest.mark.parametrize("name", ["x.warc", "x.warc.gz"])
def test_other_forms_torn_and_damaged(whole: Path, tmp_path: Path, name: str) -> None:
    """Read a plain file, and one with a single gzip member for all records, in the same states."""
    plain = gzip.decompress(whole.read_bytes())
    content = plain if name == "x.warc" else gzip.compress(plain, mtime=0)
    file = tmp_path / name
    file.write_bytes(content)
    everything = served_by(file)
    bodies = {(served.url, served.body) for served in everything}
    assert len(everything) == 8
    for cut in places(len(content), [], 127):
        file.write_bytes(content[:cut])
        found = list(read(file))
        served = [each for each in found if isinstance(each, Served)]
        assert served == everything[: len(served)]
        assert len(served) >= sum(each.end <= cut for each in everything) or name != "x.warc"
        if cut < len(content):
            whole_records = name == "x.warc" and (not cut or plain[:cut].endswith(b"\r\n\r\n"))
            assert len(served) < len(found) or whole_records, cut
    for place, mask in flips(len(content), [], 61):
        damaged = bytearray(content)
        damaged[place] ^= mask
        file.write_bytes(damaged)
        found = list(read(file))
        list(check(file))
        # In a plain file no checksum covers the fields of a record, its address among them.
        assert {each.body for each in found if isinstance(each, Served)} <= {body for _, body in bodies}, place


def test_what_stands_behind_a_gap_of_zeros_was_never_synced(tmp_path: Path) -> None:
    to = CaptureWriter(tmp_path, "cna", "20261120T050125Z-1f2e3d4c", {})
    captures = [
        to.write(
            url=f"https://news.example/{number}",
            captured=datetime(2026, 11, 20, tzinfo=UTC),
            method="GET",
            request_headers=[],
            status=200,
            headers=[(b"Content-Type", b"text/html")],
            body=b"<p>text</p>" * number,
        )
        for number in range(3)
    ]
    to.close()
    file = tmp_path / to.files[0]
    data = file.read_bytes()
    start, end = captures[1].offset, captures[2].offset
    left = file.with_name(f"{file.name}.open")
    left.write_bytes(data[:start] + bytes(end - start) + data[end:])
    file.unlink()
    assert mend(left) == Mended(file, start, len(data) - start)
    assert [found.url for found in read(file) if isinstance(found, Served)] == [captures[0].url]
    assert list(check(file)) == []
