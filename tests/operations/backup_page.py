"""Runs the commands of docs/operations/backup.md, block by block."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.operations.documents import ROOT, Command, commands_of

PAGE = ROOT / "docs" / "operations" / "backup.md"


class BackupPage:
    """The page's blocks; each is run once and then no longer in ``left``.

    Args:
        folder: is made, with the programs that the page calls in its ``.venv/bin``.
        environment: what an operator has exported.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = {**os.environ, **environment}
        self._blocks = commands_of(PAGE)
        self.left = list(self._blocks)
        programs = folder / ".venv" / "bin"
        programs.mkdir(parents=True)
        for name, module in (("sep-state", "sep_ops.state"), ("sep-ops", "sep_ops")):
            script = programs / name
            script.write_text(
                f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m {module} "$@"\n'
            )
            script.chmod(0o755)

    def run(self, section: str, *kinds: str) -> str:
        """Run every block of these kinds in a section; returns their output."""
        found = [b for b in self._blocks if b.section == section and b.kind in kinds]
        assert found, section
        self.left = [b for b in self.left if b not in found]
        return "".join(self._run(block) for block in found)

    def _run(self, block: Command) -> str:
        text = block.text
        if block.kind == "cron":
            assert re.fullmatch(r"([\d*]+ ){5}.+", text)
            text = text.split(maxsplit=5)[5]
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{block}: {text}\n{done.stdout}"
        return done.stdout
