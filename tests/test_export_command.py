"""``scrapy export``: tables and posts, whole or not there, of all that an archive holds, which stays as it was."""

import argparse
import gzip
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet
import pytest
from places import SHARED, needs_shared
from scrapy.exceptions import UsageError
from server import ROOT, cna_page
from test_verify import (
    FILE,
    IDS,
    LATER,
    POST,
    build,
    changed,
    contents,
    flip,
    records,
    settings_for,
    write_run,
)

from newsarchive.article import Refused
from newsarchive.commands.export import Command
from newsarchive.export.posts import old_name
from newsarchive.export.reading import ProcessGone, Readings
from newsarchive.importing import Importer, files
from newsarchive.index import Entry, Index
from newsarchive.post import Post, read, render
from newsarchive.reading import Reader
from newsarchive.recover import recover
from newsarchive.store import index_file

LABEL = "(臺)中央社CNA"
URL = "https://www.cna.com.tw/news/ahel/{}.aspx"
DAY = datetime(2020, 8, 3, 4, 5, 6, 789_000, tzinfo=UTC)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an archive of two runs: three articles, one of them with two revisions."""
    archive = tmp_path_factory.mktemp("built") / "archive"
    build(archive)
    return archive


@pytest.fixture
def archive(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "archive"))


def export(archive: Path, *arguments: object) -> tuple[int, str]:
    """Run the command here; return its exit status and what it printed."""
    command = Command()
    command.settings = settings_for(archive)
    parser = argparse.ArgumentParser()
    command.add_options(parser)
    options, others = parser.parse_known_args(list(map(str, arguments)))
    with redirect_stdout(StringIO()) as printed, redirect_stderr(StringIO()):
        command.run(others, options)
    return command.exitcode, printed.getvalue()


def command(archive: Path, *arguments: object) -> list[str]:
    return [sys.executable, "-m", "scrapy", "export", *map(str, arguments), "-s", f"ARCHIVE_DIR={archive}"]


def process(archive: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command as users do."""
    return subprocess.run(command(archive, *arguments), cwd=ROOT, capture_output=True, text=True, timeout=600)


def lines(file: Path) -> list[dict[str, Any]]:
    return list(map(orjson.loads, file.read_bytes().splitlines()))


def add(archive: Path, run: str, pages: dict[str, str]) -> None:
    """Capture pages, and make of them what follows."""
    write_run(archive, run, pages)
    list(recover(settings_for(archive), "cna"))


def taken_over(archive: Path, folder: Path, posts: dict[str, Post]) -> None:
    """Take posts over from an archive that is made of them."""
    for name, post in posts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(render(post))
    with Importer(settings_for(archive)) as importer:
        for candidate in files(folder):
            taken = importer.read(candidate)
            assert taken
            importer.keep(taken)
        importer.finish()


def other_post(id: str, title: str, **changes: Any) -> Post:
    """Return a post of another archive."""
    signed: dict[str, Any] = {"author": LABEL, "tags": (LABEL,), "categories": (LABEL,)}
    if changes.get("form") == "bare":
        signed = {}
    return Post(title=title, url=URL.format(id), body="<p>內文。</p>", **{"published": DAY, **signed, **changes})


# Tables.


def test_every_revision_is_a_line(archive: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    status, told = export(archive, "--jsonl", file)
    assert (status, told) == (0, f"exported 3 articles, 4 revisions to {file} (4.4 kB)\n")
    rows = lines(file)
    assert [(row["id"], row["revision"], row["newest"]) for row in rows] == [
        (IDS[0], 1, True),
        (IDS[1], 1, True),
        (IDS[2], 1, False),
        (IDS[2], 2, True),
    ]
    offset = records(archive / FILE)[2].offset
    assert rows[0] == {
        "publisher": "cna",
        "id": IDS[0],
        "revision": 1,
        "newest": True,
        "url": URL.format(IDS[0]),
        "twin": "",
        "title": "河岸新步道今天開放",
        "published": "2024-01-15T02:00:00.000Z",
        "modified": None,
        "language": "zh-Hant-TW",
        "section": "生活",
        "authors": [],
        "keywords": ["步道"],
        "summary": "為測試所寫的摘要。",
        "images": [],
        "body": rows[0]["body"],
        "layout": "since_2018",
        "partial": False,
        "captured": "2024-03-01T05:00:02.002Z",
        "last_captured": "2024-03-01T05:00:02.002Z",
        "kind": "article",
        "asked": URL.format(IDS[0]),
        "file": FILE,
        "offset": offset,
        "digest": records(archive / FILE)[2].digest,
        "post": POST,
        "sha256": sha256((archive / POST).read_bytes()).hexdigest(),
        "withdrawn": False,
        "ending": "article",
        "ended": "2024-03-01T05:00:02.002Z",
    }
    assert rows[0]["body"] in (archive / POST).read_text()
    assert (rows[2]["sha256"], rows[2]["file"], rows[3]["file"]) == (None, FILE, LATER)
    assert ("全新" in rows[2]["body"], "全新" in rows[3]["body"]) == (False, True)


def test_parquet_says_what_the_lines_say(archive: Path, tmp_path: Path) -> None:
    assert export(archive, "--jsonl", tmp_path / "a.jsonl", "--parquet", tmp_path / "a.parquet")[0] == 0
    table = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    assert table.schema.field("published").type == pa.timestamp("ms", "UTC")
    assert table.schema.field("images").type.value_type.names == ["url", "caption", "credit"]
    text = {datetime: lambda time: time.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    rows = [
        {name: text.get(type(value), lambda same: same)(value) for name, value in row.items()}
        for row in table.to_pylist()
    ]
    assert rows == lines(tmp_path / "a.jsonl")
    assert pyarrow.parquet.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0).column(0).compression == "ZSTD"


def test_the_same_rows_are_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert export(archive, "--jsonl", tmp_path / f"{name}.jsonl.gz", "--parquet", tmp_path / name)[0] == 0
    assert export(archive, "--jsonl", tmp_path / "plain", "--jobs", 2)[0] == 0
    assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()) == (tmp_path / "plain").read_bytes()
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_standard_output_has_nothing_but_lines(archive: Path) -> None:
    done = process(archive, "--jsonl", "-", "--revisions", "newest")
    assert (done.returncode, done.stderr) == (0, "exported 3 articles, 3 revisions to -\n")
    assert [orjson.loads(line)["id"] for line in done.stdout.splitlines()] == list(IDS)
    line = " ".join(command(archive, "--jsonl", "-"))
    done = subprocess.run(["bash", "-c", f"{line} | true"], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.stderr == ""


def test_what_is_asked_for(archive: Path, tmp_path: Path) -> None:
    late = cna_page("202401200001", published="2024-01-20T07:59:59+08:00")
    add(archive, "20240303T050000Z-00000003", {"202401200001": late})

    def asked(*arguments: str) -> list[str]:
        assert export(archive, "--jsonl", tmp_path / "a", "--force", *arguments)[0] == 0
        return sorted({row["id"] for row in lines(tmp_path / "a")})

    assert asked("--publisher", "cna") == [*IDS, "202401200001"]
    assert asked("--since", "2024-01-16") == ["202401200001"]
    assert asked("--until", "2024-01-15") == list(IDS)
    assert asked("--until", "2024-01-19") == [*IDS, "202401200001"]
    assert asked("--until", "2024-01-19T23:59:59") == list(IDS)
    assert asked("--since", "2024-02-01") == []


def test_a_capture_that_cannot_be_read_is_named_and_the_rest_exported(archive: Path, tmp_path: Path) -> None:
    offset = records(archive / FILE)[2].offset
    flip(archive / FILE, offset)
    status, told = export(archive, "--jsonl", tmp_path / "a", "--posts", tmp_path)
    assert status == 1
    assert told.splitlines() == [
        f"FAILED cna {IDS[0]}, revision 1: {archive}/{FILE}, offset {offset}: no gzip member begins here",
        f"exported 2 articles, 3 revisions to {tmp_path}/a (3.3 kB); 1 failed",
        # Posts are made of posts.
        f"RENAMED cna {IDS[1]}: 2024-01-15-河岸新步道今天開放.md: another post of this export has this name; "
        f"it is 2024-01-15-河岸新步道今天開放-{IDS[1]}.md",
        f"RENAMED cna {IDS[2]}: 2024-01-15-河岸新步道今天開放.md: another post of this export has this name; "
        f"it is 2024-01-15-河岸新步道今天開放-{IDS[2]}.md",
        f"exported 3 posts to {tmp_path}/_posts (3 new, 0 changed, 0 unchanged; 2 with another name)",
    ]
    assert [row["id"] for row in lines(tmp_path / "a")] == [IDS[1], IDS[2], IDS[2]]


def test_a_page_that_is_refused_now_is_a_failure_unless_the_index_knows(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def article(*_: object) -> None:
        raise Refused("expired", "cut down")

    monkeypatch.setattr(Reader, "article", article)
    status, told = export(archive, "--jsonl", tmp_path / "a")
    assert (status, lines(tmp_path / "a")) == (1, [])
    assert f"{FILE}, offset {records(archive / FILE)[2].offset}: refused now: expired: cut down\n" in told

    with Index(index_file(archive)) as index:
        (row,) = index.line("cna", IDS[0])
        index.record(Entry(row.capture, "cna", "expired"))
    status, told = export(archive, "--jsonl", tmp_path / "a", "--posts", tmp_path, "--force")
    assert (status, told.count("FAILED")) == (1, 3)
    (found,) = lines(tmp_path / "a")
    assert (found["withdrawn"], found["title"], found["published"], found["language"], found["ending"]) == (
        *(True, "河岸新步道今天開放", "2024-01-15T02:00:00.000Z", None, "expired"),
    )
    assert found["body"] == read((archive / POST).read_text()).body
    # Its post stays.
    posts = {file.read_bytes() for file in (tmp_path / "_posts").iterdir()}
    assert (archive / POST).read_bytes() in posts
    (archive / POST).unlink()
    assert f"{archive}/{POST}: " in export(archive, "--jsonl", tmp_path / "a", "--force")[1]


def test_surrogates_do_not_stop_anything(archive: Path, tmp_path: Path) -> None:
    page = cna_page("202401200001").replace('"步道"', '"\\ud800"')
    add(archive, "20240303T050000Z-00000003", {"202401200001": page})
    assert export(archive, "--jsonl", tmp_path / "a", "--parquet", tmp_path / "b")[0] == 0
    assert lines(tmp_path / "a")[-1]["keywords"] == ["\ufffd"]


# Posts.


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("河岸新步道", "2020-08-03-河岸新步道.md"),
        ("1/2 a//b", "2020-08-03-1--2 a----b.md"),
        ("../../etc/passwd", "2020-08-03-..--..--etc--passwd.md"),
        (".", "2020-08-03-..md"),
        ("", "2020-08-03-.md"),
        ("..\\x", "2020-08-03-..\\x.md"),
        ('說"好"', '2020-08-03-說\\"好\\".md'),
        ("a...b...c", "2020-08-03-ab...c.md"),
        (" a\xa0 ", "2020-08-03- a\xa0 .md"),
        ("a\x00b\nc\x9fd", "2020-08-03-abcd.md"),
        ("字" * 60, f"2020-08-03-{'字' * 50}.md"),
        ("字" * 49 + "\U0001f600", f"2020-08-03-{'字' * 49}\ufffd.md"),
        ("\U0001f600" * 30, f"2020-08-03-{chr(0x1F600) * 25}.md"),
        ("a\ud800b", "2020-08-03-a\ufffdb.md"),
    ],
)
def test_old_names(title: str, name: str) -> None:
    assert old_name(title, DAY) == name
    assert len(name.encode()) < 255


def times(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}


def test_posts_are_written_once(archive: Path, tmp_path: Path) -> None:
    assert export(archive, "--posts", tmp_path)[1].endswith("(3 new, 0 changed, 0 unchanged; 2 with another name)\n")
    names = [f"2024-01-15-河岸新步道今天開放{id and '-'}{id}.md" for id in ("", *IDS[1:])]
    written = times(tmp_path / "_posts")
    assert sorted(written) == sorted(names)
    for name, id in zip(names, IDS, strict=True):
        assert (tmp_path / "_posts" / name).read_bytes() == (archive / POST.replace(IDS[0], id)).read_bytes()
    assert export(archive, "--posts", tmp_path)[1].endswith("(0 new, 0 changed, 3 unchanged; 2 with another name)\n")
    assert times(tmp_path / "_posts") == written
    add(archive, "20240303T050000Z-00000003", {IDS[0]: changed(IDS[0])})
    assert export(archive, "--posts", tmp_path)[1].endswith("(0 new, 1 changed, 2 unchanged; 2 with another name)\n")
    assert "全新" in (tmp_path / "_posts" / names[0]).read_text()


def test_names_depend_neither_on_what_is_asked_for_nor_on_what_is_added(archive: Path, tmp_path: Path) -> None:
    same = old_name("河岸新步道今天開放", datetime(2024, 1, 15, tzinfo=UTC))
    assert export(archive, "--posts", tmp_path)[0] == 0
    # By its id it comes first, but the others were captured before.
    add(archive, "20240303T050000Z-00000003", {"202401140009": cna_page("202401140009")})
    for folder in (tmp_path, tmp_path / "other"):
        folder.mkdir(exist_ok=True)
        assert export(archive, "--posts", folder)[0] == 0
        assert IDS[0] in read((folder / "_posts" / same).read_text()).url
        assert (folder / "_posts" / same.replace(".md", "-202401140009.md")).exists()


def test_what_is_in_the_folder_stays(archive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "_posts"
    folder.mkdir()
    name = "2024-01-15-河岸新步道今天開放.md"
    others = {name: b"mine", ".draft.tmp": b"mine", "other.md": b"mine"}
    for other, content in others.items():
        (folder / other).write_bytes(content)
    (folder / ".0123456789abcdef.tmp").write_bytes(b"half")
    for ending in ("3 new, 0 changed, 0 unchanged", "0 new, 0 changed, 3 unchanged"):
        told = export(archive, "--posts", tmp_path)[1]
        assert f"{name}: there is a file of this name that is not this article's; it is" in told
        assert told.endswith(f"({ending}; 3 with another name)\n")
    assert {other: (folder / other).read_bytes() for other in others} == others
    assert len(list(folder.iterdir())) == 6
    (folder / name).unlink()
    (folder / name).symlink_to(archive / POST)
    assert "there is something else of this name" in export(archive, "--posts", tmp_path)[1]


def test_bare_posts_and_back(archive: Path, tmp_path: Path) -> None:
    titles = {"202008030001": '甲 "乙" [丙]... ', "202008030002": "a\\d: b"}
    forms = {"202008030001": "bare", "202008030002": "front"}
    posts = {f"{id}/{id}_old.md": other_post(id, titles[id], form=forms[id]) for id in titles}
    taken_over(archive, tmp_path / "theirs", posts)
    for form, option in (("front", ()), ("bare", ("--bare",))):
        assert export(archive, "--posts", tmp_path / form, *option)[0] == 0
        found = [read(file.read_text()) for file in (tmp_path / form / "_posts").iterdir()]
        assert {post.form for post in found} == {form}
        assert all(render(read(render(post))) == render(post) for post in found)
        ours = {post.url: post for post in found}
        for id, title in titles.items():
            post = ours[URL.format(id)]
            signed = (LABEL, (LABEL,), (LABEL,)) if form == "front" else ("", (), ())
            assert (post.author, post.tags, post.categories) == signed
            assert (post.title, post.published, post.body) == (title.strip(), DAY, "<p>內文。</p>")
    # A post that has the form already is the same to the byte; a bare one keeps its number.
    bare, front = ((tmp_path / form / "_posts") for form in ("bare", "front"))
    assert (bare / "202008030001_old.md").read_text() == render(posts["202008030001/202008030001_old.md"])
    assert (front / "2020-08-03-a\\d: b.md").read_text() == render(posts["202008030002/202008030002_old.md"])
    assert (front / '2020-08-03-甲 \\"乙\\" [丙].md').exists()


def test_posts_of_feeds_and_of_windows(archive: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    head = f"---\nlayout: post\ntitle: 甲\ndate: 2020-08-03T04:05:06+00:00\nlink: {URL.format('202008030001')}\n"
    (theirs / "2020-08-03-CNA-a.html").write_text(f"{head}categories:\n- CNA\n---\n<p>一</p>\n\n<p>{{{{ 二 }}}}</p>\n")
    windows = render(other_post("202008030002", "乙")).replace("\n", "\r\n").encode()
    (theirs / "2020-08-03-乙.md").write_bytes(windows)
    taken_over(archive, theirs, {})
    assert export(archive, "--posts", tmp_path)[0] == 0
    assert (tmp_path / "_posts" / "2020-08-03-乙.md").read_bytes() == windows
    ours = other_post("202008030001", "甲", published=DAY.replace(microsecond=0))
    ours = replace(ours, body="<p>一</p>  <p>&#123;&#123; 二 &#125;&#125;</p>")
    assert (tmp_path / "_posts" / "2020-08-03-甲.md").read_text() == render(ours)


def test_the_white_space_of_an_old_name(archive: Path, tmp_path: Path) -> None:
    # A header has a space for a no-break space, and the link line drops both.
    post = other_post("202008030001", "甲 ")
    taken_over(archive, tmp_path / "theirs", {"_posts/2020-08-03-甲\xa0.md": post})
    assert export(archive, "--posts", tmp_path)[0] == 0
    assert (tmp_path / "_posts" / "2020-08-03-甲\xa0.md").read_text() == render(post)


@pytest.mark.parametrize("name", ["..md", "evil\n.md", "7_../../x.md", "2020-08-03-別的.md"])
def test_no_other_name_is_taken_over(archive: Path, tmp_path: Path, name: str) -> None:
    post = other_post("202008030001", "甲 ")
    taken_over(archive, tmp_path / "theirs", {name.replace("../", "_"): post})
    assert export(archive, "--posts", tmp_path)[0] == 0
    assert (tmp_path / "_posts" / "2020-08-03-甲 .md").read_text() == render(post)


def test_a_name_that_is_too_long_for_an_id_is_made_short(archive: Path, tmp_path: Path) -> None:
    ids = ("202008030001", "202008030002")
    name = f"7_{'字' * 83}.md"
    posts = {f"{id}/{name}": other_post(id, "甲", form="bare") for id in ids}
    taken_over(archive, tmp_path / "theirs", posts)
    status, told = export(archive, "--posts", tmp_path, "--bare", "--until", "2020-12-31")
    assert (status, told.count("RENAMED")) == (0, 1)
    written = {file.name: file.read_text() for file in (tmp_path / "_posts").iterdir()}
    assert written == {
        name: render(posts[f"{ids[0]}/{name}"]),
        f"7_{'字' * 8}-{ids[1]}.md": render(posts[f"{ids[1]}/{name}"]),
    }


def test_posts_of_all_revisions(archive: Path, tmp_path: Path) -> None:
    edited = cna_page(IDS[0], title="新標題")
    add(archive, "20240303T050000Z-00000003", {IDS[0]: edited})
    for _ in range(2):
        assert export(archive, "--posts", tmp_path, "--revisions", "all")[0] == 0
        names = {file.name: read(file.read_text()) for file in (tmp_path / "_posts").iterdir()}
        stem = "2024-01-15-河岸新步道今天開放"
        assert sorted(names) == sorted(
            [
                f"{stem}.md",
                f"{stem}-{IDS[1]}.md",
                f"{stem}-{IDS[2]}.md",
                f"{stem}-{IDS[2]}.1.md",
                "2024-01-15-新標題.md",
            ]
        )
        assert "全新" in names[f"{stem}-{IDS[2]}.md"].body


def test_a_post_that_is_missing_or_torn_is_made_of_its_capture(archive: Path, tmp_path: Path) -> None:
    before = (archive / POST).read_bytes()
    (archive / POST).write_bytes(before[:100])
    (archive / POST.replace(IDS[0], IDS[1])).unlink()
    assert export(archive, "--posts", tmp_path)[0] == 0
    assert (tmp_path / "_posts" / "2024-01-15-河岸新步道今天開放.md").read_bytes() == before
    flip(archive / FILE, records(archive / FILE)[2].offset)
    status, told = export(archive, "--posts", tmp_path)
    assert (status, told.startswith(f"FAILED cna {IDS[0]}, revision 1: {archive}/{FILE}, offset ")) == (1, True)


@needs_shared
def test_real_posts_come_out_as_they_were(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    with Importer(settings_for(archive)) as importer:
        for candidate in files(SHARED / "posts"):
            if taken := importer.read(candidate):
                importer.keep(taken)
        importer.finish()
    for form, option in (("front", ()), ("bare", ("--bare",))):
        assert export(archive, "--posts", tmp_path / form, "--revisions", "all", *option)[0] == 0
        there = {file.name: file.read_bytes() for file in (tmp_path / form / "_posts").iterdir()}
        theirs = {file.name: file.read_bytes() for file in (SHARED / "posts" / form).rglob("*.md")}
        assert {name for name, content in theirs.items() if there.get(name) != content} == set()


# Whole or not there.


def test_the_archive_stays_as_it_was(archive: Path, tmp_path: Path) -> None:
    before, when = contents(archive), {file: file.stat().st_mtime_ns for file in archive.rglob("*")}
    everything = ("--jsonl", tmp_path / "a", "--parquet", tmp_path / "b", "--posts", tmp_path, "--bare")
    with Index(index_file(archive)) as index, index.transaction():
        # While somebody writes.
        assert process(archive, *everything).returncode == 0
    assert contents(archive) == before
    assert {file: file.stat().st_mtime_ns for file in archive.rglob("*.*")}.keys() == {
        file for file in when if "." in file.name
    }


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "say what is to be written"),
        (("x", "--jsonl", "-"), "what is x?"),
        (("--bare", "--jsonl", "-"), "--bare is for --posts"),
        (("--jsonl", "{here}/there"), "is there already; --force replaces it"),
        (("--jsonl", "{here}"), "is no file"),
        (("--jsonl", "{here}/no/a"), "there is no folder"),
        (("--jsonl", "{here}/a", "--parquet", "{here}/b/../a"), "name the same file"),
        (("--parquet", "{here}/archive/a"), "lies in the archive"),
        (("--posts", "{here}/archive"), "lies in the archive"),
        (("--jsonl", "-", "--publisher", "bbc"), "holds nothing of bbc: it holds cna"),
        (("--jsonl", "-", "--since", "2024-02-01", "--until", "2024-01-01"), "nothing lies between"),
    ],
)
def test_usage(archive: Path, tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    (tmp_path / "there").write_bytes(b"mine")
    before = contents(tmp_path)
    with pytest.raises(UsageError, match=told):
        export(archive, *(argument.format(here=tmp_path) for argument in arguments))
    assert contents(tmp_path) == before


def test_usage_as_users_meet_it(archive: Path, tmp_path: Path) -> None:
    done = process(archive, "--jsonl", "-", "--since", "yesterday")
    assert (done.returncode, "'yesterday' is no time: 2023-01-31" in done.stderr) == (2, True)
    assert process(archive).returncode == 2
    done = process(tmp_path / "none", "--jsonl", tmp_path / "a")
    told = (
        f"not exported: no index: {tmp_path}/none/index.sqlite; make it with: scrapy replay {tmp_path}/none/captures\n"
    )
    assert (done.returncode, done.stdout) == (1, told)
    assert not (tmp_path / "a").exists()


def test_force_replaces(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"mine")
    (tmp_path / "link").symlink_to("there")
    assert export(archive, "--jsonl", tmp_path / "link", "--force")[0] == 0
    assert (len(lines(tmp_path / "there")), (tmp_path / "link").is_symlink()) == (4, True)


def test_parquet_without_pyarrow(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    status, told = export(archive, "--parquet", tmp_path / "a")
    assert (status, "Parquet needs pyarrow, which is not installed: pip install -e '.[export]'" in told) == (1, True)
    assert [file.name for file in tmp_path.iterdir()] == ["archive"]


#: Runs the command in a process that kills itself after a call.
KILLED = """import os, signal, sys
from newsarchive.export import {module} as module
calls = 0
before = module.{name}
def call(*arguments):
    global calls
    calls += 1
    if calls > {calls}:
        os.kill(os.getpid(), signal.SIGKILL)
    return before(*arguments)
module.{name} = call
from scrapy.cmdline import execute
execute(["scrapy", "export", *sys.argv[1:]])
"""


def killed(archive: Path, module: str, name: str, calls: int, *arguments: object) -> None:
    """Run the command until some function has been called so often."""
    script = KILLED.format(module=module, name=name, calls=calls)
    options = [*map(str, arguments), "-s", f"ARCHIVE_DIR={archive}"]
    done = subprocess.run([sys.executable, "-c", script, *options], cwd=ROOT, timeout=600)
    assert done.returncode == -signal.SIGKILL


def test_a_kill_leaves_what_was_there(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a").write_bytes(b"mine")
    killed(archive, "rows", "_row", 3, "--jsonl", out / "a", "--parquet", out / "b", "--force")
    assert (out / "a").read_bytes() == b"mine"
    assert not (out / "b").exists()
    assert len(list(out.iterdir())) == 3
    assert export(archive, "--jsonl", out / "a", "--parquet", out / "b", "--force")[0] == 0
    assert sorted(file.name for file in out.iterdir()) == ["a", "b"]


def test_a_killed_export_of_posts_goes_on(archive: Path, tmp_path: Path) -> None:
    killed(archive, "posts", "_made", 2, "--posts", tmp_path)
    assert [file.suffix for file in (tmp_path / "_posts").iterdir()] == [".tmp"] * 2
    assert export(archive, "--posts", tmp_path)[0] == 0
    assert [file.suffix for file in (tmp_path / "_posts").iterdir()] == [".md"] * 3


@contextmanager
def small_disk(size: int) -> Iterator[None]:
    """Let no file become larger than so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("option", ["--jsonl", "--parquet", "--posts"])
def test_a_full_disk_leaves_no_half_file(archive: Path, tmp_path: Path, option: str) -> None:
    text = "".join(chr(0x4E00 + Random(number).randrange(5000)) for number in range(30_000))
    page = cna_page("202401200001", paragraphs=("（中央社記者測試台北15日電）", text, "（編輯：測試）1130115"))
    add(archive, "20240303T050000Z-00000003", {"202401200001": page})
    out = tmp_path / "out"
    out.mkdir()
    with small_disk(40_000):
        status, told = export(archive, option, out / "a")
    assert (status, f"not exported to {out}/a: " in told, "File too large" in told) == (1, True, True)
    assert [file for file in out.rglob("*") if file.is_file()] == []
    assert export(archive, option, out / "a")[0] == 0


def test_a_process_that_is_gone_is_told(archive: Path) -> None:
    with Index(index_file(archive), read_only=True) as index:
        capture = index.line("cna", IDS[0])[0].capture
    with Readings(settings_for(archive), archive, 2) as readings:
        for _, worker in readings.workers:
            os.kill(worker.pid, signal.SIGKILL)
            worker.join()
        with pytest.raises(ProcessGone):
            list(readings.each([(None, [("cna", IDS[0], capture)])]))
