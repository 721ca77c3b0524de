"""Calls to other services: a channel a peer, a deadline a call, errors as ours."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc

from sep_kit.grpc.status import error_of

Response = TypeVar("Response")

DEADLINE_S = 5.0
_OPTIONS = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # A peer that restarts is found again quickly.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
)


def open_channel(address: str) -> grpc.aio.Channel:
    """A channel that connects on first use and keeps reconnecting."""
    return grpc.aio.insecure_channel(address, options=_OPTIONS)


async def call(
    method: Callable[..., Awaitable[Response]],
    request: Any,
    *,
    peer: str,
    deadline_s: float = DEADLINE_S,
) -> Response:
    """The answer of another service.

    Raises:
        RemoteError: the peer answered with an error; code and reason are its own.
        PeerUnavailableError: it did not answer in time.
    """
    try:
        return await method(request, timeout=deadline_s)
    except grpc.aio.AioRpcError as error:
        raise error_of(error, peer) from error
