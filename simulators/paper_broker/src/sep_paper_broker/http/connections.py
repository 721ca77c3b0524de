"""Registry of the server's open connections, so that a fault can reset one."""

import asyncio
import socket
import struct
from typing import Any

from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

_Peer = tuple[str, int]


class Connections:
    """Open transports by peer address."""

    def __init__(self) -> None:
        self._transports: dict[_Peer, asyncio.Transport] = {}

    def protocol(self) -> type[asyncio.Protocol]:
        """An HTTP protocol class for uvicorn that registers its connections here."""
        transports = self._transports

        class RegisteringProtocol(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                if self.client is not None:
                    transports[self.client] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                if self.client is not None:
                    transports.pop(self.client, None)
                super().connection_lost(exc)

        return RegisteringProtocol

    def reset(self, scope: Scope) -> None:
        """Close the connection of a request with a TCP reset and discard unsent data."""
        client: Any = scope.get("client")
        transport = self._transports.get(tuple(client)) if client else None
        if transport is None:
            return
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
