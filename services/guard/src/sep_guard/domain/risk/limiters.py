"""Risk limits that cut an entry's size, or refuse it."""

from decimal import Decimal

from sep_guard.domain.checks import Refusal
from sep_guard.domain.entry_request import PASSED, EntryRequest, Limited, cut, refuse
from sep_guard.domain.market import ZERO
from sep_guard.domain.risk.exposure import (
    Bound,
    ExposureRequest,
    at_stop,
    by_currency,
    by_gross,
    signed_net,
)
from sep_guard.domain.risk.limits import LimitName
from sep_guard.domain.sizing import entry_units

_REASONS = {
    LimitName.LOSS_AT_STOP: Refusal.RISK_LOSS_AT_STOP,
    LimitName.LEVERAGE: Refusal.RISK_LEVERAGE,
    LimitName.CURRENCY: Refusal.RISK_CURRENCY,
}


def loss_at_stop(request: EntryRequest, margin: Decimal) -> Limited:
    """The position's loss at its stop stays within its share of NAV."""
    limits, nav, loss = request.case.limits.risk, request.nav, request.unit_loss
    units = margin / request.margin_per_unit
    if loss and 0 < (abs(request.case.current) + units) * loss <= limits.max_loss_per_trade * nav:
        return PASSED
    return _limited(request, margin, at_stop(exposure_request(request, margin), nav, limits))


def leverage(request: EntryRequest, margin: Decimal) -> Limited:
    """Gross position value stays within its multiple of NAV."""
    limits, nav, exposure = request.case.limits.risk, request.nav, request.case.capacity.exposure
    value = margin / request.margin_per_unit * request.unit_value
    if exposure.gross + value <= limits.max_leverage * nav:
        return PASSED
    return _limited(
        request, margin, by_gross(exposure_request(request, margin), exposure, nav, limits)
    )


def currency(request: EntryRequest, margin: Decimal) -> Limited:
    """Net exposure in both currencies stays within its multiple of NAV.

    Whether or not the cycle's reductions are filled first.
    """
    case, nav = request.case, request.nav
    limits, capacity, name = case.limits.risk, case.capacity, case.market.instrument.name
    value = margin / request.margin_per_unit * request.unit_value
    most = limits.max_currency_leverage * nav - value
    base, quote = signed_net(capacity.exposure, name, case.wanted.side)
    if capacity.reduced is None and base <= most and quote <= most:
        return PASSED
    wanted = exposure_request(request, margin)
    bound = by_currency(wanted, capacity.exposure, nav, limits)
    if capacity.reduced is not None:
        reduced = by_currency(wanted, capacity.reduced, nav, limits)
        bound = min(bound, reduced, key=lambda found: found.units)
    return _limited(request, margin, bound)


def turnover(request: EntryRequest, margin: Decimal) -> Limited:
    """Value opened today stays within its multiple of NAV.

    An entry that would pass it is refused, and trips the breaker.
    """
    case, nav = request.case, request.nav
    value = case.view.risk.opened_value + case.capacity.planned_value
    value += margin / request.margin_per_unit * request.unit_value
    allowed = case.limits.risk.max_turnover
    if nav and value <= allowed * nav:
        return PASSED
    observed = value / nav if nav else allowed
    bound = Bound(limit=LimitName.TURNOVER, units=ZERO, observed=observed, allowed=allowed)
    return refuse(Refusal.RISK_TURNOVER, bound)


def exposure_request(request: EntryRequest, margin: Decimal) -> ExposureRequest:
    """The entry at the size that is left, as the exposure limits read it."""
    case = request.case
    return ExposureRequest(
        instrument=case.market.instrument.name,
        side=case.wanted.side,
        units=margin / request.margin_per_unit,
        current=abs(case.current),
        unit_value=request.unit_value,
        unit_loss=request.unit_loss,
    )


def _limited(request: EntryRequest, margin: Decimal, bound: Bound) -> Limited:
    allowed = bound.units * request.margin_per_unit
    if allowed >= margin:
        return PASSED
    reason = _REASONS[bound.limit]
    if not entry_units(request.case.market.instrument, bound.units):
        return refuse(reason, bound)
    return cut(allowed, reason, bound)
