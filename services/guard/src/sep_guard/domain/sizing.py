"""Order sizes: rounding, minimum and maximum units, and the reasons of a size."""

from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from sep_fx.instrument import Instrument

from sep_guard.domain.market import ZERO
from sep_guard.domain.risk.exposure import Bound


class SizeReason(StrEnum):
    """Why an order has its size, or why there is none."""

    WITHIN_BAND = "WITHIN_BAND"
    RAMP_LIMITED = "RAMP_LIMITED"
    RAMP_ENDED = "RAMP_ENDED"
    BUDGET_LIMITED = "BUDGET_LIMITED"
    BUDGET_EXHAUSTED = "BUDGET_EXHAUSTED"
    UNITS_BELOW_MINIMUM = "UNITS_BELOW_MINIMUM"
    OVER_CAP = "OVER_CAP"
    MARGIN_MISMATCH = "MARGIN_MISMATCH"


class Size(NamedTuple):
    """Signed units to order (0 for none), the margin they take, and the reasons.

    ``refused`` means that a limiter refused the entry, which is recorded; without it an
    order of 0 leaves the position as it is. ``bounds`` are the risk limits that cut or
    refused it.
    """

    order: Decimal
    margin: Decimal = ZERO
    reasons: tuple[str, ...] = ()
    refused: bool = False
    bounds: tuple[Bound, ...] = ()


def reduction(instrument: Instrument, current: Decimal, target: Decimal, band: Decimal) -> Size:
    """An order toward a smaller target of the same sign, or 0. A full exit ignores the band.

    Args:
        band: distance from the target that is left alone, as a fraction of the target.
    """
    excess = abs(current) - abs(target)
    if target and excess < band * abs(target):
        return Size(order=ZERO, reasons=(SizeReason.WITHIN_BAND,))
    units = excess if target == 0 else instrument.round_units(excess)
    units = min(units, instrument.maximum_order_units)
    if target and (not units or units < instrument.minimum_trade_size):
        return Size(order=ZERO, reasons=(SizeReason.UNITS_BELOW_MINIMUM,))
    return Size(order=-sign(current) * units)


def entry_units(instrument: Instrument, units: Decimal) -> Decimal:
    """Units rounded down to what one order may hold; 0 below the minimum trade size."""
    rounded = min(instrument.round_units(units), instrument.maximum_order_units)
    return ZERO if rounded < instrument.minimum_trade_size else rounded


def sign(units: Decimal) -> int:
    """1, -1, or 0 for none."""
    return (units > 0) - (units < 0)
