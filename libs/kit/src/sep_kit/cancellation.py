"""Cancellation of the current task, where a library may have swallowed it."""

import asyncio


def cancellation_requested() -> bool:
    """Whether the running task has been asked to stop."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def raise_if_cancelled() -> None:
    """Raise a cancellation that an awaited call swallowed.

    Before Python 3.12, ``asyncio.wait_for`` drops a cancellation that arrives together with the
    result, and the store's client uses it for every command. A loop that awaits only such calls
    would never stop.

    Raises:
        asyncio.CancelledError: the running task has been asked to stop.
    """
    if cancellation_requested():
        raise asyncio.CancelledError
