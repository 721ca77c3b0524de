"""The standard deviation of each window's log returns, in compiled loops over short blocks."""

import math
from collections.abc import Callable

import numpy as np

from sep_evaluator.domain.jit import jit
from sep_evaluator.domain.kernel_tables import Floats

_NEAR = 0.02  # up to this log return the series below is exact with seven powers
_BLOCK = 512  # windows

# Each loop below has one output. With more, the compiler can't prove that outputs and inputs
# don't overlap, and it does not vectorise.


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


def _merge_of(half: int) -> Callable[[Floats, Floats], None]:
    """A loop that merges, in place, the ``half`` returns from ``i`` and from ``i + half``.

    ``half`` is a constant of the compiled loop. What is written is then known not to be read
    again, and the compiler vectorises although there are two outputs.
    """
    share = 0.5 / half

    def merge(total: Floats, spread: Floats) -> None:
        for i in range(len(total) - half):
            gap = total[i] - total[i + half]
            spread[i] = spread[i] + spread[i + half] + gap * gap * share
            total[i] = total[i] + total[i + half]

    return jit(merge)


_merge_1, _merge_2, _merge_4 = _merge_of(1), _merge_of(2), _merge_of(4)
_merge_8, _merge_16, _merge_32 = _merge_of(8), _merge_of(16), _merge_of(32)


@jit
def _deviation(spread: Floats, sigma: Floats) -> None:
    for i in range(len(sigma)):
        sigma[i] = math.sqrt(spread[i] / 64.0)


@jit
def fill_sigma(mid: Floats, start: int, stop: int, sigma: Floats) -> None:
    """Write sigma_eff of the windows that end at ``start .. stop-1``.

    Sums and squared deviations of 2, 4, .. 64 neighbouring returns are merged pairwise
    (Chan, Golub, LeVeque 1983): six steps per window, no cancellation, no running state.
    """
    total, spread = np.empty(_BLOCK + 63), np.empty(_BLOCK + 63)
    for first in range(start, stop, _BLOCK):
        size = min(_BLOCK, stop - first)
        span = size + 63
        _log_returns(mid[first - 64 :], total[:span])
        spread[:span] = 0.0
        _merge_1(total[:span], spread)
        _merge_2(total[: span - 1], spread)
        _merge_4(total[: span - 3], spread)
        _merge_8(total[: span - 7], spread)
        _merge_16(total[: span - 15], spread)
        _merge_32(total[: span - 31], spread)
        _deviation(spread, sigma[first : first + size])
