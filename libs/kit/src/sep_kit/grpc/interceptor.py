"""The one server interceptor: who calls, what for, what is answered, and what went wrong."""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, cast

import grpc
import protovalidate
from google.protobuf.message import DecodeError
from prometheus_client import CollectorRegistry, Counter, Histogram

from sep_kit.errors import InvalidArgumentError, SepError
from sep_kit.grpc.access import AccessPolicy
from sep_kit.grpc.answers import AnswerCache
from sep_kit.grpc.patience import answer_in_time, in_time
from sep_kit.grpc.rules import UNKNOWN, Access, Rule, contract_rules
from sep_kit.grpc.scope import REQUEST_ID, CallScope, clean_request_id, enter
from sep_kit.grpc.shared_reads import SharedReads
from sep_kit.grpc.status import DETAILS_KEY, shown_message, status_details
from sep_kit.grpc.strict_request import RAW_BODY, TWICE, check_body, check_twice
from sep_kit.logging import get_logger

if TYPE_CHECKING:
    # Generic in the stubs only.
    Handler = grpc.RpcMethodHandler[Any, Any]

_log = get_logger("Grpc")
_UNCHECKED = ("/grpc.health.v1.", "/grpc.reflection.")
# What changes something is on record, whoever did it.
_RECORDED = (Access.WRITE, Access.INTERNAL)
_ENDLESS_S = 86_400.0
_MALFORMED = object()

UNDOCUMENTED = "an error that the contract does not tell of"
"""Logged where a method answers with one: clients can't be ready for it."""


class ContractInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Refuses who may not call and what breaks the contract; turns ``SepError`` into Status.

    Anything else that a handler raises is INTERNAL with its text withheld, since it
    may hold what no client should see.

    Args:
        access: who may call what; everybody everything without it.
        answers: where answers that may be a second old are kept; nowhere without it.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        access: AccessPolicy | None = None,
        answers: AnswerCache | None = None,
    ) -> None:
        self._validator = protovalidate.Validator()
        self._rules = contract_rules()
        self._access = access
        self._answers = answers
        # Asked once: a logger takes longer to say that it has nothing to say than to be asked here.
        self._tells_all = bool(_log.bind().is_enabled_for(logging.DEBUG))
        self._reads = SharedReads()
        self._wrapped: dict[str, Handler] = {}
        self._counters: dict[tuple[str, grpc.StatusCode], Counter] = {}
        self._timers: dict[str, Histogram] = {}
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
        method: str = handler_call_details.method
        wrapped = self._wrapped.get(method)
        if wrapped is None:
            handler = await continuation(handler_call_details)
            if handler is None or method.startswith(_UNCHECKED):
                return handler
            wrapped = self._wrapped[method] = self._wrap(method, handler)
        return wrapped

    def _wrap(self, method: str, handler: "Handler") -> "Handler":
        rule = self._rules.get(method, UNKNOWN)
        decode, encode = _decoder(handler.request_deserializer), handler.response_serializer
        if not handler.unary_unary:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(method, rule, cast(Any, handler.unary_stream)), decode, encode
            )
        if self._answers is None or not rule.reads:
            return grpc.unary_unary_rpc_method_handler(
                self._unary(method, rule, handler.unary_unary), decode, encode
            )
        if not rule.max_age_s:
            shared = self._shared(method, rule, handler.unary_unary, encode)
            return grpc.unary_unary_rpc_method_handler(shared, decode, None)
        # Kept as bytes: an answer that many get is put on the wire once.
        kept = self._kept(method, rule, handler.unary_unary, encode, self._answers)
        return grpc.unary_unary_rpc_method_handler(kept, decode, None)

    def _unary(
        self, method: str, rule: Rule, inner: Callable[..., Awaitable[Any]]
    ) -> Callable[..., Any]:
        async def handle(request: Any, context: Any) -> Any:
            async with self._guarded(method, rule, request, context) as scope, in_time(scope):
                return await inner(request, context)

        return handle

    def _shared(
        self,
        method: str,
        rule: Rule,
        inner: Callable[..., Awaitable[Any]],
        encode: Callable[[Any], bytes] | None,
    ) -> Callable[..., Any]:
        async def handle(request: Any, context: Any) -> bytes:
            async with self._guarded(method, rule, request, context) as scope:
                key = (method, request.SerializeToString(deterministic=True))
                make = _encoded(inner, encode, request, context)
                return bytes(await answer_in_time(self._reads.ask(key, scope, make), scope))

        return handle

    def _kept(
        self,
        method: str,
        rule: Rule,
        inner: Callable[..., Awaitable[Any]],
        encode: Callable[[Any], bytes] | None,
        answers: AnswerCache,
    ) -> Callable[..., Any]:
        # Envoy's cache keeps an answer until its age, in whole seconds, is above s-maxage. With
        # the second that it was made in as its date it is thrown out where that second ends.
        shared = f"public, max-age={rule.max_age_s}, s-maxage={rule.max_age_s - 1}"

        async def handle(request: Any, context: Any) -> bytes:
            async with self._guarded(method, rule, request, context) as scope:
                make = _encoded(inner, encode, request, context)
                key = (method, request.SerializeToString(deterministic=True))
                making, second = answers.ask(key, rule.max_age_s, make)
                answer = await answer_in_time(making, scope)
                # What a key was shown for is for its holder alone. The proxy marks everything that
                # says nothing of itself as not to be kept.
                if scope.caller is None:
                    made = formatdate(second, usegmt=True)
                    await context.send_initial_metadata((("cache-control", shared), ("date", made)))
                return bytes(answer)

        return handle

    def _stream(
        self, method: str, rule: Rule, inner: Callable[..., AsyncGenerator[Any, None]]
    ) -> Callable[..., Any]:
        async def handle(request: Any, context: Any) -> AsyncIterator[Any]:
            async with (
                self._guarded(method, rule, request, context),
                # A client that goes away ends the stream at once, not when memory is tidied.
                aclosing(inner(request, context)) as responses,
            ):
                async for response in responses:
                    yield response

        return handle

    @asynccontextmanager
    async def _guarded(
        self, method: str, rule: Rule, request: Any, context: Any
    ) -> AsyncIterator[CallScope]:
        started = time.perf_counter()
        code = grpc.StatusCode.OK
        metadata = _metadata(context)
        scope = _scope(metadata, context)
        enter(scope)
        try:
            try:
                if self._access is not None:
                    caller = self._access.admit(rule, metadata)
                    if caller is not None:
                        scope = replace(scope, caller=caller)
                        enter(scope)
                self._check(rule, request, metadata)
                yield scope
            except SepError as error:
                code = error.code
                if not rule.documents(code, error.reason):
                    _log.error(UNDOCUMENTED, method=method, code=code.name, reason=error.reason)
                await _abort(context, error)
            except (grpc.aio.AbortError, asyncio.CancelledError, GeneratorExit):
                code = grpc.StatusCode.CANCELLED
                raise
            except Exception as error:  # noqa: BLE001 - its text must not reach a client
                code = grpc.StatusCode.INTERNAL
                _log.error("handler failed", method=method, exc_info=error)
                await _abort(context, SepError("internal error; see the service's log"))
        finally:
            took = time.perf_counter() - started
            self._count(method, code).inc()
            self._timer(method).observe(took)
            if rule.access in _RECORDED or self._tells_all:
                say = _log.info if rule.access in _RECORDED else _log.debug
                by = scope.caller.name if scope.caller else ""
                say("called", method=method, code=code.name, by=by, seconds=round(took, 4))

    def _count(self, method: str, code: grpc.StatusCode) -> Counter:
        counter = self._counters.get((method, code))
        if counter is None:
            counter = self._counters[method, code] = self._handled.labels(method, code.name)
        return counter

    def _timer(self, method: str) -> Histogram:
        timer = self._timers.get(method)
        if timer is None:
            timer = self._timers[method] = self._latency.labels(method)
        return timer

    def _check(self, rule: Rule, request: Any, metadata: Mapping[str, Any]) -> None:
        if request is _MALFORMED:
            raise InvalidArgumentError("the request is no message of this method, or not UTF-8")
        if TWICE in metadata:
            check_twice(metadata[TWICE], request)
        if rule.takes_body and RAW_BODY in metadata:
            check_body(metadata[RAW_BODY], request)
        if not request.DESCRIPTOR.fields:
            return  # nothing in it that could be wrong
        try:
            self._validator.validate(request)
        except protovalidate.ValidationError as error:
            raise InvalidArgumentError(_faults(error.violations)) from None


def _encoded(
    inner: Callable[..., Awaitable[Any]],
    encode: Callable[[Any], bytes] | None,
    request: Any,
    context: Any,
) -> Callable[[], Awaitable[bytes]]:
    async def make() -> bytes:
        answer = await inner(request, context)
        return encode(answer) if encode else bytes(answer)

    return make


def _decoder(decode: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """Bytes that are no request come as ``_MALFORMED``: gRPC would answer with Python's words."""
    if decode is None:
        return None

    def decoded(raw: bytes) -> Any:
        try:
            return decode(raw)
        except DecodeError:
            return _MALFORMED

    return decoded


def _metadata(context: Any) -> dict[str, Any]:
    # A header that is sent twice counts once, the first time: nothing may hide behind another.
    return dict(reversed(context.invocation_metadata() or ()))


def _scope(metadata: Mapping[str, Any], context: Any) -> CallScope:
    left = context.time_remaining()
    now = asyncio.get_running_loop().time()
    return CallScope(
        clean_request_id(metadata.get(REQUEST_ID)) or secrets.token_hex(16),
        None if left is None or left > _ENDLESS_S else now + left,
    )


def _faults(violations: Sequence[Any]) -> str:
    """Every broken field and its rule, ten at most."""
    told = []
    for violation in violations[:10]:
        steps = violation.proto.field.elements if violation.proto.field else ()
        path = ".".join(
            f"{s.field_name}[{s.subscript.value}]" if s.subscript else s.field_name for s in steps
        )
        told.append(f"{path}: {violation.proto.message}" if path else violation.proto.message)
    if len(violations) > len(told):
        told.append(f"and {len(violations) - len(told)} more")
    return "; ".join(told)


async def _abort(context: Any, error: SepError) -> None:
    await context.abort(
        error.code,
        shown_message(error),
        trailing_metadata=((DETAILS_KEY, status_details(error)),),
    )
