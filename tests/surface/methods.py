"""Every method of the contract with its documented errors, and how to call each.

A new method or a newly documented error becomes a test case, which fails until a test provokes it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
from google.protobuf import descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2, status_pb2
from sep.allocator.v1 import allocator_pb2
from sep.evaluator.v1 import evaluator_pb2
from sep.gateway.v1 import gateway_pb2
from sep.guard.v1 import guard_pb2
from sep.journal.v1 import journal_pb2
from sep.ops.v1 import ops_pb2
from sep_contract import Method, read_contract
from sep_edge.envoy.errors import PROXY_ERRORS
from sep_edge.openapi.errors import HTTP_STATUS, reasons_of

MODULES = (allocator_pb2, evaluator_pb2, gateway_pb2, guard_pb2, journal_pb2, ops_pb2)
METHODS = read_contract().methods
PROXY_REASONS = {error.reason for error in PROXY_ERRORS}

Json = dict[str, Any]
ORDER: Json = {"instrument": "EUR_USD", "units": "1", "client_order_id": "surface-1"}
CLOSE: Json = {
    "client_order_id": "surface-9",
    "instrument": "EUR_USD",
    "side": "POSITION_SIDE_LONG",
}
TRADE: Json = {"trade_id": "1"}
STOP: Json = {"trade_id": "1", "stop_loss_price": "0.5", "client_order_id": "surface-8"}
REQUESTS: dict[str, Json] = {
    "GetManifoldCoeffs": {"instrument": "EUR_USD"},
    "ListCandles": {"instrument": "EUR_USD", "limit": 5},
    "FetchCandles": {"instruments": ["EUR_USD"], "count": 10},
    "CheckEntry": {"instrument": "EUR_USD"},
    "Reconcile": {"dry_run": False},
    "SetKillSwitch": {"kill_switch": True, "reason": "a test"},
    "EngageKillSwitch": {"reason": "a test", "ts_ms": 1},
    "ExecuteDrain": {"drain_id": "0" * 32},
    "SetLock": {"instrument": "EUR_USD", "locked": False, "reason": "a test"},
    "Flatten": {"reason": "a test"},
    "ListTransactions": {"since_transaction_id": "1"},
    "PlaceMarketOrder": ORDER,
    "ClosePosition": CLOSE,
    "CloseTrade": TRADE,
    "SetTradeStop": STOP,
    "GetDecision": {"id": "surface"},
    "StreamEvents": {"last_event_id": "0"},
    "PromoteParameters": {
        "wanted": [{"instrument": "EUR_USD", "values": {"c_min": 0.6}, "judged_to_promote": True}],
        "reason": "a test",
    },
    # A change can be taken back once, and this request is sent over gRPC and REST.
    "RollBackParameters": {"change_id": "surface", "reason": "a test", "dry_run": True},
    "GetOrder": {"client_order_id": "surface-1"},
}
"""Requests of the methods whose empty request is invalid or means something else."""


@dataclass(frozen=True)
class Outcome:
    """How a call ended: gRPC code, and the reason of an error."""

    code: str
    reason: str = ""


OK = Outcome("OK")
ENDED = (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
"""Of calls that gRPC itself has ended, without a reason: the machine stalled until then."""


@dataclass(frozen=True)
class DocumentedError:
    """One error that a method documents."""

    method: Method
    code: str
    reason: str

    def __str__(self) -> str:
        return f"{self.method.name}-{self.reason}"

    @property
    def outcome(self) -> Outcome:
        return Outcome(self.code, self.reason)


def method_errors() -> list[DocumentedError]:
    """The errors that methods declare in the contract."""
    return [
        DocumentedError(method, code, reason)
        for method in METHODS.values()
        for code, reasons in method.errors.items()
        for reason in reasons
    ]


def common_errors() -> Iterator[tuple[Method, int, str]]:
    """The further errors of each route in the OpenAPI document: HTTP status and reason."""
    for method in METHODS.values():
        declared = {reason for reasons in method.errors.values() for reason in reasons}
        if method.route:
            for status, reasons in reasons_of(method).items():
                for reason in reasons:
                    if reason not in declared:
                        yield method, status, reason


def request_class(method: Method) -> Any:
    pool = descriptor_pool.Default()
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(method.request))


def request_bytes(method: Method, body: Json) -> bytes:
    return bytes(json_format.ParseDict(body, request_class(method)()).SerializeToString())


async def over_grpc(
    channel: grpc.aio.Channel, method: Method, body: Json, key: str = ""
) -> Outcome:
    """A native call; a stream ends at its first event, or without one after its deadline."""
    return await raw_grpc(channel, method, request_bytes(method, body), key)


async def raw_grpc(
    channel: grpc.aio.Channel, method: Method, request: bytes, key: str = ""
) -> Outcome:
    opened: Any = channel
    metadata = (("authorization", f"Bearer {key}"),) if key else ()
    try:
        if method.streams:
            call = opened.unary_stream(method.path)(request, metadata=metadata, timeout=2)
            async for _ in call:
                call.cancel()
                return OK
        else:
            await opened.unary_unary(method.path)(request, metadata=metadata, timeout=60)
    except grpc.aio.AioRpcError as error:
        if method.streams and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            return OK
        return Outcome(error.code().name, grpc_reason(error))
    return OK


def grpc_reason(error: grpc.aio.AioRpcError) -> str:
    trailing: Any = error.trailing_metadata() or ()
    info = error_details_pb2.ErrorInfo()
    for key, value in trailing:
        if key == "grpc-status-details-bin":
            assert status_pb2.Status.FromString(value).details[0].Unpack(info)
    return str(info.reason)


def path_of(method: Method, body: Json | None = None) -> str:
    """The path of a method's route, with the values of the request in it."""
    return method.route.format(**(REQUESTS.get(method.name, {}) if body is None else body))


async def over_rest(http: httpx.AsyncClient, method: Method, body: Json, key: str = "") -> Outcome:
    """A REST call; a stream as in ``over_grpc``."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    rest = {name: value for name, value in body.items() if f"{{{name}}}" not in method.route}
    sent: Json = {"json": body} if method.has_body else {"params": rest}
    request = http.build_request(method.verb, path_of(method, body), headers=headers, **sent)
    if method.streams:
        request.extensions["timeout"] = httpx.Timeout(2).as_dict()
    try:
        response = await http.send(request, stream=True)
    except httpx.ReadTimeout:
        return OK if method.streams else Outcome("DEADLINE_EXCEEDED")
    try:
        if response.status_code == 200:
            if not method.streams:
                await response.aread()
            return OK
        await response.aread()
        return rest_outcome(response)
    finally:
        await response.aclose()


def rest_outcome(response: httpx.Response) -> Outcome:
    """Code and reason of an error; checks its shape, and the status for its code."""
    if response.status_code == 200:
        return OK
    body = response.json()
    assert response.headers["content-type"] == "application/json"
    assert set(body) == {"code", "message", "details"}
    if body["code"] in {c.value[0] for c in ENDED} and not body["details"]:
        return Outcome("DEADLINE_EXCEEDED")
    assert body["message"]
    info = body["details"][0]
    assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert info["domain"] == "sep"
    (code,) = (c.name for c in grpc.StatusCode if c.value[0] == body["code"])
    assert response.status_code == HTTP_STATUS[code] or info["reason"] in PROXY_REASONS
    assert response.headers["x-request-id"]
    return Outcome(code, info["reason"])
