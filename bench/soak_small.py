"""Whether 1 GB of memory is enough for a stack with practice settings and the paper broker."""

import contextlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sep_testing.processes import Usage, process_of_part, usage_by_part

from bench.memory_limit import ControlGroup, Memory, control_group
from bench.practice_stack import PracticeStack, compile_ahead, practice_stack, wait_for_history
from bench.runner import Figure

TITLE = "practice settings, 8 pairs, 90 days of M1 and the paper broker in a control group of 1 GB"

_LIMIT = 1024**3
_DAYS = 90.0
_MOST_USED = 0.9
"""Of the limit: the rest is for files that are read again and again."""
_MOST_STALLED_PERCENT = 1.0
_MOST_FAULTS_A_SECOND = 10.0
_LOOK_EVERY_S = 10.0
_HEALTH_ASKED, _ASKED_AGAIN_S = 3, 5.0
"""A machine that stalls for a second, as small ones do, is no want of memory."""
_MB = 1e6


@dataclass(slots=True)
class _Seen:
    """What the looks found so far."""

    began: float = field(default_factory=time.monotonic)
    used: list[int] = field(default_factory=list)
    cached: list[int] = field(default_factory=list)
    failed: int = 0

    def look(self, group: ControlGroup, report: Callable[[str], None]) -> Memory:
        now = group.memory()
        self.used.append(now.used)
        self.cached.append(now.cached)
        report(
            f"{time.monotonic() - self.began:6.0f} s  used {now.used / _MB:4.0f} MB,"
            f" files {now.cached / _MB:4.0f} MB, at the limit {now.at_limit} times,"
            f" {now.major_faults} major faults, {now.killed} killed"
        )
        return now


def run(seconds: float, report: Callable[[str], None], days: float = _DAYS) -> list[Figure]:
    """Start the stack in a group, load the history, and look at it for ``seconds``.

    Raises:
        NoControlGroupError: no group can be made here.
        TimeoutError: the stack did not get its history; the text has the end of its output.
    """
    compile_ahead()
    seen = _Seen()
    with (
        control_group(_LIMIT) as group,
        tempfile.TemporaryDirectory() as folder,
        practice_stack(Path(folder), days, group.inside) as stack,
    ):
        wait_for_history(stack, lambda: seen.look(group, report))
        report("every history is stored, every pair has a score")
        first, parts, began = seen.look(group, report), _processes(stack), time.monotonic()
        before = usage_by_part(stack.process.pid)
        while time.monotonic() - began < seconds:
            time.sleep(min(_LOOK_EVERY_S, seconds))
            seen.look(group, report)
            seen.failed += not _healthy(stack.url)
        last, elapsed = group.memory(), time.monotonic() - began
        after = usage_by_part(stack.process.pid)
        still = _processes(stack)
        ended = sum(1 for part, process in parts.items() if still.get(part) != process)
    return figures(seen.used, seen.failed, (first, last), (before, after), ended, elapsed)


def figures(
    used: list[int],
    failed: int,
    counts: tuple[Memory, Memory],
    usage: tuple[dict[str, Usage], dict[str, Usage]],
    ended: int,
    elapsed: float,
) -> list[Figure]:
    """The verdict: those with a target must not be above it."""
    first, last = counts
    seconds = [sum(part.seconds for part in parts.values()) for parts in usage]
    faults = (last.major_faults - first.major_faults) / elapsed
    most = _LIMIT * _MOST_USED / _MB
    rows = [
        Figure("memory at most", max(used) / _MB, "MB", most, lower_is_better=True,
               note="files that can be dropped not counted; from the start on"),
        Figure("processes killed for want of memory", float(last.killed), "", 0.0,
               lower_is_better=True),
        Figure("parts that ended", float(ended), "", 0.0, lower_is_better=True),
        Figure("looks at which it was not healthy", float(failed), "", 0.0, lower_is_better=True),
        Figure("major page faults", faults, "/s", _MOST_FAULTS_A_SECOND, lower_is_better=True),
        Figure("limit reached, files dropped", float(last.at_limit - first.at_limit), "times"),
        Figure("files in memory at the end", last.cached / _MB, "MB"),
        Figure("all processes", 100 * (seconds[1] - seconds[0]) / elapsed, "% of a core",
               note="the paper broker included"),
    ]  # fmt: skip
    if first.stalled_s is not None and last.stalled_s is not None:
        stalled = 100 * (last.stalled_s - first.stalled_s) / elapsed
        rows.insert(
            4,
            Figure(
                "time in which a process waited for memory",
                stalled,
                "%",
                _MOST_STALLED_PERCENT,
                lower_is_better=True,
            ),
        )
    return rows


def _processes(stack: PracticeStack) -> dict[str, int | None]:
    """Id of each part's process."""
    parts = usage_by_part(stack.process.pid)
    return {part: process_of_part(stack.process.pid, part) for part in parts}


def _healthy(url: str) -> bool:
    for _ in range(_HEALTH_ASKED):
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health", timeout=30, trust_env=False).is_success:
                return True
        time.sleep(_ASKED_AGAIN_S)
    return False
