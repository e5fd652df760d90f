"""Whatever a publisher breaks in a known page, the page is refused or read as before."""

from collections.abc import Callable, Iterator

import pytest
from mutation import poorer
from places import FIXTURES, spider

from newsarchive.fixture import Fixture, load

#: What a page says in one place only: cut out whole, without a trace, it cannot be missed. None of them is a
#: change of layout: the same elements renamed are noticed.
SAID_ONCE = (
    # Keywords of early 2023, which no post shows.
    "cna/early-2023: '.articlekeywordGroup' removed",
    *(f"cna/early-2023: '.articlekeywordGroup > *' {which}removed" for which in ("", "first ", "last ")),
    # One of several pictures within a text whose page has no state.
    "dw/amp: 'figure' last removed",
    "dw/classic: '.picBox' last removed",
    "dw/classic-german: '.picBox' last removed",
    "dw/classic-press-review: '.picBox' last removed",
    # Somebody's post that is quoted in a text.
    "rfi/quoted-post: 'div.m-em-flash' removed",
)


def pages() -> Iterator[object]:
    """Yield every fixture that is a page, whether it is read or refused."""
    for folder in sorted(FIXTURES.iterdir()):
        for fixture in load(folder):
            headers, page = fixture.expected.get("headers", {}), fixture.page.read_bytes()
            plain = fixture.expected.get("status", 200) == 200 and "Content-Encoding" not in headers
            if plain and fixture.is_article and page.lstrip().startswith(b"<"):
                yield pytest.param(folder.name, fixture, id=f"{folder.name}/{fixture.name}")


@pytest.mark.parametrize(("publisher", "fixture"), list(pages()))
def test_no_attack_makes_a_poorer_article(
    publisher: str, fixture: Fixture, record_property: Callable[[str, object], None]
) -> None:
    number, bad = poorer(spider(publisher), fixture, fixture.page.read_bytes())
    missed = [line for line in bad if f"{publisher}/{line}".startswith(SAID_ONCE)]
    record_property("total:attacks on pages", number)
    record_property("total:of them noticed, or without effect", number - len(bad))
    record_property("total:of them on what a page says in one place only", len(missed))
    assert [line for line in bad if line not in missed] == []
    listed = [entry for entry in SAID_ONCE if entry.startswith(f"{publisher}/{fixture.name}: ")]
    assert [entry for entry in listed if not any(f"{publisher}/{line}".startswith(entry) for line in missed)] == []
    assert number > 0
