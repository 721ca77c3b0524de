"""Fork server of evaluators that a test kills: ``python -m tests.crashing_process``.

Run it in the service's folder. Each line on stdin is a JSON object with URL, pairs, time and
lease holder. The server forks a process that evaluates once, prints the process id, and prints
the exit status when the process has ended. A fork starts to evaluate within milliseconds; a new
interpreter would take seconds.
"""

import asyncio
import json
import os
import sys
from typing import Any

from sep_evaluator.domain.compile_ahead import compile_ahead
from sep_kit.store.connection import open_valkey
from sep_testing.clock import FakeClock

from .harness import make_replica, settings_of


async def _evaluate(job: dict[str, Any]) -> None:
    clock = FakeClock()
    clock.advance((job["now_ns"] - clock.now_ns()) / 1e9)
    async with open_valkey(job["url"]) as store:
        settings = settings_of(job["url"], HOTBAND_PAIRS=job["pairs"])
        replica = make_replica(store, clock, settings, job["holder"])
        await replica.lease.renew()
        await replica.evaluation.evaluate_now()


def main() -> None:
    compile_ahead()
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            os.dup2(2, 1)  # its log must not mix with the protocol on stdout
            asyncio.run(_evaluate(json.loads(line)))
            os._exit(0)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
