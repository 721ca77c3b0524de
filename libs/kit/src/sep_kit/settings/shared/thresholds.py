"""Metric thresholds of an entry: the guard enforces them, the evaluator reports on them."""

from pydantic import Field

from sep_kit.settings.fields import Knobs, Share


class ThresholdKnobs(Knobs):
    """Metric thresholds of an entry, for guard and evaluator."""

    guard_min_coherence: float = Field(0.55, ge=0.55, le=1, allow_inf_nan=False)
    """Lowest coherence of an entry."""
    auto_max_rupture: Share = 0.60
    """Highest rupture of an entry; above it a position is closed."""
    auto_max_entropy: Share = 0.75
    """Highest entropy of an entry."""
    auto_min_stability: Share = 0.40
    """Lowest stability of an entry; below it a position is closed."""
