"""Recorded one-minute candles as a market, continued by the synthetic market."""

import math
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from sep_fx.bars import Bars
from sep_fx.instrument import Instrument

from sep_paper_broker.market.market import HOUR
from sep_paper_broker.market.synthetic import SyntheticMarket
from sep_paper_broker.market.ticks import Ticks

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_MINUTE = 60
# Seconds into the minute of its open, first extreme, second extreme and close.
_KNOTS = (0, 20, 40, 59)


def anchor_for(start_s: int) -> int:
    """The end of recorded history, for a broker that starts at ``start_s``: a whole minute."""
    return start_s // _MINUTE * _MINUTE


class RecordedMarket:
    """Recorded prices before the anchor; the synthetic market for everything else.

    The recording is shifted by a whole number of minutes so that its last bar ends at the anchor.
    Its minutes are replayed unchanged whatever weekday they fall on: a gap in the file stays a
    gap, and aggregating the ticks returns the bars of the file exactly. From the anchor on, the
    synthetic market continues from the last recorded price.

    Args:
        synthetic: the market of instruments and times without a recording.
        recordings: M1 bars by instrument, each with at least one bar.
        anchor_s: seconds since the epoch, a whole minute.

    Raises:
        ValueError: an instrument is unknown, a recording is empty, or bars or anchor do not fall
            on whole minutes.
    """

    def __init__(
        self, synthetic: SyntheticMarket, recordings: Mapping[str, Bars], anchor_s: int
    ) -> None:
        if anchor_s % _MINUTE:
            raise ValueError(f"anchor {anchor_s} is not a whole minute")
        self._synthetic = synthetic
        self._anchor = anchor_s
        self._bars: dict[str, Bars] = {}
        self._starts: dict[str, npt.NDArray[np.int64]] = {}
        self._shifts: dict[str, float] = {}
        for name, bars in recordings.items():
            if name not in synthetic.instruments:
                raise ValueError(f"{name} is not an instrument of this broker")
            if not len(bars):
                raise ValueError(f"the recording of {name} holds no bars")
            if np.any(bars.time % _MINUTE):
                raise ValueError(f"the recording of {name} has bars that start within a minute")
            self._bars[name] = bars
            self._starts[name] = bars.time + (anchor_s - _MINUTE - int(bars.time[-1]))
            live = float(synthetic.log_mid(name, anchor_s, anchor_s + 1)[0])
            self._shifts[name] = math.log(float(bars.mid[-1])) - live
        self._hour = lru_cache(maxsize=256)(self._make_hour)

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """All listed instruments, recorded or not."""
        return self._synthetic.instruments

    def is_open(self, instrument: str, at_s: int) -> bool:
        """Whether the instrument trades at the time, by the calendar."""
        return self._synthetic.is_open(instrument, at_s)

    def begins(self, instrument: str) -> int:
        """The start of the first recorded bar after the shift, or of the synthetic history."""
        starts = self._starts.get(instrument)
        return self._synthetic.begins(instrument) if starts is None else int(starts[0])

    def hour(self, instrument: str, hour: int) -> Ticks:
        """The instrument's ticks in an hour."""
        if instrument not in self._bars:
            return self._synthetic.hour(instrument, hour)
        return self._hour(instrument, hour)

    def _make_hour(self, instrument: str, hour: int) -> Ticks:
        start, stop = hour * HOUR, (hour + 1) * HOUR
        parts = []
        if start < self._anchor:
            parts.append(self._recorded(instrument, start, stop))
        if stop > self._anchor:
            live = self._synthetic.shifted_ticks(instrument, hour, self._shifts[instrument])
            parts.append(live.between(max(start, self._anchor), stop))
        return Ticks.concatenate(parts)

    def _recorded(self, instrument: str, start: int, stop: int) -> Ticks:
        starts = self._starts[instrument]
        first, last = np.searchsorted(starts, (start, stop), "left")
        bars = self._bars[instrument].slice(int(first), int(last))
        if not len(bars):
            return Ticks.empty()
        points = 10 ** self.instruments[instrument].display_precision
        rises = bars.bid_c >= bars.bid_o
        seconds = starts[first:last, None] + np.arange(_MINUTE)
        return Ticks(
            seconds.ravel(),
            _path(np.stack([bars.bid_o, bars.bid_h, bars.bid_l, bars.bid_c]), rises, points),
            _path(np.stack([bars.ask_o, bars.ask_h, bars.ask_l, bars.ask_c]), rises, points),
        )


def _path(ohlc: Floats, rises: npt.NDArray[np.bool_], points: int) -> Ints:
    """Prices in points of every second of n minutes, shape (60 n,), linear between the knots.

    A rising minute reaches its low first. Both sides use the same order and knots, so the bid
    stays below the ask if the four given prices do.

    Args:
        ohlc: prices, shape (4, n).
    """
    opens, highs, lows, closes = np.rint(ohlc * points)
    first, second = np.where(rises, lows, highs), np.where(rises, highs, lows)
    path = np.stack([opens, first, second, closes], axis=1) @ _WEIGHTS
    return np.rint(path).astype(np.int64).reshape(-1)


def _weights() -> Floats:
    seconds = np.arange(_MINUTE)
    return np.stack([np.interp(seconds, _KNOTS, row) for row in np.eye(len(_KNOTS))])


_WEIGHTS = _weights()
