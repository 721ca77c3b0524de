"""Events: makes those of what the services publish, and passes all of them to clients."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from sep_kit.errors import InvalidArgumentError

from sep_journal.domain.events import NewEvent, StoredEvent, flips, weights_changed, weights_content
from sep_journal.ports import EventStore, Published

_AT_ONCE = 200
_Pages = Callable[[str, int], Awaitable[tuple[Sequence[NewEvent], str]]]


class EventIngestion:
    """Turns changes of gates, weights, kill switch and parameters into events, each once.

    The events of a change and what was seen are written together, so that a process that is killed
    neither loses nor repeats one.
    """

    def __init__(
        self, events: EventStore, published: Published, is_writer: Callable[[], bool]
    ) -> None:
        self._events = events
        self._published = published
        self._is_writer = is_writer

    async def tick(self) -> None:
        """Take in what changed.

        Raises:
            StoreUnavailableError: Valkey does not answer.
            JournalUnavailableError: the database does not.
        """
        if not self._is_writer():
            return
        await self._take_in_gates()
        await self._take_in_weights()
        await self._take_in("kill_switch", self._published.kill_switch)
        await self._take_in("parameters", self._published.parameters)

    async def _take_in_gates(self) -> None:
        gates = await self._published.gates()
        if gates is None:
            return
        before = await self._events.event_state("gates")
        known: Mapping[str, bool] = json.loads(before) if before else {}
        after = json.dumps(dict(sorted(gates.gates.items())))
        if after != before:
            await self._events.append_events(list(flips(known, gates)), "gates", before, after)

    async def _take_in_weights(self) -> None:
        weights = await self._published.weights()
        if weights is None:
            return
        before = await self._events.event_state("weights")
        known: dict[str, Any] | None = json.loads(before) if before else None
        after = json.dumps(weights_content(weights))
        if after != before:
            found = list(weights_changed(known, weights))
            await self._events.append_events(found, "weights", before, after)

    async def _take_in(self, source: str, read: _Pages) -> None:
        position = await self._events.event_state(source)
        while True:
            found, reached = await read(position, _AT_ONCE)
            if reached == position or not await self._events.append_events(
                found, source, position, reached
            ):
                return
            position = reached


class EventFeed:
    """Passes events to any number of clients: each reads at its own pace, a page at a time.

    One look at the database an interval serves all clients that wait.
    """

    def __init__(self, events: EventStore) -> None:
        self._events = events
        self._last = 0
        self._waiting = 0
        self._grown = asyncio.Condition()

    async def tick(self) -> None:
        """Wake the clients if there are new events.

        Raises:
            JournalUnavailableError: the database does not answer.
        """
        if not self._waiting:
            return
        last = await self._events.last_event_id()
        if last > self._last:
            async with self._grown:
                self._last = last
                self._grown.notify_all()

    async def start(self, last_event_id: str) -> int:
        """The id after which a client begins; an empty one means now.

        Raises:
            InvalidArgumentError: no event had that id yet.
            JournalUnavailableError: the database does not answer.
        """
        newest = await self._events.last_event_id()
        if not last_event_id:
            return newest
        if int(last_event_id) > newest:
            raise InvalidArgumentError(
                f"last_event_id {last_event_id} was not given yet; allowed are 0 to {newest}",
                field="last_event_id",
            )
        return int(last_event_id)

    async def follow(self, event_id: int, silence_s: float) -> AsyncIterator[Sequence[StoredEvent]]:
        """Pages of events after an id, without end; an empty one after each silence.

        Raises:
            JournalUnavailableError: the database does not answer.
        """
        while True:
            found = await self._events.events_after(event_id, _AT_ONCE)
            if found:
                event_id = found[-1].id
                yield found
            elif not await self._grows(event_id, silence_s):
                yield ()

    async def _grows(self, event_id: int, within_s: float) -> bool:
        """Wait for an event after an id; False if there is none in time."""
        async with self._grown:
            self._waiting += 1
            try:
                async with asyncio.timeout(within_s):
                    await self._grown.wait_for(lambda: self._last > event_id)
            except TimeoutError:
                return False
            finally:
                self._waiting -= 1
        return True
