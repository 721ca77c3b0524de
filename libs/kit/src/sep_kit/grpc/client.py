"""Calls to other services, with a deadline on every call and errors as ``SepError``."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc

from sep_kit.grpc.access import AUTHORIZATION
from sep_kit.grpc.call_context import REQUEST_ID, current
from sep_kit.grpc.keys import KeyRing
from sep_kit.grpc.status import error_of
from sep_kit.grpc.tls import DNS_NAME, TlsFiles

Response = TypeVar("Response")

DEADLINE_S = 5.0
_OPTIONS = (
    # Peers are reached directly, whatever http_proxy says.
    ("grpc.enable_http_proxy", 0),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # Reconnect quickly to a peer that restarts.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
)


def open_channel(
    address: str, keys: KeyRing | None = None, tls: TlsFiles | None = None
) -> grpc.aio.Channel:
    """A channel that connects on first use and keeps reconnecting.

    Args:
        keys: source of the internal key that calls carry.
        tls: files for mutual TLS; plaintext without them.
    """
    interceptors: Any = [_CallMetadata(keys)]
    if tls is None:
        return grpc.aio.insecure_channel(address, options=_OPTIONS, interceptors=interceptors)
    named = (("grpc.ssl_target_name_override", DNS_NAME),)
    return grpc.aio.secure_channel(
        address, tls.client(), options=(*_OPTIONS, *named), interceptors=interceptors
    )


class _CallMetadata(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]
    """Adds the internal key and the id of the request being handled."""

    def __init__(self, keys: KeyRing | None) -> None:
        self._keys = keys

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        """Add both to the metadata."""
        metadata = list(details.metadata or ())
        if self._keys is not None and (key := self._keys.own_key()):
            metadata.append((AUTHORIZATION, f"Bearer {key}"))
        if (handled := current()) is not None:
            metadata.append((REQUEST_ID, handled.request_id))
        return await continuation(
            grpc.aio.ClientCallDetails(
                details.method,
                details.timeout,
                grpc.aio.Metadata(*metadata),
                details.credentials,
                details.wait_for_ready,
            ),
            request,
        )


async def call(
    method: Callable[..., Awaitable[Response]],
    request: Any,
    *,
    peer: str,
    deadline_s: float = DEADLINE_S,
) -> Response:
    """Call another service; returns its response.

    The deadline of the request being handled applies too, if it is earlier.

    Raises:
        RemoteError: the peer returned an error; code and reason are the peer's.
        PeerUnavailableError: it did not answer before the deadline.
    """
    handled = current()
    left = handled.seconds_left() if handled is not None else None
    if left is not None:
        deadline_s = min(deadline_s, left)
    try:
        return await method(request, timeout=deadline_s)
    except grpc.aio.AioRpcError as error:
        raise error_of(error, peer) from error
