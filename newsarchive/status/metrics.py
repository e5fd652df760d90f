"""The status of an archive as metrics of Prometheus, for the textfile collector of its node exporter.

Labels have few values: publishers, kinds of problems, reasons; never an address.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily

from newsarchive.archival import OF_KIND
from newsarchive.health import Refusals
from newsarchive.status.facts import DAY
from newsarchive.status.overview import Held, Overview, run_status
from newsarchive.status.words import plain

__all__ = ["REASONS", "metrics"]

#: Reasons for refusals and failures of a publisher that are told apart; all others together are "other".
REASONS = 40
#: Metrics of a publisher that have no other label, by name: what they are.
OF_PUBLISHER = {
    "articles": "Articles in the archive.",
    "partial_articles": "Articles of which only a feed could be read yet.",
    "revisions": "States of articles' texts.",
    "responses": "Responses that are captured.",
    "newest_article_timestamp_seconds": "When the newest article came out.",
    "overdue_articles": "Articles that usually come out in the time since the newest one.",
    "day_articles": "Articles that came out in the last 24 hours.",
    "usual_day_articles": "Articles that usually come out in such 24 hours.",
    "day_success_ratio": "Share of the addresses asked for in the last day of runs that were had.",
    "usual_success_ratio": "Share of the addresses asked for in the last weeks that were had.",
    "day_lag_seconds": "Median time from publication to first capture, of what was captured in the last 24 hours.",
    "usual_lag_seconds": "Median time from publication to first capture, of the last weeks.",
    "listings": "Listings that were asked.",
    "failed_listings": "Listings that could not be read when they were asked last.",
    "gaps": "Stretches of time of which articles may be missing.",
    "gap_seconds": "Time of which articles may be missing.",
    "unfinished_addresses": "Addresses that could not be had yet.",
    "day_runs": "Runs of the last day.",
    "day_unwell_runs": "Runs of the last day that did not end well.",
    "last_run_timestamp_seconds": "When the last run ended.",
    "last_run_duration_seconds": "How long the last run took.",
    "last_run_status": "How the last run ended, as the exit status of scrapy archive; 0 is well.",
    "publisher_status": "How the publisher's archive is, as the exit status of scrapy status; 0 is well.",
}


class Families:
    """Metrics by name, each with its samples, as ``generate_latest`` collects them."""

    def __init__(self) -> None:
        self.gauges: dict[str, GaugeMetricFamily] = {}

    def set(self, name: str, about: str, value: float | None, **labels: str) -> None:
        """Set a metric; what is not known is left out."""
        if value is None:
            return
        if name not in self.gauges:
            self.gauges[name] = GaugeMetricFamily(f"newsarchive_{name}", about, labels=list(labels))
        self.gauges[name].add_metric(list(labels.values()), value)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the metrics in the order in which they were set first."""
        return self.gauges.values()


def metrics(told: Overview) -> bytes:
    """Return the metrics of an overview in the text format."""
    families = Families()
    families.set("status", "How the archive is, as the exit status of scrapy status; 0 is well.", int(told.status))
    families.set("status_timestamp_seconds", "When these figures were made.", told.now.timestamp())
    disk = told.disk
    families.set("disk_free_bytes", "Room left on the disk of the archive.", disk.free)
    families.set("disk_size_bytes", "Size of the disk of the archive.", disk.total)
    families.set("day_captured_bytes", "Bytes of captures that a day usually adds.", disk.a_day)
    _problems(families, "", (trouble.problem.kind for trouble in told.troubles if not trouble.problem.publisher))
    for held in told.publishers:
        values = dict(_values(held))
        for name, about in OF_PUBLISHER.items():
            families.set(name, about, values[name], publisher=held.name)
        _labelled(families, held)
    return generate_latest(families)


def _values(held: Held) -> Iterator[tuple[str, float | None]]:
    """Yield the values of a publisher's metrics, by name."""
    health, holdings, since = held.health, held.holdings, held.health.now - DAY
    yield from {"articles": holdings.articles, "partial_articles": holdings.partial}.items()
    yield from {"revisions": holdings.revisions, "responses": holdings.captures}.items()
    yield "newest_article_timestamp_seconds", _timestamp(held.newest)
    yield "overdue_articles", health.expected
    yield "day_articles", health.rhythm.between(since, health.now)
    yield "usual_day_articles", health.rhythm.expected(since, health.now)
    for name, runs, lag in (("day", health.day, health.lag(since)), ("usual", health.past, health.lag())):
        rate = health.success(runs)
        yield f"{name}_success_ratio", rate.hits / rate.of if rate.of else None
        yield f"{name}_lag_seconds", lag.total_seconds() if lag is not None else None
    listings = health.listings()
    yield from {"listings": len(listings), "failed_listings": sum(bool(why) for _, _, why in listings)}.items()
    yield "gaps", len(health.gaps)
    yield "gap_seconds", sum((gap.end - gap.start).total_seconds() for gap in health.gaps)
    yield "unfinished_addresses", len(health.unfinished)
    yield from {"day_runs": len(health.day), "day_unwell_runs": len(held.unwell())}.items()
    run = health.last
    yield "last_run_timestamp_seconds", _timestamp(run.ended if run else None)
    yield "last_run_duration_seconds", (run.ended - run.started).total_seconds() if run else None
    yield "last_run_status", int(run_status(run)) if run else None
    yield "publisher_status", int(held.status)


def _labelled(families: Families, held: Held) -> None:
    """Set the metrics of a publisher that have another label."""
    _problems(families, held.name, (trouble.problem.kind for trouble in held.troubles))
    for where, kept in held.captures.items():
        labels = {"publisher": held.name, "where": where}
        families.set("captures_bytes", "Bytes of captures, by where they are kept.", kept.bytes, **labels)
        families.set("capture_files", "Files of captures, by where they are kept.", kept.files, **labels)
    for (ending, reason), (day, usual) in _reasons(held.health.refusals()).items():
        labels = {"publisher": held.name, "ending": ending, "reason": reason}
        families.set("day_refusals", "Pages refused, or not to be had, in the last day of runs.", day, **labels)
        families.set("usual_day_refusals", "Pages that a day usually has refused, or not to be had.", usual, **labels)


def _problems(families: Families, publisher: str, kinds: Iterable[str]) -> None:
    """Set how many problems of each kind there are; those of the archive have no publisher."""
    found = list(kinds)
    for kind in sorted(kind for kind in OF_KIND if (kind == "disk") != bool(publisher)):
        families.set("problems", "What is wrong now, by kind.", found.count(kind), publisher=publisher, kind=kind)


def _reasons(refusals: Iterable[Refusals]) -> Mapping[tuple[str, str], tuple[float, float]]:
    """Return how often each reason was given in the last day and usually, the rarest ones together."""
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for number, one in enumerate(refusals):
        key = one.ending, plain(one.reason) if number < REASONS else "other"
        day, usual = found.get(key, (0, 0.0))
        found[key] = day + one.day, usual + one.usual
    return found


def _timestamp(time: datetime | None) -> float | None:
    return time.timestamp() if time else None
