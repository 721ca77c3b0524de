"""The risk limits in force, and their names on the API."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class LimitName(StrEnum):
    """Name of a limit in ``GET /api/risk/limits``, metrics, locks and the breaker's reason."""

    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"
    TURNOVER = "turnover"
    ORDER_RATE = "order_rate"
    REJECTS = "rejects"
    STOP_OUTS = "stop_outs"
    LOSS_AT_STOP = "loss_at_stop"
    LEVERAGE = "leverage"
    CURRENCY = "currency"
    REFERENCE_PRICE = "reference_price"


class BreakerAction(StrEnum):
    """What happens to open positions when the breaker trips."""

    HALT = "halt"
    FLATTEN = "flatten"


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """Limits on live results. Shares are fractions: 0.02 is 2 %.

    Attributes:
        max_daily_loss: loss since 17:00 New York, as a share of NAV then; above it the
            breaker trips.
        max_drawdown: fall of NAV from its peak since the last acknowledgement.
        max_turnover: value opened since 17:00 New York, in NAVs.
        max_entries_per_hour: entries of one instrument in any hour.
        max_equal_rejects: equal rejects or cancels in a row that lock an instrument.
        max_stops_per_day: stop-outs since 17:00 New York that lock an instrument.
        max_loss_per_trade: loss of a position at its stop, as a share of NAV.
        max_leverage: gross position value in NAVs.
        max_currency_leverage: net exposure in any single currency, in NAVs.
        price_collar_bps: distance of a quote from its reference prices, in basis points;
            six times the bar's volatility where that is wider.
        lock_minutes: length of the first lock; it doubles each time the cause returns
            within a day.
        breaker_action: what the breaker does beside engaging the kill switch.
    """

    max_daily_loss: Decimal
    max_drawdown: Decimal
    max_turnover: Decimal
    max_entries_per_hour: int
    max_equal_rejects: int
    max_stops_per_day: int
    max_loss_per_trade: Decimal
    max_leverage: Decimal
    max_currency_leverage: Decimal
    price_collar_bps: Decimal
    lock_minutes: int
    breaker_action: BreakerAction
