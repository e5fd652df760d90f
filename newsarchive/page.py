"""Whether a response is a page that can be read at all: whole, HTML, in bounds; and what a strange page is."""

import re

from lxml.html import HtmlElement
from scrapy.http import Response

from newsarchive.article import Refused
from newsarchive.extract import attribute, first, text

__all__ = ["MAX_SIZE", "refuse_unreadable", "stranger"]

#: Bytes; the largest page seen has 0.55 MB. Also the limit for downloads.
MAX_SIZE = 8 * 1024 * 1024
#: Bytes of one tag outside quoted values. Parsers are quadratic in the attributes of a tag: 40,000 take seconds.
MAX_TAG = 16 * 1024

_HTML_TYPES = (b"text/html", b"application/xhtml+xml", b"text/plain", b"")
_QUOTED_END = re.compile(rb"=[\"'][^\"'>]*>")
_TAG_START = re.compile(rb"<([a-zA-Z][^\s>/]*)")
_IN_TAG = re.compile(rb">|=\s*([\"'])")


def refuse_unreadable(response: Response) -> None:
    """Raise Refused for a response that must not reach a parser."""
    body = response.body
    if not body.strip():
        raise Refused("empty", "the response has no body")
    if len(body) > MAX_SIZE:
        raise Refused("too-large", f"{len(body)} bytes")
    kind = (response.headers.get("Content-Type") or b"").partition(b";")[0].strip().lower()
    if kind not in _HTML_TYPES or body.startswith((b"%PDF-", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"PK\x03\x04")):
        raise Refused("not-html", f"{kind.decode('latin-1') or 'a binary file'}")
    if _may_hold_long_tag(body) and _holds_long_tag(body):
        raise Refused("too-many-attributes", f"a tag of more than {MAX_TAG} bytes")


def _may_hold_long_tag(body: bytes) -> bool:
    """Tell quickly that a page has no overlong tag, as all but a few have none.

    Such a tag either has no ``>`` for long, or has many of them inside quoted values.
    """
    pieces = body.split(b">")
    if max(map(len, pieces)) > MAX_TAG // 4:
        long = (piece[: -MAX_TAG // 4] for piece in pieces if len(piece) > MAX_TAG // 4)
        if any(_TAG_START.search(piece) for piece in long):
            return True
    return len(_QUOTED_END.findall(body)) > 32


def _holds_long_tag(body: bytes) -> bool:
    """Tell whether a tag is overlong, tag by tag as a browser reads them."""
    position = 0
    while start := _TAG_START.search(body, position):
        position, outside = start.end(), 0
        while True:
            mark = _IN_TAG.search(body, position)
            end = mark.start() if mark else len(body)
            outside += end - position
            if outside > MAX_TAG:
                return True
            if not mark or not mark[1]:
                position = mark.end() if mark else len(body)
                break
            closing = body.find(mark[1], mark.end())
            position = closing + 1 if closing >= 0 else len(body)
        name = start[1].lower()
        if name in (b"script", b"style"):
            closing = body.lower().find(b"</" + name, position) if name in body[position:].lower() else -1
            position = closing if closing >= 0 else len(body)
    return False


_CHALLENGE = re.compile(
    r"just a moment|attention required|access denied|access to this page|checking your browser"
    r"|are you (a )?(human|robot)"
    r"|robot check|captcha|security check|ddos|verify(ing)? you|pardon our interruption|request blocked",
    re.I,
)
_ERROR = re.compile(
    r"^\W*(error\W*)?[45]\d\d\b|^error\b|not found|page introuvable|nicht gefunden|bad gateway|service unavailable"
    r"|internal server error|forbidden|gateway time-?out|maintenance|找不到|不存在|未找到|錯誤|错误|維護|维护",
    re.I,
)
_CONSENT = re.compile(r"consent|before you continue|cookie|privacy (settings|choices)|datenschutz|einwilligung", re.I)
_REDIRECT = re.compile(r"^redirecting\b", re.I)


def stranger(root: HtmlElement, detail: str) -> Refused:
    """Return the reason to refuse a page that has no known layout, as far as the page gives itself away."""
    title = text(first(root, "title")) or text(first(root, "h1"))
    for reason, sign in (
        ("redirect-stub", _REDIRECT),
        ("challenge", _CHALLENGE),
        ("error-page", _ERROR),
        ("consent", _CONSENT),
    ):
        if sign.search(title):
            return Refused(reason, f"its title is {title[:60]!r}")
    if first(root, "#challenge-form, #challenge-running, #cf-wrapper, script[src*='/cdn-cgi/challenge'], .g-recaptcha"):
        return Refused("challenge", "it asks for proof of being human")
    if first(root, "form[action*=consent], #consent, #consent-page"):
        return Refused("consent", "it asks for consent")
    refresh = first(root, "meta[http-equiv=refresh i], meta[http-equiv=Refresh]")
    if refresh is not None and "url" in attribute(refresh, "content").lower():
        return Refused("redirect-stub", attribute(refresh, "content"))
    empty = first(root, "title") is not None and not text(first(root, "title"))
    if empty or not title:
        return Refused("empty-template", "it has no title")
    return Refused("unknown-layout", detail)
