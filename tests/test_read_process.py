"""A process that helps with reading: what it reads is what is read without it, whatever becomes of it."""

import asyncio
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
    body = cna_page("202401150001").encode()
    page = HtmlResponse("https://www.cna.com.tw/news/ahel/202401150001.aspx", body=body)

    async def killed() -> list[Article | str]:
        reader = await opened()
        reading = [asyncio.create_task(read(reader, page)) for _ in range(busy)]
        await asyncio.sleep(0)
        assert reader.process
        reader.process.kill()
        found = await asyncio.gather(*reading, read(reader, page))
        await reader.close()
        return found

    titles = [getattr(found, "title", found) for found in asyncio.run(killed())]
    assert titles == ["河岸新步道今天開放"] * (busy + 1)


@pytest.mark.parametrize("helped", [True, False])
def test_a_crawl_of_several_at_a_time(tmp_path: Path, helped: bool) -> None:
    ids = [f"2024011500{number:02}" for number in range(40)]
    with serving() as server:
        for id in ids:
            server.answer(article_url(id), reply(cna_page(id)))
        done = crawl(server, tmp_path, *map(article_url, ids), CONCURRENT_REQUESTS=4, READ_PROCESS=helped)
    assert (done.status, set(done.ended.values())) == (0, {"article"})
    assert len(done.posts) == len(ids)
