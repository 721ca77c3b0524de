"""When the broker's market is open, instrument by instrument and hour by hour."""

from datetime import UTC, datetime, time
from functools import lru_cache

from sep_fx.instrument import split_name
from sep_fx.sessions import NEW_YORK, MarketCalendar, fx_week_open

_MINUTE, _HOUR = 60, 3600

# The broker pauses the New Zealand dollar a second time each day, by New York's clock. That is
# its own affair and not the market's: sessions and the FX week know nothing of it, so nobody
# flattens before it; the instrument is just not tradeable for five minutes.
_PAUSED = "NZD"
_PAUSE_STARTS, _PAUSE_ENDS = time(12, 58), time(13, 3)


class OpeningHours:
    """The open stretches of each hour under a calendar.

    Hours are the unit because ticks are made hour by hour. The edges of the FX week and of
    the pause fall on whole minutes, at most one of them in an hour.
    """

    def __init__(self, calendar: MarketCalendar) -> None:
        self._always = calendar is MarketCalendar.ALWAYS

    def is_open(self, instrument: str, at_s: int) -> bool:
        """Whether the instrument trades at the instant."""
        start, stop = self.open_seconds(instrument, at_s // _HOUR)
        return start <= at_s % _HOUR < stop

    def open_seconds(self, instrument: str, hour: int) -> tuple[int, int]:
        """The open part of an hour as seconds ``[start, stop)`` into it; (0, 0) if closed."""
        if self._always:
            return 0, _HOUR
        return _open_seconds(hour, pauses=_PAUSED in split_name(instrument))


@lru_cache(maxsize=8192)
def _open_seconds(hour: int, *, pauses: bool) -> tuple[int, int]:
    def open_at(at_s: int) -> bool:
        return fx_week_open(at_s) and not (pauses and _in_pause(at_s))

    begin = hour * _HOUR
    first, last = open_at(begin), open_at(begin + _HOUR - 1)
    if first and last:
        return 0, _HOUR
    if not first and not last:
        return 0, 0
    low, high = 0, 59
    while high - low > 1:
        middle = (low + high) // 2
        if open_at(begin + middle * _MINUTE) == first:
            low = middle
        else:
            high = middle
    edge = high * _MINUTE
    return (0, edge) if first else (edge, _HOUR)


def _in_pause(at_s: int) -> bool:
    local = datetime.fromtimestamp(at_s, tz=UTC).astimezone(NEW_YORK)
    return _PAUSE_STARTS <= local.time() < _PAUSE_ENDS
