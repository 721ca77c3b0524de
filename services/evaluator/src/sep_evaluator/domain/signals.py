"""Signals of complete bars and live manifolds, computed from a run."""

import math
from dataclasses import dataclass, fields

import numpy as np
from sep_fx.instants import NS_PER_SECOND

from sep_evaluator.domain.backtest import StrictSpanRun
from sep_evaluator.domain.kernel import FIRST_WINDOW, WindowFigures, live_window, momentum
from sep_evaluator.domain.live_price import LivePrice
from sep_evaluator.domain.params import StrategyParams


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """Distances of stop and take profit from an entry, in price units.

    ``max_spread`` is the widest spread at which the stop is still far enough away; None
    when the parameters set no limit.
    """

    stop_distance: float
    take_profit_distance: float
    max_spread: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalParams:
    """The part of the strategy's parameters that binds an entry or exit; see ``StrategyParams``."""

    c_min: float
    min_stability: float
    max_rupture: float
    max_entropy: float
    max_spread_bps: float
    entry_cooldown_sec: int
    exit_cooldown_sec: int

    @classmethod
    def of(cls, params: StrategyParams) -> "SignalParams":
        """The part of all parameters."""
        return cls(**{field.name: getattr(params, field.name) for field in fields(cls)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """The window that one complete bar ends.

    ``ts_ns`` is the start of the bar, ``price`` its closing mid. ``slope_bps`` is None before
    the direction lookback; ``bracket`` is None while the price does not move at all. ``params``
    are those that the instrument is judged by, None in signals of earlier versions.
    """

    ts_ns: int
    price: float
    figures: WindowFigures
    slope_bps: float | None
    direction: int
    bracket: Bracket | None
    params: SignalParams | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifold:
    """The live window: complete bars and a provisional last one.

    ``ts_ms`` is the time of the live price, ``price`` its mid as a decimal string.
    """

    instrument: str
    ts_ms: int
    price: str
    figures: WindowFigures


def newest_signals(run: StrictSpanRun, count: int) -> list[Signal]:
    """Signals of the run's last ``count`` bars, oldest first; bars without a window have none."""
    first = max(len(run) - count, FIRST_WINDOW)
    if first >= len(run):
        return []
    metrics, times, mid = run.metrics, run.times, run.mid
    params = SignalParams.of(run.params)
    back = max(first - run.params.direction_lookback, 0)
    slope, direction = momentum(mid[back:], metrics.coherence[back:], run.params)
    return [
        Signal(
            ts_ns=int(times[i]) * NS_PER_SECOND,
            price=float(mid[i]),
            figures=metrics.at(i),
            slope_bps=None if math.isnan(slope[i - back]) else float(slope[i - back]),
            direction=int(direction[i - back]),
            bracket=_bracket(run.params, float(mid[i]), float(metrics.sigma_eff[i])),
            params=params,
        )
        for i in range(first, len(run))
    ]


def live_manifold(run: StrictSpanRun, price: LivePrice) -> Manifold | None:
    """The live manifold, or None before the first window.

    The live mid is appended as a provisional bar, unless the last complete bar already
    contains that price.
    """
    watermark = run.watermark
    if watermark is None:
        return None
    end_ms = (watermark + run.granularity_s) * 1000
    provisional = [float(price.mid)] if price.ts_ms >= end_ms else []
    tail = np.concatenate([run.mid[-(FIRST_WINDOW + 1) :], provisional])
    if len(tail) <= FIRST_WINDOW:
        return None
    return Manifold(
        instrument=run.instrument,
        ts_ms=price.ts_ms,
        price=f"{price.mid.normalize():f}",
        figures=live_window(tail[-(FIRST_WINDOW + 1) :]),
    )


def _bracket(params: StrategyParams, mid: float, sigma_eff: float) -> Bracket | None:
    stop = params.bracket_sigma_k * sigma_eff * math.sqrt(params.bracket_horizon_bars) * mid
    profit = stop * params.reward_risk
    if not (stop > 0 and profit > 0):
        return None
    widest = stop / params.min_stop_spreads if params.min_stop_spreads else None
    return Bracket(stop_distance=stop, take_profit_distance=profit, max_spread=widest)
