"""Circuit breaker: after repeated failures, requests are refused for a while.

closed → (``FAILURES_TO_OPEN`` consecutive failures) → open → (pause elapses) → one probe →
closed if it succeeds, open for twice as long if it fails.
"""

from dataclasses import dataclass

FAILURES_TO_OPEN = 5
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """``failures`` is the number of consecutive failures.

    ``blocked_until`` is when the next request may pass, in seconds of a monotonic clock.
    """

    failures: int = 0
    blocked_until: float = 0.0

    def is_open(self, now: float) -> bool:
        """Whether requests are refused now."""
        return self.failures >= FAILURES_TO_OPEN and now < self.blocked_until

    def admitted(self, now: float) -> "Circuit":
        """State after a request was let through.

        While the broker is failing, that request is the only probe; others are refused until
        it ends.
        """
        if self.failures < FAILURES_TO_OPEN:
            return self
        return Circuit(failures=self.failures, blocked_until=now + self._pause())

    def succeeded(self) -> "Circuit":
        """State after the broker responded, successfully or with a 4xx."""
        return Circuit()

    def failed(self, now: float) -> "Circuit":
        """State after no response, or a 5xx."""
        counted = Circuit(failures=self.failures + 1)
        if counted.failures < FAILURES_TO_OPEN:
            return counted
        return Circuit(failures=counted.failures, blocked_until=now + counted._pause())

    def _pause(self) -> float:
        doublings = min(self.failures - FAILURES_TO_OPEN, 10)
        return min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** max(0, doublings))
