"""What publishers may do to their pages overnight: each is a change of a page's text, named by what it does.

Loud ones make a page that no reader of the old layout can read; quiet ones make one that reads well, but poorer.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["CHANGES", "Change"]


class Change(NamedTuple):
    """A change of every page."""

    alter: Callable[[str], str]
    #: What an alert must name: the layout, and the field or the reason of refusal.
    layout: str
    about: tuple[str, ...]
    loud: bool


def renamed(old: str, new: str) -> Callable[[str], str]:
    """Return what renames something in a page; raises ValueError where a page does not have it."""

    def alter(page: str) -> str:
        if old not in page:
            raise ValueError(f"no {old!r} in the page")
        return page.replace(old, new)

    return alter


def without(*patterns: str) -> Callable[[str], str]:
    """Return what cuts out of a page all that matches patterns."""

    def alter(page: str) -> str:
        for pattern in patterns:
            page = re.sub(pattern, "", page, flags=re.DOTALL)
        return page

    return alter


def first_paragraph(opening: str, close: str) -> Callable[[str], str]:
    """Return what leaves only the first paragraph of what stands between two marks."""

    def alter(page: str) -> str:
        before, _, rest = page.partition(opening)
        text, _, after = rest.partition(close)
        return f"{before}{opening}{text.partition('</p>')[0]}</p>{close}{after}"

    return alter


#: By publisher and name.
CHANGES: dict[str, dict[str, Change]] = {
    "cna": {
        "text renamed": Change(
            renamed('class="paragraph"', 'class="story"'), "since_2018", ("drift", "unreadable"), loud=True
        ),
        "text cut": Change(
            first_paragraph('<div class="paragraph">\n', '<div class="articlekeywordGroup">'),
            "since_2018",
            ("incomplete",),
            loud=True,
        ),
        "summary gone": Change(
            without(r' "about": "[^"]*",', r'<meta name="description"[^>]*>'), "since_2018", ("summary",), loud=False
        ),
    },
    "dw": {
        "state renamed": Change(renamed("__APP_STATE__", "__NEXT_STATE__"), "", ("drift", "unknown-layout"), loud=True),
        "title renamed": Change(
            renamed('"title": ', '"headline2": '), "since_2023", ("unreadable", "drift", "no-title"), loud=True
        ),
        "teaser gone": Change(
            lambda page: re.sub(r'"teaser": "[^"]*"', '"teaser": ""', page),
            "since_2023",
            ("summary",),
            loud=False,
        ),
        "text cut": Change(
            lambda page: re.sub(r'("text": "<p>[^<]*<\\/p>)[^"]*"', r'\1"', page),
            "since_2023",
            ("short", "revised"),
            loud=False,
        ),
    },
    "rfi": {
        "text renamed": Change(renamed("t-content__body", "t-content__story"), "since_2020", ("drift",), loud=True),
        "lead gone": Change(
            without(
                r'<p class="t-content__chapo">.*?</p>',
                r'"description": "[^"]*", ',
                r'<meta property="og:description"[^>]*>',
            ),
            "since_2020",
            ("summary",),
            loud=False,
        ),
        "section gone": Change(
            without(r'<meta property="article:section"[^>]*>', r'<meta name="keywords"[^>]*>', r'"cat1": "[^"]*", '),
            "since_2020",
            ("section",),
            loud=False,
        ),
        "text cut": Change(
            first_paragraph('<div class="t-content__body u-clearfix">', "</div>"),
            "since_2020",
            ("short", "revised"),
            loud=False,
        ),
    },
}
