"""Sends the closes of a drain or flatten, one reduce-only order for each trade."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sep_kit.errors import NotTheWriterError

from sep_guard.application.dispatcher import Dispatcher
from sep_guard.domain.drain import Close
from sep_guard.domain.orders import Result, intents_of_close
from sep_guard.domain.view import View
from sep_guard.metrics import GuardMetrics
from sep_guard.ports import GuardStore, Transaction


@dataclass(frozen=True, slots=True)
class Closed:
    """A close, the client id of its first order, and the result of all of its orders."""

    close: Close
    client_order_id: str
    result: Result


class Closing:
    """The steps that drain and flatten share: ``exclusive`` around all others."""

    def __init__(self, dispatcher: Dispatcher, store: GuardStore, metrics: GuardMetrics) -> None:
        self._dispatcher = dispatcher
        self._store = store
        self._metrics = metrics

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Let no other plan run meanwhile.

        While the store is away no replica holds the lease, and none can open anything.

        Raises:
            NotTheWriterError: another replica holds the lease.
        """
        async with self._dispatcher.exclusive_plan():
            if not self._store.is_writer and not self._store.is_away:
                raise NotTheWriterError("this guard does not hold the writer lease; ask again")
            yield

    async def settle(self) -> None:
        """Resolve orders of unknown outcome, where the store can be read."""
        if not self._store.is_away:
            await self._dispatcher.settle()

    async def send(
        self, decision_id: str, close: Close, view: View, record: Callable[[Transaction], None]
    ) -> Closed:
        """Persist and send the orders of one close.

        They are sent even if they could not be persisted; they are then in the backlog.

        Args:
            decision_id: id of the drain or flatten, and the instrument.
            record: writes the decision's record.
        """
        intents = intents_of_close(close, decision_id, view)
        self._metrics.count_close(close)
        await self._dispatcher.persist(intents, record)
        result = await self._dispatcher.close(intents)
        return Closed(close, intents[0].client_order_id, result)
