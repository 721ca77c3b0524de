"""An operator's shell, pointed at a running stack."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from tests.e2e.conftest import Stack

ROOT = Path(__file__).parents[2]
_SHOWN = (
    *("bin", "scripts", "deploy", "deploy.sh", "compose.yaml", "Dockerfile", "docs"),
    *("requirements", "protos", "libs", "services", "tools"),
)


def link_python(folder: Path) -> None:
    """Give a copy of the project the Python of this one."""
    (folder / ".venv" / "bin").mkdir(parents=True)
    # Not a link: a virtual environment is found from where its Python seems to be.
    python = folder / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)


class Desk:
    """An operator's shell in the project's folder, pointed at a running stack."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        folder.mkdir()
        # A folder that looks like the project: what commands write must not end up in the real one.
        for name in _SHOWN:
            (folder / name).symlink_to(ROOT / name)
        link_python(folder)

    @property
    def env(self) -> Mapping[str, str]:
        """What the operator has exported."""
        key_file = self.stack.run_dir / "keys" / "write"
        return {**os.environ, "SEP_URL": self.stack.url, "SEP_KEY_FILE": str(key_file)}

    def run(self, *command: str, within_s: float = 90) -> tuple[int, str]:
        """Run a command; its exit code and output."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=within_s,
            check=False,
        )
        return done.returncode, done.stdout

    def set_kill_switch(self, *, engaged: bool) -> None:
        """Engage or release it."""
        key = (self.stack.run_dir / "keys" / "write").read_text().strip()
        response = httpx.post(
            f"{self.stack.url}/api/kill-switch",
            json={"kill_switch": engaged, "reason": "test"},
            headers={"Authorization": f"Bearer {key}"},
            timeout=10,
        )
        assert response.status_code == httpx.codes.OK, response.text
