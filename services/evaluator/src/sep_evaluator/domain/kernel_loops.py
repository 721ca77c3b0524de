"""The kernel's compiled loops: mids in, six figures per window out.

Every figure at bar ``t`` is computed from ``mid[t-69 .. t]`` alone, in the same order of
operations for any requested range. A stream that extends bar by bar and a batch therefore get
the same bits, and rounding errors do not accumulate.

The loops work on blocks, in short scratch columns that stay in the first-level cache: passes
that the compiler vectorises, one pass over the counts and one over the trajectories.
"""

import numpy as np

from sep_evaluator.domain.jit import jit
from sep_evaluator.domain.kernel_counts import Bytes, code_events, fill_counted, read_bits
from sep_evaluator.domain.kernel_tables import Floats, Ints
from sep_evaluator.domain.kernel_trace import trace

COHERENCE, STABILITY, RUPTURE, ENTROPY, HAZARD, SIGMA_EFF = range(6)
FIGURES = 6

_BLOCK = 512  # windows
_OLDER = 64  # bits before a block: 63 of its first window, and one before them

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_TOP = np.uint64(63)


@jit
def _trace(
    bits: Bytes,
    rows: Ints,
    decay: Floats,
    byte_sums: Floats,
    total: Floats,
    squares: Floats,
    level: Floats,
) -> None:
    """Write the sum, the sum of squares and the end of each window's trajectory.

    Window ``i`` holds the bits ``i + 1 .. i + 64``. If the oldest one is 1, the inverted word is
    traced: its trajectory, negated, equals the word's own except for ``v[0] = 1``.
    """
    word = _ZERO
    for i in range(_OLDER):
        word = (word >> _ONE) | (np.uint64(bits[i]) << _TOP)
    for i in range(len(rows)):
        # The lowest bit of the word is the oldest.
        word = (word >> _ONE) | (np.uint64(bits[i + _OLDER]) << _TOP)
        rest = word ^ (_ZERO - (word & _ONE))
        total[i], squares[i], level[i] = trace(rest, np.uint64(rows[i]), decay, byte_sums)


@jit
def _coherence(
    pattern: Floats,
    oldest: Bytes,
    total: Floats,
    squares: Floats,
    level: Floats,
    coherence: Floats,
) -> None:
    """Coherence. It needs no clamp to [0, 1], since 0.01 <= pattern <= 0.99 and 0 < fit <= 1.

    ``pattern`` has its weight already; ``oldest`` is each window's first bit.
    """
    for i in range(len(coherence)):
        lift = np.float64(oldest[i])
        mean = (lift + (1.0 - 2.0 * lift) * total[i]) / 64.0
        variance = (squares[i] + lift) / 64.0 - mean * mean
        variance = variance if variance > 0.0 else 0.0
        end = 0.1 * level[i]
        end = end if level[i] < 2.0 else 0.0
        coherence[i] = (pattern[i] + 0.3 * (1.0 / (1.0 + variance))) / (1.0 + end)


@jit
def fill_shape(
    mid: Floats,
    start: int,
    stop: int,
    by_counts: Floats,
    hazards: Floats,
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
    bits = np.zeros(_BLOCK + _OLDER, np.uint8)
    codes = np.empty(_BLOCK + _OLDER - 2, np.uint32)
    rows = np.empty(_BLOCK, np.int64)
    pattern, total = np.empty(_BLOCK), np.empty(_BLOCK)
    squares, level = np.empty(_BLOCK), np.empty(_BLOCK)
    read_bits(mid[start - 69 :], bits[1:_OLDER])
    for first in range(start, stop, _BLOCK):
        end = min(first + _BLOCK, stop)
        size = end - first
        read_bits(mid[first - 6 :], bits[_OLDER : _OLDER + size])
        code_events(bits, codes[: size + _OLDER - 2])
        fill_counted(
            codes,
            by_counts,
            hazards,
            damping_row,
            rows[:size],
            pattern,
            figures[ENTROPY, first:end],
            figures[RUPTURE, first:end],
            figures[STABILITY, first:end],
            figures[HAZARD, first:end],
        )
        _trace(bits, rows[:size], decay, byte_sums, total, squares, level)
        _coherence(pattern, bits[1:], total, squares, level, figures[COHERENCE, first:end])
        for i in range(_OLDER):
            bits[i] = bits[_BLOCK + i]
