"""Valuation, closing, margin closeout and financing on a pure account."""

from decimal import Decimal

from sep_fx.instants import parse_rfc3339
from sep_paper_broker.domain.fill_records import OrderFill
from sep_paper_broker.domain.financing import annual_rate, rollovers
from sep_paper_broker.domain.order_records import MarketOrderCreated, MarketOrderRejected
from sep_paper_broker.domain.outcomes import OrderOutcome
from sep_paper_broker.domain.reasons import FillReason, RejectReason
from sep_paper_broker.domain.requests import Everything, MarketOrderRequest, SideClose
from sep_paper_broker.domain.transactions import ClientConfigureReject, DailyFinancing

from .conftest import Desk, body_of

D = Decimal


def submit(desk: Desk, units: int, instrument: str = "EUR_USD") -> OrderOutcome:
    request = MarketOrderRequest(instrument=instrument, units=D(units))
    return desk.account.submit(request, desk.now)


def opened(desk: Desk, units: int) -> str:
    """The id of the trade that an order opened."""
    trade = body_of(submit(desk, units).fill, OrderFill).trade_opened
    assert trade is not None
    return trade.trade_id


def fill_of(outcome: OrderOutcome | None) -> OrderFill:
    assert outcome is not None
    return body_of(outcome.fill, OrderFill)


def reject_reason(outcome: OrderOutcome | None) -> RejectReason:
    assert outcome is not None
    return body_of(outcome.reject, MarketOrderRejected).reject_reason


def test_valuation_follows_the_brokers_formulas(desk: Desk) -> None:
    submit(desk, 10_000)
    submit(desk, -20_000, "USD_JPY")
    desk.quote("EUR_USD", "1.10200", "1.10210")
    now = desk.account.valuation()
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


def test_position_close_closes_all_of_one_side(desk: Desk) -> None:
    submit(desk, 1000)
    submit(desk, 500)
    outcome = desk.account.close_position("EUR_USD", desk.now, long=SideClose(Everything.ALL))
    fill = fill_of(outcome.long)
    assert fill.reason is FillReason.MARKET_ORDER_POSITION_CLOSEOUT
    assert fill.trades_closed is not None
    assert len(fill.trades_closed) == 2
    assert outcome.short is None
    assert desk.account.book.instruments_held() == []


def test_position_close_of_a_missing_side_refuses_the_whole_request(desk: Desk) -> None:
    submit(desk, 1000)
    outcome = desk.account.close_position(
        "EUR_USD", desk.now, long=SideClose(D(100)), short=SideClose(Everything.ALL)
    )
    assert outcome.rejected
    assert reject_reason(outcome.short) is RejectReason.CLOSEOUT_POSITION_DOESNT_EXIST
    assert desk.account.book.position_units("EUR_USD") == 1000


def test_position_close_by_number_reduces_oldest_first(desk: Desk) -> None:
    first = opened(desk, -1000)
    submit(desk, -1000)
    outcome = desk.account.close_position("EUR_USD", desk.now, short=SideClose(D(1200)))
    fill = fill_of(outcome.short)
    assert fill.units == 1200
    assert fill.trades_closed is not None
    assert fill.trades_closed[0].trade_id == first
    too_many = desk.account.close_position("EUR_USD", desk.now, short=SideClose(D(801)))
    reason = RejectReason.CLOSEOUT_POSITION_UNITS_EXCEED_POSITION_SIZE
    assert reject_reason(too_many.short) is reason


def test_trade_close_takes_that_trade_and_not_the_oldest(desk: Desk) -> None:
    submit(desk, 1000)
    second = opened(desk, 700)
    fill = fill_of(desk.account.close_trade(second, D(300), desk.now))
    assert fill.trade_reduced is not None
    assert fill.trade_reduced.trade_id == second
    fill = fill_of(desk.account.close_trade(second, Everything.ALL, desk.now))
    assert fill.trades_closed is not None
    assert fill.trades_closed[0].units == -400
    gone = desk.account.close_trade(second, Everything.ALL, desk.now)
    assert reject_reason(gone) is RejectReason.TRADE_DOESNT_EXIST


def test_account_is_closed_out_when_margin_is_twice_its_value(desk: Desk) -> None:
    submit(desk, 4_500_000)
    assert desk.quote("EUR_USD", "1.08900", "1.08910") == []
    assert desk.account.valuation().margin_closeout_percent < 1
    created, filled = desk.quote("EUR_USD", "1.08850", "1.08860")
    assert body_of(created, MarketOrderCreated).margin_closeout is not None
    assert body_of(filled, OrderFill).reason is FillReason.MARKET_ORDER_MARGIN_CLOSEOUT
    assert desk.account.book.instruments_held() == []
    assert desk.account.valuation().margin_used == 0


def test_rollovers_follow_new_york_through_daylight_saving() -> None:
    begin, end = (parse_rfc3339(t) for t in ("2025-03-07T22:00:00Z", "2025-03-10T22:00:00Z"))
    expected = ("2025-03-08T22:00:00Z", "2025-03-09T21:00:00Z", "2025-03-10T21:00:00Z")
    assert list(rollovers(begin, end)) == [parse_rfc3339(t) for t in expected]


def test_financing_is_charged_on_position_value(desk: Desk) -> None:
    submit(desk, 100_000)
    before = desk.account.book.balance
    body = body_of(desk.account.accrue_financing(desk.now), DailyFinancing)
    rate = annual_rate("EUR_USD", long=True)
    expected = (100_000 * D("1.10005") * rate / 365).quantize(D("0.0001"))
    assert body.financing == expected < 0
    assert desk.account.book.balance == body.account_balance == before + expected
    assert body.position_financings[0].open_trade_financings[0].financing == expected


def test_no_position_no_financing(desk: Desk) -> None:
    assert desk.account.accrue_financing(desk.now) is None


def test_higher_account_margin_rate_applies_to_all(desk: Desk) -> None:
    submit(desk, 10_000)
    before = desk.account.valuation().margin_used
    assert desk.account.configure("Mine", D("0.05"), desk.now).done
    assert desk.account.valuation().margin_used == before * D("2.5")
    refused = desk.account.configure(None, D(2), desk.now)
    assert body_of(refused.reject, ClientConfigureReject).reject_reason is (
        RejectReason.MARGIN_RATE_INVALID
    )
