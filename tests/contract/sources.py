"""The Python sources of the tree, and what they import."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Source:
    """One module: its folder under the root, its dotted name, its path."""

    folder: str
    module: str
    path: Path

    @property
    def package(self) -> str:
        """The distribution's top package."""
        return self.module.partition(".")[0]

    @property
    def tree(self) -> ast.Module:
        """The parsed module."""
        return _parse(self.path)

    def imports(self) -> Iterator[tuple[str, int]]:
        """Every imported name in full, wherever in the module, with its line."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                parent = self.module.rsplit(".", node.level)[0] + "." if node.level else ""
                base = f"{parent}{node.module or ''}".rstrip(".")
                yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def sources(folder: str) -> list[Source]:
    """The modules under ``libs``, ``services`` or ``tools``; tests are left out."""
    found = []
    for src in sorted(ROOT.glob(f"{folder}/*/src")):
        for path in sorted(src.rglob("*.py")):
            parts = path.relative_to(src).with_suffix("").parts
            name = ".".join(p for p in parts if p != "__init__")
            found.append(Source(f"{folder}/{src.parent.name}", name, path))
    return found


def packages(folder: str) -> set[str]:
    """Top packages under a folder."""
    return {source.package for source in sources(folder)}


def under(name: str, banned: str) -> bool:
    """Whether an imported name is the banned module or inside it."""
    return name == banned or name.startswith(f"{banned}.")
