"""Errors on the wire: google.rpc.Status with an ErrorInfo that carries the stable reason."""

from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2

from sep_kit.errors import PeerUnavailableError, RemoteError, SepError

DETAILS_KEY = "grpc-status-details-bin"
_DOMAIN = RemoteError.domain


def status_details(error: SepError) -> bytes:
    """The serialized Status of an error, for the trailing metadata."""
    code: int = error.code.value[0]
    status = status_pb2.Status(code=code, message=error.message)
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=_DOMAIN, metadata=error.metadata)
    for detail in (info, *error.details):
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return bytes(status.SerializeToString())


def error_of(call: grpc.aio.AioRpcError, peer: str) -> SepError:
    """The error that a failed call stands for."""
    trailing: Any = call.trailing_metadata() or ()
    for key, value in trailing:
        if key == DETAILS_KEY and isinstance(value, bytes):
            info = error_details_pb2.ErrorInfo()
            for detail in status_pb2.Status.FromString(value).details:
                if detail.Unpack(info):
                    return RemoteError(
                        call.code(), info.reason, call.details() or "", dict(info.metadata)
                    )
    if call.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return PeerUnavailableError(f"{peer} does not answer: {call.details()}", peer=peer)
    return RemoteError(call.code(), call.code().name, call.details() or "", {})
