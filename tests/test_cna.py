"""What CnaSpider reads: facts and hashes of real pages where they are at hand, and pages of our own."""

import re
from hashlib import sha256

import pytest
from places import SHARED, needs_shared, saved, spider
from server import PARAGRAPHS, cna_page

from newsarchive.article import Article, Drift, Refused

#: Section, modified, number of keywords and pictures; hash of headline, summary, keywords, captions and body.
REAL = {
    "2013_zh-201308130087-1_cap20141220.html": ("兩岸透視", None, 0, 0, "871f67c3cc3a5aed"),
    "2014_zh-201412120137-1_cap20141220.html": ("兩岸透視", None, 0, 0, "029c6329915fd636"),
    "2020_zh-202003255010_cap20200409.html": ("國際", "2020-03-26T06:09:00+00:00", 3, 1, "04c2325cdaa0e27e"),
    "2023_zh-202302210388_cap20230304.html": ("政治", "2023-02-21T14:08:00+00:00", 3, 1, "da65ea6bf9bf71eb"),
    "2023_zh-202308230179_cap20231010.html": ("生活", "2023-08-23T07:31:00+00:00", 4, 1, "e1ed24d690212e57"),
    "2023_zh-202308230192_cap20231010.html": ("兩岸", None, 2, 0, "9ca1b0ef93bf4764"),
    "2023_zh-202308230370_cap20231010.html": ("國際", "2023-08-23T14:26:00+00:00", 5, 3, "4d65eb347c36697c"),
}


def read(page: str | bytes) -> Article:
    body = page.encode() if isinstance(page, str) else page
    return spider("cna").read(saved("https://www.cna.com.tw/", body))


def digest(article: Article) -> str:
    told = [
        article.title,
        article.summary,
        *article.keywords,
        *(image.caption for image in article.images),
        article.body,
    ]
    return sha256("\n".join(told).encode()).hexdigest()[:16]


@needs_shared
@pytest.mark.parametrize("name", REAL)
def test_real_page(name: str) -> None:
    article = read((SHARED / "pages" / "cna" / name).read_bytes())
    modified = article.modified.isoformat() if article.modified else None
    found = (article.section, modified, len(article.keywords), len(article.images), digest(article))
    assert found == REAL[name]
    assert (article.language, article.authors) == ("zh-Hant-TW", ())


@pytest.mark.parametrize(
    "closing",
    [
        "（編輯：山青）1130115",
        "（譯者：山青/核稿：水白）1130115",
        "1130115",
        "（編輯：山青）1130115（影）",
        "（編輯：山青）1130115（18:20更新）",
        "<strong>（編輯：山青）1130115</strong>",
        "（編輯：山青）1130116 湖邊風大，請注意安全。",
    ],
)
def test_a_text_that_closes_with_its_day_is_whole(closing: str) -> None:
    assert len(re.findall("<p>", read(cna_page("202401150001", paragraphs=(PARAGRAPHS[0], closing))).body)) == 2


@pytest.mark.parametrize(
    "closing", ["湖邊風大。", "（編輯：山青）", "（編輯：山青）1121115，湖邊風大", "1139999，湖邊"]
)
def test_a_text_without_its_day_was_cut(closing: str) -> None:
    with pytest.raises(Refused, match="incomplete"):
        read(cna_page("202401150001", paragraphs=(PARAGRAPHS[0], closing)))


def before_2023(page: str, keywords: str) -> str:
    """Return a page without JSON-LD, as they were until 2020."""
    times = "".join(f'<meta itemprop="date{name}" content="2020/03/25 18:53">' for name in ("Published", "Modified"))
    return re.sub(r"<script.*?</script>", f'<meta name="keywords" content="{keywords}">{times}', page, flags=re.DOTALL)


@pytest.mark.parametrize(
    ("written", "keywords"),
    [
        ("湖,花園,News,新聞,即時新聞,中央社", ("湖", "花園")),
        ("湖, 花園, News, 新聞, 即時新聞, 中央社", ("湖", "花園")),
        ("河岸新步道今天開放,", ()),
        ("湖,新聞", ("湖", "新聞")),
    ],
)
def test_keywords_of_pages_before_2023(written: str, keywords: tuple[str, ...]) -> None:
    page = before_2023(cna_page("202003250001", paragraphs=("甲。1090325",)), written)
    assert read(page).keywords == keywords


def test_a_page_shared_under_another_headline_does_not_name_its_section() -> None:
    page = before_2023(cna_page("202003250001", paragraphs=("甲。1090325",)), "x")
    page = page.replace('<div class="breadcrumb">', "<div>")
    assert read(page).section == "生活"
    assert read(page.replace('og:title" content="', 'og:title" content="湖邊')).section == ""


def test_pages_before_2023_name_keywords() -> None:
    page = before_2023(cna_page("202003250001", paragraphs=("甲。1090325",)), "x").replace('name="keywords"', "")
    with pytest.raises(Drift, match="keywords"):
        read(page)


def test_keywords_of_early_2023_stand_in_a_group() -> None:
    group = "<div class='articlekeywordGroup'><div class='keywordTag'><a href='/tag/1'>#湖</a></div></div>"
    page = cna_page("202401150001", inside=group).replace('"keywords"', '"words"')
    assert read(page).keywords == ("湖",)
    assert read(page.replace("keywordTag", "renamed")).keywords == ("湖",)


def test_another_headline_before_the_article_s_own_is_drift() -> None:
    page = cna_page("202401150001")
    with pytest.raises(Drift, match="headlines"):
        read(page.replace("<h1>", "<h1>湖邊</h1><h1>"))
    assert read(page.replace("</h1>", "</h1><h1>湖邊</h1>")) == read(page)


def test_a_photo_is_captioned_by_the_words_in_its_frame_or_else_by_its_alternative_text() -> None:
    img = '<img data-src="https://imgcdn.cna.com.tw/www/WebPhotos/400/20240115/1.jpg" alt="湖">'
    for frame, caption in (
        (f'<div class="floatImg center">{img}<div class="picinfo">河</div></div>', "河"),
        (f'<figure class="floatImg">{img}<figcaption>河</figcaption></figure>', "河"),
        (f'<figure class="floatImg">{img}<span>河</span></figure>', "河"),
        (f'<figure class="floatImg">{img}</figure>', "湖"),
    ):
        (image,) = read(cna_page("202401150001", inside=f'<div class="media">{frame}</div>')).images
        assert image.url == "https://imgcdn.cna.com.tw/www/WebPhotos/1024/20240115/1.jpg"
        assert image.caption == caption


@pytest.mark.parametrize(
    ("inside", "address"),
    [
        ('<div class="infogram-embed" data-id="abc"></div>', "https://infogram.com/abc"),
        ('<div class="flourish-embed" data-src="visualisation/12"></div>', "https://flo.uri.sh/visualisation/12/embed"),
        (
            '<div class="fb-post" data-href="https://www.facebook.com/1/posts/2"></div>',
            "https://www.facebook.com/1/posts/2",
        ),
        ('<iframe data-src="//www.youtube.com/embed/x?rel=0"></iframe>', "https://www.youtube.com/embed/x?rel=0"),
        ('<video><source src="https://vod.cna.com.tw/x.mp4"></video>', "https://vod.cna.com.tw/x.mp4"),
    ],
)
def test_what_is_embedded_becomes_a_link(inside: str, address: str) -> None:
    body = read(cna_page("202401150001", inside=f'<div class="media"><div class="new">{inside}</div></div>')).body
    assert body.endswith(f'<p><a href="{address}">{address}</a></p>')


@pytest.mark.parametrize(
    ("address", "id"),
    [
        ("https://www.cna.com.tw/news/aopl/202301120204.aspx", "202301120204"),
        ("http://www.cna.com.tw/News/aCN/201308130087-1.aspx", "201308130087"),
        ("http://www.cna.com.tw/Topic/Popular/3907-1/201308130021-1.aspx", "201308130021"),
        ("https://www.cna.com.tw/amp/news/firstnews/202004200035.aspx", "202004200035"),
        ("https://www.cna.com.tw/news/aopl/202308220341.aspx?topic=421#x", "202308220341"),
        ("https://www.cna.com.tw/topic/newstopic/4677.aspx", ""),
        ("https://www.cna.com.tw/news/aopl/2023011202041.aspx", ""),
        ("https://www.example.com/?u=https://www.cna.com.tw/news/aopl/202301120204.aspx", ""),
        ("https://focustaiwan.tw/politics/202301120204", ""),
    ],
)
def test_article_url(address: str, id: str) -> None:
    match = spider("cna").article_url.search(address)
    assert (match["id"] if match else "") == id
