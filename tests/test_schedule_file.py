"""The file of jobs: what it may say, and where it is wrong."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from places import CHECKOUT

from newsarchive.scheduling.jobfile import BadJobFile, read

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KNOWN = ["cna", "dw", "rfi"]
JOB = '[jobs.a]\ncron = "0 * * * *"\n'


def test_a_job_has_all_options_of_archive(tmp_path: Path) -> None:
    file = tmp_path / "schedule.toml"
    file.write_text(
        'timezone = "Europe/Paris"\n'
        "[jobs.all]\ncron = '@daily'\n"
        '[jobs.some-of_it2]\ncron = "5 4 * * *"\ntimezone = "Asia/Taipei"\njitter = "2h"\npublishers = ["rfi", "cna"]\n'
        'jobs = 2\nbudget = "10m"\nmax-articles = 9\nsince = "2025-01-01"\nuntil = "2025-02-01"\n'
        "recheck-only = false\ngit = true\npush = false\n"
        'settings = {LOG_LEVEL = "ERROR", DOWNLOAD_DELAY = 2.5, WAYBACK = false}\n'
    )
    everything, some = read(file, KNOWN, NOW)
    assert (everything.name, everything.arguments, everything.publishers) == ("all", (), ("cna", "dw", "rfi"))
    assert vars(everything.trigger) == {"job": "all", "expression": "@daily", "zone": "Europe/Paris", "jitter": 0}
    assert (some.trigger.zone, some.trigger.jitter, some.publishers) == ("Asia/Taipei", 7200, ("rfi", "cna"))
    assert " ".join(some.arguments) == (
        "rfi cna --jobs 2 --budget 10m --max-articles 9 --since 2025-01-01 --until 2025-02-01 --git"
        " -s LOG_LEVEL=ERROR -s DOWNLOAD_DELAY=2.5 -s WAYBACK=False"
    )


def test_the_mark_that_editors_of_windows_begin_a_file_with_is_none_of_it(tmp_path: Path) -> None:
    file = tmp_path / "schedule.toml"
    file.write_text(JOB, encoding="utf-8-sig")
    assert [job.name for job in read(file, KNOWN, NOW)] == ["a"]
    file.write_bytes(file.read_bytes() + b'budget = "\xff"')
    with pytest.raises(BadJobFile, match=":3:11: not UTF-8"):
        read(file, KNOWN, NOW)


def test_the_example_is_right() -> None:
    jobs = read(CHECKOUT / "deploy/schedule.toml", KNOWN, NOW)
    assert [job.name for job in jobs] == ["hourly", "recheck"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "1:1: jobs: there are no jobs"),
        ("[jobs]\n", "1:2: jobs: there are no jobs"),
        ("[jobs.a\n", "1:8: expected ']'"),
        ('timezone = "', "1:13: unterminated string"),
        ("a = 1\nb = ", "2:5: invalid value"),
        (JOB + JOB, "3:8: cannot declare ('jobs', 'a') twice"),
        (f"zone = 1\n{JOB}", "1:1: zone: there is no such key, but timezone, jobs"),
        (f'timezone = "Mars"\n{JOB}', "1:12: timezone: no time zone is called 'Mars'"),
        (f"timezone = 1\n{JOB}", '1:12: timezone: text in quotes is needed: "…", not a number'),
        (f'{JOB}timezone = "../zone"\n', "3:12: jobs.a.timezone: no time zone is called '../zone'"),
        (f'{JOB}timezone = "Europe"\n', "3:12: jobs.a.timezone: no time zone is called 'Europe'"),
        ("[jobs.a]\n\n", "1:7: jobs.a: cron is missing"),
        ("[jobs.a]\ncron = 5\n", "2:8: jobs.a.cron: text in quotes"),
        ('[jobs.a]\n  cron = "0 25 * * *"\n', "2:10: jobs.a.cron: '0 25 * * *': '25' is no hour: 0 to 23"),
        ('jobs.a.cron = "1 2 3"\n', "1:15: jobs.a.cron: '1 2 3': five fields are needed"),
        ('[jobs."A b"]\ncron = "@daily"\n', "1:7: jobs.A b: a job's name has up to 40 small letters"),
        ('[jobs."\\u001b"]\ncron = "@daily"\n', "1:1: jobs.'\\x1b': a job's name has"),
        ("[[jobs]]\ncron = 1\n", "1:3: jobs: there are no jobs"),
        ("[jobs]\na = 1\n", "2:5: jobs.a: a table is needed"),
        (f"{JOB}[jobs.b]\ncorn = 1\n", "4:1: jobs.b.corn: there is no such key, but cron, timezone"),
        (
            f'{JOB}publishers = ["cna",\n  "dw",\n  "nobody"]\n',
            "5:4: jobs.a.publishers: no publisher is called 'nobody'",
        ),
        (f"{JOB}publishers = []\n", "3:14: jobs.a.publishers: a list of publishers is needed: cna, dw, rfi"),
        (f'{JOB}publishers = "cna"\n', "3:14: jobs.a.publishers: a list of publishers is needed"),
        (f'{JOB}jitter = "5d"\n', "3:10: jobs.a.jitter: not a length of time like 90s, 10m or 2h: '5d'"),
        (f'{JOB}jitter = "60m"\n', "3:10: jobs.a.jitter: 60m is not shorter than the time from one run to the next"),
        (f'{JOB}budget = "0s"\n', "3:10: jobs.a.budget: no time at all"),
        (f"{JOB}jobs = true\n", "3:8: jobs.a.jobs: a whole number above 0 is needed"),
        (f'{JOB}jobs = "2"\n', "3:8: jobs.a.jobs: a whole number above 0 is needed"),
        (f"{JOB}max-articles = 0\n", "3:16: jobs.a.max-articles: a whole number above 0 is needed"),
        (f'{JOB}git = "yes"\n', "3:7: jobs.a.git: true or false is needed"),
        (f'{JOB}since = "soon"\n', "3:9: jobs.a.since: since=soon is no day or time like 2023-01-31"),
        (f'{JOB}since = "2023-01-01"\nuntil = "then"\n', "4:9: jobs.a.until: until=then is no day or time"),
        (f'{JOB}since = "2023-02-01"\nuntil = "2023-01-01"\n', "3:9: jobs.a.since: nothing lies between"),
        (f"{JOB}push = true\n", "3:1: jobs.a.push: it goes with git = true"),
        (f"{JOB}git = false\npush = true\n", "4:1: jobs.a.push: it goes with git = true"),
        (f'{JOB}budget = "999999999h"\n', "3:10: jobs.a.budget: longer than a year: '999999999h'"),
        (f"{JOB}since = 2025-01-01\n", '3:9: jobs.a.since: text in quotes is needed: "…", not a time'),
        (f'{JOB}until = "2025-01-01"\n', "3:1: jobs.a.until: it goes with since"),
        (f'{JOB}since = "2025-01-01"\nrecheck-only = true\n', "4:1: jobs.a.recheck-only: it does not go with since"),
        (f'{JOB}settings = {{ARCHIVE_DIR = "x"}}\n', "3:13: jobs.a.settings.ARCHIVE_DIR: all jobs have one archive"),
        (f'{JOB}settings = {{delay = "x"}}\n', "3:13: jobs.a.settings.delay: a setting's name has capital letters"),
        (f'{JOB}settings = {{PASSWORD = ["hunter2"]}}\n', "3:24: jobs.a.settings.PASSWORD: text, a number"),
        ('jobs = {a = {cron = "0 * * * *", jobs = 0}}\n', "1:41: jobs.a.jobs: a whole number above 0"),
    ],
)
def test_where_it_is_wrong_and_how(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "schedule.toml"
    for end_of_line in ("\n", "\r\n"):
        file.write_bytes(text.replace("\n", end_of_line).encode())
        with pytest.raises(BadJobFile) as error:
            read(file, KNOWN, NOW)
        assert str(error.value).startswith(f"{file}:{told}")
        assert "\n" not in str(error.value)
        assert "hunter2" not in str(error.value)


def test_what_is_no_file_of_jobs_at_all(tmp_path: Path) -> None:
    file = tmp_path / "schedule.toml"
    for make, told in (
        (lambda: None, "it cannot be read: No such file or directory; deploy/schedule.toml is one to begin with"),
        (lambda: file.write_bytes(b'a = 1\nb = "\xff"'), "not UTF-8"),
        (lambda: file.write_bytes(b"#" * 1_000_001), "it is larger than 1000000 bytes"),
    ):
        make()
        with pytest.raises(BadJobFile, match=told) as error:
            read(file, KNOWN, NOW)
        assert str(error.value).startswith(f"{file}:2:6: " if "UTF" in told else f"{file}: ")
