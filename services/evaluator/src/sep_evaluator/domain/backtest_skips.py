"""What lets the backtest's loop skip bars without a look at each: marks of bars, quiet prices."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from sep_evaluator.domain.backtest_state import Directions
from sep_evaluator.domain.jit import jit
from sep_evaluator.domain.kernel_loops import RUPTURE, STABILITY
from sep_evaluator.domain.kernel_tables import Floats, Ints

Marks = npt.NDArray[np.uint8]

# Bits of a bar's mark.
CLOSES, BROKEN, UP, DOWN = 1, 2, 4, 8

NO_MARKS: Marks = np.empty(0, np.uint8)
NO_BARS: Ints = np.empty(0, np.int64)


@jit
def fill_marks(
    start: int,
    stop: int,
    direction: Directions,
    closing: Any,
    figures: Floats,
    rule: Any,
    marks: Marks,
    possible: Ints,
) -> int:
    """Mark the bars ``start .. stop-1`` for all rules of one direction and rupture limits.

    Args:
        marks: shape (n,), n being stop or more.
        possible: gets the bars at which such a rule may enter; room for stop - start.

    Returns:
        The number of possible entries.
    """
    rupture, stability = figures[RUPTURE], figures[STABILITY]
    max_rupture, min_stability = rule.max_rupture, rule.min_stability
    for t in range(start, stop):
        broken = (rupture[t] > max_rupture) | (stability[t] < min_stability)
        marks[t] = (
            CLOSES * np.uint8(closing[t])
            + BROKEN * np.uint8(broken)
            + UP * np.uint8(direction[t] > 0)
            + DOWN * np.uint8(direction[t] < 0)
        )
    count = 0
    for t in range(start, stop):
        possible[count] = t
        count += int((marks[t] == UP) | (marks[t] == DOWN))
    return count


@jit
def quiet_prices(
    side: int, entry: float, realised: float, peak: float, drawdown: float
) -> tuple[float, float]:
    """The prices between which an open position changes neither peak nor drawdown.

    The mark to market is monotone in the price, rounding included. What holds for two prices
    therefore holds for all between them, and for the two it is tried. The range is empty where
    there are none.
    """
    one = entry * (1.0 + side * (peak - realised))
    other = entry * (1.0 + side * (peak - drawdown - realised))
    margin = 1e-15 * entry  # more than what rounding moves them
    least, most = min(one, other) + margin, max(one, other) - margin
    for price in (least, most):
        marked = realised + side * (price / entry - 1.0)
        if not (marked <= peak and peak - marked <= drawdown):
            return math.inf, -math.inf
    return least, most
