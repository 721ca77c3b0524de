"""The guard as a service, with the real gateway and a paper broker."""

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
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.lease import Lease
from sep_paper_broker.app import RunningBroker
from sep_testing.calls import call
from sep_testing.eventually import eventually
from sep_testing.services import running_service
from sep_testing.valkey import ValkeyServer

from .harness import Feed, log, settings_of
from .test_broker_contract import TOKEN, serve_gateway, serve_paper

EUR, JPY = "EUR_USD", "USD_JPY"
ENTRY, REDUCTION = pb.ACTION_KIND_ENTRY, pb.ACTION_KIND_REDUCTION
REFUSAL = pb.ACTION_KIND_REFUSAL


@dataclass(frozen=True)
class Stack:
    """Paper broker, gateway and store; ``start`` starts a guard and gives its stub."""

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
async def stack(store: Valkey, shared_valkey: ValkeyServer) -> AsyncIterator[Stack]:
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
        yield Stack(paper, gateway, Feed(store, SystemClock()), store, start)


async def ask(method: Any, request: Any) -> Any:
    return await call(method, request, peer="guard", deadline_s=30)


async def refusal(method: Any, request: Any) -> str:
    with pytest.raises(SepError) as failure:
        await ask(method, request)
    return f"{failure.value.code.name} {failure.value.reason}"


async def first_cycle(stack: Stack) -> None:
    """Wait for the first cycle of a guard: inputs written after it are read by the next one."""
    await eventually(lambda: stack.store.exists(keys.ALLOC_BUDGET))


async def reconcile(stub: Any, **fields: Any) -> dict[str, Any]:
    """Run one cycle, retrying until a guard that has just started holds the lease.

    Also when a machine that stalls costs the guard the account's view.
    """

    async def done() -> Any:
        try:
            return await ask(stub.Reconcile, pb.ReconcileRequest(**fields))
        except SepError as error:
            if error.reason not in {"NOT_THE_WRITER", "PEER_UNAVAILABLE"}:
                raise
            return None

    response = await eventually(done)
    return {a.instrument: a for a in response.actions}


async def test_an_entry_is_filled_and_closed_when_its_weight_is_gone(stack: Stack) -> None:
    async with stack.start() as stub:
        await first_cycle(stack)
        await stack.feed.all_clear(EUR_USD=0.10)
        action = (await reconcile(stub))[EUR]
        assert (action.kind, action.order_state) == (ENTRY, "FILLED"), action
        assert action.ordered_units == str(int(action.ordered_units))
        assert stack.fills() == [(action.client_order_id, action.ordered_units)]
        assert {"STOP_LOSS_ORDER", "TAKE_PROFIT_ORDER"} <= stack.transactions()
        assert (await reconcile(stub))[JPY].reasons == ["NO_WEIGHT"]
        await stack.feed.weights()
        action = (await reconcile(stub))[EUR]
        assert (action.kind, action.order_state) == (REDUCTION, "FILLED")
        assert list(action.reasons) == ["WEIGHT_GONE"]
        assert not list(stack.paper.broker.account.book.open_trades())
        records = await log(stack.store)
        assert records[-1]["id"] == action.decision_id


async def test_a_lost_response_duplicates_no_order_over_a_restart(stack: Stack) -> None:
    await stack.feed.kill_switch(False)
    async with stack.start() as stub:
        await first_cycle(stack)
        await stack.feed.all_clear(EUR_USD=0.10)
        stack.paper.faults.add({"kind": "reset_after", "method": "POST", "times": 1})
        assert (await reconcile(stub))[EUR].order_state == "UNKNOWN"
        assert len(stack.fills()) == 1
    async with stack.start() as stub:
        await stack.feed.all_clear(EUR_USD=0.10)
        await reconcile(stub)

        async def settled() -> bool:
            await reconcile(stub)
            return not await reply(stack.store.exists(keys.OPEN_ORDERS))

        await eventually(settled)
    ids = [i for i, _ in stack.fills()]
    assert len(ids) == len(set(ids))
    orders = [r for r in await log(stack.store) if r["event"] == "order"]
    assert [o["outcome"] for o in orders[:2]] == ["UNKNOWN", "FILLED"]
    assert sum(int(o["filled_units"]) for o in orders) == sum(int(u) for _, u in stack.fills())


async def test_the_kill_switch_is_seeded_persisted_and_forced(stack: Stack) -> None:
    def setting(engaged: bool, reason: str = "") -> pb.SetKillSwitchRequest:
        return pb.SetKillSwitchRequest(kill_switch=engaged, reason=reason, actor="ann")

    async def state(stub: Any) -> tuple[bool, str, str]:
        found = await ask(stub.GetKillSwitch, pb.GetKillSwitchRequest())
        return found.kill_switch, found.reason, found.actor

    async def seeded() -> bool:
        return bool(await reply(stack.store.exists(keys.KILL_SWITCH)))

    async with stack.start() as stub:
        await eventually(seeded)
        assert await state(stub) == (True, "KILL_SWITCH at start", "")
        assert await refusal(stub.SetKillSwitch, setting(False)) == (
            "INVALID_ARGUMENT INVALID_ARGUMENT"
        )
        assert await refusal(stub.SetKillSwitch, setting(False, "  ")) == (
            "INVALID_ARGUMENT INVALID_ARGUMENT"
        )
        assert await refusal(stub.SetKillSwitch, pb.SetKillSwitchRequest(reason="x")) == (
            "INVALID_ARGUMENT INVALID_ARGUMENT"
        )
        assert (await state(stub))[0]
        assert not (await ask(stub.SetKillSwitch, setting(False, "opening"))).kill_switch
        assert await state(stub) == (False, "opening", "ann")
        assert (await ask(stub.SetKillSwitch, setting(True))).kill_switch
        await ask(stub.SetKillSwitch, setting(False, "again"))
    async with stack.start(KILL_SWITCH="1") as stub:
        await reconcile(stub, dry_run=True)
        assert await state(stub) == (False, "again", "ann")
    async with stack.start(KILL_SWITCH="1", KILL_SWITCH_FORCE_ENV="1") as stub:

        async def forced() -> bool:
            return (await state(stub)) == (True, "KILL_SWITCH at start", "")

        await eventually(forced)
        # Forced once per start: a later change by the API holds.
        await ask(stub.SetKillSwitch, setting(False, "opening"))
        await reconcile(stub)
        assert await state(stub) == (False, "opening", "ann")
    await stack.store.set(keys.KILL_SWITCH, "maybe")
    async with stack.start(KILL_SWITCH="0") as stub:
        assert (await state(stub))[0]


async def test_every_method_responds_and_a_dry_run_sends_no_order(stack: Stack) -> None:
    async with stack.start() as stub:
        await first_cycle(stack)
        await stack.feed.all_clear(EUR_USD=0.10)
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
        assert (one.readiness.parameters_run, one.readiness.parameters_digest) == ("", "")
        await stack.feed.blob({EUR: ("run@abc", "0" * 16)}, EUR_USD=1)
        one = await ask(stub.CheckEntry, pb.CheckEntryRequest(instrument=EUR))
        assert one.readiness.parameters_run == "run@abc"
        assert one.readiness.parameters_digest == "0" * 16
        await stack.store.set(keys.GATES_BLOB, "{")
        ready = (await ask(stub.GetReadiness, pb.GetReadinessRequest())).readiness
        assert [r.parameters_digest for r in ready] == ["", ""]
        assert await refusal(stub.CheckEntry, pb.CheckEntryRequest(instrument="XAU_USD")) == (
            "NOT_FOUND UNKNOWN_INSTRUMENT"
        )
        action = (await reconcile(stub, dry_run=True))[EUR]
        assert action.kind == ENTRY
        assert (action.order_state, action.client_order_id) == ("", "")
        assert action.ordered_units != "0"
        assert not stack.fills()
        assert not await log(stack.store)


async def test_without_a_broker_calls_are_unavailable_and_the_kill_switch_is_readable(
    stack: Stack,
) -> None:
    async with stack.start(GATEWAY_ADDR="127.0.0.1:1") as stub:
        for method, request in (
            (stub.GetBudget, pb.GetBudgetRequest()),
            (stub.GetReadiness, pb.GetReadinessRequest()),
            (stub.Reconcile, pb.ReconcileRequest(dry_run=True)),
        ):
            assert (await refusal(method, request)).startswith("UNAVAILABLE")
        assert (await ask(stub.GetKillSwitch, pb.GetKillSwitchRequest())).kill_switch


async def test_a_replica_without_the_lease_serves_reads_and_does_not_trade(stack: Stack) -> None:
    other = Lease(stack.store, "guard", "another replica", SystemClock())
    await other.renew()
    async with stack.start() as stub:
        await stack.feed.all_clear(EUR_USD=0.10)
        assert await refusal(stub.Reconcile, pb.ReconcileRequest()) == "UNAVAILABLE NOT_THE_WRITER"
        assert (await ask(stub.Reconcile, pb.ReconcileRequest(dry_run=True))).actions
        assert (await ask(stub.GetBudget, pb.GetBudgetRequest())).balance
        assert not stack.fills()
        await other.release()
        began = time.monotonic()
        assert (await reconcile(stub))[EUR].kind == ENTRY
        assert time.monotonic() - began < 25


async def test_a_halted_instrument_is_refused(stack: Stack) -> None:
    async with stack.start() as stub:
        await first_cycle(stack)
        await stack.feed.all_clear(EUR_USD=0.10)
        stack.paper.broker.halted = frozenset({EUR})

        async def halted() -> bool:
            action = (await reconcile(stub, dry_run=True))[EUR]
            assert (action.kind, "NOT_TRADEABLE" in action.reasons) == (REFUSAL, True), action
            return True

        await eventually(halted)
