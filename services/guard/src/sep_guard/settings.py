"""Settings of the guard: reconciling, margin gate, spread limit and the kill switch's seed."""

from collections.abc import Iterator
from decimal import Decimal

from pydantic import Field
from sep_kit.service import StackSettings
from sep_kit.settings.fields import Seconds
from sep_kit.settings.shared.allocation import AllocationKnobs
from sep_kit.settings.shared.safety import OandaEnvironment
from sep_kit.settings.shared.thresholds import ThresholdKnobs

from sep_guard.domain.limits import EntryLimits, GuardLimits, PortfolioLimits


class GuardSettings(AllocationKnobs, ThresholdKnobs, StackSettings):
    """Guard: kill switch, spread limit, reconciling and margin gate."""

    kill_switch: bool = True
    """Seeds `ops:kill_switch` where it is absent; afterwards only the API changes it."""
    kill_switch_force_env: bool = False
    """`1`: at start KILL_SWITCH replaces the stored state."""
    max_spread_bps: Decimal = Field(Decimal("3.0"), gt=0, le=1000)
    """Widest spread of an entry, in basis points of the mid."""
    pm_ramp_step_pct: Decimal = Field(Decimal("0.25"), gt=0, le=1)
    """Share of the budget by which an instrument's margin may grow in one reconcile cycle."""
    pm_rebalance_band: Decimal = Field(Decimal("0.10"), ge=0, lt=1)
    """No order is sent while a position is within this share of its target."""
    pm_reconcile_sec: Seconds = 30
    """Seconds between reconcile cycles."""
    pm_adopt_manual: bool = False
    """`1` manages positions that were opened by hand."""
    margin_hyst_low: Decimal = Field(Decimal("0.25"), gt=0, lt=1)
    """The margin gate opens again below this utilisation."""
    margin_hyst_high: Decimal = Field(Decimal("0.30"), gt=0, lt=1)
    """The margin gate closes at this utilisation."""

    def contradictions(self) -> Iterator[str]:
        """Faults that no single field shows."""
        if self.margin_hyst_low > self.margin_hyst_high:
            yield (
                f"MARGIN_HYST_LOW {self.margin_hyst_low} is above "
                f"MARGIN_HYST_HIGH {self.margin_hyst_high}; low must not exceed high"
            )

    @property
    def live_allowed(self) -> bool:
        """Whether orders may be sent to the configured account."""
        return self.oanda_environment is not OandaEnvironment.LIVE or self.live_trading_enabled

    def limits(self) -> GuardLimits:
        """The limits that decisions are checked against."""
        return GuardLimits(
            EntryLimits(
                min_coherence=self.guard_min_coherence,
                max_rupture=self.auto_max_rupture,
                max_entropy=self.auto_max_entropy,
                min_stability=self.auto_min_stability,
                max_signal_age_s=self.fresh_max_signal_age_sec,
                max_manifold_age_s=self.fresh_max_ws_age_sec,
                max_weights_age_s=self.gates_blob_max_age_sec,
                max_spread_bps=self.max_spread_bps,
                exit_minutes=self.session_exit_minutes,
            ),
            PortfolioLimits(
                top_k=self.alloc_top_k,
                target_pct=self.risk_alloc_target_pct,
                max_per_position_pct=self.pm_max_per_pos_pct,
                ramp_step_pct=self.pm_ramp_step_pct,
                rebalance_band=self.pm_rebalance_band,
                margin_low=self.margin_hyst_low,
                margin_high=self.margin_hyst_high,
                adopt_manual=self.pm_adopt_manual,
            ),
        )
