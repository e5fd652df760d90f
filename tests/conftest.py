"""Prints figures that tests record, of all worker processes together."""

from collections import Counter

import pytest


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
