"""Who is told what is wrong: once when it breaks, once if it still is after a day, once when it is well again."""

import errno
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from channels import Web, mail_server, web_server

from newsarchive.alerts import Channel, Memory, Undelivered, channels, open_since, tell, telling
from newsarchive.alerts.channel import CUT
from newsarchive.alerts.memory import ABANDONED, CALM, FORGOTTEN
from newsarchive.health import Problem, Verdict
from newsarchive.lock import Locked, hold

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DRIFT = Problem("rfi", "drift", "since_2020 section", "9 of 9 pages have no section", "https://www.rfi.fr/cn/x")
OTHER = Problem("rfi", "drift", "since_2020 images", "9 of 9 pages have no images")
BLOCKED = Problem("rfi", "blocked", "www.rfi.fr", "www.rfi.fr refuses its pages")


def bad(*problems: Problem) -> list[Verdict]:
    return [Verdict(problem.key, problem) for problem in problems]


def well(*problems: Problem, doubtful: bool = False) -> list[Verdict]:
    return [Verdict(problem.key, doubtful=doubtful) for problem in problems]


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as server:
        yield server


def reached(*addresses: str) -> list[Channel]:
    return channels({"ALERTS": list(addresses)}, {})


def titles(web: Web) -> list[str]:
    return [posted["title"] for posted in web.posted]


# What is told when.


def story(*looks: list[Verdict], every: timedelta = HOUR) -> list[str]:
    """Return what is told in a series of looks, each as hours and states."""
    memory, told = Memory(), []
    for number, verdicts in enumerate(looks):
        now = NOON + number * every
        memory.look(verdicts, now)
        events = memory.events("c", now)
        memory.told("c", events)
        memory.forget(["c"])
        memory = Memory.from_json(json.loads(json.dumps(memory.as_json(), default=str)))
        told += [f"{number}: {event.state} {event.topic}" for event in events]
    return told


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([well(DRIFT)] * 5, []),
        ([bad(DRIFT)] * 5, ["0: broken rfi drift since_2020"]),
        ([bad(DRIFT)] * 60, ["0: broken rfi drift since_2020", "24: still rfi drift since_2020"]),
        (
            [bad(DRIFT), *[well(DRIFT)] * 10],
            ["0: broken rfi drift since_2020", f"{CALM}: recovered rfi drift since_2020"],
        ),
        # What comes and goes is one trouble.
        (
            [bad(DRIFT), well(DRIFT), bad(DRIFT), well(DRIFT), well(DRIFT), bad(DRIFT)],
            ["0: broken rfi drift since_2020"],
        ),
        # What is nearly wrong, or cannot be judged, is not well.
        ([bad(DRIFT), *[well(DRIFT, doubtful=True)] * 10], ["0: broken rfi drift since_2020"]),
        ([bad(DRIFT), *[[]] * 10], ["0: broken rfi drift since_2020"]),
        # Another field of the same layout is no other trouble; a block is.
        (
            [bad(DRIFT), bad(DRIFT, OTHER), bad(DRIFT, OTHER, BLOCKED)],
            ["0: broken rfi drift since_2020", "2: broken rfi blocked www.rfi.fr"],
        ),
        # One field being well again is not all.
        ([bad(DRIFT, OTHER), *[[*well(DRIFT), *bad(OTHER)]] * 9], ["0: broken rfi drift since_2020"]),
        (
            [bad(DRIFT), *[well(DRIFT)] * CALM, bad(DRIFT)],
            [
                "0: broken rfi drift since_2020",
                f"{CALM}: recovered rfi drift since_2020",
                f"{CALM + 1}: broken rfi drift since_2020",
            ],
        ),
    ],
)
def test_each_change_is_told_once(looks: list[list[Verdict]], expected: list[str]) -> None:
    assert story(*looks) == expected


def test_what_cannot_be_looked_at_any_more_is_over() -> None:
    told = story(bad(DRIFT), *[well(BLOCKED)] * 10, every=FORGOTTEN / 5)
    assert [line.split()[1] for line in told] == ["broken", "still", "recovered"]


def test_what_nobody_looked_at_is_not_over() -> None:
    other = Problem("cna", "nothing", "", "nothing")
    # A job of one publisher says nothing of another, whose own job comes once in two weeks.
    looks = [bad(DRIFT), *[well(other)] * 13, bad(DRIFT), *[well(other)] * 13, bad(DRIFT)]
    assert [line.split()[1] for line in story(*looks, every=24 * HOUR)] == ["broken", "still"]
    assert [line.split()[1] for line in story(bad(DRIFT), *[well(other)] * 4, every=ABANDONED / 3)] == [
        *("broken", "still", "recovered")
    ]


def test_looking_again_at_the_same_run_says_nothing_new() -> None:
    memory = Memory()
    memory.look(bad(DRIFT), NOON)
    for minutes in range(1, 50):
        memory.look([Verdict(DRIFT.key, at=NOON - HOUR)], NOON + minutes * HOUR / 60)
    assert memory.since == {DRIFT.key: NOON}
    for hours in range(1, CALM + 1):
        assert memory.since
        for minutes in range(3):
            memory.look([Verdict(DRIFT.key, at=NOON + hours * HOUR)], NOON + hours * HOUR + minutes * HOUR / 60)
    assert memory.since == {}


def test_a_clock_that_was_wrong_keeps_nobody_from_being_told() -> None:
    memory = Memory()
    memory.look(bad(DRIFT), NOON + 4000 * 24 * HOUR)
    memory.told("c", memory.events("c", NOON))
    for hours in range(26):
        memory.look(bad(DRIFT), NOON + hours * HOUR)
    assert [event.state for event in memory.events("c", NOON + 25 * HOUR)] == ["still"]


def test_since_when_a_problem_is_open_is_that_of_the_problem(tmp_path: Path) -> None:
    tell(tmp_path, bad(DRIFT), [], NOON)
    tell(tmp_path, bad(DRIFT, OTHER), [], NOON + HOUR)
    assert open_since(tmp_path) == {DRIFT.key: NOON, OTHER.key: NOON + HOUR}


# How it is delivered.


def test_one_message_a_change_whatever_it_holds(tmp_path: Path, web: Web) -> None:
    to = reached(web.address)
    first = tell(tmp_path, bad(DRIFT, OTHER, BLOCKED), to, NOON)
    for hours in range(1, 10):
        assert tell(tmp_path, bad(DRIFT, OTHER, BLOCKED), to, NOON + hours * HOUR).lines == []
    assert titles(web) == ["newsarchive: 2 broken"]
    assert web.posted[0]["message"] == (
        "broken: rfi: www.rfi.fr refuses its pages\n"
        "broken: rfi: 9 of 9 pages have no images\n"
        "broken: rfi: 9 of 9 pages have no section; for example https://www.rfi.fr/cn/x\n"
        "\n"
        "What to do: docs/operating.md, blocked, drift.\n"
        f"Archive: {tmp_path}"
    )
    assert first.lines == web.posted[0]["message"].splitlines()[:3]
    tell(tmp_path, bad(DRIFT), to, NOON + 25 * HOUR)
    for hours in range(26, 26 + CALM):
        tell(tmp_path, well(DRIFT, OTHER, BLOCKED), to, NOON + hours * HOUR)
    assert titles(web)[1:] == ["newsarchive: 2 still broken", "newsarchive: 2 well again"]
    assert json.loads((tmp_path / "alerts.json").read_text()) == {"topics": {}}


def test_by_mail(tmp_path: Path) -> None:
    with mail_server() as (address, mails):
        told = tell(tmp_path, bad(Problem("cna", "gap", "", "可能缺少文章")), reached(address), NOON)
        assert told.undelivered == []
    (mail,) = mails
    assert (mail["subject"], mail["to"]) == ("newsarchive: cna gap broken", "keeper@example.org")
    body = mail.get_body()
    assert body
    assert "broken: cna: 可能缺少文章" in body.get_content()


def test_what_could_not_be_delivered_is_told_later_and_others_are_not_told_twice(tmp_path: Path, web: Web) -> None:
    with mail_server() as (address, mails):
        to = reached(web.address, address)
        web.status = 500
        told = tell(tmp_path, bad(DRIFT), to, NOON)
        assert len(told.undelivered) == 1
        web.status = 200
        assert tell(tmp_path, bad(DRIFT), to, NOON + HOUR).undelivered == []
        tell(tmp_path, bad(DRIFT), to, NOON + 2 * HOUR)
    assert (titles(web), len(mails)) == (["newsarchive: rfi drift since_2020 broken"], 1)


def test_who_was_never_told_is_not_told_that_it_is_over(tmp_path: Path, web: Web) -> None:
    web.status = 500
    to = reached(web.address)
    tell(tmp_path, bad(DRIFT), to, NOON)
    for hours in range(1, CALM + 1):
        tell(tmp_path, well(DRIFT), to, NOON + hours * HOUR)
    web.status = 200
    tell(tmp_path, well(DRIFT), to, NOON + 9 * HOUR)
    assert web.posted == []


def test_a_missing_mail_server_is_said_without_a_secret(tmp_path: Path) -> None:
    address = "mailto://keeper:hunter2secret@127.0.0.1:1?from=a@example.org&to=b@example.org&mode=insecure"
    (told,) = tell(tmp_path, bad(DRIFT), reached(address), NOON).undelivered
    assert told.startswith("mailto://keeper:****@127.0.0.1:1/b%40example.org: ")
    assert "onnection" in told


@pytest.mark.parametrize(
    "address",
    [
        "json://user:hunter2secret@127.0.0.1:1/tok3nvalue?+X-Key=hiddenkey",
        "slack://T1JJ3T3L2secret/A1BRTD4JDsecret/TIiajkdnlazkcOXrIdevi7FQ/#general",
        "jsons://hooks.example/services/secret/hiddenkey",
        "ntfy://secrettopic",
        "ntfys://ntfy.example/secrettopic",
        "tgram://123456789:AABBsecretCCDDEEFFGGHHIIJJKKLLMM/12315544",
    ],
)
def test_no_secret_is_shown(tmp_path: Path, address: str) -> None:
    to = reached(address)
    # Only loopback is asked.
    undelivered = tell(tmp_path, bad(DRIFT), to if address.startswith("json:") else [], NOON).undelivered
    shown = repr([[channel.name for channel in to], undelivered, (tmp_path / "alerts.json").read_text()])
    assert not [secret for secret in ("secret", "hiddenkey", "tok3n", "TIiajk") if secret in shown], shown


def test_addresses_come_from_settings_environment_and_a_file(tmp_path: Path) -> None:
    file = tmp_path / "addresses"
    file.write_text("# json://remark.example\njson://c.example\njson://c.example\n")
    environment = {"NEWSARCHIVE_ALERTS": " json://b.example ", "NEWSARCHIVE_ALERTS_FILE": str(file)}
    found = channels({"ALERTS": "json://a.example"}, environment)
    assert [channel.name for channel in found] == [
        *(f"json://{host}.example/" for host in "abc"),
        "json://c.example/ (2)",
    ]


def test_a_file_of_addresses_that_cannot_be_read(tmp_path: Path) -> None:
    for make, why in ((lambda: None, "No such file"), (lambda: (tmp_path / "x").write_bytes(b"\xff"), "not UTF-8")):
        make()
        with pytest.raises(
            ValueError, match=f"NEWSARCHIVE_ALERTS_FILE names {tmp_path}/x, which cannot be read: .*{why}"
        ):
            channels({"ALERTS": []}, {"NEWSARCHIVE_ALERTS_FILE": str(tmp_path / "x")})


@pytest.mark.parametrize("address", ["nonsense", "nosuch://user:hunter2secret@host", "mailto://"])
def test_an_address_that_is_none_is_an_error_without_a_secret(address: str) -> None:
    with pytest.raises(ValueError, match="alert address 1") as caught:
        reached(address)
    assert "hunter2" not in str(caught.value)


def test_a_service_that_breaks_is_undelivered(monkeypatch: pytest.MonkeyPatch) -> None:
    (channel,) = reached("json://user:hunter2secret@127.0.0.1:1/")

    def broken(*_: object, **__: object) -> bool:
        raise RuntimeError("hunter2secret is wrong")

    monkeypatch.setattr("apprise.Apprise.notify", broken)
    with pytest.raises(Undelivered, match=r"RuntimeError: \*\*\*\* is wrong"):
        channel.send("title", "text")


# What is kept.


@pytest.mark.parametrize(
    "damaged",
    [
        '{"topics": {"rfi": 7}}',
        "",
        "[" * 100_000,
        '{"topics": {"rfi": {"since": "2026-11-20T12:00:00", "told": {}, "problems": []}}}',
        '{"topics": {"rfi": {"since": "0001-01-01T00:00:00+14:00", "told": {}, "problems": []}}}',
        '{"topics": {"rfi": {"since": "2026-11-20T12:00:00Z", "told": ["c"], "problems": []}}}',
    ],
)
def test_a_memory_that_is_damaged_is_said_and_made_anew(
    tmp_path: Path, web: Web, caplog: pytest.LogCaptureFixture, damaged: str
) -> None:
    (tmp_path / "alerts.json").write_text(damaged)
    tell(tmp_path, bad(DRIFT), reached(web.address), NOON)
    assert len(web.posted) == 1
    assert "alerts.json cannot be understood" in caplog.text
    assert open_since(tmp_path) == {DRIFT.key: NOON}


def test_on_a_full_disk_people_are_told_once(tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(tmp_path, [], [], NOON)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(telling, "replace_file", full)
    for hours in range(3):
        tell(tmp_path, bad(DRIFT), reached(web.address), NOON + hours * HOUR)
    assert len(web.posted) == 1
    assert open_since(tmp_path) == {DRIFT.key: NOON}
    with pytest.raises(OSError, match="No space"):
        tell(tmp_path / "new", bad(DRIFT), [], NOON)


def test_what_others_wrote_drives_nothing(tmp_path: Path, web: Web) -> None:
    hostile = "x\x1b[2J\r\nSubject: y\u202e\ud800" + "z" * 9999
    told = tell(tmp_path, bad(Problem("rfi", "refused", hostile, hostile, hostile)), reached(web.address), NOON)
    assert all(line.isprintable() for line in told.lines)
    (posted,) = web.posted
    assert posted["title"].isprintable()
    assert r"x\x1b[2J\r\nSubject: y\u202e\ud800zzz" in posted["message"]
    assert len(posted["message"]) < 3000


def test_a_message_is_no_longer_than_its_service_takes(
    tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apprise.plugins.custom_json.NotifyJSON.body_maxlen", 1000)
    tell(tmp_path, bad(*(Problem("rfi", "refused", f"{n}", "x" * 99) for n in range(40))), reached(web.address), NOON)
    message = web.posted[0]["message"]
    assert len(message) < 1000
    assert message.endswith(f"{'x' * 99}{CUT}")


def test_two_do_not_tell_at_a_time(tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "PATIENCE", 2)
    code = "import sys; from pathlib import Path; from newsarchive.lock import hold\n"
    code += "with hold(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "alerts.lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        assert other.stdin
        other.stdout.readline()
        with pytest.raises(Locked):
            tell(tmp_path, bad(DRIFT), reached(web.address), NOON)
        other.stdin.close()
    assert web.posted == []
    with hold(tmp_path / "alerts.lock"):
        pass
