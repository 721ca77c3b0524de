"""Times the guard's decisions of one checkout, whatever its version, when asked on stdin.

    CHECKOUT/.venv/bin/python -P decision_worker.py CHECKOUT

Each line ``check`` or ``plan`` is answered with CPU milliseconds: the least of five short runs.
"""

import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

_RUNS = 5


def main() -> None:
    """Answer until stdin ends."""
    checkout = sys.argv[1]
    os.chdir(checkout)
    sys.path.insert(0, checkout)
    work = _work()
    for line in sys.stdin:
        call, times = work[line.strip()]
        print(min(_milliseconds(call, times) for _ in range(_RUNS)), flush=True)


def _work() -> dict[str, tuple[Callable[[], Any], int]]:
    suite: Any = import_module("bench.bench_guard")
    settings: Any = import_module("sep_guard.settings")
    loading: Any = import_module("sep_kit.settings.loading")
    cycle: Any = import_module("sep_guard.domain.cycle")
    limits = loading.load_settings(settings.GuardSettings, {}).limits()
    view = suite._view(68)  # noqa: SLF001 - its name in every version
    one = next(iter(view.markets.values()))
    try:
        check = import_module("sep_guard.domain.entry_checks").check_entry
    except ImportError:
        # Its name before the risk limits.
        check = cycle.readiness
    return {
        "check": (lambda: check(view, one, limits), 60),
        "plan": (lambda: cycle.plan_cycle(view, limits), 1),
    }


def _milliseconds(call: Callable[[], Any], times: int) -> float:
    started = time.thread_time_ns()
    for _ in range(times):
        call()
    return (time.thread_time_ns() - started) / times / 1e6


if __name__ == "__main__":
    main()
