"""What is logged: every line says of which publisher and run it is, and nothing from outside can speak through it."""

import json
import logging
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from server import Crawl, Server, article_url, cna_page, crawl, reply, serving
from test_archive_command import command

from newsarchive.log import lines
from newsarchive.log.lines import JsonLines, TextLines
from newsarchive.printable import UNSAFE

LISTING = "http://www.cna.com.tw/sitemap.xml"
PAGE, MOVED, BROKEN, DATE, KIND, AWAY, CODED = (article_url(f"20240115000{number}") for number in range(1, 8))
#: What would clear a terminal, name its window, begin a line, and turn what follows.
EVIL = "步\x1b[2J\x1b]0;owned\x07\r\n2026-11-20 05:01:25 cna 1f2e3d4c CRITICAL forged\x9b31m\u2028\u202e\u2066\ufeff道"
TEXT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d cna [0-9a-f]{8} (DEBUG|INFO|WARNING|ERROR|CRITICAL) (\| )?\S?.*")
NAMES = {"time", "level", "logger", "publisher", "run", "message"}
LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40}


@pytest.fixture
def server() -> Iterator[Server]:
    """Serve what speaks through a log wherever a publisher can put it."""
    with serving() as server:
        urls = (PAGE, MOVED, BROKEN, DATE, KIND, AWAY, CODED, f"{PAGE}?\u202eq=\u2028")
        server.answer(LISTING, reply(f"<urlset>{''.join(f'<url><loc>{url}</loc></url>' for url in urls)}</urlset>"))
        server.answer(PAGE, reply(cna_page("202401150001", title=EVIL, canonical=f"https://www.cna.com.tw/{EVIL}")))
        server.answer(MOVED, head("302 Found", "Location: http://www.cna.com.tw/\x1b[2J\x9b\u202e"))
        server.answer(BROKEN, head("500 \x1b[31mno \u202e", "Retry-After: \x1b[2J"))
        server.answer(DATE, reply(cna_page("202401150004", published=EVIL)))
        server.answer(KIND, head("200 OK", "Content-Type: text/\x1b[2J\u202e"))
        server.answer(AWAY, head("302 Found", "Location: evil\x1b[2J://\u202e/"))
        server.answer(CODED, head("200 OK", "Content-Encoding: \x1b[2J\u202e", "Content-Type: text/html"))
        yield server


def head(status: str, *headers: str) -> bytes:
    """Return an answer whose headers are not what HTTP allows."""
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "Connection: close", "", "no body"]).encode()


def spoken(server: Server, folder: Path, publisher: str = "cna", **settings: object) -> Crawl:
    """Crawl with everything logged that is logged."""
    return crawl(server, folder, listings=(LISTING,), publisher=publisher, LOG_LEVEL="DEBUG", **settings)


@pytest.mark.parametrize("publisher", ["cna", "broken"])
def test_every_line_says_whose_it_is_and_none_is_forged(server: Server, tmp_path: Path, publisher: str) -> None:
    run = spoken(server, tmp_path, publisher, READ_PROCESS=True, CONCURRENT_REQUESTS=2)
    (name,) = {file.name.partition(".")[0] for file in run.archive.glob("captures/*/*.gz")}
    for line in run.log[:-1].split("\n"):
        assert TEXT.fullmatch(line.replace(f" {publisher} ", " cna ", 1)), line
        assert line.split(" ")[3] == name.rpartition("-")[2]
        assert line.split(" ")[4] != "CRITICAL"
    assert not UNSAFE.search(f"{run.log}{run.stdout}".replace("\n", ""))
    if publisher == "cna":
        assert r"article/refused http://www.cna.com.tw/news/ahel/202401150004.aspx: bad-time: " in run.log
        assert r"\x1b[2J\x1b]0;owned\x07\r\n2026-11-20 05:01:25 cna 1f2e3d4c CRITICAL forged" in run.log


def test_json_lines_are_json_whatever_is_in_them(server: Server, tmp_path: Path) -> None:
    run = spoken(server, tmp_path, LOG_JSON=1)
    account = json.loads(next(run.archive.glob("runs/*.json")).read_bytes())
    assert not UNSAFE.search(run.log.replace("\n", ""))
    told = [orjson.loads(line) for line in run.log[:-1].split("\n")]
    for one in told:
        assert one.keys() - {"traceback"} == NAMES
        assert (one["publisher"], one["run"]) == ("cna", account["run"].rpartition("-")[2])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one["time"])
        assert one["level"] in LEVELS
    assert told[0]["message"].startswith("Scrapy 2.")
    assert any(one["message"].startswith("article/") and "200" in one["message"] for one in told)


def test_log_file_holds_what_standard_error_would(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "crawl.log"
    file.write_text("of an earlier run\n")
    run = spoken(server, tmp_path, "broken", LOG_FILE=file, LOG_JSON=1)
    assert run.log == ""
    earlier, *lines = file.read_text().splitlines()
    assert earlier == "of an earlier run"
    told = [orjson.loads(line) for line in lines]
    failed = [one for one in told if "RuntimeError: the spider is broken" in one.get("traceback", "")]
    assert failed
    assert all(one["traceback"].startswith("Traceback (most recent call last):\n") for one in failed)


@pytest.mark.parametrize(("setting", "value"), [("LOG_FILE", "/dev/null/x"), ("LOG_LEVEL", "LOUD")])
def test_a_log_that_cannot_be_is_said_before_anything_runs(
    server: Server, tmp_path: Path, setting: str, value: str
) -> None:
    run = crawl(server, tmp_path, listings=(LISTING,), **{setting: value})
    assert (run.status, server.asked) == (2, [])
    assert setting in run.log
    assert "Traceback" not in run.log


def test_publishers_that_are_archived_side_by_side_never_mix(server: Server, tmp_path: Path) -> None:
    called, environment = command(server, tmp_path, "cna", "rfi", "--jobs", "2", "-s", "LOG_LEVEL=DEBUG")
    done = subprocess.run(called, env=environment, capture_output=True, text=True, timeout=600, check=False)
    lines = done.stderr[:-1].split("\n")
    assert {line.split(" ")[2] for line in lines} == {"cna", "rfi"}
    assert all(TEXT.fullmatch(line.replace(" rfi ", " cna ", 1)) for line in lines)
    assert len({line.split(" ")[3] for line in lines}) == 2
    assert not UNSAFE.search(done.stdout.replace("\n", ""))


#: Logs so much at a time that a pipe takes it in many parts.
WRITER = """
    import logging, sys
    from scrapy.settings import Settings
    from newsarchive.log.handler import install
    from newsarchive.log.lines import begin
    begin(sys.argv[1], "20261120T050125Z-0000000" + sys.argv[1])
    install(Settings({"LOG_LEVEL": "INFO", "LOG_JSON": True, **dict(word.split("=") for word in sys.argv[2:])}))
    for number in range(40):
        logging.getLogger("x").info("%d %s", number, sys.argv[1] * 200_000)
"""


@pytest.mark.parametrize("shared", ["pipe", "file", "appended"])
def test_long_records_of_several_processes_stay_whole(tmp_path: Path, shared: str) -> None:
    file = tmp_path / "log"
    words = [f"LOG_FILE={file}"] if shared == "appended" else []
    reading, writing = os.pipe()
    if shared == "file":
        os.close(writing)
        writing = os.open(file, os.O_WRONLY | os.O_CREAT)
    code = textwrap.dedent(WRITER)
    writers = [subprocess.Popen([sys.executable, "-c", code, name, *words], stderr=writing) for name in "123"]
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    told = [orjson.loads(line) for line in (said if shared == "pipe" else file.read_text()).splitlines()]
    for name in "123":
        messages = [one["message"] for one in told if one["publisher"] == name]
        assert messages == [f"{number} {name * 200_000}" for number in range(40)]


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError(EVIL)


def record(message: object, *args: object, logger: str = "newsarchive.x", **more: Any) -> logging.LogRecord:
    made = logging.LogRecord(logger, logging.WARNING, "file.py", 7, message, args, **{"exc_info": None, **more})
    made.created = 1795150885.123
    return made


@pytest.fixture(autouse=True)
def _one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "_runs", {})
    lines.begin("cna", "20261120T050125Z-1f2e3d4c")


HEAD = "2026-11-20 05:01:25 cna 1f2e3d4c WARNING"


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (record("article/refused %s: %s", "https://x/步", "why"), f"{HEAD} article/refused https://x/步: why"),
        (record("%s", b"\xff\x1b"), rf"{HEAD} b'\xff\x1b'"),
        (record("half %s", "\ud83d"), rf"{HEAD} half \ud83d"),
        (record("two\nlines"), rf"{HEAD} two\nlines"),
        (
            record("A list:\n['a',\n 'b\x1b']\n", logger="scrapy.x"),
            f"{HEAD} A list:\n{HEAD} | ['a',\n{HEAD} |  'b\\x1b']",
        ),
        (record(ValueError("100%\x85")), rf"{HEAD} 100%\x85"),
        (
            record("%d of %s", "x"),
            f"{HEAD} a message that cannot be put together (TypeError at file.py:7): '%d of %s'",
        ),
        (
            record("%s", Unspeakable()),
            f"{HEAD} a message that cannot be put together (RuntimeError at file.py:7): '%s'",
        ),
    ],
)
def test_a_record_as_text_and_as_json(made: logging.LogRecord, line: str) -> None:
    assert TextLines().format(made) == line
    told = orjson.loads(JsonLines().format(made))
    assert (told["time"], told["level"], told["run"]) == ("2026-11-20T05:01:25.123Z", "WARNING", "1f2e3d4c")
    assert told["message"] == line.replace(f"{HEAD} | ", "").removeprefix(f"{HEAD} ")


def test_a_traceback_is_on_lines_that_cannot_pass_for_others() -> None:
    try:
        raise ValueError(f"bad\n{HEAD} forged\x1b")
    except ValueError:
        made = record("broke", exc_info=sys.exc_info())
    first, *more = TextLines().format(made).split("\n")
    assert first == f"{HEAD} broke"
    assert all(line.startswith(f"{HEAD} | ") for line in more)
    assert more[-1] == rf"{HEAD} | {HEAD} forged\x1b"
    assert orjson.loads(JsonLines().format(made))["traceback"].endswith(f"ValueError: bad\n{HEAD} forged\\x1b")


def test_of_several_runs_in_a_process_a_line_says_its_own() -> None:
    lines.begin("rfi", "20261120T050125Z-99999999")
    of_rfi = record("x")
    of_rfi.spider = type("Spider", (), {"name": "rfi"})()
    assert TextLines().format(of_rfi).split()[2:4] == ["rfi", "99999999"]
    assert TextLines().format(record("x")).split()[2:4] == ["-", "-"]
    assert orjson.loads(JsonLines().format(record("x")))["publisher"] is None


BREAKS = """
    import logging, threading, warnings
    from scrapy.settings import Settings
    from newsarchive.log.handler import install
    install(Settings({"LOG_LEVEL": "INFO"}))
    warnings.warn("old \\x1b[2J")
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    class Broken:
        def __del__(self):
            raise OSError("gone \\x1b")
    Broken()
    raise RuntimeError("last words \\x1b\\nforged")
"""


def test_warnings_and_last_words_are_logged() -> None:
    code = textwrap.dedent(BREAKS)
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    for line in done.stderr.splitlines():
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d - - (WARNING|CRITICAL) ", line), line
    assert not UNSAFE.search(done.stderr.replace("\n", ""))
    for said in (r"UserWarning: old \x1b[2J", "broke: ZeroDivisionError", r"broke: OSError: gone \x1b", "last words"):
        assert said in done.stderr
    assert r"CRITICAL broke: RuntimeError: last words \x1b\nforged" in done.stderr


def test_a_log_that_begins_anew(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text("of an earlier run\n")
    words = ["1", f"LOG_FILE={file}", "LOG_FILE_APPEND=0"]
    subprocess.run([sys.executable, "-c", textwrap.dedent(WRITER), *words], timeout=60, check=True)
    assert len([orjson.loads(line) for line in file.read_text().splitlines()]) == 40


def test_a_disk_that_is_full_is_said_once_and_the_run_goes_on() -> None:
    code = textwrap.dedent(WRITER)
    done = subprocess.run(
        [sys.executable, "-c", code, "1", "LOG_FILE=/dev/full"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert done.stderr == "the log cannot be written to /dev/full: [Errno 28] No space left on device\n"
