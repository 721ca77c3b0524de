"""Plans of small sweeps."""

from typing import Any

from sep_evaluator.cli.sweep import combinations
from sep_fx.granularity import Granularity
from sep_fx.sessions import MarketCalendar
from sep_research.folds import DAY, WalkForward
from sep_research.sweep import Plan

GRID = {"c_min": [0.4, 0.5], "dir_threshold_bps": [1.0, 2.0, 3.0]}


def plan(null_runs: int = 19, **options: Any) -> Plan:
    """A plan over EUR_USD in a market that is always open."""
    chosen: dict[str, Any] = {
        "instruments": ("EUR_USD",),
        "granularity": Granularity.M1,
        "since": None,
        "until": None,
        "names": tuple(GRID),
        "grid": tuple(combinations(GRID)),
        "cut": WalkForward(train_s=4 * DAY, test_s=4 * DAY, embargo_s=DAY),
        "null_runs": null_runs,
        "calendar": MarketCalendar.ALWAYS,
        "exit_minutes": 5.0,
        "seed": 1,
        **options,
    }
    return Plan(**chosen)
