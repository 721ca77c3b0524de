"""Compiled passes around the loop: the check of bars, and many sets over the same bars."""

import math
from typing import Any

import numpy as np

from sep_evaluator.domain.backtest_loop import advance, fill_direction
from sep_evaluator.domain.backtest_state import Prices, Record
from sep_evaluator.domain.jit import jit
from sep_evaluator.domain.kernel_loops import COHERENCE
from sep_evaluator.domain.kernel_tables import Floats, Ints


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
    direction = np.empty(count, np.int8)
    for k in range(len(rules)):
        rule, before = rules[k], rules[max(k - 1, 0)]
        if (
            k == 0
            or rule.direction_lookback != before.direction_lookback
            or rule.dir_threshold_bps != before.dir_threshold_bps
        ):
            fill_direction(0, count, mid, figures[COHERENCE], rule, direction)
        advance(
            0, count, time, prices, mid, figures, direction, closing, granularity,
            rule, books[k : k + 1], no_trades, no_equity, cost, rollovers,
        )  # fmt: skip
