"""The file of jobs: what is to be archived when. It is right as a whole, or nothing starts.

timezone = "Europe/Paris"

[jobs.hourly]
cron = "7 * * * *"
jitter = "5m"
publishers = ["cna", "rfi"]
budget = "50m"
"""

import re
import tomllib
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from newsarchive.backfill import NoTime, stretch
from newsarchive.duration import seconds
from newsarchive.scheduling import position
from newsarchive.scheduling.cron import BadCron, CronTrigger

__all__ = ["BadJobFile", "Job", "read"]

#: What may be the name of a job, and so of files.
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
SETTING = re.compile(r"[A-Z][A-Z0-9_]*")
#: Bytes: more is not a file of jobs.
LARGEST = 1_000_000

Path_ = tuple[str, ...]


class BadJobFile(ValueError):
    """Says what is wrong, with file, line and column."""


class _Wrong(Exception):
    """What is wrong with a key, where ``item`` is the part of its value that is; none for the key itself."""

    def __init__(self, path: Path_, why: str, *, of_key: bool = False, item: str = "") -> None:
        super().__init__(why)
        self.path, self.of_key, self.item = path, of_key, item


@dataclass(frozen=True)
class Job:
    """A job: when it is due, and what ``scrapy archive`` is given."""

    name: str
    trigger: CronTrigger
    #: In the order of the file; they are not run side by side with other jobs that archive them.
    publishers: tuple[str, ...]
    #: Without the report.
    arguments: tuple[str, ...]

    @property
    def times(self) -> str:
        """Return what makes the times at which it is due: after a change of it, what came before is not missed."""
        return str(self.trigger)


def read(file: Path, known: Sequence[str], now: datetime) -> list[Job]:
    """Return the jobs of a file for these publishers; raise BadJobFile."""
    try:
        # Editors of Windows begin a file with a mark that TOML does not know.
        content = file.read_bytes().removeprefix(BOM_UTF8)
    except OSError as error:
        begin = "; deploy/schedule.toml is one to begin with" if isinstance(error, FileNotFoundError) else ""
        raise BadJobFile(f"{file}: it cannot be read: {error.strerror}{begin}") from error
    if len(content) > LARGEST:
        raise BadJobFile(f"{file}: it is larger than {LARGEST} bytes, which no file of jobs is")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise BadJobFile(f"{file}:{line}:{column}: not UTF-8") from error
    text = text.replace("\r\n", "\n")
    try:
        return _jobs(tomllib.loads(text), known, now)
    except tomllib.TOMLDecodeError as error:
        line, column = position.of_error(error, text)
        why = re.sub(r" \(at .*\)$", "", str(error))
        raise BadJobFile(f"{file}:{line}:{column}: {why[:1].lower()}{why[1:]}") from error
    except _Wrong as error:
        where = position.of_key(text, error.path) if error.of_key else position.of_value(text, error.path, error.item)
        key = ".".join(name if name.isprintable() else repr(name) for name in error.path)
        raise BadJobFile(f"{file}:{where[0]}:{where[1]}: {f'{key}: ' if key else ''}{error}") from error


def _jobs(told: dict[str, Any], known: Sequence[str], now: datetime) -> list[Job]:
    _only(told, (), ("timezone", "jobs"))
    zone = _zone(told.get("timezone", "UTC"), ("timezone",))
    jobs = told.get("jobs")
    if not isinstance(jobs, dict) or not jobs:
        raise _Wrong(("jobs",), 'there are no jobs; begin one with [jobs.hourly] and cron = "7 * * * *"', of_key=True)
    return [_job(name, job, zone, known, now) for name, job in jobs.items()]


def _job(name: str, told: Any, zone: str, known: Sequence[str], now: datetime) -> Job:
    path = ("jobs", name)
    if not NAME.fullmatch(name):
        why = "a job's name has up to 40 small letters, digits, - and _, as files are named after it"
        raise _Wrong(path, why, of_key=True)
    if not isinstance(told, dict):
        raise _Wrong(path, f"a table is needed, as [jobs.{name}] begins one")
    _only(told, path, ("cron", "timezone", "jitter", "publishers", "settings", *OPTIONS))
    trigger = _trigger(name, told, zone, now)
    publishers = _publishers(told, path, known)
    arguments = [*publishers] if "publishers" in told else []
    for option, check in OPTIONS.items():
        if option in told:
            arguments += check(told[option], (*path, option))
    if told.get("push") and not told.get("git"):
        raise _Wrong((*path, "push"), "it goes with git = true", of_key=True)
    _stretch(told, path, now)
    return Job(name, trigger, tuple(publishers), (*arguments, *_settings(told, path)))


def _trigger(name: str, told: dict[str, Any], zone: str, now: datetime) -> CronTrigger:
    path = ("jobs", name)
    if "cron" not in told:
        raise _Wrong(path, 'cron is missing: when is it due? cron = "7 * * * *" is every hour', of_key=True)
    expression = _text(told["cron"], (*path, "cron"))
    zone = _zone(told["timezone"], (*path, "timezone")) if "timezone" in told else zone
    jitter = _seconds(told.get("jitter", "0s"), (*path, "jitter"))
    try:
        trigger = CronTrigger(name, expression, zone, jitter)
    except BadCron as error:
        raise _Wrong((*path, "cron"), f"{expression!r}: {error}") from error
    if timedelta(seconds=jitter) >= (period := trigger.period(now)):
        why = f"{told['jitter']} is not shorter than the time from one run to the next, {period.total_seconds():.0f} s"
        raise _Wrong((*path, "jitter"), why)
    return trigger


def _publishers(told: dict[str, Any], path: Path_, known: Sequence[str]) -> list[str]:
    if "publishers" not in told:
        return list(known)
    path, names = (*path, "publishers"), told["publishers"]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise _Wrong(path, f"a list of publishers is needed: {', '.join(known)}")
    for name in names:
        if name not in known:
            raise _Wrong(path, f"no publisher is called {name!r}, but {', '.join(known)}", item=name)
    return list(dict.fromkeys(names))


def _settings(told: dict[str, Any], path: Path_) -> list[str]:
    """Return settings as arguments; their values, which may be secret, are not told."""
    path, settings = (*path, "settings"), told.get("settings", {})
    if not isinstance(settings, dict):
        raise _Wrong(path, "a table of settings is needed: {NAME = VALUE}")
    words = []
    for name, value in settings.items():
        if not SETTING.fullmatch(name):
            raise _Wrong((*path, name), "a setting's name has capital letters, digits and _ only", of_key=True)
        if name == "ARCHIVE_DIR":
            why = "all jobs have one archive: scrapy schedule -s ARCHIVE_DIR=…"
            raise _Wrong((*path, name), why, of_key=True)
        if not isinstance(value, str | int | float) or "\0" in str(value):
            raise _Wrong((*path, name), "text, a number, true or false is needed")
        words += ["-s", f"{name}={value}"]
    return words


def _stretch(told: dict[str, Any], path: Path_, now: datetime) -> None:
    if "until" in told and "since" not in told:
        raise _Wrong((*path, "until"), "it goes with since", of_key=True)
    if "since" in told and told.get("recheck-only"):
        raise _Wrong((*path, "recheck-only"), "it does not go with since", of_key=True)
    if "since" in told:
        try:
            stretch(told["since"], told.get("until", ""), now)
        except NoTime as error:
            raise _Wrong((*path, error.name), str(error)) from error
        except ValueError as error:
            raise _Wrong((*path, "since"), str(error)) from error


def _only(told: Mapping[str, Any], path: Path_, known: Sequence[str]) -> None:
    for name in told:
        if name not in known:
            raise _Wrong((*path, name), f"there is no such key, but {', '.join(known)}", of_key=True)


def _zone(value: Any, path: Path_) -> str:
    name = _text(value, path)
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise _Wrong(path, f"no time zone is called {name!r}; one is Europe/Paris, another UTC") from error
    return name


def _text(value: Any, path: Path_) -> str:
    if not isinstance(value, str):
        raise _Wrong(path, f'text in quotes is needed: "…", not {_kind(value)}')
    if not value.isprintable():
        raise _Wrong(path, "it holds control characters")
    return value


def _kind(value: Any) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a table"}
    return kinds.get(type(value), "a time")


def _seconds(value: Any, path: Path_) -> int:
    try:
        return int(seconds(_text(value, path)))
    except ValueError as error:
        raise _Wrong(path, str(error)) from error


def _option_time(value: Any, path: Path_) -> list[str]:
    if not _seconds(value, path):
        raise _Wrong(path, f"no time at all: {value!r}")
    return [f"--{path[-1]}", value]


def _option_number(value: Any, path: Path_) -> list[str]:
    if type(value) is not int or value < 1:
        raise _Wrong(path, "a whole number above 0 is needed, without quotes")
    return [f"--{path[-1]}", str(value)]


def _option_day(value: Any, path: Path_) -> list[str]:
    return [f"--{path[-1]}", _text(value, path)]


def _option_flag(value: Any, path: Path_) -> list[str]:
    if not isinstance(value, bool):
        raise _Wrong(path, "true or false is needed, without quotes")
    return [f"--{path[-1]}"] if value else []


#: Options of ``scrapy archive`` that a job can have, and what checks them and makes arguments of them.
OPTIONS: dict[str, Callable[[Any, Path_], list[str]]] = {
    "jobs": _option_number,
    "budget": _option_time,
    "max-articles": _option_number,
    "since": _option_day,
    "until": _option_day,
    "recheck-only": _option_flag,
    "git": _option_flag,
    "push": _option_flag,
}
