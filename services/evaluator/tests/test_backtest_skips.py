"""The loop that skips bars, as sweeps use it, against the one that looks at each, to the bit."""

from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sep_evaluator.cli.sweep import Market, sweep
from sep_evaluator.domain.backtest import StrictSpanRun
from sep_evaluator.domain.backtest_skips import quiet_prices
from sep_evaluator.domain.costs import Costs, CostTable
from sep_evaluator.domain.params import StrategyParams
from sep_fx.bars import Bars
from sep_fx.sessions import SessionCalendar

from .candles import random_walk, walks
from .test_backtest import ALWAYS, EAGER, FX

# Neighbours differ in each parameter that decides what the sets may share.
GRID = [
    EAGER,
    replace(EAGER, c_min=0.52, reward_risk=0.5),
    replace(EAGER, max_rupture=0.1),
    replace(EAGER, min_stability=0.9, bracket_sigma_k=4.0),
    replace(EAGER, direction_lookback=12, exit_cooldown_sec=900),
    replace(EAGER, dir_threshold_bps=3.0, entry_cooldown_sec=600),
    replace(EAGER, max_entropy=0.85, bracket_sigma_k=0.5),
    StrategyParams(),
]
COSTLY = Costs(slippage_bps=0.3, slippage_spreads=0.25, delay_sec=90)
FINANCED = Costs(financing_long_bps=2.0, financing_short_bps=-1.0)
LONG = random_walk(11, 13_000)  # several blocks


def assert_as_separate_runs(bars: Bars, calendar: SessionCalendar, costs: Costs) -> int:
    market = Market(
        granularity_s=60, calendar=calendar, exit_minutes=5, costs=CostTable(default=costs)
    )
    trades = 0
    for row in sweep([("EUR_USD", bars)], GRID, market, workers=1):
        run = StrictSpanRun(row.params, 60, "EUR_USD", calendar, 5, costs=costs)
        run.extend(bars)
        assert asdict(row.summary) == asdict(run.summary()), row.params
        trades += row.summary.trades
    return trades


@pytest.mark.parametrize("costs", [Costs(), COSTLY, FINANCED], ids=["none", "costly", "financed"])
@pytest.mark.parametrize("calendar", [ALWAYS, FX], ids=["always", "fx"])
def test_a_long_tape_gives_the_bits_of_separate_runs(
    calendar: SessionCalendar, costs: Costs
) -> None:
    assert assert_as_separate_runs(LONG, calendar, costs) > 100


@settings(max_examples=25, deadline=None)
@given(bars=walks(60), calendar=st.sampled_from([ALWAYS, FX]))
def test_any_tape_gives_the_bits_of_separate_runs(bars: Bars, calendar: SessionCalendar) -> None:
    assert_as_separate_runs(bars, calendar, Costs())


def moved(side: int, entry: float, realised: float, price: float, of: list[float]) -> list[float]:
    """Peak and drawdown after a mark to market."""
    marked = realised + side * (price / entry - 1.0)
    peak = max(of[0], marked)
    return [peak, max(of[1], peak - marked)]


@settings(max_examples=400, deadline=None)
@given(
    side=st.sampled_from([1, -1]),
    entry=st.floats(0.01, 1e5),
    realised=st.floats(-2, 2),
    above=st.one_of(st.just(0.0), st.floats(0, 0.5), st.floats(0, 1e-12)),
    drawdown=st.one_of(st.just(0.0), st.floats(0, 1), st.floats(0, 1e-12)),
    share=st.floats(0, 1),
)
def test_between_quiet_prices_neither_peak_nor_drawdown_moves(
    side: int, entry: float, realised: float, above: float, drawdown: float, share: float
) -> None:
    before = [realised + above, drawdown]
    least, most = quiet_prices(side, entry, realised, *before)
    if least <= most:
        between = min(max(least + share * (most - least), least), most)
        for price in (least, between, most):
            assert moved(side, entry, realised, price, before) == before


@pytest.mark.parametrize("side", [1, -1])
def test_the_quiet_range_is_reaches_the_peak_and_the_deepest_fall(side: int) -> None:
    least, most = quiet_prices(side, 2.0, 0.0, 0.01, 0.03)
    expected = (1.96, 2.02) if side > 0 else (1.98, 2.04)
    assert (least, most) == pytest.approx(expected, abs=1e-12)
