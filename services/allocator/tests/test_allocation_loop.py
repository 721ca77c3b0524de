"""The allocation loop over an in-memory store."""

from decimal import Decimal

import pytest
from prometheus_client import CollectorRegistry
from sep_allocator.application.allocation_loop import AllocationLoop
from sep_allocator.domain.allocation import Allocation, AllocationLimits, Gates
from sep_allocator.domain.score import ScoreWeights, Signal, Window
from sep_allocator.metrics import AllocatorMetrics
from sep_fx.sessions import MarketCalendar, SessionCalendar
from sep_kit.clock import now_ms
from sep_kit.errors import CorruptRecordError, NotTheWriterError
from sep_kit.store import keys
from sep_testing.clock import FakeClock
from structlog.testing import capture_logs

from .memory_store import InMemoryAllocatorStore

EUR = "EUR_USD"
SIGNAL = Signal(
    window=Window(coherence=0.6, stability=0.9, entropy=0.8, rupture=0.1, hazard=0.05),
    sigma_eff=0.001,
    slope_bps=None,
)


class Environment:
    """The loop with its store, clock and metrics."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = InMemoryAllocatorStore()
        self.registry = CollectorRegistry()
        limits = AllocationLimits(
            top_k=3,
            target_pct=Decimal("0.30"),
            max_per_position_pct=Decimal("0.35"),
            max_blob_age_s=180,
            exit_minutes=5,
            score_weights=ScoreWeights(),
        )
        self.loop = AllocationLoop(
            (EUR,),
            SessionCalendar(MarketCalendar.ALWAYS),
            limits,
            self.store,
            self.clock,
            AllocatorMetrics(self.registry, self.clock),
        )
        self.store.signals = {EUR: SIGNAL}

    def open_gate(self) -> None:
        self.store.gates = Gates(now_ms(self.clock), {EUR: True}, {EUR: False})

    def stored(self) -> Allocation:
        assert isinstance(self.store.allocation, Allocation)
        return self.store.allocation


@pytest.fixture
def env() -> Environment:
    return Environment()


async def test_subscribers_are_notified_of_new_weights_but_not_of_held_ones(
    env: Environment,
) -> None:
    env.open_gate()
    await env.loop.tick()
    made = env.stored()
    assert set(made.weights) == {EUR}
    env.clock.advance(181)
    await env.loop.tick()
    assert (env.stored().held, env.stored().ts) == (True, made.ts)
    assert env.store.notified == [made.ts]


async def test_a_malformed_blob_and_a_hold_are_logged_once_until_they_end(
    env: Environment,
) -> None:
    env.store.gates = CorruptRecordError("malformed", key=keys.GATES_BLOB)
    with capture_logs() as logs:
        for _ in range(3):
            await env.loop.tick()
        env.open_gate()
        for _ in range(2):
            await env.loop.tick()
    assert [x["event"] for x in logs] == [
        "gates blob refused",
        "weights held",
        "weights no longer held",
        "selection changed",
    ]


async def test_unreadable_previous_weights_are_not_held(env: Environment) -> None:
    env.store.allocation = CorruptRecordError("malformed", key=keys.ALLOCATION_WEIGHTS)
    await env.loop.tick()
    assert (env.stored().weights, env.stored().held) == ({}, True)


async def test_only_the_writer_publishes_and_has_metrics(env: Environment) -> None:
    env.open_gate()
    await env.loop.tick()
    made = env.stored()
    selected = ("sep_allocator_selected", {"instrument": EUR})
    assert env.registry.get_sample_value(*selected) == 1
    env.store.is_writer = False
    env.clock.advance(1)
    await env.loop.tick()
    assert env.stored() == made
    assert env.registry.get_sample_value(*selected) is None
    with pytest.raises(NotTheWriterError):
        await env.store.publish_weights(made, top_k=3, notify=True)
