"""An instrument's rules as the broker lists them, for the suites."""

from decimal import Decimal

from sep_fx.instrument import Instrument


def instrument(name: str) -> Instrument:
    """Rules of a currency pair with prices of five digits."""
    return Instrument(
        name=name,
        display_precision=5,
        trade_units_precision=0,
        minimum_trade_size=Decimal(1),
        margin_rate=Decimal("0.02"),
    )
