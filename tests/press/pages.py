"""Pages of articles, in the structure that the publishers' pages have today, without what surrounds an article.

Each is made of one state of an article. A spider reads it to exactly what the world says (``tests/test_press.py``).
"""

import json
from datetime import UTC, datetime
from html import escape
from random import Random
from typing import Any

from tests.press.world import CNA_SECTIONS, DAY, ZONES, Piece, State, url_of

__all__ = ["expired", "is_expired", "page", "teaser"]

#: CNA cuts articles to their first paragraph when they are so old.
EXPIRES = 730 * DAY
NOTICE = "您所瀏覽的新聞已過查詢時效。建議您加入中央社付費會員找尋您要的新聞。"


def page(piece: Piece, state: State, time: float) -> str:
    """Return an article's page as served at a time."""
    return {"cna": cna, "dw": dw, "rfi": rfi}[piece.publisher](piece, state, time)


def teaser(piece: Piece) -> str:
    """Return the lead that RFI and DW put above an article, the same for all its states."""
    return piece.states[0].paragraphs[0].split("。")[0] + "。"


def told(data: Any) -> str:
    """Return JSON that can stand in a script."""
    return json.dumps(data, ensure_ascii=False).replace("</", "<\\/")


def stamp(time: float, zone: str = "", timespec: str = "seconds") -> str:
    """Return a time as ISO 8601, in UTC or a publisher's zone."""
    return datetime.fromtimestamp(time, ZONES[zone] if zone else UTC).isoformat(timespec=timespec)


def paragraphs_of(state: State) -> str:
    """Return the paragraphs of a text as HTML."""
    return "".join(f"<p>{escape(paragraph)}</p>\n" for paragraph in state.paragraphs)


def is_expired(piece: Piece, time: float) -> bool:
    """Tell whether only the lead of an article is left."""
    return piece.publisher == "cna" and time - piece.published > EXPIRES


def expired(piece: Piece, time: float) -> str:
    """Return what CNA shows instead of an old article."""
    state = piece.state(time)
    cut = f'<p>{state.paragraphs[0]}</p><div style="border:solid 1px Red;">{NOTICE}</div>'
    return cna(piece, state, time, cut)


def cna(piece: Piece, state: State, time: float, text: str = "") -> str:
    """Return a page of CNA; what it recommends is another thing each hour, so no two hours have the same bytes."""
    section = CNA_SECTIONS[state.section][0]
    address = url_of("cna", state.path)
    published = stamp(piece.published, "cna")
    modified = stamp(state.modified or piece.published, "cna")
    trail = escape(f"{state.title} | {section} | 中央社 CNA")
    about = {
        "@context": "https://schema.org",
        "@type": "NewsArticle",
        "headline": state.title,
        "about": state.paragraphs[0],
        "url": address,
        "mainEntityOfPage": address,
        "articleSection": section,
        "dateModified": modified,
        "datePublished": published,
        "author": {"@type": "Organization", "name": "中央通訊社"},
        "keywords": [section, "NewsArticle"],
    }
    hot = Random(int(time // 3600)).randrange(10**6)
    return f"""<!DOCTYPE html>
<html lang="zh-Hant-TW"><head>
<title>{trail}</title>
<link href="{address}" rel="canonical" />
<meta property="article:modified_time" content="{modified}" />
<meta property="article:published_time" content="{published}" />
<meta property="og:url" content="{address}" />
<meta property="og:title" content="{trail}" />
<meta name="description" content="{state.paragraphs[0]}" />
<meta charset="utf-8" />
<script type='application/ld+json'>{told([about, {"@type": "WebSite", "name": "中央社 CNA"}])}</script>
</head><body><div class="article-feed jsNewsTheme_article" data-category="{state.section}">
<article class="article" data-origin-type-name="{section}" data-canonical-url='{address}'>
<div class="centralContent">
<div class="breadcrumb"><a href="/">首頁</a> / <a href="/list/{state.section}.aspx" class="blue">{section}</a></div>
<h1><span>{escape(state.title)}</span></h1>
<div class="timeBox"><div class="updatetime"><span>{published[:16]}</span><span></span></div></div>
<div class="paragraph">
{text or paragraphs_of(state)}<div class="articlekeywordGroup"><div class="keywordTag"><a>#{section}</a></div></div>
<div class="paragraph moreArticle"><a href="/news/aopl/{hot:012}.aspx">延伸閱讀{hot}</a></div>
</div></div></article></div></body></html>
"""


def dw(piece: Piece, state: State, time: float) -> str:
    """Return a page of DW, drawn from a state that is embedded in it."""
    edition = "zh-hant" if state.path.startswith("/zh-hant/") else "zh"
    address = url_of("dw", state.path)
    published = stamp(piece.published).replace("+00:00", "Z")
    modified = stamp(state.modified or piece.published).replace("+00:00", "Z")
    content = {
        "id": int(piece.id),
        "__typename": "Article",
        "namedUrl": state.path,
        "canonicalUrl": f"https://www.dw.com{state.path}",
        "language": "CHINESE_TRADITIONAL" if edition == "zh-hant" else "CHINESE",
        "trackingCategories": [state.section],
        "name": state.title,
        "title": state.title,
        "kicker": state.section,
        "mainContentImageLink": None,
        "persons": [],
        "lastPublicationDate": modified,
        "lastModifiedDate": modified,
        "firstPublicationDate": published,
        "contentDate": published,
        "teaser": teaser(piece),
        "text": paragraphs_of(state),
        "contentLinks": [],
        "imageGalleries": [],
        "videos": [],
        "audios": [],
        "relatedAutoTopics": [],
        "imageSharingMetadata": None,
    }
    held = {f"/graph-api/{edition}/content/article/{piece.id}": {"data": {"content": content}, "loading": False}}
    about = {
        "@context": "https://schema.org",
        "@type": "NewsArticle",
        "headline": state.title,
        "datePublished": published,
        "dateModified": modified,
        "author": [{"@type": "Organization", "name": "Deutsche Welle"}],
        "mainEntityOfPage": {"@type": "WebPage", "@id": address},
    }
    other = "zh" if edition == "zh-hant" else "zh-hant"
    return f"""<!doctype html>
<html class="is-not-amp-page" lang="{edition}"><head>
<meta charset="utf-8">
<title data-rh="true">{escape(state.title)} – DW – {published[:10]}</title>
<link data-rh="true" rel="canonical" href="{address}"/>
<link data-rh="true" rel="alternate" hreflang="{other}" href="https://www.dw.com/{other}/a-{piece.id}"/>
<meta data-rh="true" name="description" content="{teaser(piece)}"/>
<script data-rh="true" type="application/ld+json">{told(about)}</script>
</head><body><div id="root"><article><header><div>{state.section}</div><h1>{escape(state.title)}</h1></header>
<p class="teaser-text">{teaser(piece)}</p>
<div data-tracking-name="rich-text" class="rich-text">{paragraphs_of(state)}</div></article></div>
<script> window.__APP_STATE__={told(held)}; </script>
</body></html>
"""


def rfi(piece: Piece, state: State, time: float) -> str:
    """Return a page of RFI, which describes itself in a datalayer, meta elements and JSON-LD."""
    edition = state.path[1:3]
    address = url_of("rfi", state.path)
    twin = piece.twin.state(time) if edition == "cn" else None
    alternate = f'<link rel="alternate" hreflang="zh-Hant" href="{url_of("rfi", twin.path)}">' if twin else ""
    published, modified = stamp(piece.published), stamp(state.modified) if state.modified else ""
    changed = f'<meta property="article:modified_time" content="{modified}">' if modified else ""
    about = {
        "@context": "https://schema.org",
        "@type": "NewsArticle",
        "url": address,
        "headline": state.title,
        "description": teaser(piece),
        "datePublished": published,
        "dateModified": modified or published,
        "inLanguage": "zh-Hans" if edition == "cn" else "zh-Hant",
        "articleSection": state.section,
        "author": [],
        "keywords": [state.section],
    }
    layer = {
        "content_title": state.title,
        "content_id": piece.id,
        "canonical": address,
        "publication_date": published[:10],
        "publication_time": published[11:19],
        "authors": [],
        "tags": [],
        "main_media_type": "texte",
        "cat1": state.section,
        "content_type": "article",
        "site_brand": "rfi",
        "http_code": 200,
        "site_locale": edition,
    }
    return f"""<!DOCTYPE html>
<html dir="ltr" lang="{about["inLanguage"]}"><head>
<meta charset="UTF-8">
<title>{escape(state.title)}</title>
<link rel="canonical" href="{address}">
<meta property="og:locale" content="{"zh_CN" if edition == "cn" else "zh_TW"}">
<meta property="og:title" content="{escape(state.title)}">
<meta property="og:description" content="{teaser(piece)[:12]}……">
<meta property="article:published_time" content="{published}">{changed}
<meta property="article:section" content="{state.section}">
<meta name="keywords" content="{state.section}">
<script type="application/ld+json">{told([about, {"@type": "BreadcrumbList"}])}</script>
{alternate}
</head><body><main><div class="t-content t-content--article">
<article class="t-content__article-wrapper" data-article-content>
<div class="t-content__section a-tag"><a href="/{edition}/{state.section}/">{state.section}</a></div>
<h1 class="t-content__title a-page-title">{escape(state.title)}</h1>
<p class="t-content__chapo">{teaser(piece)}</p>
<div class="t-content__dates"><p class="m-pub-dates"><time datetime="{published}">{published[:10]}</time></p></div>
<div class="t-content__body u-clearfix">{paragraphs_of(state)}</div>
</article>
<script id="datalayer" type="application/json">{told(layer)}</script>
</div></main></body></html>
"""
