"""Coherence status: the last window against the live thresholds, and whether it is fresh."""

from dataclasses import dataclass

from sep_fx.freshness import age_of

from sep_evaluator.domain.kernel import WindowFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Figures of the last complete window; ``ended_ms`` is when its bar ended."""

    figures: WindowFigures
    ended_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Thresholds of an entry, each in [0, 1]."""

    min_coherence: float
    max_rupture: float
    max_entropy: float
    min_stability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessLimits:
    """Maximum age of a fresh signal and of a fresh live manifold, in seconds."""

    signal_s: float
    manifold_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One metric against its threshold; ``comparison`` is ">=" or "<="."""

    name: str
    value: float
    threshold: float
    comparison: str

    @property
    def passed(self) -> bool:
        """Whether the metric meets its threshold."""
        if self.comparison == ">=":
            return self.value >= self.threshold
        return self.value <= self.threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class CoherenceStatus:
    """Status of one instrument; ages in seconds, None without a signal or a manifold."""

    instrument: str
    figures: WindowFigures | None
    checks: tuple[Check, ...]
    signal_age_s: float | None
    manifold_age_s: float | None
    fresh: bool

    @property
    def passed(self) -> bool:
        """Whether there is a fresh window and every check passes."""
        return bool(self.checks) and self.fresh and all(c.passed for c in self.checks)


def coherence_status(
    instrument: str,
    reading: Reading | None,
    manifold_ms: int | None,
    thresholds: Thresholds,
    limits: FreshnessLimits,
    now_ms: int,
) -> CoherenceStatus:
    """Check the last window against the thresholds.

    Args:
        reading: the last complete window, None without a signal.
        manifold_ms: time of the live manifold's price, None without a manifold.
    """
    signal = age_of(reading.ended_ms if reading else None, now_ms, limits.signal_s)
    manifold = age_of(manifold_ms, now_ms, limits.manifold_s)
    return CoherenceStatus(
        instrument=instrument,
        figures=reading.figures if reading else None,
        checks=_checks(reading.figures, thresholds) if reading else (),
        signal_age_s=signal.seconds,
        manifold_age_s=manifold.seconds,
        fresh=signal.fresh and manifold.fresh,
    )


def _checks(figures: WindowFigures, thresholds: Thresholds) -> tuple[Check, ...]:
    return (
        Check(
            name="coherence",
            value=figures.coherence,
            threshold=thresholds.min_coherence,
            comparison=">=",
        ),
        Check(
            name="rupture", value=figures.rupture, threshold=thresholds.max_rupture, comparison="<="
        ),
        Check(
            name="entropy", value=figures.entropy, threshold=thresholds.max_entropy, comparison="<="
        ),
        Check(
            name="stability",
            value=figures.stability,
            threshold=thresholds.min_stability,
            comparison=">=",
        ),
    )
