"""The kernel's compiled loops: mids in, six figures per window out.

Every figure at bar ``t`` is computed from ``mid[t-69 .. t]`` alone, in the same order of
operations for any requested range. A stream that extends bar by bar and a batch therefore get
the same bits, and rounding errors do not accumulate.

The loops work on blocks, in short scratch columns that stay in the first-level cache: one
sequential pass, one look-up pass, and passes that the compiler vectorises.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from sep_evaluator.domain.jit import jit, popcount
from sep_evaluator.domain.kernel_tables import Floats, Ints
from sep_evaluator.domain.kernel_trace import trace

COHERENCE, STABILITY, RUPTURE, ENTROPY, HAZARD, SIGMA_EFF = range(6)
FIGURES = 6

Words = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int32]  # 32 bits: every vector unit can turn them into floats

_STEP = 1e-9  # a smaller difference of mids counts as none
_NEAR = 0.02  # up to this log return the series below is exact with seven powers
_BLOCK = 256  # windows

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_TOP = np.uint64(63)
_EVENTS = np.uint64((1 << 63) - 1)
_LEADERS = np.uint64((1 << 62) - 1)
_HEAD = np.uint64((1 << 19) - 1)

# Scratch rows: event counts, then values from the tables.
_RUPTURES, _FLIPS, _ONSETS, _CALM = range(4)
_DISORDER, _TOTAL, _SQUARES, _LEVEL, _LIFT = range(5)


@jit
def _bit(tail: Floats, i: int) -> Any:
    """1 for a step against the six-bar trend at ``tail[i + 6]``, as an unsigned word."""
    step = tail[i + 6] - tail[i + 5]
    trend = tail[i + 6] - tail[i]
    # Not `and`: prices defeat the branch predictor, and a missed branch costs more than both sides.
    against = ((step >= _STEP) & (trend <= -_STEP)) | ((step <= -_STEP) & (trend >= _STEP))
    return np.uint64(against)


@jit
def _read_events(
    tail: Floats,
    word: Any,
    entropy_term: Floats,
    damping_row: Ints,
    words: Words,
    rows: Ints,
    counts: Counts,
    moments: Floats,
) -> Any:
    """Roll the word over a block and count its events; return the word at the block's end.

    The lowest bit of the word is the oldest; event ``i`` is the pair of bits ``i``, ``i + 1``.
    ``tail`` begins 6 bars before the block.
    """
    for i in range(len(words)):
        word = (word >> _ONE) | (_bit(tail, i) << _TOP)
        after = word >> _ONE
        ruptured = word & after
        flipped = (word ^ after) & _EVENTS
        ruptures, flips = popcount(ruptured), popcount(flipped)
        words[i] = word
        rows[i] = damping_row[popcount(flipped & _HEAD) * 20 + popcount(ruptured & _HEAD)]
        counts[_RUPTURES, i] = ruptures
        counts[_FLIPS, i] = flips
        counts[_ONSETS, i] = popcount((ruptured >> _ONE) & ~ruptured)
        counts[_CALM, i] = 62 - popcount(ruptured & _LEADERS)
        moments[_DISORDER, i] = (
            entropy_term[63 - flips - ruptures] + entropy_term[flips] + entropy_term[ruptures]
        )
    return word


@jit
def _trace(words: Words, rows: Ints, decay: Floats, byte_sums: Floats, moments: Floats) -> None:
    """Write the sum, the sum of squares and the end of each word's trajectory.

    If the oldest bit is 1, the inverted word is traced: its trajectory, negated, equals the
    word's own except for ``v[0] = 1``.
    """
    for i in range(len(words)):
        lift = words[i] & _ONE
        rest = words[i] ^ (_ZERO - lift)
        total, squares, level = trace(rest, np.uint64(rows[i]), decay, byte_sums)
        moments[_TOTAL, i] = total
        moments[_SQUARES, i] = squares
        moments[_LEVEL, i] = level
        moments[_LIFT, i] = np.float64(lift)


# Each loop below has one output. With more, the compiler can't prove that outputs and inputs
# don't overlap, and it does not vectorise.


@jit
def _rupture(ruptures: Counts, rupture: Floats) -> None:
    for i in range(len(rupture)):
        rupture[i] = ruptures[i] / 63.0


@jit
def _stability(rupture: Floats, stability: Floats) -> None:
    for i in range(len(stability)):
        stability[i] = 1.0 - rupture[i]


@jit
def _entropy(disorder: Floats, entropy: Floats) -> None:
    for i in range(len(entropy)):
        h = disorder[i]
        h = h if h > 0.05 else 0.05
        entropy[i] = h if h < 1.0 else 1.0


@jit
def _hazard(onsets: Counts, calm: Counts, hazard: Floats) -> None:
    """Share of ruptures among the events that follow a non-rupture; 0 if there are none."""
    for i in range(len(hazard)):
        after_calm = np.float64(calm[i])
        hazard[i] = onsets[i] / (after_calm if after_calm > 0.0 else 1.0)


@jit
def _coherence(
    entropy: Floats,
    rupture: Floats,
    flips: Counts,
    total: Floats,
    squares: Floats,
    level: Floats,
    lift: Floats,
    coherence: Floats,
) -> None:
    """Coherence. It needs no clamp to [0, 1], since 0.01 <= pattern <= 0.99 and 0 < fit <= 1."""
    for i in range(len(coherence)):
        pattern = 0.6 * (1.0 - entropy[i]) + 0.3 * (1.0 - rupture[i])
        pattern += 0.1 * (1.0 - flips[i] / 63.0)
        pattern = pattern if pattern > 0.01 else 0.01
        pattern = pattern if pattern < 0.99 else 0.99
        mean = (lift[i] + (1.0 - 2.0 * lift[i]) * total[i]) / 64.0
        variance = (squares[i] + lift[i]) / 64.0 - mean * mean
        variance = variance if variance > 0.0 else 0.0
        end = 0.1 * level[i]
        end = end if level[i] < 2.0 else 0.0
        coherence[i] = (0.7 * pattern + 0.3 * (1.0 / (1.0 + variance))) / (1.0 + end)


@jit
def fill_shape(
    mid: Floats,
    start: int,
    stop: int,
    entropy_term: Floats,
    damping_row: Ints,
    decay: Floats,
    byte_sums: Floats,
    figures: Floats,
) -> None:
    """Write all figures except sigma_eff of the windows that end at ``start .. stop-1``.

    Args:
        mid: shape (n,), n >= stop.
        start: 69 or more.
        figures: shape (6, n), rows in the order of the constants above.
    """
    words = np.empty(_BLOCK, np.uint64)
    rows = np.empty(_BLOCK, np.int64)
    counts = np.empty((4, _BLOCK), np.int32)
    moments = np.empty((5, _BLOCK))
    word = _ZERO
    tail = mid[start - 69 : start]
    for i in range(63):
        word = (word >> _ONE) | (_bit(tail, i) << _TOP)
    for first in range(start, stop, _BLOCK):
        end = min(first + _BLOCK, stop)
        block = words[: end - first]
        word = _read_events(
            mid[first - 6 :], word, entropy_term, damping_row, block, rows, counts, moments
        )
        _trace(block, rows, decay, byte_sums, moments)
        rupture, entropy = figures[RUPTURE, first:end], figures[ENTROPY, first:end]
        _rupture(counts[_RUPTURES], rupture)
        _stability(rupture, figures[STABILITY, first:end])
        _entropy(moments[_DISORDER], entropy)
        _hazard(counts[_ONSETS], counts[_CALM], figures[HAZARD, first:end])
        _coherence(
            entropy,
            rupture,
            counts[_FLIPS],
            moments[_TOTAL],
            moments[_SQUARES],
            moments[_LEVEL],
            moments[_LIFT],
            figures[COHERENCE, first:end],
        )


@jit
def _log_returns(mid: Floats, returns: Floats) -> None:
    """Write ln(mid[i+1] / mid[i])."""
    for i in range(len(returns)):
        # ln(a / b) = 2 atanh((a - b) / (a + b)) avoids the rounding of a / b near 1.
        z = (mid[i + 1] - mid[i]) / (mid[i + 1] + mid[i])
        y = z * z
        returns[i] = 2.0 * z * (1.0 + y * (1.0 / 3.0 + y * (0.2 + y * (1.0 / 7.0))))
    far = np.int64(0)
    for i in range(len(returns)):
        far += np.int64(abs(returns[i]) > _NEAR)
    if far:  # the series is not exact; happens in test data, not in minute bars
        for i in range(len(returns)):
            if abs(returns[i]) > _NEAR:
                returns[i] = math.log(mid[i + 1] / mid[i])


@jit
def _merge_spreads(half: int, total: Floats, spread: Floats, merged: Floats) -> None:
    """Merge the squared deviations of the ``half`` returns from ``i`` and from ``i + half``."""
    share = 0.5 / half
    late_total, late_spread = total[half:], spread[half:]
    for i in range(len(late_total)):
        gap = total[i] - late_total[i]
        merged[i] = spread[i] + late_spread[i] + gap * gap * share


@jit
def _merge_totals(half: int, total: Floats, merged: Floats) -> None:
    """Merge the sums of the same returns."""
    late = total[half:]
    for i in range(len(late)):
        merged[i] = total[i] + late[i]


@jit
def _deviation(spread: Floats, sigma: Floats) -> None:
    for i in range(len(sigma)):
        sigma[i] = math.sqrt(spread[i] / 64.0)


@jit
def fill_sigma(mid: Floats, start: int, stop: int, figures: Floats) -> None:
    """Write sigma_eff of the windows that end at ``start .. stop-1``.

    Sums and squared deviations of 2, 4, .. 64 neighbouring returns are merged pairwise
    (Chan, Golub, LeVeque 1983): six steps per window, no cancellation, no running state.
    """
    total, spread = np.empty(_BLOCK + 63), np.empty(_BLOCK + 63)
    sums, spreads = np.empty(_BLOCK + 63), np.empty(_BLOCK + 63)
    for first in range(start, stop, _BLOCK):
        size = min(_BLOCK, stop - first)
        span = size + 63
        _log_returns(mid[first - 64 :], total[:span])
        spread[:span] = 0.0
        half = 1
        while half < 64:
            _merge_spreads(half, total[:span], spread[:span], spreads)
            _merge_totals(half, total[:span], sums)
            total, sums = sums, total
            spread, spreads = spreads, spread
            span -= half
            half *= 2
        _deviation(spread, figures[SIGMA_EFF, first : first + size])
