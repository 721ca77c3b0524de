"""The Python sources of the repository and their imports."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Source:
    """One module.

    Args:
        folder: its project, such as ``services/guard``.
        module: its dotted name.
    """

    folder: str
    module: str
    path: Path

    @property
    def package(self) -> str:
        """Its top package, such as ``sep_guard``."""
        return self.module.partition(".")[0]

    @property
    def layers(self) -> tuple[str, ...]:
        """The parts of its name below the top package, such as ``("domain", "budget")``."""
        return tuple(self.module.split(".")[1:])

    @property
    def tree(self) -> ast.Module:
        """The parsed module."""
        return _parse(self.path)

    def imports(self) -> Iterator[tuple[str, int]]:
        """The full name of every import anywhere in the module, with its line."""
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
    """The modules in every ``src`` folder under a top folder such as ``services``."""
    found = []
    for src in sorted(ROOT.glob(f"{folder}/*/src")):
        for path in sorted(src.rglob("*.py")):
            parts = path.relative_to(src).with_suffix("").parts
            name = ".".join(p for p in parts if p != "__init__")
            found.append(Source(f"{folder}/{src.parent.name}", name, path))
    return found


def packages(folder: str) -> set[str]:
    """Top packages under a top folder."""
    return {source.package for source in sources(folder)}


def under(name: str, banned: str) -> bool:
    """Whether an imported name is the banned module or part of it."""
    return name == banned or name.startswith(f"{banned}.")
