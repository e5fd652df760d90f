"""What RfiSpider reads: facts and hashes of real pages where they are at hand, and pages of our own."""
# ruff: noqa: E501

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
        "url": "http://www.rfi.fr/cn/%E4%B8%AD%E5%9B%BD/20191122-%E5%9F%BA%E8%BE%9B%E6%A0%BC%E7%96%BE%E5%91%BC-%E7%BE%8E%E4%B8%AD%E8%B4%B8%E6%98%93%E6%88%98%E6%9C%89%E5%8F%AF%E8%83%BD%E5%BC%95%E7%88%86%E7%9C%9F%E6%AD%A3%E7%9A%84%E6%88%98%E4%BA%89",
        "published": "2019-11-22T01:37:44+00:00",
        "modified": "2019-11-22T01:54:19+00:00",
        "language": "zh-Hans",
        "section": "中国",
        "authors": ("安德烈",),
        "images": (
            "http://scd.cn.rfi.fr/sites/chinese.filesrfi/imagecache/rfi_16x9_1024_578/sites/images.rfi.fr/files/aef_image/2018-11-08t085918z_1449743160_rc1de54ae5c0_rtrmadp_3_usa-trade-china.jpg",
        ),
        "keywords": (5, "8097ef73d909cd7c"),
        "title": "17aff260b929d652",
        "summary": "ccf213b5c7a2aa58",
        "legends": "7c4ff3f4476a7e64",
        "body": (12, "21a2eebcf91335e5"),
    },
    "2019_fr-20191103-etats-unis-chine-accord-part-ca4958_cap20200107.html": {
        "id": "WB1818553-RFI-FR-20191103",
        "url": "http://www.rfi.fr/economie/20191103-etats-unis-chine-accord-partiel-principe-guerre-commerciale-oms-defaite",
        "published": "2019-11-03T13:24:28+00:00",
        "modified": None,
        "language": "fr",
        "section": "Economie",
        "authors": (),
        "images": (
            "http://scd.rfi.fr/sites/filesrfi/aefimagesnew/imagecache/rfi_16x9_1024_578/sites/images.rfi.fr/files/aefimagesnew/aef_image/2019-10-21t124512z_1234630001_rc129bd490c0_rtrmadp_3_usa-trade-china.jpg",
        ),
        "keywords": (3, "ee7d99b724818de1"),
        "title": "d89c3c9ce709c3e8",
        "summary": "6e1e40807c0ba02a",
        "legends": "b90a37989b47140d",
        "body": (5, "76217f38248fd9b5"),
    },
    "2021_cn-20210326-500-888809_cap20221126.html": {
        "id": "4FE62118-53A5-483B-AAD2-84310BA37B07",
        "url": "https://www.rfi.fr/cn/%E4%B8%AD%E5%9B%BD/20210326-%E8%BF%87%E5%8E%BB%E4%B8%A4%E4%B8%AA%E6%9C%88%E7%BE%8E%E5%9B%BD%E5%8F%91%E7%94%9F500%E8%B5%B7%E6%AD%A7%E8%A7%86%E4%BA%9A%E8%A3%94%E4%BA%8B%E4%BB%B6-%E5%85%AD%E6%88%90%E5%8D%8E%E4%BA%BA%E7%A7%B0%E6%9B%BE%E9%81%AD%E5%8F%97%E7%A7%8D%E6%97%8F%E6%AD%A7%E8%A7%86",
        "published": "2021-03-26T22:25:07+00:00",
        "modified": None,
        "language": "zh-Hans",
        "section": "中国",
        "authors": ("旧金山特约记者 王山",),
        "images": (
            "https://s.rfi.fr/media/display/0d082c66-8e82-11eb-bca2-005056a964fe/w:1280/p:16x9/AP21085729722055.jpg",
        ),
        "keywords": (3, "74e9cb2de94f7061"),
        "title": "a94fb29bf2dcefe2",
        "summary": "3a0708817ba512cc",
        "legends": "265e3e1b660ca367",
        "body": (8, "133262e935014fac"),
    },
    "2022_cn-20220206-d840dc_cap20220309.html": {
        "id": "WBMZ56320-RFI-CN-20220206",
        "url": "https://www.rfi.fr/cn/%E4%B8%93%E6%A0%8F%E6%A3%80%E7%B4%A2/%E6%B3%95%E5%9B%BD%E6%8A%A5%E7%BA%B8%E6%91%98%E8%A6%81/20220206-%E9%A9%AC%E5%85%8B%E9%BE%99%E6%98%9F%E6%9C%9F%E4%B8%80%E5%9C%A8%E8%8E%AB%E6%96%AF%E7%A7%91%E4%B8%8E%E6%99%AE%E4%BA%AC%E4%BC%9A%E9%9D%A2",
        "published": "2022-02-06T12:48:06+00:00",
        "modified": None,
        "language": "zh-Hans",
        "section": "国际",
        "authors": ("安东尼",),
        "images": (
            "https://s.rfi.fr/media/display/7a6b9d8c-61e3-11ea-8577-005056a964fe/w:1280/p:16x9/WB15399-RFI-CN-20100304.png",
        ),
        "keywords": (1, "2d5b98b7b92a0e60"),
        "title": "03dfa22915aeddbd",
        "summary": "e0cd0b83eeae4816",
        "legends": "dd9233a44b567825",
        "body": (12, "ef953b70d5d4f4e1"),
    },
    "2022_cn-20221107-a4a303_cap20221226.html": {
        "id": "WBMZ76797-RFI-CN-20221107",
        "url": "https://www.rfi.fr/cn/%E6%AC%A7%E6%B4%B2/20221107-%E8%8B%B1%E9%A6%96%E7%9B%B8%E8%8B%8F%E7%BA%B3%E5%85%8B%E8%A1%A8%E7%A4%BA%E6%84%BF%E4%B8%8E%E6%B3%95%E5%9B%BD%E5%9C%A8%E7%A7%BB%E6%B0%91%E9%97%AE%E9%A2%98%E4%B8%8A-%E5%AF%86%E5%88%87%E5%90%88%E4%BD%9C",
        "published": "2022-11-07T22:55:32+00:00",
        "modified": None,
        "language": "zh-Hans",
        "section": "欧洲",
        "authors": ("阿曼亭",),
        "images": (
            "https://s.rfi.fr/media/display/74f26e1c-54e8-11ed-b181-005056bfb2b6/w:1280/p:16x9/AP22297345326538.jpg",
        ),
        "keywords": (3, "432b8e14dff527b2"),
        "title": "d341a666011b560c",
        "summary": "7546e24b0a169514",
        "legends": "7e593b520d322df5",
        "body": (9, "5cdd2b44ec05e7a1"),
    },
    "2022_cn-20221107-a4a303_cap20230110.html": {
        "id": "WBMZ76797-RFI-CN-20221107",
        "url": "https://www.rfi.fr/cn/%E6%AC%A7%E6%B4%B2/20221107-%E8%8B%B1%E9%A6%96%E7%9B%B8%E8%8B%8F%E7%BA%B3%E5%85%8B%E8%A1%A8%E7%A4%BA%E6%84%BF%E4%B8%8E%E6%B3%95%E5%9B%BD%E5%9C%A8%E7%A7%BB%E6%B0%91%E9%97%AE%E9%A2%98%E4%B8%8A-%E5%AF%86%E5%88%87%E5%90%88%E4%BD%9C",
        "published": "2022-11-07T22:55:32+00:00",
        "modified": None,
        "language": "zh-Hans",
        "section": "欧洲",
        "authors": ("阿曼亭",),
        "images": (
            "https://s.rfi.fr/media/display/74f26e1c-54e8-11ed-b181-005056bfb2b6/w:1280/p:16x9/AP22297345326538.jpg",
        ),
        "keywords": (3, "432b8e14dff527b2"),
        "title": "d341a666011b560c",
        "summary": "7546e24b0a169514",
        "legends": "7e593b520d322df5",
        "body": (9, "5cdd2b44ec05e7a1"),
    },
    "2023_cn-20231114-ff1244_cap20231125.html": {
        "id": "WBMZ99647-RFI-CN-20231115",
        "url": "https://www.rfi.fr/cn/%E4%B8%AD%E5%9B%BD/20231114-%E4%BB%A5%E5%93%88%E6%88%98%E4%BA%89%E4%B8%AD%E4%B8%A7%E5%BF%83%E7%97%85%E7%8B%82%E7%9A%84%E8%99%9A%E5%81%87%E4%BF%A1%E6%81%AF",
        "published": "2023-11-14T23:39:03+00:00",
        "modified": None,
        "language": "zh-Hans",
        "section": "中国",
        "authors": ("安德烈",),
        "images": (
            "https://s.rfi.fr/media/display/f60194aa-8346-11ee-93d4-005056bf30b7/w:1280/p:16x9/AP23318625839548.jpg",
        ),
        "keywords": (3, "030b64347c95ff1b"),
        "title": "164da4da157b6e4a",
        "summary": "635dde35c6b5bd11",
        "legends": "30b959e9befc3a47",
        "body": (23, "24bfad806f0ad714"),
    },
    "2023_tw-20230901-400-40ab65_cap20231010.html": {
        "id": "WBMZ94968-RFI-TW-20230901",
        "url": "https://www.rfi.fr/tw/%E6%B8%AF%E6%BE%B3%E5%8F%B0/20230901-%E8%B6%85%E5%BC%B7%E9%A2%B1%E9%A2%A8-%E8%98%87%E6%8B%89-%E8%A5%B2%E7%B2%B5-%E6%B7%B1%E6%B8%AF%E6%BE%B3%E5%81%9C%E5%B7%A5%E5%81%9C%E8%AA%B2-%E4%BB%8A%E6%99%9A%E9%A2%A8%E6%9B%B4%E5%8B%81-%E9%80%BE400%E8%88%AA%E7%8F%AD%E5%8F%97%E5%BD%B1%E9%9F%BF",
        "published": "2023-09-01T07:49:42+00:00",
        "modified": None,
        "language": "zh-Hant",
        "section": "港澳台",
        "authors": ("香港特約記者 麥燕庭",),
        "images": (
            "https://s.rfi.fr/media/display/c840b84c-489b-11ee-b57a-005056a90321/w:1280/p:16x9/1.9%20%E5%90%B9%E8%A5%B2%E5%BB%A3%E6%9D%B1%E7%9C%81%E4%B8%80%E5%B8%B6%E7%9A%84%E8%B6%85%E5%BC%B7%E8%88%B9%E9%A2%A8%E8%98%87%E6%8B%89%2C%20%E7%B5%90%E6%A7%8B%E7%B7%8A%E5%AF%86%EF%BC%8C%E9%A2%A8%E7%9C%BC%E6%B8%85%E6%99%B0%E5%8F%AF%E8%A6%8B%2C%20%E9%A0%90%E7%A4%BA%E9%A2%A8%E5%8A%9B%E5%BC%B7%E5%8B%81%28%E9%A6%99%E6%B8%AF%E5%A4%A9%E6%96%87%E5%8F%B01%E6%97%A5%E6%97%A9%E4%B8%8A10%E6%99%82%E5%8D%8A%E8%A1%9B%E6%98%9F%E6%88%AA%E5%9C%96%29.png",
        ),
        "keywords": (3, "90e1ae51da7947a9"),
        "title": "6bb8b8b63a284b30",
        "summary": "8beefca04ec3a61e",
        "legends": "cc7567dd5b28522d",
        "body": (17, "5f6b4ca4094a729b"),
    },
    "2025_cn-20251130-400-t-dome-2efc15_cap20251201.html": {
        "id": "WBMZ146377-RFI-CN-20251130",
        "url": "https://www.rfi.fr/cn/%E6%94%BF%E6%B2%BB/20251130-%E5%8F%B0%E6%B9%BE%E5%A2%9E%E5%8A%A0400%E4%BA%BF%E7%BE%8E%E5%85%83%E5%9B%BD%E9%98%B2%E5%BC%80%E6%94%AF-%E5%8A%A0%E9%80%9F%E9%83%A8%E7%BD%B2t-dome%E9%98%B2%E7%A9%BA%E7%B3%BB%E7%BB%9F",
        "published": "2025-11-30T09:13:47+00:00",
        "modified": "2025-11-30T09:14:02+00:00",
        "language": "zh-Hans",
        "section": "政治",
        "authors": ("左依",),
        "images": (
            "https://s.rfi.fr/media/display/064ecb9c-caf9-11f0-9b38-005056bfb2b6/w:1280/p:16x9/000-867R2EZ.jpg",
        ),
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
        "url": article.url,
        "published": article.published.isoformat(),
        "modified": article.modified and article.modified.isoformat(),
        "language": article.language,
        "section": article.section,
        "authors": article.authors,
        "images": tuple(image.url for image in article.images),
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
         '<figure><img src="https://s.rfi.fr/media/display/u/w:1280/p:16x9/a.jpg"><figcaption>门 <small>© 园</small></figcaption></figure>'),
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
