"""The output of a cycle: one action per instrument, in the order they are carried out."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sep_guard.domain.budget import NO_CAPACITY, Budget, Capacity
from sep_guard.domain.entry_checks import Check
from sep_guard.domain.market import ZERO


class Kind(StrEnum):
    """What a decision does with an instrument."""

    HOLD = "HOLD"
    ENTRY = "ENTRY"
    REDUCTION = "REDUCTION"
    REFUSAL = "REFUSAL"
    MANUAL = "MANUAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Brackets:
    """Prices sent with an entry; a fill beyond ``price_bound`` is cancelled by the broker."""

    stop_loss: Decimal
    take_profit: Decimal
    price_bound: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A decision on one instrument.

    Units are signed. ``margin`` is what the order takes (below 0: frees) in home currency;
    ``capacity`` is what the portfolio left for this decision.
    """

    instrument: str
    kind: Kind
    current: Decimal
    target: Decimal
    order: Decimal
    reasons: tuple[str, ...]
    checks: tuple[Check, ...] = ()
    brackets: Brackets | None = None
    margin: Decimal = ZERO
    capacity: Capacity = NO_CAPACITY


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The actions of a cycle in the order they are carried out, reductions first."""

    actions: tuple[Action, ...]
    budget: Budget
    margin_open: bool
    utilisation: Decimal
