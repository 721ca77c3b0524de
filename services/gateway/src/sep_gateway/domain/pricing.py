"""Prices and what currencies are worth at home."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Price:
    """Best bid and ask, None where the broker quotes none; ``time_ns`` is when it made them.

    ``fault`` is a stable word for what is wrong with what the broker sent, empty for a good
    price. A faulty one has neither bid nor ask and is not tradeable: nobody may reckon with
    it, nor with the price before it.
    """

    instrument: str
    time_ns: int
    bid: Decimal | None
    ask: Decimal | None
    tradeable: bool
    fault: str = ""


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


def faulty(instrument: str, time_ns: int, fault: str) -> Price:
    """What stands in the place of a price that can't be believed."""
    return Price(instrument, time_ns, None, None, False, fault)


def best_price(
    instrument: str,
    time_ns: int,
    bids: Sequence[Decimal],
    asks: Sequence[Decimal],
    *,
    tradeable: bool,
) -> Price:
    """The best of what is quoted, if a market can quote it at all."""
    quoted = (*bids, *asks)
    if not all(price.is_finite() for price in quoted):
        return faulty(instrument, time_ns, "not_finite")
    if any(price <= 0 for price in quoted):
        return faulty(instrument, time_ns, "not_positive")
    bid, ask = max(bids, default=None), min(asks, default=None)
    if bid is not None and ask is not None and bid > ask:
        return faulty(instrument, time_ns, "crossed")
    return Price(instrument, time_ns, bid, ask, tradeable)
