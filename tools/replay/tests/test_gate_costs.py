"""With ``EVAL_COSTS_JSON`` a replay's gates are the running evaluator's, one by one."""

import json
from decimal import Decimal
from typing import Any

from prometheus_client import CollectorRegistry
from sep_evaluator.adapters.gates_blob import blob_of
from sep_evaluator.adapters.valkey_store import ValkeyEvaluatorStore
from sep_evaluator.application.buffers import Buffers
from sep_evaluator.application.evaluation_loop import EvaluationLoop, EvaluationRules
from sep_evaluator.application.long_runs import LongRuns, RunRules
from sep_evaluator.domain.evaluation import EvaluatedRun
from sep_evaluator.metrics import EvaluatorMetrics
from sep_evaluator.settings import EvaluatorSettings
from sep_fx.bars import Bars
from sep_fx.granularity import Granularity
from sep_fx.sessions import SessionCalendar
from sep_kit.settings.loading import load_settings
from sep_kit.store import keys
from sep_kit.store.candles import Candle, CandleColumns, CandleStore
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.lease import Lease
from sep_kit.store.records import GatesBlob
from sep_replay.evaluation_stage import EvaluationStage
from sep_replay.journal import Journal
from sep_testing.clock import FakeClock

from .markets import MONDAY, market_tape

PAIRS = ("EUR_USD", "USD_JPY")
KNOBS = {
    "HOTBAND_PAIRS": ",".join(PAIRS), "MARKET_CALENDAR": "24x7", "EVAL_LONG_RUN_DAYS": "2",
    "EVAL_SPAN_DAYS": "1", "EVAL_MIN_TRADES": "1", "EVAL_CALMAR_MIN": "0",
}  # fmt: skip
COSTS = {
    "default": {"slippage_spreads": 0.4, "delay_sec": 30},
    "USD_JPY": {"slippage_bps": 0.6, "financing_bps": 0.5},
}


def evaluated(stage: EvaluationStage) -> list[EvaluatedRun]:
    """The last evaluations of a replay, as the evaluator's store takes them."""
    return [
        EvaluatedRun(evaluation=evaluation, params=stage.run(instrument).params, spans={})
        for instrument, evaluation in stage.evaluations.items()
    ]


class Running:
    """The evaluator as it runs: its loop over a store, without a process."""

    def __init__(self, store: Valkey, clock: FakeClock, settings: EvaluatorSettings) -> None:
        self._store, self._lease = store, Lease(store, "evaluator", "a", clock)
        limits = settings.gate_limits()
        rules = RunRules(
            granularity=settings.candle_granularity,
            calendar=SessionCalendar(settings.market_calendar),
            exit_minutes=settings.session_exit_minutes,
            long_run_days=settings.eval_long_run_days,
            costs=settings.costs(),
        )
        self._loop = EvaluationLoop(
            LongRuns(settings.hotband_pairs, rules, CandleStore(store)),
            ValkeyEvaluatorStore(store, self._lease, limits.floors, signal_ttl_s=3600),
            clock,
            EvaluationRules(
                limits=limits,
                buffers=Buffers.of(settings.hysteresis_default, settings.hysteresis_pair_json),
                span_days=settings.eval_span_days,
            ),
            EvaluatorMetrics(CollectorRegistry()),
        )

    async def evaluate(self) -> tuple[GatesBlob, dict[str, Any]]:
        """The blob that it published, and the figures behind each gate."""
        await self._lease.renew()
        await self._loop.evaluate_now()
        raw = await reply(self._store.get(keys.GATES_BLOB))
        records = {i: await reply(self._store.get(keys.backtest_summary(i))) for i in PAIRS}
        figures = {i: json.loads(r)["summary"] for i, r in records.items()}
        return GatesBlob.model_validate_json(raw), figures


async def store_bars(store: Valkey, instrument: str, bars: Bars) -> None:
    """Store bars as the gateway does."""
    sides = [getattr(bars, f"{side}_{price}") for side in ("bid", "ask") for price in "ohlc"]
    candles = [
        Candle(
            int(bars.time[i]), tuple(Decimal(repr(float(s[i]))) for s in sides), int(bars.volume[i])
        )
        for i in range(len(bars))
    ]
    await CandleStore(store).write(instrument, Granularity.M1, CandleColumns.of(candles))


async def test_gates_that_pay_costs_are_the_same_live_and_in_a_replay(
    store: Valkey, clock: FakeClock
) -> None:
    tape = market_tape(PAIRS, Granularity.M1, 8, 7)
    settings = load_settings(EvaluatorSettings, {**KNOBS, "EVAL_COSTS_JSON": json.dumps(COSTS)})
    free = load_settings(EvaluatorSettings, KNOBS)
    running = Running(store, clock, settings)
    calendar = SessionCalendar(settings.market_calendar)
    replayed = EvaluationStage(tape, settings, calendar, Journal(), {}, costs=settings.costs())
    unpaid = EvaluationStage(tape, free, calendar, Journal(), {})
    published, without = set(), set()
    first = MONDAY
    for now in range(MONDAY + 3 * 3600, MONDAY + 8 * 3600 + 1, 900):
        for instrument, bars in tape.bars.items():
            new = bars.between(first, now)
            await store_bars(store, instrument, new)
            replayed.extend(instrument, new)
            unpaid.extend(instrument, new)
        first = now
        clock.advance(now - clock.now_ns() / 1e9)
        replayed.evaluate(now)
        unpaid.evaluate(now)
        blob, figures = await running.evaluate()
        assert blob == blob_of(evaluated(replayed), now * 1000)
        for instrument in PAIRS:
            summary = replayed.evaluations[instrument].summary
            assert summary is not None
            assert figures[instrument]["trades"] == summary.trades
            assert figures[instrument]["pnl_total"] == summary.pnl_total
        published.add(tuple(blob.gates.values()))
        without.add(tuple(unpaid.gates(now).gates.values()))
    # Gates open and close in this market, and others do when nothing is paid.
    assert len(published) > 1
    assert published != without
    for instrument in PAIRS:
        paid, cheap = (s.evaluations[instrument].summary for s in (replayed, unpaid))
        assert paid is not None
        assert cheap is not None
        assert paid.pnl_total < cheap.pnl_total
