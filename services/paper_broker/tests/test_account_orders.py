"""Market orders on a pure account."""

from decimal import Decimal
from typing import Any

import pytest
from sep_paper_broker.domain.fill_records import OrderFill
from sep_paper_broker.domain.order_records import MarketOrderRejected, OrderCancel
from sep_paper_broker.domain.outcomes import OrderOutcome
from sep_paper_broker.domain.reasons import CancelReason, RejectReason
from sep_paper_broker.domain.requests import (
    ClientExtensions,
    MarketOrderRequest,
    PositionFill,
    StopLossDetails,
    TakeProfitDetails,
    TimeInForce,
)

from .conftest import Desk, body_of

D = Decimal


def order(units: int | str, instrument: str = "EUR_USD", **fields: Any) -> MarketOrderRequest:
    return MarketOrderRequest(instrument=instrument, units=D(units), **fields)


def submit(desk: Desk, units: int, instrument: str = "EUR_USD", **fields: Any) -> OrderOutcome:
    return desk.account.submit(order(units, instrument, **fields), desk.now, "request")


def fill_of(desk: Desk, units: int, instrument: str = "EUR_USD") -> OrderFill:
    return body_of(submit(desk, units, instrument).fill, OrderFill)


def opened(desk: Desk, units: int) -> str:
    """The id of the trade that an order opened."""
    trade = fill_of(desk, units).trade_opened
    assert trade is not None
    return trade.trade_id


def cancel_reason(outcome: OrderOutcome) -> CancelReason:
    return body_of(outcome.cancel, OrderCancel).reason


def reject_reason(outcome: OrderOutcome) -> RejectReason:
    return body_of(outcome.reject, MarketOrderRejected).reject_reason


def test_buy_fills_at_ask_and_sell_at_bid(desk: Desk) -> None:
    bought = fill_of(desk, 1000)
    assert bought.trade_opened is not None
    assert bought.trade_opened.price == D("1.10010")
    sold = fill_of(desk, -1000)
    assert sold.trades_closed is not None
    assert sold.trades_closed[0].price == D("1.10000")
    assert sold.pl == sold.trades_closed[0].realized_pl == D("-0.1000")
    assert sold.account_balance == desk.account.book.balance == D("99999.9000")


def test_result_in_foreign_quote_currency_is_converted_at_the_worse_side(desk: Desk) -> None:
    submit(desk, 10000, "USD_JPY")
    desk.quote("USD_JPY", "150.110", "150.120")
    gain = fill_of(desk, -10000, "USD_JPY")
    assert gain.pl == (D("1000.0") / D("150.120")).quantize(D("0.0001"))


def test_reduction_takes_oldest_trades_first(desk: Desk) -> None:
    first, second = (opened(desk, 1000) for _ in range(2))
    fill = fill_of(desk, -1500)
    assert fill.trades_closed is not None
    assert fill.trade_reduced is not None
    assert [trade.trade_id for trade in fill.trades_closed] == [first]
    assert (fill.trade_reduced.trade_id, fill.trade_reduced.units) == (second, D(-500))
    assert fill.trade_opened is None
    assert desk.account.book.position_units("EUR_USD") == 500


def test_order_over_the_position_crosses_zero_in_one_fill(desk: Desk) -> None:
    submit(desk, 1000)
    fill = fill_of(desk, -3000)
    assert fill.trades_closed is not None
    assert fill.trade_opened is not None
    assert len(fill.trades_closed) == 1
    assert fill.trade_opened.units == -2000
    assert desk.account.book.position_units("EUR_USD") == -2000


def test_average_close_price_weighs_the_reductions(desk: Desk) -> None:
    trade_id = opened(desk, 3000)
    submit(desk, -1000)
    desk.quote("EUR_USD", "1.10300", "1.10310")
    submit(desk, -2000)
    trade = desk.account.book.trades[trade_id]
    assert trade.average_close_price == D("1.10200")
    assert len(trade.closing_transaction_ids) == 2


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (order(1, "EUR_XXX"), RejectReason.INSTRUMENT_UNKNOWN),
        (order(1, "GBP_USD"), RejectReason.INSTRUMENT_PRICE_UNKNOWN),
        (order(0), RejectReason.UNITS_INVALID),
        (order("0.5"), RejectReason.UNITS_PRECISION_EXCEEDED),
        (order(200_000_000), RejectReason.UNITS_LIMIT_EXCEEDED),
        (order(1, time_in_force=TimeInForce.GTC), RejectReason.TIME_IN_FORCE_INVALID),
        (order(1, price_bound=D("1.000001")), RejectReason.PRICE_BOUND_PRECISION_EXCEEDED),
        (order(1, price_bound=D(-1)), RejectReason.PRICE_BOUND_INVALID),
        (
            order(1, client_extensions=ClientExtensions("x" * 129)),
            RejectReason.CLIENT_ORDER_ID_INVALID,
        ),
        (
            order(1, client_extensions=ClientExtensions(comment="x" * 129)),
            RejectReason.CLIENT_ORDER_COMMENT_INVALID,
        ),
        (
            order(1, take_profit_on_fill=TakeProfitDetails(D("1.200001"))),
            RejectReason.TAKE_PROFIT_ON_FILL_PRICE_PRECISION_EXCEEDED,
        ),
        (
            order(1, stop_loss_on_fill=StopLossDetails(D("1.0"), D("0.1"))),
            RejectReason.STOP_LOSS_ON_FILL_PRICE_AND_DISTANCE_BOTH_SPECIFIED,
        ),
        (
            order(1, stop_loss_on_fill=StopLossDetails()),
            RejectReason.STOP_LOSS_ON_FILL_PRICE_AND_DISTANCE_BOTH_MISSING,
        ),
        (
            order(1, stop_loss_on_fill=StopLossDetails(D("1.0"), guaranteed=True)),
            RejectReason.STOP_LOSS_ON_FILL_GUARANTEED_NOT_ALLOWED,
        ),
    ],
)
def test_impossible_order_is_rejected_with_its_reason(
    desk: Desk, request_: MarketOrderRequest, reason: RejectReason
) -> None:
    outcome = desk.account.submit(request_, desk.now)
    assert reject_reason(outcome) is reason
    assert outcome.create is None
    assert desk.account.book.orders == {}


def test_second_order_with_a_client_id_is_rejected_whatever_became_of_the_first(desk: Desk) -> None:
    marked = ClientExtensions("decision-1")
    submit(desk, 1000, client_extensions=marked)
    submit(desk, -1000)
    again = submit(desk, 1000, client_extensions=marked)
    assert reject_reason(again) is RejectReason.CLIENT_ORDER_ID_ALREADY_EXISTS
    assert desk.account.book.position_units("EUR_USD") == 0
    found = desk.account.book.find_order("@decision-1")
    assert found is not None
    assert found.state == "FILLED"


def test_bound_worse_than_the_market_fills_and_better_cancels(desk: Desk) -> None:
    assert submit(desk, 1, price_bound=D("1.10010")).fill
    cancelled = submit(desk, 1, price_bound=D("1.10009"))
    assert cancel_reason(cancelled) is CancelReason.BOUNDS_VIOLATION
    assert submit(desk, -1, price_bound=D("1.10000")).fill
    cancelled = submit(desk, -1, price_bound=D("1.10001"))
    assert cancel_reason(cancelled) is CancelReason.BOUNDS_VIOLATION


def test_order_in_an_untradeable_market_is_accepted_and_cancelled(desk: Desk) -> None:
    desk.quote("EUR_USD", "1.10000", "1.10010", tradeable=False)
    outcome = submit(desk, 1000)
    assert outcome.create is not None
    assert cancel_reason(outcome) is CancelReason.MARKET_HALTED
    assert desk.account.book.orders[outcome.create.id].state == "CANCELLED"


def test_order_over_the_margin_is_cancelled_and_changes_nothing(desk: Desk) -> None:
    # 100,000 of equity at 2 % carries at most 5,000,000 USD of EUR_USD.
    outcome = submit(desk, 4_600_000)
    assert cancel_reason(outcome) is CancelReason.INSUFFICIENT_MARGIN
    assert desk.account.book.trades == {}
    assert submit(desk, 4_500_000).fill


def test_reduction_passes_without_any_margin_left(desk: Desk) -> None:
    submit(desk, 4_500_000)
    desk.quote("EUR_USD", "1.09000", "1.09010")
    assert desk.account.valuation().margin_available == 0
    assert submit(desk, -1_000_000).fill


def test_reduce_only_never_opens(desk: Desk) -> None:
    def reduce(units: int, tif: TimeInForce) -> OrderOutcome:
        return submit(desk, units, position_fill=PositionFill.REDUCE_ONLY, time_in_force=tif)

    nothing = reduce(-100, TimeInForce.FOK)
    assert cancel_reason(nothing) is CancelReason.TIME_IN_FORCE_EXPIRED
    submit(desk, 1000)
    assert reduce(500, TimeInForce.IOC).cancel
    assert reduce(-1500, TimeInForce.FOK).cancel
    assert body_of(reduce(-1500, TimeInForce.IOC).fill, OrderFill).units == -1000
    assert desk.account.book.position_units("EUR_USD") == 0


def test_open_only_does_not_touch_an_opposite_position(desk: Desk) -> None:
    submit(desk, 1000)
    assert submit(desk, 1000, position_fill=PositionFill.OPEN_ONLY).fill
    refused = submit(desk, -1000, position_fill=PositionFill.OPEN_ONLY)
    assert cancel_reason(refused) is CancelReason.FIFO_VIOLATION


def test_transactions_of_a_request_share_batch_and_request_id(desk: Desk) -> None:
    stop = StopLossDetails(D("1.09000"))
    outcome = submit(desk, 1000, stop_loss_on_fill=stop)
    ledger = desk.account.book.ledger
    made = [t for t in map(ledger.find, outcome.related) if t is not None]
    assert outcome.create is not None
    assert [t.body.type for t in made] == ["MARKET_ORDER", "ORDER_FILL", "STOP_LOSS_ORDER"]
    assert {t.batch_id for t in made} == {outcome.create.id}
    assert {t.request_id for t in made} == {"request"}
    assert [t.id for t in ledger.transactions] == [str(i + 1) for i in range(len(ledger))]
