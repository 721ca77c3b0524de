"""Lets one caller work at a time; of those that wait, the newest goes first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class NewestFirst:
    """A lock for a flood of calls with deadlines.

    In order of arrival each would get its turn shortly before its deadline, and none would finish.
    """

    def __init__(self) -> None:
        self._busy = False
        self._waiting: list[asyncio.Future[None]] = []

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Work alone inside the block."""
        if self._busy:
            await self._wait()
        self._busy = True
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            turn = self._waiting.pop()
            # One that gave up needs no turn.
            if not turn.done():
                turn.set_result(None)
                return
        self._busy = False
