"""The evaluator's own backtest over one tape, with its trades and its curve.

The kernel, the loop and the session rules are those that judge live instruments, so that what is
found here is what the gates will see.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sep_evaluator.domain.backtest import price_columns
from sep_evaluator.domain.backtest_loop import advance, fill_direction
from sep_evaluator.domain.backtest_skips import NO_BARS, NO_MARKS, Marks, fill_marks
from sep_evaluator.domain.backtest_state import TRADE_DTYPE, Prices, Record, new_book, rules_of
from sep_evaluator.domain.cost_records import record_of, rollovers_of
from sep_evaluator.domain.costs import NO_COSTS, Costs
from sep_evaluator.domain.kernel import figure_rows
from sep_evaluator.domain.kernel_loops import COHERENCE
from sep_evaluator.domain.params import StrategyParams
from sep_fx.bars import Bars
from sep_fx.sessions import MarketCalendar, SessionCalendar

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What all instruments of a sweep share.

    Attributes:
        granularity_s: length of a bar in seconds.
        exit_minutes: positions are closed this long before a session closes.
    """

    granularity_s: int
    calendar: MarketCalendar
    exit_minutes: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """The backtest of one parameter set: trades in time order, and the curve at each bar's end."""

    trades: Record
    equity: Floats


class TapeBacktest:
    """Runs parameter sets over the bars of one instrument; window metrics are computed once."""

    def __init__(
        self, instrument: str, bars: Bars, market: Market, costs: Costs = NO_COSTS
    ) -> None:
        self._cost, self._rollovers = record_of(costs)[0], rollovers_of(costs)
        self.time: Ints = np.ascontiguousarray(bars.time)
        self._prices: Prices = price_columns(bars)
        self._mid = bars.mid
        self._figures = figure_rows(self._mid)
        ends = self.time + market.granularity_s
        left = SessionCalendar(market.calendar).seconds_to_close(instrument, ends)
        self._closing = left <= market.exit_minutes * 60
        self._granularity_s = market.granularity_s
        self._direction = np.empty(len(bars), np.int8)
        self._directed: tuple[float, float] | None = None
        self._marks: Marks = np.empty(len(bars), np.uint8)
        self._possible: Ints = np.empty(len(bars), np.int64)
        self._entries = 0
        self._marked: tuple[float, ...] | None = None
        # At most one trade closes per bar; untouched memory costs nothing.
        self._trades = np.empty(len(bars) + 1, TRADE_DTYPE)

    def run(self, params: StrategyParams, *, with_equity: bool) -> Outcome:
        """The outcome of one parameter set.

        Args:
            with_equity: whether to fill the curve; otherwise it has length 0.
        """
        rule, count = rules_of(params)[0], len(self.time)
        directed = (params.direction_lookback, params.dir_threshold_bps)
        if directed != self._directed:
            fill_direction(0, count, self._mid, self._figures[COHERENCE], rule, self._direction)
            self._directed = directed
        marks, possible = NO_MARKS, NO_BARS
        if not with_equity:
            marks, possible = self._skips(
                rule, (*directed, params.max_rupture, params.min_stability)
            )
        book = new_book()
        equity = np.empty(count if with_equity else 0)
        advance(
            0, count, self.time, self._prices, self._mid, self._figures, self._direction,
            self._closing, self._granularity_s, rule, book, self._trades, equity,
            self._cost, self._rollovers, marks, possible,
        )  # fmt: skip
        return Outcome(self._trades[: int(book["trades"][0])].copy(), equity)

    def _skips(self, rule: Any, marked: tuple[float, ...]) -> tuple[Marks, Ints]:
        """What lets the loop skip bars; sets that share ``marked`` share it."""
        if marked != self._marked:
            self._entries = fill_marks(
                0, len(self.time), self._direction, self._closing, self._figures, rule,
                self._marks, self._possible,
            )  # fmt: skip
            self._marked = marked
        return self._marks, self._possible[: self._entries]


def with_costs(bars: Bars, factor: float) -> Bars:
    """The bars with their spread multiplied, around the same mids."""
    columns = {}
    for point in "ohlc":
        bid, ask = getattr(bars, f"bid_{point}"), getattr(bars, f"ask_{point}")
        mid, half = (bid + ask) / 2, (ask - bid) / 2 * factor
        columns[f"bid_{point}"], columns[f"ask_{point}"] = mid - half, mid + half
    return Bars(time=bars.time, volume=bars.volume, **columns)
