"""Errors on the wire: google.rpc.Status with an ErrorInfo that carries the stable reason."""

from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from sep_kit.errors import PeerUnavailableError, RemoteError, SepError, TooSlowError

DETAILS_KEY = "grpc-status-details-bin"
_DOMAIN = RemoteError.domain
# Without a reason nobody's handler said this: CANCELLED is what a server that stops leaves.
_NO_ANSWER = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
)


# Errors travel in headers, twice, and past 8 kB of those a client may get no answer at all.
_MESSAGE_LENGTH = 1_000


def shown_message(error: SepError) -> str:
    """The error's message at a length that reaches the client."""
    if len(error.message) <= _MESSAGE_LENGTH:
        return error.message
    return f"{error.message[: _MESSAGE_LENGTH - 3]}..."


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
    """The error that a failed call stands for."""
    info = _error_info(call)
    if info is not None and info.reason != TooSlowError.reason:
        return RemoteError(call.code(), info.reason, call.details() or "", dict(info.metadata))
    if call.code() in _NO_ANSWER:
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
