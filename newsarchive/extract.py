"""Reads one thing out of a page: an element, its text, a meta value, JSON-LD, embedded state, a time.

All functions are pure: they see a parsed page and nothing else. What must be
there and is not raises ``Drift``; what may be missing comes back empty.

Pages are parsed once, from their bytes, as UTF-8, and selectors are compiled
once: parsing is what reading costs, and everything else should cost little.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from functools import lru_cache
from json import JSONDecoder
from typing import Any, cast
from urllib.parse import urljoin
from zoneinfo import ZoneInfo

import orjson
from cssselect import HTMLTranslator
from cssselect.parser import Class
from cssselect.xpath import XPathExpr
from lxml import etree
from lxml.etree import _Element as Element
from scrapy.http import Response

from newsarchive.article import Drift, Refused

__all__ = [
    "Facts",
    "Json",
    "attribute",
    "canonical",
    "check_pictures",
    "day",
    "first",
    "headline",
    "instant",
    "json_ld",
    "language",
    "largest",
    "meta",
    "metas",
    "news_article",
    "once",
    "one",
    "parse",
    "script_json",
    "select",
    "solid",
    "state",
    "stated",
    "string",
    "text",
    "tidy",
    "tree",
]

Json = dict[str, Any]
#: What meta elements state, by their names.
Facts = dict[str, list[str]]

# White space that holds a line break or a tab is layout of the source; a run of plain spaces may be the newsroom's.
# Each way to begin is a character of its own, for which Python searches fastest.
LAYOUT_SPACE = re.compile(r"(?:\t|\n|\f|\r| (?<!  ) *+[\t\n\f\r])[ \t\n\f\r]*+")
# XML 1.0 and HTML know no such characters in text; publishers' pages hold them all the same.
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
#: Browsers read on after these wherever they stand, libxml2 does not.
DOCUMENT_END = re.compile(rb"</(?:body|html)(?![\w:.-])[^<>]*>", re.IGNORECASE)
SURROGATES = re.compile(r"[\ud800-\udfff]")


def tree(response: Response) -> Element:
    """Return the root element of a page, parsed as UTF-8 whatever its headers say.

    All three publishers serve UTF-8, and a wrong ``charset`` is more common than another encoding.
    """
    return parse(response.body)


def parse(page: bytes) -> Element:
    """Return the root element of HTML in UTF-8; raise Refused ``empty`` if there is nothing in it."""
    parser = etree.HTMLParser(
        encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True, collect_ids=False
    )
    if b"\x00" in page:
        page = page.replace(b"\x00", b"")
    if DOCUMENT_END.search(page, 0, len(page) - len(b"</body></html>") * 4):
        page = DOCUMENT_END.sub(b"", page)
    root: Element | None = etree.fromstring(page, parser) if page and not page.isspace() else None
    if root is None:
        raise Refused("empty", "the response holds no page")
    return root


_STRING = etree.XPath("string()", smart_strings=False)


class _Translator(HTMLTranslator):
    """Asks first whether a class could be there: most elements have other classes, and comparing words is slow."""

    def xpath_class(self, class_selector: Class) -> XPathExpr:
        """Return the condition for a class."""
        name = class_selector.class_name
        xpath = self.xpath(class_selector.selector)
        maybe = f"contains(@class, {self.xpath_literal(name)})"
        surely = f"contains(concat(' ', normalize-space(@class), ' '), {self.xpath_literal(f' {name} ')})"
        return xpath.add_condition(f"{maybe} and {surely}")


@lru_cache(maxsize=1024)
def _compiled(css: str, axis: str) -> etree.XPath:
    return etree.XPath(_Translator().css_to_xpath(css, prefix=f"{axis}::"))


#: A tag, with a class or an identifier or without: most of what is looked for.
_NAMED = re.compile(r"(?P<tag>[a-z][a-z\d]*)(?:\.(?P<class>[\w-]+)|#(?P<id>[\w-]+))?")
_named = lru_cache(maxsize=1024)(_NAMED.fullmatch)
#: White space in attributes becomes spaces, by which a class is told from others.
_SPACES = str.maketrans("\t\n\r", "   ")


def _matching(node: Element, css: str, axis: str) -> Iterator[Element]:
    """Yield the elements that match, in document order; tags are met ten times faster than XPath finds them."""
    named = _named(css) if axis == "descendant-or-self" else None
    if named is None:
        yield from cast("list[Element]", _compiled(css, axis)(node))
        return
    tag, name, identifier = named.groups()
    for element in node.iter(tag):
        if identifier and element.get("id") != identifier:
            continue
        if name and f" {name} " not in f" {(element.get('class') or '').translate(_SPACES)} ":
            continue
        yield element


def select(node: Element, css: str, axis: str = "descendant-or-self") -> list[Element]:
    """Return the elements below a node that match a CSS selector, in document order.

    ``axis="child"`` looks at the node's own children only.
    """
    return list(_matching(node, css, axis))


def first(node: Element, css: str, axis: str = "descendant-or-self") -> Element | None:
    """Return the first element that matches, or None."""
    return next(_matching(node, css, axis), None)


def one(node: Element, css: str, axis: str = "descendant-or-self") -> Element:
    """Return the first element that matches; raise Drift if there is none."""
    found = first(node, css, axis)
    if found is None:
        raise Drift(f"no {css}")
    return found


def tidy(value: str) -> str:
    """Return text without control characters, source layout and white space at its ends; other spaces stay."""
    # Neither layout nor control characters are printable, so most text is let through unsearched.
    if not value.isprintable():
        value = SURROGATES.sub("\ufffd", CONTROLS.sub("", LAYOUT_SPACE.sub(" ", value)))
    return value.strip()


def string(node: Element) -> str:
    """Return the text of an element to the character."""
    return str(_STRING(node))


def text(node: Element | None) -> str:
    """Return the text of an element, tidied; empty if there is no element."""
    return "" if node is None else tidy(string(node))


def solid(value: str) -> str:
    """Return text without white space and control characters: what must not be lost."""
    value = "".join(value.split())
    return value if value.isprintable() else CONTROLS.sub("", value)


def once(words: Iterable[str]) -> tuple[str, ...]:
    """Return words in their order, tidied, each once, without empty ones."""
    return tuple(dict.fromkeys(filter(None, map(tidy, words))))


def headline(node: Element) -> str:
    """Return the text of the first ``h1``; raise Drift if there is none, or another that the page is titled with."""
    titles = [text(title) for title in select(node, "h1")]
    if not titles:
        raise Drift("no h1")
    if len(set(titles)) > 1:
        # Classic pages of DW write other quotation marks in their title.
        head, *words = (
            re.sub(r"\W", "", said) for said in (text(first(node.getroottree().getroot(), "title")), *titles)
        )
        titled = [word in head for word in words]
        if not titled[0] and any(titled[1:]):
            raise Drift(f"several headlines: {titles}")
    return titles[0]


def attribute(node: Element | None, *names: str) -> str:
    """Return the first of the named attributes that is not empty, stripped; empty if there is none."""
    if node is None:
        return ""
    return next((value for name in names if (value := (node.get(name) or "").strip())), "")


def metas(root: Element) -> Facts:
    """Return the values of a page's meta elements by ``name``, ``property`` or ``itemprop``, in order, none empty."""
    found: Facts = {}
    for element in root.iter("meta"):
        name = element.get("property") or element.get("name") or element.get("itemprop")
        content = tidy(element.get("content") or "")
        if name and content:
            found.setdefault(name, []).append(content)
    return found


def meta(facts: Facts, *names: str) -> str:
    """Return the first value under the first of the names that the meta elements know; empty if they know none."""
    return next((facts[name][0] for name in names if name in facts), "")


def canonical(root: Element) -> str:
    """Return the canonical address a page names; raise Drift if it names none."""
    for link in root.iter("link"):
        if link.get("rel") == "canonical" and (link.get("href") or "").strip():
            return (link.get("href") or "").strip()
    raise Drift("no canonical address")


def language(root: Element) -> str:
    """Return the language a page says it is in, as a BCP 47 tag; empty if it does not say."""
    return (root.get("lang") or root.get("{http://www.w3.org/XML/1998/namespace}lang") or "").replace("_", "-")


def _loads(source: str) -> Any:
    """Return what a JSON text says; control characters inside strings are let through, as publishers write them."""
    try:
        return orjson.loads(source)
    except orjson.JSONDecodeError:
        return JSONDecoder(strict=False).decode(source.strip())


def json_ld(root: Element) -> Iterator[Json]:
    """Yield every object of a page's schema.org JSON-LD: of several scripts, of lists and of ``@graph``."""
    for script in root.iter("script"):
        if (script.get("type") or "").strip().lower() != "application/ld+json" or not script.text:
            continue
        found = _loads(script.text)
        for entry in found if isinstance(found, list) else [found]:
            if isinstance(entry, dict):
                yield from entry.get("@graph", [entry])


def news_article(root: Element) -> Json:
    """Return the page's ``NewsArticle`` of schema.org; empty if there is none."""
    return next((about for about in json_ld(root) if about.get("@type") == "NewsArticle"), {})


def stated(event: str, facts: Facts, about: Json) -> str:
    """Return the time that a page states of an event, ``published`` or ``modified``; empty if it does not.

    Meta elements of articles come before JSON-LD: where the two differ, the former are right.
    """
    name = f"date{event.title()}"
    return meta(facts, f"article:{event}_time") or about.get(name) or meta(facts, name)


def script_json(script: Element) -> Json:
    """Return the JSON object that a script element holds; raise ValueError if it holds none."""
    found: Json = _loads(script.text or "")
    return found


def state(root: Element, name: str) -> Json:
    """Return the object that a script assigns to ``window.<name>``; empty if none does."""
    for script in root.iter("script"):
        source = script.text or ""
        before, assigned, after = source.partition(f"window.{name}")
        if assigned and not before.strip():
            opening = after.index("{")
            try:
                found: Json = orjson.loads(after[opening:].rstrip("; \t\r\n"))
            except orjson.JSONDecodeError:
                found = JSONDecoder(strict=False).raw_decode(after, opening)[0]
            return found
    return {}


_DOTTED_DAY = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")


def instant(value: str, zone: str) -> datetime:
    """Return a time of the page as an aware datetime in UTC.

    Reads ISO 8601 and ``2023/2/21 21:20``; a time without an offset is in ``zone``. Raises Refused
    ``no-time`` for an empty value and ``bad-time`` for one that is no time.
    """
    value = value.strip()
    if not value:
        raise Refused("no-time", "the page states no time")
    try:
        slashed = "%Y/%m/%d %H:%M:%S" if value.count(":") == 2 else "%Y/%m/%d %H:%M"
        found = datetime.strptime(value, slashed) if "/" in value else datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Refused("bad-time", repr(value)) from error


def day(value: str) -> date:
    """Return a day written ``19.06.2022``; raises Refused as ``instant`` does."""
    value = value.strip()
    if not value:
        raise Refused("no-time", "the page states no day")
    dotted = _DOTTED_DAY.fullmatch(value)
    try:
        if not dotted:
            raise ValueError("not dd.mm.yyyy")
        return date(*map(int, reversed(dotted.groups())))
    except ValueError as error:
        raise Refused("bad-time", repr(value)) from error


def _candidates(srcset: str) -> Iterator[tuple[float, str]]:
    """Yield size and address of each candidate of a ``srcset``; addresses may hold commas, not spaces."""
    for candidate in re.finditer(r"(\S*[^,\s])(?:\s+([\d.]+)[wx])?\s*(?:,|$)", srcset):
        yield float(candidate[2] or 1), candidate[1]


def largest(node: Element, base: str) -> str:
    """Return the absolute address of the largest picture that an ``img``, ``picture`` or figure names.

    Lazy loading is resolved: ``data-src`` and ``data-srcset`` count like ``src`` and ``srcset``, and
    ``data:`` placeholders do not count. Empty if no picture is named.
    """
    best, size = "", 0.0
    for element in node.iter("img", "source", "amp-img"):
        for name in ("srcset", "data-srcset"):
            for width, address in _candidates(element.get(name) or ""):
                if width > size and not address.startswith("data:"):
                    best, size = address, width
    if not best:
        addresses = (attribute(element, "data-src", "data-url", "src") for element in node.iter("img", "amp-img"))
        best = next((address for address in addresses if address and not address.startswith("data:")), "")
    return urljoin(base, best) if best else ""


def check_pictures(named: Iterable[str], shown: Iterable[str], identity: Callable[[str], str], spare: int = 0) -> None:
    """Raise Drift if a page's data names pictures that the page does not show, more than ``spare`` of them.

    ``identity`` returns what the addresses of all sizes of a picture have in common; empty for what is none.
    """
    lost = set(map(identity, named)) - set(map(identity, shown)) - {""}
    if len(lost) > spare:
        raise Drift(f"pictures named in the page's data only: {sorted(lost)}")
