"""Heartbeats of a stream."""

import asyncio

from sep_paper_broker.faults.registry import FaultRegistry


class Heartbeat:
    """Schedule of a stream's heartbeats.

    It uses the event loop's clock, not the broker's: heartbeats show that the connection is alive,
    independent of market time.

    Args:
        interval: seconds between heartbeats; the first is due immediately.
        faults: may suppress or duplicate heartbeats.
    """

    def __init__(self, interval: float, faults: FaultRegistry) -> None:
        self._interval = interval
        self._faults = faults
        self._next = asyncio.get_running_loop().time()

    def due(self) -> int:
        """How many heartbeats to send now."""
        now = asyncio.get_running_loop().time()
        if now < self._next:
            return 0
        self._next = now + self._interval
        return self._faults.heartbeats()
