"""Keeps a stream open: reads it until it breaks, backs off, reopens it."""

import asyncio
from collections.abc import Awaitable, Callable

from sep_kit.cancellation import raise_if_cancelled
from sep_kit.errors import BrokerUnavailableError
from sep_kit.logging import get_logger

from sep_gateway.domain.backoff import STABLE_S, backoff_s
from sep_gateway.metrics import GatewayMetrics

_log = get_logger("Streams")


class StreamSupervisor:
    """Supervises one stream.

    Args:
        follow: opens the stream and reads it; returns or raises only when it broke, which
            includes a stream that stays silent for too long. Calls its argument for every line.
        random_fraction: in [0, 1).
    """

    def __init__(
        self,
        name: str,
        follow: Callable[[Callable[[], None]], Awaitable[None]],
        metrics: GatewayMetrics,
        random_fraction: Callable[[], float],
    ) -> None:
        self._name = name
        self._follow = follow
        self._connected = metrics.stream_connected.labels(name)
        self._breaks = metrics.stream_breaks.labels(name)
        self._random_fraction = random_fraction
        self.connected = False

    async def run(self) -> None:
        """Keep the stream open until cancelled."""
        loop = asyncio.get_running_loop()
        consecutive_breaks = 0
        while True:
            opened = loop.time()
            try:
                await self._follow(self._on_line)
                reason = "ended"
            except BrokerUnavailableError as error:
                reason = str(error)
            finally:
                was_connected, self.connected = self.connected, False
                self._connected.set(0)
                self._breaks.inc()
            raise_if_cancelled()
            stable = loop.time() - opened > STABLE_S
            consecutive_breaks = 1 if stable else consecutive_breaks + 1
            if was_connected or consecutive_breaks == 1:
                _log.warning("stream broke", stream=self._name, reason=reason)
            await asyncio.sleep(backoff_s(consecutive_breaks, self._random_fraction()))

    def _on_line(self) -> None:
        if not self.connected:
            self.connected = True
            self._connected.set(1)
            _log.info("stream open", stream=self._name)
