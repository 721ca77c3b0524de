"""Stops and take profits on a pure account."""

from collections.abc import Iterable
from decimal import Decimal

import pytest
from sep_paper_broker.account.account import UnknownTradeError
from sep_paper_broker.account.transactions import Transaction
from sep_paper_broker.market.quote_bar import Ohlc, QuoteBar
from sep_paper_broker.orders.fill_records import OrderFill
from sep_paper_broker.orders.order_records import (
    OrderCancel,
    OrderCancelReject,
    StopLossCreated,
    StopLossRejected,
)
from sep_paper_broker.orders.reasons import CancelReason, FillReason, RejectReason
from sep_paper_broker.orders.requests import (
    ClientExtensions,
    MarketOrderRequest,
    StopLossDetails,
    TakeProfitDetails,
    TradeOrdersRequest,
)

from .conftest import AccountHarness, body_of

D = Decimal


def open_trade(
    harness: AccountHarness, units: int = 1000, stop: str | None = None, target: str | None = None
) -> str:
    outcome = harness.account.submit(
        MarketOrderRequest(
            instrument="EUR_USD",
            units=D(units),
            stop_loss_on_fill=StopLossDetails(D(stop)) if stop else None,
            take_profit_on_fill=TakeProfitDetails(D(target)) if target else None,
        ),
        harness.now,
    )
    assert outcome.fill, outcome
    return outcome.fill.id


def fills(transactions: Iterable[Transaction]) -> list[OrderFill]:
    return [t.body for t in transactions if isinstance(t.body, OrderFill)]


def only_close_price(fill: OrderFill) -> Decimal:
    """The price of the one trade that a fill closed."""
    assert fill.trades_closed is not None
    (closed,) = fill.trades_closed
    return closed.price


def test_stop_of_a_long_fills_when_the_bid_reaches_it(harness: AccountHarness) -> None:
    trade = open_trade(harness, stop="1.09900")
    assert harness.quote("EUR_USD", "1.09901", "1.09911") == []
    (fill,) = fills(harness.quote("EUR_USD", "1.09890", "1.09900"))
    assert fill.reason is FillReason.STOP_LOSS_ORDER
    assert only_close_price(fill) == D("1.09890")
    assert harness.account.book.trades[trade].state == "CLOSED"


def test_stop_of_a_short_triggers_on_the_ask(harness: AccountHarness) -> None:
    open_trade(harness, -1000, stop="1.10100")
    assert harness.quote("EUR_USD", "1.10095", "1.10099") == []
    (fill,) = fills(harness.quote("EUR_USD", "1.10090", "1.10100"))
    assert only_close_price(fill) == D("1.10100")


def test_take_profit_closes_and_cancels_the_stop(harness: AccountHarness) -> None:
    open_trade(harness, stop="1.09900", target="1.10100")
    made = harness.quote("EUR_USD", "1.10100", "1.10110")
    assert [t.body.type for t in made] == ["ORDER_FILL", "ORDER_CANCEL"]
    assert body_of(made[0], OrderFill).reason is FillReason.TAKE_PROFIT_ORDER
    assert body_of(made[1], OrderCancel).reason is CancelReason.LINKED_TRADE_CLOSED
    assert harness.account.book.pending_orders() == []


def test_untradeable_quote_triggers_nothing(harness: AccountHarness) -> None:
    open_trade(harness, stop="1.09900")
    assert harness.quote("EUR_USD", "1.09000", "1.09010", tradeable=False) == []
    assert fills(harness.quote("EUR_USD", "1.09000", "1.09010"))


def test_stop_beyond_the_market_cancels_the_order(harness: AccountHarness) -> None:
    outcome = harness.account.submit(
        MarketOrderRequest(
            instrument="EUR_USD",
            units=D(1000),
            stop_loss_on_fill=StopLossDetails(D("1.10000")),
        ),
        harness.now,
    )
    assert body_of(outcome.cancel, OrderCancel).reason is CancelReason.STOP_LOSS_ON_FILL_LOSS
    outcome = harness.account.submit(
        MarketOrderRequest(
            instrument="EUR_USD",
            units=D(-1000),
            take_profit_on_fill=TakeProfitDetails(D("1.10020")),
        ),
        harness.now,
    )
    assert body_of(outcome.cancel, OrderCancel).reason is CancelReason.TAKE_PROFIT_ON_FILL_LOSS


def test_stop_by_distance_is_set_relative_to_the_fill(harness: AccountHarness) -> None:
    harness.account.submit(
        MarketOrderRequest(
            instrument="EUR_USD",
            units=D(-1000),
            stop_loss_on_fill=StopLossDetails(distance=D("0.00100")),
        ),
        harness.now,
    )
    (stop,) = harness.account.book.pending_orders()
    assert stop.price == D("1.10100")


def test_new_stop_replaces_the_old_one(harness: AccountHarness) -> None:
    trade = open_trade(harness, stop="1.09900")
    (old,) = harness.account.book.pending_orders()
    request = TradeOrdersRequest(frozenset({"stop_loss"}), None, StopLossDetails(D("1.09950")))
    outcome = harness.account.set_trade_orders(trade, request, harness.now)
    created = outcome.stop_loss.create
    assert created is not None
    cancel = body_of(outcome.stop_loss.cancel, OrderCancel)
    assert cancel.reason is CancelReason.CLIENT_REQUEST_REPLACED
    assert cancel.replaced_by_order_id == created.id
    assert body_of(created, StopLossCreated).replaces_order_id == old.id
    (new,) = harness.account.book.pending_orders()
    assert (new.id, new.price) == (created.id, D("1.09950"))
    assert harness.account.book.trades[trade].stop_loss_order_id == new.id


def test_null_cancels_an_order_and_an_absent_field_leaves_it(harness: AccountHarness) -> None:
    trade = open_trade(harness, stop="1.09900", target="1.10200")
    request = TradeOrdersRequest(frozenset({"take_profit"}))
    outcome = harness.account.set_trade_orders(trade, request, harness.now)
    cancel = body_of(outcome.take_profit.cancel, OrderCancel)
    assert cancel.reason is CancelReason.CLIENT_REQUEST
    assert [o.type for o in harness.account.book.pending_orders()] == ["STOP_LOSS"]


def test_stop_set_beyond_the_market_fills_at_once(harness: AccountHarness) -> None:
    trade = open_trade(harness)
    request = TradeOrdersRequest(frozenset({"stop_loss"}), None, StopLossDetails(D("1.20000")))
    outcome = harness.account.set_trade_orders(trade, request, harness.now)
    fill = body_of(outcome.stop_loss.fill, OrderFill)
    assert only_close_price(fill) == D("1.10000")


def test_invalid_stop_also_rejects_the_valid_take_profit(harness: AccountHarness) -> None:
    trade = open_trade(harness)
    request = TradeOrdersRequest(
        frozenset({"stop_loss", "take_profit"}),
        TakeProfitDetails(D("1.20000")),
        StopLossDetails(D("1.0000001")),
    )
    outcome = harness.account.set_trade_orders(trade, request, harness.now)
    reject = body_of(outcome.stop_loss.reject, StopLossRejected)
    assert reject.reject_reason is RejectReason.PRICE_PRECISION_EXCEEDED
    assert harness.account.book.pending_orders() == []


def test_cancelled_stop_no_longer_fills(harness: AccountHarness) -> None:
    open_trade(harness, stop="1.09900")
    (stop,) = harness.account.book.pending_orders()
    assert harness.account.cancel_order(stop.id, harness.now).done
    assert harness.quote("EUR_USD", "1.05000", "1.05010") == []
    again = harness.account.cancel_order(stop.id, harness.now)
    reject = body_of(again.reject, OrderCancelReject)
    assert reject.reject_reason is RejectReason.ORDER_DOESNT_EXIST


def test_partly_closed_trade_keeps_its_stop_for_the_rest(harness: AccountHarness) -> None:
    open_trade(harness, 1000, stop="1.09900")
    open_trade(harness, -400)
    (fill,) = fills(harness.quote("EUR_USD", "1.09800", "1.09810"))
    assert fill.units == -600


def test_trade_extensions_can_be_set_and_found(harness: AccountHarness) -> None:
    trade = open_trade(harness)
    harness.account.set_trade_extensions(trade, ClientExtensions("mine", "tag"), harness.now)
    found = harness.account.book.find_trade("@mine")
    assert found is not None
    assert found.id == trade
    with pytest.raises(UnknownTradeError):
        harness.account.set_trade_extensions("@other", ClientExtensions("x"), harness.now)


def bar(
    harness: AccountHarness, low: str, high: str, open_: str = "1.10000", close: str = "1.10000"
) -> QuoteBar:
    spread = D("0.00010")
    prices = [D(p) for p in (open_, high, low, close)]
    start = harness.now
    harness.now += 60_000_000_000
    bid, ask = Ohlc(*prices), Ohlc(*(p + spread for p in prices))
    return QuoteBar(instrument="EUR_USD", start_ns=start, end_ns=harness.now, bid=bid, ask=ask)


def test_candle_through_both_levels_fills_the_stop_at_its_price(harness: AccountHarness) -> None:
    open_trade(harness, stop="1.09900", target="1.10100")
    (fill,) = fills(harness.account.observe_bar(bar(harness, "1.09800", "1.10200")))
    assert fill.reason is FillReason.STOP_LOSS_ORDER
    assert fill.price == D("1.09900")


def test_candle_that_opens_beyond_the_stop_fills_at_its_open(harness: AccountHarness) -> None:
    open_trade(harness, stop="1.09900")
    made = harness.account.observe_bar(bar(harness, "1.09700", "1.09850", "1.09800", "1.09750"))
    assert fills(made)[0].price == D("1.09800")


def test_candle_fills_a_short_at_its_take_profit(harness: AccountHarness) -> None:
    open_trade(harness, -1000, stop="1.10300", target="1.09900")
    (fill,) = fills(harness.account.observe_bar(bar(harness, "1.09800", "1.10100")))
    assert (fill.reason, fill.price) == (FillReason.TAKE_PROFIT_ORDER, D("1.09900"))
