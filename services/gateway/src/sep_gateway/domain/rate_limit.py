"""How long a request must wait to stay within a rate limit (GCRA, a leaky bucket)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """At most ``burst`` requests at once, and ``per_second`` on average."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """``wait_s`` is how long to wait; pass ``next_at`` to the next ``reserve``."""

    wait_s: float
    next_at: float


def reserve(limit: RateLimit, next_at: float, now: float) -> Reservation:
    """Reserve the next slot.

    Args:
        next_at: ``next_at`` of the previous reservation; 0 for the first.
        now: seconds of a monotonic clock.
    """
    interval = 1.0 / limit.per_second
    at = max(next_at, now)
    wait = max(0.0, at - now - (limit.burst - 1) * interval)
    return Reservation(wait_s=wait, next_at=at + interval)
