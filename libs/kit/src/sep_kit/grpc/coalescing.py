"""Request coalescing: concurrent reads of the same fact share one execution."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

from sep_kit.grpc.call_context import CallContext, enter

_YIELDS_BEFORE_START = 10


@dataclass(slots=True)
class _PendingRead:
    """A read that has not started: the call context it will run in, and its task."""

    call: CallContext
    task: "asyncio.Task[Any]"


class RequestCoalescer:
    """While a read runs, all further callers with the same key share the read after it.

    Nothing is cached: a response always comes from a read that started after it was requested.
    At most one read per key runs at a time, however many callers there are.
    """

    def __init__(self) -> None:
        self._pending: dict[Hashable, _PendingRead] = {}
        self._running: dict[Hashable, asyncio.Task[Any]] = {}

    def get(
        self, key: Hashable, call: CallContext, read: Callable[[], Awaitable[Any]]
    ) -> "asyncio.Task[Any]":
        """A task of a read that starts after this call; its error goes to all who share it."""
        pending = self._pending.get(key)
        if pending is None:
            # A task of its own: the first caller may be cancelled while others wait.
            task = asyncio.create_task(self._run(key, read))
            task.add_done_callback(_mark_retrieved)
            pending = self._pending[key] = _PendingRead(call, task)
        elif pending.call.deadline is not None:
            # The read gets the latest deadline of those who share it.
            latest = None if call.deadline is None else max(call.deadline, pending.call.deadline)
            pending.call = replace(pending.call, deadline=latest)
        return pending.task

    async def _run(self, key: Hashable, read: Callable[[], Awaitable[Any]]) -> Any:
        if running := self._running.get(key):
            await asyncio.wait([running])
            # Let calls that have arrived but are not dispatched yet join. A busy event loop
            # dispatches one per iteration; on an idle one these yields cost nothing.
            for _ in range(_YIELDS_BEFORE_START):
                await asyncio.sleep(0)
        # From here on, new callers need a read of their own.
        pending = self._pending.pop(key)
        self._running[key] = pending.task
        enter(pending.call)
        try:
            return await read()
        finally:
            del self._running[key]


def _mark_retrieved(task: "asyncio.Task[Any]") -> None:
    # All callers may be gone: without this the event loop logs the exception as never retrieved.
    if not task.cancelled():
        task.exception()
