"""The whole guard as a service, before the real gateway and a paper broker."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from sep.guard.v1 import guard_pb2 as pb
from sep.guard.v1 import guard_pb2_grpc
from sep_guard.app import build
from sep_kit.clock import SystemClock
from sep_kit.errors import SepError
from sep_kit.grpc.client import call
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.lease import Lease
from sep_paper_broker.app import RunningBroker
from sep_testing.eventually import eventually
from sep_testing.services import running_service
from sep_testing.valkey import ValkeyServer

from .rig import Feed, log, settings_of
from .test_broker_contract import TOKEN, serve_gateway, serve_paper

EUR, JPY = "EUR_USD", "USD_JPY"
ENTRY, REDUCTION = pb.ACTION_KIND_ENTRY, pb.ACTION_KIND_REDUCTION
REFUSAL = pb.ACTION_KIND_REFUSAL


@dataclass(frozen=True)
class World:
    """Broker, gateway and store; guards are started by the test."""

    paper: RunningBroker
    gateway: str
    feed: Feed
    store: Valkey
    start: Callable[..., AbstractAsyncContextManager[Any]]

    def transactions(self) -> set[str]:
        """Types of the transactions so far."""
        return {t.body.type for t in self.paper.broker.account.book.ledger.transactions}

    def fills(self) -> list[tuple[str, str]]:
        """Client order ids and units of the fills in the broker's own ledger."""
        transactions: list[Any] = list(self.paper.broker.account.book.ledger.transactions)
        return [
            (t.body.client_order_id, str(t.body.units))
            for t in transactions
            if t.body.type == "ORDER_FILL"
        ]


@pytest.fixture
async def world(store: Valkey, shared_valkey: ValkeyServer) -> AsyncIterator[World]:
    async with (
        serve_paper(TOKEN) as paper,
        serve_gateway(shared_valkey, paper) as gateway,
    ):

        @asynccontextmanager
        async def start(**changed: str) -> AsyncIterator[Any]:
            environment = {
                "GATEWAY_ADDR": gateway,
                "HOTBAND_PAIRS": "EUR_USD,USD_JPY",
                "PM_RECONCILE_SEC": "3600",
                **changed,
            }
            settings = settings_of(shared_valkey.url, **environment)
            async with (
                running_service("guard", settings, build) as address,
                grpc.aio.insecure_channel(address) as channel,
            ):
                yield guard_pb2_grpc.GuardServiceStub(channel)

        await eventually(lambda: store.exists(keys.BROKER_LINK))
        yield World(paper, gateway, Feed(store, SystemClock()), store, start)


async def ask(method: Any, request: Any) -> Any:
    return await call(method, request, peer="guard", deadline_s=20)


async def refusal(method: Any, request: Any) -> str:
    with pytest.raises(SepError) as failure:
        await ask(method, request)
    return f"{failure.value.code.name} {failure.value.reason}"


async def first_cycle(world: World) -> None:
    """Wait for the cycle that every start begins with; what is told now, the next one sees."""
    await eventually(lambda: world.store.exists(keys.ALLOC_BUDGET))


async def reconcile(stub: Any, **fields: Any) -> dict[str, Any]:
    """One cycle on a guard that has just started: it may not hold the lease yet."""

    async def done() -> Any:
        try:
            return await ask(stub.Reconcile, pb.ReconcileRequest(**fields))
        except SepError as error:
            if error.reason != "NOT_THE_WRITER":
                raise
            return None

    answered = await eventually(done)
    return {a.instrument: a for a in answered.actions}


async def test_from_weights_to_a_fill_and_out_again(world: World) -> None:
    async with world.start() as stub:
        await first_cycle(world)
        await world.feed.all_clear(EUR_USD=0.10)
        action = (await reconcile(stub))[EUR]
        assert (action.kind, action.order_state) == (ENTRY, "FILLED"), action
        assert action.ordered_units == str(int(action.ordered_units))
        assert world.fills() == [(action.client_order_id, action.ordered_units)]
        assert {"STOP_LOSS_ORDER", "TAKE_PROFIT_ORDER"} <= world.transactions()
        assert (await reconcile(stub))[JPY].reasons == ["NO_WEIGHT"]
        await world.feed.weights()
        action = (await reconcile(stub))[EUR]
        assert (action.kind, action.order_state) == (REDUCTION, "FILLED")
        assert list(action.reasons) == ["WEIGHT_GONE"]
        assert not list(world.paper.broker.account.book.open_trades())
        records = await log(world.store)
        assert records[-1]["id"] == action.decision_id


async def test_accepted_without_an_answer_doubles_nothing_over_a_restart(world: World) -> None:
    await world.feed.kill_switch(False)
    async with world.start() as stub:
        await first_cycle(world)
        await world.feed.all_clear(EUR_USD=0.10)
        world.paper.faults.add({"kind": "reset_after", "method": "POST", "times": 1})
        assert (await reconcile(stub))[EUR].order_state == "UNKNOWN"
        assert len(world.fills()) == 1
    async with world.start() as stub:
        await world.feed.all_clear(EUR_USD=0.10)
        await reconcile(stub)

        async def settled() -> bool:
            await reconcile(stub)
            return not await reply(world.store.exists(keys.OPEN_ORDERS))

        await eventually(settled)
    ids = [i for i, _ in world.fills()]
    assert len(ids) == len(set(ids))
    orders = [r for r in await log(world.store) if r["event"] == "order"]
    assert [o["outcome"] for o in orders[:2]] == ["UNKNOWN", "FILLED"]
    assert sum(int(o["filled_units"]) for o in orders) == sum(int(u) for _, u in world.fills())


async def test_the_kill_switch_seeds_survives_and_is_forced(world: World) -> None:
    def setting(engaged: bool, reason: str = "") -> pb.SetKillSwitchRequest:
        return pb.SetKillSwitchRequest(kill_switch=engaged, reason=reason, actor="ann")

    async def stands(stub: Any) -> tuple[bool, str, str]:
        found = await ask(stub.GetKillSwitch, pb.GetKillSwitchRequest())
        return found.kill_switch, found.reason, found.actor

    async def seeded() -> bool:
        return bool(await reply(world.store.exists(keys.KILL_SWITCH)))

    async with world.start() as stub:
        await eventually(seeded)
        assert await stands(stub) == (True, "KILL_SWITCH at start", "")
        assert await refusal(stub.SetKillSwitch, setting(False)) == (
            "INVALID_ARGUMENT INVALID_ARGUMENT"
        )
        assert await refusal(stub.SetKillSwitch, setting(False, "  ")) == (
            "INVALID_ARGUMENT INVALID_ARGUMENT"
        )
        assert await refusal(stub.SetKillSwitch, pb.SetKillSwitchRequest(reason="x")) == (
            "INVALID_ARGUMENT INVALID_ARGUMENT"
        )
        assert (await stands(stub))[0]
        assert not (await ask(stub.SetKillSwitch, setting(False, "opening"))).kill_switch
        assert await stands(stub) == (False, "opening", "ann")
        assert (await ask(stub.SetKillSwitch, setting(True))).kill_switch
        await ask(stub.SetKillSwitch, setting(False, "again"))
    async with world.start(KILL_SWITCH="1") as stub:
        await reconcile(stub, dry_run=True)
        assert await stands(stub) == (False, "again", "ann")
    async with world.start(KILL_SWITCH="1", KILL_SWITCH_FORCE_ENV="1") as stub:

        async def forced() -> bool:
            return (await stands(stub)) == (True, "KILL_SWITCH at start", "")

        await eventually(forced)
        # Forced once a start, not over and over: the API has the last word.
        await ask(stub.SetKillSwitch, setting(False, "opening"))
        await reconcile(stub)
        assert await stands(stub) == (False, "opening", "ann")
    await world.store.set(keys.KILL_SWITCH, "maybe")
    async with world.start(KILL_SWITCH="0") as stub:
        assert (await stands(stub))[0]


async def test_every_method_answers_and_a_dry_run_orders_nothing(world: World) -> None:
    async with world.start() as stub:
        await first_cycle(world)
        await world.feed.all_clear(EUR_USD=0.10)
        budget = await ask(stub.GetBudget, pb.GetBudgetRequest())
        assert (budget.balance, budget.margin_used, budget.target_pct) == (
            "100000.0000",
            "0.0000",
            0.3,
        )
        assert float(budget.budget) == 30_000
        assert float(budget.per_instrument_cap) == 10_000
        assert (budget.utilisation, budget.margin_gate_open) == (0, True)
        ready = (await ask(stub.GetReadiness, pb.GetReadinessRequest())).readiness
        assert [r.instrument for r in ready] == [EUR, JPY]
        assert ready[0].ready, ready[0].reasons
        assert ready[0].direction == 1
        assert len(ready[0].checks) > 15
        assert {"NO_WEIGHT", "SIGNAL_STALE"} <= set(ready[1].reasons)
        one = await ask(stub.CheckEntry, pb.CheckEntryRequest(instrument=EUR))
        assert one.readiness.ready
        assert await refusal(stub.CheckEntry, pb.CheckEntryRequest(instrument="XAU_USD")) == (
            "NOT_FOUND UNKNOWN_INSTRUMENT"
        )
        action = (await reconcile(stub, dry_run=True))[EUR]
        assert action.kind == ENTRY
        assert (action.order_state, action.client_order_id) == ("", "")
        assert action.ordered_units != "0"
        assert not world.fills()
        assert not await log(world.store)


async def test_without_a_broker_every_answer_says_so_and_the_guard_waits_for_it(
    world: World,
) -> None:
    async with world.start(GATEWAY_ADDR="127.0.0.1:1") as stub:
        for method, request in (
            (stub.GetBudget, pb.GetBudgetRequest()),
            (stub.GetReadiness, pb.GetReadinessRequest()),
            (stub.Reconcile, pb.ReconcileRequest(dry_run=True)),
        ):
            assert (await refusal(method, request)).startswith("UNAVAILABLE")
        assert (await ask(stub.GetKillSwitch, pb.GetKillSwitchRequest())).kill_switch


async def test_a_replica_without_the_lease_reads_and_does_not_trade(world: World) -> None:
    other = Lease(world.store, "guard", "somebody else", SystemClock())
    await other.renew()
    async with world.start() as stub:
        await world.feed.all_clear(EUR_USD=0.10)
        assert await refusal(stub.Reconcile, pb.ReconcileRequest()) == "UNAVAILABLE NOT_THE_WRITER"
        assert (await ask(stub.Reconcile, pb.ReconcileRequest(dry_run=True))).actions
        assert (await ask(stub.GetBudget, pb.GetBudgetRequest())).balance
        assert not world.fills()
        await other.release()
        began = time.monotonic()
        assert (await reconcile(stub))[EUR].kind == ENTRY
        assert time.monotonic() - began < 15


async def test_a_halted_instrument_is_refused(world: World) -> None:
    async with world.start() as stub:
        await first_cycle(world)
        await world.feed.all_clear(EUR_USD=0.10)
        world.paper.broker.halted = frozenset({EUR})

        async def halted() -> bool:
            action = (await reconcile(stub, dry_run=True))[EUR]
            assert (action.kind, "NOT_TRADEABLE" in action.reasons) == (REFUSAL, True), action
            return True

        await eventually(halted)
