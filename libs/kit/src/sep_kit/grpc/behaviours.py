"""How a method is executed once its call is accepted: alone, coalesced, cached or streamed.

Each function wraps a servicer's method. ``accept`` is the context manager that checks a call and
maps its errors; it yields the call's context.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from email.utils import formatdate
from functools import partial
from typing import Any

from sep_kit.grpc.call_context import CallContext
from sep_kit.grpc.coalescing import RequestCoalescer
from sep_kit.grpc.deadlines import wait_within_deadline, within_deadline
from sep_kit.grpc.response_cache import ResponseCache

Accept = Callable[[Any, Any], AbstractAsyncContextManager[CallContext]]
Unary = Callable[[Any, Any], Awaitable[Any]]
Stream = Callable[[Any, Any], AsyncGenerator[Any, None]]
_ADMIT_EVERY_S = 1.0
_END = object()

Encode = Callable[[Any], bytes] | None


def uncached(accept: Accept, inner: Unary) -> Unary:
    """Execute each call by itself, and cancel it at its deadline."""

    async def handle(request: Any, context: Any) -> Any:
        async with accept(request, context) as call, within_deadline(call):
            return await inner(request, context)

    return handle


def coalesced(accept: Accept, inner: Unary, encode: Encode, coalescer: RequestCoalescer) -> Unary:
    """Share one execution between concurrent calls with equal requests; returns bytes."""

    async def handle(request: Any, context: Any) -> bytes:
        async with accept(request, context) as call:
            read = _encoded(inner, encode, request, context)
            response = coalescer.get(_key(inner, request), call, read)
            return bytes(await wait_within_deadline(response, call))

    return handle


def cached(
    accept: Accept, inner: Unary, encode: Encode, cache: ResponseCache, max_age_s: int
) -> Unary:
    """Answer from the response cache, and let the HTTP cache in front do the same.

    Returns bytes: a response that many callers get is serialized once.
    """
    # Envoy's cache uses a response until its age in whole seconds exceeds s-maxage. With the start
    # of its period as its date, the response expires there when that period ends.
    cache_control = f"public, max-age={max_age_s}, s-maxage={max_age_s - 1}"

    async def handle(request: Any, context: Any) -> bytes:
        async with accept(request, context) as call:
            compute = _encoded(inner, encode, request, context)
            response, period_start = cache.get(_key(inner, request), max_age_s, compute)
            raw = await wait_within_deadline(response, call)
            # The response to a call with a key is for its owner alone. The proxy marks every
            # response without this header as not to be cached.
            if call.caller is None:
                date = formatdate(period_start, usegmt=True)
                await context.send_initial_metadata(
                    (("cache-control", cache_control), ("date", date))
                )
            return bytes(raw)

    return handle


def streamed(
    accept: Accept, inner: Stream, admit_again: Callable[[Any], object]
) -> Callable[[Any, Any], AsyncIterator[Any]]:
    """Stream responses until the handler ends, the client disconnects or its key is revoked.

    Args:
        admit_again: raises if the caller of this context would be refused now.
    """

    async def handle(request: Any, context: Any) -> AsyncIterator[Any]:
        async with (
            accept(request, context) as call,
            # A disconnect ends the handler at once, not when the generator is collected.
            aclosing(inner(request, context)) as responses,
        ):
            if call.caller is None:
                async for response in responses:
                    yield response
                return
            async for response in _while_admitted(responses, partial(admit_again, context)):
                yield response

    return handle


async def _while_admitted(
    responses: AsyncGenerator[Any, None], admit_again: Callable[[], object]
) -> AsyncIterator[Any]:
    """The responses, with a check each second, whether or not there is a response."""
    following: asyncio.Task[Any] | None = None
    try:
        while True:
            following = following or asyncio.create_task(_next(responses))
            await asyncio.wait([following], timeout=_ADMIT_EVERY_S)
            admit_again()
            if following.done():
                response, following = following.result(), None
                if response is _END:
                    return
                yield response
    finally:
        if following is not None:
            following.cancel()
            await asyncio.wait([following])


async def _next(responses: AsyncGenerator[Any, None]) -> Any:
    return await anext(responses, _END)


def _key(inner: Unary, request: Any) -> tuple[Unary, bytes]:
    return inner, request.SerializeToString(deterministic=True)


def _encoded(
    inner: Unary, encode: Encode, request: Any, context: Any
) -> Callable[[], Awaitable[bytes]]:
    async def compute() -> bytes:
        response = await inner(request, context)
        return encode(response) if encode else bytes(response)

    return compute
