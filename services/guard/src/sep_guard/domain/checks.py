"""One condition of an entry: its result, its reason, and what it is checked on."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from sep_guard.domain.limits import EntryLimits, GuardLimits
from sep_guard.domain.market import Market
from sep_guard.domain.view import View


class Refusal(StrEnum):
    """Why an entry is refused."""

    KILL_SWITCH = "KILL_SWITCH"
    READ_ONLY = "READ_ONLY"
    LIVE_TRADING_DISABLED = "LIVE_TRADING_DISABLED"
    COHERENCE_LOW = "COHERENCE_LOW"
    RUPTURE_HIGH = "RUPTURE_HIGH"
    ENTROPY_HIGH = "ENTROPY_HIGH"
    STABILITY_LOW = "STABILITY_LOW"
    SIGNAL_STALE = "SIGNAL_STALE"
    MANIFOLD_STALE = "MANIFOLD_STALE"
    WEIGHTS_STALE = "WEIGHTS_STALE"
    NO_WEIGHT = "NO_WEIGHT"
    PRICE_STALE = "PRICE_STALE"
    SPREAD_WIDE = "SPREAD_WIDE"
    SESSION_CLOSED = "SESSION_CLOSED"
    NEAR_CLOSE = "NEAR_CLOSE"
    NOT_TRADEABLE = "NOT_TRADEABLE"
    MARGIN_GATE = "MARGIN_GATE"
    NO_DIRECTION = "NO_DIRECTION"
    STOP_TOO_CLOSE = "STOP_TOO_CLOSE"
    ENTRY_COOLDOWN = "ENTRY_COOLDOWN"
    ORDER_UNKNOWN = "ORDER_UNKNOWN"
    MANUAL_POSITION = "MANUAL_POSITION"
    BROKER_LINK = "BROKER_LINK"
    BREAKER_TRIPPED = "BREAKER_TRIPPED"
    RISK_UNREADABLE = "RISK_UNREADABLE"
    RISK_TURNOVER = "RISK_TURNOVER"
    RISK_ORDER_RATE = "RISK_ORDER_RATE"
    RISK_REJECTS = "RISK_REJECTS"
    RISK_STOP_OUTS = "RISK_STOP_OUTS"
    RISK_FOREIGN_CLOSE = "RISK_FOREIGN_CLOSE"
    RISK_LOSS_AT_STOP = "RISK_LOSS_AT_STOP"
    RISK_LEVERAGE = "RISK_LEVERAGE"
    RISK_CURRENCY = "RISK_CURRENCY"
    RISK_REFERENCE_PRICE = "RISK_REFERENCE_PRICE"
    LOCKED_BY_HAND = "LOCKED_BY_HAND"
    ACCOUNT_KIND = "ACCOUNT_KIND"
    VIEW_STALE = "VIEW_STALE"
    TRADE_UNREADABLE = "TRADE_UNREADABLE"
    STOP_MISSING = "STOP_MISSING"
    SECOND_WRITER = "SECOND_WRITER"
    NOT_LISTED = "NOT_LISTED"


class Check(NamedTuple):
    """One condition: the observed value, what is allowed, and whether it passed.

    A named tuple, since a cycle makes thousands: a frozen dataclass takes twice as long to make.
    """

    reason: Refusal
    passed: bool
    observed: str
    allowed: str


@dataclass(frozen=True, slots=True)
class Either:
    """A condition that has the same words whenever it passes, and whenever it does not."""

    passed: Check
    failed: Check

    @classmethod
    def of(cls, reason: Refusal, passed: str, failed: str) -> "Either":
        """The condition with what is observed in both cases; the first is what is allowed."""
        return cls(Check(reason, True, passed, passed), Check(reason, False, failed, passed))

    def check(self, passed: bool) -> Check:
        """The check with its result."""
        return self.passed if passed else self.failed


ViewCheck = Callable[[View, GuardLimits], tuple[Check, ...]]
"""Conditions that are the same for every instrument of a view."""

SharedChecks = Mapping[ViewCheck, tuple[Check, ...]]
"""What the conditions of a view came to: made once for all of its instruments."""


class Candidate(NamedTuple):
    """The instrument that an entry is checked for, in its view.

    ``thresholds`` are the limits of its entry, the stricter ones of its signal's parameters
    included; ``mid`` is the middle of its quote, None without one.
    """

    view: View
    market: Market
    limits: GuardLimits
    thresholds: EntryLimits
    shared: SharedChecks
    mid: Decimal | None


EntryCheck = Callable[[Candidate], Iterable[Check]]


def of_view(check: ViewCheck) -> EntryCheck:
    """The condition of a view, in a list of conditions of an instrument."""
    return lambda candidate: candidate.shared[check]


def failed(checks: tuple[Check, ...]) -> tuple[Refusal, ...]:
    """Reasons of the conditions that did not pass."""
    return tuple([c.reason for c in checks if not c.passed])
