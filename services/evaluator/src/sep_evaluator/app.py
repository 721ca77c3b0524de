"""Where the evaluator is wired, and nowhere else."""

import asyncio
from functools import partial

from sep.evaluator.v1 import evaluator_pb2_grpc
from sep_fx.sessions import SessionCalendar
from sep_kit import service
from sep_kit.grpc.server import Handler
from sep_kit.loop import PeriodicLoop
from sep_kit.service import Context, Parts
from sep_kit.store.candles import CandleStore
from sep_kit.store.connection import reply

from sep_evaluator.adapters.gateway_prices import GatewayPrices
from sep_evaluator.adapters.manifold_feed import ManifoldFeed
from sep_evaluator.candle_loop import CandleLoop
from sep_evaluator.compile_ahead import compile_ahead
from sep_evaluator.domain.coherence import FreshnessLimits, Thresholds
from sep_evaluator.evaluation_loop import Buffers, EvaluationLoop
from sep_evaluator.long_runs import LongRuns, RunRules
from sep_evaluator.manifold_loop import ManifoldLoop
from sep_evaluator.metrics import EvaluatorMetrics
from sep_evaluator.servicer import EvaluatorServicer
from sep_evaluator.settings import EvaluatorSettings

SERVICE = "sep.evaluator.v1.EvaluatorService"
_CANDLE_POLL_S = 0.5


def build(settings: EvaluatorSettings, context: Context) -> Parts:
    """Wire the evaluator."""
    store, clock, lease = context.store, context.clock, context.lease
    calendar = SessionCalendar(settings.market_calendar, gating=settings.session_trading_enabled)
    rules = RunRules(
        settings.candle_granularity,
        calendar,
        settings.session_exit_minutes,
        settings.eval_long_run_days,
    )
    runs = LongRuns(settings.hotband_pairs, rules, CandleStore(store))
    lock = asyncio.Lock()
    channel = context.open_channel(settings.gateway_addr)
    candles = CandleLoop(runs, lock, lease, clock, settings.eval_signal_ttl_sec)
    manifolds = ManifoldLoop(runs, lock, lease, GatewayPrices(channel))
    evaluation = EvaluationLoop(
        runs,
        lock,
        store,
        lease,
        clock,
        settings.gate_limits(),
        Buffers.of(settings.hysteresis_default, settings.hysteresis_pair_json),
        settings.eval_span_days,
        EvaluatorMetrics(context.registry),
    )
    judging = PeriodicLoop("evaluation", evaluation.tick, settings.eval_interval_sec, context.loops)
    # Whoever takes over does not wait for the interval.
    lease.on_acquired(judging.wake)
    feed = ManifoldFeed(store)
    servicer = EvaluatorServicer(
        settings.hotband_pairs,
        rules,
        Thresholds(
            settings.guard_min_coherence,
            settings.auto_max_rupture,
            settings.auto_max_entropy,
            settings.auto_min_stability,
        ),
        FreshnessLimits(settings.fresh_max_signal_age_sec, settings.fresh_max_ws_age_sec),
        store,
        feed,
        evaluation,
        clock,
    )

    async def store_answers() -> None:
        await reply(store.ping())

    async def prepare() -> None:
        """Compile the numerics, and know the parameters before they make a first signal."""
        await asyncio.to_thread(compile_ahead)
        async with lock:
            await evaluation.refresh()

    return Parts(
        handlers=[
            Handler(SERVICE, servicer, evaluator_pb2_grpc.add_EvaluatorServiceServicer_to_server)
        ],
        loops=[
            PeriodicLoop("candles", candles.tick, _CANDLE_POLL_S, context.loops),
            judging,
            # Prices may be away while gates are judged and served as ever.
            PeriodicLoop(
                "manifolds",
                manifolds.tick,
                settings.eval_manifold_interval_sec,
                context.loops,
                vital=False,
            ),
            PeriodicLoop("manifold_feed", feed.run, 1.0, context.loops, vital=False),
        ],
        prepare=prepare,
        checks={"valkey": store_answers},
        close=[partial(channel.close, None)],
    )


def main() -> None:
    """Run the evaluator until it is told to stop."""
    service.main("evaluator", EvaluatorSettings, build)
