"""The reconcile loop over a broker in memory: entries, exits, lost answers, halts."""

import asyncio
import random
from decimal import Decimal
from typing import Any

import pytest
import redis
from sep_guard.domain.orders import SETTLE_MS, Intent, Outcome
from sep_kit.errors import BrokerUnavailableError, NotTheWriterError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_testing.clock import FakeClock
from sep_testing.valkey import ValkeyServer
from structlog.testing import capture_logs

from .memory_broker import MemoryBroker
from .rig import Feed, Guard, log, margin, open_orders, settings_of, told

EUR, GBP = "EUR_USD", "GBP_USD"
D = Decimal


class Desk:
    """A guard, its broker and everybody who writes for it."""

    def __init__(self, store: Valkey, clock: FakeClock, url: str, **knobs: str) -> None:
        self.store, self.clock, self.url = store, clock, url
        # Small steps, so that a position grows over several cycles.
        self.settings = settings_of(url, **{"PM_RAMP_STEP_PCT": "0.10", **knobs})
        self.broker = MemoryBroker(clock, EUR, GBP)
        self.feed = Feed(store, clock)
        self.guard = self.another("a")

    def another(self, holder: str) -> Guard:
        return Guard(self.store, self.clock, self.broker, self.settings, holder)

    async def restart(self) -> None:
        """The guard dies; its lease runs out; another is started."""
        await self.store.delete(keys.lease("guard"))
        self.guard = self.another(f"after {self.guard.lease.holder}")

    def held(self, instrument: str = EUR) -> Decimal:
        return self.broker.positions[instrument].managed


@pytest.fixture
def desk(store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer) -> Desk:
    return Desk(store, clock, shared_valkey.url)


async def test_from_entry_to_exit_with_reasons_and_records(desk: Desk) -> None:
    await desk.feed.all_clear(EUR_USD=0.10)
    first = (await desk.guard.cycle())[EUR]
    assert told(first) == ("ENTRY", ("DIRECTION", "RAMP_LIMITED"))
    assert first.result is not None
    assert first.result.outcome is Outcome.FILLED
    (sent,) = desk.broker.placed
    assert (sent.reduce_only, sent.stop_loss, sent.take_profit) == (
        False, D("1.09005"), D("1.11505"),
    )  # fmt: skip
    sizes = [desk.held()]
    for _ in range(6):
        await desk.guard.cycle()
        sizes.append(desk.held())
    assert sizes == sorted(sizes)
    # The budget shrinks with what is put to use, and the cap with it: at most a third of it.
    assert margin(desk.held()) <= D(10_000)
    assert told((await desk.guard.cycle())[EUR]) == ("HOLD", ("WITHIN_BAND",))
    await desk.feed.weights(EUR_USD=0.03)
    assert told((await desk.guard.cycle())[EUR]) == ("REDUCTION", ("REBALANCE",))
    assert 0 < desk.held() < sizes[-1]
    await desk.feed.weights()
    assert told((await desk.guard.cycle())[EUR]) == ("REDUCTION", ("WEIGHT_GONE",))
    assert desk.held() == 0
    assert all(i.reduce_only for i in desk.broker.placed[-2:])
    records = await log(desk.store)
    events = [(r["event"], r.get("kind") or r.get("outcome")) for r in records]
    assert events[:2] == [("decision", "ENTRY"), ("order", "FILLED")]
    assert events[-2:] == [("decision", "REDUCTION"), ("order", "FILLED")]
    decision, order = records[:2]
    assert decision["id"] == order["id"] == first.decision_id
    assert decision["reasons"] == ["DIRECTION", "RAMP_LIMITED"]
    assert decision["action"]["checks"]
    assert (order["filled_units"], order["fill_price"]) == (str(sizes[0]), "1.10000")
    assert not await open_orders(desk.store)
    budget = await reply(desk.store.hgetall(keys.ALLOC_BUDGET))
    assert set(budget) == {
        b"balance", b"margin_available", b"margin_used", b"target_pct", b"budget",
        b"per_instrument_cap", b"ts",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("direction", "metrics", "cause"),
    [(-1, {}, "REVERSAL"), (1, {"rupture": 0.9}, "RUPTURE"), (1, {"stability": 0.1}, "RUPTURE")],
)
async def test_a_position_leaves_under_an_engaged_kill_switch(
    desk: Desk, direction: int, metrics: dict[str, float], cause: str
) -> None:
    await desk.feed.all_clear(EUR_USD=0.10)
    await desk.guard.cycle()
    await desk.feed.kill_switch(True)
    desk.clock.advance(1)
    await desk.feed.signal(EUR, direction, **metrics)
    assert told((await desk.guard.cycle())[EUR]) == ("REDUCTION", (cause,))
    assert desk.held() == 0


async def test_what_is_open_near_the_close_of_its_session_is_flattened(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer
) -> None:
    desk = Desk(store, clock, shared_valkey.url, MARKET_CALENDAR="fx")
    await desk.feed.all_clear(EUR_USD=0.10)
    await desk.guard.cycle()
    assert desk.held() > 0
    clock.set("2026-03-04T21:53:00Z")  # the week's daily break begins at 21:58
    await desk.feed.all_clear(EUR_USD=0.10)
    assert told((await desk.guard.cycle())[EUR]) == ("REDUCTION", ("EXIT_BEFORE_CLOSE",))
    kind, reasons = told((await desk.guard.cycle())[EUR])
    assert kind == "REFUSAL"
    assert "NEAR_CLOSE" in reasons


async def test_an_order_is_kept_before_it_is_sent(desk: Desk) -> None:
    await desk.feed.all_clear(EUR_USD=0.10)
    seen: list[tuple[list[dict[str, Any]], list[str]]] = []

    async def look(intent: Intent) -> None:
        events = [r["event"] for r in await log(desk.store)]
        seen.append((await open_orders(desk.store), events))

    desk.broker.before_place = look
    await desk.guard.cycle()
    await desk.feed.weights()
    await desk.guard.cycle()
    assert [[o["client_order_id"] for o in kept] for kept, _ in seen] == [
        [i.client_order_id] for i in desk.broker.placed
    ]
    assert seen[0][1] == ["decision"]
    assert not await open_orders(desk.store)


@pytest.mark.parametrize("restart", [False, True])
async def test_accepted_without_an_answer_is_unknown_then_settled_by_a_look_up(
    desk: Desk, restart: bool
) -> None:
    await desk.feed.all_clear(EUR_USD=0.10, GBP_USD=0.10)
    desk.broker.faults = ["lost_answer"]
    done = (await desk.guard.cycle())[EUR]
    assert done.result is not None
    assert done.result.outcome is Outcome.UNKNOWN
    assert len(await open_orders(desk.store)) == 1
    size = desk.held()
    if restart:
        await desk.restart()

    # While it can't be looked up, entries in that instrument wait and no others do.
    async def away(intent: Intent) -> None:
        raise NotTheWriterError("not now")

    found, desk.broker.look_up = desk.broker.look_up, away  # type: ignore[method-assign]
    cycle = await desk.guard.cycle()
    assert told(cycle[EUR]) == ("REFUSAL", ("ORDER_UNKNOWN",))
    assert told(cycle[GBP])[0] == "ENTRY"
    desk.broker.look_up = found  # type: ignore[method-assign]
    cycle = await desk.guard.cycle()
    assert told(cycle[EUR])[0] == "ENTRY"
    orders = [r for r in await log(desk.store) if r["event"] == "order" and r["instrument"] == EUR]
    assert [o["outcome"] for o in orders] == ["UNKNOWN", "FILLED", "FILLED"]
    assert (orders[1]["filled_units"], orders[1]["fill_price"]) == (str(size), "1.10000")
    assert orders[0]["client_order_id"] == orders[1]["client_order_id"]
    assert not await open_orders(desk.store)


async def test_an_order_that_never_arrived_is_given_up_only_after_a_minute(desk: Desk) -> None:
    await desk.feed.all_clear(EUR_USD=0.10)
    desk.broker.faults = ["lost_order"]
    await desk.guard.cycle()
    desk.clock.advance(SETTLE_MS / 1000 - 1)
    await desk.feed.all_clear(EUR_USD=0.10)
    assert told((await desk.guard.cycle())[EUR]) == ("REFUSAL", ("ORDER_UNKNOWN",))
    desk.clock.advance(2)
    await desk.feed.all_clear(EUR_USD=0.10)
    assert told((await desk.guard.cycle())[EUR])[0] == "ENTRY"
    outcomes = [r["outcome"] for r in await log(desk.store) if r["event"] == "order"]
    assert outcomes == ["UNKNOWN", "NEVER_RECEIVED", "FILLED"]


async def test_a_clock_that_jumps_back_never_gives_an_order_up(desk: Desk) -> None:
    await desk.feed.all_clear(EUR_USD=0.10)
    desk.broker.faults = ["lost_order"]
    await desk.guard.cycle()
    desk.clock.advance(-3600)
    await desk.feed.all_clear(EUR_USD=0.10)
    assert "ORDER_UNKNOWN" in told((await desk.guard.cycle())[EUR])[1]


async def test_an_open_order_that_can_not_be_read_blocks_its_instrument_alone(desk: Desk) -> None:
    await desk.feed.all_clear(EUR_USD=0.10, GBP_USD=0.10)
    await desk.store.hset(keys.OPEN_ORDERS, f"{EUR}:an-id", "{")
    with capture_logs() as logs:
        cycle = await desk.guard.cycle()
        await desk.guard.cycle()
    assert told(cycle[EUR]) == ("REFUSAL", ("ORDER_UNKNOWN",))
    assert told(cycle[GBP])[0] == "ENTRY"
    assert len([x for x in logs if x["event"] == "open order refused"]) == 1
    await desk.feed.weights(GBP_USD=0.0)
    assert told((await desk.guard.cycle())[GBP]) == ("REDUCTION", ("WEIGHT_GONE",))


async def test_lost_answers_lost_orders_and_restarts_neither_double_nor_lose_an_order(
    desk: Desk,
) -> None:
    """What the guard believes in the end is what the broker holds, order by order."""
    chance = random.Random(4)
    for _ in range(150):
        desk.clock.advance(20)
        weight = chance.choice([0.0, 0.02, 0.06, 0.10])
        await desk.feed.all_clear(EUR_USD=weight, GBP_USD=0.05)
        await desk.feed.signal(EUR, chance.choice([1, 1, -1]))
        desk.broker.faults = chance.choices(["", "lost_answer", "lost_order"], [6, 2, 2], k=3)
        if chance.random() < 0.15:
            await desk.restart()
        await desk.guard.cycle()
        for pair in (EUR, GBP):
            assert margin(desk.held(pair)) <= D(10_000)
    desk.broker.faults = []
    for _ in range(3):
        desk.clock.advance(61)
        await desk.feed.all_clear(EUR_USD=0.05, GBP_USD=0.05)
        await desk.guard.cycle()
    sent = [i.client_order_id for i in desk.broker.placed]
    assert len(sent) == len(set(sent))
    fates = {
        r["client_order_id"]: r for r in await log(desk.store)
        if r["event"] == "order" and r["outcome"] != "UNKNOWN"
    }  # fmt: skip
    assert set(fates) == set(sent)
    believed = {i: D(r["filled_units"]) for i, r in fates.items() if r["outcome"] == "FILLED"}
    filled = {
        i: r.filled_units for i, r in desk.broker.fills.items() if r.outcome is Outcome.FILLED
    }
    assert believed == filled
    assert sum(filled.values()) == desk.held(EUR) + desk.held(GBP)
    assert not await open_orders(desk.store)
    assert len([r for r in fates.values() if r["outcome"] == "NEVER_RECEIVED"]) > 5


async def test_a_kill_switch_engaged_between_plan_and_order_stops_the_entry(desk: Desk) -> None:
    await desk.feed.all_clear(EUR_USD=0.10)

    def engage() -> None:
        with redis.Redis.from_url(desk.url) as client:
            client.set(keys.KILL_SWITCH, "1")

    desk.guard.on_new_id = engage
    done = (await desk.guard.cycle())[EUR]
    assert told(done)[0] == "ENTRY"
    assert done.result is not None
    assert (done.result.outcome, done.result.reason) == (Outcome.REJECTED, "KILL_SWITCH")
    assert done.client_order_id == ""
    assert not desk.broker.placed
    assert not await open_orders(desk.store)
    last = (await log(desk.store))[-1]
    assert (last["event"], last["outcome"], last["reason"]) == ("order", "REJECTED", "KILL_SWITCH")


async def test_a_dry_run_changes_nothing_anywhere(desk: Desk) -> None:
    await desk.feed.all_clear(EUR_USD=0.10)
    await desk.guard.cycle()
    await desk.feed.weights(GBP_USD=0.10)
    await desk.feed.signal(GBP)
    placed = len(desk.broker.placed)

    async def everything() -> dict[bytes, bytes]:
        names = await reply(desk.store.keys("*"))
        return {name: await reply(desk.store.dump(name)) for name in names}

    before = await everything()
    series = [m.samples for m in desk.guard.registry.collect()]
    with capture_logs() as logs:
        cycle = await desk.guard.cycle(dry_run=True)
    assert told(cycle[EUR]) == ("REDUCTION", ("WEIGHT_GONE",))
    assert told(cycle[GBP])[0] == "ENTRY"
    assert cycle[GBP].action.order != 0
    assert all(d.result is None for d in cycle.values())
    assert await everything() == before
    assert [m.samples for m in desk.guard.registry.collect()] == series
    assert len(desk.broker.placed) == placed
    assert not logs


async def test_reconciles_at_once_never_overlap(desk: Desk) -> None:
    await desk.feed.all_clear(EUR_USD=0.10, GBP_USD=0.10)
    await desk.guard.lease.renew()
    cycles = await asyncio.gather(*(desk.guard.loop.reconcile(dry_run=False) for _ in range(6)))
    assert len({c.id for c in cycles}) == 6
    assert not desk.broker.overlapped
    assert len(desk.broker.placed) >= 3


async def test_manual_trades_are_seen_recorded_once_and_never_fought(desk: Desk) -> None:
    await desk.feed.all_clear(GBP_USD=0.10)
    desk.broker.trade_by_hand(EUR, -50_000)
    for _ in range(3):
        cycle = await desk.guard.cycle()
        assert told(cycle[EUR]) == ("MANUAL", ("MANUAL_POSITION",))
    assert told(cycle[GBP])[0] in ("ENTRY", "HOLD")
    desk.broker.trade_by_hand(EUR, -950_000)
    assert told((await desk.guard.cycle())[EUR]) == ("MANUAL", ("MANUAL_POSITION", "OVER_CAP"))
    records = [r for r in await log(desk.store) if r["instrument"] == EUR]
    assert [(r["kind"], r["action"]["current"]) for r in records] == [
        ("MANUAL", "-50000"), ("MANUAL", "-1000000"),
    ]  # fmt: skip
    await desk.feed.all_clear(EUR_USD=0.10)
    kind, reasons = told((await desk.guard.cycle())[EUR])
    assert kind == "REFUSAL"
    assert "MANUAL_POSITION" in reasons
    assert desk.broker.positions[EUR].manual == -1_000_000
    assert all(i.instrument == GBP for i in desk.broker.placed)


async def test_manual_exposure_uses_up_the_budget_of_everybody(desk: Desk) -> None:
    desk.broker.trade_by_hand(EUR, 1_000_000)  # a margin of 22,000 out of 100,000
    await desk.feed.all_clear(GBP_USD=0.10)
    for _ in range(10):
        await desk.guard.cycle()
    used = (await desk.broker.account()).margin_used
    assert used <= D("0.30") * (D(100_000) - used) + 1
    assert told((await desk.guard.cycle())[GBP])[0] in ("HOLD", "REFUSAL")


async def test_a_manual_position_is_adopted_when_told_to(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer
) -> None:
    desk = Desk(store, clock, shared_valkey.url, PM_ADOPT_MANUAL="1")
    desk.broker.trade_by_hand(EUR, 5_000)
    await desk.feed.all_clear(GBP_USD=0.10)
    assert told((await desk.guard.cycle())[EUR]) == ("REDUCTION", ("WEIGHT_GONE",))


@pytest.mark.parametrize("jump_s", [3600, -3600])
async def test_after_a_jump_of_the_clock_no_entry_passes_and_nothing_is_closed(
    desk: Desk, jump_s: int
) -> None:
    await desk.feed.all_clear(EUR_USD=0.10, GBP_USD=0.10)
    await desk.guard.cycle()
    held = desk.held()
    desk.clock.advance(jump_s)
    desk.broker.mids[GBP] = D("1.1")
    cycle = await desk.guard.cycle()
    kind, reasons = told(cycle[GBP])
    assert kind in ("REFUSAL", "HOLD")
    assert {"SIGNAL_STALE", "MANIFOLD_STALE", "WEIGHTS_STALE"} <= set(reasons)
    assert desk.held() == held
    desk.clock.advance(-jump_s)
    assert told((await desk.guard.cycle())[GBP])[0] == "ENTRY"


@pytest.mark.parametrize("jump_s", [90, 3600])
async def test_a_clock_that_jumps_forward_gives_no_order_up(desk: Desk, jump_s: int) -> None:
    """An order is on its way for as long as it takes, whatever the clock is set to meanwhile."""
    elapsed = [0.0]
    desk.guard = Guard(
        desk.store, desk.clock, desk.broker, desk.settings, elapsed=lambda: elapsed[0]
    )
    await desk.feed.all_clear(EUR_USD=0.10)
    desk.broker.faults = ["lost_order"]
    await desk.guard.cycle()
    desk.clock.advance(jump_s)
    elapsed[0] += 2
    await desk.feed.all_clear(EUR_USD=0.10)
    assert told((await desk.guard.cycle())[EUR]) == ("REFUSAL", ("ORDER_UNKNOWN",))
    elapsed[0] += 60
    assert told((await desk.guard.cycle())[EUR])[0] == "ENTRY"


async def test_a_broker_that_goes_away_in_mid_cycle_costs_nothing_and_is_returned_to(
    desk: Desk,
) -> None:
    await desk.feed.all_clear(EUR_USD=0.10, GBP_USD=0.10)

    async def lose(_: Intent) -> None:
        desk.broker.down = True

    desk.broker.before_place = lose
    cycle = await desk.guard.cycle()
    assert {d.result.outcome for d in cycle.values() if d.result} == {Outcome.UNKNOWN}
    with pytest.raises(BrokerUnavailableError):
        await desk.guard.cycle()
    assert desk.held() == desk.held(GBP) == 0
    desk.broker.down, desk.broker.before_place = False, None
    cycle = await desk.guard.cycle()
    assert {told(d) for d in cycle.values()} == {("REFUSAL", ("ORDER_UNKNOWN",))}
    desk.clock.advance(61)
    await desk.feed.all_clear(EUR_USD=0.10, GBP_USD=0.10)
    assert {told(d)[0] for d in (await desk.guard.cycle()).values()} == {"ENTRY"}


@pytest.mark.parametrize("broken", [{"connected": False}, {"ledger_contiguous": False}, {"ts": 1}])
async def test_a_broken_broker_link_stops_entries(desk: Desk, broken: dict[str, Any]) -> None:
    await desk.feed.all_clear(EUR_USD=0.10)
    await desk.feed.link(**broken)
    assert told((await desk.guard.cycle())[EUR]) == ("REFUSAL", ("BROKER_LINK",))


async def test_held_weights_refuse_entries_and_close_nothing(desk: Desk) -> None:
    await desk.feed.all_clear(EUR_USD=0.10)
    await desk.guard.cycle()
    held = desk.held()
    await desk.feed.weights(held=True)
    await desk.guard.cycle()
    assert desk.held() == held


async def test_without_prices_exits_still_go_and_entries_do_not(desk: Desk) -> None:
    await desk.feed.all_clear(EUR_USD=0.10)
    await desk.guard.cycle()
    await desk.feed.all_clear(GBP_USD=0.10)
    desk.broker.prices_down = True
    cycle = await desk.guard.cycle()
    assert told(cycle[EUR]) == ("REDUCTION", ("WEIGHT_GONE",))
    assert cycle[GBP].action.order == 0
    assert desk.held() == 0


async def test_read_only_sends_nothing_at_all(
    store: Valkey, clock: FakeClock, shared_valkey: ValkeyServer
) -> None:
    desk = Desk(store, clock, shared_valkey.url)
    await desk.feed.all_clear(EUR_USD=0.10)
    await desk.guard.cycle()
    desk.settings = settings_of(shared_valkey.url, READ_ONLY="1")
    await desk.restart()
    await desk.feed.weights(GBP_USD=0.10)
    await desk.feed.signal(GBP)
    cycle = await desk.guard.cycle()
    assert told(cycle[EUR]) == ("REFUSAL", ("READ_ONLY", "WEIGHT_GONE"))
    assert told(cycle[GBP]) == ("REFUSAL", ("READ_ONLY",))
    assert len(desk.broker.placed) == 1


@pytest.mark.parametrize("gate", [None, "x", "closed"])
async def test_a_margin_gate_that_is_not_known_to_be_open_opens_only_below_low(
    desk: Desk, gate: str | None
) -> None:
    await desk.feed.all_clear(EUR_USD=0.10)
    if gate is None:
        await desk.store.delete(keys.MARGIN_GATE)
    else:
        await desk.store.set(keys.MARGIN_GATE, gate)
    desk.broker.trade_by_hand(GBP, 1_200_000)  # utilisation 0.264, between low and high
    assert "MARGIN_GATE" in told((await desk.guard.cycle())[EUR])[1]
    desk.broker.trade_by_hand(GBP, -200_000)
    assert "MARGIN_GATE" not in told((await desk.guard.cycle())[EUR])[1]


async def test_of_two_guards_one_trades_and_a_take_over_doubles_nothing(desk: Desk) -> None:
    await desk.feed.all_clear(EUR_USD=0.10)
    other = desk.another("b")
    await desk.guard.cycle()
    await other.lease.renew()
    with pytest.raises(NotTheWriterError):
        await other.loop.reconcile(dry_run=False)
    await other.loop.tick()
    assert len(desk.broker.placed) == 1
    dry = await other.loop.reconcile(dry_run=True)
    assert dry.dry_run
    await desk.store.delete(keys.lease("guard"))
    await other.cycle()
    sent = len(desk.broker.placed)
    # The first does not know yet that it lost the lease: nothing it decides is sent.
    assert desk.guard.lease.held
    await desk.feed.all_clear(GBP_USD=0.10)
    done = by_reason(await desk.guard.loop.reconcile(dry_run=False))
    assert "NOT_RECORDED" in done
    assert all(i.reduce_only for i in desk.broker.placed[sent:])
    assert not [i for i in desk.broker.placed if i.instrument == GBP]


def by_reason(cycle: Any) -> set[str]:
    return {d.result.reason for d in cycle.done if d.result is not None}


async def test_a_guard_that_waits_shows_no_account_and_the_true_kill_switch(desk: Desk) -> None:
    def series(guard: Guard, name: str) -> float:
        value = guard.registry.get_sample_value(name)
        assert value is not None
        return value

    await desk.feed.all_clear(EUR_USD=0.10)
    await desk.guard.cycle()
    assert series(desk.guard, "sep_nav") == 100_000
    assert series(desk.guard, "sep_kill_switch") == 0
    waiting = desk.another("b")
    await waiting.lease.renew()
    await waiting.loop.tick()
    assert series(waiting, "sep_nav") != series(waiting, "sep_nav")
    assert series(waiting, "sep_kill_switch") == 0
