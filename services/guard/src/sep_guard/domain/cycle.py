"""PortfolioManager: one reconcile cycle as a pure plan, reductions before increases."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from sep_guard.domain.actions import Action, Kind, Plan
from sep_guard.domain.budget import Capacity, sizing_base, weight_cap
from sep_guard.domain.case import Common, managed_units
from sep_guard.domain.decision import decide
from sep_guard.domain.limits import GuardLimits, PortfolioLimits
from sep_guard.domain.margin_ceiling import share_to_keep
from sep_guard.domain.margin_gate import margin_gate_open, utilisation
from sep_guard.domain.market import ZERO, Market
from sep_guard.domain.risk.exposure import with_entry, with_reduction
from sep_guard.domain.risk.passed_limits import PassedLimits
from sep_guard.domain.view import View


def plan_cycle(view: View, limits: GuardLimits) -> Plan:
    """Decide on every instrument, largest weight first.

    No plan takes the margin in use over the budget's ceiling, an instrument over its cap, or
    growth over a ramp step. Margin that reductions will free is not counted until the broker
    has freed it.

    Limits of the whole account are applied here; those of one instrument in ``decide``, with
    its lists ``RULES``, ``CHECKS`` and ``LIMITERS``.
    """
    portfolio = limits.portfolio
    common = Common.of(view, limits)
    budget = common.budget
    share = share_to_keep(view.account, view.markets.values(), portfolio)
    free = max(ZERO, budget.ceiling - view.account.margin_used)
    capacity = Capacity(
        # Nothing is opened while margin has to be freed.
        headroom=free if share == 1 else ZERO,
        base=_sizing_base(view, portfolio),
        exposure=view.risk.exposure,
        share=share,
    )
    names = _by_weight(view)
    reductions = _reductions(view, names, limits, capacity, common)
    capacity = _after_reductions(view, capacity, reductions)
    others: list[Action] = []
    passed = PassedLimits()
    for name in names:
        if name in reductions:
            continue
        market = view.markets[name]
        action = decide(view, market, limits, capacity, common)
        capacity = _after(capacity, market, action)
        passed = passed.after(action, view.now_ms)
        if passed.trip is not None:
            # The breaker holds from here on, for the entries of this cycle as well.
            view = replace(view, risk=replace(view.risk, tripped=passed.trip.cause))
            common = Common.of(view, limits)
        others.append(action)
    return Plan(
        actions=(*reductions.values(), *others),
        budget=budget,
        margin_open=margin_gate_open(view, portfolio),
        utilisation=utilisation(view.account),
        trip=passed.trip,
        triggers=passed.triggers,
    )


def _reductions(
    view: View,
    names: Sequence[str],
    limits: GuardLimits,
    capacity: Capacity,
    common: Common,
) -> dict[str, Action]:
    """The reductions of a cycle: they depend on no entry, and entries depend on them."""
    held = (n for n in names if managed_units(view.markets[n], limits.portfolio))
    decided = {name: decide(view, view.markets[name], limits, capacity, common) for name in held}
    return {name: a for name, a in decided.items() if a.kind is Kind.REDUCTION}


def _after_reductions(view: View, capacity: Capacity, reductions: Mapping[str, Action]) -> Capacity:
    if not reductions:
        return capacity
    reduced = capacity.exposure
    for name, action in reductions.items():
        unit_value = view.markets[name].value_per_unit
        if unit_value is not None:
            reduced = with_reduction(reduced, name, action.order, unit_value)
    return replace(capacity, reduced=reduced)


def _after(capacity: Capacity, market: Market, action: Action) -> Capacity:
    """What an entry leaves for the next decision."""
    unit_value = market.value_per_unit
    if action.kind is not Kind.ENTRY or unit_value is None:
        return capacity
    units, name = abs(action.order), market.instrument.name
    return Capacity(
        base=capacity.base,
        headroom=capacity.headroom - max(ZERO, action.margin),
        exposure=with_entry(capacity.exposure, name, action.order, unit_value),
        reduced=None
        if capacity.reduced is None
        else with_entry(capacity.reduced, name, action.order, unit_value),
        planned_value=capacity.planned_value + units * unit_value,
    )


def _by_weight(view: View) -> list[str]:
    return sorted(view.markets, key=lambda i: (-view.weight(i), i))


def _sizing_base(view: View, limits: PortfolioLimits) -> Decimal:
    """The margin that targets are fractions of: the same before, while and after they fill.

    A position that lost its weight is going to be closed, unless the weights are held.
    """
    held = total = ZERO
    weights = view.weights
    if weights is None:
        return sizing_base(view.account, held=held, weights=total)
    cap = weight_cap(limits)
    for name, market in view.markets.items():
        weight = view.weight(name)
        if not market.has_value or (weights.held and not weight):
            continue
        total += min(weight, cap)
        if units := abs(managed_units(market, limits)):
            held += units * (market.margin_per_unit or ZERO)
    return sizing_base(view.account, held=held, weights=total)
