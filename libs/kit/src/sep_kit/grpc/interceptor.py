"""The server interceptor: access, validation and error mapping of every call."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import grpc
from prometheus_client import CollectorRegistry
from sep_contract import Method, read_contract

from sep_kit.errors import PermissionDeniedError, SepError, UnauthenticatedError
from sep_kit.grpc.access import AccessPolicy
from sep_kit.grpc.behaviours import cached, coalesced, streamed, uncached
from sep_kit.grpc.call_context import CallContext, call_context, enter
from sep_kit.grpc.call_log import AccessLog, CallMetrics
from sep_kit.grpc.coalescing import RequestCoalescer
from sep_kit.grpc.keys import Caller
from sep_kit.grpc.limits import CallLimits
from sep_kit.grpc.response_cache import ResponseCache
from sep_kit.grpc.status import DETAILS_KEY, shown_message, status_details
from sep_kit.grpc.validation import RequestValidator, decoder
from sep_kit.logging import get_logger

if TYPE_CHECKING:
    # Generic in the stubs only.
    Handler = grpc.RpcMethodHandler[Any, Any]

_log = get_logger("Grpc")
_NOT_INTERCEPTED = ("/grpc.health.v1.", "/grpc.reflection.")

UNDOCUMENTED = "error not declared in the contract"
"""Log event of a method that fails with an error its clients can't know of."""


class ContractInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Refuses calls without access and invalid requests; maps ``SepError`` to a gRPC status.

    Any other exception of a handler becomes INTERNAL with its text withheld, since the text may
    hold what no client should see.

    Args:
        access: who may call what; without it everyone may call everything.
        response_cache: for methods whose responses may be cached; without it no response is
            cached or coalesced.
        limits: what one client may do; without it nothing is limited.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        access: AccessPolicy | None = None,
        response_cache: ResponseCache | None = None,
        limits: CallLimits | None = None,
    ) -> None:
        self._contract = read_contract()
        self._access = access
        self._limits = limits
        self._validator = RequestValidator()
        self._response_cache = response_cache
        self._coalescer = RequestCoalescer()
        self._metrics = CallMetrics(registry)
        self._access_log = AccessLog()
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Awaitable[Handler]]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler":
        """Wrap the handler of the called method."""
        path: str = handler_call_details.method
        wrapped = self._wrapped.get(path)
        if wrapped is None:
            handler = await continuation(handler_call_details)
            if handler is None or path.startswith(_NOT_INTERCEPTED):
                return handler
            wrapped = self._wrapped[path] = self._wrap(self._contract.method(path), handler)
        return wrapped

    def _wrap(self, method: Method, handler: "Handler") -> "Handler":
        accept = partial(self._accept, method)
        decode, encode = decoder(handler.request_deserializer), handler.response_serializer
        if not handler.unary_unary:
            again = partial(self._admit, method)
            stream = streamed(accept, cast(Any, handler.unary_stream), again)
            return grpc.unary_stream_rpc_method_handler(cast(Any, stream), decode, encode)
        inner, cache = cast(Any, handler.unary_unary), self._response_cache
        if cache is None or not method.reads:
            unary = uncached(accept, inner)
            return grpc.unary_unary_rpc_method_handler(cast(Any, unary), decode, encode)
        if method.max_age_s:
            unary = cached(accept, inner, encode, cache, method.max_age_s)
        else:
            unary = coalesced(accept, inner, encode, self._coalescer)
        return grpc.unary_unary_rpc_method_handler(cast(Any, unary), decode, None)

    @asynccontextmanager
    async def _accept(
        self, method: Method, request: Any, context: Any
    ) -> AsyncIterator[CallContext]:
        """Check a call, then map the errors of its body and record its outcome."""
        started = time.perf_counter()
        code = grpc.StatusCode.OK
        metadata = _metadata(context)
        call = call_context(metadata, context.time_remaining(), context.peer())
        enter(call)
        try:
            try:
                caller = self._admitted(method, context, call)
                if caller is not None:
                    call = replace(call, caller=caller)
                    enter(call)
                with self._within_limits(method, request, call):
                    self._validator.check(method, request, metadata)
                    yield call
            except SepError as error:
                code = error.code
                if not method.documents(code.name, error.reason):
                    _log.error(
                        UNDOCUMENTED, method=method.path, code=code.name, reason=error.reason
                    )
                await _abort(context, error)
            except (grpc.aio.AbortError, asyncio.CancelledError, GeneratorExit):
                code = grpc.StatusCode.CANCELLED
                raise
            except Exception as error:  # noqa: BLE001 - its text must not reach a client
                code = grpc.StatusCode.INTERNAL
                _log.error("handler failed", method=method.path, exc_info=error)
                await _abort(context, SepError("internal error; see the service's log"))
        finally:
            seconds = time.perf_counter() - started
            self._metrics.record(method.path, code, seconds)
            self._access_log.record(method, code, call.caller_name, seconds)

    def _admit(self, method: Method, context: Any) -> Caller | None:
        """The caller, if any; raises if it may not call the method."""
        if self._access is None:
            return None
        names = _certificate_names(context) if self._access.certificates else ()
        return self._access.admit(method, _metadata(context), names)

    def _admitted(self, method: Method, context: Any, call: CallContext) -> Caller | None:
        """``_admit``, where a refusal is charged to the client's address."""
        try:
            return self._admit(method, context)
        except (UnauthenticatedError, PermissionDeniedError):
            if self._limits is not None:
                self._limits.charge_failure(call.address)
            raise

    @contextmanager
    def _within_limits(self, method: Method, request: Any, call: CallContext) -> Iterator[None]:
        if self._limits is None:
            yield
            return
        self._limits.charge(method, request, call.client)
        with self._limits.stream(call.client) if method.streams else nullcontext():
            yield


def _certificate_names(context: Any) -> list[str]:
    """The DNS names in the certificate that the caller presented."""
    found = context.auth_context().get("x509_subject_alternative_name", ())
    return [name.decode(errors="replace") for name in found]


def _metadata(context: Any) -> dict[str, Any]:
    # Of a header sent twice the first counts, so that no second one can override it.
    return dict(reversed(context.invocation_metadata() or ()))


async def _abort(context: Any, error: SepError) -> None:
    await context.abort(
        error.code,
        shown_message(error),
        trailing_metadata=((DETAILS_KEY, status_details(error)),),
    )
