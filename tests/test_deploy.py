"""What others start runs by: each way runs a real job, or its own checker passes."""

import getpass
import grp
import gzip
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
from places import CHECKOUT, PUBLISHERS
from server import Server, article_url, cna_page, reply, serving

DEPLOY = CHECKOUT / "deploy"
UNITS = sorted([*(DEPLOY / "systemd").iterdir(), DEPLOY / "scrapyd/scrapyd.service"])
LISTING = "http://www.cna.com.tw/listing.xml"
PAGE = article_url("202401150001")
#: What the files expect, and what is there in its place.
SETTINGS = """\
from newsarchive.settings import *
SPIDER_MODULES = ["server"]
DOWNLOAD_DELAY = 0
WAYBACK = False
TWISTED_DNS_RESOLVER = "server.NoNetwork"
"""


def installed(folder: Path) -> tuple[Path, Path]:
    """Return what stands for ``/opt/newsarchive`` and ``/var/lib/newsarchive``, ready to run."""
    program, state = folder / "opt", folder / "state"
    (program / ".venv/bin").mkdir(parents=True)
    state.mkdir()
    scrapy = program / ".venv/bin/scrapy"
    only = '[ "$1" != archive ] || set -- "$@" cna'
    scrapy.write_text(f'#!/bin/sh\n{only}\nexec {sys.executable} -m scrapy "$@"\n')
    scrapy.chmod(0o755)
    (program / "scrapy.cfg").write_text("[settings]\ndefault = job_settings\n")
    (program / "job_settings.py").write_text(SETTINGS)
    return program, state


def placed(text: str, program: Path, state: Path) -> str:
    """Return a file of ``deploy/`` with what there is in place of what it expects."""
    mine = {
        "/opt/newsarchive": str(program),
        "/var/lib/newsarchive": str(state),
        "/etc/newsarchive": str(state.parent),
        "/opt/scrapyd": str(state.parent / "scrapyd"),
        "newsarchive newsarchive\n": f"{getpass.getuser()} {grp.getgrgid(os.getgid()).gr_name}\n",
    }
    for theirs, ours in mine.items():
        text = text.replace(theirs, ours)
    return text


def program_of(name: str) -> str:
    """Return where a program is; skip the test if it is nowhere."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def wait_for(done: Callable[[], object], process: "subprocess.Popen[str]", seconds: float) -> None:
    """Wait until something is so; fail if a process ends before, or it takes too long."""
    deadline = time.monotonic() + seconds
    while not done():
        assert process.poll() is None, "it ended too early"
        assert time.monotonic() < deadline, f"nothing after {seconds} s"
        time.sleep(0.05)


def environment(server: Server) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        "http_proxy": server.url,
        "https_proxy": server.url,
        "PYTHONPATH": os.pathsep.join((str(CHECKOUT), str(Path(__file__).parent))),
        "CRAWL_LISTINGS": LISTING,
    }


def run(command: str, folder: Path, server: Server) -> int:
    """Run a shell's command line; return its status."""
    done = subprocess.run(["/bin/sh", "-c", command], cwd=folder, env=environment(server), timeout=600, check=False)
    return done.returncode


def answering(server: Server) -> None:
    server.answer(LISTING, reply(f"<urlset><url><loc>{PAGE}</loc></url></urlset>"))
    server.answer(PAGE, reply(cna_page("202401150001")))


def cron_line(file: str = "cron/newsarchive") -> tuple[str, str, str]:
    """Return times, user and command of a line for cron; it holds no percent sign, which ends a line."""
    (line,) = (line for line in (DEPLOY / file).read_text().splitlines() if not line.startswith("#"))
    assert "%" not in line
    found = re.fullmatch(r"((?:\S+ ){5})(\w+) (.+)", line)
    assert found
    return found[1], found[2], found[3]


def test_the_line_for_cron_runs_a_job_and_not_two_at_a_time(tmp_path: Path) -> None:
    program, state = installed(tmp_path)
    times, user, command = cron_line()
    assert (times, user) == ("17 * * * * ", "newsarchive")
    command = placed(command, program, state)
    with serving() as server:
        answering(server)
        with subprocess.Popen(["flock", state / "cron.lock", "cat"], stdin=subprocess.PIPE) as other:
            while run(f"flock -n {shlex.quote(str(state / 'cron.lock'))} true", tmp_path, server) == 0:
                assert other.poll() is None
            assert run(command, tmp_path, server) == 3
            assert server.asked == []
            assert other.stdin
            other.stdin.close()
        assert run(command, tmp_path, server) == 0, (state / "archive.log").read_text()
    assert json.loads((state / "last.json").read_text())["status"] == 0
    assert list(state.glob("archive/_posts/cna/2024/*.md"))
    assert "cna " in (state / "archive.log").read_text()


def test_the_line_for_cron_asks_scrapyd_for_every_publisher(tmp_path: Path) -> None:
    program_of("curl")
    program, state = installed(tmp_path)
    times, user, command = cron_line("scrapyd/cron")
    assert (times, user) == ("17 * * * * ", "newsarchive")
    assert re.findall(r" in ([a-z ]+);", command) == [" ".join(PUBLISHERS)]
    with serving() as server:
        server.answer("/schedule.json", reply('{"status": "ok"}'))
        command = placed(command, program, state).replace("http://127.0.0.1:6800", server.url)
        told = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        done = subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, env=told, timeout=60, check=False)
        assert (done.returncode, server.asked) == (0, ["/schedule.json"] * len(PUBLISHERS))
    assert (state / "archive.log").read_text() == ""


#: Cron has its places: they are made others for it alone, in a view of the files that ends with it.
IN_PLACES_OF_ITS_OWN = """
set -e
for place in /etc/cron.d /var/spool/cron /run; do mount --bind {folder}/$(basename $place) $place; done
mount --bind {folder}/crontab /etc/crontab
exec {cron} -f -L 15
"""


@pytest.mark.skipif(not os.environ.get("FORTNIGHT"), reason="takes a minute: set FORTNIGHT=1")
@pytest.mark.skipif(os.getuid() != 0, reason="only root can run cron")
def test_cron_itself_runs_the_line(tmp_path: Path) -> None:
    cron, unshare = program_of("cron"), program_of("unshare")
    if subprocess.run([unshare, "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody have a view of the files of his own")
    program, state = installed(tmp_path)
    for name in ("cron.d", "cron/crontabs", "run"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "crontab").write_text("")
    with serving() as server:
        answering(server)
        told = environment(server)
        lines = [f"{name}={told[name]}" for name in ("http_proxy", "PYTHONPATH", "CRAWL_LISTINGS")]
        lines.append(f"* * * * * {getpass.getuser()} {placed(cron_line()[2], program, state)}")
        (tmp_path / "cron.d/newsarchive").write_text("\n".join([*lines, ""]))
        script = IN_PLACES_OF_ITS_OWN.format(folder=tmp_path, cron=cron)
        with (
            (tmp_path / "cron.log").open("w") as log,
            subprocess.Popen(
                [unshare, "--mount", "/bin/sh", "-c", script], stdout=log, stderr=log, text=True
            ) as daemon,
        ):
            try:
                wait_for((state / "last.json").exists, daemon, 120)
            finally:
                print((tmp_path / "cron.log").read_text())
                daemon.terminate()
    assert json.loads((state / "last.json").read_text())["status"] == 0
    assert list(state.glob("archive/_posts/cna/2024/*.md"))


def test_logs_are_rotated_and_runs_go_on_writing(tmp_path: Path) -> None:
    rotate = program_of("logrotate")
    program, state = installed(tmp_path)
    state.chmod(0o750)
    conf = tmp_path / "newsarchive.conf"
    conf.write_text(placed((DEPLOY / "logrotate/newsarchive").read_text(), program, state))
    conf.chmod(0o644)
    log = state / "archive.log"

    def rotated() -> list[str]:
        done = subprocess.run(
            [rotate, "--force", "--state", tmp_path / "rotated", conf], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert (state / "archive.log").read_text() == ""
        assert log.stat().st_mode & 0o777 == 0o640
        return sorted(file.suffix for file in state.glob("archive.log-*"))

    log.write_text("of the first week\n")
    with log.open("a") as under_way:
        (first,) = rotated()
        assert first != ".gz"
        under_way.write("of a run that is under way\n")
    log.write_text("of the second week\n")
    # Names are made of seconds: the first log is that of a week ago.
    (kept,) = state.glob("archive.log-*")
    kept.rename(state / f"archive.log-20261101-{int(kept.name.rpartition('-')[2]) - 7 * 86400}")
    assert rotated().count(".gz") == 1
    (packed,) = state.glob("archive.log-*.gz")
    assert gzip.decompress(packed.read_bytes()) == b"of the first week\nof a run that is under way\n"


def test_the_service_runs_a_job(tmp_path: Path) -> None:
    program, state = installed(tmp_path)
    unit = placed((DEPLOY / "systemd/newsarchive.service").read_text(), program, state)
    (command,) = re.findall("^ExecStart=(.+)$", unit, re.MULTILINE)
    (folder,) = re.findall("^WorkingDirectory=(.+)$", unit, re.MULTILINE)
    with serving() as server:
        answering(server)
        assert run(command, Path(folder), server) == 0
    assert list(state.glob("archive/_posts/cna/2024/*.md"))


def schedule_command(folder: Path) -> tuple[str, Path, Path]:
    """Return what the service of the schedule runs, with a job of one publisher, and where."""
    program, state = installed(folder)
    (folder / "schedule.toml").write_text('timezone = "UTC"\n[jobs.hourly]\ncron = "@hourly"\npublishers = ["cna"]\n')
    unit = placed((DEPLOY / "systemd/newsarchive-schedule.service").read_text(), program, state)
    (command,) = re.findall("^ExecStart=(.+)$", unit, re.MULTILINE)
    return command, program, state


def test_the_service_of_the_schedule_runs_a_job(tmp_path: Path) -> None:
    command, program, state = schedule_command(tmp_path)
    with serving() as server:
        answering(server)
        assert run(f"{command} --once", program, server) == 0
    assert list(state.glob("archive/_posts/cna/2024/*.md"))


def test_the_schedule_has_its_runs_end_what_they_have_begun(tmp_path: Path) -> None:
    command, program, state = schedule_command(tmp_path)
    go_on = Event()

    def slow(connection: socket.socket) -> None:
        go_on.wait(60)
        connection.sendall(reply(cna_page("202401150001")))

    with serving() as server:
        answering(server)
        server.answer(PAGE, slow)
        called = ["/bin/sh", "-c", f"exec {command} --once"]
        with subprocess.Popen(called, cwd=program, env=environment(server), text=True) as scheduler:
            wait_for(lambda: PAGE in server.asked, scheduler, 60)
            # As systemd does it: only the scheduler is asked.
            scheduler.send_signal(signal.SIGTERM)
            logs = state / "archive/schedule"
            wait_for(lambda: any("Received SIGTERM" in log.read_text() for log in logs.glob("*.log")), scheduler, 60)
            go_on.set()
            scheduler.wait(timeout=60)
    (account,) = state.glob("archive/runs/*.json")
    assert json.loads(account.read_bytes())["finish"] == "shutdown"
    assert list(state.glob("archive/_posts/cna/2024/*.md"))


def test_systemd_finds_the_units_right_and_tight(tmp_path: Path) -> None:
    program_of("systemd-analyze")
    program, state = installed(tmp_path)
    shutil.copytree(program / ".venv/bin", tmp_path / "scrapyd/bin")
    (tmp_path / "scrapyd/bin/scrapy").rename(tmp_path / "scrapyd/bin/scrapyd")
    units = []
    for file in UNITS:
        unit = tmp_path / file.name
        unit.write_text(placed(file.read_text(), program, state))
        units.append(unit)
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    # Tenths of the level of exposure: 100 is everything.
    services = [unit for unit in units if unit.suffix == ".service"]
    assert len(services) == 3
    for service in services:
        tight = ["systemd-analyze", "security", "--offline=true", "--threshold=13", service]
        done = subprocess.run(tight, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-500:]


def test_services_have_bounds_and_are_equally_tight() -> None:
    units = {file.name: file.read_text() for file in UNITS}
    services = [text for name, text in units.items() if name.endswith(".service")]
    assert len({text.partition("\n# Nothing but the archive")[2] for text in services}) == 1
    for text in services:
        for line in ("NoNewPrivileges=true", "ProtectSystem=strict", "CPUQuota=100%", "TimeoutStopSec=5min"):
            assert f"\n{line}\n" in text
        assert re.search(r"^MemoryMax=\dG$", text, re.MULTILINE)
    assert {"Persistent=true", "RandomizedDelaySec=30min"} <= set(units["newsarchive.timer"].splitlines())
