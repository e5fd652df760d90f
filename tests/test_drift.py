"""Whatever a publisher breaks in a known page, the page is refused or read as before."""

from collections.abc import Iterator

import pytest
from mutation import poorer
from places import FIXTURES, spider
from scrapy.http import TextResponse

from newsarchive.fixture import Fixture, load

#: The only field that some pages state once and that no post shows: CNA's keywords of early 2023.
STATED_ONCE = ("cna/early-2023: '.articlekeywordGroup'", "cna/early-2023: '.keywordTag > a'")


def pages() -> Iterator[object]:
    """Yield every fixture of an article that is whole, or that a page itself gives away as none."""
    for folder in sorted(FIXTURES.iterdir()):
        for fixture in load(folder):
            if fixture.page.suffix == ".html" and isinstance(fixture.response(), TextResponse) and not fixture.listing:
                yield pytest.param(folder.name, fixture, id=f"{folder.name}/{fixture.name}")


@pytest.mark.parametrize(("publisher", "fixture"), list(pages()))
def test_no_attack_makes_a_poorer_article(publisher: str, fixture: Fixture) -> None:
    number, bad = poorer(spider(publisher), fixture, fixture.page.read_bytes())
    bad = [f"{publisher}/{line}" for line in bad if not f"{publisher}/{line}".startswith(STATED_ONCE)]
    print(f"{publisher}/{fixture.name}: {number - len(bad)} of {number} attacks refused or without effect")
    assert bad == []
    assert number > 0
