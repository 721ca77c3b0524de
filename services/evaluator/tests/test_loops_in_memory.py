"""The loops over in-memory twins of store, candles and prices."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import pytest
from prometheus_client import CollectorRegistry
from sep_evaluator.application.buffers import Buffers
from sep_evaluator.application.candle_loop import CandleLoop
from sep_evaluator.application.evaluation_loop import EvaluationLoop, EvaluationRules
from sep_evaluator.application.long_runs import LongRuns, RunRules
from sep_evaluator.application.manifold_loop import ManifoldLoop
from sep_evaluator.domain.evaluation import GateLimits
from sep_evaluator.domain.floors import BaseFloors
from sep_evaluator.domain.live_price import LivePrice
from sep_evaluator.metrics import EvaluatorMetrics
from sep_fx.bars import Bars
from sep_fx.granularity import Granularity
from sep_fx.sessions import MarketCalendar, SessionCalendar
from sep_kit.errors import NotTheWriterError
from sep_kit.store.candles import Head
from sep_testing.clock import FakeClock
from structlog.testing import capture_logs

from .candles import random_walk
from .memory_store import InMemoryEvaluatorStore

PAIR = "EUR_USD"
START = 1_893_456_000  # 2030-01-01
# Every summary passes these, so that eligibility takes two evaluations.
FLOORS = BaseFloors(min_trades=0, calmar=-1e6, pnl=-1e6)


class InMemoryCandles:
    """Implements ``CandleSource`` for one instrument; ``count`` bars of the series are stored."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self.count = 0

    async def heads(self, instruments: Iterable[str], granularity: Granularity) -> dict[str, Head]:
        if not self.count:
            return {}
        return {PAIR: Head(last=int(self._bars.time[self.count - 1]), rewrites=0)}

    async def read_bars(
        self, instrument: str, granularity: Granularity, since: int, until: int | None = None
    ) -> Bars:
        return self._bars.slice(0, self.count).between(since, until)

    async def read_bars_of(
        self, spans: Mapping[str, tuple[int, int]], granularity: Granularity
    ) -> dict[str, Bars]:
        return {i: await self.read_bars(i, granularity, *span) for i, span in spans.items()}


class InMemoryPrices:
    """Implements ``PriceSource`` and counts the requests."""

    def __init__(self) -> None:
        self.listed: list[LivePrice] = []
        self.requests = 0

    async def prices(self, instruments: Sequence[str]) -> list[LivePrice]:
        self.requests += 1
        return self.listed


class Environment:
    """The three loops of one replica."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = InMemoryEvaluatorStore(FLOORS)
        self.stored = InMemoryCandles(random_walk(3, 400, gap=0.0, start=START))
        self.prices = InMemoryPrices()
        rules = RunRules(
            granularity=Granularity.M1,
            calendar=SessionCalendar(MarketCalendar.ALWAYS),
            exit_minutes=5,
            long_run_days=2,
        )
        self.runs = LongRuns((PAIR,), rules, self.stored)
        self.candles = CandleLoop(self.runs, self.store, self.clock)
        self.manifolds = ManifoldLoop(self.runs, self.store, self.prices)
        self.evaluation = EvaluationLoop(
            self.runs,
            self.store,
            self.clock,
            EvaluationRules(
                limits=GateLimits(
                    floors=FLOORS, exit_minutes=5, max_candle_age_s=300, granularity_s=60
                ),
                buffers=Buffers.of(0.1, {}),
                span_days=1,
            ),
            EvaluatorMetrics(CollectorRegistry()),
        )

    def add_bars(self, count: int, *, late_s: float = 1) -> None:
        """Store the next bars and set the clock to ``late_s`` after the last one."""
        self.stored.count += count
        end = START + 60 * self.stored.count
        self.clock.advance(end + late_s - self.clock.now_ns() / 1e9)


@pytest.fixture
def env() -> Environment:
    return Environment()


async def test_an_eligibility_flip_is_logged_apart_from_the_gate(env: Environment) -> None:
    """With stale candles an instrument becomes eligible while its gate stays closed."""
    env.add_bars(300)
    await env.evaluation.evaluate_now()
    env.add_bars(1, late_s=3600)
    with capture_logs() as logs:
        await env.evaluation.evaluate_now()
    (flip,) = [x for x in logs if x["event"] == "eligibility flipped"]
    assert (flip["instrument"], flip["eligible"], flip["gate"]) == (PAIR, True, "closed")
    assert (flip["reasons"], flip["verdict"]) == (["CANDLES_STALE"], "pass")
    assert not env.store.gates[PAIR].gate


async def test_the_gate_opens_without_a_flip_once_candles_are_fresh(env: Environment) -> None:
    env.add_bars(300)
    await env.evaluation.evaluate_now()
    env.add_bars(1, late_s=3600)
    await env.evaluation.evaluate_now()
    env.add_bars(61)
    with capture_logs() as logs:
        await env.evaluation.evaluate_now()
    assert env.store.gates[PAIR].gate
    assert [x for x in logs if x["event"] == "eligibility flipped"] == []


async def test_a_standby_replica_reads_candles_but_writes_only_once_it_is_the_writer(
    env: Environment,
) -> None:
    env.store.is_writer = False
    env.add_bars(300)
    await env.candles.tick()
    await env.evaluation.tick()
    assert len(env.runs.run(PAIR)) == 300
    assert (env.store.signals, env.store.published_at) == ({}, [])
    with pytest.raises(NotTheWriterError):
        await env.evaluation.evaluate_now()
    env.store.is_writer = True
    await env.candles.tick()
    await env.evaluation.tick()
    assert len(env.store.signals[PAIR]) == 64
    assert len(env.store.published_at) == 1


async def test_a_standby_replica_requests_no_prices(env: Environment) -> None:
    env.store.is_writer = False
    await env.manifolds.tick()
    assert env.prices.requests == 0


async def test_a_manifold_has_the_time_of_its_price(env: Environment) -> None:
    env.add_bars(300)
    await env.candles.tick()
    price = LivePrice(
        instrument=PAIR,
        ts_ms=1000 * (START + 60 * 300),
        bid=Decimal("1.30000"),
        ask=Decimal("1.30010"),
    )
    env.prices.listed = [price]
    for _ in range(2):
        await env.manifolds.tick()
        env.clock.advance(60)
    written = env.store.manifolds[PAIR]
    assert (written.ts_ms, written.price) == (price.ts_ms, "1.30005")
