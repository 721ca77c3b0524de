"""Figures of trades within windows: daily results, and slices as the gates judge them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sep_evaluator.domain.backtest_state import Record
from sep_evaluator.domain.spans import SpanSummary

from sep_research.backtests import Outcome
from sep_research.folds import DAY

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MIN_TRADES = 10
"""Fewer trades than the gates' own floor are no evidence."""

NO_EVIDENCE = float("-inf")


@dataclass(frozen=True, slots=True)
class Days:
    """The days on which a tape has bars, as days since the epoch, ascending."""

    numbers: Ints

    @classmethod
    def of(cls, time: Ints) -> "Days":
        """The days of bar starts, ascending."""
        numbers = time // DAY
        return cls(numbers[np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1))])

    def within(self, windows: Sequence[tuple[int, int]]) -> npt.NDArray[np.bool_]:
        """Which days begin in any window ``[from, to)``, seconds."""
        starts = self.numbers * DAY
        found = np.zeros(len(starts), np.bool_)
        for since, until in windows:
            # A window need not begin at midnight; its first day counts from there.
            found |= (starts + DAY > since) & (starts < until)
        return found

    def results(self, trades: Record) -> Floats:
        """Return of each day: the sum of the trades closed on it, shape (days,)."""
        at = np.searchsorted(self.numbers, (trades["exit_time"] - 1) // DAY)
        at = np.minimum(at, len(self.numbers) - 1)
        daily = np.bincount(at, weights=trades["ret"], minlength=len(self.numbers))
        return daily.astype(np.float64)


def inside(trades: Record, window: tuple[int, int]) -> Record:
    """The trades entered in a window and closed by its end."""
    since, until = window
    chosen = (trades["entry_time"] >= since) & (trades["exit_time"] <= until)
    return np.asarray(trades[chosen & (trades["entry_time"] < until)])


def inside_any(trades: Record, windows: Sequence[tuple[int, int]]) -> Record:
    """The trades inside one of several windows that do not overlap, in time order."""
    return np.concatenate([inside(trades, window) for window in windows])


def t_statistic(daily: Floats, trades: int) -> float:
    """Mean of daily results by its standard error; minus infinity with too few trades."""
    if trades < MIN_TRADES or len(daily) < 2:
        return NO_EVIDENCE
    deviation = float(daily.std(ddof=1))
    return float(daily.mean()) / deviation * len(daily) ** 0.5 if deviation > 0 else NO_EVIDENCE


def slice_summary(outcome: Outcome, time: Ints, window: tuple[int, int]) -> SpanSummary:
    """A window as the evaluator cuts a slice: from the bar before its first entry to its end."""
    trades = inside(outcome.trades, window)
    if not len(trades):
        return SpanSummary.of(0, 0, 0.0, 0.0)
    first = int(trades["entry_index"][0]) - 1
    past = int(np.searchsorted(time, window[1], "left"))
    curve = outcome.equity[max(first, 0) : past]
    fall = float((np.maximum.accumulate(curve) - curve).max()) if len(curve) else 0.0
    wins = int((trades["ret"] > 0).sum())
    return SpanSummary.of(len(trades), wins, float(trades["ret"].sum()), fall)
