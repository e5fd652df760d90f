"""A process that helps with reading: what it reads is what is read without it, whatever becomes of it."""

import asyncio
import os
import signal
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

import pytest
from places import FIXTURES, spider
from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.http import HtmlResponse, Response
from scrapy.utils.project import get_project_settings
from server import article_url, cna_page, crawl, reply, serving

from newsarchive.article import Article, Refused
from newsarchive.fixture import load
from newsarchive.read_process import AHEAD, PageReader

PAGE = HtmlResponse("https://www.cna.com.tw/news/ahel/202401150001.aspx", body=cna_page("202401150001").encode())


def saved() -> list[Response]:
    pages = [fixture for fixture in load(FIXTURES / "cna") if fixture.is_article and fixture.page.stat().st_size]
    meta = {"captured": pages[0].fetched}
    return [fixture.response().replace(request=Request(fixture.url, meta=meta)) for fixture in pages]


async def read(reader: PageReader, response: Response) -> Article | str:
    try:
        return await reader.read(response)
    except Refused as refusal:
        return str(refusal)


async def opened() -> PageReader:
    crawler = Crawler(type(spider("cna")), get_project_settings())
    crawler.spider = type(spider("cna")).from_crawler(crawler)
    reader = PageReader.from_crawler(crawler)
    await reader.open()
    while not reader.pages:
        await asyncio.sleep(0.01)
    return reader


def test_every_fixture_is_read_alike_with_and_without_it() -> None:
    async def both() -> tuple[list[Article | str], list[Article | str]]:
        reader = await opened()
        helped = await asyncio.gather(*(read(reader, response) for response in saved()))
        await reader.close()
        assert reader.process
        assert not reader.pages
        return helped, [await read(reader, response) for response in saved()]

    helped, alone = asyncio.run(both())
    assert helped == alone
    assert {type(found).__name__ for found in helped} == {"str", "Article"}


@pytest.mark.parametrize("busy", [1, AHEAD, 3 * AHEAD])
def test_its_end_is_nobodys_loss(busy: int) -> None:
    async def killed() -> list[Article | str]:
        reader = await opened()
        reading = [asyncio.create_task(read(reader, PAGE)) for _ in range(busy)]
        await asyncio.sleep(0)
        assert reader.process
        reader.process.kill()
        found = await asyncio.gather(*reading, read(reader, PAGE))
        await reader.close()
        return found

    titles = [getattr(found, "title", found) for found in asyncio.run(killed())]
    assert titles == ["河岸新步道今天開放"] * (busy + 1)


def test_it_goes_on_where_a_crawl_is_interrupted_and_ends_with_it() -> None:
    async def asked() -> tuple[Article | str, int | None]:
        reader = await opened()
        assert reader.process
        assert reader.process.pid
        os.kill(reader.process.pid, signal.SIGINT)
        found = await read(reader, PAGE)
        assert reader.pages
        reader.pages.abort()
        await asyncio.to_thread(reader.process.join)
        return found, reader.process.exitcode

    found, status = asyncio.run(asked())
    assert isinstance(found, Article)
    assert found.ready, "the process read it"
    assert status == 0


def test_it_holds_nothing_of_the_crawl(tmp_path: Path) -> None:
    async def held() -> list[str]:
        with (tmp_path / "lock").open("w") as lock:
            flock(lock, LOCK_EX)
            reader = await opened()
        assert reader.process
        files = [str(entry.readlink()) for entry in Path(f"/proc/{reader.process.pid}/fd").iterdir()]
        with (tmp_path / "lock").open("w") as lock:
            flock(lock, LOCK_EX | LOCK_NB)
        await reader.close()
        return files

    files = asyncio.run(held())
    assert len([file for file in files if file.startswith("pipe:")]) >= 2
    assert not [file for file in files if "epoll" in file or "lock" in file]


@pytest.mark.parametrize("helped", [True, False])
def test_a_crawl_of_several_at_a_time(tmp_path: Path, helped: bool) -> None:
    ids = [f"2024011500{number:02}" for number in range(40)]
    with serving() as server:
        for id in ids:
            server.answer(article_url(id), reply(cna_page(id)))
        done = crawl(server, tmp_path, *map(article_url, ids), CONCURRENT_REQUESTS=4, READ_PROCESS=helped)
    assert (done.status, set(done.ended.values())) == (0, {"article"})
    assert len(done.posts) == len(ids)
