"""Which article an address names: every form that is known, what is no article, and articles in two scripts."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from unicodedata import normalize
from urllib.parse import quote

import pytest
from places import PUBLISHERS, saved, spider
from scrapy import Request

from newsarchive.address import canonical_url, readable_path
from newsarchive.article import Refused
from newsarchive.capture import Capture
from newsarchive.index import Entry, Index, PostTaken, Reading, TwinTaken
from newsarchive.spider import without_query

CNA, DW, RFI = (spider(name) for name in ("cna", "dw", "rfi"))
RFI_SITE = "https://www.rfi.fr/"

#: Forms of addresses, by publisher and by what tells their article from others; of RFI, without its host.
FORMS = {
    ("cna", "202301120204"): (
        "https://www.cna.com.tw/news/aopl/202301120204.aspx",
        "http://www.cna.com.tw/news/aopl/202301120204.aspx",
        "https://cna.com.tw/news/aopl/202301120204.aspx",
        "HTTPS://WWW.CNA.COM.TW/News/aCN/202301120204.ASPX",
        "https://www.cna.com.tw:443/news/aopl/202301120204.aspx",
        "http://www.cna.com.tw:80/news/aopl/202301120204.aspx",
        "https://www.cna.com.tw/news/firstnews/202301120204.aspx",
        "https://www.cna.com.tw/news/4677/202301120204.aspx",
        "https://www.cna.com.tw/amp/news/firstnews/202301120204.aspx",
        "http://www.cna.com.tw/News/aCN/202301120204-1.aspx",
        "http://www.cna.com.tw/Topic/Popular/3907-1/202301120204-1.aspx",
        "https://www.cna.com.tw/topic/popular/3907/202301120204.aspx",
        "https://www.cna.com.tw/news/aopl/202301120204.aspx?topic=421",
        "https://www.cna.com.tw/news/aopl/202301120204.aspx?utm_source=a&utm_medium=b#c",
        "https://www.cna.com.tw/news/aopl/202301120204.aspx?",
        "https://www.cna.com.tw/news/aopl/202301120204.aspx#top",
        "https://www.cna.com.tw//news//aopl//202301120204.aspx",
        "https://www.cna.com.tw/news/aopl/202301120204.aspx/",
        "https://www.cna.com.tw/news/%61opl/202301120204.aspx",
    ),
    ("cna", "201308130087"): ("http://www.cna.com.tw/News/aCN/201308130087-1.aspx",),
    ("cna", "201308130021"): ("http://www.cna.com.tw/Topic/Popular/3907-1/201308130021-1.aspx",),
    # The second series of a day.
    ("cna", "202301195004"): ("https://www.cna.com.tw/news/ahel/202301195004.aspx",),
    ("dw", "17400331"): (
        "https://www.dw.com/zh/湖边的木椅/a-17400331",
        "https://www.dw.com/zh/%E6%B9%96%E8%BE%B9%E7%9A%84%E6%9C%A8%E6%A4%85/a-17400331",
        "https://www.dw.com/zh/%e6%b9%96%e8%be%b9/a-17400331",
        "https://www.dw.com/zh-hant/湖邊的木椅/a-17400331",
        "https://www.dw.com/zh-hant/a-17400331",
        "https://www.dw.com/zh/a-17400331",
        "https://www.dw.com/a-17400331",
        "https://www.dw.com/zh/问：什么？/a-17400331",
        "https://www.dw.com/en/covid-19/a-17400331",
        "https://www.dw.com/en/a-10-miles/a-17400331",
        "https://www.dw.com/en/cafe\u0301/a-17400331",
        "https://www.dw.com/en/caf\u00e9/a-17400331",
        "https://www.dw.com/zh/湖/a-17400331/",
        "https://www.dw.com//zh//湖//a-17400331",
        "https://www.dw.com/zh/湖/a-17400331?maca=chi-rss-chi-all-1127-rdf",
        "https://www.dw.com/zh/湖/a-17400331?at_medium=a&at_campaign=b&at_share_source=c",
        "https://www.dw.com/zh/湖/a-17400331?zhongwen=trad",
        "https://www.dw.com/zh/湖/a-17400331?&zhongwen=simp",
        "https://www.dw.com/zh/湖/a-17400331#x",
        "HTTPS://WWW.DW.COM:443/ZH/湖/A-17400331",
        "http://dw.com:80/zh/湖/a-17400331",
        "http://www.dw.de/湖边的木椅/a-17400331?maca=chi-rss-chi-all-1127-rdf",
        "http://dw.de/湖/a-17400331",
        "http://m.dw.com/zh/湖/a-17400331",
        "http://m.dw.de/zh/湖/a-17400331",
        "https://amp.dw.com/zh/湖/a-17400331",
        "http://www.dw-world.de/dw/article/0,,17400331,00.html",
        "http://www.dw-world.de/dw/article/0,,17400331,00.html?maca=chi-rss-chi-all-1127-rdf",
        "http://www.dw-world.de/dw/article/9/0,,17400331,00.html",
        "http://dw-world.de/dw/article/0,2144,17400331,00.html",
        "http://www.dw.de/dw/article/0,,17400331,00.html",
        "http://www.dw-world.de/dw/article/0,,17400331_page_2,00.html",
    ),
    ("dw", "79209302"): ("https://www.dw.com/en/x/live-79209302", "https://www.dw.com/en/0/live-79209302"),
    ("rfi", "cn/欧洲/20221107-桥"): (
        "https://www.rfi.fr/cn/欧洲/20221107-桥",
        "https://www.rfi.fr/cn/%E6%AC%A7%E6%B4%B2/20221107-%E6%A1%A5",
        "https://www.rfi.fr/cn/%e6%ac%a7%e6%b4%b2/20221107-%e6%a1%a5",
        "https://www.rfi.fr/cn/欧洲/20221107-%E6%A1%A5",
        "http://www.rfi.fr/cn/欧洲/20221107-桥",
        "http://www.rfi.fr//cn/欧洲/20221107-桥",
        "https://www.rfi.fr/cn/欧洲/20221107-桥/",
        "https://www.rfi.fr/cn/欧洲/20221107-桥?utm_source=a#b",
        "https://www.rfi.fr/cn/欧洲/20221107-桥#b",
        "HTTPS://WWW.RFI.FR:443/CN/欧洲/20221107-桥",
        "http://www.rfi.fr:80/cn/欧洲/20221107-桥",
        "https://rfi.fr/cn/欧洲/20221107-桥",
        "https://amp.rfi.fr/cn/欧洲/20221107-桥",
        "https://m.rfi.fr/cn/欧洲/20221107-桥",
        "http://cn.rfi.fr/欧洲/20221107-桥",
        "http://cn.rfi.fr/cn/欧洲/20221107-桥",
        "http://www.chinese.rfi.fr/欧洲/20221107-桥",
        "http://chinese.rfi.fr/欧洲/20221107-桥",
        "http://www.chinese.rfi.fr/node/58553/欧洲/20221107-桥",
    ),
    ("rfi", "tw/歐洲/20221107-橋"): (
        "https://www.rfi.fr/tw/歐洲/20221107-橋",
        "http://trad.cn.rfi.fr/歐洲/20221107-橋",
        "http://tw.rfi.fr/歐洲/20221107-橋",
        "https://amp.rfi.fr/tw/%E6%AD%90%E6%B4%B2/20221107-%E6%A9%8B",
    ),
    # Without a section, and an episode of a show.
    ("rfi", "cn/20191219-桥"): ("https://www.rfi.fr/cn/20191219-桥", "http://cn.rfi.fr/20191219-桥"),
    ("rfi", "cn/专栏检索/桥头/20220206-桥"): (
        "https://www.rfi.fr/cn/专栏检索/桥头/20220206-桥",
        "https://www.rfi.fr/cn/%E4%B8%93%E6%A0%8F%E6%A3%80%E7%B4%A2/桥头/20220206-%E6%A1%A5",
    ),
    ("rfi", "fr/podcasts/pont/20230105-pont"): ("https://www.rfi.fr/fr/podcasts/pont/20230105-pont",),
    ("rfi", "fr/europe/20220206-caf\u00e9"): (
        "https://www.rfi.fr/fr/europe/20220206-caf\u00e9",
        "https://www.rfi.fr/fr/europe/20220206-cafe\u0301",
        "https://www.rfi.fr/fr/europe/20220206-caf%C3%A9",
        "https://www.rfi.fr/fr/europe/20220206-cafe%cc%81",
        # At first, www.rfi.fr was in French only.
        "http://www.rfi.fr/europe/20220206-caf\u00e9",
        "https://amp.rfi.fr/fr/europe/20220206-caf\u00e9",
    ),
    ("rfi", "cn/中国/20230101-“桥”，河：问？"): (
        "https://www.rfi.fr/cn/中国/20230101-“桥”，河：问？",
        f"https://www.rfi.fr/cn/{quote('中国/20230101-“桥”，河：问？')}",
    ),
    # Neither is what it would mean decoded.
    ("rfi", "cn/中国/20230101-a%2Fb%3Fc%23d%25e%20f"): (
        "https://www.rfi.fr/cn/中国/20230101-a%2fb%3fc%23d%25e%20f",
        "https://www.rfi.fr/cn/中国/20230101-a%2Fb%3Fc%23d%25e f",
    ),
    ("rfi", "cn/中国/20230101-%FF%E6"): ("https://www.rfi.fr/cn/中国/20230101-%ff%E6",),
    ("rfi", "en/africa/20160102-bridge"): ("http://en.rfi.fr/africa/20160102-bridge",),
    ("rfi", "fr/emission/20170102-pont"): ("http://www.rfi.fr/emission/20170102-pont",),
}
EVERY_FORM = [
    (publisher, (RFI_SITE if publisher == "rfi" else "") + key, form)
    for (publisher, key), forms in FORMS.items()
    for form in forms
]

#: No articles, for any spider.
OTHERS = (
    # CNA: lists, topics, tags, films, what is paid for.
    "https://www.cna.com.tw/",
    "https://www.cna.com.tw/list/aipl.aspx",
    "https://www.cna.com.tw/list/aall-1.aspx",
    "https://www.cna.com.tw/list/202301010001.aspx",
    "https://www.cna.com.tw/topic/newstopic/4677.aspx",
    "https://www.cna.com.tw/topic/newstopic/202301010001.aspx",
    "https://www.cna.com.tw/tag/202301010001/",
    "https://www.cna.com.tw/video/202301010001.aspx",
    "https://www.cna.com.tw/postwrite/chi/202301010001.aspx",
    "https://www.cna.com.tw/project/20200827-store-rental/index.html",
    "https://www.cna.com.tw/about/rss.aspx",
    "https://www.cna.com.tw/search/hysearchws.aspx?q=/news/aipl/202301010001.aspx",
    "https://www.cna.com.tw/news/202301010001.aspx",
    "https://www.cna.com.tw/news/aipl/20230101000.aspx",
    "https://www.cna.com.tw/news/aipl/2023010100011.aspx",
    "https://www.cna.com.tw/news/aipl/x202301010001.aspx",
    "https://www.cna.com.tw/news/aipl/202301010001",
    "https://www.cna.com.tw/news/aipl/202301010001.aspx.exe",
    "https://www.cna.com.tw/news/aipl/202301010001.aspx/202301010002",
    "https://www.cna.com.tw/news/aipl/２０２３０１０１０００１.aspx",
    "https://www.cna.com.tw/news/aipl/٢٠٢٣٠١٠١٠٠٠١.aspx",
    "https://www.cna.com.tw/newſ/aipl/202301010001.aspx",
    "https://www.cna.com.tw/news/../202301010001.aspx",
    "https://www.cna.com.tw/news/./202301010001.aspx",
    "https://www.cna.com.tw/news/aipl\\../202301010001.aspx",
    "https://www.cna.com.tw/news/aipl/?id=202301010001.aspx",
    "https://www.cna.com.tw/news/aipl/#202301010001.aspx",
    "https://www.cna.com.tw:8080/news/aipl/202301010001.aspx",
    "https://www.cna.com.tw/news/aipl/202301010001.aspx\nx",
    "https://imgcdn.cna.com.tw/www/WebPhotos/1024/20230101/202301010001.aspx",
    "https://netzero.cna.com.tw/news/aipl/202301010001.aspx",
    "https://japan.cna.com.tw/news/aipl/202301010001.aspx",
    "https://project.cna.com.tw/news/aipl/202301010001.aspx",
    "https://focustaiwan.tw/politics/202301120204",
    "https://japan.focustaiwan.tw/politics/202301120204",
    # DW: sections, lists, topics, persons, films, sounds, galleries, broadcasts, overlays, pictures, sister sites.
    "https://www.dw.com/zh/",
    "https://www.dw.com/chinese/",
    "https://www.dw.com/zh/在线报导/s-9058",
    "https://www.dw.com/zh/在线报导/s-9058-1681",
    "https://www.dw.com/zh/x/st-64356300",
    "https://www.dw.com/zh/台湾/t-17457611",
    "https://www.dw.com/zh/山青/person-12345678",
    "https://www.dw.com/zh/x/program-12345678",
    "https://www.dw.com/zh/x/e-12345678",
    *(f"https://www.dw.com/zh/x/{kind}-67522137" for kind in ("av", "video", "audio", "g")),
    "https://www.dw.com/zh/x-a-5/s-9058",
    "https://www.dw.com/zh/a-67522137/s-9058",
    "https://www.dw.com/en/a-67522137/video-5",
    "https://www.dw.com/overlay/media/zh/x/67522137/67522138",
    "https://www.dw.com/overlay/send_feedback/zh/x/a-67522137",
    "https://www.dw.com/search/zh/a-67522137",
    "https://www.dw.com/graph-api/zh/content/article/67522137",
    "https://www.dw.com/zh/x/a-67522137x",
    "https://www.dw.com/zh/x/a-６７５２２１３７",
    "https://www.dw.com/zh/x/a-",
    "https://www.dw.com/zh/x?a=/a-67522137",
    "https://www.dw.com/zh/x#/a-67522137",
    "https://www.dw.com:8443/zh/x/a-67522137",
    "https://p.dw.com/p/4boRv",
    "https://static.dw.com/image/67522137_605.jpg",
    "https://static.dw.com/image/0,,17456545_303,00.jpg",
    "https://api.dw.com/api/detail/article/67522137",
    "https://rss.dw.com/rdf/rss-chi-all",
    "https://learngerman.dw.com/zh/x/a-67522137",
    "https://akademie.dw.com/de/x/a-67522137",
    "https://corporate.dw.com/de/x/a-67522137",
    "http://www.dw-world.de/dw/0,,266,00.html",
    "http://www.dw-world.de/dw/episode/0,,5862718,00.html",
    "http://www.dw-world.de/dw/article/0,,5862718,00.html/x",
    "http://www.dw-world.de/popups/popup_lupe/0,,5862718,00.html",
    # RFI: sections, topics, persons, shows, feeds, what is no day, sister stations.
    "https://www.rfi.fr/cn/",
    "https://www.rfi.fr/cn/rss",
    "https://www.rfi.fr/cn/欧洲/",
    "https://www.rfi.fr/cn/欧洲/rss",
    "https://www.rfi.fr/sitemaps/cn/news.xml",
    "https://www.rfi.fr/sitemaps/cn/20230101-x.xml",
    "https://www.rfi.fr/cn/site.manifest",
    "https://www.rfi.fr/cn/直播",
    "https://www.rfi.fr/cn/专栏检索/桥头/",
    "https://www.rfi.fr/cn/专栏检索/桥头/podcast",
    "https://www.rfi.fr/cn/关键词/桥/",
    "https://www.rfi.fr/cn/关键词/20221107-桥/",
    "https://www.rfi.fr/cn/%E5%85%B3%E9%94%AE%E8%AF%8D/20221107-桥/",
    "https://www.rfi.fr/tw/%e9%97%9c%e9%8d%b5%e8%a9%9e/20221107-橋",
    "https://www.rfi.fr/tw/作者/20221107-山青/",
    "https://www.rfi.fr/en/tag/20221107-bridge",
    "https://www.rfi.fr/tw/_ws/urgent",
    "https://www.rfi.fr/cn/欧洲/2022110-桥",
    "https://www.rfi.fr/cn/欧洲/202211071-桥",
    "https://www.rfi.fr/cn/欧洲/20221307-桥",
    "https://www.rfi.fr/cn/欧洲/20221132-桥",
    "https://www.rfi.fr/cn/欧洲/12345678-桥",
    "https://www.rfi.fr/cn/欧洲/２０２２１１０７-桥",
    "https://www.rfi.fr/cn/欧洲/20221107-",
    "https://www.rfi.fr/cn/欧洲/20221107",
    "https://www.rfi.fr/cn/欧洲/20221107-桥/podcast",
    "https://www.rfi.fr/cn/../20221107-桥",
    "https://www.rfi.fr/cn/欧洲?20221107-桥",
    "https://www.rfi.fr/cn/欧洲/#/20221107-桥",
    "https://www.rfi.fr:8080/cn/欧洲/20221107-桥",
    "http://www.chinese.rfi.fr/node/58553",
    "https://static.rfi.fr/20200101-a",
    "https://s.rfi.fr/media/display/20221107-桥",
    "https://www.france24.com/fr/20221107-pont",
    "https://www.mc-doualiya.com/20221107-pont",
    "https://rfi.my/9tUS",
    # Neither address nor web.
    "",
    "20221107-桥",
    "/news/aipl/202301010001.aspx",
    "//www.cna.com.tw/news/aipl/202301010001.aspx",
    "ftp://www.cna.com.tw/news/aipl/202301010001.aspx",
    "file:///news/aipl/202301010001.aspx",
    "javascript:'https://www.cna.com.tw/news/aipl/202301010001.aspx'",
)


@pytest.mark.parametrize(("publisher", "key", "address"), EVERY_FORM)
def test_every_form_of_an_address_names_its_article(publisher: str, key: str, address: str) -> None:
    reader = spider(publisher)
    # As a listing has it, as it is announced, as it is asked, and as a browser writes it.
    for form in (address, without_query(address), Request(without_query(address)).url, canonical_url(address)):
        assert reader.article_url.search(form)
        assert reader.key(form) == key
    for other in set(PUBLISHERS) - {publisher}:
        assert not spider(other).article_url.search(address)


@pytest.mark.parametrize(("publisher", "key"), FORMS)
def test_a_listing_that_names_an_article_in_all_forms_names_it_once(publisher: str, key: str) -> None:
    reader = spider(publisher)
    forms = FORMS[publisher, key]
    reader.edition = key[:2] if publisher == "rfi" else reader.edition
    links = reader.links(saved("https://www.example.com/", page_of(forms)))
    assert len(links) == 1
    assert reader.key(links[0].url) == reader.key(forms[0])


def test_no_two_articles_share_a_key() -> None:
    keys = [(publisher, key) for publisher, key, _ in dict.fromkeys((*form[:2], "") for form in EVERY_FORM)]
    assert len(set(keys)) == len(keys) == len(FORMS)


def page_of(addresses: tuple[str, ...]) -> bytes:
    """Return a listing: a page of links."""
    links = "".join(f'<li><a href="{address}">x</a></li>' for address in addresses)
    return f"<!doctype html><html><body><ul>{links}</ul></body></html>".encode()


@pytest.mark.parametrize("publisher", PUBLISHERS)
@pytest.mark.parametrize("address", OTHERS)
def test_what_is_no_article_is_told_before_it_is_asked_for(publisher: str, address: str) -> None:
    assert not spider(publisher).article_url.search(address)


@pytest.mark.parametrize("publisher", PUBLISHERS)
def test_a_listing_without_articles_is_refused(publisher: str) -> None:
    pages = tuple(address for address in OTHERS if address.startswith("http"))
    with pytest.raises(Refused, match="empty-listing"):
        spider(publisher).links(saved("https://www.example.com/", page_of(pages)))


def look_alikes(address: str) -> Iterator[str]:
    """Yield addresses on other people's sites that contain an article's."""
    scheme, _, rest = address.partition("://")
    host, _, path = rest.partition("/")
    yield f"{scheme}://{host}.evil.example/{path}"
    yield f"{scheme}://evil-{host}/{path}"
    yield f"{scheme}://evil.example/{rest}"
    yield f"{scheme}://evil.example/{address}"
    yield f"{scheme}://evil.example/?u={address}"
    yield f"{scheme}://evil.example/?u={quote(address, safe='')}"
    yield f"{scheme}://evil.example/#{address}"
    yield f"{scheme}://evil.example\\{rest}"
    yield f"{scheme}://{host}@evil.example/{path}"
    yield f"{scheme}://{host}:80@evil.example/{path}"
    yield f"{scheme}://{host}%2F@evil.example/{path}"
    yield f"{scheme}://{host}\\@evil.example/{path}"
    yield f"{scheme}://user@{host}/{path}"
    yield f"{scheme}://user:password@{host}/{path}"
    yield f"{scheme}://{host.replace('.', '。')}.evil.example/{path}"
    yield f"{scheme}://{host.replace('.', 'x', 1)}/{path}"
    yield f"{scheme}://{host}evil/{path}"
    yield f"data:text/html,{address}"
    yield f"x{address}"


@pytest.mark.parametrize("publisher", PUBLISHERS)
def test_an_address_within_another_is_no_article(publisher: str) -> None:
    for address in {forms[0] for forms in FORMS.values()}:
        for other in look_alikes(address):
            assert not spider(publisher).article_url.search(other), other
            assert spider(publisher).key(other) == other


# All forms of articles that nobody has seen.

WORDS = "桥 河上的灯 台灣 “引”，号：问？ café Zürich t-dome 20-jahre 2023 a-10 1130115 live ー々 é".split()


def worded(random: Random) -> str:
    """Return something that could be a slug."""
    return "-".join(random.choices(WORDS, k=random.randint(1, 4)))


def lower_quote(path: str) -> str:
    """Return a path with its escapes in lower case."""
    return re.sub("%..", lambda escape: escape[0].lower(), quote(path))


def spelled(random: Random, path: str) -> str:
    """Return a path in another spelling that means the same."""
    spelling = random.choice((str, quote, lower_quote, lambda text: quote(normalize("NFD", text))))
    slashes = random.choice(("/", "/", "//"))
    return spelling(path).replace("/", slashes) + random.choice(("", "", "/"))


def followed(random: Random) -> str:
    """Return what may follow an address and means nothing."""
    return random.choice(("", "?utm_source=a&b=%E6", "?&zhongwen=trad", "?topic=202301010001", "#a-5", "?#"))


def shouted(random: Random, host: str) -> str:
    """Return scheme and host in one of their spellings."""
    scheme = random.choice(("http", "https", "HTTPS"))
    port = {"http": ":80", "https": ":443", "HTTPS": ":443"}[scheme]
    return f"{scheme}://{random.choice((host, host.upper()))}{random.choice(('', port))}"


def cna_form(random: Random, id: str) -> str:
    channel = random.choice(("aipl", "aCN", "firstnews", "4677", "%61cn"))
    folder = random.choice(("news", "News", "amp/news", "Topic/Popular", "topic/popular"))
    page = random.choice(("", "-1", "-12"))
    host = random.choice(("www.cna.com.tw", "cna.com.tw"))
    end = random.choice((".aspx", ".ASPX"))
    return f"{shouted(random, host)}/{folder}/{channel}/{id}{page}{end}{followed(random)}"


def dw_form(random: Random, id: str) -> str:
    if random.random() < 0.2:
        middle = random.choice((",", "2144,"))
        folder = random.choice(("dw/article", "dw/article/9", "dw/article/12"))
        host = random.choice(("www.dw-world.de", "dw-world.de", "www.dw.de"))
        return f"{shouted(random, host)}/{folder}/0,{middle}{id},00.html{followed(random)}"
    host = random.choice(("www.dw.com", "dw.com", "www.dw.de", "m.dw.com", "amp.dw.com"))
    language = random.choice(("zh/", "zh-hant/", "en/", ""))
    slug = random.choice((worded(random) + "/", "0/", ""))
    return f"{shouted(random, host)}/{spelled(random, f'{language}{slug}a-{id}')}{followed(random)}"


def rfi_form(random: Random, path: str) -> str:
    language, _, rest = path.partition("/")
    hosts = ["www.rfi.fr", "rfi.fr", "amp.rfi.fr", "m.rfi.fr"]
    if random.random() < 0.3:
        own = {"cn": ["cn", "chinese", "www.chinese"], "tw": ["tw", "trad.cn"], "fr": ["www", "fr"]}
        host = f"{random.choice(own.get(language, [language]))}.rfi.fr"
        return f"{shouted(random, host)}/{spelled(random, rest)}{followed(random)}"
    return f"{shouted(random, random.choice(hosts))}/{spelled(random, path)}{followed(random)}"


def rfi_path(random: Random) -> str:
    sections = random.choice(("", "中国/", "港澳台/", "专栏检索/桥头/", "podcasts/pont/"))
    day = datetime(2010, 1, 1) + timedelta(days=random.randrange(6000))
    return f"{random.choice(('cn', 'tw', 'fr', 'en'))}/{sections}{day:%Y%m%d}-{worded(random)}"


def articles(random: Random) -> dict[str, list[str]]:
    """Return what tells articles of each publisher apart, with neighbours that differ in as little as can be."""
    day = random.randrange(20130101, 20270101)
    number = random.randrange(10_000, 90_000_000)
    paths = [rfi_path(random) for _ in range(8)]
    other_day = [path.replace("20", "19", 1) for path in paths]
    other_script = [f"tw{path[2:]}" for path in paths if path.startswith("cn")]
    other_case = [path + end for path in paths for end in ("-", "-1", "，", "%", "桥")]
    return {
        "cna": [f"{day}{random.randrange(10_000):04}" for _ in range(8)] + [f"{day}0001", f"{day}5001"],
        "dw": [
            str(number),
            *(f"{number}{digit}" for digit in range(10)),
            str(number)[:-1],
            str(number)[1:].lstrip("0"),
        ],
        "rfi": [*paths, *other_day, *other_script, *other_case],
    }


FORM_OF = {"cna": cna_form, "dw": dw_form, "rfi": rfi_form}


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("publisher", PUBLISHERS)
def test_all_forms_of_an_article_have_one_key_and_no_two_articles_share_one(publisher: str, seed: int) -> None:
    random, reader = Random(seed), spider(publisher)
    known: dict[str, str] = {}
    for article in dict.fromkeys(articles(random)[publisher]):
        forms = [FORM_OF[publisher](random, article) for _ in range(12)]
        for form in forms:
            assert reader.article_url.search(form), form
        keys = {reader.key(form) for form in forms}
        assert len(keys) == 1, article
        key = keys.pop()
        assert reader.key(key) == key
        assert known.setdefault(key, article) == article
        for other in set(PUBLISHERS) - {publisher}:
            assert not any(map(spider(other).article_url.search, forms))


@pytest.mark.parametrize("seed", range(200))
def test_a_path_is_read_once(seed: int) -> None:
    random = Random(seed)
    pieces = (
        "a",
        "/",
        "%2f",
        "%2F",
        "%25",
        "%",
        "%4",
        "%41",
        "桥",
        "%E6%A1%A5",
        "%e6",
        "%ff",
        "e\u0301",
        "é",
        "?",
        "#",
        " ",
    )
    path = "".join(random.choices(pieces, k=random.randint(0, 12)))
    read = readable_path(path)
    assert readable_path(read) == read
    assert readable_path(quote(path, safe="/%")) == read
    assert read.count("/") == re.sub("/+", "/", path).count("/")


# Articles in two scripts.


@pytest.mark.parametrize(
    ("edition", "address", "asked"),
    [
        ("zh", "https://www.dw.com/zh/湖/a-5", "https://www.dw.com/zh/湖/a-5"),
        ("zh", "https://www.dw.com/zh-hant/湖/a-5", "https://www.dw.com/zh/a-5"),
        ("zh", "https://amp.dw.com/ZH-Hant/a-5/", "https://www.dw.com/zh/a-5"),
        ("zh", "https://www.dw.com/zh-hant/湖/live-5", "https://www.dw.com/zh/live-5"),
        ("zh-hant", "https://www.dw.com/zh/湖/a-5", "https://www.dw.com/zh-hant/a-5"),
        ("zh-hant", "https://www.dw.com/zh-hant/湖/a-5", "https://www.dw.com/zh-hant/湖/a-5"),
        ("zh-hant", "https://www.dw.com/en/lake/a-5", "https://www.dw.com/en/lake/a-5"),
        ("zh", "http://www.dw.de/湖/a-5", "http://www.dw.de/湖/a-5"),
    ],
)
def test_of_dw_s_editions_the_chosen_one_is_asked_for(edition: str, address: str, asked: str) -> None:
    reader = type(DW)(edition=edition)
    assert reader.in_edition(address) == asked
    assert reader.key(asked) == reader.key(address) == "5"
    assert [link.url for link in reader.links(saved("https://www.dw.com/", page_of((address,))))] == [asked]


@pytest.mark.parametrize(("edition", "own", "other"), [("cn", "cn/中国", "tw/中國"), ("tw", "tw/中國", "cn/中国")])
def test_of_rfi_s_editions_the_chosen_one_is_asked_for(edition: str, own: str, other: str) -> None:
    reader = type(RFI)(edition=edition)
    named = tuple(f"{RFI_SITE}{path}/20230405-x" for path in (own, other, "fr/chine"))
    links = reader.links(saved(RFI_SITE, page_of(named)))
    assert [link.url for link in links] == [named[0], named[2]]
    with pytest.raises(Refused, match=f"of the edition {edition}"):
        reader.links(saved(RFI_SITE, page_of(named[1:2])))


def test_editions_have_a_default_and_no_other_names() -> None:
    assert [reader.edition for reader in (CNA, DW, RFI)] == ["", "zh", "cn"]
    for reader in (CNA, DW, RFI):
        with pytest.raises(ValueError, match="edition"):
            type(reader)(edition="xx")


TWIN_PAGE = """<!doctype html><html lang="zh-Hans"><head>
<link rel="canonical" href="{canonical}">{links}
<meta property="article:published_time" content="2023-04-05T06:07:08+00:00">
</head><body><script id="datalayer" type="application/json">
{{"content_id": "WBMZ1-RFI-CN-20230405", "content_type": "article", "http_code": 200, "main_media_type": "texte",
 "authors": [], "tags": []}}</script><article><h1>河上的桥</h1><p class="t-content__chapo">桥头有树。</p>
<div class="t-content__body"><p>水边有灯。</p></div></article></body></html>"""


@pytest.mark.parametrize(
    ("canonical", "tongue", "address", "twin"),
    [
        ("cn/中国/20230405-桥", "zh-Hant", "https://www.rfi.fr/tw/中國/20230405-橋", "tw/中國/20230405-橋"),
        (
            "cn/中国/20230405-桥",
            "zh-Hant",
            "http://www.rfi.fr/tw/%e4%b8%ad%e5%9c%8b/20230405-橋",
            "tw/中國/20230405-橋",
        ),
        ("tw/中國/20230405-橋", "zh-Hans", "https://www.rfi.fr/cn/中国/20230405-桥", "cn/中国/20230405-桥"),
        # Another day, the same script, another language, somebody else's page, no article at all.
        ("cn/中国/20230405-桥", "zh-Hant", "https://www.rfi.fr/tw/中國/20230406-橋", ""),
        ("cn/中国/20230405-桥", "zh-Hans", "https://www.rfi.fr/cn/中国/20230405-灯", ""),
        ("cn/中国/20230405-桥", "fr", "https://www.rfi.fr/fr/chine/20230405-pont", ""),
        ("fr/chine/20230405-pont", "zh-Hans", "https://www.rfi.fr/cn/中国/20230405-桥", ""),
        ("cn/中国/20230405-桥", "zh-Hant", "https://www.rfi.fr.evil.example/tw/中國/20230405-橋", ""),
        ("cn/中国/20230405-桥", "zh-Hant", "/tw/", ""),
    ],
)
def test_a_page_of_rfi_names_its_twin(canonical: str, tongue: str, address: str, twin: str) -> None:
    links = f'<link rel="alternate" hreflang="{tongue}" href="{address}">'
    page = TWIN_PAGE.format(canonical=f"{RFI_SITE}{canonical}", links=links).encode()
    assert RFI.read(saved(RFI_SITE, page)).twin == (canonical_url(RFI_SITE + twin) if twin else "")


CN, TW = (canonical_url(f"{RFI_SITE}{path}") for path in ("cn/中国/20230405-桥", "tw/中國/20230405-橋"))


def entry(number: int, url: str, twin: str, id: str, **fields: str) -> Entry:
    """Return what the index is told of a page; each number is a minute later."""
    captured = datetime(2023, 4, 6, tzinfo=UTC) + timedelta(minutes=number)
    capture = Capture("captures/rfi/a.warc.gz", number, url, captured, 200, f"sha1:{number}", "article")
    reading = Reading(
        publisher="rfi",
        id=id,
        url=fields.get("canonical", url),
        title="桥",
        published=captured,
        post=f"_posts/rfi/2023/{id}.md",
        fingerprint=fields.get("fingerprint", id),
        twin=twin,
    )
    return Entry(capture, "rfi", "article", reading=reading)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index(tmp_path / "index.sqlite") as index:
        yield index
        assert list(index.check()) == []


def test_the_address_of_a_twin_is_one_of_the_article_s(index: Index) -> None:
    index.record(entry(1, CN, TW, "CN1"))
    row = index.address(TW)
    assert row
    assert (row.publisher, row.id, row.ending) == ("rfi", "CN1", "")
    assert index.addresses_of("rfi", "CN1") == sorted((CN, TW))
    assert index.find(TW) == [("rfi", "CN1")]
    assert ("addresses", TW, "", None, "", "rfi", "CN1") in index.dump()


@pytest.mark.parametrize(
    "second",
    [
        entry(2, TW, CN, "TW1"),
        # Under a new headline, which the article's own page does not name yet.
        entry(2, f"{TW}-2", CN, "TW1"),
        # Named by the article's page, and without a word of it itself.
        entry(2, TW, "", "TW1"),
        entry(2, f"{TW}?x", "", "TW1", canonical=TW),
    ],
)
def test_a_twin_of_an_article_does_not_become_another(index: Index, second: Entry) -> None:
    index.record(entry(1, CN, TW, "CN1"))
    before = list(index.dump())
    with pytest.raises(TwinTaken) as refused:
        index.record(second)
    assert refused.value.reason == "twin"
    assert isinstance(refused.value, PostTaken)
    assert list(index.dump()) == before
    index.record(Entry(second.capture, "rfi", "twin"))
    assert [article.id for article in index.articles("rfi")] == ["CN1"]
    row = index.address(TW)
    assert row
    assert row.id == "CN1"


def test_a_page_whose_twin_was_kept_first_is_the_twin(index: Index) -> None:
    index.record(entry(1, TW, CN, "TW1"))
    with pytest.raises(TwinTaken):
        index.record(entry(2, CN, TW, "CN1"))
    assert index.record(entry(3, TW, CN, "TW1", fingerprint="b")).ending == "revised"


def test_twins_that_are_both_in_the_archive_keep_their_addresses_in_any_order(tmp_path: Path) -> None:
    # Neither named the other when it was stored.
    told = [entry(1, CN, "", "CN1"), entry(2, TW, "", "TW1"), entry(3, CN, TW, "CN1"), entry(4, TW, CN, "TW1")]
    dumps = []
    for seed in range(8):
        with Index(tmp_path / f"{seed}.sqlite") as index:
            rest = told[2:] if seed % 2 else told[:1:-1]
            for one in (*told[:2], *rest, *Random(seed).sample(told, 4)):
                index.record(one)
            dumps.append(list(index.dump()))
            assert [(row := index.address(url)) and row.id for url in (CN, TW)] == ["CN1", "TW1"]
            assert [index.addresses_of("rfi", id) for id in ("CN1", "TW1")] == [[CN], [TW]]
    assert all(dump == dumps[0] for dump in dumps)
