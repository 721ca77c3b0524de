"""StrategyEngine: which way a position should stand, and when it must go."""

from dataclasses import dataclass
from enum import StrEnum

from sep_fx.instants import is_fresh

from sep_guard.domain.limits import EntryLimits
from sep_guard.domain.market import Market, Weights


class Cause(StrEnum):
    """Why a position is wanted, kept or left."""

    DIRECTION = "DIRECTION"
    HOLD = "HOLD"
    REBALANCE = "REBALANCE"
    EXIT_BEFORE_CLOSE = "EXIT_BEFORE_CLOSE"
    WEIGHT_GONE = "WEIGHT_GONE"
    REVERSAL = "REVERSAL"
    RUPTURE = "RUPTURE"


@dataclass(frozen=True, slots=True)
class Stance:
    """``side`` is 1 long, -1 short, 0 out."""

    side: int
    cause: Cause


def stance(
    market: Market, weights: Weights | None, side: int, limits: EntryLimits, now_ms: int
) -> Stance:
    """The stance to take, given the side held now (0 when flat).

    Weights that are missing or held never close a position: nobody has said that the
    instrument lost its weight.
    """
    signal = market.signal
    weight = weights.by_instrument.get(market.instrument.name) if weights else None
    if side == 0:
        return Stance(signal.direction if signal and weight else 0, Cause.DIRECTION)
    if market.session.near_close(now_ms // 1000, limits.exit_minutes) or _left_over(market):
        return Stance(0, Cause.EXIT_BEFORE_CLOSE)
    if weights is not None and not weights.held and not weight:
        return Stance(0, Cause.WEIGHT_GONE)
    if signal is not None and is_fresh(signal.ended_ms, limits.max_signal_age_s, now_ms):
        if signal.direction == -side:
            return Stance(0, Cause.REVERSAL)
        if signal.rupture > limits.max_rupture or signal.stability < limits.min_stability:
            return Stance(0, Cause.RUPTURE)
    return Stance(side, Cause.HOLD)


def _left_over(market: Market) -> bool:
    """Whether a session ended over an open position, and the broker would still close it."""
    return not market.session.open and market.quote is not None and market.quote.tradeable
