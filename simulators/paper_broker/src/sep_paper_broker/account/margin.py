"""The account's value and margin by the broker's formulas.

NAV                 = balance + unrealised profit or loss
position value      = |units| * mid price, in home currency
margin used         = position value * margin rate, trade by trade
margin available    = NAV - margin used, not below 0
margin closeout %   = margin used / (2 * NAV); a closeout begins at 1
margin call %       = margin used / NAV
withdrawal limit    = margin available, at most the balance, not below 0
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from sep_paper_broker.account.conversion import HomeConversion, cash
from sep_paper_broker.market.quote import Quote

_RATIO = Decimal("0.00001")
_ZERO = Decimal("0.0000")
# Replaces a ratio whose denominator, the equity, is zero or negative.
_NO_EQUITY_RATIO = Decimal("1000000.00000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Units held, their open price and margin rate, and the quote that values them."""

    units: Decimal
    price: Decimal
    margin_rate: Decimal
    quote: Quote


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingValue:
    """The value of a holding in home currency."""

    unrealized_pl: Decimal = _ZERO
    margin_used: Decimal = _ZERO
    position_value: Decimal = _ZERO

    def __add__(self, other: "HoldingValue") -> "HoldingValue":
        return HoldingValue(
            unrealized_pl=self.unrealized_pl + other.unrealized_pl,
            margin_used=self.margin_used + other.margin_used,
            position_value=self.position_value + other.position_value,
        )


def value_of(holding: Holding, conversion: HomeConversion) -> HoldingValue:
    """The value of a holding in home currency.

    Raises:
        NoConversionError: no quote converts its quote currency.
    """
    factors = conversion.factors(holding.quote.instrument.split("_")[1])
    closing = holding.quote.closing_price(holding.units)
    result = factors.of_result((closing - holding.price) * holding.units)
    value = abs(holding.units) * holding.quote.mid * factors.value
    return HoldingValue(
        unrealized_pl=result,
        margin_used=cash(value * holding.margin_rate),
        position_value=cash(value),
    )


def total(values: Iterable[HoldingValue]) -> HoldingValue:
    """The sum of the values."""
    summed = HoldingValue()
    for value in values:
        summed += value
    return summed


@dataclass(frozen=True, slots=True, kw_only=True)
class Valuation:
    """The account figures that depend on prices, in home currency."""

    balance: Decimal
    unrealized_pl: Decimal
    nav: Decimal
    margin_used: Decimal
    margin_available: Decimal
    position_value: Decimal
    margin_closeout_unrealized_pl: Decimal
    margin_closeout_nav: Decimal
    margin_closeout_margin_used: Decimal
    margin_closeout_percent: Decimal
    margin_closeout_position_value: Decimal
    withdrawal_limit: Decimal
    margin_call_margin_used: Decimal
    margin_call_percent: Decimal

    @classmethod
    def of(cls, balance: Decimal, held: HoldingValue) -> "Valuation":
        """The figures of an account with a balance and a total of its holdings."""
        nav = balance + held.unrealized_pl
        available = max(_ZERO, nav - held.margin_used)
        return cls(
            balance=balance,
            unrealized_pl=held.unrealized_pl,
            nav=nav,
            margin_used=held.margin_used,
            margin_available=available,
            position_value=held.position_value,
            margin_closeout_unrealized_pl=held.unrealized_pl,
            margin_closeout_nav=nav,
            margin_closeout_margin_used=held.margin_used,
            margin_closeout_percent=_ratio(held.margin_used, 2 * nav),
            margin_closeout_position_value=held.position_value,
            withdrawal_limit=max(_ZERO, min(available, balance)),
            margin_call_margin_used=held.margin_used,
            margin_call_percent=_ratio(held.margin_used, nav),
        )

    @property
    def must_close_out(self) -> bool:
        """Whether a margin closeout is due."""
        return self.margin_closeout_percent >= 1


def _ratio(part: Decimal, whole: Decimal) -> Decimal:
    if not part:
        return _ZERO.quantize(_RATIO)
    return (part / whole).quantize(_RATIO) if whole > 0 else _NO_EQUITY_RATIO
