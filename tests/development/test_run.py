"""``tests/run.py`` in a folder of its own: what it runs again, and what its exit code says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[1] / "run.py"
UNSTABLE = """
from pathlib import Path

def test_fails_once():
    seen = Path(__file__).with_suffix(".seen")
    first = not seen.exists()
    seen.touch()
    assert not first
"""
ALWAYS_FAILS = "def test_never_passes(): assert False"
PASSES = "def test_passes(): pass"
GROUPS = """
import pytest

def pytest_addoption(parser):
    parser.addoption("--fast", action="store_true")

@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.xdist_group(item.path.name))
        if item.path.name == "test_serial.py":
            item.add_marker("serial")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with the two modules that run its tests."""
    (tmp_path / "tests").mkdir()
    for module in (RUN, RUN.with_name("failed_tests.py")):
        shutil.copy(module, tmp_path / "tests")
    (tmp_path / "tests/__init__.py").touch()
    (tmp_path / "conftest.py").write_text(GROUPS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = serial: alone\n")
    return tmp_path


def run(folder: Path, files: dict[str, str], *arguments: str) -> tuple[int, str]:
    """The exit code and the output of a run over these test files."""
    for name, text in files.items():
        (folder / f"tests/test_{name}.py").write_text(text)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
    done = subprocess.run(
        [sys.executable, folder / "tests/run.py", *arguments],
        # Plugins that are installed take most of a start, and only this one is needed.
        env=environment
        | {
            "TEST_WORKERS": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_ADDOPTS": "-p xdist.plugin",
        },
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_test_that_passes_alone_is_named_as_unstable(folder: Path) -> None:
    code, output = run(folder, {"unstable": UNSTABLE, "passes": PASSES})
    assert "UNSTABLE" in output
    assert "passed alone: tests/test_unstable.py::test_fails_once\n" in output
    assert "\n0 failed, 2 passed, 1 unstable in " in output
    assert code == 0


def test_a_serial_test_is_run_again_too(folder: Path) -> None:
    code, output = run(folder, {"serial": UNSTABLE, "passes": PASSES})
    assert "passed alone: tests/test_serial.py::test_fails_once\n" in output
    assert code == 0


def test_a_test_that_fails_again_has_failed(folder: Path) -> None:
    code, output = run(folder, {"unstable": UNSTABLE, "fails": ALWAYS_FAILS})
    assert "--- again:" in output
    assert "UNSTABLE" not in output
    assert "\n2 failed, 0 passed in " in output
    assert code == 1


def test_nothing_runs_again_after_all_passed(folder: Path) -> None:
    code, output = run(folder, {"passes": PASSES})
    assert "--- again:" not in output
    assert "\n0 failed, 1 passed in " in output
    assert code == 0


@pytest.mark.parametrize(
    ("files", "arguments"),
    [
        ({f"unstable_{i}": UNSTABLE for i in range(4)}, ()),
        ({"unstable": UNSTABLE}, ("-x",)),
        ({"unstable": UNSTABLE}, ("--fast",)),
    ],
    ids=["many files", "stops early", "fast"],
)
def test_some_failures_count_at_once(
    folder: Path, files: dict[str, str], arguments: tuple[str, ...]
) -> None:
    code, output = run(folder, files, *arguments)
    assert "--- again:" not in output
    assert code in {1, 2}


def test_a_file_that_can_not_be_collected_fails_the_run(folder: Path) -> None:
    code, output = run(folder, {"broken": "import nothing_of_this_name", "unstable": UNSTABLE})
    assert "UNSTABLE" not in output
    assert code != 0
