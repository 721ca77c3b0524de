"""Adaptive floors: the minimum figures of an instrument, derived from its own history."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

HOUR_MS = 3_600_000
HISTORY_MS = 30 * 24 * HOUR_MS
ENOUGH_SAMPLES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One hourly sample of an instrument's evaluation; ``ts`` in ms.

    ``params`` is the digest of the parameters that it was made under, empty if unknown.
    """

    ts: int
    trades: int
    calmar: float
    pnl: float
    params: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseFloors:
    """Configured lower bounds of the floors."""

    min_trades: int
    calmar: float
    pnl: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Quartiles:
    """25th percentiles of a history; ``pnl_range`` is the P&L's inter-quartile range."""

    trades: float
    calmar: float
    pnl: float
    pnl_range: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Floors:
    """Floors in force: number of trades, Calmar ratio, sum of returns.

    ``pnl_range`` is the inter-quartile range of the sum of returns, None before there is enough
    history.
    """

    min_trades: float
    calmar: float
    pnl: float
    pnl_range: float | None = None


def quartiles_of(history: Sequence[Sample]) -> Quartiles | None:
    """The quartiles of a history; None with fewer than 24 samples."""
    if len(history) < ENOUGH_SAMPLES:
        return None
    pnl = sorted(s.pnl for s in history)
    return Quartiles(
        trades=percentile(sorted(s.trades for s in history), 25),
        calmar=percentile(sorted(s.calmar for s in history), 25),
        pnl=percentile(pnl, 25),
        pnl_range=percentile(pnl, 75) - percentile(pnl, 25),
    )


def adaptive_floors(base: BaseFloors, quartiles: Quartiles | None, buffer: float) -> Floors:
    """The floors that a history gives, never below the base floors.

    With the buffer on top, a floor of the history is its 25th percentile: an instrument that is
    as good as it was passes, one in its own worst quarter does not.

    Args:
        quartiles: of the history under the parameters in force; None leaves the base floors.
        buffer: half width of the hysteresis band, as a share of the floors.
    """
    if quartiles is None:
        return Floors(min_trades=base.min_trades, calmar=base.calmar, pnl=base.pnl)
    return Floors(
        min_trades=max(base.min_trades, _floor_of(quartiles.trades, buffer)),
        calmar=max(base.calmar, _floor_of(quartiles.calmar, buffer)),
        pnl=max(base.pnl, _floor_of(quartiles.pnl, buffer)),
        pnl_range=quartiles.pnl_range,
    )


def _floor_of(level: float, buffer: float) -> float:
    """The largest floor whose upper edge is at most the level.

    Rounding may lift the edge above the level; then a steady instrument would miss its own.
    """
    floor = level / (1 + buffer)
    while floor * (1 + buffer) > level:
        floor = math.nextafter(floor, -math.inf)
    return floor


def percentile(ordered: Sequence[float], percent: int) -> float:
    """A percentile of ordered values, interpolated linearly between neighbours.

    Equals numpy's default method, and is ten times as fast on a few hundred values.
    """
    at = (len(ordered) - 1) * percent / 100
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)


def next_sample(history: Sequence[Sample], candidate: Sample) -> Sample | None:
    """The candidate if the last sample is at least an hour old or missing, else None."""
    if history and candidate.ts - history[-1].ts < HOUR_MS:
        return None
    return candidate


def within_history(history: Sequence[Sample], now_ms: int) -> list[Sample]:
    """The samples of the last 30 days."""
    return [s for s in history if s.ts > now_ms - HISTORY_MS]


class FloorsInForce:
    """The floors of a growing history, recomputed only when a sample is added or expires.

    The history holds samples under any parameters. Floors follow from those under the parameters
    asked for, so that parameters that come back find their own.
    """

    def __init__(self, base: BaseFloors) -> None:
        self._base = base
        self._history: list[Sample] = []
        self._quartiles: dict[str, Quartiles | None] = {}

    @property
    def history(self) -> Sequence[Sample]:
        """The samples that have not expired, oldest first."""
        return self._history

    def add(self, *samples: Sample) -> None:
        """Append samples, oldest first; all must be newer than the existing ones."""
        if samples:
            self._history.extend(samples)
            self._quartiles.clear()

    def at(self, now_ms: int, params: str | None, buffer: float) -> Floors:
        """The floors at a time; calls must not go back in time.

        Args:
            params: digest of the parameters in force; None, if they are invalid, gives the base
                floors.
            buffer: half width of the hysteresis band, as a share of the floors.
        """
        self.expire(now_ms)
        if params is None:
            return adaptive_floors(self._base, None, buffer)
        if params not in self._quartiles:
            own = [s for s in self._history if s.params == params]
            self._quartiles[params] = quartiles_of(own)
        return adaptive_floors(self._base, self._quartiles[params], buffer)

    def expire(self, now_ms: int) -> None:
        """Drop the samples that are older than 30 days."""
        if self._history and self._history[0].ts <= now_ms - HISTORY_MS:
            self._history = within_history(self._history, now_ms)
            self._quartiles.clear()
