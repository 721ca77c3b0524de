"""The summary of a run: verdicts, folds and heatmaps in one small file, which the console reads."""

import math
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from sep_evaluator.domain.params import StrategyParams, digest_of
from sep_fx.instants import format_seconds

from sep_research.heatmaps import Grid, medians, varied
from sep_research.report import REASONS
from sep_research.sweep import InstrumentResult, Plan, SweepResult, best_in_training

_FORMAT = 1
_MOST_VARIED = 5
"""Of the parameters that vary, so many have heatmaps, in the order of the grid."""

_DECIMALS = 4


def summary_of(plan: Plan, result: SweepResult) -> dict[str, Any]:
    """The summary of a run as plain JSON values; t-statistics and Calmars with four decimals."""
    grid = [params.as_dict() for params in plan.grid]
    used = {reason for found in result.results for reason in found.verdict.reasons}
    return {
        "format": _FORMAT,
        "sets": len(grid),
        "space": {name: sorted({params[name] for params in grid}) for name in plan.names},
        "adaptive": plan.search is not None,
        "granularity": plan.granularity.value,
        "market_calendar": plan.calendar.value,
        "test_from": format_seconds(result.folds[0].test_from),
        "test_to": format_seconds(result.folds[-1].test_to),
        "seed": plan.seed,
        "null_best": [_rounded(value) for value in result.null_best],
        "reasons": {reason: REASONS[reason] for reason in sorted(used)},
        "instruments": [_instrument(plan, grid, result, found) for found in result.results],
    }


def _instrument(
    plan: Plan, grid: Grid, result: SweepResult, found: InstrumentResult
) -> dict[str, Any]:
    axes = varied(plan.names, grid)
    return {
        "instrument": found.instrument,
        "candles_sha256": found.sha256,
        "bars": found.bars,
        "params_digest": digest_of(StrategyParams.from_mapping(found.verdict.params)),
        "verdict": {name: _number(value) for name, value in found.verdict.as_json().items()},
        "folds": list(_folds(plan, grid, result, found)),
        "heatmaps": [
            {"across": across, "down": down, "t": _rows(grid, found, axes, across, down)}
            for across, down in combinations(list(axes)[:_MOST_VARIED], 2)
        ],
    }


def _rows(
    grid: Grid, found: InstrumentResult, axes: dict[str, list[float]], across: str, down: str
) -> list[list[float | None]]:
    cells = medians(grid, found.trials, across, down)
    return [[_rounded(cells.get((a, d))) for a in axes[across]] for d in axes[down]]


def _folds(
    plan: Plan, grid: Grid, result: SweepResult, found: InstrumentResult
) -> Iterator[dict[str, Any]]:
    """What was best in each training window, and what it did in the test after it."""
    for number, fold in enumerate(result.folds):
        edges = {
            "train_from": format_seconds(fold.train_from),
            "train_to": format_seconds(fold.train_to),
            "test_from": format_seconds(fold.test_from),
            "test_to": format_seconds(fold.test_to),
        }
        best = best_in_training(found.trials, number)
        if best is None:
            yield {**edges, "chosen": None}
            continue
        test = found.trials[best].tests[number]
        yield {
            **edges,
            "chosen": {
                "params": {name: grid[best][name] for name in plan.names},
                "train_t": _rounded(found.trials[best].train_t[number]),
                "test_trades": test.trades,
                "test_return": test.pnl_total,
                "test_drawdown": test.max_drawdown,
                "test_calmar": _rounded(test.calmar),
            },
        }


def _number(value: Any) -> Any:
    """A value that every JSON reader knows: not a number, or no end, is null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, _DECIMALS)
