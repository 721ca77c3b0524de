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

WIDE = RiskLimits(
    max_daily_loss=Decimal("0.99"),
    max_drawdown=Decimal("0.99"),
    max_turnover=Decimal(100_000),
    max_entries_per_hour=1_000_000,
    max_equal_rejects=1_000_000,
    max_stops_per_day=1_000_000,
    max_loss_per_trade=Decimal("0.99"),
    max_leverage=Decimal(100_000),
    max_currency_leverage=Decimal(100_000),
    price_collar_bps=Decimal(9_999),
    lock_minutes=60,
    breaker_action=BreakerAction.HALT,
)
"""For tests of other rules: limits that nothing in them reaches."""

WIDE_SETTINGS = {
    "RISK_MAX_DAILY_LOSS_PCT": "99",
    "RISK_MAX_DRAWDOWN_PCT": "99",
    "RISK_MAX_TURNOVER_X": "100000",
    "RISK_MAX_ENTRIES_PER_HOUR": "1000000",
    "RISK_MAX_EQUAL_REJECTS": "1000000",
    "RISK_MAX_STOPS_PER_DAY": "1000000",
    "RISK_MAX_LOSS_PER_TRADE_PCT": "99",
    "RISK_MAX_LEVERAGE": "100000",
    "RISK_MAX_CURRENCY_LEVERAGE": "100000",
    "RISK_PRICE_COLLAR_BPS": "9999",
}
"""The same as settings."""
