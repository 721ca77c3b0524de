"""Reconcile cycles over an in-memory broker: entries, exits, lost responses, kill switch."""

import asyncio
import random
from decimal import Decimal
from typing import Any

import pytest
import redis
from sep_guard.domain.orders import SETTLE_MS, Intent, Outcome
from sep_guard.domain.risk.ledger_events import CloseReason
from sep_kit.errors import BrokerUnavailableError, NotTheWriterError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_testing.clock import FakeClock
from sep_testing.valkey import ValkeyServer
from structlog.testing import capture_logs

from .harness import Feed, GuardHarness, kind_and_reasons, log, margin, open_orders, settings_of
from .memory_broker import MemoryBroker

EUR, GBP = "EUR_USD", "GBP_USD"
D = Decimal


class Environment:
    """A guard, an in-memory broker, and a writer of the guard's inputs."""

    def __init__(self, store: Valkey, clock: FakeClock, url: str, **knobs: str) -> None:
        self.store, self.clock, self.url = store, clock, url
        # Small steps, so that a position grows over several cycles.
        self.settings = settings_of(url, **{"PM_RAMP_STEP_PCT": "0.10", **knobs})
        self.broker = MemoryBroker(clock, EUR, GBP)
        self.feed = Feed(store, clock)
        self.guard = self.another("a")

    def another(self, holder: str) -> GuardHarness:
        return GuardHarness(self.store, self.clock, self.broker, self.settings, holder)

    async def restart(self) -> None:
        """Replace the guard by a new one, as after a crash and the end of its lease."""
        await self.store.delete(keys.lease("guard"))
        self.guard = self.another(f"after {self.guard.lease.holder}")

    def held(self, instrument: str = EUR) -> Decimal:
        return self.broker.positions[instrument].managed


@pytest.fixture
def env(store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer) -> Environment:
    return Environment(store, clock, shared_valkey.url)


async def test_from_entry_to_exit_with_reasons_and_records(env: Environment) -> None:
    await env.feed.all_clear(EUR_USD=0.10)
    first = (await env.guard.cycle())[EUR]
    assert kind_and_reasons(first) == ("ENTRY", ("DIRECTION", "RAMP_LIMITED"))
    assert first.result is not None
    assert first.result.outcome is Outcome.FILLED
    (sent,) = env.broker.placed
    assert (sent.reduce_only, sent.stop_loss, sent.take_profit) == (
        False, D("1.09005"), D("1.11505"),
    )  # fmt: skip
    sizes = [env.held()]
    for _ in range(6):
        await env.guard.cycle()
        sizes.append(env.held())
    assert sizes == sorted(sizes)
    # Margin in use reduces the budget, and with it the cap: at most a third of the budget.
    assert margin(env.held()) <= D(10_000)
    assert kind_and_reasons((await env.guard.cycle())[EUR]) == ("HOLD", ("WITHIN_BAND",))
    await env.feed.weights(EUR_USD=0.03)
    assert kind_and_reasons((await env.guard.cycle())[EUR]) == ("REDUCTION", ("REBALANCE",))
    assert 0 < env.held() < sizes[-1]
    await env.feed.weights()
    assert kind_and_reasons((await env.guard.cycle())[EUR]) == ("REDUCTION", ("WEIGHT_GONE",))
    assert env.held() == 0
    assert all(i.reduce_only for i in env.broker.placed[-2:])
    records = await log(env.store)
    events = [(r["event"], r.get("kind") or r.get("outcome")) for r in records]
    assert events[:2] == [("decision", "ENTRY"), ("order", "FILLED")]
    # Each trade is closed by an order of its own.
    assert events[-3:] == [("decision", "REDUCTION"), ("order", "FILLED"), ("order", "FILLED")]
    decision, order = records[:2]
    assert decision["id"] == order["id"] == first.decision_id
    assert decision["reasons"] == ["DIRECTION", "RAMP_LIMITED"]
    assert decision["action"]["checks"]
    assert (order["filled_units"], order["fill_price"]) == (str(sizes[0]), "1.10000")
    assert not await open_orders(env.store)
    budget = await reply(env.store.hgetall(keys.ALLOC_BUDGET))
    assert set(budget) == {
        b"balance", b"margin_available", b"margin_used", b"target_pct", b"budget",
        b"per_instrument_cap", b"ts",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("direction", "metrics", "cause"),
    [(-1, {}, "REVERSAL"), (1, {"rupture": 0.9}, "RUPTURE"), (1, {"stability": 0.1}, "RUPTURE")],
)
async def test_a_position_is_closed_under_an_engaged_kill_switch(
    env: Environment, direction: int, metrics: dict[str, float], cause: str
) -> None:
    await env.feed.all_clear(EUR_USD=0.10)
    await env.guard.cycle()
    await env.feed.kill_switch(True)
    env.clock.advance(1)
    await env.feed.signal(EUR, direction, **metrics)
    assert kind_and_reasons((await env.guard.cycle())[EUR]) == ("REDUCTION", (cause,))
    assert env.held() == 0


async def test_a_position_is_closed_near_the_end_of_its_session(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer
) -> None:
    env = Environment(store, clock, shared_valkey.url, MARKET_CALENDAR="fx")
    await env.feed.all_clear(EUR_USD=0.10)
    await env.guard.cycle()
    assert env.held() > 0
    clock.set("2026-03-04T21:53:00Z")  # the week's daily break begins at 21:58
    await env.feed.all_clear(EUR_USD=0.10)
    assert kind_and_reasons((await env.guard.cycle())[EUR]) == ("REDUCTION", ("EXIT_BEFORE_CLOSE",))
    kind, reasons = kind_and_reasons((await env.guard.cycle())[EUR])
    assert kind == "REFUSAL"
    assert "NEAR_CLOSE" in reasons


async def test_an_order_is_persisted_before_it_is_sent(env: Environment) -> None:
    await env.feed.all_clear(EUR_USD=0.10)
    seen: list[tuple[list[dict[str, Any]], list[str]]] = []

    async def inspect_store(intent: Intent) -> None:
        events = [r["event"] for r in await log(env.store)]
        seen.append((await open_orders(env.store), events))

    env.broker.before_place = inspect_store
    await env.guard.cycle()
    await env.feed.weights()
    await env.guard.cycle()
    assert [[o["client_order_id"] for o in persisted] for persisted, _ in seen] == [
        [i.client_order_id] for i in env.broker.placed
    ]
    assert seen[0][1] == ["decision"]
    assert not await open_orders(env.store)


@pytest.mark.parametrize("restart", [False, True])
async def test_a_lost_response_is_unknown_until_a_look_up_settles_it(
    env: Environment, restart: bool
) -> None:
    await env.feed.all_clear(EUR_USD=0.10, GBP_USD=0.10)
    env.broker.faults = ["lost_response"]
    done = (await env.guard.cycle())[EUR]
    assert done.result is not None
    assert done.result.outcome is Outcome.UNKNOWN
    assert len(await open_orders(env.store)) == 1
    size = env.held()
    if restart:
        await env.restart()

    # While it can't be looked up, entries wait in that instrument and in no other.
    async def away(intent: Intent) -> None:
        raise NotTheWriterError("not now")

    found, env.broker.look_up = env.broker.look_up, away  # type: ignore[method-assign]
    cycle = await env.guard.cycle()
    assert kind_and_reasons(cycle[EUR]) == ("REFUSAL", ("ORDER_UNKNOWN",))
    assert kind_and_reasons(cycle[GBP])[0] == "ENTRY"
    env.broker.look_up = found  # type: ignore[method-assign]
    cycle = await env.guard.cycle()
    assert kind_and_reasons(cycle[EUR])[0] == "ENTRY"
    orders = [r for r in await log(env.store) if r["event"] == "order" and r["instrument"] == EUR]
    assert [o["outcome"] for o in orders] == ["UNKNOWN", "FILLED", "FILLED"]
    assert (orders[1]["filled_units"], orders[1]["fill_price"]) == (str(size), "1.10000")
    assert orders[0]["client_order_id"] == orders[1]["client_order_id"]
    assert not await open_orders(env.store)


async def test_an_order_that_never_arrived_is_settled_only_after_a_minute(
    env: Environment,
) -> None:
    await env.feed.all_clear(EUR_USD=0.10)
    env.broker.faults = ["lost_order"]
    await env.guard.cycle()
    env.clock.advance(SETTLE_MS / 1000 - 1)
    await env.feed.all_clear(EUR_USD=0.10)
    assert kind_and_reasons((await env.guard.cycle())[EUR]) == ("REFUSAL", ("ORDER_UNKNOWN",))
    env.clock.advance(2)
    await env.feed.all_clear(EUR_USD=0.10)
    assert kind_and_reasons((await env.guard.cycle())[EUR])[0] == "ENTRY"
    outcomes = [r["outcome"] for r in await log(env.store) if r["event"] == "order"]
    assert outcomes == ["UNKNOWN", "NEVER_RECEIVED", "FILLED"]


async def test_a_backward_clock_jump_settles_no_open_order(env: Environment) -> None:
    await env.feed.all_clear(EUR_USD=0.10)
    env.broker.faults = ["lost_order"]
    await env.guard.cycle()
    env.clock.advance(-3600)
    await env.feed.all_clear(EUR_USD=0.10)
    assert "ORDER_UNKNOWN" in kind_and_reasons((await env.guard.cycle())[EUR])[1]


async def test_an_unreadable_open_order_blocks_only_its_instrument(
    env: Environment,
) -> None:
    await env.feed.all_clear(EUR_USD=0.10, GBP_USD=0.10)
    await env.store.hset(keys.OPEN_ORDERS, f"{EUR}:an-id", "{")
    with capture_logs() as logs:
        cycle = await env.guard.cycle()
        await env.guard.cycle()
    assert kind_and_reasons(cycle[EUR]) == ("REFUSAL", ("ORDER_UNKNOWN",))
    assert kind_and_reasons(cycle[GBP])[0] == "ENTRY"
    assert len([x for x in logs if x["event"] == "open order unreadable"]) == 1
    await env.feed.weights(GBP_USD=0.0)
    assert kind_and_reasons((await env.guard.cycle())[GBP]) == ("REDUCTION", ("WEIGHT_GONE",))


async def test_lost_responses_lost_orders_and_restarts_never_duplicate_or_lose_an_order(
    env: Environment,
) -> None:
    """In the end the recorded outcomes equal the broker's fills, order by order."""
    chance = random.Random(4)
    for _ in range(150):
        env.clock.advance(20)
        weight = chance.choice([0.0, 0.02, 0.06, 0.10])
        await env.feed.all_clear(EUR_USD=weight, GBP_USD=0.05)
        await env.feed.signal(EUR, chance.choice([1, 1, -1]))
        env.broker.faults = chance.choices(["", "lost_response", "lost_order"], [6, 2, 2], k=3)
        if chance.random() < 0.15:
            await env.restart()
        await env.guard.cycle()
        for pair in (EUR, GBP):
            assert margin(env.held(pair)) <= D(10_000)
    env.broker.faults = []
    for _ in range(3):
        env.clock.advance(61)
        await env.feed.all_clear(EUR_USD=0.05, GBP_USD=0.05)
        await env.guard.cycle()
    sent = [i.client_order_id for i in env.broker.placed]
    assert len(sent) == len(set(sent))
    outcomes_by_id = {
        r["client_order_id"]: r for r in await log(env.store)
        if r["event"] == "order" and r["outcome"] != "UNKNOWN"
    }  # fmt: skip
    assert set(outcomes_by_id) == set(sent)
    recorded_fills = {
        i: D(r["filled_units"]) for i, r in outcomes_by_id.items() if r["outcome"] == "FILLED"
    }
    filled = {i: r.filled_units for i, r in env.broker.fills.items() if r.outcome is Outcome.FILLED}
    assert recorded_fills == filled
    assert sum(filled.values()) == env.held(EUR) + env.held(GBP)
    assert not await open_orders(env.store)
    assert len([r for r in outcomes_by_id.values() if r["outcome"] == "NEVER_RECEIVED"]) > 5


async def test_a_kill_switch_engaged_between_plan_and_order_withholds_the_entry(
    env: Environment,
) -> None:
    await env.feed.all_clear(EUR_USD=0.10)

    def engage() -> None:
        with redis.Redis.from_url(env.url) as client:
            client.set(keys.KILL_SWITCH, "1")

    env.guard.on_new_id = engage
    done = (await env.guard.cycle())[EUR]
    assert kind_and_reasons(done)[0] == "ENTRY"
    assert done.result is not None
    assert (done.result.outcome, done.result.reason) == (Outcome.REJECTED, "KILL_SWITCH")
    assert done.client_order_id == ""
    assert not env.broker.placed
    assert not await open_orders(env.store)
    last = (await log(env.store))[-1]
    assert (last["event"], last["outcome"], last["reason"]) == ("order", "REJECTED", "KILL_SWITCH")


async def test_a_dry_run_changes_no_state_metric_or_order(env: Environment) -> None:
    await env.feed.all_clear(EUR_USD=0.10)
    await env.guard.cycle()
    await env.feed.weights(GBP_USD=0.10)
    await env.feed.signal(GBP)
    placed = len(env.broker.placed)

    async def everything() -> dict[bytes, bytes]:
        names = await reply(env.store.keys("*"))
        return {name: await reply(env.store.dump(name)) for name in names}

    before = await everything()
    series = [m.samples for m in env.guard.registry.collect()]
    with capture_logs() as logs:
        cycle = await env.guard.cycle(dry_run=True)
    assert kind_and_reasons(cycle[EUR]) == ("REDUCTION", ("WEIGHT_GONE",))
    assert kind_and_reasons(cycle[GBP])[0] == "ENTRY"
    assert cycle[GBP].action.order != 0
    assert all(d.result is None for d in cycle.values())
    assert await everything() == before
    assert [m.samples for m in env.guard.registry.collect()] == series
    assert len(env.broker.placed) == placed
    assert not logs


async def test_concurrent_reconciles_never_overlap(env: Environment) -> None:
    await env.feed.all_clear(EUR_USD=0.10, GBP_USD=0.10)
    await env.guard.lease.renew()
    cycles = await asyncio.gather(
        *(env.guard.reconciler.reconcile(dry_run=False) for _ in range(6))
    )
    assert len({c.id for c in cycles}) == 6
    assert not env.broker.overlapped
    assert len(env.broker.placed) >= 3


async def test_manual_trades_are_recorded_once_and_never_traded_against(env: Environment) -> None:
    await env.feed.all_clear(GBP_USD=0.10)
    env.broker.trade_manually(EUR, -50_000)
    for _ in range(3):
        cycle = await env.guard.cycle()
        assert kind_and_reasons(cycle[EUR]) == ("MANUAL", ("MANUAL_POSITION",))
    assert kind_and_reasons(cycle[GBP])[0] in ("ENTRY", "HOLD")
    env.broker.trade_manually(EUR, -950_000)
    assert kind_and_reasons((await env.guard.cycle())[EUR]) == (
        "MANUAL",
        ("MANUAL_POSITION", "OVER_CAP"),
    )
    records = [r for r in await log(env.store) if r["instrument"] == EUR]
    assert [(r["kind"], r["action"]["current"]) for r in records] == [
        ("MANUAL", "-50000"), ("MANUAL", "-1000000"),
    ]  # fmt: skip
    await env.feed.all_clear(EUR_USD=0.10)
    kind, reasons = kind_and_reasons((await env.guard.cycle())[EUR])
    assert kind == "REFUSAL"
    assert "MANUAL_POSITION" in reasons
    assert env.broker.positions[EUR].manual == -1_000_000
    assert all(i.instrument == GBP for i in env.broker.placed)


async def test_manual_exposure_reduces_the_budget_of_all_instruments(env: Environment) -> None:
    env.broker.trade_manually(EUR, 1_000_000)  # a margin of 22,000 out of 100,000
    await env.feed.all_clear(GBP_USD=0.10)
    for _ in range(10):
        await env.guard.cycle()
    used = (await env.broker.account()).margin_used
    assert used <= D("0.30") * (D(100_000) - used) + 1
    assert kind_and_reasons((await env.guard.cycle())[GBP])[0] in ("HOLD", "REFUSAL")


async def test_a_manual_position_is_managed_with_pm_adopt_manual(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer
) -> None:
    env = Environment(store, clock, shared_valkey.url, PM_ADOPT_MANUAL="1")
    env.broker.trade_manually(EUR, 5_000)
    await env.feed.all_clear(GBP_USD=0.10)
    assert kind_and_reasons((await env.guard.cycle())[EUR]) == ("REDUCTION", ("WEIGHT_GONE",))


@pytest.mark.parametrize("jump_s", [3600, -3600])
async def test_after_a_clock_jump_no_entry_passes_and_nothing_is_closed(
    env: Environment, jump_s: int
) -> None:
    await env.feed.all_clear(EUR_USD=0.10, GBP_USD=0.10)
    await env.guard.cycle()
    held = env.held()
    env.clock.advance(jump_s)
    env.broker.mids[GBP] = D("1.1")
    cycle = await env.guard.cycle()
    kind, reasons = kind_and_reasons(cycle[GBP])
    assert kind in ("REFUSAL", "HOLD")
    assert {"SIGNAL_STALE", "MANIFOLD_STALE", "WEIGHTS_STALE"} <= set(reasons)
    assert env.held() == held
    env.clock.advance(-jump_s)
    assert kind_and_reasons((await env.guard.cycle())[GBP])[0] == "ENTRY"


@pytest.mark.parametrize("jump_s", [90, 3600])
async def test_a_forward_clock_jump_settles_no_open_order(env: Environment, jump_s: int) -> None:
    """An order counts as in flight by the monotonic clock, not by the wall clock."""
    elapsed = [0.0]
    env.guard = GuardHarness(
        env.store, env.clock, env.broker, env.settings, elapsed=lambda: elapsed[0]
    )
    await env.feed.all_clear(EUR_USD=0.10)
    env.broker.faults = ["lost_order"]
    await env.guard.cycle()
    env.clock.advance(jump_s)
    elapsed[0] += 2
    await env.feed.all_clear(EUR_USD=0.10)
    assert kind_and_reasons((await env.guard.cycle())[EUR]) == ("REFUSAL", ("ORDER_UNKNOWN",))
    elapsed[0] += 60
    assert kind_and_reasons((await env.guard.cycle())[EUR])[0] == "ENTRY"


async def test_a_broker_outage_in_mid_cycle_loses_nothing_and_trading_resumes(
    env: Environment,
) -> None:
    await env.feed.all_clear(EUR_USD=0.10, GBP_USD=0.10)

    async def lose(_: Intent) -> None:
        env.broker.down = True

    env.broker.before_place = lose
    cycle = await env.guard.cycle()
    assert {d.result.outcome for d in cycle.values() if d.result} == {Outcome.UNKNOWN}
    with pytest.raises(BrokerUnavailableError):
        await env.guard.cycle()
    assert env.held() == env.held(GBP) == 0
    env.broker.down, env.broker.before_place = False, None
    cycle = await env.guard.cycle()
    assert {kind_and_reasons(d) for d in cycle.values()} == {("REFUSAL", ("ORDER_UNKNOWN",))}
    env.clock.advance(61)
    await env.feed.all_clear(EUR_USD=0.10, GBP_USD=0.10)
    assert {kind_and_reasons(d)[0] for d in (await env.guard.cycle()).values()} == {"ENTRY"}


@pytest.mark.parametrize("broken", [{"connected": False}, {"ledger_contiguous": False}, {"ts": 1}])
async def test_a_broken_broker_link_stops_entries(env: Environment, broken: dict[str, Any]) -> None:
    await env.feed.all_clear(EUR_USD=0.10)
    await env.feed.link(**broken)
    assert kind_and_reasons((await env.guard.cycle())[EUR]) == ("REFUSAL", ("BROKER_LINK",))


async def test_held_weights_refuse_entries_and_close_nothing(env: Environment) -> None:
    await env.feed.all_clear(EUR_USD=0.10)
    await env.guard.cycle()
    held = env.held()
    await env.feed.weights(held=True)
    await env.guard.cycle()
    assert env.held() == held


async def test_without_prices_exits_are_sent_and_entries_are_not(env: Environment) -> None:
    await env.feed.all_clear(EUR_USD=0.10)
    await env.guard.cycle()
    await env.feed.all_clear(GBP_USD=0.10)
    env.broker.prices_down = True
    cycle = await env.guard.cycle()
    assert kind_and_reasons(cycle[EUR]) == ("REDUCTION", ("WEIGHT_GONE",))
    assert cycle[GBP].action.order == 0
    assert env.held() == 0


async def test_read_only_sends_no_order(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer
) -> None:
    env = Environment(store, clock, shared_valkey.url)
    await env.feed.all_clear(EUR_USD=0.10)
    await env.guard.cycle()
    env.settings = settings_of(shared_valkey.url, READ_ONLY="1")
    await env.restart()
    await env.feed.weights(GBP_USD=0.10)
    await env.feed.signal(GBP)
    cycle = await env.guard.cycle()
    assert kind_and_reasons(cycle[EUR]) == ("REFUSAL", ("READ_ONLY", "WEIGHT_GONE"))
    assert kind_and_reasons(cycle[GBP]) == ("REFUSAL", ("READ_ONLY",))
    assert len(env.broker.placed) == 1


@pytest.mark.parametrize("gate", [None, "x", "closed"])
async def test_a_margin_gate_that_is_not_known_to_be_open_opens_only_below_low(
    env: Environment, gate: str | None
) -> None:
    await env.feed.all_clear(EUR_USD=0.10)
    if gate is None:
        await env.store.delete(keys.MARGIN_GATE)
    else:
        await env.store.set(keys.MARGIN_GATE, gate)
    env.broker.trade_manually(GBP, 1_200_000)  # utilisation 0.264, between low and high
    assert "MARGIN_GATE" in kind_and_reasons((await env.guard.cycle())[EUR])[1]
    env.broker.trade_manually(GBP, -200_000)
    assert "MARGIN_GATE" not in kind_and_reasons((await env.guard.cycle())[EUR])[1]


async def test_only_the_lease_holder_trades_and_a_takeover_duplicates_nothing(
    env: Environment,
) -> None:
    await env.feed.all_clear(EUR_USD=0.10)
    other = env.another("b")
    await env.guard.cycle()
    await other.lease.renew()
    with pytest.raises(NotTheWriterError):
        await other.reconciler.reconcile(dry_run=False)
    await other.reconciler.tick()
    assert len(env.broker.placed) == 1
    dry = await other.reconciler.reconcile(dry_run=True)
    assert dry.dry_run
    await env.store.delete(keys.lease("guard"))
    await other.cycle()
    sent = len(env.broker.placed)
    # The first does not know yet that it lost the lease; its entries are not sent.
    assert env.guard.lease.held
    await env.feed.all_clear(GBP_USD=0.10)
    done = result_reasons(await env.guard.reconciler.reconcile(dry_run=False))
    assert "NOT_RECORDED" in done
    assert all(i.reduce_only for i in env.broker.placed[sent:])
    assert not [i for i in env.broker.placed if i.instrument == GBP]


def result_reasons(cycle: Any) -> set[str]:
    return {d.result.reason for d in cycle.done if d.result is not None}


async def test_a_standby_replica_shows_no_account_and_the_current_kill_switch(
    env: Environment,
) -> None:
    def series(guard: GuardHarness, name: str) -> float:
        value = guard.registry.get_sample_value(name)
        assert value is not None
        return value

    await env.feed.all_clear(EUR_USD=0.10)
    await env.guard.cycle()
    assert series(env.guard, "sep_nav") == 100_000
    assert series(env.guard, "sep_kill_switch") == 0
    standby = env.another("b")
    await standby.lease.renew()
    await standby.reconciler.tick()
    assert series(standby, "sep_nav") != series(standby, "sep_nav")
    assert series(standby, "sep_kill_switch") == 0


async def test_an_exit_goes_on_when_a_stop_has_taken_one_of_its_trades(env: Environment) -> None:
    await env.feed.all_clear(EUR_USD=0.10)
    for _ in range(3):
        await env.guard.cycle()
    first, *others = list(env.broker.open_trades.values())
    assert others

    async def stop_takes_the_first(_: Any) -> None:
        if first.trade_id in env.broker.open_trades:
            env.broker.positions[EUR].managed -= first.units
            env.broker.close_trade(first, abs(first.units), CloseReason.STOP_LOSS)

    env.broker.before_place = stop_takes_the_first
    await env.feed.weights()
    done = (await env.guard.cycle())[EUR]
    assert done.result is not None
    assert (done.result.outcome, done.result.reason) == (Outcome.FILLED, "TRADE_DOESNT_EXIST")
    assert env.held() == 0
    assert not env.broker.open_trades


async def test_managed_units_include_an_entry_as_soon_as_it_has_filled(env: Environment) -> None:
    """Else the allocator could give its slot away before the next cycle."""
    await env.feed.all_clear(EUR_USD=0.10)
    await env.guard.cycle()
    stored = await reply(env.store.hgetall(keys.MANAGED_UNITS))
    assert D(stored[EUR.encode()].decode()) == env.held() > 0
