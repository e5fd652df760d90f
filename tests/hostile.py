"""Texts that break writers of YAML, Markdown, Liquid, HTML and file names.

Lists of data, each text once and always in the same order. ``mixed`` adds
combinations: what is harmless alone may not be between neighbours.
"""

import random

YAML = """\
yes|no|on|off|true|false|Yes|NO|On|y|n|null|Null|NULL|~|=|<<|.nan|.inf|-.inf|NaN|007|08|0|00|-0|1|+1|-1
1,000|1_000|1.5|1.|.5|1e3|1.0e+3|0x1F|0b101|0o17|12:30|12:30:45|1:60|190:20:30.15|2023-01-12|2023-1-2
2023-01-12T08:04:03.000Z|2001-12-14 21:59:43.10 -5|2023-01|20230112|- a|-a|-|--|---|...|? a|?a|?|: a|:a|:
a: b|a:b|a:|a ?|a?b|a #b|a#b|#a|@a|*a|&a|!a|!!str a|%a|%YAML 1.1|`a|>a|>|'a|'a'|"a|"a"|''|""|a'b|a"b|[a|[a]
]|{a|{a: b}|}|a, b|,a|a,|a [b] c|a {b} c|(a)|(臺)中央社CNA|德国之声|法广|O'Brien|C++|A&B|$1|^a|;a|/a|+a|.a
_a|~a|=a|<a|C:\\new\\table|\\d+|\\(x\\)|a\\|\\|\\\\|\\\\\\|\\"|a\\"|"\\|\\u0041|\\x41|\\N|\\ a|a \\n b
say \\"hi\\"|''a''|a''b|--- a|a --- b|a\u2014b"""

MARKDOWN = """\
[a]|[a](b)|a](b|a](http://evil.example/)|[a][b]|[a]: b|a]: http://evil.example/|a]|[a|[]|[](x)|[[a]]
[[影]：國會|國會[影]|[影]國會[影]|![a](b)|!|!![|a!|[^1]|[^1]: x|[ ]|[x]|(a)|(a|a)|)(|a(b)c(|<b>|<b>x</b>
</h2>|<a href="x">|<!-- x -->|<!--|-->|<!DOCTYPE html>|<?php ?>|<![CDATA[x]]>|a < b > c|<3
<http://evil.example/>|<a@b.example>|<script>alert(1)</script>|"><img src=x onerror=alert(1)>
http://evil.example/|www.evil.example|a@b.example|*a*|**a**|***a***|*a|a*|* a *|*ST海航、*ST康美|5 * 3 * 2
a*b*c|*「a」*b|_a_|__a__|a_b_c|_a|a_|snake_case_word|中_國_人|「_a_」|_a*b_c*|*a_b*c_|~a~|~~a~~|`a`|`a
``a`b``|`|``|a\\`b`c`|\\*a\\*|\\[a\\]|\\\\*a*|\\_|&amp;|&copy;|&copy|&#60;|&#x3c;|&#0;|&#22338;|&amp;#22338;
&notanentity;|AT&T|R&D; a|&|# a|## a|- a|+ a|* a|1. a|1) a|> a|=====|------|***|___|    a|| a | b ||a|b||:--
--:||$$x$$|$x$|"a"|'a'|a -- b|a --- b|a...|... ...|(c)|:smile:|a  b|[a]{:.x}|{:.x}|{:x}|{::nomarkdown}x{:/}
{::options parse_block_html="true" /}|{:toc}|*[HTML]: x|^a^|==a==|[TOC]|[toc]|\\(x\\)|\\[x\\]|a\\"""

LIQUID = """\
{{ page.title }}|{{ site.time }}|{{|}}|{%|%}|{{{|}}}|{{{{|{ {|{% raw %}|{% endraw %}|{% bad|{% bad %}
{% if x %}|{% endif %}|{% include x %}|{%- a -%}|{{- a -}}|{{ a | b: "c" }}|{{ "a" }}|{% comment %}
{% assign a = 1 %}|{# a #}|{a}|{|}|%|{%{{|{{%|a{{b|a{%b|{\\{|\\{{ a }}|{&#123; a }}|&#123;{ a }}|{*{ a }*}"""

CHARACTERS = [
    *map(chr, (*range(0x20), *range(0x7F, 0xA1), 0xAD, 0x034F, 0x061C, 0x0301, 0x180E, 0x1680)),
    *map(chr, (*range(0x2000, 0x2010), *range(0x2028, 0x2030), 0x205F, *range(0x2060, 0x2070), 0x3000)),
    *map(chr, (0xFDD0, 0xFE0F, 0xFEFF, 0xFFF9, 0xFFFC, 0xFFFD, 0xFFFE, 0xFFFF, 0x1F600, 0x1FFFE, 0x10FFFF)),
    *("\ud800", "\udfff", "\ud83d\ude00", "\ude00\ud83d"),
    *("e\u0301", "👩‍👩‍👧", "🇹🇼", "ﷺ", "Z̷̢͙a̵l", "שלום", "مرحبا", "\u202eabc\u202c", "\u2066a\u2069", "𠮷野家", "ｆｕｌｌ"),
]

TEXTS = [text for block in (YAML, MARKDOWN, LIQUID) for line in block.split("\n") for text in line.split("|") if text]
TEXTS += ["|", "a|b", "| a | b |", "|>-", "a || b", "[a|b]"]

LONG = ["長" * 10_000, "a" * 10_000, "[" * 3_000, "*a " * 3_000, "_" * 3_000, "{{" * 3_000, "\\" * 3_001, '"' * 3_000]
LONG += ["`a" * 3_000, "<a " * 3_000, "&#60;" * 2_000, "a " * 5_000, "](" * 3_000, "[a](b)" * 1_000, "\n" * 3_000 + "a"]


def mixed(parts: list[str], count: int, seed: int) -> list[str]:
    """Return texts of two to seven parts, the same ones every time."""
    chance = random.Random(seed)
    return ["".join(chance.choices(parts, k=chance.randint(2, 7))) for _ in range(count)]


def once(texts: list[str]) -> list[str]:
    """Return the texts without repetitions."""
    return list(dict.fromkeys(texts))


AROUND = (
    [f"日美{char}會談" for char in CHARACTERS]
    + [f"{char}日美" for char in CHARACTERS]
    + [f"日美{char}" for char in CHARACTERS]
)

TITLES = once(
    [*TEXTS, *(f" {text} " for text in TEXTS[::7]), *AROUND, *LONG, *mixed([*TEXTS, "日", "、", " ", "a"], 400, 1)]
)
AUTHORS = once(
    [*TEXTS, *(f"{text} 社" for text in TEXTS), *AROUND, *LONG, *mixed([*TEXTS, *CHARACTERS, "社"], 400, 2), "", " "]
)

#: Marks of addresses, all of which browsers leave as they are, or escape, in one of three places.
URLS = [
    f"https://www.example.com/{place}{mark}{tail}"
    for mark in (
        "( ) () )( (() ((a)b) [ ] [] ]( ](http://b) | ^ ' \\ * ** _ a_b_ & &copy; &copy=2 &#60; &amp; "
        '% %zz %e4 : :: ` `a` ~ ! $ { } {{a}} {%a%} < > " 日 é é, ; @ = + ,'
    ).split()
    for place in ("", "?q=", "?a=1&b=", "#")
    for tail in ("", "c")
] + ["https://www.example.com/" + "(" * 40 + ")" * 40, "https://www.example.com/" + "a" * 5_000]

#: Bodies that would stop a site, change its meaning or show something else.
BODIES = [
    *(f"<p>甲{text}乙</p>" for text in LIQUID.replace("\n", "|").split("|") if "&#" not in text),
    '<p title="{{ page.title }}">甲</p>',
    "<p title=\"{% raw %}\" data-x='{{'>甲</p>",
    "<pre>{% for a in b %}{{ a }}</pre>",
    "<p>*a* _b_ `c` [d](e) {:.x} $$f$$ ------ | g | h</p>",
    "<!-- {{ a }} --><p>甲</p>",
    "甲 {% highlight %} 乙",
    "",
    " ",
]

#: Ends of tags left out or left over; the sanitiser balances them before they are written.
UNBALANCED = [
    "<div><div><p>甲",
    "</div></div></div><p>甲</p>",
    "<p>甲<b>乙",
    "<table><tr><td>甲",
    "<!-- 甲",
    "<ul><li>甲</ul></section>",
]

IDS = [
    *(
        "",
        ".",
        "..",
        "...",
        "/",
        "//",
        "../../etc/passwd",
        "..\\..\\x",
        "a/b",
        "a\\b",
        "a\0b",
        "\0",
        "\n",
        "a\nb",
        "-",
        "--",
        "-a",
        "a-",
    ),
    *(
        "a--b",
        "a-b",
        "a.b",
        "a..b",
        "a._b",
        "a_b",
        "_a",
        ".a",
        "a.",
        "a ",
        " a",
        "~",
        "~a",
        "a~",
        "#a",
        "a#",
        "con",
        "NUL",
        "a:b",
        "a*b",
        "a?b",
    ),
    *(
        "Ab",
        "aB",
        "日",
        "日本",
        "日 本",
        "é",
        "e\u0301",
        "\ud800",
        "\ude00",
        "😀",
        "a" * 90,
        "a" * 91,
        "a" * 5_000,
        "b" * 5_000,
        "{{a}}",
    ),
    *(
        "WBMZ94965-RFI-TW-20230901",
        "202301120204",
        "64358959",
        "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d",
        "id-0123456789abcdef",
    ),
    "https://www.rfi.fr/cn/专栏检索/要闻分析/20220105-新年新气象",
    "https://www.rfi.fr/cn/专栏检索/要闻分析/20220105-新年新气像",
]
