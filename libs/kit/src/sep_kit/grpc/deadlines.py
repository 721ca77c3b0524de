"""Deadlines of calls: a call fails shortly before gRPC would end it without a reason."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from sep_kit.errors import TooSlowError
from sep_kit.grpc.call_context import CallContext

T = TypeVar("T")

_REPLY_MARGIN_S = 0.25
"""Time reserved for sending the error."""


@asynccontextmanager
async def within_deadline(call: CallContext) -> AsyncIterator[None]:
    """Cancel the body, which only this caller waits for, at the call's deadline.

    Raises:
        TooSlowError: the deadline has passed.
    """
    left = _time_left(call)
    if left is None:
        yield
        return
    try:
        async with asyncio.timeout(left) as timeout:
            yield
    except TimeoutError:
        if not timeout.expired():
            raise
        raise _too_slow() from None


async def wait_within_deadline(response: asyncio.Future[T], call: CallContext) -> T:
    """Wait for a response that other callers may share; it is not cancelled at the deadline.

    Raises:
        TooSlowError: the deadline of this call has passed.
    """
    if not response.done():
        await asyncio.wait([response], timeout=_time_left(call))
        if not response.done():
            raise _too_slow()
    return response.result()


def _time_left(call: CallContext) -> float | None:
    left = call.seconds_left()
    return None if left is None else left - min(_REPLY_MARGIN_S, left / 10)


def _too_slow() -> TooSlowError:
    return TooSlowError("the call did not finish before its deadline")
