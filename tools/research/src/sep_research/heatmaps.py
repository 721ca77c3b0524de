"""t-statistics by two parameters of a grid."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from sep_research.tasks import Trial

Grid = Sequence[Mapping[str, float]]


def varied(names: Sequence[str], grid: Grid) -> dict[str, list[float]]:
    """The values of each parameter that has several, ascending; names in the given order."""
    found = {name: sorted({params[name] for params in grid}) for name in names}
    return {name: values for name, values in found.items() if len(values) > 1}


def medians(
    grid: Grid, trials: Sequence[Trial], across: str, down: str
) -> dict[tuple[float, float], float]:
    """The median over all other parameters, by the values of two; only where there is evidence."""
    cells: dict[tuple[float, float], list[float]] = {}
    for params, trial in zip(grid, trials, strict=True):
        if math.isfinite(trial.out_t):
            cells.setdefault((params[across], params[down]), []).append(trial.out_t)
    return {key: float(np.median(found)) for key, found in cells.items()}
