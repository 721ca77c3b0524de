"""Valuation, closing, margin closeout and financing on a pure account."""

from decimal import Decimal

from sep_fx.instants import parse_rfc3339
from sep_paper_broker.account.financing import annual_rate, rollovers
from sep_paper_broker.account.transactions import ClientConfigureReject, DailyFinancing
from sep_paper_broker.orders.fill_records import OrderFill
from sep_paper_broker.orders.order_records import MarketOrderCreated, MarketOrderRejected
from sep_paper_broker.orders.outcomes import OrderOutcome
from sep_paper_broker.orders.reasons import FillReason, RejectReason
from sep_paper_broker.orders.requests import CloseAmount, MarketOrderRequest, SideClose

from .conftest import AccountHarness, body_of

D = Decimal


def submit(harness: AccountHarness, units: int, instrument: str = "EUR_USD") -> OrderOutcome:
    request = MarketOrderRequest(instrument=instrument, units=D(units))
    return harness.account.submit(request, harness.now)


def opened(harness: AccountHarness, units: int) -> str:
    """The id of the trade that an order opened."""
    trade = body_of(submit(harness, units).fill, OrderFill).trade_opened
    assert trade is not None
    return trade.trade_id


def fill_of(outcome: OrderOutcome | None) -> OrderFill:
    assert outcome is not None
    return body_of(outcome.fill, OrderFill)


def reject_reason(outcome: OrderOutcome | None) -> RejectReason:
    assert outcome is not None
    return body_of(outcome.reject, MarketOrderRejected).reject_reason


def test_valuation_follows_the_brokers_formulas(harness: AccountHarness) -> None:
    submit(harness, 10_000)
    submit(harness, -20_000, "USD_JPY")
    harness.quote("EUR_USD", "1.10200", "1.10210")
    now = harness.account.valuation()
    jpy = D(2) / (D("150.000") + D("150.010"))
    euro_value = 10_000 * D("1.10205")
    yen_value = 20_000 * D("150.005") * jpy
    loss = -20_000 * D("0.010") / D("150.000")
    assert abs(now.position_value - euro_value - yen_value) < D("0.001")
    assert abs(now.margin_used - euro_value * D("0.02") - yen_value * D("0.04")) < D("0.001")
    assert abs(now.unrealized_pl - D("19.0") - loss) < D("0.001")
    assert now.nav == now.balance + now.unrealized_pl
    assert now.margin_available == now.nav - now.margin_used
    assert now.margin_closeout_percent == (now.margin_used / (2 * now.nav)).quantize(D("0.00001"))
    assert now.withdrawal_limit == min(now.margin_available, now.balance)


def test_position_close_closes_all_of_one_side(harness: AccountHarness) -> None:
    submit(harness, 1000)
    submit(harness, 500)
    outcome = harness.account.close_position(
        "EUR_USD", harness.now, long=SideClose(CloseAmount.ALL)
    )
    fill = fill_of(outcome.long)
    assert fill.reason is FillReason.MARKET_ORDER_POSITION_CLOSEOUT
    assert fill.trades_closed is not None
    assert len(fill.trades_closed) == 2
    assert outcome.short is None
    assert harness.account.book.instruments_held() == []


def test_position_close_of_a_missing_side_rejects_the_whole_request(
    harness: AccountHarness,
) -> None:
    submit(harness, 1000)
    outcome = harness.account.close_position(
        "EUR_USD", harness.now, long=SideClose(D(100)), short=SideClose(CloseAmount.ALL)
    )
    assert outcome.rejected
    assert reject_reason(outcome.short) is RejectReason.CLOSEOUT_POSITION_DOESNT_EXIST
    assert harness.account.book.position_units("EUR_USD") == 1000


def test_position_close_by_number_reduces_oldest_first(harness: AccountHarness) -> None:
    first = opened(harness, -1000)
    submit(harness, -1000)
    outcome = harness.account.close_position("EUR_USD", harness.now, short=SideClose(D(1200)))
    fill = fill_of(outcome.short)
    assert fill.units == 1200
    assert fill.trades_closed is not None
    assert fill.trades_closed[0].trade_id == first
    too_many = harness.account.close_position("EUR_USD", harness.now, short=SideClose(D(801)))
    reason = RejectReason.CLOSEOUT_POSITION_UNITS_EXCEED_POSITION_SIZE
    assert reject_reason(too_many.short) is reason


def test_trade_close_takes_that_trade_and_not_the_oldest(harness: AccountHarness) -> None:
    submit(harness, 1000)
    second = opened(harness, 700)
    fill = fill_of(harness.account.close_trade(second, D(300), harness.now))
    assert fill.trade_reduced is not None
    assert fill.trade_reduced.trade_id == second
    fill = fill_of(harness.account.close_trade(second, CloseAmount.ALL, harness.now))
    assert fill.trades_closed is not None
    assert fill.trades_closed[0].units == -400
    gone = harness.account.close_trade(second, CloseAmount.ALL, harness.now)
    assert reject_reason(gone) is RejectReason.TRADE_DOESNT_EXIST


def test_account_is_closed_out_when_margin_is_twice_its_value(harness: AccountHarness) -> None:
    submit(harness, 4_500_000)
    assert harness.quote("EUR_USD", "1.08900", "1.08910") == []
    assert harness.account.valuation().margin_closeout_percent < 1
    created, filled = harness.quote("EUR_USD", "1.08850", "1.08860")
    assert body_of(created, MarketOrderCreated).margin_closeout is not None
    assert body_of(filled, OrderFill).reason is FillReason.MARKET_ORDER_MARGIN_CLOSEOUT
    assert harness.account.book.instruments_held() == []
    assert harness.account.valuation().margin_used == 0


def test_rollovers_follow_new_york_through_daylight_saving() -> None:
    begin, end = (parse_rfc3339(t) for t in ("2025-03-07T22:00:00Z", "2025-03-10T22:00:00Z"))
    expected = ("2025-03-08T22:00:00Z", "2025-03-09T21:00:00Z", "2025-03-10T21:00:00Z")
    assert list(rollovers(begin, end)) == [parse_rfc3339(t) for t in expected]


def test_financing_is_charged_on_position_value(harness: AccountHarness) -> None:
    submit(harness, 100_000)
    before = harness.account.book.balance
    body = body_of(harness.account.accrue_financing(harness.now), DailyFinancing)
    rate = annual_rate("EUR_USD", long=True)
    expected = (100_000 * D("1.10005") * rate / 365).quantize(D("0.0001"))
    assert body.financing == expected < 0
    assert harness.account.book.balance == body.account_balance == before + expected
    assert body.position_financings[0].open_trade_financings[0].financing == expected


def test_without_positions_there_is_no_financing(harness: AccountHarness) -> None:
    assert harness.account.accrue_financing(harness.now) is None


def test_higher_account_margin_rate_applies_to_all(harness: AccountHarness) -> None:
    submit(harness, 10_000)
    before = harness.account.valuation().margin_used
    assert harness.account.configure("Mine", D("0.05"), harness.now).done
    assert harness.account.valuation().margin_used == before * D("2.5")
    refused = harness.account.configure(None, D(2), harness.now)
    assert body_of(refused.reject, ClientConfigureReject).reject_reason is (
        RejectReason.MARGIN_RATE_INVALID
    )
