"""When jobs are due: cron's rules, held against a look at every minute, on days when clocks are changed too."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest

from newsarchive.scheduling.cron import LONGEST, BadCron, Cron, CronTrigger
from tests.fortnight.due import due

#: The day before clocks are changed; Lord Howe moves by half an hour, Samoa left out a day, Beirut changes at midnight.
CHANGES = [
    ("Europe/Paris", "2025-10-25"),
    ("Europe/Paris", "2026-03-28"),
    ("America/New_York", "2025-11-01"),
    ("America/New_York", "2026-03-07"),
    ("Australia/Lord_Howe", "2026-04-04"),
    ("Australia/Lord_Howe", "2026-10-03"),
    ("Asia/Beirut", "2023-03-29"),
    ("Asia/Beirut", "2023-10-28"),
    ("Pacific/Apia", "2011-12-29"),
    ("Asia/Taipei", "2026-01-01"),
]
CRONS = [
    *(
        "0 * * * *",
        "30 * * * *",
        "7 * * * *",
        "45 * * * *",
        "20,50 * * * *",
        "*/15 * * * *",
        "*/7 * * * *",
        "* * * * *",
    ),
    *(
        "30 2 * * *",
        "0 2 * * *",
        "30 1 * * *",
        "15 1,2,3 * * *",
        "0,30 0-3 * * *",
        "59 23 * * *",
        "0 0 * * *",
        "5 4 * * *",
    ),
    *(
        "*/20 1-3 * * *",
        "10 */2 * * *",
        "30 2 * * 0",
        "30 2 * * 7",
        "0 12 13 * 5",
        "0 3 1 * *",
        "15 5 */2 * 1",
        "0 6 * 3,10 6",
    ),
]


@pytest.mark.parametrize(("zone", "day"), CHANGES)
@pytest.mark.parametrize("cron", CRONS)
def test_every_time_comes_when_the_wall_clock_says_so(cron: str, zone: str, day: str) -> None:
    start = datetime.fromisoformat(f"{day} 12:00").replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    end = start + timedelta(days=2)
    found = []
    for time in Cron(cron, ZoneInfo(zone)).after(start - timedelta(minutes=1)):
        if time >= end:
            break
        found.append(time)
    assert found == due(cron, zone, start, end)


@pytest.mark.parametrize(("zone", "day"), [change for change in CHANGES if "Apia" not in change[0]])
@pytest.mark.parametrize("minute", [0, 7, 30, 45])
def test_no_hour_is_skipped_and_none_comes_twice(zone: str, day: str, minute: int) -> None:
    start = datetime.fromisoformat(f"{day} 12:00").replace(tzinfo=ZoneInfo(zone))
    times = [*islice(Cron(f"{minute} * * * *", ZoneInfo(zone)).after(start), 40)]
    steps = {(after - before) / timedelta(minutes=1) for before, after in pairwise(times)}
    # Where the clock moves by half an hour, the hour in which it does is longer or shorter.
    assert steps == {60} or (zone == "Australia/Lord_Howe" and steps <= {30, 37, 53, 60, 90})
    hours = [f"{time.astimezone(ZoneInfo(zone)):%d %H %z}" for time in times]
    assert len({*hours}) == len(hours)


def test_once_a_day_is_once_a_day() -> None:
    for zone, day in CHANGES:
        if zone == "Pacific/Apia":
            # There a whole day is made up for at the beginning of the next.
            continue
        start = datetime.fromisoformat(f"{day} 12:00").replace(tzinfo=ZoneInfo(zone))
        times = [*islice(Cron("30 2 * * *", ZoneInfo(zone)).after(start), 5)]
        days = [f"{time.astimezone(ZoneInfo(zone)):%Y-%m-%d}" for time in times]
        assert len({*days}) == 5


def first(cron: str, zone: str = "UTC") -> str:
    """Return when a cron expression comes first after the beginning of 2026, a Thursday."""
    time = next(Cron(cron, ZoneInfo(zone)).after(datetime(2026, 1, 1, tzinfo=UTC)))
    return f"{time:%a %Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("0 5 * * 0", "Sun 2026-01-04 05:00"),
        ("0 5 * * 7", "Sun 2026-01-04 05:00"),
        ("0 5 * * 1", "Mon 2026-01-05 05:00"),
        ("0 5 * * sat", "Sat 2026-01-03 05:00"),
        ("0 5 10 * 1", "Mon 2026-01-05 05:00"),
        ("0 5 3 * 1", "Sat 2026-01-03 05:00"),
        ("0 5 L * *", "Sat 2026-01-31 05:00"),
        ("0 5 * * 5#2", "Fri 2026-01-09 05:00"),
        ("0 0 29 2 *", "Tue 2028-02-29 00:00"),
        ("0 0 1 FEB *", "Sun 2026-02-01 00:00"),
        ("@hourly", "Thu 2026-01-01 01:00"),
        ("@midnight", "Fri 2026-01-02 00:00"),
        ("@weekly", "Sun 2026-01-04 00:00"),
        ("@monthly", "Sun 2026-02-01 00:00"),
        ("@Yearly", "Fri 2027-01-01 00:00"),
    ],
)
def test_days_are_counted_as_cron_counts_them(cron: str, expected: str) -> None:
    assert first(cron) == expected


@pytest.mark.parametrize(
    ("cron", "why"),
    [
        ("", "five fields are needed (minute, hour, day, month, weekday), not 0"),
        ("0 0 * * * *", "five fields are needed (minute, hour, day, month, weekday), not 6"),
        ("60 * * * *", "'60' is no minute: 0 to 59"),
        ("0 24 * * *", "'24' is no hour: 0 to 23"),
        ("0 0 * * 8", "'8' is no day of week: 0 to 7, or SUN to SAT"),
        ("0 0 * 13 *", "'13' is no month: 1 to 12, or JAN to DEC"),
        ("0 0 31 2 *", "'31' is no day of month: 1 to 31, or L for the last, in a month that has it"),
        ("*/0 * * * *", "'*/0' is no minute: 0 to 59"),
        ("5-1 * * * *", "'5-1' is no minute: 0 to 59"),
        ("@reboot", "no time is called @reboot, but @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually"),
    ],
)
def test_what_is_no_cron_expression_is_told(cron: str, why: str) -> None:
    with pytest.raises(BadCron) as told:
        Cron(cron, ZoneInfo("UTC"))
    assert str(told.value) == why


@pytest.mark.parametrize("cron", ["0 * * * *", "0,2 * * * *", "30 2 * * *"])
def test_jitter_is_always_the_same_and_changes_no_order(cron: str) -> None:
    start = datetime(2025, 10, 25, tzinfo=UTC)
    trigger, other = (CronTrigger(job, cron, "Europe/Paris", 50 * 60) for job in ("one", "other"))
    found = [*islice(trigger.fires(start), 60)]
    assert found == [*islice(CronTrigger("one", cron, "Europe/Paris", 50 * 60).fires(start), 60)]
    assert [fire for fire, _ in found] != [fire for fire, _ in islice(other.fires(start), 60)]
    for (fire, nominal), (later, following) in pairwise(found):
        assert nominal <= fire < min(nominal + timedelta(minutes=50), following)
        assert fire < later
        assert trigger.nominal(fire) == nominal
        assert trigger.get_next_fire_time(fire, fire) == later
        # Also from between the time and its delay.
        assert next(trigger.fires(nominal - timedelta(seconds=1)))[0] <= fire


def test_what_was_missed_long_ago_is_not_counted() -> None:
    trigger, now = CronTrigger("job", "0 0 * * *", "UTC"), datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert trigger.get_next_fire_time(datetime(2020, 1, 1, tzinfo=UTC), now) == datetime(2026, 5, 2, tzinfo=UTC)
    assert now - trigger.get_next_fire_time(datetime(2020, 1, 1, tzinfo=UTC), now) <= LONGEST
    assert trigger.get_next_fire_time(None, now) == datetime(2026, 6, 2, tzinfo=UTC)
