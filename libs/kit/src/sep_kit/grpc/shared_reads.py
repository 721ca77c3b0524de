"""Fresh reads that many ask for at once: the next one is made for all who wait by then."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

from sep_kit.grpc.scope import CallScope, enter

_TURNS = 10


@dataclass(slots=True)
class _Read:
    """A read that has not begun: for whom it will be made, and what they wait for."""

    scope: CallScope
    answer: "asyncio.Task[Any]"


class SharedReads:
    """While a read is under way, whoever asks for the same waits for the one after it.

    Nothing is kept: every answer was begun after it was asked for, as if each caller were alone. A
    store is asked by one call at a time for each fact, however many want to know it.
    """

    def __init__(self) -> None:
        self._next: dict[Hashable, _Read] = {}
        self._running: dict[Hashable, asyncio.Task[Any]] = {}

    def ask(
        self, key: Hashable, scope: CallScope, make: Callable[[], Awaitable[Any]]
    ) -> "asyncio.Task[Any]":
        """An answer that begins after this call; an error is told to all who wait for it."""
        read = self._next.get(key)
        if read is None:
            # A task of its own: whoever asked first may hang up while others wait.
            task = asyncio.create_task(self._make(key, make))
            task.add_done_callback(_seen)
            read = self._next[key] = _Read(scope, task)
        elif read.scope.ends_at is not None:
            # It may take as long as the most patient of them waits.
            later = None if scope.ends_at is None else max(scope.ends_at, read.scope.ends_at)
            read.scope = replace(read.scope, ends_at=later)
        return read.answer

    async def _make(self, key: Hashable, make: Callable[[], Awaitable[Any]]) -> Any:
        if before := self._running.get(key):
            await asyncio.wait([before])
            # Calls that came and are not in the loop's hands yet may join: a busy loop takes
            # one a turn, and an idle one turns at once.
            for _ in range(_TURNS):
                await asyncio.sleep(0)
        # From here on a question comes too late for this answer.
        read = self._next.pop(key)
        self._running[key] = read.answer
        enter(read.scope)
        try:
            return await make()
        finally:
            del self._running[key]


def _seen(answer: "asyncio.Task[Any]") -> None:
    # The event loop complains of errors that nobody has looked at; all callers may have gone.
    if not answer.cancelled():
        answer.exception()
