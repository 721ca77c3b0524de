"""Whether a replica does the work that its lease is for."""

from collections.abc import Callable, Sequence

from sep_kit.loop import PeriodicLoop

GRACE_S = 30.0
"""Shortest time without success after which a holder yields."""


class HolderHealth:
    """Judges a replica by its vital loops.

    A loop may go three intervals, and at least 30 s, without success. That time begins anew when
    the replica acquires the lease, so that a new holder gets it too.

    Args:
        elapsed: the monotonic clock that the loops use.
    """

    def __init__(self, elapsed: Callable[[], float], grace_s: float = GRACE_S) -> None:
        self._elapsed = elapsed
        self._grace_s = grace_s
        self._loops: Sequence[PeriodicLoop] = ()
        self._began: float | None = None
        self._acquired = float("-inf")

    def acquired(self) -> None:
        """The replica has acquired the lease."""
        self._acquired = self._elapsed()

    def begun(self, loops: Sequence[PeriodicLoop]) -> None:
        """The service is prepared, and these loops run from now on."""
        self._loops, self._began = loops, self._elapsed()

    def works(self) -> bool:
        """Whether it works. One that is not prepared yet does so only as a new holder."""
        now = self._elapsed()
        if self._began is None:
            return now - self._acquired <= self._grace_s
        since = max(self._began, self._acquired)
        return all(
            now - max(since, loop.succeeded_at or since) <= max(3 * loop.interval_s, self._grace_s)
            for loop in self._loops
        )
