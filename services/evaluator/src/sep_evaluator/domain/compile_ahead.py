"""Compile every jitted function of the service before it is needed.

Compiling takes seconds in which the process can do nothing else. It runs at installation
(``python -m sep_evaluator.cli.compile_ahead``) and again before a service starts to serve.
"""

import numpy as np
from sep_fx.bars import Bars
from sep_fx.sessions import MarketCalendar, SessionCalendar

from sep_evaluator.domain.backtest import StrictSpanRun
from sep_evaluator.domain.kernel import FIRST_WINDOW, live_window
from sep_evaluator.domain.params import StrategyParams

_BARS = 500


def generated_bars() -> Bars:
    """Candles of a minute, as many as compiled functions need."""
    mid = 1.3 + 1e-3 * np.sin(np.arange(_BARS) / 9.0)
    time = 60 * np.arange(_BARS, dtype=np.int64)
    return Bars.from_rows(time, np.tile(mid, (8, 1)), np.ones(_BARS, np.int64))


def compile_ahead() -> None:
    """Call every compiled function of a service once, on generated candles."""
    bars = generated_bars()
    run = StrictSpanRun(StrategyParams(), 60, "EUR_USD", SessionCalendar(MarketCalendar.ALWAYS), 5)
    run.extend(bars.slice(0, _BARS - 1))
    run.extend(bars.slice(_BARS - 1, _BARS))
    run.spans()
    run.integrity()
    live_window(bars.mid[-(FIRST_WINDOW + 1) :])
