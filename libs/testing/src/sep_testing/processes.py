"""Memory and processor time of the processes of a running stack, by part, from ``/proc``."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_PARENT, _USER_TICKS, _SYSTEM_TICKS = 1, 11, 12
"""Fields of ``/proc/PID/stat`` after the command's name."""
_PROGRAMS = {
    **{f"sep_{name}": name for name in ("gateway", "evaluator", "allocator", "guard", "journal")},
    "sep_paper_broker": "paper broker",
    "valkey-server": "valkey",
    "envoy": "envoy",
}
SUPERVISOR = "supervisor"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a part uses: proportional set size in bytes, processor time so far in seconds.

    The proportional set size counts a page that several processes map as a share of each, so the
    sum over all parts is what the stack takes of the machine's memory.
    """

    memory: int
    seconds: float

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.memory + other.memory, self.seconds + other.seconds)


def usage_by_part(supervisor: int) -> dict[str, Usage]:
    """Usage of each part of the stack that ``sep-stack up`` with this process id runs.

    A process that none of the names below fits counts to the supervisor, so nothing is left out.
    """
    children = _children()
    found: dict[str, Usage] = {SUPERVISOR: _usage(supervisor)}
    for child in children.get(supervisor, ()):
        part = _part(child)
        for process in (child, *_descendants(child, children)):
            found[part] = found.get(part, Usage(0, 0.0)) + _usage(process)
    return found


def process_of_part(supervisor: int, part: str) -> int | None:
    """Id of a part's process, by the name that ``usage_by_part`` has; None while none runs."""
    return next((p for p in _children().get(supervisor, ()) if _part(p) == part), None)


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for folder in _PROC.iterdir():
        if folder.name.isdigit() and (fields := _stat(int(folder.name))):
            found.setdefault(int(fields[_PARENT]), []).append(int(folder.name))
    return found


def _descendants(process: int, children: Mapping[int, list[int]]) -> list[int]:
    own = children.get(process, [])
    return [*own, *(below for child in own for below in _descendants(child, children))]


def _part(process: int) -> str:
    try:
        # Valkey shows its address there as well, after a space.
        words = (_PROC / str(process) / "cmdline").read_text().replace("\0", " ").split()
    except OSError:  # it has just ended
        return SUPERVISOR
    names = {Path(word).name for word in words}
    return next((part for program, part in _PROGRAMS.items() if program in names), SUPERVISOR)


def _usage(process: int) -> Usage:
    fields = _stat(process)
    try:
        rollup = (_PROC / str(process) / "smaps_rollup").read_text()
    except OSError:  # it has just ended
        return Usage(0, 0.0)
    pss = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    ticks = int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS]) if fields else 0
    return Usage(pss * 1024, ticks / os.sysconf("SC_CLK_TCK"))


def _stat(process: int) -> list[str]:
    try:
        text = (_PROC / str(process) / "stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()
