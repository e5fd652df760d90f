"""The page and the chart of an archive's status, and what the real Chromium makes of them."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from time import process_time

import pytest
from browser import Browser, browsing
from lxml import etree, html
from test_status import HOSTILE
from years import DAY, HOUR, NOW, Publisher, archive

from newsarchive.coverage import Span
from newsarchive.health import Thresholds
from newsarchive.status import Days, Overview, chart, overview, page
from newsarchive.status.chart import COLOURS, ROW, blocks

SVG = {"svg": "http://www.w3.org/2000/svg"}
WIDTHS, SCHEMES = (400, 1400), ("light", "dark")
#: Days back from now, and hours, of which nothing is known.
GAPS = ((2.5, 9), (60, 50))
NAMES = {"cna": ("中央社", "zh-Hant"), "dw": (HOSTILE, ""), "rfi": ("法广", "zh-Hans")}


def misread(account: dict[str, object], hours: int) -> None:
    if hours <= 3:
        account["listings"] = [{"url": f"https://www.dw.com/{HOSTILE}", "failed": HOSTILE}]
        account["unfinished"] = [{"url": f"javascript:alert(1)//{HOSTILE}", "since": "2026-11-20T10:00", "reason": "x"}]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Overview:
    folder = archive(
        tmp_path_factory.mktemp("pages") / "archive",
        Publisher("cna", 9, days=330, gaps=GAPS),
        Publisher("dw", 2, days=40, accounts=7, harm=misread),
        Publisher("rfi", 1, days=500, accounts=7),
    )
    return overview(folder, NAMES, NOW, Thresholds(), NOW.date() - timedelta(days=365))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def file(told: Overview, tmp_path: Path) -> Path:
    (tmp_path / "status.html").write_bytes(page(told))
    return tmp_path / "status.html"


def days(counts: dict[date, int], *gaps: Span, length: int = 366, begins: int = 366) -> Days:
    last = NOW.date()
    return Days(last - timedelta(days=length - 1), last, last - timedelta(days=begins - 1), counts, gaps)


@pytest.mark.parametrize(
    ("most", "bounds"),
    [
        (1, (1, 2, 3, 4, 5)),
        (4, (1, 2, 3, 4, 5)),
        (9, (1, 2, 4, 6, 8)),
        (430, (1, 100, 200, 300, 400)),
        (500, (1, 200, 400, 600, 800)),
    ],
)
def test_classes_of_days_are_round_and_hold_most_days(most: int, bounds: tuple[int, ...]) -> None:
    last = NOW.date()
    found = days({last - number * DAY: max(most - number % 3, 1) for number in range(366)})
    assert found.bounds == bounds
    assert [day.level for day in found if not day.articles] == []
    assert days({}).bounds == (1, 2, 3, 4, 5)


def test_each_day_is_in_its_class_and_gaps_are_where_they_are() -> None:
    last = NOW.date()
    gap = Span(datetime.fromisoformat("2026-11-18T22:00Z"), datetime.fromisoformat("2026-11-20T01:30Z"))
    found = list(days({last: 3, last - DAY: 400, last - 5 * DAY: 100}, gap, length=9, begins=6))
    assert [day.level for day in found] == [None, None, None, 2, 0, 0, 0, 5, 1]
    assert [day.gap / HOUR for day in found] == [0, 0, 0, 0, 0, 0, 2, 24, 1.5]


@pytest.mark.parametrize("length", [1, 7, 366, 372, 379, 3653])
@pytest.mark.parametrize("weeks", [28, ROW])
def test_blocks_hold_each_day_once(length: int, weeks: int) -> None:
    found = days({}, length=length, begins=length)
    drawn = blocks(found, weeks)
    assert [day for block in drawn for day in block.days] == list(found)
    assert all(block.monday.weekday() == 0 and block.weeks <= weeks for block in drawn)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_colours_hold_in_black_and_white(scheme: str) -> None:
    ground, ink, faint, frame, hatch, *levels = COLOURS[scheme]
    steps = [contrast(one, other) for one, other in zip([ground, *levels], levels, strict=False)]
    assert min(steps) > 1.3
    assert [contrast(ground, level) for level in levels] == sorted(contrast(ground, level) for level in levels)
    assert min(contrast(ground, ink), contrast(ground, faint)) >= 4.5
    assert contrast(ground, frame) >= 3
    # Of the two lines of the hatching, one is seen on each class.
    assert all(max(contrast(level, hatch), contrast(level, ground)) >= 3 for level in (ground, *levels))


def test_the_chart_is_whole_and_says_each_day(told: Overview) -> None:
    root = etree.fromstring(chart(told))
    assert root.get("role") == "img"
    names = {part.get("id"): part.text for part in root.iterfind("svg:*[@id]", SVG)}
    assert root.get("aria-labelledby").split() == ["title", "about"]
    assert "中央社: " in names["about"]
    assert "may be incomplete" in names["about"]
    said = [title.text for title in root.iterfind(".//svg:title", SVG) if title.get("id") is None]
    assert len(said) == 3 * 366
    for held in told.publishers:
        for day, number in held.days.counts.items():
            text = f"{day:%Y-%m-%d} {day:%a}: {number} article{'s' if number != 1 else ''}"
            assert any(one.startswith(text) for one in said), text
    gaps = root.findall(".//svg:g[@class='gap']", SVG)
    assert len(gaps) == len(told.publishers[0].days.missing) == 4
    for gap in gaps:
        assert "may be incomplete" in gap.find("svg:title", SVG).text
        assert [rect.get("fill") for rect in gap.iterfind("svg:rect", SVG)] == [None, "url(#gap)"]
    before = list(root.iterfind(".//svg:circle[svg:title]", SVG))
    assert all("before the archive begins" in dot.find("svg:title", SVG).text for dot in before)
    assert len(before) == sum(max((held.days.begins - held.days.first).days, 0) for held in told.publishers) == 360
    assert not root.findall(".//svg:script", SVG)


def test_ten_years_are_drawn_in_no_time_and_no_room(told: Overview) -> None:
    last = NOW.date()
    counts = {last - number * DAY: 30 + number % 9 for number in range(3653)}
    gaps = [Span(NOW - number * 7 * DAY - HOUR, NOW - number * 7 * DAY) for number in range(500)]
    long = replace(told, publishers=[replace(held, days=days(counts, *gaps, length=3653)) for held in told.publishers])
    began = process_time()
    drawn, shown = chart(long), page(long)
    assert process_time() - began < 4
    assert len(drawn) < 2_000_000
    assert len(shown) < 2_500_000
    root = etree.fromstring(drawn, etree.XMLParser(huge_tree=True))
    rows = [text.text for text in root.iterfind(".//svg:text", SVG) if re.fullmatch("Jan ’[0-9]{2}", text.text or "")]
    assert rows[:10] == [f"Jan ’{year}" for year in range(17, 27)]


def test_the_same_is_told_in_the_same_bytes(told: Overview) -> None:
    again = overview(told.archive, NAMES, NOW, Thresholds(), told.publishers[0].days.first)
    # Others use the disk meanwhile.
    again = replace(again, disk=told.disk)
    assert (page(again), chart(again)) == (page(told), chart(told))


def test_words_from_outside_run_nowhere(told: Overview) -> None:
    text = page(told).decode()
    root = html.fromstring(text)
    assert not root.xpath("//script | //link | //img | //iframe | //object | //base | //form | //@onload | //@onclick")
    assert {re.match(r"https?://|#", address)[0] for address in root.xpath("//@href")} <= {"https://", "http://", "#"}
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert root.xpath("//h2[contains(., 'alert(1)')]")
    etree.fromstring(chart(told))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_page_fits_and_can_be_read(browser: Browser, file: Path, width: int, scheme: str) -> None:
    browser.open(file, width, scheme)
    assert browser.asked == [file.as_uri()]
    assert browser.complaints == []
    browser.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert browser.evaluate("document.scrollingElement.scrollWidth") == width
    unseen = browser.evaluate(f"({UNREADABLE})()")
    assert unseen["seen"] > 200
    assert unseen["problems"] == []
    is_dark = browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"
    assert is_dark == (scheme == "dark")
    cells = browser.evaluate(f"({CELLS})()")
    assert cells["days"] == cells["told"] == 3 * 366
    assert (cells["gaps"], cells["hatched"]) == (4, 4)
    # A cell is wide enough to be told from its neighbour.
    assert cells["least"] > 9
    assert cells["classes"] == sorted(cells["classes"], reverse=scheme == "light")
    assert browser.picture().startswith(b"\x89PNG")


def test_the_chart_follows_the_scheme(browser: Browser, told: Overview, tmp_path: Path) -> None:
    (tmp_path / "chart.svg").write_bytes(chart(told))
    for scheme in SCHEMES:
        browser.open(tmp_path / "chart.svg", 800, scheme)
        assert (browser.asked, browser.complaints) == ([(tmp_path / "chart.svg").as_uri()], [])
        fill = browser.evaluate("getComputedStyle(document.querySelector('.ground')).fill")
        assert fill == {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}[scheme]


def test_nothing_runs_on_the_page(browser: Browser, file: Path) -> None:
    """The policy of the page holds even where something got in."""
    text = file.read_text("utf-8")
    added = "<script>document.title = 'ran'</script><img src=x onerror=\"document.title = 'ran'\"></main>"
    file.write_text(text.replace("</main>", added), "utf-8")
    browser.open(file)
    assert browser.evaluate("document.title").startswith("News archive: ")
    assert browser.asked == [file.as_uri()] or [f"{file.parent.as_uri()}/x"] == browser.asked[1:]
    assert len(browser.complaints) >= 2


#: What of the text on a page has too little contrast with what lies behind it, by WCAG 2 AA.
UNREADABLE = """() => {
  const part = value => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const colour = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const contrast = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const found = colour(getComputedStyle(at).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), problems = [];
  let seen = 0;
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement, style = getComputedStyle(element);
    if (!walk.currentNode.data.trim() || ["title", "TITLE", "STYLE"].includes(element.tagName)) continue;
    if (!element.getClientRects().length) continue;
    const text = colour(element.closest("svg") ? style.fill : style.color);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const found = contrast(text, behind(element));
    seen += 1;
    if (found < (large ? 3 : 4.5)) problems.push(`${found.toFixed(2)}: ${walk.currentNode.data.trim().slice(0, 40)}`);
  }
  return {seen, problems};
}"""

#: What the cells of all days are like: how many there are, how many say what they are, how wide the narrowest is, and
#: how light the classes are.
CELLS = """() => {
  const cells = [...document.querySelectorAll(".weeks svg > rect, .weeks svg > g, .weeks svg > circle")];
  const light = name => {
    const found = document.querySelector(`.legend .${name}`);
    return getComputedStyle(found).fill.match(/\\d+/g).reduce((sum, value, at) => sum + value * [2, 7, 1][at], 0);
  };
  const gaps = cells.filter(cell => cell.matches(".gap"));
  return {
    days: cells.length,
    told: cells.filter(cell => /^\\d{4}-\\d\\d-\\d\\d/.test(cell.querySelector("title").textContent)).length,
    gaps: gaps.length,
    hatched: gaps.filter(cell => getComputedStyle(cell.lastElementChild).fill.includes("#gap")).length,
    least: Math.min(...cells.filter(cell => cell.matches("rect")).map(cell => cell.getBoundingClientRect().width)),
    classes: [1, 2, 3, 4, 5].map(number => light(`l${number}`)),
  };
}"""
