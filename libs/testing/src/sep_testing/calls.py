"""Calls of a service by a test, which waits longer than another service would."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from sep_kit.grpc import client

Response = TypeVar("Response")

DEADLINE_S = 30.0
"""A service waits for five seconds; a machine that stalls is no reason for a test to fail."""


async def call(
    method: Callable[..., Awaitable[Response]],
    request: Any,
    *,
    peer: str,
    deadline_s: float = DEADLINE_S,
) -> Response:
    """As ``sep_kit.grpc.client.call``, with another deadline.

    Raises:
        RemoteError: the peer returned an error; code and reason are the peer's.
        PeerUnavailableError: it did not answer before the deadline.
    """
    return await client.call(method, request, peer=peer, deadline_s=deadline_s)
