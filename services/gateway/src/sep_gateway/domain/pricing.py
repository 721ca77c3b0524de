"""Prices and what currencies are worth at home."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Price:
    """Best bid and ask, None where the broker quotes none; ``time_ns`` is when it made them."""

    instrument: str
    time_ns: int
    bid: Decimal | None
    ask: Decimal | None
    tradeable: bool


@dataclass(frozen=True, slots=True)
class HomeConversion:
    """What one unit of a currency is worth in home currency, for gains, losses and values."""

    currency: str
    account_gain: Decimal
    account_loss: Decimal
    position_value: Decimal


@dataclass(frozen=True, slots=True)
class Pricing:
    """One answer: prices by instrument and conversions by currency."""

    prices: tuple[Price, ...]
    conversions: tuple[HomeConversion, ...]
