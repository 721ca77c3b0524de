"""What a package imports is among what its dependencies bring: an image holds nothing else."""

import ast
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECTS = sorted(p.parent for p in ROOT.glob("*/*/pyproject.toml") if (p.parent / "src").is_dir())


def imported(package: Path) -> set[str]:
    """Top-level modules that the package imports, anywhere in its modules."""
    found: set[str] = set()
    for source in package.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add((node.module or "").partition(".")[0])
    return found - sys.stdlib_module_names


def declared(project: Path) -> set[str]:
    """The package and all that its dependencies, the optional ones included, install."""
    table = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    optional = table.get("optional-dependencies", {}).values()
    waiting = [*table.get("dependencies", []), *(name for group in optional for name in group)]
    found: set[str] = {canonicalize_name(table["name"])}
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonicalize_name(requirement.name)
        applies = not requirement.marker or requirement.marker.evaluate({"extra": ""})
        if applies and name not in found:
            found.add(name)
            try:
                waiting += requires(name) or []
            except PackageNotFoundError:
                continue
    return found


@pytest.mark.parametrize("project", PROJECTS, ids=lambda p: p.name)
def test_what_a_package_imports_comes_with_its_dependencies(project: Path) -> None:
    installed = declared(project)
    providers = packages_distributions()
    missing = {
        module
        for module in imported(project / "src")
        if not {canonicalize_name(name) for name in providers.get(module, [])} & installed
    }
    assert missing == set()
