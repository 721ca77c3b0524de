"""When a notification is delivered: levels, quiet hours, and the pauses after failures."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from sep_journal.domain.notifications import DEFAULT_LEVELS, Kind, Level, Notification

_FIRST_PAUSE_MS = 5_000
_LONGEST_PAUSE_MS = 15 * 60_000
_MAX_DOUBLINGS = 10

GIVES_WAY_AFTER = 5
"""Failures after which a message no longer holds up the later ones to its destination."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From ``start`` to ``end``, past midnight where the end is not later."""

    start: time
    end: time

    @classmethod
    def parse(cls, text: str) -> Self:
        """Hours such as ``22:00-07:00``.

        Raises:
            ValueError: the text is malformed, or start and end are the same.
        """
        first, dash, last = text.partition("-")
        try:
            start, end = time.fromisoformat(first.strip()), time.fromisoformat(last.strip())
        except ValueError:
            start = end = time()
        if not dash or start == end or start.tzinfo or end.tzinfo:
            raise ValueError(f"{text!r} is not quiet hours like 22:00-07:00")
        return cls(start, end)

    def due_ms(self, ts_ms: int, zone: ZoneInfo) -> int:
        """The end of the quiet hours that an instant is in; itself outside of them."""
        local = datetime.fromtimestamp(ts_ms / 1000, UTC).astimezone(zone)
        at, overnight = local.time(), self.end <= self.start
        inside = self.start <= at or at < self.end if overnight else self.start <= at < self.end
        if not inside:
            return ts_ms
        day = local.date()
        if overnight and at >= self.start:
            day += timedelta(days=1)
        # Where summer time begins, the local end may lie before the instant.
        return max(ts_ms, int(datetime.combine(day, self.end, zone).timestamp() * 1000))


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    """Levels and quiet hours by kind, in one time zone. A kind that is not named has its default
    level and no quiet hours."""

    levels: Mapping[Kind, Level]
    quiet: Mapping[Kind, QuietHours]
    zone: ZoneInfo

    def level(self, kind: Kind) -> Level:
        """How urgent a kind is."""
        return self.levels.get(kind, DEFAULT_LEVELS.get(kind, Level.INFO))

    def due_ms(self, notification: Notification, now_ms: int) -> int:
        """When it is sent first."""
        hours = self.quiet.get(notification.kind)
        if hours is None or self.level(notification.kind) is Level.CRITICAL:
            return now_ms
        return hours.due_ms(now_ms, self.zone)


def next_attempt_ms(attempts: int, now_ms: int) -> int:
    """When to try again after a number of failures: pauses double from 5 s up to 15 min."""
    doublings = min(max(attempts - 1, 0), _MAX_DOUBLINGS)
    return now_ms + min(_FIRST_PAUSE_MS << doublings, _LONGEST_PAUSE_MS)
