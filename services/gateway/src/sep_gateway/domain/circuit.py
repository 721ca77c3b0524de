"""Circuit breaker: after repeated failures, stop asking a dead broker for a while.

closed → (``FAILURES_TO_OPEN`` in a row) → open → (time passes) → one probe →
closed when it succeeds, open for twice as long when it fails.
"""

from dataclasses import dataclass

FAILURES_TO_OPEN = 5
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 5.0


@dataclass(frozen=True, slots=True)
class Circuit:
    """``failures`` in a row; ``blocked_until`` is when the next request may pass."""

    failures: int = 0
    blocked_until: float = 0.0

    def is_open(self, now: float) -> bool:
        """Whether requests are refused now."""
        return self.failures >= FAILURES_TO_OPEN and now < self.blocked_until

    def admitted(self, now: float) -> "Circuit":
        """After a request passed: while failing it is the one probe, others wait for it."""
        if self.failures < FAILURES_TO_OPEN:
            return self
        return Circuit(self.failures, now + self._pause())

    def succeeded(self) -> "Circuit":
        """After an answer."""
        return Circuit()

    def failed(self, now: float) -> "Circuit":
        """After no answer, or one that the broker itself is broken."""
        counted = Circuit(self.failures + 1)
        if counted.failures < FAILURES_TO_OPEN:
            return counted
        return Circuit(counted.failures, now + counted._pause())

    def _pause(self) -> float:
        doublings = min(self.failures - FAILURES_TO_OPEN, 10)
        return min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** max(0, doublings))
