"""Plays a month of three publishers and prints how well the project did: ``python -m tests.press SEED=1 DAYS=30``.

Exits with 1 if a figure is not what it must be. Archives and logs stay in the folder that
PRESS names (by default ``/dev/shm/press``, else ``/tmp/press``), to look at what went wrong.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random
from time import perf_counter
from typing import TypeVar

from scrapy.utils.project import get_project_settings

from tests.press import measure
from tests.press.play import Plan, Played, play
from tests.press.world import DAY, PUBLISHERS, Spec, World

Given, Result = TypeVar("Given"), TypeVar("Result")

FOLDER = Path(os.environ.get("PRESS") or ("/dev/shm/press" if Path("/dev/shm").is_dir() else "/tmp/press"))
#: Editions that are not the spiders' default.
OTHERS = (("dw", "zh-hant"), ("rfi", "tw"))
KILLS = 5
#: Requests under way at once: one at the publisher, one at the Wayback Machine.
MOST_LOST = 2
#: Days within which a back-fill must be complete.
MOST_DAYS = 20


class Report:
    """Prints tables, and remembers which figures miss."""

    def __init__(self) -> None:
        self.missed: list[str] = []

    def title(self, text: str) -> None:
        """Begin a table."""
        print(f"\n{text}\n{'-' * len(text)}", flush=True)

    def row(self, name: str, told: str, problems: list[str] | None = None) -> None:
        """Print a figure, and what is wrong with it."""
        print(f"  {name:<34}{told}{'' if not problems else '   <- missed'}", flush=True)
        for problem in (problems or [])[:5]:
            print(f"      {problem}")
        if problems:
            self.missed.append(name)


def share(part: float, whole: float) -> str:
    """Return a percentage."""
    return f"{part / whole:8.2%}" if whole else "     n/a"


def month(spec: Spec, publisher: str, days: int) -> Plan:
    """Return the plan of the month: a 10-hour and, if there is room, a 9-day outage."""
    outages = [(2 * 24 + 3, 2 * 24 + 13)] if days >= 4 else []
    if days >= 16:
        outages.append((5 * 24, 14 * 24))
    return Plan(publisher, str(FOLDER / publisher), spec, days * 24, outages=tuple(outages), quiet=True)


def show_month(report: Report, spec: Spec, days: int) -> None:
    """Print Shows 1 to 4."""
    plans = [month(spec, publisher, days) for publisher in PUBLISHERS]
    for played in side_by_side(played_afresh, plans):
        plan = played.plan
        outages = ", ".join(f"hours {first} to {last}" for first, last in plan.outages) or "none"
        told = f"{days} days, {len(played.runs)} runs, {plan.faults:.0%} failing, outages: {outages}"
        report.title(f"{plan.publisher}: {told}")
        show_articles(report, played)
        show_gaps(report, played)
        show_edits(report, played)
        show_manners(report, played)


def show_articles(report: Report, played: Played) -> None:
    """Print recall and precision of articles, beside those of the RSS-only way."""
    world, publisher = World(played.plan.spec), played.plan.publisher
    log = played.log
    wanted = measure.obtainable(played, world)
    found = measure.verdicts(measure.archived(Path(played.plan.archive), publisher), world, publisher, log)
    missing = sorted(wanted.keys() - found.stored)
    old = measure.rss_only(played, world) & wanted.keys()
    report.row("articles obtainable", f"{len(wanted):8}")
    told = [f"{id}, published {measure.moment(wanted[id].published)}" for id in missing]
    report.row("recall", share(len(wanted) - len(missing), len(wanted)), told)
    correct = len(found.stored) - len(found.wrong) - len(found.twice)
    report.row("precision", share(correct, len(found.stored)), [*found.twice, *found.wrong])
    report.row("stored in part", f"{len(found.partial):8}")
    report.row("recall of RSS only", share(len(old), len(wanted)))


def show_gaps(report: Report, played: Played) -> None:
    """Print recall and precision of gaps."""
    truth = measure.gaps(played, World(played.plan.spec))
    told = measure.reported(Path(played.plan.archive), played.plan.publisher)
    if told is None:
        report.row("gaps", "     n/a", ["the index tells of none"])
        return
    sure, maybe = measure.shrunk(truth), measure.grown(truth)
    missed = [f"not reported: {measure.spell(span)}" for span in measure.without(sure, told) if sure]
    invented = [f"reported, but covered: {measure.spell(span)}" for span in measure.without(told, maybe)]
    hours = f"   ({measure.length(truth) / 3600:.1f} hours in truth, {measure.length(told) / 3600:.1f} reported)"
    report.row("gaps: recall", share(measure.overlap(sure, told), measure.length(sure)) + hours, missed)
    report.row("gaps: precision", share(measure.overlap(told, maybe), measure.length(told)), invented)


def show_edits(report: Report, played: Played) -> None:
    """Print what became of edits and removals."""
    world, publisher = World(played.plan.spec), played.plan.publisher
    copies = measure.archived(Path(played.plan.archive), publisher)
    found = measure.edits(copies, world, publisher, played.log, played.end)
    report.row(
        "edits to be seen at re-checks", f"{found.due:8}, seen {found.seen} ({found.seen / max(found.due, 1):.1%})"
    )
    lost = [f"{found.served - found.kept} are missing"] if found.kept < found.served else None
    report.row("edits served, of them revisions", f"{found.served:8}, {found.kept} kept", lost)
    report.row("false revisions", f"{found.false:8}", ["a text that did not change"] if found.false else None)
    gone = ["a copy is gone"] if found.lost else None
    report.row("vanished, of them lost", f"{found.vanished:8}, {found.lost} lost", gone)


def show_manners(report: Report, played: Played) -> None:
    """Print how polite it was, and what a run with nothing new costs."""
    runs = played.log[: played.runs[-1].requests.stop]
    found = measure.manners(runs)
    stored = sum(run.account.get("stored", 0) for run in played.runs)
    report.row("requests", f"{found.requests:8}, {found.requests / max(stored, 1):.2f} per new article")
    report.row("early requests", f"{len(found.early):8}", found.early)
    report.row("forbidden paths asked for", f"{len(found.forbidden):8}", found.forbidden)
    failed = [f"{measure.moment(run.start)}: {why}" for run in played.runs for why in run.failures]
    report.row("runs with failures", f"{sum(bool(run.failures) for run in played.runs):8}")
    print("".join(f"      {why}\n" for why in failed[:3]), end="")
    if quiet := played.quiet:
        count = quiet.requests.stop - quiet.requests.start
        told = f"{count:8} requests, {quiet.end - quiet.start:.0f} s simulated, {quiet.seconds:.2f} s real"
        more = [asked.url for asked in played.log[quiet.requests] if asked.id]
        report.row("a run with nothing new", told, more)
        report.row("bytes it wrote to posts", f"{played.written:8}", ["posts were written"] if played.written else None)


def played_afresh(plan: Plan) -> Played:
    """Play a plan with an empty archive."""
    shutil.rmtree(plan.archive, ignore_errors=True)
    return play(plan)


def backfill_plan(spec: Spec, publisher: str, name: str) -> Plan:
    """Return the back-fill of a month: a recent one, but for CNA one of which only the Wayback Machine has the text.

    The same command is given day after day until it says that nothing is left.
    """
    since = date(2023, 11, 1) if publisher == "cna" else date(2025, 11, 1)
    arguments = (("since", str(since)), ("until", str(since + timedelta(days=29))))
    # A smaller newsroom: what counts is how it ends, not how long it takes.
    spec = replace(spec, cna=(40, 60), dw=10, rfi=15, dw_reach=1500)
    archive = str(FOLDER / f"{publisher}-{name}")
    return Plan(publisher, archive, spec, MOST_DAYS * 24, 24, faults=0.02, arguments=arguments, backfill=True)


def show_backfill(report: Report, spec: Spec) -> None:
    """Print Show 5: a month that is killed and taken up again, next to one that is not."""
    for whole, parts, again in side_by_side(lambda publisher: backfilled(spec, publisher), PUBLISHERS):
        since, until = (given for _, given in whole.plan.arguments)
        killed = sum(part.killed for part in parts)
        report.title(f"{whole.plan.publisher}: back-fill of {since} to {until}, killed {killed} times")
        show_same(report, whole, parts)
        show_month_of(report, whole)
        show_cost(report, whole, parts, again)


def backfilled(spec: Spec, publisher: str) -> tuple[Played, list[Played], Played]:
    """Return a back-fill, the parts of one that was killed again and again, and the first one asked for once more."""
    chance = Random(f"kill {spec.seed} {publisher}")
    whole = played_afresh(backfill_plan(spec, publisher, "whole"))
    plan = backfill_plan(spec, publisher, "killed")
    shutil.rmtree(plan.archive, ignore_errors=True)
    # It may take fewer requests than the other: what is known of some articles may tell of others.
    share_of_one = len(measure.of_month(whole, World(whole.plan.spec))) / (KILLS + 1)
    parts: list[Played] = []
    for number in range(KILLS + 1):
        after = max(1, int(share_of_one * chance.uniform(0.3, 1))) if number < KILLS else 0
        parts.append(play(replace(plan, kill=after, begin=day_after(parts[-1]) if parts else 0)))
    return whole, parts, play(replace(whole.plan, begin=day_after(whole)))


def day_after(played: Played) -> float:
    """Return when the day after the end of a play begins, in seconds after the world's start."""
    return ((played.end - World(played.plan.spec).start) // DAY + 1) * DAY


def show_same(report: Report, whole: Played, parts: list[Played]) -> None:
    """Print whether both ways came to their end, and how far their archives are the same."""
    ends = [played.runs[-1].account["backfill"]["left"] for played in (whole, parts[-1])]
    left = [
        f"left: {end}" for end, played in zip(ends, (whole, parts[-1]), strict=True) if not played.runs[-1].complete
    ]
    killed = sum(part.killed for part in parts)
    left += [] if killed == KILLS else [f"killed {killed} times, not {KILLS}"]
    report.row("runs until nothing was left", f"{len(whole.runs):8}, {sum(len(part.runs) for part in parts)}", left)
    one, other = (digests(Path(played.plan.archive), whole.plan) for played in (whole, parts[-1]))
    differing = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    report.row("posts, uninterrupted and killed", f"{len(one):8}, {len(other)}", differing or ([] if one else ["none"]))


def show_month_of(report: Report, played: Played) -> None:
    """Print how much of the month a back-fill found, and how much of it is right."""
    world, publisher = World(played.plan.spec), played.plan.publisher
    wanted = set(measure.of_month(played, world))
    found = measure.verdicts(measure.archived(Path(played.plan.archive), publisher), world, publisher, played.log)
    missing = sorted(wanted - found.stored)
    report.row("recall of the month", share(len(wanted & found.stored), len(wanted)), missing)
    wrong = [*found.twice, *found.wrong]
    report.row("precision", share(len(found.stored) - len(wrong), len(found.stored)), wrong)


def show_cost(report: Report, whole: Played, parts: list[Played], again: Played) -> None:
    """Print what a back-fill asked for, and how politely, also where it was killed."""
    world, logs = World(whole.plan.spec), [whole.log, [asked for part in parts for asked in part.log]]
    wanted = len(measure.of_month(whole, world))
    report.row("requests", f"{len(whole.log):8}, {len(logs[1])}; {len(whole.log) / max(wanted, 1):.2f} per article")
    fullest = max(number for log in logs for number in measure.by_day(log).values())
    budget = get_project_settings().getint("REQUESTS_PER_DAY")
    report.row("requests of the fullest day", f"{fullest:8}", [f"more than {budget}"] if fullest > budget else None)
    asked_twice = [measure.repeated(log) for log in logs]
    # What was answered last before a kill may not have been kept.
    problems = [*asked_twice[0], *(asked_twice[1] if len(asked_twice[1]) > KILLS * MOST_LOST else [])]
    report.row("settled, but asked for again", f"{len(asked_twice[0]):8}, {len(asked_twice[1])}", problems)
    early = [line for log in logs for line in measure.manners(log).early]
    report.row("early requests", f"{len(early):8}", early)
    articles = [asked.url for asked in again.log if not asked.path.endswith((".xml", "/robots.txt"))]
    report.row("asked for once more", f"{len(again.log):8} requests", articles)


def digests(archive: Path, plan: Plan) -> dict[str, str]:
    """Return the digest of each post of a back-fill's days, by name; a sitemap may name what lies before and after."""
    given, posts = dict(plan.arguments), archive / "_posts"
    files = (file for file in posts.rglob("*.md") if given["since"] <= file.name[:10] <= given["until"])
    return {str(file.relative_to(posts)): sha256(file.read_bytes()).hexdigest() for file in files}


def side_by_side(do: Callable[[Given], Result], given: Iterable[Given]) -> Iterator[Result]:
    """Do something for each of several, as many at a time as there are processors, and yield what comes of it."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        yield from pool.map(do, given)


def show_editions(report: Report, spec: Spec) -> None:
    """Print what becomes of articles in two scripts: each is stored once, in the one that was asked for first."""
    for first, copies, second in side_by_side(lambda given: in_editions(spec, *given), OTHERS):
        publisher, edition, world = first.plan.publisher, first.plan.edition, World(spec)
        report.title(f"{publisher}: a day of edition {edition}, then three hours of the other one in the same archive")
        wanted = measure.obtainable(first, world)
        found = measure.verdicts(copies, world, publisher, first.log)
        missing = sorted(wanted.keys() - found.stored)
        report.row("recall", share(len(wanted) - len(missing), len(wanted)), missing or ([] if wanted else ["none"]))
        wrong = [*found.twice, *found.wrong]
        report.row("precision", share(len(found.stored) - len(wrong), len(found.stored)), wrong)
        strange = [copy.url for copy in copies if f"/{edition}/" not in copy.url]
        report.row("stored at the other address", f"{len(strange):8}", strange)
        after = measure.archived(Path(first.plan.archive), publisher)
        found = measure.verdicts(after, world, publisher, [*first.log, *second.log])
        twins = sum(run.account["refused"].get("twin", 0) for run in second.runs)
        told = f"{len(found.twice):8}, {twins} refused as twins, {len(after) - len(copies)} new"
        report.row("stored twice", told, [*found.twice, *found.wrong])


def in_editions(spec: Spec, publisher: str, edition: str) -> tuple[Played, list[measure.Copy], Played]:
    """Return a day of an edition, what was archived then, and some hours of the default edition after it."""
    plan = Plan(publisher, str(FOLDER / f"{publisher}-{edition}"), spec, arguments=(("edition", edition),))
    first = played_afresh(plan)
    copies = measure.archived(Path(plan.archive), publisher)
    return first, copies, play(replace(plan, arguments=(), hours=3, begin=DAY))


def show_block(report: Report, spec: Spec, days: int) -> None:
    """Print Show 7: RFI refuses its pages for a week, or for a third of the time if there is less."""
    start = 24 if days < 14 else 72
    length = min(7 * 24, max(days * 24 // 3, 12))
    plan = Plan("rfi", str(FOLDER / "rfi-blocked"), spec, start + length + 72, blocked=(start, start + length))
    during = played_afresh(replace(plan, archive=f"{plan.archive}-during", hours=start + length - 1))
    report.title(f"rfi: all pages 403 for {length} hours")
    world = World(spec)
    begin, end = world.start + start * 3600, world.start + (start + length - 2) * 3600
    wanted = {id: piece for id, piece in fed(during, world).items() if begin <= piece.published < end}
    found = measure.verdicts(measure.archived(Path(during.plan.archive), "rfi"), world, "rfi", during.log)
    missing = sorted(wanted.keys() - found.stored)
    report.row("in its feed meanwhile, stored", share(len(wanted) - len(missing), len(wanted)), missing)
    report.row("of them in part", f"{len(found.partial & wanted.keys()):8}")
    refused = [asked for asked in during.log if asked.fault == "blocked"]
    report.row("requests that were refused", f"{len(refused):8}, {len(refused) / length:.1f} an hour")
    after = played_afresh(plan)
    found = measure.verdicts(measure.archived(Path(plan.archive), "rfi"), world, "rfi", after.log)
    alive = {id for id, piece in wanted.items() if piece.lives(after.end)}
    report.row(
        "completed afterwards",
        share(len(alive & found.stored - found.partial), len(alive)),
        sorted(found.partial & alive),
    )
    report.row("wrong or twice", f"{len(found.wrong) + len(found.twice):8}", [*found.twice, *found.wrong])
    early = measure.manners(after.log).early
    report.row("early requests", f"{len(early):8}", early)


def fed(played: Played, world: World) -> dict[str, measure.Piece]:
    """Return what the feed named at runs at which it was had."""
    times = measure.answered(played, ["https://www.rfi.fr/cn/rss"])["https://www.rfi.fr/cn/rss"]
    pieces = (piece for time in times for feed in measure.feeds(world, "rfi", time) for piece in feed)
    return {piece.id: piece for piece in pieces}


def arguments(words: list[str]) -> Iterator[tuple[str, int]]:
    """Yield the numbers that are given as ``NAME=number``, or as a seed alone."""
    for word in words:
        name, _, value = word.rpartition("=")
        yield (name or "SEED").upper(), int(value)


def main(words: list[str]) -> int:
    """Play everything and return the exit status."""
    given = {"SEED": 1, "DAYS": 30, **dict(arguments(words))}
    spec, report = Spec(seed=given["SEED"]), Report()
    began = perf_counter()
    print(f"The press, seed {spec.seed}, from {spec.start}")
    show_month(report, spec, given["DAYS"])
    show_backfill(report, spec)
    show_editions(report, spec)
    show_block(report, spec, given["DAYS"])
    print(
        f"\n{perf_counter() - began:.0f} s. "
        + (f"{len(report.missed)} figures missed" if report.missed else "All held.")
    )
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
