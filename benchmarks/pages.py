"""Article pages for benchmarks: in the proportions of real ones, each with an address and a text of its own.

A fixture has the elements of a real page, one by one, but what was in its scripts, styles and comments is left out,
and some white space. Here all that is made up for, in the shares that it has in real pages, until a page is as long
as asked. ``python -m benchmarks.pages FILE…`` tells how long real pages take to read, next to these.
"""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, reduce
from gzip import compress
from itertools import cycle, islice
from pathlib import Path
from random import Random
from time import perf_counter

from scrapy.http import HtmlResponse
from scrapy.spiderloader import get_spider_loader
from scrapy.utils.misc import load_object
from scrapy.utils.project import get_project_settings

from newsarchive.commands.read import address
from newsarchive.extract import parse
from newsarchive.fixture import Fixture

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "cna"
EMPTY = {
    "comment": re.compile(rb"(<!--)(-->)"),
    "script": re.compile(rb"(<script(?![^>]*\bsrc=)[^>]*>)(</script>)"),
    "style": re.compile(rb"(<style[^>]*>)(</style>)"),
}
#: Scripts and style sheets of a page are of very different length.
WEIGHTS = (1, 2, 1, 12, 1, 4)
SENTENCE = re.compile("[^。<>]{12,}。")


@dataclass(frozen=True)
class Layout:
    """A fixture, and which shares of a page's bytes are what the fixture lacks; white space is the rest."""

    fixture: str
    comment: float
    script: float
    style: float


#: As in real pages of 105 to 108 kB.
BEFORE_2018 = Layout("before-2018.html", comment=0.03, script=0.145, style=0.005)
#: As in real pages of 200 to 319 kB.
SINCE_2023 = Layout("since-2023.html", comment=0, script=0.03, style=0.33)


@dataclass(frozen=True, slots=True)
class Page:
    """A page as a publisher serves it."""

    url: str
    body: bytes


def lines(kind: str, chance: Random) -> Iterator[bytes]:
    """Yield lines of a comment, a script or a style sheet, without end."""
    while True:
        one, two, three = (chance.randrange(1000) for _ in range(3))
        yield {
            "comment": f"區塊 {one} ",
            "script": f"  if (options['k{one}'] < {two}) {{ $('#slot_{three}').on('click', function (e) {{ show({one}, "
            f'"ad-{two}"); }}); }}\n',
            "style": f".box-{one} .m{two}>li{{margin:{three}px 0;color:#{one * two:06x};display:block}}\n",
        }[kind].encode()


def words(kind: str, size: int, chance: Random) -> bytes:
    """Return so many bytes of a comment, a script or a style sheet; whole lines and spaces."""
    found = b""
    for line in lines(kind, chance):
        if len(found) + len(line) > size:
            return found.ljust(size)
        found += line
    raise AssertionError("lines end")


def filled(page: bytes, kind: str, size: int) -> bytes:
    """Return a page with so many bytes in its empty comments, scripts or styles."""
    chance, count = Random(size), len(EMPTY[kind].findall(page))
    weights = list(islice(cycle(WEIGHTS if kind != "comment" else (1,)), count))
    pieces = iter([words(kind, size * weight // sum(weights), chance) for weight in weights])
    return EMPTY[kind].sub(lambda empty: next(pieces).join(empty.groups()), page)


@cache
def template(layout: Layout, size: int) -> bytes:
    """Return the page of a fixture with what it lacks, so many bytes long; raise ValueError if it is longer."""
    page = (FIXTURES / layout.fixture).read_bytes()
    for kind in EMPTY:
        page = filled(page, kind, int(getattr(layout, kind) * size))
    if len(page) > size:
        raise ValueError(f"{layout.fixture} has {len(page)} bytes")
    indent, more = divmod(size - len(page), page.count(b"\n"))
    first, *rest = page.split(b"\n")
    return first + b"".join(b"\n" + b" " * (indent + (line < more)) + text for line, text in enumerate(rest))


@cache
def facts(layout: Layout) -> tuple[str, str, str, tuple[str, ...]]:
    """Return what is a page's own: its address, its id, its title and the sentences of its text."""
    expected = Fixture.of(FIXTURES / layout.fixture).expected
    article = expected["article"]
    sentences = tuple(dict.fromkeys(SENTENCE.findall(article["body"])))
    return expected["url"], article["id"], article["title"], sentences


def make(layout: Layout, size: int, number: int) -> Page:
    """Return the page with a number below 10,000: as long as asked, a few bytes more or less."""
    url, known, title, sentences = facts(layout)
    own, chance = f"{known[:8]}{number:04}", Random(number)
    page = template(layout, size).decode().replace(known, own).replace(title, f"{title} {number:04}")
    for sentence in sentences:
        page = page.replace(sentence, "".join(chance.sample(sentence[:-1], len(sentence) - 1)) + "。")
    return Page(url.replace(known, own), page.encode())


def fastest(run: Callable[[], object], rounds: int = 50) -> float:
    """Return the milliseconds of the fastest round."""
    took = []
    for _ in range(rounds):
        start = perf_counter()
        run()
        took.append(perf_counter() - start)
    return min(took) * 1000


def told(name: str, page: Page) -> str:
    """Return a line that says how long parsing a page takes, and reading it until it can be published."""
    settings = get_project_settings()
    spider = get_spider_loader(settings).load("cna")()
    steps = [spider.read, *map(load_object, settings.getlist("READ_STEPS"))]
    size = len(page.body) / 1000
    parsed = fastest(lambda: parse(page.body))
    read = fastest(lambda: reduce(lambda found, step: step(found), steps, HtmlResponse(page.url, body=page.body)))
    times = f"{parsed:9.2f} ms{read:9.2f} ms{parsed / size * 100:9.3f} ms{read / size * 100:9.3f} ms"
    return f"{size:7.0f} kB{len(compress(page.body, 6)) / 10 / size:6.0f} %{times}   {name}"


def main(files: list[str]) -> None:
    """Print how long real pages and made ones take."""
    print(f"{'size':>10}{'gzip':>8}{'parse':>12}{'read':>12}{'parse/100 kB':>12}{'read/100 kB':>12}")
    for file in map(Path, files):
        body = file.read_bytes()
        print(told(file.name, Page(address(body), body)))
    for layout, size in ((BEFORE_2018, 100_000), (SINCE_2023, 200_000), (SINCE_2023, 300_000)):
        print(told(f"made of {layout.fixture}", make(layout, size, 1)))


if __name__ == "__main__":
    main(sys.argv[1:])
