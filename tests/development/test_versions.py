"""One version number: every package, the library's own and the changelog agree with ``VERSION``."""

import tomllib
from pathlib import Path

import pytest
from sep_kit import __version__

ROOT = Path(__file__).parents[2]
VERSION = (ROOT / "VERSION").read_text().strip()
PROJECTS = sorted(
    [ROOT / "protos" / "pyproject.toml"]
    + [
        path
        for folder in ("libs", "services", "simulators", "tools", "clients")
        for path in (ROOT / folder).glob("*/pyproject.toml")
    ]
)


@pytest.mark.parametrize("path", PROJECTS, ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_a_package_has_the_version_of_the_repository(path: Path) -> None:
    assert tomllib.loads(path.read_text())["project"]["version"] == VERSION


def test_services_report_the_version_of_the_repository() -> None:
    assert __version__ == VERSION


def test_the_changelog_describes_the_version() -> None:
    assert f"## [{VERSION}]" in (ROOT / "CHANGELOG.md").read_text()
