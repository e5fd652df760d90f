"""What three newsrooms publish, and what becomes of it: everything follows from a seed.

A world makes each day of each publisher for itself when somebody asks for it, so it
reaches back for years and costs what is looked at. Times are seconds since 1970.

What happens to articles here happens to real ones: they are shown some time after they
are said to be published, edited minutes or days later, moved to another category (CNA),
given another address (DW, RFI), left out of one listing while another has them, cut to
their first paragraph after two years (CNA), and taken away.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from random import Random
from urllib.parse import quote
from zoneinfo import ZoneInfo

__all__ = [
    "CNA_SECTIONS",
    "DAY",
    "DW_SECTIONS",
    "HOUR",
    "MINUTE",
    "NEVER",
    "PUBLISHERS",
    "RFI_SECTIONS",
    "ZONES",
    "Piece",
    "Spec",
    "State",
    "World",
    "traditional",
    "url_of",
]

PUBLISHERS = ("cna", "dw", "rfi")
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
NEVER = float("inf")

#: Category code, name, and the FeedBurner feed that has it; some have many more articles than others.
CNA_SECTIONS = {
    "aipl": ("政治", "politics", 15),
    "aopl": ("國際", "intworld", 14),
    "acn": ("兩岸", "mainland", 8),
    "afe": ("產經", "finance", 9),
    "ait": ("科技", "technology", 4),
    "ahel": ("生活", "lifehealth", 11),
    "asoc": ("社會", "social", 12),
    "aloc": ("地方", "local", 15),
    "acul": ("文化", "culture", 4),
    "aspt": ("運動", "sport", 6),
    "amov": ("娛樂", "stars", 4),
}
DW_SECTIONS = {"政治": 1681, "经济": 1682, "文化": 1683, "中国": 68398488, "台湾": 68398524, "德国": 68398523}
RFI_SECTIONS = ("政治", "中国", "国际", "法国", "欧洲", "亚洲", "中东", "非洲", "港澳台", "社会")
#: Articles by the hour of the newsroom's day.
HOURS = (2, 1, 1, 1, 1, 3, 5, 6, 8, 10, 12, 11, 8, 9, 10, 11, 11, 10, 9, 8, 8, 7, 6, 4)
ZONES = {"cna": ZoneInfo("Asia/Taipei"), "dw": ZoneInfo("Europe/Berlin"), "rfi": ZoneInfo("Europe/Paris")}
#: Listings that may leave an article out, of which only one at a time does.
LEAKY = {"cna": ("news", "plain", "atom", "feed"), "dw": ("rdf", "rss", "news"), "rfi": ("rss", "news")}

#: The characters that differ come first.
SIMPLE = "山云风书树门叶园红兰车马鸟鱼龙东长开灯桥岛湾银钟声笔纸帆伞壶水月花石草雨雪秋冬春夏江河海田村市街井塔亭林竹"
TRADITIONAL = "山雲風書樹門葉園紅蘭車馬鳥魚龍東長開燈橋島灣銀鐘聲筆紙帆傘壺" + SIMPLE[30:]
_TRADITIONAL = str.maketrans(SIMPLE + "国湾台经欧亚东", TRADITIONAL + "國灣台經歐亞東")


def traditional(text: str) -> str:
    """Return a text in traditional characters."""
    return text.translate(_TRADITIONAL)


@dataclass(frozen=True, slots=True)
class State:
    """An article from some time on: what its page says, and where."""

    since: float
    title: str
    paragraphs: tuple[str, ...]
    section: str
    #: Path of its page on the publisher's main host, as written, not encoded.
    path: str
    #: When the text last changed, as the page states it; None if it has not.
    modified: float | None = None

    @property
    def text(self) -> tuple[str, ...]:
        """What makes it another revision: a reader sees another headline, section or text."""
        return (self.title, self.section, *self.paragraphs)


@dataclass(frozen=True, slots=True)
class Piece:
    """One article, from before its publication until after its end."""

    publisher: str
    id: str
    published: float
    #: When listings begin to show it.
    shown: float
    states: tuple[State, ...]
    #: When it goes away, and with which status.
    gone: float = NEVER
    status: int = 404
    #: The listing that leaves it out.
    missing: str = ""

    def number(self, time: float) -> int:
        """Return which of its states it is in."""
        return max(bisect_right([state.since for state in self.states], time) - 1, 0)

    def state(self, time: float) -> State:
        """Return the state it is in."""
        return self.states[self.number(time)]

    def lives(self, time: float) -> bool:
        """Tell whether its page is there."""
        return self.published <= time < self.gone

    @property
    def twin(self) -> "Piece":
        """The same article in traditional characters."""
        states = tuple(
            replace(
                state,
                title=traditional(state.title),
                paragraphs=tuple(map(traditional, state.paragraphs)),
                section=traditional(state.section),
                path=traditional(state.path).replace("/zh/", "/zh-hant/", 1).replace("/cn/", "/tw/", 1),
            )
            for state in self.states
        )
        return replace(self, states=states, id=self.id.replace("-CN-", "-TW-"))


@dataclass(frozen=True)
class Spec:
    """What a world is made from."""

    seed: int = 1
    start: date = date(2026, 3, 2)
    #: Articles a day; CNA's number lies between the two.
    cna: tuple[int, int] = (170, 450)
    dw: int = 30
    rfi: int = 60
    #: Articles in DW's sitemap of all articles: how far back it reaches.
    dw_reach: int = 230
    #: Share of articles that are edited, that get another address, and that go away.
    edited: float = 0.15
    moved: float = 0.03
    vanishing: float = 0.015
    #: Share of articles that one listing leaves out.
    missing: float = 0.03


class World:
    """Knows every article there was, is and will be."""

    def __init__(self, spec: Spec | None = None) -> None:
        self.spec = spec or Spec()
        self.start = datetime.combine(self.spec.start, datetime.min.time(), UTC).timestamp()
        self.day = cache(self._day)

    # What there is.

    def _day(self, publisher: str, day: date) -> tuple[Piece, ...]:
        """Return the articles of a day, as their newsroom's calendar and addresses count days; oldest first."""
        chance = Random(f"{self.spec.seed} {publisher} {day}")
        midnight = datetime.combine(day, datetime.min.time(), ZONES[publisher]).timestamp()
        make = {"cna": self._cna, "dw": self._dw, "rfi": self._rfi}[publisher]
        return tuple(sorted(make(chance, day, midnight), key=lambda piece: (piece.published, piece.id)))

    def _times(self, chance: Random, midnight: float, count: int, step: int) -> list[float]:
        hours = chance.choices(range(24), HOURS, k=count)
        return sorted(midnight + hour * HOUR + chance.randrange(0, 3600, step) for hour in hours)

    def _cna(self, chance: Random, day: date, midnight: float) -> Iterator[Piece]:
        number, holes = 0, set(chance.sample(range(20, 160), 2))
        for index, time in enumerate(self._times(chance, midnight, chance.randint(*self.spec.cna), 60)):
            number += chance.randint(15, 35) if index in holes else 1 + (chance.random() < 0.12) * chance.randint(1, 4)
            # Begun before midnight, finished after: the number keeps its day.
            late = DAY if index < 3 and chance.random() < 0.1 else 0
            yield self._cna_piece(chance, f"{day:%Y%m%d}{number:04}", time + late)
        for number in range(5001, 5001 + chance.randint(3, 12)):
            if chance.random() < 0.8:
                yield self._cna_piece(chance, f"{day:%Y%m%d}{number}", midnight + chance.randrange(300, 1200) * MINUTE)

    def _cna_piece(self, chance: Random, id: str, time: float) -> Piece:
        codes = list(CNA_SECTIONS)
        code, other = chance.choices(codes, [weight for _, _, weight in CNA_SECTIONS.values()], k=2)
        title, paragraphs = words(chance, id)
        local = datetime.fromtimestamp(time, ZONES["cna"])
        stamp = f"（編輯：測試）{local.year - 1911}{local:%m%d}"
        first = State(time, traditional(title), (*map(traditional, paragraphs), stamp), code, f"/news/{code}/{id}.aspx")
        elsewhere = {"section": other, "path": f"/news/{other}/{id}.aspx"}
        return self._lived(chance, Piece("cna", id, time, 0, (first,)), elsewhere)

    def _dw(self, chance: Random, day: date, midnight: float) -> Iterator[Piece]:
        number = 70_000_000 + (day.toordinal() - 739_000) * 11_000
        for time in self._times(chance, midnight, self.spec.dw, 1):
            number += chance.randint(40, 350)
            title, paragraphs = words(chance, str(number))
            section = chance.choice(list(DW_SECTIONS))
            first = State(time, title, paragraphs, section, f"/zh/{slug(title)}/a-{number}")
            yield self._lived(chance, Piece("dw", str(number), time, 0, (first,)), {"path": f"/zh/新{first.path[4:]}"})

    def _rfi(self, chance: Random, day: date, midnight: float) -> Iterator[Piece]:
        number = 170_000 + (day.toordinal() - 739_000) * 90
        for time in self._times(chance, midnight, self.spec.rfi, 1):
            number += 1
            title, paragraphs = words(chance, str(number))
            section = chance.choice(RFI_SECTIONS)
            first = State(time, title, paragraphs, section, f"/cn/{section}/{day:%Y%m%d}-{slug(title)}")
            piece = Piece("rfi", f"WBMZ{number}-RFI-CN-{day:%Y%m%d}", time, 0, (first,))
            yield self._lived(chance, piece, {"path": f"{first.path}-新"})

    def _lived(self, chance: Random, piece: Piece, elsewhere: dict[str, str]) -> Piece:
        """Return an article with all that befalls it."""
        changes: list[tuple[float, str]] = []
        if chance.random() < self.spec.edited:
            changes += [(after(chance, 5 * MINUTE, 72 * HOUR), "text") for _ in range(1 + (chance.random() < 0.2))]
        if chance.random() < self.spec.moved:
            changes.append((after(chance, 10 * MINUTE, 48 * HOUR), "address"))
        states = [*piece.states]
        for seconds, what in sorted(changes):
            since, last = piece.published + seconds, states[-1]
            if what == "address":
                states.append(replace(last, since=since, **elsewhere))
                continue
            more = sentence(chance)
            more = traditional(more) if piece.publisher == "cna" else more
            title = f"{last.title}更新" if chance.random() < 0.3 else last.title
            paragraphs = (*last.paragraphs[:1], more, *last.paragraphs[1:])
            states.append(replace(last, since=since, title=title, paragraphs=paragraphs, modified=since))
        gone = NEVER
        if chance.random() < self.spec.vanishing:
            gone = piece.published + after(chance, 10 * MINUTE, 60 * DAY)
        return replace(
            piece,
            shown=piece.published + chance.choice((1, 2, 3, 5, 8, 15, 30, 58)) * MINUTE,
            states=tuple(states),
            gone=gone,
            status=chance.choice((404, 410)),
            missing=chance.choice(LEAKY[piece.publisher]) if chance.random() < self.spec.missing else "",
        )

    # What can be seen of it.

    def between(self, publisher: str, start: float, end: float) -> Iterator[Piece]:
        """Yield the articles that were published from ``start`` up to ``end``."""
        day = datetime.fromtimestamp(start, UTC).date() - timedelta(days=2)
        last = datetime.fromtimestamp(end, UTC).date() + timedelta(days=1)
        while day <= last:
            yield from (piece for piece in self.day(publisher, day) if start <= piece.published < end)
            day += timedelta(days=1)

    def newest(self, publisher: str, time: float, count: int, reach: float = NEVER) -> list[Piece]:
        """Return what a listing shows: the articles shown last, newest first; so many, and no older than that."""
        found: list[Piece] = []
        day = datetime.fromtimestamp(time, UTC).date() + timedelta(days=1)
        # An article is shown an hour or two after the end of its day at the latest.
        while len(found) < count + 50 and day.toordinal() * DAY > (time - reach) - 3 * DAY - EPOCH:
            found += (piece for piece in self.day(publisher, day) if piece.shown <= time and time < piece.gone)
            day -= timedelta(days=1)
        found = [piece for piece in found if time - piece.published <= reach]
        return sorted(found, key=lambda piece: (-piece.shown, piece.id))[:count]

    def find(self, publisher: str, id: str, day: date) -> Piece | None:
        """Return the article of a day that has an id."""
        return next((piece for piece in self.day(publisher, day) if piece.id == id), None)


EPOCH = -date(1970, 1, 1).toordinal() * DAY


def after(chance: Random, least: float, most: float) -> float:
    """Return a number of seconds between two, whole minutes: small ones come as often as large ones."""
    return round(least * (most / least) ** chance.random() / MINUTE) * MINUTE


def sentence(chance: Random) -> str:
    """Return a sentence that says nothing."""
    return "".join(chance.choices(SIMPLE, k=chance.randint(14, 40))) + "。"


def words(chance: Random, mark: str) -> tuple[str, tuple[str, ...]]:
    """Return a headline and paragraphs; the mark makes them nobody else's."""
    title = "".join(chance.choices(SIMPLE, k=chance.randint(10, 18)))
    paragraphs = tuple(sentence(chance) + sentence(chance) for _ in range(chance.randint(2, 4)))
    return f"{title[:6]} {title[6:]}{mark[-5:]}", paragraphs


def slug(title: str) -> str:
    """Return a headline as addresses have it."""
    return title.replace(" ", "-")


def url_of(publisher: str, path: str) -> str:
    """Return the address of a path on a publisher's main host."""
    host = {"cna": "www.cna.com.tw", "dw": "www.dw.com", "rfi": "www.rfi.fr"}[publisher]
    return f"https://{host}{quote(path)}"
