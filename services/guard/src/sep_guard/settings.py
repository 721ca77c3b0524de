"""What the guard is set with."""

from sep_kit.service import StackSettings
from sep_kit.settings.knobs import (
    AllocationKnobs,
    GuardKnobs,
    OandaEnvironment,
    ThresholdKnobs,
)

from sep_guard.domain.limits import EntryLimits, GuardLimits, PortfolioLimits


class GuardSettings(AllocationKnobs, GuardKnobs, ThresholdKnobs, StackSettings):
    """The guard's settings."""

    @property
    def live_allowed(self) -> bool:
        """Whether orders may go where the broker is."""
        return self.oanda_environment is not OandaEnvironment.LIVE or self.live_trading_enabled

    def limits(self) -> GuardLimits:
        """What decisions are held against."""
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
