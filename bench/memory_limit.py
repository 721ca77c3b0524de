"""A control group of Linux with a limit of memory, of version 1 or 2, and what it counts."""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_REMOVE_WITHIN_S = 10.0


class NoControlGroupError(Exception):
    """This machine lets this user make no control group; the text says why."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a group has used.

    Args:
        used: bytes that can't be had back by dropping files from memory.
        cached: bytes of files, which the kernel drops when it needs the memory.
        at_limit: how often the limit was reached and memory had to be had back first.
        major_faults: pages that had to be read from disk again.
        stalled_s: seconds in which a process waited for memory; None where it is not counted.
        killed: processes that were killed for want of memory.
    """

    used: int
    cached: int
    at_limit: int
    major_faults: int
    stalled_s: float | None
    killed: int


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """A group: its folder, and whether it is one of version 2."""

    folder: Path
    second: bool

    @property
    def inside(self) -> tuple[str, ...]:
        """A command that executes the one after it inside the group."""
        return ("/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.folder / "cgroup.procs"))

    def memory(self) -> Memory:
        """What the group uses now, and has counted so far."""
        stat = _numbers(self.folder / "memory.stat")
        if self.second:
            total, prefix = _number(self.folder / "memory.current"), ""
            events = _numbers(self.folder / "memory.events")
            at_limit, killed = events["max"], events["oom_kill"]
        else:
            total, prefix = _number(self.folder / "memory.usage_in_bytes"), "total_"
            at_limit = _number(self.folder / "memory.failcnt")
            killed = _numbers(self.folder / "memory.oom_control").get("oom_kill", 0)
        cached = stat[f"{prefix}inactive_file"] + stat[f"{prefix}active_file"]
        return Memory(
            used=total - cached,
            cached=cached,
            at_limit=at_limit,
            major_faults=stat[f"{prefix}pgmajfault"],
            stalled_s=_stalled(self.folder / "memory.pressure"),
            killed=killed,
        )


@contextmanager
def control_group(limit: int) -> Iterator[ControlGroup]:
    """A group of at most ``limit`` bytes, swap included; it is removed at the end.

    Raises:
        NoControlGroupError: no group can be made here.
    """
    second = (_ROOT / "cgroup.controllers").exists()
    folder = (_ROOT if second else _ROOT / "memory") / f"sep-soak-{os.getpid()}"
    try:
        if second:
            (_ROOT / "cgroup.subtree_control").write_text("+memory")
        folder.mkdir()
        limits = ("memory.max",) if second else ("memory.limit_in_bytes",)
        for name in limits:
            (folder / name).write_text(str(limit))
    except OSError as error:
        with contextlib.suppress(OSError):
            folder.rmdir()
        raise NoControlGroupError(
            f"no control group can be made in {folder.parent} ({error.strerror}): it takes root"
            " on Linux, outside of a container or in one that may"
        ) from error
    for name, value in (
        ("memory.swap.max", "0"),
        ("memory.memsw.limit_in_bytes", str(limit)),
    ):
        # Where the kernel counts no swap, there is none of these.
        with contextlib.suppress(OSError):
            if (folder / name).exists():
                (folder / name).write_text(value)
    group = ControlGroup(folder, second)
    try:
        if subprocess.run((*group.inside, "true"), capture_output=True, check=False).returncode:
            raise NoControlGroupError(f"no process can be moved into {folder}")
        yield group
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    deadline = time.monotonic() + _REMOVE_WITHIN_S
    while True:
        try:
            folder.rmdir()
        except OSError:  # the last process is ending
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _number(path: Path) -> int:
    return int(path.read_text())


def _numbers(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in path.read_text().splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}


def _stalled(path: Path) -> float | None:
    """Seconds in which at least one process waited, of ``some avg10=... total=MICROSECONDS``."""
    if not path.exists():
        return None
    return int(path.read_text().partition("total=")[2].split()[0]) / 1e6
