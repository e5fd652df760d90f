"""Makes an article safe to publish: harmless mark-up, tidy text, nothing of a feed mirror's own.

Two parsers read a body, one after the other. The first takes it apart, keeps
what a newsroom's text is made of and closes what was left open: it is fast
whatever it is given. The second reads it as a browser does and has the last
word on what is let through; on what the first leaves, it is fast too.
"""

import re
from collections import Counter
from dataclasses import replace

import nh3
from lxml import etree
from lxml.etree import _Element as Element

from newsarchive.article import Article, Image, Refused
from newsarchive.body import EMBEDS, PROVIDERS, SILENT
from newsarchive.extract import CONTROLS, DOCUMENT_END, LAYOUT_SPACE, attribute, once, parse, solid, string, tidy
from newsarchive.fragment import plain, web_address
from newsarchive.page import MAX_SIZE, refuse_long_tag
from newsarchive.spelling import well_formed

TAGS = frozenset(
    (
        "a abbr b bdi bdo blockquote br caption cite code dd del dfn div dl dt em figcaption figure h2 h3 h4 h5 "
        "h6 hr i img ins kbd li mark ol p pre q rp rt ruby s samp small strong sub sup table tbody td tfoot "
        "th thead tr u ul var"
    ).split()
)
#: Besides addresses, and what their values may be.
VALUES = {
    ("img", "alt"): re.compile(r".+", re.S),
    ("td", "colspan"): re.compile(r"\d{1,3}"),
    ("td", "rowspan"): re.compile(r"\d{1,3}"),
    ("th", "colspan"): re.compile(r"\d{1,3}"),
    ("th", "rowspan"): re.compile(r"\d{1,3}"),
    ("ol", "start"): re.compile(r"-?\d{1,9}"),
    ("bdo", "dir"): re.compile(r"ltr|rtl|auto"),
}
ATTRIBUTES = {
    tag: {name for element, name in [("a", "href"), ("img", "src"), *VALUES] if element == tag} for tag in TAGS
}
#: What else stands on lines of its own: it must not be glued to its neighbours.
BLOCKS = frozenset(
    (
        "address article aside center details dir fieldset footer form header hgroup legend listing main menu nav "
        "noembed noframes noscript plaintext search section summary xmp"
    ).split()
)
#: Real bodies are 20 elements deep. Beyond thousands parsers lose text or take their time.
MAX_DEPTH = 200
#: Follows every body. Where it is missing afterwards, something was left open that swallows what follows.
END = b"<wbr data-end>"

# What mirrors of feeds add to every text, and what they write where a picture is missing.
MIRROR = "获取更多RSS："
MIRROR_FOOTER = re.compile(
    rf"(?<! )(?: *+<br>)? *+<hr> *<div> *{MIRROR}(?: |<br>|<a href=\"https?://feedx\.[a-z]+/?\">[^<>]*</a>)*+</div>\Z"
)
MIRROR_ARRAY = re.compile(r"(\A|</(?:div|p|i)>) *+Array(?= *+<)")
#: What lxml finds in attributes, and does not take back.
_NOT_XML = re.compile(rf"{CONTROLS.pattern}|[\f\ud800-\udfff\ufffe\uffff]")
_PREFORMATTED = re.compile(r"<pre>.*?</pre>", re.S)


def sanitise(body: str, base: str = "") -> str:
    """Return a fragment with allowed mark-up only, balanced, on one line.

    ``base`` is the address that addresses in it are relative to. Raises Refused:
    ``body-lost`` if text would go with what is not allowed, ``too-deep``,
    ``too-large`` or ``too-many-attributes`` for what would take parsers too long.
    """
    source = DOCUMENT_END.sub(b"", well_formed(body).encode()) + END
    if len(source) > MAX_SIZE:
        raise Refused("too-large", f"{len(source)} bytes")
    refuse_long_tag(source)
    root = parse(b"<body>" + source)
    refuse_deep(root)
    reduce(root, base)
    before = solid(string(root))
    html = nh3.clean(
        etree.tostring(root, encoding="unicode", method="html"),
        tags=set(TAGS),
        attributes=ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel=None,
    )
    after = solid(plain(html))
    # Text of a table that is outside of its cells moves in front of it.
    if before != after and Counter(before) != Counter(after):
        raise Refused("body-lost", f"{len(before)} characters before cleaning, {len(after)} after")
    return one_line(html)


def one_line(html: str) -> str:
    """Return mark-up without line breaks and control characters; the lines of preformatted text stay apart."""
    html = _PREFORMATTED.sub(lambda lines: re.sub(r"\r\n?|\n", "<br>", lines[0]), html)
    return CONTROLS.sub("", LAYOUT_SPACE.sub(" ", html)).strip()


def refuse_deep(root: Element) -> None:
    """Raise Refused for elements nested deeper than any newsroom's."""
    depth = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > MAX_DEPTH:
            raise Refused("too-deep", f"elements nested more than {MAX_DEPTH} deep in the body")


def reduce(root: Element, base: str) -> None:
    """Leave in a tree only elements and attributes that are allowed, or that vanish and leave their text.

    Raises Refused ``body-lost`` if the end of the body is within something that is left out.
    """
    etree.strip_elements(root, *(SILENT - {"noscript"}), with_tail=False)
    for node in list(root.iter(*EMBEDS)):
        embed(node, base)
    elements = list(root.iter(etree.Element))
    if elements[-1].tag != "wbr" or "data-end" not in elements[-1].attrib:
        raise Refused("body-lost", "something is left open at the end of the body")
    for node in elements:
        allowed = allowed_attributes(node, base)
        node.attrib.clear()
        for name, value in allowed.items():
            node.set(name, value)
        if node.tag == "h1":
            node.tag = "h2"
        elif node.tag not in TAGS or (node.tag == "img" and "src" not in allowed):
            node.tag = "div" if node.tag in BLOCKS else "span"


def embed(node: Element, base: str) -> None:
    """Put a link in the place of something embedded that a newsroom may have embedded; text within it stays."""
    source = next((child for child in node.iter("source") if child.get("src")), node)
    address = absolute(attribute(node, "src", "data-src") or attribute(source, "src"), base)
    trusted = node.tag in ("video", "audio") or PROVIDERS.match(address)
    if node.tag == "iframe":
        # Its text is mark-up for browsers of the last century.
        node.text = None
    node.tag = "span"
    if trusted and address.startswith("http"):
        link = etree.Element("a", href=address)
        link.text, link.tail, node.text = address, node.text, None
        node.insert(0, link)
        node.tag = "div"


def absolute(address: str, base: str) -> str:
    """Return the absolute address of the web or of a mailbox that an attribute means; empty if there is none."""
    return _NOT_XML.sub("", web_address(address, base))


def allowed_attributes(node: Element, base: str) -> dict[str, str]:
    """Return the attributes of an element that it may keep, with absolute addresses."""
    tag = str(node.tag)
    kept: dict[str, str] = {}
    if tag == "a":
        kept["href"] = absolute(node.get("href", ""), base)
    if tag == "img":
        addresses = (absolute(node.get(name, ""), base) for name in ("src", "data-src"))
        kept["src"] = next((address for address in addresses if address.startswith("http")), "")
    for (element, name), values in VALUES.items():
        if element == tag and values.fullmatch(value := node.get(name, "")):
            kept[name] = _NOT_XML.sub("", value)
    return {name: value for name, value in kept.items() if value}


def without_mirror(body: str) -> str:
    """Return a sanitised body without the footer of a feed mirror and its ``Array`` for a missing picture.

    Only where its footer is, the word is the mirror's.
    """
    rest = MIRROR_FOOTER.sub("", body) if MIRROR in body else body
    return body if rest == body else without_mirror(MIRROR_ARRAY.sub(r"\1", rest).strip())


def clean_image(image: Image) -> Image:
    """Return a picture with tidy text."""
    return replace(image, caption=tidy(image.caption), credit=tidy(image.credit))


def clean(article: Article) -> Article:
    """Return the article as it may be published; raise Refused if cleaning would lose text."""
    return replace(
        article,
        title=tidy(article.title),
        section=tidy(article.section),
        authors=once(article.authors),
        keywords=once(article.keywords),
        summary=tidy(article.summary),
        images=tuple(clean_image(image) for image in article.images if web_address(image.url, "").startswith("http")),
        body=without_mirror(sanitise(article.body, article.url)),
    )


class CleanPipeline:
    """Hands each article on in its clean form."""

    def process_item(self, item: Article) -> Article:
        """Return the clean article; one that is ready has been cleaned where it was read."""
        return item if item.ready else clean(item)
