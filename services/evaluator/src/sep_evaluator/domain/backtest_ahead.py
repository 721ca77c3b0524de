"""A run over bars that are known beforehand, shown bar by bar as if it grew.

The run never looks ahead, so what it holds at a bar does not depend on the bars after it. A replay
therefore lets the compiled loops pass over many bars at once, and reads each bar's state out of
the finished columns: the same figures to the bit as from a run that is extended bar by bar.
"""

from bisect import bisect_left

import numpy as np
from sep_fx.bars import Bars
from sep_fx.sessions import SessionCalendar

from sep_evaluator.domain.backtest import DAY, StrictSpanRun
from sep_evaluator.domain.backtest_state import SESSION, Record
from sep_evaluator.domain.costs import NO_COSTS, Costs
from sep_evaluator.domain.kernel import WindowMetrics
from sep_evaluator.domain.kernel_tables import Floats, Ints
from sep_evaluator.domain.params import StrategyParams
from sep_evaluator.domain.spans import SpanSummary, nesting_faults

_FLAT = (0, 0, 0)
_MOST = 16_384  # bars read at once


class AheadRun(StrictSpanRun):
    """A ``StrictSpanRun`` that has read on, up to where its anchor moves.

    ``extend`` takes the bars of ``ahead`` in their order, and before the first of them older ones.
    Everything that can be read belongs to the bars taken so far.

    Args:
        ahead: the bars that ``extend`` will be given, in time order.
    """

    def __init__(
        self,
        ahead: Bars,
        params: StrategyParams,
        granularity_s: int,
        instrument: str,
        calendar: SessionCalendar,
        exit_minutes: float,
        *,
        long_run_days: int | None = None,
        costs: Costs = NO_COSTS,
    ) -> None:
        self._ahead = ahead
        self._read = self._taken = self._shown = 0
        self._closed: Ints = np.zeros(0, np.int64)
        self._falls: Floats = np.zeros(0)
        super().__init__(
            params, granularity_s, instrument, calendar, exit_minutes,
            long_run_days=long_run_days, costs=costs,
        )  # fmt: skip

    def extend(self, bars: Bars) -> None:
        """Take the next bars of ``ahead``, or, before the first of them, older ones.

        Raises:
            ValueError: they are neither, or one of those read is invalid.
        """
        end = self._taken + len(bars)
        if np.array_equal(self._ahead.time[self._taken : end], bars.time):
            self._taken = end
            while self._read < end:
                rest = self._ahead.slice(self._read, self._read + _MOST)
                count = max(1, self.fitting(rest.time))
                self._append(rest.slice(0, count))
                self._read += count
        elif self._read:
            raise ValueError(f"{self.instrument}: the bars are not the next of those ahead")
        else:
            self._append(bars)
        self._shown = len(self._columns) - (self._read - self._taken)

    def _append(self, bars: Bars) -> None:
        self._shown = len(self._columns)
        super().extend(bars)
        self._index()

    def _index(self) -> None:
        """By bar: how many trades are closed, and the largest fall since the run's beginning."""
        trades, equity = super().trades, super().equity
        # An exit with the session has the time of its bar's end, all others that of its start.
        starts = trades["exit_time"] - self.granularity_s * (trades["reason"] == SESSION)
        self._closed = np.searchsorted(starts, super().times, "right")
        peak = np.maximum(np.maximum.accumulate(equity), 0.0)
        self._falls = np.maximum.accumulate(peak - equity)

    def __len__(self) -> int:
        return self._shown

    @property
    def watermark(self) -> int | None:
        """Start of the last bar in seconds, None before the first."""
        return int(super().times[self._shown - 1]) if self._shown else None

    @property
    def trades(self) -> Record:
        """Closed trades in time order."""
        return super().trades[: self._trades_closed]

    @property
    def equity(self) -> Floats:
        """Mark-to-market curve at the end of each bar, in return units, shape (n,)."""
        return super().equity[: self._shown]

    @property
    def metrics(self) -> WindowMetrics:
        """Window metrics of every bar."""
        return WindowMetrics.from_rows(self._kernel.block[:, : self._shown])

    @property
    def times(self) -> Ints:
        """Start of every bar, seconds, shape (n,)."""
        return super().times[: self._shown]

    @property
    def mid(self) -> Floats:
        """Mid of every bar's close, shape (n,)."""
        return super().mid[: self._shown]

    @property
    def position(self) -> int:
        """Side of the open position: 1, -1, or 0 without one."""
        return self._open_position()[0]

    def summary(self, days: int | None = None) -> SpanSummary:
        """Summary of the trades entered in the last ``days`` days of the data; None for all."""
        closed, trades = self._trades_closed, super().trades
        watermark = self.watermark
        if watermark is None:
            return SpanSummary.of(0, 0, 0.0, 0.0)
        pnl, wins = self._totals(closed)
        if days is None:
            return SpanSummary.of(closed, wins, pnl, float(self._falls[self._shown - 1]))
        since = watermark + self.granularity_s - days * DAY
        first = bisect_left(trades["entry_time"], since, 0, closed)
        if first < closed:
            entered = int(trades["entry_index"][first])
        else:
            side, entry_time, entered = self._open_position()
            if side == 0 or entry_time < since:
                return SpanSummary.of(0, 0, 0.0, 0.0)
        before, wins_before = self._totals(first)
        if first:
            pnl, wins = pnl - before, wins - wins_before
        drawdown = self._drawdowns.drawdown_from(self.equity, entered - 1)
        return SpanSummary.of(closed - first, wins, pnl, drawdown)

    def integrity(self) -> list[str]:
        """Faults of the slices; the times increase, since ``extend`` refuses others."""
        return nesting_faults(self.spans(), self.summary())

    @property
    def _trades_closed(self) -> int:
        return int(self._closed[self._shown - 1]) if self._shown else 0

    def _totals(self, closed: int) -> tuple[float, int]:
        """Realised returns and wins of the first trades."""
        if not closed:
            return 0.0, 0
        last = super().trades[closed - 1]
        return float(last["realised"]), int(last["wins"])

    def _open_position(self) -> tuple[int, int, int]:
        """Side, entry time and entry index of the open position; side 0 without one."""
        trades, closed = super().trades, self._trades_closed
        # What is open here is closed by the next trade, or was still open where reading stopped.
        record = trades[closed] if closed < len(trades) else self._book[0]
        side, entered = int(record["side"]), int(record["entry_index"])
        if side == 0 or entered >= self._shown:
            return _FLAT
        return side, int(record["entry_time"]), entered
