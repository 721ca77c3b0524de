"""Flatten over a real store: what it closes, what it engages, and how it goes on."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from sep_guard.domain.orders import Intent, Outcome
from sep_kit.errors import (
    InvalidArgumentError,
    NotTheWriterError,
    ReadOnlyError,
    SepError,
    UnknownInstrumentError,
)
from sep_kit.store.connection import Valkey, open_valkey
from sep_testing.clock import FakeClock
from sep_testing.valkey import ValkeyServer

from .harness import log, open_orders
from .risk_environment import EUR, GBP, RiskEnvironment

ID = "0123456789abcdef" * 2


@pytest.fixture
async def env(store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer) -> RiskEnvironment:
    made = RiskEnvironment(store, clock, shared_valkey.url)
    await made.hold_a_position()
    await made.cycle(EUR_USD=0.10, GBP_USD=0.10)
    made.broker.trade_manually(EUR, 300)
    assert made.held(GBP) > 0
    return made


async def test_it_engages_then_closes_what_is_managed_and_records_it(env: RiskEnvironment) -> None:
    seen = []

    async def inspect(intent: Intent) -> None:
        seen.append((await env.switch(), bool(await open_orders(env.store, intent.instrument))))

    env.broker.before_place = inspect
    done = await env.guard.flatten.execute(reason="leaving", actor="ann", include_manual=False)
    # EUR_USD was entered twice, and is closed trade by trade.
    assert seen == [((True, "ann"), True)] * 3
    assert done.remaining == ()
    assert {c.result.outcome for c in done.closed} == {Outcome.FILLED}
    assert env.held() == env.held(GBP) == 0
    assert env.broker.positions[EUR].manual == 300
    events = [r["event"] for r in await log(env.store)][-5:]
    assert events == ["flatten", "order", "order", "flatten", "order"]


async def test_manual_positions_are_closed_where_asked_for(env: RiskEnvironment) -> None:
    done = await env.guard.flatten.execute(reason="all", actor="ann", include_manual=True)
    assert done.remaining == ()
    assert env.broker.positions[EUR].manual == 0


async def test_a_plan_changes_nothing(env: RiskEnvironment) -> None:
    placed = len(env.broker.placed)
    _, closes = await env.guard.flatten.plan(include_manual=False)
    assert [c.instrument for c in closes] == [EUR, GBP]
    assert (await env.switch(), len(env.broker.placed)) == ((False, "test"), placed)


async def test_one_instrument_is_locked_and_closed_and_nothing_else_is_touched(
    env: RiskEnvironment,
) -> None:
    other = env.held(GBP)
    _, planned = await env.guard.flatten.plan(include_manual=False, only=EUR)
    assert [c.instrument for c in planned] == [EUR]
    done = await env.guard.flatten.execute(
        reason="news", actor="ann", include_manual=False, only=EUR
    )
    assert {c.close.instrument for c in done.closed} == {EUR}
    assert done.remaining == ()
    assert env.held() == 0
    assert env.held(GBP) == other
    assert env.broker.positions[EUR].manual == 300
    assert await env.switch() == (False, "test")
    (lock,) = await env.guard.locks.running()
    assert (lock.instrument, lock.actor, lock.until_ms) == (EUR, "ann", None)
    assert lock.reason == "closed by hand: news"
    await env.cycle(EUR_USD=0.10, GBP_USD=0.10)
    assert env.held() == 0


async def test_an_unknown_instrument_is_refused_before_anything_is_locked(
    env: RiskEnvironment,
) -> None:
    placed = len(env.broker.placed)
    with pytest.raises(UnknownInstrumentError):
        await env.guard.flatten.plan(include_manual=False, only="XXX_YYY")
    with pytest.raises(UnknownInstrumentError):
        await env.guard.flatten.execute(
            reason="r", actor="ann", include_manual=False, only="XXX_YYY"
        )
    assert await env.guard.locks.running() == ()
    assert len(env.broker.placed) == placed


async def test_it_needs_a_reason(env: RiskEnvironment) -> None:
    with pytest.raises(InvalidArgumentError):
        await env.guard.flatten.execute(reason=" ", actor="ann", include_manual=False)
    assert await env.switch() == (False, "test")


async def test_an_aborted_flatten_goes_on_with_its_id_and_closes_nothing_twice(
    env: RiskEnvironment,
) -> None:
    class AbortedError(Exception):
        pass

    async def abort(intent: Intent) -> None:
        if intent.instrument == GBP:
            raise AbortedError

    env.broker.before_place = abort
    with pytest.raises(AbortedError):
        await env.guard.flatten.execute(
            reason="r", actor="ann", include_manual=False, flatten_id=ID
        )
    assert env.held() == 0
    assert env.held(GBP) > 0
    env.broker.before_place = None
    await env.restart()
    await env.guard.lease.renew()
    done = await env.guard.flatten.execute(
        reason="r", actor="ann", include_manual=False, flatten_id=ID
    )
    assert [c.close.instrument for c in done.closed] == [GBP]
    assert env.held(GBP) == 0
    assert env.broker.positions[EUR].manual == 300
    sent = [i.client_order_id for i in env.broker.placed]
    assert len(sent) == len(set(sent))


async def test_a_lost_response_is_settled_before_the_next_call_plans(env: RiskEnvironment) -> None:
    env.broker.faults = ["lost_response"]
    arguments = {"reason": "r", "actor": "ann", "flatten_id": ID}
    first = await env.guard.flatten.execute(include_manual=False, **arguments)
    assert first.closed[0].result.outcome is Outcome.UNKNOWN
    again = await env.guard.flatten.execute(include_manual=False, **arguments)
    assert (again.closed, again.remaining) == ((), ())
    assert env.broker.positions[EUR].manual == 300


async def test_a_standby_engages_and_leaves_the_closes_to_the_writer(env: RiskEnvironment) -> None:
    standby = env.another("b")
    await standby.lease.renew()
    with pytest.raises(NotTheWriterError):
        await standby.flatten.execute(reason="r", actor="ann", include_manual=False)
    assert await env.switch() == (True, "ann")
    assert env.held() > 0


async def test_read_only_engages_and_closes_nothing(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer
) -> None:
    env = RiskEnvironment(store, clock, shared_valkey.url, READ_ONLY="1")
    env.broker.positions[EUR].managed = Decimal(500)
    await env.feed.kill_switch(False)
    await env.guard.lease.renew()
    with pytest.raises(ReadOnlyError):
        await env.guard.flatten.execute(reason="r", actor="ann", include_manual=False)
    assert await env.switch() == (True, "ann")
    assert env.held() == 500


@pytest.fixture
async def lonely(valkey: ValkeyServer, clock: FakeClock) -> AsyncIterator[RiskEnvironment]:
    async with open_valkey(valkey.url) as store:
        yield RiskEnvironment(store, clock, valkey.url)
        valkey.thaw()


@pytest.mark.parametrize("failure", ["kill", "freeze"])
async def test_without_the_store_it_closes_and_the_engage_is_written_later(
    lonely: RiskEnvironment, valkey: ValkeyServer, failure: str
) -> None:
    await lonely.hold_a_position()
    getattr(valkey, failure)()
    with pytest.raises(SepError):
        await lonely.guard.lease.renew()
    done = await lonely.guard.flatten.execute(reason="r", actor="ann", include_manual=False)
    assert done.remaining == ()
    assert lonely.held() == 0
    if failure == "kill":
        valkey.start()
    else:
        valkey.thaw()
    # The store still says released: the pending engage holds until its loop has written it.
    await lonely.cycle(EUR_USD=0.10, GBP_USD=0.10)
    assert lonely.held() == lonely.held(GBP) == 0
    await lonely.guard.durable_kill_switch.tick()
    assert await lonely.switch() == (True, "ann")
    await lonely.cycle(EUR_USD=0.10, GBP_USD=0.10)
    assert lonely.held() == lonely.held(GBP) == 0


async def test_without_the_store_one_instrument_is_closed_and_the_kill_switch_engaged(
    lonely: RiskEnvironment, valkey: ValkeyServer
) -> None:
    """Its lock can't be stored, and without one the next cycle would open it again."""
    await lonely.hold_a_position()
    await lonely.cycle(EUR_USD=0.10, GBP_USD=0.10)
    other = lonely.held(GBP)
    assert other > 0
    valkey.kill()
    with pytest.raises(SepError):
        await lonely.guard.lease.renew()
    done = await lonely.guard.flatten.execute(
        reason="r", actor="ann", include_manual=False, only=EUR
    )
    assert done.remaining == ()
    assert lonely.held() == 0
    assert lonely.held(GBP) == other
    valkey.start()
    await lonely.guard.durable_kill_switch.tick()
    assert await lonely.switch() == (True, "ann")
