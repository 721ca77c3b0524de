"""The breaker over a real store: trips, restarts, damage, acknowledgement, standby."""

from decimal import Decimal
from typing import Any

import pytest
from sep_guard.application.breaker import BreakerTrippedError
from sep_kit.errors import (
    BrokerUnavailableError,
    InvalidArgumentError,
    NotTheWriterError,
    StaleViewError,
)
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_testing.clock import FakeClock
from sep_testing.valkey import ValkeyServer

from .harness import GuardHarness, kind_and_reasons, risk_log
from .risk_environment import EUR, GBP, RiskEnvironment, refusals

TRIPPED = ("BREAKER_TRIPPED", "daily_loss", "")
ENTRIES = {"EUR_USD": 0.10, "GBP_USD": 0.10}


@pytest.fixture
def env(store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer) -> RiskEnvironment:
    return RiskEnvironment(store, clock, shared_valkey.url)


async def gauge(guard: GuardHarness, name: str, **labels: str) -> float | None:
    return guard.registry.get_sample_value(name, labels)


async def test_a_daily_loss_halts_entries_once_and_reductions_go_on(env: RiskEnvironment) -> None:
    held = await env.hold_a_position()
    env.lose("2.1")
    cycle = await env.cycle(**ENTRIES)

    assert await env.switch() == (True, "breaker")
    assert env.held() == held
    assert env.held(GBP) == 0
    assert cycle[GBP].result is None
    assert await gauge(env.guard, "sep_risk_breaker", limit="daily_loss") == 1
    assert await gauge(env.guard, "sep_risk_headroom_ratio", limit="daily_loss") == 0
    assert refusals((await env.cycle(**ENTRIES))[GBP]) == ("KILL_SWITCH", "BREAKER_TRIPPED")
    assert kind_and_reasons((await env.cycle())[EUR]) == ("REDUCTION", ("WEIGHT_GONE",))
    assert env.held() == 0
    env.broker.nav = None
    await env.cycle(**ENTRIES)
    assert (await risk_log(env.store)).count(TRIPPED) == 1
    assert env.held(GBP) == 0


async def test_a_release_needs_an_acknowledgement_which_begins_new_baselines(
    env: RiskEnvironment,
) -> None:
    await env.hold_a_position()
    env.lose("2.1")
    await env.cycle(**ENTRIES)
    with pytest.raises(BreakerTrippedError, match="daily_loss"):
        await env.guard.kill_switch.set(engaged=False, reason="go on", actor="ann")
    assert await env.switch() == (True, "breaker")
    with pytest.raises(InvalidArgumentError):
        await env.guard.kill_switch.set(
            engaged=True, reason="no", actor="ann", acknowledge_breaker=True
        )
    await env.guard.kill_switch.set(
        engaged=False, reason="looked into", actor="ann", acknowledge_breaker=True
    )

    assert (await env.switch(), await env.tripped()) == ((False, "ann"), False)
    assert ("BREAKER_ACKNOWLEDGED", "daily_loss", "") in await risk_log(env.store)
    assert (await env.cycle(**ENTRIES))[GBP].result is not None
    assert await gauge(env.guard, "sep_risk_breaker", limit="daily_loss") == 0
    rows = {row.limit.value: row for row in await env.guard.queries.limits()}
    assert rows["daily_loss"].observed == 0


async def test_an_acknowledgement_without_a_trip_leaves_the_baselines(env: RiskEnvironment) -> None:
    await env.hold_a_position()
    env.lose("1.5")
    await env.cycle(**ENTRIES)
    await env.guard.kill_switch.set(
        engaged=False, reason="habit", actor="ann", acknowledge_breaker=True
    )
    env.lose("2.5")
    await env.cycle(**ENTRIES)

    assert await env.tripped()


@pytest.mark.parametrize("nav", ["NaN", "Infinity", "0", "-20"])
async def test_equity_that_can_not_be_right_trips_and_exits_go_on(
    env: RiskEnvironment, nav: str
) -> None:
    await env.hold_a_position()
    env.broker.nav = Decimal(nav)
    assert kind_and_reasons((await env.cycle(GBP_USD=0.1))[EUR])[0] == "REDUCTION"
    assert env.held() == env.held(GBP) == 0
    assert await env.switch() == (True, "breaker")


async def test_an_unreadable_account_trips_nothing(env: RiskEnvironment) -> None:
    held = await env.hold_a_position()
    env.broker.down = True
    with pytest.raises(BrokerUnavailableError):
        await env.cycle(**ENTRIES)
    env.broker.down, env.broker.ledger_down = False, True
    env.broker.transfer(-90_000)
    cycle = await env.cycle(**ENTRIES)
    assert refusals(cycle[GBP]) == ("RISK_UNREADABLE",)
    assert 0 < env.held() < held
    assert await env.switch() == (False, "test")
    env.broker.ledger_down = False
    assert not refusals((await env.cycle(**ENTRIES))[GBP])
    assert not await env.tripped()


async def test_an_account_older_than_the_ledger_leaves_the_cycle_out(env: RiskEnvironment) -> None:
    await env.hold_a_position()
    await env.cycle(EUR_USD=0.10)
    held = env.held()
    env.broker.views_end = 0
    with pytest.raises(StaleViewError):
        await env.cycle(**ENTRIES)
    assert (env.held(), env.held(GBP)) == (held, Decimal(0))
    # A guard that has just started knows the newest transaction from the counted ledger alone.
    await env.restart()
    assert refusals((await env.cycle(**ENTRIES))[GBP]) == ("RISK_UNREADABLE",)
    assert (env.held(), env.held(GBP)) == (held, Decimal(0))
    env.broker.views_end = None
    assert not refusals((await env.cycle(**ENTRIES))[GBP])


async def test_transfers_trip_nothing_and_hide_no_loss(env: RiskEnvironment) -> None:
    await env.hold_a_position()
    env.broker.transfer(-60_000)
    await env.cycle(**ENTRIES)
    env.broker.transfer(500_000)
    await env.cycle(**ENTRIES)
    assert not await env.tripped()
    env.broker.nav = env.broker.balance - 2_500
    env.broker.transfer(12_000)
    env.broker.nav += 12_000
    await env.cycle(**ENTRIES)
    assert await env.tripped()


BASELINES = [keys.RISK_EQUITY, keys.RISK_ACTIVITY, keys.RISK_BREAKER, keys.RISK_LOCKS]


async def damage(store: Valkey, key: str, how: str) -> None:
    await store.delete(key)
    if how == "another type":
        await reply(store.rpush(key, "1"))
    elif how == "no document":
        await store.set(key, "{}")
    else:
        await store.set(key, '{"nav": "NaN"')


@pytest.mark.parametrize("how", ["another type", "no document", "cut off"])
@pytest.mark.parametrize("key", BASELINES)
async def test_a_damaged_key_trips_and_an_acknowledgement_repairs_it(
    env: RiskEnvironment, key: str, how: str
) -> None:
    await env.hold_a_position()
    await damage(env.store, key, how)
    with pytest.raises(BreakerTrippedError, match=key):
        await env.guard.kill_switch.set(engaged=False, reason="go on", actor="ann")
    await env.cycle(**ENTRIES)
    assert await env.switch() == (True, "breaker")
    assert env.held(GBP) == 0

    await env.guard.kill_switch.set(
        engaged=False, reason="repaired", actor="ann", acknowledge_breaker=True
    )
    await env.cycle(**ENTRIES)
    assert env.held(GBP) > 0


async def test_counts_that_are_missing_beside_a_baseline_are_damage(env: RiskEnvironment) -> None:
    await env.hold_a_position()
    await env.store.delete(keys.RISK_ACTIVITY)
    await env.cycle(**ENTRIES)
    assert await env.tripped()


async def test_a_wiped_store_begins_anew(env: RiskEnvironment) -> None:
    await env.hold_a_position()
    await env.store.delete(*BASELINES)
    await env.cycle(**ENTRIES)
    assert not await env.tripped()


async def test_a_replica_without_the_lease_changes_nothing(env: RiskEnvironment) -> None:
    await env.hold_a_position()
    standby = env.another("b")
    await standby.lease.renew()
    env.lose("5")
    await standby.reconciler.tick()
    assert not await env.tripped()
    assert await gauge(standby, "sep_risk_breaker", limit="daily_loss") is None
    with pytest.raises(NotTheWriterError):
        await standby.kill_switch.set(
            engaged=False, reason="r", actor="ann", acknowledge_breaker=True
        )
    # It shows the limits as the writer would measure them.
    rows = {row.limit.value: row for row in await standby.queries.limits()}
    assert rows["daily_loss"].observed == 5


async def test_flatten_as_the_action_closes_all_that_is_managed(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer
) -> None:
    env = RiskEnvironment(store, clock, shared_valkey.url, RISK_BREAKER_ACTION="flatten")
    await env.hold_a_position()
    env.broker.trade_manually(GBP, 700)
    env.lose("3")
    clock.advance(30)
    await env.feed.all_clear(EUR_USD=0.10)
    await env.guard.lease.renew()
    await env.guard.reconciler.tick()
    assert env.held() == 0
    assert env.broker.positions[GBP].manual == 700
    assert env.broker.placed[-1].reduce_only


async def test_flatten_as_the_action_leaves_positions_in_read_only_mode(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer
) -> None:
    env = RiskEnvironment(store, clock, shared_valkey.url)
    held = await env.hold_a_position()
    env = RiskEnvironment(
        store, clock, shared_valkey.url, RISK_BREAKER_ACTION="flatten", READ_ONLY="1"
    )
    env.broker.positions[EUR].managed = held
    await env.guard.lease.renew()
    env.broker.nav = Decimal("NaN")
    await env.guard.reconciler.tick()
    await env.guard.reconciler.tick()
    assert (env.held(), await env.switch()) == (held, (True, "breaker"))


async def test_turnover_trips_before_the_order_that_would_pass_it(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer
) -> None:
    env = RiskEnvironment(store, clock, shared_valkey.url, RISK_MAX_TURNOVER_X="3.1")
    await env.hold_a_position()
    for _ in range(4):
        await env.cycle(**ENTRIES)
    opened = sum((abs(i.units) for i in env.broker.placed if not i.reduce_only), Decimal(0))
    assert opened * Decimal("1.1") <= Decimal("3.1") * 100_000
    assert ("BREAKER_TRIPPED", "turnover", "") in await risk_log(store)
    assert await env.switch() == (True, "breaker")


async def test_baselines_are_recorded(env: RiskEnvironment) -> None:
    await env.hold_a_position()
    env.clock.set("2026-03-04T22:10:00Z")
    await env.cycle()
    assert await risk_log(env.store) == [("BASELINE_STARTED", "", "")] * 2


def test_environment_has_the_limits_in_force(env: RiskEnvironment) -> None:
    limits: Any = env.settings.limits().risk
    assert (limits.max_daily_loss, limits.max_equal_rejects) == (Decimal("0.02"), 3)
