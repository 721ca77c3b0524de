"""The folder of a run: manifest, results, folds, winners, report; the same run, the same bytes."""

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sep_fx.instants import format_seconds

from sep_research.errors import ResearchError
from sep_research.manifest import MANIFEST, manifest_of, versions
from sep_research.report import report
from sep_research.statistics import sharpe
from sep_research.summary import summary_of
from sep_research.sweep import InstrumentResult, Plan, SweepResult, best_in_training
from sep_research.verdict import ranked

RESULTS, FOLDS, WINNERS, REPORT = "results.parquet", "folds.csv", "winners.json", "report.html"
SUMMARY = "summary.json"
_FOLD_COLUMNS = (
    "instrument", "fold", "train_from", "train_to", "test_from", "test_to", "trial", "train_t",
    "test_trades", "test_win_rate", "test_return", "test_drawdown", "test_calmar",
)  # fmt: skip


def check_free(folder: Path) -> None:
    """Refuse a folder that holds anything: two runs must not mix.

    Raises:
        ResearchError: it exists and is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ResearchError(f"{folder} is not empty: give --out a new folder")


def write_run(folder: Path, plan: Plan, result: SweepResult) -> None:
    """Write the folder of a run.

    ``winners.json`` has the parameters whose verdict is to promote, by instrument, as
    ``sep-replay --params`` reads them.

    Raises:
        OSError: it can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows(plan, result))), folder / RESULTS)
    with (folder / FOLDS).open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(_FOLD_COLUMNS)
        writer.writerows(row for found in result.results for row in _folds(found, result))
    promoted = [r.verdict for r in result.results if r.verdict.promote]
    _write_json(folder / WINNERS, {v.instrument: v.params for v in promoted})
    (folder / REPORT).write_text(report(plan, result), encoding="utf-8")
    _write_json(folder / SUMMARY, summary_of(plan, result))
    # The manifest comes last: a folder that has one is whole.
    _write_json(folder / MANIFEST, manifest_of(plan, result))


def rows(plan: Plan, result: SweepResult) -> Iterator[dict[str, Any]]:
    """One row a trial, by instrument, best first: all parameters, figures, versions, digests."""
    for found in result.results:
        for rank, i in enumerate(ranked(found.trials), 1):
            trial = found.trials[i]
            calmars = [s.calmar for s in trial.tests]
            yield {
                "instrument": found.instrument,
                "rank": rank,
                "trial": i,
                **{n: float(v) for n, v in plan.grid[i].as_dict().items()},
                "trades": trial.whole.trades,
                "win_rate": trial.whole.win_rate,
                "pnl_total": trial.whole.pnl_total,
                "max_drawdown": trial.whole.max_drawdown,
                "calmar": trial.whole.calmar,
                "out_trades": trial.out_trades,
                "out_wins": trial.out_wins,
                "out_return": trial.out_return,
                "out_t": trial.out_t if math.isfinite(trial.out_t) else None,
                "out_sharpe_daily": sharpe(trial.out_daily),
                "test_calmar_median": float(np.median(calmars)),
                "test_calmar_worst": min(calmars),
                "test_windows": len(trial.tests),
                "test_windows_passing_gate": trial.gate_passes,
                "longest_holding_s": trial.longest_s,
                "candles_sha256": found.sha256,
                "sep_version": versions()["sep"],
            }


def _folds(found: InstrumentResult, result: SweepResult) -> Iterator[tuple[Any, ...]]:
    """The result of a trader who takes the best set in training before each test window."""
    for number, fold in enumerate(result.folds):
        edges = (fold.train_from, fold.train_to, fold.test_from, fold.test_to)
        head = (found.instrument, number + 1, *map(format_seconds, edges))
        best = best_in_training(found.trials, number)
        if best is None:
            yield (*head, "", "", 0, "", 0.0, 0.0, "")
            continue
        test = found.trials[best].tests[number]
        yield (
            *head, best, found.trials[best].train_t[number], test.trades, test.win_rate,
            test.pnl_total, test.max_drawdown, test.calmar,
        )  # fmt: skip


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
