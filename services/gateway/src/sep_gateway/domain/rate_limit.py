"""How long a request must wait so that a rate is never passed (GCRA, a leaky bucket)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most ``burst`` at once, and ``per_second`` in the long run."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """A place in the queue: wait so many seconds, and hand ``next_at`` to the next one."""

    wait_s: float
    next_at: float


def reserve(limit: RateLimit, next_at: float, now: float) -> Reservation:
    """Reserve the next place.

    Args:
        next_at: what the reservation before gave; 0 for the first.
        now: seconds of a clock that never runs backwards.
    """
    interval = 1.0 / limit.per_second
    at = max(next_at, now)
    wait = max(0.0, at - now - (limit.burst - 1) * interval)
    return Reservation(wait, at + interval)
