"""An increase of a position on its way through the limiters, and what a limiter may answer."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cached_property

from sep_guard.domain.actions import Brackets
from sep_guard.domain.brackets import brackets_of
from sep_guard.domain.budget import Budget, budget_of
from sep_guard.domain.case import Case
from sep_guard.domain.market import ZERO
from sep_guard.domain.risk.exposure import Bound


@dataclass(frozen=True, kw_only=True)
class EntryRequest:
    """An increase toward ``target`` signed units before any limit, and what it is made from.

    What several limiters need is computed once.
    """

    case: Case
    target: Decimal
    margin_per_unit: Decimal

    @cached_property
    def brackets(self) -> Brackets | None:
        """Stop, target and worst fill of the order; None without a quote or a bracket."""
        return brackets_of(self.case)

    @cached_property
    def budget(self) -> Budget:
        """The budget of the account."""
        return budget_of(self.case.view.account, self.case.limits.portfolio)

    @property
    def unit_value(self) -> Decimal:
        """Value of one unit in home currency; 0 where it is unknown."""
        return self.case.market.value_per_unit or ZERO

    @property
    def unit_loss(self) -> Decimal | None:
        """Loss of one unit from the worst fill that the order allows; None without a stop."""
        brackets, rate = self.brackets, self.case.market.home_per_quote
        if brackets is None or rate is None:
            return None
        return (brackets.price_bound - brackets.stop_loss) * self.case.wanted.side * rate

    @cached_property
    def nav(self) -> Decimal:
        """NAV, or 0 where it can't be right: then no limit allows anything."""
        nav = self.case.view.account.nav
        return nav if nav.is_finite() and nav > 0 else ZERO

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
    """A limiter's answer; ``margin`` is what a cut leaves, in home currency.

    ``bound`` has the figures of a risk limit.
    """

    verdict: Verdict
    reason: str = ""
    margin: Decimal = ZERO
    bound: Bound | None = None


PASSED = Limited(verdict=Verdict.PASS)


def cut(margin: Decimal, reason: str, bound: Bound | None = None) -> Limited:
    """Go on with less margin."""
    return Limited(verdict=Verdict.CUT, reason=reason, margin=margin, bound=bound)


def hold(reason: str) -> Limited:
    """Order nothing: the position is left as it is, and nothing is recorded."""
    return Limited(verdict=Verdict.HOLD, reason=reason)


def refuse(reason: str, bound: Bound | None = None) -> Limited:
    """Order nothing: a recorded refusal."""
    return Limited(verdict=Verdict.REFUSE, reason=reason, bound=bound)


Limiter = Callable[[EntryRequest, Decimal], Limited]
"""Judges an entry, given the margin that the limiters before it left."""
