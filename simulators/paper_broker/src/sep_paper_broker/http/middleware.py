"""Middleware of every request: request id, authorisation, injected faults."""

import hmac
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sep_paper_broker.faults.registry import FaultRegistry
from sep_paper_broker.http.connections import Connections
from sep_paper_broker.http.errors import ApiError
from sep_paper_broker.http.request_faults import apply_request_fault, send_with_odd_members

_OPEN_PATH = "/healthz"  # called by health probes, which have no token
_ADMIN = "/admin/"


class RequestMiddleware:
    """Adds ``RequestID`` to every response, refuses a wrong token with 401, applies request faults.

    Args:
        app: the application.
        token: the accepted bearer token.
        clock: returns nanoseconds since the epoch; request ids begin with it.
        faults: the active faults.
        connections: open connections, for faults that reset one.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str,
        clock: Callable[[], int],
        faults: FaultRegistry,
        connections: Connections,
    ) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()
        self._clock = clock
        self._faults = faults
        self._connections = connections
        self._count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["path"] == _OPEN_PATH:
            await self._app(scope, receive, send)
            return
        self._count += 1
        request_id = f"{self._clock()}{self._count:06d}"
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["RequestID"] = request_id
            await send(message)

        given = dict(scope["headers"]).get(b"authorization", b"")
        if not hmac.compare_digest(given, self._expected):
            refusal = ApiError(401, "Insufficient authorization to perform request.")
            await refusal.response()(scope, receive, send_with_id)
            return
        # The admin API is exempt, so that a fault can always be removed.
        admin = scope["path"].startswith(_ADMIN)
        fault = None if admin else self._faults.take_request_fault(scope["method"], scope["path"])
        if fault is None:
            await self._send(scope, receive, send_with_id)
            return
        await apply_request_fault(
            fault, self._app, scope, (receive, send_with_id), self._connections
        )

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        streams = scope["path"].endswith("/stream")
        odd = () if streams else self._faults.take_odd_members(scope["path"])
        if odd:
            await send_with_odd_members(odd, self._app, scope, (receive, send))
        else:
            await self._app(scope, receive, send)
