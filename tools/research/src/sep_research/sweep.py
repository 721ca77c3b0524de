"""A sweep: trials, null runs and verdicts of every instrument of a catalogue."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sep_data.catalogue import Catalogue, digest_of
from sep_evaluator.domain.costs import NO_COST_TABLE, CostTable
from sep_evaluator.domain.params import StrategyParams
from sep_fx.bars import Bars
from sep_fx.granularity import Granularity
from sep_fx.instants import format_seconds
from sep_fx.sessions import MarketCalendar

from sep_research.backtests import Market
from sep_research.engine import Engine, Task
from sep_research.errors import ResearchError
from sep_research.folds import Fold, WalkForward, folds_of
from sep_research.measures import NO_EVIDENCE
from sep_research.search import AdaptiveSearch, rounds_of, run_search
from sep_research.tasks import (
    Job,
    Trial,
    blocks_of,
    run_block,
    run_doubled_costs,
    run_null,
    run_sets,
)
from sep_research.verdict import Verdict, judge, winner_of

_BLOCK = 64  # trials a task

Params = dict[str, int | float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that the result of a sweep follows from, beside the candles.

    Attributes:
        grid: all combinations, in the order of the grid file; names: the parameters it names.
        null_runs: number of null tapes.
        seed: of the null runs, and of an adaptive search.
        search: how an adaptive search chooses; None to try every set of the grid, which with it
            is what the search found.
        costs: beside the spread of the candles, for the null runs as well.
    """

    instruments: tuple[str, ...]
    granularity: Granularity
    since: int | None
    until: int | None
    names: tuple[str, ...]
    grid: tuple[StrategyParams, ...]
    cut: WalkForward
    null_runs: int
    calendar: MarketCalendar
    exit_minutes: float
    seed: int
    search: AdaptiveSearch | None = None
    costs: CostTable = NO_COST_TABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentResult:
    """The result of a sweep on one instrument; trials in the order of the grid."""

    instrument: str
    sha256: str
    bars: int
    trials: list[Trial]
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """The result of a sweep; ``null_best`` is the best t-statistic of each null run.

    ``plan`` is the sweep's own, with the sets that an adaptive search found as its grid.
    """

    plan: Plan
    folds: list[Fold]
    results: list[InstrumentResult]
    null_best: list[float]


def sweep(
    catalogue: Catalogue, plan: Plan, engine: Engine, progress: Callable[[int, int], None]
) -> SweepResult:
    """Run a plan.

    Args:
        progress: called with tasks done and tasks in all.

    Raises:
        ResearchError: no candles, or fewer than one fold needs.
    """
    jobs = jobs_of(catalogue, plan)
    done, total = 0, _tasks(plan, len(jobs))

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress(done, total)

    if plan.search is None:
        trials, null_best = _run_grid(jobs, plan, engine, count)
    else:
        found = run_search(jobs, plan.search, plan.null_runs, engine, count)
        trials, null_best = found.trials, found.null_best
        plan = replace(plan, grid=found.sets)
        jobs = [replace(job, grid=found.sets) for job in jobs]
    winners = [winner_of(found) for found in trials]
    costs = [Task(run_doubled_costs, j, at) for j, at in enumerate(winners)]
    doubled = list(engine.run(jobs, costs, count))
    near = _neighbours(jobs, plan, winners, engine, count)
    grid = [params.as_dict() for params in plan.grid]
    return SweepResult(
        plan=plan,
        folds=list(jobs[0].folds),
        null_best=null_best,
        results=[
            InstrumentResult(
                instrument=job.instrument,
                sha256=digest_of(job.bars),
                bars=len(job.bars),
                trials=of_job,
                verdict=judge(
                    job.instrument, grid, of_job, null_best, cost, plan.cut.embargo_s, plan.seed,
                    beside,
                ),
            )
            for job, of_job, cost, beside in zip(jobs, trials, doubled, near, strict=True)
        ],
    )  # fmt: skip


def _tasks(plan: Plan, jobs: int) -> int:
    """How many tasks a plan has."""
    if plan.search is None:
        blocks = -(-len(plan.grid) // _BLOCK)
        return jobs * (blocks + plan.null_runs + 1)
    return jobs * (len(rounds_of(plan.search)) * (plan.null_runs + 1) + 2)


def _run_grid(
    jobs: Sequence[Job], plan: Plan, engine: Engine, count: Callable[[int], None]
) -> tuple[list[list[Trial]], list[float]]:
    """The trials of each job, and the best t-statistic of each null run."""
    tasks = [Task(run_block, j, b) for j, job in enumerate(jobs) for b in blocks_of(job, _BLOCK)]
    nulls = [Task(run_null, j, k) for k in range(plan.null_runs) for j in range(len(jobs))]
    trials: list[list[Trial]] = [[] for _ in jobs]
    null_best = [NO_EVIDENCE] * plan.null_runs
    every = [*tasks, *nulls]
    for task, result in zip(every, engine.run(jobs, every, count), strict=True):
        if task.function is run_block:
            trials[task.job].extend(result)
        else:
            null_best[task.argument] = max(null_best[task.argument], result)
    return trials, null_best


def _neighbours(
    jobs: Sequence[Job],
    plan: Plan,
    winners: Sequence[int],
    engine: Engine,
    count: Callable[[int], None],
) -> list[list[float] | None]:
    """t-statistics beside each winner of an adaptive search, which need not have tried them."""
    search = plan.search
    if search is None:
        return [None] * len(jobs)
    beside = [search.beside(plan.grid[at]) for at in winners]
    tasks = [Task(run_sets, j, sets) for j, sets in enumerate(beside)]
    return [[trial.out_t for trial in found] for found in engine.run(jobs, tasks, count)]


def jobs_of(catalogue: Catalogue, plan: Plan) -> list[Job]:
    """One job an instrument, over the time that all of them have candles of.

    Raises:
        ResearchError: an instrument without candles, or fewer than one fold needs.
    """
    bars = {
        name: catalogue.load(name, plan.granularity, plan.since, plan.until)
        for name in plan.instruments
    }
    if empty := [name for name, found in bars.items() if not len(found)]:
        raise ResearchError(f"no {plan.granularity} candles of {', '.join(empty)} in this range")
    first = max(int(found.time[0]) for found in bars.values())
    end = min(int(found.time[-1]) for found in bars.values()) + plan.granularity.seconds
    if first >= end:
        raise ResearchError(
            "the instruments have no time in common: " + ", ".join(map(_range, bars.items()))
        )
    folds = tuple(folds_of(first, end, plan.cut))
    market = Market(
        granularity_s=plan.granularity.seconds,
        calendar=plan.calendar,
        exit_minutes=plan.exit_minutes,
    )
    return [
        Job(
            instrument=name,
            bars=found.between(first, end),
            market=market,
            grid=plan.grid,
            folds=folds,
            seed=plan.seed,
            costs=plan.costs.of(name),
        )
        for name, found in bars.items()
    ]


def best_in_training(trials: Sequence[Trial], fold: int) -> int | None:
    """The trial that a trader would have chosen before a fold's test; None if none had evidence."""
    best = max(range(len(trials)), key=lambda i: (trials[i].train_t[fold], -i))
    return best if trials[best].train_t[fold] > NO_EVIDENCE else None


def _range(item: tuple[str, Bars]) -> str:
    name, found = item
    return f"{name} {format_seconds(int(found.time[0]))} to {format_seconds(int(found.time[-1]))}"
