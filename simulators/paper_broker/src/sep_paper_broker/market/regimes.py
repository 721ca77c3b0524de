"""A currency's price path: regimes of trend and noise around a slowly moving level.

CloseAmount here is a function of (seed, currency, block number) alone. A block needs no
other block, so any moment of any year can be priced at once, and a restart prices the
same moment the same.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

BLOCK_SECONDS = 7200

Floats = npt.NDArray[np.float64]

# Standard deviation of a five-second log return, and the drift of a trend as a share of
# it. At 0.75 a step against the trend happens about every fourth bar: coherent to the
# kernel, but not so clean that every stop is safe.
_BAR_SIGMA = 0.40e-4
_DRIFT_RATIO = 0.75
_BAR_SECONDS = 5

_TREND_MINUTES = (8.0, 18.0)
_NOISE_MINUTES = (7.0, 14.0)
_TREND_STRENGTH = (0.85, 1.25)

# The level: noise on lattices of a week, a day and four hours. (spacing in blocks,
# standard deviation in log price.) A sum of bounded layers can't wander off over years,
# which a random walk would.
_LEVEL_LAYERS = ((84, 0.008), (12, 0.003), (2, 0.001))
_ROUTES = 32

_PATH_STREAM, _LEVEL_STREAM = 1, 2


class CurrencyPath:
    """Log price of one currency against the numeraire, second by second.

    Args:
        seed: of the whole market.
        key: the currency's own number, so that currencies are independent.
        base: log price that the path stays around.
        phase: seconds by which this currency's blocks are moved, so that the
            currencies do not all change regime at once.
    """

    def __init__(self, seed: int, key: int, base: float, phase: int) -> None:
        self._seed = seed
        self._key = key
        self._base = base
        self._phase = phase % BLOCK_SECONDS
        self._block = lru_cache(maxsize=96)(self._make_block)
        self._lattice = lru_cache(maxsize=4096)(self._make_lattice)

    def log_price(self, start_s: int, stop_s: int) -> Floats:
        """Log prices of every second of ``[start_s, stop_s)``."""
        start, stop = start_s + self._phase, stop_s + self._phase
        first, last = start // BLOCK_SECONDS, (stop - 1) // BLOCK_SECONDS
        blocks = [self._block(k) for k in range(first, last + 1)]
        path = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        offset = first * BLOCK_SECONDS
        return path[start - offset : stop - offset]

    def _make_block(self, block: int) -> Floats:
        """A block's path, from the level at its start to the level at its end.

        Trends get the directions that lead closest to the next level by themselves, so
        that only a small remainder has to be spread over the block.
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
        # SeedSequence takes no negative numbers; times before 1970 are nobody's business.
        key = (self._seed, self._key, *stream)
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def _schedule(rng: np.random.Generator) -> tuple[npt.NDArray[np.int64], Floats]:
    """Lengths in seconds that fill a block, and 1.0 for the trends among them."""
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
