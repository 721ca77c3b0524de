"""The allocation score of a window."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScoreWeights:
    """Weight of each metric in the score."""

    coherence: float = 0.6
    stability: float = 0.2
    rupture: float = 0.15
    entropy: float = 0.05
    hazard: float = 0.0


@dataclass(frozen=True, slots=True)
class Window:
    """Metrics and hazard of an instrument's last window, each in [0, 1]."""

    coherence: float
    stability: float
    entropy: float
    rupture: float
    hazard: float


def score(window: Window, weights: ScoreWeights) -> float:
    """High for coherent, stable windows; entropy, rupture and hazard take off."""
    return (
        weights.coherence * window.coherence
        + weights.stability * window.stability
        + weights.rupture * (1 - window.rupture)
        + weights.entropy * (1 - window.entropy)
        - weights.hazard * window.hazard
    )
