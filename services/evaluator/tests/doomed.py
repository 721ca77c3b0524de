"""Evaluators to be killed: ``python -m tests.doomed``, from the service's folder.

Forks one for each line on stdin (its settings' URL, pairs, time and name as JSON), prints its
process id, and its exit status when it is gone. A fork evaluates within milliseconds, where an
interpreter would take seconds to start.
"""

import asyncio
import json
import os
import sys
from typing import Any

from sep_evaluator.compile_ahead import compile_ahead
from sep_kit.store.connection import open_valkey
from sep_testing.clock import FakeClock

from .rig import incarnation, settings_of


async def _evaluate(life: dict[str, Any]) -> None:
    clock = FakeClock()
    clock.advance((life["now_ns"] - clock.now_ns()) / 1e9)
    store = open_valkey(life["url"])
    settings = settings_of(life["url"], HOTBAND_PAIRS=life["pairs"])
    alive = incarnation(store, clock, settings, life["holder"])
    await alive.lease.renew()
    await alive.evaluation.evaluate_now()
    await store.aclose()


def main() -> None:
    compile_ahead()
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            os.dup2(2, 1)  # what it logs is no answer
            asyncio.run(_evaluate(json.loads(line)))
            os._exit(0)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
