"""From stance and margin to the units of an order: cap, ramp, band, rounding."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sep_fx.instrument import Instrument

from sep_guard.domain.market import ZERO


class SizeReason(StrEnum):
    """Why an order has the size it has, or none."""

    WITHIN_BAND = "WITHIN_BAND"
    RAMP_LIMITED = "RAMP_LIMITED"
    BUDGET_LIMITED = "BUDGET_LIMITED"
    BUDGET_EXHAUSTED = "BUDGET_EXHAUSTED"
    UNITS_BELOW_MINIMUM = "UNITS_BELOW_MINIMUM"
    OVER_CAP = "OVER_CAP"


@dataclass(frozen=True, slots=True)
class Size:
    """Signed units to order (0 for none) and to stand at in the end; growth in margin."""

    order: Decimal
    target: Decimal
    growth: Decimal
    reasons: tuple[SizeReason, ...]


def reduction(instrument: Instrument, current: Decimal, target: Decimal, band: Decimal) -> Size:
    """An order toward a smaller target; a full exit ignores the band.

    Both have the same sign, or the target is 0.
    """
    excess = abs(current) - abs(target)
    if target and excess < band * abs(target):
        return Size(ZERO, target, ZERO, (SizeReason.WITHIN_BAND,))
    units = excess if target == 0 else instrument.round_units(excess)
    units = min(units, instrument.maximum_order_units)
    if target and (not units or units < instrument.minimum_trade_size):
        return Size(ZERO, target, ZERO, (SizeReason.UNITS_BELOW_MINIMUM,))
    return Size(-_sign(current) * units, target, ZERO, ())


def increase(
    instrument: Instrument,
    current: Decimal,
    target: Decimal,
    margin_per_unit: Decimal,
    ramp_step: Decimal,
    headroom: Decimal,
    band: Decimal,
) -> Size:
    """An order toward a larger target, no more than a ramp step and what the budget leaves.

    What the budget leaves may be less than the band lets be: then it is not worth an order.

    Args:
        ramp_step: most margin it may grow by.
        headroom: margin that cap and budget still leave.
    """
    wanted = abs(target) - abs(current)
    if wanted < band * abs(target):
        return Size(ZERO, target, ZERO, (SizeReason.WITHIN_BAND,))
    reasons = []
    allowed = min(wanted * margin_per_unit, ramp_step)
    if allowed < wanted * margin_per_unit:
        reasons.append(SizeReason.RAMP_LIMITED)
    if headroom < allowed:
        allowed = headroom
        if headroom <= 0 or headroom < band * abs(target) * margin_per_unit:
            return Size(ZERO, target, ZERO, (*reasons, SizeReason.BUDGET_EXHAUSTED))
        reasons.append(SizeReason.BUDGET_LIMITED)
    units = instrument.round_units(max(ZERO, allowed) / margin_per_unit)
    units = min(units, instrument.maximum_order_units)
    if units < instrument.minimum_trade_size or units == 0:
        return Size(ZERO, target, ZERO, (*reasons, SizeReason.UNITS_BELOW_MINIMUM))
    return Size(_sign(target) * units, target, units * margin_per_unit, tuple(reasons))


def _sign(units: Decimal) -> int:
    return (units > 0) - (units < 0)
