"""What the newsroom wrote, in order, as clean HTML on one line.

A body is read as a closed world. Inside the element that holds it, everything
is either text and mark-up that HTML has words for, or something the spider
names: to drop, to look inside, or to show as a picture. Anything else that
holds words or pictures raises ``Drift``: it could be the rest of the article,
or another article's teaser, and both would make the post untrue.

How loss is noticed: the characters of the container that are not white space
are counted, those of what was left out on purpose are subtracted, and the rest
must be in the fragment. One character less, and the page is refused.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from html import escape

from lxml import etree
from lxml.etree import _Element as Element

from newsarchive.article import Drift, Image, Refused
from newsarchive.extract import attribute, first, largest, select, solid, string, text
from newsarchive.fragment import INLINE, Writer, figure, link, web_address

__all__ = ["Body", "Rules", "read_body"]

#: Deeper than this nothing is read: parsers drop what lies some 2,000 elements deep without a word.
MAX_DEPTH = 1000
#: Deeper than this no list or quotation of a newsroom is nested; sanitisers are quadratic in it.
MAX_NESTING = 30

HEADINGS = {"h1": "h2", "h2": "h2", "h3": "h3", "h4": "h4", "h5": "h5", "h6": "h6"}
PARAGRAPHS = {"p": "p", **HEADINGS, "summary": "p", "address": "p", "legend": "p"}
CONTAINERS = frozenset("ul ol li dl dt dd blockquote table caption thead tbody tfoot tr td th pre".split())
#: Containers whose own text needs no paragraph around it.
CELLS = frozenset(["li", "dt", "dd", "caption", "td", "th", "pre"])
TRANSPARENT = frozenset("span font big tt strike acronym nobr time data label wbr picture source o:p bdo".split())
#: Never what the newsroom wrote: code, controls, graphics without an address.
SILENT = frozenset(
    (
        "script style noscript template svg math link meta head title base input select textarea option "
        "object param map area canvas progress dialog colgroup col track amp-state i-amphtml-sizer amp-ad amp-analytics"
        " amp-pixel"
    ).split()
)
EMBEDS = frozenset(
    "iframe video audio embed amp-iframe amp-video amp-audio amp-youtube amp-twitter amp-facebook amp-instagram".split()
)
#: Whose frames a newsroom embeds. A frame from elsewhere, in a wrapper nobody knows, may be an advertisement.
PROVIDERS = re.compile(
    r"^https?://(?:[\w-]+\.)*(?:youtube\.com|youtube-nocookie\.com|youtu\.be|vimeo\.com|dailymotion\.com|facebook\.com"
    r"|instagram\.com|threads\.(?:net|com)|twitter\.com|x\.com|tiktok\.com|bsky\.app|t\.me|soundcloud\.com"
    r"|spotify\.com|docs\.google\.com|maps\.google\.com|google\.com/maps|datawrapper\.de|dwcdn\.net|flourish\.studio"
    r"|flo\.uri\.sh|tableau\.com|firstory\.me|soundon\.fm|podbean\.com|podcasts\.apple\.com|acast\.com|ausha\.co"
    r"|arte\.tv|ina\.fr|france24\.com|bilibili\.com|rutube\.ru|vk\.com|twitch\.tv|documentcloud\.org|scribd\.com"
    r"|infogram\.com|knightlab\.com|arcgis\.com|cna\.com\.tw|dw\.com|rfi\.fr|akamaized\.net)(?:[/:?]|$)",
    re.I,
)
#: Where posts of others that a script would fill in name their address.
PERMALINKS = ("data-instgrm-permalink", "data-text-post-permalink", "cite")
KEPT_ATTRIBUTES = {"td": ("colspan", "rowspan"), "th": ("colspan", "rowspan"), "ol": ("start",), "bdo": ("dir",)}


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a layout's body holds besides text, as CSS selectors below the container."""

    #: Not what the newsroom wrote: related boxes, carousels, promotion, share buttons, advertisements.
    drop: str = ""
    #: Wrappers without a meaning of their own, to look inside.
    unwrap: str = ""
    #: Frames of a picture.
    figure: str = ""
    #: Reads a frame; returns None where it frames nothing.
    picture: Callable[[Element, str], Image | None] = lambda frame, base: None
    #: Reads an embedded thing the layout knows into an address; returns "" where there is none.
    embed: str = ""
    address: Callable[[Element, str], str] = lambda element, base: ""


#: What counts if several rules name one element.
PRECEDENCE = ("drop", "figure", "embed", "unwrap")
_NAME = re.compile(r"([a-z][\w-]*)?(?:\.([\w-]+))?")


@lru_cache(maxsize=64)
def _told_by_name(rules: Rules) -> tuple[dict[tuple[str, str], str], list[tuple[str, str]]]:
    """Return what rules say by tag and class, and by selectors that need a search.

    Most name a tag, a class or both, and are told when an element is met; searching
    for them would go through carousels that are longer than the article.
    """
    by_name: dict[tuple[str, str], str] = {}
    searches: list[tuple[str, str]] = []
    for kind in PRECEDENCE:
        for css in filter(None, map(str.strip, getattr(rules, kind).split(","))):
            name = _NAME.fullmatch(css)
            if name:
                by_name.setdefault((name[1] or "", name[2] or ""), kind)
            else:
                searches.append((kind, css))
    return by_name, searches


@dataclass(frozen=True)
class Body:
    """A fragment on one line and the pictures in it."""

    html: str
    images: tuple[Image, ...] = ()


#: What ends an element that was entered, or None where it was dealt with whole.
_End = Callable[[], None] | None


def _depth(node: Element) -> int:
    return sum(1 for _ in node.iterancestors())


def _children(node: Element) -> Iterator[Element | str]:
    """Yield a node's text and elements in order; comments are passed over, what follows them is not."""
    if node.text:
        yield node.text
    for child in node:
        if isinstance(child.tag, str):
            yield child
        elif child.tag is not etree.Comment and child.tag is not etree.ProcessingInstruction:
            yield child.text or ""
        if child.tail:
            yield child.tail


class _Reader:
    """Reads one container by the rules of its layout."""

    def __init__(self, container: Element, base: str, rules: Rules) -> None:
        self.container = container
        self.base = base
        self.rules = rules
        self.writer = Writer()
        self.images: list[Image] = []
        self.left_out = 0
        self.named, searches = _told_by_name(rules)
        self.searched = {node: kind for kind, css in reversed(searches) for node in select(container, css)}

    def read(self) -> Body:
        limit = MAX_DEPTH - _depth(self.container)
        stack: list[tuple[Iterator[Element | str], Callable[[], None]]] = [
            (_children(self.container), self.writer.flush)
        ]
        while stack:
            children, leave = stack[-1]
            for child in children:
                if isinstance(child, str):
                    self.writer.words(child)
                    continue
                inside = self.enter(child)
                if inside:
                    if len(stack) > limit or len(self.writer.nesting) > MAX_NESTING:
                        raise Refused("too-deep", f"elements nested more than {MAX_DEPTH} deep in the body")
                    stack.append((_children(child), inside))
                    break
            else:
                stack.pop()
                leave()
        self.check()
        return Body("".join(self.writer.blocks), tuple(self.images))

    def check(self) -> None:
        """Compare what was written with what was there."""
        there = len(solid(string(self.container))) - self.left_out
        if self.writer.weight != there:
            raise Refused("body-lost", f"{there} characters in the page, {self.writer.weight} in the body")

    def kind(self, node: Element) -> str:
        """Return what the rules say an element is: the name of a rule, or nothing."""
        if node in self.searched:
            return self.searched[node]
        kinds = [self.named.get((node.tag, ""), "")]
        for name in (node.get("class") or "").split():
            kinds += self.named.get((node.tag, name), ""), self.named.get(("", name), "")
        return min(filter(None, kinds), key=PRECEDENCE.index, default="")

    def enter(self, node: Element) -> _End:
        """Begin an element and return what ends it, or deal with it whole and return None."""
        tag = node.tag
        kind = self.kind(node)
        if kind == "drop" or tag in SILENT:
            return self.skip(node)
        if kind == "figure":
            return self.show(node, self.rules.picture(node, self.base))
        if kind == "embed":
            return self.embed(node, self.rules.address(node, self.base))
        if tag in PARAGRAPHS:
            return self.enter_paragraph(node, PARAGRAPHS[tag])
        if tag in INLINE:
            return self.enter_inline(node)
        if tag == "br":
            self.writer.line_break()
            return None
        if tag in TRANSPARENT or tag.startswith(("o:", "st1:", "w:")):
            return _nothing
        if tag == "blockquote" and not text(node) and (address := attribute(node, *PERMALINKS)):
            return self.embed(node, web_address(address, self.base))
        if tag in CONTAINERS:
            return self.enter_container(node)
        if tag in ("img", "amp-img"):
            return self.show(node, _plain_picture(node, self.base))
        if tag == "figure":
            return self.show(node, _plain_figure(node, self.base))
        if tag in EMBEDS:
            return self.embed(node, _embedded(node, self.base))
        if tag == "hr":
            self.writer.block("<hr>")
            return None
        return self.enter_unknown(node)

    def skip(self, node: Element) -> _End:
        """Leave an element out."""
        self.left_out += len(solid(string(node)))
        return None

    def show(self, node: Element, image: Image | None) -> _End:
        """Write a picture in place of its frame."""
        if image:
            self.images.append(image)
            self.writer.block(figure(image))
        return self.skip(node)

    def embed(self, node: Element, address: str) -> _End:
        """Write a link in place of something embedded."""
        if address:
            self.writer.block(link(address))
        return self.skip(node)

    def enter_paragraph(self, node: Element, tag: str) -> _End:
        """Begin a paragraph; most hold nothing but text, and are dealt with at once."""
        self.writer.flush()
        outer, self.writer.paragraph = self.writer.paragraph, tag

        def leave() -> None:
            self.writer.flush()
            self.writer.paragraph = outer

        if len(node):
            return leave
        self.writer.words(node.text or "")
        leave()
        return None

    def enter_inline(self, node: Element) -> Callable[[], None]:
        tag: str = node.tag
        if tag == "a":
            address = web_address(node.get("href") or "", self.base) if node.get("href") else ""
            if not address or any(opened == "a" for opened, _ in self.writer.opened):
                return _nothing
            if not len(node) and not (node.text or "").strip() and "blockquote" in self.writer.nesting:
                # A quoted post whose words a script would have filled in: its address is all there is.
                self.embed(node, address)
                return _nothing
            self.writer.open("a", f' href="{escape(address)}"')
        elif any(opened == tag for opened, _ in self.writer.opened):
            return _nothing
        else:
            self.writer.open(tag, _attributes(node))
        return self.writer.close

    def enter_container(self, node: Element) -> Callable[[], None]:
        tag = node.tag
        self.writer.flush()
        outer, self.writer.paragraph = self.writer.paragraph, "" if tag in CELLS else "p"
        outer_opened, self.writer.opened = self.writer.opened, []
        self.writer.line = []
        self.writer.nesting.append(tag)
        start = len(self.writer.blocks)
        self.writer.blocks.append(f"<{tag}{_attributes(node)}>")

        def leave() -> None:
            self.writer.flush()
            self.writer.nesting.pop()
            if len(self.writer.blocks) == start + 1 and tag not in ("td", "th"):
                self.writer.blocks.pop()
            else:
                self.writer.blocks.append(f"</{tag}>")
            self.writer.paragraph, self.writer.opened = outer, outer_opened
            self.writer.line = [f"<{tag}{attributes}>" for tag, attributes in outer_opened]

        return leave

    def enter_unknown(self, node: Element) -> _End:
        """Look inside a wrapper without a name, or one that holds known things only; raise Drift for any other."""
        anonymous = node.tag in ("div", "center", "section") and not node.get("class") and not node.get("id")
        if anonymous or self.kind(node) == "unwrap" or ("-" not in node.tag and self.only_known(node)):
            return self.enter_paragraph(node, "p")
        names = " ".join(filter(None, (node.get("id"), node.get("class"))))
        raise Drift(f"unknown <{node.tag}> {names!r} in the body: {text(node)[:40]!r}")

    def only_known(self, node: Element) -> bool:
        """Tell whether a wrapper holds nothing but pictures, quotations and embedded things that are known."""
        inside = list(_children(node))
        while inside:
            child = inside.pop()
            if isinstance(child, str):
                if child.strip():
                    return False
            elif child.tag in EMBEDS:
                if not PROVIDERS.search(_embedded(child, self.base)):
                    return False
            elif child.tag in ("img", "amp-img") and not self.kind(child):
                return False
            elif "-" in child.tag and child.tag not in SILENT and not self.kind(child):
                # A script draws something in the place of such an element.
                return False
            elif child.tag not in SILENT | {"blockquote"} and not self.kind(child):
                inside += _children(child)
        return True


def _nothing() -> None:
    """End an element that leaves no mark."""


def _attributes(node: Element) -> str:
    kept = ((name, node.get(name)) for name in KEPT_ATTRIBUTES.get(node.tag, ()))
    return "".join(f' {name}="{escape(value)}"' for name, value in kept if value)


def _plain_picture(node: Element, base: str) -> Image | None:
    """Read a picture without a frame; one that is a pixel wide counts readers and shows nothing."""
    if {node.get("width"), node.get("height")} & {"0", "1"}:
        return None
    address = web_address(largest(node, base), base)
    return Image(url=address) if address.startswith("http") else None


def _plain_figure(node: Element, base: str) -> Image | None:
    """Read a figure of plain HTML."""
    address = web_address(largest(node, base), base)
    if not address.startswith("http"):
        raise Drift(f"a figure without a picture: {text(node)[:40]!r}")
    caption = text(first(node, "figcaption"))
    if len(solid(caption)) != len(solid(string(node))):
        raise Drift(f"a figure with words besides its caption: {text(node)[:40]!r}")
    return Image(url=address, caption=caption)


def _embedded(node: Element, base: str) -> str:
    """Return the address of an embedded page, film or sound."""
    names = ("src", "data-src", "data-lazy-src")
    holders = [node, *node.iter("source", "a")]
    found = next((address for holder in holders if (address := attribute(holder, *names, "href"))), "")
    if not found and node.tag == "amp-youtube" and node.get("data-videoid"):
        found = f"https://www.youtube.com/watch?v={node.get('data-videoid')}"
    if not found and node.tag == "amp-twitter" and node.get("data-tweetid"):
        found = f"https://twitter.com/i/status/{node.get('data-tweetid')}"
    if not found and node.tag == "amp-facebook":
        found = attribute(node, "data-href")
    if not found and node.tag == "amp-instagram" and node.get("data-shortcode"):
        found = f"https://www.instagram.com/p/{node.get('data-shortcode')}/"
    return web_address(found, base) if found else ""


def read_body(container: Element, base: str, rules: Rules) -> Body:
    """Return what a container holds, as a fragment and its pictures.

    ``base`` is the page's address, for links. Raises Drift for what the rules do not know,
    Refused ``too-deep`` or ``body-lost`` for what could not be kept whole.
    """
    return _Reader(container, base, rules).read()
