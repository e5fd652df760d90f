"""What ``scrapy verify`` finds in archives that are damaged in one way each, and what it mends."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from fcntl import LOCK_EX, flock
from hashlib import sha256
from pathlib import Path
from threading import Event, Thread

import orjson
import pytest
from scrapy.settings import Settings
from scrapy.utils.project import get_project_settings
from server import article_url, cna_page, crawl, reply, serving

from newsarchive.files import replace_file
from newsarchive.holders import publishers_of
from newsarchive.index import Entry, Index, RunRow
from newsarchive.lock import hold
from newsarchive.recover import recover
from newsarchive.repair import NotMended, Repair
from newsarchive.store import lock_file
from newsarchive.verify import Cure, Sample, Verification
from newsarchive.warc import CaptureWriter, Served, check, read

IDS = ("202401150001", "202401150002", "202401150003")
FIRST, SECOND = "20240301T050000Z-00000001", "20240302T050000Z-00000002"
FILE = f"captures/cna/{FIRST}.warc.gz"
LATER = f"captures/cna/{SECOND}.warc.gz"
ACCOUNT = "runs/20240301T050000Z-cna.json"
POST = f"_posts/cna/2024/2024-01-15-{IDS[0]}.md"
REPAIR = "`scrapy verify --repair`"
BACKUP = "bring it back from a backup"
#: What is said of a record whose first byte is another.
NO_MEMBER = "no gzip member begins here"
USED = f"{BACKUP}; the rest of it is used meanwhile"


def settings_for(archive: Path) -> Settings:
    settings = get_project_settings()
    settings.set("ARCHIVE_DIR", str(archive))
    return settings


def write_run(
    archive: Path, name: str, pages: dict[str, str], *, known: tuple[str, ...] = (), closed: bool = True
) -> CaptureWriter:
    """Write what a run captures, and its account."""
    writer = CaptureWriter(archive, "cna", name, {})
    started = datetime.strptime(name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    asked = {"https://www.cna.com.tw/robots.txt": ("robots", 200, "User-agent: *\n")}
    asked |= {"https://www.cna.com.tw/news/ahel/209912310001.aspx": ("article", 404, "")}
    asked |= {f"https://www.cna.com.tw/news/ahel/{id}.aspx": ("article", 200, page) for id, page in pages.items()}
    for number, (url, (kind, status, body)) in enumerate(asked.items()):
        writer.write(
            url=url,
            captured=started + timedelta(seconds=number, milliseconds=number),
            method="GET",
            request_headers=[(b"Host", b"www.cna.com.tw")],
            status=status,
            headers=[(b"Content-Type", b"text/html; charset=utf-8")],
            body=body.encode(),
            kind=kind,
        )
    if not closed:
        writer.sync()
        return writer
    writer.close()
    account = {
        "run": name,
        "publisher": "cna",
        "kind": "crawl",
        "started": f"{started:%Y-%m-%dT%H:%M:%S}.000Z",
        "ended": f"{started:%Y-%m-%dT%H}:30:00.000Z",
        "finish": "finished",
        "scheduled": len(pages) + 1,
        "stored": len(pages) - len(known),
        "revised": len(known),
        "unchanged": 0,
        "refused": {},
        "failed": {"status-404": 1},
        "captures": writer.files,
    }
    file = archive / "runs" / f"{started:%Y%m%dT%H%M%SZ}-cna.json"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(orjson.dumps(account, option=orjson.OPT_INDENT_2) + b"\n")
    return writer


def changed(id: str) -> str:
    return cna_page(
        id, paragraphs=("（中央社記者測試台北15日電）全新的第一段。", "第二段也不同。", "（編輯：測試）1130115")
    )


def build(archive: Path) -> None:
    """Make an archive of two runs: three articles, one of them with two revisions."""
    archive.mkdir()
    write_run(archive, FIRST, {id: cna_page(id) for id in IDS})
    write_run(archive, SECOND, {IDS[2]: changed(IDS[2])}, known=(IDS[2],))
    told = list(recover(settings_for(archive), "cna"))
    assert len(told) == 2


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = tmp_path_factory.mktemp("built") / "archive"
    build(archive)
    return archive


@pytest.fixture
def archive(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "archive"))


def wrong(archive: Path, sample: Sample | None = None) -> list[str]:
    return [str(problem) for problem in Verification(archive, publishers_of(archive), sample).problems()]


def mend(archive: Path) -> list[str]:
    """Mend all problems as the command does, and return what was told."""
    told: list[str] = []
    with Repair(settings_for(archive), archive, lambda _: None) as repair:
        for _ in range(5):
            found = list(Verification(archive, publishers_of(archive), locked=True).problems())
            todo = [problem for problem in found if repair.can(problem)]
            for problem in todo[:1] if any(one.cure is Cure.REBUILD for one in todo) else todo:
                if repair.can(problem):
                    told += repair.mend(problem)
    return told


def contents(archive: Path) -> dict[str, bytes]:
    return {str(file.relative_to(archive)): file.read_bytes() for file in sorted(archive.rglob("*")) if file.is_file()}


def dump(archive: Path) -> list[object]:
    with Index(archive / "index.sqlite") as index:
        return list(index.dump())


def records(file: Path) -> list[Served]:
    return [found for found in read(file) if isinstance(found, Served)]


def test_an_untouched_archive_is_well_and_stays_as_it_is(archive: Path) -> None:
    before = contents(archive)
    verification = Verification(archive, publishers_of(archive))
    assert list(verification.problems()) == []
    size = sum(file.stat().st_size for file in archive.glob("captures/cna/*.gz"))
    assert str(verification.figures) == (
        f"1 publisher: 2 capture files with 8 captures ({size / 1000:.1f} kB), 3 posts, 3 articles, 2 runs"
    )
    assert contents(archive) == before
    assert mend(archive) == []
    assert contents(archive) == before


# One thing damaged at a time. Each function damages an archive; what is found and what is done are told in full.


def flip(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 0xFF
    file.write_bytes(content)


def sql(archive: Path, *statements: str) -> None:
    with closing(sqlite3.connect(archive / "index.sqlite", isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)


def in_rows(change: str) -> Callable[[Path], None]:
    """Return what changes the row of the first article's capture."""
    return lambda archive: sql(archive, f"UPDATE captures SET {change} WHERE id = '{IDS[0]}'")


def in_file(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Return what changes a file."""
    return lambda archive: (archive / name).write_bytes(change((archive / name).read_bytes())) and None


def gone(name: str) -> Callable[[Path], None]:
    """Return what removes a file or a folder."""
    return lambda archive: shutil.rmtree(archive / name) if (archive / name).is_dir() else (archive / name).unlink()


def left(name: str) -> Callable[[Path], None]:
    """Return what leaves a draft behind."""
    return lambda archive: (archive / name).write_bytes(b"half") and None


def left_open(archive: Path) -> None:
    write_run(archive, "20240303T050000Z-00000003", {IDS[0]: changed(IDS[0])}, closed=False)


#: Offsets of a file's captures: robots.txt, a 404, three articles.
OFFSETS = tuple[int, int, int, int, int]


@pytest.fixture
def offsets(archive: Path) -> list[int]:
    return [found.offset for found in records(archive / FILE)]


def made(*, aside: bool = False) -> str:
    there = f"; what was there is now damaged/{POST}" if aside else ""
    return f"{POST}: made again from {FILE}, offset {{2}}{there}"


ORPHAN = (
    "is the post of no article in the index; it may be all that is left of an article whose captures are lost; "
    "if it is not, move it elsewhere"
)
REBUILT = ("index.sqlite: moved to index.sqlite.corrupt-1", "index.sqlite: made again from 8 captures and 2 accounts")
REBUILDS = f"{REPAIR} makes it again from the captures"
REMAKES = f"{REPAIR} makes it again from its capture"
READS = f"{REPAIR} reads it again"
READ = f"{FILE}: 5 captures read into the index"
REPORTED = f"{REPAIR} makes it again from the index"
RESTORED = f"{ACCOUNT}: made again from the index, without its reasons and listings"
OTHERWISE = f"{FILE}: offset {{2}}: the index says something else of a capture; {READS}"
REPORTS = [f"runs/2024030{day}T050000Z-cna.json: is not what the index says of the run; " for day in (1, 2)]

MENDABLE: dict[str, tuple[Callable[[Path], None], list[str], list[str]]] = {
    "post missing": (gone(POST), [f"{POST}: is missing; {REMAKES}"], [made()]),
    "post edited": (
        in_file(POST, lambda text: text.replace("步道".encode(), "小路".encode())),
        [f"{POST}: is not the file that was written: its SHA-256 is not the index's; {REMAKES}"],
        [made(aside=True)],
    ),
    "post torn": (
        in_file(POST, lambda text: text[:300]),
        [f"{POST}: is no post: line 12: link is not followed by '\\n------\\n\\n<div>\\n'; {REMAKES}"],
        [made(aside=True)],
    ),
    "post not UTF-8": (
        in_file(POST, lambda text: text[:10] + b"\xff" + text[10:]),
        [f"{POST}: offset 10: is not UTF-8; {REMAKES}"],
        [made(aside=True)],
    ),
    "post empty": (
        in_file(POST, lambda text: b""),
        [f"{POST}: is no post: line 1: an empty file; {REMAKES}"],
        [made(aside=True)],
    ),
    "draft of a post": (
        left("_posts/cna/2024/.x.tmp"),
        [f"_posts/cna/2024/.x.tmp: was left behind by a killed run; {REPAIR} removes it"],
        ["_posts/cna/2024: 1 draft removed"],
    ),
    "draft of an account": (
        left("runs/.x.tmp"),
        [f"runs/.x.tmp: was left behind by a killed run; {REPAIR} removes it"],
        ["runs: 1 draft removed"],
    ),
    "rows missing": (
        lambda archive: sql(archive, f"DELETE FROM captures WHERE id = '{IDS[0]}'"),
        [f"{FILE}: offset {{2}}: a capture not in the index; {READS}", f"{POST}: {ORPHAN}"],
        [READ],
    ),
    "rows of a file missing": (
        lambda archive: sql(archive, f"DELETE FROM captures WHERE file = '{FILE}' AND id IS NULL"),
        [f"{FILE}: offset {{0}}: 2 captures from here on not in the index; {READS}"],
        [READ],
    ),
    "file not recorded": (
        lambda archive: sql(archive, f"DELETE FROM files WHERE file = '{FILE}'"),
        [f"{FILE}: is not known to be in the index to its end; {READS}"],
        [READ],
    ),
    "title in the index": (
        in_rows("title = 'x'"),
        [f"{POST}: its title is '河岸新步道今天開放', in the index it is 'x'; {REMAKES}"],
        [made()],
    ),
    "time in the index": (
        in_rows("published = '2024-01-15T03:00:00.000Z'"),
        [f"{POST}: its time is '2024-01-15 02:00:00+00:00', in the index it is '2024-01-15 03:00:00+00:00'; {REMAKES}"],
        [made()],
    ),
    "address in the index": (
        in_rows("canonical = 'https://www.cna.com.tw/x'"),
        [
            f"{POST}: its address is 'https://www.cna.com.tw/news/ahel/{IDS[0]}.aspx', "
            f"in the index it is 'https://www.cna.com.tw/x'; {REMAKES}"
        ],
        [made()],
    ),
    "digest in the index": (in_rows("digest = 'sha1:X'"), [OTHERWISE], [READ]),
    "status in the index": (in_rows("status = 500"), [OTHERWISE], [READ]),
    "purpose in the index": (in_rows("kind = 'listing'"), [OTHERWISE], [READ]),
    "SHA-256 in the index": (
        in_rows("sha256 = zeroblob(32)"),
        [f"{POST}: is not the file that was written: its SHA-256 is not the index's; {REMAKES}"],
        [made()],
    ),
    "SHA-256 not in the index": (
        in_rows("sha256 = NULL"),
        [f"{POST}: is not known to be made from the article's newest revision; {REMAKES}"],
        [made()],
    ),
    "post's name in the index": (
        in_rows(f"post = '_posts/cna/2024/2024-01-16-{IDS[0]}.md'"),
        [f"_posts/cna/2024/2024-01-16-{IDS[0]}.md: is missing; {REMAKES}", f"{POST}: {ORPHAN}"],
        [made()],
    ),
    "id in the index": (
        in_rows("id = '1'"),
        [f"index.sqlite: names {POST} as the post of cna 1; {REBUILDS}"],
        [*REBUILT],
    ),
    "publisher in the index": (
        in_rows("publisher = 'dw'"),
        [
            f"index.sqlite: says that the capture at offset {{2}} of {FILE} is not of cna; {REBUILDS}",
            f"index.sqlite: names {POST} as the post of dw {IDS[0]}; {REBUILDS}",
        ],
        [*REBUILT],
    ),
    "offset in the index": (
        in_rows("offset = offset + 1"),
        [
            f"index.sqlite: says {{2+1}} of {FILE}, but the capture lies at offset {{2}}; {REBUILDS}",
            f"{FILE}: offset {{2}}: a capture not in the index; {READS}",
        ],
        [*REBUILT],
    ),
    "file in the index": (
        in_rows("file = 'captures/cna/gone.warc.gz'"),
        [
            f"{FILE}: offset {{2}}: a capture not in the index; {READS}",
            "captures/cna/gone.warc.gz: is missing, and the index has 1 capture of it; "
            f"{BACKUP}, or from where it was moved",
        ],
        [READ, *REBUILT],
    ),
    "mark in the index": (
        lambda archive: sql(archive, f"UPDATE captures SET shown = 0 WHERE id = '{IDS[0]}'"),
        [
            f"index.sqlite: captures {FILE} {{2}}, of cna {IDS[0]}: shown is 0 where it must be 1; {REBUILDS}",
        ],
        [*REBUILT],
    ),
    "pages of the index": (
        in_file("index.sqlite", lambda content: content[:4096] + bytes(8192) + content[12288:]),
        [f"index.sqlite: is damaged (database disk image is malformed); {REBUILDS}"],
        [*REBUILT],
    ),
    "no index but other bytes": (
        in_file("index.sqlite", lambda content: b"no database" * 400),
        [f"index.sqlite: is not an SQLite database; {REBUILDS}"],
        [*REBUILT],
    ),
    "empty index": (
        in_file("index.sqlite", lambda content: b""),
        [f"index.sqlite: is not an index of this program; {REBUILDS}"],
        [*REBUILT],
    ),
    "index missing": (gone("index.sqlite"), [f"index.sqlite: is missing; {REBUILDS}"], [*REBUILT[1:]]),
    "index and posts missing": (
        lambda archive: [gone(name)(archive) for name in ("index.sqlite", "_posts")] and None,
        [f"index.sqlite: is missing; {REBUILDS}"],
        [*REBUILT[1:]],
    ),
    "runs missing in the index": (
        lambda archive: sql(archive, "DELETE FROM runs"),
        [f"{told}{REPAIR} reads it into the index" for told in REPORTS],
        [f"runs/2024030{day}T050000Z-cna.json: read into the index" for day in (1, 2)],
    ),
    "account missing": (
        gone(ACCOUNT),
        [f"{ACCOUNT}: the account of run {FIRST} is missing; {REPORTED}"],
        [RESTORED],
    ),
    "account torn": (
        in_file(ACCOUNT, lambda text: text[:20]),
        [
            f"{ACCOUNT}: is no account of a run: JSONDecodeError: unexpected end of data: line 2 column 19 (char 20); "
            f"{REPORTED}"
        ],
        [f"{RESTORED}; what was there is now damaged/{ACCOUNT}"],
    ),
    "account without its endings": (
        in_file(ACCOUNT, lambda text: text.replace(b'"stored"', b'"kept"')),
        [f"{ACCOUNT}: is no account of a run: KeyError: 'stored'; {REPORTED}"],
        [f"{RESTORED}; what was there is now damaged/{ACCOUNT}"],
    ),
    "account that does not add up": (
        in_file(ACCOUNT, lambda text: text.replace(b'"stored": 3', b'"stored": 2')),
        [f"{ACCOUNT}: does not add up: 4 scheduled, 3 ended; {REPORTED}"],
        [f"{RESTORED}; what was there is now damaged/{ACCOUNT}"],
    ),
    "account of another run": (
        in_file(ACCOUNT, lambda text: text.replace(b"T05:00:00", b"T06:00:00")),
        [f"{ACCOUNT}: is named for another run than {FIRST}; {REPORTED}"],
        [f"{RESTORED}; what was there is now damaged/{ACCOUNT}"],
    ),
}


def placed(lines: list[str], offsets: list[int]) -> list[str]:
    """Return lines with the offsets of captures in the place of their numbers."""
    for number, offset in enumerate(offsets):
        lines = [line.replace(f"{{{number}}}", str(offset)) for line in lines]
        lines = [line.replace(f"{{{number}+1}}", str(offset + 1)) for line in lines]
    return lines


@pytest.mark.parametrize("damage", MENDABLE)
def test_damage_is_found_and_mended(archive: Path, built: Path, offsets: list[int], damage: str) -> None:
    harm, found, done = MENDABLE[damage]
    harm(archive)
    before = contents(archive)
    assert wrong(archive) == placed(found, offsets)
    assert contents(archive) == before

    assert mend(archive) == placed(done, offsets)
    assert wrong(archive) == []
    assert dump(archive) == dump(built)
    kept = contents(archive)
    for name, content in contents(built).items():
        if name not in ("index.sqlite", ACCOUNT):
            assert kept[name] == content, name
    # Nothing that was there is lost, but half drafts: what was replaced lies beside.
    for name, content in before.items():
        if content != kept.get(name) and not name.endswith(".tmp") and "index.sqlite" not in name:
            assert kept[f"damaged/{name}"] == content
    if done[0] == REBUILT[0]:
        assert kept["index.sqlite.corrupt-1"] == before["index.sqlite"]


LOST: dict[str, tuple[Callable[[Path, list[int]], object], list[str]]] = {
    "byte of a record": (
        lambda archive, at: flip(archive / FILE, at[2]),
        [f"{FILE}: offset {{2}}: {NO_MEMBER}; {USED}"],
    ),
    "torn": (
        lambda archive, at: os.truncate(archive / FILE, at[3] + 40),
        [
            f"{FILE}: offset {{3}}: torn: the file ends within a gzip member; {USED}",
            f"{FILE}: offset {{4}}: a capture that the index has cannot be found; {BACKUP}",
        ],
    ),
    "cut between records": (
        lambda archive, at: os.truncate(archive / FILE, at[3]),
        [f"{FILE}: offset {{3}}: 2 captures from here on that the index has cannot be found; {BACKUP}"],
    ),
    "cut before the last request": (
        lambda archive, at: os.truncate(archive / FILE, records(archive / FILE)[4].end),
        [f"{FILE}: offset {{5}}: ends here, and had {{6}} bytes when it was closed; {BACKUP}"],
    ),
    "garbage behind": (
        lambda archive, at: (archive / FILE).write_bytes((archive / FILE).read_bytes() + b"garbage behind it"),
        [f"{FILE}: offset {{6}}: {NO_MEMBER}; {USED}"],
    ),
    "other bytes": (
        lambda archive, at: (archive / FILE).write_bytes(b"hello"),
        [
            f"{FILE}: offset 0: not a WARC file; {USED}",
            f"{FILE}: offset {{0}}: 5 captures from here on that the index has cannot be found; {BACKUP}",
        ],
    ),
    "missing": (
        lambda archive, at: (archive / FILE).unlink(),
        [f"{FILE}: is missing, and the index has 5 captures of it; {BACKUP}, or from where it was moved"],
    ),
    "a post of nobody": (
        lambda archive, at: shutil.copy(archive / POST, archive / "_posts/cna/2024/2024-01-15-1.md"),
        [f"_posts/cna/2024/2024-01-15-1.md: {ORPHAN}"],
    ),
}


@pytest.mark.parametrize("damage", LOST)
def test_what_follows_from_nothing_else_is_left_alone(archive: Path, offsets: list[int], damage: str) -> None:
    harm, found = LOST[damage]
    offsets += [records(archive / FILE)[4].end, (archive / FILE).stat().st_size]
    rows = dump(archive)
    harm(archive, offsets)
    before = contents(archive)
    assert wrong(archive) == placed(found, offsets)
    assert mend(archive) == []
    assert (contents(archive), dump(archive)) == (before, rows)
    assert wrong(archive) == placed(found, offsets)


def test_a_post_whose_capture_is_damaged_cannot_be_made_again(archive: Path, offsets: list[int]) -> None:
    flip(archive / FILE, offsets[2])
    (archive / POST).unlink()
    lost = f"{FILE}: offset {offsets[2]}: {NO_MEMBER}; {USED}"
    assert wrong(archive) == [lost, f"{POST}: is missing; {REMAKES}"]
    with pytest.raises(NotMended, match=f"^{POST}: .*{FILE}, offset {offsets[2]}: {NO_MEMBER}$"):
        mend(archive)


def test_what_a_file_has_lost_is_not_forgotten(archive: Path, offsets: list[int]) -> None:
    size, end = (archive / FILE).stat().st_size, records(archive / FILE)[4].end
    os.truncate(archive / FILE, end)
    sql(archive, f"DELETE FROM captures WHERE id = '{IDS[0]}'")
    assert mend(archive) == [READ]
    assert wrong(archive) == [f"{FILE}: offset {end}: ends here, and had {size} bytes when it was closed; {BACKUP}"]


def test_a_file_that_a_killed_run_left_open(archive: Path) -> None:
    name = "captures/cna/20240303T050000Z-00000003.warc.gz"
    left_open(archive)
    half = (archive / f"{name}.open").read_bytes()
    (archive / f"{name}.open").write_bytes(half + half[:100])
    assert wrong(archive) == [f"{name}.open: was left open by a killed run; {REPAIR} closes it"]
    closed = f"{name}: closed after its run was killed, {len(half)} bytes, 100 torn bytes cut off"
    assert mend(archive) == [closed, f"{name}: 3 captures read into the index"]
    assert wrong(archive) == []
    assert "全新的第一段" in (archive / POST).read_text()


def test_captures_of_a_missing_file_stay_when_the_index_is_made_again(archive: Path, offsets: list[int]) -> None:
    before = dump(archive)
    (archive / FILE).unlink()
    sql(archive, f"UPDATE captures SET shown = 0 WHERE id = '{IDS[0]}'")
    missing = f"{FILE}: is missing, and the index has 5 captures of it; {BACKUP}, or from where it was moved"
    mark = f"index.sqlite: captures {FILE} {offsets[2]}, of cna {IDS[0]}: shown is 0 where it must be 1; {REBUILDS}"
    assert wrong(archive)[0] == mark
    assert mend(archive) == [
        "index.sqlite: moved to index.sqlite.corrupt-1",
        "index.sqlite: 5 captures of files that are missing taken over from index.sqlite.corrupt-1",
        "index.sqlite: made again from 3 captures and 2 accounts",
    ]
    assert wrong(archive) == [missing]
    # Whether they are recorded to the end of their file is known of files that are there.
    assert dump(archive) == [row for row in before if row[:2] != ("files", FILE)]


def test_an_article_that_no_capture_reads_as_any_more_is_well(archive: Path) -> None:
    """A spider has learned to refuse its page; the post stays as it is."""
    with Index(archive / "index.sqlite") as index:
        row = index.article("cna", IDS[0])
        assert row
        index.record(Entry(row.capture, "cna", "incomplete"))
    assert wrong(archive) == []
    before = dump(archive)
    (archive / FILE).unlink()
    sql(archive, f"UPDATE captures SET shown = 0 WHERE id = '{IDS[0]}'")
    mend(archive)
    assert [row for row in dump(archive) if FILE in row and row[0] == "captures"] == [
        row for row in before if FILE in row and row[0] == "captures"
    ]


def test_a_post_edited_by_hand_is_kept_when_the_index_is_lost_too(archive: Path) -> None:
    edited = (archive / POST).read_bytes().replace("步道".encode(), "小路".encode())
    written = (archive / POST).read_bytes()
    (archive / POST).write_bytes(edited)
    (archive / "index.sqlite").unlink()
    mend(archive)
    assert (archive / POST).read_bytes() == written
    assert (archive / "damaged" / POST).read_bytes() == edited
    # Again: the first is not overwritten.
    (archive / POST).write_bytes(edited + b" ")
    mend(archive)
    assert (archive / "damaged" / f"{POST}.2").read_bytes() == edited + b" "


def test_everything_at_once(archive: Path, built: Path) -> None:
    left_open(archive)
    left("_posts/cna/2024/.x.tmp")(archive)
    gone(POST)(archive)
    in_file("index.sqlite", lambda content: content[:4096] + bytes(8192) + content[12288:])(archive)
    in_file(ACCOUNT, lambda text: b"")(archive)
    assert len(wrong(archive)) == 4
    mend(archive)
    assert wrong(archive) == []


# What goes on meanwhile.


def test_what_a_run_is_writing_is_not_wrong(archive: Path) -> None:
    with hold(lock_file(archive, "cna")):
        writer = write_run(archive, "20240303T050000Z-00000003", {IDS[0]: changed(IDS[0])}, closed=False)
        (archive / "_posts/cna/2024/.x.tmp").write_bytes(b"half")
        assert wrong(archive) == []
        # A full file is closed, and the index may not have all of it yet.
        writer.close()
        assert wrong(archive) == []
    assert [line.partition(":")[0] for line in wrong(archive)] == [
        "captures/cna/20240303T050000Z-00000003.warc.gz",
        "_posts/cna/2024/.x.tmp",
    ]


def test_a_draft_that_somebody_holds_is_not_wrong(archive: Path) -> None:
    with (archive / "_posts/cna/2024/.x.tmp").open("wb") as draft:
        flock(draft, LOCK_EX)
        assert wrong(archive) == []


def test_a_post_that_is_renamed_before_its_commit_is_not_wrong(archive: Path) -> None:
    """The writer commits when the look at the archive has noticed that post and index differ."""
    noticed, renamed, done = Event(), Event(), Event()
    content = (archive / POST).read_bytes().replace("步道".encode(), "小路".encode())

    class Noticing(Verification):
        def quiet(self, publisher: str):  # type: ignore[no-untyped-def]
            noticed.set()
            return super().quiet(publisher)

    def write() -> None:
        with Index(archive / "index.sqlite") as index:
            (row,) = [row for row in index.articles("cna") if row.post == POST]
            with index.transaction():
                replace_file(archive / POST, content)
                sha = sha256(content).hexdigest()
                index.db.execute(
                    "UPDATE captures SET sha256 = ? WHERE sha256 = ?", (bytes.fromhex(sha), bytes.fromhex(row.sha256))
                )
                index.db.execute("UPDATE captures SET title = ? WHERE id = ?", ("河岸新小路今天開放", IDS[0]))
                renamed.set()
                assert noticed.wait(30)
            assert done.wait(30)

    with hold(lock_file(archive, "cna")):
        writer = Thread(target=write)
        writer.start()
        assert renamed.wait(30)
        found = [str(problem) for problem in Noticing(archive, ["cna"]).problems()]
        done.set()
        writer.join()
    assert noticed.is_set()
    assert found == []


def test_a_file_that_a_run_has_just_recorded_is_not_wrong(archive: Path) -> None:
    size = (archive / LATER).stat().st_size
    sql(archive, f"DELETE FROM files WHERE file = '{LATER}'")

    class Ending(Verification):
        def busy(self, publisher: str) -> bool:
            sql(archive, f"INSERT OR IGNORE INTO files VALUES ('{LATER}', {size})")
            return False

    assert list(Ending(archive, ["cna"]).problems()) == []


@pytest.mark.parametrize("made", [b"", None])
def test_an_index_that_the_first_run_is_making_is_not_wrong(archive: Path, made: bytes | None) -> None:
    (archive / "index.sqlite").unlink()
    if made is not None:
        (archive / "index.sqlite").write_bytes(made)
    with hold(lock_file(archive, "cna")):
        assert wrong(archive) == []
    assert len(wrong(archive)) == 1


def test_a_run_may_end_while_accounts_are_read(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index is asked first: what it did not say then, it says once the run has ended."""
    runs, asked = Index.runs, []

    def before_it_ended(index: Index, publisher: str = "") -> list[RunRow]:
        asked.append(publisher)
        return runs(index, publisher) if publisher else []

    monkeypatch.setattr(Index, "runs", before_it_ended)
    assert wrong(archive) == []
    assert set(asked) > {""}


def test_while_a_crawl_writes(tmp_path: Path) -> None:
    ids = [f"2024011500{number:02}" for number in range(1, 31)]
    archive = tmp_path / "archive"
    with serving() as server:
        for id in ids:
            server.answer(article_url(id), reply(cna_page(id)))
        runs = []
        crawling = Thread(
            target=lambda: runs.append(crawl(server, tmp_path, *map(article_url, ids), DOWNLOAD_DELAY=0.03))
        )
        crawling.start()
        looks = 0
        found: list[str] = []
        while crawling.is_alive():
            if (archive / "index.sqlite").exists():
                found += wrong(archive)
                looks += 1
        crawling.join()
    assert runs[0].status == 0
    assert found == []
    assert looks >= 3
    verification = Verification(archive, ["cna"])
    assert list(verification.problems()) == []
    assert (verification.figures.posts, verification.figures.articles, verification.figures.runs) == (30, 30, 1)


def test_a_log_that_a_killed_run_left_stays(archive: Path) -> None:
    """The next run takes over what it has of the index; looking at the archive reads it, and leaves it there."""
    killed = f"""
import os, sqlite3
database = sqlite3.connect({str(archive / "index.sqlite")!r}, isolation_level=None)
database.execute("UPDATE captures SET title = 'x' WHERE id = '{IDS[0]}'")
os._exit(9)
"""
    subprocess.run([sys.executable, "-c", killed], check=False)
    before = contents(archive)
    assert before["index.sqlite-wal"]
    assert len(wrong(archive)) == 1
    after = contents(archive)
    # How far readers are is kept in the third file, which says nothing of the archive.
    assert {**after, "index.sqlite-shm": b""} == {**before, "index.sqlite-shm": b""}


# Samples.


def test_a_sample_of_everything_is_everything(archive: Path, offsets: list[int]) -> None:
    everything = Verification(archive, ["cna"], Sample(1, 1))
    assert list(everything.problems()) == []
    assert (everything.figures.files, everything.figures.captures) == (2, 8)
    flip(archive / FILE, offsets[2])
    (archive / POST).write_bytes(b"")
    assert wrong(archive, Sample(1, 1))[:2] == [
        f"{FILE}: offset {offsets[2]}: {NO_MEMBER}; {USED}",
        f"{POST}: is no post: line 1: an empty file; {REMAKES}",
    ]


def test_the_same_seed_chooses_the_same_sample(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("newsarchive.verify.PIECE", 500)

    def looked_at(seed: int) -> tuple[int, int]:
        verification = Verification(archive, ["cna"], Sample(0.1, seed))
        assert list(verification.problems()) == []
        return verification.figures.captures, verification.figures.bytes

    assert looked_at(7) == looked_at(7)
    assert len({looked_at(seed) for seed in range(20)}) > 1


def test_the_pieces_of_a_file_leave_nothing_out(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("newsarchive.verify.PIECE", 500)
    file = archive / FILE
    whole = file.read_bytes()
    found = {}
    for place in range(0, len(whole), 41):
        flip(file, place)
        verification = Verification(archive, ["cna"], Sample(1, 1))
        # The time in the head of a gzip member may be any.
        if next(check(file), None):
            found[place] = any(problem.path == FILE for problem in verification.problems())
        file.write_bytes(whole)
    assert len(found) > 100
    assert all(found.values()), [place for place, seen in found.items() if not seen]


def test_samples_find_damage_in_time_and_look_at_little(
    archive: Path, offsets: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("newsarchive.verify.PIECE", 500)
    size = sum(file.stat().st_size for file in archive.glob("captures/cna/*.gz"))
    flip(archive / FILE, offsets[2])
    looked_at = found = 0
    for seed in range(40):
        verification = Verification(archive, ["cna"], Sample(0.1, seed))
        found += any(problem.path == FILE for problem in verification.problems())
        looked_at += verification.figures.bytes
    assert 1 < found < 40
    # Some more than was asked for: a piece is begun at the record before it.
    assert looked_at < 40 * size * 0.4


def test_a_sample_always_notices_what_is_missing(archive: Path) -> None:
    (archive / POST).unlink()
    (archive / LATER).unlink()
    found = wrong(archive, Sample(0.000001, 1))
    missing = f"{LATER}: is missing, and the index has 3 captures of it; {BACKUP}, or from where it was moved"
    assert found == [f"{POST}: is missing; {REMAKES}", missing]


def test_an_archive_without_index_is_looked_at_all_the_same(archive: Path, offsets: list[int]) -> None:
    (archive / "index.sqlite").unlink()
    flip(archive / FILE, offsets[2])
    (archive / POST).write_bytes(b"\xff")
    assert wrong(archive) == [
        f"index.sqlite: is missing; {REBUILDS}",
        f"{FILE}: offset {offsets[2]}: {NO_MEMBER}; {USED}",
        f"{POST}: offset 0: is not UTF-8; first bring the index back",
    ]
    assert not (archive / "index.sqlite").exists()
