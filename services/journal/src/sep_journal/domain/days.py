"""Trading days: each ends at 17:00 in New York."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
_END = time(17)


def day_end_ms(ts_ms: int) -> int:
    """End of the trading day that an instant belongs to; the end itself belongs to its day."""
    day = datetime.fromtimestamp(-(-ts_ms // 1000), UTC).astimezone(NEW_YORK).date()
    end = _end_of(day)
    return end if ts_ms <= end else _end_of(day + timedelta(days=1))


def day_start_ms(end_ms: int) -> int:
    """End of the day before the one that ends here."""
    return _end_of(date_of(end_ms) - timedelta(days=1))


def day_ends(first_ms: int, last_ms: int) -> Iterator[int]:
    """Ends of the trading days from the one that ``first_ms`` is in up to ``last_ms``."""
    end = day_end_ms(first_ms)
    while end <= last_ms:
        yield end
        end = _end_of(date_of(end) + timedelta(days=1))


def date_of(end_ms: int) -> date:
    """The date in New York."""
    return datetime.fromtimestamp(end_ms / 1000, UTC).astimezone(NEW_YORK).date()


def _end_of(day: date) -> int:
    return int(datetime.combine(day, _END, NEW_YORK).timestamp()) * 1000
