"""The broker's account is the truth: the guard with the real gateway and the paper broker."""

# ruff: noqa: F811 - `stack` is a fixture

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import grpc
import pytest
from sep.guard.v1 import guard_pb2 as pb
from sep_guard.adapters.gateway import GatewayBroker
from sep_guard.domain.orders import Intent, Outcome, client_order_id
from sep_kit.errors import SepError
from sep_kit.store import keys
from sep_kit.store.connection import reply
from sep_paper_broker.orders.requests import ClientExtensions, MarketOrderRequest
from sep_testing.eventually import eventually
from sep_testing.valkey import ValkeyServer

from .harness import log
from .test_broker_contract import serve_gateway
from .test_guard_service import (
    ENTRY,
    EUR,
    JPY,
    REDUCTION,
    Stack,
    ask,
    first_cycle,
    reconcile,
    stack,  # noqa: F401 - a fixture
)

D = Decimal


def trades(stack: Stack) -> list[Any]:
    """Open trades at the broker, oldest first."""
    stack.paper.broker.advance()
    return sorted(stack.paper.broker.account.book.open_trades(), key=lambda t: int(t.id))


def by_hand(stack: Stack, units: int, instrument: str = EUR) -> str:
    """Open a trade without client extensions; its id."""
    return submit(stack, MarketOrderRequest(instrument=instrument, units=D(units)))


def submit(stack: Stack, order: MarketOrderRequest) -> str:
    stack.paper.broker.advance()
    fill = stack.paper.broker.account.submit(order, time.time_ns()).fill
    assert fill is not None
    return fill.id


def used(stack: Stack) -> Decimal:
    return stack.paper.broker.account.valuation().margin_used


@asynccontextmanager
async def holding_eur(stack: Stack, **changed: str) -> AsyncIterator[Any]:
    """A guard that has just entered EUR_USD once."""
    async with stack.start(**changed) as stub:
        await first_cycle(stack)
        await stack.feed.all_clear(EUR_USD=0.10)
        action = (await reconcile(stub))[EUR]
        assert (action.kind, action.order_state) == (ENTRY, "FILLED"), action
        yield stub


async def test_margin_that_the_account_raises_is_reduced_to_the_ceiling_in_one_cycle(
    stack: Stack,
) -> None:
    async with holding_eur(stack) as stub:
        for _ in range(5):
            await reconcile(stub)
        before = used(stack)
        stack.paper.broker.account.configure(None, D("0.2"), time.time_ns())
        assert used(stack) > 2 * before
        actions = await reconcile(stub)
        assert actions[EUR].kind == REDUCTION, actions[EUR]
        assert set(actions[EUR].reasons) & {"MARGIN_OVER_CEILING", "MARGIN_OVER_CAP"}
        assert used(stack) <= D(10_000)
        # And it is not bought again.
        units = [t.current_units for t in trades(stack)]
        await reconcile(stub)
        assert [t.current_units for t in trades(stack)] == units


async def test_margin_that_a_hand_trade_takes_is_freed_from_what_is_managed(stack: Stack) -> None:
    """The position stays under its own cap: only the ceiling of all margin is passed."""
    async with holding_eur(stack) as stub:
        for _ in range(5):
            await reconcile(stub)
        hand = D(0)
        while used(stack) < D(27_000):
            by_hand(stack, 50_000, JPY)
            hand += 50_000
        actions = await reconcile(stub)
        assert actions[EUR].kind == REDUCTION, actions[EUR]
        assert "MARGIN_OVER_CEILING" in actions[EUR].reasons
        # 30 % of what is available after the trade, of about 100,000.
        assert used(stack) <= D(23_100)
        assert sum(t.current_units for t in trades(stack) if t.instrument == JPY) == hand


async def test_no_cycle_is_planned_on_a_view_without_the_last_fill(stack: Stack) -> None:
    async with stack.start() as stub:
        await first_cycle(stack)
        await stack.feed.all_clear(EUR_USD=0.10)
        fault = stack.paper.faults.add({"kind": "stale_views", "seconds": 3600})
        assert (await reconcile(stub))[EUR].order_state == "FILLED"
        fills = stack.fills()
        with pytest.raises(SepError) as refused:
            await reconcile(stub)
        assert refused.value.reason == "VIEW_STALE"
        assert stack.fills() == fills
        stack.paper.faults.remove(fault.id)
        assert (await reconcile(stub))[EUR].current_units == fills[0][1]


async def test_an_exit_closes_the_stacks_own_trade_and_not_an_older_one_by_hand(
    stack: Stack,
) -> None:
    hand = by_hand(stack, 300)
    async with (
        grpc.aio.insecure_channel(stack.gateway) as channel,
        stack.start() as stub,
    ):
        await first_cycle(stack)
        await stack.feed.all_clear(EUR_USD=0.10)
        await own_trade(GatewayBroker(channel), 1000)
        assert len(trades(stack)) == 2
        await stack.feed.weights()
        action = (await reconcile(stub))[EUR]
        assert (action.kind, action.order_state) == (REDUCTION, "FILLED"), action
        (left,) = trades(stack)
        assert (left.id, left.current_units) == (hand, 300)


async def own_trade(broker: GatewayBroker, units: int) -> None:
    account = await broker.account()
    quote = (await broker.prices([EUR])).quotes[EUR]
    intent = Intent(
        client_order_id=client_order_id(f"own {units}", "entry"),
        decision_id="own",
        instrument=EUR,
        units=D(units),
        reduce_only=False,
        stop_loss=round(quote.bid - D("0.02"), 5),
        take_profit=None,
        price_bound=None,
        since_transaction_id=account.last_transaction_id,
        sent_ms=time.time_ns() // 10**6,
    )
    assert (await broker.place(intent)).outcome is Outcome.FILLED


async def test_a_lost_stop_is_given_back_at_the_decided_price(stack: Stack) -> None:
    async with holding_eur(stack) as stub:
        (trade,) = trades(stack)
        book = stack.paper.broker.account.book
        decided = stop_of(book, trade)
        stack.paper.faults.add({"kind": "lost_stop", "times": 1})

        def lost() -> bool:
            stack.paper.broker.advance()
            return stop_of(book, trades(stack)[0]) is None

        await eventually(lost)
        entry = await ask(stub.CheckEntry, pb.CheckEntryRequest(instrument=EUR))
        assert "STOP_MISSING" in entry.readiness.reasons
        await reconcile(stub)
        assert stop_of(book, trades(stack)[0]) == decided
        record = next(r for r in await log(stack.store) if r["event"] == "stop")
        assert (record["kind"], record["fault"], record["outcome"]) == (
            "STOP_SET", "STOP_MISSING", "IN_PLACE",
        )  # fmt: skip


async def test_a_stop_moved_away_is_set_back(stack: Stack) -> None:
    async with holding_eur(stack) as stub:
        (trade,) = trades(stack)
        book = stack.paper.broker.account.book
        decided = stop_of(book, trade)
        stack.paper.faults.add({"kind": "moved_stop", "distance": "0.01", "times": 1})

        def moved() -> bool:
            stack.paper.broker.advance()
            return stop_of(book, trades(stack)[0]) != decided

        await eventually(moved)
        await reconcile(stub)
        assert stop_of(book, trades(stack)[0]) == decided


async def test_a_trade_whose_stop_the_broker_does_not_take_back_is_closed(stack: Stack) -> None:
    async with holding_eur(stack) as stub:
        (trade,) = trades(stack)
        book = stack.paper.broker.account.book
        stack.paper.faults.add({"kind": "lost_stop", "times": 1})

        def lost() -> bool:
            stack.paper.broker.advance()
            return stop_of(book, trades(stack)[0]) is None

        await eventually(lost)
        stack.paper.faults.add(
            {"kind": "status", "status": 400, "method": "PUT", "path": r"trades/\d+/orders$"}
        )

        async def closed() -> bool:
            await reconcile(stub)
            return trade.id not in [t.id for t in trades(stack)]

        await eventually(closed)
        steps = [(r["kind"], r["outcome"]) for r in await log(stack.store) if r["event"] == "stop"]
        assert [kind for kind, _ in steps] == ["STOP_SET", "STOP_SET", "STOP_CLOSE"], steps
        assert "IN_PLACE" not in [outcome for _, outcome in steps]


def stop_of(book: Any, trade: Any) -> Decimal | None:
    if trade.stop_loss_order_id is None:
        return None
    price: Decimal = book.find_order(trade.stop_loss_order_id).price
    return price


async def test_a_fill_of_a_second_writer_stops_entries_until_it_is_acknowledged(
    stack: Stack,
) -> None:
    async with stack.start() as stub:
        await first_cycle(stack)
        await stack.feed.all_clear(EUR_USD=0.10)
        other = ClientExtensions(id="sep-of-another-stack", tag="sep")
        order = MarketOrderRequest(
            instrument=JPY, units=D(100), client_extensions=other, trade_client_extensions=other
        )
        # The first cycles have counted the ledger up to here.
        await eventually(lambda: reply(stack.store.exists(keys.RISK_ACTIVITY)))
        submit(stack, order)

        async def seen() -> bool:
            return "SECOND_WRITER" in (await reconcile(stub))[EUR].reasons

        await eventually(seen)
        # A close by trade id has no client id.
        assert {i for i, _ in stack.fills()} <= {"sep-of-another-stack", None}
        state = await ask(stub.GetKillSwitch, pb.GetKillSwitchRequest())
        assert state.kill_switch
        release = pb.SetKillSwitchRequest(
            kill_switch=False, reason="it was mine", actor="ann", acknowledge_breaker=True
        )
        await ask(stub.SetKillSwitch, release)
        assert "SECOND_WRITER" not in (await reconcile(stub))[EUR].reasons


async def test_exits_of_this_stack_are_no_second_writer(stack: Stack) -> None:
    async with holding_eur(stack) as stub:
        for _ in range(2):
            await reconcile(stub)
        await stack.feed.weights(EUR_USD=0.03)
        await reconcile(stub)
        await stack.feed.weights()
        await reconcile(stub)
        assert not trades(stack)
        await stack.feed.all_clear(EUR_USD=0.10)
        assert "SECOND_WRITER" not in (await reconcile(stub))[EUR].reasons


async def test_a_delisted_instrument_that_is_held_is_closed_and_stays_in_every_decision(
    stack: Stack, shared_valkey: ValkeyServer
) -> None:
    async with holding_eur(stack):
        pass
    stack.paper.broker.delisted = frozenset({EUR})
    # A gateway that has just started does not know that it was listed.
    async with (
        serve_gateway(shared_valkey, stack.paper) as gateway,
        stack.start(GATEWAY_ADDR=gateway) as stub,
    ):

        async def closed() -> bool:
            action = (await reconcile(stub)).get(EUR)
            assert action is None or action.kind != ENTRY
            return not trades(stack)

        await eventually(closed)
    decisions = [r for r in await log(stack.store) if r["event"] == "decision"]
    assert [d["reasons"] for d in decisions if d["instrument"] == EUR][-1] == ["DELISTED"]


async def test_an_account_that_requires_guaranteed_stops_takes_no_entry(stack: Stack) -> None:
    stack.paper.faults.add({"kind": "guaranteed_stop_required"})
    async with stack.start() as stub:
        await first_cycle(stack)
        await stack.feed.all_clear(EUR_USD=0.10)

        async def refused() -> bool:
            return "ACCOUNT_KIND" in (await reconcile(stub))[EUR].reasons

        await eventually(refused)
        assert not stack.fills()
        ready = (await ask(stub.GetReadiness, pb.GetReadinessRequest())).readiness
        assert all("ACCOUNT_KIND" in r.reasons for r in ready)


async def test_a_trade_that_cant_be_read_costs_its_instrument_alone(stack: Stack) -> None:
    by_hand(stack, 100, JPY)
    stack.paper.faults.add(
        {"kind": "odd_member", "path": "openTrades", "instrument": JPY, "field": "currentUnits",
         "text": "x", "count": 9}
    )  # fmt: skip
    async with stack.start() as stub:
        await first_cycle(stack)
        await stack.feed.all_clear(EUR_USD=0.10, USD_JPY=0.05)
        actions = await reconcile(stub)
        assert "TRADE_UNREADABLE" in actions[JPY].reasons
        assert actions[EUR].kind == ENTRY, actions[EUR]


async def test_a_flatten_closes_trades_by_hand_by_their_ids_when_asked_to(stack: Stack) -> None:
    hand = by_hand(stack, -700, JPY)
    async with holding_eur(stack) as stub:
        request = pb.FlattenRequest(reason="a test")
        done = await ask(stub.Flatten, request)
        assert done.complete
        assert [t.id for t in trades(stack)] == [hand]
        request = pb.FlattenRequest(reason="a test", include_manual=True)
        done = await ask(stub.Flatten, request)
        assert done.complete
        assert not trades(stack)
