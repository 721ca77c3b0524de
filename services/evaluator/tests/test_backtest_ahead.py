"""A run that has read on shows at each bar what a run that is extended bar by bar holds."""

import numpy as np
import pytest
from sep_evaluator.domain.backtest import StrictSpanRun
from sep_evaluator.domain.backtest_ahead import AheadRun
from sep_evaluator.domain.costs import NO_COSTS, Costs
from sep_evaluator.domain.params import StrategyParams
from sep_evaluator.domain.signals import newest_signals
from sep_fx.bars import Bars
from sep_fx.sessions import MarketCalendar, SessionCalendar

from .candles import random_walk

OFTEN = StrategyParams(
    c_min=0.45, max_entropy=1.0, dir_threshold_bps=0.5, max_spread_bps=50, min_stop_spreads=0,
    bracket_horizon_bars=10,
)  # fmt: skip


def state_of(run: StrictSpanRun, days: int) -> tuple[object, ...]:
    metrics = run.metrics.at(-1)
    return (
        len(run), run.watermark, run.last_index, len(run.trades), run.trades[-1:].tolist(),
        float(run.equity[-1]), run.position, repr(metrics), repr(run.momentum),
        run.summary(), run.summary(days), run.spans(), run.integrity(),
        repr(newest_signals(run, 2)), int(run.times[0]), float(run.mid[-1]),
    )  # fmt: skip


def runs_of(
    bars: Bars, calendar: SessionCalendar, long_run_days: int | None, costs: Costs
) -> tuple[StrictSpanRun, AheadRun]:
    common = (OFTEN, 60, "EUR_USD", calendar, 5.0)
    return (
        StrictSpanRun(*common, long_run_days=long_run_days, costs=costs),
        AheadRun(bars, *common, long_run_days=long_run_days, costs=costs),
    )


COSTS = Costs(slippage_bps=0.1, financing_long_bps=0.5, financing_short_bps=-0.2, delay_sec=60)


@pytest.mark.parametrize(
    ("calendar", "long_run_days", "costs"),
    [
        (MarketCalendar.ALWAYS, 1, NO_COSTS),
        (MarketCalendar.FX, None, NO_COSTS),
        (MarketCalendar.FX, 1, COSTS),
    ],
)
def test_each_bar_shows_the_run_that_ends_there(
    calendar: MarketCalendar, long_run_days: int | None, costs: Costs
) -> None:
    bars = random_walk(11, 2000)
    plain, ahead = runs_of(bars, SessionCalendar(calendar), long_run_days, costs)
    dropped = most = 0
    for at in range(len(bars)):
        bar = bars.slice(at, at + 1)
        plain.extend(bar)
        ahead.extend(bar)
        dropped += len(plain) <= at
        most = max(most, len(plain.trades))
        assert len(ahead) == len(plain)
        # Near a trade each bar is compared, else every fifth one.
        if at % 5 == 0 or plain.position or ahead.position:
            assert state_of(ahead, 1) == state_of(plain, 1), at
    assert most > 10
    assert bool(dropped) == (long_run_days is not None)
    assert ahead.trades.tolist() == plain.trades.tolist()
    assert np.array_equal(ahead.equity, plain.equity)


def test_many_bars_at_once_are_taken_as_well() -> None:
    bars = random_walk(12, 2600)
    plain, ahead = runs_of(bars, SessionCalendar(MarketCalendar.ALWAYS), 1, NO_COSTS)
    for first, last in ((0, 900), (900, 901), (901, 2300), (2300, 2600)):
        plain.extend(bars.slice(first, last))
        ahead.extend(bars.slice(first, last))
        assert state_of(ahead, 1) == state_of(plain, 1)


def test_bars_from_before_those_ahead_may_come_first() -> None:
    bars = random_walk(14, 1300)
    calendar = SessionCalendar(MarketCalendar.ALWAYS)
    plain, ahead = runs_of(bars.slice(1000, 1300), calendar, 1, NO_COSTS)
    for first, last in ((0, 1000), *((at, at + 1) for at in range(1000, 1300))):
        plain.extend(bars.slice(first, last))
        ahead.extend(bars.slice(first, last))
        assert state_of(ahead, 1) == state_of(plain, 1)


def test_other_bars_than_those_ahead_are_refused() -> None:
    bars = random_walk(13, 100)
    _, ahead = runs_of(bars, SessionCalendar(MarketCalendar.ALWAYS), None, NO_COSTS)
    assert ahead.summary() == ahead.summary(1)
    ahead.extend(bars.slice(0, 1))
    with pytest.raises(ValueError, match="EUR_USD: the bars are not the next of those ahead"):
        ahead.extend(bars.slice(2, 3))
    assert len(ahead) == 1
