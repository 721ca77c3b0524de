"""Valkey killed, frozen or wiped in mid-cycle: no entry passes, and the way out stays open."""

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

from .memory_broker import MemoryBroker
from .rig import Feed, Guard, log, open_orders, settings_of, told

EUR, GBP = "EUR_USD", "GBP_USD"


class Desk:
    """A guard whose Valkey may be killed; the FX calendar, so that sessions close."""

    def __init__(self, valkey: ValkeyServer, clock: FakeClock) -> None:
        self.valkey, self.clock = valkey, clock
        self.store = open_valkey(valkey.url)
        self.broker = MemoryBroker(clock, EUR, GBP)
        self.feed = Feed(self.store, clock)
        settings = settings_of(valkey.url, MARKET_CALENDAR="fx")
        self.guard = Guard(self.store, clock, self.broker, settings)

    async def renew(self) -> None:
        with suppress(SepError):
            await self.guard.lease.renew()

    async def hold_a_position(self) -> Decimal:
        await self.feed.all_clear(EUR_USD=0.10)
        await self.guard.cycle()
        assert self.broker.positions[EUR].managed > 0
        return self.broker.positions[EUR].managed


@pytest.fixture
async def desk(valkey: ValkeyServer, clock: FakeClock) -> AsyncIterator[Desk]:
    made = Desk(valkey, clock)
    yield made
    valkey.thaw()
    await made.store.aclose()


def kill(valkey: ValkeyServer) -> None:
    valkey.kill()


def freeze(valkey: ValkeyServer) -> None:
    valkey.freeze()


def wipe(valkey: ValkeyServer) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()


@pytest.mark.parametrize("strike", [kill, freeze, wipe])
async def test_struck_between_plan_and_orders_reductions_go_and_entries_do_not(
    desk: Desk, strike: Callable[[ValkeyServer], None]
) -> None:
    await desk.hold_a_position()
    await desk.feed.all_clear(GBP_USD=0.10)
    desk.guard.on_new_id = lambda: strike(desk.valkey)
    cycle = await desk.guard.cycle()
    assert told(cycle[EUR]) == ("REDUCTION", ("WEIGHT_GONE",))
    assert desk.broker.positions[EUR].managed == 0
    assert told(cycle[GBP])[0] == "ENTRY"
    stopped = cycle[GBP].result
    assert stopped is not None
    assert stopped.reason == "NOT_RECORDED"
    assert desk.broker.positions[GBP].managed == 0


@pytest.mark.parametrize("strike", [kill, freeze])
async def test_while_valkey_is_away_positions_are_flattened_before_the_close(
    desk: Desk, strike: Callable[[ValkeyServer], None]
) -> None:
    await desk.hold_a_position()
    strike(desk.valkey)
    await desk.renew()
    desk.clock.advance(3600)
    assert not desk.guard.lease.held
    await desk.guard.loop.tick()
    assert desk.broker.positions[EUR].managed > 0
    desk.clock.set("2026-03-04T21:55:00Z")
    await desk.guard.loop.tick()
    assert desk.broker.positions[EUR].managed == 0
    assert desk.broker.placed[-1].reduce_only
    assert len(desk.broker.placed) == 2


async def test_two_guards_without_a_store_open_nothing_between_them(desk: Desk) -> None:
    await desk.hold_a_position()
    settings = settings_of(desk.valkey.url, MARKET_CALENDAR="fx")
    other = Guard(open_valkey(desk.valkey.url), desk.clock, desk.broker, settings, "b")
    await other.lease.renew()
    kill(desk.valkey)
    for guard in (desk.guard, other):
        with pytest.raises(SepError):
            await guard.lease.renew()
    desk.clock.set("2026-03-04T21:55:00Z")
    await asyncio.gather(desk.guard.loop.tick(), other.loop.tick())
    assert desk.broker.positions[EUR].managed == 0
    assert all(i.reduce_only for i in desk.broker.placed[1:])
    await other.store.aclose()


async def test_when_valkey_returns_trading_goes_on_by_itself(desk: Desk) -> None:
    held = await desk.hold_a_position()
    kill(desk.valkey)
    await desk.renew()
    await desk.guard.loop.tick()
    assert desk.broker.positions[EUR].managed == held
    await asyncio.to_thread(desk.valkey.start)
    desk.clock.advance(30)

    async def trades() -> bool:
        await desk.feed.all_clear(EUR_USD=0.10)
        await desk.renew()
        await desk.guard.loop.tick()
        return desk.broker.positions[EUR].managed > held

    await eventually(trades)
    events = [r["event"] for r in await log(desk.store)]
    assert events == ["decision", "order", "decision", "order"]


async def test_after_a_wipe_the_kill_switch_is_engaged_until_somebody_releases_it(
    desk: Desk,
) -> None:
    held = await desk.hold_a_position()
    wipe(desk.valkey)
    await desk.feed.signal(EUR)
    await desk.feed.weights(EUR_USD=0.10)
    await desk.feed.link()
    kind, reasons = told((await desk.guard.cycle())[EUR])
    assert (kind, reasons) == ("REFUSAL", ("KILL_SWITCH",))
    assert desk.broker.positions[EUR].managed == held
    await desk.feed.kill_switch(False)
    assert told((await desk.guard.cycle())[EUR])[0] == "ENTRY"


async def test_a_lost_answer_is_settled_after_an_outage(desk: Desk) -> None:
    """Filled, no answer, and then Valkey dies: what was kept on disk settles it."""
    await desk.feed.all_clear(EUR_USD=0.10)
    desk.broker.faults = ["lost_answer"]
    await desk.guard.cycle()
    kill(desk.valkey)
    await desk.renew()
    await desk.guard.loop.tick()
    await asyncio.to_thread(desk.valkey.start)
    await eventually(lambda: desk.store.exists(keys.OPEN_ORDERS))
    await desk.guard.cycle()
    orders = [r for r in await log(desk.store) if r["event"] == "order"]
    assert [o["outcome"] for o in orders][:2] == ["UNKNOWN", "FILLED"]
    assert len({i.client_order_id for i in desk.broker.placed}) == len(desk.broker.placed)


async def back(desk: Desk) -> None:
    """Valkey answers again, whatever was done to it."""
    desk.valkey.thaw()
    if not desk.valkey.answers():
        await asyncio.to_thread(desk.valkey.start)

    async def lease_is_held() -> bool:
        await desk.renew()
        return desk.guard.lease.held and not desk.guard.lease.store_unavailable

    await eventually(lease_is_held)


@pytest.mark.parametrize("strike", [kill, freeze, wipe])
async def test_struck_while_an_order_is_under_way_its_fill_is_recorded_once_and_nothing_doubles(
    desk: Desk, strike: Callable[[ValkeyServer], None]
) -> None:
    await desk.feed.all_clear(EUR_USD=0.10)

    async def now(_: object) -> None:
        strike(desk.valkey)

    desk.broker.before_place = now
    done = (await desk.guard.cycle())[EUR]
    assert done.result is not None
    assert done.result.outcome is Outcome.FILLED
    desk.broker.before_place = None
    await back(desk)
    await desk.feed.weights(EUR_USD=0.10)
    await desk.feed.kill_switch(True)
    await desk.guard.cycle()
    orders = [r for r in await log(desk.store) if r["event"] == "order"]
    assert [(o["client_order_id"], o["outcome"]) for o in orders] == [
        (done.client_order_id, "FILLED")
    ]
    assert not await open_orders(desk.store)
    assert len(desk.broker.placed) == 1


@pytest.mark.parametrize("strike", [kill, freeze, wipe])
async def test_an_exit_that_went_without_the_store_is_recorded_when_it_is_back(
    desk: Desk, strike: Callable[[ValkeyServer], None]
) -> None:
    await desk.hold_a_position()
    await desk.feed.weights()
    desk.guard.on_new_id = lambda: strike(desk.valkey)
    exit_ = (await desk.guard.cycle())[EUR]
    assert desk.broker.positions[EUR].managed == 0
    desk.guard.on_new_id = lambda: None
    await back(desk)
    await desk.guard.cycle()
    records = [r for r in await log(desk.store) if r["id"] == exit_.decision_id]
    told_of = list(dict.fromkeys((r["event"], r.get("kind") or r["outcome"]) for r in records))
    assert told_of == [("decision", "REDUCTION"), ("order", "FILLED")]
    assert not await open_orders(desk.store)


@pytest.mark.parametrize("fault", ["lost_order", "lost_answer"])
async def test_a_wipe_takes_no_order_of_unknown_fate_from_the_guard(desk: Desk, fault: str) -> None:
    await desk.feed.all_clear(EUR_USD=0.10)
    desk.broker.faults = [fault]
    done = (await desk.guard.cycle())[EUR]
    look_up, desk.broker.look_up = desk.broker.look_up, away  # type: ignore[method-assign,assignment]
    wipe(desk.valkey)
    # Somebody releases the kill switch in a hurry: the order is still not known.
    await desk.feed.all_clear(EUR_USD=0.10)
    assert told((await desk.guard.cycle())[EUR]) == ("REFUSAL", ("ORDER_UNKNOWN",))
    desk.broker.look_up = look_up  # type: ignore[method-assign]
    if fault == "lost_order":
        assert told((await desk.guard.cycle())[EUR]) == ("REFUSAL", ("ORDER_UNKNOWN",))
        assert [o["client_order_id"] for o in await open_orders(desk.store)] == [
            done.client_order_id
        ], "whoever takes over must know of it"
        desk.clock.advance(61)
        await desk.feed.all_clear(EUR_USD=0.10)
    assert told((await desk.guard.cycle())[EUR])[0] == "ENTRY"
    fates = [
        r["outcome"]
        for r in await log(desk.store)
        if r.get("outcome") and r["id"] == done.decision_id
    ]
    assert fates == ["NEVER_RECEIVED" if fault == "lost_order" else "FILLED"]
    assert len({i.client_order_id for i in desk.broker.placed}) == 2


async def away(_: object) -> None:
    raise BrokerUnavailableError("not now")


@pytest.mark.parametrize("strike", [freeze, wipe])
async def test_when_what_was_struck_returns_trading_goes_on_by_itself(
    desk: Desk, strike: Callable[[ValkeyServer], None]
) -> None:
    held = await desk.hold_a_position()
    strike(desk.valkey)
    await desk.renew()
    with suppress(SepError):
        await desk.guard.loop.tick()
    assert desk.broker.positions[EUR].managed == held
    await back(desk)
    desk.clock.advance(30)

    async def trades() -> bool:
        # What evaluator, allocator and gateway write again; after a wipe a person releases.
        await desk.feed.all_clear(EUR_USD=0.10)
        await desk.renew()
        await desk.guard.loop.tick()
        return desk.broker.positions[EUR].managed > held

    await eventually(trades)


@pytest.mark.parametrize("strike", [kill, freeze])
async def test_while_valkey_is_away_a_drain_still_closes_what_is_over_the_cap(
    desk: Desk, strike: Callable[[ValkeyServer], None]
) -> None:
    desk.broker.trade_by_hand(EUR, 2_000_000)
    await desk.renew()
    strike(desk.valkey)
    await desk.renew()
    closed, _ = await desk.guard.drain.execute("d" * 32, DrainLimits(Decimal(0), Decimal(0)))
    assert [c.result.outcome for c in closed] == [Outcome.FILLED]
    await back(desk)
    await desk.feed.kill_switch(True)
    await desk.guard.cycle()
    events = [r["event"] for r in await log(desk.store) if r["id"] == f"{'d' * 32}:{EUR}"]
    assert list(dict.fromkeys(events)) == ["drain", "order"]
