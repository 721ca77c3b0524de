"""StrategyEngine: the side a position should be on, and when it must be closed."""

from enum import StrEnum
from typing import NamedTuple

from sep_fx.instants import is_fresh

from sep_guard.domain.cooldowns import may_exit_by_signal
from sep_guard.domain.limits import EntryLimits
from sep_guard.domain.market import Market
from sep_guard.domain.thresholds import in_force
from sep_guard.domain.view import View

MIN_EXIT_MINUTES = 5.0
"""Least time before the end of the FX week at which positions are closed."""


class Cause(StrEnum):
    """Why a position is opened, held, resized or closed."""

    DIRECTION = "DIRECTION"
    HOLD = "HOLD"
    REBALANCE = "REBALANCE"
    EXIT_BEFORE_CLOSE = "EXIT_BEFORE_CLOSE"
    WEIGHT_GONE = "WEIGHT_GONE"
    REVERSAL = "REVERSAL"
    RUPTURE = "RUPTURE"
    EXIT_BEFORE_WEEKEND = "EXIT_BEFORE_WEEKEND"
    DELISTED = "DELISTED"
    MARGIN_OVER_CEILING = "MARGIN_OVER_CEILING"
    MARGIN_OVER_CAP = "MARGIN_OVER_CAP"
    MARGIN_CLOSEOUT_NEAR = "MARGIN_CLOSEOUT_NEAR"


class TargetSide(NamedTuple):
    """``side`` is 1 for long, -1 for short, 0 for flat."""

    side: int
    cause: Cause


def target_side(view: View, market: Market, side: int, limits: EntryLimits) -> TargetSide:
    """The side to be on, given the side held now (0 when flat).

    Missing or held weights never close a position: neither means that the instrument lost
    its weight.
    """
    signal = market.signal
    weight = view.weight(market.instrument.name)
    if side == 0:
        return TargetSide(signal.direction if signal and weight else 0, Cause.DIRECTION)
    exit_cause = _exit_cause(view, market, side, limits)
    return TargetSide(side, Cause.HOLD) if exit_cause is None else TargetSide(0, exit_cause)


def _exit_cause(view: View, market: Market, side: int, limits: EntryLimits) -> Cause | None:
    signal, weights, now_ms = market.signal, view.weights, view.now_ms
    forced = _forced_exit(market, now_ms, limits)
    if forced is not None:
        return forced
    if weights is not None and not weights.held and not view.weight(market.instrument.name):
        return Cause.WEIGHT_GONE
    if signal is None or not is_fresh(signal.ended_ms, limits.max_signal_age_s, now_ms):
        return None
    return _signal_exit(view, market, side, limits)


def _signal_exit(view: View, market: Market, side: int, limits: EntryLimits) -> Cause | None:
    signal, limits = market.signal, in_force(limits, market.signal)
    if signal is None or not may_exit_by_signal(view, market, limits):
        return None
    if signal.direction == -side:
        return Cause.REVERSAL
    if signal.rupture > limits.max_rupture or signal.stability < limits.min_stability:
        return Cause.RUPTURE
    return None


def _forced_exit(market: Market, now_ms: int, limits: EntryLimits) -> Cause | None:
    """An exit that no signal is asked for."""
    if not market.listed:
        return Cause.DELISTED
    if near_week_end(market, now_ms, limits):
        return Cause.EXIT_BEFORE_WEEKEND
    near = market.session.near_close(now_ms // 1000, limits.exit_minutes)
    return Cause.EXIT_BEFORE_CLOSE if near or _left_over(market) else None


def near_week_end(market: Market, now_ms: int, limits: EntryLimits) -> bool:
    """Whether the FX week ends within the exit window, or is over and the broker still trades.

    Holds whatever the session gating says.
    """
    closes = market.week_closes_s
    if closes is None:
        return False
    left = closes - now_ms // 1000
    if left > 0:
        return left <= max(limits.exit_minutes, MIN_EXIT_MINUTES) * 60
    return market.quote is not None and market.quote.tradeable


def _left_over(market: Market) -> bool:
    """Whether a session ended with the position open and the broker still trades it."""
    return not market.session.open and market.quote is not None and market.quote.tradeable
