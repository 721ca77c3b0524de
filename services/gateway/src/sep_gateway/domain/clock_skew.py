"""How far the broker's clock is from ours, from the times that it sends."""

from collections import deque
from dataclasses import dataclass, field
from statistics import median

from sep_fx.freshness import Freshness, age_of
from sep_fx.instants import NS_PER_MS

_NS_PER_S = 1_000_000_000
_SAMPLES = 20
_PRECISE_FOR_S = 60.0


@dataclass(slots=True)
class ClockSkew:
    """Seconds that the broker is ahead of us; the median of the newest samples.

    A stream's heartbeats carry nanoseconds. The ``Date`` header has whole seconds, and counts
    only while there are no heartbeats.
    """

    _precise: deque[float] = field(default_factory=lambda: deque(maxlen=_SAMPLES))
    _coarse: deque[float] = field(default_factory=lambda: deque(maxlen=_SAMPLES))
    _precise_at_ns: int = 0

    def heartbeat(self, broker_ns: int, now_ns: int) -> None:
        """Note the time of a heartbeat that has just arrived."""
        self._precise.append((broker_ns - now_ns) / _NS_PER_S)
        self._precise_at_ns = now_ns

    def date(self, broker_s: float, now_ns: int) -> None:
        """Note the ``Date`` of a response that has just arrived, in whole seconds."""
        # The broker cut the fraction off, which is half a second on average.
        self._coarse.append(broker_s + 0.5 - now_ns / _NS_PER_S)

    def seconds(self, now_ns: int) -> float | None:
        """The skew; None before the first sample."""
        age = age_of(
            self._precise_at_ns // NS_PER_MS,
            now_ns // NS_PER_MS,
            _PRECISE_FOR_S,
            including_limit=True,
        )
        if self._precise and age.verdict is not Freshness.STALE:
            return median(self._precise)
        return median(self._coarse) if self._coarse else None
