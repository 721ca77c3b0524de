"""How long a caller waits: a call ends just before gRPC would end it, which gives no reason."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from sep_kit.errors import TooSlowError
from sep_kit.grpc.scope import CallScope

T = TypeVar("T")

_TO_SAY_SO_S = 0.25


@asynccontextmanager
async def in_time(scope: CallScope) -> AsyncIterator[None]:
    """Work that is done for this caller alone: given up when the caller's time is over.

    Raises:
        TooSlowError: it is.
    """
    left = _patience(scope)
    if left is None:
        yield
        return
    try:
        async with asyncio.timeout(left) as patience:
            yield
    except TimeoutError:
        if not patience.expired():
            raise
        raise _too_slow() from None


async def answer_in_time(answer: asyncio.Future[T], scope: CallScope) -> T:
    """An answer that others may wait for too: it goes on being made, whoever gives up.

    Raises:
        TooSlowError: this caller's time is over.
    """
    if not answer.done():
        await asyncio.wait([answer], timeout=_patience(scope))
        if not answer.done():
            raise _too_slow()
    return answer.result()


def _patience(scope: CallScope) -> float | None:
    left = scope.seconds_left()
    return None if left is None else left - min(_TO_SAY_SO_S, left / 10)


def _too_slow() -> TooSlowError:
    return TooSlowError("the call takes longer than its caller waits")
