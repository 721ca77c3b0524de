"""Wires the evaluator's parts together."""

import asyncio
from functools import partial
from uuid import uuid4

from sep.evaluator.v1 import evaluator_pb2_grpc
from sep_fx.sessions import SessionCalendar
from sep_kit import service
from sep_kit.grpc.server import Handler
from sep_kit.loop import PeriodicLoop
from sep_kit.service import Context, Parts
from sep_kit.store import keys
from sep_kit.store.candles import CandleStore
from sep_kit.store.connection import reply
from sep_kit.subscription import Subscription

from sep_evaluator.adapters.gateway_prices import GatewayPrices
from sep_evaluator.adapters.manifold_feed import ManifoldFeed
from sep_evaluator.adapters.valkey_store import ValkeyEvaluatorStore
from sep_evaluator.application.buffers import Buffers
from sep_evaluator.application.candle_loop import CandleLoop
from sep_evaluator.application.evaluation_loop import EvaluationLoop, EvaluationRules
from sep_evaluator.application.long_runs import LongRuns, RunRules
from sep_evaluator.application.manifold_loop import ManifoldLoop
from sep_evaluator.application.parameter_changes import ParameterChanges
from sep_evaluator.domain.coherence import FreshnessLimits, Thresholds
from sep_evaluator.domain.compile_ahead import compile_ahead
from sep_evaluator.metrics import EvaluatorMetrics
from sep_evaluator.servicer import EvaluatorServicer
from sep_evaluator.settings import EvaluatorSettings

SERVICE = "sep.evaluator.v1.EvaluatorService"
_CANDLE_POLL_S = 0.5


def build(settings: EvaluatorSettings, context: Context) -> Parts:
    """Build the evaluator's parts from its settings."""
    valkey, clock, lease = context.store, context.clock, context.lease
    limits = settings.gate_limits()
    rules = RunRules(
        granularity=settings.candle_granularity,
        calendar=SessionCalendar(settings.market_calendar, gating=settings.session_trading_enabled),
        exit_minutes=settings.session_exit_minutes,
        long_run_days=settings.eval_long_run_days,
        costs=settings.costs(),
    )
    store = ValkeyEvaluatorStore(
        valkey, lease, limits.floors, signal_ttl_s=settings.eval_signal_ttl_sec
    )
    runs = LongRuns(settings.hotband_pairs, rules, CandleStore(valkey))
    channel = context.open_channel(settings.gateway_addr)
    candles = CandleLoop(runs, store, clock)
    manifolds = ManifoldLoop(runs, store, GatewayPrices(channel))
    evaluation = EvaluationLoop(
        runs,
        store,
        clock,
        EvaluationRules(
            limits=limits,
            buffers=Buffers.of(settings.hysteresis_default, settings.hysteresis_pair_json),
            span_days=settings.eval_span_days,
        ),
        EvaluatorMetrics(context.registry),
    )
    evaluating = PeriodicLoop(
        "evaluation", evaluation.tick, settings.eval_interval_sec, context.loops
    )
    # A replica that takes the lease evaluates at once.
    lease.on_acquired(evaluating.wake)
    feed = ManifoldFeed(valkey)
    servicer = EvaluatorServicer(
        settings.hotband_pairs,
        rules=rules,
        thresholds=_thresholds(settings),
        freshness=FreshnessLimits(
            signal_s=settings.max_bar_age_s, manifold_s=settings.fresh_max_ws_age_sec
        ),
        store=store,
        feed=feed,
        evaluation=evaluation,
        parameters=ParameterChanges(
            settings.hotband_pairs, store, evaluation, lambda: uuid4().hex, clock
        ),
        clock=clock,
    )

    async def check_valkey() -> None:
        await reply(valkey.ping())

    async def prepare() -> None:
        """Compile the numerics and load parameters and candles, before any signal is written."""
        await asyncio.to_thread(compile_ahead)
        async with runs.lock:
            await evaluation.refresh()

    return Parts(
        handlers=[
            Handler(SERVICE, servicer, evaluator_pb2_grpc.add_EvaluatorServiceServicer_to_server)
        ],
        loops=[
            PeriodicLoop("candles", candles.tick, _CANDLE_POLL_S, context.loops),
            evaluating,
            # Not vital: gates are evaluated and served without live prices too.
            PeriodicLoop(
                "manifolds",
                manifolds.tick,
                settings.eval_manifold_interval_sec,
                context.loops,
                vital=False,
            ),
            Subscription("manifold_feed", feed.run, context.loops),
        ],
        prepare=prepare,
        checks={"valkey": check_valkey},
        close=[partial(channel.close, None)],
        stored={
            keys.PARAMETER_ORIGINS: "hash",
            keys.PARAMETER_CHANGES: "stream",
            **{
                name: "zset"
                for instrument in settings.hotband_pairs
                for name in (keys.signal_index(instrument), keys.backtest_history(instrument))
            },
        },
    )


def _thresholds(settings: EvaluatorSettings) -> Thresholds:
    return Thresholds(
        min_coherence=settings.guard_min_coherence,
        max_rupture=settings.auto_max_rupture,
        max_entropy=settings.auto_max_entropy,
        min_stability=settings.auto_min_stability,
    )


def main() -> None:
    """Run the evaluator until SIGTERM or SIGINT."""
    service.main("evaluator", EvaluatorSettings, build)
