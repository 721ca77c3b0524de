"""Optional packages that a library would load are left out, and only there."""

import subprocess
import sys
from importlib import import_module

import pytest
from sep_kit.optional_imports import without


def test_a_hidden_package_can_be_imported_again_afterwards() -> None:
    sys.modules.pop("colorsys", None)
    with without("colorsys"), pytest.raises(ImportError):
        import_module("colorsys")
    assert "colorsys" not in sys.modules
    import_module("colorsys")


def test_a_package_that_is_in_use_is_not_hidden() -> None:
    with without("sep_kit"):
        assert sys.modules["sep_kit"] is not None


def test_logging_loads_no_terminal_library() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sep_kit.service, sys; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert "structlog" in loaded
    assert "rich" not in loaded
    import_module("rich")  # it is installed: its absence above is no accident
