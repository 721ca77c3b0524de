"""Clocks, which are passed by constructor; time is nanoseconds since the Unix epoch, UTC."""

import time
from typing import Protocol

from sep_fx.instants import NS_PER_MS, NS_PER_SECOND


class Clock(Protocol):
    """A source of the current time."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        ...


class SystemClock:
    """The machine's clock; only entry points create one."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        return time.time_ns()


def now_ms(clock: Clock) -> int:
    """Whole milliseconds since the epoch."""
    return clock.now_ns() // NS_PER_MS


def now_s(clock: Clock) -> int:
    """Whole seconds since the epoch."""
    return clock.now_ns() // NS_PER_SECOND
