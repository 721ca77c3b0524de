"""Risk limits that cut an entry's size, or refuse it."""

from decimal import Decimal

from sep_guard.domain.brackets import brackets_of
from sep_guard.domain.checks import Refusal
from sep_guard.domain.entry_request import PASSED, EntryRequest, Limited, cut, refuse
from sep_guard.domain.market import ZERO
from sep_guard.domain.risk.exposure import Bound, ExposureRequest, at_stop, by_currency, by_gross
from sep_guard.domain.risk.limits import LimitName
from sep_guard.domain.sizing import entry_units

_REASONS = {
    LimitName.LOSS_AT_STOP: Refusal.RISK_LOSS_AT_STOP,
    LimitName.LEVERAGE: Refusal.RISK_LEVERAGE,
    LimitName.CURRENCY: Refusal.RISK_CURRENCY,
}


def loss_at_stop(request: EntryRequest, margin: Decimal) -> Limited:
    """The position's loss at its stop stays within its share of NAV."""
    wanted = exposure_request(request, margin)
    return _limited(request, margin, at_stop(wanted, _nav(request), request.case.limits.risk))


def leverage(request: EntryRequest, margin: Decimal) -> Limited:
    """Gross position value stays within its multiple of NAV."""
    wanted, exposure = exposure_request(request, margin), request.case.capacity.exposure
    bound = by_gross(wanted, exposure, _nav(request), request.case.limits.risk)
    return _limited(request, margin, bound)


def currency(request: EntryRequest, margin: Decimal) -> Limited:
    """Net exposure in both currencies stays within its multiple of NAV.

    Whether or not the cycle's reductions are filled first.
    """
    wanted, capacity = exposure_request(request, margin), request.case.capacity
    nav, limits = _nav(request), request.case.limits.risk
    bound = by_currency(wanted, capacity.exposure, nav, limits)
    if capacity.reduced is not None:
        reduced = by_currency(wanted, capacity.reduced, nav, limits)
        bound = min(bound, reduced, key=lambda found: found.units)
    return _limited(request, margin, bound)


def turnover(request: EntryRequest, margin: Decimal) -> Limited:
    """Value opened today stays within its multiple of NAV.

    An entry that would pass it is refused, and trips the breaker.
    """
    case, nav = request.case, _nav(request)
    wanted = exposure_request(request, margin)
    value = case.view.risk.opened_value + case.capacity.planned_value
    value += wanted.units * wanted.unit_value
    allowed = case.limits.risk.max_turnover
    if nav and value <= allowed * nav:
        return PASSED
    observed = value / nav if nav else allowed
    bound = Bound(limit=LimitName.TURNOVER, units=ZERO, observed=observed, allowed=allowed)
    return refuse(Refusal.RISK_TURNOVER, bound)


def exposure_request(request: EntryRequest, margin: Decimal) -> ExposureRequest:
    """The entry at the size that is left, as the exposure limits read it.

    The loss of a unit is counted from the worst fill that the order allows.
    """
    case = request.case
    market, brackets = case.market, brackets_of(case)
    unit_loss = None
    if brackets is not None and market.home_per_quote is not None:
        distance = (brackets.price_bound - brackets.stop_loss) * case.wanted.side
        unit_loss = distance * market.home_per_quote
    return ExposureRequest(
        instrument=market.instrument.name,
        side=case.wanted.side,
        units=margin / request.margin_per_unit,
        current=abs(case.current),
        unit_value=market.value_per_unit or ZERO,
        unit_loss=unit_loss,
    )


def _limited(request: EntryRequest, margin: Decimal, bound: Bound) -> Limited:
    allowed = bound.units * request.margin_per_unit
    if allowed >= margin:
        return PASSED
    reason = _REASONS[bound.limit]
    if not entry_units(request.case.market.instrument, bound.units):
        return refuse(reason, bound)
    return cut(allowed, reason, bound)


def _nav(request: EntryRequest) -> Decimal:
    """NAV, or 0 where it can't be right: then no limit allows anything."""
    nav = request.case.view.account.nav
    return nav if nav.is_finite() and nav > 0 else ZERO
