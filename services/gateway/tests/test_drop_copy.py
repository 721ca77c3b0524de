"""Each fill of this stack matches a claim; one with its tag and no claim is another writer's."""

from typing import Any

from sep.gateway.v1 import gateway_pb2 as pb
from sep_kit.store.connection import Valkey
from sep_paper_broker.app import RunningBroker
from sep_testing.eventually import eventually
from sep_testing.valkey import ValkeyServer

from .orders import FILLED, admin_fault, by_hand, close_trade, ledger, open_trades, place


async def fills_of(gateway: Any, since: str = "1") -> list[pb.Transaction]:
    part = await ledger(gateway, since)
    assert part.whole
    return [t for t in part.transactions if t.type == "ORDER_FILL"]


async def test_own_orders_and_closes_of_trades_are_claimed(
    gateway: Any, broker: RunningBroker
) -> None:
    await place(gateway, "an-order-1", stop_loss_price="0.5", take_profit_price="3")
    (trade,) = (await open_trades(gateway)).trades
    await close_trade(gateway, trade.id, "a-close-1", units="40")
    await close_trade(gateway, trade.id)
    entry, part, rest = await fills_of(gateway)
    assert (entry.own, entry.client_tag) == (True, "sep")
    assert (part.own, part.client_tag) == (True, "")
    assert (rest.own, rest.client_tag) == (True, "")


async def test_hand_trades_and_stops_have_no_tag(gateway: Any, broker: RunningBroker) -> None:
    """They are neither this stack's orders nor another writer's."""
    await by_hand(broker, "100")
    await place(gateway, "an-order-1", "100", stop_loss_price="0.5")
    await admin_fault(broker, kind="margin_closeout")
    hand, entry, *closeouts = await fills_of(gateway)
    assert (hand.own, hand.client_tag) == (False, "")
    assert (entry.own, entry.client_tag) == (True, "sep")
    assert closeouts
    assert {(t.own, t.client_tag) for t in closeouts} == {(False, "")}


async def test_order_of_another_stack_on_the_account_is_recognised(
    start_gateway: Any, broker: RunningBroker, store: Valkey, valkey: ValkeyServer
) -> None:
    """Both stores belong to the account, so only the ledger shows it."""
    async with start_gateway() as here, start_gateway(VALKEY_URL=valkey.url) as there:
        assert (await place(there, "an-order-1")).state == FILLED
        (foreign,) = await fills_of(here)
        assert (foreign.own, foreign.client_tag) == (False, "sep")
        (own,) = await fills_of(there)
        assert (own.own, own.client_tag) == (True, "sep")


async def test_part_that_begins_between_order_and_fill_knows_the_order(gateway: Any) -> None:
    placed = await place(gateway, "an-order-1")
    between = str(int(placed.transaction_id) - 1)
    (fill,) = await fills_of(gateway, between)
    assert (fill.own, fill.client_tag) == (True, "sep")


async def test_reduction_sent_without_a_store_is_not_another_writers(
    start_gateway: Any, broker: RunningBroker, valkey: ValkeyServer
) -> None:
    async with start_gateway(VALKEY_URL=valkey.url) as gateway:
        await place(gateway, "an-order-1")
        valkey.kill()
        reduced = await place(gateway, "an-order-2", "-10", reduce_only=True)
        assert reduced.state == FILLED
        valkey.start()

        async def claimed() -> list[pb.Transaction]:
            return await fills_of(gateway)

        assert {(t.own, t.client_tag) for t in await claimed()} == {(True, "sep")}
    # Its claim was written when the store was back, so a new gateway knows it too.
    async with start_gateway(VALKEY_URL=valkey.url) as gateway:

        async def known() -> bool:
            return {(t.own, t.client_tag) for t in await fills_of(gateway)} == {(True, "sep")}

        await eventually(known)
