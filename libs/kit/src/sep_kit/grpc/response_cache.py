"""A response cache: each response is computed at most once per period, for all callers."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

from sep_fx.instants import NS_PER_SECOND

from sep_kit.clock import Clock

_MAX_ENTRIES = 512


class ResponseCache:
    """Caches responses until the current period of the clock ends.

    A period begins at a multiple of the maximum age since the epoch. The HTTP cache in front
    counts the same way, so that a response cached by both is never older than that age.
    Concurrent callers share a response that is being computed.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: OrderedDict[Hashable, tuple[int, asyncio.Future[Any]]] = OrderedDict()

    def get(
        self, key: Hashable, max_age_s: int, compute: Callable[[], Awaitable[Any]]
    ) -> tuple[asyncio.Future[Any], int]:
        """The response under the key, and the start of its period in seconds since the epoch.

        ``compute`` is called where no response is cached. Errors are returned to the callers
        that share them and are not cached.
        """
        period = self._clock.now_ns() // (max_age_s * NS_PER_SECOND)
        entry = self._entries.get(key)
        if entry is None or entry[0] != period or _failed(entry[1]):
            # A task of its own: the first caller may be cancelled while others wait.
            task = asyncio.ensure_future(compute())
            task.add_done_callback(_failed)
            entry = self._entries[key] = (period, task)
            self._entries.move_to_end(key)
            if len(self._entries) > _MAX_ENTRIES:
                self._entries.popitem(last=False)
        return entry[1], entry[0] * max_age_s


def _failed(response: asyncio.Future[Any]) -> bool:
    # Reading the exception also marks it as retrieved for the event loop.
    return response.done() and (response.cancelled() or response.exception() is not None)
