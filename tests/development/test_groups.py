"""Tests that share a running stack stay in one process."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("libs", "services", "simulators", "tools", "clients")

SUITE = """
import pytest

@pytest.mark.xdist_group("{group}")
@pytest.mark.parametrize("number", range(6))
def test_number(number):
    pass
"""
RAN = re.compile(r"\[(gw\d)\] .* PASSED (test_\w+)\.py::")


def test_a_group_runs_in_one_process(tmp_path: Path) -> None:
    for group in ("first", "second"):
        (tmp_path / f"test_{group}.py").write_text(SUITE.format(group=group), "utf-8")
    command = [
        sys.executable, "-m", "pytest", "-v", "-n", "2", "--dist", "loadgroup",
        "--no-loadscope-reorder", "-p", "no:cacheprovider", "--rootdir", str(tmp_path),
        str(tmp_path),
    ]  # fmt: skip
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    ran = RAN.findall(run.stdout)
    assert len(ran) == 12, run.stdout
    assert len(set(ran)) == 2, run.stdout


def test_files_that_use_the_stack_of_their_suite_stay_together() -> None:
    uses = [
        ("tests/e2e/test_one.py", {"tmp_path"}),
        ("tests/e2e/test_one.py", {"channel", "api"}),
        ("tests/e2e/test_two.py", {"api"}),
        ("tests/e2e/test_own.py", {"stack", "shell"}),
        ("services/x/tests/test_api.py", {"api"}),
    ]
    assert runpy.run_path(str(ROOT / "conftest.py"))["groups_of"](uses) == {
        "tests/e2e/test_one.py": "tests/e2e/",
        "tests/e2e/test_two.py": "tests/e2e/",
        "tests/e2e/test_own.py": "tests/e2e/test_own.py",
        "services/x/tests/test_api.py": "services/x/tests/test_api.py",
    }


def test_serial_tests_are_named_by_path_alone() -> None:
    """Their files are not even looked at by the other phase."""
    marks = re.compile(r"pytest\.mark\.(serial|slow)")
    folders = (
        ROOT / "tests",
        *(tests for root in PACKAGES for tests in ROOT.glob(f"{root}/*/tests")),
    )
    files = [path for folder in folders for path in folder.rglob("test_*.py")]
    assert len(files) > 100
    assert [path for path in files if marks.search(path.read_text("utf-8"))] == []
