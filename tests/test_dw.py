"""What DwSpider reads: facts and hashes of real pages where they are at hand, and pages of our own."""

import json
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest
from places import saved
from scrapy import Request
from scrapy.http import HtmlResponse

from newsarchive.article import Article, Drift, Refused
from newsarchive.coverage import Span
from newsarchive.listing import Link
from spiders.dw import DwSpider, names_in

PAGES = Path(__file__).parents[2] / "shared" / "pages" / "dw"

EXPECTED = {
    "2011_fr-a-6533123_cap20230901.html": {
        "id": "6533123",
        "url": "1f0863d1dc24b057",
        "title": "7aa2e99fe425aaca",
        "published": "2011-05-23T00:00:00+00:00",
        "modified": None,
        "language": "fr",
        "section": "Nos podcasts",
        "authors": (),
        "keywords": (),
        "summary": "ad48b1fa876a60c7",
        "images": (),
        "legends": "e3b0c44298fc1c14",
        "body": (3, "b6bafe3bbb7f1fa4"),
    },
    "2015_ar-a-18087311_cap20180209.html": {
        "id": "18087311",
        "url": "af2e5a61faa0aac7",
        "title": "e916ae3302c82cf5",
        "published": "2015-05-19T00:00:00+00:00",
        "modified": None,
        "language": "ar",
        "section": "سياسة واقتصاد",
        "authors": ("م.خ.", "ا.م (DW)"),
        "keywords": ("الزربية", "السجاد التونسي", "الحرف التونسية"),
        "summary": "2eabd6b363c07523",
        "images": ("18103763_605.jpg", "18103751_605.jpg"),
        "legends": "04f4e7472e9f182e",
        "body": (8, "caa2a53918830f53"),
    },
    "2016_ar-a-19225643_cap20241225.html": {
        "id": "19225643",
        "url": "9dd67fd85c3ed99e",
        "title": "915d68bf15feb708",
        "published": "2016-04-30T15:15:13+00:00",
        "modified": None,
        "language": "ar",
        "section": "منوعات",
        "authors": (),
        "keywords": (),
        "summary": "3d7ebe5312c63665",
        "images": ("19225671_605.jpg",),
        "legends": "1ce9481c1470f7cc",
        "body": (6, "430e3c8caef48a2b"),
    },
    "2018_zh-a-43237694_cap20230109.html": {
        "id": "43237694",
        "url": "837b35c080e29cc0",
        "title": "2a8c7640f4cb9159",
        "published": "2018-04-03T00:00:00+00:00",
        "modified": None,
        "language": "zh-Hans",
        "section": "评论分析",
        "authors": ("苗子(摘编)",),
        "keywords": ("中美", "美中", "关税"),
        "summary": "f7741a216d435bc8",
        "images": ("42965162_605.jpg", "41852009_605.jpg"),
        "legends": "8ba41eb4ec2b1587",
        "body": (11, "44540fcbff8fd52c"),
    },
    "2020_ro-a-53368472_cap20231122.html": {
        "id": "53368472",
        "url": "1d44a43bbc402b7e",
        "title": "78edd520f819faab",
        "published": "2020-05-08T08:51:36.568000+00:00",
        "modified": "2020-05-08T08:51:43.629000+00:00",
        "language": "ro",
        "section": "Politică",
        "authors": ("Ralf Bosen",),
        "keywords": ("Germania",),
        "summary": "8d6deb1a9bcd53ab",
        "images": ("53347184_605.jpg", "44025111_605.jpg"),
        "legends": "ddb60f9b1c678eff",
        "body": (26, "f569a3ac95db6859"),
    },
    "2020_ro-a-53368472_cap20231203.html": {
        "id": "53368472",
        "url": "1d44a43bbc402b7e",
        "title": "78edd520f819faab",
        "published": "2020-05-08T08:51:36.568000+00:00",
        "modified": "2020-05-08T08:51:43.629000+00:00",
        "language": "ro",
        "section": "Politică",
        "authors": ("Ralf Bosen",),
        "keywords": ("Germania",),
        "summary": "8d6deb1a9bcd53ab",
        "images": ("53347184_605.jpg", "44025111_605.jpg"),
        "legends": "ddb60f9b1c678eff",
        "body": (26, "f569a3ac95db6859"),
    },
    "2022_de-a-63341604_cap20221221.html": {
        "id": "63341604",
        "url": "c06de2424efc9764",
        "title": "60de755df410d342",
        "published": "2022-10-05T00:00:00+00:00",
        "modified": None,
        "language": "de",
        "section": "Wirtschaft",
        "authors": ("Andreas Landwehr (dpa Peking)",),
        "keywords": ("China", "Ausländer", "Expats", "Null Covid Politik", "Lockdowns"),
        "summary": "0f8fa2a6b77e0dc3",
        "images": ("52259881_605.jpg", "61990551_605.jpeg", "15974332_605.jpg", "55496975_605.jpg"),
        "legends": "8755840427e68dc4",
        "body": (14, "b43dc14da86cc262"),
    },
    "2022_de-a-63341604_cap20230102.html": {
        "id": "63341604",
        "url": "c06de2424efc9764",
        "title": "60de755df410d342",
        "published": "2022-10-05T00:00:00+00:00",
        "modified": None,
        "language": "de",
        "section": "Wirtschaft",
        "authors": ("Andreas Landwehr (dpa Peking)",),
        "keywords": ("China", "Ausländer", "Expats", "Null Covid Politik", "Lockdowns"),
        "summary": "0f8fa2a6b77e0dc3",
        "images": ("52259881_605.jpg", "61990551_605.jpeg", "15974332_605.jpg", "55496975_605.jpg"),
        "legends": "8755840427e68dc4",
        "body": (14, "b43dc14da86cc262"),
    },
    "2022_zh-a-62182175_cap20230109.html": {
        "id": "62182175",
        "url": "41a4c2f1090cfb9e",
        "title": "61285c45491f975e",
        "published": "2022-06-19T00:00:00+00:00",
        "modified": None,
        "language": "zh-Hans",
        "section": "时政风云",
        "authors": (),
        "keywords": ("乌克兰战争", "乌克兰", "北约", "装备", "俄罗斯", "黑海", "北顿涅茨克"),
        "summary": "55ecb7b7237cc314",
        "images": ("62180684_605.jpg", "62135672_605.jpg"),
        "legends": "b0be82a9e63b3dfa",
        "body": (15, "bc0d96c3bae1667c"),
    },
    "2023_de-a-65897191_cap20230613.html": {
        "id": "65897191",
        "url": "b8a90ac509c99fcd",
        "title": "8e7b812fd81fab89",
        "published": "2023-06-13T12:15:32.158000+00:00",
        "modified": "2023-06-13T14:11:01.412000+00:00",
        "language": "de",
        "section": "Wissenschaft",
        "authors": ("Julia Vergin", "Clare Roth"),
        "keywords": ("Long COVID", "Coronavirus"),
        "summary": "92f56c77132c98bd",
        "images": ("65897427_605.jpg",),
        "legends": "ba753e1480095672",
        "body": (33, "90033c2dbe7e8d92"),
    },
    "2023_zh-a-66982533_cap20231127.html": {
        "id": "66982533",
        "url": "2e1e1ce306fee1fb",
        "title": "289a2e39750b3839",
        "published": "2023-10-08T07:18:55.026000+00:00",
        "modified": None,
        "language": "zh-Hans",
        "section": "足坛体坛",
        "authors": ("Jörg Strohschein",),
        "keywords": ("体育", "游泳", "世界杯", "德国", "柏林", "跨性别", "LGBTQ", "性别"),
        "summary": "7772d55c31a3dd3f",
        "images": ("66961907_605.webp", "58734835_605.webp", "66940224_605.webp"),
        "legends": "2457d4e600e909c8",
        "body": (20, "b96ea9f7f252dfef"),
    },
    "2026_ar-a-75375035_cap20260104.html": {
        "id": "75375035",
        "url": "cb736c235ea031ae",
        "title": "6a776a5f9bc75ae9",
        "published": "2026-01-04T07:26:19.373000+00:00",
        "modified": "2026-01-04T07:27:03.501000+00:00",
        "language": "ar",
        "section": "بانوراما",
        "authors": ("عباس الخشالي",),
        "keywords": ("لامين يامال", "ليونيل ميسي", "منتخب الأرجنتين"),
        "summary": "7f6242fd50304cd0",
        "images": ("72810044_605.jpg", "72366127_605.jpg"),
        "legends": "ac4f2e4ce2445643",
        "body": (18, "c6fe1652c7f39a36"),
    },
}


def read(page: bytes | str) -> Article:
    body = page.encode() if isinstance(page, str) else page
    return DwSpider().read(saved("https://www.dw.com/asked", body))


def digest(value: str) -> str:
    return sha256(value.encode()).hexdigest()[:16]


def real(name: str) -> Article:
    if not (PAGES / name).exists():
        pytest.skip("the real pages are not at hand: ../shared/pages/dw")
    return read((PAGES / name).read_bytes())


@pytest.mark.parametrize("name", EXPECTED)
def test_real_page(name: str) -> None:
    article = real(name)
    assert {
        "id": article.id,
        "url": digest(article.url),
        "title": digest(article.title),
        "published": article.published.isoformat(),
        "modified": article.modified and article.modified.isoformat(),
        "language": article.language,
        "section": article.section,
        "authors": article.authors,
        "keywords": article.keywords,
        "summary": digest(article.summary),
        "images": tuple(image.url.removeprefix("https://static.dw.com/image/") for image in article.images),
        "legends": digest("\n".join(f"{image.caption}|{image.credit}" for image in article.images)),
        "body": (article.body.count("<p>") + article.body.count("<h2>"), digest(article.body)),
    } == EXPECTED[name]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2020_ro-a-53368472_cap20231122.html", "2020_ro-a-53368472_cap20231203.html"),
        ("2022_de-a-63341604_cap20221221.html", "2022_de-a-63341604_cap20230102.html"),
    ],
)
def test_two_captures_give_equal_articles(one: str, other: str) -> None:
    assert real(one) == real(other)


HEAD = '<html lang="zh"><head><link rel="canonical" href="https://www.dw.com/zh/x/{kind}-12345"><title>T</title>{meta}</head>'
FACTS = (
    "<ul class=smallList><li><strong>日期</strong> 19.06.2022</li>"
    "<li><strong>作者</strong> 李京慧/乐然（路透社，法新社）</li></ul>"
)
PICTURE = (
    "<div class=picBox><a><img src='https://static.dw.com/image/7_303.jpg' width=700 height=394></a><p>图</p></div>"
)


def classic(
    kind: str = "a", meta: str = "", facts: str = FACTS * 2, text: str = "<p>文</p>", above: str = PICTURE
) -> str:
    return (
        HEAD.format(kind=kind, meta=meta)
        + "<body><div id=navPath><a>在线报导</a> / <a>时政风云</a></div><div id=bodyContent>"
        f"<div class=col3><h1>标题</h1><p class=intro>导语</p>{above}"
        f"<div class=group><div class=longText>{text}</div></div></div>"
        f"{facts}</div></body></html>"
    )


def content(**fields: object) -> dict[str, object]:
    return {
        "title": "標題",
        "teaser": "導語",
        "text": "<p>文</p>",
        "firstPublicationDate": "2026-01-01T08:00:00.5Z",
        "lastModifiedDate": "2026-01-02T08:00:00Z",
        "persons": [{"fullName": "李京慧"}],
        "relatedAutoTopics": [{"name": "台灣"}],
        "thematicFocusCategory": {"name": "政治"},
        "trackingCategories": ["在線報導"],
        "imageSharingMetadata": None,
        "contentLinks": [],
        "videos": [],
        "audios": [],
        "imageGalleries": [],
        **fields,
    }


def page_with_state(held: dict[str, object], tag: str = "zh-hant") -> str:
    state = {"/graph-api/zh-hant/content/article/12345": {"data": {"content": held}}}
    return (
        HEAD.format(kind="a", meta="").replace('"zh"', f'"{tag}"')
        + f"<body><script>window.__APP_STATE__={json.dumps(state)}; </script></body></html>"
    )


def test_classic_page() -> None:
    article = read(classic())
    assert article.authors == ("李京慧", "乐然（路透社，法新社）")
    assert (article.section, article.language, article.id) == ("时政风云", "zh-Hans", "12345")
    assert article.body == (
        "<p><strong>导语</strong></p>"
        '<figure><img src="https://static.dw.com/image/7_605.jpg"><figcaption>图</figcaption></figure><p>文</p>'
    )


def test_a_picture_whose_size_is_not_told_is_not_upright() -> None:
    assert read(classic(above=PICTURE.replace("width", "wide"))) == read(classic())
    assert "/7_703.jpg" in read(classic(above=PICTURE.replace("700", "300"))).body


def test_one_list_of_facts_is_enough() -> None:
    assert read(classic(facts=FACTS)) == read(classic())


@pytest.mark.parametrize(
    "page",
    [
        classic(facts=""),
        classic(facts=FACTS + FACTS.replace("19.06", "20.06")),
        classic(meta="<meta name=keywords content=台湾>"),
        classic(meta="<meta property=og:image content=https://static.dw.com/image/8_6.jpg>"),
        classic(meta="<meta property=og:image content=https://static.dw.com/image/7_6.webp>"),
        classic(text="<div class=new>词</div>"),
        classic(text=""),
        classic(facts=FACTS.replace("strong", "b")),
        HEAD.format(kind="a", meta="") + "<body><article><div class=rich-text><p>文</p></div></article></body></html>",
        page_with_state(content(imageSharingMetadata={"url": "https://static.dw.com/image/8_6.jpg"})),
        page_with_state(content(contentLinks=[{"targetId": 8, "isInText": True, "targetType": "IMAGE"}])),
        page_with_state(
            content(text="<figure><img data-url='https://static.dw.com/image/8_${formatId}.jpg'></figure>")
        ),
    ],
)
def test_drift(page: str) -> None:
    with pytest.raises(Drift):
        read(page)


def test_a_film_that_is_lost_with_its_wrapper_is_drift() -> None:
    place = "<div class='vjs-wrapper {}'><h2>影片</h2><div class=vjs-video data-id=9></div></div>"
    film = {"id": 9, "namedUrl": "/zh-hant/y/video-9", "name": "影片"}
    page = page_with_state(content(text="<p>文</p>" + place.format("embed"), videos=[film]))
    assert 'href="https://www.dw.com/zh-hant/y/video-9"' in read(page).body
    with pytest.raises(Drift, match="video-9"):
        read(page.replace("vjs-wrapper embed", "vjs-wrapper renamed"))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("live", "live-blog"),
        ("av", "video"),
        ("video", "video"),
        ("audio", "audio"),
        ("g", "gallery"),
        ("t", "not-an-article"),
        ("person", "not-an-article"),
    ],
)
def test_other_kinds_of_pages_are_refused_by_name(kind: str, reason: str) -> None:
    with pytest.raises(Refused) as refusal:
        read(classic(kind=kind))
    assert refusal.value.reason == reason


def test_mobile_page_reads_like_the_classic_one() -> None:
    page = HEAD.format(kind="a", meta="<meta name=description content=导语>") + (
        f"<body><div class=content><div class=article><h4>时政风云</h4><h1>标题</h1>{PICTURE}"
        f"<div class='group longtextMobile'><p>文</p></div>{FACTS}</div></div></body></html>"
    )
    assert read(page) == read(classic())


def test_page_with_state() -> None:
    text = (
        "<p>甲</p><p>DW中文有Instagram！歡迎搜尋dw.chinese，看更多深入淺出的圖文與影音報導。</p>"
        "<div class='image-gallery embed' data-id='5'></div><div class='dw-widget embed' data-id='6'></div>"
        "<blockquote class='tweet embed' data-id='7'></blockquote><div class='image-gallery embed' data-id='8'></div>"
        "<figure class='placeholder-image master_portrait'><img data-id='9' data-url='https://static.dw.com/image/9_${formatId}.jpg'>"
        "<figcaption>圖<small class=copyright>圖片來源: AP</small></figcaption></figure>"
        "<p>© 2026年德國之聲版權聲明</p>"
    )
    gallery = {"id": 5, "name": "組圖", "namedUrl": "/zh-hant/x/g-5"}
    article = read(page_with_state(content(text=text, imageGalleries=[gallery])))
    assert article.body == (
        '<p><strong>導語</strong></p><p>甲</p><p><a href="https://www.dw.com/zh-hant/x/g-5">組圖</a></p>'
        '<p><a href="https://webapi.dw.com/iframes/widget/zh-hant/6">https://webapi.dw.com/iframes/widget/zh-hant/6</a></p>'
        '<p><a href="https://twitter.com/i/status/7">https://twitter.com/i/status/7</a></p>'
        '<figure><img src="https://static.dw.com/image/9_703.jpg">'
        "<figcaption>圖 <small>AP</small></figcaption></figure>"
        "<p>© 2026年德國之聲版權聲明</p>"
    )
    assert (article.language, article.section, article.keywords) == ("zh-Hant", "政治", ("台灣",))
    assert article.published.isoformat() == "2026-01-01T08:00:00.500000+00:00"


@pytest.mark.parametrize(
    ("address", "id"),
    [
        ("http://www.dw.de/湖边的木椅/a-18317568?maca=chi-rss-chi-all-1127-rdf", "18317568"),
        ("https://www.dw.com/zh/%E7%BE%8E%20%E5%8A%A0/a-64358959", "64358959"),
        ("https://www.dw.com/a-17400331", "17400331"),
        ("https://www.dw.com/zh/a-17400331?&zhongwen=trad", "17400331"),
        ("http://m.dw.com/zh/x/a-17400331", "17400331"),
        ("https://amp.dw.com/zh/x/a-17400331", "17400331"),
        ("http://www.dw-world.de/dw/article/0,,5862718,00.html?maca=x", "5862718"),
        ("http://www.dw-world.de/dw/article/9/0,,5862718,00.html", "5862718"),
        ("https://www.dw.com/en/x/live-79209302", "79209302"),
        ("https://www.dw.com/zh/x/av-67522137", ""),
        ("https://www.dw.com/zh/x-a-5/s-9058", ""),
        ("https://learngerman.dw.com/zh/x/a-5", ""),
    ],
)
def test_article_url(address: str, id: str) -> None:
    match = DwSpider.article_url.search(address)
    assert (match["id"] if match else "") == id


@pytest.mark.parametrize(
    ("number", "modified", "may"),
    [
        # Nothing changes before it is published.
        (600, 12, False),
        (600, 13, True),
        (600, None, True),
        # What the archive has next below came out a week after the stretch; but for one, which may have lain for long.
        (715, None, True),
        (716, None, False),
        (999, 30, False),
        (1, None, True),
    ],
)
def test_numbers_tell_what_was_begun_after_a_stretch_of_time(number: int, modified: int | None, may: bool) -> None:
    def day(day: int) -> datetime:
        return datetime(2026, 1, day, tzinfo=UTC)

    held = {"711": 14, "713": 21, "714": 28, "715": 22, "WBMZ": 1}
    rows = [SimpleNamespace(id=id, published=day(published)) for id, published in held.items()]
    dw = DwSpider()
    dw.__dict__["frontier"] = SimpleNamespace(store=SimpleNamespace(known=SimpleNamespace(articles=lambda _: rows)))
    link = Link(f"https://www.dw.com/zh/x/a-{number}", modified=day(modified) if modified else None)
    assert dw.may_lie(link, Span(day(13), day(14))) == may


@pytest.mark.parametrize(
    ("told", "names"),
    [
        ("Andreas Landwehr (dpa Peking)", ("Andreas Landwehr (dpa Peking)",)),
        ("A B, C D (dpa, afp)/E", ("A B", "C D (dpa, afp)", "E")),
        ("Deutsche Welle", ()),
        ("", ()),
    ],
)
def test_names(told: str, names: tuple[str, ...]) -> None:
    assert names_in(told) == names


@pytest.mark.parametrize(
    "missing",
    [
        "contentLinks",
        "videos",
        "audios",
        "imageGalleries",
        "persons",
        "relatedAutoTopics",
        "lastModifiedDate",
        "kicker",
    ],
)
def test_what_a_state_says_is_null_is_none(missing: str) -> None:
    fields = {"trackingCategories": ["首页", "科技"], missing: None}
    assert read(page_with_state(content(**fields))).title == read(page_with_state(content())).title


def test_a_state_without_text_is_no_article() -> None:
    with pytest.raises(Drift, match="no text"):
        read(page_with_state(content(text=None)))


def test_the_kind_of_a_page_is_told_by_the_end_of_its_address() -> None:
    page = classic().replace("/a-", "/covid-19/a-")
    assert page != classic()
    assert read(page).id == read(classic()).id


@pytest.mark.parametrize(
    ("announced", "published"),
    [
        (datetime(2022, 6, 19, 9, 41, 7, tzinfo=UTC), datetime(2022, 6, 19, 9, 41, 7, tzinfo=UTC)),
        # 00:30 in Berlin.
        (datetime(2022, 6, 18, 22, 30, tzinfo=UTC), datetime(2022, 6, 18, 22, 30, tzinfo=UTC)),
        # Announced again when it was changed.
        (datetime(2022, 6, 21, 12, 0, tzinfo=UTC), datetime(2022, 6, 19, tzinfo=UTC)),
        (None, datetime(2022, 6, 19, tzinfo=UTC)),
    ],
)
def test_the_time_of_a_classic_page_is_that_of_its_announcement(
    announced: datetime | None, published: datetime
) -> None:
    request = Request("https://www.dw.com/zh/a-7", meta={"announced": announced})
    response = HtmlResponse(request.url, body=classic().encode(), request=request)
    assert DwSpider().parse_article(response).published == published
