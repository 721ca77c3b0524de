"""The decision on one instrument: rules in order, the first that applies decides."""

from collections.abc import Callable
from decimal import Decimal

from sep_guard.domain.actions import Action, Kind
from sep_guard.domain.budget import Capacity
from sep_guard.domain.case import Case, Common
from sep_guard.domain.checks import Refusal, failed
from sep_guard.domain.entry_checks import check_entry
from sep_guard.domain.entry_decision import decide_entry
from sep_guard.domain.entry_request import EntryRequest
from sep_guard.domain.limits import GuardLimits
from sep_guard.domain.margin_ceiling import near_closeout, share_under_cap
from sep_guard.domain.market import ZERO, Market
from sep_guard.domain.risk.price_reference import off_reference
from sep_guard.domain.sizing import SizeReason, reduction
from sep_guard.domain.target_side import Cause
from sep_guard.domain.view import View

Rule = Callable[[Case], Action | None]


def decide(
    view: View,
    market: Market,
    limits: GuardLimits,
    capacity: Capacity,
    common: Common | None = None,
) -> Action:
    """Decide on one instrument.

    Args:
        capacity: what the portfolio leaves after the entries decided before this one.
        common: what all decisions of the view share, where it has been computed already.
    """
    case = Case.of(view, market, limits, capacity, common)
    for rule in RULES:
        action = rule(case)
        if action is not None:
            return action
    raise AssertionError("the last rule decides")


def exit_position(case: Case) -> Action | None:
    """Close a position that should be flat."""
    if not case.side or case.wanted.side:
        return None
    return _reduce(case, ZERO, case.wanted.cause)


def reduce_margin(case: Case) -> Action | None:
    """Reduce a position whose margin is over the budget's ceiling or the instrument's cap.

    One that is over its weight as well goes to its weight at once: entries are sized as if it
    were there, and would be cut again if it stayed at its cap for a cycle.
    """
    if not case.side:
        return None
    account, portfolio = case.view.account, case.limits.portfolio
    under_cap = share_under_cap(account, case.market, portfolio)
    share = min(case.capacity.share, under_cap)
    if share >= 1:
        return None
    cause = Cause.MARGIN_OVER_CAP if share == under_cap else Cause.MARGIN_OVER_CEILING
    if near_closeout(account):
        cause = Cause.MARGIN_CLOSEOUT_NEAR
    # Rounded toward 0, so that what is left is under the ceiling.
    target = case.market.instrument.round_units(case.current * share)
    units = _units_of_weight(case)
    if units and not _off_reference(case):
        excess = abs(case.current) - units
        if units < abs(target) and excess >= portfolio.rebalance_band * units:
            target = case.side * units
    return _reduce(case, target, cause, band=ZERO)


def report_manual(case: Case) -> Action | None:
    """Report a position opened by hand that no weight asks for, and leave it alone."""
    holding = case.market.holding
    adopted = case.limits.portfolio.adopt_manual and not holding.manual_hedged
    if case.side or case.weight or not holding.manual_units or adopted:
        return None
    margin = holding.manual_units * (case.per_unit or ZERO)
    over = margin > case.budget.per_instrument
    return Action(
        instrument=case.market.instrument.name,
        kind=Kind.MANUAL,
        # Hedged trades of one size come to 0 units: the absolute ones are reported instead.
        current=holding.manual_units if holding.manual_hedged else holding.manual,
        target=ZERO,
        order=ZERO,
        reasons=(Refusal.MANUAL_POSITION, *((SizeReason.OVER_CAP,) if over else ())),
        capacity=case.capacity,
    )


def hold_without_weight(case: Case) -> Action | None:
    """Without a weight there is no target."""
    return None if case.weight else case.hold(case.current, (Refusal.NO_WEIGHT,))


def hold_without_price(case: Case) -> Action | None:
    """Without a price nothing can be sized: positions are held, entries refused."""
    if case.per_unit:
        return None
    if case.side:
        return case.hold(case.current, (Refusal.NOT_TRADEABLE,))
    checks = check_entry(case.view, case.market, case.limits, case.shared)
    return case.refuse(case.current, failed(checks), checks)


def move_to_target(case: Case) -> Action | None:
    """Reduce or increase the position toward the units that its weight asks for."""
    per_unit, units = case.per_unit, _units_of_weight(case)
    if not per_unit or units is None:
        return None
    target = case.wanted.side * units
    if case.side and abs(target) < abs(case.current):
        if _off_reference(case):
            return case.hold(target, (Refusal.RISK_REFERENCE_PRICE,))
        return _reduce(case, target, Cause.REBALANCE)
    return decide_entry(EntryRequest.of(case, target, per_unit))


RULES: tuple[Rule, ...] = (
    exit_position,
    reduce_margin,
    report_manual,
    hold_without_weight,
    hold_without_price,
    move_to_target,
)
"""Every rule, in order. The last one decides whatever the others left."""


def _reduce(case: Case, target: Decimal, cause: Cause, band: Decimal | None = None) -> Action:
    market = case.market
    if target and case.view.behind:
        return case.hold(target, (Refusal.VIEW_STALE, cause))
    tolerated = case.limits.portfolio.rebalance_band if band is None else band
    size = reduction(market.instrument, case.current, target, tolerated)
    if not size.order:
        return case.hold(target, size.reasons)
    if case.view.controls.read_only:
        return case.refuse(target, (Refusal.READ_ONLY, cause))
    return Action(
        instrument=market.instrument.name,
        kind=Kind.REDUCTION,
        current=case.current,
        target=target,
        order=size.order,
        reasons=(cause,),
        margin=ZERO - abs(size.order) * (case.per_unit or ZERO),
        capacity=case.capacity,
    )


def _units_of_weight(case: Case) -> Decimal | None:
    """The units that the weight asks for, without a sign; None without a price."""
    if not case.per_unit:
        return None
    share = min(case.weight, case.cap)
    return case.market.instrument.round_units(share * case.capacity.base / case.per_unit)


def _off_reference(case: Case) -> bool:
    """Whether the quote is too far from its references to size a rebalancing with."""
    market, collar = case.market, case.limits.risk.price_collar_bps
    return market.quote is not None and off_reference(market.quote.mid, market.references, collar)
