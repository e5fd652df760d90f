"""What ``docs/operating.md`` tells operators to do can be done: files, commands, options and settings are there."""

import re
import subprocess
from argparse import ArgumentParser
from importlib import import_module

import pytest
from places import CHECKOUT
from scrapy.settings import Settings, default_settings

from newsarchive import settings

TEXT = (CHECKOUT / "docs/operating.md").read_text()
#: Lines that are to be typed, with what goes on in the next line.
TYPED = re.findall(r"^    \$ (.+)$", TEXT.replace("\\\n", " "), re.MULTILINE)
#: What is said of Scrapy's commands, typed or between backticks.
CALLS = re.findall(r"\bscrapy ([a-z]+)((?: [^`|&\n]+)?)", "\n".join([*TYPED, *re.findall(r"`(scrapy [^`]+)`", TEXT)]))


def options_of(command: str) -> str:
    """Return what a command says of its options."""
    made = import_module(f"newsarchive.commands.{command}").Command()
    made.settings = Settings()
    parser = ArgumentParser()
    made.add_options(parser)
    return parser.format_help()


@pytest.mark.parametrize("command", sorted({name for name, _ in CALLS}))
def test_commands_and_their_options_are_there(command: str) -> None:
    options = {option for name, words in CALLS if name == command for option in re.findall(r" (--[a-z-]+)", words)}
    assert options <= set(re.findall(r"--[a-z-]+", options_of(command)))


def test_files_are_there() -> None:
    named = set(re.findall(r"\bdeploy/[\w./-]*[\w*]|\bnewsarchive/\w+\.py|\bdocs/\w+\.md", TEXT))
    assert len(named) > 10
    assert not {name for name in named if not list(CHECKOUT.glob(name))}


def test_settings_are_there() -> None:
    named = set(re.findall(r"-s ([A-Z][A-Z_]+)=", TEXT)) | set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", TEXT))
    assert {"LOG_JSON", "LOG_FILE", "LOG_LEVEL", "USER_AGENT"} <= named
    environment = set(re.findall(r'"(NEWSARCHIVE_\w+)"', (CHECKOUT / "newsarchive/alerts/channel.py").read_text()))
    unknown = {name for name in named if not hasattr(settings, name) and not hasattr(default_settings, name)}
    assert unknown <= environment


def test_all_that_is_there_to_deploy_is_told() -> None:
    tracked = subprocess.run(["git", "ls-files", "deploy"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    folders = {"/".join(name.split("/")[:2]) for name in tracked.stdout.split()}
    assert {folder for folder in folders if folder not in TEXT} == set()
