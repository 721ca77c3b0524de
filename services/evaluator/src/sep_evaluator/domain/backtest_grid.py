"""Compiled passes around the loop: the check of bars, and many sets over the same bars."""

import math
from typing import Any

import numpy as np

from sep_evaluator.domain.backtest_loop import advance, fill_direction
from sep_evaluator.domain.backtest_skips import fill_marks
from sep_evaluator.domain.backtest_state import Prices, Record
from sep_evaluator.domain.jit import jit
from sep_evaluator.domain.kernel_loops import COHERENCE
from sep_evaluator.domain.kernel_tables import Floats, Ints

_BLOCK = 4096  # bars whose columns stay in the second-level cache while all sets pass over them


@jit
def first_fault(time: Ints, prices: Prices, after: int) -> int:
    """Index of the first bar whose time does not increase or whose price is invalid, else -1."""
    for t in range(len(time)):
        if time[t] <= after:
            return t
        after = time[t]
        for column in prices:
            if not 0.0 < column[t] < math.inf:
                return t
    return -1


@jit
def run_combinations(
    time: Ints,
    prices: Prices,
    mid: Floats,
    figures: Floats,
    closing: Any,
    granularity: int,
    rules: Record,
    books: Record,
    no_trades: Record,
    no_equity: Floats,
    cost: Any,
    rollovers: Ints,
) -> None:
    """Run every parameter record over the same bars and write only the books.

    Args:
        rules, books: shape (k,); pass new books.
        no_trades, no_equity: arrays of length 0.
        cost, rollovers: as ``advance`` takes them.
    """
    count = len(time)
    direction, marks = np.empty(count, np.int8), np.empty(count, np.uint8)
    possible, entries = np.empty(_BLOCK, np.int64), 0
    for first in range(0, count, _BLOCK):
        last = min(first + _BLOCK, count)
        for k in range(len(rules)):
            rule, before = rules[k], rules[max(k - 1, 0)]
            turned = (
                k == 0
                or rule.direction_lookback != before.direction_lookback
                or rule.dir_threshold_bps != before.dir_threshold_bps
            )
            if turned:
                fill_direction(first, last, mid, figures[COHERENCE], rule, direction)
            if (
                turned
                or rule.max_rupture != before.max_rupture
                or rule.min_stability != before.min_stability
            ):
                entries = fill_marks(
                    first, last, direction, closing, figures, rule, marks, possible
                )
            advance(
                first, last, time, prices, mid, figures, direction, closing, granularity,
                rule, books[k : k + 1], no_trades, no_equity, cost, rollovers,
                marks, possible[:entries],
            )  # fmt: skip
