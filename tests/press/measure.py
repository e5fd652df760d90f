"""What a crawl achieved, measured from outside: against the world, the server's log and the archive.

What counts is what a publisher gave, not what the project says it asked for. All functions
but ``archived`` and ``reported`` are pure.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from itertools import pairwise
from pathlib import Path
from random import Random
from urllib.parse import unquote, urlsplit

from newsarchive.index import Index
from newsarchive.post import Unreadable, read
from newsarchive.store import index_file
from tests.press.listings import EDITIONS, named, of_section, windows
from tests.press.pages import teaser
from tests.press.play import Played
from tests.press.server import CDX_LIMIT, CDX_WINDOW, CRAWL_DELAY, FORBIDDEN, Asked, copied, find
from tests.press.world import CNA_SECTIONS, DAY, HOUR, MINUTE, Piece, State, World

__all__ = [
    "Copy",
    "Edits",
    "Manners",
    "Span",
    "Verdicts",
    "answered",
    "archived",
    "by_day",
    "covered",
    "edits",
    "feeds",
    "gaps",
    "grown",
    "length",
    "manners",
    "moment",
    "obtainable",
    "of_month",
    "overlap",
    "repeated",
    "reported",
    "rss_only",
    "shrunk",
    "spell",
    "verdicts",
    "without",
]

Span = tuple[float, float]

#: Nobody can tell to the minute what a listing would have shown: articles appear in it some time after publication.
LATEST = 58 * MINUTE
#: Seconds by which a reported gap may be off at each end: the project reckons with articles that appear 2 hours late.
BLUR = 3 * HOUR
#: Seconds between two requests that everybody is granted, whatever the settings say; and those that hosts want.
LEAST = 1.0
DELAYS = {**CRAWL_DELAY, "web.archive.org": CDX_WINDOW / CDX_LIMIT}
#: Statuses of answers that say all there is to say of an address of the past.
SETTLED = (200, 301, 302, 304, 404, 410)
RECHECKS = (1 * HOUR, 6 * HOUR, 24 * HOUR, 72 * HOUR)


# Spans of time.


def joined(spans: Iterable[Span]) -> list[Span]:
    """Return spans in order, without overlaps."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        elif start < end:
            found.append((start, end))
    return found


def without(spans: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """Return what is in some spans and in none of the others."""
    left = joined(spans)
    for start, end in joined(others):
        left = [
            piece
            for one, other in left
            for piece in ((one, min(other, start)), (max(one, end), other))
            if piece[0] < piece[1]
        ]
    return joined(left)


def overlap(spans: Iterable[Span], others: Iterable[Span]) -> float:
    """Return how many seconds spans have in common with others."""
    spans = joined(spans)
    return length(spans) - length(without(spans, others))


def length(spans: Iterable[Span]) -> float:
    """Return how many seconds spans last."""
    return sum(end - start for start, end in joined(spans))


def shrunk(spans: Iterable[Span]) -> list[Span]:
    """Return what is surely in spans whose ends are not sharp."""
    return joined((start + BLUR, end - BLUR) for start, end in joined(spans))


def grown(spans: Iterable[Span]) -> list[Span]:
    """Return what may be in spans whose ends are not sharp."""
    return joined((start - BLUR, end + BLUR) for start, end in joined(spans))


# What there was to be had.


def answered(played: Played, urls: Iterable[str]) -> dict[str, list[float]]:
    """Return when each listing was had in whole."""
    wanted, times = set(urls), defaultdict(list)
    for asked in played.log:
        if asked.url in wanted and asked.whole and asked.time <= played.end:
            times[asked.url].append(asked.time)
    return times


def covered(played: Played, world: World) -> list[Span]:
    """Return the times of which every article was on a listing that was had, without sources for a back-fill."""
    publisher = played.plan.publisher
    listings = {url: window for url, window in windows(world, publisher).items() if window.name}
    spans = []
    for url, times in answered(played, listings).items():
        for time in times:
            window = listings[url]
            if window.count < 10**6:
                pieces = world.newest(publisher, time, window.count, window.reach)
                start = max((piece.published for piece in pieces[-3:]), default=time)
            else:
                start = time - window.reach
            spans.append((start, time - LATEST))
    return joined(span for span in spans if span[0] < span[1])


def reach_back(played: Played, world: World) -> list[Span]:
    """Return the times of which a source that reaches back could still have given every article at some run."""
    starts = [run.start for run in played.runs]
    if played.plan.publisher == "dw":
        sizes = ((time, world.newest("dw", time, world.spec.dw_reach)) for time in starts)
        return joined((pieces[-1].published, time - LATEST) for time, pieces in sizes)
    # CNA's numbers and RFI's months reach back for years; only a run that was let in can use them.
    open_ = [time for time in starts if not blocked(played, world, time)]
    return [(0.0, max(open_) - LATEST)] if open_ else []


def blocked(played: Played, world: World, time: float) -> bool:
    """Tell whether the publisher was refusing pages."""
    first, last = (world.start + hour * HOUR for hour in played.plan.blocked)
    return first <= time < last


def gaps(played: Played, world: World) -> list[Span]:
    """Return the times for which no listing that was had, and no source that reaches back, gives every article."""
    seen = covered(played, world)
    return without([(seen[0][0], seen[-1][1])], [*seen, *reach_back(played, world)]) if seen else []


def obtainable(played: Played, world: World) -> dict[str, Piece]:
    """Return the articles that could have been stored: they were named at a run, and their page was there."""
    publisher, found = played.plan.publisher, {}
    listings = windows(world, publisher)
    others = {f"/{edition}/" for edition in EDITIONS[publisher]} - {f"/{played.plan.edition}/"}
    mine = {url: window for url, window in listings.items() if window.name and not any(map(url.__contains__, others))}
    times = answered(played, mine)
    for run in played.runs:
        for url, window in mine.items():
            # A listing that was never asked for would have answered.
            asked = [time for time in times[url] if run.start <= time <= run.end] if url in times else [run.start]
            for time in asked[:1]:
                found |= {piece.id: piece for piece in named(world, publisher, window, time) if piece.lives(run.end)}
    back = reach_back(played, world)
    for start, end in without(back, covered(played, world)):
        last = max(run.start for run in played.runs if not blocked(played, world, run.start))
        pieces = world.between(publisher, max(start, played.start), min(end, played.end))
        found |= {piece.id: piece for piece in pieces if piece.lives(last)}
    return {id: piece for id, piece in found.items() if not hopeless(played, piece)}


def of_month(played: Played, world: World) -> dict[str, Piece]:
    """Return the articles of a month that a back-fill can give: DW's and RFI's from sitemaps, CNA's from Wayback."""
    publisher, given = played.plan.publisher, dict(played.plan.arguments)
    first, last = (datetime.fromisoformat(given[name]).replace(tzinfo=UTC).timestamp() for name in ("since", "until"))
    # Whose day it is, is not said: the first and the last may be cut by some hours.
    pieces = world.between(publisher, first + DAY / 2, last + DAY / 2)
    if publisher == "cna":
        return {piece.id: piece for piece in pieces if piece.lives(copied(world, piece))}
    return {piece.id: piece for piece in pieces if piece.lives(played.end)}


def hopeless(played: Played, piece: Piece) -> bool:
    """Tell whether an article was taken away before its page was ever served, although it was asked for in vain."""
    if piece.gone > played.end:
        return False
    paths = {state.path for state in piece.states}
    answers = [asked for asked in played.log if asked.time < piece.gone and unquote(asked.path) in paths]
    return bool(answers) and not any(asked.whole for asked in answers)


# What is in the archive.


@dataclass(frozen=True, slots=True)
class Copy:
    """An article as the archive has it."""

    id: str
    url: str
    title: str
    published: float
    body: str
    revisions: int


def archived(archive: Path, publisher: str) -> list[Copy]:
    """Return what the archive has of a publisher; an article whose post is gone or unreadable has an empty body."""
    found = []
    with closing(Index(index_file(archive), read_only=True)) as index:
        for row in index.articles(publisher):
            try:
                post = read((archive / row.lies).read_text()) if row.lies else None
            except (OSError, Unreadable):
                post = None
            title, body = (post.title, post.body) if post else (row.title, "")
            revisions = len(index.revisions(publisher, row.id))
            found.append(Copy(row.id, row.url, title, row.published.timestamp(), body, revisions))
    return found


def reported(archive: Path, publisher: str) -> list[Span] | None:
    """Return the gaps that the index tells of; None if it cannot tell yet."""
    with closing(Index(index_file(archive), read_only=True)) as index:
        if not hasattr(index, "gaps"):
            return None
        return [(gap.start.timestamp(), gap.end.timestamp()) for gap in index.gaps(publisher)]


def body_of(piece: Piece, state: State) -> str:
    """Return the text of an article as a post has it: with its lead, where the page has one."""
    lead = "" if piece.publisher == "cna" else f"<p><strong>{escape(teaser(piece), quote=False)}</strong></p>"
    return lead + "".join(f"<p>{escape(paragraph, quote=False)}</p>" for paragraph in state.paragraphs)


@dataclass
class Verdicts:
    """What is right and wrong with an archive."""

    #: Ids of the world's articles that are stored, in whole or in part.
    stored: set[str] = field(default_factory=set)
    #: Of those, the ones whose text is only what a feed says.
    partial: set[str] = field(default_factory=set)
    #: What is wrong, one line each.
    twice: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def verdicts(copies: Iterable[Copy], world: World, publisher: str, log: Iterable[Asked]) -> Verdicts:
    """Compare an archive with the world: each article once, as its page was last served."""
    found, last = Verdicts(), {asked.id: asked.state for asked in log if asked.id}
    for copy in copies:
        piece = piece_at(world, publisher, copy.url)
        if piece is None:
            found.wrong.append(f"{copy.id}: nobody published {copy.url}")
            continue
        own = piece.id.replace("-TW-", "-CN-")
        if own in found.stored:
            found.twice.append(f"{own}: again as {copy.id}")
        found.stored.add(own)
        if problem := compare(copy, piece, last.get(piece.id)):
            if problem == "partial":
                found.partial.add(own)
            else:
                found.wrong.append(f"{copy.id}: {problem}")
    return found


def compare(copy: Copy, piece: Piece, last: int | None) -> str:
    """Return what is wrong with a copy of an article whose page was last served in a state; ``partial`` if cut."""
    texts = [(state.title, body_of(piece, state)) for state in piece.states]
    if last is None and copy.title in {title for title, _ in texts} and teaser(piece) in copy.body:
        return "partial"
    if copy.id != piece.id:
        return f"is {piece.id}"
    if copy.published != piece.published:
        return f"published at {copy.published}, not {piece.published}"
    if (copy.title, copy.body) not in texts:
        if copy.title in {title for title, _ in texts} and copy.body == f"<p>{teaser(piece)}</p>":
            return "partial"
        return "its text was never published"
    if last is not None and (copy.title, copy.body) != texts[last]:
        return f"its text is not the one served last, number {last}"
    return ""


def piece_at(world: World, publisher: str, url: str) -> Piece | None:
    """Return the article of an address."""
    return find(world, publisher, unquote(urlsplit(url).path))


# Edits and removals.


@dataclass(frozen=True, slots=True)
class Edits:
    """How well edits are kept."""

    #: Edits that a look at 1, 6, 24 and 72 hours would show, and those that were served at all.
    due: int = 0
    seen: int = 0
    #: Changes from one served text to the next, revisions of these, and revisions where nothing changed.
    served: int = 0
    kept: int = 0
    false: int = 0
    #: Articles that were stored and then taken away, and those whose copy is gone.
    vanished: int = 0
    lost: int = 0


def edits(copies: Iterable[Copy], world: World, publisher: str, log: Iterable[Asked], end: float) -> Edits:
    """Compare revisions with what was served, and what was served with what a look at the right times shows."""
    looks: dict[str, list[Asked]] = defaultdict(list)
    for asked in log:
        if asked.id and asked.host != "web.archive.org":
            looks[asked.id].append(asked)
    held = {copy.id: copy for copy in copies}
    sums: dict[str, int] = defaultdict(int)
    for id, seen in looks.items():
        piece = piece_at(world, publisher, seen[0].url)
        assert piece is not None
        texts = [piece.states[asked.state].text for asked in seen]
        served = sum(one != other for one, other in pairwise(texts))
        revisions = held[id].revisions - 1 if id in held else 0
        sums["served"] += served
        sums["kept"] += min(served, max(revisions, 0))
        sums["false"] += max(revisions - served, 0)
        times = [seen[0].time + wait + HOUR for wait in RECHECKS]
        due = {piece.state(time - HOUR).text for time in times if time < min(end, piece.gone)} - {texts[0]}
        sums["due"] += len(due)
        sums["seen"] += len(due & set(texts))
        if piece.gone <= end:
            sums["vanished"] += 1
            sums["lost"] += id not in held or not held[id].body
    return Edits(**sums)


# Politeness.


@dataclass(frozen=True, slots=True)
class Manners:
    """How a crawl behaved, as the server saw it."""

    requests: int
    #: One line for each request that came too early.
    early: list[str]
    #: Paths that robots.txt forbids and that were asked for all the same.
    forbidden: list[str]
    #: Requests by host.
    hosts: dict[str, int]


def manners(log: Iterable[Asked]) -> Manners:
    """Judge a log: delays, ``Crawl-delay``, ``Retry-After`` and robots.txt."""
    early, forbidden = [], []
    hosts: dict[str, int] = defaultdict(int)
    last: dict[str, Asked] = {}
    until: dict[str, float] = {}
    for asked in log:
        before, least = last.get(asked.host), DELAYS.get(asked.host, LEAST)
        if before and asked.path != "/robots.txt" and asked.time - before.time < least - 0.001:
            what = "itself" if before.path == asked.path else before.path
            why = f"{asked.time - before.time:.3f} s after {what} ({before.fault or before.status})"
            early.append(f"{asked.host}{asked.path[:60]}: {why}, not {least:.0f}")
        if asked.fault in ("too-often", "closed") and before and before.fault in ("too-often", "closed"):
            early.append(f"{asked.host}{asked.path[:60]}: {asked.time - before.time:.0f} s after it said: too often")
        if asked.time < until.get(asked.host, 0) - 1:
            early.append(f"{asked.host}{asked.path}: {until[asked.host] - asked.time:.0f} s before Retry-After ends")
        if any(asked.path.startswith(rule) for rule in FORBIDDEN.get(asked.host, ())):
            forbidden.append(asked.url)
        hosts[asked.host] += 1
        last[asked.host] = asked
        until[asked.host] = max(until.get(asked.host, 0), asked.time + asked.later)
    return Manners(sum(hosts.values()), early, forbidden, dict(hosts))


def by_day(log: Iterable[Asked]) -> dict[str, int]:
    """Return how many requests there were on each day, in UTC."""
    return Counter(f"{datetime.fromtimestamp(asked.time, UTC):%Y-%m-%d}" for asked in log)


def repeated(log: Iterable[Asked]) -> list[str]:
    """Return which addresses were asked again, listings and robots.txt apart, although an answer had settled them."""
    settled: set[str] = set()
    found = []
    for asked in log:
        if asked.path.endswith((".xml", "/robots.txt")):
            continue
        if asked.url in settled:
            found.append(asked.url)
        if asked.status in SETTLED and not asked.fault:
            settled.add(asked.url)
    return found


# The old way.


def rss_only(played: Played, world: World) -> set[str]:
    """Return what an hourly look at the publisher's feeds stores, at the same hours, without a second try."""
    publisher, faults = played.plan.publisher, played.plan.faults
    chance = Random(f"rss {world.spec.seed} {publisher}")
    stored: set[str] = set()
    for run in played.runs:
        for feed in feeds(world, publisher, run.start):
            if chance.random() < faults:
                continue
            for piece in feed:
                refused = publisher == "rfi" and blocked(played, world, run.start)
                if piece.id not in stored and piece.lives(run.start) and not refused and chance.random() >= faults:
                    stored.add(piece.id)
    return stored


def feeds(world: World, publisher: str, time: float) -> Iterator[list[Piece]]:
    """Yield what each feed of a publisher names at a time."""
    if publisher == "cna":
        for code in CNA_SECTIONS:
            yield [piece for piece, _ in of_section(world, "cna", code, time, 20, "feed")]
    else:
        url = "https://rss.dw.com/rdf/rss-chi-all" if publisher == "dw" else "https://www.rfi.fr/cn/rss"
        yield named(world, publisher, windows(world, publisher)[url], time)


def moment(time: float) -> str:
    """Return a time as people write it."""
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M}"


def spell(span: Span) -> str:
    """Return a span as people write it."""
    return f"{moment(span[0])} to {moment(span[1])}"
