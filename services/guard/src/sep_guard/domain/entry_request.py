"""An increase of a position on its way through the limiters, and what a limiter may answer."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sep_guard.domain.case import Case
from sep_guard.domain.market import ZERO
from sep_guard.domain.risk.exposure import Bound


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
