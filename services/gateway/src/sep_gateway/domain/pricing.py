"""Prices and conversion rates to the home currency."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sep_gateway.domain.left_out import LeftOut


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Best bid and ask, None where the broker quotes none; ``time_ns`` is the broker's time.

    ``fault`` is a stable reason why the quote is invalid, empty for a valid one. An invalid
    price has neither bid nor ask and is not tradeable: neither it nor the previous price may
    be used.
    """

    instrument: str
    time_ns: int
    bid: Decimal | None
    ask: Decimal | None
    tradeable: bool
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeConversion:
    """Value of one unit of a currency in home currency, for gains, losses and positions."""

    currency: str
    account_gain: Decimal
    account_loss: Decimal
    position_value: Decimal


@dataclass(frozen=True, slots=True)
class Pricing:
    """Prices sorted by instrument, and conversions of their currencies."""

    prices: tuple[Price, ...]
    conversions: tuple[HomeConversion, ...]
    left_out: tuple[LeftOut, ...] = ()


def faulty(instrument: str, time_ns: int, fault: str) -> Price:
    """Placeholder for an invalid price."""
    return Price(
        instrument=instrument, time_ns=time_ns, bid=None, ask=None, tradeable=False, fault=fault
    )


def best_price(
    instrument: str,
    time_ns: int,
    bids: Sequence[Decimal],
    asks: Sequence[Decimal],
    *,
    tradeable: bool,
) -> Price:
    """Highest bid and lowest ask; a faulty price if any level is impossible."""
    quoted = (*bids, *asks)
    if not all(price.is_finite() for price in quoted):
        return faulty(instrument, time_ns, "not_finite")
    if any(price <= 0 for price in quoted):
        return faulty(instrument, time_ns, "not_positive")
    bid, ask = max(bids, default=None), min(asks, default=None)
    if bid is not None and ask is not None and bid > ask:
        return faulty(instrument, time_ns, "crossed")
    return Price(instrument=instrument, time_ns=time_ns, bid=bid, ask=ask, tradeable=tradeable)
