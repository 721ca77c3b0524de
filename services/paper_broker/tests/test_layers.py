"""The domain stays pure and this service stays alone."""

import ast
from collections.abc import Iterator
from pathlib import Path

import sep_paper_broker

ROOT = Path(sep_paper_broker.__file__).parent
BANNED_IN_DOMAIN = {"asyncio", "starlette", "uvicorn", "json", "time", "os", "socket", "httpx"}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, path.name
            yield node.module


def test_domain_imports_no_io_no_clock_and_nothing_outside_itself() -> None:
    for path in (ROOT / "domain").glob("*.py"):
        for name in imports(path):
            assert name.split(".")[0] not in BANNED_IN_DOMAIN, (path.name, name)
            if name.startswith("sep_paper_broker"):
                assert name.startswith("sep_paper_broker.domain"), (path.name, name)


def test_no_other_service_is_imported() -> None:
    for path in ROOT.rglob("*.py"):
        for name in imports(path):
            if name.startswith("sep_"):
                assert name.split(".")[0] in {"sep_paper_broker", "sep_fx"}, (path.name, name)


def test_only_main_reads_the_clock() -> None:
    for path in ROOT.rglob("*.py"):
        if path.name != "__main__.py":
            assert "time" not in {name.split(".")[0] for name in imports(path)}, path.name
