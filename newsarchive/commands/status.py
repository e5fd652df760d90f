"""``scrapy status [PUBLISHER…]``: what the archive holds, how fresh it is, and where something may be missing."""

import argparse
import json
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from scrapy.commands import ScrapyCommand
from scrapy.exceptions import UsageError

from newsarchive.coverage import Span
from newsarchive.frontier import last_account
from newsarchive.index import Holdings, Index, IndexUnusable, RunRow
from newsarchive.store import index_file
from newsarchive.verify import publishers_of

__all__ = ["Command"]

#: Addresses that could not be had yet, of which each is named.
SHOWN = 10


@dataclass(frozen=True)
class Status:
    """What there is to say of a publisher."""

    publisher: str
    holdings: Holdings
    #: The newest run that has ended; None if there is none.
    run: RunRow | None
    gaps: list[Span]
    unfinished: list[dict[str, Any]]

    @property
    def failures(self) -> int:
        """Return how many addresses failed in the last run."""
        return (self.run.counts or {}).get("failed", 0) if self.run else 0


class Command(ScrapyCommand):
    """Prints a few lines a publisher, or JSON."""

    requires_project = True
    requires_crawler_process = False

    def syntax(self) -> str:
        """Return the arguments."""
        return "[PUBLISHER ...]"

    def short_desc(self) -> str:
        """Return what ``scrapy -h`` says."""
        return "Say what the archive holds, how fresh it is, and where something may be missing"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add in which form it is said."""
        super().add_options(parser)
        parser.add_argument("--json", action="store_true", help="print JSON, one object a publisher")

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Print the status of the publishers, or of all."""
        assert self.settings is not None
        archive = Path(self.settings["ARCHIVE_DIR"])
        held = publishers_of(archive)
        if unknown := sorted(set(args) - set(held)):
            told = f"it holds {', '.join(held)}" if held else "it holds nothing"
            raise UsageError(f"{archive} holds nothing of {', '.join(unknown)}: {told}", print_help=False)
        try:
            with closing(Index(index_file(archive), read_only=True)) as index:
                statuses = [status_of(index, archive, publisher) for publisher in args or held]
        except FileNotFoundError:
            print(
                f"{archive}: there is no index yet; run scrapy crawl, or scrapy verify --repair if there are captures"
            )
            self.exitcode = 1
            return
        except IndexUnusable as error:
            print(error)
            self.exitcode = 1
            return
        for status in statuses:
            print(as_json(status) if opts.json else as_text(status, datetime.now(UTC)))


def status_of(index: Index, archive: Path, publisher: str) -> Status:
    """Return the status of a publisher."""
    ended = [run for run in index.runs(publisher) if run.ended]
    account = last_account(archive, publisher)
    return Status(
        publisher=publisher,
        holdings=index.holdings(publisher),
        run=max(ended, key=lambda run: run.started, default=None),
        gaps=index.gaps(publisher),
        unfinished=account.get("unfinished", []),
    )


def as_text(status: Status, now: datetime) -> str:
    """Return the status in lines for people."""
    held, run = status.holdings, status.run
    lines = [f"{status.publisher}: {held.articles} articles, {held.revisions} revisions, {held.captures} captures"]
    if held.partial:
        lines.append(f"  {held.partial} of them in part, as feeds tell of them: their pages could not be had yet")
    if held.oldest and held.newest:
        lines.append(f"  published {held.oldest:%Y-%m-%d %H:%M} to {held.newest:%Y-%m-%d %H:%M} UTC")
    if run and run.ended:
        failed = f", {status.failures} addresses failed" if status.failures else ""
        lines.append(f"  last run {run.ended:%Y-%m-%d %H:%M} UTC, {_ago(now - run.ended)} ago: {run.status}{failed}")
    else:
        lines.append("  no run has ended yet")
    lines += [f"  {gap} UTC may be incomplete" for gap in status.gaps]
    if not status.gaps:
        lines.append("  no gaps are known")
    for entry in status.unfinished[:SHOWN]:
        lines.append(f"  not had yet, since {entry['since'][:16]}: {entry['url']} ({entry['reason']})")
    if len(status.unfinished) > SHOWN:
        lines.append(f"  and {len(status.unfinished) - SHOWN} more addresses that were not had yet")
    return "\n".join(lines)


def as_json(status: Status) -> str:
    """Return the status as one line of JSON; times in ISO 8601."""
    run = status.run
    return json.dumps(
        {
            "publisher": status.publisher,
            **asdict(status.holdings),
            "last_run": run and {"run": run.run, "ended": run.ended, "status": run.status, "counts": run.counts},
            "gaps": [[gap.start, gap.end] for gap in status.gaps],
            "unfinished": status.unfinished,
        },
        default=lambda value: value.isoformat() if isinstance(value, datetime) else dict(value),
        ensure_ascii=False,
    )


def _ago(time: timedelta) -> str:
    """Return a length of time in the unit that people would use."""
    minutes = int(time.total_seconds() // 60)
    return (
        f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours" if minutes < 2880 else f"{time.days} days"
    )
