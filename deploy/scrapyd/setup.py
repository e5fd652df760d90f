"""Packs the project as an egg for Scrapyd, when ``scrapyd-deploy`` calls it; ``pyproject.toml`` says what is in it."""

import re
import tomllib
from pathlib import Path

from setuptools import setup

CHECKOUT = Path(__file__).resolve().parents[2]
ABOUT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))

setup(
    name=ABOUT["project"]["name"],
    version=re.search(r'__version__ = "(.+)"', (CHECKOUT / "newsarchive/__init__.py").read_text("utf-8"))[1],
    packages=ABOUT["tool"]["setuptools"]["packages"],
    package_dir={"": "../.."},
    entry_points={"scrapy": ["settings = newsarchive.settings"]},
    options={"egg_info": {"egg_base": "."}},
)
