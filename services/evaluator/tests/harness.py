"""Test harness: the evaluator's loops over a real Valkey, and whole services."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import grpc
from prometheus_client import CollectorRegistry
from sep.evaluator.v1 import evaluator_pb2_grpc
from sep.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from sep.ops.v1 import ops_pb2, ops_pb2_grpc
from sep_evaluator.adapters.valkey_store import ValkeyEvaluatorStore
from sep_evaluator.app import build
from sep_evaluator.application.buffers import Buffers
from sep_evaluator.application.candle_loop import CandleLoop
from sep_evaluator.application.evaluation_loop import EvaluationLoop, EvaluationRules
from sep_evaluator.application.long_runs import LongRuns, RunRules
from sep_evaluator.metrics import EvaluatorMetrics
from sep_evaluator.settings import EvaluatorSettings
from sep_fx.bars import Bars
from sep_fx.granularity import Granularity
from sep_fx.sessions import SessionCalendar
from sep_kit.clock import Clock
from sep_kit.settings.loading import load_settings
from sep_kit.store import keys
from sep_kit.store.candles import Candle, CandleColumns, CandleStore
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.lease import Lease
from sep_testing.calls import call
from sep_testing.services import running_service

M1 = Granularity.M1
COUNTERS = ("eligible", "passes", "fails", "misses", "watermark")
# Trades on any window, so that generated candles produce trades to evaluate.
PERMISSIVE_PARAMS = json.dumps({"c_min": 0, "min_stability": 0, "max_rupture": 1, "max_entropy": 1})


def settings_of(url: str, **overrides: str) -> EvaluatorSettings:
    environment = {
        "GRPC_LISTEN": "127.0.0.1:0",
        "VALKEY_URL": url,
        # Nothing listens there: there are no prices unless a test serves a gateway.
        "GATEWAY_ADDR": "127.0.0.1:1",
        "HOTBAND_PAIRS": "EUR_USD",
        "MARKET_CALENDAR": "24x7",
        "EVAL_LONG_RUN_DAYS": "2",
        "EVAL_SPAN_DAYS": "1",
        "EVAL_MIN_TRADES": "5",
        "EVAL_INTERVAL_SEC": "0.2",
        "EVAL_MANIFOLD_INTERVAL_SEC": "0.1",
        **overrides,
    }
    return load_settings(EvaluatorSettings, environment)


async def store_bars(store: Valkey, instrument: str, bars: Bars) -> None:
    """Store bars as the gateway does."""
    digit = Decimal("0.00001")
    columns = (
        bars.bid_o, bars.bid_h, bars.bid_l, bars.bid_c,
        bars.ask_o, bars.ask_h, bars.ask_l, bars.ask_c,
    )  # fmt: skip
    candles = [
        Candle(
            int(bars.time[i]),
            tuple(Decimal(float(c[i])).quantize(digit) for c in columns),
            int(bars.volume[i]),
        )
        for i in range(len(bars))
    ]
    await CandleStore(store).write(instrument, M1, CandleColumns.of(candles))


@dataclass(frozen=True)
class Replica:
    """The loops of one evaluator replica."""

    lease: Lease
    runs: LongRuns
    candles: CandleLoop
    evaluation: EvaluationLoop
    registry: CollectorRegistry


def make_replica(
    valkey: Valkey, clock: Clock, settings: EvaluatorSettings, holder: str = "a"
) -> Replica:
    rules = RunRules(
        granularity=settings.candle_granularity,
        calendar=SessionCalendar(settings.market_calendar, gating=settings.session_trading_enabled),
        exit_minutes=settings.session_exit_minutes,
        long_run_days=settings.eval_long_run_days,
        costs=settings.costs(),
    )
    limits = settings.gate_limits()
    runs = LongRuns(settings.hotband_pairs, rules, CandleStore(valkey))
    lease, registry = Lease(valkey, "evaluator", holder, clock), CollectorRegistry()
    store = ValkeyEvaluatorStore(
        valkey, lease, limits.floors, signal_ttl_s=settings.eval_signal_ttl_sec
    )
    evaluation = EvaluationLoop(
        runs,
        store,
        clock,
        EvaluationRules(
            limits=limits,
            buffers=Buffers.of(settings.hysteresis_default, settings.hysteresis_pair_json),
            span_days=settings.eval_span_days,
        ),
        EvaluatorMetrics(registry),
    )
    return Replica(lease, runs, CandleLoop(runs, store, clock), evaluation, registry)


async def stored_memory(store: Valkey, instrument: str) -> dict[str, Any]:
    """The gate memory of an instrument as stored."""
    found = await reply(store.mget([keys.gate_memory(c, instrument) for c in COUNTERS]))
    return {
        **{c: _number(raw) for c, raw in zip(COUNTERS, found, strict=True)},
        "cooldown": await reply(store.get(keys.cooldown(instrument))),
        "history": await reply(store.zrange(keys.backtest_history(instrument), 0, -1)),
    }


def _number(raw: bytes | None) -> int | None:
    """The number of a stored counter, without the digest of the parameters."""
    return None if raw is None else int(raw.split(b":")[0])


async def stored_blob(store: Valkey) -> dict[str, Any] | None:
    raw = await reply(store.get(keys.GATES_BLOB))
    found: dict[str, Any] | None = None if raw is None else json.loads(raw)
    return found


class FakeGateway(gateway_pb2_grpc.GatewayServiceServicer):
    """A gateway that implements only GetPricing."""

    def __init__(self) -> None:
        self.prices: dict[str, gateway_pb2.Price] = {}

    def quote(
        self, instrument: str, ts_ms: int, bid: str, ask: str, tradeable: bool = True
    ) -> None:
        self.prices[instrument] = gateway_pb2.Price(
            instrument=instrument, ts_ms=ts_ms, bid=bid, ask=ask, tradeable=tradeable
        )

    async def GetPricing(self, request: Any, context: Any) -> gateway_pb2.GetPricingResponse:
        found = [p for i, p in self.prices.items() if i in request.instruments]
        return gateway_pb2.GetPricingResponse(prices=found)


@asynccontextmanager
async def serve_gateway(gateway: FakeGateway) -> AsyncIterator[str]:
    server = grpc.aio.server()
    gateway_pb2_grpc.add_GatewayServiceServicer_to_server(gateway, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(0)


@dataclass(frozen=True)
class Service:
    """A running evaluator."""

    stub: Any
    ops: Any

    async def metrics(self, name: str) -> dict[str, float]:
        scraped = await call(self.ops.ScrapeMetrics, ops_pb2.ScrapeMetricsRequest(), peer="ops")
        lines = [x for x in scraped.exposition.splitlines() if x.startswith(name)]
        return {x.rsplit(" ", 1)[0]: float(x.rsplit(" ", 1)[1]) for x in lines}


@asynccontextmanager
async def running(
    settings: EvaluatorSettings, clock: Clock | None = None
) -> AsyncIterator[Service]:
    async with (
        running_service("evaluator", settings, build, clock) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield Service(
            evaluator_pb2_grpc.EvaluatorServiceStub(channel), ops_pb2_grpc.OpsServiceStub(channel)
        )
