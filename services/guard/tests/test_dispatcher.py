"""The dispatcher over in-memory twins: what is persisted, when, and in which order."""

from dataclasses import dataclass, replace

import pytest
from prometheus_client import CollectorRegistry
from sep_fx.instants import NS_PER_SECOND
from sep_guard.application.dispatcher import Dispatcher
from sep_guard.application.open_orders import OpenOrders
from sep_guard.application.watermark import Watermark
from sep_guard.domain.orders import Intent, Outcome
from sep_guard.metrics import GuardMetrics
from sep_testing.clock import FakeClock

from .memory_broker import MemoryBroker
from .memory_store import MemoryGuardStore
from .test_store_contract import INTENT, decision


@dataclass
class Environment:
    """A dispatcher, its broker and its store."""

    dispatcher: Dispatcher
    broker: MemoryBroker
    store: MemoryGuardStore
    clock: FakeClock

    def events(self) -> list[tuple[str, str]]:
        return [(event, what) for _, event, what in self.store.state.records]


@pytest.fixture
def env(clock: FakeClock) -> Environment:
    store, broker = MemoryGuardStore(), MemoryBroker(clock, "EUR_USD")
    open_orders = OpenOrders(store, lambda: clock.now_ns() / NS_PER_SECOND)
    metrics = GuardMetrics(CollectorRegistry())
    dispatcher = Dispatcher(broker, store, open_orders, clock, metrics, Watermark())
    return Environment(dispatcher, broker, store, clock)


def intent(env: Environment) -> Intent:
    return replace(INTENT, sent_ms=env.clock.now_ns() // 1_000_000)


async def test_an_order_is_persisted_with_its_decision_and_removed_with_its_outcome(
    env: Environment,
) -> None:
    order = intent(env)
    async with env.dispatcher.exclusive_plan():
        assert await env.dispatcher.persist((order,), decision)
        assert list(env.store.state.orders.values()) == [order]
        result = await env.dispatcher.send(order)
    assert result.outcome is Outcome.FILLED
    assert env.events() == [("decision", "ENTRY"), ("order", "FILLED")]
    assert not env.store.state.orders


async def test_writes_of_an_outage_are_committed_in_order_with_the_next_write(
    env: Environment,
) -> None:
    order = intent(env)
    env.store.available = False
    async with env.dispatcher.exclusive_plan():
        assert not await env.dispatcher.persist((order,), decision)
        assert (await env.dispatcher.send(order)).outcome is Outcome.FILLED
        assert env.events() == []
        env.store.available = True
        # Within one plan a store that failed is not tried again.
        assert not await env.dispatcher.write(lambda t: t.save_margin_gate(True))
    async with env.dispatcher.exclusive_plan():
        assert await env.dispatcher.write(lambda t: t.save_margin_gate(False))
    assert env.events() == [("decision", "ENTRY"), ("order", "FILLED")]
    assert env.store.state.margin_open is False
    assert not env.store.state.orders
    assert await env.dispatcher.write(lambda _: None)
    assert len(env.events()) == 2


async def test_a_store_known_to_be_away_is_not_written_to(env: Environment) -> None:
    env.store.is_away = True
    async with env.dispatcher.exclusive_plan():
        assert not await env.dispatcher.persist((intent(env),), decision)
    assert env.events() == []


async def test_a_withheld_order_is_recorded_as_rejected_and_never_sent(env: Environment) -> None:
    order = intent(env)
    async with env.dispatcher.exclusive_plan():
        await env.dispatcher.persist((order,), decision)
        result = await env.dispatcher.withhold(order, "KILL_SWITCH")
    assert (result.outcome, result.reason) == (Outcome.REJECTED, "KILL_SWITCH")
    assert env.events() == [("decision", "ENTRY"), ("order", "REJECTED")]
    assert not env.broker.placed
    assert not env.store.state.orders


async def test_a_lost_response_stays_open_until_a_look_up_finds_the_order(env: Environment) -> None:
    order = intent(env)
    env.broker.faults = ["lost_response"]
    async with env.dispatcher.exclusive_plan():
        await env.dispatcher.persist((order,), decision)
        assert (await env.dispatcher.send(order)).outcome is Outcome.UNKNOWN
        assert list(env.store.state.orders.values()) == [order]
        await env.dispatcher.settle()
    assert env.events() == [("decision", "ENTRY"), ("order", "UNKNOWN"), ("order", "FILLED")]
    assert not env.store.state.orders


async def test_an_unsettled_order_is_persisted_again_after_a_wipe(env: Environment) -> None:
    order = intent(env)
    env.broker.faults = ["lost_order"]
    async with env.dispatcher.exclusive_plan():
        await env.dispatcher.persist((order,), decision)
        await env.dispatcher.send(order)
    env.store.state = MemoryGuardStore().state
    async with env.dispatcher.exclusive_plan():
        await env.dispatcher.settle()
    token = env.store.fencing_token
    assert list(env.store.state.orders.values()) == [replace(order, fencing_token=token)]
    env.clock.advance(61)
    async with env.dispatcher.exclusive_plan():
        await env.dispatcher.settle()
    assert env.events() == [("order", "NEVER_RECEIVED")]
    assert not env.store.state.orders
