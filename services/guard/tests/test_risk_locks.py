"""Locks over a real store: by limits, by hand, and with a damaged record."""

import pytest
from sep_guard.domain.risk.ledger_events import CloseReason
from sep_kit.clock import now_ms
from sep_kit.errors import InvalidArgumentError, NotTheWriterError, UnknownInstrumentError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_testing.clock import FakeClock
from sep_testing.valkey import ValkeyServer

from .harness import risk_log
from .memory_broker import Refusing
from .risk_environment import EUR, GBP, RiskEnvironment, refusals

WANTED = {"EUR_USD": 0.10}


@pytest.fixture
def env(store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer) -> RiskEnvironment:
    return RiskEnvironment(store, clock, shared_valkey.url)


async def causes(env: RiskEnvironment) -> list[tuple[str, str]]:
    return [(lock.instrument, str(lock.cause)) for lock in await env.guard.locks.running()]


async def test_three_equal_refusals_lock_with_the_brokers_words_and_back_off(
    env: RiskEnvironment,
) -> None:
    await env.feed.kill_switch(False)
    await env.cycle()
    for _ in range(3):
        env.broker.refuse(EUR, "FIFO_VIOLATION")
    assert refusals((await env.cycle(**WANTED))[EUR]) == ("RISK_REJECTS",)
    (lock,) = await env.guard.locks.running()
    assert "FIFO_VIOLATION" in lock.reason
    assert lock.minutes == 60
    await env.restart()
    assert refusals((await env.cycle(**WANTED))[EUR]) == ("RISK_REJECTS",)
    env.clock.advance(3600)
    env.broker.refuse(EUR, "FIFO_VIOLATION")
    await env.cycle(**WANTED)
    (lock,) = await env.guard.locks.running()
    assert lock.minutes == 120
    assert env.held() == 0
    assert [e for e in await risk_log(env.store) if e[0] == "LOCKED"] == [
        ("LOCKED", "rejects", EUR)
    ] * 2


@pytest.mark.parametrize(
    "refusing",
    [
        Refusing(reason="HTTP_400"),
        Refusing(reason="FIFO_VIOLATION", first_id=900_000),
        Refusing(reason="BOUNDS_VIOLATION", in_ledger=True),
    ],
    ids=["no transaction", "transaction that the ledger never shows", "in the ledger"],
)
@pytest.mark.parametrize("restarts", [False, True])
async def test_three_refused_orders_lock_whether_or_not_the_ledger_shows_them(
    store: Valkey,
    clock: FakeClock,
    shared_valkey: ValkeyServer,
    refusing: Refusing,
    *,
    restarts: bool,
) -> None:
    """Each counts once, also for a guard that is restarted after every order."""
    env = RiskEnvironment(store, clock, shared_valkey.url)
    await env.feed.kill_switch(False)
    await env.cycle()
    env.broker.refusals[EUR] = refusing
    for sent in (1, 2, 3, 3, 3):
        cycle = await env.cycle(**WANTED)
        assert len(env.broker.placed) == sent
        if restarts:
            await env.restart()
    assert refusals(cycle[EUR]) == ("RISK_REJECTS",)
    (lock,) = await env.guard.locks.running()
    assert refusing.reason in lock.reason
    assert lock.minutes == 60
    assert await reply(store.hlen(keys.REFUSED_ORDERS)) == 0
    assert [e[0] for e in await risk_log(store) if e[0] == "LOCKED"] == ["LOCKED"]


async def test_an_unreadable_refused_order_costs_itself_alone(env: RiskEnvironment) -> None:
    await env.feed.kill_switch(False)
    await env.store.hset(keys.REFUSED_ORDERS, mapping={"a": "{"})
    assert (await env.cycle(**WANTED))[EUR].result is not None
    assert await causes(env) == []


async def test_stop_outs_lock_until_the_lock_ends(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer
) -> None:
    env = RiskEnvironment(store, clock, shared_valkey.url, RISK_MAX_ENTRIES_PER_HOUR="9")
    await env.hold_a_position()
    for _ in range(3):
        env.broker.close_foreign(EUR, CloseReason.STOP_LOSS)
        cycle = await env.cycle(**WANTED)
    assert refusals(cycle[EUR]) == ("RISK_STOP_OUTS",)
    assert await causes(env) == [(EUR, "stop_outs")]
    assert env.guard.registry.get_sample_value(
        "sep_risk_lock", {"instrument": EUR, "cause": "stop_outs"}
    ) == 1  # fmt: skip
    env.clock.advance(3600)
    assert (await env.cycle(**WANTED))[EUR].result is not None


@pytest.mark.parametrize("reason", [CloseReason.BY_HAND, CloseReason.MARGIN_CLOSEOUT])
async def test_a_close_that_is_not_ours_locks(env: RiskEnvironment, reason: CloseReason) -> None:
    await env.hold_a_position()
    env.broker.close_foreign(EUR, reason)
    assert refusals((await env.cycle(**WANTED))[EUR]) == ("RISK_FOREIGN_CLOSE",)
    assert (await env.cycle(GBP_USD=0.1))[GBP].result is not None


async def test_entries_in_an_hour_lock_and_ramp_steps_are_one_entry(env: RiskEnvironment) -> None:
    await env.hold_a_position()
    await env.cycle(**WANTED)
    await env.cycle(**WANTED)
    for _ in range(2):
        await env.cycle()
        await env.cycle(**WANTED)
        assert env.held() > 0
    await env.cycle()
    assert refusals((await env.cycle(**WANTED))[EUR]) == ("RISK_ORDER_RATE",)
    assert await causes(env) == [(EUR, "order_rate")]
    assert env.held() == 0


async def test_a_lock_by_hand_holds_until_its_end_or_until_it_is_lifted(
    env: RiskEnvironment,
) -> None:
    await env.hold_a_position()
    until = now_ms(env.clock) + 90 * 60_000
    held = await env.guard.locks.lock(GBP, "payrolls", "ann", until)
    assert [(lock.actor, lock.until_ms) for lock in held] == [("ann", until)]
    assert refusals((await env.cycle(GBP_USD=0.1))[GBP]) == ("LOCKED_BY_HAND",)
    env.clock.advance(90 * 60)
    assert (await env.cycle(GBP_USD=0.1))[GBP].result is not None
    await env.guard.locks.lock(EUR, "until I say", "ann", None)
    env.clock.advance(7 * 86_400)
    assert await causes(env) == [(EUR, "manual")]
    await env.guard.lease.renew()
    assert await env.guard.locks.unlock(EUR, "it is over", "ann") == ()
    assert [e[0] for e in await risk_log(env.store) if e[0] != "BASELINE_STARTED"] == [
        "LOCKED", "LOCKED", "UNLOCKED",
    ]  # fmt: skip


async def test_wrong_locks_are_refused(env: RiskEnvironment) -> None:
    await env.guard.lease.renew()
    with pytest.raises(UnknownInstrumentError):
        await env.guard.locks.lock("XXX_YYY", "r", "ann", None)
    with pytest.raises(InvalidArgumentError):
        await env.guard.locks.lock(EUR, " ", "ann", None)
    with pytest.raises(InvalidArgumentError):
        await env.guard.locks.lock(EUR, "r", "ann", now_ms(env.clock))
    with pytest.raises(NotTheWriterError):
        await env.another("b").locks.lock(EUR, "r", "ann", None)


async def test_a_damaged_record_locks_its_instrument_alone(env: RiskEnvironment) -> None:
    await env.hold_a_position()
    await reply(env.store.hset(keys.RISK_LOCKS, GBP, "{"))
    cycle = await env.cycle(EUR_USD=0.10, GBP_USD=0.10)
    assert refusals(cycle[GBP]) == ("LOCKED_BY_HAND",)
    assert cycle[EUR].result is not None
    await env.guard.locks.unlock(GBP, "looked into", "ann")
    assert (await env.cycle(GBP_USD=0.10))[GBP].result is not None


async def test_a_lock_by_hand_on_damaged_state_trips_at_once(env: RiskEnvironment) -> None:
    """Saving the lock rewrites the state: the damage must not vanish with it."""
    await env.hold_a_position()
    await env.store.set(keys.RISK_EQUITY, "{")
    await env.guard.locks.lock(GBP, "payrolls", "ann", None)
    assert await env.switch() == (True, "breaker")
    assert ("BREAKER_TRIPPED", "baseline", "") in await risk_log(env.store)
