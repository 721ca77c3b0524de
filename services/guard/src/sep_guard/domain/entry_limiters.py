"""Limiters of an entry's size: each passes, cuts, or stops what the weight asks for.

``LIMITERS`` is the one list of them. A new limit of size is a function of the ``Limiter`` type,
added to the list. A limit that only allows or forbids an entry is a check
(``entry_checks.CHECKS``).
"""

from collections.abc import Sequence
from decimal import Decimal

from sep_guard.domain.entry_request import (
    PASSED,
    EntryRequest,
    Limited,
    Limiter,
    Verdict,
    cut,
    hold,
)
from sep_guard.domain.market import ZERO
from sep_guard.domain.risk.exposure import Bound
from sep_guard.domain.risk.limiters import currency, leverage, loss_at_stop, turnover
from sep_guard.domain.sizing import Size, SizeReason, entry_units, sign


def outside_band(request: EntryRequest, margin: Decimal) -> Limited:  # noqa: ARG001
    """No order for a position that is close enough to its target."""
    band = request.case.limits.portfolio.rebalance_band
    return hold(SizeReason.WITHIN_BAND) if request.units < band * abs(request.target) else PASSED


def ramp_ended(request: EntryRequest, margin: Decimal) -> Limited:  # noqa: ARG001
    """A held position grows by the steps of its entry alone.

    What is added later has a stop and a take profit of its own, so that the position is closed
    in parts, which the backtest that opened the gate does not do. Where the entry's time or the
    parameters are not known, the position grows.
    """
    case = request.case
    signal, ramp_s = case.market.signal, case.limits.portfolio.ramp_s
    entered = case.view.risk.last_entry_ms.get(case.market.instrument.name)
    if not case.side or entered is None or ramp_s is None or not (signal and signal.params):
        return PASSED
    over = case.view.now_ms - entered >= ramp_s * 1000
    return hold(SizeReason.RAMP_ENDED) if over else PASSED


def ramp_step(request: EntryRequest, margin: Decimal) -> Limited:
    """At most one ramp step a cycle."""
    step = request.case.budget.ramp_step
    return cut(step, SizeReason.RAMP_LIMITED) if step < margin else PASSED


def budget_left(request: EntryRequest, margin: Decimal) -> Limited:
    """At most what the total budget and the instrument's cap leave.

    Less than the rebalance band is not worth an order: every price change would send one of
    a few units.
    """
    case, per_unit = request.case, request.margin_per_unit
    portfolio = case.limits.portfolio
    left = min(case.capacity.headroom, _left_under_cap(request))
    if left >= margin:
        return PASSED
    if left <= 0 or left < portfolio.rebalance_band * abs(request.target) * per_unit:
        return hold(SizeReason.BUDGET_EXHAUSTED)
    return cut(left, SizeReason.BUDGET_LIMITED)


def margin_mismatch(request: EntryRequest, margin: Decimal) -> Limited:
    """Says that the broker counts margin otherwise; the size is made with the larger count."""
    if request.case.market.margin_factor == 1:
        return PASSED
    return cut(margin, SizeReason.MARGIN_MISMATCH)


def _left_under_cap(request: EntryRequest) -> Decimal:
    """The margin that leaves the position within its cap after the entry.

    Entries reduce the margin available and with it the cap. What reductions of this cycle will
    free is not there yet.
    """
    case = request.case
    account, cap = case.view.account, case.cap
    held = abs(case.current) * request.margin_per_unit
    planned = max(ZERO, case.budget.ceiling - account.margin_used) - case.capacity.headroom
    available = account.margin_available - max(ZERO, planned)
    return min(
        cap * account.balance - held,
        (cap * available - held) / (1 + cap),
    )


LIMITERS: tuple[Limiter, ...] = (
    outside_band,
    margin_mismatch,
    ramp_ended,
    ramp_step,
    budget_left,
    loss_at_stop,
    leverage,
    currency,
    turnover,
)
"""Every limiter of an entry's size, in the order they are applied."""


def limit_entry(request: EntryRequest, limiters: Sequence[Limiter] = LIMITERS) -> Size:
    """The size that all limiters allow, rounded to an order; the first that stops it ends it."""
    margin, reasons, bounds = request.margin, list[str](), list[Bound]()
    for limiter in limiters:
        limited = limiter(request, margin)
        if limited is PASSED:
            continue
        if limited.bound is not None:
            bounds.append(limited.bound)
        if limited.verdict is Verdict.REFUSE:
            return Size(order=ZERO, reasons=(limited.reason,), refused=True, bounds=tuple(bounds))
        if limited.verdict is Verdict.HOLD:
            return Size(order=ZERO, reasons=(*reasons, limited.reason))
        if limited.verdict is Verdict.CUT:
            margin = limited.margin
            reasons.append(limited.reason)
    per_unit = request.margin_per_unit
    units = entry_units(request.case.market.instrument, max(ZERO, margin) / per_unit)
    if not units:
        return Size(order=ZERO, reasons=(*reasons, SizeReason.UNITS_BELOW_MINIMUM))
    return Size(
        order=sign(request.target) * units,
        margin=units * per_unit,
        reasons=tuple(reasons),
        bounds=tuple(bounds),
    )
