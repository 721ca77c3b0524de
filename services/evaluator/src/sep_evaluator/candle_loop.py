"""New candles to signals, a second after they are stored."""

import asyncio

from redis.asyncio.client import Pipeline
from sep_kit.clock import Clock, now_ms, now_s
from sep_kit.logging import get_logger
from sep_kit.store.lease import Lease
from sep_kit.store.signals import queue_index_trim, queue_signal

from sep_evaluator.long_runs import LongRuns
from sep_evaluator.signals import newest_signals

_log = get_logger("Signals")
# After a start this many signals are written again: enough for whoever looks back a bit.
_SIGNALS_AT_START = 64


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
        self._unwritten: dict[str, int] = {}

    async def tick(self) -> None:
        """Take in new candles and write their signals."""
        async with self._lock:
            for instrument, bars in (await self._runs.catch_up(now_s(self._clock))).items():
                waiting = self._unwritten.get(instrument, 0) + bars
                self._unwritten[instrument] = min(waiting, _SIGNALS_AT_START)
            if not self._unwritten or not self._lease.held:
                return
            await self._lease.write(self._queue)
            self._unwritten.clear()

    def _queue(self, pipe: Pipeline) -> None:
        oldest = now_ms(self._clock) - self._runs.rules.long_run_days * 86_400_000
        for instrument, count in self._unwritten.items():
            for signal in newest_signals(self._runs.run(instrument), count):
                queue_signal(pipe, instrument, signal, self._signal_ttl_s)
            queue_index_trim(pipe, instrument, oldest)
