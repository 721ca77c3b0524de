from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sep_fx.instrument import Instrument, is_instrument_name, split_name


def instrument(display: int = 5, units: int = 0) -> Instrument:
    return Instrument(
        name="EUR_USD",
        display_precision=display,
        trade_units_precision=units,
        minimum_trade_size=Decimal(1),
        margin_rate=Decimal("0.0333"),
    )


PRECISIONS = st.integers(0, 6)
NUMBERS = st.decimals(-(10**9), 10**9, allow_nan=False, allow_infinity=False, places=9)


@pytest.mark.parametrize("name", ["EUR_USD", "XAU_USD", "SPX500_USD", "BTC_USD"])
def test_a_name_splits_into_base_and_quote(name: str) -> None:
    assert is_instrument_name(name)
    assert "_".join(split_name(name)) == name


@pytest.mark.parametrize(
    "name", ["", "EURUSD", "EUR/USD", "eur_usd", "EUR_USD ", "EUR_USD\n", "EUR_", "_USD", "A_B_C"]
)
def test_malformed_names_are_refused(name: str) -> None:
    assert not is_instrument_name(name)
    with pytest.raises(ValueError, match="is not an instrument name like EUR_USD"):
        split_name(name)


def test_units_are_in_base_and_prices_in_quote_currency() -> None:
    assert (instrument().base, instrument().quote) == ("EUR", "USD")


@pytest.mark.parametrize(
    ("price", "rounded"),
    [
        ("1.100004", "1.10000"),
        ("1.100005", "1.10000"),
        ("1.100015", "1.10002"),
        ("1.1000151", "1.10002"),
        ("1", "1.00000"),
    ],
)
def test_a_price_is_rounded_half_to_even(price: str, rounded: str) -> None:
    assert str(instrument().round_price(Decimal(price))) == rounded


@pytest.mark.parametrize(
    ("units", "precision", "rounded"),
    [("999.9", 0, "999"), ("-999.9", 0, "-999"), ("0.99", 1, "0.9"), ("-0.4", 0, "-0")],
)
def test_units_are_rounded_toward_zero(units: str, precision: int, rounded: str) -> None:
    assert str(instrument(units=precision).round_units(Decimal(units))) == rounded


@given(NUMBERS, PRECISIONS)
def test_rounded_units_are_never_larger_and_less_than_one_step_smaller(
    units: Decimal, precision: int
) -> None:
    rounded = instrument(units=precision).round_units(units)
    step = Decimal(1).scaleb(-precision)
    assert abs(rounded) <= abs(units) < abs(rounded) + step
    assert rounded % step == 0


@given(NUMBERS, PRECISIONS)
def test_a_rounded_price_is_within_half_a_step_and_rounding_is_idempotent(
    price: Decimal, precision: int
) -> None:
    rounded = instrument(display=precision).round_price(price)
    assert abs(rounded - price) <= Decimal(1).scaleb(-precision) / 2
    assert instrument(display=precision).round_price(rounded) == rounded
