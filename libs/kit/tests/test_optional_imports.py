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


def loaded_by(program: str) -> set[str]:
    """The modules of a process that has run this."""
    command = [sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules)"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_logging_loads_no_terminal_library() -> None:
    loaded = loaded_by("import sep_kit.service")
    assert "structlog" in loaded
    assert "rich" not in loaded
    import_module("rich")  # it is installed: its absence above is no accident


def test_a_check_of_all_settings_loads_no_server_and_no_client() -> None:
    """Each start of a stack makes one, in a process of its own."""
    loaded = loaded_by("from sep_kit.settings.registry import knob_groups; knob_groups()")
    assert "sep_guard.settings" in loaded
    assert not {"grpc", "httpx", "redis", "numpy", "google.protobuf.message"} & loaded
