"""What tests are skipped without is what CI installs."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Debian has no package of the first; its second is older than what the files need; the third
# comes with systemd itself, which a machine has or does without.
NOT_INSTALLED = {"kubectl", "amtool", "systemd-analyze"}


def test_ci_installs_every_program_that_a_test_is_skipped_without() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    skipped_without = set(re.findall(r'(?:\bneeds|shutil\.which)\(\s*"([\w-]+)"', sources))
    assert "curl" in skipped_without
    (optional,) = re.findall(r"^optional=\((.*)\)$", (ROOT / ".ci/run").read_text(), re.M)
    installed = {entry.partition(":")[0] for entry in optional.split()}
    assert skipped_without - NOT_INSTALLED <= installed


def test_tests_of_the_documents_commands_are_skipped_without_curl() -> None:
    """As on a minimal Debian: with a reason in capitals, and no failure."""
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-n0"]
    done = subprocess.run(
        [*command, "tests/e2e/test_documents.py", "-k", "bare_shell"],
        cwd=ROOT,
        env={"PATH": "/nonexistent", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 skipped" in done.stdout
    assert "COMMANDS OF THE DOCUMENTS NOT RUN: curl is not installed" in done.stdout
