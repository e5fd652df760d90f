"""What a crawl says of itself while it runs."""

import asyncio
from io import StringIO
from typing import Any

import pytest
from scrapy import Spider
from scrapy.settings import Settings
from scrapy.utils.test import get_crawler

from newsarchive import live
from newsarchive.live import LiveDisplay
from newsarchive.manners import Host, Manners

STATS = {
    "response_received_count": 30,
    "article/stored": 9,
    "article/unchanged": 11,
    "article/refused/video": 2,
    "article/failed/status-404": 1,
    "scheduler/enqueued": 50,
    "scheduler/dequeued": 32,
}
LINE = "x: 30 pages, 20 articles (9 stored, 0 revised, 11 unchanged), 3 refused or failed, 3.0 pages/s, 18 to ask"


@pytest.fixture
def display() -> LiveDisplay:
    """Return the display of a crawl that has run for ten seconds and waits for a host."""
    settings: dict[str, Any] = {"EXTENSIONS": {"newsarchive.manners.Manners": 1}, "LIVE_DISPLAY": True}
    crawler = get_crawler(Spider, settings)
    crawler.spider = Spider(name="x")
    manners = Manners(Settings(settings))
    manners.hosts = {
        "slow.example": Host(2, due=1025),
        "fast.example": Host(2, due=900),
        "gone.example": Host(2, due=9999, given_up=True),
    }
    crawler.get_extension = lambda kind: manners if kind is Manners else None
    for name, value in STATS.items():
        crawler.stats.set_value(name, value)
    found = LiveDisplay(crawler, StringIO())
    found.before = (0, 990)
    return found


def test_a_line_says_what_is_done_and_what_is_waited_for(display: LiveDisplay) -> None:
    assert display.line(1000) == f"{LINE}, slow.example in 25 s"


def shown(display: LiveDisplay) -> None:
    async def run() -> None:
        display.opened()
        display.before = (0, live.monotonic() - 10)
        while not display.stream.tell():
            await asyncio.sleep(0)
        await display.closed()

    asyncio.run(run())


def test_lines_of_the_log_where_there_is_no_terminal(
    display: LiveDisplay, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live, "EVERY", 0)
    caplog.set_level("INFO")

    async def run() -> None:
        display.opened()
        while not caplog.messages:
            await asyncio.sleep(0)
        await display.closed()

    asyncio.run(run())
    assert caplog.messages[0].startswith("x: 30 pages, 20 articles (9 stored, 0 revised, 11 unchanged)")
    assert isinstance(display.stream, StringIO)
    assert display.stream.getvalue() == ""


@pytest.mark.parametrize("settings", [{"LIVE_DISPLAY": "lines"}, {"LIVE_DISPLAY": True, "LOG_JSON": True}])
def test_nothing_renews_itself_where_others_write_too(settings: dict[str, Any]) -> None:
    crawler = get_crawler(Spider, settings)
    assert not LiveDisplay(crawler, Terminal()).renews
    assert LiveDisplay(get_crawler(Spider, {"LIVE_DISPLAY": True}), Terminal()).renews


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_that_renews_itself_on_a_terminal(display: LiveDisplay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    display.stream, display.renews = Terminal(), True
    shown(display)
    told = display.stream.getvalue()
    assert "x: 30 pages, 20 articles" in told
    assert told.endswith("\x1b[2K") or "\x1b[?25h" in told, "the terminal is left as it was"
