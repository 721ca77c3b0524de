"""The counts of every window: bits, event codes, and the figures that the counts alone decide.

Counts are integers. A running sum of them is exact, so it may carry over from window to window.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from sep_evaluator.domain.jit import jit
from sep_evaluator.domain.kernel_tables import Floats, Ints

Bytes = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.uint32]

_STEP = 1e-9  # a smaller difference of mids counts as none
_EVENTS = 63
_HEAD_EVENTS = 19

# A code has four fields of one byte each, so that one sum counts all four kinds.
_FLIP = np.uint32(8)
_ONSET = np.uint32(16)
_PRECEDED = np.uint32(24)
_PRECEDENCE = 0xFFFF0000


@jit
def read_bits(tail: Floats, bits: Bytes) -> None:
    """Write 1 for a step against the six-bar trend; ``tail`` begins 6 bars before ``bits``."""
    for i in range(len(bits)):
        step = tail[i + 6] - tail[i + 5]
        trend = tail[i + 6] - tail[i]
        # Not `and`: prices defeat the branch predictor, and branches are not vectorised.
        against = ((step >= _STEP) & (trend <= -_STEP)) | ((step <= -_STEP) & (trend >= _STEP))
        bits[i] = np.uint8(against)


@jit
def code_events(bits: Bytes, codes: Codes) -> None:
    """Write what each event is: rupture, flip, rupture after none, any event after a rupture.

    Event ``i`` is the pair of bits ``i + 1`` and ``i + 2``; the event before it needs bit ``i``.
    """
    for i in range(len(codes)):
        before, first, second = np.uint32(bits[i]), np.uint32(bits[i + 1]), np.uint32(bits[i + 2])
        codes[i] = (
            (first & second)
            | ((first ^ second) << _FLIP)
            | ((first & second & (before ^ np.uint32(1))) << _ONSET)
            | ((before & first) << _PRECEDED)
        )


@jit
def fill_counted(
    codes: Codes,
    by_counts: Floats,
    hazards: Floats,
    damping_row: Ints,
    rows: Ints,
    pattern: Floats,
    entropy: Floats,
    rupture: Floats,
    stability: Floats,
    hazard: Floats,
) -> None:
    """Write the figures of windows whose events are ``i .. i + 62``, and their damping rows."""
    counts, head = _sum(codes, _EVENTS - 1), _sum(codes, _HEAD_EVENTS - 1)
    for i in range(len(rows)):
        oldest = np.int64(codes[i])
        counts += np.int64(codes[i + _EVENTS - 1])
        head += np.int64(codes[i + _HEAD_EVENTS - 1])
        rows[i] = damping_row[(head & 0x1F) | ((head >> 3) & 0x3E0)]
        at = 4 * ((counts & 0x3F) | ((counts >> 2) & 0xFC0))
        entropy[i] = by_counts[at]
        rupture[i] = by_counts[at + 1]
        stability[i] = by_counts[at + 2]
        pattern[i] = by_counts[at + 3]
        # The event before the oldest one is not in the window.
        inner = (counts - (oldest & _PRECEDENCE)) >> 16
        hazard[i] = hazards[(inner & 0x3F) | ((inner >> 2) & 0xFC0)]
        counts -= oldest
        head -= oldest


@jit
def _sum(codes: Codes, count: int) -> Any:
    total = np.int64(0)
    for i in range(count):
        total += np.int64(codes[i])
    return total
