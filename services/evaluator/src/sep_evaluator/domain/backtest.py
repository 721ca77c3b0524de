"""The strict-span backtest: one long run per instrument, from which every slice is cut."""

import math
from bisect import bisect_left
from zlib import crc32

import numpy as np
from sep_fx.bars import Bars
from sep_fx.instants import format_seconds
from sep_fx.sessions import SessionCalendar

from sep_evaluator.domain.backtest_grid import first_fault
from sep_evaluator.domain.backtest_loop import advance, fill_direction
from sep_evaluator.domain.backtest_skips import NO_BARS, NO_MARKS
from sep_evaluator.domain.backtest_state import (
    TRADE_DTYPE,
    BarColumns,
    Prices,
    Record,
    new_book,
    rules_of,
)
from sep_evaluator.domain.cost_records import record_of, rollovers_of
from sep_evaluator.domain.costs import NO_COSTS, Costs
from sep_evaluator.domain.drawdown import DrawdownTree
from sep_evaluator.domain.kernel import KernelStream, WindowMetrics, momentum
from sep_evaluator.domain.kernel_loops import COHERENCE
from sep_evaluator.domain.kernel_tables import Floats, Ints
from sep_evaluator.domain.params import StrategyParams
from sep_evaluator.domain.spans import SPAN_DAYS, SpanSummary, nesting_faults

DAY = 86_400
_ANCHOR_STEPS = 10  # the anchor moves by this fraction of the long run


def price_columns(bars: Bars) -> Prices:
    """Bid then ask open, high, low, close, contiguous, each of shape (n,)."""
    columns = (
        bars.bid_o, bars.bid_h, bars.bid_l, bars.bid_c,
        bars.ask_o, bars.ask_h, bars.ask_l, bars.ask_c,
    )  # fmt: skip
    return tuple(np.ascontiguousarray(column) for column in columns)


class StrictSpanRun:
    """One instrument's run over its history; it grows bar by bar and never looks ahead.

    ``extend`` takes time proportional to the new bars, ``summary`` logarithmic in the history.
    The results do not depend on how the bars are split into ``extend`` calls.

    With ``long_run_days`` the run is anchored. It begins with the first bar at or after the
    anchor: the latest multiple of a tenth of the long run that lies at least one long run
    before the end of the data. The multiples are shifted by a hash of the instrument's name, so
    that instruments do not rebuild at the same time. The run thus holds between 1 and 1.1
    long runs of history. When the anchor moves, older bars are dropped and the run is rebuilt.
    The anchor depends only on the end of the data: a restarted replica that loads at least 1.1
    long runs of bars gets the same results.

    Args:
        params: parameters of the strategy.
        granularity_s: length of a bar, seconds.
        instrument: selects the sessions of the calendar.
        calendar: restricts trading to sessions, unless it is always open.
        exit_minutes: an open position is closed this long before its session closes.
        long_run_days: length of the history in days; None for all of it.
        costs: beside the spread of the bars.
    """

    def __init__(
        self,
        params: StrategyParams,
        granularity_s: int,
        instrument: str,
        calendar: SessionCalendar,
        exit_minutes: float,
        *,
        long_run_days: int | None = None,
        costs: Costs = NO_COSTS,
    ) -> None:
        self.params = params
        self.granularity_s = granularity_s
        self.instrument = instrument
        self._calendar = calendar
        self._exit_s = exit_minutes * 60
        self._long_run_s = None if long_run_days is None else long_run_days * DAY
        self._rule = rules_of(params)[0]
        self._cost, self._rollovers = record_of(costs)[0], rollovers_of(costs)
        self._columns = BarColumns()
        self._kernel = KernelStream()
        self._times_checked = 0
        self._times_increase = True
        self._reset()

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def watermark(self) -> int | None:
        """Start of the last bar in seconds, None before the first."""
        return int(self._columns.time[-1]) if len(self) else None

    @property
    def last_index(self) -> int:
        """Index of the last bar in the run, -1 before the first."""
        return len(self) - 1

    @property
    def trades(self) -> Record:
        """Closed trades in time order, a structured array of ``TRADE_DTYPE``.

        ``entry_time`` and ``exit_time`` in seconds, ``side`` 1 or -1, ``ret`` a share of
        the notional, ``reason`` an index into ``REASONS``.
        """
        return self._trades[: self._count]

    @property
    def equity(self) -> Floats:
        """Mark-to-market curve at the end of each bar, in return units, shape (n,)."""
        return self._columns.equity

    @property
    def metrics(self) -> WindowMetrics:
        """Window metrics of every bar of the run."""
        return self._kernel.metrics

    @property
    def times(self) -> Ints:
        """Start of every bar, seconds, shape (n,)."""
        return self._columns.time

    @property
    def mid(self) -> Floats:
        """Mid of every bar's close, shape (n,)."""
        return self._kernel.mid

    @property
    def position(self) -> int:
        """Side of the open position: 1, -1, or 0 without one."""
        return int(self._book["side"][0])

    @property
    def momentum(self) -> tuple[float, int]:
        """Slope in basis points (NaN before the lookback) and direction at the last bar."""
        lookback = self.params.direction_lookback
        if len(self) <= lookback:
            return math.nan, 0
        tail = slice(len(self) - lookback - 1, None)
        slope, direction = momentum(self.mid[tail], self.metrics.coherence[tail], self.params)
        return float(slope[-1]), int(direction[-1])

    def extend(self, bars: Bars) -> None:
        """Append the bars that follow the last one; the run is unchanged if this raises.

        Raises:
            ValueError: a bar's time does not increase, or one of its prices is not finite
                and above zero; the message names the bar.
        """
        if not len(bars):
            return
        time, prices = np.ascontiguousarray(bars.time), price_columns(bars)
        self._check(time, prices)
        first = len(self)
        dropped = self._past_anchor(time)
        if dropped:
            existing = min(dropped, first)
            self._columns.drop(existing)
            self._kernel.drop(existing)
            rest = slice(dropped - existing, None)
            bars = bars.slice(dropped - existing, len(bars))
            time, prices = time[rest], tuple(column[rest] for column in prices)
            self._reset()
            first = 0
        ends = time + self.granularity_s
        closing = self._calendar.seconds_to_close(self.instrument, ends) <= self._exit_s
        self._columns.append(time, prices, closing)
        self._kernel.extend(bars.mid)
        self._advance(first)

    def summary(self, days: int | None = None) -> SpanSummary:
        """Summary of the trades entered in the last ``days`` days of the data; None for all."""
        book = self._book[0]
        if days is None or not len(self):
            return SpanSummary.of(
                int(book["trades"]), int(book["wins"]), float(book["realised"]),
                float(book["drawdown"]),
            )  # fmt: skip
        since = int(self._columns.time[-1]) + self.granularity_s - days * DAY
        trades = self.trades
        first = bisect_left(trades["entry_time"], since)
        if first < self._count:
            entered = int(trades["entry_index"][first])
        elif book["side"] != 0 and book["entry_time"] >= since:
            entered = int(book["entry_index"])  # open: in the curve, but not yet a trade
        else:
            return SpanSummary.of(0, 0, 0.0, 0.0)
        pnl, wins = float(book["realised"]), int(book["wins"])
        if first:
            pnl -= float(trades["realised"][first - 1])
            wins -= int(trades["wins"][first - 1])
        # There is no position at the bar before the entry: there the slice's curve is 0.
        drawdown = self._drawdowns.drawdown_from(self.equity, entered - 1)
        return SpanSummary.of(self._count - first, wins, pnl, drawdown)

    def spans(self) -> dict[int, SpanSummary]:
        """The slices of 14, 30, 60 and 90 days, all cut from this run."""
        return {days: self.summary(days) for days in SPAN_DAYS}

    def integrity(self) -> list[str]:
        """Faults of the slices; empty if they are consistent.

        ``extend`` refuses bars whose time does not increase, so a fault here means that the
        run itself is broken.
        """
        time = self._columns.time
        fresh = time[max(self._times_checked - 1, 0) :]
        self._times_increase &= bool(np.all(fresh[1:] > fresh[:-1]))
        self._times_checked = len(time)
        faults = [] if self._times_increase else ["the candles' times do not strictly increase"]
        return faults + nesting_faults(self.spans(), self.summary())

    def _check(self, time: Ints, prices: Prices) -> None:
        last = self.watermark
        fault = first_fault(time, prices, -(2**62) if last is None else last)
        if fault < 0:
            return
        name = f"{self.instrument} bar {fault} at {format_seconds(int(time[fault]))}"
        before = last if fault == 0 else int(time[fault - 1])
        if before is not None and time[fault] <= before:
            raise ValueError(f"{name} does not come after {format_seconds(before)}")
        raise ValueError(f"{name} has a price that is not finite and above 0")

    def fitting(self, time: Ints) -> int:
        """How many bars that start at ``time``, in order, can follow before the anchor moves."""
        if self._long_run_s is None or not len(time):
            return len(time)
        first = self._columns.time[0] if len(self._columns) else time[0]
        return int(np.searchsorted(self._anchors(time, self._long_run_s), first, "right"))

    def _anchors(self, time: Ints, long_run_s: int) -> Ints:
        """The anchor that each bar would set if it were the last one."""
        step = max(long_run_s // _ANCHOR_STEPS, 1)
        shift = crc32(self.instrument.encode()) % step
        anchors: Ints = (time + self.granularity_s - long_run_s - shift) // step * step + shift
        return anchors

    def _past_anchor(self, time: Ints) -> int:
        """How many of the oldest bars, existing and new together, lie before the anchor."""
        if self._long_run_s is None:
            return 0
        anchor = self._anchors(time[-1:], self._long_run_s)[0]
        existing = self._columns.time
        past = int(np.searchsorted(existing, anchor, "left"))
        return past if past < len(existing) else past + int(np.searchsorted(time, anchor, "left"))

    def _reset(self) -> None:
        self._book = new_book()
        self._trades = np.empty(256, TRADE_DTYPE)
        self._count = 0
        self._drawdowns = DrawdownTree()
        self._times_checked = 0

    def _advance(self, first: int) -> None:
        columns = self._columns
        count = len(columns)
        # At most one trade closes per bar. Untouched capacity takes no memory.
        needed = self._count + count - first
        if needed > len(self._trades):
            trades = np.empty(max(needed, 2 * len(self._trades)), TRADE_DTYPE)
            trades[: self._count] = self._trades[: self._count]
            self._trades = trades
        mid, figures = self._kernel.mid, self._kernel.block
        fill_direction(first, count, mid, figures[COHERENCE], self._rule, columns.direction)
        advance(
            first, count, columns.time, columns.prices, mid, figures, columns.direction,
            columns.closing, self.granularity_s, self._rule, self._book, self._trades,
            columns.equity, self._cost, self._rollovers, NO_MARKS, NO_BARS,
        )  # fmt: skip
        self._count = int(self._book["trades"][0])
        self._drawdowns.extend_to(columns.equity)
