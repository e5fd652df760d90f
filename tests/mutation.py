"""Breaks a page where a spider looks, one selector at a time, to see whether the spider notices.

Every selector that reading a page uses is recorded together with the elements
it finds. Then each is attacked: its elements are removed, all or one, or get
another class, id or tag, as happens when a publisher changes a layout. What is
looked up without a selector (metas, canonical link, data scripts) is removed
piece by piece. Reading the broken page must refuse it or give the same article.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from importlib import import_module
from unittest.mock import patch

from lxml import etree
from lxml.etree import _Element as Element
from scrapy.http import HtmlResponse, Request

from newsarchive import body, extract
from newsarchive.article import Article, Refused
from newsarchive.fixture import Fixture
from newsarchive.spider import PublisherSpider


@dataclass(frozen=True)
class Attack:
    """What is done to which elements, given by their paths."""

    selector: str
    name: str
    paths: tuple[str, ...]
    change: Callable[[Element], None]


def remove(element: Element) -> None:
    """Take an element out, and leave what follows it."""
    parent, before, tail = element.getparent(), element.getprevious(), element.tail or ""
    if parent is None:
        return
    if before is not None:
        before.tail = (before.tail or "") + tail
    else:
        parent.text = (parent.text or "") + tail
    parent.remove(element)


def rename_names(element: Element) -> None:
    """Give an element another class and id."""
    for name in ("class", "id", "itemprop", "property", "name", "rel"):
        if element.get(name):
            element.set(name, "renamed-" + element.get(name).replace(" ", " renamed-"))


def rename_tag(element: Element) -> None:
    """Make an element one that HTML does not know."""
    element.tag = "x-renamed"


def steps(css: str) -> Iterator[str]:
    """Yield a selector and what it names on the way: ``a > b c`` is looked for in ``a > b``, and that in ``a``."""
    yield css
    depth = 0
    for at, char in enumerate(css):
        depth += (char in "([") - (char in ")]")
        if char == " " and not depth and css[at - 1] not in ">+~" and css[:at].strip():
            yield css[:at].strip()


def selectors(spider: PublisherSpider, response: HtmlResponse) -> dict[str, list[str]]:
    """Return the paths of the elements that each selector finds, step by step, when a page is read."""
    found: dict[str, list[str]] = {}
    plain = extract._matching
    module = import_module(type(spider).__module__)
    roots: list[Element] = []

    def parsing(page: HtmlResponse) -> Element:
        roots.append(extract.tree(page))
        return roots[-1]

    begin = body._Reader.__init__

    def reading(reader: body._Reader, container: Element, base: str, rules: body.Rules) -> None:
        # Most rules are told by class when an element is met, and so are not looked up as selectors.
        begin(reader, container, base, rules)
        for css in filter(None, (rules.drop, rules.figure, rules.embed, rules.unwrap)):
            recording(container, css)

    def recording(node: Element, css: str, axis: str = "descendant-or-self") -> Iterator[Element]:
        for part in (step for listed in css.split(",") for step in steps(listed.strip())):
            for element in plain(node, part, axis):
                tree = element.getroottree()
                # Fragments of embedded state are trees of their own, which no change of the page reaches.
                if tree.getroot() in roots:
                    paths = found.setdefault(part, [])
                    path = tree.getpath(element)
                    if path not in paths:
                        paths.append(path)
        return plain(node, css, axis)

    patches = [
        patch.object(extract, "_matching", recording),
        patch.object(module, "tree", parsing),
        patch.object(body._Reader, "__init__", reading),
    ]
    for one in patches:
        one.start()
    try:
        spider.read(response)
    except Refused:
        pass
    finally:
        for one in patches:
            one.stop()
    return found


def attacks(found: dict[str, list[str]], root: Element) -> Iterator[Attack]:
    """Yield every attack on a page."""
    for selector, paths in sorted(found.items()):
        every = tuple(paths)
        yield Attack(selector, "removed", every, remove)
        yield Attack(selector, "renamed", every, rename_names)
        yield Attack(selector, "other tag", every, rename_tag)
        if len(every) > 1:
            for which, path in (("first", every[0]), ("last", every[-1])):
                yield Attack(selector, f"{which} removed", (path,), remove)
                yield Attack(selector, f"{which} renamed", (path,), rename_names)
    tree = root.getroottree()
    pieces: dict[str, list[str]] = {}
    for element in root.iter("meta", "link", "script"):
        name = element.get("property") or element.get("name") or element.get("itemprop") or element.get("rel")
        data = (element.text or "").lstrip()[:1] in ("{", "[") or "window.__" in (element.text or "")[:40]
        if element.tag == "script" and not data:
            continue
        if name or data:
            pieces.setdefault(f"{element.tag} {name or element.get('type')}", []).append(tree.getpath(element))
    for name, paths in sorted(pieces.items()):
        yield Attack(name, "removed", tuple(paths), remove)


def mutate(root: Element, attack: Attack) -> bytes:
    """Return the page after an attack."""
    broken = deepcopy(root)
    tree = broken.getroottree()
    # Paths are looked up before anything moves.
    for element in [tree.xpath(path)[0] for path in attack.paths]:
        attack.change(element)
    return etree.tostring(tree, method="html", encoding="utf-8")


def read(spider: PublisherSpider, fixture: Fixture, page: bytes) -> Article | str:
    """Return the article of a page, or the reason for refusing it."""
    request = Request(fixture.url, meta={"captured": fixture.fetched})
    try:
        return spider.read(HtmlResponse(fixture.url, body=page, request=request))
    except Refused as refusal:
        return refusal.reason


def poorer(spider: PublisherSpider, fixture: Fixture, page: bytes) -> tuple[int, list[str]]:
    """Return how many attacks a page went through, and those that gave another article."""
    root = extract.tree(HtmlResponse(fixture.url, body=page))
    whole = read(spider, fixture, etree.tostring(root.getroottree(), method="html", encoding="utf-8"))
    found = selectors(spider, HtmlResponse(fixture.url, body=page))
    number, bad = 0, []
    for attack in attacks(found, root):
        number += 1
        result = read(spider, fixture, mutate(root, attack))
        if isinstance(result, Article) and isinstance(whole, Article):
            # An article without a twin lacks nothing.
            result = replace(result, twin=whole.twin)
        if isinstance(result, Article) and result != whole:
            differing = (
                [name for name in Article.__dataclass_fields__ if getattr(result, name) != getattr(whole, name)]
                if isinstance(whole, Article)
                else ["refused before"]
            )
            bad.append(f"{fixture.name}: {attack.selector!r} {attack.name}: another {', '.join(differing)}")
    return number, bad
