"""When the broker's market is open, hour by hour."""

from functools import lru_cache

from sep_fx.sessions import MarketCalendar, fx_week_open

_MINUTE, _HOUR = 60, 3600


class OpeningHours:
    """The open stretches of each hour under a calendar.

    Hours are the unit because ticks are made hour by hour. The edges of the FX week fall
    on whole minutes, at most one of them in an hour.
    """

    def __init__(self, calendar: MarketCalendar) -> None:
        self._always = calendar is MarketCalendar.ALWAYS

    def is_open(self, at_s: int) -> bool:
        """Whether the market trades at the instant."""
        if self._always:
            return True
        start, stop = _open_seconds(at_s // _HOUR)
        return start <= at_s % _HOUR < stop

    def open_seconds(self, hour: int) -> tuple[int, int]:
        """The open part of an hour as seconds ``[start, stop)`` into it; (0, 0) if closed."""
        return (0, _HOUR) if self._always else _open_seconds(hour)


@lru_cache(maxsize=8192)
def _open_seconds(hour: int) -> tuple[int, int]:
    begin = hour * _HOUR
    first, last = fx_week_open(begin), fx_week_open(begin + _HOUR - 1)
    if first and last:
        return 0, _HOUR
    if not first and not last:
        return 0, 0
    low, high = 0, 59
    while high - low > 1:
        middle = (low + high) // 2
        if fx_week_open(begin + middle * _MINUTE) == first:
            low = middle
        else:
            high = middle
    edge = high * _MINUTE
    return (0, edge) if first else (edge, _HOUR)
