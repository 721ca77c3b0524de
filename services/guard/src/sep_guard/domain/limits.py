"""The limits that decisions are checked against, and the controls that operators set."""

from dataclasses import dataclass
from decimal import Decimal

from sep_guard.domain.risk.limits import RiskLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryLimits:
    """Thresholds of an entry. Ages are in seconds, ``exit_minutes`` before a session's close.

    ``bar_s`` is the length of the bars that signals are made from.
    """

    min_coherence: float
    max_rupture: float
    max_entropy: float
    min_stability: float
    max_signal_age_s: float
    max_manifold_age_s: float
    max_weights_age_s: float
    max_spread_bps: Decimal
    exit_minutes: float
    bar_s: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioLimits:
    """Limits of the whole portfolio.

    ``target_pct`` is the budget as a fraction of margin available; ``max_per_position_pct``
    and ``ramp_step_pct`` are fractions of the budget; ``rebalance_band`` is a fraction of the
    target units. The margin gate closes at a utilisation of ``margin_high`` and opens below
    ``margin_low``. ``ramp_s`` is how long an entry may take to grow to its cap, in seconds; None
    for any time.
    """

    top_k: int
    target_pct: Decimal
    max_per_position_pct: Decimal
    ramp_step_pct: Decimal
    rebalance_band: Decimal
    margin_low: Decimal
    margin_high: Decimal
    adopt_manual: bool
    ramp_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardLimits:
    """All limits."""

    entry: EntryLimits
    portfolio: PortfolioLimits
    risk: RiskLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """What operators and settings allow at this moment."""

    kill_switch: bool
    read_only: bool
    live_allowed: bool
