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
                self.guard_min_coherence,
                self.auto_max_rupture,
                self.auto_max_entropy,
                self.auto_min_stability,
                self.fresh_max_signal_age_sec,
                self.fresh_max_ws_age_sec,
                self.gates_blob_max_age_sec,
                self.max_spread_bps,
                self.session_exit_minutes,
            ),
            PortfolioLimits(
                self.alloc_top_k,
                self.risk_alloc_target_pct,
                self.pm_max_per_pos_pct,
                self.pm_ramp_step_pct,
                self.pm_rebalance_band,
                self.margin_hyst_low,
                self.margin_hyst_high,
                self.pm_adopt_manual,
            ),
        )
