"""The live cycle against a real Valkey: from a new candle to the published gates blob."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from prometheus_client import CollectorRegistry
from sep_evaluator.adapters.valkey_store import ValkeyEvaluatorStore
from sep_evaluator.application.buffers import Buffers
from sep_evaluator.application.evaluation_loop import EvaluationLoop, EvaluationRules
from sep_evaluator.application.long_runs import LongRuns, RunRules
from sep_evaluator.domain.floors import HISTORY_MS, HOUR_MS, Sample
from sep_evaluator.domain.params import StrategyParams, digest_of
from sep_evaluator.metrics import EvaluatorMetrics
from sep_evaluator.settings import EvaluatorSettings
from sep_fx.bars import Bars
from sep_fx.granularity import Granularity
from sep_fx.sessions import MarketCalendar, SessionCalendar
from sep_kit.logging import LogFormat, configure_logging
from sep_kit.settings.loading import load_settings
from sep_kit.store import keys
from sep_kit.store.candle_chunks import BARS_PER_CHUNK, Candle, CandleColumns, pack_bars
from sep_kit.store.candles import CandleStore
from sep_kit.store.connection import Valkey, open_valkey, reply
from sep_kit.store.lease import Lease
from sep_testing.valkey import ValkeyServer

from bench.minutes import DAY, series
from bench.runner import Figure, Options

TITLE = "evaluator: cold load, new candle to published blob, bytes a candle"

_DAYS = 90
_GRANULARITY = Granularity.M1
_DIGITS = 5


def measure(options: Options) -> list[Figure]:
    """All figures of this suite."""
    configure_logging("bench", LogFormat.CONSOLE, "WARNING")
    with TemporaryDirectory() as folder:
        server = ValkeyServer(Path(folder), fsync="everysec")  # as the stack runs it
        server.start()
        try:
            return asyncio.run(_measure(server.url, options))
        finally:
            server.kill()


class _TapeClock:
    """A clock set to the end of the tape."""

    def __init__(self) -> None:
        self.now_s = 0

    def now_ns(self) -> int:
        return self.now_s * 1_000_000_000


async def _measure(url: str, options: Options) -> list[Figure]:
    figures = []
    for count, goal_ms in ((8, 50.0), (68, 400.0)):
        store = open_valkey(url)
        await store.flushall()
        figures += await _cycles(store, count, goal_ms, 60 if options.quick else 250)
        await store.aclose()
    return figures


async def _cycles(store: Valkey, count: int, goal_ms: float, cycles: int) -> list[Figure]:
    # One candle for each cycle is held back, to be stored as new.
    found, kind = series(count, _DAYS * DAY // 60 + cycles)
    tape = {name: _rounded(bars) for name, bars in found.items()}
    clock = _TapeClock()
    clock.now_s = _end(tape, cycles)
    for name, bars in tape.items():
        await _fill(store, name, bars.slice(0, len(bars) - cycles))
        await _store_history(store, name, clock.now_s * 1000)
    lease = Lease(store, "evaluator", "bench", clock)
    await lease.renew()
    calendar = SessionCalendar(MarketCalendar.ALWAYS)
    rules = RunRules(
        granularity=_GRANULARITY, calendar=calendar, exit_minutes=5, long_run_days=_DAYS
    )
    runs = LongRuns(tuple(tape), rules, CandleStore(store))
    loaded = await _seconds(runs.catch_up)
    settings = load_settings(EvaluatorSettings, {})
    loop = EvaluationLoop(
        runs,
        ValkeyEvaluatorStore(store, lease, settings.gate_limits().floors, signal_ttl_s=3600),
        clock,
        EvaluationRules(
            limits=settings.gate_limits(),
            buffers=Buffers.of(0.1, {}),
            span_days=settings.eval_span_days,
        ),
        EvaluatorMetrics(CollectorRegistry()),
    )
    await loop.evaluate_now()
    candles = CandleStore(store)
    stored, published = [], []
    for back in range(cycles, 0, -1):
        clock.now_s = _end(tape, back - 1)
        await lease.renew()
        new = {name: _candle(bars, len(bars) - back) for name, bars in tape.items()}
        stored.append(await _seconds(partial(_store_all, candles, new)))
        published.append(await _seconds(loop.evaluate_now))
    p50, p99 = (float(np.percentile(published, p)) * 1000 for p in (50, 99))
    name = next(iter(tape))
    used = await store.memory_usage(keys.candles(name, _GRANULARITY), samples=0) or 0
    return [
        Figure(f"cold load, {count} x {_DAYS} days", loaded, "s", 20.0, lower_is_better=True,
               note=f"{kind}, machine code cached"),
        Figure(f"new candle to published blob, {count} instruments, p99", p99, "ms", goal_ms,
               lower_is_better=True, note=f"p50 {p50:.1f} ms, {cycles} cycles"),
        Figure(f"storing the {count} new candles, median", float(np.median(stored)) * 1000, "ms"),
        Figure("candle in Valkey, index included", used / len(tape[name]), "bytes", 80.0,
               lower_is_better=True),
    ]  # fmt: skip


async def _store_all(candles: CandleStore, new: dict[str, Candle]) -> None:
    await asyncio.gather(
        *(candles.write(n, _GRANULARITY, CandleColumns.of([c])) for n, c in new.items())
    )


async def _fill(store: Valkey, instrument: str, bars: Bars) -> None:
    span = BARS_PER_CHUNK * _GRANULARITY.seconds
    fields: dict[str, bytes | int] = {"last": int(bars.time[-1])}
    for start in np.unique(bars.time // span * span):
        first, past = np.searchsorted(bars.time, [start, start + span])
        fields[str(start)] = pack_bars(
            bars.slice(int(first), int(past)), int(start), _GRANULARITY.seconds, _DIGITS
        )
    await store.hset(keys.candles(instrument, _GRANULARITY), mapping=fields)  # type: ignore[arg-type]


async def _store_history(store: Valkey, instrument: str, now_ms: int) -> None:
    """The longest history that floors are computed from: one sample an hour for 30 days."""
    times = range(now_ms - HISTORY_MS + 1, now_ms, HOUR_MS)
    params = digest_of(StrategyParams())
    samples = [
        Sample(ts=ts, trades=ts % 40, calmar=ts % 97 / 50, pnl=ts % 89 / 1e4, params=params)
        for ts in times
    ]
    key = keys.backtest_history(instrument)
    await reply(store.zadd(key, {json.dumps(asdict(s)): s.ts for s in samples}))


def _rounded(bars: Bars) -> Bars:
    """The bars at the broker's precision, without gaps, so that all instruments end together."""
    rows = np.stack([getattr(bars, f"{s}_{p}") for s in ("bid", "ask") for p in "ohlc"])
    time = bars.time[0] // DAY * DAY + 60 * np.arange(len(bars))
    return Bars.from_rows(time, np.round(rows, _DIGITS), bars.volume)


def _candle(bars: Bars, at: int) -> Candle:
    prices = (getattr(bars, f"{s}_{p}")[at] for s in ("bid", "ask") for p in "ohlc")
    return Candle(int(bars.time[at]), tuple(Decimal(f"{p:.5f}") for p in prices), 5)


def _end(tape: dict[str, Bars], back: int) -> int:
    return max(int(b.time[len(b) - back - 1]) for b in tape.values()) + _GRANULARITY.seconds


async def _seconds(work: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started
