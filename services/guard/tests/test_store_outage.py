"""Valkey killed, frozen or wiped in mid-cycle: no entry passes, and reductions go on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from decimal import Decimal

import pytest
import redis
from sep_guard.domain.drain import DrainLimits
from sep_guard.domain.orders import Outcome
from sep_kit.errors import BrokerUnavailableError, SepError
from sep_kit.store import keys
from sep_kit.store.connection import open_valkey
from sep_testing.clock import FakeClock
from sep_testing.eventually import eventually
from sep_testing.valkey import ValkeyServer

from .harness import Feed, GuardHarness, kind_and_reasons, log, open_orders, settings_of
from .memory_broker import MemoryBroker

EUR, GBP = "EUR_USD", "GBP_USD"


class OutageEnvironment:
    """A guard with a Valkey of its own, on the FX calendar, whose sessions end."""

    def __init__(self, valkey: ValkeyServer, clock: FakeClock) -> None:
        self.valkey, self.clock = valkey, clock
        self.store = open_valkey(valkey.url)
        self.broker = MemoryBroker(clock, EUR, GBP)
        self.feed = Feed(self.store, clock)
        settings = settings_of(valkey.url, MARKET_CALENDAR="fx")
        self.guard = GuardHarness(self.store, clock, self.broker, settings)

    async def try_to_renew(self) -> None:
        with suppress(SepError):
            await self.guard.lease.renew()

    async def hold_a_position(self) -> Decimal:
        await self.feed.all_clear(EUR_USD=0.10)
        await self.guard.cycle()
        assert self.broker.positions[EUR].managed > 0
        return self.broker.positions[EUR].managed


@pytest.fixture
async def env(valkey: ValkeyServer, clock: FakeClock) -> AsyncIterator[OutageEnvironment]:
    made = OutageEnvironment(valkey, clock)
    async with made.store:
        yield made
        valkey.thaw()


def kill(valkey: ValkeyServer) -> None:
    valkey.kill()


def freeze(valkey: ValkeyServer) -> None:
    valkey.freeze()


def wipe(valkey: ValkeyServer) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()


@pytest.mark.parametrize("break_valkey", [kill, freeze, wipe])
async def test_after_a_failure_between_plan_and_orders_only_reductions_are_sent(
    env: OutageEnvironment, break_valkey: Callable[[ValkeyServer], None]
) -> None:
    await env.hold_a_position()
    await env.feed.all_clear(GBP_USD=0.10)
    env.guard.on_new_id = lambda: break_valkey(env.valkey)
    cycle = await env.guard.cycle()
    assert kind_and_reasons(cycle[EUR]) == ("REDUCTION", ("WEIGHT_GONE",))
    assert env.broker.positions[EUR].managed == 0
    assert kind_and_reasons(cycle[GBP])[0] == "ENTRY"
    stopped = cycle[GBP].result
    assert stopped is not None
    assert stopped.reason == "NOT_RECORDED"
    assert env.broker.positions[GBP].managed == 0


@pytest.mark.parametrize("break_valkey", [kill, freeze])
async def test_while_valkey_is_down_positions_are_closed_before_the_session_ends(
    env: OutageEnvironment, break_valkey: Callable[[ValkeyServer], None]
) -> None:
    await env.hold_a_position()
    break_valkey(env.valkey)
    await env.try_to_renew()
    env.clock.advance(3600)
    assert not env.guard.lease.held
    await env.guard.reconciler.tick()
    assert env.broker.positions[EUR].managed > 0
    env.clock.set("2026-03-04T21:55:00Z")
    await env.guard.reconciler.tick()
    assert env.broker.positions[EUR].managed == 0
    assert env.broker.placed[-1].reduce_only
    assert len(env.broker.placed) == 2


async def test_two_guards_without_a_store_open_nothing(env: OutageEnvironment) -> None:
    await env.hold_a_position()
    settings = settings_of(env.valkey.url, MARKET_CALENDAR="fx")
    other = GuardHarness(open_valkey(env.valkey.url), env.clock, env.broker, settings, "b")
    await other.lease.renew()
    kill(env.valkey)
    for guard in (env.guard, other):
        with pytest.raises(SepError):
            await guard.lease.renew()
    env.clock.set("2026-03-04T21:55:00Z")
    await asyncio.gather(env.guard.reconciler.tick(), other.reconciler.tick())
    assert env.broker.positions[EUR].managed == 0
    assert all(i.reduce_only for i in env.broker.placed[1:])
    await other.store.aclose()


async def test_trading_resumes_when_valkey_is_restarted(env: OutageEnvironment) -> None:
    held = await env.hold_a_position()
    kill(env.valkey)
    await env.try_to_renew()
    await env.guard.reconciler.tick()
    assert env.broker.positions[EUR].managed == held
    await asyncio.to_thread(env.valkey.start)
    env.clock.advance(30)

    async def trades() -> bool:
        await env.feed.all_clear(EUR_USD=0.10)
        await env.try_to_renew()
        await env.guard.reconciler.tick()
        return env.broker.positions[EUR].managed > held

    await eventually(trades)
    events = [r["event"] for r in await log(env.store)]
    assert events == ["decision", "order", "decision", "order"]


async def test_after_a_wipe_the_kill_switch_is_engaged_until_a_person_releases_it(
    env: OutageEnvironment,
) -> None:
    held = await env.hold_a_position()
    wipe(env.valkey)
    await env.feed.signal(EUR)
    await env.feed.weights(EUR_USD=0.10)
    await env.feed.link()
    kind, reasons = kind_and_reasons((await env.guard.cycle())[EUR])
    assert (kind, reasons) == ("REFUSAL", ("KILL_SWITCH",))
    assert env.broker.positions[EUR].managed == held
    await env.feed.kill_switch(False)
    assert kind_and_reasons((await env.guard.cycle())[EUR])[0] == "ENTRY"


async def test_a_lost_response_is_settled_after_an_outage(env: OutageEnvironment) -> None:
    """After a fill, a lost response and a restart of Valkey the persisted intent settles it."""
    await env.feed.all_clear(EUR_USD=0.10)
    env.broker.faults = ["lost_response"]
    await env.guard.cycle()
    kill(env.valkey)
    await env.try_to_renew()
    await env.guard.reconciler.tick()
    await asyncio.to_thread(env.valkey.start)
    await eventually(lambda: env.store.exists(keys.OPEN_ORDERS))
    await env.guard.cycle()
    orders = [r for r in await log(env.store) if r["event"] == "order"]
    assert [o["outcome"] for o in orders][:2] == ["UNKNOWN", "FILLED"]
    assert len({i.client_order_id for i in env.broker.placed}) == len(env.broker.placed)


async def restore_valkey(env: OutageEnvironment) -> None:
    """Undo any failure, and wait until the guard holds the lease again."""
    env.valkey.thaw()
    if not env.valkey.answers():
        await asyncio.to_thread(env.valkey.start)

    async def lease_is_held() -> bool:
        await env.try_to_renew()
        return env.guard.lease.held and not env.guard.lease.store_unavailable

    await eventually(lease_is_held)


@pytest.mark.parametrize("break_valkey", [kill, freeze, wipe])
async def test_a_failure_while_an_order_is_in_flight_records_its_fill_once(
    env: OutageEnvironment, break_valkey: Callable[[ValkeyServer], None]
) -> None:
    await env.feed.all_clear(EUR_USD=0.10)

    async def now(_: object) -> None:
        break_valkey(env.valkey)

    env.broker.before_place = now
    done = (await env.guard.cycle())[EUR]
    assert done.result is not None
    assert done.result.outcome is Outcome.FILLED
    env.broker.before_place = None
    await restore_valkey(env)
    await env.feed.weights(EUR_USD=0.10)
    await env.feed.kill_switch(True)
    await env.guard.cycle()
    orders = [r for r in await log(env.store) if r["event"] == "order"]
    assert [(o["client_order_id"], o["outcome"]) for o in orders] == [
        (done.client_order_id, "FILLED")
    ]
    assert not await open_orders(env.store)
    assert len(env.broker.placed) == 1


@pytest.mark.parametrize("break_valkey", [kill, freeze, wipe])
async def test_an_exit_sent_without_the_store_is_recorded_when_the_store_returns(
    env: OutageEnvironment, break_valkey: Callable[[ValkeyServer], None]
) -> None:
    await env.hold_a_position()
    await env.feed.weights()
    env.guard.on_new_id = lambda: break_valkey(env.valkey)
    exit_ = (await env.guard.cycle())[EUR]
    assert env.broker.positions[EUR].managed == 0
    env.guard.on_new_id = lambda: None
    await restore_valkey(env)
    await env.guard.cycle()
    records = [r for r in await log(env.store) if r["id"] == exit_.decision_id]
    recorded = list(dict.fromkeys((r["event"], r.get("kind") or r["outcome"]) for r in records))
    assert recorded == [("decision", "REDUCTION"), ("order", "FILLED")]
    assert not await open_orders(env.store)


@pytest.mark.parametrize("fault", ["lost_order", "lost_response"])
async def test_the_guard_remembers_open_orders_after_a_wipe(
    env: OutageEnvironment, fault: str
) -> None:
    await env.feed.all_clear(EUR_USD=0.10)
    env.broker.faults = [fault]
    done = (await env.guard.cycle())[EUR]
    look_up, env.broker.look_up = env.broker.look_up, unavailable  # type: ignore[method-assign,assignment]
    wipe(env.valkey)
    # The kill switch is released at once; the order's outcome is still unknown.
    await env.feed.all_clear(EUR_USD=0.10)
    assert kind_and_reasons((await env.guard.cycle())[EUR]) == ("REFUSAL", ("ORDER_UNKNOWN",))
    env.broker.look_up = look_up  # type: ignore[method-assign]
    if fault == "lost_order":
        assert kind_and_reasons((await env.guard.cycle())[EUR]) == ("REFUSAL", ("ORDER_UNKNOWN",))
        assert [o["client_order_id"] for o in await open_orders(env.store)] == [
            done.client_order_id
        ], "persisted again for the next lease holder"
        env.clock.advance(61)
        await env.feed.all_clear(EUR_USD=0.10)
    assert kind_and_reasons((await env.guard.cycle())[EUR])[0] == "ENTRY"
    outcomes = [
        r["outcome"]
        for r in await log(env.store)
        if r.get("outcome") and r["id"] == done.decision_id
    ]
    assert outcomes == ["NEVER_RECEIVED" if fault == "lost_order" else "FILLED"]
    assert len({i.client_order_id for i in env.broker.placed}) == 2


async def unavailable(_: object) -> None:
    raise BrokerUnavailableError("not now")


@pytest.mark.parametrize("break_valkey", [freeze, wipe])
async def test_trading_resumes_after_a_freeze_or_a_wipe(
    env: OutageEnvironment, break_valkey: Callable[[ValkeyServer], None]
) -> None:
    held = await env.hold_a_position()
    break_valkey(env.valkey)
    await env.try_to_renew()
    with suppress(SepError):
        await env.guard.reconciler.tick()
    assert env.broker.positions[EUR].managed == held
    await restore_valkey(env)
    env.clock.advance(30)

    async def trades() -> bool:
        # Evaluator, allocator and gateway write again; after a wipe a person releases the switch.
        await env.feed.all_clear(EUR_USD=0.10)
        await env.try_to_renew()
        await env.guard.reconciler.tick()
        return env.broker.positions[EUR].managed > held

    await eventually(trades)


@pytest.mark.parametrize("break_valkey", [kill, freeze])
async def test_while_valkey_is_down_a_drain_still_closes_exposure_over_the_cap(
    env: OutageEnvironment, break_valkey: Callable[[ValkeyServer], None]
) -> None:
    env.broker.trade_manually(EUR, 2_000_000)
    await env.try_to_renew()
    break_valkey(env.valkey)
    await env.try_to_renew()
    closed, _ = await env.guard.drain.execute(
        "d" * 32, DrainLimits(buffer=Decimal(0), min_units=Decimal(0))
    )
    assert [c.result.outcome for c in closed] == [Outcome.FILLED]
    await restore_valkey(env)
    await env.feed.kill_switch(True)
    await env.guard.cycle()
    events = [r["event"] for r in await log(env.store) if r["id"] == f"{'d' * 32}:{EUR}"]
    assert list(dict.fromkeys(events)) == ["drain", "order"]
