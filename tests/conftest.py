"""Lets no test leave settings to the next, and prints figures that tests record, of all worker processes together."""

import os
from collections import Counter

import pytest


def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes run tests: one more than there are processors, as tests wait for disks and pauses."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(autouse=True)
def _settings_of_its_own() -> None:
    """Forget which settings were read last: Scrapy would have every program that a test starts take them."""
    os.environ.pop("SCRAPY_SETTINGS_MODULE", None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the sums of what tests recorded as ``total:<name>``."""
    sums: Counter[str] = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties:
                if name.startswith("total:"):
                    sums[name.removeprefix("total:")] += value
    if sums:
        terminalreporter.section("figures")
    for name, value in sums.items():
        terminalreporter.write_line(f"{value:8}  {name}")
