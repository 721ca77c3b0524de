"""Instants as integer nanoseconds since the Unix epoch, UTC.

OANDA sends nine fractional digits; ``datetime`` keeps six, so a time that is
to be compared or sent back never passes through it.
"""

import re
from datetime import UTC, datetime

NS_PER_SECOND = 1_000_000_000
NS_PER_MS = 1_000_000

CLOCK_SKEW_S = 5.0
"""A clock may run this far behind the one that stamped a time; beyond it the time is a fault."""

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?"
    r"(Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)


def is_fresh(made_ms: int, limit_s: float, now_ms: int) -> bool:
    """Whether a thing made at ``made_ms`` is younger than the limit, and not from the future."""
    return -CLOCK_SKEW_S <= (now_ms - made_ms) / 1000 < limit_s


def parse_rfc3339(text: str) -> int:
    """Nanoseconds since the epoch of an RFC 3339 time, e.g. ``2014-05-01T00:00:00.123456789Z``.

    Raises:
        ValueError: the text is no such time, or names a day that does not exist.
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


def format_rfc3339(instant_ns: int) -> str:
    """The instant as OANDA writes it: UTC, nine fractional digits, ``Z``."""
    seconds, fraction = divmod(instant_ns, NS_PER_SECOND)
    return f"{_whole_seconds(seconds)}.{fraction:09d}Z"


def format_seconds(instant_s: int) -> str:
    """A whole-second instant as ``2014-05-01T00:00:00Z``, the form candle files use."""
    return f"{_whole_seconds(instant_s)}Z"


def _whole_seconds(instant_s: int) -> str:
    # Not strftime: its %Y drops the zeros of years before 1000.
    return datetime.fromtimestamp(instant_s, tz=UTC).replace(tzinfo=None).isoformat()
