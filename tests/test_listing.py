"""Listings of every kind give the addresses they name, with the times they state."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from places import SHARED, needs_shared, spider
from scrapy.http import HtmlResponse, Response, XmlResponse

from newsarchive.article import Refused
from newsarchive.listing import Link, read_listing

NOON = datetime(2023, 8, 23, 4, tzinfo=UTC)
URL = "https://www.cna.com.tw/news/aopl/202308230001.aspx"


def read(body: str) -> list[Link]:
    return read_listing(XmlResponse("https://www.cna.com.tw/listing", body=body.encode()))


NEWS = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:n="http://www.google.com/schemas/sitemap-news/0.9"'


@pytest.mark.parametrize(
    ("body", "links"),
    [
        (
            f"<urlset {NEWS}><url><loc> {URL} </loc><n:news>"
            "<n:publication_date>2023-08-23T12:00:00+08:00</n:publication_date></n:news></url><url><loc/></url></urlset>",
            [Link(URL, NOON)],
        ),
        (f"<urlset {NEWS}><url><loc>{URL}</loc><lastmod>2023-08-23</lastmod></url></urlset>", [Link(URL)]),
        (
            f"<rss version='2.0'><channel><item><link>{URL}</link>"
            "<pubDate>Wed, 23 Aug 2023 12:00:00 +0800</pubDate></item>"
            "<item><title>no link</title></item></channel></rss>",
            [Link(URL, NOON)],
        ),
        (
            f"<feed xmlns='http://www.w3.org/2005/Atom'><entry><link href='{URL}'/>"
            "<updated>2023-08-23T04:00:00Z</updated></entry></feed>",
            [Link(URL, NOON)],
        ),
        (
            "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns='http://purl.org/rss/1.0/'"
            f" xmlns:dc='http://purl.org/dc/elements/1.1/'><item><link>{URL}</link>"
            "<dc:date>2023-08-23T04:00:00Z</dc:date></item></rdf:RDF>",
            [Link(URL, NOON)],
        ),
        (
            "<!DOCTYPE html><html><body><a href='/news/aopl/202308230001.aspx'>x</a><a>no address</a></body></html>",
            [Link(URL)],
        ),
    ],
)
def test_listing(body: str, links: list[Link]) -> None:
    assert read(body) == links


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not xml",
        f"<urlset {NEWS}><url><loc>{URL}</loc></url>",
        "<opml version='2.0'/>",
        "<?xml version='1.0'?><!DOCTYPE r [<!ENTITY a 'x'><!ENTITY b '&a;&a;&a;'>]><r>&b;</r>",
    ],
)
def test_what_is_no_listing_is_refused(body: str) -> None:
    with pytest.raises(Refused):
        read(body)


def test_nothing_outside_a_listing_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(URL)
    body = f"<!DOCTYPE u [<!ENTITY e SYSTEM 'file://{secret}'>]><urlset {NEWS}><url><loc>&e;</loc></url></urlset>"
    assert read(body) == []


def test_each_article_once_and_no_other_page() -> None:
    body = (
        f"<html><body>{''.join(f'<a href={href}>' for href in (URL, URL + '?topic=421', '/list/aopl.aspx', '/about/'))}"
    )
    response: Response = HtmlResponse("https://www.cna.com.tw/list/aopl.aspx", body=body.encode())
    assert spider("cna").links(response) == [Link(URL)]
    with pytest.raises(Refused, match="empty-listing"):
        spider("cna").links(HtmlResponse("https://www.cna.com.tw/", body=b"<html><body>nothing"))


@needs_shared
@pytest.mark.parametrize(
    ("publisher", "file", "number", "dated"),
    [
        ("cna", "cna-news-sitemap.xml", 1, 1),
        ("cna", "cna-list-2014-12-13.html", 123, 0),
        ("dw", "rss-chi-all.2015-03-16.greatfire.rss", 85, 85),
        ("dw", "rss-en-all.2026-09-10.excerpt.xml", 3, 3),
    ],
)
def test_real_listings(publisher: str, file: str, number: int, dated: int) -> None:
    body = (SHARED / "feeds" / file).read_bytes()
    kind = HtmlResponse if file.endswith("html") else XmlResponse
    links = spider(publisher).links(kind("https://www.cna.com.tw/list/aall-1.aspx", body=body))
    assert (len(links), sum(link.announced is not None for link in links)) == (number, dated)
    assert len({spider(publisher).key(link.url) for link in links}) == number
