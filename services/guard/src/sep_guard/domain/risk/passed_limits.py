"""Limits that the entries of one cycle would have passed, and what follows from that."""

from dataclasses import dataclass, replace

from sep_guard.domain.actions import Action, Kind
from sep_guard.domain.checks import Refusal
from sep_guard.domain.risk.breaker import Trip, trip_of_turnover
from sep_guard.domain.risk.limits import LimitName
from sep_guard.domain.risk.locks import LockCause, Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedLimits:
    """The breaker's trip and the locks that follow from refused entries.

    Only an entry that nothing else refused counts: one that would not have been sent anyway
    has passed no limit.
    """

    trip: Trip | None = None
    triggers: tuple[Trigger, ...] = ()

    def after(self, action: Action, now_ms: int) -> "PassedLimits":
        """What follows once this action is decided."""
        if action.kind is not Kind.REFUSAL:
            return self
        if _only(action, Refusal.RISK_TURNOVER) and self.trip is None:
            bound = next((b for b in action.bounds if b.limit is LimitName.TURNOVER), None)
            if bound is not None:
                return replace(self, trip=trip_of_turnover(bound.observed, bound.allowed, now_ms))
        if _only(action, Refusal.RISK_ORDER_RATE):
            return replace(self, triggers=(*self.triggers, _order_rate(action)))
        return self


def _only(action: Action, reason: Refusal) -> bool:
    """Whether an entry was refused for this reason, and passed every other check."""
    others = [c for c in action.checks if not c.passed and c.reason is not reason]
    return action.kind is Kind.REFUSAL and reason in action.reasons and not others


def _order_rate(action: Action) -> Trigger:
    check = next(c for c in action.checks if c.reason is Refusal.RISK_ORDER_RATE)
    return Trigger(
        instrument=action.instrument,
        cause=LockCause.ORDER_RATE,
        reason=f"{check.observed}, {check.allowed} allowed",
    )
