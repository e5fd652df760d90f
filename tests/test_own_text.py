"""Own text: the structure of a page stays, nothing of its text does."""

import html
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from lxml import html as lxml_html

from newsarchive.own_text import own_address, own_text

SHARED = Path(__file__).parents[2] / "shared"
PAGES = sorted(SHARED.glob("pages/*/*.html"))
FEEDS = sorted(path for path in SHARED.glob("feeds/*") if path.suffix != ".txt")
KEEP = (
    "您所瀏覽的新聞已過查詢時效", "發稿時間：", "最新更新：", "日期", "作者", "Datum", "Date", "Autor",
    "News,新聞,即時新聞,中央社", "中央通訊社", "中央社", "德国之声", "Deutsche Welle",
)  # fmt: skip


def each(paths: list[Path]) -> Any:
    """Run a test for each page, or skip it with a message where the pages are missing."""
    missing = pytest.param(None, marks=pytest.mark.skip(reason="no ../shared here"))
    return pytest.mark.parametrize("path", paths or [missing], ids=lambda path: path and path.stem[:40])


@cache
def pair(path: Path) -> tuple[bytes, bytes]:
    body = path.read_bytes()
    return body, own_text(body, keep=KEEP)


def tree(body: bytes) -> Any:
    return lxml_html.fromstring(body, parser=lxml_html.HTMLParser(encoding="utf-8", huge_tree=True))


def scripts(body: bytes) -> Iterator[Any]:
    """Yield the JSON of a page's scripts; None where it does not parse."""
    for script in tree(body).iter("script"):
        text = script.text or ""
        if state := re.search(r"window\.__[A-Z]+_STATE__\s*=\s*", text):
            yield json.JSONDecoder().raw_decode(text[state.end() :])[0]
        elif "json" in script.get("type", ""):
            try:
                yield json.loads(text)
            except ValueError:
                yield None


def strings(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    match value:
        case dict():
            for name, inner in value.items():
                yield from strings(inner, name)
        case list():
            for inner in value:
                yield from strings(inner, key)
        case str() if value.startswith('{"'):
            yield from strings(json.loads(value), key)
        case str():
            yield key, value


def shape(value: Any) -> Any:
    """Return JSON without its values; ids and words in keys count by their place only."""
    match value:
        case dict():
            names = ["/" if name.startswith("/") or "//" in name else re.sub(r"\d", "0", name) for name in value]
            return list(zip(names, map(shape, value.values()), strict=True))
        case list():
            return [shape(inner) for inner in value]
    return type(value).__name__


TECHNICAL = re.compile(
    r"viewport|robots|.*locale.*|.*(?:card|type|app|verif|account|consent).*|@?type|__typename|.*language.*|src"
)


def values(body: bytes) -> Iterator[str]:
    """Yield the texts of a page in order: elements, title parts, metas, attributes, JSON strings."""
    root = tree(body)
    for element in root.iter("title", "h1", "h2", "h3", "h4", "p", "figcaption", "small", "a", "span", "li", "div"):
        whole = element.tag not in ("a", "span", "li", "div")
        text = " ".join((element.text_content() if whole else element.text or "").split())
        yield text
        yield from re.split(r" [|–-] ", text) if element.tag == "title" else ()
    for element in root.iter("meta"):
        name = element.get("property") or element.get("name") or ""
        content = element.get("content") or ""
        if not TECHNICAL.fullmatch(name):
            yield content
            yield from () if "//" in content else re.split(r" [|–-] |,", content)
    for name in ("alt", "title", "data-title", "placeholder", "aria-label"):
        yield from (element.get(name) for element in root.xpath(f"//*[@{name}]"))
    for script in scripts(body):
        yield from (text for key, text in strings(script) if not TECHNICAL.fullmatch(key))


def decoded(body: bytes) -> str:
    """Return all that a page says in any escaping."""
    text = body.decode("utf-8", "replace")
    for _ in range(2):
        text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), html.unescape(text))
    return text + unquote(text) + unquote(unquote(text))


def without_kept(text: str) -> str:
    return re.sub("|".join(map(re.escape, sorted(KEEP, key=len, reverse=True))), "|", text)


def runs_of_chinese(body: bytes) -> set[str]:
    found = re.findall(r"[\u3400-\u9fff]{5,}", without_kept(decoded(body)))
    return {run[at : at + 5] for run in found for at in range(len(run) - 4)}


def runs_of_words(body: bytes) -> set[tuple[str, ...]]:
    grams = set()
    for value in values(body):
        text = re.sub(r"https?:\S+|<[^>]*>|[=&_/{}$]|\b[A-Z]{1,5}\b", " | ", without_kept(value))
        for clause in text.split("|"):
            words = re.findall(r"[^\W\d_\u3040-\u9fff]{2,}", clause.casefold())
            grams |= {tuple(words[at : at + 5]) for at in range(len(words) - 4)}
    return grams


@each(PAGES)
def test_elements_and_attributes_stay(path: Path) -> None:
    def elements(body: bytes) -> list[tuple[str, list[str]]]:
        return [(element.tag, sorted(element.attrib)) for element in tree(body).iter() if isinstance(element.tag, str)]

    body, own = pair(path)
    assert elements(own) == elements(body)
    assert own.count(b"\r\n") <= body.count(b"\r\n")


@each([*PAGES, *FEEDS])
def test_nothing_of_the_text_survives(path: Path) -> None:
    body, own = pair(path)
    assert runs_of_chinese(own) & runs_of_chinese(body) == set()
    if path.suffix == ".html":
        assert runs_of_words(own) & runs_of_words(body) == set()


@each(PAGES)
def test_dates_stay(path: Path) -> None:
    def dates(body: bytes) -> list[str]:
        form = r"(?<![\d.-])\d{1,4}[-./]\d\d?[-./]\d{1,4}(?![\d.-])|\d\d?:\d\d\b|）1[01]\d{5}\b"
        return [date for text in values(body) for date in re.findall(form, text)]

    body, own = pair(path)
    assert dates(own) == dates(body)


@each(PAGES)
def test_equal_texts_stay_equal(path: Path) -> None:
    seen: dict[str, str] = {}
    body, own = pair(path)
    for before, after in zip(values(body), values(own), strict=True):
        if len(before) > 2:
            assert seen.setdefault(before, after) == after, before


@each(PAGES)
def test_json_parses_as_before(path: Path) -> None:
    body, own = pair(path)
    assert list(map(shape, scripts(own))) == list(map(shape, scripts(body)))


@each([path for path in PAGES if path.parent.name == "dw"])
def test_state_still_refers_to_itself(path: Path) -> None:
    def lost(body: bytes) -> int:
        state = [script for script in scripts(body) if isinstance(script, dict) and "ROOT_QUERY" in script]
        return sum(text not in root for root in state for key, text in strings(root) if key == "__ref")

    body, own = map(lost, pair(path))
    assert own == body


@each(PAGES)
def test_title_agrees_everywhere(path: Path) -> None:
    def titles(body: bytes) -> list[str]:
        root = tree(body)
        heads = [" ".join(text.text_content().split()) for text in root.iter("h1")]
        return [
            *heads,
            *(" ".join(title.text_content().split()) for title in root.iter("title")),
            *root.xpath("//meta[@property='og:title']/@content"),
            *(text for script in scripts(body) for key, text in strings(script) if key == "headline"),
            *(text for script in scripts(body) for key, text in strings(script) if key == "content_title"),
        ]

    body, own = map(titles, pair(path))

    def agree(title: str, text: str) -> bool:
        return bool(title) and (text + " ").startswith(title + " ")

    assert len(body) == len(own)
    for title, own_title in zip(body, own, strict=True):
        for text, other in zip(body, own, strict=True):
            assert agree(title, text) <= agree(own_title, other), (title, text)


@each(PAGES)
def test_addresses_keep_their_form(path: Path) -> None:
    forms = (
        r"//www\.cna\.com\.tw/news/\w+/\d{8}[05]\d{3}(?:-1)?\.aspx$",
        r"//www\.dw\.com/[a-z-]+/[^/]+/a-\d{6,}\b",
        r"/(?:cn|tw|fr)/(?:[^\s\"'/]*/)*\d{8}-[^/]+$",
        r"//static\.dw\.com/image/\d+_\w+\.(?:jpg|webp)$",
        r"//s\.rfi\.fr/media/display/[0-9a-f-]{36}/w:\d+/p:\d+x\d+/",
        r"//imgcdn\.cna\.com\.tw/www/\w+/\d+/\d{8}/\d+x\d+_\w+\.jpg$",
    )

    def addresses(body: bytes) -> list[str]:
        attributes = (item for element in tree(body).iter() for item in element.attrib.items())
        return [str(value) for name, value in attributes if not name.startswith("on")]

    for before, after in zip(*map(addresses, pair(path)), strict=True):
        if not before.startswith("javascript:"):
            assert [bool(re.search(form, after)) for form in forms] == [bool(re.search(form, before)) for form in forms]
    body, own = (text.decode("utf-8", "replace") for text in pair(path))
    canonical = re.search(r"<link[^>]*canonical[^>]*", body)
    if canonical and (url := re.search(r'href="([^"]+)"', canonical[0])):
        assert own_address(url[1]) in own
        assert own_address(url[1]) != url[1]


@each([path for path in PAGES if path.parent.name == "cna"])
def test_summary_is_within_the_first_paragraph(path: Path) -> None:
    def about(body: bytes) -> tuple[list[str], str]:
        found = [text for script in scripts(body) for key, text in strings(script) if key == "about"]
        return found[:1], tree(body).text_content()

    (before, body), (after, own) = map(about, pair(path))
    assert [text in own for text in after] == [text in body for text in before]


@each([*PAGES, *FEEDS])
def test_second_time_changes_no_structure(path: Path) -> None:
    body, own = pair(path)
    assert own_text(body, keep=KEEP) == own
    again = own_text(own, keep=KEEP)
    if path in PAGES:
        assert [e.tag for e in tree(again).iter()] == [e.tag for e in tree(own).iter()]
    assert len(again) == pytest.approx(len(own), rel=0.01)


# -- pages of our own, so that something runs everywhere ---------------------------------------------

PAGE = """\
<!DOCTYPE html>\r
<html lang="zh-Hans"><head><title>城里的大桥今天开放 | 本地 | 中央社 CNA</title>\r
<meta property="og:title" content="城里的大桥今天开放 | 本地 | 中央社 CNA">
<meta name=description content='人们说&quot;好桥&quot;，天气也好'>
<link rel="canonical" href="https://www.cna.com.tw/news/aloc/202308230192.aspx"/>
<script type="application/ld+json">{"headline":"\\u57ce\\u91cc\\u7684\\u5927\\u6865\\u4eca\\u5929\\u5f00\\u653e",\
"url":"https:\\/\\/www.cna.com.tw\\/news\\/aloc\\/202308230192.aspx","datePublished":"2023-08-23T15:06:00+08:00"}</script>
<script>track("secret words of theirs")</script><style>p { color: red }</style><!-- a remark --></head>
<body><h1>城里的大桥今天开放</h1><P onclick="go()" class=x>人们<b>说"好</b>桥"，天气也好，\u00a0明天开门。\
（編輯：X）1120823</P>
<p>2023/08/23 15:06 &copy; Deutsche Welle<br/>The bridge of the old town opens today for everybody.
<img src="https://cdn.someone-else.net/pictures/bridge-of-town.jpg" alt="城里的大桥今天开放"><p>unclosed <i>words</body>
"""


def own(text: str, *keep: str) -> str:
    return own_text(text.encode("utf-8", "surrogateescape"), keep=keep).decode("utf-8", "surrogateescape")


def test_page() -> None:
    page = own(PAGE, "中央社", "Deutsche Welle", "編輯")
    title = re.search("<h1>(.*)</h1>", page)[1]  # type: ignore[index]
    assert len(title) == len("城里的大桥今天开放")
    assert f"<title>{title} | " in page
    assert f'content="{title} | ' in page
    assert f'alt="{title}"' in page
    assert json.dumps(title) in page
    assert " | 中央社 CNA</title>\r\n" in page
    assert "2023/08/23 15:06 &copy; Deutsche Welle<br/>" in page
    assert "。（編輯：X）1120823</P>" in page
    assert '"datePublished":"2023-08-23T15:06:00+08:00"' in page
    assert "<script></script><style></style><!----></head>" in page
    assert '<P onclick="" class=x>' in page
    address = own_address("https://www.cna.com.tw/news/aloc/202308230192.aspx")
    assert re.fullmatch(r"https://www\.cna\.com\.tw/news/aloc/202308230\d{3}\.aspx", address)
    assert f'href="{address}"/>' in page
    assert address.replace("/", "\\/") in page


def test_paragraph_agrees_with_its_description_across_inline_tags() -> None:
    page = own(PAGE)
    description = html.unescape(re.search("content='(.*)'>", page)[1])  # type: ignore[index]
    assert "&quot;" in page
    assert re.sub("<.*?>", "", page.split("<P")[1].split(">", 1)[1]).startswith(description)


@pytest.mark.parametrize(
    "date",
    ["2014/12/12 12:13", "19.06.2022", "22/11/2019 - 02:37", "2023-06-13T12:15:32.158Z", "（2/21 22:08）", "05.10.2022",
     "2023年11月14日", "13. Juni 2023", "12 décembre 2014", "4 января 2026", "٤ يناير ٢٠٢٦", "NaN/NaN/NaN",
     "Mon, 16 Mar 2015 08:00:00 GMT"],
)  # fmt: skip
def test_date(date: str) -> None:
    assert own(f"<p>{date}</p>") == f"<p>{date}</p>"


def test_contacts_become_nobody_s() -> None:
    page = own(
        '<p>a.person@cna.com.tw, +886 2 2505 1180, 02-2505-1180</p><meta name="fb:app_id" content="524202197752727">'
    )
    form = r'<p>\w+@example\.com, \+\d{3} \d \d{4} \d{4}, \d\d-\d{4}-\d{4}</p><meta name="fb:app_id" content="\d{15}">'
    assert re.fullmatch(form, page)
    assert not re.search("person|2505|524202197752727", page)


def test_remark_to_keep() -> None:
    assert own("<!-- a --><!-- 正文開始 -->", "正文開始") == "<!----><!-- 正文開始 -->"


@pytest.mark.parametrize("cut", range(1, 12))
def test_text_cut_short_gives_own_text_cut_short(cut: int) -> None:
    text = "城里的大桥今天又开放了"
    assert own(text).startswith(own(text[:cut]))


def test_markup_in_json_in_script() -> None:
    text = """<script>window.__APOLLO_STATE__={"Article:65897191":{"id":65897191,"text":\
"<p class=\\"a\\">Langer Weg <a href=\\"/de/ein-weg/a-65897191\\">hin</a></p>"}};</script>"""
    changed = own(text)
    number = own_address("/a-65897191")[3:]
    assert number != "65897191"
    assert re.fullmatch(
        rf'<script>window.__APOLLO_STATE__={{"Article:{number}":{{"id":{number},"text":'
        rf'"<p class=\\"a\\">\w{{6}} \w{{3}} '
        rf'<a href=\\"/de/\w{{3}}-\w{{3}}/a-{number}\\">\w{{3}}</a></p>"}}}};</script>',
        changed,
    )
    assert own("<p>Langer Weg</p>")[3:-4] in changed


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("https://www.dw.com/de/ein-langer-weg/a-65897191", r"https://www\.dw\.com/de/\w{3}-\w{6}-\w{3}/a-\d{8}"),
        ("https://www.dw.com/zh/%E5%8C%97%E7%BA%A6/a-62182175", r"https://www\.dw\.com/zh/(?:%\w\w){6}/a-\d{8}"),
        ("https://static.dw.com/image/65897427_${formatId}.jpg",
         r"https://static\.dw\.com/image/\d{8}_\$\{formatId\}\.jpg"),
        ("https://p.dw.com/p/4CuQJ", r"https://p\.dw\.com/p/\d[A-Z][a-z][A-Z]{2}"),
        ("https://www.rfi.fr/cn/中国/20231114-以哈", r"https://www\.rfi\.fr/cn/..\/20231114-.."),
        ("https://s.rfi.fr/media/display/f60194aa-8346-11ee-93d4-005056bf30b7/w:1280/p:16x9/AP23318625839548.jpg",
         r"https://s\.rfi\.fr/media/display/[0-9a-f-]{36}/w:1280/p:16x9/AP\d{14}\.jpg"),
        ("https://twitter.com/somebody/status/1234567890", r"https://twitter\.com/\w{8}/status/\d{10}"),
        ("//cdn.someone.net/a.js", r"//\w+\.example\.com/\w+\.js"),
        ("mailto:somebody@cna.com.tw", r"mailto:\w+@example\.com"),
        ("https://www.cna.com.tw/news/acn/202308235192-1.aspx",
         r"https://www\.cna\.com\.tw/news/acn/202308235\d{3}-1\.aspx"),
    ],
)  # fmt: skip
def test_address(url: str, form: str) -> None:
    assert re.fullmatch(form, own_address(url)), own_address(url)
    assert own_address(url) != url


def test_ids_of_one_day_stay_different() -> None:
    ids = [f"https://www.cna.com.tw/news/acn/20230823{n:04}.aspx" for n in range(10_000)]
    assert len(set(map(own_address, ids))) == len(ids)


@pytest.mark.parametrize(
    "text",
    ["", "<", "<a href=", '<p title="x', "<script>", "<!--", "<![CDATA[", "&#99999999999;",
     '{"a', "\udcff\udcfe<p>\x00\x08",
     "<a href='http://[::1'>", "<script type='application/json'>{\"a\": \"\\ud83d\\u12\"}", "<a href='%e4%b8%ff%'>"],
)  # fmt: skip
def test_broken_markup_is_no_error(text: str) -> None:
    own(text, "x")


def test_feed() -> None:
    feed = "<item><title>Ein langer Weg</title><link>https://www.dw.com/de/weg/a-65897191?maca=de-rss</link>\
<description><![CDATA[<p>Ein langer Weg</p>]]></description><dc:date>2026-08-20T07:04:00Z</dc:date>\
<dc:language>en</dc:language><dwsyn:contentID>65897191</dwsyn:contentID></item>"
    changed = own(feed)
    title = own("<h1>Ein langer Weg</h1>")[4:-5]
    number = own_address("/a-65897191")[3:]
    assert f"<title>{title}</title>" in changed
    assert f"<![CDATA[<p>{title}</p>]]>" in changed
    assert "<dc:date>2026-08-20T07:04:00Z</dc:date><dc:language>en</dc:language>" in changed
    assert f"<dwsyn:contentID>{number}</dwsyn:contentID>" in changed
    assert f"/a-{number}?maca=" in changed
