"""Settings of the guard: reconciling, margin gate, spread limit and the kill switch's seed."""

import math
from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import Field
from sep_kit.settings.fields import Knobs, Seconds
from sep_kit.settings.relations import Relation
from sep_kit.settings.shared.allocation import AllocationKnobs
from sep_kit.settings.shared.safety import HaltKnobs, OandaEnvironment
from sep_kit.settings.shared.thresholds import ThresholdKnobs
from sep_kit.settings.stack import StackSettings

from sep_guard.domain.limits import EntryLimits, GuardLimits, PortfolioLimits
from sep_guard.domain.risk.limits import BreakerAction, RiskLimits

Percent = Annotated[Decimal, Field(gt=0, lt=100)]
Multiple = Annotated[Decimal, Field(gt=0, le=100_000)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]


class RiskKnobs(Knobs):
    """Guard: limits on live results, breaker and locks."""

    relations: ClassVar[tuple[Relation, ...]] = (
        Relation(
            names=("risk_max_daily_loss_pct", "risk_max_drawdown_pct"),
            holds=lambda day, peak: day <= peak,
            sentence="the drawdown trips the breaker before the day's loss does; allow it more",
        ),
        Relation(
            names=("risk_max_loss_per_trade_pct", "risk_max_daily_loss_pct"),
            holds=lambda trade, day: trade <= day,
            sentence="one stop-out would pass the day's limit; allow a position less",
        ),
    )

    risk_max_daily_loss_pct: Percent = Decimal(2)
    """Loss since 17:00 New York, in percent of NAV then, at which the breaker trips."""
    risk_max_drawdown_pct: Percent = Decimal(6)
    """Fall of NAV from its peak, in percent, at which the breaker trips."""
    risk_max_turnover_x: Multiple = Decimal(60)
    """Value opened since 17:00 New York, in NAVs, beyond which the breaker trips."""
    risk_max_entries_per_hour: Count = 12
    """Entries of one instrument in an hour; one more locks it."""
    risk_max_equal_rejects: Count = 3
    """Equal rejects or cancels by the broker in a row that lock an instrument."""
    risk_max_stops_per_day: Count = 3
    """Stop-outs of an instrument since 17:00 New York that lock it."""
    risk_max_loss_per_trade_pct: Percent = Decimal("0.5")
    """Loss of a position at its stop, in percent of NAV; an entry is cut down to it."""
    risk_max_leverage: Multiple = Decimal(20)
    """Gross position value in NAVs; an entry is cut down to it."""
    risk_max_currency_leverage: Multiple = Decimal(10)
    """Net exposure in any single currency in NAVs; an entry is cut down to it."""
    risk_price_collar_bps: Annotated[Decimal, Field(gt=0, lt=10_000)] = Decimal(30)
    """Basis points from candle or manifold beyond which a quote is not traded on, or 6 sigma."""
    risk_lock_minutes: Annotated[int, Field(ge=1, le=1440)] = 60
    """Length of an instrument's first lock; it doubles when the cause returns within a day."""
    risk_breaker_action: BreakerAction = BreakerAction.HALT
    """`halt` engages the kill switch when the breaker trips, `flatten` closes positions too."""

    def risk_limits(self) -> RiskLimits:
        """The limits as the domain reads them: percent become shares."""
        return RiskLimits(
            max_daily_loss=self.risk_max_daily_loss_pct / 100,
            max_drawdown=self.risk_max_drawdown_pct / 100,
            max_turnover=self.risk_max_turnover_x,
            max_entries_per_hour=self.risk_max_entries_per_hour,
            max_equal_rejects=self.risk_max_equal_rejects,
            max_stops_per_day=self.risk_max_stops_per_day,
            max_loss_per_trade=self.risk_max_loss_per_trade_pct / 100,
            max_leverage=self.risk_max_leverage,
            max_currency_leverage=self.risk_max_currency_leverage,
            price_collar_bps=self.risk_price_collar_bps,
            lock_minutes=self.risk_lock_minutes,
            breaker_action=self.risk_breaker_action,
        )


class GuardSettings(RiskKnobs, AllocationKnobs, ThresholdKnobs, HaltKnobs, StackSettings):
    """Guard: kill switch, spread limit, reconciling and margin gate."""

    relations: ClassVar[tuple[Relation, ...]] = (
        Relation(
            names=("margin_hyst_low", "margin_hyst_high"),
            holds=lambda low, high: low <= high,
            sentence="low must not exceed high",
            always=True,
        ),
        Relation(
            names=("pm_reconcile_sec", "session_exit_minutes"),
            holds=lambda cycle, minutes: minutes == 0 or cycle <= minutes * 60 / 2,
            sentence="a cycle must fit twice into the minutes before a session ends",
        ),
        Relation(
            names=("pm_reconcile_sec", "gates_blob_max_age_sec"),
            holds=lambda cycle, age: cycle < age,
            sentence="managed units expire before they are written anew; reconcile more often",
        ),
        Relation(
            names=("risk_alloc_target_pct", "margin_hyst_high"),
            holds=lambda target, high: target <= high,
            sentence="the margin gate closes before the target is reached; close it later",
        ),
        Relation(
            names=("kill_switch_force_env", "kill_switch"),
            holds=lambda force, engaged: engaged or not force,
            sentence="the environment can force the kill switch on, never off",
        ),
    )

    kill_switch: bool = True
    """Seeds `ops:kill_switch` where it is absent; afterwards only the API changes it."""
    kill_switch_force_env: bool = False
    """`1`: each start engages the kill switch, whatever is stored, while KILL_SWITCH is 1."""
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

    @property
    def live_allowed(self) -> bool:
        """Whether orders may be sent to the configured account."""
        return self.oanda_environment is not OandaEnvironment.LIVE or self.live_trading_enabled

    @property
    def _ramp_s(self) -> float:
        """Cycles from nothing to the cap of one instrument and one to spare, in seconds."""
        cap = min(Decimal(1) / self.alloc_top_k, self.pm_max_per_pos_pct)
        return (math.ceil(cap / self.pm_ramp_step_pct) + 1) * self.pm_reconcile_sec

    def limits(self) -> GuardLimits:
        """The limits that decisions are checked against."""
        return GuardLimits(
            entry=EntryLimits(
                min_coherence=self.guard_min_coherence,
                max_rupture=self.auto_max_rupture,
                max_entropy=self.auto_max_entropy,
                min_stability=self.auto_min_stability,
                max_signal_age_s=self.max_bar_age_s,
                max_manifold_age_s=self.fresh_max_ws_age_sec,
                max_weights_age_s=self.gates_blob_max_age_sec,
                max_spread_bps=self.max_spread_bps,
                exit_minutes=self.session_exit_minutes,
                bar_s=self.candle_granularity.seconds,
            ),
            portfolio=PortfolioLimits(
                top_k=self.alloc_top_k,
                target_pct=self.risk_alloc_target_pct,
                max_per_position_pct=self.pm_max_per_pos_pct,
                ramp_step_pct=self.pm_ramp_step_pct,
                rebalance_band=self.pm_rebalance_band,
                margin_low=self.margin_hyst_low,
                margin_high=self.margin_hyst_high,
                adopt_manual=self.pm_adopt_manual,
                ramp_s=self._ramp_s,
            ),
            risk=self.risk_limits(),
        )
