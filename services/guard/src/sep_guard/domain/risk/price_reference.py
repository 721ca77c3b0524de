"""The reference price: a quote far from its own candle and live manifold is not traded on."""

from decimal import Decimal
from typing import NamedTuple

_BPS = Decimal(10_000)
_SIGMAS = 6


class References(NamedTuple):
    """Prices that a quote is held against; None where one can't be read.

    Attributes:
        candle_close: mid close of the last complete candle.
        manifold_price: price of the live manifold.
        sigma_eff: standard deviation of the bar's log returns.
    """

    candle_close: Decimal | None
    manifold_price: Decimal | None
    sigma_eff: Decimal | None


def collar_bps(references: References, collar: Decimal) -> Decimal:
    """Most basis points that a quote may be off: the collar, or six sigma where that is wider."""
    if references.sigma_eff is None:
        return collar
    return max(collar, _SIGMAS * references.sigma_eff * _BPS)


def deviation_bps(mid: Decimal, references: References) -> Decimal | None:
    """The larger distance from the two references, in basis points; None where one is missing."""
    candle, manifold = references.candle_close, references.manifold_price
    if candle is None or manifold is None or candle <= 0 or manifold <= 0:
        return None
    return max(abs(mid / candle - 1) * _BPS, abs(mid / manifold - 1) * _BPS)


def off_reference(mid: Decimal, references: References, collar: Decimal) -> bool:
    """Whether a quote is known to be too far off. With a reference missing nothing is known."""
    off = deviation_bps(mid, references)
    return off is not None and off > collar_bps(references, collar)
