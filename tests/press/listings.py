"""Listings in the shapes, windows and sizes that the three publishers have.

Each is a view of a world at a time. A listing may leave an article out that others have,
names one twice now and then, and names things that are no articles.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from html import escape
from random import Random
from urllib.parse import quote

from tests.press.pages import stamp, teaser
from tests.press.world import (
    CNA_SECTIONS,
    DAY,
    DW_SECTIONS,
    NEVER,
    RFI_SECTIONS,
    ZONES,
    Piece,
    State,
    World,
    traditional,
    url_of,
)

__all__ = ["EDITIONS", "Window", "listing", "named", "of_section", "windows"]


@dataclass(frozen=True, slots=True)
class Window:
    """What a listing shows: the newest so many, no older than so many seconds, of some articles."""

    #: What ``Piece.missing`` calls it; empty for one that leaves nothing out.
    name: str
    count: int = 10**9
    reach: float = NEVER
    #: Whether it has all articles, not those of a section.
    whole: bool = True


#: Addresses without edition and section, and what they show.
WINDOWS = {
    "cna": {
        "https://www.cna.com.tw/GoogleNewsSitemap_fromRemote_cfp.xml": Window("news", 998, 6 * DAY),
        "https://www.cna.com.tw/sitemap_fromRemote_cfp.xml": Window("plain", 1000, 6 * DAY),
        "https://www.cna.com.tw/atomfeed_cfp.xml": Window("atom", 100),
        "https://www.cna.com.tw/list/aall.aspx": Window("list", 20),
    },
    "dw": {
        "https://rss.dw.com/rdf/rss-chi-all": Window("rdf", 50),
        "https://rss.dw.com/xml/rss-chi-all": Window("rss", 50),
        "https://www.dw.com/{edition}/news-sitemap.xml": Window("news", reach=2 * DAY),
        "https://www.dw.com/{edition}/article-sitemap.xml": Window(""),
    },
    "rfi": {
        "https://www.rfi.fr/sitemaps/{edition}/news.xml": Window("news", reach=2 * DAY),
        "https://www.rfi.fr/{edition}/rss": Window("rss", 25),
    },
}
#: Scripts in which a publisher has every article, as addresses name them; the first is the spiders' default.
EDITIONS = {"cna": ("",), "dw": ("zh", "zh-hant"), "rfi": ("cn", "tw")}
URLSET = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
    ' xmlns:news="http://www.google.com/schemas/sitemap-news/0.9">\n{}</urlset>\n'
)


def windows(world: World, publisher: str) -> dict[str, Window]:
    """Return the listings of a publisher that have all articles, and what they show."""
    found = {}
    for url, window in WINDOWS[publisher].items():
        if url.endswith("article-sitemap.xml"):
            window = Window("", world.spec.dw_reach)
        found |= {url.format(edition=edition): window for edition in EDITIONS[publisher]}
    return found


def named(world: World, publisher: str, window: Window, time: float) -> list[Piece]:
    """Return the articles that a window shows at a time, newest first."""
    pieces = world.newest(publisher, time, window.count, window.reach)
    return [piece for piece in pieces if not window.name or piece.missing != window.name]


def listing(world: World, url: str, time: float) -> tuple[str, str] | None:
    """Return the text of a listing at a time and its type; None if there is none at this address."""
    for publisher in WINDOWS:
        if window := windows(world, publisher).get(url):
            return _whole(world, publisher, url, window, time)
    return _section(world, url, time) or _feedburner(world, url, time) or _archive(world, url, time)


def _whole(world: World, publisher: str, url: str, window: Window, time: float) -> tuple[str, str]:
    pieces = named(world, publisher, window, time)
    if "/zh-hant/" in url or "/tw/" in url:
        pieces = [piece.twin for piece in pieces]
    shown = [(piece, piece.state(time)) for piece in pieces]
    # What a newsroom's software does under load: the same entry twice.
    shown[1:1] = shown[:1] if Random(int(time // 3600)).random() < 0.1 else []
    if url.endswith("atomfeed_cfp.xml"):
        return _atom(shown), "application/atom+xml"
    if url.endswith(".aspx"):
        return _cna_list("即時", shown), "text/html; charset=utf-8"
    if "/rdf/" in url:
        return _rdf(shown), "application/rdf+xml; charset=utf-8"
    if "rss.dw.com" in url:
        return _dw_rss(shown), "text/xml; charset=utf-8"
    if url.endswith("/rss"):
        return _rss("RFI", [_rfi_item(*entry) for entry in shown]), "application/rss+xml; charset=utf-8"
    if "news" in url.lower():
        return _news(publisher, shown, time), "text/xml; charset=utf-8"
    return _plain(publisher, shown, lastmod=publisher == "dw"), "text/xml; charset=utf-8"


def _changed(piece: Piece, state: State) -> float:
    return state.modified or piece.published


def _news(publisher: str, shown: Iterable[tuple[Piece, State]], time: float) -> str:
    """Return a sitemap of news, with things that are none at its end."""
    zone = "cna" if publisher == "cna" else ""
    name = {"cna": "中央社 CNA", "dw": "DW", "rfi": "RFI"}[publisher]
    entries = [
        f"<url><loc>{url_of(publisher, state.path)}</loc><lastmod>{stamp(_changed(piece, state), zone)}</lastmod>"
        f"<news:news><news:publication><news:name>{name}</news:name><news:language>zh</news:language>"
        f"</news:publication><news:publication_date>{stamp(piece.published, zone)}</news:publication_date>"
        f"<news:title><![CDATA[{state.title}]]></news:title></news:news></url>\n"
        for piece, state in shown
    ]
    return URLSET.format("".join(entries) + "".join(f"<url><loc>{url}</loc></url>\n" for url in _others(publisher)))


def _plain(publisher: str, shown: Iterable[tuple[Piece, State]], lastmod: bool) -> str:
    dated = "<lastmod>{}</lastmod>" if lastmod else ""
    entries = [
        f"<url><loc>{url_of(publisher, state.path)}</loc>{dated.format(stamp(_changed(piece, state)))}</url>\n"
        for piece, state in shown
    ]
    return URLSET.format("".join(entries))


def _others(publisher: str) -> tuple[str, ...]:
    """Return addresses that are no articles, as listings name them."""
    return {
        "cna": ("https://www.cna.com.tw/topic/newstopic/4677.aspx", "https://netzero.cna.com.tw/news/202603020001/"),
        "dw": (
            "https://www.dw.com/zh/%E8%A7%86%E9%A2%91/av-77000001",
            "https://www.dw.com/zh/%E5%9B%BE%E9%9B%86/g-77000002",
        ),
        "rfi": ("https://www.rfi.fr/cn/%E7%9B%B4%E6%92%AD", "https://www.rfi.fr/cn/%E5%85%B3%E9%94%AE%E8%AF%8D/x/"),
    }[publisher]


def _atom(shown: Iterable[tuple[Piece, State]]) -> str:
    entries = [
        f'<entry><title>{escape(state.title)}</title><link href="{url_of("cna", state.path)}"/><id>{piece.id}</id>'
        f"<updated>{stamp(_changed(piece, state), 'cna')}</updated>"
        f"<summary><![CDATA[{state.paragraphs[0]}]]></summary></entry>\n"
        for piece, state in shown
    ]
    head = '<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom"><title>中央社</title>'
    return f"{head}<id>cna</id><updated>2026-01-01T00:00:00Z</updated>\n{''.join(entries)}</feed>\n"


def _cna_list(name: str, shown: Iterable[tuple[Piece, State]]) -> str:
    items = [
        f'<li><a href="{state.path}"><h2><span>{escape(state.title)}</span></h2>'
        f'<div class="date">{stamp(piece.published, "cna")[:16].replace("-", "/").replace("T", " ")}</div></a></li>\n'
        for piece, state in shown
    ]
    other = '<li><a href="https://www.cna.com.tw/topic/newstopic/4677.aspx"><h2><span>專題</span></h2></a></li>'
    return (
        f'<!DOCTYPE html>\n<html lang="zh-Hant-TW"><head><meta charset="utf-8"><title>{name} | 中央社 CNA</title>'
        f'</head><body><ul id="jsMainList" class="mainList">{"".join(items)}{other}</ul></body></html>\n'
    )


def _rdf(shown: Iterable[tuple[Piece, State]]) -> str:
    items = [
        f'<item rdf:about="{url_of("dw", state.path)}"><title>{escape(state.title)}</title>'
        f"<link>{url_of('dw', state.path)}?maca=chi-rss-chi-all-1127-rdf</link>"
        f"<description>{teaser(piece)}</description><dc:date>{_z(_changed(piece, state))}</dc:date>"
        f"<dc:subject>{state.section}</dc:subject><dc:language>zh</dc:language>"
        f"<dwsyn:contentID>{piece.id}</dwsyn:contentID></item>\n"
        for piece, state in shown
    ]
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
        ' xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        ' xmlns:dwsyn="http://rss.dw.com/syndication/dwsyn/">\n<channel rdf:about="https://rss.dw.com/rdf/rss-chi-all">'
        f"<title>Deutsche Welle</title><link>https://www.dw.com/zh/</link></channel>\n{''.join(items)}</rdf:RDF>\n"
    )


def _z(time: float) -> str:
    return stamp(time).replace("+00:00", "Z")


def _rss(title: str, items: Iterable[str]) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<channel><title>{title}</title>\n{''.join(items)}</channel></rss>\n"
    )


def _dw_rss(shown: Iterable[tuple[Piece, State]]) -> str:
    items = [
        f"<item><title>{escape(state.title)}</title>"
        f"<link>{url_of('dw', state.path)}?maca=chi-rss-chi-all-1127-xml-mrss</link>"
        f"<description>{teaser(piece)}</description><pubDate>{formatdate(piece.published, usegmt=True)}</pubDate>"
        f'<guid isPermaLink="false">{piece.id}</guid></item>\n'
        for piece, state in shown
    ]
    return _rss("Deutsche Welle", items)


def _rfi_item(piece: Piece, state: State) -> str:
    return (
        f"<item><title><![CDATA[{state.title}]]></title><link>{url_of('rfi', state.path)}</link>"
        f"<description><![CDATA[{teaser(piece)}]]></description><dc:creator>RFI</dc:creator>"
        f"<category>{state.section}</category><pubDate>{formatdate(piece.published)}</pubDate>"
        f'<guid isPermaLink="false">{piece.id}</guid></item>\n'
    )


def _feedburner(world: World, url: str, time: float) -> tuple[str, str] | None:
    """Return a category's feed of CNA."""
    name = url.removeprefix("https://feeds.feedburner.com/rsscna/")
    code = next((code for code, (_, feed, _) in CNA_SECTIONS.items() if feed == name), None)
    if name == url or code is None:
        return None
    items = [
        f"<item><title>{escape(state.title)}</title><link>{url_of('cna', state.path)}</link>"
        f"<description>{state.paragraphs[0]}</description><pubDate>{formatdate(piece.published)}</pubDate>"
        f'<guid isPermaLink="true">{url_of("cna", state.path)}</guid></item>\n'
        for piece, state in of_section(world, "cna", code, time, 20, "feed")
    ]
    return _rss(f"中央社 {CNA_SECTIONS[code][0]}", items), "text/xml; charset=utf-8"


def of_section(
    world: World, publisher: str, section: str, time: float, count: int, name: str
) -> list[tuple[Piece, State]]:
    """Return the newest articles of a section, or of all for one without a name, and the states they are in."""
    pieces = named(world, publisher, Window(name, 800), time)
    shown = ((piece, piece.state(time)) for piece in pieces)
    return [(piece, state) for piece, state in shown if section in ("", state.section)][:count]


def _section(world: World, url: str, time: float) -> tuple[str, str] | None:
    """Return a page that names the newest articles of a section."""
    found = None
    if match := re.fullmatch(r"https://www\.cna\.com\.tw/list/(\w+)\.aspx", url):
        # Two lists share the code that is in the addresses of their articles.
        code = {"aie": "afe", "asc": "afe"}.get(match[1], match[1])
        if code in CNA_SECTIONS:
            shown = of_section(world, "cna", code, time, 20, "list")
            found = _cna_list(CNA_SECTIONS[code][0], shown)
    elif match := re.fullmatch(r"https://www\.dw\.com/(zh|zh-hant)/[^/]+/s-(\d+)", url):
        name = next((name for name, number in DW_SECTIONS.items() if number == int(match[2])), "")
        found = _links(name, _in_edition(match[1], of_section(world, "dw", name, time, 40, "section")))
    elif match := re.fullmatch(r"https://www\.rfi\.fr/(cn|tw)/([^/]+)/", url):
        names = {quote(name): name for name in RFI_SECTIONS} | {quote(traditional(name)): name for name in RFI_SECTIONS}
        name = names.get(match[2], "")
        found = _links(name, _in_edition(match[1], of_section(world, "rfi", name, time, 20, "section")))
    return (found, "text/html; charset=utf-8") if found else None


def _in_edition(edition: str, shown: list[tuple[Piece, State]]) -> list[tuple[Piece, State]]:
    """Return articles as an edition has them."""
    if edition not in ("tw", "zh-hant"):
        return shown
    return [(piece.twin, piece.twin.states[piece.states.index(state)]) for piece, state in shown]


def _links(name: str, shown: Iterable[tuple[Piece, State]]) -> str:
    links = [
        f'<div class="article__title"><a data-article-item-link href="{url_of(piece.publisher, state.path)}">'
        f"{escape(state.title)}</a></div>\n"
        for piece, state in shown
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="zh"><head><meta charset="utf-8"><title>{name}</title></head>'
        f"<body><main>{''.join(links)}</main></body></html>\n"
    )


def _archive(world: World, url: str, time: float) -> tuple[str, str] | None:
    """Return RFI's list of months, or a month of it."""
    match = re.fullmatch(r"https://www\.rfi\.fr/sitemaps/(cn|tw)/(?:(index)|contents_(\d{4})(\d\d))\.xml", url)
    if not match:
        return None
    today = datetime.fromtimestamp(time, UTC)
    if match[2]:
        months = [f"{year}{month:02}" for year in range(today.year - 3, today.year + 1) for month in range(1, 13)]
        entries = [
            f"<sitemap><loc>https://www.rfi.fr/sitemaps/{match[1]}/contents_{month}.xml</loc></sitemap>\n"
            for month in months
            if month <= f"{today:%Y%m}"
        ]
        head = '<?xml version="1.0" encoding="UTF-8"?>\n'
        index = (
            f'<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{"".join(entries)}</sitemapindex>\n'
        )
        return head + index, "text/xml; charset=utf-8"
    try:
        first = datetime(int(match[3]), int(match[4]), 1, tzinfo=ZONES["rfi"])
    except ValueError:
        return None
    if first.timestamp() > time or first.year < today.year - 3:
        return None
    following = (first + timedelta(days=32)).replace(day=1)
    pieces = [
        piece
        for piece in world.between("rfi", first.timestamp(), following.timestamp())
        if piece.shown <= time < piece.gone
    ]
    pieces = [piece.twin for piece in pieces] if match[1] == "tw" else pieces
    return _plain("rfi", [(piece, piece.state(time)) for piece in pieces], lastmod=True), "text/xml; charset=utf-8"
