"""Backtests are the evaluator's, and a null tape has costs and volatility, and nothing to find."""

import numpy as np
import pytest
from sep_evaluator.domain.backtest import StrictSpanRun
from sep_evaluator.domain.params import StrategyParams
from sep_fx.bars import Bars
from sep_fx.sessions import MarketCalendar, SessionCalendar
from sep_research.backtests import Market, TapeBacktest, with_costs
from sep_research.folds import DAY
from sep_research.measures import Days, inside, inside_any, slice_summary
from sep_research.null_tapes import null_tape

from .tapes import noise, trends

PARAMS = [
    StrategyParams(),
    StrategyParams(c_min=0.4, dir_threshold_bps=1.0),
    StrategyParams(c_min=0.4, direction_lookback=6, entry_cooldown_sec=600),
]


@pytest.mark.parametrize("calendar", list(MarketCalendar))
def test_trades_and_curve_are_those_of_the_evaluator_s_long_run(calendar: MarketCalendar) -> None:
    bars = trends(1440 * 10, 1)
    backtest = TapeBacktest(
        "EUR_USD", bars, Market(granularity_s=60, calendar=calendar, exit_minutes=5)
    )
    for params in PARAMS:
        run = StrictSpanRun(params, 60, "EUR_USD", SessionCalendar(calendar), 5)
        run.extend(bars)
        found = backtest.run(params, with_equity=True)
        assert len(run.trades) > 20
        np.testing.assert_array_equal(found.trades, run.trades)
        np.testing.assert_array_equal(found.equity, run.equity)


def test_a_window_at_the_end_is_the_slice_that_the_gates_judge() -> None:
    bars = trends(1440 * 20, 2)
    market = Market(granularity_s=60, calendar=MarketCalendar.ALWAYS, exit_minutes=5)
    backtest = TapeBacktest("EUR_USD", bars, market)
    run = StrictSpanRun(PARAMS[1], 60, "EUR_USD", SessionCalendar(MarketCalendar.ALWAYS), 5)
    run.extend(bars)
    found = backtest.run(PARAMS[1], with_equity=True)
    end = int(bars.time[-1]) + 60
    for days in (3, 14):
        mine, theirs = slice_summary(found, bars.time, (end - days * DAY, end)), run.summary(days)
        assert (mine.trades, mine.wins) == (theirs.trades, theirs.wins)
        assert mine.pnl_total == pytest.approx(theirs.pnl_total, abs=1e-12)
        assert mine.max_drawdown == pytest.approx(theirs.max_drawdown, abs=1e-12)


def test_every_trade_of_a_window_counts_on_one_day() -> None:
    bars = trends(1440 * 10, 3)
    market = Market(granularity_s=60, calendar=MarketCalendar.ALWAYS, exit_minutes=5)
    trades = TapeBacktest("EUR_USD", bars, market).run(PARAMS[1], with_equity=False).trades
    start = int(bars.time[0])
    windows = [(start + DAY, start + 3 * DAY), (start + 5 * DAY, start + 8 * DAY)]
    chosen = inside_any(trades, windows)
    assert len(chosen) == sum(len(inside(trades, w)) for w in windows)
    days = Days.of(bars.time)
    daily = days.results(chosen)
    assert daily.sum() == pytest.approx(float(chosen["ret"].sum()), abs=1e-12)
    assert not daily[~days.within(windows)].any()
    assert days.within(windows).sum() == 5


def test_wider_costs_leave_the_mids_alone() -> None:
    bars = noise(500, 1)
    wide = with_costs(bars, 2.0)
    np.testing.assert_allclose(wide.mid, bars.mid, rtol=1e-14)
    np.testing.assert_allclose(wide.ask_h - wide.bid_h, 2 * (bars.ask_h - bars.bid_h), rtol=1e-9)


def correlation(bars: Bars) -> float:
    """Of each hour's move with that of the hour before."""
    hourly = np.diff(np.log(bars.mid[::60]))
    return float(np.corrcoef(hourly[1:], hourly[:-1])[0, 1])


def test_a_null_tape_has_no_memory_of_where_it_went() -> None:
    bars = trends(1440 * 40, 4)
    assert correlation(bars) > 0.3
    found = [correlation(null_tape(bars, np.random.default_rng(k))) for k in range(30)]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(30) + 0.01


def test_a_null_tape_has_the_volatility_and_the_costs_of_its_original() -> None:
    calm, wild = noise(1440 * 10, 5), noise(1440 * 10, 6, size=2e-4)
    # Wild and calm halves of each day.
    morning = (calm.time // 43_200) % 2 == 0
    moves = np.where(morning, np.diff(np.log(wild.mid), prepend=np.log(1.1)),
                     np.diff(np.log(calm.mid), prepend=np.log(1.1)))  # fmt: skip
    from .tapes import tape

    bars = tape(moves)
    found = null_tape(bars, np.random.default_rng(7))
    np.testing.assert_array_equal(found.time, bars.time)
    assert np.isfinite(found.mid).all()
    sizes = np.abs(np.diff(np.log(found.mid)))
    assert np.median(sizes[morning[1:]]) > 4 * np.median(sizes[~morning[1:]])
    spread = (found.ask_c - found.bid_c) / found.mid
    assert np.median(spread) == pytest.approx(
        np.median((bars.ask_c - bars.bid_c) / bars.mid), rel=0.05
    )


def test_a_null_tape_is_a_possible_tape() -> None:
    found = null_tape(trends(3000, 8), np.random.default_rng(9))
    for side in ("bid", "ask"):
        o, h, low, c = (getattr(found, f"{side}_{p}") for p in "ohlc")
        assert (h >= np.maximum(o, c) - 1e-9).all()
        assert (low <= np.minimum(o, c) + 1e-9).all()
    assert all((getattr(found, f"ask_{p}") > getattr(found, f"bid_{p}")).all() for p in "ohlc")


def test_a_null_tape_follows_from_its_seed_alone() -> None:
    bars = trends(3000, 8)
    one, same, other = (null_tape(bars, np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.bid_c, same.bid_c)
    assert (one.bid_c != other.bid_c).any()
