"""Tradeable instruments and their rounding rules."""

import re
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from functools import lru_cache

_NAME = re.compile(r"[A-Z0-9]{2,12}_[A-Z0-9]{2,12}")


def is_instrument_name(text: str) -> bool:
    """Whether the text has the form BASE_QUOTE, such as ``EUR_USD``."""
    return _NAME.fullmatch(text) is not None


@lru_cache(maxsize=1024)
def split_name(name: str) -> tuple[str, str]:
    """Base and quote currency of ``EUR_USD``.

    Raises:
        ValueError: the name does not have the form BASE_QUOTE.
    """
    if not is_instrument_name(name):
        raise ValueError(f"{name!r} is not an instrument name like EUR_USD")
    base, quote = name.split("_")
    return base, quote


@lru_cache(maxsize=64)
def _step(digits: int) -> Decimal:
    """The smallest step with so many digits after the point."""
    return Decimal(1).scaleb(-digits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """The broker's specification of an instrument.

    ``margin_rate`` is margin / position value. Minimum and maximum sizes are in units.
    """

    name: str
    display_precision: int
    trade_units_precision: int
    minimum_trade_size: Decimal
    margin_rate: Decimal
    maximum_order_units: Decimal = Decimal("100000000")

    @property
    def base(self) -> str:
        """The currency that units are denominated in."""
        return split_name(self.name)[0]

    @property
    def quote(self) -> str:
        """The currency that prices are denominated in."""
        return split_name(self.name)[1]

    @property
    def price_step(self) -> Decimal:
        """The smallest difference between two prices."""
        return _step(self.display_precision)

    def round_price(self, price: Decimal) -> Decimal:
        """The price rounded half to even to the broker's precision."""
        return price.quantize(self.price_step, ROUND_HALF_EVEN)

    def round_units(self, units: Decimal) -> Decimal:
        """The units rounded toward zero to the broker's precision."""
        return units.quantize(_step(self.trade_units_precision), ROUND_DOWN)
