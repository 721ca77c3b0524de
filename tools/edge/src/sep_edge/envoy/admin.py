"""Envoy's admin interface: drain connections before a stop."""

import asyncio
import contextlib
import http.client
import socket

from sep_edge.address import Address
from sep_edge.envoy.endpoints import Endpoint

_TIMEOUT_S = 1.0
_POLL_S = 0.05
# A connection that was accepted just before the listeners closed sends its request by then.
_LAST_REQUESTS_S = 0.2


async def drain(admin: Endpoint, within_s: float) -> None:
    """Return when no call is in progress, or after ``within_s``; streams never end by themselves.

    From the start of the drain, responses ask clients to reconnect. At its end no connection is
    accepted any more, so that a client is refused rather than dropped. An admin interface that
    does not respond is ignored.
    """
    ends_at = asyncio.get_running_loop().time() + within_s
    await _call(admin, "/drain_listeners?graceful&skip_exit")
    await _until_idle(admin, ends_at - 2 * _LAST_REQUESTS_S)
    await _call(admin, "/drain_listeners")
    await asyncio.sleep(_LAST_REQUESTS_S)
    await _until_idle(admin, ends_at)


async def _call(admin: Endpoint, path: str) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        await asyncio.to_thread(_send, admin, "POST", path)


async def _until_idle(admin: Endpoint, ends_at: float) -> None:
    with contextlib.suppress(OSError, TimeoutError, http.client.HTTPException):
        async with asyncio.timeout_at(ends_at):
            while await asyncio.to_thread(_active_requests, admin):  # noqa: ASYNC110 - not ours
                await asyncio.sleep(_POLL_S)


def _active_requests(admin: Endpoint) -> int:
    text = _send(admin, "GET", "/stats?filter=^http.public.downstream_rq_active$")
    return int(text.rpartition(":")[2] or 0)


def _send(admin: Endpoint, verb: str, path: str) -> str:
    connection = _AdminConnection(admin)
    try:
        connection.request(verb, path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


class _AdminConnection(http.client.HTTPConnection):
    """An HTTP connection over TCP or a Unix domain socket."""

    def __init__(self, admin: Endpoint) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._admin = admin

    def connect(self) -> None:
        if isinstance(self._admin, Address):
            address = (self._admin.host, self._admin.port)
            self.sock = socket.create_connection(address, _TIMEOUT_S)
            return
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_S)
        self.sock.connect(self._admin)
