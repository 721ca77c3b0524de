"""Building the console where something is missing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.console.conftest import CONSOLE, console_make

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The console's sources in a checkout where nothing is installed."""
    folder = tmp_path / "check out" / "console"
    made = shutil.ignore_patterns("node_modules", "dist", "gen", ".node")
    shutil.copytree(CONSOLE, folder, ignore=made)
    locked = folder.parent / "requirements" / "locked"
    locked.mkdir(parents=True)
    shutil.copy(CONSOLE.parent / "requirements" / "locked" / "console.txt", locked)
    return folder


def make(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Build where no registry answers."""
    return subprocess.run(
        [sys.executable, "-P", str(folder / "make.py"), *options],
        env=os.environ | {"npm_config_registry": NOWHERE, "PIP_INDEX_URL": NOWHERE},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


def test_without_a_registry_an_optional_build_says_so_and_fails_nothing(bare: Path) -> None:
    done = make(bare, "--optional")
    assert done.returncode == 0
    assert "/ shows links instead" in done.stderr
    assert not (bare / "dist").exists()


def test_without_a_registry_a_wanted_build_fails(bare: Path) -> None:
    done = make(bare)
    assert done.returncode == 1
    assert "registry" in done.stderr or "Node" in done.stderr


def test_unchanged_sources_are_not_built_again(built: Path) -> None:
    page = built / "index.html"
    before = page.stat().st_mtime_ns
    assert console_make().main([]) == 0
    assert page.stat().st_mtime_ns == before


def test_every_source_counts(bare: Path) -> None:
    module = console_make(bare)
    before = module.digest_of(module.sources())
    page = bare / "src" / "index.html"
    page.write_text(page.read_text() + "\n")
    assert module.digest_of(module.sources()) != before


def test_the_lock_file_names_no_registry() -> None:
    assert "resolved" not in (CONSOLE / "package-lock.json").read_text()
