"""Live manifolds as they are published: one subscription for any number of listeners."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sep_kit.errors import CorruptRecordError, StoreUnavailableError
from sep_kit.logging import get_logger
from sep_kit.store import keys
from sep_kit.store.channel_watch import ChannelWatch
from sep_kit.store.connection import Valkey
from sep_kit.store.documents import parse_document
from sep_kit.store.records import ManifoldRecord

from sep_evaluator.adapters.signal_records import manifold_of
from sep_evaluator.domain.signals import Manifold

_log = get_logger("ManifoldFeed")
_BACKLOG = 256

Event = Manifold | StoreUnavailableError


class ManifoldFeed:
    """Passes each published manifold to every listener.

    A listener that falls behind loses the oldest manifolds; only the newest one matters.
    """

    def __init__(self, store: Valkey) -> None:
        self._watch = ChannelWatch(store, keys.MANIFOLD_CHANNEL, self._receive)
        self._listeners: set[asyncio.Queue[Event]] = set()

    async def run(self) -> None:
        """Subscribe until cancelled.

        Raises:
            StoreUnavailableError: Valkey does not answer; every listener gets the error too.
        """
        try:
            await self._watch.run()
        except StoreUnavailableError as error:
            self._send(error)
            raise

    @contextmanager
    def listening(self) -> Iterator[asyncio.Queue[Event]]:
        """A queue that receives manifolds from now on, and the error if the subscription fails."""
        queue: asyncio.Queue[Event] = asyncio.Queue(_BACKLOG)
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)

    def _receive(self, raw: bytes) -> None:
        try:
            self._send(manifold_of(parse_document(ManifoldRecord, keys.MANIFOLD_CHANNEL, raw)))
        except CorruptRecordError as error:
            _log.error("malformed manifold refused", error=str(error))

    def _send(self, event: Event) -> None:
        for queue in self._listeners:
            if queue.full():
                with suppress(asyncio.QueueEmpty):
                    queue.get_nowait()
            queue.put_nowait(event)
