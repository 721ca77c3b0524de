"""Instants as integer nanoseconds since the Unix epoch, UTC.

OANDA sends nine fractional digits and ``datetime`` holds six, so times that are compared or sent
back are never converted to ``datetime``.
"""

import re
from datetime import UTC, datetime

from sep_fx.freshness import CLOCK_SKEW_S, age_of

NS_PER_SECOND = 1_000_000_000
NS_PER_MS = 1_000_000

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?"
    r"(Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)


def is_fresh(made_ms: int, limit_s: float, now_ms: int) -> bool:
    """Whether a value stamped ``made_ms`` is younger than the limit; see ``sep_fx.freshness``."""
    return age_of(made_ms, now_ms, limit_s).fresh


def parse_rfc3339(text: str) -> int:
    """Parse an RFC 3339 time such as ``2014-05-01T00:00:00.123456789Z``.

    Raises:
        ValueError: the text is not such a time, or its date does not exist.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an RFC 3339 time like 2014-05-01T00:00:00Z")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    whole = datetime(
        int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=UTC
    )
    seconds = int(whole.timestamp())
    if zone != "Z":
        offset = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
        seconds += -offset if zone[0] == "+" else offset
    return seconds * NS_PER_SECOND + int((fraction or "").ljust(9, "0"))


def parse_day_or_time(text: str) -> int:
    """Seconds since the epoch of a day such as ``2014-05-01`` (its start, UTC) or an RFC 3339 time.

    Raises:
        ValueError: the text is neither.
    """
    day = len(text) == len("2014-05-01")
    return parse_rfc3339(f"{text}T00:00:00Z" if day else text) // NS_PER_SECOND


def format_rfc3339(instant_ns: int) -> str:
    """Format as OANDA does: UTC, nine fractional digits, ``Z``."""
    seconds, fraction = divmod(instant_ns, NS_PER_SECOND)
    return f"{_whole_seconds(seconds)}.{fraction:09d}Z"


def format_seconds(instant_s: int) -> str:
    """Format seconds since the epoch as in candle files: ``2014-05-01T00:00:00Z``."""
    return f"{_whole_seconds(instant_s)}Z"


def _whole_seconds(instant_s: int) -> str:
    # strftime's %Y drops leading zeros of years before 1000.
    return datetime.fromtimestamp(instant_s, tz=UTC).replace(tzinfo=None).isoformat()


__all__ = [
    "CLOCK_SKEW_S",
    "NS_PER_MS",
    "NS_PER_SECOND",
    "format_rfc3339",
    "format_seconds",
    "is_fresh",
    "parse_day_or_time",
    "parse_rfc3339",
]
