"""What RfiSpider reads: facts and hashes of real pages where they are at hand, and pages of our own."""

from hashlib import sha256
from pathlib import Path

import pytest
from places import saved

from newsarchive.article import Article, Refused
from spiders.rfi import RfiSpider

PAGES = Path(__file__).parents[2] / "shared" / "pages" / "rfi"

EXPECTED = {
    "2019_cn-20191122-629dd6_cap20200107.html": {
        "id": "WB337340-RFI-CN-20191122",
        "url": "a72dd526c43784d0",
        "published": "2019-11-22T01:37:44+00:00",
        "modified": "2019-11-22T01:54:19+00:00",
        "language": "zh-Hans",
        "section": "中国",
        "authors": ("安德烈",),
        "images": (1, "e1b47ac85a0f9da9"),
        "keywords": (5, "8097ef73d909cd7c"),
        "title": "17aff260b929d652",
        "summary": "ccf213b5c7a2aa58",
        "legends": "7c4ff3f4476a7e64",
        "body": (12, "21a2eebcf91335e5"),
    },
    "2019_fr-20191103-etats-unis-chine-accord-part-ca4958_cap20200107.html": {
        "id": "WB1818553-RFI-FR-20191103",
        "url": "77fbd9bd19656e27",
        "published": "2019-11-03T13:24:28+00:00",
        "modified": None,
        "language": "fr",
        "section": "Economie",
        "authors": (),
        "images": (1, "d914447da50e7464"),
        "keywords": (3, "ee7d99b724818de1"),
        "title": "d89c3c9ce709c3e8",
        "summary": "6e1e40807c0ba02a",
        "legends": "b90a37989b47140d",
        "body": (5, "76217f38248fd9b5"),
    },
    "2021_cn-20210326-500-888809_cap20221126.html": {
        "id": "4FE62118-53A5-483B-AAD2-84310BA37B07",
        "url": "8c199a600be0de1d",
        "published": "2021-03-26T22:25:07+00:00",
        "modified": None,
        "language": "zh-Hans",
        "section": "中国",
        "authors": ("旧金山特约记者 王山",),
        "images": (1, "ed16c82e8469b30d"),
        "keywords": (3, "74e9cb2de94f7061"),
        "title": "a94fb29bf2dcefe2",
        "summary": "3a0708817ba512cc",
        "legends": "265e3e1b660ca367",
        "body": (8, "133262e935014fac"),
    },
    "2022_cn-20220206-d840dc_cap20220309.html": {
        "id": "WBMZ56320-RFI-CN-20220206",
        "url": "e28c65d848b6127d",
        "published": "2022-02-06T12:48:06+00:00",
        "modified": None,
        "language": "zh-Hans",
        "section": "国际",
        "authors": ("安东尼",),
        "images": (1, "1850cc93ddfbd192"),
        "keywords": (1, "2d5b98b7b92a0e60"),
        "title": "03dfa22915aeddbd",
        "summary": "e0cd0b83eeae4816",
        "legends": "dd9233a44b567825",
        "body": (12, "ef953b70d5d4f4e1"),
    },
    "2022_cn-20221107-a4a303_cap20221226.html": {
        "id": "WBMZ76797-RFI-CN-20221107",
        "url": "c6602ddec389a9ff",
        "published": "2022-11-07T22:55:32+00:00",
        "modified": None,
        "language": "zh-Hans",
        "section": "欧洲",
        "authors": ("阿曼亭",),
        "images": (1, "2fcc742facd10b78"),
        "keywords": (3, "432b8e14dff527b2"),
        "title": "d341a666011b560c",
        "summary": "7546e24b0a169514",
        "legends": "7e593b520d322df5",
        "body": (9, "5cdd2b44ec05e7a1"),
    },
    "2022_cn-20221107-a4a303_cap20230110.html": {
        "id": "WBMZ76797-RFI-CN-20221107",
        "url": "c6602ddec389a9ff",
        "published": "2022-11-07T22:55:32+00:00",
        "modified": None,
        "language": "zh-Hans",
        "section": "欧洲",
        "authors": ("阿曼亭",),
        "images": (1, "2fcc742facd10b78"),
        "keywords": (3, "432b8e14dff527b2"),
        "title": "d341a666011b560c",
        "summary": "7546e24b0a169514",
        "legends": "7e593b520d322df5",
        "body": (9, "5cdd2b44ec05e7a1"),
    },
    "2023_cn-20231114-ff1244_cap20231125.html": {
        "id": "WBMZ99647-RFI-CN-20231115",
        "url": "e78f6a9c8f305cb5",
        "published": "2023-11-14T23:39:03+00:00",
        "modified": None,
        "language": "zh-Hans",
        "section": "中国",
        "authors": ("安德烈",),
        "images": (1, "e77b6fc92c6a12fc"),
        "keywords": (3, "030b64347c95ff1b"),
        "title": "164da4da157b6e4a",
        "summary": "635dde35c6b5bd11",
        "legends": "30b959e9befc3a47",
        "body": (23, "24bfad806f0ad714"),
    },
    "2023_tw-20230901-400-40ab65_cap20231010.html": {
        "id": "WBMZ94968-RFI-TW-20230901",
        "url": "caae680c14c79fb0",
        "published": "2023-09-01T07:49:42+00:00",
        "modified": None,
        "language": "zh-Hant",
        "section": "港澳台",
        "authors": ("香港特約記者 麥燕庭",),
        "images": (1, "184da6f1fbb1865e"),
        "keywords": (3, "90e1ae51da7947a9"),
        "title": "6bb8b8b63a284b30",
        "summary": "8beefca04ec3a61e",
        "legends": "cc7567dd5b28522d",
        "body": (17, "5f6b4ca4094a729b"),
    },
    "2025_cn-20251130-400-t-dome-2efc15_cap20251201.html": {
        "id": "WBMZ146377-RFI-CN-20251130",
        "url": "e8ec67cdb4c05695",
        "published": "2025-11-30T09:13:47+00:00",
        "modified": "2025-11-30T09:14:02+00:00",
        "language": "zh-Hans",
        "section": "政治",
        "authors": ("左依",),
        "images": (1, "7082f975ca0b1165"),
        "keywords": (2, "828b62d6bf8f8831"),
        "title": "6abaa10317a771db",
        "summary": "2566d915077f3ffc",
        "legends": "13c9373083378384",
        "body": (13, "cd1f2524cf9a590d"),
    },
}

STORY = """<!doctype html><html lang="zh-Hans"><head>
<link rel="canonical" href="https://www.rfi.fr/cn/%E7%94%9F%E6%80%81/20230405-%E6%A1%A5">
<meta property="article:published_time" content="2023-04-05T06:07:08+00:00">
<meta property="article:section" content="生态"><meta property="og:locale" content="zh_CN">
</head><body><div class="t-content"><script id="datalayer" type="application/json">
{"content_id": "WBMZ1-RFI-CN-20230405", "content_type": "article", "http_code": 200, "main_media_type": "texte",
 "authors": [{"name": "法广"}, {"name": "巴黎特约记者 桥头"}], "tags": [{"name": "园林"}]}
</script>HEADER<article><h1>河上的桥</h1><p class="t-content__chapo">桥头有<em>树</em>。</p>
<div class="t-content__body u-clearfix"><div class="m-interstitial">广告</div>
<p>水边有灯。</p>EMBEDDED<div class="o-self-promo"><p>订阅</p></div></div></article></div></body></html>"""
LEAD = "<p><strong>桥头有<em>树</em>。</strong></p><p>水边有灯。</p>"
PLAYER = '<script data-media-id="A1">{"mediaId": "A1", "sources": [{"url": "https://aod.example/a.mp3"}]}</script>'
SOUND = '<p><a href="https://aod.example/a.mp3">https://aod.example/a.mp3</a></p>'


def read(page: str | bytes) -> Article:
    body = page.encode() if isinstance(page, str) else page
    return RfiSpider().read(saved("https://www.example.com/", body))


def reason(page: str) -> str:
    with pytest.raises(Refused) as refused:
        read(page)
    return refused.value.reason


def real(name: str) -> bytes:
    path = PAGES / name
    if not path.exists():
        pytest.skip(f"{path} is not at hand")
    return path.read_bytes()


def story(embedded: str = "", header: str = "") -> str:
    return STORY.replace("EMBEDDED", embedded).replace("HEADER", header)


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", EXPECTED)
def test_real_page(name: str) -> None:
    article = read(real(name))
    assert {
        "id": article.id,
        "url": digest(article.url),
        "published": article.published.isoformat(),
        "modified": article.modified and article.modified.isoformat(),
        "language": article.language,
        "section": article.section,
        "authors": article.authors,
        "images": (len(article.images), digest("|".join(image.url for image in article.images))),
        "keywords": (len(article.keywords), digest("|".join(article.keywords))),
        "title": digest(article.title),
        "summary": digest(article.summary),
        "legends": digest("|".join(f"{image.caption}|{image.credit}" for image in article.images)),
        "body": (article.body.count("<p>"), digest(article.body)),
    } == EXPECTED[name]


def test_two_captures_are_one_article() -> None:
    name = "2022_cn-20221107-a4a303_cap{}.html"
    assert read(real(name.format("20221226"))) == read(real(name.format("20230110")))


def test_real_redirect_is_refused() -> None:
    assert reason(real("_edge_redirect-stub-1.html").decode()) == "redirect-stub"


def test_own_page() -> None:
    article = read(story())
    assert article.body == LEAD
    assert article.summary == "桥头有树。"
    assert article.id == "WBMZ1-RFI-CN-20230405"
    assert article.authors == ("巴黎特约记者 桥头",)
    assert article.modified is None


@pytest.mark.parametrize(
    ("embedded", "written"),
    [
        ('<div class="m-em-flash"><iframe src="https://video.example/1"></iframe></div>',
         '<p><a href="https://video.example/1">https://video.example/1</a></p>'),
        ('<div class="m-em-flash"><blockquote class="twitter-tweet"><p>鸟</p><a href="https://x.com/a/1">日</a></blockquote></div>',
         '<blockquote><p>鸟</p><p><a href="https://x.com/a/1">日</a></p></blockquote>'),
        ('<div class="m-em-quote"><svg></svg><div class="m-em-quote__body"><p>花开。</p></div></div>',
         "<blockquote><p>花开。</p></blockquote>"),
        (f'<div class="m-em-audio">{PLAYER}<span>声音</span></div>', SOUND),
        ('<div class="m-em-image"><figure><picture><img alt="门" src="https://s.rfi.fr/media/display/u/w:980/p:16x9/a.jpg">'
         "</picture><figcaption><span>门</span> <span>© 园</span></figcaption></figure></div>",
         '<figure><img src="https://s.rfi.fr/media/display/u/w:1280/p:16x9/a.jpg">'
         "<figcaption>门 <small>© 园</small></figcaption></figure>"),
        ("<p><span><span>一</span><span> 二</span></span><span>\xa0三</span></p>", "<p>一 二\xa0三</p>"),
        ('<p class="promo-app">下载</p><p class="t-copyright">©</p>', ""),
    ],
)  # fmt: skip
def test_embedded(embedded: str, written: str) -> None:
    assert read(story(embedded)).body == LEAD + written


@pytest.mark.parametrize(
    "embedded",
    [
        '<div class="o-new">新</div>',
        '<div class="m-em-flash"><div></div></div>',
        '<figure><img alt="门" src="https://s.rfi.fr/a.jpg"></figure>',
        '<figure><img alt="门" src="https://s.rfi.fr/a.jpg"><figcaption><span>门</span></figcaption></figure>',
    ],
)
def test_unknown_is_drift(embedded: str) -> None:
    assert reason(story(embedded)) == "drift"


def test_show_closes_with_its_sound() -> None:
    live = PLAYER.replace("A1", "direct_rfi_cn").replace("a.mp3", "live.mp3")
    page = story(header=f'<div class="o-podcast-header">{live}{PLAYER}</div>').replace("texte", "audio")
    assert reason(page) == "drift"
    page = page.replace('"content_type": "article"', '"content_type": "edition"')
    assert read(page).body == LEAD + SOUND


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"http_code": 200', '"http_code": 404', "error-page"),
        ('"content_type": "article"', '"content_type": "pagebuilder"', "not-an-article"),
        ("<p>水边有灯。</p>", "", "no-text"),
        ("www.rfi.fr/cn", "www.france24.com/fr", "other-publisher"),
        ("t-content__body", "renamed", "drift"),
        ("<h1>", "<h7>", "drift"),
        ("</html>", "", "truncated"),
        (
            "</head>",
            '<meta property="og:image" content="https://s.rfi.fr/media/display/u/w:1280/p:16x9/a.jpg"></head>',
            "drift",
        ),
        (
            "</head>",
            '<script type="application/ld+json">{"@type": "NewsArticle", "description": "桥头有树。"}</script></head>',
            None,
        ),
    ],
)
def test_refusals(old: str, new: str, expected: str | None) -> None:
    page = story().replace(old, new)
    if expected is None:
        assert read(page).body == LEAD
        page, expected = page.replace("t-content__chapo", "renamed"), "drift"
    assert reason(page) == expected


@pytest.mark.parametrize("medium", ["audio", "video"])
def test_sound_or_film_without_text(medium: str) -> None:
    page = story().replace("texte", medium)
    assert reason(page.replace("<p>水边有灯。</p>", "")) == medium
    assert reason(page.replace("t-content__body", "renamed")) == medium


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("https://www.rfi.fr/cn/%E6%AC%A7%E6%B4%B2/20221107-%E6%A1%A5?utm=1#x", "cn/欧洲/20221107-桥"),
        ("http://www.rfi.fr//cn/欧洲/20221107-桥/", "cn/欧洲/20221107-桥"),
        ("https://amp.rfi.fr/cn/欧洲/20221107-桥", "cn/欧洲/20221107-桥"),
        ("http://cn.rfi.fr/欧洲/20171107-桥", "cn/欧洲/20171107-桥"),
        ("http://trad.cn.rfi.fr/歐洲/20171107-橋", "tw/歐洲/20171107-橋"),
        ("http://www.chinese.rfi.fr/欧洲/20141108-桥", "cn/欧洲/20141108-桥"),
        ("http://en.rfi.fr/africa/20160102-bridge", "en/africa/20160102-bridge"),
        ("http://www.rfi.fr/emission/20170102-pont", "fr/emission/20170102-pont"),
        ("https://www.rfi.fr/cn/20191219-桥", "cn/20191219-桥"),
        ("https://www.rfi.fr/cn/专栏检索/桥头/20220206-桥", "cn/专栏检索/桥头/20220206-桥"),
        ("https://www.rfi.fr/fr/europe/20220206-cafe\u0301", "fr/europe/20220206-caf\u00e9"),
    ],
)
def test_one_key_for_all_forms_of_an_address(address: str, key: str) -> None:
    assert RfiSpider().key(address) == f"https://www.rfi.fr/{key}"


@pytest.mark.parametrize(
    "address",
    [
        "https://www.rfi.fr/cn/rss",
        "https://www.rfi.fr/cn/欧洲/",
        "https://static.rfi.fr/20200101-a",
        "https://rfi.fr.example/20200101-a",
    ],
)
def test_not_an_article(address: str) -> None:
    assert not RfiSpider.article_url.search(address)
