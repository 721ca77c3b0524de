"""An increase of a position on its way through the limiters, and what a limiter may answer."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from sep_guard.domain.actions import Brackets
from sep_guard.domain.brackets import brackets_of
from sep_guard.domain.case import Case
from sep_guard.domain.market import ZERO
from sep_guard.domain.risk.exposure import Bound


class EntryRequest(NamedTuple):
    """An increase toward ``target`` signed units before any limit, and what it is made from.

    What several limiters need is computed once.

    Attributes:
        margin_per_unit: margin of one unit, above 0.
        units: units that the position would grow by.
        unit_value: value of one unit in home currency; 0 where it is unknown.
        nav: NAV, or 0 where it can't be right: then no limit allows anything.
        brackets: stop, target and worst fill of the order; None without a quote or a bracket.
        unit_loss: loss of one unit from the worst fill that the order allows; None without a
            stop.
    """

    case: Case
    target: Decimal
    margin_per_unit: Decimal
    units: Decimal
    unit_value: Decimal
    nav: Decimal
    brackets: Brackets | None
    unit_loss: Decimal | None

    @classmethod
    def of(cls, case: Case, target: Decimal, margin_per_unit: Decimal) -> "EntryRequest":
        """The request of one case."""
        nav, brackets = case.view.account.nav, brackets_of(case)
        return cls(
            case=case,
            target=target,
            margin_per_unit=margin_per_unit,
            units=abs(target) - abs(case.current),
            unit_value=case.unit_value or ZERO,
            nav=nav if nav.is_finite() and nav > 0 else ZERO,
            brackets=brackets,
            unit_loss=_unit_loss(case, brackets),
        )

    @property
    def margin(self) -> Decimal:
        """Margin that the position would grow by, in home currency."""
        return self.units * self.margin_per_unit


def _unit_loss(case: Case, brackets: Brackets | None) -> Decimal | None:
    rate = case.market.home_per_quote
    if brackets is None or rate is None:
        return None
    return (brackets.price_bound - brackets.stop_loss) * case.wanted.side * rate


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
