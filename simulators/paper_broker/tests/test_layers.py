"""The import rules of the package.

``market``, ``orders`` and ``account`` are pure. ``market`` stands alone, ``orders`` and ``account``
build on it, and only the modules above them know HTTP, files and faults.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import sep_paper_broker

ROOT = Path(sep_paper_broker.__file__).parent
PURE = {
    "market": {"market"},
    "orders": {"market", "orders", "account"},
    "account": {"market", "orders", "account"},
}
IMPURE = {
    *("asyncio", "starlette", "uvicorn", "json", "time", "os", "socket", "httpx", "logging"),
    *("random", "secrets", "threading", "subprocess", "urllib", "pathlib", "io"),
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, path.name
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    return {
        ".".join(("sep_paper_broker", *path.relative_to(ROOT).with_suffix("").parts)): path
        for path in ROOT.rglob("*.py")
        if path.name != "__init__.py"
    }


def test_every_module_belongs_to_a_known_group() -> None:
    groups = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "_"}
    assert groups == {*PURE, "adapters", "faults", "http"}
    for group in groups:
        assert any((ROOT / group).glob("[a-z]*.py")), group


@pytest.mark.parametrize("group", PURE)
def test_pure_group_imports_no_io_no_clock_and_only_the_groups_it_may(group: str) -> None:
    for path in (ROOT / group).rglob("*.py"):
        for name in imports(path):
            assert name.split(".")[0] not in IMPURE, (path.name, name)
            if name.startswith("sep_paper_broker"):
                assert name.split(".")[1] in PURE[group], (path.name, name)


def test_faults_know_nothing_of_the_broker() -> None:
    for path in (ROOT / "faults").rglob("*.py"):
        for name in imports(path):
            if name.startswith("sep_paper_broker"):
                assert name.startswith("sep_paper_broker.faults"), (path.name, name)


def test_only_http_and_the_wiring_import_the_web_framework() -> None:
    for path in ROOT.rglob("*.py"):
        if path.parent.name == "http" or path.name == "app.py":
            continue
        assert not {"starlette", "uvicorn"} & {n.split(".")[0] for n in imports(path)}, path.name


def test_modules_import_each_other_without_cycles() -> None:
    known = modules()
    graph = {name: {i for i in imports(path) if i in known} for name, path in known.items()}
    while graph:
        free = {name for name, needed in graph.items() if not needed & graph.keys()}
        assert free, f"an import cycle among {sorted(graph)}"
        graph = {name: needed for name, needed in graph.items() if name not in free}


def test_no_other_part_of_the_stack_is_imported() -> None:
    for path in ROOT.rglob("*.py"):
        for name in imports(path):
            if name.startswith("sep_"):
                assert name.split(".")[0] in {"sep_paper_broker", "sep_fx"}, (path.name, name)


def test_only_main_reads_the_clock() -> None:
    for path in ROOT.rglob("*.py"):
        if path.name != "__main__.py":
            assert "time" not in {name.split(".")[0] for name in imports(path)}, path.name
