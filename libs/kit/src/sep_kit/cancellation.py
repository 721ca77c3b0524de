"""Cancellations that a library swallowed."""

import asyncio


def raise_if_cancelled() -> None:
    """Raise what a call in between should have raised.

    Before Python 3.12 ``asyncio.wait_for`` drops a cancellation that comes together
    with the answer it waits for, and the store's client uses it for every command. A
    loop that only awaits such calls would never hear that it is to stop.

    Raises:
        asyncio.CancelledError: the running task has been asked to stop.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
