"""Market orders on a pure account."""

from decimal import Decimal
from typing import Any

import pytest
from sep_paper_broker.orders.fill_records import OrderFill
from sep_paper_broker.orders.order_records import MarketOrderRejected, OrderCancel
from sep_paper_broker.orders.outcomes import OrderOutcome
from sep_paper_broker.orders.reasons import CancelReason, RejectReason
from sep_paper_broker.orders.requests import (
    ClientExtensions,
    MarketOrderRequest,
    PositionFill,
    StopLossDetails,
    TakeProfitDetails,
    TimeInForce,
)

from .conftest import AccountHarness, body_of

D = Decimal


def order(units: int | str, instrument: str = "EUR_USD", **fields: Any) -> MarketOrderRequest:
    return MarketOrderRequest(instrument=instrument, units=D(units), **fields)


def submit(
    harness: AccountHarness, units: int, instrument: str = "EUR_USD", **fields: Any
) -> OrderOutcome:
    return harness.account.submit(order(units, instrument, **fields), harness.now, "request")


def fill_of(harness: AccountHarness, units: int, instrument: str = "EUR_USD") -> OrderFill:
    return body_of(submit(harness, units, instrument).fill, OrderFill)


def opened(harness: AccountHarness, units: int) -> str:
    """The id of the trade that an order opened."""
    trade = fill_of(harness, units).trade_opened
    assert trade is not None
    return trade.trade_id


def cancel_reason(outcome: OrderOutcome) -> CancelReason:
    return body_of(outcome.cancel, OrderCancel).reason


def reject_reason(outcome: OrderOutcome) -> RejectReason:
    return body_of(outcome.reject, MarketOrderRejected).reject_reason


def test_buy_fills_at_ask_and_sell_at_bid(harness: AccountHarness) -> None:
    bought = fill_of(harness, 1000)
    assert bought.trade_opened is not None
    assert bought.trade_opened.price == D("1.10010")
    sold = fill_of(harness, -1000)
    assert sold.trades_closed is not None
    assert sold.trades_closed[0].price == D("1.10000")
    assert sold.pl == sold.trades_closed[0].realized_pl == D("-0.1000")
    assert sold.account_balance == harness.account.book.balance == D("99999.9000")


def test_result_in_foreign_quote_currency_is_converted_at_the_worse_side(
    harness: AccountHarness,
) -> None:
    submit(harness, 10000, "USD_JPY")
    harness.quote("USD_JPY", "150.110", "150.120")
    gain = fill_of(harness, -10000, "USD_JPY")
    assert gain.pl == (D("1000.0") / D("150.120")).quantize(D("0.0001"))


def test_reduction_takes_oldest_trades_first(harness: AccountHarness) -> None:
    first, second = (opened(harness, 1000) for _ in range(2))
    fill = fill_of(harness, -1500)
    assert fill.trades_closed is not None
    assert fill.trade_reduced is not None
    assert [trade.trade_id for trade in fill.trades_closed] == [first]
    assert (fill.trade_reduced.trade_id, fill.trade_reduced.units) == (second, D(-500))
    assert fill.trade_opened is None
    assert harness.account.book.position_units("EUR_USD") == 500


def test_order_over_the_position_crosses_zero_in_one_fill(harness: AccountHarness) -> None:
    submit(harness, 1000)
    fill = fill_of(harness, -3000)
    assert fill.trades_closed is not None
    assert fill.trade_opened is not None
    assert len(fill.trades_closed) == 1
    assert fill.trade_opened.units == -2000
    assert harness.account.book.position_units("EUR_USD") == -2000


def test_average_close_price_weighs_the_reductions(harness: AccountHarness) -> None:
    trade_id = opened(harness, 3000)
    submit(harness, -1000)
    harness.quote("EUR_USD", "1.10300", "1.10310")
    submit(harness, -2000)
    trade = harness.account.book.trades[trade_id]
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
def test_invalid_order_is_rejected_with_its_reason(
    harness: AccountHarness, request_: MarketOrderRequest, reason: RejectReason
) -> None:
    outcome = harness.account.submit(request_, harness.now)
    assert reject_reason(outcome) is reason
    assert outcome.create is None
    assert harness.account.book.orders == {}


def test_second_order_with_a_client_id_is_rejected_in_any_state_of_the_first(
    harness: AccountHarness,
) -> None:
    marked = ClientExtensions("decision-1")
    submit(harness, 1000, client_extensions=marked)
    submit(harness, -1000)
    again = submit(harness, 1000, client_extensions=marked)
    assert reject_reason(again) is RejectReason.CLIENT_ORDER_ID_ALREADY_EXISTS
    assert harness.account.book.position_units("EUR_USD") == 0
    found = harness.account.book.find_order("@decision-1")
    assert found is not None
    assert found.state == "FILLED"


def test_bound_worse_than_the_market_fills_and_better_cancels(harness: AccountHarness) -> None:
    assert submit(harness, 1, price_bound=D("1.10010")).fill
    cancelled = submit(harness, 1, price_bound=D("1.10009"))
    assert cancel_reason(cancelled) is CancelReason.BOUNDS_VIOLATION
    assert submit(harness, -1, price_bound=D("1.10000")).fill
    cancelled = submit(harness, -1, price_bound=D("1.10001"))
    assert cancel_reason(cancelled) is CancelReason.BOUNDS_VIOLATION


def test_order_in_an_untradeable_market_is_accepted_and_cancelled(harness: AccountHarness) -> None:
    harness.quote("EUR_USD", "1.10000", "1.10010", tradeable=False)
    outcome = submit(harness, 1000)
    assert outcome.create is not None
    assert cancel_reason(outcome) is CancelReason.MARKET_HALTED
    assert harness.account.book.orders[outcome.create.id].state == "CANCELLED"


def test_order_over_the_margin_is_cancelled_and_changes_nothing(harness: AccountHarness) -> None:
    # 100,000 of equity at 2 % carries at most 5,000,000 USD of EUR_USD.
    outcome = submit(harness, 4_600_000)
    assert cancel_reason(outcome) is CancelReason.INSUFFICIENT_MARGIN
    assert harness.account.book.trades == {}
    assert submit(harness, 4_500_000).fill


def test_reduction_passes_without_any_margin_left(harness: AccountHarness) -> None:
    submit(harness, 4_500_000)
    harness.quote("EUR_USD", "1.09000", "1.09010")
    assert harness.account.valuation().margin_available == 0
    assert submit(harness, -1_000_000).fill


def test_reduce_only_never_opens(harness: AccountHarness) -> None:
    def reduce(units: int, tif: TimeInForce) -> OrderOutcome:
        return submit(harness, units, position_fill=PositionFill.REDUCE_ONLY, time_in_force=tif)

    nothing = reduce(-100, TimeInForce.FOK)
    assert cancel_reason(nothing) is CancelReason.TIME_IN_FORCE_EXPIRED
    submit(harness, 1000)
    assert reduce(500, TimeInForce.IOC).cancel
    assert reduce(-1500, TimeInForce.FOK).cancel
    assert body_of(reduce(-1500, TimeInForce.IOC).fill, OrderFill).units == -1000
    assert harness.account.book.position_units("EUR_USD") == 0


def test_open_only_does_not_touch_an_opposite_position(harness: AccountHarness) -> None:
    submit(harness, 1000)
    assert submit(harness, 1000, position_fill=PositionFill.OPEN_ONLY).fill
    refused = submit(harness, -1000, position_fill=PositionFill.OPEN_ONLY)
    assert cancel_reason(refused) is CancelReason.FIFO_VIOLATION


def test_transactions_of_a_request_share_batch_and_request_id(harness: AccountHarness) -> None:
    stop = StopLossDetails(D("1.09000"))
    outcome = submit(harness, 1000, stop_loss_on_fill=stop)
    ledger = harness.account.book.ledger
    made = [t for t in map(ledger.find, outcome.related) if t is not None]
    assert outcome.create is not None
    assert [t.body.type for t in made] == ["MARKET_ORDER", "ORDER_FILL", "STOP_LOSS_ORDER"]
    assert {t.batch_id for t in made} == {outcome.create.id}
    assert {t.request_id for t in made} == {"request"}
    assert [t.id for t in ledger.transactions] == [str(i + 1) for i in range(len(ledger))]
