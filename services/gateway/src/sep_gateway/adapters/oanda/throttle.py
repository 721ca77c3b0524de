"""Waits that keep a rate: requests, and new connections."""

import asyncio
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import httpcore
import httpx

from sep_gateway.domain.rate_limit import RateLimit, reserve
from sep_gateway.metrics import GatewayMetrics

# The broker allows 100 requests a second and 2 new connections a second; 90 + 10 at
# once never passes the first, whatever second is looked at.
REQUESTS = RateLimit(per_second=90, burst=10)
CONNECTIONS = RateLimit(per_second=2, burst=2)

_KEEP_ALIVE_S = 60.0


class Pace:
    """Makes callers wait, in the order they come, so that they keep one rate together."""

    def __init__(self, name: str, limit: RateLimit, metrics: GatewayMetrics) -> None:
        self._limit = limit
        self._next_at = 0.0
        self._waits = metrics.limiter_waits.labels(name)
        self._seconds = metrics.limiter_wait_seconds.labels(name)

    async def wait(self) -> None:
        """Return when it is this caller's turn."""
        place = reserve(self._limit, self._next_at, asyncio.get_running_loop().time())
        self._next_at = place.next_at
        if place.wait_s > 0:
            self._waits.inc()
            self._seconds.inc(place.wait_s)
            await asyncio.sleep(place.wait_s)


@dataclass(frozen=True, slots=True)
class Paces:
    """The rates that all connections of one client keep together."""

    requests: Pace
    connections: Pace

    @classmethod
    def of_oanda(cls, metrics: GatewayMetrics) -> Self:
        """The rates that the broker allows."""
        return cls(Pace("requests", REQUESTS, metrics), Pace("connections", CONNECTIONS, metrics))


class _PacedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections no faster than the broker allows."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        await self._pace.wait()
        return await self._inner.connect_tcp(host, port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@cache
def _tls() -> ssl.SSLContext:
    # Reading the certificates takes longer than a request.
    return httpx.create_ssl_context()


class PacedTransport(httpx.AsyncHTTPTransport):
    """httpx's own transport over a pool whose new connections are paced."""

    def __init__(self, pace: Pace, connections: int) -> None:
        context = _tls()
        super().__init__(verify=context)
        # httpx has no parameter for this; a test watches over it.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=_KEEP_ALIVE_S,
            network_backend=_PacedBackend(pace),
        )
