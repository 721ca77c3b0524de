"""Waits until a condition holds, in place of fixed sleeps."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(
    probe: Callable[[], Awaitable[T]], *, within_s: float = 30.0, every_s: float = 0.02
) -> T: ...
@overload
async def eventually(
    probe: Callable[[], T], *, within_s: float = 30.0, every_s: float = 0.02
) -> T: ...
async def eventually(
    probe: Callable[[], T | Awaitable[T]], *, within_s: float = 30.0, every_s: float = 0.02
) -> T:
    """Call the probe until it returns a truthy value, and return that.

    An ``AssertionError`` in the probe counts as a falsy value; the last one is raised on timeout.

    Raises:
        AssertionError: the condition did not hold in time.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    last: object = None
    while True:
        try:
            value = probe()
            result = await value if inspect.isawaitable(value) else value
            if result:
                return result
            last = result
        except AssertionError as error:
            last = error
        if loop.time() >= deadline:
            if isinstance(last, AssertionError):
                raise last
            raise AssertionError(f"not true within {within_s} s; last value: {last!r}")
        await asyncio.sleep(every_s)
