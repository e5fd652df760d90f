"""The image and its composition: checked by their checkers, and, as no engine runs here, done by hand step by step."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tools
import yaml
from places import CHECKOUT
from server import serving
from test_deploy import answering, environment, program_of, wait_for
from test_operating import options_of

DEPLOY = CHECKOUT / "deploy/container"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ASK = urllib.request.build_opener(urllib.request.ProxyHandler({}))
PAGE = b"<!DOCTYPE html><title>well</title>"
SETTINGS = """\
from newsarchive.settings import *
SPIDER_MODULES = ["server"]
DOWNLOAD_DELAY = 0
WAYBACK = False
TWISTED_DNS_RESOLVER = "server.NoNetwork"
"""


@dataclass(frozen=True)
class Step:
    """An instruction of the Dockerfile, in which stage, and what it says."""

    stage: int
    name: str
    said: str

    @property
    def words(self) -> list[str]:
        return json.loads(self.said) if self.said.startswith("[") else shlex.split(self.said)


def steps() -> list[Step]:
    """Return the instructions of the Dockerfile in order."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found, stage = [], -1
    for line in filter(None, text.splitlines()):
        name, _, said = line.partition(" ")
        stage += name == "FROM"
        found.append(Step(stage, name, re.sub(r"\s+", " ", said)))
    return found


def the(name: str) -> str:
    """Return what the last instruction of a name says."""
    return [step.said for step in steps() if step.name == name][-1]


def test_hadolint_finds_nothing() -> None:
    done = tools.run("lint", "hadolint", "Dockerfile", cwd=DEPLOY)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_composition_is_one() -> None:
    command = ("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml")
    done = tools.run("lint", *command, cwd=DEPLOY)
    assert done.returncode == 0, done.stdout


def test_compose_reads_the_composition() -> None:
    if not shutil.which("docker") or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        pytest.skip("docker compose is not installed")
    done = subprocess.run(
        ["docker", "compose", "--file", DEPLOY / "compose.yaml", "--profile", "by-hand", "config", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("service", SERVICES)
def test_containers_can_do_nothing_but_their_work(service: str) -> None:
    made = SERVICES[service]
    assert (made["read_only"], made["cap_drop"], made["security_opt"]) == (True, ["ALL"], ["no-new-privileges:true"])
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", made["user"])
    assert {"mem_limit", "cpus", "pids_limit"} <= made.keys()
    assert "healthcheck" in made
    assert not {"privileged", "network_mode", "pid", "ipc", "devices", "cap_add"} & made.keys()
    writable = [volume for volume in made["volumes"] if not volume.endswith(":ro")]
    assert writable == ([] if service == "web" else ["archive:/srv/archive"])
    assert all(port.startswith("127.0.0.1:") for port in made.get("ports", ()))


def test_the_image_is_small_and_nobodys() -> None:
    images = [step.said for step in steps() if step.name == "FROM"]
    assert images == ["python:${PYTHON}-slim AS build", "python:${PYTHON}-slim"]
    assert the("USER") == SERVICES["schedule"]["user"] == SERVICES["archive"]["user"]
    assert the("CMD") == json.dumps(SERVICES["schedule"]["command"])
    # What was built is used where it was built: an environment cannot be moved.
    (taken,) = [step.words for step in steps() if step.said.startswith("--from")]
    assert taken[0] == "--from=build"
    assert taken[1] == taken[2] == "/opt/newsarchive"


def context(folder: Path) -> Path:
    """Return a folder with what of the checkout is sent to the engine, as ``.dockerignore`` says."""
    lines = [line for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    assert all(line.startswith(("!", "**/")) for line in lines[1:])
    left_out = shutil.ignore_patterns(*(line.removeprefix("**/") for line in lines if line.startswith("**/")))
    for name in (line[1:] for line in lines if line.startswith("!")):
        if (CHECKOUT / name).is_dir():
            shutil.copytree(CHECKOUT / name, folder / name, ignore=left_out)
        else:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, folder / name)
    return folder


def test_what_is_copied_is_sent_and_nothing_else(tmp_path: Path) -> None:
    sent = context(tmp_path)
    copied = [word for step in steps() if step.name == "COPY" and "--from" not in step.said for word in step.words[:-1]]
    for name in copied:
        assert (sent / name).exists(), name
    assert {file.relative_to(sent).parts[0] for file in sent.rglob("*")} == {name.split("/")[0] for name in copied}
    assert not list(sent.rglob("*.pyc"))


@contextmanager
def built(pip_options: str) -> Iterator[tuple[Path, dict[str, str]]]:
    """Do what the Dockerfile says in a folder in place of the image's root; yield it, and the image's environment."""
    with tempfile.TemporaryDirectory(prefix="newsarchive-image-") as name:
        root = Path(name)
        root.chmod(0o755)
        sent = context(root / "context")

        def inside(text: str) -> str:
            return re.sub(r"(?<![\w.])/(opt|srv|etc|build)\b", rf"{root}/\1", text)

        folder = root
        variables = {"PATH": os.environ["PATH"]}
        for step in steps():
            if step.name == "WORKDIR":
                folder = Path(inside(step.said))
                folder.mkdir(parents=True, exist_ok=True)
            elif step.name == "COPY" and not step.said.startswith("--from"):
                *sources, target = step.words
                for source in sources:
                    copy(sent / source, folder / inside(target), target.endswith("/"))
            elif step.name == "RUN":
                command = inside(step.said).replace("--no-cache-dir", pip_options)
                subprocess.run(["/bin/sh", "-ec", command], cwd=folder, env={**os.environ, **variables}, check=True)
            elif step.name == "ENV":
                for pair in step.words:
                    key, _, value = inside(pair).partition("=")
                    variables[key] = value.replace("$PATH", variables["PATH"])
        yield root, variables


def copy(source: Path, target: Path, into: bool) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        target = target / source.name if into else target
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


@pytest.mark.skipif(not os.environ.get("FORTNIGHT"), reason="installs everything anew: set FORTNIGHT=1")
@pytest.mark.skipif(os.getuid() != 0, reason="only root can be the image's user")
def test_what_the_image_does_works_for_its_user() -> None:
    user, group = map(int, the("USER").split(":"))
    # Who may read everything: this machine's Python may lie in a folder of root's. Nobody may write everything.
    nobody = [program_of("setpriv"), f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs"]
    nobody += ["--bounding-set=-all,+dac_read_search", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    with built("--quiet") as (root, variables), serving() as server, tempfile.TemporaryDirectory() as home:
        answering(server)
        (root / "srv/test_settings.py").write_text(SETTINGS)
        (root / "etc/newsarchive/schedule.toml").write_text('[jobs.x]\ncron = "@hourly"\npublishers = ["cna"]\n')
        os.chown(home, user, group)
        shutil.copy(CHECKOUT / "tests/server.py", root / "srv/server.py")
        told = {**environment(server), **variables, "HOME": home, "PYTHONPATH": str(root / "srv")}
        told["SCRAPY_SETTINGS_MODULE"] = "test_settings"

        def run(*command: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [*nobody, *(word.replace("/etc/", f"{root}/etc/") for word in command)],
                cwd=root / "srv",
                env=told,
                capture_output=True,
                text=True,
                timeout=600,
                check=False,
            )

        before = {file for file in root.rglob("*") if root / "srv/archive" not in file.parents}
        version = run("python", "-c", "import newsarchive, sys; print(newsarchive.__file__, sys.prefix)").stdout
        assert version == f"{root}/opt/newsarchive{version.split(f'{root}/opt/newsarchive')[1]}{root}/opt/newsarchive\n"
        done = run(*json.loads(the("CMD")), "--once")
        assert done.returncode == 0, done.stdout + done.stderr
        assert list(root.glob("srv/archive/_posts/cna/2024/*.md"))
        health = run(*json.loads(the("HEALTHCHECK").partition("CMD ")[2]))
        assert "cna: 1 articles" in health.stdout, health.stdout + health.stderr
        assert {file for file in root.rglob("*") if root / "srv/archive" not in file.parents} == before


@contextmanager
def nginx(folder: Path) -> Iterator[str]:
    """Run nginx with the configuration that is shipped while the context lasts; yield its address."""
    program = program_of("nginx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = (DEPLOY / "nginx.conf").read_text()
    mine = {"listen 8080": f"listen 127.0.0.1:{port}", "/srv/archive": f"{folder}/archive", "/tmp/": f"{folder}/tmp/"}
    assert all(theirs in text for theirs in mine)
    text = re.sub("|".join(mine), lambda match: mine[match[0]], text)
    (folder / "nginx.conf").write_text(text)
    (folder / "tmp").mkdir()
    more = "daemon off;" + (" user root;" if os.getuid() == 0 else "")
    command = [program, "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr", "-g", more]
    tested = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stderr
    with (
        (folder / "nginx.log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log, text=True) as process,
    ):
        try:
            wait_for(lambda: status(f"http://127.0.0.1:{port}/health")[0] == 204, process, 30)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def status(url: str, method: str = "GET") -> tuple[int, Any, bytes]:
    """Return status, headers and body of an answer; 0 if there is none."""
    try:
        with ASK.open(urllib.request.Request(url, method=method), timeout=10) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()
    except OSError:
        return 0, None, b""


def test_the_web_server_shows_posts_and_status_and_nothing_else(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    post = archive / "_posts/cna/2024/2024-01-15-202401150001.md"
    post.parent.mkdir(parents=True)
    post.write_text("---\ntitle: 河岸\n---\n<script>alert(1)</script>\n")
    hidden = {"_posts/cna/2024/.draft.tmp", "captures/cna/x.warc.gz", "index.sqlite", "runs/x.json", "schedule/x.log"}
    for name in hidden:
        (archive / name).parent.mkdir(parents=True, exist_ok=True)
        (archive / name).write_text("secret")
    (tmp_path / "outside").write_text("secret")
    (archive / "_posts/link.md").symlink_to(tmp_path / "outside")
    with nginx(tmp_path) as url:
        assert status(f"{url}/")[0] == 404
        (archive / "status.html").write_bytes(PAGE)
        code, headers, body = status(f"{url}/")
        assert (code, headers["Content-Type"], body) == (200, "text/html; charset=utf-8", PAGE)
        code, headers, body = status(f"{url}/{post.relative_to(archive)}")
        assert (code, headers["Content-Type"], body) == (200, "text/plain; charset=utf-8", post.read_bytes())
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["Server"] == "nginx"
        assert b"2024-01-15-202401150001.md" in status(f"{url}/_posts/cna/2024/")[2]
        for name in (*hidden, "_posts/../index.sqlite", "_posts/..%2findex.sqlite", "_posts/link.md", "captures/"):
            code, _, body = status(f"{url}/{name}")
            assert code in (400, 403, 404), name
            assert b"secret" not in body
        for method in ("POST", "PUT", "DELETE"):
            assert status(f"{url}/status.html", method)[0] == 405
    assert post.exists()


def test_the_health_of_the_schedule_is_shown_to_people() -> None:
    command = SERVICES["schedule"]["healthcheck"]["test"]
    assert command[:3] == ["CMD", "scrapy", "status"]
    if "--html" not in options_of("status"):
        pytest.skip("scrapy status writes no page")
    assert command[3:] == ["--html", "archive/status.html"]
    assert "location = /status.html" in (DEPLOY / "nginx.conf").read_text()
