"""The breaker: a passed limit engages the kill switch, once, until a person acknowledges it."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class BreakerCause(StrEnum):
    """What trips the breaker: a limit, equity that no limit can be measured on, or
    fills of another writer."""

    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"
    TURNOVER = "turnover"
    EQUITY = "equity"
    BASELINE = "baseline"
    SECOND_WRITER = "second_writer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """A tripped breaker.

    Attributes:
        observed, allowed: the figures of the limit, shares or NAVs; None where equity itself
            or a stored baseline is at fault.
        reason: for people; goes into the kill switch's audit.
    """

    cause: BreakerCause
    ts_ms: int
    observed: Decimal | None
    allowed: Decimal | None
    reason: str


def trip_of_share(cause: BreakerCause, observed: Decimal, allowed: Decimal, ts_ms: int) -> Trip:
    """A trip by a limit that is a share, described in percent."""
    return Trip(
        cause=cause,
        ts_ms=ts_ms,
        observed=observed,
        allowed=allowed,
        reason=f"{cause.value} {observed * 100:.2f} % reached the limit of {allowed * 100:f} %",
    )


def trip_of_turnover(observed: Decimal, allowed: Decimal, ts_ms: int) -> Trip:
    """A trip by turnover, described in NAVs; ``observed`` includes the order that was refused."""
    return Trip(
        cause=BreakerCause.TURNOVER,
        ts_ms=ts_ms,
        observed=observed,
        allowed=allowed,
        reason=f"turnover {observed:.2f} NAVs would pass the limit of {allowed:f} NAVs",
    )


def trip_of_fault(cause: BreakerCause, fault: str, ts_ms: int) -> Trip:
    """A trip by equity or a baseline that can't be right."""
    return Trip(cause=cause, ts_ms=ts_ms, observed=None, allowed=None, reason=fault)
