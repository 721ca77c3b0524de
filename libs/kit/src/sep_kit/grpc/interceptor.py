"""The one server interceptor: checks requests against the contract, maps errors, measures."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import grpc
import protovalidate
from prometheus_client import CollectorRegistry, Counter, Histogram

from sep_kit.errors import InvalidArgumentError, SepError
from sep_kit.grpc.status import DETAILS_KEY, status_details
from sep_kit.logging import get_logger

if TYPE_CHECKING:
    # Generic in the stubs only.
    Handler = grpc.RpcMethodHandler[Any, Any]

_log = get_logger("Grpc")
_UNCHECKED = ("/grpc.health.v1.", "/grpc.reflection.")


class ContractInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Refuses requests that break a field's constraint; turns ``SepError`` into Status.

    Anything else that a handler raises is INTERNAL with its text withheld, since it
    may hold what no client should see.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._validator = protovalidate.Validator()
        self._handled = Counter(
            "sep_grpc_requests_total",
            "Requests by method and code",
            ["method", "code"],
            registry=registry,
        )
        self._latency = Histogram(
            "sep_grpc_latency_seconds", "Time to answer", ["method"], registry=registry
        )

    async def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Awaitable[Handler]]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler":
        """Wrap the handler that the call goes to."""
        handler = await continuation(handler_call_details)
        method: str = handler_call_details.method
        if handler is None or method.startswith(_UNCHECKED):
            return handler
        codec = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(
                self._unary(method, handler.unary_unary), **codec
            )
        return grpc.unary_stream_rpc_method_handler(
            self._stream(method, cast(Any, handler.unary_stream)), **codec
        )

    def _unary(self, method: str, inner: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
        async def handle(request: Any, context: Any) -> Any:
            async with self._guarded(method, request, context):
                return await inner(request, context)

        return handle

    def _stream(self, method: str, inner: Callable[..., AsyncIterator[Any]]) -> Callable[..., Any]:
        async def handle(request: Any, context: Any) -> AsyncIterator[Any]:
            async with self._guarded(method, request, context):
                async for response in inner(request, context):
                    yield response

        return handle

    @asynccontextmanager
    async def _guarded(self, method: str, request: Any, context: Any) -> AsyncIterator[None]:
        started = time.perf_counter()
        code = grpc.StatusCode.OK
        try:
            try:
                self._check(request)
                yield
            except SepError as error:
                code = error.code
                await _abort(context, error)
            except (grpc.aio.AbortError, asyncio.CancelledError, GeneratorExit):
                code = grpc.StatusCode.CANCELLED
                raise
            except Exception as error:  # noqa: BLE001 - its text must not reach a client
                code = grpc.StatusCode.INTERNAL
                _log.error("handler failed", method=method, exc_info=error)
                await _abort(context, SepError("internal error; see the service's log"))
        finally:
            self._handled.labels(method, code.name).inc()
            self._latency.labels(method).observe(time.perf_counter() - started)

    def _check(self, request: Any) -> None:
        try:
            self._validator.validate(request)
        except protovalidate.ValidationError as error:
            raise InvalidArgumentError(str(error)) from None


async def _abort(context: Any, error: SepError) -> None:
    await context.abort(
        error.code, error.message, trailing_metadata=((DETAILS_KEY, status_details(error)),)
    )
