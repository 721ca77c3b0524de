"""The outbox with its blocking calls in a thread of its own."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sep_journal.adapters.sql.outbox import SqlOutbox
from sep_journal.domain.notifications import Notification, StackState
from sep_journal.outbox_ports import Attempt, Delivery, Undelivered

T = TypeVar("T")


class OutboxThread:
    """Implements ``Outbox``; neither reads nor writes of the journal wait for it."""

    def __init__(self, outbox: SqlOutbox) -> None:
        self._outbox = outbox
        self._thread = ThreadPoolExecutor(1, "journal-outbox")

    async def close(self) -> None:
        """Finish what runs."""
        self._thread.shutdown()

    async def collect(self, destinations: Sequence[str], now_ms: int) -> bool:
        """Make messages of the ledger and the decisions."""
        return await self._run(lambda: self._outbox.collect(destinations, now_ms))

    async def observed(self) -> StackState:
        """What was observed last."""
        return await self._run(self._outbox.observed)

    async def observe(self, state: StackState, destinations: Sequence[str], now_ms: int) -> None:
        """Make messages of what changed since the last observation."""
        await self._run(lambda: self._outbox.observe(state, destinations, now_ms))

    async def summarised_day(self) -> int | None:
        """End of the last day that was summarised."""
        return await self._run(self._outbox.summarised_day)

    async def begin_days(self, end_ms: int) -> None:
        """Days that end up to ``end_ms`` are not summarised."""
        await self._run(lambda: self._outbox.begin_days(end_ms))

    async def summarise(
        self, summary: Notification | None, end_ms: int, destinations: Sequence[str], now_ms: int
    ) -> None:
        """Make the summary of a day."""
        await self._run(lambda: self._outbox.summarise(summary, end_ms, destinations, now_ms))

    async def due(self, destinations: Sequence[str], now_ms: int, size: int) -> list[Delivery]:
        """The deliveries that are due."""
        return await self._run(lambda: self._outbox.due(destinations, now_ms, size))

    async def record(self, attempts: Sequence[Attempt], now_ms: int) -> None:
        """Record the outcomes of attempts."""
        await self._run(lambda: self._outbox.record(attempts, now_ms))

    async def undelivered(self, destinations: Sequence[str], now_ms: int) -> Undelivered:
        """What is overdue."""
        return await self._run(lambda: self._outbox.undelivered(destinations, now_ms))

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
