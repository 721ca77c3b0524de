"""Drains carried out: kept before they are sent, one plan at a time, resumable."""

import asyncio
from decimal import Decimal

import pytest
from sep_guard.domain.drain import DrainLimits
from sep_guard.domain.orders import Intent, Outcome
from sep_guard.drain import KillSwitchReleasedError
from sep_kit.errors import NotTheWriterError, ReadOnlyError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey
from sep_testing.clock import FakeClock
from sep_testing.valkey import ValkeyServer

from .memory_broker import MemoryBroker
from .rig import Feed, Guard, log, open_orders, settings_of, told

EUR, GBP = "EUR_USD", "GBP_USD"
NO_SLACK = DrainLimits(Decimal(0), Decimal(0))
ID = "0123456789abcdef" * 2


class Desk:
    """A guard over a broker where somebody holds far too much."""

    def __init__(self, store: Valkey, clock: FakeClock, url: str, **knobs: str) -> None:
        self.store, self.clock = store, clock
        self.broker = MemoryBroker(clock, EUR, GBP)
        self.feed = Feed(store, clock)
        self.guard = Guard(store, clock, self.broker, settings_of(url, **knobs))

    async def over_the_cap(self) -> None:
        self.broker.trade_by_hand(EUR, 1_000_000)
        self.broker.trade_by_hand(GBP, -900_000)
        await self.feed.kill_switch(True)
        await self.guard.lease.renew()


@pytest.fixture
async def desk(store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer) -> Desk:
    made = Desk(store, clock, shared_valkey.url)
    await made.over_the_cap()
    return made


async def test_a_close_is_kept_before_it_is_sent_and_recorded_with_its_fate(desk: Desk) -> None:
    seen = []

    async def look(intent: Intent) -> None:
        kept = [o["client_order_id"] for o in await open_orders(desk.store, intent.instrument)]
        events = [r["event"] for r in await log(desk.store) if r["instrument"] == intent.instrument]
        seen.append((kept == [intent.client_order_id], events))

    desk.broker.before_place = look
    closed, after = await desk.guard.drain.execute(ID, NO_SLACK)
    assert [c.close.instrument for c in closed] == [EUR, GBP]
    assert seen == [(True, ["drain"])] * 2
    assert all(i.reduce_only for i in desk.broker.placed)
    assert after.closes == ()
    assert not await open_orders(desk.store)
    events = [(r["event"], r["instrument"]) for r in await log(desk.store)]
    assert events == [("drain", EUR), ("order", EUR), ("drain", GBP), ("order", GBP)]


async def test_a_close_without_an_answer_is_settled_and_keeps_entries_out_until_then(
    desk: Desk,
) -> None:
    desk.broker.faults = ["lost_answer"]
    closed, _ = await desk.guard.drain.execute(ID, NO_SLACK)
    assert closed[0].result.outcome is Outcome.UNKNOWN
    assert (await desk.guard.reader.view()).markets[EUR].order_unknown
    await desk.guard.cycle()
    fates = [
        r["outcome"] for r in await log(desk.store) if r.get("outcome") and r["instrument"] == EUR
    ]
    assert fates == ["UNKNOWN", "FILLED"]
    assert not (await desk.guard.reader.view()).markets[EUR].order_unknown


async def test_what_is_outside_the_pairs_is_drained_and_settled_too(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer
) -> None:
    desk = Desk(store, clock, shared_valkey.url, HOTBAND_PAIRS=GBP)
    await desk.over_the_cap()
    desk.broker.faults = ["lost_answer"]
    await desk.guard.drain.execute(ID, NO_SLACK)
    assert len(await open_orders(store, EUR)) == 1
    await desk.guard.cycle()
    assert not await open_orders(store, EUR)


async def test_a_drain_that_was_aborted_goes_on_where_it_stopped(desk: Desk) -> None:
    class AbortedError(Exception):
        pass

    async def abort(intent: Intent) -> None:
        if intent.instrument == GBP:
            raise AbortedError

    desk.broker.before_place = abort
    with pytest.raises(AbortedError):
        await desk.guard.drain.execute(ID, NO_SLACK)
    held = desk.broker.positions[EUR].managed + desk.broker.positions[EUR].manual
    desk.broker.before_place = None
    closed, after = await desk.guard.drain.execute(ID, NO_SLACK)
    assert after.closes == ()
    assert [c.close.instrument for c in closed if c.close.instrument == GBP] == [GBP]
    now = desk.broker.positions[EUR].managed + desk.broker.positions[EUR].manual
    assert 0 < now <= held
    assert len({i.client_order_id for i in desk.broker.placed}) == len(desk.broker.placed)


async def test_one_instrument_after_the_other_a_drain_ends_where_one_of_all_does(
    desk: Desk,
) -> None:
    (first,), after = await desk.guard.drain.execute(ID, NO_SLACK, GBP)
    assert first.close.instrument == GBP
    assert [c.instrument for c in after.closes] == [EUR]
    assert await desk.guard.drain.execute(ID, NO_SLACK, GBP) == ((), after)
    (second,), after = await desk.guard.drain.execute(ID, NO_SLACK, EUR)
    assert second.close.instrument == EUR
    assert after.closes == ()


async def test_a_drain_and_a_reconcile_never_act_on_the_same_positions_at_once(desk: Desk) -> None:
    await desk.feed.all_clear(EUR_USD=0.10)
    await desk.feed.kill_switch(True)
    await asyncio.gather(
        desk.guard.loop.reconcile(dry_run=False),
        desk.guard.drain.execute(ID, NO_SLACK),
        desk.guard.loop.reconcile(dry_run=False),
        desk.guard.drain.execute("f" * 32, NO_SLACK),
    )
    assert not desk.broker.overlapped
    # The second drain saw what the first had closed.
    assert len(desk.broker.placed) == 2


async def test_a_release_in_mid_drain_stops_it(desk: Desk) -> None:
    async def release(_: Intent) -> None:
        await desk.feed.kill_switch(False)

    desk.broker.before_place = release
    with pytest.raises(KillSwitchReleasedError):
        await desk.guard.drain.execute(ID, NO_SLACK)
    assert [i.instrument for i in desk.broker.placed] == [EUR]


async def test_who_may_not_drain_is_told_why_and_sends_nothing(
    desk: Desk, store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer
) -> None:
    await desk.feed.kill_switch(False)
    with pytest.raises(KillSwitchReleasedError):
        await desk.guard.drain.execute(ID, NO_SLACK)
    await desk.feed.kill_switch(True)
    other = Guard(store, clock, desk.broker, settings_of(shared_valkey.url), "b")
    await other.lease.renew()
    with pytest.raises(NotTheWriterError):
        await other.drain.execute(ID, NO_SLACK)
    await store.delete(keys.lease("guard"))
    frozen = Guard(store, clock, desk.broker, settings_of(shared_valkey.url, READ_ONLY="1"), "c")
    await frozen.lease.renew()
    with pytest.raises(ReadOnlyError):
        await frozen.drain.execute(ID, NO_SLACK)
    assert not desk.broker.placed


async def test_after_a_drain_a_reconcile_closes_no_more(desk: Desk) -> None:
    await desk.guard.drain.execute(ID, NO_SLACK)
    sent = len(desk.broker.placed)
    cycle = await desk.guard.cycle()
    assert len(desk.broker.placed) == sent
    assert told(cycle[EUR])[0] in ("MANUAL", "HOLD", "REDUCTION")
