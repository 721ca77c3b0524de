"""Lets one caller work at a time, in order of arrival; only a few may wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sep_kit.errors import RateLimitedError


class BoundedTurns:
    """A lock for a flood of calls with deadlines.

    With a bounded queue each call either gets its turn in time or is refused at once: none waits
    until its deadline.

    Args:
        work: what is done in a turn, for the refusal's text.
        most_waiting: callers that may wait while one works.
    """

    def __init__(self, work: str, most_waiting: int) -> None:
        self._work = work
        self._most_waiting = most_waiting
        self._lock = asyncio.Lock()
        self._waiting = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Work alone inside the block.

        Raises:
            RateLimitedError: too many wait already.
        """
        if self._lock.locked() and self._waiting >= self._most_waiting:
            raise RateLimitedError(
                f"{self._waiting} {self._work} wait already, and no more than that may: try again"
            )
        self._waiting += 1
        try:
            await self._lock.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._lock.release()
