"""A virtual environment that belongs to another folder is not used."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TARGETS = ("run", "test", "test-fast", "lint", "format", "generate", "bench", "replay", "research")


def checkout(folder: Path, made_for: Path) -> Path:
    """A folder with the Makefile and a .venv that was made for ``made_for``."""
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "requirements").symlink_to(ROOT / "requirements")
    for name in (".venv", ".venv-build"):
        (folder / name / "bin").mkdir(parents=True)
        (folder / name / "bin" / "python").symlink_to(Path(sys.executable).resolve())
        (folder / name / "bin" / "pip").write_text("#!/bin/sh\n")
        (folder / name / "bin" / "pip").chmod(0o755)
    config = f"home = /usr/bin\ncommand = /usr/bin/python3 -m venv {made_for / '.venv'}\n"
    (folder / ".venv" / "pyvenv.cfg").write_text(config)
    for stamp in ("installed", "installed-dev", "installed-bench", "installed-research"):
        (folder / ".venv" / stamp).touch()
    (folder / ".venv-build" / "installed").touch()
    return folder


def plan(folder: Path, target: str) -> str:
    """What make would do."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", "--dry-run", target, "CANDLES_DIR=."],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    ).stdout


@pytest.mark.parametrize("target", TARGETS)
def test_a_copied_environment_is_made_anew(tmp_path: Path, target: str) -> None:
    copied = checkout(tmp_path / "copy", tmp_path / "original")
    assert "-m venv" in plan(copied, target)


@pytest.mark.parametrize("name", ["plain", "with space"])
def test_an_environment_of_this_folder_is_kept(tmp_path: Path, name: str) -> None:
    own = checkout(tmp_path / name, tmp_path / name)
    assert "-m venv" not in plan(own, "run")


def test_an_environment_whose_python_is_gone_is_made_anew(tmp_path: Path) -> None:
    own = checkout(tmp_path / "own", tmp_path / "own")
    python = own / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(tmp_path / "gone")
    assert "-m venv" in plan(own, "run")
