"""Probability of backtest overfitting by combinatorially symmetric cross-validation (CSCV).

Source: Bailey, Borwein, López de Prado and Zhu, *The Probability of Backtest Overfitting* (2015).
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MAX_BLOCKS = 16
_DAYS_A_BLOCK = 4
_AT_ONCE = 512  # splits whose ratios are in memory together


@dataclass(frozen=True, slots=True, kw_only=True)
class Overfitting:
    """Results over all splits of the days into two halves.

    Attributes:
        probability: share of splits whose best in one half is below the median of the other.
        loss: share of splits whose best in one half loses in the other.
        splits: their number.
    """

    probability: float
    loss: float
    splits: int


def overfitting(daily: Floats) -> Overfitting | None:
    """Judge a search by the daily results of its trials, shape (days, trials).

    None where there are too few days or trials to say anything.
    """
    days, trials = daily.shape
    blocks = min(MAX_BLOCKS, days // _DAYS_A_BLOCK) // 2 * 2
    if blocks < 4 or trials < 2:
        return None
    parts = np.array_split(daily, blocks)
    sums = np.array([part.sum(axis=0) for part in parts])
    squares = np.array([(part**2).sum(axis=0) for part in parts])
    counts = np.array([len(part) for part in parts], np.float64)
    chosen = np.zeros((_count(blocks), blocks))
    for row, half in enumerate(combinations(range(blocks), blocks // 2)):
        chosen[row, list(half)] = 1.0
    below = losses = 0
    for start in range(0, len(chosen), _AT_ONCE):
        part = chosen[start : start + _AT_ONCE]
        inside = _ratios(part, sums, squares, counts)
        outside = _ratios(1.0 - part, sums, squares, counts)
        best = inside.argmax(axis=1)
        rows = np.arange(len(part))
        score = outside[rows, best]
        # Rank from 1 among all trials, ties in the middle; below 1/2 in the worse half.
        lower = (outside < score[:, None]).sum(axis=1)
        equal = (outside == score[:, None]).sum(axis=1)
        share = (lower + (equal + 1) / 2) / (trials + 1)
        below += int((share <= 0.5).sum())
        losses += int((score <= 0).sum())
    return Overfitting(
        probability=below / len(chosen), loss=losses / len(chosen), splits=len(chosen)
    )


def _count(blocks: int) -> int:
    return sum(1 for _ in combinations(range(blocks), blocks // 2))


def _ratios(chosen: Floats, sums: Floats, squares: Floats, counts: Floats) -> Floats:
    """Sharpe ratios of the chosen blocks joined, shape (splits, trials)."""
    days = (chosen @ counts)[:, None]
    mean = chosen @ sums / days
    variance = chosen @ squares / days - mean**2
    safe = np.where(variance > 1e-30, variance, 1.0)
    return np.asarray(np.where(variance > 1e-30, mean / np.sqrt(safe), 0.0))
