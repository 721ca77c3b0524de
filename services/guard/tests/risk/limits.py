"""Limits that the tests of the risk rules share."""

from decimal import Decimal

from sep_guard.domain.risk.limits import BreakerAction, RiskLimits

LIMITS = RiskLimits(
    max_daily_loss=Decimal("0.02"),
    max_drawdown=Decimal("0.06"),
    max_turnover=Decimal(60),
    max_entries_per_hour=12,
    max_equal_rejects=3,
    max_stops_per_day=3,
    max_loss_per_trade=Decimal("0.005"),
    max_leverage=Decimal(20),
    max_currency_leverage=Decimal(10),
    price_collar_bps=Decimal(30),
    lock_minutes=60,
    breaker_action=BreakerAction.HALT,
)
