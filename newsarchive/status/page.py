"""The status of an archive as one page of HTML: what is wrong first, then each publisher and its days.

The page holds all that it needs: no script, no font, no request. What other people wrote is escaped, and their
addresses can be followed only where they are of the web.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from html import escape

from newsarchive.archival import MEANS, Status
from newsarchive.status import facts
from newsarchive.status.chart import LEFT, PITCH, Block, blocks, legend, pattern, summary
from newsarchive.status.days import Days
from newsarchive.status.facts import Fact
from newsarchive.status.overview import Held, Overview, Trouble
from newsarchive.status.style import SHEET
from newsarchive.status.words import percent, plain
from newsarchive.words import count, length, moment

__all__ = ["page"]

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
#: Addresses of the web, and days and times, which are not broken at their hyphens.
TOKEN = re.compile(r"(?P<address>https?://[^\s<>\"']+)|(?P<time>\d{4}-\d\d-\d\d(?: \d\d:\d\d)?)")
#: Weeks of a block of days: half a year at most, as wide as a telephone.
WEEKS = 28
#: Pixels of a bar of captures, and of the highest one.
BAR, HIGHEST = 10, 40


def page(told: Overview) -> bytes:
    """Return an overview as a page."""
    body = "\n".join((*_head(told), *_problems(told), *_publishers(told), *_archive(told)))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>News archive: {MEANS[told.status]}</title>
<style>{SHEET}</style>
</head>
<body>
<svg class="defs" width="0" height="0" aria-hidden="true"><defs>{pattern("gap")}</defs></svg>
{body}
</body>
</html>
""".encode()


def _head(told: Overview) -> Iterator[str]:
    articles = sum(held.holdings.articles for held in told.publishers)
    amounts = f"{count(articles, 'article')} of {count(len(told.publishers), 'publisher')}"
    yield "<header>"
    yield f"<h1>News archive</h1>\n<p class='state'>{_badge(told.status)}</p>"
    yield f'<p class="faint">{amounts}, as of {_linked(moment(told.now))}</p>'
    yield "</header>\n<main>"


def _problems(told: Overview) -> Iterator[str]:
    yield '<section aria-labelledby="problems">\n<h2 id="problems">Problems</h2>'
    if told.troubles:
        yield f"<ul class='problems'>{''.join(map(_problem, told.troubles))}</ul>"
    else:
        yield "<p>Nothing is wrong.</p>"
    yield "</section>"


def _problem(trouble: Trouble) -> str:
    problem = trouble.problem
    where = f"<b>{_safe(problem.publisher)}</b> " if problem.publisher else ""
    look = f"<p>Look at {_linked(problem.example)}</p>" if problem.example else ""
    since = f"<p class='faint'>Known since {moment(trouble.since)}</p>" if trouble.since else ""
    text = f"<p>{_linked(_sentence(problem.text))}</p>"
    return f'<li><p class="head">{where}{_badge(trouble.status)}</p>{text}{look}{since}</li>'


def _sentence(text: str) -> str:
    """Return text with a capital letter, unless it begins with a name."""
    return f"{text[:1].upper()}{text[1:]}" if text.split(" ")[0].isalpha() else text


def _badge(status: Status) -> str:
    """Return a status as a word with a mark, so that its colour is not all."""
    kind, mark = ("bad", "!") if status else ("good", "✓")
    words = "all is well" if status is Status.WELL else MEANS[status]
    return f'<span class="badge {kind}"><span aria-hidden="true">{mark}</span> {words}</span>'


def _publishers(told: Overview) -> Iterator[str]:
    if len(told.publishers) > 1:
        yield '<section aria-labelledby="all">\n<h2 id="all">Publishers</h2>'
        heads = ("Publisher", "Newest", "Last day", "Success", "Articles", "Status")
        rows = [_row(number, held) for number, held in enumerate(told.publishers, 1)]
        yield f"{_table(heads, rows, 'wide')}</section>"
    for number, held in enumerate(told.publishers, 1):
        yield from _publisher(number, held)


def _row(number: int, held: Held) -> list[str]:
    """Return the cells of a publisher in the table of all."""
    health = held.health
    return [
        f'<a href="#publisher-{number}">{_label(held)}</a>',
        f"{length(health.now - held.newest)} ago" if held.newest else "–",
        count(health.rhythm.between(health.now - facts.DAY, health.now)),
        percent(health.success(health.day)),
        count(held.holdings.articles),
        _badge(held.status),
    ]


def _publisher(number: int, held: Held) -> Iterator[str]:
    yield f'<article id="publisher-{number}" aria-labelledby="name-{number}">'
    yield f'<h2 id="name-{number}">{_label(held)} {_badge(held.status)}</h2>'
    if tiles := [_tile(fact) for fact in facts.figures(held)]:
        yield f'<dl class="tiles">{"".join(tiles)}</dl>'
    yield f"<h3>Articles a day</h3>\n{_days(held.days)}"
    lines = (*facts.holdings(held), *facts.runs(held), *facts.missing(held))
    yield f'<div class="pair"><div><h3>Holdings and runs</h3>\n<dl class="facts">{_facts(lines)}</dl></div>\n<div>'
    yield from _refusals(held)
    yield from _listings(held)
    yield from _captures(held)
    yield "</div></div>"
    yield "</article>"


def _label(held: Held) -> str:
    """Return what people call a publisher, in its language, and its name."""
    language = f' lang="{_safe(held.language)}"' if held.language else ""
    name = f' <span class="faint">{_safe(held.name)}</span>' if held.label != held.name else ""
    return f"<span{language}>{_safe(held.label)}</span>{name}"


def _tile(fact: Fact) -> str:
    note = f'<dd class="faint">{_safe(_sentence(fact.note.strip("; ")))}</dd>' if fact.note else ""
    odd = ' class="odd"' if fact.odd else ""
    return f"<div><dt>{_sentence(fact.name)}</dt><dd{odd}><b>{_safe(fact.value)}</b></dd>{note}</div>"


def _facts(lines: Iterable[Fact]) -> str:
    """Return facts as terms and what is said of them; what goes on from a line goes into the same."""
    parts: list[str] = []
    for fact in lines:
        if fact.name:
            parts.append(f"<dt>{_sentence(fact.name)}</dt>")
        odd = ' class="odd"' if fact.odd else ""
        parts.append(f"<dd{odd}>{_linked(_sentence(fact.text))}</dd>")
    return "".join(parts)


def _days(days: Days) -> str:
    """Return the days of a publisher: cells, legend, and a table of months."""
    drawn = "".join(_weeks(block) for block in blocks(days, WEEKS))
    samples = "".join(
        f'<li><svg viewBox="0 0 11 11" width="14" height="14" aria-hidden="true">{sample}</svg> {name}</li>'
        for sample, name in legend(days, "gap")
    )
    rows = [
        [month.name, count(month.articles), count(month.empty), length(month.gap) if month.gap else "–"]
        for month in days.months()
    ]
    table = _table(("Month", "Articles", "Days without", "May be incomplete"), rows)
    return (
        f'<figure><div class="weeks">{drawn}</div><ul class="legend" aria-label="Articles a day">{samples}</ul>'
        f"<figcaption>{summary(days)}</figcaption></figure>"
        f"<details><summary>Months as a table</summary>{table}</details>"
    )


def _weeks(block: Block) -> str:
    """Return a block of days as a picture."""
    articles = sum(day.articles for day in block.days)
    gap = sum((day.gap for day in block.days), timedelta(0))
    about = f"{block.name}: {count(articles, 'article')}{f'; {length(gap)} may be incomplete' if gap else ''}"
    box = f"0 0 {LEFT + WEEKS * PITCH} {block.height}"
    return f'<svg viewBox="{box}" role="img" aria-label="{about}">{block.drawn("gap")}</svg>'


def _refusals(held: Held) -> Iterator[str]:
    """Yield a table of what was refused or failed."""
    rows = []
    for one in facts.refusals(held):
        reason = _safe(one.reason)
        if facts.is_unusual(one):
            reason = f'<span class="odd">{reason}</span><br>{_linked(facts.example(one))}'
        rows.append([reason, one.ending, count(one.day), count(one.usual)])
    if rows:
        yield f"<h3>Refused and failed pages</h3>\n{_table(('Reason', 'Ending', 'Last day', 'Usually'), rows)}"


def _listings(held: Held) -> Iterator[str]:
    """Yield a table of listings."""
    rows = []
    for url, read, why in held.health.listings():
        ending = f'<span class="odd">{_safe(why)}</span>' if why else "read"
        rows.append([_linked(url), ending, f"<time>{read:%Y-%m-%d %H:%M}</time>" if read else "–"])
    if rows:
        yield f"<details{' open' if any(row[1] != 'read' for row in rows) else ''}>"
        yield f"<summary>{count(len(rows), 'listing')}</summary>"
        yield f"{_table(('Listing', 'At last', 'Read last'), rows, 'listings')}</details>"


def _captures(held: Held) -> Iterator[str]:
    """Yield bars of the responses that were captured a day."""
    days = facts.captures(held)
    if not days:
        return
    most = max(number for _, number in days) or 1
    bars = "".join(
        f'<rect class="l3" x="{at * BAR}" y="{HIGHEST - height:.1f}" width="{BAR - 2}" height="{height:.1f}">'
        f"<title>{day}: {count(number, 'response')}</title></rect>"
        for at, (day, number) in enumerate(days)
        for height in [HIGHEST * number / most]
    )
    about = f"{days[0][0]} to {days[-1][0]}; {count(most)} at most"
    box = f"0 0 {facts.CAPTURED * BAR} {HIGHEST}"
    drawn = f'<svg class="bars" viewBox="{box}" preserveAspectRatio="none" role="img" aria-label="{about}">{bars}</svg>'
    yield f"<h3>Responses captured a day</h3>\n<figure>{drawn}<figcaption>{about}</figcaption></figure>"


def _archive(told: Overview) -> Iterator[str]:
    yield '<section aria-labelledby="archive">\n<h2 id="archive">Archive</h2>'
    yield f'<dl class="facts">{_facts(facts.archive(told))}</dl></section>\n</main>'
    yield "<footer class='faint'><p>Days and times are in UTC. A day of runs ends with the last one.</p></footer>"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]], kind: str = "") -> str:
    """Return a table; cells are HTML, and the first one of a row is its head."""
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    body = "".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    return f"<table{f' class={kind}' if kind else ''}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cells(row: Iterable[str]) -> str:
    first, *others = row
    return f'<th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in others)}'


def _safe(text: object) -> str:
    """Return other people's words as HTML."""
    return escape(plain(text))


def _linked(text: str) -> str:
    """Return other people's words as HTML, with addresses of the web as links, and times marked as such."""
    parts, at = [], 0
    for match in TOKEN.finditer(text):
        token = _safe(match[0])
        parts.append(_safe(text[at : match.start()]))
        is_time = match["time"]
        parts.append(f"<time>{token}</time>" if is_time else f'<a href="{token}" rel="nofollow noreferrer">{token}</a>')
        at = match.end()
    return "".join((*parts, _safe(text[at:])))
