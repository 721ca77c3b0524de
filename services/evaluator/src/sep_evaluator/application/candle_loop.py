"""Writes signals within a second of a new candle."""

from sep_kit.clock import Clock, now_ms

from sep_evaluator.application.long_runs import LongRuns
from sep_evaluator.domain.backtest import StrictSpanRun
from sep_evaluator.domain.signals import newest_signals
from sep_evaluator.ports import EvaluatorStore

# Signals written again after a start, so that readers find some recent history.
_SIGNALS_AT_START = 64
# Maximum per instrument and tick. A backfill brings tens of thousands of bars, whose signals
# are not needed; writing them in one transaction would outlast the lease.
_SIGNALS_PER_TICK = 256


class CandleLoop:
    """Feeds new candles to the long runs and writes a signal for each new bar.

    Every replica feeds its runs, so that its runs are up to date when it becomes the writer.
    Only the writer writes signals.
    """

    def __init__(self, runs: LongRuns, store: EvaluatorStore, clock: Clock) -> None:
        self._runs = runs
        self._store = store
        self._clock = clock
        # Per instrument: the run whose signals were written last, and its last bar then.
        self._written: dict[str, tuple[StrictSpanRun, int | None]] = {}

    async def tick(self) -> None:
        """Feed new candles to the runs and write their signals."""
        async with self._runs.lock:
            await self._runs.catch_up()
            unwritten = {i: n for i in self._runs.instruments if (n := self._unwritten(i))}
            if not unwritten or not self._store.is_writer:
                return
            await self._store.save_signals(
                {i: newest_signals(self._runs.run(i), n) for i, n in unwritten.items()},
                keep_since_ms=now_ms(self._clock) - self._runs.rules.long_run_days * 86_400_000,
            )
            for instrument in unwritten:
                run = self._runs.run(instrument)
                self._written[instrument] = (run, run.watermark)

    def _unwritten(self, instrument: str) -> int:
        """Number of the last bars whose signals are to be written.

        The evaluation loop feeds the runs too, so the bars are counted from the last write.
        """
        run = self._runs.run(instrument)
        written_run, watermark = self._written.get(instrument, (None, None))
        if written_run is not run or watermark is None:
            return min(len(run), _SIGNALS_AT_START)
        unwritten = len(run) - int(run.times.searchsorted(watermark, "right"))
        return min(unwritten, _SIGNALS_PER_TICK)
