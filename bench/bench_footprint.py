"""What a whole stack takes: practice settings, 8 pairs, 90 days of M1, against the paper broker.

``deploy/practice.env`` as it is, but for the broker. Proportional set size and processor time of
every process that ``sep-stack up`` starts, once the history is stored and judged. The paper broker
stands in for the broker's servers, so it is shown and not counted.
"""

import tempfile
import time
from pathlib import Path

from sep_testing.processes import Usage, usage_by_part

from bench.practice_stack import compile_ahead, practice_stack, wait_for_history
from bench.runner import Figure, Options

TITLE = "footprint: practice settings, 8 pairs, 90 days of M1"

_DAYS, _DAYS_QUICK = 90, 5
_MEMORY_MB, _MEMORY_WITH_JOURNAL_MB = 450, 520
_CORE_PERCENT = 5
_MB = 1e6


def measure(options: Options) -> list[Figure]:
    """All figures of this suite; ``quick`` means 5 days of history and a shorter measurement."""
    days = _DAYS_QUICK if options.quick else _DAYS
    settle_s, measured_s = (10, 20) if options.quick else (60, 120)
    compile_ahead()
    with tempfile.TemporaryDirectory() as folder, practice_stack(Path(folder), days) as stack:
        wait_for_history(stack)
        time.sleep(settle_s)
        before, started = usage_by_part(stack.process.pid), time.monotonic()
        time.sleep(measured_s)
        after, elapsed = usage_by_part(stack.process.pid), time.monotonic() - started
    return figures(before, after, elapsed, days)


def figures(
    before: dict[str, Usage], after: dict[str, Usage], elapsed: float, days: int
) -> list[Figure]:
    """Memory at the end and share of a core in between, by part and in sum."""
    memory = {part: usage.memory / _MB for part, usage in after.items()}
    percent = {
        part: 100 * (usage.seconds - before.get(part, Usage(0, 0.0)).seconds) / elapsed
        for part, usage in after.items()
    }
    stack = [part for part in memory if part != "paper broker"]
    without = [part for part in stack if part != "journal"]
    rows = [
        Figure(part, memory[part], "MB", note=f"{percent[part]:.1f} % of a core")
        for part in sorted(memory, key=lambda part: -memory[part])
    ]
    return [
        *rows,
        Figure("stack without the journal", sum(memory[part] for part in without), "MB",
               _MEMORY_MB, lower_is_better=True, note=f"{days} days"),
        Figure("stack", sum(memory[part] for part in stack), "MB",
               _MEMORY_WITH_JOURNAL_MB, lower_is_better=True, note=f"{days} days"),
        Figure("stack, share of a core", sum(percent[part] for part in stack), "%",
               _CORE_PERCENT, lower_is_better=True, note=f"over {elapsed:.0f} s"),
    ]  # fmt: skip
