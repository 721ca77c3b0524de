"""Start and end times of candles."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from sep_fx.granularity import Granularity
from sep_fx.sessions import NEW_YORK

Ints = npt.NDArray[np.int64]

_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Alignment:
    """The local hour and time zone at which a trading day begins."""

    hour: int = 17
    zone: ZoneInfo = NEW_YORK


@dataclass(frozen=True, slots=True)
class CandleGrid:
    """The candle times of one granularity.

    Candles of up to an hour divide the UTC hour. Longer ones divide the aligned day, so they
    shift with daylight saving; a day of 23 hours ends with a shortened candle, a day of 25 hours
    has an extra short one.
    """

    granularity: Granularity
    alignment: Alignment = Alignment()

    def starts(self, times: Ints) -> Ints:
        """The start of the candle that contains each time; ascending seconds, shape (n,)."""
        seconds = self.granularity.seconds
        if seconds <= _HOUR:
            return times - times % seconds
        if not len(times):
            return times
        days = self._day_edges(int(times[0]), int(times[-1]))
        day = days[np.searchsorted(days, times, "right") - 1]
        if self.granularity is Granularity.D:
            return day
        return times - (times - day) % seconds

    def start_of(self, at_s: int) -> int:
        """The start of the candle that contains a time, in seconds."""
        return int(self.starts(np.array([at_s], np.int64))[0])

    def end_of(self, start_s: int) -> int:
        """The end, in seconds, of the candle that starts at ``start_s``."""
        seconds = self.granularity.seconds
        if seconds <= _HOUR:
            return start_s + seconds
        days = self._day_edges(start_s, start_s)
        next_day = int(days[np.searchsorted(days, start_s, "right")])
        if self.granularity is Granularity.D:
            return next_day
        return min(start_s + seconds, next_day)

    def _day_edges(self, first_s: int, last_s: int) -> Ints:
        """Starts of the aligned days around ``[first_s, last_s]``, with at least one after it."""
        day = _local_date(first_s, self.alignment.zone) - timedelta(days=2)
        stop = _local_date(last_s, self.alignment.zone) + timedelta(days=2)
        edges = []
        while day <= stop:
            local = datetime.combine(day, time(self.alignment.hour), self.alignment.zone)
            edges.append(int(local.timestamp()))
            day += timedelta(days=1)
        return np.array(edges, np.int64)


def _local_date(at_s: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(at_s, tz=UTC).astimezone(zone).date()
