"""Every limit a guard decision is held against, and the controls that operators hold."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class EntryLimits:
    """Thresholds of an entry; ages in seconds."""

    min_coherence: float
    max_rupture: float
    max_entropy: float
    min_stability: float
    max_signal_age_s: float
    max_manifold_age_s: float
    max_weights_age_s: float
    max_spread_bps: Decimal
    exit_minutes: float


@dataclass(frozen=True, slots=True)
class PortfolioLimits:
    """Shares of the budget, and the margin gate's window."""

    top_k: int
    target_pct: Decimal
    max_per_position_pct: Decimal
    ramp_step_pct: Decimal
    rebalance_band: Decimal
    margin_low: Decimal
    margin_high: Decimal
    adopt_manual: bool


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """All limits."""

    entry: EntryLimits
    portfolio: PortfolioLimits


@dataclass(frozen=True, slots=True)
class Controls:
    """What operators and settings allow at this moment."""

    kill_switch: bool
    read_only: bool
    live_allowed: bool
