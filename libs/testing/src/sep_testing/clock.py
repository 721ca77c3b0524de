"""A clock that tests control."""

from sep_fx.instants import NS_PER_SECOND, parse_rfc3339


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self, start: str = "2026-03-04T12:00:00Z") -> None:
        self._now_ns = parse_rfc3339(start)

    def now_ns(self) -> int:
        """Nanoseconds since the epoch."""
        return self._now_ns

    def advance(self, seconds: float) -> None:
        """Move by seconds, backwards if negative."""
        self._now_ns += int(seconds * NS_PER_SECOND)

    def set(self, text: str) -> None:
        """Move to an RFC 3339 time."""
        self._now_ns = parse_rfc3339(text)
