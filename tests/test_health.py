"""What is usual, what leaves it, and what is said of that."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import comb, log10
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from scrapy.utils.project import get_project_settings

from newsarchive.coverage import Span
from newsarchive.health import Disk, Rate, Rhythm, Run, Thresholds, Verdict, band, judged, recent, room
from newsarchive.health.checks import failing, gaps, last_run, late, listings, silent
from newsarchive.health.drift import drift
from tests.fortnight.newsroom import CHANGES, Newsroom

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LIMITS = Thresholds()
FEED = "https://www.rfi.fr/cn/rss"


def run(hours_ago: float, **said: Any) -> Run:
    """Return a run that began so many hours ago."""
    started = NOW - hours_ago * HOUR
    account = {
        "kind": "crawl",
        "publisher": "rfi",
        "purpose": "all",
        "finish": "finished",
        "scheduled": 20,
        "stored": 3,
        "revised": 1,
        "unchanged": 16,
        "refused": {},
        "failed": {},
        "layouts": {},
        "listings": [{"url": FEED, "links": 20}],
        "manners": {},
        "failures": [],
        **said,
    }
    return Run(started, started + HOUR / 6, account)


def hourly(days: float = 7, **said: Any) -> list[Run]:
    """Return the runs of some days up to an hour ago."""
    return [run(hours, **said) for hours in range(int(days * 24), 0, -1)]


def problems(verdicts: list[Verdict]) -> list[str]:
    return [str(verdict.problem) for verdict in verdicts if verdict.problem]


# Bands.


def exact(hits: int, of: int, usual_of: int) -> float:
    """Return the chance of at least so many hits where there were none of so many: the integral of a binomial."""
    # A beta distribution of parameters 0.5 and usual_of + 0.5, by summing over its quantiles.
    steps = 200_000
    total = weight = 0.0
    for step in range(steps):
        p = ((step + 0.5) / steps) ** 2 * 0.1
        density = p**-0.5 * (1 - p) ** (usual_of - 0.5) * p**0.5
        tail = sum(comb(of, k) * p**k * (1 - p) ** (of - k) for k in range(hits, of + 1))
        total += density * tail
        weight += density
    return total / weight


@pytest.mark.parametrize(("hits", "of"), [(1, 1), (2, 3), (3, 3)])
def test_what_never_happened_is_as_telling_as_the_time_was_long(hits: int, of: int) -> None:
    usual = band([Rate(0, 5)] * 200)
    assert usual.surprise(Rate(hits, of)) == pytest.approx(-log10(exact(hits, of, 1000)), rel=0.15)
    assert band([Rate(0, 5)] * 20).surprise(Rate(hits, of)) < usual.surprise(Rate(hits, of))


def test_groups_that_differ_make_the_band_wide() -> None:
    alike, unlike = [Rate(5, 10)] * 40, [Rate(0, 10), Rate(10, 10)] * 20
    assert band(alike).mean == band(unlike).mean
    assert band(alike).surprise(Rate(30, 30)) > 6
    assert band(unlike).surprise(Rate(30, 30)) < 1


def test_a_rate_is_surprising_on_both_sides() -> None:
    usual = band([Rate(9, 10)] * 100)
    assert usual.surprise(Rate(0, 10)) > 7 > 1 > usual.surprise(Rate(9, 10))
    assert usual.surprise(Rate(0, 0)) == 0


def test_what_is_usual_is_seldom_surprising() -> None:
    chance = Random(1)
    groups = []
    for _ in range(300):
        p = chance.betavariate(6, 14)
        groups.append(Rate(sum(chance.random() < p for _ in range(12)), 12))
    usual = band(groups[:200])
    surprises = sorted(usual.surprise(rate) for rate in groups[200:])
    assert surprises[-1] < 4
    assert surprises[50] < 1


# Drift.


@pytest.fixture(scope="module")
def room_of_60() -> tuple[Newsroom, list[Run]]:
    room = Newsroom(3, 60)
    return room, [room.run(number) for number in range(10 * 24 + 12)]


@pytest.mark.parametrize(
    ("name", "subjects"),
    [
        ("section is gone", {"since_2020 section"}),
        ("summary is gone", {"since_2020 summary"}),
        ("text is cut to a fifth", {"since_2020 short", "revised"}),
        ("page is refused", {"drift"}),
    ],
)
def test_a_changed_layout_is_named_by_the_first_run(
    room_of_60: tuple[Newsroom, list[Run]], name: str, subjects: set[str]
) -> None:
    room, before = room_of_60
    assert problems(list(drift("rfi", before, LIMITS))) == []
    past = [*before, room.run(len(before), CHANGES[name])]
    found = [verdict.problem for verdict in drift("rfi", past, LIMITS) if verdict.problem]
    assert found
    assert {problem.subject for problem in found} <= subjects
    for problem in found:
        assert problem.text.startswith("since_2020: ")
        assert problem.example.startswith("https://www.rfi.fr/cn/")
        assert problem.topic in ("rfi drift since_2020", "rfi drift", "rfi refused drift")


def test_what_follows_a_problem_is_not_what_is_usual(room_of_60: tuple[Newsroom, list[Run]]) -> None:
    room, before = room_of_60
    change = CHANGES["section is gone"]
    past = [*before, *(room.run(len(before) + number, change) for number in range(96))]
    known = replace(LIMITS, since={"rfi drift since_2020 section": past[len(before)].ended})
    assert "rfi drift since_2020 section" in {verdict.key for verdict in drift("rfi", past, known) if verdict.problem}
    mended = [*past, *(room.run(len(past) + number) for number in range(24))]
    verdicts = {verdict.key: verdict for verdict in drift("rfi", mended, known)}
    assert not verdicts["rfi drift since_2020 section"].problem


def test_little_is_known_at_first(room_of_60: tuple[Newsroom, list[Run]]) -> None:
    room, before = room_of_60
    past = [*before[:48], room.run(48, CHANGES["page is refused"])]
    assert list(drift("rfi", past, LIMITS)) == []
    assert list(drift("rfi", [], LIMITS)) == []


def test_a_single_odd_page_wakes_nobody(room_of_60: tuple[Newsroom, list[Run]]) -> None:
    room, before = room_of_60
    odd = room.run(len(before))
    account: dict[str, Any] = orjson.loads(orjson.dumps(odd.account))
    look = account["layouts"]["since_2020"]
    look["refused"], look["examples"]["drift"] = {"drift": 1}, "https://www.rfi.fr/cn/odd"
    assert problems(list(drift("rfi", [*before, replace(odd, account=account)], LIMITS))) == []


# Listings, hosts, failures.


def test_a_listing_must_fail_several_times() -> None:
    failed = {"listings": [{"url": FEED, "failed": "status-500"}]}
    for times, expected in ((1, []), (2, []), (3, ["a listing cannot be read since 2026-11-20 09:00 UTC: status-500"])):
        past = [*hourly(1)[:-times], *(run(hours, **failed) for hours in range(times, 0, -1))]
        (verdict,) = listings("rfi", past, LIMITS)
        assert [verdict.problem.text for _ in [0] if verdict.problem] == expected
        assert verdict.doubtful == (not expected)


def test_another_look_says_nothing_of_what_is_new() -> None:
    empty = run(2, failures=["nothing found where articles must be"])
    past = [*hourly(1)[:-2], empty, run(1, purpose="recheck", listings=[])]
    assert problems(list(last_run("rfi", past))) == ["rfi: nothing was found where articles must be"]


def test_a_listing_that_is_asked_no_more_is_none() -> None:
    failed = {"listings": [{"url": FEED, "failed": "status-404"}]}
    past = [*(run(hours, **failed) for hours in range(90, 80, -1)), *(run(hours, listings=[]) for hours in (40, 39))]
    assert problems(list(listings("rfi", past, LIMITS)))
    assert list(listings("rfi", [*past, run(1, listings=[])], LIMITS)) == []


def test_listings_that_answer_are_well() -> None:
    assert list(listings("rfi", hourly(1), LIMITS)) == [Verdict(f"rfi listing {FEED}")]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, []),
        ({"failures": ["nothing found where articles must be"]}, ["rfi: nothing was found where articles must be"]),
        (
            {"manners": {"blocked": {"www.rfi.fr": "2026-11-20T09:00:00.000Z"}}},
            ["rfi: www.rfi.fr refuses its pages since 2026-11-20 09:00 UTC; for example https://www.rfi.fr/"],
        ),
        (
            {"finish": "storage"},
            ["rfi: the archive could not be written: the disk did not take what was captured"],
        ),
        ({"finish": "clock"}, ["rfi: the archive could not be written: the clock of this machine is wrong"]),
        # Of a listing that could not be had nobody knows whether it has articles; nor of one that was not asked.
        (
            {
                "failures": ["1 × listing/failed/dns", "nothing found where articles must be"],
                "listings": [{"url": FEED, "failed": "dns"}],
            },
            [],
        ),
        (
            {
                "failures": ["1 × listing/failed/empty-listing", "nothing found where articles must be"],
                "listings": [{"url": FEED, "failed": "empty-listing"}],
            },
            ["rfi: nothing was found where articles must be"],
        ),
        # What is said of a host that is called so is not said of the archive.
        ({"failures": ["written.example is to be left alone until 2026-11-20T09:00:00Z"]}, []),
        (
            {"failures": ["the account could not be written: OSError: full"]},
            ["rfi: the archive could not be written: the account could not be written: OSError: full"],
        ),
    ],
)
def test_what_the_last_run_says(said: Mapping[str, Any], expected: list[str]) -> None:
    assert problems(list(last_run("rfi", [*hourly(1), run(0.5, **said)]))) == expected


def test_a_host_that_serves_again_is_well() -> None:
    past = [run(2, manners={"blocked": {"www.rfi.fr": "2026-11-20T09:00:00.000Z"}}), run(1)]
    assert Verdict("rfi blocked www.rfi.fr") in list(last_run("rfi", past))


def test_failures_must_last() -> None:
    some = [run(hours, failed={"timeout": 1} if hours % 5 == 0 else {}) for hours in range(7 * 24, 3, -1)]
    out = {"failed": {"timeout": 15, "dns": 4}, "stored": 0, "unchanged": 0}
    once = [*some, run(3), run(2), run(1, **out)]
    assert problems(list(failing("rfi", once, LIMITS))) == []
    (told,) = problems(list(failing("rfi", [*some, *(run(hours, **out) for hours in (3, 2, 1))], LIMITS)))
    assert told.startswith("rfi: 57 of 60 articles could not be had in 3 runs (15 × timeout, 4 × dns), usually 1.")


def test_failures_that_go_on_do_not_become_usual() -> None:
    out = {"failed": {"timeout": 15, "dns": 4}, "stored": 0, "unchanged": 0}
    past = [*hourly(28)[: 14 * 24], *(run(hours, **out) for hours in range(14 * 24, 0, -1))]
    assert problems(list(failing("rfi", past, LIMITS))) == []
    known = replace(LIMITS, since={"rfi failing": NOW - 14 * DAY + 3 * HOUR})
    assert problems(list(failing("rfi", past, known)))


# Time.


@pytest.mark.parametrize(
    ("hours", "expected"), [(1, []), (2.9, []), (5, ["rfi: no run has ended since 2026-11-20 07:10"])]
)
def test_runs_that_have_stopped(hours: float, expected: list[str]) -> None:
    past = [run(hours + before) for before in range(96, -1, -1)]
    told = problems(list(late("rfi", past, NOW, LIMITS)))
    assert [line.partition(" UTC")[0] for line in told] == expected


@pytest.mark.parametrize(
    ("starts", "expected"),
    [
        # Hours before now, which is noon: not between five and fourteen o'clock.
        ([hours for hours in range(21 * 24, 0, -1) if not 5 < (12 - hours) % 24 < 14], False),
        ([hours for hours in range(21 * 24, 24, -1) if not 5 < (12 - hours) % 24 < 14], True),
        # An outage of ours is no part of a schedule.
        ([*range(21 * 24, 15 * 24, -1), *range(9 * 24, 5, -1)], True),
        # Tried out by hand, and daily from then on.
        ([75.2, 75.1, 75, 74.9, 72, 48, 24], False),
        ([4.4, 4.3, 4.2, 4.1, 4], False),
    ],
)
def test_what_belongs_to_a_schedule_is_not_late(starts: list[float], expected: bool) -> None:
    assert bool(problems(list(late("rfi", [run(hours) for hours in starts], NOW, LIMITS)))) == expected


def test_other_looks_do_not_hide_that_nobody_asks_for_what_is_new() -> None:
    past = [
        *(run(hours) for hours in range(240, 48, -1)),
        *(run(hours, purpose="recheck") for hours in range(48, 0, -1)),
    ]
    assert problems(list(late("rfi", past, NOW, LIMITS)))


def rhythm(silent_for: timedelta, gap: Span | None = None) -> Rhythm:
    """Return the rhythm of two articles an hour by day and none at night, up to a silence."""
    times = [NOW - minutes * timedelta(minutes=30) for minutes in range(28 * 48)]
    times = [time for time in times if 6 <= time.hour < 22 and time <= NOW - silent_for]
    return Rhythm.of(times, NOW, 28 * DAY, [gap] if gap else [])


@pytest.mark.parametrize(("hours", "is_silent"), [(1, False), (4, False), (28, True)])
def test_silence_is_measured_in_articles(hours: float, is_silent: bool) -> None:
    past = [*hourly(1), run(0)]
    told = problems(list(silent("rfi", rhythm(hours * HOUR), past, LIMITS)))
    assert bool(told) == is_silent
    if told:
        assert told == ["rfi: no article since 2026-11-19 08:00 UTC; usually 39 come out in such a time"]


def test_who_cannot_be_asked_is_not_silent() -> None:
    out = [run(hours, listings=[{"url": FEED, "failed": "dns"}]) for hours in range(27, 0, -1)]
    assert problems(list(silent("rfi", rhythm(28 * HOUR), [*hourly(3)[:-27], *out], LIMITS))) == []


def test_nights_are_no_silence() -> None:
    known = rhythm(timedelta())
    night, day = NOW.replace(hour=23), NOW.replace(hour=8)
    assert known.expected(night, night + 6 * HOUR) < 1
    assert known.expected(day, day + 6 * HOUR) == pytest.approx(12, rel=0.1)
    assert known.a_day == pytest.approx(32, rel=0.05)
    assert known.usual_silence() < 3


def test_an_outage_of_ours_does_not_make_silence_usual() -> None:
    times = [time for time in rhythm(timedelta()).published if not NOW - 9 * DAY < time < NOW - 5 * DAY]
    gap = Span(NOW - 9 * DAY, NOW - 5 * DAY)
    assert Rhythm.of(times, NOW, 28 * DAY).usual_silence() > 50
    assert Rhythm.of(times, NOW, 28 * DAY, [gap]).usual_silence() < 3


def test_gaps_of_late_are_problems() -> None:
    old, late_gap, fresh = (Span(NOW - days * DAY, NOW - days * DAY + HOUR) for days in (30, 3, 0.5))
    assert problems(list(gaps("dw", [old, fresh], NOW, LIMITS))) == []
    (told,) = problems(list(gaps("dw", [old, late_gap, fresh], NOW, LIMITS)))
    assert told == "dw: articles may be missing: 2026-11-17 12:00 to 13:00 UTC"


@pytest.mark.parametrize(
    ("disk", "is_short"),
    [
        (Disk(50 * 10**9, 10**12, 10**9), False),
        (Disk(5 * 10**9, 10**12, 10**9), True),
        (Disk(5 * 10**8, 10**12, 0), True),
        (Disk(5 * 10**9, 10**12, 0), False),
    ],
)
def test_room(disk: Disk, is_short: bool) -> None:
    assert bool(problems(list(room(disk, LIMITS)))) == is_short


@pytest.mark.parametrize(
    ("name", "value"),
    [("HEALTH_LATE", "x"), ("HEALTH_PATIENCE", 0), ("HEALTH_PATIENCE", 1.5), ("HEALTH_WINDOW_DAYS", "1e9")],
)
def test_a_threshold_that_is_none_is_named(name: str, value: object) -> None:
    settings = get_project_settings()
    assert Thresholds.of(settings) == LIMITS
    settings.set(name, value)
    with pytest.raises(ValueError, match=f"{name} is no .*number above 0"):
        Thresholds.of(settings)


# Accounts.


def test_accounts_are_read_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()

    def keep(name: str, **said: Any) -> None:
        account = {**run(1).account, "started": "2026-11-20T05:00:00.000Z", "ended": "2026-11-20T05:10:00.000Z", **said}
        (tmp_path / "runs" / name).write_bytes(orjson.dumps(account))

    keep("20261120T050000Z-rfi.json")
    keep("20261120T050000Z-rfi-2.json", started="2026-11-20T05:00:00.500Z")
    keep("20261120T050000Z-rfi-cn.json", publisher="rfi-cn")
    keep("20261120T050001Z-rfi.json", kind="replay")
    keep("20261019T050000Z-rfi.json", started="2026-10-19T05:00:00.000Z")
    (tmp_path / "runs/20261120T050002Z-rfi.json").write_text('{"kind": "crawl"')
    (tmp_path / "runs/20261120T050003Z-rfi.json").write_text('{"kind": "crawl", "publisher": "rfi"}')
    found = recent(tmp_path, "rfi", NOW - 28 * DAY)
    assert [run.started.microsecond for run in found] == [0, 500_000]
    assert recent(tmp_path / "none", "rfi", NOW) == []
    assert len(recent(tmp_path, "rfi", NOW - 28 * DAY, NOW)) == 2
    assert recent(tmp_path, "rfi", NOW - 28 * DAY, datetime(2026, 11, 20, 5, 5, tzinfo=UTC)) == []


LOOK: dict[str, Any] = {
    "read": [1, 2],
    "revised": 1,
    "empty": {"section": [1, 0]},
    "lengths": {"40": [1, 2]},
    "refused": {"video": 1},
    "examples": {},
    "details": {},
}


@pytest.mark.parametrize(
    "said",
    [
        {"started": "0001-01-01T00:00:00+14:00"},
        {"scheduled": None},
        {"stored": -1},
        {"refused": {"video": "many"}},
        {"failed": []},
        {"failures": [7]},
        {"listings": [{"links": 3}]},
        {"listings": ["https://www.rfi.fr"]},
        {"manners": {"blocked": {"www.rfi.fr": 7}}},
        {"manners": []},
        {"layouts": []},
        {"layouts": {"a": {}}},
        {"layouts": {"a": {**LOOK, "read": [1]}}},
        {"layouts": {"a": {**LOOK, "empty": {"section": [2, 0]}}}},
        {"layouts": {"a": {**LOOK, "lengths": {"forty": [1, 2]}}}},
        {"layouts": {"a": {**LOOK, "revised": 3}}},
        {"layouts": {"a": {**LOOK, "examples": None}}},
        {"responses": {"200": 10**400}},
        {"bytes": {"captured": None}},
        {"unfinished": [7]},
    ],
)
def test_an_account_that_is_damaged_keeps_nobody_from_the_others(tmp_path: Path, said: dict[str, Any]) -> None:
    (tmp_path / "runs").mkdir()
    for minute, changes in ((0, {}), (1, said)):
        times = {"started": f"2026-11-20T05:0{minute}:00Z", "ended": "2026-11-20T05:10:00Z"}
        account = {**run(1).account, "layouts": {"a": LOOK}, **times, **changes}
        (tmp_path / f"runs/20261120T050{minute}00Z-rfi.json").write_text(json.dumps(account))
    (found,) = recent(tmp_path, "rfi", NOW - 28 * DAY)
    assert judged("rfi", [found], [], [], NOW, LIMITS).problems == []


@pytest.mark.parametrize(
    ("said", "is_ordinary"),
    [
        ({}, True),
        ({"purpose": "recheck", "listings": []}, True),
        ({"purpose": "backfill"}, False),
        ({"purpose": "addresses", "listings": []}, False),
        # Of runs that did not say so yet.
        ({"purpose": None}, True),
        ({"purpose": None, "backfill": {"since": "2026-01-01"}}, False),
        ({"purpose": None, "listings": []}, False),
    ],
)
def test_ordinary_runs(said: Mapping[str, Any], is_ordinary: bool) -> None:
    assert run(1, **said).is_ordinary == is_ordinary


def test_the_health_of_a_publisher_says_what_is_usual() -> None:
    arrivals = [(time, time + HOUR / 4) for time in rhythm(timedelta()).published]
    past = hourly(10, refused={"video": 1}, responses={"200": 20})
    health = judged("rfi", past, arrivals, [], NOW, LIMITS)
    assert health.problems == []
    assert (health.articles(health.day), health.success(health.day)) == (72, Rate(480, 480))
    assert health.lag() == HOUR / 4
    (refusals,) = health.refusals()
    assert (refusals.reason, refusals.day, round(refusals.usual)) == ("video", 24, 24)
    assert health.listings() == [(FEED, past[-1].started, "")]
    assert dict(health.captures())["2026-11-18"] == 480
    assert health.age == timedelta()


def test_nothing_is_wrong_with_what_is_over() -> None:
    past = [run(hours, failures=["nothing found where articles must be"]) for hours in range(200, 100, -1)]
    assert {problem.kind for problem in judged("rfi", past, [], [], NOW, LIMITS).problems} == {"nothing", "late"}
    assert judged("rfi", past, [], [], NOW, replace(LIMITS, ended=frozenset(["rfi"]))).problems == []


def test_nothing_is_said_of_what_never_ran() -> None:
    health = judged("rfi", [], [], [], NOW, LIMITS)
    assert (health.problems, health.last, health.age, health.lag(), health.refusals()) == ([], None, None, None, [])


@pytest.mark.parametrize("change", [lambda run: run, lambda run: run.account.update(layouts={})], ids=["as-is", "old"])
def test_accounts_from_before_there_were_layouts_are_no_drift(
    room_of_60: tuple[Newsroom, list[Run]], change: Callable[[Run], object]
) -> None:
    _, before = room_of_60
    past = [replace(one, account=dict(one.account)) for one in before]
    for one in past[:-24]:
        change(one)
    assert problems(list(drift("rfi", past, LIMITS))) == []


def test_a_server_that_says_no_more_what_is_unchanged_is_no_drift(room_of_60: tuple[Newsroom, list[Run]]) -> None:
    """Pages that were answered with 304 were not read; now all are, and most of them are as they were."""
    _, before = room_of_60
    past: list[Run] = []
    for run in before:
        account: dict[str, Any] = orjson.loads(orjson.dumps(run.account))
        for look in account["layouts"].values():
            look["read"][1] = look["revised"]
            look["empty"] = {name: [new, 0] for name, (new, _) in look["empty"].items()}
            look["lengths"] = {at: [new, 0] for at, (new, _) in look["lengths"].items()}
        past.append(replace(run, account=account))
    past[-24:] = before[-24:]
    for number in range(1, 25):
        assert problems(list(drift("rfi", past[: len(past) - 24 + number], LIMITS))) == []
