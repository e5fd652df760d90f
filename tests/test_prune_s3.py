"""Captures on S3: moved there, read there, brought back, with credentials that nobody else sees."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import orjson
import pytest
import tools
from server import ROOT, cna_page
from test_prune import call
from test_verify import FILE, FIRST, IDS, LATER, SECOND, changed, contents, dump, settings_for, write_run

from newsarchive.commands.prune import Command as Prune
from newsarchive.commands.verify import Command as Verify
from newsarchive.elsewhere import reached
from newsarchive.recover import recover

s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed: pip install -e '.[s3]'")

KEY, SECRET = "AKIDforthetests", "notreallyasecret"
PLACE = "s3://cold-news/captures of/a newsroom"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with tools.s3(tmp_path_factory.mktemp("moto")) as port:
        url = f"http://127.0.0.1:{port}"
        store(url).mkdir("cold-news")
        yield url


def store(url: str) -> Any:
    """Return the store as this test sees it."""
    options = {"endpoint_url": url, "key": KEY, "secret": SECRET, "client_kwargs": {"region_name": "eu-central-1"}}
    return s3fs.S3FileSystem(**options, skip_instance_cache=True, use_listings_cache=False)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    archive = tmp_path / "archive"
    archive.mkdir()
    write_run(archive, FIRST, {id: cna_page(id) for id in IDS})
    write_run(archive, SECOND, {IDS[2]: changed(IDS[2])}, known=(IDS[2],))
    assert len(list(recover(settings_for(archive), "cna"))) == 2
    return archive


def prune(archive: Path, *arguments: object) -> tuple[int, str]:
    return call(Prune(), archive, arguments)


def verify(archive: Path, *arguments: object) -> tuple[int, str]:
    return call(Verify(), archive, arguments)


@pytest.fixture
def configured(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell fsspec in this process where the store is, as its configuration files do."""
    answers_at(endpoint, monkeypatch)


def answers_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reached._down.clear()
    told = {"endpoint_url": url, "key": KEY, "secret": SECRET, "client_kwargs": {"region_name": "eu-central-1"}}
    monkeypatch.setitem(fsspec.config.conf, "s3", told)


def scrapy(archive: Path, url: str, *arguments: object) -> tuple[int, str]:
    """Run a command as users do, with credentials in the environment; return its exit status and what it printed."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    told = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "eu-central-1"}
    told |= {"FSSPEC_S3_ENDPOINT_URL": url, "AWS_MAX_ATTEMPTS": "1", "HOME": str(archive.parent)}
    words = [sys.executable, "-m", "scrapy", *map(str, arguments), "-s", f"ARCHIVE_DIR={archive}"]
    done = subprocess.run(
        words, cwd=ROOT, env={**kept, **told}, capture_output=True, text=True, timeout=600, check=False
    )
    said = done.stdout + done.stderr
    assert SECRET not in said
    return done.returncode, said


def test_half_of_the_captures_on_s3(archive: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    posts, index, before = contents(archive / "_posts"), dump(archive), (archive / FILE).read_bytes()
    (archive / LATER).rename(archive.parent / "later")
    status, told = scrapy(archive, endpoint, "prune", "--to", PLACE, "--older", "0d")
    (archive.parent / "later").rename(archive / LATER)
    assert status == 0, told
    there = store(endpoint)
    assert there.cat(f"{PLACE}/{FILE}") == before
    note = (archive / f"{FILE}.moved").read_bytes()
    assert SECRET.encode() not in note
    assert KEY.encode() not in note
    assert orjson.loads(note)["etag"] == there.info(f"{PLACE}/{FILE}")["ETag"].strip('"')

    shutil.rmtree(archive / "_posts")
    (archive / "index.sqlite").unlink()
    status, told = scrapy(archive, endpoint, "replay", archive / "captures")
    assert status == 0, told
    assert contents(archive / "_posts") == posts
    assert [row for row in dump(archive) if row[0] != "runs"] == [row for row in index if row[0] != "runs"]

    answers_at(endpoint, monkeypatch)
    for arguments in ((), ("--moved",), ("--sample", "50%", "--seed", "1")):
        status, told = verify(archive, *arguments)
        assert status == 0, told


@pytest.mark.usefixtures("configured")
def test_what_s3_loses_or_alters(archive: Path, endpoint: str) -> None:
    place = f"{PLACE}/altered"
    assert prune(archive, "--to", place, "--older", "0d")[0] == 0
    there = store(endpoint)
    content = there.cat(f"{place}/{FILE}")
    there.pipe(f"{place}/{FILE}", content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
    there.rm(f"{place}/{LATER}")
    status, told = verify(archive)
    assert status == 1
    assert f"WRONG {FILE}: offset 0: its bytes are not those that were moved" in told
    assert f"WRONG {LATER}: was moved to {place}/captures/cna, and is not there any more" in told
    status, told = prune(archive, "--restore")
    assert status == 1
    assert f"FAILED {FILE}: what lies at {place}/{FILE} is not what was moved: its SHA-256 is another" in told
    there.pipe(f"{place}/{FILE}", content)
    status, told = prune(archive, "--restore", FILE)
    assert status == 0, told
    assert (archive / FILE).read_bytes() == content


@pytest.mark.usefixtures("configured")
def test_notes_are_made_again_from_s3(archive: Path) -> None:
    place = f"{PLACE}/adopted"
    assert prune(archive, "--to", place, "--older", "0d")[0] == 0
    notes = {name: content for name, content in contents(archive).items() if name.endswith(".moved")}
    for name in notes:
        (archive / name).unlink()
    status, told = prune(archive, "--adopt", place)
    assert status == 0, told
    assert {name: content for name, content in contents(archive).items() if name.endswith(".moved")} == notes


def test_nobody_answers(archive: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    index, nobody = dump(archive), "http://127.0.0.1:9"
    status, told = scrapy(archive, nobody, "prune", "--to", PLACE, "--older", "0d")
    assert status == 1
    assert "stopped: " in told
    assert (archive / FILE).exists()
    answers_at(endpoint, monkeypatch)
    assert prune(archive, "--to", f"{PLACE}/silent", "--older", "0d")[0] == 0
    answers_at(nobody, monkeypatch)
    status, told = verify(archive, "--repair")
    assert status == 1
    assert "WRONG captures/cna: 2 capture files " in told
    assert dump(archive) == index


@pytest.mark.usefixtures("configured")
def test_no_such_bucket(archive: Path) -> None:
    status, told = prune(archive, "--to", "s3://no-such-bucket", "--older", "0d")
    assert status == 1
    assert "bucket does not exist" in told
    assert (archive / FILE).exists()
