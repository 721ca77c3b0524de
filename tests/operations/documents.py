"""The shell commands in the operations pages, exactly as written there."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "operations").glob("*.md"))

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.M | re.S
)


@dataclass(frozen=True)
class Command:
    """A block of shell commands; ``kind`` is the word after ``sh`` in the fence.

    "" runs against any stack, "local" against that of ``make run`` only, "docker" needs the
    containers, "dry" changes nothing, "deploy" deploys, "alerts" is for Alertmanager, "end" removes
    everything, "setup" exports the address of the stack and the key, "state" and "cron" back up
    and restore a stack.
    """

    page: str
    section: str
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def commands_of(page: Path) -> list[Command]:
    """Every block of a page, in order.

    Raises:
        ValueError: a block is not marked as ``sh``, so no test would run it.
    """
    text = page.read_text()
    found = []
    for block in _FENCE.finditer(text):
        words = block["info"].split()
        if words[:1] != ["sh"]:
            raise ValueError(f"{page.name}: a block is no sh block: {block['info']!r}")
        indent = block["indent"]
        lines = [line.removeprefix(indent) for line in block["text"].splitlines()]
        line = text.count("\n", 0, block.start()) + 1
        headings = re.findall(r"^## (.+)$", text[: block.start()], re.M)
        section = headings[-1] if headings else ""
        found.append(Command(page.name, section, line, " ".join(words[1:]), "\n".join(lines)))
    return found


def sections(kinds: Collection[str]) -> dict[str, list[Command]]:
    """The blocks of these kinds by section, in order: a step may need the ones before it."""
    found: dict[str, list[Command]] = {}
    for command in all_commands():
        if command.kind in kinds:
            found.setdefault(f"{command.page}: {command.section}", []).append(command)
    return found


def all_commands() -> list[Command]:
    """Every block of every page."""
    return [command for page in PAGES for command in commands_of(page)]
