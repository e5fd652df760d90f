"""Turns a saved page into one that may be published: its structure, our text.

A publisher's text may not be published, and yet a fixture must have the real
structure. So the source is kept byte for byte, and only text, addresses and ids
in it are replaced, by what :mod:`newsarchive.own_words` has for them. Nothing
depends on where a text stands: a headline is the same in ``<title>``, in
JSON-LD, in embedded state and on the listing that announces it.

Every rule yields edits ``(start, end, new)`` on the text it is given. Rules nest
(HTML in a JSON string in a script): ``_Layer`` reads one layer of escapes
away, and carries the edits back to the source.
"""

import html
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import NamedTuple
from urllib.parse import quote, unquote

from newsarchive.own_words import own_digits, own_han, own_token, own_word

__all__ = ["own_address", "own_text"]

Edit = tuple[int, int, str]
Rule = Callable[[str], Iterable[Edit]]

# -- text ----------------------------------------------------------------------------------------

_HAN = r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff々]+"
_MARKS = r"\u0300-\u036f\u064b-\u065f\u0670\u0900-\u0dff\u0e00-\u0eff"
_MONTH = (
    "jan|feb|fév|mär|mar|apr|avr|mai|may|jun|juin|jul|juil|iun|iul|ian|aug|aoû|sep|oct|okt|nov|déc|dec|dez|"
    "янв|фев|мар|апр|мая|июн|июл|авг|сен|окт|ноя|дек|"
    "يناير|فبراير|مارس|أبريل|مايو|يونيو|يوليو|أغسطس|سبتمبر|أكتوبر|نوفمبر|ديسمبر"
)
_ADDRESS = r"""(?:https?:|rfi:)?//[^\s/"'<>`][^\s"'<>`（）。，、；「」《》“”]*"""
_TOKENS = rf"""
    (?P<address>{_ADDRESS})
    | (?P<mail>(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+)
    | (?P<host>(?<![\w.-])(?:[a-zA-Z0-9-]+\.)+(?:com|de|fr|tw|net|org|my|ly|co|io)\b(?:/[\w/?=&%.-]*)?)
    | (?P<uuid>\b[0-9a-fA-F]{{8}}(?:-[0-9a-fA-F]{{4}}){{3}}-[0-9a-fA-F]{{12}}\b)
    | (?P<phone>(?<![\w/.-])
        (?:\+\d{{1,3}}(?:[-.\ /]\d{{1,4}}){{2,5}} | \(?0\d{{1,3}}\)?-\d{{3,4}}-?\d{{3,4}})(?![\w/.:-]))
"""
#: Prose: dates stay as they are, and so do digits, brackets, punctuation and white space.
_PROSE = rf"""(?ix: {_TOKENS} | (?P<variable>\$\{{\w+\}})
    | (?P<date>\b(?:mon|tue|wed|thu|fri|sat|sun),\ \d\d?\ [a-z]{{3}}\ \d{{4}}[\d: ]+(?:gmt|utc|z|[+-]\d{{4}})
        | \b\d{{1,2}}(?:\.|er|st|nd|rd|th)?\ (?:de\ )?(?:{_MONTH})[^\W\d]*\.?,?\ (?:de\ )?\d{{4}}
        | \b(?:{_MONTH})[^\W\d]*\.?\ \d{{1,2}},?\ \d{{4}} | \d+\s?[年月日時时分點点])
    | (?P<han>{_HAN})
    | (?P<word>[^\W\d_][^\W\d_{_HAN[1:-2]}{_MARKS}]*(?:[{_MARKS}]+[^\W\d_{_HAN[1:-2]}]*)*)
)"""
#: Identifiers: only what names somebody's things; plain words are part of the structure.
_CODE = rf"""(?x: {_TOKENS}
    | (?P<opaque>(?<![^\W_])(?=[a-zA-Z]*\d)(?=\d*[a-zA-Z])(?![a-zA-Z]{{1,5}}\d+(?![^\W_]))
        (?!\d+x\d+|\d\dt\d{{6}}z|(?:19|20)\d\d[01]\d[0-3]\d[a-z])[a-zA-Z0-9]{{8,}})
    | (?P<digits>\d{{5,}})
    | (?P<han>{_HAN})
    | (?P<word>(?=[^\x00-\x7f])[^\W\d_{_HAN[1:-2]}][^\W\d_{_HAN[1:-2]}]*)
)"""
_PROSE_RE, _CODE_RE = re.compile(_PROSE), re.compile(_CODE)
#: Other people's addresses: every word and token.
_FREE_RE = re.compile(_CODE.replace("(?P<word>(?=[^\\x00-\\x7f])", "(?P<word>").replace("{8,}", "{4,}"))


def _edits(pattern: re.Pattern[str], text: str, traditional: bool) -> Iterator[Edit]:
    """Yield an edit for every token of a text that is not ours."""
    for match in pattern.finditer(text):
        found = new = match[0]
        match match.lastgroup:
            case "address":
                new = own_address(found)
            case "host":
                new = own_address("//" + found)[2:]
            case "mail":
                new = own_word(re.sub(r"[^a-z]", "", found.partition("@")[0].lower())[:9]) + "@example.com"
            case "uuid" | "opaque" | "phone":
                new = own_token(found)
            case "digits":
                new = own_digits(found)
            case "han":
                new = own_han(found, traditional=traditional)
            case "word":
                new = own_word(found)
        if new != found:
            yield match.start(), match.end(), new


def _apply(text: str, edits: Iterable[Edit]) -> str:
    """Return a text with edits made; they may come in any order, but never overlap."""
    parts, at = [], 0
    for start, end, new in sorted(edits):
        parts += [text[at:start], new]
        at = end
    return "".join([*parts, text[at:]])


# -- addresses -----------------------------------------------------------------------------------

_OURS = re.compile(r"(?i)(?:.*\.)?(?:cna\.com\.tw|focustaiwan\.tw|dw\.(?:com|de)|dw-world\.de|rfi\.(?:fr|my))(?::\d+)?")
#: Readers know embeds by these; the others name formats.
_EMBEDS = re.compile(r"(?i)(?:.*\.)?(?:(?:twitter|x|youtube|facebook|instagram|docs\.google)\.com|youtu\.be|t\.co)")
_FORMATS = re.compile(r"(?i)(?:.*\.)?(?:schema\.org|w3\.org|purl\.org|sitemaps\.org|ampproject\.org|example\.com)")
_SHORT = re.compile(r"p\.dw\.com|(?:www\.)?rfi\.my")
_STATIC = re.compile(r"(?i)[\x00-\x7f]*\.(?:css|js|woff2?|ttf|svg|ico|json|manifest|php|rdf|rss|xml|swf|axd)")
_ROUTES = re.compile(
    r"(?i)status(?:es)?|embed|watch|shorts|playlist|channel|user|hashtag|intent|tweet|sharer?|reel|tv|plugins|videos?"
    r"|photos?|posts|pages|groups|spreadsheets|document|forms|presentation|pub|pubhtml|edit|view|images?|media|static"
    r"|js|css|html?|aspx|php|jpe?g|png|gif|webp|svg|mp[34]|xml|www|com"
)


def own_address(url: str) -> str:
    """Return the address of our own for a page's: same form, other ids and words.

    Publishers and providers of embeds keep their hosts; all others move to example.com.
    """
    match = re.fullmatch(r"(?s)(\s*(?:[a-zA-Z][\w+.-]*:)?)(//[^/?#]*)?([^?#]*)(\?[^#]*)?(#.*)?", url)
    if match is None:
        return url
    scheme, host, path, query, fragment = (part or "" for part in match.groups())
    server = host[2:]
    match scheme.strip().lower() if not host else "":
        case "data:":
            return url if len(url) < 160 and "gif" in url else "data:,"
        case "javascript:":
            return scheme + ";" if path else scheme
        case "tel:" | "fax:" | "sms:":
            return scheme + own_token(path)
    ours = "." not in server or bool(_OURS.fullmatch(server) or _FORMATS.fullmatch(server))
    path = _own_path(path, ours=ours, short=bool(_SHORT.fullmatch(server)))
    query = query[:1] + re.sub(r"([^=&;]*=)?([^&;]*)", lambda field: (field[1] or "") + _own_value(field[2]), query[1:])
    if not ours and not _EMBEDS.fullmatch(server):
        host = "//" + own_word("host" + re.sub(r"[^a-z]", "", server.lower()))[:9] + ".example.com"
    return scheme + host + path + query + _apply(fragment, _unquoted(fragment, _code))


def _own_path(path: str, *, ours: bool, short: bool) -> str:
    """Return a path of the same shape; only slugs, names and ids in it are replaced."""
    traditional = path.startswith(("/tw/", "/zh-hant/"))
    parts = path.split("/")
    for at, (before, part, after) in enumerate(zip(["", *parts], parts, [*parts[1:], ""], strict=False)):
        if short and (code := re.match("[a-zA-Z0-9]{4,}", part)):
            parts[at] = own_token(code[0]) + _apply(part[code.end() :], _unquoted(part[code.end() :], _free))
        elif not ours:
            parts[at] = _apply(part, _unquoted(part, _free))
        elif not _STATIC.fullmatch(part):
            rule = _slug if _is_slug(unquote(unquote(part)), before, after) else _code
            parts[at] = _apply(part, _unquoted(part, partial(rule, traditional=traditional)))
    return "/".join(parts)


def _is_slug(part: str, before: str, after: str) -> bool:
    words = re.findall(r"[^\W\d_]{2,}", part.rsplit(".", 1)[0])
    return (
        len(words) > 2
        or re.search(r"[^\W\d_]", re.sub(r"[\x00-\x7f]", "", part)) is not None
        or re.fullmatch(r"(?:[a-z]{1,3}|live|person|program|channel)-\d+", after) is not None
        or re.match(r"\d{8}-.", part) is not None
        or before in {"auteur", "author", "tag", "tags"}
    )


def _slug(part: str, traditional: bool) -> Iterator[Edit]:
    """Yield edits for the words of a slug, and for ids in it."""
    stem = re.sub(r"\.\w{3,4}$", "", part)
    words = list(_edits(_PROSE_RE, stem, traditional))
    taken = {place for start, end, _ in words for place in range(start, end)}
    ids = (edit for edit in _edits(_CODE_RE, stem, traditional) if taken.isdisjoint(range(edit[0], edit[1])))
    yield from [*words, *ids]


def _code(text: str, traditional: bool = False) -> Iterator[Edit]:
    """Yield edits for what names somebody's things in an identifier."""
    return _edits(_CODE_RE, text, traditional)


def _free(text: str, traditional: bool = False) -> Iterator[Edit]:
    """Yield edits for all that is not a route of the web at large (``/status/``, ``.html``)."""
    for start, end, new in _edits(_FREE_RE, text, traditional):
        if not _ROUTES.fullmatch(text, start, end):
            yield start, end, new


def _own_value(value: str) -> str:
    """Return the value of a query's field: an address in it is an address, a word a word."""
    if re.fullmatch("[a-z]{2}", value):
        return value
    if re.match(r"https?%3A|%2F", value, re.IGNORECASE):
        return quote(own_address(unquote(value)).encode("utf-8", "surrogatepass"), safe="")
    if re.match(r"https?:|/", value):
        return own_address(value)
    return _apply(value, _unquoted(value, _free))


# -- layers of escapes ---------------------------------------------------------------------------


class _Layer(NamedTuple):
    """One way to write characters that cannot stand for themselves."""

    escapes: re.Pattern[str]
    meaning: Callable[[str], str]
    spell: Callable[[str, str], str]

    def unescape(self, source: str) -> tuple[str, list[int]]:
        """Return the text meant, and where each of its characters (and its end) is in the source."""
        text, marks, at = "", [], 0
        for match in self.escapes.finditer(source):
            meant = self.meaning(match[0])
            text += source[at : match.start()] + meant
            marks += [*range(at, match.start()), *[match.start()] * len(meant)]
            at = match.end()
        return text + source[at:], [*marks, *range(at, len(source) + 1)]

    def edits(self, source: str, base: int, rule: Rule) -> Iterator[Edit]:
        """Yield the edits of a rule on the text meant, as edits on its source at ``base``."""
        text, marks = self.unescape(source)
        for start, end, new in rule(text):
            yield base + marks[start], base + marks[end], self.spell(new, source)


def _spell_html(new: str, source: str) -> str:
    """Return text for HTML; with numeric references for letters only where the source has them."""
    new = (new.replace("&", "&amp;") if "&amp;" in source else new).replace('"', "&quot;").replace("<", "&lt;")
    if re.search(r"&#(?:\d{4,}|x[0-9a-fA-F]{3,});", source):
        return "".join(c if c < "\x80" else f"&#{ord(c)};" for c in new)
    return new


def _spell_json(new: str, source: str) -> str:
    """Return text for a string literal, escaped as far as its source is."""
    new = new.replace("\\", "\\\\").replace('"', '\\"')
    new = new.replace("/", "\\/") if "\\/" in source else new
    if re.search(r"\\u(?!00)", source) or ("\\u00" in source and source.isascii()):
        form = "\\u%04X" if re.search(r"\\u\d*[A-F]", source) else "\\u%04x"
        return "".join(c if c < "\x80" else "".join(form % unit for unit in _utf16(c)) for c in new)
    return "".join(f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c for c in new)


def _utf16(character: str) -> memoryview:
    return memoryview(character.encode("utf-16-le", "surrogatepass")).cast("H")


def _spell_percent(new: str, source: str) -> str:
    """Return text for an address, percent-encoded as far as its source is."""
    if "%" not in source:
        return new
    quoted = quote(new.encode("utf-8", "surrogatepass"), safe="!$&'()*+,;=:@~{}/")
    return re.sub("%..", lambda code: code[0].lower(), quoted) if re.search("%[0-9]?[a-f]", source) else quoted


def _json_meaning(escape: str) -> str:
    return chr(int(escape[2:], 16)) if len(escape) == 6 else _CONTROLS.get(escape[1], escape[1])


def _percent_meaning(escape: str) -> str:
    meant = unquote(escape, errors="replace")
    return meant if len(meant) == 1 else "\ufffd"


_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_HTML = _Layer(re.compile(r"&(?:#\d+|#[xX][0-9a-fA-F]+|[a-zA-Z]\w*);"), html.unescape, _spell_html)
_JSON = _Layer(re.compile(r"(?s)\\(?:u[0-9a-fA-F]{4}|.)"), _json_meaning, _spell_json)
_PERCENT = _Layer(
    re.compile(r"%[0-7][0-9a-fA-F]|%[c-fC-F][0-9a-fA-F](?:%[89abAB][0-9a-fA-F])+"), _percent_meaning, _spell_percent
)


def _unquoted(source: str, rule: Rule) -> Iterator[Edit]:
    """Yield the edits of a rule on a part of an address, percent-encoded or (some are) twice so."""
    if re.search("%25[0-9a-fA-F]{2}", source):
        return _PERCENT.edits(source, 0, lambda text: _PERCENT.edits(text, 0, rule))
    return _PERCENT.edits(source, 0, rule)


# -- markup --------------------------------------------------------------------------------------

_MARKUP = re.compile(
    r"<!--(?P<comment>.*?)(?:-->|\Z)|<!\[CDATA\[(?P<cdata>.*?)(?:\]\]>|\Z)|<[!?][^>]*>"
    r"|<(?P<close>/?)(?P<tag>[a-zA-Z][^\s/>]*)(?P<attributes>(?:[^<>=]|=\s*(?:\"[^\"]*\"|'[^']*')?)*+)>",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"""([^\s/=>"'][^\s/=>]*)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+))""")
#: Within these, text goes on across inline tags: a paragraph must agree with its description.
_FLOWING = re.compile("p|h[1-6]|blockquote")
_INLINE = re.compile("a|abbr|b|bdi|cite|em|font|i|mark|q|s|small|span|strong|sub|sup|u")
_VOID = re.compile("br|img|wbr")
#: An address in a srcset; some hold spaces, and some lists no space after the comma.
_CANDIDATE = re.compile(r"(?s)(?:https?:|data:|/).*?(?=\s+[\d.]+[wx]\s*(?:,|$)|,\s*(?:https?:|data:|/)|\s*$)")
#: Elements of feeds whose text is a name of the format.
_NAMED = re.compile("(?:dc:|news:)?language|sy:updateperiod|changefreq")
_KEPT_ATTRIBUTES = re.compile(
    r"(?i)xmlns.*|class|rel|type|lang|xml:lang|hreflang|dir|media|sizes|charset|property|itemprop|itemtype|http-equiv"
    r"|datetime|role|target|width|height|viewbox|[:@#].*|v-.*|transform|fill|stroke.*|method|data-rh"
)
_PROSE_ATTRIBUTES = re.compile(
    r"(?i).*(?:alt|title|placeholder|value|label|summary|text|caption|headline|default|desc.*)"
)
_ADDRESS_ATTRIBUTES = re.compile(r"(?i)(?:.*[-:])?(?:href|src|action|poster|cite)|link|page-url")
_PROSE_METAS = re.compile(
    r"(?i)refresh|.*(?:title|headline|description|keywords|author|section|tag|site|name|caption|alt|creator"
    r"|copyright|publisher|subject|abstract|source)"
)
_FREE_METAS = re.compile(r"(?i).*(?:app|verif|account).*")
_KEPT_METAS = re.compile(
    r"(?i)viewport|robots|.*bot|content-(?:type|language)|.*locale.*|.*card|.*:type|.*time|.*date.*|theme-color|format-.*"
    r"|x-ua.*|language|.*capable|.*-style|generator|referrer|rating|pragma|expires|cache.*|imagetoolbar|revisit-after"
)

# -- JSON ----------------------------------------------------------------------------------------

_LITERAL = re.compile(
    r'"(?P<string>(?:[^"\\]|\\.)*)"(?P<key>\s*:|\]\s*=)?|(?<![\w."\'])(?P<number>\d{5,})(?![\w."\'])', re.DOTALL
)
_KEPT_KEYS = re.compile("@type|@context|__typename|type|inLanguage|language|language_code|(?:site_)?locale")
_PROSE_KEYS = re.compile(
    r"(?i).*(?:title|headline|name|text|teaser|caption|label|keywords?|tags?|section|about|alt|cat\d|category|legend|credit"
    r"|copyright|kicker|subject|show|supertag|slug|desc.*|.*joined|.*information)"
)
_ENUMS = re.compile(
    "article|edition|texte|audio|video|image|website|NewsArticle|[Tt]rue|[Ff]alse|rfi|main|defaut|gratuit|interne"
)
#: A string that is a token of the software: ``TOP_STORY``, ``article_top``, ``zh-Hans``, ``image/jpeg``, ``3.6.0-2``.
_TOKEN = re.compile(
    r"[A-Z0-9_]+|[a-z]{2}(?:[-_][A-Za-z]+)?|[\x21-\x7e]*[_\d][\x21-\x7e]*|[a-z]+/[\w.+-]+|[a-z]+[A-Z]\w*"
)
#: A slug alone, without its address. RFI's ``WBMZ146377-RFI-CN-20251130`` is none.
_SLUG = re.compile(r'(?![A-Z0-9-]+$)(?:[^\s:/{}"]*%[0-9A-F]{2}[^\s:/{}"]*|[\w-]*\b\d{8}-[\w-]*[^\W\d_]{2}[\w-]*)')
_STATE = re.compile(r"\bwindow\.__[A-Z]+_STATE__\s*=|\btms_vars\[")
_WHOLE_ADDRESS = re.compile(r"(?:[a-zA-Z][\w+.-]*:)?//\S+|/[\w%$][^\s<>]*|(?:mailto|tel|data|javascript):.*")


@dataclass(frozen=True)
class _Page:
    """The rules for one page: what stays in its prose, and which Chinese it is in."""

    prose: re.Pattern[str]
    kept: frozenset[str]
    traditional: bool

    def text(self, text: str) -> Iterator[Edit]:
        """Yield the edits of prose."""
        return _edits(self.prose, text, self.traditional)

    def code(self, text: str) -> Iterator[Edit]:
        """Yield the edits of an identifier."""
        return _edits(_CODE_RE, text, self.traditional)

    def value(self, text: str, otherwise: Rule | None = None) -> Iterator[Edit]:
        """Yield the edits of a value by its form: address, JSON, markup, id, or else prose."""
        bare = text.strip()
        at = text.find(bare)
        if _ENUMS.fullmatch(bare):
            return
        if _WHOLE_ADDRESS.fullmatch(bare) or _SLUG.fullmatch(bare):
            yield at, at + len(bare), own_address(bare)
        elif bare[:1] in ("{", "[") and '"' in bare:
            yield from self.json(text)
        elif _MARKUP.search(bare):
            yield from self.markup(text)
        elif re.fullmatch(r"\d{8,}", bare):
            yield at, at + len(bare), own_digits(bare)
        else:
            yield from (otherwise or self.text)(text)

    def json(self, source: str) -> Iterator[Edit]:
        """Yield the edits of JSON, or of a script that assigns it: strings and long numbers only."""
        key = ""
        for match in _LITERAL.finditer(source):
            if match["number"]:
                yield match.start(), match.end(), own_digits(match[0])
            elif match["key"]:
                key = match["string"]
                yield from _JSON.edits(key, match.start("string"), self.key)
            elif key == "__ref":
                yield from _JSON.edits(match["string"], match.start("string"), self.key)
            elif not _KEPT_KEYS.fullmatch(key):
                named = _PROSE_KEYS.fullmatch(key) and not re.fullmatch("[a-z]+(?:_[a-z]+)+", match["string"])
                rule = partial(self.value, otherwise=self.text if named else self.string)
                yield from _JSON.edits(match["string"], match.start("string"), rule)

    def key(self, key: str) -> Iterator[Edit]:
        """Yield the edits of a key: ids and addresses, as in ``Article:65897191``."""
        if key.startswith("/") or "//" in key:
            return self.value(key, self.code)
        return ((m.start(), m.end(), own_digits(m[0])) for m in re.finditer(r"\d{5,}", key))

    def string(self, text: str) -> Iterator[Edit]:
        """Yield the edits of a string whose key does not say what it is."""
        return self.code(text) if _TOKEN.fullmatch(text) else self.text(text)

    def markup(self, source: str) -> Iterator[Edit]:
        """Yield the edits of HTML or XML. Text is collected until an element ends it."""
        at, tag, flowing = 0, "", False
        pieces: list[tuple[int, int]] = []
        while at <= len(source):
            match = _MARKUP.search(source, at)
            end = match.start() if match else len(source)
            if end > at and not _NAMED.fullmatch(tag):
                pieces.append((at, end))
            name = (match["tag"] or "").lower() if match else ""
            if not (flowing and _INLINE.fullmatch(name)):
                yield from self.flow(source, pieces)
                pieces = []
            if match is None:
                return
            at = match.end()
            if match["comment"] is not None and match["comment"].strip() not in self.kept:
                yield match.start("comment"), match.end("comment"), ""
            elif match["cdata"]:
                inner = match["cdata"]
                yield from _shift(self.value(inner), match.start("cdata"))
            elif name:
                tag = "" if match["close"] else name
                if not _INLINE.fullmatch(name) and not _VOID.fullmatch(name):
                    flowing = bool(_FLOWING.fullmatch(tag))
                yield from self.attributes(name, match["attributes"], match.start("attributes"))
                if tag in ("script", "style"):
                    close = re.compile(rf"(?i)</{tag}").search(source, at)
                    stop = close.start() if close else len(source)
                    yield from self.raw(tag, match["attributes"], source[at:stop], at)
                    at = stop

    def flow(self, source: str, pieces: list[tuple[int, int]]) -> Iterator[Edit]:
        """Yield the edits of text in pieces, character by character, so that none reaches across a tag."""
        if len(pieces) == 1:
            start, end = pieces[0]
            yield from _HTML.edits(source[start:end], start, self.value)
            return
        text, places = "", []
        for start, end in pieces:
            piece, marks = _HTML.unescape(source[start:end])
            text += piece
            places += [(start + here, start + there) for here, there in pairwise(marks)]
        for start, end, new in self.text(text):
            last = end - start - 1
            for at in range(last + 1):
                own = new[at : at + 1] if at < last else new[last:]
                yield *places[start + at], _HTML.spell(own, "")

    def raw(self, tag: str, attributes: str, source: str, base: int) -> Iterator[Edit]:
        """Yield the edits of a script or style: JSON and state keep their structure, all else is emptied."""
        if tag == "script" and (re.search(r"(?i)type\s*=\s*[\"']?[\w./+-]*json", attributes) or _STATE.search(source)):
            yield from _shift(self.json(source), base)
        elif source:
            yield base, base + len(source), ""

    def attributes(self, tag: str, source: str, base: int) -> Iterator[Edit]:
        """Yield the edits of a tag's attributes."""
        found = [(match, match.lastindex or 4) for match in _ATTRIBUTE.finditer(source)]
        about = {match[1].lower(): match[group] for match, group in found}
        meta = next((about[key] for key in ("name", "property", "itemprop", "http-equiv") if key in about), "")
        for match, group in found:
            if rule := self.attribute(tag, match[1].lower(), meta):
                yield from _HTML.edits(match[group], base + match.start(group), rule)

    def attribute(self, tag: str, name: str, meta: str) -> Rule | None:
        """Return the rule for the value of an attribute; None if it stays."""
        if tag == "meta":
            if name != "content" or _KEPT_METAS.fullmatch(meta):
                return None
            if _FREE_METAS.fullmatch(meta):
                return _free
            return self.value if _PROSE_METAS.fullmatch(meta) else self.plain
        if _KEPT_ATTRIBUTES.fullmatch(name):
            return None
        if (name.startswith("on") and len(name) > 2) or name in ("d", "points"):
            return _nothing
        if name == "style":
            return _trivial
        if "srcset" in name:
            return _addresses
        if _ADDRESS_ATTRIBUTES.fullmatch(name):
            return lambda text: [(0, len(text), own_address(text))]
        if "bind" in name:
            return self.code
        return self.value if _PROSE_ATTRIBUTES.fullmatch(name) else self.plain

    def plain(self, text: str) -> Iterator[Edit]:
        """Yield the edits of a value that may be prose in a script of its own, but is a code in ASCII."""
        return self.value(text, self.code if text.isascii() else self.text)


def _nothing(text: str) -> Iterator[Edit]:
    yield 0, len(text), ""


def _trivial(text: str) -> Iterator[Edit]:
    if len(text) > 60 or "url(" in text:
        yield 0, len(text), ""


def _addresses(text: str) -> Iterator[Edit]:
    for match in _CANDIDATE.finditer(text):
        yield match.start(), match.end(), own_address(match[0])


def _shift(edits: Iterable[Edit], by: int) -> Iterator[Edit]:
    return ((start + by, end + by, new) for start, end, new in edits)


def _is_traditional(text: str) -> bool:
    """Return whether more characters of a text are only in Taiwan's character set than only in China's."""

    def only(charset: str, other: str) -> int:
        han = set(re.findall(_HAN[:-1], text))
        return len([c for c in han if c.encode(charset, "ignore") and not c.encode(other, "ignore")])

    return only("big5", "gb2312") > only("gb2312", "big5")


def own_text(body: bytes, *, keep: Iterable[str] = ()) -> bytes:
    """Return a saved page (HTML, or the XML of a feed) with text, addresses and ids of our own.

    ``keep`` are phrases that stay wherever they stand in text: notices and labels
    that readers of pages test for. They are not kept in addresses, so that
    :func:`own_address` gives the address of the page.
    """
    source = body.decode("utf-8", "surrogateescape")
    kept = frozenset(phrase.strip() for phrase in keep) - {""}
    longest_first = sorted(kept, key=lambda phrase: (-len(phrase), phrase))
    phrases = "|".join(rf"(?<![a-zÀ-ɏ]){re.escape(phrase)}(?![a-zÀ-ɏ])" for phrase in longest_first)
    prose = re.compile(f"(?P<kept>{phrases})|{_PROSE}" if phrases else _PROSE)
    page = _Page(prose, kept, _is_traditional(source))
    return _apply(source, page.markup(source)).encode("utf-8", "surrogateescape")
