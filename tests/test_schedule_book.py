"""The book of a schedule: nothing that was due is lost or entered twice, whatever clocks, files and disks do."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from newsarchive.scheduling.book import MOST_STARTS, Book
from newsarchive.scheduling.cron import CronTrigger
from newsarchive.scheduling.jobfile import Job
from newsarchive.scheduling.scheduler import missed, next_time

NOW = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with closing(Book(tmp_path / "book.sqlite")) as book:
        book.follow({"a": "0 * * * * UTC", "b": "x"}, NOW)
        yield book


def hourly(name: str = "a", jitter: float = 0) -> Job:
    return Job(name, CronTrigger(name, "0 * * * *", "UTC", jitter), ("cna",), ())


def at(hour: int) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + hour * HOUR


def test_a_time_is_served_once_however_often_it_is_told(book: Book) -> None:
    book.enter("a", [at(13), at(14)])
    book.enter("a", [at(13)])
    run = book.begin("a", at(14))
    assert (run.served, book.waiting("a")) == (2, 0)
    book.enter("a", [at(14), at(15)])
    assert book.waiting("a") == 1
    assert book.end(run, 0, "", at(15)) == 0
    assert book.waiting("a") == 1
    last = book.last("a")
    assert last
    assert (last.id, last.status, last.started, last.ended) == (run.id, 0, at(14), at(15))


def test_what_was_killed_is_served_again_but_not_for_ever(book: Book) -> None:
    book.enter("a", [at(13)])
    for start in range(MOST_STARTS):
        assert book.waiting("a") == 1
        run = book.begin("a", at(13))
        assert [one.id for one in book.unended()] == [run.id]
        assert book.end(run, -9, "", at(13), killed=True) == (1 if start < MOST_STARTS - 1 else 0)
    assert (book.waiting("a"), book.unended()) == (0, [])


def test_jobs_follow_the_file_and_results_stay(book: Book) -> None:
    book.enter("a", [at(13)])
    book.end(book.begin("a", at(13)), 6, "x", at(14))
    book.enter("a", [at(14)])
    book.follow({"b": "x", "c": "y"}, at(15))
    assert book.jobs() == {"b": NOW.replace(second=0), "c": at(15)}
    assert book.waiting("a") == 0
    assert book.last("a").status == 6  # type: ignore[union-attr]
    book.follow({"b": "z"}, at(16))
    assert book.jobs() == {"b": at(16)}


def test_what_was_missed_is_due(book: Book) -> None:
    job = hourly()
    assert next_time(book, job, NOW) == at(13)
    # Nobody was there from one to five.
    assert next_time(book, job, at(17)) == at(13)
    assert missed(book, job, at(17)) == [at(13), at(14), at(15), at(16), at(17)]
    book.enter("a", [at(13), at(14)])
    assert next_time(book, job, at(14)) == at(15)
    assert missed(book, job, at(14)) == []
    # A job that is new has missed nothing, but --once runs it.
    book.follow({"a": "0 * * * * UTC", "new": "0 * * * * UTC"}, at(14) + HOUR / 2)
    assert next_time(book, hourly("new"), at(14) + HOUR / 2) == at(15)
    assert missed(book, hourly("new"), at(14) + HOUR / 2) == [at(14)]


def test_no_time_gets_lost_between_it_and_its_delay(book: Book) -> None:
    job = hourly(jitter=3000)
    (fire, nominal), (following, _) = (next(job.trigger.fires(at(hour))) for hour in (13, 14))
    assert (nominal, fire > at(13)) == (at(13), True)
    assert next_time(book, job, fire - timedelta(seconds=1)) == fire
    assert missed(book, job, fire - timedelta(seconds=1)) != [at(13)]
    book.enter("a", [nominal])
    assert next_time(book, job, fire) == following


def test_a_clock_that_goes_back_repeats_nothing(book: Book) -> None:
    job = hourly()
    book.enter("a", [at(13), at(14), at(15)])
    run = book.begin("a", at(15))
    book.end(run, 0, "", at(15))
    assert book.forget_ahead(at(13)) == 0
    # It is half past one again: two and three o'clock come, but were served.
    assert next_time(book, job, at(13) + HOUR / 2) == at(14)
    book.enter("a", [at(14), at(15)])
    assert book.waiting("a") == 0
    book.enter("a", [at(16)])
    assert book.waiting("a") == 1


def test_a_clock_that_was_a_year_ahead_blocks_nothing(book: Book) -> None:
    job, ahead = hourly(), NOW + timedelta(days=365)
    book.follow({"new": "0 * * * * UTC", "a": "0 * * * * UTC"}, ahead)
    book.enter("a", [at(0) + timedelta(days=365), ahead.replace(minute=0)])
    book.end(book.begin("a", ahead), 0, "", ahead)
    assert next_time(book, job, NOW) == at(13)
    assert next_time(book, hourly("new"), NOW) == at(13)
    assert book.forget_ahead(NOW) == 2
    assert book.jobs()["new"] == NOW
    assert book.forget_ahead(NOW) == 0
    assert book.last("a")


def test_a_full_disk_is_told_and_nothing_is_half_entered(book: Book) -> None:
    book.enter("a", [at(13)])
    (pages,) = book.connection.execute("PRAGMA page_count").fetchone()
    book.connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        book.enter("a", [at(14) + number * HOUR for number in range(5000)])
    assert book.waiting("a") == 1
    book.connection.execute("PRAGMA max_page_count = 100000")
    book.enter("a", [at(14)])
    assert book.waiting("a") == 2


def test_the_book_does_not_grow_for_ever(book: Book) -> None:
    for day in range(0, 500, 10):
        time = NOW + timedelta(days=day)
        book.enter("a", [time])
        book.end(book.begin("a", time), 0, "", time)
    book.enter("b", [NOW])
    book.end(book.begin("b", NOW), 4, "old", NOW)
    book.thin_out(NOW + timedelta(days=500))
    assert len(book.runs("job = 'a'")) == 40
    assert book.connection.execute("SELECT count(*) FROM fires WHERE job = 'a'").fetchone() == (4,)
    # The last result stays, and the last time, from which on it is known what was missed.
    assert book.last("b").said == "old"  # type: ignore[union-attr]
    assert book.has("b")
