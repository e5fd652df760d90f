"""A revision is what a reader sees changed: of real pages, of pages that are disturbed, and of edited ones."""

import random
import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from html import escape
from itertools import permutations
from unicodedata import normalize

import pytest
from places import FIXTURES, PUBLISHERS, SHARED, needs_shared, saved, spider
from server import PARAGRAPHS, TITLE, cna_page
from test_pages import ARTICLES, name
from test_pages import read as read_page

from newsarchive.article import Article, Image
from newsarchive.extract import canonical, tree
from newsarchive.fixture import load
from newsarchive.revision import Passage, differences, fingerprint, paragraphs, picture
from pipelines.clean import clean

FIRST = "https://static.dw.com/image/62180684_605.jpg"
SECOND = "https://static.dw.com/image/62135672_605.jpg"
BODY = (
    "<p><strong>河岸新步道今天開放。</strong></p>"
    f'<figure><img src="{FIRST}"><figcaption>步道一景。 <small>dpa</small></figcaption></figure>'
    "<p>全長三公里，Crêpes &amp; Kaffee，沿途設有座椅。</p><p>週末開放自行車通行。</p>"
    f'<figure><img src="{SECOND}"></figure>'
    '<p><a href="https://www.youtube.com/watch?v=x1&amp;t=3">https://www.youtube.com/watch?v=x1&amp;t=3</a></p>'
)


def article(**fields: object) -> Article:
    """Return an article."""
    usual = {
        "publisher": "cna",
        "id": "202401150001",
        "url": "https://www.cna.com.tw/news/ahel/202401150001.aspx",
        "title": "河岸新步道今天開放",
        "published": datetime(2024, 1, 15, 2, tzinfo=UTC),
        "language": "zh-Hant-TW",
        "section": "生活",
        "images": (Image(url=FIRST, caption="步道一景。", credit="dpa"), Image(url=SECOND)),
        "body": BODY,
    }
    return Article(**{**usual, **fields})


def saved_articles() -> list[Article]:
    """Return the articles that fixtures expect, and those of real pages."""
    found = []
    for publisher in PUBLISHERS:
        for expected in (fixture.expected for fixture in load(FIXTURES / publisher)):
            if about := expected.get("article"):
                images = tuple(Image(**image) for image in about["images"])
                found.append(Article(**{**about, "published": datetime.now(UTC), "modified": None, "images": images}))
    return [*found, *map(read_page, ARTICLES)]


#: ``printf '%s\n' LINE… | head -c -1 | sha256sum | head -c 32`` says the same.
DIGESTS = [
    (
        {},
        "河岸新步道今天開放",
        "生活",
        "河岸新步道今天開放。全長三公里，Crêpes&Kaffee，沿途設有座椅。週末開放自行車通行。youtube.com/watch?v=x1",
        "步道一景。dpa",
        "62180684",
        "62135672",
        "6dd0569118f21c15a666136a370964cc",
    ),
    (
        {"title": "Straße", "section": "Straße\n", "images": (), "body": "<p>a &lt;\u3000b</p>"},
        "Straße",
        "strasse",
        "a<b",
        "",
        "c603307565467883815253901acf8a83",
    ),
    ({"section": "", "images": (), "body": ""}, "河岸新步道今天開放", "", "", "", "a54372d60065ec2e4ffbc0375f49bff9"),
]


@pytest.mark.parametrize(("fields", "lines"), [(fields, lines) for fields, *lines in DIGESTS])
def test_digests_are_for_ever(fields: dict[str, object], lines: list[str]) -> None:
    *lines, digest = lines
    assert sha256("\n".join(lines).encode()).hexdigest()[:32] == digest
    assert fingerprint(article(**fields)) == digest


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "http://www.cna.com.tw/news/acul/202401150001.aspx", "language": "zh"},
        {"published": datetime(2025, 1, 1, tzinfo=UTC), "modified": datetime(2025, 1, 2, tzinfo=UTC)},
        {"authors": ("王山",), "keywords": ("步道",), "summary": "別的摘要。"},
        {"section": " 生\u00a0活 "},
        {"title": "河岸\u200b新步道\u2060今天\n開放 "},
        {"title": "河岸新步道今天開放\ufeff\u00ad\u200e"},
        {"title": "河岸新步道\ufe0f今天開放"},
        {"body": BODY.replace("<p>全", '<p class="a" data-x="<b>">全').replace("週末", "<em>週</em>末")},
        {
            "body": BODY.replace("三公里", "三公里 \u3000\t\u00a0").replace(
                "Crêpes &amp; Kaffee", "Crêpes&#38;\r\nKaffee"
            )
        },
        {"body": normalize("NFD", BODY)},
        {"body": "".join(f"&#{ord(char)};" if ord(char) > 127 else char for char in BODY)},
        {"body": BODY.replace("</p><p>週末", "<br>週末")},
        {"body": BODY.replace("t=3", "si=Xb_2&amp;t=9").replace("https://www.", "http://")},
        {"body": BODY.replace("_605.jpg", "_804.webp"), "images": ()},
        {"body": BODY.replace(FIRST, f"http://images.weserv.nl/?url={FIRST.removeprefix('https://')}&amp;w=5")},
        {"images": (Image(url="https://api.dw.com/image/62180684_1004.jpg", caption="別的說明。"),)},
        {"body": re.sub("(<figure>.*?dpa.*?</figure>)(<p>全.*?</p>)", r"\2\1", BODY)},
    ],
)
def test_what_is_no_revision(fields: dict[str, object]) -> None:
    changed = article(**fields)
    assert changed != article()
    assert fingerprint(changed) == fingerprint(article())
    assert differences(article(), changed) == []


REVISIONS: list[dict[str, object]] = [
    {},
    {"title": "河岸新步道明天開放"},
    {"title": "河岸新步道今天開放!"},
    {"title": "河岸新步道今天開放！"},
    {"section": "文化"},
    {"section": "", "title": "河岸新步道今天開放生活"},
    {"body": BODY.replace("三公里", "五公里")},
    {"body": BODY.replace("三公里，", "三公里")},
    {"body": BODY.replace("Crêpes", "Crepes")},
    {"body": BODY.replace("Crêpes", "crêpes")},
    {"body": BODY.replace("<p>週末開放自行車通行。</p>", "")},
    {"body": BODY.replace("<p>週末開放自行車通行。</p>", "<p>週末開放自行車通行。</p>" * 2)},
    {"body": re.sub("(<p>全.*?</p>)(<p>週.*?</p>)", r"\2\1", BODY)},
    {"body": BODY.replace("步道一景", "步道二景")},
    {"body": BODY.replace("dpa", "AP")},
    {"body": BODY.replace("62135672", "62135673"), "images": ()},
    {"body": BODY.replace(f'<figure><img src="{SECOND}"></figure>', ""), "images": (Image(url=FIRST),)},
    {"body": BODY.replace(FIRST, "x").replace(SECOND, FIRST).replace('"x"', f'"{SECOND}"'), "images": ()},
    {"images": (Image(url=FIRST), Image(url=SECOND), Image(url="https://static.dw.com/image/7_605.jpg"))},
    {"body": BODY.replace("v=x1", "v=x2")},
    {"body": BODY.replace("youtube.com/", "vimeo.com/")},
]


def test_every_edit_is_a_revision_of_its_own() -> None:
    prints = [fingerprint(article(**fields)) for fields in REVISIONS]
    assert len(set(prints)) == len(prints)
    assert all(re.fullmatch("[0-9a-f]{32}", digest) for digest in prints)


@pytest.mark.parametrize(("before", "after"), list(permutations(range(len(REVISIONS)), 2))[:: len(REVISIONS) // 2])
def test_every_edit_is_shown(before: int, after: int) -> None:
    assert any(passage.changed for passage in differences(article(**REVISIONS[before]), article(**REVISIONS[after])))


# Pictures.


@pytest.mark.parametrize(
    "addresses",
    [
        (
            "https://static.dw.com/image/62170494_303.jpg",
            "http://www.dw.com/image/62170494_1004.webp",
            "https://static.dw.com/image/62170494_6.jpeg?x=1",
            "http://www.dw-world.de/image/0,,62170494_303,00.jpg",
            "https://images.weserv.nl/?url=api.dw.com/image/62170494_804.jpg",
        ),
        ("https://static.dw.com/image/12345_605.jpg", "https://static.dw.com/image/0,,12345_303,00.jpg"),
        (
            "https://imgcdn.cna.com.tw/www/WebPhotos/1024/20230823/1151x768_wmkn_0_C20230823000231.jpg",
            "http://img5.cna.com.tw/www/webphotos/400/20230823/C20230823000231.jpg".replace("C2", "wmkn_0_C2"),
        ),
        (
            "https://s.rfi.fr/media/display/0d082c66-8e82-11eb-bca2-005056a964fe/w:1280/p:16x9/AP21085729722055.jpg",
            "https://s.rfi.fr/media/display/0d082c66-8e82-11eb-bca2-005056a964fe/w:310/p:1x1/AP21085729722055.webp",
            "http://scd.rfi.fr/sites/filesrfi/imagecache/rfi_16x9_1024_578/sites/images.rfi.fr/files/AP21085729722055.jpg",
        ),
        (
            "https://s.rfi.fr/media/display/e496f128-cb07-11f0-ae67-005056bfb2b6/w:1280/p:16x9/Pr%C3%A9sident-7.jpg",
            "https://s.rfi.fr/media/display/e496f128-cb07-11f0-ae67-005056bfb2b6/w:720/p:4x3/Pre%CC%81sident-7.webp",
        ),
        (
            "https://www.example.com/wp-content/uploads/2023/08/rain-800x600.jpg",
            "https://www.example.com/wp-content/uploads/2023/08/rain.jpg",
        ),
    ],
)
def test_a_picture_in_all_its_sizes(addresses: tuple[str, ...]) -> None:
    assert len(set(map(picture, addresses))) == 1


@pytest.mark.parametrize(
    "addresses",
    [
        ("https://static.dw.com/image/62170494_605.jpg", "https://static.dw.com/image/62170495_605.jpg"),
        ("https://static.dw.com/image/12345_605.jpg", "https://static.dw.com/image/12346_605.jpg"),
        ("https://www.example.com/2023/08/rain.jpg", "https://www.example.com/2023/09/rain.jpg"),
        ("https://www.example.com/20230823_1.jpg", "https://www.example.com/20230823_2.jpg"),
        ("https://www.example.com/show.php?id=1", "https://www.example.com/show.php?id=2"),
        (
            "https://s.rfi.fr/media/display/e496f128-cb07-11f0-ae67-005056bfb2b6/w:1280/p:16x9/hk-7.jpg",
            "https://s.rfi.fr/media/display/e496f129-cb07-11f0-ae67-005056bfb2b6/w:1280/p:16x9/hk-7.jpg",
        ),
        (
            "https://imgcdn.cna.com.tw/www/WebPhotos/1024/20230823/1151x768_wmkn_0_C20230823000231.jpg",
            "https://imgcdn.cna.com.tw/www/WebPhotos/1024/20230823/1151x768_wmkn_0_C20230823000230.jpg",
        ),
    ],
)
def test_different_pictures(addresses: tuple[str, ...]) -> None:
    assert len(set(map(picture, addresses))) == len(addresses)


@pytest.mark.parametrize(
    "address", ["", "x", "http://[", "https://x/", "//?url=", "https://x/?url=https://x/", "?url=//"]
)
def test_an_address_of_any_shape_names_a_picture(address: str) -> None:
    assert isinstance(picture(address), str)


def test_an_address_that_is_made_to_take_long_does_not() -> None:
    before = time.process_time()
    for piece in ("1", "1x", "1x1_", "a_1,", "?url=//", "%31"):
        for length in (1990, 1_000_000):
            picture("https://x/" + (piece * length)[:length] + "/7")
            picture("https://x?url=//" + (piece * length)[:length])
    assert time.process_time() - before < 10


#: How the pages write the addresses of pictures, and what tells those of one publisher apart.
FORMS = {
    "cna": r"imgcdn\.cna\.com\.tw/www/WebPhotos/\d+/\d+/(?:\d+x\d+_)?([\w]+)\.\w+",
    "dw": r"static\.dw\.com/image/(\d+)_\w+\.\w+",
    "rfi": r"s\.rfi\.fr/media/display/([\w-]{36})/[^\s\"'<>\\]*",
}


@needs_shared
@pytest.mark.parametrize("publisher", FORMS)
def test_all_addresses_in_real_pages_fall_into_pictures_as_the_publisher_numbers_them(publisher: str) -> None:
    found: dict[str, set[str]] = {}
    for page in (SHARED / "pages" / publisher).glob("*.html"):
        for match in re.finditer(FORMS[publisher], page.read_text(encoding="utf-8").replace("\\/", "/")):
            found.setdefault(match[1], set()).add(picture(f"https://{match[0]}"))
    assert len(found) > 40
    assert {number: names for number, names in found.items() if len(names) > 1} == {}
    names = [name for names in found.values() for name in names]
    # The picture of a show of RFI was stored anew under the same name.
    assert len(names) - len(set(names)) == (publisher == "rfi")


# Pages.


@needs_shared
def test_captures_of_one_article_months_apart_are_one_revision() -> None:
    captures: dict[str, set[str]] = {}
    count = 0
    for row in ARTICLES:
        found = read_page(row)
        captures.setdefault(found.id, set()).add(fingerprint(found))
        count += 1
    assert count - len(captures) >= 3
    assert all(len(prints) == 1 for prints in captures.values())
    assert len(set.union(*captures.values())) == len(captures)


def later(match: re.Match[str]) -> str:
    """Return a time in a page, some minutes later."""
    return match[1] + (datetime.fromisoformat(match[2]) + timedelta(minutes=7)).isoformat() + match[3]


#: What is another each time a page is served, or may be.
DISTURBANCES: dict[str, Callable[[str], str]] = {
    "nonces": lambda page: page.replace("<script", '<script nonce="d41d8cd9"').replace("<link ", '<link nonce="8f00" '),
    "advertisements": lambda page: page.replace("</body>", "<div class=ad><p>買</p><img src=/a.jpg></div></body>"),
    "scripts": lambda page: page.replace("</head>", "<script>var t=1700000000;</script></head>"),
    "related": lambda page: page.replace("</body>", "<aside><h3>相關</h3><a href=/9>別的新聞</a></aside></body>"),
    "times": lambda page: re.sub(r'("dateModified"\s*:\s*")(\d{4}-[^"]*)(")', later, page),
    "white space": lambda page: page.replace("</p>", " \u200b</p>\n\n").replace("<p>", "<p>\n\t"),
    "crops": lambda page: re.sub(r"/p:16x9/", "/p:4x3/", page),
    "folders": lambda page: re.sub(r"/WebPhotos/(?:800|1024)/", "/WebPhotos/1200/", page),
    "sizes": lambda page: re.sub(r"/w:\d+/", "/w:555/", re.sub(r"(/image/\d{5,})_\d+\.", r"\1_999.", page)),
}


def reread(row: dict[str, str], disturb: Callable[[str], str] = str) -> Article:
    """Read a real page after something was done to it."""
    page = (SHARED / "pages" / row["file"]).read_text(encoding="utf-8")
    body = disturb(page).encode()
    url = canonical(tree(saved("https://www.example.com/", page.encode())))
    return clean(spider(row["publisher"]).read(saved(url, body)))


@pytest.mark.parametrize("row", ARTICLES, ids=name)
def test_what_changes_each_time_a_page_is_served_is_no_revision(row: dict[str, str]) -> None:
    usual = fingerprint(reread(row))
    for what, disturb in DISTURBANCES.items():
        assert (what, fingerprint(reread(row, disturb))) == (what, usual)


def test_disturbances_disturb() -> None:
    if not ARTICLES:
        pytest.skip("the folder of real pages, ../shared, is not here")
    pages = [(SHARED / "pages" / row["file"]).read_text(encoding="utf-8") for row in ARTICLES]
    for what, disturb in DISTURBANCES.items():
        assert (what, sum(disturb(page) != page for page in pages) >= 4) == (what, True)


def test_an_edited_page_is_exactly_one_revision_more() -> None:
    def capture(seed: int, **fields: object) -> str:
        head = f'<meta charset="utf-8"><script nonce="{seed}">var t={seed}</script>'
        page = saved(article().url, cna_page("202401150001", head=head, **fields).encode())
        return fingerprint(clean(spider("cna").read(page)))

    texts = (
        {},
        {"paragraphs": (PARAGRAPHS[0], PARAGRAPHS[1].replace("三公里", "五公里"), PARAGRAPHS[2])},
        {"paragraphs": (PARAGRAPHS[1], PARAGRAPHS[0], PARAGRAPHS[2])},
        {"title": TITLE.replace("今天", "明天")},
        {"inside": "<p>更正啟事。</p>"},
    )
    prints = [{capture(seed, **text) for seed in range(3)} for text in texts]
    assert [len(found) for found in prints] == [1] * len(texts)
    assert len(set.union(*prints)) == len(texts)


@pytest.mark.parametrize("found", saved_articles(), ids=lambda found: f"{found.publisher}-{found.id[:30]}")
def test_every_character_of_saved_articles_counts(found: Article) -> None:
    usual = fingerprint(found)
    places = [match.start() for match in re.finditer(r"[\w](?=[^<>]*<)", found.body)]
    for at in places[:: max(1, len(places) // 20)]:
        if not re.search(r"&[^;\s]*$", found.body[:at]):
            edited = replace(found, body=found.body[:at] + "¤" + found.body[at + 1 :])
            assert fingerprint(edited) != usual
            assert "¤" in "".join(words for line in differences(found, edited) for _, words in line.pieces)
    respelled = replace(found, body=normalize("NFD", found.body).replace("</p>", "\u200b </p> "))
    assert fingerprint(respelled) == usual


# Differences.


def text(*lines: str) -> Article:
    """Return an article that consists of paragraphs."""
    return article(images=(), body="".join(f"<p>{escape(line)}</p>" for line in lines))


def same(line: str) -> Passage:
    return Passage("text", (("same", line),))


def test_changes_in_chinese_are_told_by_character() -> None:
    assert differences(text("步道全長三公里。", "週末開放。"), text("步道全長十五公里。", "週末開放。")) == [
        Passage("text", (("same", "步道全長"), ("old", "三"), ("new", "十五"), ("same", "公里。"))),
        same("週末開放。"),
    ]


def test_changes_in_other_scripts_are_told_by_word() -> None:
    old, new = text("Der Weg ist 3,5 Kilometer lang."), text("Der Uferweg ist 3,7 Kilometer lang.")
    assert differences(old, new)[0].pieces == (
        ("same", "Der "),
        ("old", "Weg"),
        ("new", "Uferweg"),
        ("same", " ist "),
        ("old", "3,5"),
        ("new", "3,7"),
        ("same", " Kilometer lang."),
    )
    assert differences(text("Der alte Weg"), text("Ein neuer Weg"))[0].pieces == (
        ("old", "Der alte"),
        ("new", "Ein neuer"),
        ("same", " Weg"),
    )
    assert differences(text("ضيوف جدد هنا"), text("ضيوف قدامى هنا"))[0].pieces == (
        ("same", "ضيوف "),
        ("old", "جدد"),
        ("new", "قدامى"),
        ("same", " هنا"),
    )


def test_lines_that_come_go_and_move_are_told_as_such() -> None:
    found = differences(text("一一一", "二二二", "三三三", "四四四"), text("二二二", "五五五", "四四四", "一一一"))
    assert found == [
        Passage("text", (("old", "一一一"),), moved=True),
        same("二二二"),
        Passage("text", (("old", "三三三"),)),
        Passage("text", (("new", "五五五"),)),
        same("四四四"),
        Passage("text", (("new", "一一一"),), moved=True),
    ]


def test_all_parts_are_told_in_order() -> None:
    new = article(
        title="河岸新步道明天開放",
        section="文化",
        images=(),
        body=BODY.replace(SECOND, "https://static.dw.com/image/7654321_605.jpg").replace("一景", "二景"),
    )
    assert [passage for passage in differences(article(), new) if passage.changed] == [
        Passage("title", (("same", "河岸新步道"), ("old", "今"), ("new", "明"), ("same", "天開放"))),
        Passage("section", (("old", "生活"), ("new", "文化"))),
        Passage("picture", (("old", SECOND),)),
        Passage("picture", (("new", "https://static.dw.com/image/7654321_605.jpg"),)),
        Passage("caption", (("same", "步道"), ("old", "一"), ("new", "二"), ("same", "景。 dpa"))),
    ]


def test_paragraphs_are_the_lines_that_a_reader_sees() -> None:
    assert paragraphs(article()) == [
        "河岸新步道今天開放。",
        "步道一景。 dpa",
        "全長三公里，Crêpes & Kaffee，沿途設有座椅。",
        "週末開放自行車通行。",
        "https://www.youtube.com/watch?v=x1&t=3",
    ]


@pytest.mark.parametrize("seed", range(40))
def test_whatever_was_edited_both_texts_are_in_the_differences(seed: int) -> None:
    chance = random.Random(seed)
    words = "步道全長三公里沿途設有座椅與照明 Weg Ufer neu 12".split() + list("開放自行車通行週末，。")

    def line() -> str:
        return "".join(chance.choices(words, k=chance.randint(1, 30)))

    old = [line() for _ in range(chance.randint(0, 25))]
    new = list(old)
    for _ in range(chance.randint(1, 12)):
        at = chance.randrange(len(new) + 1)
        if chance.random() < 0.4 or at == len(new):
            new.insert(at, chance.choice([line(), *old]))
        elif chance.random() < 0.5:
            new.insert(chance.randrange(len(new)), new.pop(at))
        else:
            cut = chance.randrange(len(new[at]))
            new[at] = new[at][:cut] + chance.choice(words) + new[at][cut + 1 :]
    found = differences(text(*old), text(*new))
    for kind, lines in (("old", old), ("new", new)):
        told = ["".join(words for one, words in passage.pieces if one in ("same", kind)) for passage in found]
        assert [line for line in told if line] == ([" ".join(line.split()) for line in lines] if found else [])


@pytest.mark.parametrize(("lines", "length"), [(1, 350_000), (100, 3_500), (3_500, 100), (120_000, 1)])
@pytest.mark.parametrize("edited", [True, False])
def test_the_time_for_a_megabyte_is_bounded(lines: int, length: int, edited: bool) -> None:
    chance = random.Random(1)
    characters = "的一是在不了有和人這中大為上個國我以要他"
    old = ["".join(chance.choices(characters, k=length)) for _ in range(lines)]
    new = [line.replace("的一", "一的") for line in old] if edited else [line[::-1] for line in old]
    before = time.process_time()
    differences(text(*old), text(*new))
    # Without a bound it takes hours.
    assert time.process_time() - before < 60
