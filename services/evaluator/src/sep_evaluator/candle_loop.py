"""New candles to signals, a second after they are stored."""

import asyncio
from collections.abc import Mapping

from redis.asyncio.client import Pipeline
from sep_kit.clock import Clock, now_ms
from sep_kit.store.lease import Lease
from sep_kit.store.signals import queue_index_trim, queue_signal

from sep_evaluator.domain.backtest import StrictSpanRun
from sep_evaluator.long_runs import LongRuns
from sep_evaluator.signals import newest_signals

# After a start this many signals are written again: enough for whoever looks back a bit.
_SIGNALS_AT_START = 64
# No more at once, of an instrument: a backfill brings bars by the ten thousand, and nobody asks
# what their signals were. One transaction of them all would outlast the lease.
_SIGNALS_AT_ONCE = 256


class CandleLoop:
    """Feeds the long runs and writes a signal for each new bar.

    Every replica feeds its runs, so that one that takes over is warm; only the
    writer writes signals.
    """

    def __init__(
        self, runs: LongRuns, lock: asyncio.Lock, lease: Lease, clock: Clock, signal_ttl_s: float
    ) -> None:
        self._runs = runs
        self._lock = lock
        self._lease = lease
        self._clock = clock
        self._signal_ttl_s = signal_ttl_s
        # The run that signals were last written from, and its last bar.
        self._written: dict[str, tuple[StrictSpanRun, int | None]] = {}

    async def tick(self) -> None:
        """Take in new candles and write their signals."""
        async with self._lock:
            await self._runs.catch_up()
            waiting = {i: n for i in self._runs.instruments if (n := self._unwritten(i))}
            if not waiting or not self._lease.held:
                return
            await self._lease.write(lambda pipe: self._queue(pipe, waiting))
            for instrument in waiting:
                run = self._runs.run(instrument)
                self._written[instrument] = (run, run.watermark)

    def _unwritten(self, instrument: str) -> int:
        """How many of the last bars to write signals of; whoever fed the run does not matter."""
        run = self._runs.run(instrument)
        before, watermark = self._written.get(instrument, (None, None))
        if before is not run or watermark is None:
            return min(len(run), _SIGNALS_AT_START)
        unwritten = len(run) - int(run.times.searchsorted(watermark, "right"))
        return min(unwritten, _SIGNALS_AT_ONCE)

    def _queue(self, pipe: Pipeline, waiting: Mapping[str, int]) -> None:
        oldest = now_ms(self._clock) - self._runs.rules.long_run_days * 86_400_000
        for instrument, count in waiting.items():
            for signal in newest_signals(self._runs.run(instrument), count):
                queue_signal(pipe, instrument, signal, self._signal_ttl_s)
            queue_index_trim(pipe, instrument, oldest)
