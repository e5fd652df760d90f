"""What others start runs by: each way runs a real job, or its own checker passes."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import CHECKOUT
from server import Server, article_url, cna_page, reply, serving

DEPLOY = CHECKOUT / "deploy"
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
    scrapy.write_text(f'#!/bin/sh\nexec {sys.executable} -m scrapy "$@" cna\n')
    scrapy.chmod(0o755)
    (program / "scrapy.cfg").write_text("[settings]\ndefault = job_settings\n")
    (program / "job_settings.py").write_text(SETTINGS)
    return program, state


def placed(text: str, program: Path, state: Path) -> str:
    return text.replace("/opt/newsarchive", str(program)).replace("/var/lib/newsarchive", str(state))


def environment(server: Server) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        "http_proxy": server.url,
        "PYTHONPATH": os.pathsep.join((str(CHECKOUT), str(Path(__file__).parent))),
        "CRAWL_LISTINGS": LISTING,
    }


def run(command: str, folder: Path, server: Server) -> int:
    """Run a shell's command line; return its status."""
    done = subprocess.run(["/bin/sh", "-c", command], cwd=folder, env=environment(server), timeout=120, check=False)
    return done.returncode


def answering(server: Server) -> None:
    server.answer(LISTING, reply(f"<urlset><url><loc>{PAGE}</loc></url></urlset>"))
    server.answer(PAGE, reply(cna_page("202401150001")))


def test_the_line_for_cron_runs_a_job_and_not_two_at_a_time(tmp_path: Path) -> None:
    program, state = installed(tmp_path)
    (line,) = (line for line in (DEPLOY / "cron/newsarchive").read_text().splitlines() if not line.startswith("#"))
    times, user, command = re.fullmatch(r"((?:\S+ ){5})(\w+) (.+)", line).groups()  # type: ignore[union-attr]
    assert (times, user) == ("17 * * * * ", "newsarchive")
    # Cron takes a percent sign for the end of the line.
    assert "%" not in command
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


def test_the_service_runs_a_job(tmp_path: Path) -> None:
    program, state = installed(tmp_path)
    unit = placed((DEPLOY / "systemd/newsarchive.service").read_text(), program, state)
    (command,) = re.findall("^ExecStart=(.+)$", unit, re.MULTILINE)
    (folder,) = re.findall("^WorkingDirectory=(.+)$", unit, re.MULTILINE)
    with serving() as server:
        answering(server)
        assert run(command, Path(folder), server) == 0
    assert list(state.glob("archive/_posts/cna/2024/*.md"))


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_finds_the_units_right_and_tight(tmp_path: Path) -> None:
    program, state = installed(tmp_path)
    units = []
    for name in ("newsarchive.service", "newsarchive.timer"):
        unit = tmp_path / name
        unit.write_text(placed((DEPLOY / "systemd" / name).read_text(), program, state))
        units.append(unit)
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    # Tenths of the level of exposure: 100 is everything.
    tight = ["systemd-analyze", "security", "--offline=true", "--threshold=15", units[0]]
    done = subprocess.run(tight, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-500:]
