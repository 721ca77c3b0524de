"""Signals and manifolds out of a run: the kernel's figures as records."""

import math

import numpy as np
from sep_fx.instants import NS_PER_SECOND
from sep_kit.store.records import (
    BracketRecord,
    CoeffsRecord,
    ManifoldRecord,
    MetricsRecord,
    SignalRecord,
)

from sep_evaluator.domain.backtest import StrictSpanRun
from sep_evaluator.domain.kernel import FIRST_WINDOW, live_window, momentum
from sep_evaluator.domain.live_price import LivePrice
from sep_evaluator.domain.params import StrategyParams


def newest_signals(run: StrictSpanRun, count: int) -> list[SignalRecord]:
    """Signals of the run's last ``count`` bars, oldest first; bars without a window have none."""
    first = max(len(run) - count, FIRST_WINDOW)
    if first >= len(run):
        return []
    metrics, times, mid = run.metrics, run.times, run.mid
    back = max(first - run.params.direction_lookback, 0)
    slope, direction = momentum(mid[back:], metrics.coherence[back:], run.params)
    return [
        SignalRecord.model_validate(
            {
                "ts_ns": int(times[i]) * NS_PER_SECOND,
                "price": float(mid[i]),
                "metrics": MetricsRecord(
                    coherence=metrics.coherence[i],
                    stability=metrics.stability[i],
                    entropy=metrics.entropy[i],
                    rupture=metrics.rupture[i],
                ),
                "coeffs": {"sigma_eff": metrics.sigma_eff[i], "lambda": metrics.hazard[i]},
                "slope_bps": None if math.isnan(slope[i - back]) else float(slope[i - back]),
                "direction": int(direction[i - back]),
                "bracket": _bracket(run.params, float(mid[i]), float(metrics.sigma_eff[i])),
            }
        )
        for i in range(first, len(run))
    ]


def live_manifold(run: StrictSpanRun, price: LivePrice) -> ManifoldRecord | None:
    """The live manifold: complete candles and the live mid as a provisional last bar.

    A price that the last complete candle already holds adds no bar. None before the
    first window.
    """
    watermark = run.watermark
    if watermark is None:
        return None
    end_ms = (watermark + run.granularity_s) * 1000
    provisional = [float(price.mid)] if price.ts_ms >= end_ms else []
    tail = np.concatenate([run.mid[-(FIRST_WINDOW + 1) :], provisional])
    if len(tail) <= FIRST_WINDOW:
        return None
    figures = live_window(tail[-(FIRST_WINDOW + 1) :])
    return ManifoldRecord(
        instrument=run.instrument,
        ts_ms=price.ts_ms,
        price=f"{price.mid.normalize():f}",
        metrics=MetricsRecord.model_validate(figures, from_attributes=True),
        coeffs=CoeffsRecord.model_validate(
            {"sigma_eff": figures.sigma_eff, "lambda": figures.hazard}
        ),
    )


def _bracket(params: StrategyParams, mid: float, sigma_eff: float) -> BracketRecord | None:
    stop = params.bracket_sigma_k * sigma_eff * math.sqrt(params.bracket_horizon_bars) * mid
    profit = stop * params.reward_risk
    if not (stop > 0 and profit > 0):
        return None
    widest = stop / params.min_stop_spreads if params.min_stop_spreads else None
    return BracketRecord(stop_distance=stop, take_profit_distance=profit, max_spread=widest)
