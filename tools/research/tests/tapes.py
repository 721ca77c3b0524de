"""Generated tapes: a market of chance, and one with trends that the strategy can follow."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from sep_data.catalogue import Catalogue
from sep_fx.bars import Bars
from sep_fx.granularity import Granularity

MONDAY = 1709510400  # 2024-03-04
SPREAD = 1e-5


def tape(moves: npt.NDArray[np.float64], start: int = MONDAY, spread: float = SPREAD) -> Bars:
    """Minute bars whose mids make these moves, as logarithms."""
    close = 1.1 * np.exp(np.cumsum(moves))
    opened = np.concatenate([[1.1], close[:-1]])
    reach = np.abs(moves) / 3 * close
    high, low = np.maximum(opened, close) + reach, np.minimum(opened, close) - reach
    bid = np.array([opened, high, low, close]) - spread / 2
    time = start + 60 * np.arange(len(moves))
    return Bars.from_rows(time, np.vstack([bid, bid + spread]), np.ones(len(moves), np.int64))


def noise(bars: int, seed: int, size: float = 3e-5) -> Bars:
    """A random walk: nothing can be known of its next move."""
    return tape(np.random.default_rng(seed).normal(0, size, bars))


def trends(bars: int, seed: int, drift: float = 2.5e-5, length: int = 240) -> Bars:
    """A random walk with a drift that changes its side from time to time."""
    random = np.random.default_rng(seed)
    sides = random.choice([-1.0, 1.0], bars // length + 1)
    return tape(random.normal(0, 3e-5, bars) + drift * np.repeat(sides, length)[:bars])


def catalogue_of(folder: Path, **tapes: Bars) -> Path:
    """A catalogue of minute bars by instrument."""
    catalogue = Catalogue(folder)
    for name, bars in tapes.items():
        catalogue.write(name, Granularity.M1, bars)
    catalogue.save()
    return folder
