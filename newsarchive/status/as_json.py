"""The status of an archive for machines: names that stay, times in ISO 8601 and UTC, lengths in seconds."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import orjson

from newsarchive.archival import MEANS
from newsarchive.coverage import Span
from newsarchive.health import Rate, Run
from newsarchive.status.facts import DAY
from newsarchive.status.overview import Held, Kept, Overview, Trouble, run_status

__all__ = ["as_json"]


def as_json(told: Overview) -> bytes:
    """Return an overview as one JSON object."""
    disk = told.disk
    content = {
        "generated": told.now,
        "status": int(told.status),
        "means": MEANS[told.status],
        "archive": {
            "folder": str(told.archive),
            "articles": sum(held.holdings.articles for held in told.publishers),
            "disk": {"free": disk.free, "total": disk.total, "bytes_a_day": disk.a_day, "days": disk.days},
            "captures": _captures(told.captures),
            "problems": [_trouble(trouble) for trouble in told.troubles if not trouble.problem.publisher],
        },
        "publishers": [_publisher(held) for held in told.publishers],
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z) + b"\n"


def _publisher(held: Held) -> dict[str, Any]:
    health, holdings = held.health, held.holdings
    since = health.now - DAY
    return {
        "publisher": held.name,
        "label": held.label,
        "status": int(held.status),
        "means": MEANS[held.status],
        **{name: getattr(holdings, name) for name in ("articles", "partial", "revisions", "oldest", "newest")},
        "captures": holdings.captures,
        "capture_files": _captures(held.captures),
        "age": _seconds(health.now - held.newest if held.newest else None),
        "expected_since_newest": health.expected,
        "published": {
            "day": health.rhythm.between(since, health.now),
            "usual": health.rhythm.expected(since, health.now),
        },
        "success": {"day": _rate(health.success(health.day)), "usual": _rate(health.success(health.past))},
        "lag": {"day": _seconds(health.lag(since)), "usual": _seconds(health.lag())},
        "refusals": [
            {
                **{name: getattr(one, name) for name in ("ending", "reason", "day", "usual", "example", "detail")},
                "layouts": list(one.layouts),
            }
            for one in health.refusals()
        ],
        "listings": [{"url": url, "read": read, "failed": why} for url, read, why in health.listings()],
        "responses_by_day": dict(health.captures()),
        "runs": {"day": len(health.day), "day_unwell": len(held.unwell()), "last": health.last and _run(health.last)},
        "gaps": [_span(gap) for gap in health.gaps],
        "unfinished": health.unfinished,
        "days": {
            "first": held.days.first,
            "last": held.days.last,
            "articles": {f"{day}": number for day, number in sorted(held.days.counts.items())},
            "gap_seconds": {f"{day}": _seconds(gap) for day, gap in sorted(held.days.missing.items())},
        },
        "problems": [_trouble(trouble) for trouble in held.troubles],
    }


def _trouble(trouble: Trouble) -> dict[str, Any]:
    return {**trouble.problem.as_json(), "status": int(trouble.status), "since": trouble.since}


def _run(run: Run) -> dict[str, Any]:
    account = run.account
    named = {name: account.get(name) for name in ("run", "finish", "scheduled", "stored", "revised", "unchanged")}
    lost = {"refused": run.ends("refused"), "failed": run.ends("failed")}
    return {**named, **lost, "started": run.started, "ended": run.ended, "status": int(run_status(run))}


def _captures(places: Mapping[str, Kept]) -> dict[str, Any]:
    return {where: kept._asdict() for where, kept in places.items()}


def _rate(rate: Rate) -> dict[str, Any]:
    return {**rate._asdict(), "ratio": rate.hits / rate.of if rate.of else None}


def _seconds(time: timedelta | None) -> float | None:
    return None if time is None else time.total_seconds()


def _span(span: Span) -> list[Any]:
    return [span.start, span.end]
