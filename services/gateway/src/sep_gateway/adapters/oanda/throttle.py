"""Throttles for requests and new connections, within the broker's rate limits."""

import asyncio
import heapq
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any, Self

import httpcore
import httpx

from sep_gateway.domain.rate_limit import RateLimit, reserve
from sep_gateway.metrics import GatewayMetrics

# The broker allows 100 requests a second and 2 new connections a second. A rate of 90 plus a
# burst of 10 never exceeds 100 in any second.
REQUESTS = RateLimit(per_second=90, burst=10)
CONNECTIONS = RateLimit(per_second=2, burst=2)

URGENT = "sep_urgent"
"""Extension of a request that goes before the others."""

_KEEP_ALIVE_S = 60.0
_URGENT_CONNECTIONS = 3


class Throttle:
    """Delays callers so that together they stay within a limit.

    Urgent callers go first; among equals the one that came first.
    """

    def __init__(self, name: str, limit: RateLimit, metrics: GatewayMetrics) -> None:
        self._limit = limit
        self._next_at = 0.0
        self._waiting: list[tuple[bool, int, asyncio.Future[None]]] = []
        self._arrivals = count()
        self._timer: asyncio.TimerHandle | None = None
        self._waits = metrics.limiter_waits.labels(name)
        self._seconds = metrics.limiter_wait_seconds.labels(name)

    async def wait(self, *, urgent: bool = False) -> None:
        """Return when the caller may proceed."""
        loop = asyncio.get_running_loop()
        if not self._waiting and self._take(loop.time()) == 0:
            return
        came = loop.time()
        turn = loop.create_future()
        heapq.heappush(self._waiting, (not urgent, next(self._arrivals), turn))
        self._admit()
        await turn
        self._waits.inc()
        self._seconds.inc(loop.time() - came)

    def _take(self, now: float) -> float:
        """Take the next slot if it is due; the time until it is."""
        slot = reserve(self._limit, self._next_at, now)
        if slot.wait_s <= 0:
            self._next_at = slot.next_at
        return slot.wait_s

    def _admit(self) -> None:
        """Admit those whose turn it is, and come back for the next one."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            turn = self._waiting[0][2]
            if not turn.done():
                wait_s = self._take(loop.time())
                if wait_s > 0:
                    self._timer = loop.call_later(wait_s, self._admit)
                    return
                turn.set_result(None)
            # One that was cancelled while waiting takes no slot.
            heapq.heappop(self._waiting)


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

    def __init__(self, throttle: Throttle, *, urgent: bool) -> None:
        self._throttle = throttle
        self._urgent = urgent
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        await self._throttle.wait(urgent=self._urgent)
        return await self._inner.connect_tcp(host, port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@cache
def _tls() -> ssl.SSLContext:
    # Reading the certificates takes longer than a request.
    return httpx.create_ssl_context()


class ThrottledTransport(httpx.AsyncBaseTransport):
    """Pools of connections whose opening is throttled: one for urgent requests, one for the rest.

    So an order never waits for a connection that slow reads hold.
    """

    def __init__(self, throttle: Throttle, connections: int) -> None:
        self._urgent = _pooled(throttle, _URGENT_CONNECTIONS, urgent=True)
        self._others = _pooled(throttle, connections - _URGENT_CONNECTIONS, urgent=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request over a connection of its pool."""
        pool = self._urgent if request.extensions.get(URGENT) else self._others
        return await pool.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._urgent.aclose()
        await self._others.aclose()


def _pooled(throttle: Throttle, connections: int, *, urgent: bool) -> httpx.AsyncHTTPTransport:
    context = _tls()
    transport = httpx.AsyncHTTPTransport(verify=context)
    # httpx has no parameter for the network backend; test_throttle.py checks that this works.
    transport._pool = httpcore.AsyncConnectionPool(  # noqa: SLF001
        ssl_context=context,
        max_connections=connections,
        max_keepalive_connections=connections,
        keepalive_expiry=_KEEP_ALIVE_S,
        network_backend=_ThrottledBackend(throttle, urgent=urgent),
    )
    return transport
