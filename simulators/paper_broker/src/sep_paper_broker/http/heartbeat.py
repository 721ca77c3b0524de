"""The pulse of a stream."""

import asyncio

from sep_paper_broker.faults.registry import FaultRegistry


class Heartbeat:
    """Says when a stream owes a heartbeat.

    It beats by the event loop's own clock and not by the broker's: a heartbeat says that
    the connection lives, whatever time the market has.

    Args:
        interval: seconds between beats; the first comes at once.
        faults: may leave beats out or double them.
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
