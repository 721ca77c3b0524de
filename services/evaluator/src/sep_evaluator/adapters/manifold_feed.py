"""Live manifolds as they are published: one subscription, any number of listeners."""

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

_log = get_logger("ManifoldFeed")
_BACKLOG = 256

Event = ManifoldRecord | StoreUnavailableError


class ManifoldFeed:
    """Hands each published manifold to every listener.

    A listener that falls behind loses the oldest ones: a live state is replaced by
    the next one anyway.
    """

    def __init__(self, store: Valkey) -> None:
        self._watch = ChannelWatch(store, keys.MANIFOLD_CHANNEL, self._hand_out)
        self._listeners: set[asyncio.Queue[Event]] = set()

    async def run(self) -> None:
        """Listen until cancelled; told as a loop's tick, so a failure is tried again."""
        try:
            await self._watch.run()
        except StoreUnavailableError as error:
            self._tell(error)
            raise

    @contextmanager
    def listening(self) -> Iterator[asyncio.Queue[Event]]:
        """A queue of the manifolds from now on, and of the error when the feed breaks."""
        queue: asyncio.Queue[Event] = asyncio.Queue(_BACKLOG)
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)

    def _hand_out(self, raw: bytes) -> None:
        try:
            self._tell(parse_document(ManifoldRecord, keys.MANIFOLD_CHANNEL, raw))
        except CorruptRecordError as error:
            _log.error("malformed manifold refused", error=str(error))

    def _tell(self, event: Event) -> None:
        for queue in self._listeners:
            if queue.full():
                with suppress(asyncio.QueueEmpty):
                    queue.get_nowait()
            queue.put_nowait(event)
