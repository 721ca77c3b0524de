"""Wait for what must come true, instead of sleeping and hoping."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(
    probe: Callable[[], Awaitable[T]], *, within_s: float = 10.0, every_s: float = 0.02
) -> T: ...
@overload
async def eventually(
    probe: Callable[[], T], *, within_s: float = 10.0, every_s: float = 0.02
) -> T: ...
async def eventually(
    probe: Callable[[], T | Awaitable[T]], *, within_s: float = 10.0, every_s: float = 0.02
) -> T:
    """The probe's first truthy answer.

    An ``AssertionError`` in the probe counts as not yet; the last one is raised
    when time runs out.

    Raises:
        AssertionError: it did not come true in time.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    last: object = None
    while True:
        try:
            answer = probe()
            result = await answer if inspect.isawaitable(answer) else answer
            if result:
                return result
            last = result
        except AssertionError as error:
            last = error
        if loop.time() >= deadline:
            if isinstance(last, AssertionError):
                raise last
            raise AssertionError(f"not true within {within_s} s; last answer: {last!r}")
        await asyncio.sleep(every_s)
