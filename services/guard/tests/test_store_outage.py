"""Valkey killed, frozen or wiped in mid-cycle: no entry passes, and the way out stays open."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from decimal import Decimal

import pytest
import redis
from sep_kit.errors import SepError
from sep_kit.store import keys
from sep_kit.store.connection import open_valkey
from sep_testing.clock import FakeClock
from sep_testing.eventually import eventually
from sep_testing.valkey import ValkeyServer

from .memory_broker import MemoryBroker
from .rig import Feed, Guard, log, settings_of, told

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
