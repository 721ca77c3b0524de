"""Window metrics: how often the mids of consecutive candles step against their trend.

``docs/strategy.md`` defines them: 64 bits, each set for a step against the six-bar trend,
read as 63 null, flip or rupture events.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from sep_evaluator.domain.kernel_loops import (
    COHERENCE,
    ENTROPY,
    FIGURES,
    HAZARD,
    RUPTURE,
    SIGMA_EFF,
    STABILITY,
    fill_shape,
)
from sep_evaluator.domain.kernel_sigma import fill_sigma
from sep_evaluator.domain.kernel_tables import Floats, kernel_tables, with_spare_capacity
from sep_evaluator.domain.params import StrategyParams

LOOKBACK = 6
WINDOW = 64
FIRST_WINDOW = LOOKBACK + WINDOW - 1  # index of the first bar that ends a whole window

_FIRST_CAPACITY = 4096


@dataclass(frozen=True, slots=True)
class WindowMetrics:
    """The six figures of every bar, each an array of shape (n,), NaN before index 69.

    ``hazard`` is called lambda in the API, per bar; ``sigma_eff`` is the standard deviation
    of log returns, per bar; the others lie in [0, 1].
    """

    coherence: Floats
    stability: Floats
    rupture: Floats
    entropy: Floats
    hazard: Floats
    sigma_eff: Floats

    def __len__(self) -> int:
        return len(self.coherence)

    def at(self, index: int) -> "WindowFigures":
        """The figures of the window that ends at one bar."""
        return WindowFigures(
            coherence=float(self.coherence[index]),
            stability=float(self.stability[index]),
            rupture=float(self.rupture[index]),
            entropy=float(self.entropy[index]),
            hazard=float(self.hazard[index]),
            sigma_eff=float(self.sigma_eff[index]),
        )

    @classmethod
    def from_rows(cls, figures: Floats) -> Self:
        """Wrap an array of shape (6, n), rows in the order of ``kernel_loops``, without a copy."""
        return cls(
            coherence=figures[COHERENCE],
            stability=figures[STABILITY],
            rupture=figures[RUPTURE],
            entropy=figures[ENTROPY],
            hazard=figures[HAZARD],
            sigma_eff=figures[SIGMA_EFF],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowFigures:
    """The six figures of one window; units as in ``WindowMetrics``."""

    coherence: float
    stability: float
    rupture: float
    entropy: float
    hazard: float
    sigma_eff: float


def figure_rows(mid: Floats) -> Floats:
    """The figures of every window as an array of shape (6, n), NaN before index 69."""
    figures = np.empty((FIGURES, len(mid)))
    figures[:, :FIRST_WINDOW] = np.nan
    _fill(mid, FIRST_WINDOW, len(mid), figures)
    return figures


def window_metrics(mid: Floats) -> WindowMetrics:
    """The metrics of the window that ends at each bar.

    Args:
        mid: mids of complete candles in time order, finite and above zero, shape (n,).
    """
    return WindowMetrics.from_rows(figure_rows(_as_mids(mid)))


def live_window(tail_mids: Floats) -> WindowFigures:
    """The figures of the last window only, for complete candles and a provisional last bar.

    Args:
        tail_mids: at least the last 70 mids, oldest first; older ones are ignored.

    Raises:
        ValueError: fewer than 70 mids.
    """
    if len(tail_mids) <= FIRST_WINDOW:
        raise ValueError(f"{len(tail_mids)} mids; one window needs {FIRST_WINDOW + 1}")
    figures = figure_rows(_as_mids(tail_mids[-(FIRST_WINDOW + 1) :]))
    newest = figures[:, FIRST_WINDOW].tolist()
    return WindowFigures(
        coherence=newest[COHERENCE],
        stability=newest[STABILITY],
        rupture=newest[RUPTURE],
        entropy=newest[ENTROPY],
        hazard=newest[HAZARD],
        sigma_eff=newest[SIGMA_EFF],
    )


class KernelStream:
    """Window metrics of a growing series; appending costs only the new mids.

    Returned views stay valid: growth and ``drop`` allocate new memory, and a bar that was
    written is never written again.
    """

    def __init__(self, capacity: int = _FIRST_CAPACITY) -> None:
        self._mid = np.empty(capacity)
        self._figures = np.empty((FIGURES, capacity))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def mid(self) -> Floats:
        """All mids so far, shape (n,)."""
        return self._mid[: self._count]

    @property
    def block(self) -> Floats:
        """The figures with spare capacity, shape (6, capacity): contiguous, for compiled loops."""
        return self._figures

    @property
    def metrics(self) -> WindowMetrics:
        """All figures so far by name."""
        return WindowMetrics.from_rows(self._figures[:, : self._count])

    def extend(self, mid: Floats) -> None:
        """Append mids, shape (k,), and compute the windows that end at them."""
        first, count = self._count, self._count + len(mid)
        if count > len(self._mid):
            self._move(0, with_spare_capacity(count))
        self._mid[first:count] = mid
        self._figures[:, first : min(count, FIRST_WINDOW)] = np.nan
        _fill(self._mid, max(first, FIRST_WINDOW), count, self._figures)
        self._count = count

    def drop(self, count: int) -> None:
        """Drop the oldest ``count`` mids, as if the series had begun after them."""
        self._move(count, len(self._mid))
        self._figures[:, : min(self._count, FIRST_WINDOW)] = np.nan

    def _move(self, start: int, capacity: int) -> None:
        count = self._count - start
        mid, figures = np.empty(capacity), np.empty((FIGURES, capacity))
        mid[:count] = self._mid[start : self._count]
        figures[:, :count] = self._figures[:, start : self._count]
        self._mid, self._figures, self._count = mid, figures, count


def momentum(
    mid: Floats, coherence: Floats, params: StrategyParams
) -> tuple[Floats, npt.NDArray[np.int8]]:
    """Slope over the direction lookback, and the direction that follows from it, at each bar.

    Args:
        mid: shape (n,).
        coherence: of the window that ends at each bar, NaN where undefined, shape (n,).

    Returns:
        ``slope_bps`` (NaN before the lookback) and direction (-1, 0 or 1), each shape (n,).
    """
    lookback = params.direction_lookback
    slope = np.full(len(mid), np.nan)
    direction = np.zeros(len(mid), np.int8)
    if len(mid) > lookback:
        slope[lookback:] = 1e4 * (mid[lookback:] / mid[:-lookback] - 1.0)
        counts = np.abs(slope[lookback:]) >= params.dir_threshold_bps
        counts &= coherence[lookback:] >= coherence[:-lookback]
        direction[lookback:][counts] = np.sign(slope[lookback:][counts]).astype(np.int8)
    return slope, direction


def _as_mids(mid: Floats) -> Floats:
    return np.ascontiguousarray(mid, np.float64)


def _fill(mid: Floats, start: int, stop: int, figures: Floats) -> None:
    if start >= stop:
        return
    tables = kernel_tables()
    fill_shape(
        mid,
        start,
        stop,
        tables.by_counts,
        tables.hazards,
        tables.damping_row,
        tables.decay,
        tables.byte_sums,
        figures,
    )
    fill_sigma(mid, start, stop, figures[SIGMA_EFF])
