"""What a full-text feed holds: its items, each as XML of its own, and what an item says.

Feeds of other people are not always XML. They hold bare ampersands, control
characters, prefixes of no namespace and HTML that nobody has escaped, and they may
be cut off anywhere. So they are taken apart by their tags alone: what is wrong in
one item stays in it, and nothing is ever expanded, fetched or defined by a document.
"""

import codecs
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from html import escape
from html.entities import html5
from typing import Literal
from urllib.parse import urljoin

from w3lib.encoding import resolve_encoding

from newsarchive.article import Image, Refused
from newsarchive.extract import once, tidy
from newsarchive.fragment import plain
from newsarchive.listing import LINE_END
from newsarchive.spelling import WHITE_SPACE

__all__ = ["Feed", "Item", "Manner", "Said", "manner_of", "read_feed", "read_item", "record", "text_of"]

#: Characters of the tags that an item stands in, which are kept with each; real feeds have some 500.
MOST_AROUND = 5000
#: A tag as XML has it. Signs of another tag within it mean that it is none.
TAG = re.compile(r"""<(?P<end>/?)(?P<name>[^\W\d][\w:.-]*+)(?P<rest>(?:[^<>"']++|"[^"<]*+"|'[^'<]*+')*+)>""")
#: What TAG is, or where something begins in which there are none.
MARK = re.compile(rf"<!\[CDATA\[|<!--|<\?|<!DOCTYPE|{TAG.pattern}")
CLOSED = {"<![CDATA[": "]]>", "<!--": "-->", "<?": "?>"}
DOCTYPE = re.compile(r"[^\[>]{0,1000}+(?:\[.{0,100000}?\]\s*)?>", re.DOTALL)
ATTRIBUTE = re.compile(r"""([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
#: Names are those of HTML, which feeds use as if XML had them.
REFERENCE = re.compile(r"&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([A-Za-z][A-Za-z0-9]{1,31}));")
DECLARATION = re.compile(rb"""<\?xml[^>]{0,200}?\bencoding\s*=\s*["']([\w.:-]{1,40})["']""")
#: What is the same in all encodings like ASCII, and has another meaning in others, or none.
LIKE_ASCII = b"<x> +AGE- ~{!!~} \\u0041 \x1b$B!! \x0e!!\x0f"
#: Latin 1, as browsers read it.
DEFAULT = "cp1252"
#: Namespaces under the prefixes by which everybody knows them.
PREFIXES = {
    "http://purl.org/rss/1.0/": "",
    "http://my.netscape.com/rdf/simple/0.9/": "",
    "http://backend.userland.com/rss2": "",
    "http://purl.org/rss/1.0/modules/content/": "content",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://purl.org/dc/terms/": "dcterms",
    "http://search.yahoo.com/mrss": "media",
    "http://search.yahoo.com/mrss/": "media",
    "http://www.itunes.com/dtds/podcast-1.0.dtd": "itunes",
    "http://www.w3.org/2005/Atom": "atom",
    "http://purl.org/atom/ns#": "atom",
}
INSTRUCTION = re.compile(r"<\?newsarchive (?P<rest>[^<>]*)\?>")
#: Where an item ends and the next one begins, within what should be the text of one.
NEXT_ITEM = re.compile(r"</(?:[\w.-]+:)?(?:item|entry)\s*>\s*<(?:[\w.-]+:)?(?:item|entry)[\s>]")
#: ``writer@example.com (A Writer)``
MAILBOX = re.compile(r"\S+@\S+\s+\((.+)\)")
#: How a link of Atom is related to the entry, the one to the article first.
RELATIONS = {"alternate": 0, "": 1}
VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How an item is to become a post; kept with it, as a replay has nothing else to go by."""

    #: Address of the article, as a browser writes it.
    url: str
    #: What its post is labelled with.
    label: str
    #: Whether its text stays as it is.
    verbatim: bool
    form: Literal["front", "bare"]
    #: Language that the feed states; empty if it states none.
    language: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a feed, as it stands there."""

    #: The item and the tags that it stands in.
    xml: str
    #: Why it cannot be read; None if it may be.
    problem: Refused | None = None


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed, taken apart."""

    items: tuple[Item, ...]
    #: Address that addresses in it are relative to; empty if there is none.
    base: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What an item says, in its own words: references are resolved, and nothing else is done."""

    title: str
    #: Headline as plain text.
    headline: str
    link: str
    #: HTML.
    content: str
    #: Whether the content is plain text by the feed's word.
    is_plain: bool
    #: Empty if it names none.
    author: str
    #: Persons, without mailboxes.
    authors: tuple[str, ...]
    #: Times of publication, the one that counts first.
    times: tuple[str, ...]
    #: Time that counts only where nothing else is to be followed (``dc:date``); may be empty.
    other_time: str
    keywords: tuple[str, ...]
    summary: str
    images: tuple[Image, ...]
    language: str
    #: Address that addresses in it are relative to, as far as the item and its feed's root state it.
    base: str


# A feed, from its bytes to its items.


def read_feed(body: bytes, url: str, stated: str = "") -> Feed:
    """Return the items of a feed; ``stated`` is the encoding that its server names.

    Raises Refused: ``empty``, ``malformed-listing`` if it is no feed, ``empty-listing`` if it has no items.
    """
    if not body.strip():
        raise Refused("empty", "the feed has no body")
    text = decoded(body, stated)
    root = next(marks(text), None)
    if root is None or root["end"]:
        raise Refused("malformed-listing", "nothing in it is a tag of XML")
    if local(root["name"]).lower() in ("html", "head", "body", "urlset", "sitemapindex"):
        raise Refused("malformed-listing", f"<{root['name'][:40]}> where a feed should be")
    found = list(_pieces(text, root))
    if not found:
        raise Refused("empty-listing", "it has no items")
    site, language = _about(text[root.start() : found[0][0]], root)
    base = url if url.startswith("http") else ""
    with suppress(ValueError):
        base = urljoin(base, site)
    items = tuple(Item(_around(text[start:end], *tags), problem) for start, end, tags, problem in found)
    return Feed(items, base if base.startswith("http") else "", language)


def decoded(body: bytes, stated: str = "") -> str:
    """Return the text of a feed; bytes that are no characters become lone surrogates (``surrogateescape``).

    UTF-8 is believed before anything that is said of a feed: hardly anything else looks like it.
    """
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return body.decode("utf-16", "replace")
    if body[:4] in (b"<\0?\0", b"\0<\0?"):
        return body.decode("utf-16-be" if body[0] == 0 else "utf-16-le", "replace")
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        return body.decode()
    except UnicodeDecodeError:
        declared = DECLARATION.match(body.lstrip())
    named = (stated, declared[1].decode("ascii") if declared else "")
    found = [encoding for name in named if (encoding := _encoding_of(name)) not in ("", "utf-8")]
    # Many servers say Latin 1 of whatever they send.
    found.sort(key=DEFAULT.__eq__)
    return body.decode(next(iter(found), "utf-8"), "surrogateescape")


def _encoding_of(name: str) -> str:
    """Return the encoding that servers and writers mean by a name, as browsers do; empty if feeds cannot be in it."""
    encoding = (resolve_encoding(name) if name else None) or ""
    try:
        # Names of Python's may be those of no encoding. Those that are not like ASCII have been told from their bytes.
        is_like_ascii = encoding and LIKE_ASCII.decode(encoding, "surrogateescape") == LIKE_ASCII.decode("ascii")
    except (LookupError, UnicodeError):
        return ""
    return encoding if is_like_ascii else ""


def marks(text: str) -> Iterator[re.Match[str]]:
    """Yield the tags of XML; what stands in sections, comments, instructions and definitions is none."""
    at = 0
    #: Where the next ends of sections and the like are, as far as is known.
    ends: dict[str, int] = {}
    defined = False
    while mark := MARK.search(text, at):
        at = mark.end()
        if mark["name"]:
            yield mark
        elif mark[0] == "<!DOCTYPE":
            # There is one at most, and before everything else.
            found = None if defined else DOCTYPE.match(text, at)
            at, defined = found.end() if found else at, True
        else:
            at = _section_end(text, mark, ends)


def _section_end(text: str, mark: re.Match[str], ends: dict[str, int]) -> int:
    """Return where a section, comment or instruction ends; where it begins if nobody has closed it."""
    closed = CLOSED[mark[0]]
    if ends.get(closed, 0) < mark.end():
        end = text.find(closed, mark.end())
        ends[closed] = len(text) + 1 if end < 0 else end
    end = ends[closed]
    if end > len(text):
        return mark.end()
    # An end behind the next item's beginning is that of a section there, but an article may also be about feeds.
    following = NEXT_ITEM.search(text, mark.end(), end)
    if following and text.find(mark[0], following.end(), end) >= 0:
        return mark.end()
    return end + len(closed)


def _pieces(text: str, root: re.Match[str]) -> Iterator[tuple[int, int, tuple[re.Match[str], ...], Refused | None]]:
    """Yield where each item of a feed begins and ends, the tags around it, and why it cannot be read."""
    name = "entry" if local(root["name"]) == "feed" else "item"
    own = {prefix for prefix, known in _prefixes(root).items() if known == ""}
    names = {name, *(f"{prefix}:{name}" for prefix in own)}
    around: tuple[re.Match[str], ...] = (root,)
    channel: re.Match[str] | None = None
    opened: re.Match[str] | None = None
    for mark in marks(text):
        if mark["name"] in names:
            if mark["end"] or is_empty(mark):
                if mark["end"] and opened:
                    yield opened.start(), mark.end(), around, None
                elif is_empty(mark) and not opened:
                    yield mark.start(), mark.end(), around, None
                else:
                    continue
                opened = None
                continue
            if opened:
                yield opened.start(), mark.start(), around, Refused("malformed-item", "it is not closed")
            opened, around = mark, (root, channel) if channel else (root,)
        elif local(mark["name"]) == "channel" and not opened:
            channel = None if mark["end"] or mark is root or mark.start() == root.start() else mark
    if opened:
        yield opened.start(), len(text), around, Refused("truncated", "the feed ends within it")


def _around(item: str, *tags: re.Match[str]) -> str:
    """Return an item within the tags that it stands in, which need not say more than what their prefixes mean."""
    starts = [tag[0] for tag in tags]
    if sum(map(len, starts)) > MOST_AROUND:
        told = "".join(f' xmlns:{prefix}="{space}"' for space, prefix in PREFIXES.items() if prefix)
        starts = [f"<{tags[0]['name']}{told}>"]
        tags = tags[:1]
    ends = [f"</{tag['name']}>" for tag in reversed(tags)]
    return "".join([*starts, item, *ends])


def _about(opening: str, root: re.Match[str]) -> tuple[str, str]:
    """Return the address of the site and the language that a feed states before its items; empty if it states none."""
    prefixes = _prefixes(root)
    start = re.search(r"<(?:[\w.-]+:)?channel\b[^>]*>", opening)
    inner = opening[start.end() if start else root.end() - root.start() :]
    told = list(children(inner, prefixes, strict=False))
    site = next((one.text for one in told if one.name == "link" and one.text.strip()), "")
    if local(root["name"]) == "feed":
        # Those of Atom are relative to where the feed lies.
        site = attributes(root).get("xml:base", "")
    stated = (one.text for one in told if one.name in ("language", "dc:language"))
    language = next(filter(None, map(str.strip, stated)), attributes(root).get("xml:lang", ""))
    return site.strip(WHITE_SPACE), language if re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*", language) else ""


# Elements.


@dataclass(frozen=True, slots=True)
class Element:
    """An element, its name with the prefix by which everybody knows its namespace."""

    name: str
    attributes: Mapping[str, str] = field(hash=False)
    #: What stands between its tags, as it stands there.
    inner: str
    prefixes: Mapping[str, str] = field(hash=False)

    @property
    def text(self) -> str:
        """Return its text, without what tags say; raise Refused for one that is not all there."""
        return "".join(piece for piece, is_tag in _values(self.inner) if not is_tag)

    @property
    def html(self) -> str:
        """Return its text, which is HTML, or the HTML that stands in it; raise Refused if that is not all there."""
        if self.attributes.get("type") == "xhtml" and (div := next(self.children(), None)):
            return _as_html(div.inner)
        if next(marks(self.inner), None) is None:
            return self.text
        # Nobody has escaped it: then references are part of it.
        return "".join(piece for piece, _ in _values(self.inner, resolve=False))

    def children(self) -> "Iterator[Element]":
        """Yield the elements in it; raise Refused for one that is not closed."""
        yield from children(self.inner, self.prefixes)


def children(xml: str, prefixes: Mapping[str, str], *, strict: bool = True) -> Iterator[Element]:
    """Yield the elements in a piece of XML, not those within them; if ``strict``, raise Refused for an unclosed one."""
    opened, depth = None, 0
    for mark in marks(xml):
        if opened is None:
            if not mark["end"]:
                if is_empty(mark):
                    yield _element(mark, "", prefixes)
                else:
                    opened, depth = mark, 1
        elif mark["name"] == opened["name"] and not is_empty(mark):
            depth += -1 if mark["end"] else 1
            if not depth:
                yield _element(opened, xml[opened.end() : mark.start()], prefixes)
                opened = None
    if opened and strict:
        raise Refused("malformed-item", f"<{opened['name'][:40]}> is not closed")


def _element(tag: re.Match[str], inner: str, prefixes: Mapping[str, str]) -> Element:
    prefixes = {**prefixes, **_declared(tag)}
    prefix, _, name = tag["name"].rpartition(":")
    known = prefixes.get(prefix, prefix)
    return Element(f"{known}:{name}" if known else name, attributes(tag), inner, prefixes)


def _declared(tag: re.Match[str]) -> dict[str, str]:
    """Return the prefixes that a tag declares, each with the one by which everybody knows its namespace."""
    return {
        name.partition(":")[2]: PREFIXES[space]
        for name, space in attributes(tag).items()
        if name.partition(":")[0] == "xmlns" and space in PREFIXES
    }


def _prefixes(root: re.Match[str]) -> dict[str, str]:
    """Return the prefixes that a feed's root declares, where none stands for the namespace of the feed itself."""
    found = _declared(root)
    prefix = root["name"].rpartition(":")[0]
    if local(root["name"]) == "feed":
        own = found.get(prefix, "atom")
        found = {name: "" if known == own else known for name, known in found.items()}
        found[prefix] = ""
    found[""] = ""
    return found


def attributes(tag: re.Match[str]) -> dict[str, str]:
    """Return the attributes of a tag, their references resolved."""
    return {name: resolved(double or single) for name, double, single in ATTRIBUTE.findall(tag["rest"])}


def is_empty(tag: re.Match[str]) -> bool:
    """Tell whether a tag is that of an empty element."""
    return tag["rest"].endswith("/")


def local(name: str) -> str:
    """Return a name without its prefix."""
    return name.rpartition(":")[2]


def resolved(text: str) -> str:
    """Return text in which references stand for what they mean; those that mean nothing stay."""
    return REFERENCE.sub(_meant, text) if "&" in text else text


def _meant(reference: re.Match[str]) -> str:
    """Return the character that a reference means, be it one that XML does not allow."""
    decimal, hexadecimal, name = reference.groups()
    if name:
        return html5.get(f"{name};", reference[0])
    number = int(decimal or hexadecimal, 10 if decimal else 16)
    return chr(number) if number <= 0x10FFFF else reference[0]


def _values(xml: str, resolve: bool = True) -> Iterator[tuple[str, bool]]:
    """Yield the pieces of text and the tags of a piece of XML, and whether a piece is a tag.

    Raises Refused for a section or comment that is not closed.
    """
    at = 0
    while mark := MARK.search(xml, at):
        before = xml[at : mark.start()]
        yield (resolved(before) if resolve else before), False
        at = mark.end()
        if mark["name"]:
            yield mark[0], True
        elif closed := CLOSED.get(mark[0]):
            end = xml.find(closed, at)
            if end < 0:
                raise Refused("malformed-item", f"{mark[0]} is not closed")
            if mark[0] == "<![CDATA[":
                yield xml[at:end], False
            at = end + len(closed)
        else:
            yield mark[0], False
    yield (resolved(xml[at:]) if resolve else xml[at:]), False


def _as_html(xhtml: str) -> str:
    """Return XHTML as HTML: no prefixes, and empty elements with both their tags."""

    def spelled(tag: re.Match[str]) -> str:
        name, rest = local(tag["name"]), tag["rest"]
        if is_empty(tag) and name not in VOID:
            return f"<{name}{rest[:-1].rstrip()}></{name}>"
        return f"<{tag['end']}{name}{rest}>"

    return TAG.sub(spelled, "".join(piece for piece, _ in _values(xhtml, resolve=False)))


# An item, kept and read again.


def record(item: Item, manner: Manner) -> bytes:
    """Return what is kept of an item: what it says, and how it is to become a post."""
    told = {
        "mode": "verbatim" if manner.verbatim else "clean",
        "form": manner.form,
        "label": manner.label,
        "url": manner.url,
        "language": manner.language,
    }
    spelled = " ".join(f'{name}="{escape(value)}"' for name, value in told.items() if value)
    xml = f'<?xml version="1.0" encoding="utf-8"?>\n<?newsarchive {spelled}?>\n{item.xml}\n'
    return xml.encode("utf-8", "surrogateescape")


def manner_of(xml: str) -> Manner:
    """Return how an item that was kept is to become a post."""
    instruction = INSTRUCTION.search(xml)
    told = attributes(instruction) if instruction else {}
    if not told.keys() >= {"mode", "form", "label", "url"}:
        raise Refused("malformed-item", "it does not say how it is to become a post")
    form: Literal["front", "bare"] = "bare" if told["form"] == "bare" else "front"
    verbatim = told["mode"] == "verbatim"
    return Manner(url=told["url"], label=told["label"], verbatim=verbatim, form=form, language=told.get("language", ""))


def text_of(kept: bytes) -> str:
    """Return the text of what was kept of an item; raise Refused ``encoding`` if it holds other than characters."""
    try:
        return kept.decode()
    except UnicodeDecodeError as error:
        strange = error.object[error.start : error.start + 4]
        raise Refused("encoding", f"it holds bytes that are no characters: {strange!r}") from None


def read_item(xml: str) -> Said:
    """Return what an item says; raise Refused ``malformed-item`` for one that is not all there."""
    root = next(marks(xml), None)
    if root is None:
        raise Refused("malformed-item", "no tag")
    is_atom = local(root["name"]) == "feed"
    prefixes, bases = _prefixes(root), [attributes(root)]
    element = Element("", {}, xml, prefixes)
    while local(element.name) not in ("item", "entry"):
        found = next(element.children(), None)
        if found is None:
            raise Refused("malformed-item", "neither item nor entry")
        element = found
        bases.append(dict(element.attributes))
    told: dict[str, list[Element]] = {}
    for child in element.children():
        told.setdefault(child.name.removeprefix("atom:") if is_atom else child.name, []).append(child)
    return _said(told, element, [base["xml:base"] for base in bases if base.get("xml:base")], is_atom)


def _said(told: dict[str, list[Element]], item: Element, bases: list[str], is_atom: bool) -> Said:
    """Return what the elements of an item say."""

    def all_of(*names: str) -> list[Element]:
        return [one for name in names for one in told.get(name, ())]

    def first(*names: str) -> str:
        return next((one.text for one in all_of(*names)[:1]), "")

    title = next(iter(all_of("title")), None)
    rest = all_of("content", "summary")
    if not is_atom:
        rest = [*all_of("description")[:1], *all_of("atom:content", "atom:summary")]
    groups = [child for group in all_of("media:group") for child in group.children()]
    sources = [
        *all_of("content:encoded")[:1],
        *[one for one in groups if one.name == "media:description"][:1],
        *rest,
        *all_of("media:description"),
    ]
    texts = [(one, html) for one in sources if not is_blank(html := one.html)]
    content = texts[0][1] if texts else ""
    summaries = [one for one in all_of("summary" if is_atom else "description") if texts and one is not texts[0][0]]
    authors = [_person(one) for one in all_of("author", "dc:creator", "itunes:author")]
    signed = [*map(_person, all_of("author")[:1]), *(one.text for one in all_of("dc:creator"))]
    shown = all_of("enclosure", "media:content", "media:thumbnail", "itunes:image", "link")
    times = [one.text for one in (all_of("published", "updated") if is_atom else all_of("pubDate"))]
    base = ""
    for one in bases:
        with suppress(ValueError):
            base = urljoin(base, one)
    return Said(
        title=title.text if title else "",
        headline=_headline(title) if title else "",
        link=_link(told, item),
        content=content,
        is_plain=bool(texts and texts[0][0].attributes.get("type") == "text"),
        author=next((name for name in signed if not is_blank(name)), ""),
        authors=once(MAILBOX.sub(r"\1", name.strip()) for name in authors),
        times=tuple(times),
        other_time=first("dc:date", "dcterms:created", "dcterms:issued"),
        keywords=once([*map(_keyword, all_of("category", "dc:subject")), *first("media:keywords").split(",")]),
        summary=tidy(plain(LINE_END.sub("\n", summaries[0].html))) if summaries else "",
        images=tuple(_images([*shown, *groups])),
        language=first("dc:language").strip(),
        base=base,
    )


def is_blank(text: str) -> bool:
    """Tell whether nothing but white space is in a text."""
    return not text.strip(WHITE_SPACE)


def _headline(title: Element) -> str:
    """Return the plain text of a title, whose references may have been escaped twice."""
    text = title.text if title.attributes.get("type") not in ("html", "xhtml") else plain(title.html)
    return tidy(resolved(text))


def _person(author: Element) -> str:
    """Return the name of an author, or whatever stands in its place."""
    name = next((child for child in author.children() if local(child.name) == "name"), None)
    return name.text if name else author.text


def _keyword(category: Element) -> str:
    """Return the words of a category."""
    return category.text.strip() or category.attributes.get("label") or category.attributes.get("term") or ""


def _link(told: dict[str, list[Element]], item: Element) -> str:
    """Return the address of an item: its link, else whatever identifies it and is an address."""
    links = told.get("link", [])
    plain_links = [one.text for one in links if not is_blank(one.text)]
    targets = [one for one in links if one.attributes.get("href")]
    targets.sort(key=lambda one: RELATIONS.get(one.attributes.get("rel", ""), 2))
    found = [*plain_links[:1], *(one.attributes["href"] for one in targets[:1])]
    named = [one.text for name in ("guid", "id") for one in told.get(name, ())]
    named.append(item.attributes.get("rdf:about", ""))
    identity = next((text.strip(WHITE_SPACE) for text in named if re.match(r"\s*https?:", text, re.IGNORECASE)), "")
    return next((address.strip(WHITE_SPACE) for address in found if not is_blank(address)), identity)


def _images(elements: list[Element]) -> Iterator[Image]:
    """Yield the pictures that elements name, each once; mirrors write ``Array`` for one that is not there."""
    seen = set()
    for one in elements:
        told = one.attributes
        address = (told.get("url") or told.get("href") or "").strip()
        stated = one.name in ("media:thumbnail", "itunes:image") or told.get("medium") == "image"
        is_image = stated or told.get("type", "").startswith("image/")
        if one.name == "link" and told.get("rel") != "enclosure":
            continue
        if is_image and address.startswith(("http://", "https://")) and address not in seen:
            seen.add(address)
            yield Image(url=address)
