"""Changes of breaker and locks, as they are recorded and logged."""

from dataclasses import dataclass
from enum import StrEnum

from sep_guard.domain.risk.breaker import Trip
from sep_guard.domain.risk.equity import EquityState
from sep_guard.domain.risk.locks import Lock


class RiskEventKind(StrEnum):
    """What happened."""

    BREAKER_TRIPPED = "BREAKER_TRIPPED"
    BREAKER_ACKNOWLEDGED = "BREAKER_ACKNOWLEDGED"
    LOCKED = "LOCKED"
    UNLOCKED = "UNLOCKED"
    BASELINE_STARTED = "BASELINE_STARTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskEvent:
    """One change.

    Attributes:
        cause: name of the limit, or why else; empty for an acknowledgement.
        instrument: empty where the whole account is meant.
        reason: for people, with the figures.
        actor: who did it; ``guard`` or ``breaker`` for a limit.
    """

    id: str
    ts_ms: int
    kind: RiskEventKind
    cause: str
    instrument: str
    reason: str
    actor: str


def tripped(event_id: str, trip: Trip) -> RiskEvent:
    """The breaker has tripped."""
    return RiskEvent(
        id=event_id,
        ts_ms=trip.ts_ms,
        kind=RiskEventKind.BREAKER_TRIPPED,
        cause=trip.cause,
        instrument="",
        reason=trip.reason,
        actor="breaker",
    )


def baseline_started(event_id: str, equity: EquityState) -> RiskEvent:
    """The day's loss, or the drawdown as well, is measured from a new baseline."""
    return RiskEvent(
        id=event_id,
        ts_ms=equity.read_ms,
        kind=RiskEventKind.BASELINE_STARTED,
        cause="",
        instrument="",
        reason=f"daily loss is measured from NAV {equity.day_nav:f}, "
        f"drawdown from its peak {equity.peak_nav:f}",
        actor="guard",
    )


def acknowledged(event_id: str, trip: Trip, reason: str, actor: str, now_ms: int) -> RiskEvent:
    """A person has acknowledged the breaker."""
    return RiskEvent(
        id=event_id,
        ts_ms=now_ms,
        kind=RiskEventKind.BREAKER_ACKNOWLEDGED,
        cause=trip.cause,
        instrument="",
        reason=reason,
        actor=actor,
    )


def locked(event_id: str, lock: Lock) -> RiskEvent:
    """An instrument is locked."""
    return RiskEvent(
        id=event_id,
        ts_ms=lock.since_ms,
        kind=RiskEventKind.LOCKED,
        cause=lock.cause,
        instrument=lock.instrument,
        reason=lock.reason,
        actor=lock.actor,
    )


def unlocked(event_id: str, instrument: str, reason: str, actor: str, now_ms: int) -> RiskEvent:
    """A person has lifted an instrument's locks."""
    return RiskEvent(
        id=event_id,
        ts_ms=now_ms,
        kind=RiskEventKind.UNLOCKED,
        cause="",
        instrument=instrument,
        reason=reason,
        actor=actor,
    )
