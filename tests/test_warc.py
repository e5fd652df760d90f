"""Captures written and read: ours, and those of other tools as they write them."""

import errno
import gzip
import hashlib
import io
import os
import resource
import shutil
import subprocess
import sys
import threading
import tracemalloc
import zlib
from base64 import b32encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import brotli
import pytest
from fastwarc.warc import ArchiveIterator
from isal import isal_zlib
from warcio.archiveiterator import ArchiveIterator as WarcioIterator

from newsarchive.capture import Capture
from newsarchive.warc import (
    CaptureWriter,
    Damage,
    Mended,
    Served,
    WarcError,
    at,
    check,
    is_warc,
    mend,
    payload_digest,
    read,
)

NAME = "20261120T050125Z-1f2e3d4c"
WHEN = datetime(2026, 11, 20, 5, 1, 25, 678000, UTC)
PAGE = b"<!DOCTYPE html><title>\xe9\x80\xa0\xe8\x88\xb9</title>" + b"<p>text</p>" * 50
HTML = (b"Content-Type", b"text/html")


def packed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def writer(archive: Path, **more: Any) -> CaptureWriter:
    return CaptureWriter(archive, "cna", NAME, {"robots": "obey"}, **more)


def write(to: CaptureWriter, url: str = "https://news.example/1", **more: Any) -> Capture:
    given: dict[str, Any] = {
        "captured": WHEN,
        "method": "GET",
        "request_headers": [(b"User-Agent", b"newsarchive")],
        "status": 200,
        "headers": [HTML],
        "body": PAGE,
        **more,
    }
    return to.write(url=url, **given)


def written(archive: Path, *captures: dict[str, Any]) -> Path:
    to = writer(archive)
    for capture in captures:
        write(to, **capture)
    to.close()
    return archive / to.files[0]


def responses(file: Path, **more: Any) -> list[Served]:
    """Return the responses of a file that has nothing wrong."""
    found = list(read(file, **more))
    assert not [damage for damage in found if isinstance(damage, Damage)]
    return [served for served in found if isinstance(served, Served)]


def damages(file: Path, **more: Any) -> list[Damage]:
    return [found for found in read(file, **more) if isinstance(found, Damage)]


def unpacked(file: Path) -> bytes:
    return gzip.decompress(file.read_bytes())


def heads(file: Path) -> list[tuple[str, list[tuple[str, str]], list[tuple[str, str]]]]:
    """Return types, fields and HTTP headers of all records, as another reader reads them."""
    with file.open("rb") as stream:
        return [
            (each.rec_type, each.rec_headers.headers, each.http_headers.headers if each.http_headers else [])
            for each in WarcioIterator(stream)
        ]


def sha1(data: bytes) -> str:
    return "sha1:" + b32encode(hashlib.sha1(data).digest()).decode()


def record(block: bytes, *fields: str, version: str = "1.0", length: int | None = None) -> bytes:
    """Return a record as other tools write it."""
    lines = [f"WARC/{version}", *fields, f"Content-Length: {len(block) if length is None else length}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + block + b"\r\n\r\n"


def response(
    block: bytes, *fields: str, url: str = "http://other.example/", kind: str = "response", **more: Any
) -> bytes:
    common = (
        f"WARC-Type: {kind}",
        "WARC-Record-ID: <urn:uuid:6d5f3f6f-9dd2-4f92-9c3c-0b6f1a9a7f10>",
        "WARC-Date: 2019-03-04T05:06:07Z",
        "Content-Type: application/http; msgtype=response",
    )
    given = {field.partition(":")[0] for field in fields}
    kept = [field for field in common if field.partition(":")[0] not in given]
    return record(block, *kept, *([f"WARC-Target-URI: {url}"] if url else []), *fields, **more)


def put(folder: Path, *records: bytes, name: str = "other.warc.gz") -> Path:
    """Write records, each in a gzip member where the name asks for it."""
    file = folder / name
    file.write_bytes(b"".join(packed(each) for each in records) if name.endswith(".gz") else b"".join(records))
    return file


OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"


# Round trips.


ROUND_TRIPS: dict[str, dict[str, Any]] = {
    "plain": {},
    "empty": {"body": b""},
    "not UTF-8": {"body": bytes(range(256)) * 5},
    "header twice": {"headers": [(b"Set-Cookie", b"a=1"), HTML, (b"Set-Cookie", b"b=2")]},
    "header not ASCII": {"headers": [(b"X-Title", "Überschrift".encode("latin-1")), (b"X-Utf", "高椅".encode())]},
    "header empty": {"headers": [(b"X-Empty", b""), HTML]},
    "names in any case": {"headers": [(b"content-TYPE", b"text/html"), (b"eTAG", b'"x"')]},
    "length right": {"headers": [(b"Content-Length", b"%d" % len(PAGE))]},
    "length too large": {"headers": [(b"Content-Length", b"99999"), HTML], "truncated": "disconnect"},
    "length too small": {"headers": [(b"content-length", b"3"), HTML]},
    "length no number": {"headers": [(b"Content-Length", b"many")]},
    "chunked": {"headers": [(b"Transfer-Encoding", b"chunked"), HTML]},
    "chunked and looks so": {"headers": [(b"Transfer-Encoding", b"chunked")], "body": b"3\r\nabc\r\n0\r\n\r\n"},
    "named like a renamed one": {"headers": [(b"X-Archive-Orig-Content-Length", b"7"), HTML]},
    "renamed, and named like it": {
        "headers": [(b"X-Archive-Orig-Transfer-Encoding", b"x"), (b"Transfer-Encoding", b"chunked")]
    },
    "gzip": {"headers": [(b"Content-Encoding", b"gzip")], "body": packed(PAGE)},
    "gzip by name only": {"headers": [(b"Content-Encoding", b"gzip")]},
    "HEAD": {"method": "HEAD", "headers": [(b"Content-Length", b"5120")], "body": b""},
    "not modified": {"status": 304, "headers": [(b"Content-Length", b"5120")], "body": b""},
    "unknown status": {"status": 999},
    "redirect": {"status": 301, "headers": [(b"Location", b"/\xe9\xab\x98")], "body": b""},
    "looks like a record": {"body": b"\r\n\r\nWARC/1.1\r\nWARC-Type: response\r\n\r\n"},
}


@pytest.mark.parametrize("given", ROUND_TRIPS.values(), ids=ROUND_TRIPS.keys())
def test_what_was_served_comes_back(tmp_path: Path, given: dict[str, Any]) -> None:
    to = writer(tmp_path)
    capture = write(to, **given)
    to.close()
    served = at(tmp_path / capture.file, capture.offset)
    headers = given.get("headers", [HTML])
    assert served.headers == [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
    assert served.body == given.get("body", PAGE)
    assert (served.status, served.truncated) == (given.get("status", 200), given.get("truncated", ""))
    assert (served.digest, served.digest) == (capture.digest, sha1(served.body))
    assert list(read(tmp_path / capture.file)) == [served]
    assert list(check(tmp_path / capture.file)) == []


@pytest.mark.parametrize("given", ROUND_TRIPS.values(), ids=ROUND_TRIPS.keys())
def test_other_readers_read_the_same_body(tmp_path: Path, given: dict[str, Any]) -> None:
    file = written(tmp_path, given)
    body = given.get("body", PAGE)
    with file.open("rb") as stream:
        assert [each.raw_stream.read() for each in WarcioIterator(stream) if each.rec_type == "response"] == [body]
    if given.get("headers") == [(b"Transfer-Encoding", b"chunked"), HTML]:
        with file.open("rb") as stream:
            bodies = [each.content_stream().read() for each in WarcioIterator(stream) if each.rec_type == "response"]
        assert bodies == [body]


def test_capture_says_where_and_what(tmp_path: Path) -> None:
    zone = timezone(timedelta(hours=8))
    captured = datetime(2026, 11, 20, 13, 1, 25, 678999, zone)
    announced = datetime(2026, 11, 20, 12, 0, tzinfo=zone)
    to = writer(tmp_path)
    first = write(to)
    capture = write(to, "https://news.example/2", captured=captured, announced=announced, kind="article")
    assert capture == Capture(
        f"captures/cna/{NAME}.warc.gz",
        capture.offset,
        "https://news.example/2",
        WHEN,
        200,
        sha1(PAGE),
        "article",
        datetime(2026, 11, 20, 4, tzinfo=UTC),
    )
    assert capture.captured.tzinfo is UTC
    # It can be read at once.
    served = at(tmp_path / capture.file, capture.offset)
    assert (served.captured, served.announced, served.kind) == (WHEN, announced, "article")
    assert at(tmp_path / first.file, first.offset).kind == ""
    to.close()
    assert [each.offset for each in responses(tmp_path / capture.file)] == [first.offset, capture.offset]


def test_time_without_zone_is_refused(tmp_path: Path) -> None:
    to = writer(tmp_path)
    with pytest.raises(ValueError, match="without zone"):
        write(to, captured=datetime(2026, 11, 20))
    to.close()
    assert to.files == []
    assert list((tmp_path / "captures/cna").iterdir()) == []


URLS = [
    "https://news.example",
    "https://news.example/a%20b?q=%E9%AB%98&x=1#frag",
    "http://user:secret@news.example:8080/x;y=1",
    "http://[2001:db8::1]/",
    "https://news.example/'\"<>[]{}|\\^`~!*()",
    "https://xn--fsq.example/%",
    "HTTPS://NEWS.example/UP",
]


def test_addresses_come_back(tmp_path: Path) -> None:
    file = written(tmp_path, *({"url": url} for url in URLS))
    assert [served.url for served in responses(file)] == URLS
    hosts = [dict(http).get("Host") for kind, _, http in heads(file) if kind == "request"]
    assert hosts[1:4] == ["news.example", "news.example:8080", "[2001:db8::1]"]


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://news.example/a b", "https://news.example/a%20b"),
        ("https://news.example/高", "https://news.example/%E9%AB%98"),
        ("https://news.example/\r\nWARC-Type: x", "https://news.example/%0D%0AWARC-Type:%20x"),
        ("https://news.example/\0\x7f\udc80", "https://news.example/%00%7F%ED%B2%80"),
    ],
)
def test_strange_addresses_stay_in_their_field(tmp_path: Path, url: str, kept: str) -> None:
    to = writer(tmp_path)
    capture = write(to, url)
    to.close()
    assert capture.url == url
    assert at(tmp_path / capture.file, capture.offset).url == kept
    assert list(check(tmp_path / capture.file)) == []


EVIL = b"x\r\nX-Injected: 1\r\n\r\nWARC/1.1\r\n\0"


def test_nothing_is_injected(tmp_path: Path) -> None:
    evil = EVIL.decode()
    to = CaptureWriter(tmp_path, "cna", NAME, {"robots": evil, "a\r\nb: c": "d"})
    lines = [(b"X-Value", EVIL), (EVIL, b"v"), (b"", b"v"), (b" X", b"v"), (b"a:b", b"v"), (b"X-Bare", b"a\rb\nc")]
    given: dict[str, Any] = {"method": evil, "kind": evil, "truncated": evil, "request_headers": lines}
    write(to, f"https://news.example/{evil}", headers=lines, **given)
    to.close()
    file = tmp_path / to.files[0]
    assert list(check(file)) == []
    found = heads(file)
    assert [kind for kind, _, _ in found] == ["warcinfo", "response", "request"]
    for _, headers, http in found:
        assert "x-injected" not in [name.lower() for name, _ in headers + http]
    (served,) = responses(file)
    assert [name for name, _ in served.headers] == [
        "X-Value",
        "x__X-Injected__1____WARC/1.1___",
        "_",
        "_X",
        "a_b",
        "X-Bare",
    ]
    assert served.headers[-1] == ("X-Bare", "a b c")
    information = unpacked(file).partition(b"\r\n\r\n")[2].partition(b"\r\n\r\n")[0].decode()
    assert all(": " in line for line in information.split("\r\n"))
    assert "X-Injected: 1" not in information.split("\r\n")


def test_warcinfo_says_who_wrote(tmp_path: Path) -> None:
    file = written(tmp_path, {})
    text = unpacked(file).decode()
    for line in (
        "WARC-Type: warcinfo",
        f"WARC-Filename: {NAME}.warc.gz",
        "format: WARC File Format 1.1",
        "conformsTo: http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/",
        "publisher: cna",
        f"run: {NAME}",
        "robots: obey",
        "WARC-Date: 2026-11-20T05:01:25.678Z",
    ):
        assert f"\r\n{line}\r\n" in text
    assert "\r\nsoftware: newsarchive/" in text
    named = [line for line in text.split("\r\n") if line.startswith("WARC-Warcinfo-ID: ")]
    assert len(named) == 2
    assert f"WARC-Record-ID: {named[0].partition(' ')[2]}" in text


# Bodies that were stored before.


def test_unchanged_body_is_stored_once(tmp_path: Path) -> None:
    body = os.urandom(20_000)
    to = writer(tmp_path)
    first = write(to, body=body)
    second = write(to, body=body, same_as=first, captured=WHEN + timedelta(hours=1), headers=[(b"X-Second", b"1")])
    third = write(to, body=body, same_as=second, captured=WHEN + timedelta(hours=2), kind="article")
    to.close()
    assert to.size == (tmp_path / first.file).stat().st_size < 25_000
    served = responses(tmp_path / first.file)
    assert [each.revisit for each in served] == [False, True, True]
    assert {each.body for each in served} == {body}
    assert {each.digest for each in served} == {first.digest, second.digest, third.digest}
    assert served[1].headers == [("X-Second", "1")]
    assert served[2].captured == WHEN + timedelta(hours=2)
    assert at(tmp_path / third.file, third.offset) == served[2]
    assert list(check(tmp_path / first.file)) == []
    # Revisits do not form a chain that grows with every run: each names the response itself.
    revisits = [dict(headers) for kind, headers, _ in heads(tmp_path / first.file) if kind == "revisit"]
    named = [headers["WARC-Refers-To-File-Offset"] for headers in revisits]
    assert named == [str(first.offset)] * 2


def test_unchanged_body_of_an_earlier_run(tmp_path: Path) -> None:
    file = written(tmp_path, {"headers": [(b"Content-Length", b"%d" % len(PAGE))]})
    first = next(iter(responses(file)))
    earlier = Capture(f"captures/cna/{NAME}.warc.gz", first.offset, first.url, first.captured, 200, first.digest)
    to = CaptureWriter(tmp_path, "cna", "20261121T050125Z-00000000", {})
    capture = write(to, same_as=earlier)
    to.close()
    served = at(tmp_path / capture.file, capture.offset)
    assert (served.revisit, served.body) == (True, PAGE)
    # What is named by time and offset is also found while its file is open, and not found when it is gone.
    file.rename(file.with_name(file.name + ".open"))
    assert at(tmp_path / capture.file, capture.offset) == served
    file.with_name(file.name + ".open").unlink()
    (lost,) = damages(tmp_path / capture.file)
    assert (lost.offset, "original is not to be found" in lost.problem) == (capture.offset, True)
    assert ["original is not there" in damage.problem for damage in check(tmp_path / capture.file)] == [True]
    elsewhere = list(read(tmp_path / capture.file, find=lambda url, date, digest: first))
    assert elsewhere == [served]


def test_body_that_is_not_there_for_sure_is_stored_again(tmp_path: Path) -> None:
    other = CaptureWriter(tmp_path, "dw", NAME, {})
    elsewhere = write(other)
    other.close()
    to = writer(tmp_path)
    first = write(to)
    for wrong in (
        elsewhere,
        Capture(first.file, first.offset + 1, first.url, WHEN, 200, first.digest),
        Capture("captures/cna/gone.warc.gz", first.offset, first.url, WHEN, 200, first.digest),
        Capture(first.file, 0, first.url, WHEN, 200, first.digest),
    ):
        capture = write(to, same_as=wrong)
        assert not at(tmp_path / capture.file, capture.offset).revisit
    capture = write(to, same_as=first, body=b"another")
    assert at(tmp_path / capture.file, capture.offset).body == b"another"
    to.close()


# Files.


def test_file_is_open_while_it_is_written(tmp_path: Path) -> None:
    to = writer(tmp_path)
    folder = tmp_path / "captures/cna"
    assert not folder.exists()
    write(to)
    assert [file.name for file in folder.iterdir()] == [f"{NAME}.warc.gz.open"]
    assert is_warc(folder / f"{NAME}.warc.gz")
    to.sync()
    to.close()
    to.close()
    assert [file.name for file in folder.iterdir()] == [f"{NAME}.warc.gz"]
    assert to.files == [f"captures/cna/{NAME}.warc.gz"]


def test_writer_without_captures_leaves_nothing(tmp_path: Path) -> None:
    to = writer(tmp_path)
    to.sync()
    to.close()
    assert list(tmp_path.iterdir()) == []
    assert (to.files, to.size) == ([], 0)


def test_full_file_is_followed_by_another(tmp_path: Path) -> None:
    to = writer(tmp_path, rotate_at=3000)
    captures = [write(to, f"https://news.example/{number}", body=os.urandom(500)) for number in range(9)]
    to.close()
    assert to.files == [f"captures/cna/{NAME}{number}.warc.gz" for number in ("", "-2", "-3", "-4", "-5")]
    assert to.size == sum((tmp_path / file).stat().st_size for file in to.files)
    found = [(file, served.url) for file in to.files for served in responses(tmp_path / file)]
    assert found == [(capture.file, capture.url) for capture in captures]
    for file in to.files:
        assert list(check(tmp_path / file)) == []
        assert f"WARC-Filename: {Path(file).name}".encode() in unpacked(tmp_path / file)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "captures/cna"
    folder.mkdir(parents=True)
    (folder / f"{NAME}.warc.gz").write_text("mine")
    (folder / f"{NAME}-2.warc.gz.open").write_text("mine, too")
    to = writer(tmp_path)
    write(to)
    to.close()
    assert to.files == [f"captures/cna/{NAME}-3.warc.gz"]
    assert (folder / f"{NAME}.warc.gz").read_text() == "mine"
    assert (folder / f"{NAME}-2.warc.gz.open").read_text() == "mine, too"


def test_name_taken_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    to = writer(tmp_path)
    capture = write(to)
    final = tmp_path / capture.file
    final.write_text("mine")
    with pytest.raises(FileExistsError):
        to.close()
    assert final.read_text() == "mine"
    mended = mend(final.with_name(final.name + ".open"))
    assert mended == Mended(final.with_name(f"{NAME}-2.warc.gz"), to.size, 0)
    assert len(responses(mended.file)) == 1


@contextmanager
def room(size: int) -> Iterator[None]:
    """Let no file grow beyond a size: a write then ends short, and the next one fails."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_full_disk_leaves_whole_records(tmp_path: Path) -> None:
    to = writer(tmp_path)
    capture = write(to)
    file = tmp_path / f"{capture.file}.open"
    size = file.stat().st_size
    for more in (1, 300, 5000):
        with room(size + more), pytest.raises(OSError, match="File too large"):
            write(to, "https://news.example/lost", body=os.urandom(10_000))
        assert (file.stat().st_size, to.size, to.broken) == (size, size, False)
    again = write(to, "https://news.example/kept", body=os.urandom(10_000))
    to.close()
    assert [served.offset for served in responses(tmp_path / again.file)] == [capture.offset, again.offset]
    assert list(check(tmp_path / again.file)) == []


def test_full_disk_at_the_first_capture(tmp_path: Path) -> None:
    to = writer(tmp_path)
    with room(100), pytest.raises(OSError, match="File too large"):
        write(to)
    assert (to.files, to.size) == ([], 0)
    capture = write(to)
    to.close()
    assert len(responses(tmp_path / capture.file)) == 1
    to = CaptureWriter(tmp_path, "dw", NAME, {})
    with room(100), pytest.raises(OSError, match="File too large"):
        write(to)
    to.close()
    assert list((tmp_path / "captures/dw").iterdir()) == []


def fail(*_: Any) -> None:
    raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("call", ["ftruncate", "fsync"])
def test_disk_that_cannot_be_trusted_is_not_written_to(
    tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = writer(tmp_path)
    write(to)
    to.sync()
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        if call == "fsync":
            write(to)
            with pytest.raises(OSError, match="Input/output error"):
                to.sync()
        else:
            with room(to.size + 10), pytest.raises(OSError, match="File too large"):
                write(to)
    assert to.broken
    # A second try might succeed, and mean nothing.
    for again in (lambda: write(to), to.sync, to.close, lambda: write(to), to.sync):
        with pytest.raises(OSError, match=r"error, before this|large, before this"):
            again()
    assert to.broken
    (left,) = (tmp_path / "captures/cna").iterdir()
    mended = mend(left)
    assert len(responses(mended.file)) == (2 if call == "fsync" else 1)


def test_synced_while_others_write(tmp_path: Path) -> None:
    to = writer(tmp_path, rotate_at=5000)
    done, failed = threading.Event(), []

    def sync() -> None:
        while not done.is_set():
            try:
                to.sync()
            except Exception as error:  # noqa: BLE001
                failed.append(error)

    threads = [threading.Thread(target=sync) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(80):
        write(to, f"https://news.example/{number}", body=os.urandom(300))
    done.set()
    for thread in threads:
        thread.join()
    to.close()
    assert failed == []
    assert sum(len(responses(tmp_path / file)) for file in to.files) == 80


def test_outside_tools_accept_our_files(tmp_path: Path) -> None:
    to = writer(tmp_path)
    captures = [write(to, **given) for given in ROUND_TRIPS.values()]
    write(to, same_as=captures[0])
    to.close()
    file = tmp_path / to.files[0]
    subprocess.run(["gzip", "-t", file], check=True)
    tool = subprocess.run([sys.executable, "-m", "warcio.cli", "check", "-v", file], capture_output=True, text=True)
    assert tool.returncode == 0, tool.stdout
    assert tool.stdout.count("digest pass") == 1 + len(captures) + len(captures) + 1
    with file.open("rb") as stream:
        # Revisits have nothing of their own that could be verified.
        verified = [each.verify_block_digest() for each in ArchiveIterator(stream, parse_http=False)]
    assert verified == [True] * len(verified)


# Files of other tools.


WGET_BODY = b"6\r\n<html>\r\n7;x=y\r\n</html>\r\n0\r\n\r\n"
WGET = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n" + WGET_BODY


def test_wget_keeps_chunks_and_brackets(tmp_path: Path) -> None:
    info = record(b"software: Wget/1.19 (linux-gnu)\r\n", "WARC-Type: warcinfo", "WARC-Date: 2019-03-04T05:06:07Z")
    digests = (f"WARC-Block-Digest: {sha1(WGET)}", f"WARC-Payload-Digest: {sha1(WGET_BODY)}")
    page = response(WGET, *digests, url="<http://other.example/a b>")
    resource_ = response(b"log", url="metadata://gnu.org/software/wget/warc/wget.log", kind="resource")
    (served,) = responses(put(tmp_path, info, page, resource_))
    assert served == Served(
        url="http://other.example/a%20b",
        captured=datetime(2019, 3, 4, 5, 6, 7, tzinfo=UTC),
        status=200,
        headers=[("Content-Type", "text/html"), ("Transfer-Encoding", "chunked")],
        body=b"<html></html>",
        digest=sha1(b"<html></html>"),
        offset=len(packed(info)),
        end=len(packed(info) + packed(page)),
    )
    assert list(check(put(tmp_path, info.replace(b"WARC-Date", b"WARC-Record-ID: <urn:x:1>\r\nWARC-Date"), page))) == []


@pytest.mark.parametrize(
    ("body", "found", "truncated"),
    [
        (b"6\r\n<html>\r\n0\r\n\r\n", b"<html>", ""),
        (b"6\n<html>\n0\n\n", b"<html>", ""),
        (b"0\r\n\r\n", b"", ""),
        (b"6\r\n<html>\r\n7\r\n</h", b"<html></h", "disconnect"),
        (b"6\r\n<html>\r\n7", b"<html>", "disconnect"),
        (b"6\r\n<html>", b"<html>", "disconnect"),
        (b"<html>no chunks</html>", b"<html>no chunks</html>", ""),
        (b"3\r\nabcdef", b"3\r\nabcdef", ""),
        (b"ffffffff\r\nab", b"ab", "disconnect"),
    ],
)
def test_chunks_of_others(tmp_path: Path, body: bytes, found: bytes, truncated: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    (served,) = responses(put(tmp_path, response(head + body)))
    assert (served.body, served.truncated, served.digest) == (found, truncated, sha1(found))


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "gzip, br"])
def test_decoded_bodies_of_browsers(tmp_path: Path, encoding: str) -> None:
    head = f"HTTP/2 200\r\ncontent-encoding: {encoding}\r\ncontent-length: 40\r\nx-a: 1\r\n\r\n".encode()
    stated = f"WARC-Payload-Digest: sha256:{hashlib.sha256(PAGE).hexdigest()}"
    (served,) = responses(put(tmp_path, response(head + PAGE, stated, version="1.1")))
    assert served.headers == [
        ("X-Archive-Orig-content-encoding", encoding),
        ("X-Archive-Orig-content-length", "40"),
        ("x-a", "1"),
    ]
    assert (served.status, served.body, served.digest) == (200, PAGE, sha1(PAGE))


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", packed(PAGE)),
        ("br", brotli.compress(PAGE)),
        ("deflate", zlib.compress(PAGE)),
        ("deflate", zlib.compress(PAGE)[2:-4]),
        ("zstd", b"\x28\xb5\x2f\xfd rest"),
        ("identity", PAGE),
        ("unknown", PAGE),
        ("gzip", b""),
    ],
    ids=["gzip", "br", "deflate", "raw deflate", "zstd", "identity", "unknown", "empty"],
)
def test_encoded_bodies_of_others_stay_encoded(tmp_path: Path, encoding: str, body: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\n\r\n".encode()
    (served,) = responses(put(tmp_path, response(head + body)))
    assert (served.headers, served.body) == ([("Content-Encoding", encoding)], body)


def test_one_gzip_member_for_all(tmp_path: Path) -> None:
    pages = [response(OK + b"%d" % number, url=f"http://other.example/{number}") for number in range(4)]
    file = tmp_path / "big.warc.gz"
    file.write_bytes(packed(b"".join(pages)) + packed(pages[0]))
    found = responses(file)
    assert [served.body for served in found] == [b"0", b"1", b"2", b"3", b"0"]
    # They have no offsets of their own, and yet each is found again.
    assert len({served.offset for served in found}) == 5
    assert [at(file, served.offset) for served in found] == found
    assert responses(file, start=found[2].offset) == found[2:]
    assert [served.end for served in found[:3]] == [served.offset for served in found[1:4]]


@pytest.mark.parametrize("name", ["x.warc", "x.warc.gz"])
def test_reading_goes_on_from_an_offset(tmp_path: Path, name: str) -> None:
    pages = [response(OK + b"%d" % number, url=f"http://other.example/{number}") for number in range(4)]
    file = put(tmp_path, *pages, name=name)
    found = responses(file)
    assert len(found) == 4
    for index, served in enumerate(found):
        assert at(file, served.offset) == served
        assert responses(file, start=served.offset) == found[index:]
        assert responses(file, start=served.end) == found[index + 1 :]


def test_odd_but_readable(tmp_path: Path) -> None:
    head = (
        b"HTTP/1.1 200\r\nX-Folded: a\r\n  b\r\n\tc\r\nno colon\r\n: no name\r\n"
        b"X-L\xe9: \xe9\r\nX-Bare: a\rb\0c\r\n\r\n"
    )
    folded = response(head + b"1", "WARC-Odd: a\r\n b", url="http://other.example/1", version="0.18")
    newlines = response((head + b"1").replace(b"\r\n", b"\n"), url="http://other.example/2").replace(b"\r\n", b"\n")
    late = response(OK, "WARC-Date: 2016-09", url="http://other.example/3", version="1.1")
    exact = response(OK, "WARC-Date: 2016-09-19T17:20:24.123456789Z", url="http://other.example/高", version="1.1")
    no_body = response(b"HTTP/1.1 200 OK\r\nX: y", url="http://other.example/5")
    found = responses(put(tmp_path, folded, newlines, late, exact, no_body, name="odd.warc"))
    headers = [("X-Folded", "a b c"), ("X-Lé", "é"), ("X-Bare", "a b c")]
    assert [served.headers for served in found[:2]] == [headers, headers]
    assert [served.captured.isoformat() for served in found[2:4]] == [
        "2016-09-01T00:00:00+00:00",
        "2016-09-19T17:20:24.123000+00:00",
    ]
    assert found[3].url == "http://other.example/高"
    assert (found[4].headers, found[4].body) == ([("X", "y")], b"")


def test_other_records_are_passed_over(tmp_path: Path) -> None:
    def of(kind: str, url: str) -> bytes:
        return response(b"x", url=url, kind=kind)

    skipped = [
        of("warcinfo", ""),
        of("request", "http://other.example/"),
        of("metadata", "http://other.example/"),
        of("resource", "http://other.example/"),
        of("conversion", "http://other.example/"),
        of("response", "dns:other.example"),
        of("response", "urn:pageinfo:http://other.example/"),
        of("response", "whois://x"),
        of("unheard-of", "http://other.example/"),
    ]
    assert list(read(put(tmp_path, *skipped))) == []


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:text/html,x",
        "http://a/\x01",
        "http:///x",
        "",
        "//a/b",
        "x" * 9999,
    ],
)
def test_hostile_addresses(tmp_path: Path, url: str) -> None:
    good = response(OK + b"good")
    file = put(tmp_path, good, response(OK, url=url), good)
    found = list(read(file))
    assert [type(each) for each in found] == [Served, Damage, Served]
    assert len(damages(file)[0].problem) < 300


@pytest.mark.parametrize(
    ("block", "fields", "problem"),
    [
        (b"", (), "no HTTP response"),
        (b"<html>", (), "no HTTP response"),
        (b"HTTP/1.1 OK\r\n\r\n", (), "no HTTP response"),
        (OK, ("WARC-Date: yesterday",), "WARC-Date"),
        (OK, ("WARC-Date: 0001-01-01T00:00:00+14:00",), "WARC-Date"),
        (OK + b"x", (f"WARC-Payload-Digest: {sha1(b'y')}",), "payload's digest"),
        (OK + b"x", (f"WARC-Block-Digest: {sha1(b'y')}",), "block's digest"),
        (OK + b"x", ("WARC-Segment-Number: 1",), "several records"),
    ],
)
def test_records_that_cannot_be_used(tmp_path: Path, block: bytes, fields: tuple[str, ...], problem: str) -> None:
    good = response(OK + b"good")
    for name in ("x.warc", "x.warc.gz"):
        file = put(tmp_path, good, response(block, *fields), good, name=name)
        found = list(read(file))
        assert [type(each) for each in found] == [Served, Damage, Served]
        (damage,) = damages(file)
        assert problem in damage.problem
        assert (damage.file, damage.offset) == (file, next(iter(responses_of(found))).end)


def responses_of(found: list[Served | Damage]) -> Iterator[Served]:
    return (each for each in found if isinstance(each, Served))


def spellings(data: bytes) -> Iterator[str]:
    for algorithm in ("md5", "sha1", "sha256", "sha512"):
        digest = hashlib.new(algorithm, data).digest()
        base32 = b32encode(digest).decode()
        yield from (f"{algorithm}:{base32}", f"{algorithm}:{base32.lower()}", f"{algorithm}:{digest.hex()}")
        yield f"{algorithm.upper()}:{base32.rstrip('=')}"


def test_digests_in_every_spelling(tmp_path: Path) -> None:
    for stated in (*spellings(PAGE), "sha-256:" + hashlib.sha256(PAGE).hexdigest(), "blake3:unknown", "junk"):
        (served,) = responses(put(tmp_path, response(OK + PAGE, f"WARC-Payload-Digest: {stated}")))
        assert served.digest == sha1(PAGE)
    for stated in spellings(b"other"):
        assert damages(put(tmp_path, response(OK + PAGE, f"WARC-Payload-Digest: {stated}")))


# Revisits of other tools.


IDENTICAL = "WARC-Profile: http://netpreserve.org/warc/1.0/revisit/identical-payload-digest"
STATED = f"WARC-Payload-Digest: {sha1(PAGE)}"
ORIGINAL = response(OK + PAGE, STATED, "WARC-Record-ID: <urn:uuid:original>", url="http://other.example/original")


@pytest.mark.parametrize(
    "refers",
    [
        (
            "WARC-Refers-To-Target-URI: http://other.example/original",
            "WARC-Refers-To-Date: 2019-03-04T05:06:07Z",
        ),
        ("WARC-Refers-To: <urn:uuid:original>",),
        (),
        ("WARC-Refers-To-Filename: other.warc.gz", "WARC-Refers-To-File-Offset: 0"),
        ("WARC-Refers-To-Filename: gone.warc.gz", "WARC-Refers-To-File-Offset: 0"),
    ],
    ids=["address and time", "record", "digest", "file and offset", "digest, its file is gone"],
)
@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX-New: 1\r\n\r\n", b""])
def test_revisits_of_others_find_their_original(tmp_path: Path, refers: tuple[str, ...], head: bytes) -> None:
    revisit = response(head, IDENTICAL, STATED, *refers, kind="revisit", url="http://other.example/again")
    for order in ((ORIGINAL, revisit), (revisit, ORIGINAL)):
        if order[0] is revisit and "WARC-Refers-To-File-Offset: 0" in refers:
            continue
        found = [served for served in responses(put(tmp_path, *order)) if served.revisit]
        (served,) = found
        assert (served.url, served.body, served.status) == ("http://other.example/again", PAGE, 200)
        assert served.headers == ([("X-New", "1")] if head else [("Content-Type", "text/html")])


def test_revisit_of_wget(tmp_path: Path) -> None:
    revisit = response(b"HTTP/1.1 200 OK\r\n\r\n", IDENTICAL, STATED, "WARC-Truncated: length", kind="revisit")
    assert [served.truncated for served in responses(put(tmp_path, ORIGINAL, revisit))] == ["", ""]


def test_revisit_that_was_not_modified(tmp_path: Path) -> None:
    profile = "WARC-Profile: http://netpreserve.org/warc/1.0/revisit/server-not-modified"
    revisit = response(b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n', profile, kind="revisit")
    (served,) = responses(put(tmp_path, revisit))
    assert (served.status, served.body, served.revisit) == (304, b"", True)
    assert damages(put(tmp_path, response(b"", profile, kind="revisit")))


def test_revisit_of_itself_ends(tmp_path: Path) -> None:
    where = ("WARC-Refers-To-Filename: other.warc.gz", "WARC-Refers-To-File-Offset: 0")
    revisit = response(b"", IDENTICAL, STATED, *where, kind="revisit")
    assert len(damages(put(tmp_path, revisit))) == 1
    assert list(check(put(tmp_path, revisit))) == []


@pytest.mark.parametrize("name", ["../secret.warc.gz", "/etc/secret.warc.gz", "..", "..\\secret.warc.gz", "a\0b", "."])
def test_revisit_leads_out_of_no_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    put(tmp_path, ORIGINAL, name="secret.warc.gz")
    where = (f"WARC-Refers-To-Filename: {name}", "WARC-Refers-To-File-Offset: 0")
    revisit = response(b"", IDENTICAL, STATED, *where, kind="revisit")
    assert len(damages(put(tmp_path / "in", revisit))) == 1


def test_revisit_is_not_given_another_body(tmp_path: Path) -> None:
    other = response(OK + b"other", "WARC-Record-ID: <urn:uuid:original>", url="http://other.example/original")
    refers = ("WARC-Refers-To: <urn:uuid:original>", "WARC-Refers-To-Target-URI: http://other.example/original")
    revisit = response(b"", IDENTICAL, STATED, *refers, kind="revisit")
    file = put(tmp_path, other, revisit)
    assert [type(found) for found in read(file)] == [Served, Damage]
    (served,) = responses(put(tmp_path, other, name="single.warc.gz"))
    assert len(damages(file, find=lambda url, date, digest: served)) == 1


def test_revisit_without_a_digest_that_can_be_computed(tmp_path: Path) -> None:
    where = ("WARC-Refers-To-Filename: other.warc.gz", "WARC-Refers-To-File-Offset: 0")
    for digest in ("blake3:unknown", ""):
        for url, kind in (("http://other.example/original", Served), ("http://other.example/another", Damage)):
            refers = (f"WARC-Payload-Digest: {digest}", f"WARC-Refers-To-Target-URI: {url}", *where)
            file = put(tmp_path, ORIGINAL, response(b"", IDENTICAL, *refers, kind="revisit"))
            assert [type(found) for found in read(file)] == [Served, kind]


# Damage; tears are in test_warc_torn.py.


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>WARC/1.1</html>", packed(b"<html>"), b"\x1f\x8b", b"\x28\xb5\x2f\xfd", bytes(1000), b"PK\3\4"],
    ids=["empty", "HTML", "HTML in gzip", "two bytes of gzip", "zstd", "zeros", "zip"],
)
@pytest.mark.parametrize("name", ["x.html", "x.warc.gz", "x.warc"])
def test_what_is_no_warc_file(tmp_path: Path, content: bytes, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    (damage,) = read(file)
    assert isinstance(damage, Damage)
    assert damage.offset == 0
    assert len(list(check(file))) == 1
    assert is_warc(file) is (content == b"\x1f\x8b")


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.warc.gz")
    (tmp_path / "folder.warc.gz").mkdir()
    for name in ("pipe.warc.gz", "folder.warc.gz"):
        (damage,) = damages(tmp_path / name)
        assert "cannot be read" in damage.problem


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(read(tmp_path / "gone.warc.gz"))
    with pytest.raises(WarcError, match=r"gone\.warc\.gz, offset 7: No such file"):
        at(tmp_path / "gone.warc.gz", 7)


def test_offset_where_no_response_is(tmp_path: Path) -> None:
    file = written(tmp_path, {})
    (served,) = responses(file)
    for offset in (0, 1, served.offset - 1, served.offset + 1, served.end, file.stat().st_size, 10**15):
        with pytest.raises(WarcError, match=rf"{NAME}\.warc\.gz, offset {offset}: "):
            at(file, offset)


@pytest.mark.parametrize("name", ["x.warc", "x.warc.gz"])
@pytest.mark.parametrize("length", [0, 1, 10, 1000, 10**17, -1])
def test_wrong_length(tmp_path: Path, name: str, length: int) -> None:
    records = [response(OK + b"page %d" % number, url=f"http://other.example/{number}") for number in range(4)]
    records[1] = response(OK + b"page 1", url="http://other.example/1", length=length)
    file = put(tmp_path, *records, name=name)
    found = list(read(file))
    assert [type(each) for each in found] == [Served, Damage, Served, Served]
    assert [damage.offset for damage in damages(file)] == [next(responses_of(found)).end]
    assert [served.body for served in responses_of(found)] == [b"page 0", b"page 2", b"page 3"]


def test_wrong_length_in_one_gzip_member_for_all(tmp_path: Path) -> None:
    records = [response(OK + b"page %d" % number, url=f"http://other.example/{number}") for number in range(4)]
    records[2] = response(OK + b"page 2", url="http://other.example/2", length=7)
    file = tmp_path / "x.warc.gz"
    file.write_bytes(packed(b"".join(records)))
    assert [type(each) for each in read(file)] == [Served, Served, Damage, Served]


def put_big(file: Path, size: int) -> None:
    """Write a record with a body of zeros, between two others."""
    good = response(OK + b"good", url="http://other.example/good")
    head = response(OK, length=len(OK) + size)[:-4]
    with file.open("wb") as out:
        if not file.name.endswith(".gz"):
            out.write(good + head)
            out.seek(size, os.SEEK_CUR)
            out.write(b"\r\n\r\n" + good)
            return
        packer = isal_zlib.compressobj(1, isal_zlib.DEFLATED, 31)
        out.write(packed(good) + packer.compress(head))
        for _ in range(size >> 20):
            out.write(packer.compress(bytes(1 << 20)))
        out.write(packer.compress(b"\r\n\r\n") + packer.flush() + packed(good))


@pytest.mark.parametrize("name", ["x.warc", "x.warc.gz"])
def test_body_of_a_gigabyte_is_passed_over(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    put_big(file, 1 << 30)
    tracemalloc.start()
    try:
        found = list(read(file))
        problems = list(check(file))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [type(each) for each in found] == [Served, Damage, Served]
    assert damages(file)[0].problem == f"too large: {len(OK) + (1 << 30)} bytes"
    assert problems == []
    assert peak < 20 << 20


def test_limit_is_the_bodys(tmp_path: Path) -> None:
    file = put(tmp_path, response(OK + bytes(5000)))
    assert len(responses(file, limit=5000)) == 1
    assert len(damages(file, limit=4999)) == 1
    with pytest.raises(WarcError, match="too large"):
        at(file, 0, limit=4999)


@pytest.mark.parametrize("name", ["x.warc", "x.warc.gz"])
def test_header_without_end(tmp_path: Path, name: str) -> None:
    file = put(tmp_path, response(OK), b"WARC/1.0\r\n" + b"X: y\r\n" * 1_000_000, name=name)
    assert [type(each) for each in read(file)] == [Served, Damage]


def test_line_ends_without_end(tmp_path: Path) -> None:
    bomb = packed(response(OK) + b"\r\n" * 3_000_000 + response(OK))
    file = tmp_path / "x.warc.gz"
    file.write_bytes(bomb + packed(response(OK)))
    assert [type(each) for each in read(file)] == [Damage, Served, Served]
    file.write_bytes(packed(response(OK)) + bomb)
    assert [type(each) for each in read(file)] == [Served, Damage]


def test_chunks_of_one_byte_take_no_more_memory(tmp_path: Path) -> None:
    body = b"1\r\na\r\n" * 100_000 + b"0\r\n\r\n"
    file = put(tmp_path, response(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body))
    tracemalloc.start()
    try:
        (served,) = responses(file)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert served.body == b"a" * 100_000


def test_search_behind_damage_ends(tmp_path: Path) -> None:
    good = packed(response(OK))
    # Every three bytes may begin a gzip member, or a record.
    for name, junk in (("x.warc.gz", b"\x1f\x8b\x08" * 100_000), ("x.warc", b"\n\nWARC/1.0" * 100_000)):
        file = tmp_path / name
        record_ = good if name.endswith(".gz") else response(OK)
        file.write_bytes(record_ + junk + record_)
        found = list(read(file))
        assert isinstance(found[0], Served)
        assert any(isinstance(each, Damage) for each in found)


# What a publisher serves may hold records of its own making.


FORGED = packed(response(OK + b"forged", url="https://news.example/forged"))


def test_forged_records_are_not_found_behind_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    to = writer(tmp_path)
    first = write(to)
    # Much that cannot be compressed stands in the file as it was served.
    evil = write(to, body=(os.urandom(200_000) + FORGED) * 20 + os.urandom(9000))
    last = write(to)
    to.close()
    file = tmp_path / first.file
    content = bytearray(file.read_bytes())
    where = content.rindex(FORGED)
    content[where - 1000] ^= 1
    file.write_bytes(content)
    found = [(Served, first.offset), (Damage, evil.offset), (Served, last.offset)]

    def urls(damaged: Path) -> list[str]:
        return [served.url for served in responses_of(list(read(damaged)))]

    assert [(type(each), each.offset) for each in read(file)] == found
    torn = file.with_name(file.name + ".open")
    file.unlink()
    torn.write_bytes(content[: where + len(FORGED) + 1000])
    assert urls(torn) == [first.url]
    with monkeypatch.context() as patch:
        # Whoever takes every record that looks like one, takes this one, too.
        patch.setattr("newsarchive.warc.stream.own_id", lambda raw: b"")
        assert set(urls(torn)) == {first.url, "https://news.example/forged"}
    assert mend(torn).size == evil.offset
    assert list(check(file)) == []


# Strict checks.


def test_check_names_what_is_wrong(tmp_path: Path) -> None:
    def problems(*records: bytes, name: str = "x.warc.gz", tail: bytes = b"") -> list[str]:
        file = put(tmp_path, *records, name=name)
        with file.open("ab") as out:
            out.write(tail)
        return [damage.problem for damage in check(file)]

    good = response(OK + PAGE, STATED, f"WARC-Block-Digest: {sha1(OK + PAGE)}")
    assert problems(good, good) == []
    assert problems(good, good, name="x.warc") == []
    assert problems(response(OK, version="2.0")) == ["unknown version: 2.0"]
    assert problems(good.replace(b"WARC-Record-ID", b"X")) == ["no WARC-Record-ID"]
    assert problems(good.replace(b"WARC-Date", b"X")) == ["no WARC-Date"]
    assert problems(good.replace(b"WARC-Target-URI", b"X")) == ["no WARC-Target-URI"]
    assert problems(good.replace(b"WARC-Type", b"X")) == ["no WARC-Type"]
    assert problems(good.replace(b"Content-Length", b"X")) == ["no Content-Length"]
    assert problems(good.replace(b"2019-03-04", b"2019-13-04")) == ["WARC-Date is no time: '2019-13-04T05:06:07Z'"]
    assert problems(good.replace(PAGE, PAGE.swapcase())) == [
        "the block's digest is wrong",
        "the payload's digest is wrong",
    ]
    assert problems(response(OK + PAGE, f"WARC-Payload-Digest: {sha1(b'')}")) == ["the payload's digest is wrong"]
    assert problems(good + b"\r\n") == ["not one blank line follows the block"]
    assert problems(good[:-2]) == ["torn, or its length is wrong: no blank line and next record follow"]
    assert problems(good, tail=b"garbage") == ["no gzip member begins here"]
    assert problems(good, tail=bytes(512)) == ["no gzip member begins here"]
    assert problems(good, name="x.warc", tail=b"garbage") != []
    assert problems(response(b"no HTTP")) == ["no HTTP response: 'no HTTP'"]


# Files that were left open.


def left_open(archive: Path, count: int = 3) -> tuple[Path, list[int]]:
    """Return a file as a killed process leaves it, and where its captures begin."""
    to = writer(archive)
    captures = [write(to, f"https://news.example/{number}", body=os.urandom(400)) for number in range(count)]
    to.sync()
    return archive / f"{captures[0].file}.open", [capture.offset for capture in captures]


def test_mending_a_whole_file(tmp_path: Path) -> None:
    file, offsets = left_open(tmp_path)
    size = file.stat().st_size
    assert mend(file) == Mended(file.with_name(f"{NAME}.warc.gz"), size, 0)
    assert [served.offset for served in responses(file.with_name(f"{NAME}.warc.gz"))] == offsets
    assert not file.exists()


def test_mending_an_empty_or_useless_file(tmp_path: Path) -> None:
    file = tmp_path / "x.warc.gz.open"
    for content in (b"", b"\x1f", bytes(5000), b"garbage"):
        file.write_bytes(content)
        assert mend(file) == Mended(tmp_path / "x.warc.gz", 0, len(content))
        assert list(tmp_path.iterdir()) == []


def test_mending_what_is_closed(tmp_path: Path) -> None:
    file = written(tmp_path, {})
    with pytest.raises(ValueError, match="not named"):
        mend(file)
    assert len(responses(file)) == 1


def test_mending_keeps_what_stands_behind_damage(tmp_path: Path) -> None:
    file, offsets = left_open(tmp_path)
    content = bytearray(file.read_bytes())
    content[offsets[1] + 200 : offsets[1] + 300] = bytes(100)
    file.write_bytes(content + bytes(4096))
    mended = mend(file)
    assert (mended.size, mended.torn) == (len(content), 4096)
    assert [(type(found), found.offset) for found in read(mended.file)] == [
        (Served, offsets[0]),
        (Damage, offsets[1]),
        (Served, offsets[2]),
    ]


def test_mending_takes_the_next_free_name(tmp_path: Path) -> None:
    file, _ = left_open(tmp_path)
    content = file.read_bytes()
    names = []
    for number in ("", "", "", "-3"):
        file = file.with_name(f"{NAME}{number}.warc.gz.open")
        file.write_bytes(content)
        names.append(mend(file).file.name)
    assert names == [f"{NAME}{number}.warc.gz" for number in ("", "-2", "-3", "-4")]


def test_mending_is_done_in_bounded_memory(tmp_path: Path) -> None:
    file, _ = left_open(tmp_path, 1)
    with file.open("ab") as out:
        for _ in range(200):
            out.write(isal_zlib.compress(os.urandom(1 << 18), 0, 31))
        out.write(isal_zlib.compress(bytes(200 << 20), 1, 31))
        size = out.tell()
        out.write(packed(os.urandom(1 << 20))[:-1])
    tracemalloc.start()
    try:
        assert mend(file).size == size
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


# The real wget.


class Pages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        if self.path == "/chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for piece in (PAGE[:100], PAGE[100:], b""):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            return
        body = packed(PAGE) if self.path == "/gzip" else PAGE
        if self.path == "/gzip":
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.mark.skipif(not shutil.which("wget"), reason="wget is not installed")
@pytest.mark.parametrize("compressed", [True, False])
def test_what_wget_writes(tmp_path: Path, compressed: bool) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    paths = ("plain", "chunked", "gzip", "plain")
    base = f"http://127.0.0.1:{server.server_port}/"
    try:
        options = ["--no-proxy", "--no-verbose", f"--warc-file={tmp_path / 'wget'}", "-P", str(tmp_path / "pages")]
        options += [] if compressed else ["--no-warc-compression"]
        urls = [base + path for path in paths]
        subprocess.run(["wget", *options, *urls], check=True, capture_output=True)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    (file,) = tmp_path.glob("wget.warc*")
    found = responses(file)
    assert [served.url for served in found] == urls
    assert [served.body for served in found] == [PAGE, PAGE, packed(PAGE), PAGE]
    assert [at(file, served.offset) for served in found] == found
    assert is_warc(file)
    assert list(check(file)) == []


def test_digest_is_the_fields_own() -> None:
    assert payload_digest(b"") == "sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ"
    assert payload_digest(io.BytesIO(PAGE).read()) == sha1(PAGE)
