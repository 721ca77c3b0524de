"""Rounding and size limits of orders, and order outcomes in the ledger. Pure."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sep_fx.instrument import Instrument
from sep_gateway.adapters.oanda.parse_transactions import fill_price
from sep_gateway.domain.order_rules import Refusal, fit_order
from sep_gateway.domain.orders import MarketOrder, OrderState
from sep_gateway.domain.transactions import DUPLICATE, Transaction, outcome_in_ledger

EUR_USD = Instrument(
    name="EUR_USD",
    display_precision=5,
    trade_units_precision=0,
    minimum_trade_size=Decimal(1),
    margin_rate=Decimal("0.02"),
)
TENTHS = Instrument(
    name="XAU_USD",
    display_precision=3,
    trade_units_precision=1,
    minimum_trade_size=Decimal("0.1"),
    margin_rate=Decimal("0.05"),
)


def order(units: str, *, reduce_only: bool = False, stop: str | None = None) -> MarketOrder:
    price = None if stop is None else Decimal(stop)
    return MarketOrder(
        client_order_id="client-1",
        instrument="EUR_USD",
        units=Decimal(units),
        reduce_only=reduce_only,
        stop_loss_price=price,
        take_profit_price=price,
        price_bound=price,
    )


@given(st.decimals(-1000, 1000, places=4))
def test_units_are_always_rounded_toward_zero(units: Decimal) -> None:
    fitted = fit_order(order(str(units)), TENTHS)
    if isinstance(fitted, Refusal):
        assert abs(units) < Decimal("0.1")
        assert fitted.reason == "UNITS_BELOW_MINIMUM"
    else:
        assert abs(fitted.units) <= abs(units) < abs(fitted.units) + Decimal("0.1")
        assert fitted.units * units > 0
        assert fitted.units == fitted.units.quantize(Decimal("0.1"))


@pytest.mark.parametrize(
    ("units", "reason"),
    [
        ("0", "UNITS_BELOW_MINIMUM"),
        ("0.99", "UNITS_BELOW_MINIMUM"),
        ("-0.99", "UNITS_BELOW_MINIMUM"),
        ("100000001", "UNITS_ABOVE_MAXIMUM"),
        ("-100000001", "UNITS_ABOVE_MAXIMUM"),
    ],
)
def test_units_outside_the_limits_are_refused_with_the_limit(units: str, reason: str) -> None:
    refusal = fit_order(order(units), EUR_USD)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason
    assert str(refusal.limit) in refusal.text


def test_prices_are_rounded_to_the_display_precision() -> None:
    fitted = fit_order(order("10", stop="1.1000049"), EUR_USD)
    assert isinstance(fitted, MarketOrder)
    assert fitted.stop_loss_price == fitted.take_profit_price == Decimal("1.10000")
    assert fitted.price_bound == Decimal("1.10000")


def test_reduction_has_no_stop() -> None:
    fitted = fit_order(order("10", reduce_only=True, stop="1.1"), EUR_USD)
    assert isinstance(fitted, MarketOrder)
    assert fitted.stop_loss_price is None
    assert fitted.take_profit_price is None


CREATED = Transaction(id=10, type="MARKET_ORDER", client_order_id="a")
FILL = Transaction(id=11, type="ORDER_FILL", order_id="10", units=Decimal(5), price=Decimal("1.1"))
CANCEL = Transaction(id=11, type="ORDER_CANCEL", order_id="10", reason="MARKET_HALTED")
REJECT = Transaction(id=12, type="MARKET_ORDER_REJECT", client_order_id="a", reason="UNITS_INVALID")
SECOND = Transaction(id=13, type="MARKET_ORDER_REJECT", client_order_id="a", reason=DUPLICATE)
OTHER = Transaction(id=14, type="ORDER_FILL", order_id="9", client_order_id="b", units=Decimal(7))


@pytest.mark.parametrize(
    ("ledger", "state", "reason"),
    [
        ((CREATED, FILL, SECOND, OTHER), OrderState.FILLED, ""),
        ((CREATED, CANCEL, OTHER), OrderState.CANCELLED, "MARKET_HALTED"),
        ((CREATED, OTHER), OrderState.PENDING, ""),
        ((REJECT, OTHER), OrderState.REJECTED, "UNITS_INVALID"),
        ((SECOND, OTHER), OrderState.UNKNOWN, DUPLICATE),
    ],
)
def test_ledger_proves_the_outcome_of_an_order(
    ledger: tuple[Transaction, ...], state: OrderState, reason: str
) -> None:
    outcome = outcome_in_ledger("a", ledger)
    assert outcome is not None
    assert (outcome.state, outcome.reason) == (state, reason)


def test_order_missing_from_the_ledger_has_no_outcome() -> None:
    assert outcome_in_ledger("a", (OTHER,)) is None


def test_fill_price_is_the_average_of_the_trades_not_the_deprecated_field() -> None:
    fill = {
        "price": "9.9",
        "tradeOpened": {"units": "1", "price": "1.2"},
        "tradesClosed": [{"units": "-2", "price": "1.1"}, {"units": "-1", "price": "1.0"}],
    }
    assert fill_price(fill) == Decimal("1.1")
    assert fill_price({"price": "9.9"}) == Decimal("9.9")
