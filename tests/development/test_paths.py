"""The lists of test files in the root conftest.py name files that exist."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def lists() -> list[str]:
    spec = importlib.util.spec_from_file_location("root_conftest", ROOT / "conftest.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [*module.SERIAL, *module.SLOW, *module.SHARED_STACKS, *module.FAST]


@pytest.mark.parametrize("pattern", lists())
def test_a_listed_path_exists(pattern: str) -> None:
    assert list(ROOT.glob(pattern.rstrip("/")))
