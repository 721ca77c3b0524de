"""Adaptive search: Optuna chooses parameter sets of a grid by their results in training windows.

The null runs search in the same way, each for itself, so that a winner is compared with what this
search finds where there is nothing. Sets are chosen in batches of a fixed size: the same seed
chooses the same sets whatever the number of workers.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sep_evaluator.domain.params import StrategyParams

from sep_research.engine import Engine, Task
from sep_research.measures import NO_EVIDENCE
from sep_research.tasks import Job, Trial, run_null_sets, run_sets

BATCH = 16
_STARTUP = 32  # chosen at random, before there is anything to learn from
_WORST = -10.0
"""Score of a set without evidence; far below any other, and a number that can be learned from."""

Indices = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveSearch:
    """A search through a grid too large to try.

    Attributes:
        space: the values of each parameter, in ascending order.
        sets: how many sets are chosen; a set that is chosen again counts, and is not run again.
    """

    space: Mapping[str, tuple[float, ...]]
    sets: int

    def params(self, at: Indices) -> StrategyParams:
        """The set with these values."""
        values = zip(self.space.items(), at, strict=True)
        return StrategyParams.from_mapping({name: found[i] for (name, found), i in values})

    def beside(self, params: StrategyParams) -> list[StrategyParams]:
        """The sets that differ in one parameter, by one value of the space."""
        found = params.as_dict()
        at = {name: values.index(found[name]) for name, values in self.space.items()}
        return [
            StrategyParams.from_mapping({**found, name: values[near]})
            for name, values in self.space.items()
            for near in (at[name] - 1, at[name] + 1)
            if 0 <= near < len(values)
        ]


class Chooser:
    """Chooses the sets of one run; ``number`` 0 is the real one, the others are null runs."""

    def __init__(self, search: AdaptiveSearch, seed: int, number: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._search = search
        self._ranges = {
            name: optuna.distributions.IntDistribution(0, len(values) - 1)
            for name, values in search.space.items()
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                seed=seed * 1_000_003 + number, n_startup_trials=_STARTUP, constant_liar=True
            )
        self._study = optuna.create_study(sampler=sampler, direction="maximize")
        self._scores: dict[Indices, float] = {}
        self._asked: list[tuple[Any, Indices]] = []

    def choose(self, count: int) -> list[StrategyParams]:
        """The next sets; those that were chosen before are left out."""
        self._asked = []
        for _ in range(count):
            trial = self._study.ask(dict(self._ranges))
            self._asked.append((trial, tuple(trial.params[name] for name in self._ranges)))
        new = dict.fromkeys(at for _, at in self._asked if at not in self._scores)
        return [self._search.params(at) for at in new]

    def learn(self, scores: Sequence[float]) -> None:
        """The scores of the sets that ``choose`` gave, in their order."""
        new = dict.fromkeys(at for _, at in self._asked if at not in self._scores)
        self._scores.update(zip(new, scores, strict=True))
        for trial, at in self._asked:
            self._study.tell(trial, self._scores[at])


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search found: the sets, their trials by job, and the best of each null run."""

    sets: tuple[StrategyParams, ...]
    trials: list[list[Trial]]
    null_best: list[float]


def rounds_of(search: AdaptiveSearch) -> list[int]:
    """The size of each batch."""
    full, rest = divmod(search.sets, BATCH)
    return [BATCH] * full + ([rest] if rest else [])


def run_search(
    jobs: Sequence[Job],
    search: AdaptiveSearch,
    null_runs: int,
    engine: Engine,
    progress: Callable[[int], None],
) -> Found:
    """Search on the real tapes and on each null run, in step."""
    choosers = [Chooser(search, jobs[0].seed, number) for number in range(null_runs + 1)]
    sets: list[StrategyParams] = []
    trials: list[list[Trial]] = [[] for _ in jobs]
    null_best = [NO_EVIDENCE] * null_runs
    for size in rounds_of(search):
        chosen = [chooser.choose(size) for chooser in choosers]
        tasks = [
            Task(run_null_sets, j, (run - 1, new)) if run else Task(run_sets, j, new)
            for run, new in enumerate(chosen)
            for j in range(len(jobs))
        ]
        results = list(engine.run(jobs, tasks, progress))
        of_run = [results[at : at + len(jobs)] for at in range(0, len(results), len(jobs))]
        for j, found in enumerate(of_run[0]):
            trials[j].extend(found)
        sets.extend(chosen[0])
        choosers[0].learn(_scores([[t.train_score for t in found] for found in of_run[0]]))
        for number, by_job in enumerate(of_run[1:]):
            outs = [out for found in by_job for _, out in found]
            null_best[number] = max([null_best[number], *outs])
            choosers[number + 1].learn(_scores([[train for train, _ in f] for f in by_job]))
    return Found(sets=tuple(sets), trials=trials, null_best=null_best)


def _scores(by_job: Sequence[Sequence[float]]) -> list[float]:
    """The mean score of each set over all instruments."""
    return [
        sum(max(score, _WORST) for score in scores) / len(scores)
        for scores in zip(*by_job, strict=True)
    ]
