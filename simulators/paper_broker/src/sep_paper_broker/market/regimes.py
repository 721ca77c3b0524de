"""A currency's price path: regimes of trend and noise around a slowly moving level.

All values are functions of (seed, currency, block number). A block does not depend on other
blocks, so the price at any time is computed directly, and is the same after a restart.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

BLOCK_SECONDS = 7200

Floats = npt.NDArray[np.float64]

# Standard deviation of a five-second log return, and the drift of a trend as a share of it. At
# 0.75 about every fourth bar moves against the trend: the kernel measures coherence, but stops
# are still hit.
_BAR_SIGMA = 0.40e-4
_DRIFT_RATIO = 0.75
_BAR_SECONDS = 5

_TREND_MINUTES = (8.0, 18.0)
_NOISE_MINUTES = (7.0, 14.0)
_TREND_STRENGTH = (0.85, 1.25)

# The level is noise on lattices of a week, a day and four hours, given as (spacing in blocks,
# standard deviation in log price). A sum of bounded layers stays near its mean over years; a
# random walk would not.
_LEVEL_LAYERS = ((84, 0.008), (12, 0.003), (2, 0.001))
_ROUTES = 32

_PATH_STREAM, _LEVEL_STREAM = 1, 2


class CurrencyPath:
    """Log price of one currency against the numeraire, second by second.

    Args:
        seed: seed of the whole market.
        key: a number unique to the currency, so that currencies are independent.
        base: mean of the log price.
        phase: shift of this currency's blocks in seconds, so that currencies do not change regime
            at the same time.
    """

    def __init__(self, seed: int, key: int, base: float, phase: int) -> None:
        self._seed = seed
        self._key = key
        self._base = base
        self._phase = phase % BLOCK_SECONDS
        self._block = lru_cache(maxsize=96)(self._make_block)
        self._lattice = lru_cache(maxsize=4096)(self._make_lattice)

    def log_price(self, start_s: int, stop_s: int) -> Floats:
        """Log price of every second of ``[start_s, stop_s)``."""
        start, stop = start_s + self._phase, stop_s + self._phase
        first, last = start // BLOCK_SECONDS, (stop - 1) // BLOCK_SECONDS
        blocks = [self._block(k) for k in range(first, last + 1)]
        path = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        offset = first * BLOCK_SECONDS
        return path[start - offset : stop - offset]

    def _make_block(self, block: int) -> Floats:
        """A block's path, from the level at its start to the level at its end.

        The directions of the trends are chosen to end near the next level, so that only a small
        remainder has to be spread over the block.
        """
        rng = self._rng(_PATH_STREAM, block)
        begin, end = self._level(block), self._level(block + 1)
        lengths, trending = _schedule(rng)
        noise = rng.standard_normal(BLOCK_SECONDS) * (_BAR_SIGMA / np.sqrt(_BAR_SECONDS))
        drift = _BAR_SIGMA * _DRIFT_RATIO / _BAR_SECONDS
        speed = trending * drift * rng.uniform(*_TREND_STRENGTH, len(lengths))
        routes = rng.choice((-1.0, 1.0), size=(_ROUTES, len(lengths)))
        reached = (routes * speed * lengths).sum(axis=1) + noise.sum()
        route = routes[np.argmin(np.abs(reached - (end - begin)))]
        path = np.cumsum(noise + np.repeat(route * speed, lengths))
        path += (end - begin - path[-1]) * np.arange(1, BLOCK_SECONDS + 1) / BLOCK_SECONDS
        path += self._base + begin
        path.setflags(write=False)
        return path

    def _level(self, block: int) -> float:
        level = 0.0
        for layer, (spacing, sigma) in enumerate(_LEVEL_LAYERS):
            knot, into = divmod(block, spacing)
            weight = (1 - np.cos(np.pi * into / spacing)) / 2
            before, after = self._lattice(layer, knot), self._lattice(layer, knot + 1)
            level += sigma * ((1 - weight) * before + weight * after)
        return float(level)

    def _make_lattice(self, layer: int, knot: int) -> float:
        return float(self._rng(_LEVEL_STREAM, layer, knot).standard_normal())

    def _rng(self, *stream: int) -> np.random.Generator:
        # SeedSequence takes no negative numbers: times before 1970 are not supported.
        key = (self._seed, self._key, *stream)
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def _schedule(rng: np.random.Generator) -> tuple[npt.NDArray[np.int64], Floats]:
    """Lengths in seconds of the regimes that fill a block, and 1.0 for trends, 0.0 for noise."""
    lengths: list[int] = []
    kinds: list[float] = []
    trend = bool(rng.integers(2))
    left = BLOCK_SECONDS
    while left > 0:
        minutes = rng.uniform(*(_TREND_MINUTES if trend else _NOISE_MINUTES))
        length = min(left, round(60 * minutes))
        lengths.append(length)
        kinds.append(float(trend))
        left -= length
        trend = not trend
    return np.array(lengths, np.int64), np.array(kinds)
