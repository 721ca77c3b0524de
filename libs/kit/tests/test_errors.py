import ast
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2
from prometheus_client import CollectorRegistry, generate_latest
from sep.evaluator.v1 import evaluator_pb2, evaluator_pb2_grpc
from sep.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from sep.guard.v1 import guard_pb2, guard_pb2_grpc
from sep_contract import COMMON_ERRORS
from sep_kit import errors
from sep_kit.errors import (
    InvalidArgumentError,
    NotFoundError,
    PeerUnavailableError,
    RemoteError,
    SepError,
    TooSlowError,
    UnknownInstrumentError,
)
from sep_kit.grpc.client import call, open_channel
from sep_kit.grpc.interceptor import UNDOCUMENTED
from sep_kit.grpc.server import Handler
from sep_kit.grpc.status import DETAILS_KEY
from sep_testing.eventually import eventually
from sep_testing.services import running_server

SECRET = "password=hunter2"


@pytest.fixture(autouse=True)
def _only_documented_errors() -> None:
    """Disabled here: the tests return every error from the same method."""


# The generated bases are abstract only to the type checker; methods that a test leaves out return
# UNIMPLEMENTED.
GatewayBase: Any = gateway_pb2_grpc.GatewayServiceServicer
EvaluatorBase: Any = evaluator_pb2_grpc.EvaluatorServiceServicer
GuardBase: Any = guard_pb2_grpc.GuardServiceServicer


class Gateway(GatewayBase):  # type: ignore[misc]
    """Raises ``error``, if it is set."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.calls = 0
        self.cancelled = asyncio.Event()

    async def FetchCandles(self, request: Any, context: Any) -> gateway_pb2.FetchCandlesResponse:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return gateway_pb2.FetchCandlesResponse()

    async def GetAccount(self, request: Any, context: Any) -> gateway_pb2.GetAccountResponse:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return gateway_pb2.GetAccountResponse()


class Evaluator(EvaluatorBase):  # type: ignore[misc]
    """Streams ``first`` responses, then raises ``error`` or goes on forever."""

    def __init__(self, error: BaseException | None, first: int = 2) -> None:
        self.error = error
        self.first = first
        self.closed = asyncio.Event()

    async def StreamManifolds(
        self, request: Any, context: Any
    ) -> AsyncIterator[evaluator_pb2.StreamManifoldsResponse]:
        try:
            for _ in range(self.first):
                yield evaluator_pb2.StreamManifoldsResponse()
            if self.error is not None:
                raise self.error
            while True:
                yield evaluator_pb2.StreamManifoldsResponse()
                await asyncio.sleep(0.01)
        finally:
            self.closed.set()


class Guard(GuardBase):  # type: ignore[misc]
    """A second hop: calls the gateway and passes its error on."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._gateway = gateway_pb2_grpc.GatewayServiceStub(channel)

    async def GetBudget(self, request: Any, context: Any) -> Any:
        await call(self._gateway.FetchCandles, gateway_pb2.FetchCandlesRequest(), peer="gateway")
        return guard_pb2.GetBudgetResponse()


def gateway(servicer: Gateway) -> Handler:
    add = gateway_pb2_grpc.add_GatewayServiceServicer_to_server
    return Handler("sep.gateway.v1.GatewayService", servicer, add)


def evaluator(servicer: Evaluator) -> Handler:
    add = evaluator_pb2_grpc.add_EvaluatorServiceServicer_to_server
    return Handler("sep.evaluator.v1.EvaluatorService", servicer, add)


def guard(servicer: Guard) -> Handler:
    add = guard_pb2_grpc.add_GuardServiceServicer_to_server
    return Handler("sep.guard.v1.GuardService", servicer, add)


async def fetch(
    channel: grpc.aio.Channel, request: gateway_pb2.FetchCandlesRequest | None = None
) -> None:
    stub = gateway_pb2_grpc.GatewayServiceStub(channel)
    await stub.FetchCandles(request or gateway_pb2.FetchCandlesRequest(), timeout=30)


def status_of(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    trailing: Any = error.trailing_metadata()
    return status_pb2.Status.FromString(dict(trailing).get(DETAILS_KEY, b""))


def leaves(kind: type[SepError] = SepError) -> list[type[SepError]]:
    found = [kind]
    for child in kind.__subclasses__():
        found += leaves(child)
    return [k for k in found if k.__module__ == errors.__name__]


def example(kind: type[SepError]) -> SepError:
    if kind is UnknownInstrumentError:
        return UnknownInstrumentError("XXX_YYY", ["EUR_USD"])
    if kind is RemoteError:
        return RemoteError(grpc.StatusCode.ABORTED, "ELSEWHERE", "from afar", {"a": "b"})
    return kind("what was wrong", which="this one")


@pytest.mark.parametrize("kind", leaves())
async def test_an_error_reaches_the_caller_as_a_status_with_its_reason(
    kind: type[SepError],
) -> None:
    error = example(kind)
    async with (
        running_server(gateway(Gateway(error))) as running,
        open_channel(running.address) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await fetch(channel)
    assert failure.value.code() is error.code
    assert failure.value.details() == error.message
    status = status_of(failure.value)
    assert (status.code, status.message) == (error.code.value[0], error.message)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain, dict(info.metadata)) == (error.reason, "sep", error.metadata)


def test_reasons_are_unique() -> None:
    reasons = [k.reason for k in leaves() if k is not RemoteError]
    assert len(reasons) == len(set(reasons))
    assert all(r == r.upper() for r in reasons)


def test_the_common_errors_of_the_contract_are_those_of_the_interceptor() -> None:
    """Raised before a handler runs, or in place of a bug: no method declares them."""
    kinds: list[type[SepError]] = [
        InvalidArgumentError,
        errors.UnauthenticatedError,
        errors.WrongKeyError,
        errors.PermissionDeniedError,
        errors.InternalOnlyError,
        errors.CallerNotAllowedError,
        errors.ForeignOriginError,
        errors.RateLimitedError,
        errors.TooManyStreamsError,
        TooSlowError,
        SepError,
    ]
    assert {(kind.code.name, kind.reason) for kind in kinds} == {
        (code, reason) for code, reasons in COMMON_ERRORS.items() for reason in reasons
    }


def test_the_tree_in_the_docstring_is_complete() -> None:
    """The docstring of the module shows every class with its reason."""
    text = ast.get_docstring(ast.parse(Path(errors.__file__).read_text("utf-8"))) or ""
    for kind in leaves():
        if kind not in (SepError, RemoteError):
            (line,) = [ln for ln in text.splitlines() if f" {kind.__name__} " in ln]
            assert line.rstrip().endswith(kind.reason)


async def test_a_stream_ends_with_the_error_after_its_responses() -> None:
    servicer = Evaluator(NotFoundError("no such thing", thing="x"))
    async with (
        running_server(evaluator(servicer)) as running,
        open_channel(running.address) as channel,
    ):
        stream = evaluator_pb2_grpc.EvaluatorServiceStub(channel).StreamManifolds(
            evaluator_pb2.StreamManifoldsRequest(), timeout=30
        )
        await stream.read()
        await stream.read()
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await stream.read()
    assert failure.value.code() is grpc.StatusCode.NOT_FOUND
    info = error_details_pb2.ErrorInfo()
    assert status_of(failure.value).details[0].Unpack(info)
    assert (info.reason, dict(info.metadata)) == ("NOT_FOUND", {"thing": "x"})


@pytest.mark.parametrize("error", [ValueError(SECRET), KeyError(SECRET), RuntimeError(SECRET)])
async def test_any_other_exception_is_internal_with_its_text_withheld(error: Exception) -> None:
    async with (
        running_server(gateway(Gateway(error)), evaluator(Evaluator(error))) as running,
        open_channel(running.address) as channel,
    ):
        with structlog.testing.capture_logs() as logs:
            with pytest.raises(grpc.aio.AioRpcError) as unary:
                await fetch(channel)
            with pytest.raises(grpc.aio.AioRpcError) as streamed:
                async for _ in evaluator_pb2_grpc.EvaluatorServiceStub(channel).StreamManifolds(
                    evaluator_pb2.StreamManifoldsRequest(), timeout=30
                ):
                    pass
    for failure in (unary.value, streamed.value):
        assert failure.code() is grpc.StatusCode.INTERNAL
        assert SECRET not in repr(failure)
        assert SECRET.encode() not in status_of(failure).SerializeToString()
    # The text is in the service's log.
    failed = [entry["exc_info"] for entry in logs if entry["event"] == "handler failed"]
    assert failed == [error, error]


async def test_an_invalid_request_is_refused_with_every_field_and_reaches_no_handler() -> None:
    servicer = Gateway()
    async with (
        running_server(gateway(servicer)) as running,
        open_channel(running.address) as channel,
    ):
        with pytest.raises(RemoteError) as refusal:
            await call(
                gateway_pb2_grpc.GatewayServiceStub(channel).FetchCandles,
                gateway_pb2.FetchCandlesRequest(instruments=["EUR_USD", "nope"], count=10**6),
                peer="gateway",
            )
    assert refusal.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.value.reason == "INVALID_ARGUMENT"
    assert "instruments[1]: does not match" in refusal.value.message
    assert "count: must be less than or equal to 200000" in refusal.value.message
    assert servicer.calls == 0


async def test_a_request_with_thousands_of_faults_gets_its_error() -> None:
    async with (
        running_server(gateway(Gateway())) as running,
        open_channel(running.address) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await fetch(channel, gateway_pb2.FetchCandlesRequest(instruments=["nope"] * 5000))
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "more" in str(refusal.value.details())


async def test_a_long_message_is_truncated() -> None:
    error = InvalidArgumentError("x" * 100_000, which="this")
    async with (
        running_server(gateway(Gateway(error))) as running,
        open_channel(running.address) as channel,
    ):
        with pytest.raises(RemoteError) as refusal:
            await call(
                gateway_pb2_grpc.GatewayServiceStub(channel).FetchCandles,
                gateway_pb2.FetchCandlesRequest(),
                peer="gateway",
            )
    assert refusal.value.reason == "INVALID_ARGUMENT"
    assert refusal.value.metadata == {"which": "this"}
    assert len(refusal.value.message) == 1_000


@pytest.mark.parametrize("kind", [k for k in leaves() if k is not TooSlowError])
async def test_an_error_crosses_two_services_unchanged(kind: type[SepError]) -> None:
    error = example(kind)
    async with (
        running_server(gateway(Gateway(error))) as far,
        open_channel(far.address) as far_channel,
        running_server(guard(Guard(far_channel))) as near,
        open_channel(near.address) as channel,
    ):
        with pytest.raises(RemoteError) as arrived:
            await call(
                guard_pb2_grpc.GuardServiceStub(channel).GetBudget,
                guard_pb2.GetBudgetRequest(),
                peer="guard",
            )
    got = arrived.value
    assert (got.code, got.reason, got.message, got.metadata) == (
        error.code, error.reason, error.message, error.metadata,
    )  # fmt: skip


async def test_a_peer_that_misses_the_deadline_is_unavailable_and_cancelled() -> None:
    servicer = Gateway()
    async with (
        running_server(gateway(servicer)) as running,
        open_channel(running.address) as channel,
    ):

        async def missed_and_cancelled() -> bool:
            # On a machine that stalls, the deadline may pass before the call reaches the peer.
            with pytest.raises(PeerUnavailableError, match="gateway does not answer") as failure:
                await call(
                    gateway_pb2_grpc.GatewayServiceStub(channel).GetAccount,
                    gateway_pb2.GetAccountRequest(),
                    peer="gateway",
                    deadline_s=0.2,
                )
            assert failure.value.metadata == {"peer": "gateway"}
            return servicer.cancelled.is_set()

        await eventually(missed_and_cancelled)


async def test_a_call_past_its_deadline_fails_with_a_reason_and_is_cancelled() -> None:
    servicer = Gateway()
    async with (
        running_server(gateway(servicer)) as running,
        open_channel(running.address) as channel,
    ):

        async def reason() -> str:
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await gateway_pb2_grpc.GatewayServiceStub(channel).GetAccount(
                    gateway_pb2.GetAccountRequest(), timeout=0.5
                )
            assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            # The server has 50 ms for its answer; without one the client reports the same code.
            info = error_details_pb2.ErrorInfo()
            for detail in status_of(failure.value).details:
                detail.Unpack(info)
            return str(info.reason)

        assert await eventually(reason) == "UPSTREAM_TIMEOUT"
        async with asyncio.timeout(30):
            await servicer.cancelled.wait()


@pytest.mark.parametrize("garbage", [b"\xff\xff", b"\x0a\x02\xff\xfe"])
async def test_bytes_that_can_not_be_decoded_are_refused_without_python_text(
    garbage: bytes,
) -> None:
    """Not a message, and a string that is not UTF-8, as a query in REST may contain."""
    servicer = Gateway()
    async with (
        running_server(gateway(servicer)) as running,
        open_channel(running.address) as channel,
    ):
        opened: Any = channel
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await opened.unary_unary("/sep.gateway.v1.GatewayService/FetchCandles")(garbage)
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "protobuf" not in str(failure.value.details())
    assert servicer.calls == 0


async def test_a_peer_that_does_not_run_is_unavailable() -> None:
    async with running_server() as running:
        address = running.address
    async with open_channel(address) as channel:
        with pytest.raises(PeerUnavailableError, match="gateway does not answer"):
            await call(
                gateway_pb2_grpc.GatewayServiceStub(channel).FetchCandles,
                gateway_pb2.FetchCandlesRequest(),
                peer="gateway",
                deadline_s=2,
            )


async def test_a_peer_that_stops_during_a_call_is_unavailable() -> None:
    async with (
        running_server(gateway(Gateway())) as running,
        open_channel(running.address) as channel,
    ):
        calling = asyncio.create_task(
            call(
                gateway_pb2_grpc.GatewayServiceStub(channel).GetAccount,
                gateway_pb2.GetAccountRequest(),
                peer="gateway",
            )
        )
        await channel.channel_ready()
        await asyncio.sleep(0)
        await running.server.stop(0)
        with pytest.raises(PeerUnavailableError):
            await calling


async def test_an_error_without_details_keeps_its_code() -> None:
    """As from a server without the method, or without the interceptor."""
    async with running_server() as running, open_channel(running.address) as channel:
        with pytest.raises(RemoteError) as failure:
            await call(
                gateway_pb2_grpc.GatewayServiceStub(channel).FetchCandles,
                gateway_pb2.FetchCandlesRequest(),
                peer="gateway",
            )
    assert failure.value.code is grpc.StatusCode.UNIMPLEMENTED
    assert failure.value.reason == "UNIMPLEMENTED"


class BrokenDetails(GatewayBase):  # type: ignore[misc]
    """Sends details that are not a Status."""

    def __init__(self, details: bytes) -> None:
        self.details = details

    async def FetchCandles(self, request: Any, context: Any) -> Any:
        await context.abort(
            grpc.StatusCode.ABORTED, "garbled", trailing_metadata=((DETAILS_KEY, self.details),)
        )


@pytest.mark.parametrize("details", [b"", b"\xff\xff\xff", b"not a status"])
async def test_broken_details_leave_the_code(details: bytes) -> None:
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    gateway_pb2_grpc.add_GatewayServiceServicer_to_server(BrokenDetails(details), server)
    await server.start()
    async with open_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(RemoteError) as failure:
            await call(
                gateway_pb2_grpc.GatewayServiceStub(channel).FetchCandles,
                gateway_pb2.FetchCandlesRequest(),
                peer="gateway",
            )
    await server.stop(0)
    assert (failure.value.code, failure.value.reason) == (grpc.StatusCode.ABORTED, "ABORTED")


async def test_further_details_are_sent_too() -> None:
    error = NotFoundError("gone")
    error.details = (gateway_pb2.FetchCandlesResponse(),)
    async with (
        running_server(gateway(Gateway(error))) as running,
        open_channel(running.address) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await fetch(channel)
    details: list[AnyMessage] = list(status_of(failure.value).details)
    assert details[1].Is(gateway_pb2.FetchCandlesResponse.DESCRIPTOR)


async def test_a_client_that_cancels_a_stream_ends_it_at_once() -> None:
    servicer = Evaluator(None)
    async with (
        running_server(evaluator(servicer)) as running,
        open_channel(running.address) as channel,
    ):
        stream = evaluator_pb2_grpc.EvaluatorServiceStub(channel).StreamManifolds(
            evaluator_pb2.StreamManifoldsRequest()
        )
        await stream.read()
        stream.cancel()
        async with asyncio.timeout(30):
            await servicer.closed.wait()


async def test_an_undeclared_error_is_logged() -> None:
    """In all other tests such an error is a failure."""
    servicer = Gateway(errors.ReadOnlyError("no"))
    async with (
        running_server(gateway(servicer)) as running,
        open_channel(running.address) as channel,
    ):
        with structlog.testing.capture_logs() as logs:
            for error in (servicer.error, UnknownInstrumentError("X", []), SepError("x")):
                servicer.error = error
                with pytest.raises(grpc.aio.AioRpcError):
                    await fetch(channel)
    undeclared = [entry for entry in logs if entry["event"] == UNDOCUMENTED]
    assert [(e["method"].rpartition("/")[2], e["reason"]) for e in undeclared] == [
        ("FetchCandles", "READ_ONLY")
    ]


async def test_calls_are_counted_by_method_and_code() -> None:
    registry = CollectorRegistry()
    servicer = Gateway()
    method = "/sep.gateway.v1.GatewayService/FetchCandles"
    async with (
        running_server(gateway(servicer), registry=registry) as running,
        open_channel(running.address) as channel,
    ):
        await fetch(channel)
        servicer.error = NotFoundError("gone")
        for _ in range(2):
            with pytest.raises(grpc.aio.AioRpcError):
                await fetch(channel)

    def count(code: str) -> float | None:
        return registry.get_sample_value(
            "sep_grpc_requests_total", {"method": method, "code": code}
        )

    await eventually(lambda: (count("OK"), count("NOT_FOUND")) == (1, 2))
    assert b"sep_grpc_latency_seconds_bucket" in generate_latest(registry)
