"""Answers kept for the rest of the second: however many ask, a fact is read once a second."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

from sep_fx.instants import NS_PER_SECOND

from sep_kit.clock import Clock

_SIZE = 512


class AnswerCache:
    """Keeps answers until the clock's second ends.

    Whole seconds rather than ages, since the HTTP cache in front counts the same way: an
    answer that both have kept is still no older than a second. Those who ask while the
    answer is being made wait for the same one.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[Hashable, tuple[int, asyncio.Future[Any]]] = OrderedDict()

    def ask(
        self, key: Hashable, max_age_s: int, make: Callable[[], Awaitable[Any]]
    ) -> tuple[asyncio.Future[Any], int]:
        """The answer under the key, and the second since the epoch that it belongs to.

        It is made unless it is kept. An error is told, never kept.
        """
        period = self._clock.now_ns() // (max_age_s * NS_PER_SECOND)
        kept = self._kept.get(key)
        if kept is None or kept[0] != period or _failed(kept[1]):
            # A task of its own: whoever asked first may hang up while others wait.
            task = asyncio.ensure_future(make())
            task.add_done_callback(_failed)
            kept = self._kept[key] = (period, task)
            self._kept.move_to_end(key)
            if len(self._kept) > _SIZE:
                self._kept.popitem(last=False)
        return kept[1], kept[0] * max_age_s


def _failed(answer: asyncio.Future[Any]) -> bool:
    # Looking at the exception also tells the event loop that somebody has.
    return answer.done() and (answer.cancelled() or answer.exception() is not None)
