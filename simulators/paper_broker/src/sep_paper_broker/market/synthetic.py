"""The synthetic market: the price of a pair is derived from the paths of its currencies."""

import math
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from sep_fx.instrument import Instrument

from sep_paper_broker.market.instruments import INSTRUMENTS, LISTINGS
from sep_paper_broker.market.market import HOUR
from sep_paper_broker.market.opening_hours import OpeningHours
from sep_paper_broker.market.regimes import BLOCK_SECONDS, CurrencyPath
from sep_paper_broker.market.ticks import Ticks

# Approximate value of one unit of the currency in USD.
_BASE_LEVELS = {
    "AUD": 0.66,
    "CAD": 1 / 1.36,
    "CHF": 1 / 0.88,
    "EUR": 1.085,
    "GBP": 1.27,
    "JPY": 1 / 150.0,
    "NZD": 0.61,
}
_NUMERAIRE = "USD"
# 2015-01-01: early enough for any backfill, and bounds the length of a request.
_BEGINS = 1_420_070_400

_SPREAD_STEP = 30
_SPREAD_WIDER_BY = 0.2
_NEAR_CLOSE_SECONDS, _NEAR_CLOSE_FACTOR = 300, 1.8
_TICK_EVERY, _TICK_CHANCE = 5, 0.7
_QUOTING_STREAM = 3


class SyntheticMarket:
    """Deterministic prices with random access by time.

    The price of BASE_QUOTE is ``exp(path(BASE) - path(QUOTE))``, so triangles agree
    (EUR_JPY = EUR_USD * USD_JPY up to rounding). Equal seeds give equal prices.

    Args:
        seed: 0 or more.
        hours: opening hours; closed seconds have no ticks.
    """

    def __init__(self, seed: int, hours: OpeningHours) -> None:
        self._seed = seed
        self._hours = hours
        self._keys = {name: i for i, name in enumerate(sorted(LISTINGS))}
        self._paths = {
            currency: CurrencyPath(seed, i, math.log(level), i * BLOCK_SECONDS // 7 + 613 * i)
            for i, (currency, level) in enumerate(sorted(_BASE_LEVELS.items()))
        }
        self._hour = lru_cache(maxsize=256)(self._make_hour)

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """All listed instruments."""
        return INSTRUMENTS

    def is_open(self, instrument: str, at_s: int) -> bool:
        """Whether the instrument trades at the time."""
        return self._hours.is_open(instrument, at_s)

    def begins(self, instrument: str) -> int:
        """The start of the history, equal for all instruments."""
        return _BEGINS

    def hour(self, instrument: str, hour: int) -> Ticks:
        """The instrument's ticks in an hour. Some seconds have none, but never five in a row."""
        return self._hour(instrument, hour)

    def log_mid(self, instrument: str, start_s: int, stop_s: int) -> npt.NDArray[np.float64]:
        """Log of the mid price at every second, open or not."""
        base, quote = instrument.split("_")
        mid = np.zeros(stop_s - start_s)
        if base != _NUMERAIRE:
            mid = mid + self._paths[base].log_price(start_s, stop_s)
        if quote != _NUMERAIRE:
            mid = mid - self._paths[quote].log_price(start_s, stop_s)
        return mid

    def shifted_ticks(self, instrument: str, hour: int, shift: float) -> Ticks:
        """The hour's ticks with ``shift`` added to the log price."""
        first, last = self._hours.open_seconds(instrument, hour)
        start = hour * HOUR
        if first == last or start < _BEGINS:
            return Ticks.empty()
        points = 10 ** INSTRUMENTS[instrument].display_precision
        mid = np.exp(self.log_mid(instrument, start, start + HOUR) + shift) * points
        spread, ticking = self._quoting(instrument, hour)
        half = mid * spread / 2
        bid = np.rint(mid - half).astype(np.int64)
        ask = np.maximum(np.rint(mid + half).astype(np.int64), bid + 1)
        ticking = ticking.copy()
        ticking[:first] = False
        ticking[last:] = False
        return Ticks(np.arange(start, start + HOUR), bid, ask).where(ticking)

    def _make_hour(self, instrument: str, hour: int) -> Ticks:
        return self.shifted_ticks(instrument, hour, 0.0)

    def _quoting(
        self, instrument: str, hour: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """Relative spread of each second, and whether it has a tick."""
        key = (self._seed, self._keys[instrument], _QUOTING_STREAM, hour)
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))
        usual = LISTINGS[instrument].spread_bps * 1e-4
        steps = 1 + _SPREAD_WIDER_BY * rng.random(HOUR // _SPREAD_STEP) ** 2
        spread = usual * np.repeat(steps, _SPREAD_STEP)
        first, last = self._hours.open_seconds(instrument, hour)
        if first > 0:
            spread[first : first + _NEAR_CLOSE_SECONDS] *= _NEAR_CLOSE_FACTOR
        if last < HOUR:
            spread[max(0, last - _NEAR_CLOSE_SECONDS) : last] *= _NEAR_CLOSE_FACTOR
        ticking = rng.random(HOUR) < _TICK_CHANCE
        ticking[::_TICK_EVERY] = True
        return spread, ticking
