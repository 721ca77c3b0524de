"""The units of work: pure functions of a job and an argument, the same on any worker."""

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import numpy.typing as npt
from sep_evaluator.domain.backtest_state import Record
from sep_evaluator.domain.costs import NO_COSTS, Costs
from sep_evaluator.domain.params import StrategyParams
from sep_evaluator.domain.spans import SpanSummary
from sep_fx.bars import Bars

from sep_research.backtests import Market, TapeBacktest, with_costs
from sep_research.folds import Fold
from sep_research.measures import (
    MIN_TRADES,
    NO_EVIDENCE,
    Days,
    inside,
    inside_any,
    slice_summary,
    t_statistic,
)
from sep_research.null_tapes import null_tape

Floats = npt.NDArray[np.float64]

GATE_CALMAR = 0.15
"""The gates' base floor of the Calmar ratio; the least return is 0."""

_DOUBLED = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Inputs that all tasks of one instrument share."""

    instrument: str
    bars: Bars
    market: Market
    grid: tuple[StrategyParams, ...]
    folds: tuple[Fold, ...]
    seed: int
    costs: Costs = NO_COSTS

    @property
    def tests(self) -> list[tuple[int, int]]:
        """The test windows."""
        return [(fold.test_from, fold.test_to) for fold in self.folds]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The results of one parameter set on one instrument.

    Attributes:
        whole: over all bars.
        out: trades of all test windows; ``out_t`` is the t-statistic of their daily results.
        tests: each test window as a slice of the gates.
        train_t: t-statistic of each training window.
        daily: results of all days; out_daily: of the days of test windows.
        longest_s: longest holding in seconds.
    """

    whole: SpanSummary
    out_trades: int
    out_wins: int
    out_return: float
    out_t: float
    tests: tuple[SpanSummary, ...]
    train_t: tuple[float, ...]
    daily: Floats
    out_daily: Floats
    longest_s: int

    @property
    def train_score(self) -> float:
        """Mean t-statistic of the training windows."""
        return float(np.mean(self.train_t))

    @property
    def gate_passes(self) -> int:
        """Test windows that reach the gates' base floors."""
        return sum(
            s.trades >= MIN_TRADES and s.calmar >= GATE_CALMAR and s.pnl_total >= 0
            for s in self.tests
        )


def run_block(job: Job, block: tuple[int, int]) -> list[Trial]:
    """The trials of a part of the grid."""
    backtest = TapeBacktest(job.instrument, job.bars, job.market, job.costs)
    return [_trial(job, backtest, params) for params in job.grid[slice(*block)]]


def run_sets(job: Job, sets: Sequence[StrategyParams]) -> list[Trial]:
    """The trials of parameter sets that need not be of the grid."""
    if not sets:
        return []
    backtest = TapeBacktest(job.instrument, job.bars, job.market, job.costs)
    return [_trial(job, backtest, params) for params in sets]


def run_null_sets(
    job: Job, argument: tuple[int, Sequence[StrategyParams]]
) -> list[tuple[float, float]]:
    """Training score and out-of-sample t-statistic of parameter sets on one null tape."""
    number, sets = argument
    if not sets:
        return []
    tape = _null_tape(job, number)
    backtest = TapeBacktest(job.instrument, tape, job.market, job.costs)
    days = Days.of(tape.time)
    tested = days.within(job.tests)
    found = []
    for params in sets:
        trades = backtest.run(params, with_equity=False).trades
        out = inside_any(trades, job.tests)
        train = float(np.mean(_train_t(job, days, trades)))
        found.append((train, t_statistic(days.results(out)[tested], len(out))))
    return found


def run_null(job: Job, number: int) -> float:
    """The best out-of-sample t-statistic of the whole grid on one null tape."""
    tape = _null_tape(job, number)
    backtest = TapeBacktest(job.instrument, tape, job.market, job.costs)
    days = Days.of(tape.time)
    tested = days.within(job.tests)
    best = NO_EVIDENCE
    for params in job.grid:
        trades = inside_any(backtest.run(params, with_equity=False).trades, job.tests)
        best = max(best, t_statistic(days.results(trades)[tested], len(trades)))
    return best


def run_doubled_costs(job: Job, number: int) -> float:
    """The out-of-sample return of one parameter set when all costs are twice as high."""
    bars, costs = with_costs(job.bars, _DOUBLED), job.costs.times(_DOUBLED)
    backtest = TapeBacktest(job.instrument, bars, job.market, costs)
    trades = backtest.run(job.grid[number], with_equity=False).trades
    return float(inside_any(trades, job.tests)["ret"].sum())


def blocks_of(job: Job, size: int) -> Sequence[tuple[int, int]]:
    """The grid cut in blocks."""
    return [(i, min(i + size, len(job.grid))) for i in range(0, len(job.grid), size)]


def _null_tape(job: Job, number: int) -> Bars:
    random = np.random.default_rng([job.seed, number, crc32(job.instrument.encode())])
    return null_tape(job.bars, random)


def _train_t(job: Job, days: Days, trades: Record) -> tuple[float, ...]:
    """The t-statistic of each training window."""
    found = []
    for fold in job.folds:
        window = (fold.train_from, fold.train_to)
        trained = inside(trades, window)
        found.append(t_statistic(days.results(trained)[days.within([window])], len(trained)))
    return tuple(found)


def _trial(job: Job, backtest: TapeBacktest, params: StrategyParams) -> Trial:
    outcome = backtest.run(params, with_equity=True)
    trades, days = outcome.trades, Days.of(backtest.time)
    out = inside_any(trades, job.tests)
    out_daily = days.results(out)[days.within(job.tests)]
    end = int(backtest.time[-1]) + job.market.granularity_s
    held = trades["exit_time"] - trades["entry_time"]
    return Trial(
        whole=slice_summary(outcome, backtest.time, (int(backtest.time[0]), end)),
        out_trades=len(out),
        out_wins=int((out["ret"] > 0).sum()),
        out_return=float(out["ret"].sum()),
        out_t=t_statistic(out_daily, len(out)),
        tests=tuple(slice_summary(outcome, backtest.time, window) for window in job.tests),
        train_t=_train_t(job, days, trades),
        daily=days.results(trades),
        out_daily=out_daily,
        longest_s=int(held.max()) if len(held) else 0,
    )
