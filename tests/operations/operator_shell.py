"""A shell in a copy of the project's folder, with the environment of an operator."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from tests.e2e.conftest import Stack

ROOT = Path(__file__).parents[2]
_LINKED = (
    *("bin", "scripts", "deploy", "deploy.sh", "compose.yaml", "Dockerfile", "docs"),
    *("requirements", "protos", "libs", "services", "simulators", "tools"),
)


def link_python(folder: Path) -> None:
    """Give a copy of the project a ``.venv/bin`` whose programs run by this test's Python."""
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    python = shlex.quote(sys.executable)
    # Scripts and not symbolic links: Python finds its virtual environment by its own path.
    for name, call in (("python", python), ("sep-ops", f"{python} -P -m sep_ops")):
        (programs / name).write_text(f'#!/bin/sh\nexec {call} "$@"\n')
        (programs / name).chmod(0o755)


class OperatorShell:
    """Runs commands as an operator of a running stack does.

    Args:
        folder: is created, with links to the project's files in it: what commands write must not
            end up in the real project.
    """

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        folder.mkdir()
        for name in _LINKED:
            (folder / name).symlink_to(ROOT / name)
        link_python(folder)

    @property
    def env(self) -> Mapping[str, str]:
        """The environment, with SEP_URL and SEP_KEY_FILE exported."""
        key_file = self.stack.run_dir / "keys" / "write"
        return {**os.environ, "SEP_URL": self.stack.url, "SEP_KEY_FILE": str(key_file)}

    def run(self, *command: str, within_s: float = 90) -> tuple[int, str]:
        """Run a command; its exit code and its output, stdout and stderr together."""
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
        """Engage or release the kill switch."""
        key = (self.stack.run_dir / "keys" / "write").read_text().strip()
        response = httpx.post(
            f"{self.stack.url}/api/kill-switch",
            json={"kill_switch": engaged, "reason": "test"},
            headers={"Authorization": f"Bearer {key}"},
            timeout=30,
        )
        assert response.status_code == httpx.codes.OK, response.text
