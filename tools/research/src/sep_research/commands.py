"""The commands of ``sep-research``; each returns the lines to print."""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from sep_data.catalogue import Catalogue
from sep_evaluator.cli.sweep import combinations
from sep_evaluator.domain.costs import NO_COST_TABLE, CostTable
from sep_evaluator.domain.params import StrategyParams
from sep_fx.granularity import Granularity
from sep_fx.sessions import MarketCalendar

from sep_research.engine import Engine
from sep_research.errors import ResearchError, StackUnreachableError
from sep_research.manifest import plan_of, read_manifest, versions
from sep_research.run_folder import REPORT, check_free, write_run
from sep_research.search import AdaptiveSearch
from sep_research.sweep import Plan, SweepResult, jobs_of, sweep

Progress = Callable[[int, int], None]
Lines = list[str]


def _sweep(args: argparse.Namespace, engine: Engine, progress: Progress) -> Lines:
    check_free(args.out)
    catalogue = Catalogue.existing(args.catalogue)
    search = None if args.adaptive is None else read_space(args.grid, args.adaptive)
    names, grid = read_grid(args.grid) if search is None else (tuple(search.space), ())
    granularity = _granularity(catalogue, args)
    plan = Plan(
        instruments=_instruments(catalogue, args, granularity),
        granularity=granularity,
        since=args.since,
        until=args.until,
        names=names,
        grid=grid,
        cut=replace(args.walk_forward, embargo_s=args.embargo, anchored=args.anchored),
        null_runs=args.null,
        calendar=MarketCalendar(args.market_calendar),
        exit_minutes=args.exit_minutes,
        seed=args.seed,
        search=search,
        costs=_costs(args),
    )
    result = sweep(catalogue, plan, engine, progress)
    write_run(args.out, result.plan, result)
    return _lines(result, args.out)


def _costs(args: argparse.Namespace) -> CostTable:
    if args.costs is None:
        return NO_COST_TABLE
    # Imported here: few sweeps need the client, which takes a third of the command's start.
    from sep_research.cost_options import costs_of

    return costs_of(args.costs, args.url)


def _repeat(args: argparse.Namespace, engine: Engine, progress: Progress) -> Lines:
    check_free(args.out)
    manifest = read_manifest(args.run)
    plan = plan_of(manifest)
    catalogue = Catalogue.existing(args.catalogue)
    if manifest["versions"] != versions():
        raise ResearchError(
            f"the run was made with {manifest['versions']}, and here is {versions()}: it can't be "
            "repeated to the byte"
        )
    from sep_data.catalogue import digest_of

    for job in jobs_of(catalogue, plan):
        if digest_of(job.bars) != manifest["candles"][job.instrument]["sha256"]:
            raise ResearchError(f"the catalogue has other candles of {job.instrument} than the run")
    result = sweep(catalogue, plan, engine, progress)
    write_run(args.out, result.plan, result)
    return _lines(result, args.out)


def _report(args: argparse.Namespace, _engine: Engine, _progress: Progress) -> Lines:
    if args.out.exists():
        raise ResearchError(f"{args.out} exists: give --out a new file")
    # Imported here: a sweep needs no client.
    from sep_client import ApiError, NoAnswerError
    from sep_data.pulling import connect

    from sep_research.results import of_journal, of_replay
    from sep_research.results_report import results_report

    if args.source == "live":
        with connect(args.url) as client:
            try:
                results = of_journal(client, args.since, args.until)
            except NoAnswerError as error:
                raise StackUnreachableError(f"{args.url} does not answer: {error}") from None
            except ApiError as error:
                raise ResearchError(f"{args.url} refused: {error}") from None
    else:
        results = of_replay(Path(args.source))
    if args.candles is None:
        text = results_report(results)
    else:
        catalogue = Catalogue.existing(args.candles)
        granularity = _granularity(catalogue, args)
        held = [i for i in catalogue.instruments() if granularity in catalogue.granularities(i)]
        traded = {trade.instrument for trade in results.trades}.intersection(held)
        candles = {i: catalogue.load(i, granularity) for i in sorted(traded)}
        text = results_report(results, candles, granularity.seconds)
    args.out.write_text(text, encoding="utf-8")
    return [f"report: {args.out}"]


COMMANDS: dict[str, Callable[[argparse.Namespace, Engine, Progress], Lines]] = {
    "sweep": _sweep,
    "repeat": _repeat,
    "report": _report,
}


def read_grid(path: Path) -> tuple[tuple[str, ...], tuple[StrategyParams, ...]]:
    """The parameter names in a grid file, and all combinations.

    Raises:
        ResearchError: it can't be read, or a parameter is unknown or out of range.
    """
    try:
        grid = _read_yaml(path)
        return tuple(grid), tuple(combinations(grid))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ResearchError(f"--grid {path}: {' '.join(str(error).split())}") from None


def read_space(path: Path, sets: int) -> AdaptiveSearch:
    """The values of a grid file, for an adaptive search.

    Raises:
        ResearchError: it can't be read, or a parameter is unknown or out of range.
    """
    try:
        space = {}
        for name, values in _read_yaml(path).items():
            found = values if isinstance(values, list) else [values]
            sets_of = [StrategyParams.from_mapping({name: value}) for value in found]
            space[name] = tuple(sorted({params.as_dict()[name] for params in sets_of}))
        return AdaptiveSearch(space=space, sets=sets)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ResearchError(f"--grid {path}: {' '.join(str(error).split())}") from None


def _read_yaml(path: Path) -> dict[str, Any]:
    grid = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(grid, dict) or not grid or [] in grid.values():
        raise ValueError("expected parameter names, each with a value or a list of values")
    return grid


def _granularity(catalogue: Catalogue, args: argparse.Namespace) -> Granularity:
    found = catalogue.granularities()
    if args.granularity is None and len(found) > 1:
        raise ResearchError(f"the catalogue has {', '.join(found)}: choose one by --granularity")
    if args.granularity not in (None, *found):
        raise ResearchError(
            f"the catalogue has no {args.granularity} candles; it has {', '.join(found)}"
        )
    granularity: Granularity = args.granularity or found[0]
    return granularity


def _instruments(
    catalogue: Catalogue, args: argparse.Namespace, granularity: Granularity
) -> tuple[str, ...]:
    held = [i for i in catalogue.instruments() if granularity in catalogue.granularities(i)]
    if unknown := sorted(set(args.instruments) - set(held)):
        raise ResearchError(
            f"no {granularity} candles of {', '.join(unknown)}; the catalogue has {', '.join(held)}"
        )
    return tuple(sorted(set(args.instruments or held)))


def _lines(result: SweepResult, out: Path) -> Lines:
    lines = []
    for found in result.results:
        v = found.verdict
        said = "promote" if v.promote else f"refuse: {', '.join(v.reasons)}"
        p = "-" if v.p_value is None else f"{v.p_value:.3f}"
        lines.append(
            f"{found.instrument}: {said} (trades {v.trades}, return {v.out_return:+.4%}, p {p}, "
            f"deflated Sharpe {v.deflated:.2f})"
        )
    return [*lines, f"report: {out / REPORT}"]
