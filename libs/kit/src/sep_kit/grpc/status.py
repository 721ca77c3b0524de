"""``SepError`` as a google.rpc.Status with an ErrorInfo that carries the reason, and back."""

from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from sep_kit.errors import PeerUnavailableError, RemoteError, SepError, TooSlowError

DETAILS_KEY = "grpc-status-details-bin"
_DOMAIN = RemoteError.domain
# Without a reason the error comes from gRPC, not from a handler. A server that stops cancels its
# calls.
_NO_RESPONSE = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
)
# A message is sent twice in headers, and a client may drop responses with more than 8 kB of them.
_MAX_MESSAGE_LENGTH = 1_000


def shown_message(error: SepError) -> str:
    """The error's message, truncated to a length that reaches every client."""
    if len(error.message) <= _MAX_MESSAGE_LENGTH:
        return error.message
    return f"{error.message[: _MAX_MESSAGE_LENGTH - 3]}..."


def status_details(error: SepError) -> bytes:
    """The serialized Status of an error, for the trailing metadata."""
    code: int = error.code.value[0]
    status = status_pb2.Status(code=code, message=shown_message(error))
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=_DOMAIN, metadata=error.metadata)
    for detail in (info, *error.details):
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return bytes(status.SerializeToString())


def error_of(call: grpc.aio.AioRpcError, peer: str) -> SepError:
    """The failed call as an error: the peer's own, or that the peer is unavailable."""
    info = _error_info(call)
    if info is not None and info.reason != TooSlowError.reason:
        return RemoteError(call.code(), info.reason, call.details() or "", dict(info.metadata))
    if call.code() in _NO_RESPONSE:
        return PeerUnavailableError(f"{peer} does not answer: {call.details()}", peer=peer)
    return RemoteError(call.code(), call.code().name, call.details() or "", {})


def _error_info(call: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo | None:
    trailing: Any = call.trailing_metadata() or ()
    for key, value in trailing:
        if key == DETAILS_KEY and isinstance(value, bytes):
            info = error_details_pb2.ErrorInfo()
            try:
                if any(d.Unpack(info) for d in status_pb2.Status.FromString(value).details):
                    return info
            except DecodeError:
                return None
    return None
