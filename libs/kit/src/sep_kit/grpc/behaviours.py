"""How a method is executed once its call is accepted: alone, coalesced, cached or streamed.

Each function wraps a servicer's method. ``accept`` is the context manager that checks a call and
maps its errors; it yields the call's context.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from email.utils import formatdate
from typing import Any

from sep_kit.grpc.call_context import CallContext
from sep_kit.grpc.coalescing import RequestCoalescer
from sep_kit.grpc.deadlines import wait_within_deadline, within_deadline
from sep_kit.grpc.response_cache import ResponseCache

Accept = Callable[[Any, Any], AbstractAsyncContextManager[CallContext]]
Unary = Callable[[Any, Any], Awaitable[Any]]
Stream = Callable[[Any, Any], AsyncGenerator[Any, None]]
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


def streamed(accept: Accept, inner: Stream) -> Callable[[Any, Any], AsyncIterator[Any]]:
    """Stream responses until the handler ends or the client disconnects."""

    async def handle(request: Any, context: Any) -> AsyncIterator[Any]:
        async with (
            accept(request, context),
            # A disconnect ends the handler at once, not when the generator is collected.
            aclosing(inner(request, context)) as responses,
        ):
            async for response in responses:
                yield response

    return handle


def _key(inner: Unary, request: Any) -> tuple[Unary, bytes]:
    return inner, request.SerializeToString(deterministic=True)


def _encoded(
    inner: Unary, encode: Encode, request: Any, context: Any
) -> Callable[[], Awaitable[bytes]]:
    async def compute() -> bytes:
        response = await inner(request, context)
        return encode(response) if encode else bytes(response)

    return compute
