"""The trading day: it begins at 17:00 in New York, whatever the season."""

from datetime import UTC, datetime, time, timedelta

from sep_fx.sessions import NEW_YORK

_BEGINS = time(17)


def day_start_ms(now_ms: int) -> int:
    """The last 17:00 New York at or before an instant; both in ms since the epoch."""
    local = datetime.fromtimestamp(now_ms // 1000, tz=UTC).astimezone(NEW_YORK)
    day = local.date() if local.time() >= _BEGINS else local.date() - timedelta(days=1)
    return int(datetime.combine(day, _BEGINS, tzinfo=NEW_YORK).timestamp()) * 1000


def day_before_close_ms(now_ms: int) -> int:
    """The last 17:00 New York before an instant: 17:00 itself is the end of the day before it."""
    return day_start_ms(now_ms - 1)
