"""Keeps a stream open: listens until it breaks, waits a little, opens it again."""

import asyncio
from collections.abc import Awaitable, Callable

from sep_kit.cancellation import raise_if_cancelled
from sep_kit.errors import BrokerUnavailableError
from sep_kit.logging import get_logger

from sep_gateway.domain.backoff import STABLE_S, backoff_s
from sep_gateway.metrics import GatewayMetrics

_log = get_logger("Streams")


class StreamKeeper:
    """One stream's watch. The silence limit lies in ``listen``: a mute stream raises there.

    Args:
        listen: opens the stream and listens; returns or raises only when it broke. It
            calls ``heard`` with every line.
        random_fraction: in [0, 1).
    """

    def __init__(
        self,
        name: str,
        listen: Callable[[Callable[[], None]], Awaitable[None]],
        metrics: GatewayMetrics,
        random_fraction: Callable[[], float],
    ) -> None:
        self._name = name
        self._listen = listen
        self._connected = metrics.stream_connected.labels(name)
        self._breaks = metrics.stream_breaks.labels(name)
        self._random_fraction = random_fraction
        self.connected = False

    async def run(self) -> None:
        """Keep the stream open until cancelled."""
        loop = asyncio.get_running_loop()
        in_a_row = 0
        while True:
            opened = loop.time()
            try:
                await self._listen(self._heard)
                reason = "ended"
            except BrokerUnavailableError as error:
                reason = str(error)
            finally:
                was_connected, self.connected = self.connected, False
                self._connected.set(0)
                self._breaks.inc()
            raise_if_cancelled()
            in_a_row = 1 if loop.time() - opened > STABLE_S else in_a_row + 1
            if was_connected or in_a_row == 1:
                _log.warning("stream broke", stream=self._name, reason=reason)
            await asyncio.sleep(backoff_s(in_a_row, self._random_fraction()))

    def _heard(self) -> None:
        if not self.connected:
            self.connected = True
            self._connected.set(1)
            _log.info("stream open", stream=self._name)
