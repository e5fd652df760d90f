"""Makes an article safe to publish: sanitised mark-up, tidy text, nothing of a feed mirror's own."""

import re
from dataclasses import replace
from html import unescape

import nh3

from newsarchive.article import Article, Refused
from newsarchive.extract import tidy

TAGS = frozenset(
    (
        "a abbr b bdi bdo blockquote br caption cite code dd del dfn dl dt em figcaption figure h2 h3 h4 h5 "
        "h6 hr i img ins kbd li mark ol p pre q rp rt ruby s samp small strong sub sup table tbody td tfoot "
        "th thead tr u ul var"
    ).split()
)
ATTRIBUTES = {
    "a": {"href"},
    "img": {"src", "alt"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
    "ol": {"start"},
    "bdo": {"dir"},
}

# What mirrors of feeds add to every text, and what they write where a picture is missing.
MIRROR_FOOTER = re.compile(r"(?:<br\s*/?>)?\s*<hr\s*/?>\s*<div>\s*获取更多RSS：.*?</div>", re.S)
MIRROR_ARRAY = re.compile(r"(^|</(?:div|p|i)>)\s*Array(?=\s*<)")
_TAG = re.compile(r"<[^<>]*>")


def sanitise(body: str) -> str:
    """Return a fragment with allowed mark-up only, balanced; raise Refused ``body-lost`` if text went with the rest."""
    clean = nh3.clean(
        body, tags=set(TAGS), attributes=ATTRIBUTES, url_schemes={"http", "https", "mailto"}, link_rel=None
    )
    before, after = words(body), words(clean)
    if before != after:
        raise Refused("body-lost", f"{len(before)} characters before cleaning, {len(after)} after")
    return clean


def words(fragment: str) -> str:
    """Return the text of a fragment without white space."""
    return "".join(unescape(_TAG.sub("", fragment)).split())


def without_mirror(body: str) -> str:
    """Return a body without the footer of a feed mirror and its ``Array`` for a missing picture."""
    return MIRROR_ARRAY.sub(r"\1", MIRROR_FOOTER.sub("", body))


def clean(article: Article) -> Article:
    """Return the article as it may be published; raise Refused if cleaning would lose text."""
    body = sanitise(without_mirror(article.body).encode("utf-8", "replace").decode())
    return replace(
        article,
        title=tidy(article.title),
        section=tidy(article.section),
        authors=tuple(filter(None, map(tidy, article.authors))),
        keywords=tuple(dict.fromkeys(filter(None, map(tidy, article.keywords)))),
        summary=tidy(article.summary),
        body=body.replace("\r", "").replace("\n", " ").strip(),
    )


class CleanPipeline:
    """Hands each article on in its clean form."""

    def process_item(self, item: Article) -> Article:
        """Return the clean article."""
        return clean(item)
