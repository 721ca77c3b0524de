"""Orders through the whole gateway: sent once, and their outcome reported correctly."""

import asyncio
import contextlib
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from sep.gateway.v1 import gateway_pb2 as pb
from sep_kit.errors import SepError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey
from sep_paper_broker.app import RunningBroker
from sep_testing.calls import call
from sep_testing.eventually import eventually
from sep_testing.valkey import ValkeyServer

FILLED, CANCELLED = pb.ORDER_STATE_FILLED, pb.ORDER_STATE_CANCELLED
REJECTED, UNKNOWN = pb.ORDER_STATE_REJECTED, pb.ORDER_STATE_UNKNOWN
NOT_FOUND = pb.ORDER_STATE_NOT_FOUND


def order(client_order_id: str, units: str = "100", **fields: Any) -> pb.PlaceMarketOrderRequest:
    return pb.PlaceMarketOrderRequest(
        client_order_id=client_order_id, instrument="EUR_USD", units=units, **fields
    )


async def place(gateway: Any, request: pb.PlaceMarketOrderRequest) -> pb.OrderResult:
    method = gateway.stub.PlaceMarketOrder
    response: pb.PlaceMarketOrderResponse = await call(
        method, request, peer="gateway", deadline_s=30
    )
    return response.result


async def outcome(gateway: Any, client_order_id: str, since: str = "") -> pb.OrderResult:
    request = pb.GetOrderRequest(client_order_id=client_order_id, since_transaction_id=since)
    response: pb.GetOrderResponse = await call(
        gateway.stub.GetOrder, request, peer="gateway", deadline_s=30
    )
    return response.result


def same(one: pb.OrderResult, other: pb.OrderResult) -> bool:
    """Whether two results agree on the outcome; a lookup does not repeat the broker's words."""
    copies = [pb.OrderResult.FromString(result.SerializeToString()) for result in (one, other)]
    for copy in copies:
        copy.message = copy.last_transaction_id = ""
    return copies[0] == copies[1]


def fills(broker: RunningBroker) -> Counter[str]:
    """Fills by client order id in the broker's own ledger."""
    ledger = broker.broker.account.book.ledger.transactions
    return Counter(
        str(getattr(t.body, "client_order_id", "")) for t in ledger if t.body.type == "ORDER_FILL"
    )


async def refusal(gateway: Any, request: pb.PlaceMarketOrderRequest) -> str:
    with pytest.raises(SepError) as failure:
        await place(gateway, request)
    return failure.value.reason


async def test_order_is_filled_and_found_again(gateway: Any, broker: RunningBroker) -> None:
    placed = await place(gateway, order("an-order-1"))
    assert placed.state == FILLED
    assert placed.filled_units == "100"
    assert Decimal(placed.fill_price) > 0
    assert placed.transaction_id
    assert same(await outcome(gateway, "an-order-1"), placed)


async def test_201_response_may_contain_a_cancel(gateway: Any, broker: RunningBroker) -> None:
    broker.faults.add({"kind": "insufficient_margin"})
    placed = await place(gateway, order("an-order-1"))
    assert (placed.state, placed.reason) == (CANCELLED, "INSUFFICIENT_MARGIN")
    assert placed.filled_units == "0"
    assert same(await outcome(gateway, "an-order-1"), placed)


async def test_reject_has_the_brokers_reason(gateway: Any, broker: RunningBroker) -> None:
    # A valid decimal for the gateway, but not a valid price for the broker.
    placed = await place(gateway, order("an-order-1", price_bound="0"))
    assert placed.state == REJECTED
    assert "PRICE" in placed.reason
    assert same(await outcome(gateway, "an-order-1"), placed)


async def test_units_are_rounded_down_and_refused_below_the_minimum(gateway: Any) -> None:
    placed = await place(gateway, order("an-order-1", "-7.99"))
    assert placed.filled_units == "-7"
    assert await refusal(gateway, order("an-order-2", "0.99")) == "UNITS_BELOW_MINIMUM"
    assert await refusal(gateway, order("an-order-3", "100000001")) == "UNITS_ABOVE_MAXIMUM"


async def test_reduction_opens_nothing(gateway: Any) -> None:
    placed = await place(gateway, order("an-order-1", "-100", reduce_only=True))
    assert placed.state in (CANCELLED, REJECTED)
    await place(gateway, order("an-order-2", "100"))
    placed = await place(
        gateway, order("an-order-3", "-60", reduce_only=True, stop_loss_price="1.0")
    )
    assert (placed.state, placed.filled_units) == (FILLED, "-60")
    placed = await place(gateway, order("an-order-4", "-40", reduce_only=True))
    assert placed.filled_units == "-40"
    assert not (await gateway.stub.ListPositions(pb.ListPositionsRequest())).positions


async def test_read_only_refuses_every_order(start_gateway: Any, broker: RunningBroker) -> None:
    async with start_gateway(READ_ONLY="1") as gateway:
        assert await refusal(gateway, order("an-order-1")) == "READ_ONLY"
        assert await refusal(gateway, order("an-order-2", reduce_only=True)) == "READ_ONLY"
    assert not fills(broker)


async def test_live_account_needs_live_trading_enabled(
    start_gateway: Any, broker: RunningBroker
) -> None:
    async with start_gateway(OANDA_ENVIRONMENT="live") as gateway:
        assert await refusal(gateway, order("an-order-1")) == "LIVE_TRADING_DISABLED"
    async with start_gateway(OANDA_ENVIRONMENT="live", LIVE_TRADING_ENABLED="1") as gateway:
        assert (await place(gateway, order("an-order-1"))).state == FILLED


async def test_the_same_id_never_trades_twice(gateway: Any, broker: RunningBroker) -> None:
    placed = await asyncio.gather(*(place(gateway, order("an-order-1")) for _ in range(5)))
    assert [p.state for p in placed].count(FILLED) >= 1
    assert {p.state for p in placed} <= {FILLED, UNKNOWN}
    again = await place(gateway, order("an-order-1"))
    assert same(again, await outcome(gateway, "an-order-1"))
    assert fills(broker) == {"an-order-1": 1}


async def test_id_known_to_the_broker_returns_the_first_outcome(
    gateway: Any, broker: RunningBroker, store: Valkey
) -> None:
    """Even if the gateway's claim is lost."""
    first = await place(gateway, order("an-order-1"))
    await store.delete(keys.order_claim("an-order-1"))
    assert same(await place(gateway, order("an-order-1", "500")), first)
    assert fills(broker) == {"an-order-1": 1}


async def test_lost_response_is_unknown_and_never_rejected(
    start_gateway: Any, broker: RunningBroker
) -> None:
    """A later lookup returns FILLED if the order had arrived, otherwise NOT_FOUND."""
    faults: dict[str, tuple[dict[str, Any], bool]] = {
        "cut-after-1": ({"kind": "reset_after"}, True),
        "cut-before-1": ({"kind": "reset_before"}, False),
        "half-open-1": ({"kind": "hang"}, False),
        "status-500-1": ({"kind": "status", "status": 500}, False),
        "status-502-1": ({"kind": "status", "status": 502}, False),
    }
    async with start_gateway(OANDA_TIMEOUT_SEC="1") as gateway:
        account = pb.GetAccountRequest()
        before = (
            await eventually(lambda: call(gateway.stub.GetAccount, account, peer="g"))
        ).last_transaction_id
        for name, (fault, _arrived) in faults.items():
            broker.faults.add({**fault, "method": "POST", "times": 1})
            assert (await place(gateway, order(name))).state == UNKNOWN

        async def settled(name: str) -> None:
            state = UNKNOWN
            while state == UNKNOWN:
                # On a busy machine a second may be too short for a response.
                with contextlib.suppress(SepError):
                    state = (await outcome(gateway, name, before)).state
            assert state == (FILLED if faults[name][1] else NOT_FOUND), name

        await asyncio.gather(*(settled(name) for name in faults))
    assert fills(broker) == {"cut-after-1": 1}


async def test_order_that_may_be_in_flight_is_unknown_and_not_missing(
    gateway: Any, broker: RunningBroker
) -> None:
    """Two seconds after a request with a timeout of five, absence proves nothing."""
    broker.faults.add({"kind": "reset_before", "method": "POST", "times": 1})
    assert (await place(gateway, order("an-order-1"))).state == UNKNOWN
    found = await outcome(gateway, "an-order-1")
    assert (found.state, found.reason) == (UNKNOWN, "MAY_BE_IN_FLIGHT")


async def test_order_that_was_never_sent_is_not_found(gateway: Any) -> None:
    assert (await outcome(gateway, "never-sent-1", "1")).state == NOT_FOUND


async def test_not_found_needs_both_lookups(gateway: Any, broker: RunningBroker) -> None:
    for path in ("orders/@", "sinceid"):
        fault = broker.faults.add({"kind": "status", "status": 500, "path": path})
        with pytest.raises(SepError) as failure:
            await outcome(gateway, "never-sent-1", "1")
        assert failure.value.reason == "BROKER_UNAVAILABLE"
        broker.faults.remove(fault.id)
        await eventually(lambda: call(gateway.stub.GetAccount, pb.GetAccountRequest(), peer="g"))


async def test_order_that_is_unreadable_at_first_is_found(
    gateway: Any, broker: RunningBroker
) -> None:
    broker.faults.add({"kind": "unreadable_order", "seconds": 0.5})
    broker.faults.add({"kind": "reset_after", "method": "POST", "times": 1})
    assert (await place(gateway, order("an-order-1"))).state == UNKNOWN
    assert (await outcome(gateway, "an-order-1")).state == FILLED


async def test_ledger_finds_an_order_that_the_lookup_does_not(
    gateway: Any, broker: RunningBroker
) -> None:
    placed = await place(gateway, order("an-order-1"))
    broker.faults.add({"kind": "status", "status": 404, "path": "orders/@"})
    assert same(await outcome(gateway, "an-order-1", "1"), placed)


async def test_old_claim_of_an_unsent_order_does_not_block_it(
    gateway: Any, broker: RunningBroker, store: Valkey
) -> None:
    """After a crash between claim and send the broker has no order, so it may be sent."""
    await store.set(keys.order_claim("an-order-1"), '{"ts":1000,"since":1}')
    assert (await place(gateway, order("an-order-1"))).state == FILLED
    assert fills(broker) == {"an-order-1": 1}


async def test_without_a_store_entries_are_refused_and_reductions_sent(
    start_gateway: Any, broker: RunningBroker, valkey: ValkeyServer
) -> None:
    async with start_gateway(VALKEY_URL=valkey.url) as gateway:
        assert (await place(gateway, order("an-order-1"))).state == FILLED
        valkey.kill()
        assert await refusal(gateway, order("an-order-2")) == "STORE_UNAVAILABLE"
        placed = await place(gateway, order("an-order-3", "-100", reduce_only=True))
        assert placed.state == FILLED
        valkey.start()
    assert fills(broker) == {"an-order-1": 1, "an-order-3": 1}


@pytest.mark.parametrize("switch", ["1", "nonsense", None])
async def test_unless_the_kill_switch_is_released_only_reductions_are_sent(
    gateway: Any, broker: RunningBroker, store: Valkey, switch: str | None
) -> None:
    assert (await place(gateway, order("order-before"))).state == FILLED
    if switch is None:
        await store.delete(keys.KILL_SWITCH)
    else:
        await store.set(keys.KILL_SWITCH, switch)
    assert await refusal(gateway, order("order-entry")) == "KILL_SWITCH"
    assert (await place(gateway, order("order-exit", "-100", reduce_only=True))).state == FILLED
    # The refused entry was not sent, so it may be sent after the release.
    await store.set(keys.KILL_SWITCH, "0")
    assert (await place(gateway, order("order-entry"))).state == FILLED
    assert set(fills(broker)) == {"order-before", "order-exit", "order-entry"}


LONG, SHORT = pb.POSITION_SIDE_LONG, pb.POSITION_SIDE_SHORT


async def close(
    gateway: Any, client_order_id: str, side: pb.PositionSide.ValueType = LONG
) -> pb.OrderResult:
    request = pb.ClosePositionRequest(
        client_order_id=client_order_id, instrument="EUR_USD", side=side
    )
    response: pb.ClosePositionResponse = await call(
        gateway.stub.ClosePosition, request, peer="gateway", deadline_s=30
    )
    return response.result


async def close_trade(gateway: Any, trade_id: str) -> pb.OrderResult:
    request = pb.CloseTradeRequest(trade_id=trade_id)
    response: pb.CloseTradeResponse = await call(
        gateway.stub.CloseTrade, request, peer="gateway", deadline_s=30
    )
    return response.result


@pytest.mark.parametrize(("units", "side", "wrong"), [("100", LONG, SHORT), ("-100", SHORT, LONG)])
async def test_position_side_is_closed_once_and_the_other_side_kept(
    gateway: Any,
    broker: RunningBroker,
    units: str,
    side: pb.PositionSide.ValueType,
    wrong: pb.PositionSide.ValueType,
) -> None:
    await place(gateway, order("an-order-1", units))
    nothing = await close(gateway, "a-close-1", wrong)
    assert (nothing.state, nothing.reason) == (REJECTED, "CLOSEOUT_POSITION_DOESNT_EXIST")
    closed = await close(gateway, "a-close-2", side)
    assert (closed.state, Decimal(closed.filled_units)) == (FILLED, -Decimal(units))
    assert same(await outcome(gateway, "a-close-2"), closed)
    await place(gateway, order("an-order-2", units))
    assert same(await close(gateway, "a-close-2", side), closed)
    assert len((await gateway.stub.ListPositions(pb.ListPositionsRequest())).positions) == 1


async def test_close_with_a_lost_response_is_unknown_and_found(
    gateway: Any, broker: RunningBroker
) -> None:
    await place(gateway, order("an-order-1"))
    broker.faults.add({"kind": "reset_after", "method": "PUT", "times": 1})
    assert (await close(gateway, "a-close-1")).state == UNKNOWN
    found = await outcome(gateway, "a-close-1")
    assert (found.state, found.filled_units) == (FILLED, "-100")


async def test_close_of_a_halted_instrument_is_cancelled_with_the_reason(
    gateway: Any, broker: RunningBroker
) -> None:
    await place(gateway, order("an-order-1"))
    broker.faults.add({"kind": "halted"})
    broker.broker.halted = broker.faults.halted(broker.broker.market.instruments)
    broker.broker.advance()
    closed = await close(gateway, "a-close-1")
    assert (closed.state, closed.reason) == (CANCELLED, "MARKET_HALTED")


async def test_trade_is_closed_once(gateway: Any, broker: RunningBroker) -> None:
    for name in ("an-order-1", "an-order-2"):
        await place(gateway, order(name))
    first, second = (await gateway.stub.ListOpenTrades(pb.ListOpenTradesRequest())).trades
    broker.faults.add({"kind": "reset_after", "method": "PUT", "times": 1})
    assert (await close_trade(gateway, first.id)).state == UNKNOWN
    again = await close_trade(gateway, first.id)
    assert (again.state, again.reason) == (REJECTED, "TRADE_DOESNT_EXIST")
    (left,) = (await gateway.stub.ListOpenTrades(pb.ListOpenTradesRequest())).trades
    assert left.id == second.id
    closed = await close_trade(gateway, second.id)
    assert (closed.state, closed.filled_units) == (FILLED, "-100")


async def test_read_only_refuses_every_close(start_gateway: Any, broker: RunningBroker) -> None:
    async with start_gateway() as gateway:
        await place(gateway, order("an-order-1"))
        (trade,) = (await gateway.stub.ListOpenTrades(pb.ListOpenTradesRequest())).trades
    async with start_gateway(READ_ONLY="1") as gateway:
        for attempt in (close(gateway, "a-close-1"), close_trade(gateway, trade.id)):
            with pytest.raises(SepError) as failure:
                await attempt
            assert failure.value.reason == "READ_ONLY"
    assert len(fills(broker)) == 1


async def test_position_can_be_closed_without_a_store(
    start_gateway: Any, broker: RunningBroker, valkey: ValkeyServer
) -> None:
    async with start_gateway(VALKEY_URL=valkey.url) as gateway:
        await place(gateway, order("an-order-1"))
        valkey.kill()
        assert (await close(gateway, "a-close-1")).state == FILLED
        valkey.start()
