"""Executed drains: orders persisted before they are sent, one plan at a time, resumable."""

import asyncio
from decimal import Decimal

import pytest
from sep_guard.application.drain import KillSwitchReleasedError
from sep_guard.domain.drain import DrainLimits
from sep_guard.domain.orders import Intent, Outcome
from sep_kit.errors import NotTheWriterError, ReadOnlyError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey
from sep_testing.clock import FakeClock
from sep_testing.valkey import ValkeyServer

from .harness import Feed, GuardHarness, kind_and_reasons, log, open_orders, settings_of
from .memory_broker import MemoryBroker

EUR, GBP = "EUR_USD", "GBP_USD"
NO_BUFFER = DrainLimits(buffer=Decimal(0), min_units=Decimal(0))
ID = "0123456789abcdef" * 2


class Environment:
    """A guard over an in-memory broker with manual positions far over the cap."""

    def __init__(self, store: Valkey, clock: FakeClock, url: str, **knobs: str) -> None:
        self.store, self.clock = store, clock
        self.broker = MemoryBroker(clock, EUR, GBP)
        self.feed = Feed(store, clock)
        self.guard = GuardHarness(store, clock, self.broker, settings_of(url, **knobs))

    async def over_the_cap(self) -> None:
        self.broker.trade_manually(EUR, 1_000_000)
        self.broker.trade_manually(GBP, -900_000)
        await self.feed.kill_switch(True)
        await self.guard.lease.renew()


@pytest.fixture
async def env(store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer) -> Environment:
    made = Environment(store, clock, shared_valkey.url)
    await made.over_the_cap()
    return made


async def test_a_close_is_persisted_before_it_is_sent_and_recorded_with_its_outcome(
    env: Environment,
) -> None:
    seen = []

    async def inspect_store(intent: Intent) -> None:
        stored = [o["client_order_id"] for o in await open_orders(env.store, intent.instrument)]
        events = [r["event"] for r in await log(env.store) if r["instrument"] == intent.instrument]
        seen.append((stored == [intent.client_order_id], events))

    env.broker.before_place = inspect_store
    closed, after = await env.guard.drain.execute(ID, NO_BUFFER)
    assert [c.close.instrument for c in closed] == [EUR, GBP]
    assert seen == [(True, ["drain"])] * 2
    assert all(i.reduce_only for i in env.broker.placed)
    assert after.closes == ()
    assert not await open_orders(env.store)
    events = [(r["event"], r["instrument"]) for r in await log(env.store)]
    assert events == [("drain", EUR), ("order", EUR), ("drain", GBP), ("order", GBP)]


async def test_a_close_with_a_lost_response_blocks_entries_until_it_is_settled(
    env: Environment,
) -> None:
    env.broker.faults = ["lost_response"]
    closed, _ = await env.guard.drain.execute(ID, NO_BUFFER)
    assert closed[0].result.outcome is Outcome.UNKNOWN
    assert (await env.guard.views.view()).markets[EUR].order_unknown
    await env.guard.cycle()
    outcomes = [
        r["outcome"] for r in await log(env.store) if r.get("outcome") and r["instrument"] == EUR
    ]
    assert outcomes == ["UNKNOWN", "FILLED"]
    assert not (await env.guard.views.view()).markets[EUR].order_unknown


async def test_an_instrument_outside_the_pairs_is_drained_and_settled_too(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer
) -> None:
    env = Environment(store, clock, shared_valkey.url, HOTBAND_PAIRS=GBP)
    await env.over_the_cap()
    env.broker.faults = ["lost_response"]
    await env.guard.drain.execute(ID, NO_BUFFER)
    assert len(await open_orders(store, EUR)) == 1
    await env.guard.cycle()
    assert not await open_orders(store, EUR)


async def test_an_aborted_drain_resumes_where_it_stopped(env: Environment) -> None:
    class AbortedError(Exception):
        pass

    async def abort(intent: Intent) -> None:
        if intent.instrument == GBP:
            raise AbortedError

    env.broker.before_place = abort
    with pytest.raises(AbortedError):
        await env.guard.drain.execute(ID, NO_BUFFER)
    held = env.broker.positions[EUR].managed + env.broker.positions[EUR].manual
    env.broker.before_place = None
    closed, after = await env.guard.drain.execute(ID, NO_BUFFER)
    assert after.closes == ()
    assert [c.close.instrument for c in closed if c.close.instrument == GBP] == [GBP]
    now = env.broker.positions[EUR].managed + env.broker.positions[EUR].manual
    assert 0 < now <= held
    assert len({i.client_order_id for i in env.broker.placed}) == len(env.broker.placed)


async def test_draining_instruments_one_by_one_ends_like_draining_all(
    env: Environment,
) -> None:
    (first,), after = await env.guard.drain.execute(ID, NO_BUFFER, GBP)
    assert first.close.instrument == GBP
    assert [c.instrument for c in after.closes] == [EUR]
    assert await env.guard.drain.execute(ID, NO_BUFFER, GBP) == ((), after)
    (second,), after = await env.guard.drain.execute(ID, NO_BUFFER, EUR)
    assert second.close.instrument == EUR
    assert after.closes == ()


async def test_drains_and_reconciles_never_act_on_the_same_positions_at_once(
    env: Environment,
) -> None:
    await env.feed.all_clear(EUR_USD=0.10)
    await env.feed.kill_switch(True)
    await asyncio.gather(
        env.guard.reconciler.reconcile(dry_run=False),
        env.guard.drain.execute(ID, NO_BUFFER),
        env.guard.reconciler.reconcile(dry_run=False),
        env.guard.drain.execute("f" * 32, NO_BUFFER),
    )
    assert not env.broker.overlapped
    # The second drain read the positions after the first.
    assert len(env.broker.placed) == 2


async def test_a_kill_switch_released_in_mid_drain_stops_the_drain(env: Environment) -> None:
    async def release(_: Intent) -> None:
        await env.feed.kill_switch(False)

    env.broker.before_place = release
    with pytest.raises(KillSwitchReleasedError):
        await env.guard.drain.execute(ID, NO_BUFFER)
    assert [i.instrument for i in env.broker.placed] == [EUR]


async def test_a_drain_that_is_not_allowed_is_refused_with_a_reason_and_sends_nothing(
    env: Environment, store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer
) -> None:
    await env.feed.kill_switch(False)
    with pytest.raises(KillSwitchReleasedError):
        await env.guard.drain.execute(ID, NO_BUFFER)
    await env.feed.kill_switch(True)
    other = GuardHarness(store, clock, env.broker, settings_of(shared_valkey.url), "b")
    await other.lease.renew()
    with pytest.raises(NotTheWriterError):
        await other.drain.execute(ID, NO_BUFFER)
    await store.delete(keys.lease("guard"))
    frozen = GuardHarness(
        store, clock, env.broker, settings_of(shared_valkey.url, READ_ONLY="1"), "c"
    )
    await frozen.lease.renew()
    with pytest.raises(ReadOnlyError):
        await frozen.drain.execute(ID, NO_BUFFER)
    assert not env.broker.placed


async def test_a_reconcile_after_a_drain_closes_nothing(env: Environment) -> None:
    await env.guard.drain.execute(ID, NO_BUFFER)
    sent = len(env.broker.placed)
    cycle = await env.guard.cycle()
    assert len(env.broker.placed) == sent
    assert kind_and_reasons(cycle[EUR])[0] in ("MANUAL", "HOLD", "REDUCTION")
