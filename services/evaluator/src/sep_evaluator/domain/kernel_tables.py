"""Look-up tables that turn a window's 64-bit word into entropy and trajectory moments.

The damping of a window depends only on the event counts of its first 20 bits, so it
takes a few dozen values; for each of them every byte of the word contributes to the
trajectory's sum and sum of squares in one of 256 ways.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

EVENTS = 63
HEAD_EVENTS = 19
_HEAD_STRIDE = 32
_COUNTS = 64
_LANES = 4
_CACHE_LINE = 64


@dataclass(frozen=True, slots=True)
class KernelTables:
    """The tables of the window loop.

    ``by_counts``: shape (64 * 64 * 4,), of ``flips * 64 + ruptures`` of a window's 63 events:
    entropy, rupture, stability, and the pattern's share of coherence.
    ``hazards``: shape (64 * 64,), at ``after * 64 + onsets``, where ``after`` of 62 events follow
    a rupture and ``onsets`` ruptures do not: the share of ruptures among those that don't.
    ``damping_row``: shape (640,), row of the damping at ``flips * 32 + ruptures`` of
    the first 19 events.
    ``byte_sums``: shape (rows * 256 * 4,), over the 8 partial sums ``p[i]`` of
    ``bit[j] * exp(-d * j)`` inside a byte: ``p[7]``, their sum, their sum of squares, 1.
    ``decay``: shape (rows * 8 * 4,), the factors of these four at each byte:
    ``exp(-d * 8 * byte)``, the same again, its square, 1.
    """

    by_counts: Floats
    hazards: Floats
    damping_row: Ints
    byte_sums: Floats
    decay: Floats


@cache
def kernel_tables() -> KernelTables:
    """The tables, built once per process (a few milliseconds)."""
    rows: dict[float, int] = {}
    damping_row = np.zeros((HEAD_EVENTS + 1) * _HEAD_STRIDE, np.int64)
    head = _entropy_terms(HEAD_EVENTS)
    for flips in range(HEAD_EVENTS + 1):
        for ruptures in range(HEAD_EVENTS + 1 - flips):
            nulls = HEAD_EVENTS - flips - ruptures
            entropy = float(head[nulls] + head[flips] + head[ruptures])
            damping = min(max(0.5 * min(max(entropy, 0.05), 1.0), 0.01), 1.0)
            at = flips * _HEAD_STRIDE + ruptures
            damping_row[at] = rows.setdefault(damping, len(rows))
    dampings = np.array(list(rows), np.float64)
    decay = np.ones((len(rows), 8, _LANES))
    decay[:, :, 0] = np.exp(-dampings[:, None] * 8.0 * np.arange(8))
    decay[:, :, 1] = decay[:, :, 0]
    decay[:, :, 2] = decay[:, :, 0] ** 2
    weights = np.exp(-dampings[:, None] * np.arange(8))
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    partial = np.cumsum(bits[None, :, :] * weights[:, None, :], axis=2)
    byte_sums = np.ones((len(rows), 256, _LANES))
    byte_sums[:, :, 0] = partial[:, :, 7]
    byte_sums[:, :, 1] = partial.sum(axis=2)
    byte_sums[:, :, 2] = (partial**2).sum(axis=2)
    return KernelTables(_by_counts(), _hazards(), damping_row, _aligned(byte_sums), _aligned(decay))


def _by_counts() -> Floats:
    """Entropy, rupture, stability and 0.7 * pattern at each pair of counts that can occur."""
    figures = np.zeros((_COUNTS, _COUNTS, _LANES))
    terms = _entropy_terms(EVENTS)
    for flips in range(EVENTS + 1):
        for ruptures in range(EVENTS + 1 - flips):
            disorder = float(terms[EVENTS - flips - ruptures] + terms[flips] + terms[ruptures])
            entropy = min(max(disorder, 0.05), 1.0)
            rupture = ruptures / EVENTS
            pattern = 0.6 * (1.0 - entropy) + 0.3 * (1.0 - rupture)
            pattern += 0.1 * (1.0 - flips / EVENTS)
            weighted = 0.7 * min(max(pattern, 0.01), 0.99)
            figures[flips, ruptures] = entropy, rupture, 1.0 - rupture, weighted
    return _aligned(figures)


def _hazards() -> Floats:
    after, onsets = np.mgrid[:_COUNTS, :_COUNTS].astype(np.float64)
    shares: Floats = onsets / np.maximum(EVENTS - 1 - after, 1.0)
    return shares.ravel()


def _aligned(table: Floats) -> Floats:
    """The table, flat, aligned to a cache line so that no entry spans two."""
    buffer = np.empty(table.size + _CACHE_LINE // 8)
    start = -buffer.ctypes.data % _CACHE_LINE // 8
    flat = buffer[start : start + table.size]
    flat[:] = table.ravel()
    return flat


def _entropy_terms(events: int) -> Floats:
    share = np.arange(events + 1) / events
    share[0] = 1.0  # a kind that does not occur adds nothing, as 1 * log2(1) does
    terms: Floats = -share * np.log2(share) / np.log2(3.0)
    return terms


def with_spare_capacity(count: int) -> int:
    """Capacity for ``count`` bars and a quarter more.

    A loaded history must not be reallocated by the first live bar. A long run keeps at most a
    tenth more than its length, so it never grows again. Untouched capacity takes no memory.
    """
    return count + max(count // 4, 4096)
