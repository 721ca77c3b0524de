"""A pytest plugin: writes which tests failed, one name a line, to the file ``FAILED_TESTS``.

A file that can't be collected stands there by its path.
"""

import os
from pathlib import Path

import pytest

_LIST = os.environ.get("FAILED_TESTS")
# With pytest-xdist the workers load it too; their reports reach the process that started them.
_IN_WORKER = "PYTEST_XDIST_WORKER" in os.environ


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A set-up, a test or a clean-up has ended."""
    _note(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A file was collected, or could not be."""
    _note(report)


def _note(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.failed and _LIST and not _IN_WORKER:
        with Path(_LIST).open("a") as names:
            names.write(f"{report.nodeid}\n")
