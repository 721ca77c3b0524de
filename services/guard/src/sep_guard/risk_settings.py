"""Settings of the risk limits on live results."""

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from sep_guard.domain.risk.limits import BreakerAction, RiskLimits

Percent = Annotated[Decimal, Field(gt=0, lt=100)]
Multiple = Annotated[Decimal, Field(gt=0, le=100_000)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]


class RiskKnobs(BaseModel):
    """Guard: limits on live results, breaker and locks."""

    model_config = ConfigDict(use_attribute_docstrings=True)

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
    """Distance of a quote from its last candle and live manifold beyond which nothing is entered
    or rebalanced, in basis points; six times the bar's volatility where that is wider."""
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
