"""Limiters of an entry's size: each passes, cuts, or stops what the weight asks for.

``LIMITERS`` is the one list of them. A new limit of size is a function of this module's
``Limiter`` type, added to the list. A limit that only allows or forbids an entry is a check
(``entry_checks.CHECKS``).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sep_guard.domain.budget import budget_of
from sep_guard.domain.case import Case
from sep_guard.domain.market import ZERO
from sep_guard.domain.sizing import Size, SizeReason, entry_units, sign


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRequest:
    """An increase toward ``target`` signed units before any limit, and what it is made from."""

    case: Case
    target: Decimal
    margin_per_unit: Decimal

    @property
    def units(self) -> Decimal:
        """Units that the position would grow by."""
        return abs(self.target) - abs(self.case.current)

    @property
    def margin(self) -> Decimal:
        """Margin that the position would grow by, in home currency."""
        return self.units * self.margin_per_unit


class Verdict(StrEnum):
    """What follows from a limiter."""

    PASS = "PASS"  # noqa: S105 - not a password
    CUT = "CUT"
    HOLD = "HOLD"
    REFUSE = "REFUSE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limited:
    """A limiter's verdict; ``margin`` is what a cut leaves, in home currency."""

    verdict: Verdict
    reason: str = ""
    margin: Decimal = ZERO


PASSED = Limited(verdict=Verdict.PASS)


def cut(margin: Decimal, reason: str) -> Limited:
    """Go on with less margin."""
    return Limited(verdict=Verdict.CUT, reason=reason, margin=margin)


def hold(reason: str) -> Limited:
    """Order nothing: the position is left as it is, and nothing is recorded."""
    return Limited(verdict=Verdict.HOLD, reason=reason)


def refuse(reason: str) -> Limited:
    """Order nothing: a recorded refusal."""
    return Limited(verdict=Verdict.REFUSE, reason=reason)


Limiter = Callable[[EntryRequest, Decimal], Limited]
"""Judges an entry, given the margin that the limiters before it left."""


def outside_band(request: EntryRequest, margin: Decimal) -> Limited:  # noqa: ARG001
    """No order for a position that is close enough to its target."""
    band = request.case.limits.portfolio.rebalance_band
    return hold(SizeReason.WITHIN_BAND) if request.units < band * abs(request.target) else PASSED


def ramp_step(request: EntryRequest, margin: Decimal) -> Limited:
    """At most one ramp step a cycle."""
    step = budget_of(request.case.view.account, request.case.limits.portfolio).ramp_step
    return cut(step, SizeReason.RAMP_LIMITED) if step < margin else PASSED


def budget_left(request: EntryRequest, margin: Decimal) -> Limited:
    """At most what the total budget and the instrument's cap leave.

    Less than the rebalance band is not worth an order: every price change would send one of
    a few units.
    """
    case, per_unit = request.case, request.margin_per_unit
    portfolio = case.limits.portfolio
    cap = budget_of(case.view.account, portfolio).per_instrument
    left = min(case.capacity.headroom, cap - abs(case.current) * per_unit)
    if left >= margin:
        return PASSED
    if left <= 0 or left < portfolio.rebalance_band * abs(request.target) * per_unit:
        return hold(SizeReason.BUDGET_EXHAUSTED)
    return cut(left, SizeReason.BUDGET_LIMITED)


LIMITERS: tuple[Limiter, ...] = (outside_band, ramp_step, budget_left)
"""Every limiter of an entry's size, in the order they are applied."""


def limit_entry(request: EntryRequest, limiters: Sequence[Limiter] = LIMITERS) -> Size:
    """The size that all limiters allow, rounded to an order; the first that stops it ends it."""
    margin, reasons = request.margin, list[str]()
    for limiter in limiters:
        limited = limiter(request, margin)
        if limited.verdict is Verdict.REFUSE:
            return Size(order=ZERO, reasons=(limited.reason,), refused=True)
        if limited.verdict is Verdict.HOLD:
            return Size(order=ZERO, reasons=(*reasons, limited.reason))
        if limited.verdict is Verdict.CUT:
            margin = limited.margin
            reasons.append(limited.reason)
    per_unit = request.margin_per_unit
    units = entry_units(request.case.market.instrument, max(ZERO, margin) / per_unit)
    if not units:
        return Size(order=ZERO, reasons=(*reasons, SizeReason.UNITS_BELOW_MINIMUM))
    return Size(order=sign(request.target) * units, margin=units * per_unit, reasons=tuple(reasons))
