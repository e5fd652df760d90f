"""Whether a response is a page that can be read at all: whole, HTML, in bounds; and what a strange page is."""

import re

from lxml.etree import _Element as Element
from scrapy.http import Response

from newsarchive.article import Refused
from newsarchive.extract import attribute, first, select, text

__all__ = [
    "LONG_TAG",
    "MAX_SIZE",
    "holds_long_tag",
    "is_utf8",
    "is_whole",
    "refuse_long_tag",
    "refuse_unreadable",
    "stranger",
]

#: Bytes; the largest page seen has 0.55 MB. Also the limit for downloads.
MAX_SIZE = 8 * 1024 * 1024
#: Attributes of one tag; real ones have some twenty. Parsers are quadratic in them: 40,000 take seconds.
MAX_ATTRIBUTES = 1000

_HTML_TYPES = (b"text/html", b"application/xhtml+xml", b"text/plain", b"")
_BINARY = (b"%PDF-", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"PK\x03\x04")

# A tag with more attributes than it may have, by the rules by which a browser reads it. An overlong word or gap
# counts as several, so that the search does not look at it again and again; nothing is taken back once it is matched.
_ATTRIBUTE = (
    rb"(?:[\s/]{1000}|[\s/]{0,999}+[^\s/>][^\s/>=]{0,99}+"
    rb"""(?:\s{0,999}+=\s{0,999}+(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]{0,199}+|))?+)"""
)
LONG_TAG = re.compile(rb"<[a-zA-Z][^\s/>]{0,99}+%b{%d}" % (_ATTRIBUTE, MAX_ATTRIBUTES))
# Text, and tags as people write them, which every parser reads alike.
_PLAIN = re.compile(
    rb"""(?:[^<]++|<(?![a-zA-Z]|\Z)|<[a-zA-Z][a-zA-Z\d]*+(?:\s++[\w:-]++(?:=(?:"[^"<>]*+"|'[^'<>]*+'))?+){0,50}+\s*+/?>)*+"""
)
#: Bytes; a page is looked at closely only where no tag surely ends within such a stretch. What may pass unseen is a
#: tag of less than two of them, which keeps a parser busy for milliseconds.
_STRETCH = 4096


def refuse_unreadable(response: Response) -> None:
    """Raise Refused for a response that must not reach a parser."""
    body = response.body
    if not body or body.isspace():
        raise Refused("empty", "the response has no body")
    if len(body) > MAX_SIZE:
        raise Refused("too-large", f"{len(body)} bytes")
    kind = (response.headers.get("Content-Type") or b"").partition(b";")[0].strip().lower()
    if kind not in _HTML_TYPES or body.lstrip().startswith(_BINARY):
        raise Refused("not-html", f"{kind.decode('latin-1') or 'a binary file'}")
    refuse_long_tag(body)


def is_utf8(body: bytes) -> bool:
    """Tell whether bytes are UTF-8; pages are read as that whatever they say."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_whole(body: bytes) -> bool:
    """Tell whether a page's mark-up is closed, as that of every page seen is; comments and scripts may follow."""
    return body.rfind(b"</html") >= 0 or b"</HTML" in body


def refuse_long_tag(body: bytes) -> None:
    """Raise Refused for mark-up with a tag that would keep a parser busy for long."""
    if holds_long_tag(body):
        raise Refused("too-many-attributes", f"a tag with more than {MAX_ATTRIBUTES}")


def holds_long_tag(body: bytes) -> bool:
    """Tell whether a tag has too many attributes; looks only where no tag surely ends for long."""
    start, unsure = 0, False
    for begin in range(0, len(body), _STRETCH):
        stop = begin + _STRETCH
        if unsure:
            if end := _tag_end(body, start, begin, stop):
                if LONG_TAG.search(body, start, end):
                    return True
                start, unsure = end, False
        elif body.find(b"<", start, stop) < 0:
            # No tag begins, as in style sheets.
            start = max(start, stop)
        elif end := _tag_end(body, start, begin, stop):
            start = end
        else:
            start = _plain_end(body, start, stop + _STRETCH)
            unsure = start < stop
    return unsure and LONG_TAG.search(body, start) is not None


def _plain_end(body: bytes, start: int, stop: int) -> int:
    """Return a position up to which all tags are short and end, as far as that is easily seen."""
    plain = _PLAIN.match(body, start, stop)
    assert plain
    return plain.end()


def _tag_end(body: bytes, start: int, begin: int, stop: int) -> int:
    """Return a position between ``begin`` and ``stop`` that is surely outside of a tag, as ``start`` is; 0 if unsure.

    After ``">`` no tag is open, however it began, unless the quotation mark comes where a value
    begins, or all of it stands in a value in single quotes. So it is with ``'>``.
    """
    for quote, other in (b'"', b"'"), (b"'", b'"'):
        end = body.rfind(quote + b">", begin, stop)
        for _ in range(4):
            if end <= begin:
                break
            if body[end - 1] not in b"= \t\r\n\f":
                within = body.rfind(other, start, end)
                before = body[max(start, within - 32) : max(within, 0)].rstrip()
                if within < 0 or (before and not before.endswith(b"=")):
                    return end + 2
            end = body.rfind(quote + b">", begin, end)
    return 0


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


def stranger(root: Element, detail: str) -> Refused:
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
    if select(
        root, "#challenge-form, #challenge-running, #cf-wrapper, script[src*='/cdn-cgi/challenge'], .g-recaptcha"
    ):
        return Refused("challenge", "it asks for proof of being human")
    if select(root, "form[action*=consent], #consent, #consent-page"):
        return Refused("consent", "it asks for consent")
    refresh = first(root, "meta[http-equiv=refresh i], meta[http-equiv=Refresh]")
    if refresh is not None and "url" in attribute(refresh, "content").lower():
        return Refused("redirect-stub", attribute(refresh, "content"))
    empty = first(root, "title") is not None and not text(first(root, "title"))
    if empty or not title:
        return Refused("empty-template", "it has no title")
    return Refused("unknown-layout", detail)
