"""A real Scrapyd runs the project as an egg, and everything holds that holds for a run by hand."""

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlencode

import pytest
import tools
from places import CHECKOUT
from server import Server, article_url, cna_page, reply, serving
from test_log import TEXT

from newsarchive import __version__
from newsarchive.lock import hold
from newsarchive.store import lock_file

DEPLOY = CHECKOUT / "deploy/scrapyd"
LISTING = "http://www.cna.com.tw/listing.xml"
PAGE, SLOW = article_url("202401150001"), article_url("202401150002")
ASK = urllib.request.build_opener(urllib.request.ProxyHandler({}))
SETTINGS = {
    "SPIDER_MODULES": "server",
    "DOWNLOAD_DELAY": 0,
    "RETRY_TIMES": 0,
    "WAYBACK": False,
    "REFRESH": True,
    "TWISTED_DNS_RESOLVER": "server.NoNetwork",
}


@dataclass
class Scrapyd:
    """A Scrapyd that has the project, and a publisher for it to ask."""

    url: str
    folder: Path
    publisher: Server
    process: "subprocess.Popen[bytes]"

    @property
    def log(self) -> str:
        return (self.folder / "scrapyd.log").read_text()

    def ask(self, what: str, data: dict[str, Any] | list[tuple[str, Any]] | None = None) -> bytes:
        with ASK.open(f"{self.url}/{what}", urlencode(data).encode() if data else None, timeout=60) as answer:
            content: bytes = answer.read()
            return content

    def json(self, what: str, data: dict[str, Any] | list[tuple[str, Any]] | None = None) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.ask(what, data))
        assert told["status"] == "ok", told
        return told

    def schedule(self, archive: Path) -> str:
        settings = [("setting", f"{name}={value}") for name, value in {**SETTINGS, "ARCHIVE_DIR": archive}.items()]
        job: str = self.json("schedule.json", [("project", "newsarchive"), ("spider", "cna"), *settings])["jobid"]
        return job

    def job(self, job: str, state: str) -> dict[str, Any] | None:
        jobs = self.json("listjobs.json?project=newsarchive")[state]
        return next((one for one in jobs if one["id"] == job), None)

    def wait(self, done: Callable[[], Any], seconds: float = 60) -> Any:
        """Return what becomes true before a deadline."""
        deadline = time.monotonic() + seconds
        while not (found := done()):
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.1)
        return found


def packed(folder: Path, url: str) -> Path:
    """Return a folder like ``deploy/scrapyd`` beside a checkout that is only read."""
    here = folder / "deploy/scrapyd"
    shutil.copytree(DEPLOY, here, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    for name in ("newsarchive", "spiders", "pipelines", "pyproject.toml"):
        (folder / name).symlink_to(CHECKOUT / name)
    cfg = here / "scrapy.cfg"
    cfg.write_text(cfg.read_text().replace("http://127.0.0.1:6800/", url))
    return here


def configured(folder: Path, port: int) -> None:
    """Write the configuration that is shipped, for this folder."""
    text = (DEPLOY / "scrapyd.conf").read_text().replace("/var/lib/newsarchive/scrapyd", str(folder))
    text = text.replace("http_port = 6800", f"http_port = {port}\npoll_interval = 0.1")
    (folder / "scrapyd.conf").write_text(text)


@contextmanager
def running(folder: Path, publisher: Server) -> Iterator[Scrapyd]:
    """Run Scrapyd while the context lasts; only the tests' spiders lie beside its egg."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configured(folder, port)
    environment = {
        **tools.environment("scrapyd"),
        "http_proxy": publisher.url,
        "https_proxy": publisher.url,
        "PYTHONPATH": str(Path(__file__).parent),
        "CRAWL_LISTINGS": LISTING,
    }
    command = [tools.needed("scrapyd") / "scrapyd", "--pidfile="]
    with (
        (folder / "scrapyd.log").open("w") as log,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log) as process,
    ):
        scrapyd = Scrapyd(f"http://127.0.0.1:{port}", folder, publisher, process)

        def answers() -> bool:
            try:
                return bool(scrapyd.json("daemonstatus.json"))
            except OSError:
                return False

        try:
            scrapyd.wait(answers)
            yield scrapyd
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def scrapyd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scrapyd]:
    """Run Scrapyd, deploy the project, and let the publisher answer."""
    tools.needed("scrapyd")
    folder = tmp_path_factory.mktemp("scrapyd")
    with serving() as publisher, running(folder, publisher) as scrapyd:
        publisher.answer(LISTING, reply(f"<urlset><url><loc>{PAGE}</loc></url></urlset>"))
        publisher.answer(PAGE, reply(cna_page("202401150001")))
        here = packed(folder / "checkout", f"{scrapyd.url}/")
        deployed = tools.run("scrapyd", "scrapyd-deploy", cwd=here)
        assert '"status": "ok"' in deployed.stdout, deployed.stdout
        yield scrapyd


def account_of(archive: Path) -> dict[str, Any]:
    (file,) = archive.glob("runs/*.json")
    found: dict[str, Any] = json.loads(file.read_bytes())
    return found


def test_the_project_is_there(scrapyd: Scrapyd) -> None:
    assert scrapyd.json("listprojects.json")["projects"] == ["newsarchive"]
    assert scrapyd.json("listspiders.json?project=newsarchive")["spiders"] == ["cna", "dw", "feed", "rfi"]


def test_a_run_is_scheduled_polled_and_found_again(scrapyd: Scrapyd, tmp_path: Path) -> None:
    job = scrapyd.schedule(tmp_path / "archive")
    ended = scrapyd.wait(lambda: scrapyd.job(job, "finished"))
    status = scrapyd.json("daemonstatus.json")
    assert (status["running"], status["pending"]) == (0, 0)
    account = account_of(tmp_path / "archive")
    assert (account["finish"], account["stored"], account["failures"]) == ("finished", 1, [])
    assert account["version"] == __version__
    assert list(tmp_path.glob("archive/_posts/cna/2024/2024-01-15-202401150001.md"))
    log = scrapyd.ask(ended["log_url"].lstrip("/")).decode()
    assert (scrapyd.folder / f"logs/newsarchive/cna/{job}.log").read_text() == log
    assert all(TEXT.fullmatch(line) for line in log.splitlines())
    assert {line.split(" ")[3] for line in log.splitlines()} == {account["run"].rpartition("-")[2]}
    assert f"Process finished: project='newsarchive' spider='cna' job='{job}'" in scrapyd.log


def test_two_runs_of_a_publisher_do_not_meet(scrapyd: Scrapyd, tmp_path: Path) -> None:
    before = len(scrapyd.publisher.asked)
    with hold(lock_file(tmp_path / "archive", "cna")):
        job = scrapyd.schedule(tmp_path / "archive")
        scrapyd.wait(lambda: scrapyd.job(job, "finished"))
    assert len(scrapyd.publisher.asked) == before
    assert not list(tmp_path.glob("archive/runs/*.json"))
    told = scrapyd.wait(lambda: re.search(f"Process died: exitstatus=3 .*job='{job}'", scrapyd.log))
    assert told
    assert f"cna: another run is under way: {lock_file(tmp_path / 'archive', 'cna')} is held by" in scrapyd.log


@pytest.mark.parametrize("signal", ["TERM", "KILL"])
def test_a_run_that_is_cancelled_loses_nothing(scrapyd: Scrapyd, tmp_path: Path, signal: str) -> None:
    archive, publisher, go_on = tmp_path / "archive", scrapyd.publisher, Event()

    def slow(connection: socket.socket) -> None:
        go_on.wait(60)
        connection.sendall(reply(cna_page("202401150002")))

    publisher.answer(LISTING, reply(f"<urlset>{''.join(f'<url><loc>{u}</loc></url>' for u in (PAGE, SLOW))}</urlset>"))
    publisher.answer(SLOW, slow)
    publisher.asked.clear()
    job = scrapyd.schedule(archive)
    scrapyd.wait(lambda: SLOW in publisher.asked)
    told = scrapyd.json("cancel.json", {"project": "newsarchive", "job": job, "signal": signal})
    assert told["prevstate"] == "running"
    if signal == "TERM":
        log = scrapyd.folder / f"logs/newsarchive/cna/{job}.log"
        scrapyd.wait(lambda: "Received SIGTERM" in log.read_text())
        go_on.set()
    scrapyd.wait(lambda: scrapyd.job(job, "finished"))
    if signal == "TERM":
        assert account_of(archive)["finish"] == "shutdown"
        # What was under way is stored.
        assert list(archive.glob("_posts/cna/2024/2024-01-15-202401150002.md"))
        return
    go_on.set()
    assert list(archive.glob("captures/cna/*.open"))
    again = scrapyd.schedule(archive)
    scrapyd.wait(lambda: scrapyd.job(again, "finished"))
    assert not list(archive.glob("captures/cna/*.open"))
    posts = sorted(file.name for file in archive.glob("_posts/cna/2024/*.md"))
    assert posts == ["2024-01-15-202401150001.md", "2024-01-15-202401150002.md"]
    assert "closed after its run was killed" in scrapyd.log
