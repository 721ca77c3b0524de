"""The manifest of a run: everything that is needed to repeat it to the byte."""

import json
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sep_evaluator.domain.costs import NO_COST_TABLE, CostTable
from sep_evaluator.domain.params import StrategyParams
from sep_fx.granularity import Granularity
from sep_fx.sessions import MarketCalendar
from sep_kit import __version__

from sep_research.errors import ResearchError
from sep_research.folds import WalkForward
from sep_research.search import AdaptiveSearch
from sep_research.sweep import Plan, SweepResult

MANIFEST = "manifest.json"
_FORMAT = 1


def versions() -> dict[str, str]:
    """Versions that figures and files depend on."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {
        "sep": __version__,
        "numpy": np.__version__,
        "optuna": version("optuna"),
        "pyarrow": pa.__version__,
        "python": python,
    }


def manifest_of(plan: Plan, result: SweepResult) -> dict[str, Any]:
    """The manifest of a run."""
    return {
        "format": _FORMAT,
        "versions": versions(),
        "candles": {r.instrument: {"sha256": r.sha256, "bars": r.bars} for r in result.results},
        "plan": {
            "instruments": list(plan.instruments),
            "granularity": plan.granularity.value,
            "since": plan.since,
            "until": plan.until,
            "names": list(plan.names),
            "grid": [params.as_dict() for params in plan.grid],
            "walk_forward": asdict(plan.cut),
            "null_runs": plan.null_runs,
            "market_calendar": plan.calendar.value,
            "exit_minutes": plan.exit_minutes,
            "seed": plan.seed,
            "search": None if plan.search is None else asdict(plan.search),
            **({} if plan.costs == NO_COST_TABLE else {"costs": plan.costs.as_json()}),
        },
        "verdicts": [r.verdict.as_json() for r in result.results],
        "null_best": [v if np.isfinite(v) else None for v in result.null_best],
    }


def read_manifest(run: Path) -> dict[str, Any]:
    """The manifest of a stored run.

    Raises:
        ResearchError: there is none, or of another format.
    """
    path = run / MANIFEST
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != _FORMAT:
            raise ValueError(f"its format is {found['format']}, allowed is {_FORMAT}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResearchError(f"{path} is not the manifest of a run: {error}") from None
    return found


def plan_of(manifest: dict[str, Any]) -> Plan:
    """The plan of a manifest.

    Raises:
        ResearchError: it is not whole.
    """
    try:
        plan = manifest["plan"]
        grid = tuple(StrategyParams.from_mapping(params) for params in plan["grid"])
        search = _search_of(plan.get("search"))
        return Plan(
            instruments=tuple(plan["instruments"]),
            granularity=Granularity(plan["granularity"]),
            since=plan["since"],
            until=plan["until"],
            names=tuple(plan["names"]),
            grid=grid if search is None else (),
            cut=WalkForward(**plan["walk_forward"]),
            null_runs=plan["null_runs"],
            calendar=MarketCalendar(plan["market_calendar"]),
            exit_minutes=plan["exit_minutes"],
            seed=plan["seed"],
            search=search,
            costs=CostTable.from_json(plan.get("costs", {})),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ResearchError(f"the manifest's plan can't be used: {error!r}") from None


def _search_of(stored: dict[str, Any] | None) -> AdaptiveSearch | None:
    if stored is None:
        return None
    space = {name: tuple(values) for name, values in stored["space"].items()}
    return AdaptiveSearch(space=space, sets=stored["sets"])
