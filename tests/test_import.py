"""Existing archives taken over: every post to the byte, each article once, and nothing written where it must not be."""

import io
import resource
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest
from places import CHECKOUT, SHARED, needs_shared
from scrapy.utils.project import get_project_settings
from server import article_url, cna_page, crawl, reply, serving

from newsarchive.importing import importer, sources
from newsarchive.index import Index
from newsarchive.page import MAX_SIZE

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LABELS = {"cna": "(臺)中央社CNA", "dw": "德国之声", "rfi": "法广"}
URL = "https://www.cna.com.tw/news/ahel/202401150001.aspx"


def front(
    url: str = URL,
    title: str = "河岸新步道今天開放",
    published: str = "2024-01-15T02:00:00.000Z",
    label: str = LABELS["cna"],
    body: str = "<p>這是為測試所寫的文字。</p>",
    comments: str = "comments: True\n",
) -> bytes:
    """Return a post as the older writers wrote it."""
    stamp = int((datetime.fromisoformat(published) - EPOCH).total_seconds() * 1000)
    return (
        f'---\nlayout: post\ntitle: "{title}"\ndate: {published}\nauthor: {label}\nfrom: {url}\ntags: [ {label} ]\n'
        f"{comments}categories: [ {label} ]\n---\n<!--{stamp}-->\n[{title}]({url})\n------\n\n<div>\n{body}\n</div>\n"
    ).encode()


def bare(url: str, title: str = "一個標題", stamp: str = "1705284000000", body: str = "<div>文字</div>") -> bytes:
    return f"<!--{stamp}-->\n[{title}]({url})\n------\n\n{body}\n".encode()


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def scrapy(archive: Path, *words: str | Path, status: int = 0) -> str:
    command = [sys.executable, "-m", "scrapy", *map(str, words), "-s", f"ARCHIVE_DIR={archive}"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def posts(archive: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(archive)): file.read_bytes() for file in archive.rglob("_posts/**/*") if file.is_file()
    }


def state(archive: Path) -> dict[str, str]:
    """Return all files but the index's, whose pages may lie otherwise, and what the index says."""
    files = {
        str(file.relative_to(archive)): sha256(file.read_bytes()).hexdigest()
        for file in archive.rglob("*")
        if file.is_file() and not file.name.startswith(("index.sqlite", ".lock"))
    }
    with Index(archive / "index.sqlite", read_only=True) as index:
        files["index"] = repr(list(index.dump()))
    return files


FEED = """---
layout: post
title: 河岸新步道：今天開放
date: 2024-01-15 10:00:00.000000000 +08:00
link: https://www.cna.com.tw/news/ahel/202401150009.aspx
categories:
- 生活
---

<p>第一段。</p>

    <p>第二段。</p>
""".encode()
FILES = {
    "_posts/2024-01-15-CNA-new.html": FEED,
    "windows/2024-01-15-x.md": front(url=URL.replace("0001", "0004")).replace(b"\n", b"\r\n"),
    "windows/2024-01-15-y.md": b"\xef\xbb\xbf" + front(url=URL.replace("0001", "0005")),
    "_posts/2024-01-15-河岸新步道今天開放.md": front(),
    "_posts/2024-01-15-old.md": front(url=URL.replace("0001", "0002"), title="沒有留言", comments=""),
    "dw/64358959_x.md": bare("https://www.dw.com/zh/%E6%A8%99%E9%A1%8C/a-64358959"),
    "rfi/1.md": bare("http://www.rfi.fr//cn/%E4%B8%AD%E5%9B%BD/20240115-%E6%A0%87%E9%A2%98"),
    "other/2024-01-15-x.md": front(url="https://news.example.org/a/1", label="某報"),
    "README.md": b"# An archive\n",
    "_config.yml": b"title: x\n",
}


def test_all_forms_of_all_publishers_are_kept_to_the_byte(tmp_path: Path) -> None:
    archive, source = tmp_path / "archive", write(tmp_path / "old", FILES)
    told = scrapy(archive, "import", source)
    assert "cna: 5 posts (1 feed, 4 front) of 5 articles, 2024-01-15 to 2024-01-15" in told
    assert "news.example.org: 1 posts" in told
    assert "8 of 8 posts are written back to the same bytes" in told
    assert "1  left out: no post" in told
    assert sorted(posts(archive).values()) == sorted(FILES[name] for name in FILES if name.count("/"))
    with Index(archive / "index.sqlite", read_only=True) as index:
        held = {(row.publisher, row.id, row.url) for name in index.publishers() for row in index.articles(name)}
    assert [name for name in posts(archive) if name.endswith(".html")] == [
        "_posts/cna/2024/2024-01-15-202401150009.html"
    ]
    assert held == {
        *(("cna", f"20240115000{n}", URL.replace("0001", f"000{n}")) for n in (4, 5, 9)),
        ("cna", "202401150001", URL),
        ("cna", "202401150002", URL.replace("0001", "0002")),
        ("dw", "64358959", "https://www.dw.com/zh/%E6%A8%99%E9%A1%8C/a-64358959"),
        (
            "rfi",
            "https://www.rfi.fr/cn/中国/20240115-标题",
            "https://www.rfi.fr/cn/%E4%B8%AD%E5%9B%BD/20240115-%E6%A0%87%E9%A2%98",
        ),
        ("news.example.org", "news.example.org/a/1", "https://news.example.org/a/1"),
    }
    assert "all well" in scrapy(archive, "verify")


def test_a_check_writes_nothing_and_tells_the_same(tmp_path: Path) -> None:
    source = write(tmp_path / "old", FILES)
    told = scrapy(tmp_path / "archive", "import", "--check", source)
    assert not (tmp_path / "archive").exists()
    kept = scrapy(tmp_path / "archive", "import", source)
    assert told.splitlines() == [line for line in kept.splitlines() if not line.endswith(" stored")]


def test_taking_over_again_changes_nothing(tmp_path: Path) -> None:
    archive, source = tmp_path / "archive", write(tmp_path / "old", FILES)
    scrapy(archive, "import", source)
    before = state(archive)
    assert "cna: 5 unchanged" in scrapy(archive, "import", source)
    assert state(archive) == before


def test_from_the_captures_alone_the_archive_is_made_again(tmp_path: Path) -> None:
    archive, source = tmp_path / "archive", write(tmp_path / "old", FILES)
    scrapy(archive, "import", source)
    before = posts(archive)
    for words in (("replay", archive / "captures"), ("verify", "--repair")):
        for file in archive.glob("index.sqlite*"):
            file.unlink()
        subprocess.run(["rm", "-r", archive / "_posts"], check=True)
        scrapy(archive, *words)
        assert posts(archive) == before
        assert "all well" in scrapy(archive, "verify")


@pytest.mark.parametrize("pages_first", [False, True])
def test_a_page_of_the_same_article_is_a_later_revision(tmp_path: Path, pages_first: bool) -> None:
    archive, source = tmp_path / "archive", write(tmp_path / "old", {"a.md": front(article_url("202401150001"))})
    with serving() as server:
        server.answer(article_url("202401150001"), reply(cna_page("202401150001")))
        if pages_first:
            assert crawl(server, tmp_path, article_url("202401150001")).status == 0
        scrapy(archive, "import", source)
        assert crawl(server, tmp_path, article_url("202401150001")).status == 0
    with Index(archive / "index.sqlite", read_only=True) as index:
        (row,) = index.articles("cna")
        first, second = index.revisions("cna", row.id)
    assert (first.capture.kind, second.capture.kind, row.capture.kind) == ("post", "article", "article")
    assert len(posts(archive)) == 1
    assert first.capture.captured == datetime(2024, 1, 15, 2, tzinfo=UTC)
    assert "all well" in scrapy(archive, "verify")


def expected(publisher: str, name: str) -> dict[str, Any]:
    """Return what a fixture is expected to be."""
    return dict(orjson.loads((CHECKOUT / f"fixtures/{publisher}/{name}.expected.json").read_bytes()))


@pytest.mark.parametrize("pages_first", [False, True])
@pytest.mark.parametrize("moved", [False, True])
def test_an_article_that_its_page_calls_otherwise_is_one(tmp_path: Path, moved: bool, pages_first: bool) -> None:
    """Whether the post has the page's address, or one that the page has moved from."""
    saved = expected("rfi", "moved-to-another-section")
    article, url = saved["article"], saved["url"] if moved else saved["article"]["url"]
    stamp = int((datetime.fromisoformat(article["published"]) - EPOCH).total_seconds() * 1000)
    old = bare(url.replace("://www.rfi.fr/", "://www.rfi.fr//"), stamp=str(stamp))
    archive, source = tmp_path / "archive", write(tmp_path / "old", {"rfi/a.md": old})
    orders = [("import", source), ("replay", CHECKOUT / "fixtures/rfi", "--publisher", "rfi")]
    for words in reversed(orders) if pages_first else orders:
        scrapy(archive, *words)
    with Index(archive / "index.sqlite", read_only=True) as index:
        rows = [row for row in index.articles("rfi") if row.url in (url, article["url"])]
        assert [row.id for row in rows] == [article["id"]]
        assert index.revisions("rfi", rows[0].id)[0].capture.kind == "post"
        assert sorted(posts(archive)) == sorted(row.post for row in index.articles("rfi"))
        before = list(index.dump())
    assert "all well" in scrapy(archive, "verify")
    for file in archive.glob("index.sqlite*"):
        file.unlink()
    scrapy(archive, "verify", "--repair")
    with Index(archive / "index.sqlite", read_only=True) as index:
        assert list(index.dump()) == before


def test_two_posts_of_an_article_are_its_revisions_and_two_articles_stay_two(tmp_path: Path) -> None:
    corrected = front(title="河岸新步道明天開放", published="2024-01-16T02:00:00.000Z", body="<p>更正後的文字。</p>")
    files = {
        "b/2024-01-15-a.md": front(),
        "a/2024-01-16-b.md": corrected,
        "c/2024-01-15-a.md": front(url=URL.replace("0001", "0002")),
    }
    archive, source = tmp_path / "archive", write(tmp_path / "old", files)
    told = scrapy(archive, "import", source)
    assert "3 posts (3 front) of 2 articles" in told
    with Index(archive / "index.sqlite", read_only=True) as index:
        assert [row.title for row in index.revisions("cna", "202401150001")] == [
            "河岸新步道今天開放",
            "河岸新步道明天開放",
        ]
    assert set(posts(archive).values()) == {corrected, files["c/2024-01-15-a.md"]}
    assert "all well" in scrapy(archive, "verify")


def test_a_name_that_an_older_post_changes_leaves_no_other_post(tmp_path: Path) -> None:
    url, archive = article_url("202401150001"), tmp_path / "archive"
    first = write(tmp_path / "first", {"a.md": front(url)})
    # The name changes with the older one, and in the same transaction comes a newer one.
    newer = front(url, title="更正", published="2024-01-16T02:00:00.000Z")
    then = write(tmp_path / "then", {"a.md": bare(url, stamp="1700000000000"), "b.md": newer})
    scrapy(archive, "import", first)
    scrapy(archive, "import", then)
    expected = {"_posts/cna/2023/2023-11-14-202401150001.md": newer}
    assert posts(archive) == expected
    for words in (("replay", archive / "captures"), ("verify", "--repair")):
        for file in archive.glob("index.sqlite*"):
            file.unlink()
        subprocess.run(["rm", "-r", archive / "_posts"], check=True)
        scrapy(archive, *words)
        assert posts(archive) == expected
        assert "all well" in scrapy(archive, "verify")


def packed(folder: Path, kind: str, files: Mapping[str, bytes]) -> Path:
    path = folder / f"old.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path
    with tarfile.open(path, f"w:{kind.partition('.')[2]}") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("kind", ["zip", "tar.", "tar.gz", "tar.xz", "tar.bz2"])
def test_packed_archives_are_read_where_they_lie(tmp_path: Path, kind: str) -> None:
    hostile = {"../out.md": front(), "/abs.md": front(), "a/../../x.md": front(), "C:\\x.md": front()}
    source = packed(tmp_path, kind, {**FILES, **hostile, "large.md": b"x" * (MAX_SIZE + 1)})
    told = scrapy(tmp_path / "archive", "import", source, status=1)
    assert "8 of 8 posts" in told
    assert "4  refused: path-outside" in told
    assert "1  refused: too-large" in told
    assert {path.name for path in tmp_path.iterdir()} <= {"archive", source.name}
    assert len(posts(tmp_path / "archive")) == 8


@pytest.mark.parametrize("kind", ["", "zip", "tar.", "tar.gz"])
def test_progress_counts_what_is_read_as_it_lies_there(tmp_path: Path, kind: str) -> None:
    files = {f"{n}.md": front(body="<p>同一個句子。</p>" * 999) for n in range(30)}
    more = {"picture.jpg": bytes(range(256)) * 40, "large.md": b"x" * (MAX_SIZE + 1), "README.md": b"# A\n"}
    source = packed(tmp_path, kind, {**files, **more}) if kind else write(tmp_path / "old", {**files, **more})
    counts = [candidate.size for candidate in sources.files(source)]
    assert len(counts) == 32
    assert min(counts) >= 0
    assert 0.6 * sources.size(source) < sum(counts) <= sources.size(source)


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_bomb_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    source = packed(tmp_path, kind, {"a.md": front(), **{f"{n}.md": b" " * 900_000 for n in range(9)}})
    monkeypatch.setattr(sources, "HARMLESS", 3_000_000)
    monkeypatch.setattr(sources, "RATIO", 2)
    reasons = [candidate.refusal.reason if candidate.refusal else "" for candidate in sources.files(source)]
    assert reasons[-1] == "bomb"
    assert 3 <= len(reasons) <= 5
    assert reasons.count("bomb") == 1


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_of_a_damaged_packed_file_what_can_be_had_is_taken(tmp_path: Path, kind: str) -> None:
    files = {f"{n}.md": front(f"{URL[:-9]}{n:04}.aspx", body=str(n) * 999) for n in range(300)}
    source = packed(tmp_path, kind, files)
    content = source.read_bytes()
    # The list of what is in a zip file lies at its end.
    damaged = content[:20_000] + bytes(200) + content[20_200:] if kind == "zip" else content[: len(content) // 2]
    source.write_bytes(damaged)
    told = scrapy(tmp_path / "archive", "import", source, status=1)
    assert "refused: damaged-archive" in told
    assert len(posts(tmp_path / "archive")) > 50


BAD = {
    "latin.md": (front(title="Überschrift").decode().encode("latin-1", "replace"), "encoding"),
    "cut.md": (front()[:-9], "cut-off"),
    "nul.md": (front(body="<p>a\0b</p>"), "nul-bytes"),
    "future.md": (front(published="2999-01-15T02:00:00.000Z"), "future-time"),
    "untimed.md": (bare(URL, stamp="NaN"), "no-time"),
    "untitled.md": (front(title=""), "no-title"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_taken_over_is_counted_and_named_and_the_rest_is_kept(tmp_path: Path, name: str) -> None:
    content, reason = BAD[name]
    source = write(tmp_path / "old", {name: content, "good.md": front(url=URL.replace("0001", "0003"))})
    told = scrapy(tmp_path / "archive", "import", source, status=1)
    assert f"1  refused: {reason}" in told
    assert f"REFUSED {name}: {reason}" in told
    assert len(posts(tmp_path / "archive")) == 1
    assert "all well" in scrapy(tmp_path / "archive", "verify")


def test_front_matter_that_no_site_reads_is_spelled_anew_and_captured_as_it_was(tmp_path: Path) -> None:
    broken = front(title=r"a \d b", body="<p>這是文字")
    archive, source = tmp_path / "archive", write(tmp_path / "old", {"x.md": broken})
    told = scrapy(archive, "import", source)
    assert "1 of 1 posts are written back to the same bytes" in told
    assert "MENDED x.md" in told
    (content,) = posts(archive).values()
    assert content == broken.replace(rb'title: "a \d b"', rb'title: "a \\d b"')
    assert "all well" in scrapy(archive, "verify")


@pytest.mark.parametrize("title", ["\ufeff一\u3000二", "一 \xa0\ufeff", "\u2028一\u2028", "一...\ufeff"])
def test_front_matter_that_sites_read_stays_as_it_is(tmp_path: Path, title: str) -> None:
    shown = title.strip("\u2028\u3000\xa0\ufeff ")
    content = front(title=title.replace("...", "").replace("\xa0", " ")).decode()
    written = content.replace(content[content.index("[", content.index("<!--")) : content.index("](")], f"[{shown}")
    archive, source = tmp_path / "archive", write(tmp_path / "old", {"x.md": written.encode()})
    assert "MENDED" not in scrapy(archive, "import", source)
    assert list(posts(archive).values()) == [written.encode()]


def test_links_and_strange_names(tmp_path: Path) -> None:
    outside = write(tmp_path / "elsewhere", {"secret.md": front(title="secret")})
    long = "名" * 84 + ".md"
    source = write(tmp_path / "old", {long: front(), "\u00e9.md": front(URL.replace("0001", "0002"))})
    write(source, {"e\u0301.md": front(URL.replace("0001", "0003")), "A.md": front(URL.replace("0001", "0004"))})
    (source / "link.md").symlink_to(outside / "secret.md")
    (source / "folder").symlink_to(outside)
    (source / "up.md").symlink_to("..")
    (source / b"\xff\x1b[31m.md".decode("utf-8", "surrogateescape")).write_bytes(front(URL.replace("0001", "0005")))
    told = scrapy(tmp_path / "archive", "import", source, status=1)
    assert "cna: 5 stored" in told
    assert "3  refused: link-outside" in told
    assert not any(b"secret" in content for content in posts(tmp_path / "archive").values())
    assert "\x1b" not in told


def test_links_that_lead_nowhere_and_folders_that_cannot_be_read(tmp_path: Path) -> None:
    source = write(
        tmp_path / "old", {"a.md": front(), "shut/b.md": front(), "z/c.md": front(URL.replace("0001", "0002"))}
    )
    (source / "loop.md").symlink_to("loop.md")
    (source / "dead.md").symlink_to("none.md")
    found = sources.files(source)
    assert next(found).name == "a.md"
    # It goes away, as one may that is not ours to read: root could read all.
    subprocess.run(["rm", "-r", source / "shut"], check=True)
    reasons = {candidate.name: candidate.refusal.reason if candidate.refusal else "" for candidate in found}
    unread = {"dead.md": "unreadable-file", "loop.md": "unreadable-file", "shut": "unreadable-folder"}
    assert reasons == {**unread, "z/c.md": ""}
    assert sources.size(source) > 0


def test_folders_may_be_nested_deeper_than_calls(tmp_path: Path) -> None:
    for depth in range(100, 1300, 100):
        (tmp_path / "/".join("d" * depth)).mkdir(parents=True)
    (tmp_path / "/".join("d" * 1200) / "a.md").write_bytes(front())
    assert [candidate.content for candidate in sources.files(tmp_path)] == [front()]
    # What removes old folders of tests nests calls.
    subprocess.run(["rm", "-r", tmp_path / "d"], check=True)


def test_a_tar_file_that_is_cut_off_at_once_and_one_that_tells_too_much(tmp_path: Path) -> None:
    cut = packed(tmp_path, "tar.gz", {"a.md": front()})
    cut.write_bytes(cut.read_bytes()[:15])
    (refused,) = sources.files(cut)
    assert refused.refusal
    assert refused.refusal.reason == "damaged-archive"
    telling = tarfile.TarInfo("pax")
    telling.type, telling.size = tarfile.XHDTYPE, 1 << 30
    (tmp_path / "old.tar").write_bytes(telling.tobuf())
    (refused,) = sources.files(tmp_path / "old.tar")
    assert refused.refusal
    assert refused.refusal.reason == "bomb"


def test_large_posts_do_not_wait_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importer, "MOST_WAITING", 3_000)
    settings = get_project_settings()
    settings.set("ARCHIVE_DIR", str(tmp_path / "archive"))
    waiting = []
    with importer.Importer(settings) as taking:
        for number in range(9):
            content = front(f"{URL[:-9]}{number:04}.aspx", body="<p>" + "x" * 1_000 + "</p>")
            taken = taking.read(importer.Candidate(f"{number}.md", content))
            assert taken
            taking.keep(taken)
            waiting.append(len(taking.waiting))
        taking.finish()
    assert max(waiting) < 3
    assert len(posts(tmp_path / "archive")) == 9


def test_a_killed_import_goes_on(tmp_path: Path) -> None:
    files = {f"{number}.md": front(f"{URL[:-9]}{number:04}.aspx") for number in range(700)}
    whole, killed, source = tmp_path / "whole", tmp_path / "killed", write(tmp_path / "old", files)
    scrapy(whole, "import", source)
    command = [sys.executable, "-m", "scrapy", "import", str(source), "-s", f"ARCHIVE_DIR={killed}"]
    process = subprocess.Popen(command, cwd=CHECKOUT)
    while len(list(killed.glob("_posts/cna/2024/*.md"))) < 150:
        assert process.poll() is None
    process.kill()
    process.wait()
    scrapy(killed, "import", source)
    assert posts(killed) == posts(whole)
    assert "all well" in scrapy(killed, "verify")


def test_what_was_captured_before_a_kill_is_not_captured_again(tmp_path: Path) -> None:
    archive, source = tmp_path / "archive", write(tmp_path / "old", FILES)
    scrapy(archive, "import", source)
    before = state(archive)
    for file in archive.glob("index.sqlite*"):
        file.unlink()
    told = scrapy(archive, "import", source)
    assert "stored" not in told
    after = state(archive)
    assert {name for name in after if name.startswith("captures/")} == {
        name for name in before if name.startswith("captures/")
    }
    assert posts(archive)
    assert "all well" in scrapy(archive, "verify")


@pytest.mark.parametrize("only", ["cna", "news.example.org"])
def test_only_what_is_asked_for(tmp_path: Path, only: str) -> None:
    source = write(tmp_path / "old", FILES)
    told = scrapy(tmp_path / "archive", "import", source, "--only", only)
    assert {name.split("/")[1] for name in posts(tmp_path / "archive")} == {only}
    assert "left out: not of a publisher asked for" in told


def test_a_publisher_that_is_mistyped_is_said(tmp_path: Path) -> None:
    source = write(tmp_path / "old", FILES)
    told = scrapy(tmp_path / "archive", "import", "--check", source, "--only", "CNA", "--only", "dw", status=1)
    assert "no post is of a publisher called 'CNA'" in told
    assert "'dw'" not in told


def test_what_is_no_archive_is_said(tmp_path: Path) -> None:
    write(tmp_path, {"x.bin": b"nothing", "archive/_posts/x.md": front()})
    for path in (tmp_path / "none", tmp_path / "x.bin", tmp_path / "archive/_posts"):
        scrapy(tmp_path / "archive", "import", path, status=2)
    scrapy(tmp_path / "archive", "import", status=2)


@needs_shared
def test_real_posts_are_kept_to_the_byte(tmp_path: Path) -> None:
    told = scrapy(tmp_path / "archive", "import", SHARED / "seeds", SHARED / "posts")
    assert "245 of 245 posts are written back to the same bytes" in told
    theirs = {
        file.read_bytes() for name in ("seeds", "posts") for file in (SHARED / name).rglob("*.*") if file.is_file()
    }
    assert set(posts(tmp_path / "archive").values()) <= theirs
    assert "all well" in scrapy(tmp_path / "archive", "verify")


def test_a_post_that_states_no_address_is_called_by_its_files_name(tmp_path: Path) -> None:
    old = FEED.replace(b"link: https://www.cna.com.tw/news/ahel/202401150009.aspx\n", b"").replace(b"\n- ", b" ")
    names = ("2024-01-15-CNA-河岸.html", "a/2024-01-15-other.html", "rfi/2024-01-15-x.html")
    files = dict.fromkeys(names, old) | {names[1]: old.replace("categories: 生活".encode(), b"categories: dw")}
    archive, source = tmp_path / "archive", write(tmp_path / "old", files)
    assert "3 of 3 posts" in scrapy(archive, "import", source)
    before = state(archive)
    assert "1 unchanged" in scrapy(archive, "import", source)
    assert state(archive) == before
    with Index(archive / "index.sqlite", read_only=True) as index:
        held = {(row.publisher, row.id, row.url) for name in index.publishers() for row in index.articles(name)}
    assert held == {
        ("cna", "2024-01-15-CNA-河岸", "https://cna.com.tw/#2024-01-15-CNA-%E6%B2%B3%E5%B2%B8"),
        ("dw", "2024-01-15-other", "https://dw.com/#2024-01-15-other"),
        ("rfi", "2024-01-15-x", "https://rfi.fr/#2024-01-15-x"),
    }
    assert "all well" in scrapy(archive, "verify")


@pytest.mark.parametrize("html_first", [True, False])
def test_a_post_is_called_by_what_is_in_it(tmp_path: Path, html_first: bool) -> None:
    url, later = "https://www.cna.com.tw/news/ahel/202401150009.aspx", "2024-01-16T02:00:00.000Z"
    newer = FEED.replace(b"2024-01-15 10", b"2024-01-16 10")
    files = (
        {"a.html": FEED, "b.md": front(url, published=later)} if html_first else {"a.md": front(url), "b.html": newer}
    )
    archive = tmp_path / "archive"
    for name, content in files.items():
        scrapy(archive, "import", write(tmp_path / name, {name: content}))
    suffix = ".md" if html_first else ".html"
    made = {f"_posts/cna/2024/2024-01-15-202401150009{suffix}": files[f"b{suffix}"]}
    assert posts(archive) == made
    assert "all well" in scrapy(archive, "verify")
    for words in (("replay", archive / "captures"), ("verify", "--repair")):
        for file in archive.glob("index.sqlite*"):
            file.unlink()
        subprocess.run(["rm", "-r", archive / "_posts"], check=True)
        scrapy(archive, *words)
        assert posts(archive) == made
        assert "all well" in scrapy(archive, "verify")


def test_of_hundreds_of_publishers_no_more_files_are_open_than_may_be(tmp_path: Path) -> None:
    def few_files() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (900, 900))

    files = {f"{n}.md": front(f"https://h{n}.example/a", label="某報") for n in range(700)}
    archive, source = tmp_path / "archive", write(tmp_path / "old", files)
    command = [sys.executable, "-m", "scrapy", "import", source, "-s", f"ARCHIVE_DIR={archive}"]
    for ending in ("1 stored", "1 unchanged"):
        done = subprocess.run(
            command, cwd=CHECKOUT, preexec_fn=few_files, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count(ending) == 700
    assert len(posts(archive)) == 700
    assert "all well" in scrapy(archive, "verify")


def test_where_nothing_may_be_a_post_that_is_said_and_nothing_written(tmp_path: Path) -> None:
    source = write(tmp_path / "old", {"notes.doc": b"x"})
    for words in ((), ("--check",)):
        assert "nothing there may be a post" in scrapy(tmp_path / "archive", "import", source, *words, status=1)
    assert not (tmp_path / "archive").exists()
