"""Zip files in parts: all members, once each and by name, whatever the file is like and however large it is."""

import io
import warnings
import zipfile
from pathlib import Path

import pytest

from newsarchive.importing import sources, zip_parts
from newsarchive.importing.zip_parts import parts


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let three members be a part."""
    monkeypatch.setattr(zip_parts, "MEMBERS", 3)


def zipped(*names: str, comment: bytes = b"") -> bytes:
    """Return a zip file whose members hold their names."""
    file = io.BytesIO()
    # Older writers have written some members twice.
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore", UserWarning)
        archive.comment = comment
        for name in names:
            archive.writestr(name, name.encode())
    return file.getvalue()


def held(content: bytes) -> list[list[tuple[str, bytes]]]:
    """Return names and contents, part by part."""
    return [[(info.filename, part.read(info)) for info in part.infolist()] for part in parts(io.BytesIO(content))]


NAMES = [f"_posts/{n}-標題.md" for n in (5, 3, 0, 6, 1, 4, 2)]


@pytest.mark.parametrize("before", [b"", b"#!/bin/sh\n" * 9])
@pytest.mark.parametrize("comment", [b"", b"a comment " * 6_553])
@pytest.mark.parametrize("large", [False, True])
def test_members_are_read_by_name(monkeypatch: pytest.MonkeyPatch, before: bytes, comment: bytes, large: bool) -> None:
    """Whether something precedes the file or ends it, and however its directory states where it lies."""
    if large:
        monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    content = zipped(*NAMES, comment=comment)
    assert (b"PK\6\6" in content) is large
    found = held(before + content)
    assert [len(part) for part in found] == [3, 3, 1]
    assert [member for part in found for member in part] == [(name, name.encode()) for name in sorted(NAMES)]


def test_a_name_that_comes_twice_is_two_members() -> None:
    assert [len(part) for part in held(zipped("a.md", "a.md", "b.md", "a.md"))] == [3, 1]


def test_a_file_without_members_has_no_parts() -> None:
    assert held(zipped()) == []


def test_a_name_that_is_not_written_as_it_says_costs_no_other_member(tmp_path: Path) -> None:
    content = zipped(*NAMES).replace("5-標題".encode(), "5-標".encode() + b"\xff\xff\xff")
    (tmp_path / "x.zip").write_bytes(content)
    found = list(sources.files(tmp_path / "x.zip"))
    assert {one.name for one in found if not one.refusal} == {*NAMES} - {NAMES[0]}
    assert [one.refusal.reason for one in found if one.refusal] == ["damaged-archive"]


def test_a_member_without_a_name_costs_no_other_member(tmp_path: Path) -> None:
    content = bytearray(zipped("a.md", "x", "b.md"))
    for header, length in ((b"PK\3\4", 26), (b"PK\1\2", 28)):
        second = content.index(header, content.index(header) + 1)
        # Its name is an extra field now.
        content[second + length : second + length + 4] = b"\0\0\1\0"
    (tmp_path / "x.zip").write_bytes(content)
    found = {one.name: one.refusal.reason if one.refusal else "" for one in sources.files(tmp_path / "x.zip")}
    assert found == {"": "no-file", "a.md": "", "b.md": ""}


def test_no_part_names_more_members_than_it_may(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(zipped(*(f"{n:03}.md" for n in range(200))))
    with (tmp_path / "x.zip").open("rb") as file:
        assert {len(part.infolist()) for part in parts(file)} == {3, 2}


@pytest.mark.parametrize("cut", [1, 21, 22, 100, 500])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, cut: int) -> None:
    content = zipped(*NAMES)
    with pytest.raises(zipfile.BadZipFile):
        held(content[:-cut])


def test_of_a_damaged_directory_what_it_names_before_is_read(tmp_path: Path) -> None:
    content = zipped(*NAMES)
    fourth = [at for at in range(len(content)) if content.startswith(b"PK\1\2", at)][3]
    (tmp_path / "x.zip").write_bytes(content[:fourth] + b"??" + content[fourth + 2 :])
    *found, last = sources.files(tmp_path / "x.zip")
    assert [one.name for one in found] == sorted(NAMES[:3])
    assert last.refusal
    assert (last.name, last.refusal.reason) == ("x.zip", "damaged-archive")
    assert "the 3 members that it names before were read" in str(last.refusal)


def test_a_size_that_does_not_fit_is_refused() -> None:
    content = bytearray(zipped(*NAMES))
    content[-10:-6] = b"\xff\xff\xff\x7f"
    with pytest.raises(zipfile.BadZipFile, match="cut off"):
        held(bytes(content))


@pytest.mark.parametrize("flip", range(0, 1200, 7))
def test_no_damage_ends_the_reading_of_a_file_otherwise_than_with_a_reason(tmp_path: Path, flip: int) -> None:
    content = bytearray(zipped(*NAMES))
    content[flip % len(content)] ^= 0xFF
    (tmp_path / "x.zip").write_bytes(content)
    if zipfile.is_zipfile(tmp_path / "x.zip"):
        for candidate in sources.files(tmp_path / "x.zip"):
            assert candidate.refusal or candidate.content in {name.encode() for name in NAMES}
