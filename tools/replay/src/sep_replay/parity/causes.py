"""Why a live day differs from its replay: one cause for each reason of the guard and the broker."""

from collections.abc import Iterable
from enum import StrEnum


class Cause(StrEnum):
    """What a difference is put down to."""

    DATA = "data"
    GATE = "gate"
    SIGNAL = "signal"
    SIZE = "size"
    PRICE = "price"
    TIMING = "timing"
    OPERATOR = "operator"
    BROKER = "broker"
    LIMIT = "limit"
    UNEXPLAINED = "unexplained"


# By the names of `Refusal`; a test holds that none is missing.
REFUSALS = {
    "SIGNAL_STALE": Cause.DATA,
    "MANIFOLD_STALE": Cause.DATA,
    "WEIGHTS_STALE": Cause.DATA,
    "PRICE_STALE": Cause.DATA,
    "VIEW_STALE": Cause.DATA,
    "TRADE_UNREADABLE": Cause.DATA,
    "RISK_UNREADABLE": Cause.DATA,
    "KILL_SWITCH": Cause.OPERATOR,
    "READ_ONLY": Cause.OPERATOR,
    "LIVE_TRADING_DISABLED": Cause.OPERATOR,
    "MANUAL_POSITION": Cause.OPERATOR,
    "LOCKED_BY_HAND": Cause.OPERATOR,
    "SECOND_WRITER": Cause.OPERATOR,
    "RISK_FOREIGN_CLOSE": Cause.OPERATOR,
    "NOT_TRADEABLE": Cause.BROKER,
    "BROKER_LINK": Cause.BROKER,
    "ORDER_UNKNOWN": Cause.BROKER,
    "ACCOUNT_KIND": Cause.BROKER,
    "STOP_MISSING": Cause.BROKER,
    "NOT_LISTED": Cause.BROKER,
    "RISK_REJECTS": Cause.BROKER,
    "NO_WEIGHT": Cause.GATE,
    "COHERENCE_LOW": Cause.SIGNAL,
    "RUPTURE_HIGH": Cause.SIGNAL,
    "ENTROPY_HIGH": Cause.SIGNAL,
    "STABILITY_LOW": Cause.SIGNAL,
    "NO_DIRECTION": Cause.SIGNAL,
    "MARGIN_GATE": Cause.LIMIT,
    "BREAKER_TRIPPED": Cause.LIMIT,
    "RISK_TURNOVER": Cause.LIMIT,
    "RISK_ORDER_RATE": Cause.LIMIT,
    "RISK_STOP_OUTS": Cause.LIMIT,
    "RISK_LOSS_AT_STOP": Cause.LIMIT,
    "RISK_LEVERAGE": Cause.LIMIT,
    "RISK_CURRENCY": Cause.LIMIT,
    "SPREAD_WIDE": Cause.PRICE,
    "STOP_TOO_CLOSE": Cause.PRICE,
    "RISK_REFERENCE_PRICE": Cause.PRICE,
    "SESSION_CLOSED": Cause.TIMING,
    "NEAR_CLOSE": Cause.TIMING,
    "ENTRY_COOLDOWN": Cause.TIMING,
}

# By the guard's reason of an exit; by the broker's where the guard decided none.
EXITS = {
    "WEIGHT_GONE": Cause.GATE,
    "REVERSAL": Cause.SIGNAL,
    "RUPTURE": Cause.SIGNAL,
    "EXIT_BEFORE_CLOSE": Cause.TIMING,
    "EXIT_BEFORE_WEEKEND": Cause.TIMING,
    "DELISTED": Cause.BROKER,
    "MARGIN_CLOSEOUT_NEAR": Cause.BROKER,
    "MARGIN_OVER_CEILING": Cause.LIMIT,
    "MARGIN_OVER_CAP": Cause.LIMIT,
    "OVER_INSTRUMENT_CAP": Cause.LIMIT,
    "OVER_TOTAL_CAP": Cause.LIMIT,
    "REBALANCE": Cause.SIZE,
    "FLATTEN": Cause.OPERATOR,
    "STOP_LOSS_ORDER": Cause.PRICE,
    "TRAILING_STOP_LOSS_ORDER": Cause.PRICE,
    "GUARANTEED_STOP_LOSS_ORDER": Cause.PRICE,
    "TAKE_PROFIT_ORDER": Cause.PRICE,
    "MARKET_ORDER": Cause.OPERATOR,
    "MARKET_ORDER_TRADE_CLOSE": Cause.OPERATOR,
    "MARKET_ORDER_POSITION_CLOSEOUT": Cause.OPERATOR,
    "LIMIT_ORDER": Cause.OPERATOR,
    "STOP_ORDER": Cause.OPERATOR,
    "MARKET_IF_TOUCHED_ORDER": Cause.OPERATOR,
    "MARKET_ORDER_MARGIN_CLOSEOUT": Cause.BROKER,
    "MARKET_ORDER_DELAYED_TRADE_CLOSE": Cause.BROKER,
}

# What stands further up in the loop, or stops all of it, explains what follows from it.
_PRECEDENCE = (
    Cause.DATA,
    Cause.OPERATOR,
    Cause.BROKER,
    Cause.GATE,
    Cause.SIGNAL,
    Cause.LIMIT,
    Cause.PRICE,
    Cause.TIMING,
)


def cause_of_refusal(reasons: Iterable[str]) -> Cause:
    """The cause of a refusal; the breaker engages the kill switch, so that it comes first."""
    found = set(reasons)
    if "BREAKER_TRIPPED" in found:
        found.discard("KILL_SWITCH")
    causes = {REFUSALS[reason] for reason in found if reason in REFUSALS}
    return next((cause for cause in _PRECEDENCE if cause in causes), Cause.UNEXPLAINED)


def cause_of_exit(reason: str) -> Cause:
    """The cause of an exit."""
    return EXITS.get(reason, Cause.UNEXPLAINED)
