"""The verdict on the best parameter set of an instrument: promote, or every reason why not."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from sep_research.bootstrap import (
    DRAWS,
    block_length,
    confidence,
    counts_of,
    resampled,
    superior_ability,
)
from sep_research.measures import MIN_TRADES
from sep_research.overfitting import Overfitting, overfitting
from sep_research.statistics import deflated_sharpe, minimum_track_record, null_p_value, sharpe
from sep_research.tasks import Trial

LEVEL = 0.05
MIN_NULL_RUNS = 19
"""With fewer the least possible p-value is above the level."""

_LEAST_DEFLATED = 0.95
_MOST_LOSS = 0.10
_BOOTSTRAP = 0xB007  # keeps its random numbers apart from those of the null runs


class Reason(StrEnum):
    """Why a winner is not promoted."""

    TOO_FEW_TRADES = "TOO_FEW_TRADES"
    NO_PROFIT_OUT_OF_SAMPLE = "NO_PROFIT_OUT_OF_SAMPLE"
    NULL_RUNS_TOO_FEW = "NULL_RUNS_TOO_FEW"
    NULL_EXPLAINS = "NULL_EXPLAINS"
    DEFLATED_SHARPE_LOW = "DEFLATED_SHARPE_LOW"
    OVERFIT_PROBABLE = "OVERFIT_PROBABLE"
    PEAK = "PEAK"
    COSTS_DOUBLED = "COSTS_DOUBLED"
    EMBARGO_SHORT = "EMBARGO_SHORT"
    REALITY_CHECK_FAILS = "REALITY_CHECK_FAILS"
    TRACK_RECORD_SHORT = "TRACK_RECORD_SHORT"
    CONFIDENCE_LOW = "CONFIDENCE_LOW"
    DECAY = "DECAY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The verdict on one instrument's winner.

    Attributes:
        params: all parameters of the winner.
        promote: whether nothing speaks against it.
        p_value: share of null runs whose best, over all instruments, did as well.
        null_quantile: 95 % quantile of these bests; None without null runs.
        deflated: probability that the Sharpe ratio is above what luck gives.
        overfit, loss: see ``Overfitting``; None where there is too little to say.
        track_days: days needed before the Sharpe ratio is above 0 at 95 %; None if never.
        neighbours_t: median t-statistic of the neighbours on the grid; None without any.
        doubled_costs: out-of-sample return with twice the spread.
        test_days: days of the test windows.
        reality_p: p-value of the reality check over all trials; None with too few days.
        low_return, high_return: 90 % interval of the return by block bootstrap.
        recent_return: of the later half of the test days.
    """

    instrument: str
    params: Mapping[str, float]
    promote: bool
    reasons: tuple[str, ...]
    trades: int
    out_return: float
    t: float | None
    sharpe: float
    p_value: float | None
    null_quantile: float | None
    deflated: float
    overfit: float | None
    loss: float | None
    track_days: float | None
    neighbours_t: float | None
    doubled_costs: float
    gate_passes: int
    windows: int
    test_days: int
    reality_p: float | None
    low_return: float | None
    high_return: float | None
    recent_return: float

    def as_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**asdict(self), "reasons": list(self.reasons)}


def winner_of(trials: Sequence[Trial]) -> int:
    """Index of the trial that ranks first out of sample; of equal ones the first."""
    return ranked(trials)[0]


def ranked(trials: Sequence[Trial]) -> list[int]:
    """Indices of trials, best first: by t-statistic, then return, out of sample."""
    return sorted(range(len(trials)), key=lambda i: (-trials[i].out_t, -trials[i].out_return, i))


def judge(
    instrument: str,
    grid: Sequence[Mapping[str, float]],
    trials: Sequence[Trial],
    null_best: Sequence[float],
    doubled_costs: float,
    embargo_s: int,
    seed: int = 1,
    near: Sequence[float] | None = None,
) -> Verdict:
    """The verdict on the winner of an instrument.

    Args:
        grid: the parameters of each trial.
        null_best: the best t-statistic of each null run over all instruments.
        doubled_costs: the winner's out-of-sample return with twice the spread.
        seed: of the bootstrap.
        near: t-statistics of the winner's neighbours; None to find them in the grid.
    """
    at = winner_of(trials)
    best = trials[at]
    ratios = [sharpe(t.out_daily) for t in trials if t.out_trades]
    deflated = deflated_sharpe(best.out_daily, ratios) if best.out_trades else 0.0
    over = overfitting(np.column_stack([t.daily for t in trials]))
    if near is None:
        near = [trials[i].out_t for i in neighbours(grid, at)]
    near_t = float(np.median(near)) if near else None
    p_value = null_p_value(best.out_t, null_best) if null_best else None
    track, days = minimum_track_record(best.out_daily), len(best.out_daily)
    random = np.random.default_rng([seed, _BOOTSTRAP])
    counts = counts_of(resampled(days, DRAWS, block_length(days), random))
    reality = superior_ability(np.column_stack([t.out_daily for t in trials]), counts)
    low, high = confidence(best.out_daily, counts) or (None, None)
    recent = float(best.out_daily[days // 2 :].sum())
    faults = {
        Reason.TOO_FEW_TRADES: best.out_trades < MIN_TRADES,
        Reason.NO_PROFIT_OUT_OF_SAMPLE: best.out_return <= 0,
        Reason.NULL_RUNS_TOO_FEW: len(null_best) < MIN_NULL_RUNS,
        Reason.NULL_EXPLAINS: p_value is not None and p_value > LEVEL,
        Reason.DEFLATED_SHARPE_LOW: deflated < _LEAST_DEFLATED,
        Reason.OVERFIT_PROBABLE: _is_overfit(over),
        Reason.PEAK: near_t is not None and near_t <= 0,
        Reason.COSTS_DOUBLED: doubled_costs <= 0,
        Reason.EMBARGO_SHORT: max(t.longest_s for t in trials) > embargo_s,
        Reason.REALITY_CHECK_FAILS: reality is None or reality > LEVEL,
        Reason.TRACK_RECORD_SHORT: track > days,
        Reason.CONFIDENCE_LOW: low is None or low <= 0,
        Reason.DECAY: recent <= 0,
    }
    reasons = tuple(reason.value for reason, holds in faults.items() if holds)
    return Verdict(
        instrument=instrument,
        params=grid[at],
        promote=not reasons,
        reasons=reasons,
        trades=best.out_trades,
        out_return=best.out_return,
        t=_finite(best.out_t),
        sharpe=sharpe(best.out_daily),
        p_value=p_value,
        null_quantile=quantile(null_best),
        deflated=deflated,
        overfit=None if over is None else over.probability,
        loss=None if over is None else over.loss,
        track_days=_finite(track),
        neighbours_t=None if near_t is None else _finite(near_t),
        doubled_costs=doubled_costs,
        gate_passes=best.gate_passes,
        windows=len(best.tests),
        test_days=days,
        reality_p=reality,
        low_return=low,
        high_return=high,
        recent_return=recent,
    )


def neighbours(grid: Sequence[Mapping[str, float]], at: int) -> list[int]:
    """Trials that differ from one in a single parameter, by one step of the grid."""
    steps = {name: sorted({params[name] for params in grid}) for name in grid[at]}
    place = {name: steps[name].index(grid[at][name]) for name in steps}
    found = []
    for i, params in enumerate(grid):
        off = [steps[n].index(params[n]) - place[n] for n in steps if params[n] != grid[at][n]]
        if len(off) == 1 and abs(off[0]) == 1:
            found.append(i)
    return found


def quantile(null_best: Sequence[float]) -> float | None:
    """The value that 5 % of the null runs exceed; None without any, or where it is no number."""
    if not null_best:
        return None
    return _finite(sorted(null_best)[min(len(null_best) - 1, int(0.95 * len(null_best)))])


def _is_overfit(over: Overfitting | None) -> bool:
    # Where all trials are equally good, the best of one half is average in the other, and still
    # gains: then the probability of overfitting alone is no fault.
    return over is not None and over.probability > 0.5 and over.loss > _MOST_LOSS


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
