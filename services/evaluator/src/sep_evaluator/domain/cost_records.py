"""Costs as the backtest's loop reads them; apart from their values, which settings import."""

from datetime import UTC, datetime, time, timedelta
from functools import cache

import numpy as np
from sep_fx.sessions import NEW_YORK

from sep_evaluator.domain.backtest_state import Record
from sep_evaluator.domain.costs import Costs
from sep_evaluator.domain.kernel_tables import Ints

_ROLLOVER = time(17)
_FIRST_YEAR, _LAST_YEAR = 1990, 2060

COSTS_DTYPE = np.dtype(
    [("slippage", np.float64), ("slippage_spreads", np.float64), ("financing_long", np.float64),
     ("financing_short", np.float64), ("delay", np.int64)]
)  # fmt: skip


def record_of(costs: Costs) -> Record:
    """Fractions and seconds, one record."""
    row = (costs.slippage_bps * 1e-4, costs.slippage_spreads, costs.financing_long_bps * 1e-4,
           costs.financing_short_bps * 1e-4, costs.delay_sec)  # fmt: skip
    return np.array([row], COSTS_DTYPE)


def rollovers_of(costs: Costs) -> Ints:
    """The instants of financing in seconds, ascending; none without financing."""
    return rollovers() if costs.has_financing else np.empty(0, np.int64)


@cache
def rollovers() -> Ints:
    """Every 17:00 New York from 1990 to 2060, in seconds."""
    day = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC).date()
    found = []
    while day.year < _LAST_YEAR:
        found.append(int(datetime.combine(day, _ROLLOVER, NEW_YORK).timestamp()))
        day += timedelta(days=1)
    return np.array(found, np.int64)
