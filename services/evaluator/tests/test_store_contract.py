"""Contract of ``EvaluatorStore``, held by its in-memory twin and by its Valkey adapter."""

import json
from dataclasses import replace
from typing import Protocol

import pytest
from sep_evaluator.adapters.valkey_store import ValkeyEvaluatorStore
from sep_evaluator.domain.evaluation import (
    EvaluatedRun,
    Evaluation,
    GateLimits,
    Observation,
    evaluate,
)
from sep_evaluator.domain.floors import HOUR_MS, BaseFloors
from sep_evaluator.domain.gates import COOLDOWN_MS, GateReason, GateState
from sep_evaluator.domain.kernel import WindowFigures
from sep_evaluator.domain.params import StrategyParams, digest_of
from sep_evaluator.domain.signals import Bracket, Manifold, Signal
from sep_evaluator.domain.spans import SpanSummary
from sep_evaluator.ports import EvaluatorStore
from sep_fx.sessions import SessionState
from sep_kit.clock import now_ms
from sep_kit.errors import CorruptRecordError, NotTheWriterError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.lease import Lease
from sep_testing.clock import FakeClock

from .memory_store import InMemoryEvaluatorStore

EUR, JPY = "EUR_USD", "USD_JPY"
BASE = BaseFloors(min_trades=10, calmar=0.15, pnl=0.0)
LIMITS = GateLimits(floors=BASE, exit_minutes=5, max_candle_age_s=300, granularity_s=60)
FIGURES = WindowFigures(
    coherence=0.6, stability=0.9, rupture=0.1, entropy=0.8, hazard=0.05, sigma_eff=0.0001
)
BRACKET = Bracket(stop_distance=0.001, take_profit_distance=0.0015, max_spread=None)
MINUTE_NS = 60 * 10**9
DIGEST = digest_of(StrategyParams())


def signal_at(ts_ns: int, price: float = 1.3) -> Signal:
    return Signal(
        ts_ns=ts_ns,
        price=price,
        figures=FIGURES,
        slope_bps=None,
        direction=-1,
        bracket=BRACKET,
    )


def manifold(instrument: str, ts_ms: int) -> Manifold:
    return Manifold(instrument=instrument, ts_ms=ts_ms, price="1.30005", figures=FIGURES)


class Backend(Protocol):
    """One implementation of the store, and how its surroundings change."""

    @property
    def store(self) -> EvaluatorStore: ...
    async def put_params(self, instrument: str, params: StrategyParams) -> None: ...
    async def lose_lease(self) -> None: ...


class InMemoryBackend:
    def __init__(self) -> None:
        self.store = InMemoryEvaluatorStore(BASE)

    async def put_params(self, instrument: str, params: StrategyParams) -> None:
        self.store.params[instrument] = params

    async def lose_lease(self) -> None:
        self.store.is_writer = False


class ValkeyBackend:
    def __init__(self, valkey: Valkey, clock: FakeClock) -> None:
        self._valkey, self._clock = valkey, clock
        self.lease = Lease(valkey, "evaluator", "a", clock)
        self.store = ValkeyEvaluatorStore(valkey, self.lease, BASE, signal_ttl_s=3600)

    async def put_params(self, instrument: str, params: StrategyParams) -> None:
        raw = json.dumps(params.as_dict())
        await reply(self._valkey.set(keys.best_config(instrument), raw))

    async def lose_lease(self) -> None:
        """Another replica takes the lease; this one does not know yet."""
        await reply(self._valkey.delete(keys.lease("evaluator")))
        await Lease(self._valkey, "evaluator", "b", self._clock).renew()


@pytest.fixture(params=["memory", "valkey"])
async def backend(request: pytest.FixtureRequest, store: Valkey, clock: FakeClock) -> Backend:
    if request.param == "memory":
        return InMemoryBackend()
    backend = ValkeyBackend(store, clock)
    await backend.lease.renew()
    return backend


async def evaluation(
    backend: Backend, now: int, calmar: float = 1.0, params: str = DIGEST
) -> Evaluation:
    """Evaluate EUR_USD from what the store remembers."""
    memory = (await backend.store.load_gate_memory([EUR], now))[EUR]
    session = SessionState(True, 10**11, None, ())
    summary = SpanSummary(
        trades=20, wins=10, win_rate=0.5, pnl_total=0.01, max_drawdown=0.01, calmar=calmar
    )
    seen = Observation(EUR, summary, now // 1000 - 60, (), session, params)
    floors = memory.floors.at(now, params, 0.1)
    return evaluate(memory.state, memory.floors.history, seen, LIMITS, 0.1, now, floors=floors)


def evaluated(result: Evaluation) -> EvaluatedRun:
    return EvaluatedRun(evaluation=result, params=StrategyParams(), spans={})


async def test_an_empty_store_gives_defaults_and_nothing_published(backend: Backend) -> None:
    store = backend.store
    assert await store.load_params([EUR]) == {EUR: StrategyParams()}
    memory = (await store.load_gate_memory([EUR], 1))[EUR]
    assert (memory.state, list(memory.floors.history)) == (GateState(), [])
    assert await store.latest_signals([EUR]) == {EUR: None}
    assert await store.latest_manifolds([EUR]) == {EUR: None}
    assert await store.published_gates([EUR]) == {}


async def test_stored_parameters_are_loaded(backend: Backend) -> None:
    params = StrategyParams(c_min=0.5, direction_lookback=7)
    await backend.put_params(EUR, params)
    assert await backend.store.load_params([EUR, JPY]) == {EUR: params, JPY: StrategyParams()}


async def test_gate_memory_is_the_state_after_the_last_evaluation(
    backend: Backend, clock: FakeClock
) -> None:
    """Eligibility, cooldown and hourly samples survive a round trip through the store."""
    start = now_ms(clock)
    calmars = [1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0, 1.0]
    states = []
    for hours, calmar in enumerate(calmars):
        now = start + hours * HOUR_MS
        result = await evaluation(backend, now, calmar)
        await backend.store.save_evaluations([evaluated(result)], now)
        memory = (await backend.store.load_gate_memory([EUR], now))[EUR]
        assert memory.state == result.state
        assert len(memory.floors.history) == hours + 1
        states.append(memory.state)
    assert [s.eligible for s in states] == [False, True, True, True, False, False, False, False]
    assert states[-1].cooldown_until == start + 6 * HOUR_MS + COOLDOWN_MS
    after = start + 6 * HOUR_MS + COOLDOWN_MS
    assert not (await backend.store.load_gate_memory([EUR], after))[EUR].state.cooling(after)


async def test_a_rollback_finds_its_old_history_with_counters_at_zero(
    backend: Backend, clock: FakeClock
) -> None:
    """30 hours under the old parameters, 30 under new ones, then the old ones again."""
    start = now_ms(clock)
    floors = []
    for hour in range(62):
        now, params = start + hour * HOUR_MS, "0b" if 30 <= hour < 60 else "0a"
        result = await evaluation(
            backend, now, calmar=9.0 if params == "0b" else 1.0, params=params
        )
        await backend.store.save_evaluations([evaluated(result)], now)
        memory = (await backend.store.load_gate_memory([EUR], now))[EUR]
        assert memory.state == result.state
        floors.append(result.floors.calmar)
        if hour in (30, 60):
            assert (result.state.eligible, result.state.passes) == (False, 1)
            assert result.reasons == (GateReason.PARAMETERS_NEW,)
        if hour in (31, 61):
            assert result.gate
    assert floors[29] == pytest.approx(1.0 / 1.1)
    assert floors[30] == BASE.calmar
    assert floors[59] == pytest.approx(9.0 / 1.1)
    assert floors[60] == floors[29]


async def test_gates_are_read_as_published(backend: Backend, clock: FakeClock) -> None:
    now = now_ms(clock)
    result = await evaluation(backend, now)
    await backend.store.save_evaluations([evaluated(result)], now)
    gate = (await backend.store.published_gates([EUR, JPY]))[EUR]
    assert (gate.instrument, gate.ts_ms, gate.gate, gate.cooldown) == (EUR, now, False, False)
    assert gate.reasons == ("PASSES_PENDING",)
    assert (gate.summary, gate.floors) == (result.summary, result.floors)
    assert (gate.buffer, gate.passes, gate.fails, gate.to_flip) == (0.1, 1, 0, 1)
    assert JPY not in await backend.store.published_gates([EUR, JPY])


async def test_signals_of_the_same_bar_are_replaced_and_old_ones_removed(
    backend: Backend,
) -> None:
    store = backend.store
    await store.save_signals(
        {EUR: [signal_at(MINUTE_NS), signal_at(2 * MINUTE_NS)]}, keep_since_ms=0
    )
    newer = signal_at(2 * MINUTE_NS, 1.4)
    await store.save_signals({EUR: [newer]}, keep_since_ms=0)
    assert await store.latest_signals([EUR, JPY]) == {EUR: newer, JPY: None}
    await store.save_signals({EUR: []}, keep_since_ms=120_001)
    assert await store.latest_signals([EUR]) == {EUR: None}


async def test_recent_signals_are_the_last_ones_oldest_first(backend: Backend) -> None:
    signals = [signal_at(minute * MINUTE_NS) for minute in (3, 1, 2, 4)]
    await backend.store.save_signals({EUR: signals}, keep_since_ms=0)
    recent = await backend.store.recent_signals(EUR, 3)
    assert [s.ts_ns // MINUTE_NS for s in recent] == [2, 3, 4]
    assert len(await backend.store.recent_signals(EUR, 500)) == 4
    assert await backend.store.recent_signals(EUR, 0) == []
    assert await backend.store.recent_signals(JPY, 3) == []


async def test_the_newest_manifold_replaces_the_one_before(backend: Backend) -> None:
    await backend.store.save_manifolds([manifold(EUR, 1), manifold(JPY, 2)])
    await backend.store.save_manifolds([manifold(EUR, 3)])
    assert await backend.store.latest_manifolds([EUR, JPY]) == {
        EUR: manifold(EUR, 3),
        JPY: manifold(JPY, 2),
    }


async def test_a_replica_without_the_lease_writes_nothing(
    backend: Backend, clock: FakeClock
) -> None:
    store, now = backend.store, now_ms(clock)
    result = await evaluation(backend, now)
    await backend.lose_lease()
    with pytest.raises(NotTheWriterError):
        await store.save_evaluations([evaluated(result)], now)
    with pytest.raises(NotTheWriterError):
        await store.save_signals({EUR: [signal_at(MINUTE_NS)]}, keep_since_ms=0)
    with pytest.raises(NotTheWriterError):
        await store.save_manifolds([manifold(EUR, 1)])
    assert (await store.load_gate_memory([EUR], now))[EUR].state == GateState()
    assert await store.published_gates([EUR]) == {}
    assert await store.latest_signals([EUR]) == {EUR: None}
    assert await store.latest_manifolds([EUR]) == {EUR: None}


async def test_malformed_documents_are_errors_or_left_out(store: Valkey, clock: FakeClock) -> None:
    """Only the Valkey adapter can meet them."""
    adapter = ValkeyBackend(store, clock).store
    await store.zadd(keys.signal_index(EUR), {keys.signal(EUR, 1): 1})
    for key in (keys.signal(EUR, 1), keys.manifold(EUR), keys.backtest_summary(EUR)):
        await store.set(key, "{")
    assert isinstance((await adapter.latest_signals([EUR]))[EUR], CorruptRecordError)
    assert isinstance((await adapter.latest_manifolds([EUR]))[EUR], CorruptRecordError)
    assert await adapter.published_gates([EUR]) == {}
    assert await adapter.recent_signals(EUR, 5) == []
    await store.set(keys.signal_index(JPY), "no set")
    with pytest.raises(CorruptRecordError):
        await adapter.recent_signals(JPY, 5)


async def test_the_stored_evaluation_calls_the_published_gate_eligible(
    store: Valkey, clock: FakeClock
) -> None:
    """The public field ``eligible`` of the record is the gate, not the hysteresis memory."""
    backend, now = ValkeyBackend(store, clock), now_ms(clock)
    await backend.lease.renew()
    result = await evaluation(backend, now)
    eligible = replace(result, state=replace(result.state, eligible=True), gate=False)
    await backend.store.save_evaluations([evaluated(eligible)], now)
    record = json.loads(await reply(store.get(keys.backtest_summary(EUR))))
    assert record["eligible"] is False
    assert await reply(store.get(keys.gate_memory("eligible", EUR))) == f"1:{DIGEST}".encode()


async def test_a_cooldown_of_a_wrong_type_costs_its_instrument_alone(
    store: Valkey, clock: FakeClock
) -> None:
    """It counts as running for its full length, and the next evaluation writes it anew."""
    backend = ValkeyBackend(store, clock)
    await backend.lease.renew()
    now = now_ms(clock)
    await store.set(keys.gate_memory("eligible", EUR), "1")
    await reply(store.lpush(keys.cooldown(JPY), "x"))
    memory = await backend.store.load_gate_memory([EUR, JPY], now)
    assert memory[EUR].state.eligible
    assert memory[JPY].state.cooldown_until == now + COOLDOWN_MS
