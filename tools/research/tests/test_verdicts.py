"""A planted pattern is promoted; luck is not, more often than the test promises."""

from pathlib import Path
from typing import Any

import numpy as np
from sep_data.catalogue import Catalogue
from sep_evaluator.cli.sweep import combinations
from sep_fx.bars import Bars
from sep_fx.sessions import MarketCalendar
from sep_research.backtests import Market, with_costs
from sep_research.engine import ThreadEngine
from sep_research.folds import DAY, WalkForward, folds_of
from sep_research.statistics import null_p_value
from sep_research.sweep import InstrumentResult, sweep
from sep_research.tasks import Job, run_block, run_null
from sep_research.verdict import neighbours, winner_of

from .plans import plan
from .tapes import catalogue_of, noise, trends


def judged(folder: Path, bars: Bars, **options: Any) -> InstrumentResult:
    catalogue = Catalogue(catalogue_of(folder, EUR_USD=bars))
    found = sweep(catalogue, plan(**options), ThreadEngine(2), lambda _done, _total: None)
    return found.results[0]


def test_a_planted_edge_is_found_and_promoted(tmp_path: Path) -> None:
    verdict = judged(tmp_path, trends(1440 * 21, 1)).verdict
    assert (verdict.promote, verdict.reasons) == (True, ())
    assert verdict.p_value == 0.05
    assert verdict.deflated > 0.95
    assert verdict.doubled_costs > 0


def test_an_edge_without_null_runs_is_not_promoted(tmp_path: Path) -> None:
    verdict = judged(tmp_path, trends(1440 * 21, 1), null_runs=18).verdict
    assert verdict.reasons == ("NULL_RUNS_TOO_FEW", "NULL_EXPLAINS")


def test_an_edge_that_twice_the_spread_eats_is_not_promoted(tmp_path: Path) -> None:
    """At twice the spread no entry is worth its costs to the strategy: there is nothing left."""
    bars = with_costs(trends(1440 * 21, 1), 10)
    verdict = judged(tmp_path, bars, null_runs=0).verdict
    assert verdict.out_return > 0
    assert verdict.doubled_costs <= 0
    assert "COSTS_DOUBLED" in verdict.reasons


def test_a_holding_longer_than_the_embargo_is_named(tmp_path: Path) -> None:
    cut = WalkForward(train_s=4 * DAY, test_s=4 * DAY, embargo_s=60)
    verdict = judged(tmp_path, trends(1440 * 21, 1), cut=cut, null_runs=0).verdict
    assert "EMBARGO_SHORT" in verdict.reasons


def test_neighbours_differ_by_one_step_of_one_parameter() -> None:
    grid = [p.as_dict() for p in combinations({"c_min": [0.1, 0.2, 0.3], "max_entropy": [0.5, 1]})]
    assert neighbours(grid, 0) == [1, 2]
    assert neighbours(grid, 2) == [0, 3, 4]


SEEDS, NULLS = 200, 19
# Loose, so that each parameter set trades a hundred times.
LOOSE = {"c_min": [0.1, 0.3], "dir_threshold_bps": [0.3, 0.8], "max_entropy": 1.0}


def p_value_of_noise(seed: int) -> float:
    """The p-value of the best of a search on a null tape."""
    bars = noise(1440 * 3, seed)
    start, end = int(bars.time[0]), int(bars.time[-1]) + 60
    cut = WalkForward(train_s=DAY // 4, test_s=DAY // 2, embargo_s=DAY // 4)
    job = Job(
        instrument="EUR_USD",
        bars=bars,
        market=Market(granularity_s=60, calendar=MarketCalendar.ALWAYS, exit_minutes=5),
        grid=tuple(combinations(LOOSE)),
        folds=tuple(folds_of(start, end, cut)),
        seed=seed,
    )
    trials = run_block(job, (0, len(job.grid)))
    observed = trials[winner_of(trials)].out_t
    return null_p_value(observed, [run_null(job, k) for k in range(NULLS)])


def test_on_pure_noise_no_more_passes_than_the_test_promises() -> None:
    """Of 200 seeds 10 pass on average at 5 %; more than 20 would be one chance in a thousand."""
    found = np.array([p_value_of_noise(seed) for seed in range(SEEDS)])
    assert (found <= 0.05).sum() <= 20
    # The test is no mere refusal: small and large values are equally frequent.
    assert 0.42 < found.mean() < 0.61
    assert (found <= 0.25).sum() > 25
