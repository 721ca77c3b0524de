"""Entries that only open, exits by trade id, and stops of trades."""

from decimal import Decimal
from typing import Any

import pytest
from sep_gateway.adapters.oanda.broker import is_missing
from sep_gateway.adapters.oanda.failures import RefusedError
from sep_paper_broker.app import RunningBroker
from sep_testing.eventually import eventually
from sep_testing.valkey import ValkeyServer

from .orders import (
    CANCELLED,
    FILLED,
    NOT_FOUND,
    PENDING,
    REJECTED,
    UNKNOWN,
    admin_fault,
    by_hand,
    close_trade,
    fills,
    open_trades,
    outcome,
    place,
    reason_of,
    set_stop,
)


async def units(gateway: Any) -> dict[str, Decimal]:
    """Open units by trade id."""
    return {t.id: Decimal(t.current_units) for t in (await open_trades(gateway)).trades}


async def test_entry_against_a_hand_trade_opens_nothing_and_closes_nothing(
    gateway: Any, broker: RunningBroker
) -> None:
    hand = await by_hand(broker, "-100")
    placed = await place(gateway, "an-order-1", "40")
    assert placed.state in (CANCELLED, REJECTED)
    assert await units(gateway) == {hand: -100}


async def test_exit_takes_its_own_trade_and_never_an_older_hand_trade(
    gateway: Any, broker: RunningBroker
) -> None:
    hand = await by_hand(broker, "100")
    await place(gateway, "an-order-1")
    (own,) = [t.id for t in (await open_trades(gateway)).trades if t.client_tag]
    closed = await close_trade(gateway, own, "a-close-1")
    assert (closed.state, closed.client_order_id) == (FILLED, "a-close-1")
    assert await units(gateway) == {hand: 100}


@pytest.mark.parametrize("part", ["", "40"])
async def test_close_under_one_id_happens_once(
    gateway: Any, broker: RunningBroker, part: str
) -> None:
    """Also when its response was lost; the lookup finds the outcome by the id."""
    await place(gateway, "an-order-1")
    (trade,) = await units(gateway)
    broker.faults.add({"kind": "reset_after", "method": "PUT", "times": 1})
    assert (await close_trade(gateway, trade, "a-close-1", units=part)).state == UNKNOWN
    for found in (
        await close_trade(gateway, trade, "a-close-1", units=part),
        await outcome(gateway, "a-close-1"),
    ):
        assert (found.state, Decimal(found.filled_units)) == (FILLED, -Decimal(part or 100))
    assert sum(fills(broker).values()) == 2
    if part:
        assert await units(gateway) == {trade: 60}
        again = await close_trade(gateway, trade, "a-close-2", units=part)
        assert again.state == FILLED
        assert again.transaction_id != found.transaction_id
        assert await units(gateway) == {trade: 20}


async def test_close_that_never_arrived_is_not_found_and_can_be_told_from_one_in_flight(
    start_gateway: Any, broker: RunningBroker
) -> None:
    async with start_gateway(OANDA_TIMEOUT_SEC="5") as gateway:
        await place(gateway, "an-order-1")
        (trade,) = await units(gateway)
        broker.faults.add({"kind": "reset_before", "method": "PUT", "times": 1})
        assert (await close_trade(gateway, trade, "a-close-1", units="40")).state == UNKNOWN
        found = await outcome(gateway, "a-close-1")
        assert (found.state, found.reason) == (UNKNOWN, "MAY_BE_IN_FLIGHT")

        async def settled() -> Any:
            found = await outcome(gateway, "a-close-1")
            return None if found.state == UNKNOWN else found

        assert (await eventually(settled)).state == NOT_FOUND
        assert await units(gateway) == {trade: 100}


@pytest.mark.parametrize("part", ["", "40"])
async def test_close_that_never_arrived_is_not_taken_for_the_one_that_followed(
    start_gateway: Any, broker: RunningBroker, part: str
) -> None:
    """Both look alike in the ledger; a gateway that starts anew tells them apart as well."""
    async with start_gateway(OANDA_TIMEOUT_SEC="5") as gateway:
        await place(gateway, "an-order-1")
        (trade,) = await units(gateway)
        broker.faults.add({"kind": "reset_before", "method": "PUT", "times": 1})
        assert (await close_trade(gateway, trade, "a-close-1", units=part)).state == UNKNOWN
        assert (await close_trade(gateway, trade, "a-close-2", units=part)).state == FILLED

        async def settled() -> Any:
            found = await outcome(gateway, "a-close-1")
            return None if found.state == UNKNOWN else found

        assert (await eventually(settled)).state == NOT_FOUND
    async with start_gateway(OANDA_TIMEOUT_SEC="5") as gateway:
        await eventually(gateway.serves)
        assert (await outcome(gateway, "a-close-1")).state == NOT_FOUND
        assert (await outcome(gateway, "a-close-2")).state == FILLED


async def test_close_of_a_trade_that_a_stop_took_is_rejected_and_the_others_close(
    gateway: Any, broker: RunningBroker
) -> None:
    for number in (1, 2):
        await place(gateway, f"an-order-{number}")
    first, second = sorted(await units(gateway))
    await close_trade(gateway, first)
    gone = await close_trade(gateway, first, "a-close-1")
    assert (gone.state, gone.reason) == (REJECTED, "TRADE_DOESNT_EXIST")
    assert gone.message
    assert (await outcome(gateway, "a-close-1")).state == REJECTED
    assert (await close_trade(gateway, second, "a-close-2")).state == FILLED
    assert await units(gateway) == {}


async def test_part_of_a_trade_needs_an_id(gateway: Any) -> None:
    assert await reason_of(close_trade(gateway, "1", units="5")) == "INVALID_ARGUMENT"


async def test_trade_of_a_delisted_instrument_can_be_closed(
    start_gateway: Any, broker: RunningBroker
) -> None:
    async with start_gateway() as gateway:
        await place(gateway, "an-order-1")
        (trade,) = await units(gateway)
    await admin_fault(broker, kind="delisted", instrument="EUR_USD")
    async with start_gateway() as gateway:
        assert (await close_trade(gateway, trade, "a-close-1")).state == FILLED
        assert await units(gateway) == {}


async def test_close_under_one_id_happens_once_without_a_store(
    start_gateway: Any, broker: RunningBroker, valkey: ValkeyServer
) -> None:
    async with start_gateway(VALKEY_URL=valkey.url) as gateway:
        await place(gateway, "an-order-1")
        (trade,) = await units(gateway)
        valkey.kill()
        for _ in range(2):
            closed = await close_trade(gateway, trade, "a-close-1", units="40")
            assert (closed.state, closed.filled_units) == (FILLED, "-40")
        assert await units(gateway) == {trade: 60}
        valkey.start()


async def test_lost_stop_is_given_back_and_is_one_stop(gateway: Any, broker: RunningBroker) -> None:
    await place(gateway, "an-order-1", stop_loss_price="0.50001")
    await admin_fault(broker, kind="lost_stop", times=1)
    (trade,) = (await open_trades(gateway)).trades
    assert (trade.stop_loss_price, trade.stop_loss_state) == ("", "")
    for _ in range(2):
        result = await set_stop(gateway, trade.id, "0.500014")
        assert result.state == PENDING
        assert result.last_transaction_id
    (trade,) = (await open_trades(gateway)).trades
    assert (trade.stop_loss_price, trade.stop_loss_state) == ("0.50001", "PENDING")


async def test_stop_of_a_hand_trade_is_left_alone(gateway: Any, broker: RunningBroker) -> None:
    hand = await by_hand(broker, "100")
    assert await reason_of(set_stop(gateway, hand, "0.5")) == "FOREIGN_TRADE"
    (trade,) = (await open_trades(gateway)).trades
    assert trade.stop_loss_price == ""


async def test_stop_of_a_trade_that_is_gone_is_rejected(gateway: Any) -> None:
    result = await set_stop(gateway, "4711", "0.5")
    assert (result.state, result.reason) == (REJECTED, "TRADE_DOESNT_EXIST")


async def test_stop_on_the_wrong_side_is_rejected_or_fills_with_a_reason(gateway: Any) -> None:
    await place(gateway, "an-order-1")
    (trade,) = await units(gateway)
    result = await set_stop(gateway, trade, "999")
    assert result.state in (REJECTED, FILLED, CANCELLED)
    assert result.reason or result.state == FILLED


async def test_read_only_refuses_a_stop(start_gateway: Any) -> None:
    async with start_gateway(READ_ONLY="1") as gateway:
        assert await reason_of(set_stop(gateway, "1", "0.5")) == "READ_ONLY"


async def test_unknown_account_is_not_a_missing_order(gateway: Any, broker: RunningBroker) -> None:
    """A 404 about the account proves nothing about an order."""

    def refused(code: str, text: str) -> RefusedError:
        return RefusedError("", 404, {"errorCode": code}, words=f"{code}: {text}" if text else "")

    assert is_missing(refused("NO_SUCH_ORDER", "The order specified does not exist."))
    assert not is_missing(refused("NO_SUCH_ACCOUNT", "The account specified does not exist."))
    assert not is_missing(refused("", ""))
