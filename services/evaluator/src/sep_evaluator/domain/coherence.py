"""Coherence status: metrics against the live thresholds, and how fresh they are."""

from dataclasses import dataclass
from typing import Protocol

from sep_fx.instants import is_fresh


class Metrics(Protocol):
    """The four metrics of a window."""

    @property
    def coherence(self) -> float: ...  # noqa: D102
    @property
    def stability(self) -> float: ...  # noqa: D102
    @property
    def entropy(self) -> float: ...  # noqa: D102
    @property
    def rupture(self) -> float: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Reading:
    """Metrics of the last complete window and when its bar ended, in ms."""

    metrics: Metrics
    ended_ms: int


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Live thresholds of an entry."""

    min_coherence: float
    max_rupture: float
    max_entropy: float
    min_stability: float


@dataclass(frozen=True, slots=True)
class FreshnessLimits:
    """Oldest signal and live manifold that count as fresh, in seconds."""

    signal_s: float
    manifold_s: float


@dataclass(frozen=True, slots=True)
class Check:
    """A metric against its threshold; ``comparison`` is ">=" or "<="."""

    name: str
    value: float
    threshold: float
    comparison: str

    @property
    def passed(self) -> bool:
        """The verdict."""
        if self.comparison == ">=":
            return self.value >= self.threshold
        return self.value <= self.threshold


@dataclass(frozen=True, slots=True)
class CoherenceStatus:
    """An instrument's status; ages in seconds, None where there is nothing."""

    instrument: str
    metrics: Metrics | None
    checks: tuple[Check, ...]
    signal_age_s: float | None
    manifold_age_s: float | None
    fresh: bool

    @property
    def passed(self) -> bool:
        """Whether everything passes."""
        return bool(self.checks) and self.fresh and all(c.passed for c in self.checks)


def coherence_status(
    instrument: str,
    reading: Reading | None,
    manifold_ms: int | None,
    thresholds: Thresholds,
    limits: FreshnessLimits,
    now_ms: int,
) -> CoherenceStatus:
    """Hold the last signal against the thresholds.

    Args:
        manifold_ms: time of the live manifold's price, None where there is none.
    """
    signal_age = None if reading is None else (now_ms - reading.ended_ms) / 1000
    manifold_age = None if manifold_ms is None else (now_ms - manifold_ms) / 1000
    fresh = (
        reading is not None
        and manifold_ms is not None
        and is_fresh(reading.ended_ms, limits.signal_s, now_ms)
        and is_fresh(manifold_ms, limits.manifold_s, now_ms)
    )
    return CoherenceStatus(
        instrument,
        reading.metrics if reading else None,
        _checks(reading.metrics, thresholds) if reading else (),
        signal_age,
        manifold_age,
        fresh,
    )


def _checks(metrics: Metrics, thresholds: Thresholds) -> tuple[Check, ...]:
    return (
        Check("coherence", metrics.coherence, thresholds.min_coherence, ">="),
        Check("rupture", metrics.rupture, thresholds.max_rupture, "<="),
        Check("entropy", metrics.entropy, thresholds.max_entropy, "<="),
        Check("stability", metrics.stability, thresholds.min_stability, ">="),
    )
