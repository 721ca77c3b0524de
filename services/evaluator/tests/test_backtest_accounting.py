"""The same fills booked by backtesting.py give the same profits, curve and drawdown."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from sep_evaluator.domain.backtest import StrictSpanRun
from sep_evaluator.domain.backtest_state import REASONS, SESSION
from sep_fx.bars import Bars
from sep_fx.sessions import SessionCalendar

from .candles import real_bars, walks
from .test_backtest import ALWAYS, FX, run_of

# So large that rounding to whole units changes the notional by less than 1e-10.
NOTIONAL, CASH = 1e10, 1e13

# Warnings of the other library.
pytestmark = [
    pytest.mark.filterwarnings("ignore:DatetimeIndex.dayofweek is deprecated"),
    pytest.mark.filterwarnings("ignore:Some trades remain open at the end"),
]


@dataclass(frozen=True)
class Row:
    """One row of the price series for the other library.

    ``order`` is filled at the price: 1 buys, -1 sells, 0 closes. ``bar`` is the bar that is
    marked to market at the price.
    """

    price: float
    order: int | None = None
    bar: int | None = None


def price_rows(bars: Bars, run: StrictSpanRun) -> Iterator[Row]:
    """One row per fill and one per bar end, in time order."""
    entries: dict[int, Row] = {}
    exits: dict[int, tuple[str, Row]] = {}
    for trade in run.trades:
        entries[int(trade["entry_index"])] = Row(float(trade["entry"]), int(trade["side"]))
        # A session exit has the time of its bar's end, every other exit that of its bar's start.
        began = trade["exit_time"] - run.granularity_s * (trade["reason"] == SESSION)
        at = int(np.searchsorted(bars.time, began))
        exits[at] = (REASONS[trade["reason"]], Row(float(trade["exit"]), 0))
    book = run._book[0]
    if book["side"]:
        entries[int(book["entry_index"])] = Row(float(book["entry"]), int(book["side"]))
    side = 0
    for bar in range(len(bars)):
        reason, left = exits.get(bar, ("", None))
        at_open = reason in {"reversal", "rupture"}
        if left and at_open:
            yield left
            side = 0
        if bar in entries:
            yield entries[bar]
            side = entries[bar].order or 0
        if left and not at_open:
            yield left
            side = 0
        yield Row(float((bars.ask_c if side < 0 else bars.bid_c)[bar]), bar=bar)


def booked(rows: list[Row]) -> Any:
    """The result of backtesting.py, each order filled at the open of its row."""
    # It imports bokeh, two seconds in every process that collects this file.
    from backtesting import Backtest, Strategy

    class Script(Strategy):  # type: ignore[misc]
        def init(self) -> None:
            pass

        def next(self) -> None:
            due = rows[len(self.data)] if len(self.data) < len(rows) else rows[-1]
            if due.order == 0:
                self.position.close()
            elif due.order is not None:
                size = round(NOTIONAL / due.price)
                (self.buy if due.order > 0 else self.sell)(size=size)

    prices = np.array([row.price for row in rows])
    frame = pd.DataFrame(
        dict.fromkeys(("Open", "High", "Low", "Close"), prices),
        index=pd.to_datetime(np.arange(len(rows)), unit="s"),
    )
    return Backtest(frame, Script, cash=CASH).run()


def assert_booked_alike(bars: Bars, calendar: SessionCalendar, granularity: int = 60) -> int:
    """Compare both bookings and return the number of trades."""
    run = run_of(bars, granularity=granularity, calendar=calendar)
    if not len(run.trades):
        return 0
    # No order on the first two rows: the other library ignores them.
    rows = [Row(float(bars.bid_c[0]))] * 2 + list(price_rows(bars, run))
    result = booked(rows)
    theirs, ours = result["_trades"].sort_values("EntryBar"), run.trades
    assert theirs["EntryPrice"].to_numpy() == pytest.approx(ours["entry"], rel=1e-12)
    assert theirs["ExitPrice"].to_numpy() == pytest.approx(ours["exit"], rel=1e-12)
    assert theirs["ReturnPct"].to_numpy() == pytest.approx(ours["ret"], abs=1e-12)
    equity = result["_equity_curve"]["Equity"]
    marks = [i for i, row in enumerate(rows) if row.bar is not None]
    curve = (equity.to_numpy()[marks] - CASH) / NOTIONAL
    assert curve == pytest.approx(run.equity, abs=1e-9)
    summary = run.summary()
    assert summary.trades == result["# Trades"]
    assert summary.win_rate == pytest.approx(result["Win Rate [%]"] / 100, abs=1e-12)
    assert summary.pnl_total == pytest.approx(theirs["PnL"].sum() / NOTIONAL, abs=1e-9)
    fall = (equity.cummax() - equity).max() / NOTIONAL
    assert summary.max_drawdown == pytest.approx(fall, abs=1e-9)
    return len(ours)


@pytest.mark.parametrize("calendar", [ALWAYS, FX], ids=["24x7", "fx"])
def test_real_minutes_are_booked_alike(calendar: SessionCalendar) -> None:
    bars = real_bars("NZD_USD_M1_2014-05.csv.gz").slice(0, 4000)
    assert assert_booked_alike(bars, calendar) > 10


@settings(max_examples=20)
@given(walks(3600))
def test_random_candles_are_booked_alike(bars: Bars) -> None:
    assert_booked_alike(bars, FX, granularity=3600)
