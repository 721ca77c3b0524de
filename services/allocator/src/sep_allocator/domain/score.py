"""The allocation score of a window."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreWeights:
    """Weight of each metric in the score."""

    coherence: float = 0.6
    stability: float = 0.2
    rupture: float = 0.15
    entropy: float = 0.05
    hazard: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Metrics and hazard of an instrument's last window, each in [0, 1]."""

    coherence: float
    stability: float
    entropy: float
    rupture: float
    hazard: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """An instrument's last signal.

    ``sigma_eff`` is the volatility per bar; ``slope_bps`` is None before the direction lookback.
    """

    window: Window
    sigma_eff: float
    slope_bps: float | None


def score(window: Window, weights: ScoreWeights) -> float:
    """The weighted sum of the metrics: high for coherent and stable windows of low entropy."""
    return (
        weights.coherence * window.coherence
        + weights.stability * window.stability
        + weights.rupture * (1 - window.rupture)
        + weights.entropy * (1 - window.entropy)
        - weights.hazard * window.hazard
    )
