"""Throttles for requests and new connections, within the broker's rate limits."""

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

# The broker allows 100 requests a second and 2 new connections a second. A rate of 90 plus a
# burst of 10 never exceeds 100 in any second.
REQUESTS = RateLimit(per_second=90, burst=10)
CONNECTIONS = RateLimit(per_second=2, burst=2)

_KEEP_ALIVE_S = 60.0


class Throttle:
    """Delays callers, first come first served, so that together they stay within a limit."""

    def __init__(self, name: str, limit: RateLimit, metrics: GatewayMetrics) -> None:
        self._limit = limit
        self._next_at = 0.0
        self._waits = metrics.limiter_waits.labels(name)
        self._seconds = metrics.limiter_wait_seconds.labels(name)

    async def wait(self) -> None:
        """Return when the caller may proceed."""
        slot = reserve(self._limit, self._next_at, asyncio.get_running_loop().time())
        self._next_at = slot.next_at
        if slot.wait_s > 0:
            self._waits.inc()
            self._seconds.inc(slot.wait_s)
            await asyncio.sleep(slot.wait_s)


@dataclass(frozen=True, slots=True)
class Throttles:
    """The throttles shared by all connections of the process."""

    requests: Throttle
    connections: Throttle

    @classmethod
    def for_oanda(cls, metrics: GatewayMetrics) -> Self:
        """Throttles at the limits that the broker allows."""
        return cls(
            Throttle("requests", REQUESTS, metrics), Throttle("connections", CONNECTIONS, metrics)
        )


class _ThrottledBackend(httpcore.AsyncNetworkBackend):
    """Opens connections no faster than the broker allows."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        await self._throttle.wait()
        return await self._inner.connect_tcp(host, port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@cache
def _tls() -> ssl.SSLContext:
    # Reading the certificates takes longer than a request.
    return httpx.create_ssl_context()


class ThrottledTransport(httpx.AsyncHTTPTransport):
    """The httpx transport over a pool whose new connections are throttled."""

    def __init__(self, throttle: Throttle, connections: int) -> None:
        context = _tls()
        super().__init__(verify=context)
        # httpx has no parameter for the network backend; test_throttle.py checks that this works.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=_KEEP_ALIVE_S,
            network_backend=_ThrottledBackend(throttle),
        )
