"""The simulated world, what is measured in it, and how the project does there for some days.

``python -m tests.press`` plays a month.
"""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from scrapy.http import HtmlResponse, XmlResponse
from scrapy.spiderloader import get_spider_loader
from scrapy.utils.project import get_project_settings

from newsarchive.listing import read_listing
from tests.press import measure
from tests.press.listings import listing, named, windows
from tests.press.pages import expired, page
from tests.press.play import Plan, Played, Run, play
from tests.press.server import Asked, Press, find
from tests.press.world import DAY, HOUR, PUBLISHERS, Piece, Spec, World, url_of

SPEC = Spec(cna=(25, 40), dw=10, rfi=15)
TODAY = SPEC.start


@pytest.fixture(scope="module")
def world() -> World:
    return World(SPEC)


def reader(publisher: str):
    return get_spider_loader(get_project_settings()).load(publisher)()


# The world and its pages.


@pytest.mark.parametrize("publisher", PUBLISHERS)
def test_spiders_read_what_the_world_says(world: World, publisher: str) -> None:
    spider = reader(publisher)
    pieces = world.day(publisher, TODAY)
    assert pieces
    for piece in [*pieces, *((piece.twin for piece in pieces) if publisher != "cna" else ())]:
        for state in piece.states:
            article = spider.read(HtmlResponse(url_of(publisher, state.path), body=page(piece, state, 0).encode()))
            assert (article.id, article.url) == (piece.id, url_of(publisher, state.path))
            assert (article.title, article.body) == (state.title, measure.body_of(piece, state))
            assert article.published == datetime.fromtimestamp(piece.published, UTC)
            assert article.modified == (datetime.fromtimestamp(state.modified, UTC) if state.modified else None)


def test_an_expired_page_is_refused_as_such(world: World) -> None:
    piece = world.day("cna", TODAY)[0]
    url = url_of("cna", piece.states[0].path)
    with pytest.raises(Exception, match="expired"):
        reader("cna").read(HtmlResponse(url, body=expired(piece, piece.published + 800 * DAY).encode()))


def test_a_seed_makes_one_world(world: World) -> None:
    assert World(SPEC).day("cna", TODAY) == world.day("cna", TODAY)
    assert World(replace(SPEC, seed=2)).day("cna", TODAY) != world.day("cna", TODAY)


def test_cna_has_two_series_with_gaps(world: World) -> None:
    numbers = [int(piece.id[8:]) for piece in World(Spec()).day("cna", TODAY)]
    low = [number for number in numbers if number < 5000]
    assert 170 <= len(low) <= 450 < max(low) + 100
    assert any(number > 5000 for number in numbers)
    assert max(low) > len(low)


@pytest.mark.parametrize("publisher", PUBLISHERS)
def test_listings_name_what_they_show(world: World, publisher: str) -> None:
    time = world.start + 3 * DAY
    for url, window in windows(world, publisher).items():
        text, type = listing(world, url, time)
        kind = HtmlResponse if "html" in type else XmlResponse
        urls = [urlsplit(link.url)._replace(query="").geturl() for link in read_listing(kind(url, body=text.encode()))]
        pieces = named(world, publisher, window, time)
        other = "/zh-hant/" in url or "/tw/" in url
        expected = {url_of(publisher, (piece.twin if other else piece).state(time).path) for piece in pieces}
        assert expected <= set(urls)
        assert len(expected) == len(pieces) > 10


@pytest.mark.parametrize("publisher", PUBLISHERS)
def test_every_address_leads_to_its_article(world: World, publisher: str) -> None:
    for piece in world.day(publisher, TODAY):
        for state in piece.states:
            assert find(world, publisher, state.path) == piece


# The server.


def asked_of(press: Press, url: str, monkeypatch: pytest.MonkeyPatch, time: float, **headers: str):
    monkeypatch.setattr("tests.press.server.now", lambda: time)
    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return press.respond(parts.netloc, path, headers)


def test_what_has_not_changed_is_304(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    press, time = Press(world), world.start + DAY
    url = "https://rss.dw.com/rdf/rss-chi-all"
    _, first = asked_of(press, url, monkeypatch, time)
    condition = {"if-none-match": first.headers["ETag"]}
    asked, again = asked_of(press, url, monkeypatch, time + 1, **condition)
    assert (first.status, again.status, asked.conditional, asked.whole) == (200, 304, True, True)
    _, later = asked_of(press, url, monkeypatch, time + DAY, **condition)
    assert later.status == 200


def test_the_wayback_machine_has_what_expired(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    press, time = Press(world), world.start + DAY
    query = "url=www.cna.com.tw/news/aipl/202311&matchType=prefix&fl=timestamp,original"
    _, answer = asked_of(press, f"https://web.archive.org/cdx/search/cdx?{query}", monkeypatch, time)
    stamp, original = answer.body.decode().splitlines()[0].split()
    asked, copy = asked_of(press, f"https://web.archive.org/web/{stamp}id_/{original}", monkeypatch, time)
    assert (copy.status, asked.id) == (200, original[-17:-5])
    assert reader("cna").read(HtmlResponse(original, body=copy.body)).id == asked.id


def test_the_wayback_machine_closes_for_those_who_go_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    press = Press(world)
    question = "https://web.archive.org/cdx/search/cdx?url=www.cna.com.tw/news/aipl/202603020001.aspx&output=json"

    def ask(time: float) -> tuple[int, str]:
        asked, answer = asked_of(press, question, monkeypatch, world.start + time)
        assert "Retry-After" not in answer.headers
        return asked.status, asked.fault

    assert {ask(second) for second in range(0, 1000, 3)} == {(200, "")}
    quickly = [ask(1000 + second) for second in range(100)]
    assert quickly.count((429, "too-often")) == 1
    assert quickly[-1] == (0, "closed")
    assert ask(1000 + HOUR) == (0, "closed")
    assert ask(1000 + 2 * HOUR) == (200, "")


def test_about_so_many_requests_fail(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    press = Press(world, faults=0.2)
    url = "https://www.rfi.fr/cn/rss"
    answers = [asked_of(press, url, monkeypatch, world.start + second)[0] for second in range(500)]
    assert 70 < sum(bool(asked.fault) for asked in answers) < 130
    assert {asked.fault for asked in answers} >= {"500", "503", "503-later", "429", "reset", "cut"}


# What is measured.


def test_spans() -> None:
    assert measure.without([(0, 10)], [(2, 3), (5, 6)]) == [(0, 2), (3, 5), (6, 10)]
    assert measure.overlap([(0, 10)], [(8, 12)]) == 2
    assert measure.length([(0, 2), (1, 3)]) == 3
    assert measure.shrunk([(0, 10 * HOUR), (20 * HOUR, 21 * HOUR)]) == [(3 * HOUR, 7 * HOUR)]


def served(piece: Piece, time: float, state: int = 0) -> Asked:
    asked = Asked(time, "www.cna.com.tw", piece.states[state].path, False, 200)
    asked.id, asked.state = piece.id, state
    return asked


def copy_of(piece: Piece, state: int = 0, **other: object) -> measure.Copy:
    told = piece.states[state]
    url, body = url_of(piece.publisher, told.path), measure.body_of(piece, told)
    return replace(measure.Copy(piece.id, url, told.title, piece.published, body, 1), **other)


@pytest.fixture
def edited(world: World) -> Piece:
    """Return an article whose first change is of its text."""
    pieces = (piece for piece in world.between("cna", world.start, world.start + 9 * DAY) if len(piece.states) > 1)
    return next(piece for piece in pieces if piece.states[1].paragraphs != piece.states[0].paragraphs)


def test_verdicts_find_what_is_wrong(world: World, edited: Piece) -> None:
    def judged(*copies: measure.Copy, state: int = 0) -> measure.Verdicts:
        return measure.verdicts(copies, world, "cna", [served(edited, 0, state)])

    right = copy_of(edited)
    assert judged(right) == measure.Verdicts({edited.id})
    assert "served last" in judged(right, state=1).wrong[0]
    assert "published" in judged(replace(right, published=1.0)).wrong[0]
    assert "never published" in judged(replace(right, body="<p>x</p>")).wrong[0]
    assert "never published" in judged(replace(right, title="x")).wrong[0]
    assert "is 2" in judged(replace(right, id="1")).wrong[0]
    assert "nobody" in judged(replace(right, url="https://www.cna.com.tw/news/aipl/202603029999.aspx")).wrong[0]
    assert judged(right, replace(right, id="other")).twice


def test_edits_are_counted(world: World, edited: Piece) -> None:
    first = edited.published + HOUR / 2
    log = [served(edited, first), served(edited, first + 80 * HOUR, 1)]

    def counted(revisions: int, looks: list[Asked], body: str = "x") -> measure.Edits:
        copies = [copy_of(edited, revisions=revisions, body=body)]
        return measure.edits(copies, world, "cna", looks, first + 100 * HOUR)

    assert (counted(2, log).served, counted(2, log).kept, counted(2, log).false) == (1, 1, 0)
    assert (counted(1, log).served, counted(1, log).kept) == (1, 0)
    assert (counted(2, log[:1]).served, counted(2, log[:1]).false) == (0, 1)
    assert counted(1, log[:1]).due > counted(1, log[:1]).seen


def test_manners_are_judged() -> None:
    def asked(time: float, path: str, later: float = 0, host: str = "www.cna.com.tw") -> Asked:
        return Asked(time, host, path, False, 200, later=later)

    assert not measure.manners([asked(0, "/a"), asked(2, "/b"), asked(2, "/c", host="www.dw.com")]).early
    assert len(measure.manners([asked(0, "/a"), asked(0.5, "/b")]).early) == 1
    assert len(measure.manners([asked(0, "/a", later=60), asked(30, "/b"), asked(61, "/c")]).early) == 1
    assert len(measure.manners([asked(0, "/a", host="www.rfi.fr"), asked(3, "/b", host="www.rfi.fr")]).early) == 1
    assert measure.manners([asked(0, "/cna2018api/api/WNewsList")]).forbidden
    often = [Asked(time, "web.archive.org", "/cdx/", False, 429, "too-often") for time in (0, 70)]
    assert "too often" in measure.manners(often).early[0]


def test_what_is_asked_for_again_is_told() -> None:
    def asked(path: str, status: int = 200, fault: str = "") -> Asked:
        return Asked(0, "www.cna.com.tw", path, False, status, fault)

    again = [asked("/robots.txt"), asked("/a.xml"), asked("/b", 503), asked("/c", fault="cut"), asked("/d", 404)] * 2
    assert measure.repeated(again) == ["https://www.cna.com.tw/d"]
    assert measure.repeated([*again, asked("/b"), asked("/b", 503)])[-1] == "https://www.cna.com.tw/b"


def made_up(world: World, *hours: int, listing: str = "https://www.rfi.fr/cn/rss") -> Played:
    """Return runs at some hours, at which one listing is had."""
    played = Played(Plan("rfi", ""), start=world.start, end=world.start + 30 * DAY)
    parts = urlsplit(listing)
    for hour in hours:
        time = world.start + hour * HOUR
        played.log.append(Asked(time, parts.netloc, parts.path, False, 200))
        played.runs.append(Run(time, time + 60, slice(0, 0), [], {}, 0))
    return played


def test_what_no_listing_shows_is_uncovered(world: World) -> None:
    # At 15 articles a day, 25 reach back more than a day, and less than three.
    often, seldom = made_up(world, *range(0, 120, 24)), made_up(world, 0, 24, 120)
    assert len(measure.covered(often, world)) == 1
    first, second = measure.covered(seldom, world)
    assert 24 * HOUR < second[0] - first[1] < 96 * HOUR
    # What RFI's months still give is no gap; while RFI refuses everybody, it is.
    assert measure.gaps(seldom, world) == []
    seldom.plan = Plan("rfi", "", blocked=(0, 1000))
    assert measure.gaps(seldom, world) == [(first[1], second[0])]


def test_what_was_never_named_is_not_wanted(world: World) -> None:
    played = made_up(world, 24)
    wanted = measure.obtainable(played, world)
    assert wanted
    assert all(piece.shown <= played.runs[0].start < piece.gone for piece in wanted.values())
    assert measure.rss_only(played, world) <= {piece.id for piece in named(*at_feed(world, played.runs[0].start))}


def at_feed(world: World, time: float):
    return world, "rfi", windows(world, "rfi")["https://www.rfi.fr/cn/rss"], time


# The project in this world.


def plan_of(publisher: str, folder: Path, **other: object) -> Plan:
    return replace(Plan(publisher, str(folder), SPEC, 36, outages=((20, 26),), quiet=True), **other)


@pytest.mark.parametrize("publisher", PUBLISHERS)
def test_a_day_and_a_half(world: World, publisher: str, tmp_path: Path) -> None:
    played = play(plan_of(publisher, tmp_path))
    copies = measure.archived(tmp_path, publisher)
    found = measure.verdicts(copies, world, publisher, played.log)
    wanted = measure.obtainable(played, world)
    assert len(wanted) > 20
    assert sorted(wanted.keys() - found.stored) == []
    assert (found.wrong, found.twice) == ([], [])
    edits = measure.edits(copies, world, publisher, played.log, played.end)
    assert (edits.served - edits.kept, edits.false, edits.lost) == (0, 0, 0)
    manners = measure.manners(played.log[: played.runs[-1].requests.stop])
    assert (manners.early, manners.forbidden) == ([], [])
    assert not [asked.url for asked in played.log[played.quiet.requests] if asked.id]
    assert played.written == 0


@pytest.mark.parametrize(("publisher", "edition"), [("dw", "zh-hant"), ("rfi", "tw")])
def test_an_edition_is_stored_once_at_its_own_addresses(
    world: World, publisher: str, edition: str, tmp_path: Path
) -> None:
    played = play(Plan(publisher, str(tmp_path), SPEC, 4, arguments=(("edition", edition),)))
    copies = measure.archived(tmp_path, publisher)
    found = measure.verdicts(copies, world, publisher, played.log)
    assert sorted(measure.obtainable(played, world).keys() - found.stored) == []
    assert (found.wrong, found.twice, len(found.stored) > 10) == ([], [], True)
    assert {f"/{edition}/" in copy.url for copy in copies} == {True}


def test_a_plan_plays_the_same_way_each_time(tmp_path: Path) -> None:
    one, other = (play(plan_of("dw", tmp_path / name, hours=12, quiet=False)).log for name in ("one", "other"))
    assert one == other
    assert len(one) > 30
    assert date.fromtimestamp(one[-1].time) == TODAY
