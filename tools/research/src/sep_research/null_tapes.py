"""Null tapes: made from a real one, without anything in them that a strategy could find.

Bars are taken in blocks of hours from other days at the same time of day, so that volatility comes
in clusters and follows the clock as in the original. Then each bar's move is turned around or not,
at random: where the next bar goes can't be known from those before. Spreads stay with their bars:
the costs are the real ones.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from sep_fx.bars import Bars

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_DAY = 86_400
_BLOCK_S = 4 * 3600
_SAME_TIME_S = 1800
_DRAWS = 16


def null_tape(bars: Bars, random: np.random.Generator) -> Bars:
    """A null tape with the times of the bars."""
    count = len(bars)
    if count < 2:
        return bars
    mid, half = _mids_and_halves(bars)
    before = mid["c"][:-1]
    # Moves from the close before, of the bars 1 .. n-1, as logarithms.
    moves = {point: np.log(mid[point][1:] / before) for point in "ohlc"}
    source = _sources(bars.time[1:], random)
    flipped = random.integers(0, 2, count - 1).astype(np.bool_)
    move, cost = _taken(moves, half, source, flipped)
    level = np.log(mid["c"][0]) + np.concatenate([[0.0], np.cumsum(move["c"])])
    columns: dict[str, Floats] = {}
    for point in "ohlc":
        price = np.empty(count)
        price[0] = mid[point][0]
        price[1:] = np.exp(level[:-1] + move[point])
        spread = np.concatenate([half[point][:1], cost[point]]) * price
        columns[f"bid_{point}"], columns[f"ask_{point}"] = price - spread, price + spread
    return Bars(time=bars.time, volume=bars.volume, **columns)


def _mids_and_halves(bars: Bars) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Mids, and half spreads as a share of the mid, by point."""
    mid, half = {}, {}
    for point in "ohlc":
        bid, ask = getattr(bars, f"bid_{point}"), getattr(bars, f"ask_{point}")
        mid[point] = (bid + ask) / 2
        half[point] = (ask - bid) / 2 / mid[point]
    return mid, half


def _taken(
    moves: Mapping[str, Floats],
    half: Mapping[str, Floats],
    source: Ints,
    flipped: npt.NDArray[np.bool_],
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Moves and half spreads of the source bars; of a flipped bar the high becomes the low."""
    mirror = {"o": "o", "h": "l", "l": "h", "c": "c"}
    move, cost = {}, {}
    for point, other in mirror.items():
        move[point] = np.where(flipped, -moves[other][source], moves[point][source])
        cost[point] = np.where(flipped, half[other][1:][source], half[point][1:][source])
    return move, cost


def _sources(time: Ints, random: np.random.Generator) -> Ints:
    """For each bar the bar that it is taken from: blocks from the same time of other days."""
    count = len(time)
    span_days = max(1, int(time[-1] - time[0]) // _DAY + 1)
    # A block ends where the clock enters the next four hours, or after a pause.
    starts = np.flatnonzero(np.diff(time // _BLOCK_S, prepend=-1))
    lengths = np.diff(np.append(starts, count))
    found = starts.copy()
    open_ = np.ones(len(starts), np.bool_)
    for _ in range(_DRAWS):
        days = random.integers(0, span_days, len(starts))
        wanted = time[0] + (time[starts] + days * _DAY - time[0]) % (span_days * _DAY)
        at = np.minimum(np.searchsorted(time, wanted), count - 1)
        fits = open_ & (np.abs(time[at] - wanted) <= _SAME_TIME_S)
        found[fits] = at[fits]
        open_ &= ~fits
        if not open_.any():
            break
    inside = np.arange(count) - np.repeat(starts, lengths)
    return np.asarray((np.repeat(found, lengths) + inside) % count)
