"""What becomes of layouts that change: how soon somebody is told, and how often for nothing.

Two ways. The press plays weeks of the three publishers with real requests and pages, then changes one layout at noon,
in one way after the other. A newsroom of many moods makes thousands of runs without pages, whose rates wander
as real ones do.
"""

import shutil
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from newsarchive.alerts import Event, Memory
from newsarchive.coverage import Span
from newsarchive.health import Problem, Run, Thresholds, judged, recent
from newsarchive.index import Index
from newsarchive.store import index_file
from tests.fortnight import newsroom
from tests.fortnight.newsroom import Newsroom
from tests.press.__main__ import FOLDER, Report, side_by_side
from tests.press.changes import CHANGES, Change
from tests.press.play import Plan, Played, play
from tests.press.world import HOUR, PUBLISHERS, Spec, World

__all__ = ["main"]

#: Runs after a change within which it must be told: a loud one is told by the first that reads pages, others in a day.
SOON, LATE = 1, 24
#: Changes of newsrooms that every page shows.
PLAIN = ("section is gone", "page is refused")
HERE = "here"
EVER = datetime.fromtimestamp(0, UTC)
#: Of a newsroom: articles a day, and the runs of each.
SIZES, RUNS = (30, 60, 300), 1_000


def main(SEED: int = 1, DAYS: int = 14, **_: int) -> list[str]:
    """Play all, print the tables, and return which figures are not what they must be."""
    report = Report()
    show_press(report, Spec(seed=SEED), DAYS)
    show_newsrooms(report, SEED, RUNS * DAYS // 14)
    return report.missed


class Watch:
    """Looks at an archive after each run, and notes what people are told."""

    def __init__(self, publisher: str) -> None:
        self.publisher = publisher
        self.runs: list[Run] = []
        self.memory = Memory()
        self.events: list[tuple[datetime, Event]] = []

    def look(self, runs: list[Run], arrivals: list[tuple[datetime, datetime]] = ()) -> None:  # type: ignore[assignment]
        """Look at an archive as it was after the last of some runs."""
        now = runs[-1].ended
        gaps = [Span(*map(datetime.fromisoformat, gap)) for gap in runs[-1].account.get("gaps", ())]
        thresholds = Thresholds(since=self.memory.since)
        known = [pair for pair in arrivals if now - thresholds.window <= pair[1] <= now]
        past = [run for run in runs if run.started >= now - thresholds.window]
        health = judged(self.publisher, past, known, gaps, now, thresholds)
        self.memory.look(health.verdicts, now)
        events = self.memory.events(HERE, now)
        self.memory.told(HERE, events)
        self.events += [(now, event) for event in events]

    def broken(self, since: datetime | None = None, until: datetime | None = None) -> list[tuple[datetime, Event]]:
        """Return what people were told to be broken in a time; gaps are true, and no matter of layouts."""
        return [
            (time, event)
            for time, event in self.events
            if event.state == "broken"
            and event.problems[0].kind not in ("gap",)
            and (since is None or time >= since)
            and (until is None or time < until)
        ]


# The press.


def weeks(spec: Spec, publisher: str, days: int, folder: Path = FOLDER) -> Plan:
    """Return the plan of the weeks before the change, with an outage of ten hours."""
    outages = ((2 * 24 + 3, 2 * 24 + 13),) if days > 3 else ()
    return Plan(publisher, str(folder / f"{publisher}-weeks"), spec, days * 24, outages=outages)


def show_press(report: Report, spec: Spec, days: int) -> None:
    """Print false alarms of the weeks, and how soon each change is told."""
    report.title(f"drift, the press: {days} days of hourly runs, 5 % of requests failing, and then a change at noon")
    plans = [weeks(spec, publisher, days) for publisher in PUBLISHERS]
    for watch in side_by_side(watched, plans):
        false = [f"{time:%Y-%m-%d %H:%M}: {event.lines()[0]}" for time, event in watch.broken()]
        report.row(f"{watch.publisher}: false alarms", f"{len(false):8} in {len(watch.runs)} runs", false)
    changes = [(plan, name) for plan in plans for name in CHANGES[plan.publisher]]
    for line in side_by_side(lambda given: noon(*given), changes):
        report.row(*line)


def watched(plan: Plan) -> Watch:
    """Play the weeks of a publisher, and look at each of its runs."""
    shutil.rmtree(plan.archive, ignore_errors=True)
    return watching(play(plan))


def watching(played: Played) -> Watch:
    """Return who looked at an archive after each run of a play, and of those before it."""
    plan, archive = played.plan, Path(played.plan.archive)
    watch = Watch(plan.publisher)
    watch.runs = recent(archive, plan.publisher, EVER)
    with closing(Index(index_file(archive), read_only=True)) as index:
        arrivals = index.arrivals(plan.publisher, EVER)
    for number in range(1, len(watch.runs) + 1):
        watch.look(watch.runs[:number], arrivals)
    return watch


def noon(before: Plan, name: str, hours: int = 36) -> tuple[str, str, list[str]]:
    """Go on for some hours, in which a layout changes at noon; return the line about how soon that was told."""
    change = CHANGES[before.publisher][name]
    archive = Path(f"{before.archive}-{name.replace(' ', '-')}")
    shutil.rmtree(archive, ignore_errors=True)
    shutil.copytree(before.archive, archive)
    at = before.hours + 12
    plan = replace(before, archive=str(archive), hours=hours, begin=before.hours * HOUR, outages=(), changed=(name, at))
    watch = watching(play(plan))
    shutil.rmtree(archive)
    start = datetime.fromtimestamp(World(plan.spec).start + at * HOUR, UTC)
    told = watch.broken(start)
    found = [(time, problem) for time, event in told for problem in event.problems if is_about(problem, change)]
    ends = [run.ended for run in watch.runs if run.started >= start]
    delay = next((number for number, end in enumerate(ends, 1) if found and end >= found[0][0]), 0)
    problems = [f"told: {[event.lines()[0] for _, event in told] or 'nothing'}"]
    if 0 < delay <= (SOON if change.loud else LATE) and found[0][1].example:
        problems = []
    words = f"told after run {delay:2}: {found[0][1].text[:100]}" if found else "not told"
    return f"{plan.publisher}: {name}", words, problems


def is_about(problem: Problem, change: Change) -> bool:
    """Tell whether a problem names the layout, and the field or the reason, of a change."""
    return change.layout in problem.text and problem.subject.rpartition(" ")[2] in change.about


# Newsrooms.


def show_newsrooms(report: Report, seed: int, runs: int) -> None:
    """Print false alarms of newsrooms whose rates wander, and how soon changes are told there."""
    report.title(f"drift, newsrooms of many moods: {runs} runs each, then a change")
    for size, watch, delays in side_by_side(lambda size: moody(seed, size, runs), SIZES):
        false = [f"{time:%Y-%m-%d %H:%M}: {event.lines()[0]}" for time, event in watch.broken()]
        report.row(f"{size} articles a day: false alarms", f"{len(false):8} in {runs} runs", false)
        for name, delay in delays.items():
            told = f"told after run {delay}" if delay else f"not told in {LATE} runs"
            # What half of the pages lack anyway may take its time; what all have is missed at once.
            report.row(f"    {name}", told, [told] if name in PLAIN and not 0 < delay <= SOON else None)


def moody(seed: int, size: int, runs: int) -> tuple[int, Watch, dict[str, int]]:
    """Look at a newsroom after each of its runs, then at each change; return after how many runs that was told."""
    room, watch = Newsroom(seed, size), Watch("rfi")
    # As if it were noon after the last.
    runs -= (runs - 12) % 24
    for number in range(runs):
        watch.runs.append(room.run(number))
        watch.look(watch.runs)
    delays = {}
    for name, change in newsroom.CHANGES.items():
        after = Watch("rfi")
        after.runs, after.memory = list(watch.runs), Memory()
        delays[name] = 0
        for number in range(LATE):
            after.runs.append(room.run(runs + number, change))
            after.look(after.runs)
            if after.broken():
                delays[name] = number + 1
                break
    return size, watch, delays
