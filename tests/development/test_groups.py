"""Tests that share a running stack stay in one process."""

import re
import subprocess
import sys
from pathlib import Path

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
