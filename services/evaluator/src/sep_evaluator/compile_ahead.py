"""``python -m sep_evaluator.compile_ahead``: compile the numerics into their cache.

Compiling takes seconds during which a process does nothing else; done when the stack
is installed, or before a service serves, nobody waits for it.
"""

import numpy as np
from sep_fx.bars import Bars
from sep_fx.sessions import MarketCalendar, SessionCalendar

from sep_evaluator.domain.backtest import StrictSpanRun
from sep_evaluator.domain.kernel import FIRST_WINDOW, live_window
from sep_evaluator.domain.params import StrategyParams

_BARS = 500


def compile_ahead() -> None:
    """Run everything that is compiled once, on a market made up for it."""
    mid = 1.3 + 1e-3 * np.sin(np.arange(_BARS) / 9.0)
    time = 60 * np.arange(_BARS, dtype=np.int64)
    bars = Bars.from_rows(time, np.tile(mid, (8, 1)), np.ones(_BARS, np.int64))
    run = StrictSpanRun(StrategyParams(), 60, "EUR_USD", SessionCalendar(MarketCalendar.ALWAYS), 5)
    run.extend(bars.slice(0, _BARS - 1))
    run.extend(bars.slice(_BARS - 1, _BARS))
    run.spans()
    run.integrity()
    live_window(mid[-(FIRST_WINDOW + 1) :])


if __name__ == "__main__":
    compile_ahead()
