"""Reads of the journal's own code, timed in a process that has nothing of the benchmark in it."""

import asyncio
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable

import sep_journal.app  # all that the service loads, for the resident size
from sep_journal.adapters.sql.engine import open_engine
from sep_journal.adapters.sql.journal import SqlJournal
from sep_journal.application.reports import Reports
from sep_journal.ports import PageRequest, Range
from sep_kit.clock import SystemClock, now_ms

_YEAR = 365 * 86_400_000

Times = dict[str, list[float]]


async def read(url: str, calls: int, page_size: int) -> dict[str, object]:
    """Seconds of pages of trades and of performances of a year; the resident size in MB."""
    journal = SqlJournal(open_engine(url))
    reports = Reports(journal, SystemClock())
    before: tuple[int, int] | None = None
    year = Range(since_ms=now_ms(SystemClock()) - _YEAR)

    async def page() -> None:
        nonlocal before
        found = await journal.trades(
            PageRequest(size=page_size, before=before), Range(), "", only_open=False
        )
        before = found.next_before

    async def performance() -> None:
        if not (await reports.performance(year)).days:
            raise RuntimeError("the year is empty")

    trades, performances = await _times(page, calls), await _times(performance, calls)
    await journal.close()
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {"trades": trades, "performance": performances, "resident": largest}


async def _times(call: Callable[[], Awaitable[None]], calls: int) -> Times:
    """Times by the clock, and those of the processor in all threads."""
    await call()
    found: Times = {"wall": [], "cpu": []}
    for _ in range(calls):
        started, used = time.perf_counter(), time.process_time()
        await call()
        found["wall"].append(time.perf_counter() - started)
        found["cpu"].append(time.process_time() - used)
    return found


if __name__ == "__main__":
    url, calls, page_size = sys.argv[1:]
    assert sep_journal.app.SERVICE
    print(json.dumps(asyncio.run(read(url, int(calls), int(page_size)))))
