"""The decision on one instrument before it is made: inputs and the figures derived from them."""

from decimal import Decimal
from typing import NamedTuple

from sep_guard.domain.actions import Action, Kind
from sep_guard.domain.budget import Budget, Capacity, budget_of, weight_cap
from sep_guard.domain.checks import Check, SharedChecks
from sep_guard.domain.entry_checks import shared_checks
from sep_guard.domain.limits import GuardLimits, PortfolioLimits
from sep_guard.domain.market import ZERO, Market
from sep_guard.domain.risk.exposure import Bound
from sep_guard.domain.sizing import sign
from sep_guard.domain.target_side import TargetSide, target_side
from sep_guard.domain.view import View


class Common(NamedTuple):
    """What the cases of a view have in common.

    Attributes:
        cap: largest weight of one instrument, as a fraction of margin available.
    """

    budget: Budget
    cap: Decimal
    checks: SharedChecks

    @classmethod
    def of(cls, view: View, limits: GuardLimits) -> "Common":
        """What all cases of a view have in common."""
        portfolio = limits.portfolio
        return cls(
            budget_of(view.account, portfolio), weight_cap(portfolio), shared_checks(view, limits)
        )


class Case(NamedTuple):
    """One instrument of a view.

    ``current`` are the signed units that this stack manages, ``side`` their sign; ``wanted``
    is the side to be on; ``weight`` is 0 without a weight, and counts up to ``cap``;
    ``unit_value`` and ``per_unit`` are the value and the margin of one unit, None where they
    are unknown; ``shared`` are the conditions of an entry that are the same for every instrument
    of the view.
    """

    view: View
    market: Market
    limits: GuardLimits
    capacity: Capacity
    budget: Budget
    current: Decimal
    side: int
    wanted: TargetSide
    weight: Decimal
    cap: Decimal
    unit_value: Decimal | None
    per_unit: Decimal | None
    shared: SharedChecks

    @classmethod
    def of(
        cls,
        view: View,
        market: Market,
        limits: GuardLimits,
        capacity: Capacity,
        common: Common | None = None,
    ) -> "Case":
        """The case of one market. What all cases have in common is computed if not given."""
        common = common or Common.of(view, limits)
        current = managed_units(market, limits.portfolio)
        side, unit_value = sign(current), market.value_per_unit
        return cls(
            view=view,
            market=market,
            limits=limits,
            capacity=capacity,
            budget=common.budget,
            current=current,
            side=side,
            wanted=target_side(view, market, side, limits.entry),
            weight=view.weight(market.instrument.name),
            cap=common.cap,
            unit_value=unit_value,
            per_unit=None if unit_value is None else market.margin_of(unit_value),
            shared=common.checks,
        )

    def hold(
        self, target: Decimal, reasons: tuple[str, ...], checks: tuple[Check, ...] = ()
    ) -> Action:
        """Leave the position as it is."""
        return self._without_order(Kind.HOLD, target, reasons, checks)

    def refuse(
        self,
        target: Decimal,
        reasons: tuple[str, ...],
        checks: tuple[Check, ...] = (),
        bounds: tuple[Bound, ...] = (),
    ) -> Action:
        """Refuse the order that would lead to the target."""
        return self._without_order(Kind.REFUSAL, target, reasons, checks, bounds)

    def _without_order(
        self,
        kind: Kind,
        target: Decimal,
        reasons: tuple[str, ...],
        checks: tuple[Check, ...],
        bounds: tuple[Bound, ...] = (),
    ) -> Action:
        return Action(
            instrument=self.market.instrument.name,
            kind=kind,
            current=self.current,
            target=target,
            order=ZERO,
            reasons=reasons,
            checks=checks,
            capacity=self.capacity,
            bounds=bounds,
        )


def managed_units(market: Market, limits: PortfolioLimits) -> Decimal:
    """Signed units that this stack manages, adopted manual ones included."""
    return market.holding.total if limits.adopt_manual else market.holding.managed
