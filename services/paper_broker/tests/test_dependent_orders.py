"""Stops and take profits on a pure account."""

from decimal import Decimal

import pytest
from sep_paper_broker.domain.account import UnknownTradeError
from sep_paper_broker.domain.quote_bar import Ohlc, QuoteBar
from sep_paper_broker.domain.reasons import CancelReason, FillReason, RejectReason
from sep_paper_broker.domain.requests import (
    ClientExtensions,
    MarketOrderRequest,
    StopLossDetails,
    TakeProfitDetails,
    TradeOrdersRequest,
)

D = Decimal


def open_trade(desk, units=1000, stop=None, target=None):
    outcome = desk.account.submit(
        MarketOrderRequest(
            instrument="EUR_USD",
            units=D(units),
            stop_loss_on_fill=StopLossDetails(D(stop)) if stop else None,
            take_profit_on_fill=TakeProfitDetails(D(target)) if target else None,
        ),
        desk.now,
    )
    assert outcome.fill, outcome
    return outcome.fill.id


def fills(transactions):
    return [t.body for t in transactions if t.body.type == "ORDER_FILL"]


def test_stop_of_a_long_fills_when_the_bid_reaches_it(desk):
    trade = open_trade(desk, stop="1.09900")
    assert desk.quote("EUR_USD", "1.09901", "1.09911") == []
    (fill,) = fills(desk.quote("EUR_USD", "1.09890", "1.09900"))
    assert fill.reason is FillReason.STOP_LOSS_ORDER
    assert fill.trades_closed[0].price == D("1.09890")
    assert desk.account.book.trades[trade].state == "CLOSED"


def test_stop_of_a_short_looks_at_the_ask(desk):
    open_trade(desk, -1000, stop="1.10100")
    assert desk.quote("EUR_USD", "1.10095", "1.10099") == []
    (fill,) = fills(desk.quote("EUR_USD", "1.10090", "1.10100"))
    assert fill.trades_closed[0].price == D("1.10100")


def test_take_profit_closes_and_cancels_the_stop(desk):
    open_trade(desk, stop="1.09900", target="1.10100")
    made = desk.quote("EUR_USD", "1.10100", "1.10110")
    assert [t.body.type for t in made] == ["ORDER_FILL", "ORDER_CANCEL"]
    assert made[0].body.reason is FillReason.TAKE_PROFIT_ORDER
    assert made[1].body.reason is CancelReason.LINKED_TRADE_CLOSED
    assert desk.account.book.pending_orders() == []


def test_untradeable_quote_triggers_nothing(desk):
    open_trade(desk, stop="1.09900")
    assert desk.quote("EUR_USD", "1.09000", "1.09010", tradeable=False) == []
    assert fills(desk.quote("EUR_USD", "1.09000", "1.09010"))


def test_stop_beyond_the_market_cancels_the_order(desk):
    outcome = desk.account.submit(
        MarketOrderRequest(
            instrument="EUR_USD",
            units=D(1000),
            stop_loss_on_fill=StopLossDetails(D("1.10000")),
        ),
        desk.now,
    )
    assert outcome.cancel.body.reason is CancelReason.STOP_LOSS_ON_FILL_LOSS
    outcome = desk.account.submit(
        MarketOrderRequest(
            instrument="EUR_USD",
            units=D(-1000),
            take_profit_on_fill=TakeProfitDetails(D("1.10020")),
        ),
        desk.now,
    )
    assert outcome.cancel.body.reason is CancelReason.TAKE_PROFIT_ON_FILL_LOSS


def test_stop_by_distance_stands_that_far_from_the_fill(desk):
    desk.account.submit(
        MarketOrderRequest(
            instrument="EUR_USD",
            units=D(-1000),
            stop_loss_on_fill=StopLossDetails(distance=D("0.00100")),
        ),
        desk.now,
    )
    (stop,) = desk.account.book.pending_orders()
    assert stop.price == D("1.10100")


def test_new_stop_replaces_the_old_one(desk):
    trade = open_trade(desk, stop="1.09900")
    (old,) = desk.account.book.pending_orders()
    request = TradeOrdersRequest(frozenset({"stop_loss"}), None, StopLossDetails(D("1.09950")))
    outcome = desk.account.set_trade_orders(trade, request, desk.now)
    created = outcome.stop_loss.create
    assert outcome.stop_loss.cancel.body.reason is CancelReason.CLIENT_REQUEST_REPLACED
    assert outcome.stop_loss.cancel.body.replaced_by_order_id == created.id
    assert created.body.replaces_order_id == old.id
    (new,) = desk.account.book.pending_orders()
    assert (new.id, new.price) == (created.id, D("1.09950"))
    assert desk.account.book.trades[trade].stop_loss_order_id == new.id


def test_null_cancels_and_what_is_not_named_stays(desk):
    trade = open_trade(desk, stop="1.09900", target="1.10200")
    request = TradeOrdersRequest(frozenset({"take_profit"}))
    outcome = desk.account.set_trade_orders(trade, request, desk.now)
    assert outcome.take_profit.cancel.body.reason is CancelReason.CLIENT_REQUEST
    assert [o.type for o in desk.account.book.pending_orders()] == ["STOP_LOSS"]


def test_stop_set_beyond_the_market_fills_at_once(desk):
    trade = open_trade(desk)
    request = TradeOrdersRequest(frozenset({"stop_loss"}), None, StopLossDetails(D("1.20000")))
    outcome = desk.account.set_trade_orders(trade, request, desk.now)
    assert outcome.stop_loss.fill.body.trades_closed[0].price == D("1.10000")


def test_bad_stop_leaves_the_good_take_profit_untouched_too(desk):
    trade = open_trade(desk)
    request = TradeOrdersRequest(
        frozenset({"stop_loss", "take_profit"}),
        TakeProfitDetails(D("1.20000")),
        StopLossDetails(D("1.0000001")),
    )
    outcome = desk.account.set_trade_orders(trade, request, desk.now)
    reject = outcome.stop_loss.reject.body
    assert reject.reject_reason is RejectReason.PRICE_PRECISION_EXCEEDED
    assert desk.account.book.pending_orders() == []


def test_cancelled_stop_no_longer_fills(desk):
    open_trade(desk, stop="1.09900")
    (stop,) = desk.account.book.pending_orders()
    assert desk.account.cancel_order(stop.id, desk.now).done
    assert desk.quote("EUR_USD", "1.05000", "1.05010") == []
    again = desk.account.cancel_order(stop.id, desk.now)
    assert again.reject.body.reject_reason is RejectReason.ORDER_DOESNT_EXIST


def test_partly_closed_trade_keeps_its_stop_for_the_rest(desk):
    open_trade(desk, 1000, stop="1.09900")
    open_trade(desk, -400)
    (fill,) = fills(desk.quote("EUR_USD", "1.09800", "1.09810"))
    assert fill.units == -600


def test_trade_extensions_can_be_set_and_found(desk):
    trade = open_trade(desk)
    desk.account.set_trade_extensions(trade, ClientExtensions("mine", "tag"), desk.now)
    assert desk.account.book.find_trade("@mine").id == trade
    with pytest.raises(UnknownTradeError):
        desk.account.set_trade_extensions("@other", ClientExtensions("x"), desk.now)


def bar(desk, low, high, open_="1.10000", close="1.10000"):
    spread = D("0.00010")
    prices = [D(p) for p in (open_, high, low, close)]
    start = desk.now
    desk.now += 60_000_000_000
    bid, ask = Ohlc(*prices), Ohlc(*(p + spread for p in prices))
    return QuoteBar("EUR_USD", start, desk.now, bid, ask)


def test_candle_through_both_levels_fills_the_stop_at_its_price(desk):
    open_trade(desk, stop="1.09900", target="1.10100")
    (fill,) = fills(desk.account.observe_bar(bar(desk, "1.09800", "1.10200")))
    assert fill.reason is FillReason.STOP_LOSS_ORDER
    assert fill.price == D("1.09900")


def test_candle_that_opens_beyond_the_stop_fills_at_its_open(desk):
    open_trade(desk, stop="1.09900")
    made = desk.account.observe_bar(bar(desk, "1.09700", "1.09850", "1.09800", "1.09750"))
    assert fills(made)[0].price == D("1.09800")


def test_candle_fills_a_short_at_its_take_profit(desk):
    open_trade(desk, -1000, stop="1.10300", target="1.09900")
    (fill,) = fills(desk.account.observe_bar(bar(desk, "1.09800", "1.10100")))
    assert (fill.reason, fill.price) == (FillReason.TAKE_PROFIT_ORDER, D("1.09900"))
