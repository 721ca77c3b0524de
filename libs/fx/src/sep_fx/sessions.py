"""Trading hours of instruments: exchange sessions within the FX week.

Sessions are defined in their own IANA time zones and the FX week in New York time, so that
daylight saving applies to each. All times are whole seconds since the epoch.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sep_fx.instrument import split_name

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

NEW_YORK = ZoneInfo("America/New_York")

# Bounds of a market that never closes: beyond any candle, and small enough to subtract without
# overflow.
_ALWAYS_FROM, _ALWAYS_TO = -(2**40), 2**40
_CHUNK_DAYS = 28


class MarketCalendar(StrEnum):
    """Opening hours of the market: the FX week, or always open (simulation)."""

    FX = "fx"
    ALWAYS = "24x7"


@dataclass(frozen=True, slots=True)
class Session:
    """Daily trading hours in one place, Monday to Friday in local time."""

    name: str
    zone: ZoneInfo
    opens: time
    closes: time


SYDNEY = Session("Sydney", ZoneInfo("Australia/Sydney"), time(7), time(16))
TOKYO = Session("Tokyo", ZoneInfo("Asia/Tokyo"), time(9), time(18))
LONDON = Session("London", ZoneInfo("Europe/London"), time(8), time(17))
NEW_YORK_SESSION = Session("New York", NEW_YORK, time(8), time(17))

_WEEK_OPENS = time(17, 5)
_BREAK_STARTS = time(16, 58)
_LONGEST_BREAK_S = 3_600
_HOLIDAYS = ((12, 25), (1, 1))
_FRIDAY, _SATURDAY, _SUNDAY = 4, 5, 6

Stretch = tuple[int, int]


def sessions_of(instrument: str) -> tuple[Session, ...]:
    """The sessions in which an instrument trades, by its currencies."""
    currencies = set(split_name(instrument))
    sessions = [LONDON, NEW_YORK_SESSION]
    if currencies & {"JPY", "AUD", "NZD"}:
        sessions.append(TOKYO)
    if currencies & {"AUD", "NZD"}:
        sessions.append(SYDNEY)
    return tuple(sessions)


@dataclass(frozen=True, slots=True)
class SessionState:
    """Session state of an instrument at one instant.

    ``closes_at`` is the end of the current stretch of trading, None while closed. ``opens_at`` is
    the start of the next one, None while open or if none starts within weeks.
    """

    open: bool
    closes_at: int | None
    opens_at: int | None
    active: tuple[str, ...]

    def seconds_to_close(self, at: int) -> int | None:
        """Seconds until trading stops, None while closed."""
        return None if self.closes_at is None else self.closes_at - at

    def near_close(self, at: int, exit_minutes: float) -> bool:
        """Whether trading stops within ``exit_minutes``."""
        return self.closes_at is not None and self.closes_at - at <= exit_minutes * 60


class SessionCalendar:
    """Computes whether an instrument is open, and until when.

    Args:
        calendar: with ``ALWAYS`` the market is always open.
        gating: False ignores sessions (``SESSION_TRADING_ENABLED=0``): always open as well.
    """

    def __init__(
        self, calendar: MarketCalendar = MarketCalendar.FX, *, gating: bool = True
    ) -> None:
        self.calendar = calendar
        self._always = calendar is MarketCalendar.ALWAYS or not gating

    def market_open(self, at: int) -> bool:
        """Whether the market as a whole is open at an instant, regardless of sessions."""
        return self._always or fx_week_open(at)

    def state(self, instrument: str, at: int) -> SessionState:
        """The instrument's session state at an instant."""
        if self._always:
            return SessionState(True, _ALWAYS_TO, None, ("24x7",))
        chunk = at // 86_400 // _CHUNK_DAYS
        stretches = _open_stretches(instrument, chunk - 1, chunk + 1)
        following = bisect_right(stretches, (at, _ALWAYS_TO))
        if following and at < stretches[following - 1][1]:
            active = tuple(s.name for s in sessions_of(instrument) if _session_active(s, at))
            return SessionState(True, stretches[following - 1][1], None, active)
        opens = stretches[following][0] if following < len(stretches) else None
        return SessionState(False, None, opens, ())

    def stretches(self, instrument: str, start: int, end: int) -> tuple[Stretch, ...]:
        """The contiguous stretches of trading that overlap ``[start, end)``, in order.

        A stretch that extends beyond the range is not cut.
        """
        if self._always:
            return ((_ALWAYS_FROM, _ALWAYS_TO),)
        first = start // 86_400 // _CHUNK_DAYS - 1
        last = end // 86_400 // _CHUNK_DAYS + 1
        open_ = _open_stretches(instrument, first, last)
        return tuple(s for s in open_ if s[1] > start and s[0] < end)

    def seconds_to_close(
        self, instrument: str, times: "npt.NDArray[np.int64]"
    ) -> "npt.NDArray[np.int64]":
        """Seconds until trading stops for each instant; 0 where the instrument is closed.

        Args:
            times: whole seconds, ascending, shape (n,).
        """
        # Imported here: it takes 16 MB, and only backtests need this.
        import numpy as np

        if not len(times):
            return np.empty(0, np.int64)
        edges = np.array(
            self.stretches(instrument, int(times[0]), int(times[-1]) + 1), np.int64
        ).reshape(-1, 2)
        if not len(edges):
            return np.zeros(len(times), np.int64)
        at = np.searchsorted(edges[:, 0], times, "right") - 1
        left = edges[np.maximum(at, 0), 1] - times
        return np.where((at >= 0) & (left > 0), left, 0)


def fx_week_open(at: int) -> bool:
    """Whether the FX market as a whole is open at the instant, regardless of sessions."""
    week = _weeks(at // 86_400 // _CHUNK_DAYS)
    i = bisect_right(week, (at, _ALWAYS_TO)) - 1
    return i >= 0 and at < week[i][1]


def fx_week_closes_at(at: int) -> int | None:
    """When the FX week ends, at a weekend or a holiday; None while it is closed for one.

    The daily break of minutes ends no week.
    """
    week = _weeks(at // 86_400 // _CHUNK_DAYS)
    i = bisect_right(week, (at, _ALWAYS_TO)) - 1
    if i < 0:
        return None
    if at >= week[i][1]:
        # In a daily break, or closed.
        following = week[i + 1 : i + 2]
        if not following or following[0][0] - week[i][1] > _LONGEST_BREAK_S:
            return None
        i += 1
    while i + 1 < len(week) and week[i + 1][0] - week[i][1] <= _LONGEST_BREAK_S:
        i += 1
    return week[i][1]


@lru_cache(maxsize=512)
def _weeks(chunk: int) -> tuple[Stretch, ...]:
    """The open stretches of the FX weeks around a chunk of days."""
    return _merge(s for c in (chunk - 1, chunk, chunk + 1) for s in _fx_week_chunk(c))


@lru_cache(maxsize=1024)
def _open_stretches(instrument: str, first: int, last: int) -> tuple[Stretch, ...]:
    # Whole chunks, so that a stretch across the boundary of two chunks is merged.
    return _merge(s for c in range(first, last + 1) for s in _chunk(instrument, c))


@lru_cache(maxsize=4096)
def _chunk(instrument: str, chunk: int) -> tuple[Stretch, ...]:
    sessions = _merge(
        stretch for s in sessions_of(instrument) for stretch in _session_chunk(s, chunk)
    )
    return tuple(_intersect(sessions, _fx_week_chunk(chunk)))


@lru_cache(maxsize=1024)
def _session_chunk(session: Session, chunk: int) -> tuple[Stretch, ...]:
    return tuple(
        (_instant(day, session.opens, session.zone), _instant(day, session.closes, session.zone))
        for day in _days(chunk, spare=1)
        if day.weekday() not in (_SATURDAY, _SUNDAY)
    )


@lru_cache(maxsize=512)
def _fx_week_chunk(chunk: int) -> tuple[Stretch, ...]:
    """Open from 17:05 of the previous day to 16:58 of each weekday in New York, except holidays."""
    week: list[Stretch] = []
    for day in _days(chunk, spare=1):
        if day.weekday() in (_SATURDAY, _SUNDAY):
            continue
        opens = _instant(day - timedelta(days=1), _WEEK_OPENS, NEW_YORK)
        closes = _instant(day, _BREAK_STARTS, NEW_YORK)
        shut = [
            (_instant(d, time(0), NEW_YORK), _instant(d + timedelta(days=1), time(0), NEW_YORK))
            for d in (day - timedelta(days=1), day)
            if (d.month, d.day) in _HOLIDAYS
        ]
        week.extend(_subtract((opens, closes), shut))
    return tuple(week)


def _days(chunk: int, spare: int) -> Iterable[date]:
    first = date(1970, 1, 1) + timedelta(days=chunk * _CHUNK_DAYS - spare)
    return (first + timedelta(days=i) for i in range(_CHUNK_DAYS + 2 * spare))


def _instant(day: date, at: time, zone: ZoneInfo) -> int:
    return int(datetime.combine(day, at, tzinfo=zone).timestamp())


def _session_active(session: Session, at: int) -> bool:
    local = datetime.fromtimestamp(at, tz=UTC).astimezone(session.zone)
    return local.weekday() < _SATURDAY and session.opens <= local.time() < session.closes


def _merge(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    merged: list[Stretch] = []
    for start, end in sorted(stretches):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return tuple(merged)


def _intersect(a: Iterable[Stretch], b: Iterable[Stretch]) -> Iterable[Stretch]:
    right = _merge(b)
    for start, end in a:
        for other_start, other_end in right:
            low, high = max(start, other_start), min(end, other_end)
            if low < high:
                yield low, high


def _subtract(stretch: Stretch, holes: Iterable[Stretch]) -> Iterable[Stretch]:
    start, end = stretch
    for hole_start, hole_end in sorted(holes):
        if start < hole_start:
            yield start, min(end, hole_start)
        start = max(start, hole_end)
    if start < end:
        yield start, end
