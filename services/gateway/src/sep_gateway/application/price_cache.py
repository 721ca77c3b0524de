"""The latest prices: from the stream while it lives, else asked for."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing

from sep_fx.instants import NS_PER_SECOND
from sep_kit.clock import Clock
from sep_kit.errors import BrokerUnavailableError
from sep_kit.logging import get_logger

from sep_gateway.application.instrument_cache import InstrumentBook
from sep_gateway.domain.pricing import HomeConversion, Price, Pricing
from sep_gateway.metrics import GatewayMetrics
from sep_gateway.ports import Beat, Broker, Streams

_log = get_logger("PriceBoard")

# The broker's heartbeat comes every five seconds; a stream silent for longer may be dead.
_STREAM_FRESH_S = 6.0
# Conversions are not in the stream. They move with prices, and only sizes follow from them.
_CONVERSIONS_FRESH_S = 10.0


class PriceBoard:
    """Latest price of each streamed instrument, and who to ask for the rest.

    Args:
        instruments: the instruments to stream.
        silence_s: after this silence the stream counts as broken.
    """

    def __init__(
        self,
        broker: Broker,
        streams: Streams,
        book: InstrumentBook,
        instruments: Sequence[str],
        silence_s: float,
        clock: Clock,
        metrics: GatewayMetrics,
    ) -> None:
        self._broker = broker
        self._book = book
        self._streams = streams
        self._instruments = tuple(instruments)
        self._prices: dict[str, Price] = {}
        self._fresh_s = min(silence_s, _STREAM_FRESH_S)
        self._clock = clock
        self._quarantined = metrics.prices_quarantined
        self._faults: dict[str, str] = {}
        self._heard_at = float("-inf")
        self._spoken_ns = 0
        self._conversions: dict[str, tuple[float, HomeConversion]] = {}

    async def listen(self, heard: Callable[[], None]) -> None:
        """Follow the price stream until it breaks; a new one begins with all current prices.

        Raises:
            BrokerUnavailableError: it broke.
        """
        loop = asyncio.get_running_loop()
        # One name that the broker does not know would cost the stream of all.
        known = {i.name for i in await self._book.all()}
        names = [name for name in self._instruments if name in known]
        try:
            async with aclosing(self._streams.prices(names)) as stream:
                async for item in stream:
                    heard()
                    self._heard_at = loop.time()
                    self._spoken_ns = max(self._spoken_ns, item.time_ns)
                    if not isinstance(item, Beat):
                        self._put(item)
        finally:
            # What a broken stream said last may be wrong by now.
            self._prices.clear()

    async def pricing(self, instruments: Sequence[str]) -> Pricing:
        """Current prices and the conversions of their currencies.

        Raises:
            BrokerUnavailableError: the stream can't tell, and the broker does not answer in time.
        """
        return self._from_stream(instruments) or await self._ask(instruments)

    def _put(self, price: Price) -> None:
        self._tell(price)
        known = self._prices.get(price.instrument)
        if known is None or price.time_ns >= known.time_ns:
            self._prices[price.instrument] = price

    def _from_stream(self, instruments: Sequence[str]) -> Pricing | None:
        now = asyncio.get_running_loop().time()
        if now - self._heard_at > self._fresh_s or self._spoken_ago_s() > self._fresh_s:
            return None
        prices = [self._prices.get(name) for name in instruments]
        currencies = sorted({c for name in instruments for c in name.split("_")})
        held = [self._conversions.get(currency) for currency in currencies]
        conversions = tuple(h[1] for h in held if h and now - h[0] <= _CONVERSIONS_FRESH_S)
        if None in prices or len(conversions) < len(currencies):
            return None
        found = sorted((p for p in prices if p is not None), key=lambda p: p.instrument)
        return Pricing(tuple(found), conversions)

    async def _ask(self, instruments: Sequence[str]) -> Pricing:
        asked = asyncio.get_running_loop().time()
        pricing = await self._broker.pricing(instruments)
        now = asyncio.get_running_loop().time()
        if now - asked > self._fresh_s:
            raise BrokerUnavailableError(f"prices took {now - asked:.1f} s to come")
        for price in pricing.prices:
            self._tell(price)
        for conversion in pricing.conversions:
            self._conversions[conversion.currency] = (now, conversion)
        return pricing

    def _spoken_ago_s(self) -> float:
        """How long ago the broker itself said the newest thing that came over the stream.

        A line may have waited on its way: heard just now, and old all the same.
        """
        return (self._clock.now_ns() - self._spoken_ns) / NS_PER_SECOND

    def _tell(self, price: Price) -> None:
        """Count a price that can't be believed; log when an instrument's fault changes."""
        if price.fault:
            self._quarantined.labels(price.instrument, price.fault).inc()
        if price.fault != self._faults.get(price.instrument, ""):
            self._faults[price.instrument] = price.fault
            if price.fault:
                _log.warning("price quarantined", instrument=price.instrument, reason=price.fault)
            else:
                _log.info("price good again", instrument=price.instrument)
